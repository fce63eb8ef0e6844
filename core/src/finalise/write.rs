//! Rows into one record batch: Pod rows, then unallocated ones, then Storage rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int32Array, RecordBatch, StringArray};

use super::pods::PodRow;
use super::policy::Policy;
use super::storage::StorageRow;
use crate::day::Day;
use crate::error::{Error, Result};
use crate::rows::{ZERO_COST, schema};

/// Pod rows, then storage rows; unallocated ones have the shape of Pod rows.
pub(super) fn batch(
    pods: &[PodRow<'_>],
    storage: &[StorageRow<'_>],
    day: Day,
    policy: &Policy,
) -> Result<RecordBatch> {
    Rows { pods, storage }.into_batch(day, policy)
}

struct Rows<'a, 'd> {
    pods: &'a [PodRow<'d>],
    storage: &'a [StorageRow<'d>],
}

impl<'d> Rows<'_, 'd> {
    fn into_batch(self, day: Day, policy: &Policy) -> Result<RecordBatch> {
        let rows = self.pods.len() + self.storage.len();
        let constant =
            |text: &str| -> ArrayRef { Arc::new(StringArray::new_repeated(text, rows)) };
        let days = || -> ArrayRef { Arc::new(Date32Array::from(vec![day.0; rows])) };
        let none = |_: &StorageRow<'d>| None;
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from(vec![policy.report_period_id; rows])),
            constant(&policy.cluster_id),
            constant(&policy.cluster_alias),
            self.text(|_| Some("Pod"), |_| Some("Storage")),
            days(),
            days(),
            self.text(|row| row.namespace, |row| row.key[0]),
            self.text(|row| row.node, |row| row.key[1]),
            self.text(|row| row.resource_id, |row| row.key[2]),
            self.text(|row| row.labels, none),
        ];
        columns.extend((0..8).map(|metric| self.number(|row| row.sums[metric], |_| None)));
        columns.extend((0..6).map(|capacity| self.number(|row| row.capacities[capacity], |_| None)));
        columns.extend([
            self.text(|_| None, |row| row.key[3]),
            self.text(|_| None, |row| row.key[4]),
            self.text(|_| None, |row| row.key[5]),
            self.text(|_| None, |row| row.key[7]),
            // Of pod and volume labels a row has one at most, so their union is that one (SPEC 2.11).
            self.text(|row| row.labels.or(Some("{}")), |row| row.key[7]),
        ]);
        columns.extend((0..4).map(|measure| self.number(|_| None, |row| row.measures[measure])));
        let categories =
            self.pods.iter().map(|row| row.category).chain(self.storage.iter().map(|row| row.category));
        columns.extend([
            constant(&policy.source_uuid),
            // Unallocated rows have no labels of their own, and no cost (SPEC 2.9).
            self.text(|row| row.labels.map(|_| ZERO_COST), |_| Some(ZERO_COST)),
            Arc::new(categories.collect::<Int32Array>()),
        ]);
        RecordBatch::try_new(schema(), columns)
            .map_err(|error| Error::wire(format!("finished rows: {error}")))
    }

    fn text(
        &self,
        pod: impl Fn(&PodRow<'d>) -> Option<&'d str>,
        volume: impl Fn(&StorageRow<'d>) -> Option<&'d str>,
    ) -> ArrayRef {
        Arc::new(self.pods.iter().map(pod).chain(self.storage.iter().map(volume)).collect::<StringArray>())
    }

    fn number(
        &self,
        pod: impl Fn(&PodRow<'d>) -> Option<f64>,
        volume: impl Fn(&StorageRow<'d>) -> Option<f64>,
    ) -> ArrayRef {
        Arc::new(self.pods.iter().map(pod).chain(self.storage.iter().map(volume)).collect::<Float64Array>())
    }
}
