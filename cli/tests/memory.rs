//! How much memory the command takes, as the kernel counts it. Bounds are what was measured and a tenth more, so that
//! a stage that grows is seen; none of them is a promise by itself.

use std::fs;
use std::path::Path;

use daysum_tests::command::{Daysum, parquet_below, text};
use daysum_tests::fixture::{Fixture, PodRow, pod};
use tempfile::TempDir;

const DAYSUM: Daysum = Daysum(env!("CARGO_BIN_EXE_daysum"));

/// One day of pods of which every one has labels of its own.
fn a_day_of_groups(groups: usize, directory: &Path) {
    let mut fixture = Fixture::base();
    fixture.daily_pods = Vec::new();
    fixture.hourly_pods = (0..groups)
        .map(|number| PodRow {
            pod: Some(format!("pod-{number}")),
            labels: Some(format!(r#"{{"app": "an application with the number {number:09}"}}"#)),
            ..pod()
        })
        .collect();
    for file in fixture.files() {
        let path = directory.join("input").join(&file.key);
        fs::create_dir_all(path.parent().expect("keys have directories")).expect("writable");
        fs::write(path, &file.bytes).expect("writable");
    }
    let lookups = serde_json::to_vec(&fixture.lookups).expect("JSON");
    fs::write(directory.join("lookups.json"), lookups).expect("writable");
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
            "run",
            text(&input),
            "--lookups",
            text(&lookups),
            "--output",
            text(&output),
            "--report",
            text(&report),
        ]
        .into_iter()
        .chain(["--memory-limit", limit, "--threads", "2"])
        .collect::<Vec<_>>(),
        &[("TMPDIR", spills.display().to_string())],
    );
    assert_eq!(fs::read_dir(&spills).expect("a directory").count(), 0, "nothing is left behind");
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(report).expect("a report")).expect("JSON");
    let files = parquet_below(&output).iter().map(|path| fs::read(path).expect("a file")).collect();
    (files, report["peak_rss_bytes"].as_u64().expect("a number") >> 20)
}

#[test]
fn a_day_larger_than_the_limit_is_the_same_day() {
    let directory = TempDir::new().expect("a directory");
    a_day_of_groups(300_000, directory.path());
    let (held, free) = run(directory.path(), "4GiB");
    let (spilled, bound) = run(directory.path(), "16MiB");
    println!("{free} MiB without a limit, {bound} MiB under 16 MiB");
    assert_eq!(held.len(), 1);
    assert!(held == spilled, "spilled groups come back to the same bytes");
    assert!(bound <= BOUND_MIB, "{bound} MiB under a limit of 16");
    assert!(free > 3 * BOUND_MIB, "{free} MiB without a limit: too few groups to show anything");
}

/// Of a run that may hold 16 MiB.
const BOUND_MIB: u64 = 61;
