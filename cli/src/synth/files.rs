//! One file of one table and day, an hour of rows at a time.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::Int32Type;
use daysum_core::{Day, Result};
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::cluster::{Cluster, Volume};
use super::{Shape, refuse};

const HOUR_MILLIS: i64 = 3_600_000;
const GIB: f64 = (1u64 << 30) as f64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Pods,
    Storage,
    NodeLabels,
    NamespaceLabels,
}

impl Table {
    pub(super) const ALL: [Self; 4] = [Self::Pods, Self::Storage, Self::NodeLabels, Self::NamespaceLabels];

    fn name(self) -> &'static str {
        match self {
            Self::Pods => "pod_usage",
            Self::Storage => "storage_usage",
            Self::NodeLabels => "node_labels",
            Self::NamespaceLabels => "namespace_labels",
        }
    }
}

/// Rows and bytes written.
pub(super) fn write_file(
    shape: &Shape,
    cluster: &Cluster,
    day: Day,
    table: Table,
    directory: &Path,
) -> Result<(u64, u64)> {
    let (year, month, _) = day.ymd();
    let name = table.name();
    let folder = directory.join(format!(
        "openshift_{name}_line_items/source={}/year={year}/month={month:02}",
        cluster.source_uuid
    ));
    let path = folder.join(format!("{name}.{day}.0.parquet"));
    std::fs::create_dir_all(&folder).map_err(|error| refuse(&folder, error))?;
    let file = File::create(&path).map_err(|error| refuse(&path, error))?;
    let dictionaries = Dictionaries::new(shape, cluster);
    let mut random = StdRng::seed_from_u64(shape.seed ^ (day.start_millis() as u64) << 3 ^ table as u64);
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(shape.row_group_rows))
        .build();
    // Readers are to find strings, as koku writes them, and not the dictionaries that make writing fast.
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut writer: Option<ArrowWriter<File>> = None;
    let (mut options, mut file) = (Some(options), Some(file));
    let mut rows = 0;
    for hour in 0..24 {
        let batch = match table {
            Table::Pods => pods(cluster, &dictionaries, day, hour, &mut random),
            Table::Storage => storage(cluster, &dictionaries, day, hour, &mut random),
            Table::NodeLabels => {
                let columns = [("node", &dictionaries.nodes), ("node_labels", &dictionaries.node_labels)];
                owners(shape, day, hour, columns)
            }
            Table::NamespaceLabels => {
                let (names, labels) = (&dictionaries.namespaces, &dictionaries.namespace_labels);
                owners(shape, day, hour, [("namespace", names), ("namespace_labels", labels)])
            }
        };
        rows += batch.num_rows() as u64;
        if let (Some(file), Some(options)) = (file.take(), options.take()) {
            writer = Some(
                ArrowWriter::try_new_with_options(file, batch.schema(), options)
                    .map_err(|error| refuse(&path, error))?,
            );
        }
        let writer = writer.as_mut().expect("the first batch has made it");
        writer.write(&batch).map_err(|error| refuse(&path, error))?;
    }
    let writer = writer.expect("a day has hours");
    writer.close().map_err(|error| refuse(&path, error))?;
    let bytes = std::fs::metadata(&path).map_err(|error| refuse(&path, error))?.len();
    Ok((rows, bytes))
}

/// The distinct texts of every column, shared by all batches of a file.
struct Dictionaries {
    namespaces: ArrayRef,
    nodes: ArrayRef,
    resource_ids: ArrayRef,
    pods: ArrayRef,
    labels: ArrayRef,
    node_labels: ArrayRef,
    namespace_labels: ArrayRef,
    claims: ArrayRef,
    volumes: ArrayRef,
    handles: ArrayRef,
    volume_labels: ArrayRef,
    classes: ArrayRef,
}

impl Dictionaries {
    fn new(shape: &Shape, cluster: &Cluster) -> Self {
        let text = |values: Vec<String>| Arc::new(StringArray::from(values)) as ArrayRef;
        let each = |name: &str| (0..cluster.volumes.len()).map(|at| format!("{name}-{at:06}")).collect();
        let node_labels = |at: usize, role: &str| {
            let node = &cluster.nodes[at];
            format!("{{\"kubernetes_io_hostname\": \"{node}\", \"node_role_kubernetes_io\": \"{role}\"}}")
        };
        let namespace_labels = |at: usize, unit: usize| {
            let name = &cluster.namespaces[at];
            format!("{{\"kubernetes_io_metadata_name\": \"{name}\", \"business_unit\": \"bu-{unit}\"}}")
        };
        // Behind the labels of all owners those of the first ones in the afternoon.
        let changed = |owners: usize| 0..owners.min(shape.changes as usize);
        let nodes = 0..cluster.nodes.len();
        let node_labels = nodes
            .clone()
            .map(|at| node_labels(at, cluster.role(at)))
            .chain(changed(nodes.len()).map(|at| node_labels(at, "infra")));
        let namespaces = 0..cluster.namespaces.len();
        let namespace_labels = namespaces
            .clone()
            .map(|at| namespace_labels(at, at % 7))
            .chain(changed(namespaces.len()).map(|at| namespace_labels(at, 7)));
        let volume_labels = (0..cluster.volumes.len())
            .map(|at| format!("{{\"app\": \"data-{}\", \"owner\": \"user{}\"}}", at, at % 40));
        Self {
            namespaces: text(cluster.namespaces.clone()),
            nodes: text(cluster.nodes.clone()),
            resource_ids: text(cluster.resource_ids.clone()),
            pods: text(cluster.pod_names.clone()),
            labels: text(cluster.labels.clone()),
            node_labels: text(node_labels.collect()),
            namespace_labels: text(namespace_labels.collect()),
            claims: text(each("claim")),
            volumes: text(each("pvc")),
            handles: text(each("vol")),
            volume_labels: text(volume_labels.collect()),
            classes: text(["gp3", "io2"].map(str::to_owned).to_vec()),
        }
    }
}

fn column(keys: impl IntoIterator<Item = u32>, values: &ArrayRef) -> ArrayRef {
    let keys = Int32Array::from_iter_values(keys.into_iter().map(|key| key as i32));
    Arc::new(DictionaryArray::<Int32Type>::new(keys, values.clone()))
}

fn numbers(values: impl IntoIterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

/// The four timestamps that every table starts with.
fn instants(day: Day, hour: i64, rows: usize) -> Vec<(&'static str, ArrayRef)> {
    let same = |millis: i64| Arc::new(TimestampMillisecondArray::from_value(millis, rows)) as ArrayRef;
    let start = day.start_millis() + hour * HOUR_MILLIS;
    let month = day.month();
    vec![
        ("report_period_start", same(month.first().start_millis())),
        ("report_period_end", same(month.last().next().start_millis())),
        ("interval_start", same(start)),
        ("interval_end", same(start + HOUR_MILLIS - 1_000)),
    ]
}

fn batch(columns: Vec<(&'static str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
        .expect("all columns have a value for each row")
}

fn pods(cluster: &Cluster, texts: &Dictionaries, day: Day, hour: u32, random: &mut StdRng) -> RecordBatch {
    let alive = |pod: u32| {
        let (first, end) = cluster.pods[pod as usize].hours;
        (first..end).contains(&hour)
    };
    let alive: Vec<u32> = (0..cluster.pods.len() as u32).filter(|pod| alive(*pod)).collect();
    let pod = |at: &u32| &cluster.pods[*at as usize];
    let each = |value: &dyn Fn(&super::cluster::Pod) -> f64| numbers(alive.iter().map(|at| value(pod(at))));
    let usage: Vec<f64> = alive
        .iter()
        .map(|at| (pod(at).cores * 3600.0 * random.random::<f64>() * 1e6).round() / 1e6)
        .collect();
    let memory: Vec<f64> =
        alive.iter().map(|at| (pod(at).gib * GIB * 3600.0 * random.random::<f64>()).round()).collect();
    let cores = |pod: &super::cluster::Pod| pod.cores * 3600.0;
    let bytes = |pod: &super::cluster::Pod| pod.gib * GIB * 3600.0;
    let greater = |used: &[f64], asked: &dyn Fn(&super::cluster::Pod) -> f64| {
        numbers(alive.iter().zip(used).map(|(at, used)| used.max(asked(pod(at)))))
    };
    let mut columns = instants(day, i64::from(hour), alive.len());
    columns.extend([
        ("pod", column(alive.iter().copied(), &texts.pods)),
        ("namespace", column(alive.iter().map(|at| pod(at).namespace), &texts.namespaces)),
        ("node", column(alive.iter().map(|at| pod(at).node), &texts.nodes)),
        ("resource_id", column(alive.iter().map(|at| pod(at).node), &texts.resource_ids)),
        ("pod_usage_cpu_core_seconds", numbers(usage.iter().copied())),
        ("pod_request_cpu_core_seconds", each(&cores)),
        ("pod_limit_cpu_core_seconds", each(&|pod| pod.cores * 7200.0)),
        ("pod_usage_memory_byte_seconds", numbers(memory.iter().copied())),
        ("pod_request_memory_byte_seconds", each(&bytes)),
        ("pod_limit_memory_byte_seconds", each(&|pod| pod.gib * GIB * 7200.0)),
        ("node_capacity_cpu_cores", each(&|_| 64.0)),
        ("node_capacity_cpu_core_seconds", each(&|_| 64.0 * 3600.0)),
        ("node_capacity_memory_bytes", each(&|_| 256.0 * GIB)),
        ("node_capacity_memory_byte_seconds", each(&|_| 256.0 * GIB * 3600.0)),
        ("pod_labels", column(alive.iter().map(|at| pod(at).labels[usize::from(hour >= 12)]), &texts.labels)),
        ("pod_effective_usage_cpu_core_seconds", greater(&usage, &cores)),
        ("pod_effective_usage_memory_byte_seconds", greater(&memory, &bytes)),
    ]);
    batch(columns)
}

fn storage(cluster: &Cluster, texts: &Dictionaries, day: Day, hour: u32, random: &mut StdRng) -> RecordBatch {
    // A volume that two pods mount is reported by each of them.
    let mounts: Vec<(u32, u32)> = (0u32..)
        .zip(&cluster.volumes)
        .flat_map(|(at, Volume { pod, second_pod, .. })| [Some((at, *pod)), second_pod.map(|pod| (at, pod))])
        .flatten()
        .collect();
    let volume = |mount: &(u32, u32)| &cluster.volumes[mount.0 as usize];
    let size = |mount: &(u32, u32)| volume(mount).gib * GIB;
    let of_volume = || mounts.iter().map(|mount| mount.0);
    let namespace = |mount: &(u32, u32)| cluster.pods[mount.1 as usize].namespace;
    let mut columns = instants(day, i64::from(hour), mounts.len());
    let seconds = || numbers(mounts.iter().map(|mount| size(mount) * 3600.0));
    columns.extend([
        ("namespace", column(mounts.iter().map(namespace), &texts.namespaces)),
        ("pod", column(mounts.iter().map(|mount| mount.1), &texts.pods)),
        ("node", column(mounts.iter().map(|mount| cluster.pods[mount.1 as usize].node), &texts.nodes)),
        ("persistentvolumeclaim", column(of_volume(), &texts.claims)),
        ("persistentvolume", column(of_volume(), &texts.volumes)),
        ("storageclass", column(of_volume().map(Cluster::class), &texts.classes)),
        ("csi_volume_handle", column(of_volume(), &texts.handles)),
        ("persistentvolumeclaim_capacity_bytes", numbers(mounts.iter().map(size))),
        ("persistentvolumeclaim_capacity_byte_seconds", seconds()),
        ("volume_request_storage_byte_seconds", seconds()),
        (
            "persistentvolumeclaim_usage_byte_seconds",
            numbers(mounts.iter().map(|mount| (size(mount) * 3600.0 * random.random::<f64>()).round())),
        ),
        ("persistentvolume_labels", column(of_volume(), &texts.volume_labels)),
        ("persistentvolumeclaim_labels", column(of_volume(), &texts.volume_labels)),
    ]);
    batch(columns)
}

/// Label rows: the owners and their labels, each with the name of its column.
fn owners(
    shape: &Shape,
    day: Day,
    hour: u32,
    [owners, labels]: [(&'static str, &ArrayRef); 2],
) -> RecordBatch {
    let all = 0..owners.1.len() as u32;
    let of_hour = |at: u32| if hour >= 12 && at < shape.changes { all.end + at } else { at };
    let mut columns = instants(day, i64::from(hour), owners.1.len());
    columns.push((owners.0, column(all.clone(), owners.1)));
    columns.push((labels.0, column(all.clone().map(of_hour), labels.1)));
    batch(columns)
}
