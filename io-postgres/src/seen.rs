//! What the last complete run of a range of days saw, kept as it was given (`daysum_core::drive::Seen`).

use daysum_core::{Day, Result};
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::error::during;
use crate::ident::Schema;
use crate::ledger::EPOCH_SQL;
use crate::tables::{SEEN, own_table_exists};

pub(crate) fn create(schema: &Schema) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {} (
            source_uuid uuid NOT NULL,
            first_day date NOT NULL,
            last_day date NOT NULL,
            seen text NOT NULL,
            seen_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (source_uuid, first_day, last_day)
        )",
        schema.table(SEEN)
    )
}

pub(crate) async fn exists(client: &Client, schema: &Schema) -> Result<bool> {
    own_table_exists(client, schema, SEEN).await
}

pub(crate) async fn get(
    client: &Client,
    schema: &Schema,
    source: Uuid,
    first: Day,
    last: Day,
) -> Result<Option<String>> {
    let sql = format!(
        "SELECT seen FROM {} WHERE source_uuid = $1 AND first_day = {EPOCH_SQL} + $2::int4 \
         AND last_day = {EPOCH_SQL} + $3::int4",
        schema.table(SEEN)
    );
    let found = client
        .query_typed_opt(&sql, &[(&source, Type::UUID), (&first.0, Type::INT4), (&last.0, Type::INT4)])
        .await
        .map_err(during("read what the last run saw"))?;
    Ok(found.map(|row| row.get(0)))
}

pub(crate) async fn put(
    client: &Client,
    schema: &Schema,
    source: Uuid,
    first: Day,
    last: Day,
    seen: &str,
) -> Result<()> {
    let sql = format!(
        "INSERT INTO {} AS last (source_uuid, first_day, last_day, seen) \
         VALUES ($1, {EPOCH_SQL} + $2::int4, {EPOCH_SQL} + $3::int4, $4) \
         ON CONFLICT (source_uuid, first_day, last_day) DO UPDATE SET seen = excluded.seen, seen_at = now()",
        schema.table(SEEN)
    );
    client
        .execute_typed(
            &sql,
            &[(&source, Type::UUID), (&first.0, Type::INT4), (&last.0, Type::INT4), (&seen, Type::TEXT)],
        )
        .await
        .map(drop)
        .map_err(during("remember what this run saw"))
}
