//! Finished rows as tests read them: by kind, with columns by name.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Float64Type, Int32Type};
use daysum_core::Day;
use serde_json::Value;

/// The rows of one run.
#[derive(Debug, Clone)]
pub struct Summary(pub RecordBatch);

/// One finished row.
#[derive(Debug, Clone)]
pub struct Line {
    batch: RecordBatch,
    row: usize,
}

impl Summary {
    /// Rows of pods, ordered by namespace, labels and node.
    pub fn pods(&self) -> Vec<Line> {
        self.lines(|line| line.text("data_source") == Some("Pod") && line.text("pod_labels").is_some())
    }

    /// Rows of volumes, ordered by namespace, claim, labels and node.
    pub fn storage(&self) -> Vec<Line> {
        self.lines(|line| line.text("data_source") == Some("Storage"))
    }

    /// What the nodes had left, ordered by namespace, node and category.
    pub fn unallocated(&self) -> Vec<Line> {
        self.lines(|line| line.text("data_source") == Some("Pod") && line.text("pod_labels").is_none())
    }

    fn lines(&self, wanted: impl Fn(&Line) -> bool) -> Vec<Line> {
        let lines = (0..self.0.num_rows()).map(|row| Line { batch: self.0.clone(), row });
        let mut lines: Vec<Line> = lines.filter(wanted).collect();
        lines.sort_by_key(|line| {
            let texts = ["namespace", "persistentvolumeclaim", "persistentvolume", "all_labels", "node"];
            (line.day(), texts.map(|name| line.text(name).map(str::to_owned)), line.category())
        });
        lines
    }
}

impl Line {
    /// A text column; `None` for NULL.
    pub fn text(&self, name: &str) -> Option<&str> {
        let column = self.batch[name].as_string::<i32>();
        column.is_valid(self.row).then(|| column.value(self.row))
    }

    /// A number column; `None` for NULL.
    pub fn number(&self, name: &str) -> Option<f64> {
        let column = self.batch[name].as_primitive::<Float64Type>();
        column.is_valid(self.row).then(|| column.value(self.row))
    }

    /// Several number columns.
    pub fn numbers<const N: usize>(&self, names: [&str; N]) -> [Option<f64>; N] {
        names.map(|name| self.number(name))
    }

    /// A label column as JSON; `None` for NULL.
    pub fn labels(&self, name: &str) -> Option<Value> {
        self.text(name).map(|text| serde_json::from_str(text).expect("labels are JSON"))
    }

    /// The cost category.
    pub fn category(&self) -> Option<i32> {
        let column = self.batch["cost_category_id"].as_primitive::<Int32Type>();
        column.is_valid(self.row).then(|| column.value(self.row))
    }

    /// `usage_start`
    pub fn day(&self) -> Day {
        Day(self.batch["usage_start"].as_primitive::<Date32Type>().value(self.row))
    }

    /// Usage, request, effective usage, limit in core-hours.
    pub fn cpu(&self) -> [Option<f64>; 4] {
        ["usage", "request", "effective_usage", "limit"]
            .map(|of| self.number(&format!("pod_{of}_cpu_core_hours")))
    }

    /// Usage, request, effective usage, limit in gigabyte-hours.
    pub fn memory(&self) -> [Option<f64>; 4] {
        ["usage", "request", "effective_usage", "limit"]
            .map(|of| self.number(&format!("pod_{of}_memory_gigabyte_hours")))
    }

    /// Cores, core-hours, gigabytes, gigabyte-hours of the node.
    pub fn capacity(&self) -> [Option<f64>; 4] {
        ["cpu_cores", "cpu_core_hours", "memory_gigabytes", "memory_gigabyte_hours"]
            .map(|of| self.number(&format!("node_capacity_{of}")))
    }

    /// Core-hours and gigabyte-hours of the cluster.
    pub fn cluster(&self) -> [Option<f64>; 2] {
        self.numbers(["cluster_capacity_cpu_core_hours", "cluster_capacity_memory_gigabyte_hours"])
    }

    /// Gigabytes, then gigabyte-months of capacity, request and usage.
    pub fn volume(&self) -> [Option<f64>; 4] {
        self.numbers([
            "persistentvolumeclaim_capacity_gigabyte",
            "persistentvolumeclaim_capacity_gigabyte_months",
            "volume_request_storage_gigabyte_months",
            "persistentvolumeclaim_usage_gigabyte_months",
        ])
    }
}
