//! What the tables accumulate, and the counts of rows.

use serde::{Deserialize, Serialize};

use super::table::{Accumulator, Remap};
use crate::error::{Error, Result};
use crate::exact::{ExactSum, MaxOf};
use crate::intern::Sym;

/// A member of a set: the key is all there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Member;

impl Accumulator for Member {
    fn absorb(&mut self, _: &Self, _: &mut Remap<'_>) -> Result<()> {
        Ok(())
    }
}

/// A pod on a node, as one daily row tells of it (SPEC 2.6).
#[derive(Debug, Clone)]
pub struct Mount {
    /// Largest resource id: of hourly rows that make up a daily row (SPEC 1.5), and otherwise the only one.
    pub resource_id: Sym,
}

impl Default for Mount {
    fn default() -> Self {
        Self { resource_id: Sym::NULL }
    }
}

impl Accumulator for Mount {
    fn absorb(&mut self, other: &Self, remap: &mut Remap<'_>) -> Result<()> {
        self.resource_id = remap.max(self.resource_id, other.resource_id);
        Ok(())
    }
}

/// Pod usage of one namespace, node and label set (SPEC 2.5).
#[derive(Debug, Clone)]
pub struct PodSums {
    /// The metrics of [`POD_METRICS`](crate::schema::POD_METRICS), in core-seconds and byte-seconds.
    pub sums: [ExactSum; 8],
    /// One bit per sum that had a value: the sum of only NULLs is NULL.
    pub present: u8,
    /// Line items inside.
    pub rows: u64,
    /// Largest `node_capacity_cpu_cores`.
    pub cores: MaxOf,
    /// Largest `node_capacity_memory_bytes`.
    pub memory_bytes: MaxOf,
    /// Largest resource id.
    pub resource_id: Sym,
}

impl Default for PodSums {
    fn default() -> Self {
        Self {
            sums: [ExactSum::ZERO; 8],
            present: 0,
            rows: 0,
            cores: MaxOf::NONE,
            memory_bytes: MaxOf::NONE,
            resource_id: Sym::NULL,
        }
    }
}

impl Accumulator for PodSums {
    fn absorb(&mut self, other: &Self, remap: &mut Remap<'_>) -> Result<()> {
        self.resource_id = remap.max(self.resource_id, other.resource_id);
        self.add_times(other, 1)
    }
}

impl PodSums {
    /// Adds the sums of `times` copies of the other, and its maxima; resource ids are the caller's.
    pub(crate) fn add_times(&mut self, other: &Self, times: u64) -> Result<()> {
        add_times(&mut self.sums, &other.sums, times)?;
        self.present |= other.present;
        self.rows = self.rows.saturating_add(other.rows);
        self.cores.merge(&other.cores);
        self.memory_bytes.merge(&other.memory_bytes);
        Ok(())
    }

    /// A finished sum, in the metric's own unit; `None` where every value was NULL.
    pub(crate) fn sum(&self, metric: usize) -> Option<f64> {
        (self.present >> metric & 1 == 1).then(|| self.sums[metric].to_f64())
    }
}

/// Storage usage of one claim, as one pod reports it (SPEC 1.5, 2.7).
#[derive(Debug, Clone, Default)]
pub struct VolumeSums {
    /// The sums of [`STORAGE_SUMS`](crate::schema::STORAGE_SUMS), in byte-seconds.
    pub sums: [ExactSum; 3],
    /// One bit per sum that had a value.
    pub present: u8,
    /// Line items inside.
    pub rows: u64,
    /// Largest size of the claim in bytes.
    pub capacity_bytes: MaxOf,
}

impl Accumulator for VolumeSums {
    fn absorb(&mut self, other: &Self, _: &mut Remap<'_>) -> Result<()> {
        self.add_times(other, 1)
    }
}

impl VolumeSums {
    /// Adds the sums of `times` copies of the other, and its maximum.
    pub(crate) fn add_times(&mut self, other: &Self, times: u64) -> Result<()> {
        add_times(&mut self.sums, &other.sums, times)?;
        self.present |= other.present;
        self.rows = self.rows.saturating_add(other.rows);
        self.capacity_bytes.merge(&other.capacity_bytes);
        Ok(())
    }

    /// A finished sum in byte-seconds; `None` where every value was NULL.
    pub(crate) fn sum(&self, metric: usize) -> Option<f64> {
        (self.present >> metric & 1 == 1).then(|| self.sums[metric].to_f64())
    }
}

fn add_times<const N: usize>(sums: &mut [ExactSum; N], other: &[ExactSum; N], times: u64) -> Result<()> {
    for (sum, other) in sums.iter_mut().zip(other) {
        if times == 1 {
            sum.merge(other)?;
        } else {
            sum.merge(&other.times(times)?)?;
        }
    }
    Ok(())
}

/// Node capacity of one interval (SPEC 2.4).
#[derive(Debug, Clone, Copy, Default)]
pub struct CapacityMax {
    /// Largest `node_capacity_cpu_core_seconds`.
    pub cpu: MaxOf,
    /// Largest `node_capacity_memory_byte_seconds`.
    pub memory: MaxOf,
}

impl Accumulator for CapacityMax {
    fn absorb(&mut self, other: &Self, _: &mut Remap<'_>) -> Result<()> {
        self.cpu.merge(&other.cpu);
        self.memory.merge(&other.memory);
        Ok(())
    }
}

/// What became of the rows: `rows_in` is the sum of those that were aggregated and those that were left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    /// Rows that were read, or passed over because the footer said that no day of theirs is wanted.
    pub rows_in: u64,
    /// Rows of days that are asked for. Storage rows where no storage is asked for, and labels of nobody, are among them,
    /// though no table has them.
    pub aggregated: u64,
    /// Rows of days that were not asked for, or without an `interval_start`.
    pub out_of_range: u64,
    /// Rows whose month is not that of the partition they lie in (SPEC 1.1 item 3).
    pub other_month: u64,
    /// Pod rows with an empty or missing node (SPEC 2.5); they still count for capacity and volumes.
    pub no_node: u64,
    /// Hourly rows with a metric above 1e18 (SPEC 1.6).
    pub anomalous: u64,
    /// Label texts of aggregated rows that were malformed and stand for no labels (SPEC 2.2).
    pub malformed_labels: u64,
}

impl RowCounts {
    /// Adds the other's counts. A state from elsewhere can hold any, so they stop at the largest.
    pub fn merge(&mut self, other: &Self) {
        let add = |ours: &mut u64, theirs| *ours = ours.saturating_add(theirs);
        add(&mut self.rows_in, other.rows_in);
        add(&mut self.aggregated, other.aggregated);
        add(&mut self.out_of_range, other.out_of_range);
        add(&mut self.other_month, other.other_month);
        add(&mut self.no_node, other.no_node);
        add(&mut self.anomalous, other.anomalous);
        add(&mut self.malformed_labels, other.malformed_labels);
    }

    /// Rows that were read and left out, whatever the reason.
    pub fn filtered(&self) -> u64 {
        let reasons = [self.other_month, self.no_node, self.anomalous];
        reasons.iter().fold(self.out_of_range, |rows, more| rows.saturating_add(*more))
    }

    /// Refuses counts that break the conservation law, by which nothing but a defect can.
    pub fn check(&self) -> Result<()> {
        if self.is_conserved() {
            return Ok(());
        }
        Err(Error::Internal { reason: format!("rows were lost: {self:?}") })
    }

    /// The conservation law: every row that was read is aggregated or left out.
    pub fn is_conserved(&self) -> bool {
        self.rows_in == self.aggregated.saturating_add(self.filtered())
    }
}
