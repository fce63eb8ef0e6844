//! The finished rows: the columns, names and types of `reporting_ocpusagelineitem_daily_summary`
//! that this step writes (SPEC 3.1), without the uuid, which the database sink adds.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::error::{Error, Result};

mod digest;
mod encode;

pub use digest::RowsDigest;
pub use encode::{RowsEncoder, RowsFormat, concat};

/// Rows of a block: what writers and readers of finished rows see at once.
pub(crate) const BLOCK_ROWS: usize = 8192;

/// Bytes of text that a block has at the most, unless its only row has more. Arrow's columns of text end at 2 GiB, and a
/// limit of memory long before.
pub(crate) const BLOCK_TEXT: usize = 16 << 20;

/// Cuts rows into blocks, bounded in rows and in bytes of text, of which `text` tells those of a row.
pub(crate) fn blocks(rows: usize, text: impl Fn(usize) -> usize) -> impl Iterator<Item = Range<usize>> {
    let mut end = 0;
    std::iter::from_fn(move || {
        let start = end;
        let mut bytes = 0;
        while end < rows && end - start < BLOCK_ROWS {
            bytes += text(end);
            if bytes > BLOCK_TEXT && end > start {
                break;
            }
            end += 1;
        }
        (end > start).then_some(start..end)
    })
}

/// The eight pod sums, in column order.
pub const POD_SUMS: [&str; 8] = [
    "pod_usage_cpu_core_hours",
    "pod_request_cpu_core_hours",
    "pod_effective_usage_cpu_core_hours",
    "pod_limit_cpu_core_hours",
    "pod_usage_memory_gigabyte_hours",
    "pod_request_memory_gigabyte_hours",
    "pod_effective_usage_memory_gigabyte_hours",
    "pod_limit_memory_gigabyte_hours",
];

/// The four node and two cluster capacities, in column order.
pub const CAPACITIES: [&str; 6] = [
    "node_capacity_cpu_cores",
    "node_capacity_cpu_core_hours",
    "node_capacity_memory_gigabytes",
    "node_capacity_memory_gigabyte_hours",
    "cluster_capacity_cpu_core_hours",
    "cluster_capacity_memory_gigabyte_hours",
];

/// The four storage measures, in column order.
pub const STORAGE_MEASURES: [&str; 4] = [
    "persistentvolumeclaim_capacity_gigabyte",
    "persistentvolumeclaim_capacity_gigabyte_months",
    "volume_request_storage_gigabyte_months",
    "persistentvolumeclaim_usage_gigabyte_months",
];

/// What `infrastructure_usage_cost` is on every Pod and Storage row (SPEC 2.5).
pub const ZERO_COST: &str = r#"{"cpu": 0.000000000, "memory": 0.000000000, "storage": 0.000000000}"#;

/// The schema of every batch of finished rows: 36 columns.
///
/// Labels are JSON text in PostgreSQL's jsonb spelling (SPEC 4.2); hours and gigabytes are f64.
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let number = |name: &&str| Field::new(*name, DataType::Float64, true);
        let mut fields = vec![
            Field::new("report_period_id", DataType::Int32, true),
            text("cluster_id"),
            text("cluster_alias"),
            text("data_source"),
            Field::new("usage_start", DataType::Date32, true),
            Field::new("usage_end", DataType::Date32, true),
            text("namespace"),
            text("node"),
            text("resource_id"),
            text("pod_labels"),
        ];
        fields.extend(POD_SUMS.iter().map(number));
        fields.extend(CAPACITIES.iter().map(number));
        fields.extend(
            ["persistentvolumeclaim", "persistentvolume", "storageclass", "volume_labels", "all_labels"]
                .map(text),
        );
        fields.extend(STORAGE_MEASURES.iter().map(number));
        fields.extend(["source_uuid", "infrastructure_usage_cost"].map(text));
        fields.push(Field::new("cost_category_id", DataType::Int32, true));
        Arc::new(Schema::new(fields))
    });
    SCHEMA.clone()
}

/// Rows from elsewhere may have any schema.
fn check(rows: &RecordBatch) -> Result<()> {
    match rows.schema_ref().fields() == schema().fields() {
        true => Ok(()),
        false => {
            Err(Error::port("sink", "encode rows", false, "the rows have another schema than rows::schema"))
        }
    }
}
