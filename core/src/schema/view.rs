//! One struct of typed columns per table.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::error::ArrowError;

use super::column::{InstantColumn, NumberColumn, TextColumn};
use super::{Column, Content, FactKind};
use crate::error::{Error, Location, Result};

/// A column that koku always writes.
const fn usual(name: &'static str, content: Content) -> Column {
    Column { name, content, usual: true }
}

/// A column that files of older operators or versions of koku lack; nobody is told.
const fn optional(name: &'static str, content: Content) -> Column {
    Column { name, content, usual: false }
}

/// The eight pod metrics, in the order of [`rows::POD_SUMS`](crate::rows::POD_SUMS).
pub const POD_METRICS: [&str; 8] = [
    "pod_usage_cpu_core_seconds",
    "pod_request_cpu_core_seconds",
    "pod_effective_usage_cpu_core_seconds",
    "pod_limit_cpu_core_seconds",
    "pod_usage_memory_byte_seconds",
    "pod_request_memory_byte_seconds",
    "pod_effective_usage_memory_byte_seconds",
    "pod_limit_memory_byte_seconds",
];

/// The four node capacities of a pod row: cores and bytes, then core-seconds and byte-seconds.
pub const CAPACITY_NUMBERS: [&str; 4] = [
    "node_capacity_cpu_cores",
    "node_capacity_memory_bytes",
    "node_capacity_cpu_core_seconds",
    "node_capacity_memory_byte_seconds",
];

/// The three storage sums, in byte-seconds.
pub const STORAGE_SUMS: [&str; 3] = [
    "persistentvolumeclaim_capacity_byte_seconds",
    "volume_request_storage_byte_seconds",
    "persistentvolumeclaim_usage_byte_seconds",
];

pub(super) const POD: &[Column] = &[
    usual("interval_start", Content::Instant),
    usual("namespace", Content::Text),
    usual("node", Content::Text),
    usual("pod", Content::Text),
    optional("resource_id", Content::Text),
    usual("pod_labels", Content::Text),
    usual(POD_METRICS[0], Content::Number),
    usual(POD_METRICS[1], Content::Number),
    optional(POD_METRICS[2], Content::Number),
    usual(POD_METRICS[3], Content::Number),
    usual(POD_METRICS[4], Content::Number),
    usual(POD_METRICS[5], Content::Number),
    optional(POD_METRICS[6], Content::Number),
    usual(POD_METRICS[7], Content::Number),
    usual(CAPACITY_NUMBERS[0], Content::Number),
    usual(CAPACITY_NUMBERS[1], Content::Number),
    usual(CAPACITY_NUMBERS[2], Content::Number),
    usual(CAPACITY_NUMBERS[3], Content::Number),
];

pub(super) const CAPACITY: &[Column] = &[
    usual("interval_start", Content::Instant),
    usual("node", Content::Text),
    usual(CAPACITY_NUMBERS[2], Content::Number),
    usual(CAPACITY_NUMBERS[3], Content::Number),
];

pub(super) const STORAGE: &[Column] = &[
    usual("interval_start", Content::Instant),
    usual("namespace", Content::Text),
    usual("pod", Content::Text),
    usual("persistentvolumeclaim", Content::Text),
    usual("persistentvolume", Content::Text),
    usual("storageclass", Content::Text),
    optional("csi_volume_handle", Content::Text),
    usual("persistentvolume_labels", Content::Text),
    usual("persistentvolumeclaim_labels", Content::Text),
    usual("persistentvolumeclaim_capacity_bytes", Content::Number),
    usual(STORAGE_SUMS[0], Content::Number),
    usual(STORAGE_SUMS[1], Content::Number),
    usual(STORAGE_SUMS[2], Content::Number),
];

pub(super) const NODE_LABELS: &[Column] = &[
    usual("interval_start", Content::Instant),
    usual("node", Content::Text),
    usual("node_labels", Content::Text),
];

pub(super) const NAMESPACE_LABELS: &[Column] = &[
    usual("interval_start", Content::Instant),
    usual("namespace", Content::Text),
    usual("namespace_labels", Content::Text),
];

/// A batch of rows of some table, bound to typed columns.
#[derive(Debug, Clone)]
pub enum FactView {
    /// Pod usage, or its capacity columns only.
    Pod(Box<PodView>),
    /// Storage usage.
    Storage(Box<StorageView>),
    /// Node or namespace labels.
    Labels(Box<LabelsView>),
}

/// Pod usage rows.
#[derive(Debug, Clone)]
pub struct PodView {
    /// Start of the interval.
    pub interval_start: InstantColumn,
    /// Namespace.
    pub namespace: TextColumn,
    /// Node.
    pub node: TextColumn,
    /// Pod.
    pub pod: TextColumn,
    /// Resource id of the node.
    pub resource_id: TextColumn,
    /// Label text.
    pub labels: TextColumn,
    /// The metrics of [`POD_METRICS`].
    pub metrics: [NumberColumn; 8],
    /// The capacities of [`CAPACITY_NUMBERS`].
    pub capacity: [NumberColumn; 4],
}

/// Storage usage rows.
#[derive(Debug, Clone)]
pub struct StorageView {
    /// Start of the interval.
    pub interval_start: InstantColumn,
    /// Namespace, pod, claim, volume, class, handle.
    pub identity: [TextColumn; 6],
    /// Volume labels, then claim labels.
    pub labels: [TextColumn; 2],
    /// Size of the claim in bytes.
    pub capacity_bytes: NumberColumn,
    /// The sums of [`STORAGE_SUMS`].
    pub sums: [NumberColumn; 3],
}

/// Label rows of nodes or namespaces.
#[derive(Debug, Clone)]
pub struct LabelsView {
    /// Start of the interval.
    pub interval_start: InstantColumn,
    /// The node or namespace.
    pub owner: TextColumn,
    /// Label text.
    pub labels: TextColumn,
}

impl FactView {
    /// Binds a batch that was read with the columns of `kind`; refuses one that [`FactKind::check`] refuses.
    pub fn bind(kind: FactKind, at: &Location, batch: &RecordBatch) -> Result<Self> {
        kind.check(&at.object, batch.schema_ref())?;
        let columns = Columns { at, batch, kind };
        Ok(match kind {
            FactKind::PodDaily | FactKind::PodHourly | FactKind::PodCapacity => {
                Self::Pod(Box::new(PodView {
                    interval_start: columns.instant("interval_start")?,
                    namespace: columns.text("namespace")?,
                    node: columns.text("node")?,
                    pod: columns.text("pod")?,
                    resource_id: columns.text("resource_id")?,
                    labels: columns.text("pod_labels")?,
                    metrics: columns.numbers(POD_METRICS)?,
                    capacity: columns.numbers(CAPACITY_NUMBERS)?,
                }))
            }
            FactKind::StorageDaily | FactKind::StorageHourly => Self::Storage(Box::new(StorageView {
                interval_start: columns.instant("interval_start")?,
                identity: columns.texts([
                    "namespace",
                    "pod",
                    "persistentvolumeclaim",
                    "persistentvolume",
                    "storageclass",
                    "csi_volume_handle",
                ])?,
                labels: columns.texts(["persistentvolume_labels", "persistentvolumeclaim_labels"])?,
                capacity_bytes: columns.number("persistentvolumeclaim_capacity_bytes")?,
                sums: columns.numbers(STORAGE_SUMS)?,
            })),
            FactKind::NodeLabels => Self::Labels(Box::new(columns.labels("node", "node_labels")?)),
            FactKind::NamespaceLabels => {
                Self::Labels(Box::new(columns.labels("namespace", "namespace_labels")?))
            }
        })
    }

    /// Start of each row's interval.
    pub fn interval_start(&self) -> &InstantColumn {
        match self {
            Self::Pod(view) => &view.interval_start,
            Self::Storage(view) => &view.interval_start,
            Self::Labels(view) => &view.interval_start,
        }
    }
}

struct Columns<'a> {
    at: &'a Location,
    batch: &'a RecordBatch,
    kind: FactKind,
}

impl Columns<'_> {
    fn text(&self, name: &'static str) -> Result<TextColumn> {
        self.bind(name, |array| TextColumn::bind(array, self.batch.num_rows()))
    }

    fn texts<const N: usize>(&self, names: [&'static str; N]) -> Result<[TextColumn; N]> {
        try_map(names, |name| self.text(name))
    }

    fn number(&self, name: &'static str) -> Result<NumberColumn> {
        self.bind(name, NumberColumn::bind)
    }

    fn numbers<const N: usize>(&self, names: [&'static str; N]) -> Result<[NumberColumn; N]> {
        try_map(names, |name| self.number(name))
    }

    fn instant(&self, name: &'static str) -> Result<InstantColumn> {
        self.bind(name, |array| InstantColumn::bind(array, self.batch.num_rows()))
    }

    fn labels(&self, owner: &'static str, labels: &'static str) -> Result<LabelsView> {
        Ok(LabelsView {
            interval_start: self.instant("interval_start")?,
            owner: self.text(owner)?,
            labels: self.text(labels)?,
        })
    }

    fn bind<C>(
        &self,
        name: &'static str,
        bind: impl FnOnce(Option<&ArrayRef>) -> std::result::Result<C, ArrowError>,
    ) -> Result<C> {
        // A column that this kind does not read is absent even if the batch has it.
        let read = self.kind.columns().iter().any(|column| column.name == name);
        bind(self.batch.column_by_name(name).filter(|_| read))
            .map_err(|error| Error::value(self.at.clone().column(name), format!("{error}; correct the file")))
    }
}

fn try_map<const N: usize, C>(
    names: [&'static str; N],
    column: impl FnMut(&'static str) -> Result<C>,
) -> Result<[C; N]> {
    let columns: Vec<C> = names.into_iter().map(column).collect::<Result<_>>()?;
    Ok(columns.try_into().unwrap_or_else(|_| unreachable!("one column per name")))
}
