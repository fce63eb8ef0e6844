//! Finished rows into record batches: Pod rows, unallocated ones in their shape, and Storage rows.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int32Array, RecordBatch, StringArray, new_null_array,
};
use arrow::datatypes::DataType;

use super::pods::PodRows;
use super::policy::Policy;
use super::storage::StorageRow;
use crate::day::Day;
use crate::error::{Error, Result};
use crate::rows::{ZERO_COST, schema};

/// The rows of one batch that all have the same day.
pub(super) struct Batch<'a> {
    pub(super) day: Day,
    pub(super) policy: &'a Policy,
    pub(super) rows: usize,
}

impl Batch<'_> {
    /// Rows of pods. Those without labels are unallocated capacity, which costs nothing either (SPEC 2.9).
    pub(super) fn of_pods(&self, pods: PodRows, labels: Option<StringArray>) -> Result<RecordBatch> {
        let labels = labels.map(|labels| -> ArrayRef { Arc::new(labels) });
        let mut columns = self.identity("Pod");
        columns.extend([
            Arc::new(pods.namespaces) as ArrayRef,
            Arc::new(pods.nodes),
            Arc::new(pods.resource_ids),
            labels.clone().unwrap_or_else(|| self.none(DataType::Utf8)),
        ]);
        columns.extend(pods.sums.map(|column| Arc::new(column) as ArrayRef));
        columns.extend(pods.capacities.map(|column| Arc::new(column) as ArrayRef));
        columns.extend(std::iter::repeat_n(self.none(DataType::Utf8), 4));
        let cost = if labels.is_some() { self.text(ZERO_COST) } else { self.none(DataType::Utf8) };
        // Of pod and volume labels a row has one at most, so their union is that one (SPEC 2.11).
        columns.push(labels.unwrap_or_else(|| self.text("{}")));
        columns.extend(std::iter::repeat_n(self.none(DataType::Float64), 4));
        self.finish(columns, cost, pods.categories)
    }

    /// Rows of volumes.
    pub(super) fn of_volumes(&self, volumes: &[StorageRow<'_>]) -> Result<RecordBatch> {
        let text = |part: usize| -> ArrayRef {
            Arc::new(volumes.iter().map(|row| row.key[part]).collect::<StringArray>())
        };
        let labels = text(7);
        let mut columns = self.identity("Storage");
        columns.extend([text(0), text(1), text(2), self.none(DataType::Utf8)]);
        columns.extend(std::iter::repeat_n(self.none(DataType::Float64), 14));
        columns.extend([text(3), text(4), text(5), labels.clone(), labels]);
        columns.extend((0..4).map(|measure| -> ArrayRef {
            Arc::new(volumes.iter().map(|row| row.measures[measure]).collect::<Float64Array>())
        }));
        self.finish(columns, self.text(ZERO_COST), volumes.iter().map(|row| row.category).collect())
    }

    fn identity(&self, data_source: &str) -> Vec<ArrayRef> {
        let day: ArrayRef = Arc::new(Date32Array::from_value(self.day.0, self.rows));
        vec![
            Arc::new(Int32Array::from(vec![self.policy.report_period_id; self.rows])),
            self.text(&self.policy.cluster_id),
            self.text(&self.policy.cluster_alias),
            self.text(data_source),
            day.clone(),
            day,
        ]
    }

    fn text(&self, text: &str) -> ArrayRef {
        Arc::new(StringArray::new_repeated(text, self.rows))
    }

    fn none(&self, data_type: DataType) -> ArrayRef {
        new_null_array(&data_type, self.rows)
    }

    fn finish(
        &self,
        mut columns: Vec<ArrayRef>,
        cost: ArrayRef,
        categories: Int32Array,
    ) -> Result<RecordBatch> {
        columns.extend([self.text(&self.policy.source_uuid), cost, Arc::new(categories)]);
        RecordBatch::try_new(schema(), columns)
            .map_err(|error| Error::wire(format!("finished rows: {error}")))
    }
}
