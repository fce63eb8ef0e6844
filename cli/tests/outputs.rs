//! Files as an output: the ledger answers only for what it was written with, and nothing half-written lies among the days.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use daysum_core::NodeRole;
use daysum_tests::command::{Bench, Daysum, copy_into, days, parquet_below, text};
use daysum_tests::golden::{Golden, read_parquet, write_parquet};
use parquet::file::properties::EnabledStatistics;
use tempfile::TempDir;

const DAYSUM: Daysum = Daysum(env!("CARGO_BIN_EXE_daysum"));
const BOTH: [&str; 2] = ["2025-11-01", "2025-11-02"];

/// The directory of the source's days below an output.
fn of_source(output: &Path) -> PathBuf {
    output.join(Golden::small().lookups.source_uuid)
}

/// As when two runs at once leave the file of one and the ledger entry of the other, or one is killed in between.
#[test]
fn a_day_whose_file_is_another_run_s_is_written_again() {
    let bench = Bench::new(DAYSUM);
    let output = bench.path("out");
    let to = ["--output", text(&output)];
    let file = of_source(&output).join("2025-11-02.parquet");
    bench.run(0, &[&to[..], &["--cluster-alias", "one"]].concat());
    let of_one = fs::read(&file).expect("a day");
    bench.run(0, &[&to[..], &["--cluster-alias", "two"]].concat());
    let of_two = fs::read(&file).expect("a day");
    assert_ne!(of_one, of_two);
    for not_ours in [&of_one[..], &of_two[..100]] {
        fs::write(&file, not_ours).expect("writable");
        let again = bench.run(0, &[&to[..], &["--cluster-alias", "two"]].concat());
        assert_eq!(
            (days(&again, "days"), days(&again, "days_unchanged")),
            (vec![BOTH[1].into()], vec![BOTH[0].into()])
        );
        assert_eq!(fs::read(&file).expect("a day"), of_two);
    }
    assert_eq!(days(&bench.run(0, &[&to[..], &["--cluster-alias", "two"]].concat()), "days_unchanged"), BOTH);
}

/// The registry is that of the whole tenant, which grows by a node any time.
#[test]
fn only_the_roles_of_a_day_s_own_nodes_make_it_new() {
    let mut bench = Bench::new(DAYSUM);
    let output = bench.path("out");
    let mut lookups = Golden::small().lookups;
    let moved = lookups.nodes[5].clone();
    for path in parquet_below(&bench.path("input/openshift_pod_usage_line_items_daily")) {
        if text(&path).contains(BOTH[1]) {
            rename_nodes(
                &path,
                |node| if node == moved.node { Some("new-on-the-second-day") } else { Some(node) },
            );
        }
    }
    bench.lookups = bench.path("lookups.json");
    let mut computed = |nodes: &[NodeRole]| {
        lookups.nodes = nodes.to_vec();
        fs::write(&bench.lookups, serde_json::to_vec(&lookups).expect("JSON")).expect("writable");
        let report = bench.run(0, &["--output", text(&output)]);
        assert_eq!(days(&report, "days").len() + days(&report, "days_unchanged").len(), 2);
        days(&report, "days")
    };
    let node = |node: &str, role: &str| NodeRole {
        node: node.into(),
        node_role: Some(role.into()),
        ..moved.clone()
    };
    let mut nodes = Golden::small().lookups.nodes;
    assert_eq!(computed(&nodes), BOTH);
    nodes.push(node("of-another-cluster", "infra"));
    nodes.push(nodes[0].clone()); // a node is there once for each capacity that it had
    nodes.reverse();
    assert_eq!(computed(&nodes), [""; 0]);
    nodes.push(node("new-on-the-second-day", "infra"));
    assert_eq!(computed(&nodes), BOTH[1..]);
    nodes.retain(|of| of.node != moved.node);
    assert_eq!(computed(&nodes), BOTH[..1]);
    nodes.retain(|of| of.node == "of-another-cluster");
    assert_eq!(computed(&nodes), BOTH);
}

fn rename_nodes(path: &Path, new: impl Fn(&str) -> Option<&str>) {
    let rows = read_parquet(fs::read(path).expect("readable").into());
    let renamed = rows["node"].as_string::<i32>().iter().map(|node| new(node?));
    let renamed: ArrayRef = Arc::new(renamed.collect::<StringArray>());
    let mut columns = rows.columns().to_vec();
    columns[rows.schema().index_of("node").expect("a column")] = renamed;
    let rows = RecordBatch::try_new(rows.schema(), columns).expect("the same types");
    fs::write(path, write_parquet(&rows, EnabledStatistics::Page)).expect("writable");
}

#[test]
fn volumes_on_no_node_hold_back_their_day_unless_they_are_divided_by_one() {
    let bench = Bench::new(DAYSUM);
    let (output, settings) = (bench.path("out"), bench.path("daysum.yaml"));
    for path in parquet_below(&bench.path("input/openshift_pod_usage_line_items_daily")) {
        if text(&path).contains(BOTH[1]) {
            rename_nodes(&path, |_| None);
        }
    }
    let to = ["--output", text(&output), "--config", text(&settings)];
    fs::write(&settings, "").expect("writable");
    let refused = bench.run(3, &to);
    assert_eq!(days(&refused, "days_held"), BOTH[1..]);
    assert!(refused["quarantined"].to_string().contains("choose divide-by-one"), "{refused}");
    fs::write(&settings, "policy: {nodeless_volumes: divide-by-one}").expect("writable");
    assert_eq!(days(&bench.run(0, &to), "days").len(), 2);
    let rows = read_parquet(fs::read(&parquet_below(&output)[1]).expect("the day").into());
    let asked =
        rows["volume_request_storage_gigabyte_months"].as_primitive::<arrow::datatypes::Float64Type>();
    assert!(asked.iter().flatten().count() > 0 && asked.iter().flatten().all(f64::is_finite), "{asked:?}");
}

/// Nothing of a day depends on how many are written beside it, and the next run knows every one of them.
#[test]
fn any_number_of_writers_makes_the_same_files() {
    let bench = Bench::generated(DAYSUM, 40);
    let files: Vec<Vec<Vec<u8>>> = ["1", "8"]
        .into_iter()
        .map(|writers| {
            let output = bench.path(writers);
            let to = ["--output", text(&output), "--writers", writers];
            assert_eq!(days(&bench.run(0, &to), "days").len(), 40);
            assert_eq!(
                days(&bench.run(0, &[&to[..], &["--since", "2025-11-01"]].concat()), "days_unchanged").len(),
                40
            );
            parquet_below(&output).iter().map(|day| fs::read(day).expect("a day")).collect()
        })
        .collect();
    assert_eq!((files[0].len(), files[0] == files[1]), (40, true));
}

#[test]
fn every_format_is_an_output_of_its_own() {
    let bench = Bench::new(DAYSUM);
    let output = bench.path("out");
    let to = |format| ["--output", text(&output), "--format", format];
    bench.run(0, &to("parquet"));
    let changed = bench.file(&["pod_usage_line_items_daily", BOTH[1]]);
    fs::remove_file(&changed).expect("it was there");
    for format in ["csv", "parquet"] {
        let expected: &[&str] = if format == "csv" { &BOTH } else { &BOTH[1..] };
        assert_eq!(days(&bench.run(0, &to(format)), "days"), expected, "{format}");
        assert_eq!(days(&bench.run(0, &to(format)), "days_unchanged"), BOTH, "{format}");
        let source = Golden::small().lookups.source_uuid;
        let status = [
            "status",
            "--output",
            text(&output),
            "--format",
            format,
            "--source",
            &source,
            "--month",
            "2025-11",
        ];
        assert!(DAYSUM.run(&status, &[]).stdout.contains("2 days published"), "{format}");
    }
    let fresh = bench.path("fresh");
    bench.run(0, &["--output", text(&fresh)]);
    for day in BOTH {
        let of = |output: &Path| fs::read(of_source(output).join(format!("{day}.parquet"))).expect("a day");
        assert_eq!(of(&output), of(&fresh), "{day}");
    }
}

#[test]
fn rows_lie_elsewhere_until_they_are_whole() {
    let bench = Bench::new(DAYSUM);
    let output = bench.path("out");
    let staged =
        output.join("_daysum").join(of_source(&output).file_name().expect("a source")).join("staged");
    fs::create_dir_all(&staged).expect("writable");
    // What killed runs leave: one long ago, one now, which could still be running.
    let (old, new) =
        (staged.join("old-2025-11-01.parquet.part#1"), staged.join("new-2025-11-01.parquet.part#1"));
    for path in [&old, &new] {
        fs::write(path, "half").expect("writable");
    }
    let two_hours_ago = SystemTime::now() - Duration::from_secs(7200);
    File::options().write(true).open(&old).expect("a file").set_modified(two_hours_ago).expect("settable");
    bench.run(0, &["--output", text(&output)]);
    let left: Vec<PathBuf> =
        fs::read_dir(&staged).expect("readable").map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(left, [new]);
    let names =
        fs::read_dir(of_source(&output)).expect("days").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().expect("UTF-8")).collect();
    names.sort();
    assert_eq!(names, BOTH.map(|day| format!("{day}.parquet")));
}

#[test]
fn an_output_in_the_input_is_not_read() {
    let bench = Bench::new(DAYSUM);
    let (input, lookups) = (bench.path("input"), text(&bench.lookups));
    let output = bench.path("input/a/b");
    assert_eq!(days(&bench.run(0, &["--output", text(&output)]), "days"), BOTH);
    assert_eq!(days(&bench.run(0, &["--output", text(&output)]), "days_unchanged"), BOTH);
    assert!(
        bench.run(0, &["--output", text(&output), "--force"])["quarantined"]
            .as_array()
            .is_some_and(Vec::is_empty)
    );
    for same in [(text(&input), text(&input)), ("s3://bucket/data", "s3://bucket/data/")] {
        let run = ["run", same.0, "--lookups", lookups, "--output", same.1];
        assert!(DAYSUM.ends(2, &run).contains("is the input"), "{same:?}");
    }
}

#[test]
fn an_output_around_the_whole_input_is_told() {
    let bench = Bench::new(DAYSUM);
    let around = TempDir::new().expect("a directory");
    let output = around.path().join("data");
    copy_into(&bench.path("input"), &output);
    let run = ["run", text(around.path()), "--lookups", text(&bench.lookups), "--output", text(&output)];
    let said = DAYSUM.ends(4, &run);
    assert!(
        said.contains("every object of the input lies in the output") && said.contains("data/"),
        "{said}"
    );
}

#[test]
fn who_only_looks_makes_no_directory() {
    let bench = Bench::new(DAYSUM);
    let (input, output) = (bench.path("input"), bench.path("typo/out"));
    let plan = ["plan", text(&input), "--lookups", text(&bench.lookups), "--output", text(&output)];
    assert!(DAYSUM.run(&plan, &[]).stdout.contains("replace    2 days"));
    let source = ["--output", text(&output), "--source", "a", "--month", "2025-11"];
    DAYSUM.ends(2, &[&["status"][..], &source].concat());
    DAYSUM.ends(2, &[&["quarantine", "list"][..], &source[..4]].concat());
    let missing = format!("file://{}", text(&output));
    DAYSUM
        .ends(2, &["run", &missing, "--lookups", text(&bench.lookups), "--output", text(&bench.path("out"))]);
    assert!(!bench.path("typo").exists());
}

#[test]
fn the_report_of_a_failed_run_replaces_that_of_the_run_before() {
    let bench = Bench::new(DAYSUM);
    let (input, output, nowhere) = (bench.path("input"), bench.path("out"), bench.path("no/report.json"));
    let good = bench.run(0, &["--output", text(&output)]);
    assert!(good["error"].is_null());
    fs::write(bench.path("file"), "no directory").expect("writable");
    let failed = bench.run(2, &["--output", text(&bench.path("file"))]);
    assert!(failed["error"].as_str().is_some_and(|error| error.contains("file")), "{failed}");
    // A report that cannot be written hides nothing.
    fs::create_dir_all(&nowhere).expect("a directory in its place");
    let run = ["run", text(&input), "--lookups", text(&bench.lookups), "--output", text(&output)];
    let said = DAYSUM.ends(1, &[&run[..], &["--report", text(&nowhere)]].concat());
    assert!(said.contains("no/report.json") && said.contains("rows in"), "{said}");
}

#[test]
fn a_state_of_nothing_is_refused() {
    let bench = Bench::new(DAYSUM);
    let (input, state, output) = (bench.path("input"), bench.path("state"), bench.path("out"));
    let fold = ["fold", text(&input), "--lookups", text(&bench.lookups), "--output", text(&state)];
    assert!(DAYSUM.ends(2, &[&fold[..], &["--only", "nosuch"]].concat()).contains("--only"));
    assert!(!state.exists());
    // Namespace labels alone make no rows.
    DAYSUM.ends(0, &[&fold[..], &["--only", "namespace_labels"]].concat());
    let finalise = ["finalise", text(&state), "--lookups", text(&bench.lookups), "--output", text(&output)];
    DAYSUM.ends(4, &finalise);
}
