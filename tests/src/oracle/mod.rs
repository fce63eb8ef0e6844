//! SPEC section 2 once more, naively: every join is materialised, every group is a `BTreeMap` entry,
//! every sum is an integer of any length. It shares no code with the engine and is slow on purpose.
//!
//! ```text
//! files --read--> Vec<row structs> --join--> Vec<joined rows> --group by--> rows --sort--> RecordBatch
//! ```
//!
//! What it shares with the engine are the rules that make finished numbers comparable by `==`:
//!
//! - a double enters a sum as the nearest multiple of 2^-80, ties to even; sums of those are exact;
//! - a finished sum is the nearest double, ties to even; then come the divisions, in double arithmetic:
//!   hours = sum / 3600, gigabyte hours = sum / 3600 * 2^-30,
//!   gigabyte months = sum / (86400 * days of the month) * 2^-30, with the sum first divided by the
//!   node count where SPEC 2.7 says so;
//! - unallocated = capacity hours - (exact sum of the finished hours of the node's rows, rounded once);
//! - -0.0 is written as 0.0.
//!
//! The surprise: [`Bug`] plants mistakes here, so that the laws can prove that they would notice them.

mod capacity;
mod exact;
mod labels;
mod like;
mod output;
mod pods;
mod read;
mod storage;
mod unallocated;

use arrow::array::RecordBatch;
use daysum_core::{Error, Location, Lookups, Result};

use crate::engine::{Engine, InputFile};

/// The naive engine, with or without a planted bug.
#[derive(Debug, Clone, Copy, Default)]
pub struct Oracle {
    bug: Option<Bug>,
}

/// Mistakes that an implementation could make and that only some inputs show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Namespace labels win over pod labels.
    LabelPrecedence,
    /// Node capacity is summed over the pods of an hour instead of taking their maximum.
    CapacitySummed,
    /// A node with several label sets counts once.
    NoFanOut,
    /// Shared volumes are divided by the number of pods instead of nodes.
    NodeCountOfPods,
    /// Volumes are matched to nodes without looking at the namespace.
    VolumesIgnoreNamespace,
    /// Several cost categories of one namespace count once.
    CategoriesOnce,
    /// Instants are rounded to seconds, so that the last millisecond of a day is in the next.
    SecondsRounded,
    /// A missing namespace or storage class is the same as an empty one.
    NullIsEmpty,
    /// The smallest resource id instead of the largest.
    ResourceMin,
    /// Sums of doubles, in the order of the rows.
    FloatSums,
    /// Gigabyte months with thirty days in every month.
    ThirtyDays,
    /// Rows that differ in the CSI handle only are one.
    HandlesMerged,
}

impl Bug {
    /// Every one of them.
    pub const ALL: [Self; 12] = [
        Self::LabelPrecedence,
        Self::CapacitySummed,
        Self::NoFanOut,
        Self::NodeCountOfPods,
        Self::VolumesIgnoreNamespace,
        Self::CategoriesOnce,
        Self::SecondsRounded,
        Self::NullIsEmpty,
        Self::ResourceMin,
        Self::FloatSums,
        Self::ThirtyDays,
        Self::HandlesMerged,
    ];
}

impl Oracle {
    /// An oracle that makes this mistake.
    pub fn with_bug(bug: Bug) -> Self {
        Self { bug: Some(bug) }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }
}

impl Engine for Oracle {
    fn summarise(&self, files: &[InputFile], lookups: &Lookups) -> Result<RecordBatch> {
        let input = read::read(self, files, lookups)?;
        let labels = labels::LabelSets::of(self, &input, lookups)?;
        let categories = like::Categories(&lookups.cost_categories);
        let mut rows = pods::rows(self, &input, &labels, categories)?;
        let unallocated = unallocated::rows(self, &rows, &lookups.nodes, categories)?;
        rows.extend(storage::rows(self, &input, &labels, categories)?);
        rows.extend(unallocated);
        if let Some(days) = &lookups.days {
            let wanted: Vec<Option<u32>> = days.iter().map(|day| day.number()).collect();
            rows.retain(|row| wanted.contains(&Some(row.day.ymd().2)));
        }
        output::batch(rows, lookups)
    }
}

fn value_error(at: Location, reason: impl Into<String>) -> Error {
    Error::Value { at: Box::new(at), reason: reason.into() }
}
