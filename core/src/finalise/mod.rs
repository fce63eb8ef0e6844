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
mod labels;
mod pods;
mod policy;
mod storage;
mod unallocated;
mod write;

use arrow::array::RecordBatch;

pub use policy::{OnNodelessVolume, Policy, PolicyOptions};

use crate::day::Day;
use crate::error::Result;
use crate::state::{DayState, FoldConfig};

/// The finished rows of one day.
#[derive(Debug, Clone)]
pub struct DaySummary {
    /// The day.
    pub day: Day,
    /// Its rows, in the schema of [`rows::schema`](crate::rows::schema).
    pub rows: RecordBatch,
    /// Line items that the joins repeated, beyond the first copy of each (SPEC 2.3, 2.5).
    pub fanned_out: u64,
    /// Unallocated rows whose node has no known role, so that their namespace is NULL (SPEC 2.9).
    pub nodes_without_role: u64,
}

impl DayState {
    /// Finishes the day.
    pub fn finalise(mut self, day: Day, config: &FoldConfig, policy: &Policy) -> Result<DaySummary> {
        let capacity = capacity::Capacity::of(&self)?;
        let mut labels = labels::LabelSets::of(&self, config);
        let mut fanned_out = 0;
        let pods = pods::group(&mut self, &mut labels, policy, &mut fanned_out)?;
        let volumes = storage::group(&mut self, &mut labels, day, policy, &mut fanned_out)?;
        let mut pods = pods::rows(&self, &pods, &capacity, policy);
        let (unallocated, nodes_without_role) = unallocated::rows(&pods, policy)?;
        pods.extend(unallocated);
        let storage = storage::rows(&self, volumes, day, policy);
        let rows = write::Rows { pods, storage }.into_batch(day, policy)?;
        Ok(DaySummary { day, rows, fanned_out, nodes_without_role })
    }
}
