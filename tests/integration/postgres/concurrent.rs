//! Several writers, and a reader beside them (T-22, oracle C).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use daysum_core::port::{Sink, WriteScope};
use daysum_tests::postgres::{database, shared};
use tokio_postgres::NoTls;

use super::{SUMMARY, config, eager, publish, rows_of, scope, sink, table};

/// Two writers and eight, all of one day: one after the other, and the last one's rows are there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_one_day_take_turns_and_a_reader_sees_whole_days() {
    let name = database();
    let stop = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(watch(shared().url(&name), stop.clone()));
    for writers in [2, 8] {
        let tasks: Vec<_> = (0..writers)
            .map(|writer| {
                let config = config(&name);
                tokio::spawn(async move {
                    let (scope, batch) =
                        (scope("2025-02-01", &format!("w{writer}")), rows_of("2025-02-01", writer, 600));
                    for _ in 0..3 {
                        eager(config.clone())
                            .publish_day(&scope, || Ok([Ok(batch.clone())].into_iter()))
                            .await
                            .expect("published");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
        assert_eq!(shared().sql(&name, &format!("SELECT count(*) FROM {SUMMARY}")), "600");
        assert_eq!(shared().sql(&name, "SELECT rows FROM org1234567.daysum_ledger"), "600");
    }
    stop.store(true, Ordering::Relaxed);
    let seen = reader.await.expect("no panic");
    assert!(seen.len() > 10, "the reader looked {} times only", seen.len());
    assert!(seen.iter().all(|rows| *rows == 0 || *rows == 600), "{seen:?}");
}

/// Counts the day's rows again and again.
async fn watch(url: String, stop: Arc<AtomicBool>) -> Vec<i64> {
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("connected");
    tokio::spawn(connection);
    let mut seen = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        seen.push(
            client.query_one(&format!("SELECT count(*) FROM {SUMMARY}"), &[]).await.expect("read").get(0),
        );
    }
    seen
}

/// What is deleted goes by report period: the rows of the other source must not appear after the look for them.
#[tokio::test]
async fn sources_that_were_given_one_report_period_take_turns() {
    let (name, day) = (database(), "2025-02-01");
    let mut impatient = config(&name);
    impatient.timeouts.lock = Duration::from_millis(500);
    impatient.retry.retries = 0;
    let (theirs, ours) = (
        WriteScope { source_uuid: "00000000-0000-4000-8000-000000000000".to_owned(), ..scope(day, "theirs") },
        scope(day, "ours"),
    );
    let mut other = sink(config(&name));
    let open = other.begin(&theirs).await.expect("the day is theirs");
    let error =
        publish(&mut sink(impatient.clone()), &ours, &rows_of(day, 1, 3)).await.expect_err("it waits");
    assert!(error.is_retryable(), "{error}");
    drop(open);
    drop(other);
    publish(&mut sink(config(&name)), &ours, &rows_of(day, 1, 3)).await.expect("nobody is in the way");
}

/// Eight writers of sixteen days in four months that have no partitions yet, and sources that share them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_of_many_days_never_block_for_good() {
    let name = database();
    let days: Vec<String> =
        (1..=4).flat_map(|month| (1..=4).map(move |day| format!("2025-{month:02}-{day:02}"))).collect();
    let tasks: Vec<_> = (0..8)
        .map(|writer| {
            let (config, days) = (config(&name), days.clone());
            tokio::spawn(async move {
                let mut sink = eager(config);
                // Everybody starts elsewhere and everybody writes every day.
                for step in 0..days.len() {
                    let date = &days[(step * 3 + writer * 5) % days.len()];
                    let (scope, batch) = (scope(date, &format!("w{writer}")), rows_of(date, 1, 40));
                    sink.publish_day(&scope, || Ok([Ok(batch.clone())].into_iter()))
                        .await
                        .expect("published");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    for date in &days {
        let rows = table(&name, &format!("usage_start = '{date}'"));
        assert_eq!(rows.lines().count(), 40, "{date}");
    }
    assert_eq!(shared().sql(&name, "SELECT count(*) FROM org1234567.daysum_ledger"), "16");
}

/// A partition cannot be made while somebody reads the default one. Whoever comes after does not wait for the end of that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_has_to_wait_does_not_shut_readers_out() {
    let name = database();
    let (mut long, connection) =
        tokio_postgres::connect(&shared().url(&name), NoTls).await.expect("connected");
    tokio::spawn(connection);
    let reading = long.transaction().await.expect("begun");
    reading.query(&format!("SELECT FROM {SUMMARY}_default"), &[]).await.expect("read");
    let mut writer = sink(config(&name));
    let writing = tokio::spawn(async move {
        let scope = scope("2025-02-01", "r");
        publish(&mut writer, &scope, &rows_of("2025-02-01", 1, 3)).await
    });
    let waits = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted";
    while shared().sql(&name, waits) == "0" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let read = format!("SET statement_timeout = '20s'; SELECT count(*) FROM {SUMMARY}_default");
    assert_eq!(shared().sql(&name, &read), "0", "less than the minute that writers wait for locks");
    reading.commit().await.expect("it is over");
    writing.await.expect("no panic").expect("published");
}

/// A partition that disappears between its creation and the COPY is made again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_dropped_meanwhile_is_made_again() {
    let name = database();
    shared().sql(&name, &format!("DROP TABLE {SUMMARY}_default"));
    let (scope, batch) = (scope("2025-02-01", "r"), rows_of("2025-02-01", 1, 50));
    let mut sink = super::sink(config(&name));
    let mut attempts = 0;
    let url = shared().url(&name);
    let receipt = sink
        .publish_day(&scope, || {
            attempts += 1;
            let drop_it = attempts == 1;
            let url = url.clone();
            let batch = batch.clone();
            // By the time that rows are asked for a second time, the transaction is open.
            let mut given = 0;
            Ok(std::iter::from_fn(move || {
                given += 1;
                match given {
                    1 => {
                        if drop_it {
                            let _ = url; // the sink holds no lock on the table until it deletes
                            shared().sql(
                                url.rsplit('/').next().expect("a name"),
                                &format!("DROP TABLE {SUMMARY}_2025_02"),
                            );
                        }
                        Some(Ok(batch.clone()))
                    }
                    _ => None,
                }
            }))
        })
        .await
        .expect("published");
    assert_eq!((receipt.rows, attempts), (50, 2));
    assert_eq!(shared().sql(&name, &format!("SELECT count(*) FROM {SUMMARY}_2025_02")), "50");
}
