//! The schedule of a run on threads: row groups are folded in parallel, days are handed over as they become whole.
//!
//! ```text
//!  Schedule ── next_units ─> worker: read, decode, fold ──> complete ──> whole days ──> finalise ─┐
//!     (one lock, held for a merge)         × threads                                              v
//!                                                                     caller <── Event (bounded channel)
//! ```
//!
//! A row group that cannot be read holds back its days and ends nothing else. What trying again could help (a
//! server that is away) ends the run: the days already published stay, and the next run goes on.

use std::num::NonZeroUsize;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use daysum_core::drive::{ReadLimits, Schedule, Unit, fold_within};
use daysum_core::port::{Source, Spill, SpillStore};
use daysum_core::{
    Day, DayState, DaySummary, Error, FoldConfig, Folder, PartialState, Policy, Result, RowCounts,
};
use tokio::runtime::Handle;

use crate::memory::Shares;

/// How a run is carried out; none of it can be seen in the rows.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads that fold.
    pub threads: NonZeroUsize,
    /// Who may hold how much. A row group that is larger than a thread's part of what may be in flight is read in
    /// windows.
    pub shares: Shares,
    /// Where groups go that do not fit into their share; without it, all are held.
    pub spill: Option<Arc<dyn SpillStore>>,
    /// Whether days are only finished when everything is folded.
    pub in_memory: bool,
    /// Whether a row group that cannot be read is left out of its days, instead of holding them back.
    pub skip_unreadable: bool,
}

/// What the engine tells its caller, in the caller's thread.
#[derive(Debug)]
pub enum Event {
    /// A row group is done.
    Folded {
        /// Rows it had.
        rows: u64,
    },
    /// A day is whole and finished.
    Day(Box<FinishedDay>),
    /// Something could not be counted.
    Rejected(Rejected),
}

/// A finished day, and its part of what finished days may hold, until it is dropped.
#[derive(Debug)]
pub struct FinishedDay {
    summary: DaySummary,
    _room: Option<Permit>,
}

impl Deref for FinishedDay {
    type Target = DaySummary;

    fn deref(&self) -> &DaySummary {
        &self.summary
    }
}

/// A row group, or a whole day, that is left out.
#[derive(Debug)]
pub struct Rejected {
    /// The row group; `None` where a day as a whole could not be merged or finished.
    pub unit: Option<Unit>,
    /// Line items that are not counted for it.
    pub rows: u64,
    /// First and last day that it touches.
    pub days: (Day, Day),
    /// Whether those days are held back.
    pub held: bool,
    /// Why.
    pub error: Error,
}

/// What a run did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// What became of the rows that were folded.
    pub counts: RowCounts,
    /// Time that threads spent reading, decoding and folding, together.
    pub fold: Duration,
    /// Time that threads spent finishing days, together.
    pub finalise: Duration,
}

/// Folds every unit of the schedule. `handle` runs the source's futures; `on_event` publishes. An error of
/// `on_event` ends the run.
pub fn run(
    source: Arc<dyn Source>,
    schedule: &mut Schedule,
    config: &Arc<FoldConfig>,
    policy: &Policy,
    options: &Options,
    handle: &Handle,
    mut on_event: impl FnMut(Event) -> Result<()>,
) -> Result<Outcome> {
    let shares = &options.shares;
    let within = |bytes| options.spill.as_ref().map(|store| Spill { bytes, store: store.clone() });
    schedule.spill_beyond(within(shares.open));
    let shared = Shared {
        source,
        schedule: Mutex::new(schedule),
        config,
        policy,
        options,
        folding: within(shares.folding / options.threads.get()),
        finishing: within(shares.finishing),
        handle,
        waiting: Mutex::new(Vec::new()),
        in_flight: Budget::new(shares.in_flight),
        finished: Budget::new(shares.finishing as u64),
        stop: AtomicBool::new(false),
        fold_nanos: AtomicU64::new(0),
        finalise_nanos: AtomicU64::new(0),
    };
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(1);
        for _ in 0..options.threads.get() {
            let (sender, shared) = (sender.clone(), &shared);
            scope.spawn(move || {
                let _stop = StopOnPanic(&shared.stop);
                if let Err(error) = shared.work(&sender) {
                    shared.stop.store(true, Ordering::Relaxed);
                    // The receiver is gone only when the run has failed already.
                    let _ = sender.send(Err(error));
                }
            });
        }
        drop(sender);
        let mut outcome = Ok(());
        for event in receiver {
            if outcome.is_ok() {
                outcome = event.and_then(&mut on_event);
                shared.stop.fetch_or(outcome.is_err(), Ordering::Relaxed);
            }
        }
        outcome
    })?;
    // In-memory mode: everything is folded, so every day is whole.
    for (day, state) in std::mem::take(&mut *lock(&shared.waiting)) {
        on_event(shared.finish(day, state, None)?)?;
    }
    let counts = *lock(&shared.schedule).counts();
    let spent = |nanos: &AtomicU64| Duration::from_nanos(nanos.load(Ordering::Relaxed));
    Ok(Outcome { counts, fold: spent(&shared.fold_nanos), finalise: spent(&shared.finalise_nanos) })
}

struct Shared<'a> {
    source: Arc<dyn Source>,
    schedule: Mutex<&'a mut Schedule>,
    config: &'a Arc<FoldConfig>,
    policy: &'a Policy,
    options: &'a Options,
    /// What one thread may hold of the row group it folds.
    folding: Option<Spill>,
    /// What one day may hold that is finished.
    finishing: Option<Spill>,
    handle: &'a Handle,
    /// Whole days that in-memory mode finishes at the end.
    waiting: Mutex<Vec<(Day, DayState)>>,
    in_flight: Arc<Budget>,
    /// Days from their finish until they are written.
    finished: Arc<Budget>,
    stop: AtomicBool,
    fold_nanos: AtomicU64,
    finalise_nanos: AtomicU64,
}

impl Shared<'_> {
    fn work(&self, events: &SyncSender<Result<Event>>) -> Result<()> {
        let tell = |event| {
            if events.send(Ok(event)).is_err() {
                self.stop.store(true, Ordering::Relaxed);
            }
        };
        let mut folder = self.folder();
        while !self.stop.load(Ordering::Relaxed) {
            let units = lock(&self.schedule).next_units(self.options.threads);
            if units.is_empty() {
                break;
            }
            if self.fold(&mut folder, &units, &tell)? {
                continue;
            }
            // Which of them is bad, only each by itself can tell.
            for unit in units {
                self.fold(&mut folder, &[unit], &tell)?;
            }
        }
        Ok(())
    }

    fn folder(&self) -> Folder {
        Folder::new(self.config.clone()).spilling(self.folding.clone())
    }

    /// Folds units of the same days. False where one of several is bad; then nothing has come of them.
    fn fold(&self, folder: &mut Folder, units: &[Unit], tell: &dyn Fn(Event)) -> Result<bool> {
        let rows = units.iter().map(|unit| unit.row_group.rows).sum();
        let (started, warm) = (Instant::now(), std::mem::replace(folder, self.folder()));
        let read = self.read(warm, units);
        add(&self.fold_nanos, started);
        let state = match read {
            Ok((warm, state)) => {
                *folder = warm;
                state
            }
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => {
                let [unit] = units else { return Ok(false) };
                let held = !(self.options.skip_unreadable && is_bad_file(&error));
                // Told before its days can be handed over by anybody: what is missing in them is then put aside
                // before they are published.
                tell(Event::Rejected(Rejected {
                    days: unit.days,
                    rows,
                    unit: Some(unit.clone()),
                    held,
                    error,
                }));
                let left = self.leave_out(unit, held);
                self.hand_over(left, tell)?;
                return Ok(true);
            }
        };
        let whole = lock(&self.schedule).complete(units, state);
        match whole {
            Ok(whole) => {
                tell(Event::Folded { rows });
                self.hand_over(whole, tell)?;
            }
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => {
                tell(Event::Rejected(Rejected { days: units[0].days, rows, unit: None, held: true, error }));
                units.iter().for_each(|unit| drop(self.leave_out(unit, true)));
            }
        }
        Ok(true)
    }

    /// Each row group after the other.
    fn read(&self, mut folder: Folder, units: &[Unit]) -> Result<(Folder, PartialState)> {
        let of_thread = self.options.shares.in_flight / self.options.threads.get() as u64;
        let limits =
            ReadLimits { stored: of_thread.min(self.source.read_ahead()), page: self.options.shares.page };
        for unit in units {
            let Unit { object, row_group, .. } = unit;
            let _permit = self.in_flight.take(row_group.bytes.min(limits.stored));
            let folded = fold_within(&*self.source, &limits, object, row_group, folder);
            folder = self.handle.block_on(folded)?;
            unit.check(folder.days())?;
        }
        let state = folder.take()?;
        Ok((folder, state))
    }

    fn hand_over(&self, whole: Vec<(Day, DayState)>, tell: &dyn Fn(Event)) -> Result<()> {
        if self.options.in_memory {
            lock(&self.waiting).extend(whole);
            return Ok(());
        }
        for (day, mut state) in whole {
            let room = match &self.finishing {
                Some(spill) => Some(self.finished.take(state.fit(spill)? as u64)),
                None => None,
            };
            tell(self.finish(day, state, room)?);
        }
        Ok(())
    }

    fn leave_out(&self, unit: &Unit, held: bool) -> Vec<(Day, DayState)> {
        let mut schedule = lock(&self.schedule);
        if !held {
            return schedule.omit(unit);
        }
        schedule.fail(unit);
        Vec::new()
    }

    fn finish(&self, day: Day, state: DayState, room: Option<Permit>) -> Result<Event> {
        let started = Instant::now();
        let finished = state.finalise(day, self.config, self.policy);
        add(&self.finalise_nanos, started);
        match finished {
            Ok(summary) => Ok(Event::Day(Box::new(FinishedDay { summary, _room: room }))),
            Err(error) if error.is_retryable() => Err(error),
            Err(error) => {
                Ok(Event::Rejected(Rejected { unit: None, rows: 0, days: (day, day), held: true, error }))
            }
        }
    }
}

/// Whether it says that a file is no sound Parquet of ours: only such a file can be left out of its days. A bad row, or a
/// sum that overflowed, is none, and what could not be had may be sound.
pub fn is_bad_file(error: &Error) -> bool {
    matches!(error.code(), "format" | "schema")
}

fn add(nanos: &AtomicU64, since: Instant) {
    nanos.fetch_add(u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// Lets the other workers end, too, when one panics.
struct StopOnPanic<'a>(&'a AtomicBool);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        self.0.fetch_or(thread::panicking(), Ordering::Relaxed);
    }
}

/// A worker that panics ends the run; what it left behind a lock is not used.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes that may be held at once: of row groups in flight, or of finished days.
#[derive(Debug)]
struct Budget {
    total: u64,
    taken: Mutex<u64>,
    returned: Condvar,
}

impl Budget {
    fn new(total: u64) -> Arc<Self> {
        Arc::new(Self { total, taken: Mutex::new(0), returned: Condvar::new() })
    }

    /// Waits until the bytes fit, or until nothing else is in flight.
    fn take(self: &Arc<Self>, bytes: u64) -> Permit {
        let mut taken = lock(&self.taken);
        while *taken > 0 && *taken + bytes > self.total {
            taken = self.returned.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken += bytes;
        Permit { budget: self.clone(), bytes }
    }
}

#[derive(Debug)]
struct Permit {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Drop for Permit {
    fn drop(&mut self) {
        *lock(&self.budget.taken) -= self.bytes;
        self.budget.returned.notify_all();
    }
}
