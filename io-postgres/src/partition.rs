//! Monthly partitions of the summary table, made before a day is written.
//!
//! koku keeps a table of partitions whose trigger makes them; where it exists a row goes in there, so that koku
//! and this program agree. Elsewhere the partition is built aside and attached: `CREATE TABLE … PARTITION OF`
//! would shut out every reader of the parent, and `ATTACH` does not.

use daysum_core::{Day, Month, Result};
use tokio_postgres::Transaction;

use crate::error::{PostgresError, during, refused};
use crate::ident::{Schema, quote};
use crate::ledger::EPOCH_SQL;
use crate::tables::{PARTITIONS, SUMMARY, table_exists};

/// Milliseconds that readers may have to wait because a partition is made.
const READERS_WAIT: u32 = 3000;

/// The partition's name, as koku forms it.
pub(crate) fn name(month: Month) -> String {
    format!("{SUMMARY}_{:04}_{:02}", month.year, month.month)
}

/// Whether rows of this day have a partition of their own; the default partition is none. A table without
/// partitions needs none.
pub(crate) async fn exists(tx: &Transaction<'_>, schema: &Schema, day: Day) -> Result<bool> {
    // The bounds are read rather than the name, since somebody may partition by year.
    let sql = format!(
        "WITH parent AS ( \
            SELECT c.oid, c.relkind FROM pg_catalog.pg_class c \
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
            WHERE n.nspname = $1 AND c.relname = '{SUMMARY}'), \
         bounds AS ( \
            SELECT pg_catalog.pg_get_expr(part.relpartbound, part.oid) AS bound \
            FROM parent JOIN pg_catalog.pg_inherits i ON i.inhparent = parent.oid \
            JOIN pg_catalog.pg_class part ON part.oid = i.inhrelid) \
         SELECT EXISTS (SELECT FROM parent WHERE relkind <> 'p') OR EXISTS ( \
            SELECT FROM bounds WHERE bound LIKE 'FOR VALUES FROM%' \
            AND coalesce(substring(bound FROM $$FROM \\('([0-9-]+)'$$)::date, '-infinity') <= {EPOCH_SQL} + $2::int4 \
            AND coalesce(substring(bound FROM $$TO \\('([0-9-]+)'$$)::date, 'infinity') > {EPOCH_SQL} + $2::int4)"
    );
    let row =
        tx.query_one(&sql, &[&schema.name(), &day.0]).await.map_err(during("look for the partition"))?;
    Ok(row.get(0))
}

/// Makes the month's partition. The caller holds the lock that keeps two makers apart.
pub(crate) async fn create(tx: &Transaction<'_>, schema: &Schema, month: Month) -> Result<()> {
    let partition = name(month);
    let operation = format!("create partition {partition}");
    let tracked = table_exists(tx, schema, PARTITIONS).await.map_err(during(&operation))?;
    if tracked {
        track(tx, schema, month, &partition).await.map_err(during(&operation))?;
    } else if !table_exists(tx, schema, &partition).await.map_err(during(&operation))? {
        attach(tx, schema, month, &partition).await.map_err(during(&operation))?;
    }
    if exists(tx, schema, month.first()).await? {
        return Ok(());
    }
    let reason = if tracked {
        format!(
            "its row in {PARTITIONS} made no attached partition; set active to true there, delete it where its partition \
             was dropped, or check the trigger"
        )
    } else {
        "a table of that name exists and is not attached; attach or drop it".to_owned()
    };
    Err(refused(operation, false, PostgresError::NoPartition { partition, reason }))
}

async fn track(
    tx: &Transaction<'_>,
    schema: &Schema,
    month: Month,
    partition: &str,
) -> Result<(), tokio_postgres::Error> {
    let parameters =
        format!(r#"{{"default": false, "from": "{}", "to": "{}"}}"#, month.first(), month.last().next());
    let sql = format!(
        "INSERT INTO {} (schema_name, table_name, partition_of_table_name, partition_type, partition_col, \
                         partition_parameters, active) \
         SELECT $1, $2, '{SUMMARY}', 'range', 'usage_start', $3::text::jsonb, true \
         WHERE NOT EXISTS (SELECT FROM {} WHERE schema_name = $1 AND table_name = $2)",
        schema.table(PARTITIONS),
        schema.table(PARTITIONS)
    );
    tx.execute(&sql, &[&schema.name(), &partition, &parameters]).await?;
    Ok(())
}

async fn attach(
    tx: &Transaction<'_>,
    schema: &Schema,
    month: Month,
    partition: &str,
) -> Result<(), tokio_postgres::Error> {
    let (parent, child) = (schema.table(SUMMARY), schema.table(partition));
    let (from, to) = (month.first(), month.last().next());
    let default = tx
        .query_opt(
            "SELECT n.nspname, c.relname FROM pg_catalog.pg_inherits i \
             JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE i.inhparent = $1::text::regclass \
               AND pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT'",
            &[&parent],
        )
        .await?;
    tx.batch_execute(&format!(
        "CREATE TABLE {child} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS \
                               INCLUDING GENERATED INCLUDING STORAGE)"
    ))
    .await?;
    if let Some(row) = default {
        // Rows of the month that went to the default partition would forbid the attachment; they move along.
        let default = format!("{}.{}", quote(row.get(0)), quote(row.get(1)));
        let columns: String = tx
            .query_one(
                "SELECT string_agg(pg_catalog.quote_ident(attname), ', ' ORDER BY attnum) \
                 FROM pg_catalog.pg_attribute \
                 WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
                &[&parent],
            )
            .await?
            .get(0);
        let range = format!("usage_start >= date '{from}' AND usage_start < date '{to}'");
        // Whoever reads the default partition waits behind a lock that waits: it is asked for briefly, and again later.
        tx.batch_execute(&format!(
            "SELECT set_config('lock_timeout', least(nullif(setting, '0')::int4, {READERS_WAIT})::text, true) \
             FROM pg_catalog.pg_settings WHERE name = 'lock_timeout'; \
             LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE; \
             INSERT INTO {child} ({columns}) SELECT {columns} FROM {default} WHERE {range}; \
             DELETE FROM {default} WHERE {range}"
        ))
        .await?;
    }
    tx.batch_execute(&format!(
        "ALTER TABLE {parent} ATTACH PARTITION {child} FOR VALUES FROM ('{from}') TO ('{to}')"
    ))
    .await
}
