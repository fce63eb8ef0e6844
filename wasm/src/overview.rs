//! A day at a glance: sums by namespace, and the cluster's capacity. What a page draws.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Float64Type;
use serde::Serialize;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::arrow_file::batches;
use crate::error::Told;

/// The numbers of a namespace, with the columns they are sums of.
const SUMS: [(&str, &str); 9] = [
    ("cpuUsage", "pod_usage_cpu_core_hours"),
    ("cpuRequest", "pod_request_cpu_core_hours"),
    ("cpuEffective", "pod_effective_usage_cpu_core_hours"),
    ("memoryUsage", "pod_usage_memory_gigabyte_hours"),
    ("memoryRequest", "pod_request_memory_gigabyte_hours"),
    ("memoryEffective", "pod_effective_usage_memory_gigabyte_hours"),
    ("storageCapacity", "persistentvolumeclaim_capacity_gigabyte_months"),
    ("storageRequest", "volume_request_storage_gigabyte_months"),
    ("storageUsage", "persistentvolumeclaim_usage_gigabyte_months"),
];

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Overview {
    /// Core-hours and gigabyte-hours that the cluster had.
    cpu_capacity: f64,
    memory_capacity: f64,
    namespaces: Vec<Namespace>,
}

#[derive(Debug, Serialize)]
struct Namespace {
    namespace: Option<String>,
    /// Whether these rows are what no pod used: capacity without a workload.
    unallocated: bool,
    rows: u64,
    #[serde(flatten)]
    sums: BTreeMap<&'static str, f64>,
}

/// Rows and sums, workloads first.
type Groups = BTreeMap<(bool, Option<String>), (u64, [f64; 9])>;

/// Sums a day's rows, given as an Arrow IPC file, by namespace.
#[wasm_bindgen]
pub fn overview(arrow: Vec<u8>) -> Result<String, Told> {
    let mut overview = Overview::default();
    let mut groups = Groups::new();
    for rows in batches(arrow)? {
        add(&rows, &mut overview, &mut groups)?;
    }
    overview.namespaces = groups
        .into_iter()
        .map(|((unallocated, namespace), (rows, sums))| Namespace {
            namespace,
            unallocated,
            rows,
            sums: SUMS.iter().map(|(name, _)| *name).zip(sums).collect(),
        })
        .collect();
    Ok(serde_json::to_string(&overview).expect("numbers and texts are JSON"))
}

fn add(rows: &RecordBatch, overview: &mut Overview, groups: &mut Groups) -> Result<(), Told> {
    let column = |name: &str| {
        rows.column_by_name(name).ok_or_else(|| Told::new("format", format!("no column {name}")))
    };
    let number = |name: &str| {
        let wrong = || Told::new("format", format!("{name} holds no numbers"));
        column(name)?.as_primitive_opt::<Float64Type>().ok_or_else(wrong)
    };
    let largest =
        |name: &str| -> Result<f64, Told> { Ok(number(name)?.iter().flatten().fold(0.0, f64::max)) };
    overview.cpu_capacity = overview.cpu_capacity.max(largest("cluster_capacity_cpu_core_hours")?);
    overview.memory_capacity =
        overview.memory_capacity.max(largest("cluster_capacity_memory_gigabyte_hours")?);
    let columns = SUMS.iter().map(|(_, name)| number(name)).collect::<Result<Vec<_>, Told>>()?;
    let cost = column("infrastructure_usage_cost")?;
    let names = column("namespace")?
        .as_string_opt::<i32>()
        .ok_or_else(|| Told::new("format", "namespace holds no text"))?;
    for row in 0..rows.num_rows() {
        // Unallocated rows are the only ones without a cost.
        let key = (cost.is_null(row), names.is_valid(row).then(|| names.value(row).to_owned()));
        let (count, sums) = groups.entry(key).or_default();
        *count += 1;
        for (sum, column) in sums.iter_mut().zip(&columns) {
            *sum += if column.is_valid(row) { column.value(row) } else { 0.0 };
        }
    }
    Ok(())
}
