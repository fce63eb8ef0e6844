//! Bytes that claim to be one of koku's files, summarised from the listing to the rows.

use bytes::Bytes;
use daysum_core::port::{ListRequest, memory::MemorySource};
use daysum_core::{Lookups, drive};
use futures::executor::block_on;

const TABLES: [&str; 7] = [
    "pod_usage_line_items",
    "pod_usage_line_items_daily",
    "storage_usage_line_items",
    "storage_usage_line_items_daily",
    "node_labels_line_items",
    "namespace_labels_line_items",
    "namespace_labels_line_items_daily",
];

/// The first byte chooses the table whose place the rest lies in. Returns whether there were rows to summarise.
pub fn run(data: &[u8]) -> bool {
    let Some((&table, file)) = data.split_first() else { return false };
    let table = TABLES[usize::from(table) % TABLES.len()];
    let source = MemorySource::default();
    source.insert(
        &format!("openshift_{table}/source=s/year=2025/month=11/file.parquet"),
        Bytes::copy_from_slice(file),
    );
    let lookups = Lookups {
        source_uuid: "s".into(),
        start_date: Some("2025-11-01".into()),
        end_date: Some("2025-11-30".into()),
        storage_exists: true,
        enabled_tag_keys: vec!["app".into(), "environment".into()],
        ..Lookups::default()
    };
    let Ok(summary) = block_on(drive::summarise(&source, &ListRequest::default(), &lookups)) else {
        return false;
    };
    assert!(summary.counts.is_conserved(), "{:?}", summary.counts);
    summary.counts.rows_in > 0
}
