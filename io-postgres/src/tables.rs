//! Table names, and what each written column is in PostgreSQL.

use std::sync::LazyLock;

use arrow::datatypes::DataType;
use daysum_core::{Error, Result, rows};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, GenericClient};

use crate::error::during;
use crate::ident::Schema;
use crate::ledger::EPOCH_SQL;

pub(crate) const SUMMARY: &str = "reporting_ocpusagelineitem_daily_summary";
pub(crate) const PERIODS: &str = "reporting_ocpusagereportperiod";
pub(crate) const TAG_KEYS: &str = "reporting_enabledtagkeys";
pub(crate) const CATEGORIES: &str = "reporting_ocp_cost_category";
pub(crate) const CATEGORY_NAMESPACES: &str = "reporting_ocp_cost_category_namespace";
pub(crate) const CLUSTERS: &str = "reporting_ocp_clusters";
pub(crate) const NODES: &str = "reporting_ocp_nodes";
pub(crate) const VOLUMES: &str = "reporting_ocp_pvcs";
pub(crate) const PROJECTS: &str = "reporting_ocp_projects";
pub(crate) const LEDGER: &str = "daysum_ledger";
pub(crate) const SEEN: &str = "daysum_seen";
pub(crate) const QUARANTINE: &str = "daysum_quarantine";
/// koku's tracking table: a row in it makes a partition.
pub(crate) const PARTITIONS: &str = "partitioned_tables";

/// A column type, as far as its binary form and its limit go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Date,
    Varchar(usize),
    Jsonb,
    Numeric,
    Uuid,
}

impl Kind {
    /// As `format_type` prints it.
    pub(crate) fn sql(self) -> String {
        match self {
            Self::Integer => "integer".to_owned(),
            Self::Date => "date".to_owned(),
            Self::Varchar(limit) => format!("character varying({limit})"),
            Self::Jsonb => "jsonb".to_owned(),
            Self::Numeric => "numeric(33,15)".to_owned(),
            Self::Uuid => "uuid".to_owned(),
        }
    }
}

/// The 36 columns of [`rows::schema`], in its order; with `uuid` in front they are the 37 that are copied.
pub(crate) fn written() -> &'static [(String, Kind)] {
    static COLUMNS: LazyLock<Vec<(String, Kind)>> = LazyLock::new(|| {
        rows::schema()
            .fields()
            .iter()
            .map(|field| (field.name().clone(), kind(field.name(), field.data_type())))
            .collect()
    });
    &COLUMNS
}

fn kind(name: &str, logical: &DataType) -> Kind {
    match (logical, name) {
        (DataType::Int32, _) => Kind::Integer,
        (DataType::Date32, _) => Kind::Date,
        (DataType::Float64, _) => Kind::Numeric,
        (_, "source_uuid") => Kind::Uuid,
        (_, "pod_labels" | "volume_labels" | "all_labels" | "infrastructure_usage_cost") => Kind::Jsonb,
        (_, "cluster_id") => Kind::Varchar(50),
        (_, "cluster_alias") => Kind::Varchar(256),
        (_, "data_source") => Kind::Varchar(64),
        _ => Kind::Varchar(253),
    }
}

/// The quoted columns of the COPY, uuid first.
pub(crate) fn copied_columns() -> String {
    written().iter().fold("\"uuid\"".to_owned(), |list, (name, _)| format!("{list}, \"{name}\""))
}

/// Rows of a day that this program replaces: SPEC 2.12, restricted to the day. $1 is the period, $2 the day.
pub(crate) fn replaced() -> String {
    format!(
        "usage_start = {EPOCH_SQL} + $2::int4 AND report_period_id = $1 \
         AND (infrastructure_raw_cost IS NULL OR infrastructure_raw_cost = 0)"
    )
}

/// Those of them that a cost model has not added.
pub(crate) const SUMMARISED: &str = "cost_model_rate_type IS NULL AND monthly_cost_type IS NULL";

/// Whether the schema has a table of this name.
pub(crate) async fn table_exists(
    client: &impl GenericClient,
    schema: &Schema,
    table: &str,
) -> Result<bool, tokio_postgres::Error> {
    let found = client
        .query_typed_one(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c \
                            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                            WHERE n.nspname = $1 AND c.relname = $2)",
            &[(&schema.name(), Type::TEXT), (&table, Type::TEXT)],
        )
        .await?;
    Ok(found.get(0))
}

/// Whether a table of daysum's own is there, whatever the privileges on it. A missing schema is an error.
pub(crate) async fn own_table_exists(client: &Client, schema: &Schema, table: &str) -> Result<bool> {
    let found = client
        .query_typed_opt(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c \
                            WHERE c.relnamespace = n.oid AND c.relname = $2) \
             FROM pg_catalog.pg_namespace n WHERE n.nspname = $1",
            &[(&schema.name(), Type::TEXT), (&table, Type::TEXT)],
        )
        .await
        .map_err(during(&format!("look for {table}")))?;
    match found {
        Some(row) => Ok(row.get(0)),
        None => Err(missing_schema(schema)),
    }
}

pub(crate) fn missing_schema(schema: &Schema) -> Error {
    Error::Config {
        reason: format!(
            "the database has no schema {schema}; check --schema, or create it with `daysum db init --schema {schema}`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spec_3_1_has_37_written_columns_of_which_18_are_numeric() {
        assert_eq!(copied_columns().split(", ").count(), 37);
        let count = |wanted: fn(Kind) -> bool| written().iter().filter(|(_, kind)| wanted(*kind)).count();
        assert_eq!(count(|kind| kind == Kind::Numeric), 18);
        assert_eq!(count(|kind| kind == Kind::Jsonb), 4);
        assert_eq!(count(|kind| kind == Kind::Varchar(253)), 6);
    }
}
