//! koku's registry of clusters, nodes, volumes and projects (SPEC 3.4, step 4), for databases where koku
//! itself does not run. The caller works the rows out of the files; this module stores them.

use daysum_core::Result;
use serde::{Deserialize, Serialize};
use tokio_postgres::Transaction;
use uuid::Uuid;

use crate::error::during;
use crate::ident::Schema;
use crate::scope::source_of;
use crate::tables::{CLUSTERS, NODES, PROJECTS, VOLUMES};

/// What one run knows about one cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Registry {
    /// The cluster itself.
    pub cluster: Cluster,
    /// Its nodes, each combination of name and resource id once.
    pub nodes: Vec<Node>,
    /// Its volume claims.
    pub volumes: Vec<Volume>,
    /// Its namespaces.
    pub projects: Vec<String>,
}

/// A cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// The provider.
    pub source_uuid: String,
    /// Its identifier.
    pub cluster_id: String,
    /// Its human name.
    pub cluster_alias: String,
}

/// A node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub node: String,
    /// Its resource id.
    pub resource_id: Option<String>,
    /// Cores; stored with two places, and a change makes another row.
    pub node_capacity_cpu_cores: Option<f64>,
    /// `master`, `infra`, `worker` or anything else.
    pub node_role: Option<String>,
    /// Such as `amd64`.
    pub architecture: Option<String>,
}

/// A volume claim and the volume it is bound to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// The volume's name; empty where unbound.
    pub persistent_volume: String,
    /// The claim's name.
    pub persistent_volume_claim: String,
    /// The CSI driver's handle.
    pub csi_volume_handle: Option<String>,
}

/// How many rows were touched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RegistryChanges {
    /// Nodes that were new.
    pub nodes_added: u64,
    /// Nodes whose role or architecture was filled in.
    pub nodes_updated: u64,
    /// Volumes that were new, or whose handle was filled in.
    pub volumes: u64,
    /// Namespaces that were new.
    pub projects: u64,
}

pub(crate) async fn upsert(
    tx: &Transaction<'_>,
    schema: &Schema,
    registry: &Registry,
) -> Result<RegistryChanges> {
    let source = source_of(&registry.cluster.source_uuid)?;
    // koku's table of nodes has no unique key, so two writers must not look at the same time.
    tx.query_one(
        "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
        &[&format!("daysum registry {}", schema.name())],
    )
    .await
    .map_err(during("update the registry"))?;
    let cluster =
        upsert_cluster(tx, schema, source, &registry.cluster).await.map_err(during("update the cluster"))?;
    let mut changes = RegistryChanges::default();
    (changes.nodes_added, changes.nodes_updated) =
        upsert_nodes(tx, schema, cluster, &registry.nodes).await.map_err(during("update the nodes"))?;
    changes.volumes =
        upsert_volumes(tx, schema, cluster, &registry.volumes).await.map_err(during("update the volumes"))?;
    let sql = format!(
        "INSERT INTO {} AS known (uuid, project, cluster_id) \
         SELECT gen_random_uuid(), project, $2 FROM (SELECT DISTINCT unnest($1::text[]) AS project) AS seen \
         ON CONFLICT (project, cluster_id) DO NOTHING",
        schema.table(PROJECTS)
    );
    changes.projects =
        tx.execute(&sql, &[&registry.projects, &cluster]).await.map_err(during("update the projects"))?;
    Ok(changes)
}

/// One row for the provider, under its present alias; what other aliases left behind goes.
async fn upsert_cluster(
    tx: &Transaction<'_>,
    schema: &Schema,
    source: Uuid,
    cluster: &Cluster,
) -> Result<Uuid, tokio_postgres::Error> {
    let clusters = schema.table(CLUSTERS);
    let known = tx
        .query(
            &format!(
                "SELECT uuid FROM {clusters} WHERE provider_id = $1 \
                 ORDER BY cluster_alias IS NOT DISTINCT FROM $2 DESC, uuid"
            ),
            &[&source, &cluster.cluster_alias],
        )
        .await?;
    let known: Vec<Uuid> = known.iter().map(|row| row.get(0)).collect();
    let Some((kept, duplicates)) = known.split_first() else {
        let row = tx
            .query_one(
                &format!(
                    "INSERT INTO {clusters} (uuid, cluster_id, cluster_alias, provider_id) \
                     VALUES (gen_random_uuid(), $1, $2, $3) RETURNING uuid"
                ),
                &[&cluster.cluster_id, &cluster.cluster_alias, &source],
            )
            .await?;
        return Ok(row.get(0));
    };
    if !duplicates.is_empty() {
        // koku's foreign keys do not cascade in the database, so what hangs on a duplicate goes first.
        for table in [NODES, VOLUMES, PROJECTS] {
            let sql = format!("DELETE FROM {} WHERE cluster_id = ANY ($1)", schema.table(table));
            tx.execute(&sql, &[&duplicates]).await?;
        }
        tx.execute(&format!("DELETE FROM {clusters} WHERE uuid = ANY ($1)"), &[&duplicates]).await?;
    }
    tx.execute(
        &format!(
            "UPDATE {clusters} SET cluster_alias = $2 WHERE uuid = $1 AND cluster_alias IS DISTINCT FROM $2"
        ),
        &[kept, &cluster.cluster_alias],
    )
    .await?;
    Ok(*kept)
}

async fn upsert_nodes(
    tx: &Transaction<'_>,
    schema: &Schema,
    cluster: Uuid,
    nodes: &[Node],
) -> Result<(u64, u64), tokio_postgres::Error> {
    let names: Vec<&str> = nodes.iter().map(|node| node.node.as_str()).collect();
    let resources: Vec<Option<&str>> = nodes.iter().map(|node| node.resource_id.as_deref()).collect();
    let capacities: Vec<Option<f64>> = nodes.iter().map(|node| node.node_capacity_cpu_cores).collect();
    let roles: Vec<Option<&str>> = nodes.iter().map(|node| node.node_role.as_deref()).collect();
    let architectures: Vec<Option<&str>> = nodes.iter().map(|node| node.architecture.as_deref()).collect();
    let seen = "SELECT DISTINCT ON (node, resource_id, capacity) * FROM ( \
                    SELECT node, resource_id, capacity::numeric(18,2) AS capacity, role, architecture \
                    FROM unnest($2::text[], $3::text[], $4::float8[], $5::text[], $6::text[]) \
                         AS given (node, resource_id, capacity, role, architecture)) AS rounded";
    let matched = "known.cluster_id = $1 AND known.node = seen.node \
                   AND known.resource_id IS NOT DISTINCT FROM seen.resource_id \
                   AND known.node_capacity_cpu_cores IS NOT DISTINCT FROM seen.capacity";
    let nodes = schema.table(NODES);
    let update = format!(
        "UPDATE {nodes} AS known SET \
            node_role = coalesce(nullif(seen.role, ''), known.node_role), \
            architecture = coalesce(nullif(seen.architecture, ''), known.architecture) \
         FROM ({seen}) AS seen WHERE {matched} \
            AND (coalesce(known.node_role, '') = '' OR coalesce(known.architecture, '') = '') \
            AND (coalesce(nullif(seen.role, ''), known.node_role) IS DISTINCT FROM known.node_role \
              OR coalesce(nullif(seen.architecture, ''), known.architecture) IS DISTINCT FROM known.architecture)"
    );
    let insert = format!(
        "INSERT INTO {nodes} (uuid, node, resource_id, node_capacity_cpu_cores, node_role, architecture, cluster_id) \
         SELECT gen_random_uuid(), node, resource_id, capacity, role, architecture, $1 FROM ({seen}) AS seen \
         WHERE NOT EXISTS (SELECT FROM {nodes} AS known WHERE {matched})"
    );
    let updated =
        tx.execute(&update, &[&cluster, &names, &resources, &capacities, &roles, &architectures]).await?;
    let added =
        tx.execute(&insert, &[&cluster, &names, &resources, &capacities, &roles, &architectures]).await?;
    Ok((added, updated))
}

async fn upsert_volumes(
    tx: &Transaction<'_>,
    schema: &Schema,
    cluster: Uuid,
    volumes: &[Volume],
) -> Result<u64, tokio_postgres::Error> {
    let names: Vec<&str> = volumes.iter().map(|volume| volume.persistent_volume.as_str()).collect();
    let claims: Vec<&str> = volumes.iter().map(|volume| volume.persistent_volume_claim.as_str()).collect();
    let handles: Vec<Option<&str>> =
        volumes.iter().map(|volume| volume.csi_volume_handle.as_deref()).collect();
    // Largest handle first, so that a claim seen with and without one keeps it.
    let sql = format!(
        "INSERT INTO {} AS known (uuid, persistent_volume, persistent_volume_claim, csi_volume_handle, cluster_id) \
         SELECT DISTINCT ON (pv, pvc) gen_random_uuid(), pv, pvc, handle, $1 \
         FROM unnest($2::text[], $3::text[], $4::text[]) AS seen (pv, pvc, handle) \
         ORDER BY pv, pvc, handle COLLATE \"C\" DESC NULLS LAST \
         ON CONFLICT (persistent_volume, persistent_volume_claim, cluster_id) \
         DO UPDATE SET csi_volume_handle = excluded.csi_volume_handle \
            WHERE coalesce(known.csi_volume_handle, '') = '' AND coalesce(excluded.csi_volume_handle, '') <> ''",
        schema.table(VOLUMES)
    );
    tx.execute(&sql, &[&cluster, &names, &claims, &handles]).await
}
