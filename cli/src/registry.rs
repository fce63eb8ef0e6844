//! What the files say of nodes, volumes and namespaces: koku's registry, for databases where koku does not run.
//!
//! ```text
//! planned objects -> the few columns that matter, rows of the range -> Gathered -> Registry (SPEC 3.4, step 4)
//! ```
//!
//! It comes before the summary, so that unallocated capacity finds the roles of the nodes that these very files name.
//! As in koku, a node of which no label row tells is not registered. A file that cannot be read is left out here; the
//! run meets it again, and says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampMillisecondType};
use arrow::error::ArrowError;
use daysum_core::drive::PlannedObject;
use daysum_core::port::Source;
use daysum_core::schema::FactKind;
use daysum_core::{Day, Error, Result};
use daysum_io_postgres::{Cluster, Node, Registry, Volume};
use parquet::DecodeResult;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::push_decoder::ParquetPushDecoderBuilder;

/// Characters of what koku's summary names: a longer one is in no row of it, and too much for a unique index.
const LONGEST_NAME: usize = 253;

const POD: &[&str] =
    &["interval_start", "namespace", "node", "resource_id", "node_capacity_cpu_cores", "node_role"];
const NODE_LABELS: &[&str] = &["interval_start", "node", "node_labels"];
const STORAGE: &[&str] =
    &["interval_start", "persistentvolume", "persistentvolumeclaim", "csi_volume_handle"];

/// Python's spacing is part of koku's test.
const INFRA: &str = "\"node_role_kubernetes_io\": \"infra\"";

/// Reads the registry of these days out of the objects of a plan.
pub(crate) async fn read(
    source: &dyn Source,
    objects: &[PlannedObject],
    days: (Day, Day),
    cluster: Cluster,
) -> Result<Registry> {
    let mut gathered = Gathered::default();
    for object in objects {
        let columns = match object.kind {
            FactKind::PodDaily | FactKind::PodHourly => POD,
            FactKind::StorageDaily | FactKind::StorageHourly => STORAGE,
            FactKind::NodeLabels => NODE_LABELS,
            FactKind::PodCapacity | FactKind::NamespaceLabels => continue,
        };
        match gather(source, object, columns, days, &mut gathered).await {
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => tracing::warn!(%error, "left out of the registry"),
            Ok(()) => {}
        }
    }
    Ok(gathered.finish(cluster))
}

async fn gather(
    source: &dyn Source,
    object: &PlannedObject,
    columns: &[&str],
    days: (Day, Day),
    gathered: &mut Gathered,
) -> Result<()> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Error::port("source", format!("read {}", object.meta.key), false, error.to_string())
    };
    let footer = &object.footer;
    let options = ArrowReaderOptions::new().with_schema(footer.schema().clone());
    let metadata = ArrowReaderMetadata::try_new(Arc::new(footer.metadata()?), options)
        .map_err(|error| unreadable(&error))?;
    let roots = metadata.parquet_schema().root_schema().get_fields();
    let wanted = (0..roots.len()).filter(|root| columns.contains(&roots[*root].name()));
    let projection = ProjectionMask::roots(metadata.parquet_schema(), wanted);
    let mut decoder = ParquetPushDecoderBuilder::new_with_metadata(metadata)
        .with_projection(projection)
        .build()
        .map_err(|error| unreadable(&error))?;
    loop {
        match decoder.try_decode().map_err(|error| unreadable(&error))? {
            DecodeResult::NeedsData(ranges) => {
                let bytes = source.read(&object.meta, &ranges).await?;
                decoder.push_ranges(ranges, bytes).map_err(|error| unreadable(&error))?;
            }
            DecodeResult::Data(batch) => {
                gathered.add(object.kind, &batch, days).map_err(|error| unreadable(&error))?
            }
            DecodeResult::Finished => return Ok(()),
        }
    }
}

/// Distinct things that were seen so far.
#[derive(Debug, Default)]
struct Gathered {
    /// By name and resource id.
    nodes: BTreeMap<(String, Option<String>), NodeFacts>,
    labels: BTreeMap<String, LabelFacts>,
    volumes: BTreeSet<(String, String, Option<String>)>,
    projects: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct NodeFacts {
    role: Option<String>,
    cores: Option<f64>,
    runs_the_api: bool,
}

#[derive(Debug, Default)]
struct LabelFacts {
    infra: bool,
    /// The largest label text, as koku's SQL takes it.
    text: String,
}

impl Gathered {
    fn add(&mut self, kind: FactKind, batch: &RecordBatch, days: (Day, Day)) -> Result<(), ArrowError> {
        let rows = rows_of(batch, days)?;
        match kind {
            FactKind::NodeLabels => self.add_labels(batch, &rows),
            FactKind::StorageDaily | FactKind::StorageHourly => self.add_volumes(batch, &rows),
            _ => self.add_pods(batch, &rows),
        }
    }

    fn add_pods(&mut self, batch: &RecordBatch, rows: &[usize]) -> Result<(), ArrowError> {
        let [namespaces, nodes] = [texts(batch, "namespace")?, texts(batch, "node")?];
        let [resources, roles] = [texts(batch, "resource_id")?, texts(batch, "node_role")?];
        let cores = numbers(batch, "node_capacity_cpu_cores")?;
        for row in rows.iter().copied() {
            let namespace = text(&namespaces, row);
            if let Some(project) = namespace.filter(|project| !self.projects.contains(*project)) {
                self.projects.insert(project.to_owned());
            }
            let Some(node) = text(&nodes, row).filter(|node| !node.is_empty()) else { continue };
            let key = (node.to_owned(), text(&resources, row).map(str::to_owned));
            let facts = self.nodes.entry(key).or_default();
            facts.role = facts.role.take().max(text(&roles, row).map(str::to_owned));
            let cores = cores.as_ref().filter(|cores| cores.is_valid(row)).map(|cores| cores.value(row));
            facts.cores = match (facts.cores, cores) {
                (Some(known), Some(cores)) => Some(known.max(cores)),
                (known, cores) => known.or(cores),
            };
            facts.runs_the_api |= namespace == Some("openshift-kube-apiserver");
        }
        Ok(())
    }

    fn add_labels(&mut self, batch: &RecordBatch, rows: &[usize]) -> Result<(), ArrowError> {
        let [nodes, labels] = [texts(batch, "node")?, texts(batch, "node_labels")?];
        for row in rows.iter().copied() {
            let Some(node) = text(&nodes, row) else { continue };
            let facts = self.labels.entry(node.to_owned()).or_default();
            let Some(labels) = text(&labels, row) else { continue };
            facts.infra |= labels.contains(INFRA);
            if *labels > *facts.text {
                labels.clone_into(&mut facts.text);
            }
        }
        Ok(())
    }

    fn add_volumes(&mut self, batch: &RecordBatch, rows: &[usize]) -> Result<(), ArrowError> {
        let [volumes, claims] = [texts(batch, "persistentvolume")?, texts(batch, "persistentvolumeclaim")?];
        let handles = texts(batch, "csi_volume_handle")?;
        for row in rows.iter().copied() {
            let Some(claim) = text(&claims, row) else { continue };
            let volume = text(&volumes, row).unwrap_or_default().to_owned();
            self.volumes.insert((volume, claim.to_owned(), text(&handles, row).map(str::to_owned)));
        }
        Ok(())
    }

    /// Names that no column of a summary holds and capacities that no node has are left out: the days that they are in are
    /// held back for them where they matter, and the others need the registry.
    fn finish(mut self, cluster: Cluster) -> Registry {
        let holds = |text: &str| !text.contains('\0');
        let names = |text: &str| holds(text) && text.chars().count() <= LONGEST_NAME;
        self.nodes.retain(|(node, resource), facts| {
            let role = facts.role.as_deref().is_none_or(holds);
            names(node) && resource.as_deref().is_none_or(names) && role
        });
        self.volumes.retain(|(volume, claim, handle)| {
            names(volume) && names(claim) && handle.as_deref().is_none_or(holds)
        });
        self.projects.retain(|project| names(project));
        let labels = self.labels;
        let nodes = self.nodes.into_iter().filter_map(|((node, resource_id), facts)| {
            let of_node = labels.get(&node)?;
            let role = facts.role.unwrap_or_else(|| {
                let role = match () {
                    () if facts.runs_the_api => "master",
                    () if of_node.infra => "infra",
                    () => "worker",
                };
                role.to_owned()
            });
            Some(Node {
                architecture: architecture(&of_node.text),
                node,
                resource_id,
                node_capacity_cpu_cores: facts.cores.filter(|cores| cores.abs() < 1e16),
                node_role: Some(role),
            })
        });
        let volumes = self.volumes.into_iter().map(|(persistent_volume, persistent_volume_claim, handle)| {
            Volume { persistent_volume, persistent_volume_claim, csi_volume_handle: handle }
        });
        Registry {
            cluster,
            nodes: nodes.collect(),
            volumes: volumes.collect(),
            projects: self.projects.into_iter().collect(),
        }
    }
}

/// The rows of these days.
fn rows_of(batch: &RecordBatch, days: (Day, Day)) -> Result<Vec<usize>, ArrowError> {
    let Some(start) = batch.column_by_name("interval_start") else { return Ok(Vec::new()) };
    let start = cast(start, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
    let start = start.as_primitive::<TimestampMillisecondType>();
    let wanted = |row: &usize| {
        start.is_valid(*row) && (days.0..=days.1).contains(&Day::from_millis(start.value(*row)))
    };
    Ok((0..batch.num_rows()).filter(wanted).collect())
}

fn architecture(labels: &str) -> Option<String> {
    let labels: BTreeMap<String, serde_json::Value> = serde_json::from_str(labels).ok()?;
    Some(labels.get("kubernetes_io_arch")?.as_str()?.to_lowercase())
}

/// A column as text, whatever the file made of it; `None` where it has none.
fn texts(batch: &RecordBatch, name: &str) -> Result<Option<StringArray>, ArrowError> {
    let column = batch.column_by_name(name).map(|column| cast(column, &DataType::Utf8)).transpose()?;
    Ok(column.map(|column| column.as_string::<i32>().clone()))
}

fn numbers(batch: &RecordBatch, name: &str) -> Result<Option<Float64Array>, ArrowError> {
    let column = batch.column_by_name(name).map(|column| cast(column, &DataType::Float64)).transpose()?;
    Ok(column.map(|column| column.as_primitive::<Float64Type>().clone()))
}

fn text(column: &Option<StringArray>, row: usize) -> Option<&str> {
    column.as_ref().filter(|column| column.is_valid(row)).map(|column| column.value(row))
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, TimestampMillisecondArray};

    use super::*;

    fn batch(columns: &[(&str, &[Option<&str>])]) -> RecordBatch {
        let rows = columns[0].1.len();
        let start: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![0; rows]));
        let texts = columns.iter().map(|(name, values)| {
            let values: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
            (*name, values)
        });
        RecordBatch::try_from_iter(std::iter::once(("interval_start", start)).chain(texts)).expect("columns")
    }

    #[test]
    fn roles_come_from_the_files_and_then_from_what_a_node_does() {
        let mut gathered = Gathered::default();
        let pods = batch(&[
            (
                "node",
                &[
                    Some("told"),
                    Some("told"),
                    Some("blank"),
                    Some("api"),
                    Some("infra"),
                    Some("w"),
                    Some("?"),
                ],
            ),
            ("node_role", &[Some("infra"), Some("worker"), Some(""), None, None, None, None]),
            (
                "namespace",
                &[
                    Some("b"),
                    Some("a"),
                    None,
                    Some("openshift-kube-apiserver"),
                    Some("a"),
                    Some("a"),
                    Some("a"),
                ],
            ),
        ]);
        gathered.add(FactKind::PodDaily, &pods, (Day(0), Day(0))).expect("pods");
        let infra = format!("{{{INFRA}, \"kubernetes_io_arch\": \"ARM64\"}}");
        let labels = batch(&[
            ("node", &[Some("told"), Some("blank"), Some("api"), Some("infra"), Some("infra"), Some("w")]),
            ("node_labels", &[Some("{}"), Some("{}"), Some(&infra), Some("{\"a\":1}"), Some(&infra), None]),
        ]);
        gathered.add(FactKind::NodeLabels, &labels, (Day(0), Day(0))).expect("labels");
        let registry = gathered.finish(Cluster::default());
        let told: Vec<(&str, &str)> = registry
            .nodes
            .iter()
            .map(|node| (node.node.as_str(), node.node_role.as_deref().expect("every node gets one")))
            .collect();
        let expected =
            [("api", "master"), ("blank", ""), ("infra", "infra"), ("told", "worker"), ("w", "worker")];
        assert_eq!(told, expected, "the node without a label row is not registered");
        assert_eq!(registry.projects, ["a", "b", "openshift-kube-apiserver"]);
        let api = registry.nodes.iter().find(|node| node.node == "api").expect("registered");
        assert_eq!(api.architecture.as_deref(), Some("arm64"));

        let mut later = Gathered::default();
        later.add(FactKind::PodDaily, &pods, (Day(1), Day(1))).expect("pods");
        assert!(later.nodes.is_empty(), "rows of other days");
    }
}
