//! What a schema lacks, found out before anything is deleted from it.

use std::collections::BTreeMap;
use std::fmt;

use daysum_core::Result;
use serde::Serialize;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::error::{PostgresError, during, refused};
use crate::ident::Schema;
use crate::init::STANDALONE;
use crate::tables::{self, LEDGER, PARTITIONS, QUARANTINE, SEEN, SUMMARY, missing_schema, written};

/// Whether a problem keeps days from being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing can be written, or a lookup fails.
    Error,
    /// Something optional is missing.
    Warning,
}

/// One thing that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The server, the schema, a table, or a table and its column.
    pub object: String,
    /// What is wrong with it.
    pub found: String,
    /// What to do about it.
    pub next_step: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.object, self.found, self.next_step)
    }
}

impl Problem {
    fn error(object: impl Into<String>, found: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            object: object.into(),
            found: found.into(),
            next_step: next_step.into(),
        }
    }

    fn warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }
}

/// Everything that keeps days from being written becomes one error.
pub(crate) async fn target(client: &Client, schema: &Schema) -> Result<()> {
    let catalog = Catalog::read(client, schema).await?;
    let mut problems = catalog.server();
    problems.extend(catalog.summary());
    problems.extend(catalog.own(LEDGER));
    problems.retain(|problem| problem.severity == Severity::Error);
    if problems.is_empty() {
        return Ok(());
    }
    Err(refused("check the tables", false, PostgresError::NotReady(problems)))
}

/// Everything that is missing or wrong, lookups and options included.
pub(crate) async fn everything(client: &Client, schema: &Schema) -> Result<Vec<Problem>> {
    let catalog = Catalog::read(client, schema).await?;
    let mut problems = catalog.server();
    problems.extend(catalog.summary());
    problems.extend(catalog.own(LEDGER));
    problems.extend(catalog.own(SEEN));
    problems.extend(catalog.own(QUARANTINE));
    for (table, columns) in LOOKUPS {
        problems.extend(catalog.readable(table, columns));
    }
    problems.extend(catalog.writable(tables::PERIODS, &["INSERT", "UPDATE"]));
    for (table, columns) in REGISTRY {
        problems.extend(catalog.readable(table, columns).into_iter().map(Problem::warning));
    }
    for (table, privileges) in REGISTERED {
        problems.extend(catalog.writable(table, privileges));
    }
    Ok(problems)
}

/// Tables that a run reads, with the columns that it reads.
const LOOKUPS: [(&str, &[&str]); 4] = [
    (tables::TAG_KEYS, &["key", "enabled", "provider_type"]),
    (tables::CATEGORY_NAMESPACES, &["namespace", "cost_category_id"]),
    (tables::NODES, &["node", "resource_id", "node_role"]),
    (tables::PERIODS, &["id", "cluster_id", "cluster_alias", "report_period_start", "provider_id"]),
];

/// Tables that only the registry option touches.
const REGISTRY: [(&str, &[&str]); 3] = [
    (tables::CLUSTERS, &["uuid", "cluster_id", "cluster_alias", "provider_id"]),
    (
        tables::VOLUMES,
        &["uuid", "persistent_volume", "persistent_volume_claim", "csi_volume_handle", "cluster_id"],
    ),
    (tables::PROJECTS, &["uuid", "project", "cluster_id"]),
];

/// What the registry option does with its tables, nodes among them.
const REGISTERED: [(&str, &[&str]); 4] = [
    (tables::CLUSTERS, &["INSERT", "UPDATE", "DELETE"]),
    (tables::NODES, &["INSERT", "UPDATE", "DELETE"]),
    (tables::VOLUMES, &["INSERT", "UPDATE", "DELETE"]),
    (tables::PROJECTS, &["INSERT", "DELETE"]),
];

const INIT: &str = "create it with `daysum db init`, or let koku's migrations run";

struct Column {
    sql_type: String,
    /// Refuses NULL and fills nothing in by itself.
    demands_value: bool,
}

struct Table {
    columns: BTreeMap<String, Column>,
    partitioned: bool,
    owned: bool,
    /// SELECT, INSERT, UPDATE, DELETE.
    allowed: [bool; 4],
}

/// What the server's catalogue says about one schema.
struct Catalog<'a> {
    schema: &'a Schema,
    version: i32,
    read_only: bool,
    replica: bool,
    may_use: bool,
    may_create: bool,
    tables: BTreeMap<String, Table>,
}

impl<'a> Catalog<'a> {
    async fn read(client: &Client, schema: &'a Schema) -> Result<Self> {
        let during = during("check the tables");
        let general = client
            .query_typed_opt(
                "SELECT current_setting('server_version_num')::int4, \
                        current_setting('transaction_read_only') = 'on', pg_catalog.pg_is_in_recovery(), \
                        has_schema_privilege(oid, 'USAGE'), has_schema_privilege(oid, 'CREATE') \
                 FROM pg_catalog.pg_namespace WHERE nspname = $1",
                &[(&schema.name(), Type::TEXT)],
            )
            .await
            .map_err(&during)?
            .ok_or_else(|| missing_schema(schema))?;
        let found = client
            .query_typed(
                "SELECT c.relname::text, c.relkind = 'p', pg_has_role(c.relowner, 'USAGE'), \
                        has_table_privilege(c.oid, 'SELECT'), has_table_privilege(c.oid, 'INSERT'), \
                        has_table_privilege(c.oid, 'UPDATE'), has_table_privilege(c.oid, 'DELETE'), \
                        a.attname::text, replace(pg_catalog.format_type(a.atttypid, a.atttypmod), '\"', ''), \
                        a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = '' \
                 FROM pg_catalog.pg_class c \
                 JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
                 WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname = ANY ($2)",
                &[(&schema.name(), Type::TEXT), (&known_tables(), Type::TEXT_ARRAY)],
            )
            .await
            .map_err(&during)?;
        let mut tables = BTreeMap::new();
        for row in &found {
            let table = tables.entry(row.get(0)).or_insert_with(|| Table {
                columns: BTreeMap::new(),
                partitioned: row.get(1),
                owned: row.get(2),
                allowed: [row.get(3), row.get(4), row.get(5), row.get(6)],
            });
            let column = Column { sql_type: row.get(8), demands_value: row.get(9) };
            table.columns.insert(row.get(7), column);
        }
        Ok(Self {
            schema,
            version: general.get(0),
            read_only: general.get(1),
            replica: general.get(2),
            may_use: general.get(3),
            may_create: general.get(4),
            tables,
        })
    }

    fn server(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.replica {
            problems.push(Problem::error("server", "it is a read-only replica", "connect to the primary"));
        } else if self.read_only {
            problems.push(Problem::error(
                "server",
                "transactions are read-only (default_transaction_read_only)",
                "set it to off for this user or database",
            ));
        }
        if self.version < 150_000 {
            let found =
                format!("version {} is older than 15, the oldest that is tested", self.version / 10_000);
            problems.push(Problem::error("server", found, "upgrade PostgreSQL").warning());
        }
        if !self.may_use {
            let next_step = format!("GRANT USAGE ON SCHEMA {} to this user", self.schema.quoted());
            problems.push(Problem::error(
                format!("schema {}", self.schema),
                "this user may not use it",
                next_step,
            ));
        }
        problems
    }

    fn summary(&self) -> Vec<Problem> {
        let tracking = self.tables.get(PARTITIONS);
        let Some(table) = self.tables.get(SUMMARY) else {
            return vec![Problem::error(SUMMARY, "the table is missing", INIT)];
        };
        let mut problems = self.privileges(SUMMARY, table, &["SELECT", "INSERT", "DELETE"]);
        if let Some(tracking) = tracking {
            // Only a month without partition needs it.
            let lacking = self.privileges(PARTITIONS, tracking, &["SELECT", "INSERT"]);
            problems.extend(lacking.into_iter().map(Problem::warning));
        }
        let mut demand = |name: &str, sql_type: &str| {
            let object = format!("{SUMMARY}.{name}");
            match table.columns.get(name) {
                None => problems.push(Problem::error(
                    object,
                    "the column is missing",
                    "add it as koku's migrations do",
                )),
                Some(column) if !holds(&column.sql_type, sql_type) => problems.push(Problem::error(
                    object,
                    format!("its type is {}", column.sql_type),
                    format!("change it to {sql_type}"),
                )),
                Some(_) => {}
            }
        };
        demand("uuid", "uuid");
        for (name, kind) in written() {
            demand(name, &kind.sql());
        }
        demand("infrastructure_raw_cost", "numeric(33,15)");
        demand("cost_model_rate_type", "text");
        demand("monthly_cost_type", "text");
        for (name, column) in &table.columns {
            let ours = name == "uuid" || written().iter().any(|(written, _)| written == name);
            if column.demands_value && !ours {
                problems.push(Problem::error(
                    format!("{SUMMARY}.{name}"),
                    "the column is NOT NULL, has no default, and daysum does not write it",
                    "give it a default, or use a daysum that knows it",
                ));
            }
        }
        if table.partitioned && tracking.is_none() && !(table.owned && self.may_create) {
            problems.push(
                Problem::error(
                    SUMMARY,
                    "this user does not own it, so a month without partition cannot be given one",
                    "make the partitions beforehand, or run as the owner",
                )
                .warning(),
            );
        }
        problems
    }

    /// daysum's own table: made when it is missing, so the right to make it is enough.
    fn own(&self, name: &str) -> Vec<Problem> {
        match self.tables.get(name) {
            Some(table) => self.privileges(name, table, &["SELECT", "INSERT", "UPDATE", "DELETE"]),
            None if self.may_create => Vec::new(),
            None => {
                let next_step = format!(
                    "run `daysum db init` as the owner, or GRANT CREATE ON SCHEMA {}",
                    self.schema.quoted()
                );
                vec![Problem::error(name, "the table is missing and this user may not create it", next_step)]
            }
        }
    }

    fn readable(&self, name: &str, columns: &[&str]) -> Vec<Problem> {
        let Some(table) = self.tables.get(name) else {
            return vec![Problem::error(name, "the table is missing", INIT)];
        };
        let mut problems = self.privileges(name, table, &["SELECT"]);
        for column in columns.iter().filter(|column| !table.columns.contains_key(**column)) {
            problems.push(Problem::error(
                format!("{name}.{column}"),
                "the column is missing",
                "add it as koku's migrations do",
            ));
        }
        problems
    }

    /// What some runs write, and others have no need to: those of the registry, and the first of a month that has no
    /// report period yet.
    fn writable(&self, name: &str, privileges: &[&str]) -> Vec<Problem> {
        let Some(table) = self.tables.get(name) else { return Vec::new() };
        self.privileges(name, table, privileges).into_iter().map(Problem::warning).collect()
    }

    fn privileges(&self, name: &str, table: &Table, needed: &[&str]) -> Vec<Problem> {
        ["SELECT", "INSERT", "UPDATE", "DELETE"]
            .into_iter()
            .zip(table.allowed)
            .filter(|(privilege, allowed)| !allowed && needed.contains(privilege))
            .map(|(privilege, _)| {
                Problem::error(
                    name,
                    format!("this user lacks the privilege {privilege}"),
                    format!("GRANT {privilege} ON {} to it", self.schema.table(name)),
                )
            })
            .collect()
    }
}

fn known_tables() -> Vec<&'static str> {
    STANDALONE.iter().map(|(table, _)| *table).chain([LEDGER, SEEN, QUARANTINE, PARTITIONS]).collect()
}

/// Whether a column of one type takes everything that the other holds, in the same binary form.
fn holds(found: &str, needed: &str) -> bool {
    let limit = |text: &str| text.strip_prefix("character varying(")?.strip_suffix(')')?.parse::<u32>().ok();
    match limit(needed) {
        Some(needed) => {
            matches!(found, "text" | "character varying") || limit(found).is_some_and(|found| found >= needed)
        }
        None if needed == "text" => found == "text" || found.starts_with("character varying"),
        None if needed.starts_with("numeric") => found == needed || found == "numeric",
        None => found == needed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_may_be_wider_and_never_narrower() {
        for (found, needed, fits) in [
            ("character varying(253)", "character varying(253)", true),
            ("character varying(256)", "character varying(253)", true),
            ("character varying(50)", "character varying(253)", false),
            ("text", "character varying(253)", true),
            ("numeric(33,15)", "numeric(33,15)", true),
            ("numeric", "numeric(33,15)", true),
            ("numeric(24,6)", "numeric(33,15)", false),
            ("double precision", "numeric(33,15)", false),
            ("json", "jsonb", false),
            ("bigint", "integer", false),
        ] {
            assert_eq!(holds(found, needed), fits, "{found} for {needed}");
        }
    }
}
