//! What a publication would change: rows of the table against rows just computed.
//!
//! Finished rows have no natural key (SPEC 2.7: several may be equal but for their uuid), so both sides are bags.
//! What is in both cancels out; of the rest, rows with equal names are paired as changed.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Float64Type, Int32Type};
use daysum_core::{Day, Error, Location, Result};
use serde::Serialize;

use crate::copy::Bound;
use crate::numeric::{NumericMode, Scaled, scaled};
use crate::read::{Stored, StoredDay};
use crate::tables::{Kind, written};

/// What publishing would change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DayDiff {
    /// Rows that stay as they are.
    pub unchanged: u64,
    /// Rows that only the computation has.
    pub added: Vec<RowKey>,
    /// Rows that only the table has.
    pub removed: Vec<RowKey>,
    /// Rows that both have, with other values.
    pub changed: Vec<ChangedRow>,
    /// Rows of the day and period that cost models or others added, and that a publication would delete.
    pub added_by_cost_models: u64,
}

impl DayDiff {
    /// Whether publishing would change nothing.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// The names a row is found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RowKey(
    /// Column and value, in column order; NULL is `None`.
    pub BTreeMap<String, Option<String>>,
);

/// A row whose names are the same and whose values are not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedRow {
    /// Which row.
    pub row: RowKey,
    /// What differs.
    pub columns: Vec<ChangedColumn>,
}

/// One value before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedColumn {
    /// The column.
    pub column: String,
    /// In the table.
    pub stored: Option<String>,
    /// Computed.
    pub computed: Option<String>,
}

/// The columns of a [`RowKey`].
const KEY: [&str; 9] = [
    "data_source",
    "namespace",
    "node",
    "resource_id",
    "persistentvolumeclaim",
    "persistentvolume",
    "storageclass",
    "pod_labels",
    "volume_labels",
];

type Values = Vec<Option<String>>;

pub(crate) fn compare(stored: &StoredDay, computed: &[RecordBatch], mode: NumericMode) -> Result<DayDiff> {
    let mut bag: BTreeMap<Values, i64> = BTreeMap::new();
    for row in 0..stored.rows {
        *bag.entry(stored_values(stored, row)).or_default() += 1;
    }
    let mut diff = DayDiff { added_by_cost_models: stored.added_by_cost_models, ..DayDiff::default() };
    let mut added: BTreeMap<Values, Vec<Values>> = BTreeMap::new();
    for batch in computed {
        Bound::new(batch, Day(0))?; // the schema, not the day
        for row in 0..batch.num_rows() {
            let values = computed_values(batch, row, mode)?;
            match bag.get_mut(&values) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    diff.unchanged += 1;
                }
                _ => added.entry(key(&values)).or_default().push(values),
            }
        }
    }
    for (values, left) in bag {
        for _ in 0..left {
            let key = key(&values);
            match added.get_mut(&key).and_then(Vec::pop) {
                Some(other) => {
                    diff.changed.push(ChangedRow { row: named(&key), columns: differing(&values, &other) })
                }
                None => diff.removed.push(named(&key)),
            }
        }
    }
    for (key, rows) in added {
        diff.added.extend(rows.iter().map(|_| named(&key)));
    }
    Ok(diff)
}

fn key(values: &Values) -> Values {
    written()
        .iter()
        .zip(values)
        .filter(|((name, _), _)| KEY.contains(&name.as_str()))
        .map(|(_, value)| value.clone())
        .collect()
}

fn named(key: &Values) -> RowKey {
    let names = written().iter().map(|(name, _)| name).filter(|name| KEY.contains(&name.as_str()));
    RowKey(names.cloned().zip(key.iter().cloned()).collect())
}

fn differing(stored: &Values, computed: &Values) -> Vec<ChangedColumn> {
    written()
        .iter()
        .zip(stored.iter().zip(computed))
        .filter(|(_, (stored, computed))| stored != computed)
        .map(|((name, _), (stored, computed))| ChangedColumn {
            column: name.clone(),
            stored: stored.clone(),
            computed: computed.clone(),
        })
        .collect()
}

fn stored_values(day: &StoredDay, row: usize) -> Values {
    day.columns
        .iter()
        .zip(written())
        .map(|(column, (_, kind))| match column {
            Stored::Integer(values) => values[row].map(|value| value.to_string()),
            Stored::Date(values) => values[row].map(|value| Day(value).to_string()),
            Stored::Numeric(values) => values[row].map(Scaled::text),
            Stored::Text(values) => values[row].as_deref().map(|text| canonical(text, *kind)),
        })
        .collect()
}

fn computed_values(batch: &RecordBatch, row: usize, mode: NumericMode) -> Result<Values> {
    let value = |(column, (name, kind)): (&arrow::array::ArrayRef, &(String, Kind))| {
        if column.is_null(row) {
            return Ok(None);
        }
        Ok(Some(match kind {
            Kind::Integer => column.as_primitive::<Int32Type>().value(row).to_string(),
            Kind::Date => Day(column.as_primitive::<Date32Type>().value(row)).to_string(),
            Kind::Numeric => {
                let value = column.as_primitive::<Float64Type>().value(row);
                let scaled = scaled(value, mode).map_err(|error| Error::Value {
                    at: Box::new(
                        Location::object("computed summary row").row(row as u64).column(name.as_str()),
                    ),
                    reason: format!("{value:?} {}", error.reason()),
                })?;
                Scaled(scaled).text()
            }
            Kind::Varchar(_) | Kind::Jsonb | Kind::Uuid => {
                canonical(column.as_string::<i32>().value(row), *kind)
            }
        }))
    };
    batch.columns().iter().zip(written()).map(value).collect()
}

/// One spelling for equal JSON: sorted keys, no spaces, numbers by value.
fn canonical(text: &str, kind: Kind) -> String {
    match kind {
        Kind::Jsonb => serde_json::from_str::<serde_json::Value>(text)
            .map_or_else(|_| text.to_owned(), |value| value.to_string()),
        Kind::Uuid => text.to_ascii_lowercase(),
        _ => text.to_owned(),
    }
}
