//! From files to row structs: which files and which rows count (SPEC 1.2 to 1.7).

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use daysum_core::{Day, Error, Location, Lookups, Result};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::exact::max;
use super::{Bug, Oracle, value_error};
use crate::engine::InputFile;

/// Hourly rows with a larger metric are dropped (SPEC 1.6).
const ABSURD: f64 = 1e18;

/// A pod row of one day, daily or taken as such.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) at: Location,
    pub(super) day: Day,
    pub(super) namespace: Option<String>,
    pub(super) node: Option<String>,
    pub(super) pod: Option<String>,
    pub(super) resource_id: Option<String>,
    pub(super) labels: Option<String>,
    /// Usage, request, effective usage, limit: CPU, then memory.
    pub(super) metrics: [Option<f64>; 8],
    pub(super) capacity_cores: Option<f64>,
    pub(super) capacity_bytes: Option<f64>,
}

/// What an hourly pod row says about its node.
#[derive(Debug)]
pub(super) struct Capacity {
    pub(super) day: Day,
    pub(super) millis: i64,
    pub(super) node: Option<String>,
    /// Core-seconds and byte-seconds.
    pub(super) seconds: [Option<f64>; 2],
}

/// A storage row of one day.
#[derive(Debug)]
pub(super) struct Storage {
    pub(super) at: Location,
    pub(super) day: Day,
    pub(super) namespace: Option<String>,
    pub(super) pod: Option<String>,
    pub(super) claim: Option<String>,
    pub(super) volume: Option<String>,
    pub(super) class: Option<String>,
    pub(super) handle: Option<String>,
    pub(super) volume_labels: Option<String>,
    pub(super) claim_labels: Option<String>,
    pub(super) capacity_bytes: Option<f64>,
    /// Capacity, request, usage in byte-seconds.
    pub(super) sums: [Option<f64>; 3],
}

/// Labels of a node or namespace on one day.
#[derive(Debug)]
pub(super) struct OwnerLabels {
    pub(super) at: Location,
    pub(super) day: Day,
    pub(super) owner: Option<String>,
    pub(super) labels: Option<String>,
}

/// Every row that counts.
#[derive(Debug, Default)]
pub(super) struct Input {
    pub(super) pods: Vec<Pod>,
    pub(super) capacity: Vec<Capacity>,
    pub(super) storage: Vec<Storage>,
    pub(super) node_labels: Vec<OwnerLabels>,
    pub(super) namespace_labels: Vec<OwnerLabels>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Partition {
    table: &'static str,
    source: Option<String>,
    /// Year and month of the directory, as far as the key names them.
    month: Option<(i32, u32)>,
}

/// The partition that a key belongs to; `None` for tables that the summary does not read.
fn partition(key: &str) -> Option<Partition> {
    let segments: Vec<&str> = key.split('/').collect();
    let valued = |name: &str| segments.iter().find_map(|segment| segment.strip_prefix(name));
    let table =
        ["pod_usage", "storage_usage", "node_labels", "namespace_labels"].into_iter().find(|table| {
            let spelled = format!("openshift_{table}_line_items");
            segments.iter().any(|segment| {
                segment == table || *segment == spelled || segment.strip_suffix("_daily") == Some(&spelled)
            })
        })?;
    let month = valued("year=").zip(valued("month="));
    Some(Partition {
        table,
        source: valued("source=").map(str::to_lowercase),
        month: month.and_then(|(year, month)| Some((year.parse().ok()?, month.parse().ok()?))),
    })
}

pub(super) fn read(oracle: &Oracle, files: &[InputFile], lookups: &Lookups) -> Result<Input> {
    let (first, last) = lookups.range()?;
    let source = lookups.source_uuid.to_lowercase();
    let mut opened = Vec::new();
    for file in files {
        let Some(partition) = partition(&file.key) else { continue };
        let of_other_source = partition.source.as_ref().is_some_and(|of| !source.is_empty() && *of != source);
        if of_other_source || (partition.table == "storage_usage" && !lookups.storage_exists) {
            continue;
        }
        let format = |reason: String| Error::Format { at: Box::new(Location::object(&*file.key)), reason };
        let reader = ParquetRecordBatchReaderBuilder::try_new(file.bytes.clone())
            .map_err(|error| format(error.to_string()))?;
        // Daily files say no end of an interval; a file that does is hourly, whatever its name (SPEC 1.2, 1.4).
        let hourly = reader.schema().column_with_name("interval_end").is_some();
        let mut rows = Vec::new();
        for batch in reader.build().map_err(|error| format(error.to_string()))? {
            let batch = batch.map_err(|error| format(error.to_string()))?;
            for row in 0..batch.num_rows() {
                rows.push((batch.clone(), row));
            }
        }
        opened.push((file, partition, hourly, rows));
    }
    let with_daily: BTreeSet<Partition> = opened
        .iter()
        .filter(|(_, _, hourly, _)| !hourly)
        .map(|(_, partition, ..)| partition.clone())
        .collect();

    let mut input = Input::default();
    for (file, partition, hourly, rows) in &opened {
        let daily_is_there = *hourly && with_daily.contains(partition);
        for (number, (batch, row)) in rows.iter().enumerate() {
            let cells = Cells { batch, row: *row, at: Location::object(&*file.key).row(number as u64) };
            let Some(mut millis) = cells.millis("interval_start")? else { continue };
            if oracle.has(Bug::DayShifted) {
                millis -= 1000;
            }
            let day = Day::from_millis(millis);
            let (year, month, _) = day.ymd();
            if day < first || day > last || partition.month.is_some_and(|of| of != (year, month)) {
                continue;
            }
            let grain = match (hourly, daily_is_there) {
                (false, _) => Grain::Daily,
                (true, false) => Grain::Derived,
                (true, true) => Grain::CapacityOnly,
            };
            input.push(partition.table, grain, day, millis, &cells)?;
        }
    }
    Ok(input)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grain {
    /// A daily row, used as it is.
    Daily,
    /// An hourly row that stands in for a daily one (SPEC 1.5).
    Derived,
    /// An hourly row beside daily ones.
    CapacityOnly,
}

impl Input {
    fn push(&mut self, table: &str, grain: Grain, day: Day, millis: i64, cells: &Cells<'_>) -> Result<()> {
        match table {
            "pod_usage" => self.push_pod(grain, day, millis, cells),
            _ if grain == Grain::CapacityOnly => Ok(()),
            "storage_usage" => self.push_storage(grain, day, cells),
            "node_labels" => {
                self.node_labels.push(cells.owner_labels(day, "node", "node_labels")?);
                Ok(())
            }
            _ => {
                self.namespace_labels.push(cells.owner_labels(day, "namespace", "namespace_labels")?);
                Ok(())
            }
        }
    }

    fn push_pod(&mut self, grain: Grain, day: Day, millis: i64, cells: &Cells<'_>) -> Result<()> {
        let number = |name: &str| cells.number(name, grain);
        let node = cells.text("node")?;
        if grain != Grain::CapacityOnly {
            let [usage_cpu, request_cpu, limit_cpu, usage_memory, request_memory, limit_memory] = [
                number("pod_usage_cpu_core_seconds")?,
                number("pod_request_cpu_core_seconds")?,
                number("pod_limit_cpu_core_seconds")?,
                number("pod_usage_memory_byte_seconds")?,
                number("pod_request_memory_byte_seconds")?,
                number("pod_limit_memory_byte_seconds")?,
            ];
            let capacity_cores = number("node_capacity_cpu_cores")?;
            let capacity_bytes = number("node_capacity_memory_bytes")?;
            if grain == Grain::Derived {
                let checked = [
                    usage_cpu,
                    request_cpu,
                    limit_cpu,
                    usage_memory,
                    request_memory,
                    limit_memory,
                    number("node_capacity_cpu_core_seconds")?,
                    capacity_bytes,
                    number("node_capacity_memory_byte_seconds")?,
                ];
                if absurd(&checked) {
                    return Ok(());
                }
            }
            let effective_cpu =
                number("pod_effective_usage_cpu_core_seconds")?.or(max([usage_cpu, request_cpu]));
            let effective_memory =
                number("pod_effective_usage_memory_byte_seconds")?.or(max([usage_memory, request_memory]));
            let metrics = [
                usage_cpu,
                request_cpu,
                effective_cpu,
                limit_cpu,
                usage_memory,
                request_memory,
                effective_memory,
                limit_memory,
            ];
            self.pods.push(Pod {
                at: cells.at.clone(),
                day,
                namespace: cells.text("namespace")?,
                node: node.clone(),
                pod: cells.text("pod")?,
                resource_id: cells.text("resource_id")?,
                labels: cells.text("pod_labels")?,
                metrics: metrics.map(|metric| summand(metric, grain)),
                capacity_cores,
                capacity_bytes,
            });
        }
        if grain != Grain::Daily {
            let seconds =
                [number("node_capacity_cpu_core_seconds")?, number("node_capacity_memory_byte_seconds")?];
            self.capacity.push(Capacity { day, millis, node, seconds });
        }
        Ok(())
    }

    fn push_storage(&mut self, grain: Grain, day: Day, cells: &Cells<'_>) -> Result<()> {
        let number = |name: &str| cells.number(name, grain);
        let capacity_bytes = number("persistentvolumeclaim_capacity_bytes")?;
        let sums = [
            number("persistentvolumeclaim_capacity_byte_seconds")?,
            number("volume_request_storage_byte_seconds")?,
            number("persistentvolumeclaim_usage_byte_seconds")?,
        ];
        if grain == Grain::Derived && absurd(&[capacity_bytes, sums[0], sums[1], sums[2]]) {
            return Ok(());
        }
        self.storage.push(Storage {
            at: cells.at.clone(),
            day,
            namespace: cells.text("namespace")?,
            pod: cells.text("pod")?,
            claim: cells.text("persistentvolumeclaim")?,
            volume: cells.text("persistentvolume")?,
            class: cells.text("storageclass")?,
            handle: cells.text("csi_volume_handle")?,
            volume_labels: cells.text("persistentvolume_labels")?,
            claim_labels: cells.text("persistentvolumeclaim_labels")?,
            capacity_bytes,
            sums: sums.map(|sum| summand(sum, grain)),
        });
        Ok(())
    }
}

fn absurd(numbers: &[Option<f64>]) -> bool {
    numbers.iter().flatten().any(|number| *number > ABSURD)
}

/// pandas' sum of an all-missing group is 0.0 (SPEC 1.5 item 3).
fn summand(metric: Option<f64>, grain: Grain) -> Option<f64> {
    if grain == Grain::Derived { metric.or(Some(0.0)) } else { metric }
}

/// One row of a batch, columns by name; a column that is not there is NULL.
struct Cells<'a> {
    batch: &'a RecordBatch,
    row: usize,
    at: Location,
}

impl Cells<'_> {
    fn column(&self, name: &str, to: &DataType) -> Result<Option<arrow::array::ArrayRef>> {
        let Some(column) = self.batch.column_by_name(name) else { return Ok(None) };
        let cell = column.slice(self.row, 1);
        let cell =
            cast(&cell, to).map_err(|error| value_error(self.at.clone().column(name), error.to_string()))?;
        Ok(cell.is_valid(0).then_some(cell))
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        Ok(self.column(name, &DataType::Utf8)?.map(|cell| cell.as_string::<i32>().value(0).to_owned()))
    }

    /// In hourly files NaN is what koku writes as NULL (SPEC 1.6); in daily ones nothing but finite numbers counts.
    fn number(&self, name: &str, grain: Grain) -> Result<Option<f64>> {
        let number =
            self.column(name, &DataType::Float64)?.map(|cell| cell.as_primitive::<Float64Type>().value(0));
        match number {
            Some(number) if number.is_nan() && grain != Grain::Daily => Ok(None),
            Some(number)
                if number.is_nan()
                    || (number.is_infinite() && !(grain == Grain::Derived && number > 0.0)) =>
            {
                Err(value_error(self.at.clone().column(name), format!("{number} is no usage")))
            }
            number => Ok(number),
        }
    }

    fn millis(&self, name: &str) -> Result<Option<i64>> {
        let per_milli = match self.batch.column_by_name(name).map(|column| column.data_type().clone()) {
            Some(DataType::Timestamp(TimeUnit::Millisecond, _)) => 1,
            Some(DataType::Timestamp(TimeUnit::Microsecond, _)) => 1_000,
            Some(DataType::Timestamp(TimeUnit::Nanosecond, _)) => 1_000_000,
            Some(DataType::Null) | None => return Ok(None),
            Some(other) => {
                let reason = format!("{other} is no timestamp");
                return Err(value_error(self.at.clone().column(name), reason));
            }
        };
        let ticks = self.column(name, &DataType::Int64)?;
        Ok(ticks.map(|cell| cell.as_primitive::<Int64Type>().value(0).div_euclid(per_milli)))
    }

    fn owner_labels(&self, day: Day, owner: &str, labels: &str) -> Result<OwnerLabels> {
        Ok(OwnerLabels {
            at: self.at.clone().column(labels),
            day,
            owner: self.text(owner)?,
            labels: self.text(labels)?,
        })
    }
}
