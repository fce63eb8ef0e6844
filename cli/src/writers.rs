//! Finished days on their way into the output, several at once.
//!
//! ```text
//! day ──> an idle writer ──> a thread of its own: Writer::publish ──> Done ──> the caller, writer idle again
//!         none idle: the caller waits, and so does whoever folds
//! ```
//!
//! The surprise worth knowing: nothing is taken back. Whatever ends a run, days that are being written are seen through,
//! because their transactions may be about to commit.

use std::time::{Duration, Instant};

use daysum::engine::FinishedDay;
use daysum_core::port::{Receipt, WriteScope};
use daysum_core::{Day, DaySummary, Result};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::output::Writer;

/// Writers, idle or busy with one day each.
pub(crate) struct Writers<'a> {
    idle: Vec<Writer>,
    busy: JoinSet<(Writer, Done)>,
    handle: &'a Handle,
}

/// What is told of a day that is written and gone from memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) day: Day,
    pub(crate) fanned_out: u64,
    pub(crate) nodes_without_role: u64,
}

/// What became of a day.
pub(crate) struct Done {
    pub(crate) day: Told,
    pub(crate) outcome: Result<Receipt>,
    pub(crate) spent: Duration,
}

impl<'a> Writers<'a> {
    pub(crate) fn new(idle: Vec<Writer>, handle: &'a Handle) -> Self {
        Self { idle, busy: JoinSet::new(), handle }
    }

    /// Starts to write a day; there must be an idle writer.
    pub(crate) fn start(&mut self, scope: WriteScope, day: Box<FinishedDay>) {
        let mut writer = self.idle.pop().expect("the caller has made room");
        let (handle, span) = (self.handle.clone(), tracing::Span::current());
        // A thread, not a task: between two answers of the server rows are computed and encoded.
        let work = move || {
            let _span = span.entered();
            let started = Instant::now();
            let outcome = handle.block_on(writer.publish(&scope, &day));
            let DaySummary { day, fanned_out, nodes_without_role, .. } = **day;
            (
                writer,
                Done { day: Told { day, fanned_out, nodes_without_role }, outcome, spent: started.elapsed() },
            )
        };
        self.busy.spawn_blocking_on(work, self.handle);
    }

    /// A day that is done by now; where no writer is idle, waits for one.
    pub(crate) fn make_room(&mut self) -> Option<Done> {
        if self.idle.is_empty() { self.wait() } else { self.done() }
    }

    /// A day that is done by now.
    pub(crate) fn done(&mut self) -> Option<Done> {
        let joined = self.busy.try_join_next();
        joined.map(|joined| self.take_back(joined))
    }

    /// The day that is done next; none where nothing is being written.
    pub(crate) fn wait(&mut self) -> Option<Done> {
        let joined = self.handle.block_on(self.busy.join_next());
        joined.map(|joined| self.take_back(joined))
    }

    fn take_back(&mut self, joined: std::result::Result<(Writer, Done), tokio::task::JoinError>) -> Done {
        match joined {
            Ok((writer, done)) => {
                self.idle.push(writer);
                done
            }
            Err(panic) => std::panic::resume_unwind(panic.into_panic()), // nothing aborts a writer
        }
    }
}
