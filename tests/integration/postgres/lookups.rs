//! koku's answers, the report period, the registry.

use daysum_core::{CostCategory, Month, NodeRole};
use daysum_io_postgres::{Cluster, Database, Node, Registry, RegistryChanges, Volume};
use daysum_tests::postgres::{database, shared};

use super::{SOURCE, config, schema};

fn february() -> Month {
    "2025-02".parse().expect("a month")
}

#[tokio::test]
async fn lookups_are_what_the_tables_say() {
    let name = database();
    shared().sql(
        &name,
        &format!(
            "SET search_path = org1234567; \
             INSERT INTO reporting_enabledtagkeys (key, enabled, provider_type) VALUES ('team', true, 'OCP'), \
                 ('app', true, 'OCP'), ('off', false, 'OCP'), ('aws', true, 'AWS'), ('lower', true, 'ocp'); \
             INSERT INTO reporting_ocp_nodes (node, resource_id, node_role) VALUES ('n1', 'i-1', 'infra'), \
                 ('n1', 'i-1', 'worker'), ('n2', NULL, NULL); \
             INSERT INTO reporting_ocpusagereportperiod (id, cluster_id, cluster_alias, report_period_start, \
                 report_period_end, provider_id) VALUES (41, 'c', 'alias', '2025-01-01 00:00+00', '2025-02-02 00:00+00', '{SOURCE}'), \
                 (42, 'c', 'alias', '2025-02-01 00:00+00', '2025-03-02 00:00+00', '{SOURCE}'), \
                 (43, 'd', 'other', '2025-02-01 00:00+00', '2025-03-02 00:00+00', '11111111-1111-1111-1111-111111111111')"
        ),
    );
    let mut database = Database::new(config(&name), schema());
    let lookups = database.lookups(&SOURCE.to_uppercase(), february()).await.expect("read");
    assert_eq!(lookups.enabled_tag_keys, ["app", "team"]);
    assert_eq!(lookups.disabled_tag_keys, ["off"]);
    assert_eq!(
        (lookups.report_period_id, lookups.cluster_id.as_str(), lookups.cluster_alias.as_str()),
        (Some(42), "c", "alias")
    );
    assert_eq!(lookups.source_uuid, SOURCE);
    assert!(
        lookups
            .cost_categories
            .contains(&CostCategory { namespace: "kube-%".to_owned(), cost_category_id: 1 })
    );
    let role = |node: &str, resource: Option<&str>, role: Option<&str>| NodeRole {
        node: node.to_owned(),
        resource_id: resource.map(str::to_owned),
        node_role: role.map(str::to_owned),
    };
    assert_eq!(lookups.nodes, [role("n1", Some("i-1"), Some("worker")), role("n2", None, None)]);
    let range = lookups.range().expect("a month");
    assert_eq!(
        (range.0.to_string(), range.1.to_string()),
        ("2025-02-01".to_owned(), "2025-02-28".to_owned())
    );
    // A month that koku knows nothing of is no error: the caller decides.
    let lookups = database.lookups(SOURCE, "2025-03".parse().expect("a month")).await.expect("read");
    assert_eq!(lookups.report_period_id, None);
    assert!(database.lookups("no uuid", february()).await.is_err());
}

#[tokio::test]
async fn a_report_period_is_made_once_and_ends_as_kokus_do() {
    let name = database();
    let mut database = Database::new(config(&name), schema());
    let first = database.ensure_report_period(SOURCE, february(), "c", "alias").await.expect("made");
    let again = database.ensure_report_period(SOURCE, february(), "other", "alias").await.expect("found");
    assert_eq!(first, again);
    let stored = shared().sql(
        &name,
        "SELECT report_period_start AT TIME ZONE 'UTC', report_period_end AT TIME ZONE 'UTC', cluster_id \
         FROM org1234567.reporting_ocpusagereportperiod",
    );
    assert_eq!(stored, "2025-02-01 00:00:00|2025-03-02 00:00:00|c");
    assert_eq!(database.lookups(SOURCE, february()).await.expect("read").report_period_id, Some(first));
}

/// SPEC 3.4, step 4.
#[tokio::test]
async fn the_registry_grows_and_fills_in_and_never_doubles() {
    let name = database();
    let node = |name: &str, capacity: f64, role: Option<&str>| Node {
        node: name.to_owned(),
        resource_id: Some("i".to_owned()),
        node_capacity_cpu_cores: Some(capacity),
        node_role: role.map(str::to_owned),
        architecture: None,
    };
    let volume = |claim: &str, handle: Option<&str>| Volume {
        persistent_volume: "pv".to_owned(),
        persistent_volume_claim: claim.to_owned(),
        csi_volume_handle: handle.map(str::to_owned),
    };
    let mut registry = Registry {
        cluster: Cluster {
            source_uuid: SOURCE.to_owned(),
            cluster_id: "c".to_owned(),
            cluster_alias: "old".to_owned(),
        },
        nodes: vec![node("n1", 4.0, None), node("n2", 4.001, Some("worker"))],
        volumes: vec![volume("a", None), volume("a", Some("h")), volume("b", None)],
        projects: vec!["ns".to_owned(), "ns".to_owned()],
    };
    let mut database = Database::new(config(&name), schema());
    let changes = database.upsert_registry(&registry).await.expect("stored");
    assert_eq!(changes, RegistryChanges { nodes_added: 2, nodes_updated: 0, volumes: 2, projects: 1 });
    assert_eq!(database.upsert_registry(&registry).await.expect("again"), RegistryChanges::default());

    registry.cluster.cluster_alias = "new".to_owned();
    // A role that was empty is filled in; capacity makes a row.
    registry.nodes = vec![node("n1", 4.0, Some("infra")), node("n2", 8.0, Some("worker"))];
    registry.volumes = vec![volume("b", Some("late"))];
    let changes = database.upsert_registry(&registry).await.expect("stored");
    assert_eq!(changes, RegistryChanges { nodes_added: 1, nodes_updated: 1, volumes: 1, projects: 0 });
    assert_eq!(
        shared().sql(&name, "SELECT node, node_capacity_cpu_cores, node_role FROM org1234567.reporting_ocp_nodes ORDER BY 1, 2"),
        "n1|4.00|infra\nn2|4.00|worker\nn2|8.00|worker"
    );
    assert_eq!(
        shared().sql(&name, "SELECT cluster_id, cluster_alias FROM org1234567.reporting_ocp_clusters"),
        "c|new"
    );
    assert_eq!(
        shared().sql(
            &name,
            "SELECT persistent_volume_claim, csi_volume_handle FROM org1234567.reporting_ocp_pvcs ORDER BY 1"
        ),
        "a|h\nb|late"
    );
    // The registry names the cluster where no period does.
    let lookups = database.lookups(SOURCE, february()).await.expect("read");
    assert_eq!((lookups.cluster_id.as_str(), lookups.nodes.len()), ("c", 2));
}

/// SPEC 3.4: what both say stands; and of two rows of one cluster the one with the alias is kept.
#[tokio::test]
async fn what_is_registered_stays_and_a_cluster_is_there_once() {
    let name = database();
    let node = |role: &str, architecture: &str| Node {
        node: "n1".to_owned(),
        resource_id: Some("i".to_owned()),
        node_capacity_cpu_cores: Some(4.0),
        node_role: Some(role.to_owned()),
        architecture: Some(architecture.to_owned()),
    };
    let registry = |node: Node| Registry {
        cluster: Cluster {
            source_uuid: SOURCE.to_owned(),
            cluster_id: "c".to_owned(),
            cluster_alias: "alias".to_owned(),
        },
        nodes: vec![node],
        volumes: Vec::new(),
        projects: Vec::new(),
    };
    let mut database = Database::new(config(&name), schema());
    database.upsert_registry(&registry(node("worker", "amd64"))).await.expect("stored");
    shared().sql(
        &name,
        &format!(
            "SET search_path = org1234567; \
             INSERT INTO reporting_ocp_clusters (uuid, cluster_id, cluster_alias, provider_id) \
                 VALUES (gen_random_uuid(), 'c', 'another', '{SOURCE}'); \
             INSERT INTO reporting_ocp_projects (uuid, project, cluster_id) \
                 SELECT gen_random_uuid(), 'gone', uuid FROM reporting_ocp_clusters WHERE cluster_alias = 'another'"
        ),
    );
    let changes = database.upsert_registry(&registry(node("infra", "arm64"))).await.expect("stored");
    assert_eq!(changes, RegistryChanges::default());
    let stored = |sql: &str| shared().sql(&name, &format!("SET search_path = org1234567; {sql}"));
    assert_eq!(stored("SELECT node_role, architecture FROM reporting_ocp_nodes"), "worker|amd64");
    assert_eq!(stored("SELECT cluster_alias FROM reporting_ocp_clusters"), "alias");
    assert_eq!(stored("SELECT count(*) FROM reporting_ocp_projects"), "0");
}
