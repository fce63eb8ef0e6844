//! From files to row structs: which files and which rows count (SPEC 1.2 to 1.7).

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
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
    /// Whether it is an hourly row, of several that make up a daily one (SPEC 1.5).
    pub(super) derived: bool,
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
        let at = Location::object(&*file.key);
        let format = |reason: String| Error::Format { at: Box::new(at.clone()), reason };
        let reader = ParquetRecordBatchReaderBuilder::try_new(file.bytes.clone())
            .map_err(|error| format(error.to_string()))?;
        let times = reader.schema().column_with_name("interval_start");
        if times.is_none_or(|(_, field)| *field.data_type() == DataType::Null) {
            return Err(format("no interval_start".to_owned()));
        }
        let has_ends = reader.schema().column_with_name("interval_end").is_some();
        let mut batches = Vec::new();
        for batch in reader.build().map_err(|error| format(error.to_string()))? {
            batches.push(plain(&batch.map_err(|error| format(error.to_string()))?, &at)?);
        }
        // koku's folders tell (SPEC 1.2). In others daily rows say no end of an interval, and a file whose rows do is
        // hourly, whatever its name (SPEC 1.4).
        let ends = batches.iter().filter_map(|batch| batch.column_by_name("interval_end"));
        let (rows, without) = ends.fold((0, 0), |sum, ends| (sum.0 + ends.len(), sum.1 + ends.null_count()));
        let by_rows = has_ends && (rows == 0 || without < rows);
        let folder =
            file.key.split_once("/source=").map(|(before, _)| before.rsplit('/').next().unwrap_or(before));
        let hourly = match folder {
            Some(table) if table.ends_with("_line_items_daily") => false,
            Some(table) if table.ends_with("_line_items") => true,
            _ => by_rows,
        };
        opened.push((file, partition, hourly, batches));
    }
    let with_daily: BTreeSet<Partition> = opened
        .iter()
        .filter(|(_, _, hourly, _)| !hourly)
        .map(|(_, partition, ..)| partition.clone())
        .collect();

    let mut input = Input::default();
    for (file, partition, hourly, batches) in &opened {
        let daily_is_there = *hourly && with_daily.contains(partition);
        let rows = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)));
        for (number, (batch, row)) in rows.enumerate() {
            let cells = Cells { batch, row, at: Location::object(&*file.key).row(number as u64) };
            let Some(mut millis) = cells.millis("interval_start")? else { continue };
            if oracle.has(Bug::SecondsRounded) {
                millis = (millis + 500).div_euclid(1000) * 1000;
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
                derived: grain == Grain::Derived,
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

/// The same batch with instants as milliseconds, numbers as doubles and all else as plain text.
fn plain(batch: &RecordBatch, at: &Location) -> Result<RecordBatch> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let (to, per_milli) = match column.data_type() {
            DataType::Timestamp(TimeUnit::Millisecond, _) => (DataType::Int64, 1),
            DataType::Timestamp(TimeUnit::Microsecond, _) => (DataType::Int64, 1_000),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => (DataType::Int64, 1_000_000),
            number if number.is_numeric() => (DataType::Float64, 1),
            _ => (DataType::Utf8, 1),
        };
        let mut array = cast(column, &to)
            .map_err(|error| value_error(at.clone().column(field.name().as_str()), error.to_string()))?;
        if let Some(ticks) = array.as_primitive_opt::<Int64Type>() {
            array = Arc::new(ticks.unary::<_, Int64Type>(|tick| tick.div_euclid(per_milli)));
        }
        Ok((field.name().clone(), array, true))
    });
    let columns: Vec<(String, ArrayRef, bool)> = columns.collect::<Result<_>>()?;
    Ok(RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one batch"))
}

/// One row of a plain batch, columns by name; a column that is not there is NULL.
struct Cells<'a> {
    batch: &'a RecordBatch,
    row: usize,
    at: Location,
}

impl Cells<'_> {
    /// The column, where it is there and the row's value is not NULL.
    fn column(&self, name: &str) -> Option<&ArrayRef> {
        self.batch.column_by_name(name).filter(|column| column.is_valid(self.row))
    }

    fn wrong_type(&self, name: &str, column: &ArrayRef) -> Error {
        value_error(self.at.clone().column(name), format!("read as {}", column.data_type()))
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        let Some(column) = self.column(name) else { return Ok(None) };
        let texts = column.as_string_opt::<i32>().ok_or_else(|| self.wrong_type(name, column))?;
        Ok(Some(texts.value(self.row).to_owned()))
    }

    /// In hourly files NaN is what koku writes as NULL (SPEC 1.6); in daily ones nothing but finite numbers counts.
    fn number(&self, name: &str, grain: Grain) -> Result<Option<f64>> {
        let Some(column) = self.column(name) else { return Ok(None) };
        let numbers =
            column.as_primitive_opt::<Float64Type>().ok_or_else(|| self.wrong_type(name, column))?;
        let number = numbers.value(self.row);
        if number.is_nan() && grain != Grain::Daily {
            return Ok(None);
        }
        // Infinity is absurd, so it drops a derived row instead of failing the run.
        let dropped = number == f64::INFINITY && grain == Grain::Derived;
        if !number.is_finite() && !dropped {
            return Err(value_error(self.at.clone().column(name), format!("{number} is no usage")));
        }
        Ok(Some(number))
    }

    fn millis(&self, name: &str) -> Result<Option<i64>> {
        let Some(column) = self.column(name) else { return Ok(None) };
        let millis = column.as_primitive_opt::<Int64Type>().ok_or_else(|| self.wrong_type(name, column))?;
        Ok(Some(millis.value(self.row)))
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
