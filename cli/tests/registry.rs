//! koku's tables of clusters, nodes, volumes and projects, filled by a run that is asked to.

use std::fs;

use daysum_tests::command::{Daysum, text};
use daysum_tests::fixture::{self, Fixture, PodRow};
use daysum_tests::postgres::{SCHEMA, database, shared};
use serde_json::Value;
use tempfile::TempDir;

const DAYSUM: Daysum = Daysum(env!("CARGO_BIN_EXE_daysum"));

#[test]
fn the_registry_is_filled_before_the_summary_needs_it() {
    let work = TempDir::new().expect("a directory");
    let database = database();
    let url = shared().url(&database);
    let mut fixture = Fixture::with_storage();
    fixture.node_labels = vec![
        fixture::labels("n1", r#"{"node_role_kubernetes_io": "infra", "kubernetes_io_arch": "AMD64"}"#),
        fixture::labels("n2", "{}"),
        fixture::labels("big", "{}"),
    ];
    let on = |node: &str, namespace: &str| PodRow {
        node: fixture::text(node),
        namespace: fixture::text(namespace),
        resource_id: fixture::text(&format!("i-{node}")),
        ..fixture::pod()
    };
    // The table of nodes holds fewer cores than the summary.
    let mut big = on("big", "ns");
    big.capacity[0] = Some(1e17);
    fixture.set_pods([on("n1", "ns"), on("n2", "openshift-kube-apiserver"), on("unlabelled", "ns"), big]);
    let ((input, _), report) = (fixture.place(work.path()), work.path().join("report.json"));
    let source = fixture.lookups.source_uuid.as_str();
    let run = |more: &[&str]| {
        let of = ["--source", source, "--month", "2025-02", "--cluster-id", "c", "--cluster-alias", "a"];
        let to = ["--database", &url, "--schema", SCHEMA, "--report", text(&report)];
        DAYSUM.ends(0, &[&["run", text(&input)], &of[..], &to, more].concat());
        serde_json::from_slice::<Value>(&fs::read(&report).expect("a report")).expect("JSON")
    };
    let namespaces = || {
        let table = format!("{SCHEMA}.reporting_ocpusagelineitem_daily_summary");
        let sql =
            format!("SELECT node, namespace FROM {table} WHERE namespace LIKE '% unallocated' ORDER BY 1");
        shared().sql(&database, &sql)
    };
    run(&[]);
    assert_eq!(namespaces(), "", "nobody knows a role");
    assert_eq!(run(&[])["bytes_read"], 0);
    run(&["--registry"]);
    assert_eq!(namespaces(), "big|Worker unallocated\nn1|Platform unallocated\nn2|Platform unallocated");
    let stored = |columns: &str, table: &str| {
        shared().sql(&database, &format!("SELECT {columns} FROM {SCHEMA}.reporting_ocp_{table} ORDER BY 1"))
    };
    let nodes = stored("node, resource_id, node_role, architecture, node_capacity_cpu_cores", "nodes");
    assert_eq!(nodes, "big|i-big|worker||\nn1|i-n1|infra|amd64|4.00\nn2|i-n2|master||4.00");
    assert_eq!(
        stored("persistent_volume, persistent_volume_claim, csi_volume_handle", "pvcs"),
        "pv|pvc|vol-1"
    );
    assert_eq!(stored("project", "projects"), "ns\nopenshift-kube-apiserver");
    assert_eq!(stored("cluster_id, cluster_alias", "clusters"), "c|a");
    assert_eq!(run(&["--registry"])["bytes_read"], 0);

    let files = ["--registry", "--output", text(work.path())];
    let said = DAYSUM
        .ends(2, &[&["run", text(&input), "--source", source, "--month", "2025-02"], &files[..]].concat());
    assert!(said.contains("--registry writes tables of a database"), "{said}");
}

/// PostgreSQL has no NUL: the day is held back for it, and the registry is filled for the others.
#[test]
fn a_name_that_cannot_be_stored_does_not_end_the_run() {
    let work = TempDir::new().expect("a directory");
    let database = database();
    let url = shared().url(&database);
    let mut fixture = Fixture::base();
    let bad =
        PodRow { namespace: fixture::text("n\0"), start: fixture::hour("2025-02-02", 0), ..fixture::pod() };
    fixture.set_pods([fixture::pod(), bad]);
    let (input, _) = fixture.place(work.path());
    DAYSUM.ends(0, &["db", "init", "--database", &url, "--schema", SCHEMA]);
    let of = ["--source", &fixture.lookups.source_uuid, "--month", "2025-02", "--cluster-id", "c"];
    let to = ["--registry", "--database", &url, "--schema", SCHEMA];
    let said = DAYSUM.ends(3, &[&["run", text(&input)], &of[..], &to].concat());
    assert!(said.contains("held back: 1 days, 2025-02-02"), "{said}");
    let days = format!("SELECT DISTINCT usage_start FROM {SCHEMA}.reporting_ocpusagelineitem_daily_summary");
    assert_eq!(shared().sql(&database, &days), "2025-02-01");
    assert_eq!(
        shared().sql(&database, &format!("SELECT project FROM {SCHEMA}.reporting_ocp_projects")),
        "ns"
    );
}
