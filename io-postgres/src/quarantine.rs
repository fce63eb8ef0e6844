//! The quarantine, in a table of the tenant's schema.

use daysum_core::port::{Quarantine, QuarantineEntry};
use daysum_core::{BoxFuture, Day, Result};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use crate::config::PostgresConfig;
use crate::error::{during, printable};
use crate::ident::Schema;
use crate::locks::make_table;
use crate::session::Session;
use crate::tables::{QUARANTINE, own_table_exists};

pub(crate) fn create(schema: &Schema) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {} (
            source_uuid text NOT NULL,
            object text NOT NULL,
            version text,
            code text NOT NULL,
            reason text NOT NULL,
            days integer[] NOT NULL,
            run text NOT NULL,
            attempts integer NOT NULL DEFAULT 1,
            first_seen_at timestamptz NOT NULL DEFAULT now(),
            last_seen_at timestamptz NOT NULL DEFAULT now(),
            UNIQUE NULLS NOT DISTINCT (source_uuid, object, version)
        )",
        schema.table(QUARANTINE)
    )
}

/// Entries in `daysum_quarantine`; `days` counts from 1970-01-01. The table is made when it is first needed. Every method
/// is one statement, whose repetition does no harm.
#[derive(Debug)]
pub struct PostgresQuarantine {
    session: Session,
    schema: Schema,
}

impl PostgresQuarantine {
    /// A quarantine that connects when it is first used.
    pub fn new(config: PostgresConfig, schema: Schema) -> Self {
        Self { session: Session::new(config), schema }
    }
}

async fn exists(client: &Client, schema: &Schema) -> Result<bool> {
    own_table_exists(client, schema, QUARANTINE).await
}

impl Quarantine for PostgresQuarantine {
    fn put<'a>(&'a mut self, entry: &'a QuarantineEntry) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let (schema, timeouts) = (&self.schema, self.session.config.timeouts.clone());
            let sql = format!(
                "INSERT INTO {} AS entry (source_uuid, object, version, code, reason, days, run) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7) \
                 ON CONFLICT (source_uuid, object, version) DO UPDATE SET \
                    code = excluded.code, reason = excluded.reason, days = excluded.days, run = excluded.run, \
                    attempts = entry.attempts + 1, last_seen_at = now()",
                schema.table(QUARANTINE)
            );
            let days: Vec<i32> = entry.days.iter().map(|day| day.0).collect();
            // A reason may quote the bytes it complains about, and PostgreSQL stores no NUL.
            let reason =
                if entry.reason.contains('\0') { printable(&entry.reason) } else { entry.reason.clone() };
            let values: [(&(dyn ToSql + Sync), Type); 7] = [
                (&entry.source_uuid, Type::TEXT),
                (&entry.object, Type::TEXT),
                (&entry.version, Type::TEXT),
                (&entry.code, Type::TEXT),
                (&reason, Type::TEXT),
                (&days, Type::INT4_ARRAY),
                (&entry.run, Type::TEXT),
            ];
            let operation = "put into quarantine";
            let put = async |client: &mut Client| {
                if !exists(client, schema).await? {
                    let make = create(schema);
                    make_table(client, schema, &timeouts, "create the quarantine", &make).await?;
                }
                client.execute_typed(&sql, &values).await.map(drop).map_err(during(operation))
            };
            self.session.ask(operation, put).await
        })
    }

    fn list<'a>(&'a mut self, source_uuid: &'a str) -> BoxFuture<'a, Result<Vec<QuarantineEntry>>> {
        Box::pin(async move {
            let schema = &self.schema;
            let sql = format!(
                "SELECT source_uuid, object, version, code, reason, days, run FROM {} WHERE source_uuid = $1 \
                 ORDER BY object COLLATE \"C\", version COLLATE \"C\" NULLS FIRST",
                schema.table(QUARANTINE)
            );
            let operation = "list the quarantine";
            let list = async |client: &mut Client| {
                if !exists(client, schema).await? {
                    return Ok(Vec::new());
                }
                client.query_typed(&sql, &[(&source_uuid, Type::TEXT)]).await.map_err(during(operation))
            };
            let rows = self.session.ask(operation, list).await?;
            let entry = |row: &Row| QuarantineEntry {
                source_uuid: row.get(0),
                object: row.get(1),
                version: row.get(2),
                code: row.get(3),
                reason: row.get(4),
                days: row.get::<_, Vec<i32>>(5).into_iter().map(Day).collect(),
                run: row.get(6),
            };
            Ok(rows.iter().map(entry).collect())
        })
    }

    fn remove<'a>(&'a mut self, source_uuid: &'a str, object: &'a str) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            let schema = &self.schema;
            let sql =
                format!("DELETE FROM {} WHERE source_uuid = $1 AND object = $2", schema.table(QUARANTINE));
            let operation = "remove from quarantine";
            let remove = async |client: &mut Client| {
                if !exists(client, schema).await? {
                    return Ok(0);
                }
                let values: [(&(dyn ToSql + Sync), Type); 2] =
                    [(&source_uuid, Type::TEXT), (&object, Type::TEXT)];
                client.execute_typed(&sql, &values).await.map_err(during(operation))
            };
            self.session.ask(operation, remove).await
        })
    }
}
