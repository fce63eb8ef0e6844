//! How much memory the command takes, as the kernel counts it, beyond a run that has nothing to do. Bounds are what was
//! measured and a tenth more. What single stages take is counted exactly in `stages.rs`.
//!
//! A bound is changed on purpose by running `cargo test -p daysum --test memory -- --nocapture` and writing down what it
//! says, with the reason in the commit.

use std::fs;
use std::path::Path;

use daysum_tests::command::{Daysum, parquet_below, text};
use daysum_tests::fixture::{Fixture, PodRow, labels, pod};
use tempfile::TempDir;

const DAYSUM: Daysum = Daysum(env!("CARGO_BIN_EXE_daysum"));

fn pod_of_its_own(number: usize) -> PodRow {
    PodRow {
        pod: Some(format!("pod-{number}")),
        labels: Some(format!(r#"{{"app": "an application with the number {number:09}"}}"#)),
        ..pod()
    }
}

/// One day of pods of which every one has labels of its own.
fn a_day_of_groups(groups: usize, directory: &Path) {
    let mut fixture = Fixture::base();
    fixture.daily_pods = Vec::new();
    fixture.hourly_pods = (0..groups).map(pod_of_its_own).collect();
    fixture.place(directory);
}

/// A synthetic cluster, and what is said on the command line to make it.
fn a_cluster(shape: &[&str], directory: &Path) {
    let input = directory.join("input");
    DAYSUM.ends(0, &[&["generate", "--output", text(&input)], shape].concat());
    fs::rename(input.join("lookups.json"), directory.join("lookups.json")).expect("generated");
}

/// The days' files, and the most memory that the run took, in MiB.
fn run(directory: &Path, limit: &str) -> (Vec<Vec<u8>>, u64) {
    let (output, report) = (directory.join(limit), directory.join("report.json"));
    let (input, lookups) = (directory.join("input"), directory.join("lookups.json"));
    let spills = directory.join("spills");
    fs::create_dir_all(&spills).expect("writable");
    DAYSUM.ends_with(
        0,
        &[
            &["run", text(&input), "--lookups", text(&lookups), "--output", text(&output)],
            &["--report", text(&report), "--memory-limit", limit, "--threads", "2"][..],
        ]
        .concat(),
        &[("TMPDIR", spills.display().to_string())],
    );
    assert_eq!(fs::read_dir(&spills).expect("a directory").count(), 0, "nothing is left behind");
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(report).expect("a report")).expect("JSON");
    let files = parquet_below(&output).iter().map(|path| fs::read(path).expect("a file")).collect();
    (files, report["peak_rss_bytes"].as_u64().expect("a number") >> 20)
}

/// What a run takes that has nearly nothing to do: code and stacks, which differ between builds.
fn idle() -> u64 {
    let directory = TempDir::new().expect("a directory");
    a_day_of_groups(1, directory.path());
    run(directory.path(), "16MiB").1
}

/// What a run of this input takes under 16 MiB beyond an idle one, in MiB. The rows are those of a run without a limit,
/// and that one takes more than `bound`: else the input would be too small to show anything.
fn taken(directory: &Path, bound: u64) -> u64 {
    let idle = idle();
    let (held, free) = run(directory, "4GiB");
    let (bounded, taken) = run(directory, "16MiB");
    let (free, taken) = (free - idle, taken - idle);
    eprintln!("{idle} MiB idle; beyond that {free} MiB without a limit, {taken} MiB under 16 MiB");
    assert!(!held.is_empty() && held == bounded, "the same bytes under any limit");
    assert!(free > bound, "{free} MiB without a limit: too little to show anything");
    taken
}

#[test]
fn a_day_larger_than_the_limit_is_the_same_day() {
    let directory = TempDir::new().expect("a directory");
    a_day_of_groups(300_000, directory.path());
    let taken = taken(directory.path(), GROUPS_MIB);
    assert!(taken <= GROUPS_MIB, "{taken} MiB");
}

/// Each pod's usage comes under every pair of a label set of its node and one of its namespace.
#[test]
fn a_fan_out_larger_than_the_limit_is_the_same_day() {
    let directory = TempDir::new().expect("a directory");
    let mut fixture = Fixture::base();
    fixture.enable(&["app", "rack", "team"]);
    let of_hour = |owner: &str, key: &str, hour: usize| labels(owner, &format!(r#"{{"{key}": "{hour}"}}"#));
    fixture.node_labels = (0..100).map(|hour| of_hour("n1", "rack", hour)).collect();
    fixture.namespace_labels = (0..100).map(|hour| of_hour("ns", "team", hour)).collect();
    fixture.daily_pods = Vec::new();
    fixture.hourly_pods = (0..30).map(pod_of_its_own).collect();
    fixture.place(directory.path());
    let taken = taken(directory.path(), GROUPS_MIB);
    assert!(taken <= GROUPS_MIB, "{taken} MiB");
}

/// Nine tenths of the file are one row group of numbers that do not repeat.
#[test]
fn a_row_group_larger_than_the_limit_is_read_in_pieces() {
    let directory = TempDir::new().expect("a directory");
    a_cluster(
        &["--pods", "20000", "--days", "1", "--row-group-rows", "5000000", "--label-keys", "2"],
        directory.path(),
    );
    let taken = taken(directory.path(), ROW_GROUP_MIB);
    assert!(taken <= ROW_GROUP_MIB, "{taken} MiB");
}

/// A month's footers wait until its row groups are read; a day's state goes when it is written.
#[test]
fn many_small_files_of_many_days_take_the_footers_of_a_month() {
    let taken = beyond_idle(&["--pods", "3", "--days", "1000"], 1000);
    println!("{taken} MiB for 4,000 files");
    assert!(taken <= FILES_MIB, "{taken} MiB");
}

#[test]
fn many_row_groups_of_a_month_take_their_footers() {
    let taken = beyond_idle(&["--pods", "40", "--days", "30", "--row-group-rows", "8"], 30);
    println!("{taken} MiB for a month of many row groups");
    assert!(taken <= FOOTERS_MIB, "{taken} MiB");
}

/// What a run of such a cluster takes under 16 MiB beyond an idle one, in MiB.
fn beyond_idle(shape: &[&str], days: usize) -> u64 {
    let directory = TempDir::new().expect("a directory");
    a_cluster(shape, directory.path());
    let (idle, (files, taken)) = (idle(), run(directory.path(), "16MiB"));
    assert_eq!(files.len(), days);
    taken - idle
}

/// A value cannot be cut: its page, its row, its canonical form and what is written are each as long as it.
#[test]
fn one_enormous_label_takes_a_multiple_of_itself() {
    let directory = TempDir::new().expect("a directory");
    let mut fixture = Fixture::base();
    let labels = format!(r#"{{"app": "{}"}}"#, "x".repeat(16 << 20));
    fixture.set_pods([pod(), PodRow { labels: Some(labels), ..pod() }]);
    fixture.daily_pods = Vec::new();
    fixture.place(directory.path());
    let (idle, (_, taken)) = (idle(), run(directory.path(), "16MiB"));
    println!("{idle} MiB idle, {taken} MiB for a label of 16 MiB");
    assert!(taken - idle <= LABEL_MIB, "{taken} MiB");
}

/// Of 300 thousand groups.
const GROUPS_MIB: u64 = 26;
/// Of a row group of 480 thousand rows.
const ROW_GROUP_MIB: u64 = 26;
/// Of 4,000 files of 33 months.
const FILES_MIB: u64 = 4;
/// Of 3,600 row groups of hourly pods.
const FOOTERS_MIB: u64 = 5;
/// Of a label of 16 MiB.
const LABEL_MIB: u64 = 93;
