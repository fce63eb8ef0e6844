//! The tables as koku writes them, checked once at the edge; beyond it there are no column names (SPEC 1.3, 1.4).
//!
//! ```text
//! footer --check--> the columns that are there have types that can be read, and none is missing that is needed
//! batch  --bind---> PodView / StorageView / LabelsView: typed columns, whatever the encoding was
//! ```
//!
//! A column that is absent, or of Arrow's null type, reads as NULL (SPEC 1.3); extra columns are not even fetched. Two
//! exceptions: without its time no row counts, and daily rows cannot be derived from hourly ones that lack a column koku
//! always writes, because what is missing would count as 0 (SPEC 1.5).

mod column;
mod convert;
mod view;

use std::fmt;

use arrow::datatypes::{DataType, Schema};
use serde::{Deserialize, Serialize};

pub(crate) use column::NO_ID;
pub use column::{ANOMALY, InstantColumn, KeyedText, NumberColumn, TextColumn};
pub use view::{CAPACITY_NUMBERS, FactView, LabelsView, POD_METRICS, PodView, STORAGE_SUMS, StorageView};

use crate::error::{Error, Location, Result};

/// One of koku's four tables that the daily summary is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// `openshift_storage_usage_line_items`
    StorageUsage,
    /// `openshift_node_labels_line_items`
    NodeLabels,
    /// `openshift_namespace_labels_line_items`
    NamespaceLabels,
    /// `openshift_pod_usage_line_items`
    PodUsage,
}

impl Table {
    /// All four.
    pub const ALL: [Self; 4] = [Self::StorageUsage, Self::NodeLabels, Self::NamespaceLabels, Self::PodUsage];

    /// koku's short name: the `report_type` of object keys (SPEC 1.2).
    pub fn report_type(self) -> &'static str {
        match self {
            Self::PodUsage => "pod_usage",
            Self::StorageUsage => "storage_usage",
            Self::NodeLabels => "node_labels",
            Self::NamespaceLabels => "namespace_labels",
        }
    }

    /// The table whose columns these are: any column that no other table has decides.
    pub fn detect(schema: &Schema) -> Option<Self> {
        let marks: [(Self, &[&str]); 4] = [
            (Self::PodUsage, &POD_METRICS),
            (Self::StorageUsage, &STORAGE_SUMS),
            (Self::NodeLabels, &["node_labels"]),
            (Self::NamespaceLabels, &["namespace_labels"]),
        ];
        let has = |mark: &&str| schema.column_with_name(mark).is_some();
        marks.into_iter().find(|(_, marks)| marks.iter().any(has)).map(|(table, _)| table)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.report_type())
    }
}

/// Whether rows are hourly reports or were already added up per day (SPEC 1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grain {
    /// One row per interval.
    Hourly,
    /// One row per day and payload.
    Daily,
}

impl Grain {
    /// Only hourly files say when an interval ends (SPEC 1.4).
    pub fn detect(schema: &Schema) -> Self {
        if schema.column_with_name("interval_end").is_some() { Self::Hourly } else { Self::Daily }
    }
}

/// What the rows of a file are read for (SPEC 1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactKind {
    /// Daily pod rows: usage and volume matching.
    PodDaily,
    /// Hourly pod rows without daily ones beside them: usage, volume matching and capacity.
    PodHourly,
    /// Hourly pod rows beside daily ones: capacity only.
    PodCapacity,
    /// Daily storage rows.
    StorageDaily,
    /// Hourly storage rows without daily ones beside them.
    StorageHourly,
    /// Node labels of either grain.
    NodeLabels,
    /// Namespace labels of either grain.
    NamespaceLabels,
}

impl FactKind {
    /// How a file of this table and grain is read, given whether the daily form of its table is there too.
    /// `None` where it is not read at all.
    pub fn of(table: Table, grain: Grain, daily_present: bool) -> Option<Self> {
        match (table, grain, daily_present) {
            (Table::PodUsage, Grain::Daily, _) => Some(Self::PodDaily),
            (Table::PodUsage, Grain::Hourly, false) => Some(Self::PodHourly),
            (Table::PodUsage, Grain::Hourly, true) => Some(Self::PodCapacity),
            (_, Grain::Hourly, true) => None,
            (Table::StorageUsage, Grain::Daily, _) => Some(Self::StorageDaily),
            (Table::StorageUsage, Grain::Hourly, false) => Some(Self::StorageHourly),
            (Table::NodeLabels, ..) => Some(Self::NodeLabels),
            (Table::NamespaceLabels, ..) => Some(Self::NamespaceLabels),
        }
    }

    /// The columns that are read: also the projection, so the two cannot disagree.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::PodDaily | Self::PodHourly => view::POD,
            Self::PodCapacity => view::CAPACITY,
            Self::StorageDaily | Self::StorageHourly => view::STORAGE,
            Self::NodeLabels => view::NODE_LABELS,
            Self::NamespaceLabels => view::NAMESPACE_LABELS,
        }
    }

    /// Whether rows are derived into daily ones (SPEC 1.5): missing metrics count as 0, absurd rows are dropped.
    pub fn derives_daily(self) -> bool {
        matches!(self, Self::PodHourly | Self::StorageHourly)
    }

    /// The ways to read a table's rows of the same month that this one rules out: rows are daily, or are hourly and
    /// counted in their place, but not both.
    pub(crate) fn excludes(self) -> &'static [Self] {
        match self {
            Self::PodHourly => &[Self::PodDaily, Self::PodCapacity],
            Self::PodDaily | Self::PodCapacity => &[Self::PodHourly],
            Self::StorageHourly => &[Self::StorageDaily],
            Self::StorageDaily => &[Self::StorageHourly],
            Self::NodeLabels | Self::NamespaceLabels => &[],
        }
    }

    /// Checks a file's schema before any of its data is fetched: types, the time, and for hourly files that stand in for
    /// daily ones (SPEC 1.5) every column that koku always writes.
    pub fn check(self, object: &str, schema: &Schema) -> Result<()> {
        for column in self.columns() {
            let refuse = |found: String| Error::Schema {
                at: Box::new(Location::object(object).column(column.name)),
                expected: column.content.to_string(),
                found,
            };
            match schema.column_with_name(column.name) {
                Some((_, field)) if column.content.reads(field.data_type()) => {}
                Some((_, field)) => return Err(refuse(field.data_type().to_string())),
                None if column.content == Content::Instant || (self.derives_daily() && column.usual) => {
                    return Err(refuse("no such column".to_owned()));
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Columns that koku always writes and this file lacks: their values read as NULL, as in koku's tables.
    pub fn missing(self, schema: &Schema) -> Vec<&'static str> {
        let is_missing = |column: &&Column| column.usual && schema.column_with_name(column.name).is_none();
        self.columns().iter().filter(is_missing).map(|column| column.name).collect()
    }
}

/// A column that a table may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name in the file.
    pub name: &'static str,
    /// What it holds.
    pub content: Content,
    /// Whether koku always writes it; see [`FactKind::check`] for what happens without it.
    pub usual: bool,
}

/// What a column holds, whatever its encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A point in time, UTC.
    Instant,
    /// Identifiers and labels.
    Text,
    /// A metric.
    Number,
}

impl Content {
    /// Whether a column of this type can be read as this content.
    fn reads(self, found: &DataType) -> bool {
        match (self, found) {
            // Rows without any time are of no day; nothing else is missed as much.
            (Self::Instant, DataType::Null) => false,
            (_, DataType::Null) => true,
            (_, DataType::Dictionary(_, value)) => self.reads(value),
            (Self::Instant, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64) => true,
            (Self::Instant | Self::Text, found) if found.is_string() => true,
            (Self::Text, found) => {
                matches!(found, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
            }
            (Self::Number, found) => found.is_numeric(),
            _ => false,
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Instant => "a timestamp",
            Self::Text => "text",
            Self::Number => "numbers",
        })
    }
}
