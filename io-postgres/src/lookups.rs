//! koku's answers before a run (SPEC 2.1, 2.9, 2.10, 3.3), read in one snapshot.

use daysum_core::{CostCategory, Lookups, Month, NodeRole, Result};
use tokio_postgres::{Row, Transaction};
use uuid::Uuid;

use crate::error::during;
use crate::ident::Schema;
use crate::tables::{CATEGORY_NAMESPACES, CLUSTERS, NODES, PERIODS, TAG_KEYS};

pub(crate) async fn read(
    tx: &Transaction<'_>,
    schema: &Schema,
    source: Uuid,
    month: Month,
) -> Result<Lookups> {
    let mut lookups = Lookups {
        version: Some(daysum_core::LOOKUPS_VERSION),
        schema: Some(schema.name().to_owned()),
        source_uuid: source.to_string(),
        start_date: Some(month.first().to_string()),
        end_date: Some(month.last().to_string()),
        storage_exists: true,
        ..Lookups::default()
    };
    tag_keys(tx, schema, &mut lookups).await.map_err(during("read the enabled tag keys"))?;
    categories(tx, schema, &mut lookups).await.map_err(during("read the cost categories"))?;
    nodes(tx, schema, &mut lookups).await.map_err(during("read the node registry"))?;
    let period = period(tx, schema, source, month).await.map_err(during("read the report period"))?;
    let cluster = cluster(tx, schema, source).await?;
    if let Some(period) = period {
        lookups.report_period_id = Some(period.id);
        lookups.cluster_id = period.cluster_id;
        lookups.cluster_alias = period.cluster_alias.unwrap_or_default();
    }
    // The registry knows the cluster even in a month that has no period yet.
    if let Some((id, alias)) = cluster {
        if lookups.cluster_id.is_empty() {
            lookups.cluster_id = id;
        }
        if lookups.cluster_alias.is_empty() {
            lookups.cluster_alias = alias.unwrap_or_default();
        }
    }
    Ok(lookups)
}

async fn tag_keys(
    tx: &Transaction<'_>,
    schema: &Schema,
    lookups: &mut Lookups,
) -> Result<(), tokio_postgres::Error> {
    let sql = format!(
        "SELECT key, enabled::bool FROM {} WHERE provider_type = 'OCP' ORDER BY key COLLATE \"C\"",
        schema.table(TAG_KEYS)
    );
    for row in tx.query(&sql, &[]).await? {
        // A NULL is no yes.
        let keys = match row.try_get(1)? {
            Some(true) => &mut lookups.enabled_tag_keys,
            _ => &mut lookups.disabled_tag_keys,
        };
        keys.push(row.try_get(0)?);
    }
    Ok(())
}

async fn categories(
    tx: &Transaction<'_>,
    schema: &Schema,
    lookups: &mut Lookups,
) -> Result<(), tokio_postgres::Error> {
    let sql = format!(
        "SELECT namespace, cost_category_id::int4 FROM {} ORDER BY namespace COLLATE \"C\"",
        schema.table(CATEGORY_NAMESPACES)
    );
    let rows = tx.query(&sql, &[]).await?;
    let category =
        |row: &Row| Ok(CostCategory { namespace: row.try_get(0)?, cost_category_id: row.try_get(1)? });
    lookups.cost_categories = rows.iter().map(category).collect::<Result<_, _>>()?;
    Ok(())
}

async fn nodes(
    tx: &Transaction<'_>,
    schema: &Schema,
    lookups: &mut Lookups,
) -> Result<(), tokio_postgres::Error> {
    // The whole tenant's: a role is looked up by node and resource id, whatever the cluster.
    let sql = format!(
        "SELECT node, resource_id, max(node_role COLLATE \"C\") FROM {} WHERE node IS NOT NULL \
         GROUP BY node, resource_id ORDER BY node COLLATE \"C\", resource_id COLLATE \"C\"",
        schema.table(NODES)
    );
    let rows = tx.query(&sql, &[]).await?;
    lookups.nodes = rows
        .iter()
        .map(|row| NodeRole { node: row.get(0), resource_id: row.get(1), node_role: row.get(2) })
        .collect();
    Ok(())
}

struct Period {
    id: i32,
    cluster_id: String,
    cluster_alias: Option<String>,
}

async fn period(
    tx: &Transaction<'_>,
    schema: &Schema,
    source: Uuid,
    month: Month,
) -> Result<Option<Period>, tokio_postgres::Error> {
    let sql = format!(
        "SELECT id::int4, cluster_id, cluster_alias FROM {} \
         WHERE provider_id = $1 AND report_period_start = $2::text::timestamptz ORDER BY id LIMIT 1",
        schema.table(PERIODS)
    );
    let start = format!("{} 00:00:00+00", month.first());
    let found = tx.query_opt(&sql, &[&source, &start]).await?;
    let period = |row: Row| {
        Ok(Period { id: row.try_get(0)?, cluster_id: row.try_get(1)?, cluster_alias: row.try_get(2)? })
    };
    found.map(period).transpose()
}

async fn cluster(
    tx: &Transaction<'_>,
    schema: &Schema,
    source: Uuid,
) -> Result<Option<(String, Option<String>)>> {
    let during = during("read the clusters");
    if !is_readable(tx, schema, CLUSTERS).await.map_err(&during)? {
        return Ok(None);
    }
    let sql = format!(
        "SELECT cluster_id, cluster_alias FROM {} WHERE provider_id = $1 ORDER BY uuid LIMIT 1",
        schema.table(CLUSTERS)
    );
    let found = tx.query_opt(&sql, &[&source]).await.map_err(&during)?;
    found.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose().map_err(&during)
}

async fn is_readable(
    tx: &Transaction<'_>,
    schema: &Schema,
    table: &str,
) -> Result<bool, tokio_postgres::Error> {
    let sql = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c \
                              JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                              WHERE n.nspname = $1 AND c.relname = $2 AND has_table_privilege(c.oid, 'SELECT'))";
    Ok(tx.query_one(sql, &[&schema.name(), &table]).await?.get(0))
}

/// Whose period koku says this is; `None` where it does not know it.
pub(crate) async fn owner_of_period(tx: &Transaction<'_>, schema: &Schema, id: i32) -> Result<Option<Uuid>> {
    let during = during("look up the report period");
    if !is_readable(tx, schema, PERIODS).await.map_err(&during)? {
        return Ok(None);
    }
    let sql = format!("SELECT provider_id FROM {} WHERE id = $1::int4", schema.table(PERIODS));
    let owner = tx.query_opt(&sql, &[&id]).await.map_err(&during)?.map(|row| row.try_get(0));
    Ok(owner.transpose().map_err(&during)?.flatten())
}

/// Finds the period by provider and month, as koku does, or inserts it.
pub(crate) async fn ensure_period(
    tx: &Transaction<'_>,
    schema: &Schema,
    source: Uuid,
    month: Month,
    cluster_id: &str,
    cluster_alias: &str,
) -> Result<i32> {
    let during = during("create the report period");
    if let Some(found) = period(tx, schema, source, month).await.map_err(&during)? {
        return Ok(found.id);
    }
    // koku stores the second of the next month as the end (SPEC 3.3), and so does this.
    let start = format!("{} 00:00:00+00", month.first());
    let end = format!("{} 00:00:00+00", month.last().next().next());
    let sql = format!(
        "INSERT INTO {} AS period (cluster_id, cluster_alias, report_period_start, report_period_end, provider_id) \
         VALUES ($1, $2, $3::text::timestamptz, $4::text::timestamptz, $5) \
         ON CONFLICT (cluster_id, report_period_start, provider_id) \
         DO UPDATE SET cluster_alias = period.cluster_alias RETURNING id::int4",
        schema.table(PERIODS)
    );
    // The update changes nothing; it makes RETURNING answer for a row that another session has just inserted.
    let row =
        tx.query_one(&sql, &[&cluster_id, &cluster_alias, &start, &end, &source]).await.map_err(&during)?;
    Ok(row.get(0))
}
