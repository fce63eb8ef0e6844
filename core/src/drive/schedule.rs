//! In which order row groups are read, and when a day is whole.
//!
//! ```text
//! Plan -> units (a row group and the days it can hold), earliest day first
//! next_units() -> units of the same days -> fold them anywhere -> complete(units, state) -> days that no unread unit can hold
//!                                                              -> fail(unit)             -> its days are held back
//! ```
//!
//! The schedule does no work and no IO: an async task, a pool of threads or a browser drives it. Open state
//! is that of the days between the first unread row group and the last one read, however long the range is.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::plan::{KeyFacts, Plan, PlannedObject};
use crate::day::Day;
use crate::decode::RowGroup;
use crate::error::{Error, Location, Result};
use crate::port::{InputObject, Spill};
use crate::state::{ChunkId, Coverage, DayState, FoldConfig, PartialState, RowCounts};

/// One row group to fold.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Where it lies.
    pub object: Arc<PlannedObject>,
    /// Which one it is.
    pub row_group: RowGroup,
    /// First and last wanted day it can hold.
    pub days: (Day, Day),
}

impl Unit {
    /// Refuses days that the footer's statistics have left out.
    pub fn check(&self, mut days: impl Iterator<Item = Day>) -> Result<()> {
        let Some(day) = days.find(|day| !(self.days.0..=self.days.1).contains(day)) else { return Ok(()) };
        let at = Location::object(self.object.meta.key.clone()).row_group(self.row_group.index);
        Err(Error::Format {
            at: Box::new(at.column("interval_start")),
            reason: format!("the footer's statistics leave out {day}, which the rows hold"),
        })
    }
}

/// Into how many parts of each thread's share the rest is divided, whenever a thread asks for more.
const PARTS: u64 = 2;

/// What is left to fold, and the days that are open.
#[derive(Debug)]
pub struct Schedule {
    config: Arc<FoldConfig>,
    units: std::vec::IntoIter<Unit>,
    rows_left: u64,
    /// How many units that are not folded yet can hold a day.
    waiting: BTreeMap<Day, usize>,
    open: BTreeMap<Day, DayState>,
    held: BTreeSet<Day>,
    skipped: BTreeSet<Day>,
    inputs: BTreeMap<Day, Vec<InputObject>>,
    told: BTreeSet<Day>,
    coverage: Coverage,
    counts: RowCounts,
    spill: Option<Spill>,
}

impl Schedule {
    /// The schedule of a plan. Row groups that hold no wanted day are counted as out of range and not read;
    /// days that the plan's unreadable objects could hold are held back from the start.
    pub fn new(plan: Plan, config: Arc<FoldConfig>) -> Self {
        let mut schedule = Self {
            units: Vec::new().into_iter(),
            rows_left: 0,
            waiting: BTreeMap::new(),
            open: BTreeMap::new(),
            held: BTreeSet::new(),
            skipped: BTreeSet::new(),
            inputs: BTreeMap::new(),
            told: BTreeSet::new(),
            coverage: Coverage::default(),
            counts: RowCounts::default(),
            spill: None,
            config,
        };
        for bad in &plan.unreadable {
            let (first, last) = bad.days.unwrap_or(schedule.config.range());
            schedule.held.extend(schedule.wanted(first, last));
        }
        let mut units = Vec::new();
        for object in plan.objects {
            let object = Arc::new(object);
            for row_group in object.footer.row_groups(object.kind) {
                schedule.add(&object, row_group, &mut units);
            }
        }
        units.sort_by_key(|unit| unit.days); // stable: within a day, labels and volumes come before pods
        schedule.queue(units);
        schedule
    }

    /// Puts the largest open days out of memory once all of them take more than these bytes.
    pub fn spill_beyond(&mut self, spill: Option<Spill>) {
        self.spill = spill;
    }

    fn add(&mut self, object: &Arc<PlannedObject>, row_group: RowGroup, units: &mut Vec<Unit>) {
        if row_group.rows == 0 {
            return; // it has no statistics, and would be an input of every day
        }
        let range = self.config.range();
        let mut days = row_group.days.unwrap_or(range);
        if let Some(month) = object.partition {
            // Rows of other months are not those of this partition (SPEC 1.1), whatever they say.
            days = (days.0.max(month.first()), days.1.min(month.last()));
        }
        let wanted = self.wanted(days.0.max(range.0), days.1.min(range.1));
        let (Some(&first), Some(&last)) = (wanted.first(), wanted.last()) else {
            self.counts.rows_in += row_group.rows;
            let is_of_other_month = row_group.days.is_some() && days.0 > days.1;
            let RowCounts { other_month, out_of_range, .. } = &mut self.counts;
            *if is_of_other_month { other_month } else { out_of_range } += row_group.rows;
            return;
        };
        let input = InputObject {
            key: object.meta.key.clone(),
            version: object.meta.version.clone(),
            size: object.meta.size,
            kind: Some(object.kind),
        };
        let has_days = row_group.days.is_some();
        let named = if has_days { None } else { KeyFacts::of(&object.meta.key).day };
        for day in wanted {
            if has_days || named == Some(day) {
                self.told.insert(day);
            }
            *self.waiting.entry(day).or_default() += 1;
            let inputs = self.inputs.entry(day).or_default();
            if inputs.last() != Some(&input) {
                inputs.push(input.clone());
            }
        }
        units.push(Unit { object: object.clone(), row_group, days: (first, last) });
    }

    fn wanted(&self, first: Day, last: Day) -> Vec<Day> {
        let (earliest, latest) = self.config.range();
        let wanted = first.max(earliest).through(last.min(latest));
        wanted.filter(|day| self.config.wants(*day)).collect()
    }

    /// Holds days back, beside those that the plan's unreadable objects hold back.
    pub fn hold(&mut self, days: impl IntoIterator<Item = Day>) {
        self.held.extend(days);
    }

    /// Leaves days out: their published rows are already those of the same inputs.
    pub fn skip(&mut self, days: &BTreeSet<Day>) {
        self.skipped.extend(days.iter().copied());
        let units = std::mem::take(&mut self.units);
        let (left, kept): (Vec<Unit>, Vec<Unit>) = units
            .partition(|unit| self.wanted(unit.days.0, unit.days.1).iter().all(|day| self.is_closed(*day)));
        for unit in left {
            self.leave(&unit);
        }
        self.queue(kept);
    }

    fn queue(&mut self, units: Vec<Unit>) {
        self.rows_left = units.iter().fold(0, |rows, unit| unit.row_group.rows.saturating_add(rows));
        self.units = units.into_iter();
    }

    /// The next row group to fold.
    pub fn next_unit(&mut self) -> Option<Unit> {
        let unit = self.units.next()?;
        self.rows_left = self.rows_left.saturating_sub(unit.row_group.rows);
        Some(unit)
    }

    /// The next row groups for one of several threads, all of the same days: in one state their groups need no merge.
    /// The less there is left, the fewer they are, so that no thread has to wait long for the last one.
    pub fn next_units(&mut self, threads: NonZeroUsize) -> Vec<Unit> {
        let most = self.rows_left / (PARTS * threads.get() as u64);
        let mut taken: Vec<Unit> = self.next_unit().into_iter().collect();
        let mut rows = taken.iter().map(|unit| unit.row_group.rows).sum::<u64>();
        while let (Some(first), Some(next)) = (taken.first(), self.units().first()) {
            rows = rows.saturating_add(next.row_group.rows);
            if next.days != first.days || rows > most {
                break;
            }
            taken.extend(self.next_unit());
        }
        taken
    }

    /// Takes in what units of the same days folded to; returns the days that are whole now, in order. Refuses a state of
    /// another configuration, or of anything but these units. After an error the units must be given to
    /// [`fail`](Self::fail).
    pub fn complete(&mut self, units: &[Unit], mut state: PartialState) -> Result<Vec<(Day, DayState)>> {
        self.config.check_same(state.config())?;
        let asked: BTreeSet<ChunkId> =
            units.iter().map(|unit| unit.object.chunk(unit.row_group.index)).collect();
        if !state.coverage().iter().eq(&asked) {
            return Err(Error::config("the state is not that of the row groups that it is given for"));
        }
        units.iter().try_for_each(|unit| unit.check(state.days()))?;
        self.coverage.merge(state.coverage().clone())?;
        for (day, theirs) in state.take_days() {
            if self.is_closed(day) {
                continue;
            }
            let merged = match self.open.remove(&day) {
                Some(ours) => ours.merge(theirs)?,
                None => theirs,
            };
            self.open.insert(day, merged);
        }
        // What can fail comes first: units that are counted down are done.
        self.keep_within()?;
        self.counts.merge(state.counts());
        Ok(units.iter().flat_map(|unit| self.omit(unit)).collect())
    }

    fn keep_within(&mut self) -> Result<()> {
        let (Some(spill), mut held) = (&self.spill, self.memory_size()) else { return Ok(()) };
        if held <= spill.bytes {
            return Ok(());
        }
        let mut days: Vec<(usize, Day)> =
            self.open.iter().map(|(day, state)| (state.memory_size(), *day)).collect();
        days.sort_unstable();
        // Down to half, so that not every merge that follows has to do it again.
        while let Some((size, day)) = days.pop_if(|_| held > spill.bytes / 2) {
            self.open.get_mut(&day).expect("it was just listed").spill(spill)?;
            held -= size;
        }
        Ok(())
    }

    /// Holds back every day that the unit can hold.
    ///
    /// # Panics
    /// For a unit that is done: each is given once to [`complete`](Self::complete), to this, or to [`omit`](Self::omit).
    pub fn fail(&mut self, unit: &Unit) {
        for day in self.wanted(unit.days.0, unit.days.1) {
            self.held.insert(day);
            self.open.remove(&day);
        }
        self.leave(unit);
    }

    /// Leaves the unit out of its days, which can be whole without it: the caller has decided so. A day of which
    /// no row was found is whole and empty, so that rows of an earlier run can be replaced by none.
    ///
    /// # Panics
    /// For a unit that is done.
    pub fn omit(&mut self, unit: &Unit) -> Vec<(Day, DayState)> {
        let mut whole = self.leave(unit);
        whole.retain(|day| !self.is_closed(*day));
        whole.into_iter().map(|day| (day, self.open.remove(&day).unwrap_or_default())).collect()
    }

    /// The days for which this was the last unit.
    fn leave(&mut self, unit: &Unit) -> Vec<Day> {
        let mut whole = Vec::new();
        for day in self.wanted(unit.days.0, unit.days.1) {
            let waiting =
                self.waiting.get_mut(&day).expect("every unit's days were counted when it was added");
            *waiting -= 1;
            if *waiting == 0 {
                self.waiting.remove(&day);
                whole.push(day);
            }
        }
        whole
    }

    /// Takes out the days that are open though not whole: for a first look, before everything is folded. They are held
    /// back from here on, since what is missing of them would be published without what was taken.
    pub fn take_open(&mut self) -> BTreeMap<Day, DayState> {
        self.held.extend(self.open.keys());
        std::mem::take(&mut self.open)
    }

    /// Units that nobody has taken yet.
    pub fn units(&self) -> &[Unit] {
        self.units.as_slice()
    }

    /// Which objects can hold rows of each wanted day, sorted by key.
    pub fn inputs(&self) -> BTreeMap<Day, Vec<InputObject>> {
        let mut inputs = self.inputs.clone();
        inputs.values_mut().for_each(|of_day| {
            of_day.sort();
            of_day.dedup();
        });
        inputs
    }

    /// Days for which statistics or an object's name say that there are rows. For the others, finding none is no reason to
    /// remove rows that are published.
    pub fn told(&self) -> &BTreeSet<Day> {
        &self.told
    }

    /// Days that are held back: something of theirs could not be read.
    pub fn held(&self) -> &BTreeSet<Day> {
        &self.held
    }

    /// Days that were left out by [`skip`](Self::skip).
    pub fn skipped(&self) -> &BTreeSet<Day> {
        &self.skipped
    }

    /// Whether a day is not to be published.
    pub fn is_closed(&self, day: Day) -> bool {
        self.held.contains(&day) || self.skipped.contains(&day)
    }

    /// What became of the rows so far.
    pub fn counts(&self) -> &RowCounts {
        &self.counts
    }

    /// Bytes of the footers that are held until their row groups are folded.
    pub fn footer_bytes(&self) -> usize {
        let mut objects: Vec<&Arc<PlannedObject>> = self.units().iter().map(|unit| &unit.object).collect();
        objects.sort_unstable_by_key(|object| Arc::as_ptr(object));
        objects.dedup_by_key(|object| Arc::as_ptr(object));
        objects.iter().map(|object| object.footer.memory_size()).sum()
    }

    /// Bytes that open days hold on the heap.
    pub fn memory_size(&self) -> usize {
        self.open.values().map(DayState::memory_size).sum()
    }
}
