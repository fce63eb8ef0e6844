//! PostgreSQL goes away in the middle of `daysum run` and comes back.

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use daysum_tests::command::{Daysum, golden, text, wait_until};
use daysum_tests::golden::Golden;
use daysum_tests::postgres::{SCHEMA, Server, binary};
use tempfile::TempDir;

const DAYSUM: Daysum = Daysum(env!("CARGO_BIN_EXE_daysum"));
const DATABASE: &str = "postgres";

#[test]
fn a_run_outlives_a_restart_of_the_database() {
    let mut server = Server::start();
    let url = server.url(DATABASE);
    DAYSUM.ends(0, &["db", "init", "--database", &url, "--schema", SCHEMA]);
    server.add_period(DATABASE, &Golden::small().lookups);
    let ((input, lookups), work) = (golden("gen-small"), TempDir::new().expect("a directory"));
    let metrics = work.path().join("metrics.prom");
    let run = |alias: &'static str| {
        let run = ["run", text(&input), "--lookups", text(&lookups), "--force", "--cluster-alias", alias];
        let to = ["--database", &url, "--schema", SCHEMA, "--metrics-file", text(&metrics)];
        [&run[..], &to].concat()
    };
    let table = format!("{SCHEMA}.reporting_ocpusagelineitem_daily_summary");
    let rows = |server: &Server| {
        server.sql(
            DATABASE,
            &format!("SELECT usage_start, cluster_alias, count(*) FROM {table} GROUP BY 1, 2 ORDER BY 1, 2"),
        )
    };
    DAYSUM.ends(0, &run("old"));
    let before = rows(&server);

    for place in [table.clone(), format!("{SCHEMA}.daysum_ledger")] {
        // Somebody holds the table, so the run waits in the middle of its transaction.
        let lock = format!("BEGIN; LOCK TABLE {place} IN SHARE MODE; SELECT pg_sleep(600)");
        let mut holder = Command::new(binary("psql"))
            .args(["-Xq", "-d", &url, "-c", &lock])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("psql runs");
        let waits = |server: &Server, event: &str| {
            let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE {event}");
            server.sql(DATABASE, &sql) != "0"
        };
        wait_until("the holder", || waits(&server, "wait_event = 'PgSleep'"));
        let child = DAYSUM
            .command(&run("new"), &[])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command was built for this test");
        wait_until("the run's wait", || waits(&server, "wait_event_type = 'Lock'"));
        assert_eq!(rows(&server), before, "nothing is seen of a day that is not committed");
        server.stop_now();
        sleep(Duration::from_millis(300));
        server.resume();
        holder.wait().expect("its server is gone");

        let ended = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(0), "{said}");
        assert!(said.contains("trying again") && said.contains("2 days"), "{said}");
        assert_eq!(rows(&server), before.replace("|old|", "|new|"));
        let metrics = fs::read_to_string(&metrics).expect("metrics");
        let retries = metrics.lines().find(|line| line.starts_with("daysum_database_retries{"));
        assert!(retries.is_some_and(|line| !line.ends_with(" 0.0")), "{metrics}");

        DAYSUM.ends(0, &run("old"));
        assert_eq!(rows(&server), before);
    }
}
