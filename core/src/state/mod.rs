//! What has been folded so far, in a form that merges in any order.
//!
//! ```text
//! PartialState
//!   coverage   which chunks are inside; two states that share one refuse to merge
//!   purposes   what they were read for
//!   counts     rows in = aggregated + filtered (by reason)
//!   days       DayState, one per day, each with its own symbols:
//!                usage             namespace, node, labels        -> 8 exact sums, maxima
//!                capacity          interval, node                 -> 2 maxima
//!                volumes           namespace, pod, claim, volume… -> 3 exact sums, maximum
//!                mounts            namespace, pod, node, daily row -> maximum of resource ids
//!                node_labels       node, labels
//!                namespace_labels  namespace, labels
//! ```
//!
//! Capacity is a maximum per interval and then a sum, and shared volumes divide by a count of distinct
//! nodes; neither merges as a finished number. Their inner tables do, so those are the state, and the
//! outer sums belong to [`finalise`](crate::finalise).
//!
//! The law: merging is associative and commutative wherever it succeeds. It may refuse (a chunk twice,
//! another configuration, hourly rows beside daily ones, overflow), and then the state it was asked to change must not
//! be used further.

mod config;
mod coverage;
mod day;
mod order;
mod spill;
mod table;
mod values;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use config::fingerprint;
pub use config::{FoldConfig, FoldOptions};
pub(crate) use coverage::Purposes;
pub use coverage::{ChunkId, Coverage};
pub use day::DayState;
pub(crate) use order::sorted;
pub(crate) use spill::{Block, Merged, Run};
pub use table::{Accumulator, Remap, Table};
pub use values::{CapacityMax, Member, Mount, PodSums, RowCounts, VolumeSums};
pub(crate) use wire::USAGE;
pub use wire::WIRE_VERSION;

use crate::day::Day;
use crate::error::Result;

/// Mergeable partial results of any set of chunks.
///
/// ```
/// use std::sync::Arc;
/// use daysum_core::{FoldConfig, Lookups, PartialState};
/// let lookups = Lookups { start_date: Some("2025-11-01".into()), end_date: Some("2025-11-30".into()), ..Default::default() };
/// let config = Arc::new(FoldConfig::new(&lookups, Default::default())?);
/// let empty = PartialState::empty(config.clone());
/// assert_eq!(empty.days().count(), 0);
/// # Ok::<(), daysum_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PartialState {
    config: Arc<FoldConfig>,
    coverage: Coverage,
    purposes: Purposes,
    counts: RowCounts,
    days: BTreeMap<Day, DayState>,
}

impl PartialState {
    /// The state of no chunks: the zero of its configuration.
    pub fn empty(config: Arc<FoldConfig>) -> Self {
        Self::from_parts(
            config,
            Coverage::default(),
            Purposes::default(),
            RowCounts::default(),
            BTreeMap::new(),
        )
    }

    pub(crate) fn from_parts(
        config: Arc<FoldConfig>,
        coverage: Coverage,
        purposes: Purposes,
        counts: RowCounts,
        days: BTreeMap<Day, DayState>,
    ) -> Self {
        Self { config, coverage, purposes, counts, days }
    }

    /// Takes in everything that `other` holds. Refused where the two share a chunk, hold two versions of an object, or
    /// hold hourly rows of a table beside daily ones that were made of them: all files of a month are to be planned at once
    /// ([`plan`](crate::drive::plan)), whoever folds them.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        self.config.check_same(&other.config)?;
        self.coverage.merge(other.coverage)?;
        self.purposes.merge(other.purposes)?;
        self.counts.merge(&other.counts);
        for (day, theirs) in other.days {
            match self.days.remove(&day) {
                None => self.days.insert(day, theirs),
                Some(ours) => self.days.insert(day, ours.merge(theirs)?),
            };
        }
        Ok(())
    }

    /// The configuration it was folded under.
    pub fn config(&self) -> &Arc<FoldConfig> {
        &self.config
    }

    /// Which chunks are inside.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// What became of the rows.
    pub fn counts(&self) -> &RowCounts {
        &self.counts
    }

    /// The days it holds something of, in order.
    pub fn days(&self) -> impl Iterator<Item = Day> + '_ {
        self.days.keys().copied()
    }

    /// Takes all days out, in order, to finish or spill them; coverage and counts stay.
    pub fn take_days(&mut self) -> BTreeMap<Day, DayState> {
        std::mem::take(&mut self.days)
    }

    /// Bytes held on the heap.
    pub fn memory_size(&self) -> usize {
        self.days.values().map(DayState::memory_size).sum()
    }
}
