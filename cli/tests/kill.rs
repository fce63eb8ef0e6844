//! kill -9 at random moments: a day is the old one or the new one, never between, and the rerun completes it.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use daysum_tests::command::{days as days_of, parquet_below, text};
use daysum_tests::golden::Golden;
use daysum_tests::postgres::{SCHEMA, database, shared};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

const KILLS: u32 = 500;
const SOURCE: &str = "gen-small";

fn start(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_daysum"))
        .args(arguments)
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command was built for this test")
}

fn completes(arguments: &[&str]) -> Duration {
    let started = Instant::now();
    let ended = start(arguments).wait().expect("it ends");
    assert_eq!(ended.code(), Some(0), "daysum {arguments:?}");
    started.elapsed()
}

/// Starts the command and kills it at a moment of its usual life; whether it was still alive. How long that life is
/// follows from what is seen, since machines are faster and slower by turns: about a quarter of the kills come too late.
fn killed(arguments: &[&str], usual: &mut Duration, random: &mut StdRng) -> bool {
    let mut child = start(arguments);
    std::thread::sleep(usual.mul_f64(random.random()));
    let alive = child.try_wait().expect("its state is known").is_none();
    child.kill().expect("a child may be killed");
    child.wait().expect("it is gone");
    *usual = usual.mul_f64(if alive { 1.02 } else { 0.94 });
    alive
}

#[test]
fn a_killed_writer_leaves_whole_days_in_postgresql() {
    let golden = Golden::read(&Golden::root().join(SOURCE));
    let root = Golden::root().join(SOURCE);
    let (input, lookups) = (root.join("input"), root.join("params.json"));
    let database = database();
    let url = shared().url(&database);
    completes(&["db", "init", "--database", &url, "--schema", SCHEMA]);
    shared().add_period(&database, &golden.lookups);
    let run = |alias| {
        [
            "run",
            text(&input),
            "--lookups",
            text(&lookups),
            "--database",
            &url,
            "--schema",
            SCHEMA,
            "--force",
            "--cluster-alias",
            alias,
        ]
    };
    let mut usual = completes(&run("old"));
    let table = format!("{SCHEMA}.reporting_ocpusagelineitem_daily_summary");
    let days = || {
        let sql = format!(
            "SELECT usage_start, count(*), count(DISTINCT cluster_alias) FROM {table} GROUP BY 1 ORDER BY 1"
        );
        shared().sql(&database, &sql)
    };
    let whole = days();
    let mut random = StdRng::seed_from_u64(9);
    let mut met = 0;
    for run_of in (0..3 * KILLS).map(|kill| run(if kill % 2 == 0 { "new" } else { "old" })) {
        met += u32::from(killed(&run_of, &mut usual, &mut random));
        assert_eq!(days(), whole, "after {met} kills");
        if met == KILLS {
            break;
        }
    }
    assert_eq!(met, KILLS, "too few runs were alive when they were killed");
    completes(&run("new"));
    assert_eq!(days(), whole);
    let verify =
        ["verify", text(&input), "--lookups", text(&lookups), "--database", &url, "--schema", SCHEMA];
    completes(&[&verify[..], &["--cluster-alias", "new"]].concat());
}

#[test]
fn a_killed_writer_leaves_whole_files() {
    let root = Golden::root().join(SOURCE);
    let (input, lookups) = (root.join("input"), root.join("params.json"));
    let output = tempfile::tempdir().expect("a directory");
    let run = |alias| {
        [
            "run",
            text(&input),
            "--lookups",
            text(&lookups),
            "--output",
            text(output.path()),
            "--force",
            "--cluster-alias",
            alias,
        ]
    };
    let days = || {
        let files = parquet_below(output.path());
        files.into_iter().map(|path| (fs::read(&path).expect("readable"), path)).collect::<Vec<_>>()
    };
    completes(&run("new"));
    let new = days();
    let mut usual = completes(&run("old"));
    let old = days();
    assert_eq!((old.len(), new.len()), (2, 2));
    assert!(old.iter().zip(&new).all(|(old, new)| old.0 != new.0 && old.1 == new.1));
    let mut random = StdRng::seed_from_u64(10);
    let (kills, mut met) = (KILLS / 5, 0);
    for run_of in (0..3 * kills).map(|kill| run(if kill % 2 == 0 { "new" } else { "old" })) {
        met += u32::from(killed(&run_of, &mut usual, &mut random));
        let left = days();
        assert_eq!(left.len(), 2, "after {met} kills");
        for (at, day) in left.iter().enumerate() {
            assert!(*day == old[at] || *day == new[at], "after {met} kills: {}", day.1.display());
        }
        if met == kills {
            break;
        }
    }
    assert_eq!(met, kills, "too few runs were alive when they were killed");
    completes(&run("new"));
    assert!(days() == new);
    let run = run("new").into_iter().filter(|argument| *argument != "--force").collect::<Vec<_>>();
    let report = output.path().join("report.json");
    completes(&[&run[..], &["--report", text(&report)]].concat());
    let report: Value = serde_json::from_slice(&fs::read(report).expect("a report")).expect("JSON");
    assert_eq!(days_of(&report, "days_unchanged").len(), 2, "the ledger knows the days as they are");
}
