//! The command itself, as a shell would run it, on the golden data sets and on a real PostgreSQL.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use daysum_core::rows;
use daysum_tests::compare::{Precision, assert_same};
use daysum_tests::golden::{Golden, read_parquet};
use daysum_tests::postgres::{SCHEMA, database, shared};
use tempfile::TempDir;

/// koku's SQL sums doubles in any order, so the last digits of its rows are no law (SPEC 4.1).
const PRECISION: Precision = Precision::Relative(1e-9);

fn daysum(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_daysum"))
        .args(arguments)
        .env_clear()
        .output()
        .expect("the command was built for this test")
}

/// Runs the command, which must end with this code; what it said on stderr.
fn ends(code: i32, arguments: &[&str]) -> String {
    let output = daysum(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "daysum {arguments:?}: {said}");
    said
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}

fn golden(name: &str) -> (PathBuf, PathBuf) {
    let root = Golden::root().join(name);
    (root.join("input"), root.join("params.json"))
}

fn written(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).expect("the output is a directory") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "parquet"));
    found.sort();
    found
}

fn rows_below(directory: &Path) -> RecordBatch {
    let days: Vec<RecordBatch> = written(directory)
        .iter()
        .map(|path| read_parquet(fs::read(path).expect("a readable file").into()))
        .collect();
    concat_batches(&rows::schema(), &days).expect("all days have the schema of finished rows")
}

#[test]
fn every_golden_in_both_modes() {
    for golden in Golden::all() {
        let (input, lookups) = self::golden(&golden.name);
        for mode in ["streaming", "in-memory"] {
            let output = TempDir::new().expect("a directory");
            let report = output.path().join("report.json");
            let days = output.path().join("days");
            ends(
                0,
                &[
                    "run",
                    text(&input),
                    "--lookups",
                    text(&lookups),
                    "--output",
                    text(&days),
                    "--mode",
                    mode,
                    "--memory-limit",
                    "64MiB",
                    "--threads",
                    "2",
                    "--report",
                    text(&report),
                ],
            );
            assert_same(&format!("{} {mode}", golden.name), &golden.expected, &rows_below(&days), PRECISION);
            let report: serde_json::Value =
                serde_json::from_slice(&fs::read(report).expect("a report")).expect("JSON");
            assert_eq!(report["rows_out"], golden.expected.num_rows());
        }
    }
}

#[test]
fn the_golden_rows_in_postgresql_and_nothing_to_write_the_second_time() {
    let server = shared();
    for golden in Golden::all() {
        let (input, lookups) = self::golden(&golden.name);
        let database = database();
        let url = server.url(&database);
        ends(0, &["db", "init", "--database", &url, "--schema", SCHEMA]);
        ends(0, &["db", "check", "--database", &url, "--schema", SCHEMA]);
        let period = golden.lookups.report_period_id.expect("goldens have one");
        server.sql(
            &database,
            &format!(
                "INSERT INTO {SCHEMA}.reporting_ocpusagereportperiod (id, cluster_id, cluster_alias, \
                 report_period_start, report_period_end, provider_id) VALUES ({period}, 'c', 'a', \
                 '2025-11-01', '2025-12-01', '{}')",
                golden.lookups.source_uuid
            ),
        );
        let run = ["run", text(&input), "--lookups", text(&lookups), "--database", &url, "--schema", SCHEMA];
        ends(0, &run);
        let count = || {
            let sql = format!(
                "SELECT count(*), min(xmin::text), max(xmin::text) FROM {SCHEMA}.reporting_ocpusagelineitem_daily_summary"
            );
            server.sql(&database, &sql)
        };
        let first = count();
        assert!(first.starts_with(&golden.expected.num_rows().to_string()), "{}: {first}", golden.name);
        ends(0, &run);
        assert_eq!(count(), first, "the second run writes no row");
    }
}

#[test]
fn an_unreadable_file_holds_back_its_day_and_no_other() {
    let (input, lookups) = golden("gen-small");
    let copy = TempDir::new().expect("a directory");
    let copied = Command::new("cp").args(["-r", text(&input), text(copy.path())]).status().expect("cp");
    assert!(copied.success());
    let input = copy.path().join("input");
    let broken = written(&input)
        .into_iter()
        .find(|path| text(path).contains("pod_usage_line_items_daily") && text(path).contains("2025-11-01"))
        .expect("the data set has a daily file of its first day");
    let whole = fs::read(&broken).expect("readable");
    let (good, bad) = (copy.path().join("good"), copy.path().join("bad"));
    ends(0, &["run", text(&input), "--lookups", text(&lookups), "--output", text(&good)]);
    for cut in [0, 3, whole.len() / 2, whole.len() - 1] {
        fs::write(&broken, &whole[..cut]).expect("writable");
        let _ = fs::remove_dir_all(&bad);
        let said = ends(3, &["run", text(&input), "--lookups", text(&lookups), "--output", text(&bad)]);
        assert!(said.contains("pod_usage.2025-11-01") && said.contains("held back: 1 days"), "{said}");
        let (good, bad) = (written(&good), written(&bad));
        assert_eq!((good.len(), bad.len()), (2, 1));
        assert_eq!(fs::read(&good[1]).expect("readable"), fs::read(&bad[0]).expect("readable"));
    }
}

#[test]
fn a_run_in_parts_gives_the_bytes_of_a_run() {
    let (input, lookups) = golden("gen-small");
    let work = TempDir::new().expect("a directory");
    let path = |name: &str| text(&work.path().join(name)).to_owned();
    let (input, lookups) = (text(&input), text(&lookups));
    for (name, only) in [("pods", "pod_usage"), ("storage", "storage_usage"), ("labels", "labels")] {
        ends(0, &["fold", input, "--lookups", lookups, "--only", only, "--output", &path(name)]);
    }
    ends(0, &["merge", &path("pods"), &path("storage"), &path("labels"), "--output", &path("one")]);
    ends(0, &["merge", &path("labels"), &path("pods"), &path("storage"), "--output", &path("two")]);
    assert_eq!(fs::read(path("one")).expect("a state"), fs::read(path("two")).expect("a state"));
    ends(0, &["finalise", &path("one"), "--lookups", lookups, "--output", &path("parts")]);
    ends(0, &["run", input, "--lookups", lookups, "--output", &path("whole")]);
    let (parts, whole) = (written(&work.path().join("parts")), written(&work.path().join("whole")));
    assert_eq!(parts.len(), whole.len());
    for (part, whole) in parts.iter().zip(&whole) {
        assert_eq!(fs::read(part).expect("readable"), fs::read(whole).expect("readable"));
    }
    let said = ends(1, &["merge", &path("one"), &path("pods"), "--output", &path("twice")]);
    assert!(said.contains("already in this state"), "{said}");
    let other =
        ["finalise", &path("one"), "--lookups", lookups, "--enabled-keys", "x", "--output", &path("other")];
    assert!(ends(1, &other).contains("different configurations"));
}

#[test]
fn exit_codes_tell_what_happened() {
    let (input, lookups) = golden("gen-small");
    let work = TempDir::new().expect("a directory");
    let (empty, output) = (text(work.path()).to_owned(), work.path().join("out"));
    let (lookups, output) = (text(&lookups), text(&output));
    assert!(ends(4, &["run", &empty, "--lookups", lookups, "--output", output]).contains("nothing to do"));
    assert!(ends(2, &["run", "/nowhere", "--lookups", lookups, "--output", output]).contains("/nowhere"));
    assert!(ends(2, &["run", text(&input), "--output", output]).contains("no date range"));
    assert!(ends(2, &["run", text(&input), "--lookups", lookups]).contains("no output"));
    ends(2, &["run", text(&input), "--threads", "0"]);
}
