//! A day's state into its finished rows (SPEC 2.3 to 2.11).
//!
//! ```text
//! DayState -> capacity (max per interval, then sum) -\
//!          -> labels of nodes and namespaces --------+-> pod rows -> unallocated rows
//!          -> mounts -> which node holds a volume ---+-> storage rows
//! ```
//!
//! Labels meet usage here, once per group and not once per row; equal merged labels fold together.
//! The fan-out of several label sets per node or namespace, and of several matching cost categories,
//! is reproduced exactly and counted. Rows leave sorted by key, so equal content gives equal rows.

mod capacity;
mod joins;
mod pods;
mod policy;
mod roles;
mod storage;
mod unallocated;
mod write;

use arrow::array::{Array, RecordBatch};

pub use policy::{OnNodelessVolume, Policy, PolicyOptions};

use crate::day::Day;
use crate::error::Result;
use crate::intern::Interner;
use crate::rows;
use crate::state::{DayState, FoldConfig};

/// A finished day: all that its rows are made of. The rows themselves are made when they are asked for, a batch at a
/// time, as often as they are.
#[derive(Debug)]
pub struct DaySummary {
    /// The day.
    pub day: Day,
    /// Line items that the joins repeated, beyond the first copy of each (SPEC 2.3, 2.5).
    pub fanned_out: u64,
    /// Unallocated rows whose node has no known role, so that their namespace is NULL (SPEC 2.9).
    pub nodes_without_role: u64,
    names: Interner,
    capacity: capacity::Capacity,
    pods: pods::Pods,
    pod_rows: usize,
    unallocated: Vec<unallocated::UnallocatedRow>,
    nodes: roles::Nodes,
    volumes: storage::Volumes,
    policy: Policy,
}

impl DayState {
    /// Finishes the day. `config` is the one that it was folded with: label sets hold the keys of that one.
    pub fn finalise(self, day: Day, config: &FoldConfig, policy: &Policy) -> Result<DaySummary> {
        let mut state = self.settled()?;
        let capacity = capacity::Capacity::of(&state)?;
        let mut joins = joins::Joins::of(&state, config, policy);
        let pods = pods::group(&mut state, &mut joins)?;
        let volumes = storage::group(&mut state, &mut joins, day, policy)?;
        let fanned_out = joins.fanned_out;
        let mut names = state.names;
        names.shrink();
        let (mut usage, mut pod_rows) = (unallocated::Usage::default(), 0);
        for block in pods.blocks(&names)? {
            pod_rows += usage.add(&block?)?;
        }
        let nodes = usage.nodes();
        let (unallocated, nodes_without_role) = usage.into_rows(&names, &capacity, policy);
        let policy = policy.clone();
        Ok(DaySummary {
            day,
            fanned_out,
            nodes_without_role,
            names,
            capacity,
            pods,
            pod_rows,
            unallocated,
            nodes,
            volumes,
            policy,
        })
    }
}

impl DaySummary {
    /// How many rows the day has.
    pub fn num_rows(&self) -> usize {
        self.pod_rows + self.unallocated.len() + self.volumes.len()
    }

    /// What its rows rest on beside the state: identity, categories, and the roles of its own nodes. Kept with published
    /// rows, it tells a later run whether they [stand](Policy::stands). Some 40 bytes, and 8 for each node.
    pub fn fingerprint(&self) -> String {
        self.policy.fingerprint_of(&self.nodes)
    }

    /// The rows in the schema of [`rows::schema`], sorted by key: those of pods, of nodes' unallocated capacity, of
    /// volumes. Memory is that of one batch beside the day's own.
    pub fn batches(&self) -> Result<impl Iterator<Item = Result<RecordBatch>> + Send + '_> {
        let pods = self.pods.blocks(&self.names)?.map(|block| {
            let block = block?;
            let labels = block.labels();
            self.batch(labels.len()).of_pods(self.rows_of(&block), Some(labels))
        });
        let unallocated = self.unallocated.chunks(rows::BLOCK_ROWS);
        let unallocated =
            unallocated.map(|rows| self.batch(rows.len()).of_pods(unallocated::as_pods(rows), None));
        let volumes = self.volumes.blocks(&self.names).map(|block| {
            let rows = storage::rows(&self.names, &self.volumes, block, self.day, &self.policy);
            self.batch(rows.len()).of_volumes(&rows)
        });
        Ok(pods.chain(unallocated).chain(volumes))
    }

    /// All rows as one batch, for days that are known to be small enough.
    pub fn rows(&self) -> Result<RecordBatch> {
        let batches: Vec<RecordBatch> = self.batches()?.collect::<Result<_>>()?;
        rows::concat(&batches)
    }

    fn rows_of(&self, block: &pods::PodBlock<'_>) -> pods::PodRows {
        block.rows(&self.names, &self.capacity, &self.policy)
    }

    fn batch(&self, rows: usize) -> write::Batch<'_> {
        write::Batch { day: self.day, policy: &self.policy, rows }
    }
}
