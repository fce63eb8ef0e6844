//! The one seam between the proofs and whatever computes summaries.
//!
//! Everything in this crate that states what the numbers must be states it about an [`Engine`]. A way of
//! running the real engine (streaming, in memory, merged from parts, through the wire) joins all of the
//! proofs by one line in [`engines`].

use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use bytes::Bytes;
use daysum::engine::{self, Event};
use daysum::memory::Shares;
use daysum::spill::SpillFiles;
use daysum_core::decode::LARGEST_PAGE;
use daysum_core::drive::{Plan, Schedule};
use daysum_core::port::memory::{MemorySource, MemorySpill};
use daysum_core::port::{ListRequest, Spill, SpillStore};
use daysum_core::{FoldConfig, Folder, Lookups, PartialState, Policy, Result, drive, rows};
use futures::executor::block_on;

use crate::oracle::Oracle;

/// A Parquet object as it lies in a store.
#[derive(Debug, Clone)]
pub struct InputFile {
    /// Key relative to the input's root, in one of the layouts of SPEC 1.2.
    pub key: String,
    /// The whole object.
    pub bytes: Bytes,
}

/// Something that turns files into finished rows.
pub trait Engine: Debug + Send + Sync {
    /// All finished rows, as `daysum_core::rows::schema`, in any order.
    fn summarise(&self, files: &[InputFile], lookups: &Lookups) -> Result<RecordBatch>;
}

/// Every way of computing a summary that there is, with its name. The oracle comes first.
pub fn engines() -> Vec<(&'static str, Box<dyn Engine>)> {
    let files = SpillFiles::new(std::env::temp_dir());
    vec![
        ("oracle", Box::new(Oracle::default())),
        ("one task", Box::new(OneTask)),
        ("one thread", Box::new(Threads::new(1))),
        ("three threads", Box::new(Threads::new(3))),
        ("in windows", Box::new(Threads { in_flight: 0, ..Threads::new(2) })),
        (
            "spilled at every batch",
            Box::new(Threads { spill: Some(Arc::new(MemorySpill)), ..Threads::new(2) }),
        ),
        ("spilled to files", Box::new(Threads { spill: Some(Arc::new(files)), ..Threads::new(1) })),
        ("in memory", Box::new(Threads { in_memory: true, ..Threads::new(2) })),
        ("merged through the wire", Box::new(Wire)),
    ]
}

/// A source of these files.
pub fn memory(files: &[InputFile]) -> MemorySource {
    let source = MemorySource::default();
    for file in files {
        source.insert(&file.key, file.bytes.clone());
    }
    source
}

fn concat(days: impl IntoIterator<Item = RecordBatch>) -> RecordBatch {
    let days: Vec<RecordBatch> = days.into_iter().collect();
    concat_batches(&rows::schema(), &days).expect("all days have the schema of finished rows")
}

fn planned(source: &MemorySource, lookups: &Lookups) -> Result<Plan> {
    block_on(drive::plan_below(source, &ListRequest::default(), lookups))
}

/// The engine as core drives it, in order, on one task of any executor.
#[derive(Debug)]
pub struct OneTask;

impl Engine for OneTask {
    fn summarise(&self, files: &[InputFile], lookups: &Lookups) -> Result<RecordBatch> {
        let summary = block_on(drive::summarise(&memory(files), &ListRequest::default(), lookups))?;
        Ok(concat(summary.days.iter().map(|day| day.rows().expect("a day in memory"))))
    }
}

/// The engine as the command drives it: on threads.
#[derive(Debug)]
pub struct Threads {
    threads: NonZeroUsize,
    in_flight: u64,
    in_memory: bool,
    spill: Option<Arc<dyn SpillStore>>,
}

impl Threads {
    fn new(threads: usize) -> Self {
        let threads = NonZeroUsize::new(threads).expect("at least one");
        Self { threads, in_flight: 1 << 20, in_memory: false, spill: None }
    }
}

impl Engine for Threads {
    fn summarise(&self, files: &[InputFile], lookups: &Lookups) -> Result<RecordBatch> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let source = memory(files);
        let config = Arc::new(FoldConfig::new(lookups, Default::default())?);
        let policy = Policy::new(lookups, Default::default())?;
        let mut schedule = Schedule::new(planned(&source, lookups)?, config.clone());
        let options = engine::Options {
            threads: self.threads,
            // Nothing may be held where anything can be spilled.
            shares: Shares {
                in_flight: self.in_flight,
                folding: 0,
                open: 0,
                finishing: 0,
                page: LARGEST_PAGE,
            },
            spill: self.spill.clone(),
            in_memory: self.in_memory,
            skip_unreadable: false,
        };
        let mut days = Vec::new();
        let handle = runtime.handle();
        engine::run(Arc::new(source), &mut schedule, &config, &policy, &options, handle, |event| {
            match event {
                Event::Folded { .. } => {}
                Event::Day(day) => days.push(day.rows()?),
                Event::Rejected(rejected) => return Err(rejected.error),
            }
            Ok(())
        })?;
        Ok(concat(days))
    }
}

/// Every row group a state of its own, every other one spilled, each sent through bytes, merged from the last to the first in pairs.
#[derive(Debug)]
pub struct Wire;

impl Engine for Wire {
    fn summarise(&self, files: &[InputFile], lookups: &Lookups) -> Result<RecordBatch> {
        let source = memory(files);
        let config = Arc::new(FoldConfig::new(lookups, Default::default())?);
        let policy = Policy::new(lookups, Default::default())?;
        let spill = Spill { bytes: 0, store: Arc::new(MemorySpill) };
        let mut states = vec![PartialState::empty(config.clone()).encode()?];
        for object in &planned(&source, lookups)?.objects {
            for row_group in object.footer.row_groups(object.kind) {
                let spill = (states.len() % 2 == 0).then_some(&spill);
                let folder = Folder::new(config.clone()).spilling(spill.cloned());
                let folded =
                    block_on(drive::fold_row_group(&source, object, row_group.index, folder))?.take()?;
                states.push(folded.encode()?);
            }
        }
        while states.len() > 1 {
            let pairs = states.rchunks(2).map(|pair| {
                let mut merged = PartialState::decode(pair[pair.len() - 1].clone())?;
                if let [other, _] = pair {
                    let mut turned = PartialState::decode(other.clone())?;
                    turned.merge(PartialState::decode(merged.encode()?)?)?;
                    merged.merge(PartialState::decode(other.clone())?)?;
                    assert_eq!(merged.encode()?, turned.encode()?, "equal content gives equal bytes");
                }
                merged.encode()
            });
            states = pairs.collect::<Result<_>>()?;
        }
        let mut state = PartialState::decode(states.remove(0))?;
        let days = state.take_days().into_iter();
        let rows: Result<Vec<RecordBatch>> =
            days.map(|(day, state)| state.finalise(day, &config, &policy)?.rows()).collect();
        Ok(concat(rows?))
    }
}
