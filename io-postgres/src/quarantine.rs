//! The quarantine, in a table of the tenant's schema.

use daysum_core::port::{Quarantine, QuarantineEntry};
use daysum_core::{BoxFuture, Day, Result};
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use crate::config::PostgresConfig;
use crate::error::{during, printable};
use crate::ident::Schema;
use crate::locks::make_table;
use crate::session::{Session, retry_after};
use crate::tables::{QUARANTINE, table_exists};

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

/// Entries in `daysum_quarantine`; `days` counts from 1970-01-01. The table is made when it is first needed.
#[derive(Debug)]
pub struct PostgresQuarantine {
    session: Session,
    schema: Schema,
    ready: bool,
}

impl PostgresQuarantine {
    /// A quarantine that connects when it is first used.
    pub fn new(config: PostgresConfig, schema: Schema) -> Self {
        Self { session: Session::new(config), schema, ready: false }
    }

    /// Asks in one attempt; `None` where there is no table.
    async fn ask<T>(
        &mut self,
        operation: &str,
        exchange: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<Option<T>> {
        let Self { session, schema, ready } = self;
        let ask = async |client: &mut Client| {
            if !*ready {
                *ready = table_exists(client, schema, QUARANTINE).await.map_err(during(operation))?;
            }
            if !*ready {
                return Ok(None);
            }
            exchange(client).await.map(Some).map_err(during(operation))
        };
        session.ask_once(operation, ask).await
    }

    async fn create(&mut self) -> Result<()> {
        let (schema, timeouts) = (&self.schema, self.session.config.timeouts.clone());
        let operation = "create the quarantine";
        let make = async |client: &mut Client| {
            make_table(client, schema, &timeouts, operation, &create(schema)).await
        };
        self.session.ask_once(operation, make).await
    }

    async fn put_once(&mut self, entry: &QuarantineEntry) -> Result<()> {
        let sql = format!(
            "INSERT INTO {} AS entry (source_uuid, object, version, code, reason, days, run) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (source_uuid, object, version) DO UPDATE SET \
                code = excluded.code, reason = excluded.reason, days = excluded.days, run = excluded.run, \
                attempts = entry.attempts + 1, last_seen_at = now()",
            self.schema.table(QUARANTINE)
        );
        let days: Vec<i32> = entry.days.iter().map(|day| day.0).collect();
        // A reason may quote the bytes it complains about, and PostgreSQL stores no NUL.
        let reason =
            if entry.reason.contains('\0') { printable(&entry.reason) } else { entry.reason.clone() };
        let operation = "put into quarantine";
        loop {
            let put = async |client: &Client| {
                let values: [(&(dyn ToSql + Sync), Type); 7] = [
                    (&entry.source_uuid, Type::TEXT),
                    (&entry.object, Type::TEXT),
                    (&entry.version, Type::TEXT),
                    (&entry.code, Type::TEXT),
                    (&reason, Type::TEXT),
                    (&days, Type::INT4_ARRAY),
                    (&entry.run, Type::TEXT),
                ];
                client.execute_typed(&sql, &values).await
            };
            if self.ask(operation, put).await?.is_some() {
                return Ok(());
            }
            self.create().await?;
        }
    }

    async fn list_once(&mut self, source_uuid: &str) -> Result<Vec<QuarantineEntry>> {
        let sql = format!(
            "SELECT source_uuid, object, version, code, reason, days, run FROM {} WHERE source_uuid = $1 \
             ORDER BY object COLLATE \"C\", version COLLATE \"C\" NULLS FIRST",
            self.schema.table(QUARANTINE)
        );
        let list = async |client: &Client| client.query_typed(&sql, &[(&source_uuid, Type::TEXT)]).await;
        let rows = self.ask("list the quarantine", list).await?;
        Ok(rows
            .iter()
            .flatten()
            .map(|row| QuarantineEntry {
                source_uuid: row.get(0),
                object: row.get(1),
                version: row.get(2),
                code: row.get(3),
                reason: row.get(4),
                days: row.get::<_, Vec<i32>>(5).into_iter().map(Day).collect(),
                run: row.get(6),
            })
            .collect())
    }

    async fn remove_once(&mut self, source_uuid: &str, object: &str) -> Result<u64> {
        let sql =
            format!("DELETE FROM {} WHERE source_uuid = $1 AND object = $2", self.schema.table(QUARANTINE));
        let remove = async |client: &Client| {
            client.execute_typed(&sql, &[(&source_uuid, Type::TEXT), (&object, Type::TEXT)]).await
        };
        Ok(self.ask("remove from quarantine", remove).await?.unwrap_or_default())
    }
}

/// Repeats one of the methods above: each is a single statement whose repetition does no harm.
macro_rules! with_retries {
    ($self:ident, $attempt:expr) => {
        Box::pin(async move {
            let mut delays = $self.session.config.retry.delays();
            loop {
                match $attempt.await {
                    Ok(done) => return Ok(done),
                    Err(error) => retry_after(error, &mut delays).await?,
                }
            }
        })
    };
}

impl Quarantine for PostgresQuarantine {
    fn put<'a>(&'a mut self, entry: &'a QuarantineEntry) -> BoxFuture<'a, Result<()>> {
        with_retries!(self, self.put_once(entry))
    }

    fn list<'a>(&'a mut self, source_uuid: &'a str) -> BoxFuture<'a, Result<Vec<QuarantineEntry>>> {
        with_retries!(self, self.list_once(source_uuid))
    }

    fn remove<'a>(&'a mut self, source_uuid: &'a str, object: &'a str) -> BoxFuture<'a, Result<u64>> {
        with_retries!(self, self.remove_once(source_uuid, object))
    }
}
