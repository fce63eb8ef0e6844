//! The command itself, as a shell would run it, on the golden data sets and on a real PostgreSQL.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Date32Type;
use daysum_core::port::{RunId, WriteScope};
use daysum_core::{Day, MILLIS_PER_DAY, rows};
use daysum_io_postgres::{Database, DayScope, Schema};
use daysum_tests::command::{self, Bench, Daysum, copy_into, days, parquet_below, text};
use daysum_tests::compare::{Precision, assert_same};
use daysum_tests::fixture::{Fixture, LabelRow, PodRow, SOURCE, StorageRow, hour, labels, pod, storage};
use daysum_tests::golden::{Golden, read_parquet};
use daysum_tests::postgres::{self, SCHEMA, shared};
use daysum_tests::s3::{BUCKET, S3Server};
use serde_json::Value;
use tempfile::TempDir;

/// koku's SQL sums doubles in any order, so the last digits of its rows are no law (SPEC 4.1).
const PRECISION: Precision = Precision::Relative(1e-9);

const DAYSUM: Daysum = Daysum(env!("CARGO_BIN_EXE_daysum"));

fn rows_below(directory: &Path) -> RecordBatch {
    let days: Vec<RecordBatch> = parquet_below(directory)
        .iter()
        .map(|path| read_parquet(fs::read(path).expect("a readable file").into()))
        .collect();
    concat_batches(&rows::schema(), &days).expect("all days have the schema of finished rows")
}

#[test]
fn every_golden_in_both_modes() {
    for golden in Golden::all() {
        let (input, lookups) = command::golden(&golden.name);
        for mode in ["streaming", "in-memory"] {
            let output = TempDir::new().expect("a directory");
            let report = output.path().join("report.json");
            let days = output.path().join("days");
            DAYSUM.ends(
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
fn every_golden_from_s3_to_postgresql_and_nothing_to_write_the_second_time() {
    let s3 = S3Server::start();
    for golden in Golden::all() {
        let (_, lookups) = command::golden(&golden.name);
        let (database, url) = DAYSUM.tenant(&golden.lookups);
        s3.place_files(&golden.name, &golden.files);
        let input = format!("s3://{BUCKET}/{}", golden.name);
        let run = ["run", &input, "--lookups", text(&lookups), "--database", &url, "--schema", SCHEMA];
        DAYSUM.ends_with(0, &run, &s3.variables());
        let days: BTreeSet<Day> = golden.expected["usage_start"]
            .as_primitive::<Date32Type>()
            .values()
            .iter()
            .map(|days| Day::from_millis(i64::from(*days) * MILLIS_PER_DAY))
            .collect();
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let schema = Schema::new(SCHEMA).expect("a good name");
        let mut connection = Database::new(shared().config(&database), schema);
        let stored: Vec<RecordBatch> = days
            .into_iter()
            .map(|day| {
                let scope = WriteScope {
                    source_uuid: golden.lookups.source_uuid.to_lowercase(),
                    report_period_id: golden.lookups.report_period_id,
                    day,
                    inputs: Vec::new(),
                    fingerprint: String::new(),
                    run: RunId(String::new()),
                };
                let scope = DayScope::try_from(&scope).expect("a period");
                runtime.block_on(connection.read_day(&scope)).expect("the rows of the day")
            })
            .collect();
        let stored = concat_batches(&rows::schema(), &stored).expect("one schema");
        // The table keeps 15 places after the point.
        assert_same(&golden.name, &golden.expected, &stored, Precision::Stored);
        let written = || {
            let table = format!("{SCHEMA}.reporting_ocpusagelineitem_daily_summary");
            shared()
                .sql(&database, &format!("SELECT count(*), min(xmin::text), max(xmin::text) FROM {table}"))
        };
        let first = written();
        DAYSUM.ends_with(0, &run, &s3.variables());
        assert_eq!(written(), first, "the second run writes no row");
    }
}

#[test]
fn what_koku_knows_is_asked_of_the_database() {
    let golden = Golden::small();
    let (database, url) = DAYSUM.tenant(&golden.lookups);
    let keys = golden.lookups.enabled_tag_keys.iter().map(|key| {
        format!(
            "INSERT INTO {SCHEMA}.reporting_enabledtagkeys (uuid, key, enabled, provider_type) \
             VALUES (gen_random_uuid(), '{key}', true, 'OCP');"
        )
    });
    shared().sql(&database, &keys.collect::<String>());
    let (input, _) = command::golden("gen-small");
    let source = golden.lookups.source_uuid.clone();
    let run = [
        "run",
        text(&input),
        "--database",
        &url,
        "--schema",
        SCHEMA,
        "--source",
        &source,
        "--month",
        "2025-11",
    ];
    let said = DAYSUM.ends(0, &run);
    assert!(said.contains("2 days"), "{said}");
    let status =
        ["status", "--database", &url, "--schema", SCHEMA, "--source", &source, "--month", "2025-11"];
    let told = DAYSUM.run(&status, &[]);
    assert!(told.code == Some(0) && told.stdout.contains("2 days published"), "{}", told.stdout);
    assert!(DAYSUM.ends(0, &run).contains("days whose inputs are those"));

    let with = |verb| [&[verb], &run[1..]].concat();
    let said = |verb, code| {
        let ended = DAYSUM.run(&with(verb), &[]);
        assert_eq!(ended.code, Some(code), "{verb}: {}", ended.stderr);
        ended.stdout
    };
    let table = format!("{SCHEMA}.reporting_ocpusagelineitem_daily_summary");
    let columns = "usage_start, usage_end, report_period_id, source_uuid, cluster_id, data_source";
    shared().sql(
        &database,
        &format!(
            "INSERT INTO {table} (uuid, {columns}, cost_model_rate_type) \
             SELECT gen_random_uuid(), {columns}, 'Infrastructure' FROM {table} LIMIT 1"
        ),
    );
    let told = [said("diff", 0), said("verify", 0)];
    assert!(told[0].contains("\"added_by_cost_models\":1"), "{told:?}");
    assert!(told[1].contains("; 1 rows of cost models, which writing the day removes"), "{told:?}");
    assert!(said("plan", 0).contains("replace    0 days") && said("plan", 0).contains("unchanged  2 days"));
    let change = "SET pod_usage_cpu_core_hours = 1 + pod_usage_cpu_core_hours";
    shared().sql(
        &database,
        &format!("UPDATE {table} {change} WHERE uuid = (SELECT uuid FROM {table} WHERE data_source = 'Pod' LIMIT 1)"),
    );
    DAYSUM.ends(1, &with("verify"));
    assert!(said("diff", 1).contains("pod_usage_cpu_core_hours"));
}

#[test]
fn an_unreadable_file_holds_back_its_day_and_no_other() {
    let (input, lookups) = command::golden("gen-small");
    let copy = TempDir::new().expect("a directory");
    copy_into(&input, copy.path());
    let input = copy.path().join("input");
    let broken = parquet_below(&input)
        .into_iter()
        .find(|path| text(path).contains("pod_usage_line_items_daily") && text(path).contains("2025-11-01"))
        .expect("the data set has a daily file of its first day");
    let whole = fs::read(&broken).expect("readable");
    let (good, bad) = (copy.path().join("good"), copy.path().join("bad"));
    DAYSUM.ends(0, &["run", text(&input), "--lookups", text(&lookups), "--output", text(&good)]);
    for cut in [0, 3, whole.len() / 2, whole.len() - 1] {
        fs::write(&broken, &whole[..cut]).expect("writable");
        let _ = fs::remove_dir_all(&bad);
        let said =
            DAYSUM.ends(3, &["run", text(&input), "--lookups", text(&lookups), "--output", text(&bad)]);
        assert!(said.contains("pod_usage.2025-11-01") && said.contains("held back: 1 days"), "{said}");
        let (good, bad) = (parquet_below(&good), parquet_below(&bad));
        assert_eq!((good.len(), bad.len()), (2, 1));
        assert_eq!(fs::read(&good[1]).expect("readable"), fs::read(&bad[0]).expect("readable"));
    }
}

#[test]
fn a_run_in_parts_gives_the_bytes_of_a_run() {
    let (input, lookups) = command::golden("gen-small");
    let work = TempDir::new().expect("a directory");
    let path = |name: &str| text(&work.path().join(name)).to_owned();
    let (input, lookups) = (text(&input), text(&lookups));
    for (name, only) in [("pods", "pod_usage"), ("storage", "storage_usage"), ("labels", "labels")] {
        DAYSUM.ends(0, &["fold", input, "--lookups", lookups, "--only", only, "--output", &path(name)]);
    }
    DAYSUM.ends(0, &["merge", &path("pods"), &path("storage"), &path("labels"), "--output", &path("one")]);
    DAYSUM.ends(0, &["merge", &path("labels"), &path("pods"), &path("storage"), "--output", &path("two")]);
    assert_eq!(fs::read(path("one")).expect("a state"), fs::read(path("two")).expect("a state"));
    DAYSUM.ends(0, &["finalise", &path("one"), "--lookups", lookups, "--output", &path("parts")]);
    DAYSUM.ends(0, &["run", input, "--lookups", lookups, "--output", &path("whole")]);
    let (parts, whole) =
        (parquet_below(&work.path().join("parts")), parquet_below(&work.path().join("whole")));
    assert_eq!(parts.len(), whole.len());
    for (part, whole) in parts.iter().zip(&whole) {
        assert_eq!(fs::read(part).expect("readable"), fs::read(whole).expect("readable"));
    }
    let said = DAYSUM.ends(1, &["merge", &path("one"), &path("pods"), "--output", &path("twice")]);
    assert!(said.contains("already in this state"), "{said}");
    let other =
        ["finalise", &path("one"), "--lookups", lookups, "--enabled-keys", "x", "--output", &path("other")];
    let told = DAYSUM.ends(1, &other);
    assert!(told.contains("label keys [") && told.contains(r#"] and ["x"];"#), "{told}");
}

#[test]
fn a_state_is_finished_for_its_own_source_only() {
    let (input, lookups) = command::golden("gen-small");
    let work = TempDir::new().expect("a directory");
    let path = |name: &str| text(&work.path().join(name)).to_owned();
    let lookups = text(&lookups);
    // A database that is not needed is not looked at.
    let foreign = [("DATABASE_URL", "mysql://somebody@elsewhere/else".to_owned())];
    let fold = ["fold", text(&input), "--lookups", lookups, "--output", &path("state")];
    DAYSUM.ends_with(0, &fold, &foreign);
    let finalise = ["finalise", &path("state"), "--lookups", lookups, "--output", &path("out")];
    let other = "00000000-0000-4000-8000-000000000000";
    let told = DAYSUM.ends(1, &[&finalise[..], &["--source", other]].concat());
    assert!(told.contains("source ") && told.contains(other), "{told}");
    assert!(!work.path().join("out").exists() || parquet_below(&work.path().join("out")).is_empty());
    let source = Golden::small().lookups.source_uuid.to_uppercase();
    DAYSUM.ends_with(0, &[&finalise[..], &["--source", &source]].concat(), &foreign);
}

#[test]
fn finishing_a_state_replaces_the_rows_of_a_day_that_has_none_any_more() {
    let work = TempDir::new().expect("a directory");
    let (state, output) = (work.path().join("state"), work.path().join("out"));
    let mut fixture = Fixture::base();
    let mut finish = |pod: PodRow| {
        fixture.set_pods([pod]);
        let (input, lookups) = fixture.place(work.path());
        let lookups = ["--lookups", text(&lookups)];
        DAYSUM.ends(0, &[&["fold", text(&input), "--output", text(&state)], &lookups[..]].concat());
        let finalise = [&["finalise", text(&state), "--output", text(&output)], &lookups[..]].concat();
        DAYSUM.run(&finalise, &[])
    };
    let ended = finish(pod());
    assert!(ended.stdout.contains("2 rows of 1 days"), "{}", ended.stdout);
    let ended = finish(PodRow { node: Some(String::new()), ..pod() });
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("0 rows of 1 days") && ended.stdout.contains("without node"),
        "{}",
        ended.stdout
    );
    let rows = read_parquet(fs::read(&parquet_below(&output)[0]).expect("the day's file").into());
    assert_eq!(rows.num_rows(), 0);
}

#[test]
fn malformed_labels_that_stand_for_none_are_counted() {
    let work = TempDir::new().expect("a directory");
    let mut fixture = Fixture::base();
    let with = |labels: &str| PodRow { labels: Some(labels.to_owned()), ..pod() };
    let nowhere = PodRow { node: None, ..with("{") }; // nobody reads its labels (SPEC 2.5)
    fixture.set_pods([with("{"), with("{}"), with(r#"{"other": "x"}"#), with("[1]"), nowhere]);
    fixture.node_labels = vec![labels("n1", "{"), labels("n1", r#"{"app": "y"}"#)];
    fixture.storage = vec![StorageRow { claim_labels: Some("{".to_owned()), ..storage() }];
    let (input, lookups) = fixture.place(work.path());
    let path = |name: &str| text(&work.path().join(name)).to_owned();
    fs::write(path("daysum.yaml"), "policy: {malformed_labels: empty}").expect("writable");
    let asked = ["--lookups", text(&lookups), "--config", &path("daysum.yaml"), "--output"];
    let run = ["run", text(&input), "--report", &path("report.json")];
    let said = DAYSUM.ends(0, &[&run[..], &asked, &[&path("out")]].concat());
    assert!(said.contains("warning: 4 label texts are malformed"), "{said}");
    let report: Value =
        serde_json::from_slice(&fs::read(path("report.json")).expect("a report")).expect("JSON");
    assert_eq!(report["malformed_labels"], 4);
    let folded = DAYSUM.run(&[&["fold", text(&input)], &asked[..], &[&path("state")]].concat(), &[]);
    assert!(folded.stdout.contains("4 malformed labels"), "{}{}", folded.stdout, folded.stderr);
}

#[test]
fn what_makes_no_row_another_makes_no_day_new() {
    let bench = Bench::new(DAYSUM);
    let output = bench.path("out");
    let target = ["--output", text(&output)];
    assert_eq!(days(&bench.run(0, &target), "days").len(), 2);
    let source = Golden::small().lookups.source_uuid.to_uppercase();
    let again = bench.run(0, &[&target[..], &["--source", &source]].concat());
    assert_eq!(days(&again, "days_unchanged").len(), 2, "the same source in capitals");
    // Files have no registry that could be behind.
    let settings = bench.path("daysum.yaml");
    fs::write(&settings, "postgresql: {registry: true}").expect("writable");
    let again = bench.run(0, &[&target[..], &["--config", text(&settings)]].concat());
    assert_eq!(days(&again, "days_unchanged").len(), 2);
}

#[test]
fn removed_days_and_other_formats_are_written_again() {
    let (input, lookups) = command::golden("gen-small");
    let output = TempDir::new().expect("a directory");
    let run = ["run", text(&input), "--lookups", text(&lookups), "--output", text(output.path())];
    DAYSUM.ends(0, &run);
    assert!(DAYSUM.ends(0, &run).contains("unchanged"));
    fs::remove_file(&parquet_below(output.path())[0]).expect("a day");
    DAYSUM.ends(0, &run);
    assert_eq!(parquet_below(output.path()).len(), 2);
    let said = DAYSUM.ends(0, &[&run[..], &["--format", "csv"]].concat());
    assert!(said.contains("2 days") && !said.contains("unchanged"), "{said}");
}

#[test]
fn a_day_that_has_no_rows_any_more_loses_its_old_ones() {
    let work = TempDir::new().expect("a directory");
    let mut fixture = Fixture::base();
    let gone = PodRow { start: hour("2025-02-02", 0), ..pod() };
    fixture.set_pods([pod(), gone]);
    fixture.namespace_labels = ["2025-02-01", "2025-02-02"]
        .map(|day| LabelRow { start: hour(day, 0), ..labels("ns", "{}") })
        .to_vec();
    let server = shared();
    let database = postgres::database();
    let url = server.url(&database);
    DAYSUM.ends(0, &["db", "init", "--database", &url, "--schema", SCHEMA]);
    let days =
        format!("SELECT count(DISTINCT usage_start) FROM {SCHEMA}.reporting_ocpusagelineitem_daily_summary");
    let days = || server.sql(&database, &days).trim().to_owned();
    let run = |fixture: &Fixture| {
        let (input, lookups) = fixture.place(work.path());
        let run = ["run", text(&input), "--lookups", text(&lookups)];
        [&["--output", text(&work.path().join("out"))][..], &["--database", &url, "--schema", SCHEMA]]
            .map(|to| DAYSUM.ends(0, &[&run[..], to].concat()))
    };
    run(&fixture);
    let both = rows_below(&work.path().join("out")).num_rows();
    assert_eq!(days(), "2");
    fixture.set_pods([pod()]);
    run(&fixture);
    assert_eq!(days(), "1");
    assert!(rows_below(&work.path().join("out")).num_rows() < both);
    for said in run(&fixture) {
        assert!(!said.contains("rewritten=true"), "nothing is left to do: {said}");
    }
}

#[test]
fn bench_tells_what_the_earlier_benchmark_told() {
    let work = TempDir::new().expect("a directory");
    let (json, html) = (work.path().join("bench.json"), work.path().join("bench.html"));
    let bench = ["bench", "--scales", "2k", "--runs", "1", "--json", text(&json), "--html", text(&html)];
    DAYSUM.ends(0, &bench);
    let printed =
        DAYSUM.run(&["bench", "--scales", "1k..2k", "--mode", "streaming", "--runs", "1", "--json"], &[]);
    let printed: Value = serde_json::from_str(&printed.stdout).expect("JSON");
    assert_eq!(printed.as_array().map(Vec::len), Some(2), "{printed}");
    let told: serde_json::Value = serde_json::from_slice(&fs::read(json).expect("written")).expect("JSON");
    let modes: Vec<_> = told.as_array().expect("a list").iter().map(|of| of["mode"].clone()).collect();
    assert_eq!(modes, ["streaming", "in-memory"]);
    for name in
        ["input_rows_hourly", "output_rows", "total_duration_seconds", "peak_memory_bytes", "rows_per_second"]
    {
        assert!(told[0][name].as_f64().is_some_and(|value| value > 0.0), "{name}: {}", told[0]);
    }
    assert!(fs::read_to_string(html).expect("written").contains("<polyline"));
}

#[test]
fn exit_codes_tell_what_happened() {
    let (input, lookups) = command::golden("gen-small");
    let work = TempDir::new().expect("a directory");
    let (empty, output) = (work.path().join("in"), work.path().join("out"));
    fs::create_dir(&empty).expect("writable");
    let (lookups, output) = (text(&lookups), text(&output));
    assert!(
        DAYSUM
            .ends(4, &["run", text(&empty), "--lookups", lookups, "--output", output])
            .contains("nothing to do")
    );
    assert!(
        DAYSUM.ends(2, &["run", "/nowhere", "--lookups", lookups, "--output", output]).contains("/nowhere")
    );
    assert!(DAYSUM.ends(2, &["run", text(&input), "--output", output]).contains("no date range"));
    assert!(DAYSUM.ends(2, &["run", text(&input), "--lookups", lookups]).contains("no output"));
    let run = ["run", text(&input), "--lookups", lookups, "--output", output];
    assert!(DAYSUM.ends(2, &[&run[..], &["--threads", "0"]].concat()).contains("--threads"));
    assert!(DAYSUM.ends(2, &[&run[..], &["--since", "yesterday"]].concat()).contains("--since"));
}

#[test]
fn flags_say_all_that_lookups_say() {
    let work = TempDir::new().expect("a directory");
    let mut fixture = Fixture::with_storage();
    fixture.categories(&[("n%", 5)]);
    fixture.roles(&[("n1", "i-1", Some("worker"))]);
    let (input, lookups) = fixture.place(work.path());
    let rows = |flags: &[&str]| {
        let output = TempDir::new().expect("a directory");
        DAYSUM.ends(0, &[&["run", text(&input), "--output", text(output.path())], flags].concat());
        rows_below(output.path())
    };
    let of_cluster = ["--cluster-id", "cluster", "--cluster-alias", "The cluster", "--report-period-id", "7"];
    let of_month = ["--source", SOURCE, "--month", "2025-02", "--enabled-keys", "app"];
    let of_tenant = ["--cost-category", "n%=5", "--node", "n1=i-1=worker"];
    let flags = [&of_cluster[..], &of_month, &of_tenant].concat();
    let expected = rows(&["--lookups", text(&lookups)]);
    assert_same("flags", &expected, &rows(&flags), Precision::Bits);
    let without = rows(&[&flags[..], &["--no-storage"]].concat());
    assert_eq!((expected.num_rows(), without.num_rows()), (3, 2), "a pod, what is unallocated, a volume");
}

#[test]
fn the_quarantine_keeps_a_bad_file_until_it_is_read() {
    let golden = Golden::small();
    let (_, url) = DAYSUM.tenant(&golden.lookups);
    let (input, lookups) = command::golden("gen-small");
    let copy = TempDir::new().expect("a directory");
    copy_into(&input, copy.path());
    let input = copy.path().join("input");
    let broken = parquet_below(&input)
        .into_iter()
        .find(|path| text(path).contains("node_labels_line_items_daily") && text(path).contains("2025-11-02"))
        .expect("the data set has a daily file of its second day");
    let whole = fs::read(&broken).expect("readable");
    fs::write(&broken, &whole[..whole.len() - 9]).expect("writable");
    let run = ["run", text(&input), "--lookups", text(&lookups), "--database", &url, "--schema", SCHEMA];
    let source = golden.lookups.source_uuid.clone();
    let listed = || {
        let list = ["quarantine", "list", "--database", &url, "--schema", SCHEMA, "--source", &source];
        DAYSUM.run(&list, &[]).stdout
    };
    assert!(DAYSUM.ends(3, &run).contains("held back: 1 days, 2025-11-02"));
    assert!(listed().contains("touches 2025-11-02") && listed().contains("1 objects"), "{}", listed());

    let skip = [("DAYSUM_POLICY_BAD_FILE", "skip-and-report".to_owned())];
    let output = copy.path().join("out");
    let files = ["run", text(&input), "--lookups", text(&lookups), "--output", text(&output)];
    assert!(DAYSUM.ends_with(0, &files, &skip).contains("left out: "));
    assert_eq!(parquet_below(&output).len(), 2);

    fs::write(&broken, &whole).expect("writable");
    DAYSUM.ends(0, &run);
    assert!(listed().contains("0 objects"), "{}", listed());
}
