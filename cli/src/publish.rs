//! From a schedule to published days: what is whole is written, what is bad is put aside, and what was done is
//! remembered for the next run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use daysum::engine::{self, Event, Rejected};
use daysum_core::drive::Schedule;
use daysum_core::port::{InputObject, ObjectMeta, QuarantineEntry, RunId, WriteScope};
use daysum_core::{Day, Error, FoldConfig, Lookups, Result};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::runtime::Runtime;

use crate::job::{Job, Purpose};
use crate::logging::BARS;
use crate::output::Output;
use crate::report::{Quarantined, Report};
use crate::writers::{Done, Writers};

/// How often a run lists again because an object has changed or vanished while it was read.
const REPLANS: u32 = 3;

impl Job {
    /// Plans, folds and publishes, one part of the range after the other; `show` sees the report after every step.
    pub(crate) fn carry_out(
        &mut self,
        purpose: Purpose,
        runtime: &Runtime,
        report: &mut Report,
        show: &dyn Fn(&Report),
    ) -> Result<()> {
        for part in runtime.block_on(self.parts())? {
            self.turn_to(part);
            self.carry_out_part(purpose, runtime, report, show)?;
        }
        Ok(())
    }

    /// An object that is no longer the listed one ends the pass: what is published stays, and the rest is planned from a
    /// new listing.
    fn carry_out_part(
        &mut self,
        purpose: Purpose,
        runtime: &Runtime,
        report: &mut Report,
        show: &dyn Fn(&Report),
    ) -> Result<()> {
        let objects = report.objects;
        loop {
            let started = Instant::now();
            let planned = runtime.block_on(self.plan(report, purpose));
            report.seconds.plan += started.elapsed().as_secs_f64();
            match planned.and_then(|schedule| self.fold(schedule, runtime, report, show)) {
                Err(error @ Error::Changed { .. }) if report.replans < REPLANS => {
                    tracing::warn!(%error, "listing again");
                    report.start_again(self.fold.range());
                    report.objects = objects;
                }
                ended => return ended,
            }
        }
    }

    fn fold(
        &mut self,
        mut schedule: Schedule,
        runtime: &Runtime,
        report: &mut Report,
        show: &dyn Fn(&Report),
    ) -> Result<()> {
        let inputs = schedule.inputs();
        let fingerprint = self.fingerprint();
        let bar = progress(schedule.units().iter().map(|unit| unit.row_group.rows).sum());
        let Self { source, output, lookups, policy, fold, options, run, published, .. } = self;
        let handle = runtime.handle();
        let mut writers = Writers::new(output.writers(), handle);
        let mut desk = Desk { report: &mut *report, output, lookups, fold, run, runtime };
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
                Event::Day(day) => {
                    if let Some(done) = writers.make_room() {
                        desk.settle(done)?;
                    }
                    let scope = WriteScope {
                        source_uuid: lookups.source_uuid.to_lowercase(),
                        report_period_id: lookups.report_period_id,
                        day: day.day,
                        inputs: inputs.get(&day.day).cloned().unwrap_or_default(),
                        fingerprint: fingerprint.clone(),
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
        if let Err(Error::Changed { .. }) = &outcome {
            report.add_counts(schedule.counts())?; // they were read, although nothing of open days is used
        }
        let outcome = outcome?;
        report.seconds.fold += outcome.fold.as_secs_f64();
        report.seconds.finalise += outcome.finalise.as_secs_f64();
        report.add_counts(&outcome.counts)?;
        runtime.block_on(self.forget_recovered(report, &inputs))?;
        runtime.block_on(self.remember(report, &inputs));
        Ok(())
    }

    /// Takes out of the quarantine what this run has read in full: neither bad again, nor of a day that was skipped.
    async fn forget_recovered(
        &mut self,
        report: &Report,
        inputs: &BTreeMap<Day, Vec<InputObject>>,
    ) -> Result<()> {
        let bad = report.quarantined.iter().filter_map(|bad| bad.object.as_deref());
        let skipped = inputs
            .iter()
            .filter(|(day, _)| report.days_unchanged.contains(day) || !self.is_asked(**day))
            .flat_map(|(_, inputs)| inputs.iter().map(|input| &*input.key));
        let unread: BTreeSet<&str> = bad.chain(skipped).collect();
        let mut read: BTreeSet<&str> =
            self.readable.iter().map(|key| &**key).filter(|key| !unread.contains(key)).collect();
        if report.days_held.is_empty() && self.since.is_none() {
            read.insert(""); // a day that could not be finished has no object
        }
        self.output.recovered(&self.lookups.source_uuid.to_lowercase(), &read).await
    }

    /// Tells the next run what this one saw, where nothing was held back, left out or not asked for.
    async fn remember(&mut self, report: &Report, inputs: &BTreeMap<Day, Vec<InputObject>>) {
        let Some(mut seen) = self.seen.take() else { return };
        let (first, last) = self.fold.range();
        if report.is_incomplete(first, last) || self.since.is_some() {
            return;
        }
        for (day, inputs) in inputs {
            if report.days.contains(day) || report.days_unchanged.contains(day) {
                seen.add_day(*day, inputs);
            }
        }
        if let Err(error) = self.output.remember(&self.source_uuid(), first, last, &seen).await {
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
                tracing::info!(day = %day.day, rows, rewritten, "published");
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
        let Self { report, lookups, fold, run, .. } = self;
        let object = unit.as_ref().map(|unit| &unit.object.meta);
        report.rows_in += rows;
        report.rows_quarantined += rows;
        if held {
            report.days_held.extend(days.0.through(days.1).filter(|day| fold.wants(*day)));
        }
        let row_group = unit.as_ref().map(|unit| unit.row_group.index);
        tracing::warn!(day = %days.0, last_day = %days.1, held, %error, "left out");
        report.quarantined.push(quarantined(&error, object, row_group, Some(days)));
        let entry = entry(&error, object, Some(days), lookups, run);
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

pub(crate) fn entry(
    error: &Error,
    object: Option<&ObjectMeta>,
    days: Option<(Day, Day)>,
    lookups: &Lookups,
    run: &RunId,
) -> QuarantineEntry {
    let days = days.map(|(first, last)| first.through(last).collect());
    QuarantineEntry {
        source_uuid: lookups.source_uuid.to_lowercase(),
        object: object.map(|object| object.key.to_string()).unwrap_or_default(),
        version: object.and_then(|object| object.version.as_deref().map(str::to_owned)),
        code: error.code().to_owned(),
        reason: error.to_string(),
        days: days.unwrap_or_default(),
        run: run.0.clone(),
    }
}

fn progress(rows: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} rows  {per_sec}  {eta} left")
        .expect("the template is sound");
    BARS.add(ProgressBar::new(rows).with_style(style)) // draws on a terminal only
}
