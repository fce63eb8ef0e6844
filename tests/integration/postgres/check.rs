//! What is wrong with a schema is said before anything is deleted (T-23, T-70).

use daysum_core::port::{Quarantine, QuarantineEntry, Sink};
use daysum_io_postgres::{
    Database, PostgresConfig, PostgresQuarantine, PostgresSink, Schema, Severity, SinkOptions,
};
use daysum_tests::postgres::{database, shared};

use super::{SUMMARY, config, day, publish, rows_of, schema, scope, sink, table};

const DAY: &str = "2025-02-01";

#[tokio::test]
async fn a_fresh_schema_has_no_problems_and_init_is_idempotent() {
    let name = database();
    let mut database = Database::new(config(&name), schema());
    assert_eq!(database.check().await.expect("checked"), []);
    let dump = || {
        shared().sql(&name, "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'org1234567'::regnamespace ORDER BY 1")
    };
    let before = dump();
    database.init().await.expect("a second time");
    assert_eq!(dump(), before);
    assert_eq!(
        shared().sql(&name, "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'org1234567' AND table_name = 'reporting_ocpusagelineitem_daily_summary'"),
        "58"
    );
    assert_eq!(
        shared().sql(&name, "SELECT count(*) FROM org1234567.reporting_ocp_cost_category_namespace"),
        "4"
    );
}

#[tokio::test]
async fn every_defect_is_refused_before_the_delete() {
    let alter = format!("ALTER TABLE {SUMMARY}");
    for (defect, column, said) in [
        (format!("{alter} DROP COLUMN all_labels"), "all_labels", "missing"),
        (format!("{alter} ALTER COLUMN node TYPE varchar(20)"), "node", "character varying(20)"),
        (
            format!("{alter} ALTER COLUMN pod_usage_cpu_core_hours TYPE numeric(24,6)"),
            "pod_usage_cpu_core_hours",
            "numeric(24,6)",
        ),
        (format!("{alter} ALTER COLUMN pod_labels TYPE json"), "pod_labels", "json"),
        (
            format!(
                "UPDATE {SUMMARY} SET raw_currency = 'USD'; {alter} ALTER COLUMN raw_currency SET NOT NULL"
            ),
            "raw_currency",
            "NOT NULL",
        ),
    ] {
        let name = database();
        publish(&mut sink(config(&name)), &scope(DAY, "r"), &rows_of(DAY, 1, 3)).await.expect("published");
        if defect.contains("pod_labels") {
            shared().sql(&name, "DROP INDEX org1234567.pod_labels_idx");
        }
        shared().sql(&name, &defect);
        let before = table(&name, "true");
        let error = publish(&mut sink(config(&name)), &scope(DAY, "r2"), &rows_of(DAY, 2, 3))
            .await
            .expect_err(column);
        let text = error.to_string();
        assert!(text.contains(column) && text.contains(said) && !error.is_retryable(), "{text}");
        assert_eq!(table(&name, "true"), before);
        let problems = Database::new(config(&name), schema()).check().await.expect("checked");
        assert!(problems.iter().any(|problem| problem.object.contains(column)), "{problems:?}");
    }
}

#[tokio::test]
async fn missing_privileges_and_read_only_servers_are_refused() {
    let name = database();
    publish(&mut sink(config(&name)), &scope(DAY, "r"), &rows_of(DAY, 1, 3)).await.expect("published");
    let before = table(&name, "true");
    shared().sql(
        &name,
        &format!(
            "CREATE ROLE reader_{name} LOGIN; GRANT USAGE ON SCHEMA org1234567 TO reader_{name}; \
             GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA org1234567 TO reader_{name}"
        ),
    );
    let url = shared().url(&name).replace("koku@", &format!("reader_{name}@"));
    let config = PostgresConfig::from_url(&url).expect("an address");
    let error = publish(&mut sink(config.clone()), &scope(DAY, "r2"), &rows_of(DAY, 2, 3))
        .await
        .expect_err("no DELETE");
    assert!(error.to_string().contains("DELETE") && error.to_string().contains("GRANT"), "{error}");
    let problems = Database::new(config.clone(), schema()).check().await.expect("checked");
    let told = |table: &str, privilege: &str| {
        problems.iter().find(|problem| problem.object == table && problem.found.ends_with(privilege))
    };
    assert_eq!(
        told("reporting_ocpusagelineitem_daily_summary", "DELETE").map(|problem| problem.severity),
        Some(Severity::Error)
    );
    for table in ["reporting_ocp_clusters", "reporting_ocpusagereportperiod"] {
        let needed_by_some = told(table, "UPDATE").map(|problem| problem.severity);
        assert_eq!(needed_by_some, Some(Severity::Warning), "{table}: {problems:?}");
    }
    // Without any right the ledger is an error, not an empty one.
    shared().sql(&name, &format!("REVOKE ALL ON org1234567.daysum_ledger FROM reader_{name}"));
    let listed = sink(config).published(super::SOURCE, day(DAY), day(DAY)).await;
    assert!(listed.expect_err("no SELECT").to_string().contains("42501"));
    shared().sql(&name, &format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    let error = publish(&mut sink(super::config(&name)), &scope(DAY, "r3"), &rows_of(DAY, 2, 3))
        .await
        .expect_err("read-only");
    assert!(error.to_string().contains("read-only"), "{error}");
    assert_eq!(table(&name, "true"), before);
}

#[tokio::test]
async fn an_absent_schema_or_ledger_is_told_apart() {
    let name = database();
    let mut elsewhere =
        PostgresSink::new(config(&name), Schema::new("org404").expect("a name"), SinkOptions::default());
    let error = elsewhere.published(super::SOURCE, day(DAY), day(DAY)).await.expect_err("no schema");
    assert!(error.to_string().contains("db init"), "{error}");
    shared().sql(&name, "DROP TABLE org1234567.daysum_ledger, org1234567.reporting_enabledtagkeys");
    let mut sink = sink(config(&name));
    assert!(sink.published(super::SOURCE, day(DAY), day(DAY)).await.expect("empty").is_empty());
    let problems = Database::new(config(&name), schema()).check().await.expect("checked");
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(
        (problems[0].severity, problems[0].object.as_str()),
        (Severity::Error, "reporting_enabledtagkeys")
    );
    publish(&mut sink, &scope(DAY, "r"), &rows_of(DAY, 1, 3)).await.expect("the ledger is made");
}

/// T-70: a name is data. Every statement of this crate runs in such a schema.
#[tokio::test]
async fn hostile_schema_names_are_names() {
    let long = "ü".repeat(31);
    for hostile in
        ["org\"; DROP SCHEMA org1234567 CASCADE; --", "a'b", "$1", "Ünï code\n", "a.b", "%I", long.as_str()]
    {
        let name = database();
        let schema = Schema::new(hostile).expect("PostgreSQL can hold it");
        let mut database = Database::new(config(&name), schema.clone());
        database.init().await.expect("made");
        assert_eq!(database.check().await.expect("checked"), []);
        let period = database
            .ensure_report_period(super::SOURCE, day(DAY).month(), "c", "alias")
            .await
            .expect("a period");
        assert_eq!(period, 1);
        let mut scope = scope(DAY, "r");
        scope.report_period_id = Some(7);
        let mut sink = PostgresSink::new(config(&name), schema.clone(), SinkOptions::default());
        publish(&mut sink, &scope, &rows_of(DAY, 1, 3)).await.expect("published");
        assert_eq!(sink.published(super::SOURCE, day(DAY), day(DAY)).await.expect("the ledger").len(), 1);
        let mut quarantine = PostgresQuarantine::new(config(&name), schema);
        assert!(quarantine.list("s").await.expect("listed").is_empty());
        assert_eq!(
            shared().sql(&name, "SELECT count(*) FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('public', 'information_schema')"),
            "2"
        );
        assert_eq!(table(&name, "true"), "", "the other schema is as it was");
    }
}

#[tokio::test]
async fn the_quarantine_keeps_one_entry_for_each_object_and_version() {
    let name = database();
    shared().sql(&name, "DROP TABLE org1234567.daysum_quarantine");
    let mut quarantine = PostgresQuarantine::new(config(&name), schema());
    let entry = |object: &str, version: Option<&str>, reason: &str| QuarantineEntry {
        source_uuid: super::SOURCE.to_owned(),
        object: object.to_owned(),
        version: version.map(str::to_owned),
        code: "format".to_owned(),
        reason: reason.to_owned(),
        days: vec![day(DAY), day("1969-12-31")],
        run: "r".to_owned(),
    };
    for entry in [
        entry("b", None, "1"),
        entry("a", Some("v2"), "2"),
        entry("a", Some("v1"), "3"),
        entry("b", None, "4"),
    ] {
        quarantine.put(&entry).await.expect("stored");
    }
    quarantine.put(&entry("c", None, "holds a \0")).await.expect("NUL is no obstacle");
    let listed = quarantine.list(super::SOURCE).await.expect("listed");
    assert_eq!(
        listed[..3],
        [entry("a", Some("v1"), "3"), entry("a", Some("v2"), "2"), entry("b", None, "4")]
    );
    assert_eq!(quarantine.remove(super::SOURCE, "a").await.expect("removed"), 2);
    assert_eq!(quarantine.remove("other", "b").await.expect("nothing to remove"), 0);
    assert_eq!(quarantine.list(super::SOURCE).await.expect("listed").len(), 2);
}
