//! The ledger: one row for each published day, written in the transaction that publishes it.

use daysum_core::port::{InputObject, Published, RunId, WriteScope};
use daysum_core::{Day, Result};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Transaction};
use uuid::Uuid;

use crate::error::{PostgresError, during, refused};
use crate::ident::Schema;
use crate::numeric::NumericMode;
use crate::tables::{LEDGER, own_table_exists};

/// Days travel as their number, so that no time crate is needed.
pub(crate) const EPOCH_SQL: &str = "date '1970-01-01'";

pub(crate) fn create(schema: &Schema) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {} (
            source_uuid uuid NOT NULL,
            usage_day date NOT NULL,
            report_period_id integer,
            inputs jsonb NOT NULL,
            fingerprint text NOT NULL,
            rows bigint NOT NULL,
            digest text NOT NULL,
            numeric_mode text NOT NULL,
            daysum_version text NOT NULL,
            run text NOT NULL,
            write_id uuid NOT NULL,
            written_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (source_uuid, usage_day)
        )",
        schema.table(LEDGER)
    )
}

/// What a commit compares itself with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) report_period_id: Option<i32>,
    pub(crate) rows: i64,
    pub(crate) digest: String,
    pub(crate) numeric_mode: String,
}

/// Whether the ledger is there.
pub(crate) async fn exists(client: &Client, schema: &Schema) -> Result<bool> {
    own_table_exists(client, schema, LEDGER).await
}

pub(crate) async fn list(
    client: &Client,
    schema: &Schema,
    source: Uuid,
    first: Day,
    last: Day,
) -> Result<Vec<Published>> {
    let sql = format!(
        "SELECT report_period_id, (usage_day - {EPOCH_SQL})::int4, inputs::text, fingerprint, run, rows, digest, \
                daysum_version \
         FROM {} WHERE source_uuid = $1 AND usage_day BETWEEN {EPOCH_SQL} + $2::int4 AND {EPOCH_SQL} + $3::int4 \
         ORDER BY usage_day",
        schema.table(LEDGER)
    );
    let found = client
        .query_typed(&sql, &[(&source, Type::UUID), (&first.0, Type::INT4), (&last.0, Type::INT4)])
        .await
        .map_err(during("read the ledger"))?;
    found
        .iter()
        .map(|row| {
            let day = Day(row.get(1));
            let inputs: Vec<InputObject> = serde_json::from_str(row.get(2)).map_err(|error| {
                let reason = format!("inputs: {error}");
                refused("read the ledger", false, PostgresError::BadLedger { day, reason })
            })?;
            Ok(Published {
                scope: WriteScope {
                    source_uuid: source.to_string(),
                    report_period_id: row.get(0),
                    day,
                    inputs,
                    fingerprint: row.get(3),
                    run: RunId(row.get(4)),
                },
                rows: u64::try_from(row.get::<_, i64>(5)).unwrap_or_default(),
                digest: row.get(6),
                daysum_version: row.get(7),
            })
        })
        .collect()
}

/// The entry of one day, inside the transaction that may replace it.
pub(crate) async fn entry(
    tx: &Transaction<'_>,
    schema: &Schema,
    source: Uuid,
    day: Day,
) -> Result<Option<Entry>, tokio_postgres::Error> {
    let sql = format!(
        "SELECT report_period_id, rows, digest, numeric_mode FROM {} \
         WHERE source_uuid = $1 AND usage_day = {EPOCH_SQL} + $2::int4",
        schema.table(LEDGER)
    );
    let row = tx.query_opt(&sql, &[&source, &day.0]).await?;
    Ok(row.map(|row| Entry {
        report_period_id: row.get(0),
        rows: row.get(1),
        digest: row.get(2),
        numeric_mode: row.get(3),
    }))
}

/// Writes or renews the row of one day.
#[expect(clippy::too_many_arguments, reason = "they are the columns of the row")]
pub(crate) async fn upsert(
    tx: &Transaction<'_>,
    schema: &Schema,
    source: Uuid,
    scope: &WriteScope,
    rows: u64,
    digest: &str,
    mode: NumericMode,
    write_id: Uuid,
) -> Result<(), tokio_postgres::Error> {
    let sql = format!(
        "INSERT INTO {} AS ledger (source_uuid, usage_day, report_period_id, inputs, fingerprint, rows, digest, \
                                   numeric_mode, daysum_version, run, write_id, written_at) \
         VALUES ($1, {EPOCH_SQL} + $2::int4, $3, $4::text::jsonb, $5, $6, $7, $8, $9, $10, $11, now()) \
         ON CONFLICT (source_uuid, usage_day) DO UPDATE SET \
            report_period_id = excluded.report_period_id, inputs = excluded.inputs, \
            fingerprint = excluded.fingerprint, rows = excluded.rows, digest = excluded.digest, \
            numeric_mode = excluded.numeric_mode, daysum_version = excluded.daysum_version, run = excluded.run, \
            write_id = excluded.write_id, written_at = excluded.written_at",
        schema.table(LEDGER)
    );
    let inputs = serde_json::to_string(&scope.inputs).expect("strings and numbers always serialise");
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    tx.execute(
        &sql,
        &[
            &source,
            &scope.day.0,
            &scope.report_period_id,
            &inputs,
            &scope.fingerprint,
            &rows,
            &digest,
            &mode.name(),
            &env!("CARGO_PKG_VERSION"),
            &scope.run.0,
            &write_id,
        ],
    )
    .await?;
    Ok(())
}

/// Removes the row of a day, where it is still the one that was read; says whether it was.
pub(crate) async fn remove(
    tx: &Transaction<'_>,
    schema: &Schema,
    source: Uuid,
    entry: &Published,
) -> Result<bool, tokio_postgres::Error> {
    let sql = format!(
        "DELETE FROM {} WHERE source_uuid = $1 AND usage_day = {EPOCH_SQL} + $2::int4 AND run = $3 AND digest = $4",
        schema.table(LEDGER)
    );
    let removed = tx.execute(&sql, &[&source, &entry.scope.day.0, &entry.scope.run.0, &entry.digest]).await?;
    Ok(removed > 0)
}

/// Takes the fingerprint from these days: no configuration matches, and the day is computed again.
pub(crate) async fn unmatch(client: &Client, schema: &Schema, source: Uuid, days: &[Day]) -> Result<u64> {
    let sql = format!(
        "UPDATE {} SET fingerprint = '' WHERE source_uuid = $1 AND (usage_day - {EPOCH_SQL})::int4 = ANY ($2)",
        schema.table(LEDGER)
    );
    let days: Vec<i32> = days.iter().map(|day| day.0).collect();
    client
        .execute_typed(&sql, &[(&source, Type::UUID), (&days, Type::INT4_ARRAY)])
        .await
        .map_err(during("mark the days for reading"))
}

/// Which write the ledger shows for a day.
pub(crate) async fn write_id(
    tx: &Transaction<'_>,
    schema: &Schema,
    source: Uuid,
    day: Day,
) -> Result<Option<Uuid>, tokio_postgres::Error> {
    let sql = format!(
        "SELECT write_id FROM {} WHERE source_uuid = $1 AND usage_day = {EPOCH_SQL} + $2::int4",
        schema.table(LEDGER)
    );
    Ok(tx.query_opt(&sql, &[&source, &day.0]).await?.map(|row| row.get(0)))
}
