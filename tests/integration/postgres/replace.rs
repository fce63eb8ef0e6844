//! One day is replaced, and nothing else.

use std::sync::Arc;

use arrow::array::{Int32Array, RecordBatch, StringArray};
use daysum_core::Error;
use daysum_core::port::{Ledger, Sink, WriteScope};
use daysum_io_postgres::{Database, DayScope, NumericMode, PostgresSink, SinkOptions};
use daysum_tests::postgres::{database, shared};

use super::{SOURCE, SUMMARY, config, day, digest, eager, publish, rows_of, schema, scope, sink, table};

const DAY: &str = "2025-02-01";

/// The same rows for another source and report period.
fn moved_to(rows: &RecordBatch, source: &str, period: i32) -> RecordBatch {
    let at = |name| rows.schema().index_of(name).expect("a column");
    let mut columns = rows.columns().to_vec();
    columns[at("report_period_id")] = Arc::new(Int32Array::from(vec![period; rows.num_rows()]));
    columns[at("source_uuid")] = Arc::new(StringArray::from(vec![source; rows.num_rows()]));
    RecordBatch::try_new(rows.schema(), columns).expect("as many rows")
}

#[tokio::test]
async fn what_is_written_is_read_back_and_the_ledger_tells_where_from() {
    let name = database();
    let (scope, batch) = (scope(DAY, "run-1"), rows_of(DAY, 1, 50));
    let mut sink = sink(config(&name));
    let receipt = publish(&mut sink, &scope, &batch).await.expect("published");
    assert_eq!((receipt.rows, receipt.rows_deleted, receipt.unchanged), (50, Some(0), false));

    let published = sink.published(SOURCE, day("2025-01-01"), day("2025-12-31")).await.expect("the ledger");
    assert_eq!(published.len(), 1);
    assert_eq!(published[0].scope, scope);
    assert_eq!((published[0].rows, published[0].digest.as_str()), (50, digest(&batch).as_str()));
    assert!(
        sink.published(SOURCE, day("2025-02-02"), day("2025-12-31")).await.expect("the ledger").is_empty()
    );

    let mut database = Database::new(config(&name), schema());
    let day_scope = DayScope::try_from(&scope).expect("it has a period");
    let stored = database.read_day(&day_scope).await.expect("read");
    assert_eq!(stored.schema(), batch.schema());
    let diff = database
        .diff_day(&day_scope, std::slice::from_ref(&batch), NumericMode::Shortest)
        .await
        .expect("a diff");
    assert!(diff.is_empty(), "{diff:?}");
    assert_eq!(diff.unchanged, 50);
    // Values of a power-of-two denominator come back bit for bit.
    let diff = database.diff_day(&day_scope, &[stored], NumericMode::Shortest).await.expect("a diff");
    assert!(diff.is_empty(), "{diff:?}");

    let other = rows_of(DAY, 2, 51);
    let diff = database.diff_day(&day_scope, &[other], NumericMode::Shortest).await.expect("a diff");
    assert_eq!((diff.added.len(), diff.removed.len()), (1, 0));
    assert!(diff.changed.len() >= 30, "rows of other values are changed, not removed and added");
    // jsonb arrived as jsonb, and its zeros kept their scale.
    let cost = shared().sql(&name, &format!("SELECT DISTINCT infrastructure_usage_cost FROM {SUMMARY}"));
    assert_eq!(cost, daysum_core::rows::ZERO_COST);
    assert_eq!(shared().sql(&name, &format!("SELECT count(DISTINCT uuid) FROM {SUMMARY}")), "50");
}

#[tokio::test]
async fn a_day_that_was_published_again_is_not_removed() {
    let name = database();
    let batch = rows_of(DAY, 1, 50);
    let mut sink = sink(config(&name));
    let mut entry = async |run: &str| {
        publish(&mut sink, &scope(DAY, run), &batch).await.expect("published");
        sink.published(SOURCE, day(DAY), day(DAY)).await.expect("the ledger").remove(0)
    };
    let (seen, now) = (entry("run-1").await, entry("run-2").await);
    let before = table(&name, "true");
    assert_eq!(sink.remove_day(&seen).await.expect("looked"), None);
    assert_eq!(table(&name, "true"), before);
    assert_eq!(sink.remove_day(&now).await.expect("removed"), Some(50));
    assert_eq!(table(&name, "true"), "");
}

/// Two providers under one report period, by a slip in the lookups: each would delete the other's rows.
#[tokio::test]
async fn rows_of_another_source_are_never_replaced() {
    let name = database();
    let batch = rows_of(DAY, 1, 50);
    let mut sink = sink(config(&name));
    publish(&mut sink, &scope(DAY, "run-1"), &batch).await.expect("published");
    let before = table(&name, "true");
    let other = "0a4238b2-62ad-5c41-8747-6ee200183c54".to_owned();
    let of_other = WriteScope { source_uuid: other.clone(), ..scope(DAY, "run-2") };
    let error = publish(&mut sink, &of_other, &moved_to(&batch, &other, 7)).await.expect_err("refused");
    let told = format!("report period 7 has rows of source {SOURCE}");
    assert!(!error.is_retryable() && error.to_string().contains(&told), "{error}");
    assert_eq!(table(&name, "true"), before);
    // Nor are they removed with a day of this source, were they there already.
    let own = sink.published(SOURCE, day(DAY), day(DAY)).await.expect("the ledger").remove(0);
    shared().sql(&name, &format!("UPDATE {SUMMARY} SET source_uuid = '{other}' WHERE namespace = 'ns-0'"));
    let mixed = table(&name, "true");
    let error = sink.remove_day(&own).await.expect_err("refused").to_string();
    assert!(error.contains(&format!("has rows of source {other}")), "{error}");
    assert_eq!(table(&name, "true"), mixed);
    shared().sql(&name, &format!("UPDATE {SUMMARY} SET source_uuid = '{SOURCE}'"));
    let of_other = WriteScope { report_period_id: Some(8), ..of_other };
    publish(&mut sink, &of_other, &moved_to(&batch, &other, 8)).await.expect("published");
    assert_eq!(table(&name, &format!("source_uuid <> '{other}'")), before);
    let period = "INSERT INTO org1234567.reporting_ocpusagereportperiod (id, cluster_id, report_period_start, \
                  report_period_end, provider_id) VALUES (8, 'c', '2025-02-01', '2025-03-02', ";
    shared().sql(&name, &format!("{period}'{other}')"));
    let mut database = Database::new(config(&name), schema());
    assert_eq!(database.owner_of_report_period(8).await.expect("read"), Some(other));
    assert_eq!(database.owner_of_report_period(9).await.expect("read"), None);
}

#[tokio::test]
async fn a_day_that_moves_to_another_period_is_there_once() {
    let name = database();
    let batch = rows_of(DAY, 1, 50);
    let mut sink = sink(config(&name));
    publish(&mut sink, &scope(DAY, "run-1"), &batch).await.expect("published");
    let moved = WriteScope { report_period_id: Some(8), ..scope(DAY, "run-2") };
    let receipt = publish(&mut sink, &moved, &moved_to(&batch, SOURCE, 8)).await.expect("published");
    assert_eq!((receipt.rows, receipt.rows_deleted), (50, Some(50)));
    let periods = format!("SELECT DISTINCT report_period_id, count(*) FROM {SUMMARY} GROUP BY 1");
    assert_eq!(shared().sql(&name, &periods), "8|50");
}

/// As many rows as the ledger tells, but somebody has altered one of them.
#[tokio::test]
async fn altered_rows_are_written_again_where_that_is_asked_for() {
    let name = database();
    let batch = rows_of(DAY, 1, 50);
    publish(&mut sink(config(&name)), &scope(DAY, "run-1"), &batch).await.expect("published");
    let before = table(&name, "true");
    shared().sql(&name, &format!("UPDATE {SUMMARY} SET namespace = 'altered'"));
    let options = SinkOptions { rewrite: true, ..SinkOptions::default() };
    let mut sink = PostgresSink::new(config(&name), schema(), options);
    assert!(!publish(&mut sink, &scope(DAY, "run-2"), &batch).await.expect("published").unchanged);
    assert_eq!(table(&name, "true"), before);
}

#[tokio::test]
async fn ten_publications_of_the_same_rows_touch_no_row() {
    for eager_copy in [false, true] {
        let name = database();
        let batch = rows_of(DAY, 1, 3000);
        let uuids = |name: &str| {
            shared()
                .sql(name, &format!("SELECT md5(string_agg(uuid::text, '' ORDER BY uuid)) FROM {SUMMARY}"))
        };
        let mut sink = if eager_copy { eager(config(&name)) } else { sink(config(&name)) };
        publish(&mut sink, &scope(DAY, "run-0"), &batch).await.expect("published");
        let before = uuids(&name);
        for run in 1..=10 {
            let run = format!("run-{run}");
            let receipt = publish(&mut sink, &scope(DAY, &run), &batch).await.expect("published");
            assert!(receipt.unchanged && receipt.rows == 3000, "{receipt:?}");
            assert_eq!(uuids(&name), before);
            assert_eq!(shared().sql(&name, "SELECT run FROM org1234567.daysum_ledger"), run);
        }
        // An equal digest proves nothing once somebody has removed rows.
        shared().sql(&name, &format!("DELETE FROM {SUMMARY} WHERE node = 'node-3'"));
        let receipt = publish(&mut sink, &scope(DAY, "repair"), &batch).await.expect("published");
        assert!(!receipt.unchanged);
        assert_eq!(shared().sql(&name, &format!("SELECT count(*) FROM {SUMMARY}")), "3000");
    }
}

/// SPEC 2.12, case 61, T-06.
#[tokio::test]
async fn rows_of_others_stay() {
    let name = database();
    let insert = |columns: &str, values: &str| {
        shared().sql(
            &name,
            &format!(
                "INSERT INTO {SUMMARY} (usage_start, usage_end, report_period_id, source_uuid, {columns}) \
                 VALUES ({values})"
            ),
        )
    };
    let mine = format!("'{DAY}', '{DAY}', 7, '{SOURCE}'");
    insert("namespace, infrastructure_raw_cost", &format!("{mine}, 'cloud', 5"));
    insert("namespace, infrastructure_raw_cost", &format!("{mine}, 'old zero', 0"));
    insert("namespace", &format!("{mine}, 'old null'"));
    insert("namespace", &format!("'{DAY}', '{DAY}', 8, '{SOURCE}', 'other period'"));
    insert("namespace", &format!("'2025-02-02', '2025-02-02', 7, '{SOURCE}', 'other day'"));
    let others = "namespace IN ('cloud', 'other period', 'other day')";
    let before = table(&name, others);
    assert_eq!(before.lines().count(), 3);

    let receipt =
        publish(&mut sink(config(&name)), &scope(DAY, "r"), &rows_of(DAY, 1, 9)).await.expect("published");
    assert_eq!(receipt.rows_deleted, Some(2));
    assert_eq!(table(&name, others), before);
    assert_eq!(shared().sql(&name, &format!("SELECT count(*) FROM {SUMMARY}")), "12");
    // The rows had waited in the default partition; the month has its own now, with all of them.
    assert_eq!(shared().sql(&name, &format!("SELECT count(*) FROM {SUMMARY}_default")), "0");
    assert_eq!(shared().sql(&name, &format!("SELECT count(*) FROM {SUMMARY}_2025_02")), "12");
}

/// T-07: dropped, the old day stays.
#[tokio::test]
async fn a_dropped_writer_did_nothing() {
    let name = database();
    let mut sink = eager(config(&name));
    publish(&mut sink, &scope(DAY, "r1"), &rows_of(DAY, 1, 2000)).await.expect("published");
    let before = table(&name, "true");
    for _ in 0..3 {
        let scope = scope(DAY, "r2");
        let mut write = sink.begin(&scope).await.expect("begun");
        write.write(&rows_of(DAY, 2, 3000)).await.expect("written");
        drop(write);
        assert_eq!(table(&name, "true"), before);
    }
    let receipt =
        publish(&mut sink, &scope(DAY, "r3"), &rows_of(DAY, 2, 10)).await.expect("the sink still works");
    assert_eq!(receipt.rows_deleted, Some(2000));
}

/// T-24, case 71: refused with the row's names, and the old day stays.
#[tokio::test]
async fn values_that_the_table_cannot_hold_are_refused_by_name() {
    let name = database();
    let good = rows_of(DAY, 1, 4);
    publish(&mut sink(config(&name)), &scope(DAY, "r"), &good).await.expect("published");
    let before = table(&name, "true");
    let long = "x".repeat(300);
    let cases: [(&str, Option<&str>, Option<f64>, &str); 10] = [
        ("resource_id", Some(&long), None, "300 characters"),
        ("namespace", Some("a\0b"), None, "NUL"),
        ("pod_labels", Some(r#"{"a": "\u0000"}"#), None, "NUL"),
        ("source_uuid", Some("11111111-1111-1111-1111-111111111111"), None, "in a write of source"),
        ("pod_usage_cpu_core_hours", None, Some(f64::NAN), "not a finite number"),
        ("pod_usage_cpu_core_hours", None, Some(f64::NEG_INFINITY), "not a finite number"),
        ("node_capacity_cpu_cores", None, Some(1e18), "18 integer digits"),
        ("usage_start", None, None, "2025-02-02"),
        ("report_period_id", None, None, "is 7 in a write of report period 8"),
        ("source_uuid", None, None, "is NULL"),
    ];
    for (column, text, number, expected) in cases {
        let date = if column == "usage_start" { "2025-02-02" } else { DAY };
        let position = good.schema().index_of(column).expect("a column");
        let batch = super::build(
            date,
            3,
            |name, row| {
                let usual = match name {
                    "source_uuid" => Some(SOURCE.to_owned()),
                    "namespace" => Some("ns".to_owned()),
                    "node" => Some("n1".to_owned()),
                    _ => None,
                };
                if row == 1 && name == column { text.map(str::to_owned) } else { usual }
            },
            |index, row| if row == 1 && index == position { number } else { Some(1.0) },
        );
        let period = if column == "report_period_id" { 8 } else { 7 };
        let scope = WriteScope { report_period_id: Some(period), ..scope(DAY, "bad") };
        let error = publish(&mut eager(config(&name)), &scope, &batch).await.expect_err(column);
        assert!(matches!(error, Error::Value { .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains(column) && said.contains(expected) && said.contains("namespace"), "{said}");
        assert!(!error.is_retryable());
        assert_eq!(table(&name, "true"), before, "{column}");
    }
    // What only the server notices is as harmless.
    let text = |name: &str, _| match name {
        "source_uuid" => Some(SOURCE.to_owned()),
        "pod_labels" => Some("{not json".to_owned()),
        _ => None,
    };
    let batch = super::build(DAY, 3, text, |_, _| None);
    let error = publish(&mut sink(config(&name)), &scope(DAY, "bad"), &batch).await.expect_err("no JSON");
    assert!(error.to_string().contains("22P02"), "{error}");
    assert_eq!(table(&name, "true"), before);
}

/// A failed write cannot be committed by a caller who looks away.
#[tokio::test]
async fn a_write_that_failed_cannot_be_committed() {
    let name = database();
    let mut sink = sink(config(&name));
    let scope = scope(DAY, "r");
    let mut write = sink.begin(&scope).await.expect("begun");
    write.write(&rows_of(DAY, 1, 5)).await.expect("good rows");
    write.write(&rows_of("2025-02-03", 1, 5)).await.expect_err("rows of another day");
    write.commit().await.expect_err("refused");
    assert_eq!(table(&name, "true"), "");
}

/// A partition ends before the day that it is bounded by.
#[tokio::test]
async fn each_month_has_its_own_partition_and_the_default_one_stays_empty() {
    let name = database();
    for date in ["2025-01-31", "2025-02-01"] {
        publish(&mut sink(config(&name)), &scope(date, "r"), &rows_of(date, 1, 5)).await.expect("published");
    }
    let found = format!("SELECT tableoid::regclass::text, count(*) FROM {SUMMARY} GROUP BY 1 ORDER BY 1");
    let [january, february] = ["2025_01", "2025_02"].map(|month| format!("{SUMMARY}_{month}|5"));
    assert_eq!(shared().sql(&name, &found), format!("{january}\n{february}"));
}

/// Case 72, with and without koku's tracking table.
#[tokio::test]
async fn a_month_without_partition_gets_one() {
    let plain = database();
    publish(&mut sink(config(&plain)), &scope("2024-02-29", "r"), &rows_of("2024-02-29", 1, 5))
        .await
        .expect("published");
    let bounds = |name: &str| {
        shared().sql(
            name,
            "SELECT pg_get_expr(relpartbound, oid) FROM pg_class \
             WHERE relname = 'reporting_ocpusagelineitem_daily_summary_2024_02'",
        )
    };
    assert_eq!(bounds(&plain), "FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')");
    // Somebody has put the month aside; its rows do not come back unasked.
    shared().sql(&plain, &format!("ALTER TABLE {SUMMARY} DETACH PARTITION {SUMMARY}_2024_02"));
    let error =
        publish(&mut sink(config(&plain)), &scope("2024-02-28", "r"), &rows_of("2024-02-28", 1, 5)).await;
    assert!(error.expect_err("refused").to_string().contains("is not attached; attach or drop it"));
    assert_eq!(table(&plain, "true"), "");

    let tracked = database();
    shared().sql(
        &tracked,
        "CREATE TABLE org1234567.partitioned_tables (id serial PRIMARY KEY, schema_name text NOT NULL, \
             table_name text NOT NULL, partition_of_table_name text NOT NULL, partition_type text NOT NULL, \
             partition_col text NOT NULL, partition_parameters jsonb NOT NULL, active boolean NOT NULL DEFAULT true, \
             UNIQUE (schema_name, table_name)); \
         CREATE FUNCTION org1234567.make() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF NEW.active THEN EXECUTE format('CREATE TABLE %I.%I PARTITION OF %I.%I FOR VALUES FROM (%L) TO (%L)', \
                 NEW.schema_name, NEW.table_name, NEW.schema_name, NEW.partition_of_table_name, \
                 NEW.partition_parameters->>'from', NEW.partition_parameters->>'to'); END IF; RETURN NULL; END $$; \
         CREATE TRIGGER make AFTER INSERT ON org1234567.partitioned_tables FOR EACH ROW \
             EXECUTE FUNCTION org1234567.make()",
    );
    for run in ["r1", "r2"] {
        let mut sink = sink(config(&tracked));
        publish(&mut sink, &scope("2024-02-29", run), &rows_of("2024-02-29", 1, 5)).await.expect("published");
    }
    assert_eq!(bounds(&tracked), "FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')");
    assert_eq!(
        shared().sql(&tracked, "SELECT table_name, partition_parameters FROM org1234567.partitioned_tables"),
        "reporting_ocpusagelineitem_daily_summary_2024_02|\
         {\"to\": \"2024-03-01\", \"from\": \"2024-02-01\", \"default\": false}"
    );
    // A row that makes no partition is named instead of waited for.
    shared().sql(
        &tracked,
        "INSERT INTO org1234567.partitioned_tables (schema_name, table_name, partition_of_table_name, partition_type, \
             partition_col, partition_parameters, active) VALUES ('org1234567', \
             'reporting_ocpusagelineitem_daily_summary_2024_03', 'reporting_ocpusagelineitem_daily_summary', 'range', \
             'usage_start', '{}', false)",
    );
    let mut sink = sink(config(&tracked));
    let error = publish(&mut sink, &scope("2024-03-05", "r"), &rows_of("2024-03-05", 1, 5))
        .await
        .expect_err("inactive");
    assert!(error.to_string().contains("active"), "{error}");
}

/// Case 63: no period, no write, and a reason that a caller can tell from others.
#[tokio::test]
async fn without_report_period_nothing_is_begun() {
    use daysum_io_postgres::PostgresError;
    let name = database();
    let mut scope = scope(DAY, "r");
    scope.report_period_id = None;
    let mut sink = sink(config(&name));
    let Err(Error::Port { cause, retryable, .. }) = sink.begin(&scope).await.map(drop) else {
        panic!("a scope without period was begun");
    };
    assert!(!retryable);
    assert!(matches!(cause.downcast_ref(), Some(PostgresError::NoReportPeriod { .. })));
}

#[tokio::test]
async fn the_unix_socket_serves_as_well() {
    let name = database();
    let config =
        daysum_io_postgres::PostgresConfig::from_url(&shared().socket_url(&name)).expect("an address");
    assert!(!config.uses_tls());
    publish(&mut sink(config), &scope(DAY, "r"), &rows_of(DAY, 1, 5)).await.expect("published");
    assert_eq!(shared().sql(&name, &format!("SELECT count(*) FROM {SUMMARY}")), "5");
}
