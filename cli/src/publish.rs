//! From a schedule to published days: what is whole is written, what is bad is put aside, and what was done is
//! remembered for the next run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Instant;

use daysum::engine::{self, Event, Rejected};
use daysum_core::drive::Schedule;
use daysum_core::port::{InputObject, ObjectMeta, QuarantineEntry, RunId, WriteScope};
use daysum_core::{Day, Error, FoldConfig, Lookups, Result};
use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};
use tokio::runtime::Runtime;

use crate::job::{Job, Purpose};
use crate::logging::BARS;
use crate::output::Output;
use crate::report::{Quarantined, Report};
use crate::writers::{Done, Writers};

/// How often a run lists again because an object has changed or vanished while it was read.
const REPLANS: u32 = 3;

impl Job {
    /// Plans, folds and publishes, one part of the range after the other; `show` sees the report after every step. An
    /// object that is no longer the listed one ends the pass: what is published stays, and the rest of the part is planned
    /// from a new listing.
    pub(crate) fn carry_out(
        &mut self,
        purpose: Purpose,
        runtime: &Runtime,
        report: &mut Report,
        show: &dyn Fn(&Report),
    ) -> Result<()> {
        for part in runtime.block_on(self.parts())? {
            self.turn_to(part);
            let objects = report.objects;
            loop {
                let started = Instant::now();
                let planned = runtime.block_on(self.plan(report, purpose));
                report.seconds.plan += started.elapsed().as_secs_f64();
                match planned.and_then(|schedule| self.fold(schedule, runtime, report, show)) {
                    Ok(()) => break,
                    Err(error @ Error::Changed { .. }) if report.replans < REPLANS => {
                        tracing::warn!(%error, "listing again");
                        report.start_again(self.fold.range());
                        report.objects = objects;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        if report.objects == 0 { runtime.block_on(self.tell_of_others()) } else { Ok(()) }
    }

    fn fold(
        &mut self,
        mut schedule: Schedule,
        runtime: &Runtime,
        report: &mut Report,
        show: &dyn Fn(&Report),
    ) -> Result<()> {
        let inputs = schedule.inputs();
        let skipped = schedule.skipped().clone();
        let told = schedule.told().clone();
        let folded_as = self.folded_as();
        let bar = progress(schedule.units().iter().map(|unit| unit.row_group.rows).sum());
        let Self { source, output, lookups, policy, fold, options, run, published, filled, since, .. } = self;
        let handle = runtime.handle();
        let mut writers = Writers::new(output.writers(), handle);
        let mut desk = Desk { report: &mut *report, output, lookups, fold, since: *since, run, runtime };
        let folded = engine::run(source.clone(), &mut schedule, fold, policy, options, handle, |event| {
            while let Some(done) = writers.done() {
                desk.settle(done)?;
            }
            match event {
                Event::Folded { rows } => {
                    bar.inc(rows);
                    desk.report.rows_folded += rows;
                }
                Event::Day(day) if day.num_rows() == 0 && !desk.output.may_hold(day.day, published) => {}
                // Nothing that was read was known to hold this day, so that finding no rows of it proves nothing: those that
                // are published came from objects that are gone.
                Event::Day(day) if day.num_rows() == 0 && !told.contains(&day.day) => {
                    if filled.contains(&day.day) {
                        desk.report.orphan(day.day);
                    }
                }
                Event::Day(day) => {
                    if let Some(done) = writers.make_room() {
                        desk.settle(done)?;
                    }
                    let scope = WriteScope {
                        source_uuid: lookups.source_uuid.clone(),
                        report_period_id: lookups.report_period_id,
                        day: day.day,
                        inputs: inputs.get(&day.day).cloned().unwrap_or_default(),
                        fingerprint: folded_as.clone() + &day.fingerprint(),
                        run: run.clone(),
                    };
                    writers.start(scope, day);
                }
                Event::Rejected(rejected) => desk.reject(rejected)?,
            }
            desk.report.bytes_read = source.bytes();
            show(desk.report);
            Ok(())
        });
        let mut outcome = folded;
        while let Some(done) = writers.wait() {
            let settled = desk.settle(done);
            outcome = outcome.and_then(|outcome| settled.map(|()| outcome));
            show(desk.report);
        }
        bar.finish_and_clear();
        if outcome.is_err() {
            report.add_counts(schedule.counts())?; // they were read, although nothing of open days is used
        }
        let outcome = outcome?;
        report.seconds.fold += outcome.fold.as_secs_f64();
        report.seconds.finalise += outcome.finalise.as_secs_f64();
        report.add_counts(&outcome.counts)?;
        runtime.block_on(self.forget_recovered(report, &inputs, &skipped))?;
        runtime.block_on(self.remember(report, &inputs));
        Ok(())
    }

    /// Takes out of the quarantine what is no longer open. `skipped` are days that this pass did not read.
    async fn forget_recovered(
        &mut self,
        report: &Report,
        inputs: &BTreeMap<Day, Vec<InputObject>>,
        skipped: &BTreeSet<Day>,
    ) -> Result<()> {
        let source = self.lookups.source_uuid.clone();
        let Self { output, listed, published, fold, since, .. } = self;
        let is_settled = |day: &Day| {
            fold.wants(*day) && since.is_none_or(|since| *day >= since) && !report.days_held.contains(day)
        };
        let bad: BTreeSet<&str> = report.quarantined.iter().filter_map(|bad| bad.object.as_deref()).collect();
        let mut unread: BTreeMap<&str, Vec<(&Day, Option<&str>)>> = BTreeMap::new();
        for (day, inputs) in inputs.iter().filter(|(day, _)| skipped.contains(day)) {
            for input in inputs {
                unread.entry(&input.key).or_default().push((day, input.version.as_deref()));
            }
        }
        let is_done = |entry: &QuarantineEntry| {
            let Some(readable) = listed.get(entry.object.as_str()) else {
                // A whole day, or an object that is gone: what counts is that its days stand.
                return !entry.days.is_empty() && entry.days.iter().all(is_settled);
            };
            // A day that stands was computed with the object, unless by the run that has left it out.
            let stands = |(day, version): &(&Day, Option<&str>)| {
                (report.days_unchanged.contains(day) || report.days.contains(day))
                    && (*version != entry.version.as_deref()
                        || published.get(day).is_some_and(|run| run.0 != entry.run))
            };
            let key = entry.object.as_str();
            *readable && !bad.contains(key) && unread.get(key).is_none_or(|days| days.iter().all(stands))
        };
        output.recovered(&source, is_done).await
    }

    /// Tells the next run what this one saw, where nothing was held back, left out or not asked for.
    async fn remember(&mut self, report: &Report, inputs: &BTreeMap<Day, Vec<InputObject>>) {
        let Some(mut seen) = self.seen.take() else { return };
        let (first, last) = self.fold.range();
        if report.is_incomplete(first, last) || !self.is_asked(first) {
            return;
        }
        for (day, inputs) in inputs {
            if report.days.contains(day) || report.days_unchanged.contains(day) {
                seen.add_day(*day, inputs);
            } else if !report.days_orphaned.contains(day) {
                seen.add_empty_day(*day);
            }
        }
        if let Err(error) =
            self.output.ledger.remember(&self.lookups.source_uuid, first, last, &seen.encode()).await
        {
            tracing::warn!(%error, "the next run will read all footers again");
        }
    }
}

/// Where the run's own thread writes down what became of days and objects.
struct Desk<'a> {
    report: &'a mut Report,
    output: &'a mut Output,
    lookups: &'a Lookups,
    fold: &'a FoldConfig,
    since: Option<Day>,
    run: &'a RunId,
    runtime: &'a Runtime,
}

impl Desk<'_> {
    /// A day that was refused is held back; one that trying again could publish ends the run.
    fn settle(&mut self, done: Done) -> Result<()> {
        let Done { day, outcome, spent } = done;
        self.report.seconds.write += spent.as_secs_f64();
        match outcome {
            Ok(receipt) => {
                let (rows, rewritten) = (receipt.rows, !receipt.unchanged);
                match self.output.differences() {
                    Some(_) => tracing::info!(day = %day.day, rows, differs = rewritten, "compared"),
                    None => tracing::info!(day = %day.day, rows, rewritten, "published"),
                }
                self.report.add_day(day, &receipt);
                Ok(())
            }
            Err(error) if error.is_retryable() => Err(error),
            Err(error) => {
                let days = (day.day, day.day);
                self.reject(Rejected { unit: None, rows: 0, days, held: true, error })
            }
        }
    }

    fn reject(&mut self, rejected: Rejected) -> Result<()> {
        let Rejected { unit, rows, days, held, error } = rejected;
        let Self { report, lookups, fold, since, run, .. } = self;
        let object = unit.as_ref().map(|unit| &unit.object.meta);
        report.rows_in += rows;
        report.rows_quarantined += rows;
        if held {
            let Report { days_held, days_unchanged, .. } = &mut **report;
            let is_asked = |day: &Day| fold.wants(*day) && since.is_none_or(|since| *day >= since);
            let touched = days.0.through(days.1).filter(is_asked);
            days_held.extend(touched.filter(|day| !days_unchanged.contains(day)));
        }
        let row_group = unit.as_ref().map(|unit| unit.row_group.index);
        tracing::warn!(day = %days.0, last_day = %days.1, held, %error, "left out");
        report.quarantined.push(quarantined(&error, object, row_group, Some(days)));
        let Some(object) = object else {
            for day in days.0.through(days.1) {
                let entry = entry(&error, None, [day], lookups, run);
                self.runtime.block_on(self.output.quarantine(&entry))?;
            }
            return Ok(());
        };
        // An object has one entry, whichever of its row groups are bad.
        let same = report.quarantined.iter().filter(|bad| bad.object.as_deref() == Some(&*object.key));
        let spans = same.filter_map(|bad| bad.first_day.zip(bad.last_day));
        let days: BTreeSet<Day> = spans.flat_map(|(first, last)| first.through(last)).collect();
        let entry = entry(&error, Some(object), days, lookups, run);
        self.runtime.block_on(self.output.quarantine(&entry))
    }
}

pub(crate) fn quarantined(
    error: &Error,
    object: Option<&ObjectMeta>,
    row_group: Option<u32>,
    days: Option<(Day, Day)>,
) -> Quarantined {
    Quarantined {
        object: object.map(|object| object.key.to_string()),
        row_group,
        code: error.code(),
        reason: error.to_string(),
        first_day: days.map(|days| days.0),
        last_day: days.map(|days| days.1),
    }
}

/// What was left out, and the days that it touches; without an object it was one whole day.
pub(crate) fn entry(
    error: &Error,
    object: Option<&ObjectMeta>,
    days: impl IntoIterator<Item = Day>,
    lookups: &Lookups,
    run: &RunId,
) -> QuarantineEntry {
    let days: Vec<Day> = days.into_iter().collect();
    QuarantineEntry {
        source_uuid: lookups.source_uuid.clone(),
        object: match object {
            Some(object) => object.key.to_string(),
            None => days.first().map(|day| format!("day {day}")).unwrap_or_default(),
        },
        version: object.and_then(|object| object.version.as_deref().map(str::to_owned)),
        code: error.code().to_owned(),
        reason: error.to_string(),
        days,
        run: run.0.clone(),
    }
}

fn progress(rows: u64) -> ProgressBar {
    let rate = |state: &ProgressState, to: &mut dyn fmt::Write| {
        let _ = write!(to, "{}", HumanCount(state.per_sec() as u64)); // a terminal's line takes what it gets
    };
    let template = "{bar:40} {human_pos}/{human_len} rows  {rate}/s  {eta} left";
    let style = ProgressStyle::with_template(template).expect("the template is sound").with_key("rate", rate);
    BARS.add(ProgressBar::new(rows).with_style(style)) // draws on a terminal only
}
