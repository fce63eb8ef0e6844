//! A run as a machine: footers, then row groups, days as they become whole.
//!
//! ```text
//! Files --plan--> Work::Days  (schedule: days leave when no unread row group can hold them)
//!             \-> Work::State (everything merges into one state, as `daysum fold` does)
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use daysum_core::decode::{BATCH_ROWS, ChunkStep, Decoder, LARGEST_PAGE, WindowedDecoder};
use daysum_core::drive::{Plan, Schedule, Unit};
use daysum_core::{
    ChunkFolder, Day, DayState, DaySummary, FoldConfig, Folder, Lookups, PartialState, Policy,
};

use crate::encode::arrow_file;
use crate::error::Told;
use crate::files::{Files, FilesStep};
use crate::options::{Purpose, RunOptions};
use crate::reading::Reading;
use crate::report::{DayFacts, Report};

/// Bytes of a file that are held: a row group of ordinary size is read at once, a larger one by and by.
const HELD: u64 = 12 * 1024 * 1024;
/// For a first look, which ends before the first row group does.
const HELD_FIRST: u64 = 1536 * 1024;

/// Everything between `new Run()` and the last day.
#[derive(Debug)]
pub(crate) struct Session {
    lookups: Lookups,
    options: RunOptions,
    files: Files,
    work: Option<Work>,
    /// What comes next: the caller knows its file before anything of it can end the instance.
    next: Option<Unit>,
    current: Option<Current>,
    reading: Option<Reading>,
    days: VecDeque<DaySummary>,
    day: Option<DaySummary>,
    report: Report,
    /// The file of the row group that is read, or comes next.
    file: usize,
    rows: u64,
    done: bool,
}

/// What is done with folded row groups.
#[derive(Debug)]
struct Work {
    config: Arc<FoldConfig>,
    policy: Policy,
    goal: Goal,
}

#[derive(Debug)]
enum Goal {
    Days(Box<Schedule>),
    State { units: VecDeque<Unit>, state: Box<PartialState> },
}

/// The row group that is being read.
#[derive(Debug)]
struct Current {
    unit: Unit,
    decoder: WindowedDecoder,
    folder: ChunkFolder,
}

impl Session {
    pub(crate) fn new(lookups: &str, options: &str) -> Result<Self, Told> {
        Ok(Self {
            lookups: Lookups::from_json(lookups.as_bytes())?,
            options: RunOptions::from_json(options)?,
            files: Files::default(),
            work: None,
            next: None,
            current: None,
            reading: None,
            days: VecDeque::new(),
            day: None,
            report: Report::default(),
            file: 0,
            rows: 0,
            done: false,
        })
    }

    pub(crate) fn add(&mut self, name: &str, size: f64, version: Option<String>) -> Result<(), Told> {
        self.files.add(name, size, version)
    }

    pub(crate) fn refuse(&mut self, file: usize, error: &str) -> Result<(), Told> {
        let told = serde_json::from_str(error).map_err(|error| Told::config(format!("error: {error}")))?;
        self.files.refuse(file, told)
    }

    /// Goes on by one step: at most a batch of rows, so that callers can breathe in between.
    pub(crate) fn step(&mut self) -> Result<Vec<f64>, Told> {
        if let Some(reading) = &self.reading {
            return Ok(reading.flat());
        }
        let Some(work) = &mut self.work else { return self.step_footers() };
        let Some(current) = &mut self.current else {
            if let Some(unit) = self.next.take() {
                self.begin(unit)?;
                return Ok(Vec::new());
            }
            self.next = work.goal.next();
            match &self.next {
                Some(unit) => self.file = self.files.position(&unit.object.meta.key),
                None => self.finish()?,
            }
            return Ok(Vec::new());
        };
        let outcome = match current.decoder.step() {
            Ok(ChunkStep::Need(ranges)) => return Ok(self.ask(Reading::new(ranges))),
            Ok(ChunkStep::Batch(batch)) => {
                self.rows += batch.num_rows() as u64;
                current
                    .folder
                    .push(&batch)
                    .map(|()| self.options.row_limit.is_some_and(|most| self.rows >= most))
            }
            Ok(ChunkStep::Done) => Ok(true),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(false) => Ok(()),
            Ok(true) => self.complete(),
            Err(error) => self.fail(error.into()),
        }?;
        Ok(Vec::new())
    }

    pub(crate) fn supply(&mut self, bytes: Vec<u8>) -> Result<(), Told> {
        let nothing = || Told::new("internal", "nothing was asked for");
        if !self.reading.as_mut().ok_or_else(nothing)?.supply(bytes)? {
            return Ok(());
        }
        let reading = self.reading.take().ok_or_else(nothing)?;
        let Some(current) = &mut self.current else {
            self.files.supply(reading);
            return Ok(());
        };
        match current.decoder.supply(reading.finish()) {
            Ok(()) => Ok(()),
            Err(error) => self.fail(error.into()),
        }
    }

    fn ask(&mut self, reading: Reading) -> Vec<f64> {
        self.reading.insert(reading).flat()
    }

    fn step_footers(&mut self) -> Result<Vec<f64>, Told> {
        match self.files.step() {
            FilesStep::Read(reading) => return Ok(self.ask(reading)),
            FilesStep::Went => {}
            FilesStep::Done => self.plan()?,
        }
        Ok(Vec::new())
    }

    /// Every footer is there: which row groups are read, and for what.
    fn plan(&mut self) -> Result<(), Told> {
        if !self.options.holds()
            && let Some(told) = self.files.first_error()
        {
            return Err(told);
        }
        self.files.fill_source(&mut self.lookups)?;
        let has_days = match self.options.purpose {
            Purpose::Summarize => self.files.fill_range(&mut self.lookups)?,
            Purpose::Fold => true,
        };
        let config = Arc::new(FoldConfig::new(&self.lookups, self.options.fold())?);
        let policy = Policy::new(&self.lookups, self.options.policy())?;
        let range = has_days.then(|| config.range());
        let plan = self.files.plan(&self.lookups)?;
        for bad in &plan.unreadable {
            let told = self.files.told(&bad.meta.key, &bad.error);
            if !self.options.holds() {
                return Err(told);
            }
            self.report.reject(told, bad.days.or(range), 0);
        }
        self.report.plan(&plan, self.files.names(), range, &self.lookups);
        let goal = match self.options.purpose {
            Purpose::Summarize => Goal::Days(Box::new(Schedule::new(plan, config.clone()))),
            Purpose::Fold => Goal::of_state(plan, &config),
        };
        self.report.total_rows = goal.rows();
        if let (Goal::Days(schedule), true) = (&goal, has_days) {
            self.report.hold(schedule.held());
        }
        self.work = Some(Work { config, policy, goal });
        Ok(())
    }

    fn begin(&mut self, unit: Unit) -> Result<(), Told> {
        let Some(work) = &self.work else { return Ok(()) };
        let (object, row_group) = (&unit.object, unit.row_group.index);
        let folder = object.start(Folder::new(work.config.clone()), row_group)?;
        // A first look need not decode more than it shows.
        let batch_rows = self
            .options
            .row_limit
            .map_or(BATCH_ROWS, |most| BATCH_ROWS.min(usize::try_from(most).unwrap_or(usize::MAX)));
        let held = if self.options.row_limit.is_some() { HELD_FIRST } else { HELD };
        match WindowedDecoder::new(&object.footer, object.kind, row_group, batch_rows, held) {
            Ok(decoder) => {
                let decoder = decoder.pages_within(self.options.memory_limit.unwrap_or(LARGEST_PAGE));
                self.current = Some(Current { unit, decoder, folder });
                Ok(())
            }
            Err(error) => self.reject(unit, error.into()),
        }
    }

    /// A row group is folded, or as much of it as a first look takes.
    fn complete(&mut self) -> Result<(), Told> {
        let Some(Current { unit, folder, .. }) = self.current.take() else { return Ok(()) };
        let state = match folder.end().take() {
            Ok(state) => state,
            Err(error) => return self.reject(unit, error.into()),
        };
        let Some(work) = &mut self.work else { return Ok(()) };
        let whole = match &mut work.goal {
            Goal::Days(schedule) => match schedule.complete(std::slice::from_ref(&unit), state) {
                Ok(whole) => whole,
                Err(error) => return self.reject(unit, error.into()),
            },
            Goal::State { state: all, .. } => {
                all.merge(state)?;
                Vec::new()
            }
        };
        self.finalise(whole)?;
        if self.options.row_limit.is_some_and(|most| self.rows >= most) {
            self.stop()?;
        }
        Ok(())
    }

    /// The current row group cannot be read.
    fn fail(&mut self, told: Told) -> Result<(), Told> {
        match self.current.take() {
            Some(current) => self.reject(current.unit, told),
            None => Err(told),
        }
    }

    fn reject(&mut self, unit: Unit, told: Told) -> Result<(), Told> {
        let (true, Some(Work { goal: Goal::Days(schedule), .. })) = (self.options.holds(), &mut self.work)
        else {
            return Err(told);
        };
        schedule.fail(&unit);
        self.report.hold(schedule.held());
        self.report.reject(told, Some(unit.days), unit.row_group.rows);
        Ok(())
    }

    fn finalise(&mut self, days: impl IntoIterator<Item = (Day, DayState)>) -> Result<(), Told> {
        let Some(work) = &self.work else { return Ok(()) };
        for (day, state) in days {
            match state.finalise(day, &work.config, &work.policy) {
                Ok(summary) if summary.num_rows() == 0 => {}
                Ok(summary) => {
                    self.report.day(&summary);
                    self.days.push_back(summary);
                }
                Err(error) if self.options.holds() => {
                    self.report.hold([&day]);
                    self.report.reject(error.into(), Some((day, day)), 0);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Enough for a first look: finishes what there is.
    fn stop(&mut self) -> Result<(), Told> {
        if let Some(Work { goal: Goal::Days(schedule), .. }) = &mut self.work
            && self.rows < self.report.total_rows
        {
            self.report.first_look = true;
            let open = schedule.take_open();
            self.finalise(open)?;
            self.finish()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Told> {
        if let Some(work) = &self.work {
            let counts = match &work.goal {
                Goal::Days(schedule) => schedule.counts(),
                Goal::State { state, .. } => state.counts(),
            };
            self.report.count(counts)?;
        }
        self.done = true;
        Ok(())
    }

    pub(crate) fn file(&self) -> usize {
        if self.work.is_some() { self.file } else { self.files.current() }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    pub(crate) fn total_rows(&self) -> u64 {
        self.report.total_rows
    }

    pub(crate) fn next_day(&mut self) -> bool {
        self.day = self.days.pop_front();
        self.day.is_some()
    }

    pub(crate) fn day_facts(&self) -> String {
        self.day.as_ref().map(DayFacts::json).unwrap_or_default()
    }

    pub(crate) fn day_rows(&self) -> Result<Vec<u8>, Told> {
        let day = self.day.as_ref().ok_or_else(|| Told::config("there is no current day"))?;
        arrow_file(day.batches()?)
    }

    pub(crate) fn report(&self) -> String {
        self.report.json()
    }

    pub(crate) fn state(&self) -> Result<Vec<u8>, Told> {
        match &self.work {
            Some(Work { goal: Goal::State { state, .. }, .. }) if self.done => Ok(state.encode()?.into()),
            _ => Err(Told::config("only a run that folds, once it is done, has a state")),
        }
    }
}

impl Goal {
    fn of_state(plan: Plan, config: &Arc<FoldConfig>) -> Self {
        let mut units = VecDeque::new();
        for object in plan.objects {
            let object = Arc::new(object);
            let groups = object.footer.row_groups(object.kind).into_iter();
            units.extend(groups.map(|row_group| Unit {
                object: object.clone(),
                row_group,
                days: config.range(),
            }));
        }
        Self::State { units, state: Box::new(PartialState::empty(config.clone())) }
    }

    fn next(&mut self) -> Option<Unit> {
        match self {
            Self::Days(schedule) => schedule.next_unit(),
            Self::State { units, .. } => units.pop_front(),
        }
    }

    fn rows(&self) -> u64 {
        let rows = |unit: &Unit| unit.row_group.rows;
        match self {
            Self::Days(schedule) => schedule.units().iter().map(rows).sum(),
            Self::State { units, .. } => units.iter().map(rows).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_file_of_a_row_group_is_told_before_it_is_begun() {
        let table = "../tests/data/golden/gen-small/input/openshift_pod_usage_line_items_daily";
        let mut files = Vec::new();
        find(Path::new(table), &mut files);
        assert_eq!(files.len(), 4);
        let mut session = Session::new("{}", "{}").expect("no lookups and no options");
        for (name, content) in &files {
            session.add(name, content.len() as f64, None).expect("a name of its own");
        }
        let mut begun = Vec::new();
        while !session.is_done() {
            let (told, was_open) = (session.file(), session.current.is_some());
            let ranges = session.step().expect("sound files");
            if let (false, Some(current)) = (was_open, &session.current) {
                assert_eq!(files[told].0, *current.unit.object.meta.key);
                begun.push(told);
            }
            for range in ranges.chunks(2) {
                let bytes = &files[session.file()].1[range[0] as usize..range[1] as usize];
                session.supply(bytes.to_vec()).expect("what was asked for");
            }
        }
        begun.sort_unstable();
        assert_eq!(begun, [0, 1, 2, 3]);
    }

    fn find(directory: &Path, files: &mut Vec<(String, Vec<u8>)>) {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                find(&path, files);
            } else {
                files.push((path.display().to_string(), fs::read(&path).expect("readable")));
            }
        }
    }
}
