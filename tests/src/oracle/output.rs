//! Finished rows as a batch (SPEC 2.11, 3.1).

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int32Array, RecordBatch, StringArray};
use daysum_core::rows::{ZERO_COST, schema};
use daysum_core::{Day, Error, Lookups, Result};

/// Bytes to gigabytes: a power of two, so the product is exact.
pub(super) const GIB: f64 = 1.0 / (1u64 << 30) as f64;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) data_source: &'static str,
    pub(super) day: Day,
    pub(super) namespace: Option<String>,
    pub(super) node: Option<String>,
    pub(super) resource_id: Option<String>,
    pub(super) pod_labels: Option<String>,
    pub(super) pod: [Option<f64>; 8],
    pub(super) capacity: [Option<f64>; 6],
    pub(super) claim: Option<String>,
    pub(super) volume: Option<String>,
    pub(super) class: Option<String>,
    pub(super) volume_labels: Option<String>,
    pub(super) all_labels: String,
    pub(super) storage: [Option<f64>; 4],
    pub(super) zero_cost: bool,
    pub(super) category: Option<i32>,
}

impl Row {
    pub(super) fn new(day: Day) -> Self {
        Self {
            data_source: "",
            day,
            namespace: None,
            node: None,
            resource_id: None,
            pod_labels: None,
            pod: [None; 8],
            capacity: [None; 6],
            claim: None,
            volume: None,
            class: None,
            volume_labels: None,
            all_labels: String::new(),
            storage: [None; 4],
            zero_cost: false,
            category: None,
        }
    }

    fn numbers(&self) -> impl Iterator<Item = Option<f64>> {
        self.pod.into_iter().chain(self.capacity).chain(self.storage)
    }

    /// Any order will do, as long as equal rows come out in equal order.
    fn order(&self, other: &Self) -> Ordering {
        let key = |row: &Self| {
            let texts = [&row.namespace, &row.node, &row.resource_id, &row.claim, &row.volume, &row.class];
            let labels = (row.pod_labels.clone(), row.volume_labels.clone());
            let numbers: Vec<Option<u64>> = row.numbers().map(|number| number.map(f64::to_bits)).collect();
            (row.day, row.data_source, texts.map(Clone::clone), labels, row.category, numbers)
        };
        key(self).cmp(&key(other))
    }
}

pub(super) fn batch(mut rows: Vec<Row>, lookups: &Lookups) -> Result<RecordBatch> {
    rows.sort_by(Row::order);
    if let Some(row) = rows.iter().find(|row| row.numbers().flatten().any(|number| !number.is_finite())) {
        return Err(Error::Overflow { what: format!("{row:?}") });
    }
    let columns: Vec<ArrayRef> = schema()
        .fields()
        .iter()
        .map(|field| -> ArrayRef {
            let text = |get: fn(&Row) -> Option<&str>| -> ArrayRef {
                Arc::new(rows.iter().map(get).collect::<StringArray>())
            };
            let constant = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value; rows.len()])) };
            match field.name().as_str() {
                "report_period_id" => Arc::new(Int32Array::from(vec![lookups.report_period_id; rows.len()])),
                "cluster_id" => constant(&lookups.cluster_id),
                "cluster_alias" => constant(&lookups.cluster_alias),
                "source_uuid" => constant(&lookups.source_uuid.to_lowercase()),
                "data_source" => text(|row| Some(row.data_source)),
                "usage_start" | "usage_end" => {
                    Arc::new(rows.iter().map(|row| Some(row.day.0)).collect::<Date32Array>())
                }
                "namespace" => text(|row| row.namespace.as_deref()),
                "node" => text(|row| row.node.as_deref()),
                "resource_id" => text(|row| row.resource_id.as_deref()),
                "pod_labels" => text(|row| row.pod_labels.as_deref()),
                "persistentvolumeclaim" => text(|row| row.claim.as_deref()),
                "persistentvolume" => text(|row| row.volume.as_deref()),
                "storageclass" => text(|row| row.class.as_deref()),
                "volume_labels" => text(|row| row.volume_labels.as_deref()),
                "all_labels" => text(|row| Some(&row.all_labels)),
                "infrastructure_usage_cost" => text(|row| row.zero_cost.then_some(ZERO_COST)),
                "cost_category_id" => Arc::new(rows.iter().map(|row| row.category).collect::<Int32Array>()),
                number => {
                    let values: Float64Array = rows.iter().map(|row| get(row, number)).collect();
                    Arc::new(values)
                }
            }
        })
        .collect();
    Ok(RecordBatch::try_new(schema(), columns).expect("every column as the schema says"))
}

fn get(row: &Row, name: &str) -> Option<f64> {
    let value = match name {
        "pod_usage_cpu_core_hours" => row.pod[0],
        "pod_request_cpu_core_hours" => row.pod[1],
        "pod_effective_usage_cpu_core_hours" => row.pod[2],
        "pod_limit_cpu_core_hours" => row.pod[3],
        "pod_usage_memory_gigabyte_hours" => row.pod[4],
        "pod_request_memory_gigabyte_hours" => row.pod[5],
        "pod_effective_usage_memory_gigabyte_hours" => row.pod[6],
        "pod_limit_memory_gigabyte_hours" => row.pod[7],
        "node_capacity_cpu_cores" => row.capacity[0],
        "node_capacity_cpu_core_hours" => row.capacity[1],
        "node_capacity_memory_gigabytes" => row.capacity[2],
        "node_capacity_memory_gigabyte_hours" => row.capacity[3],
        "cluster_capacity_cpu_core_hours" => row.capacity[4],
        "cluster_capacity_memory_gigabyte_hours" => row.capacity[5],
        "persistentvolumeclaim_capacity_gigabyte" => row.storage[0],
        "persistentvolumeclaim_capacity_gigabyte_months" => row.storage[1],
        "volume_request_storage_gigabyte_months" => row.storage[2],
        "persistentvolumeclaim_usage_gigabyte_months" => row.storage[3],
        other => unreachable!("the oracle knows no column {other}"),
    };
    // Adding zero turns -0.0 into 0.0.
    value.map(|value| value + 0.0)
}
