//! What an operator relies on around a run: logs, metrics, what a second run reads, what the quarantine holds.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float64Type;
use daysum_tests::command::{self, Bench, Daysum, days, golden, parquet_below, text};
use daysum_tests::fixture::{self, Fixture, PodRow};
use daysum_tests::golden::{Golden, read_parquet};
use daysum_tests::postgres::{SCHEMA, database, shared};
use daysum_tests::s3::{BUCKET, Fault, S3Server};
use parquet::arrow::ArrowWriter;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;
use tempfile::TempDir;

const DAYSUM: Daysum = Daysum(env!("CARGO_BIN_EXE_daysum"));

#[test]
fn log_lines_have_the_form_and_the_level_of_the_settings() {
    let (input, lookups) = golden("gen-small");
    let work = TempDir::new().expect("a directory");
    let settings = work.path().join("daysum.yaml");
    let output = work.path().join("out");
    let run = ["run", text(&input), "--lookups", text(&lookups), "--output", text(&output), "--force"];
    let with = |yaml: &str, variables: &[(&str, String)]| {
        fs::write(&settings, yaml).expect("writable");
        DAYSUM.ends_with(0, &[&run[..], &["--config", text(&settings)]].concat(), variables)
    };

    let lines: Vec<Value> = with("logging: {format: json, level: info}", &[])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let days: Vec<&Value> = lines.iter().filter(|line| line["message"] == "published").collect();
    // Two threads finish them.
    let mut published: Vec<&str> = days.iter().filter_map(|line| line["day"].as_str()).collect();
    published.sort_unstable();
    assert_eq!(published, ["2025-11-01", "2025-11-02"], "{lines:?}");
    for line in days {
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["span"]["source"].as_str().map(str::len), Some(36), "{line}");
        assert_eq!(line["span"]["run"].as_str().map(str::len), Some(36), "{line}");
    }
    let last = lines.last().expect("the end is told");
    assert_eq!((&last["message"], &last["days"]), (&Value::from("the run has ended"), &Value::from(2)));

    assert_eq!(with("logging: {format: json, level: error}", &[]), "");
    let debug = [("DAYSUM_LOG", "daysum=info".to_owned())];
    assert!(with("logging: {format: json, level: error}", &debug).contains("\"published\""));

    let said = with("logging: {format: console, level: info}", &[]);
    assert!(said.contains("published day=2025-11-01") && said.contains("rows out"), "{said}");
    assert!(!said.contains('\u{1b}'), "no colours where nobody looks: {said}");
    let said = with("logging: {format: human, level: warning}", &[]);
    assert!(!said.contains("published") && said.contains("rows out"), "{said}");

    fs::write(&settings, "logging: {format: json}").expect("writable");
    let wrong = ["run", "/nowhere", "--lookups", text(&lookups), "--config", text(&settings)];
    let said = DAYSUM.ends(2, &wrong);
    let line: Value = serde_json::from_str(said.trim_end()).expect("one JSON line");
    assert_eq!(line["level"], "ERROR");
}

/// The values of a text in Prometheus' form, by name and labels (without the source, which all have).
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("name, blank, value");
        let (before, labels) = name.split_once('{').expect("every sample has its source");
        let labels: Vec<&str> = labels
            .strip_suffix('}')
            .expect("labels end")
            .split(',')
            .filter(|label| !label.starts_with("source="))
            .collect();
        assert!(before.starts_with("daysum_"), "{line}");
        let told =
            text.contains(&format!("# TYPE {before} gauge")) && text.contains(&format!("# HELP {before} "));
        assert!(told, "{before} has neither type nor help");
        let twice =
            samples.insert([&[before], &labels[..]].concat().join(" "), value.parse().expect("a number"));
        assert!(twice.is_none(), "{line} appears twice");
    }
    assert!(text.ends_with("# EOF\n"));
    samples
}

#[test]
fn the_metrics_file_tells_of_successes_and_of_failures() {
    let (input, lookups) = golden("gen-small");
    let work = TempDir::new().expect("a directory");
    let (output, file) = (work.path().join("out"), work.path().join("daysum.prom"));
    let report = work.path().join("report.json");
    let run = |input: &Path, code, more: &[&str]| {
        let run = ["run", text(input), "--lookups", text(&lookups), "--output", text(&output)];
        DAYSUM.ends(code, &[&run[..], &["--metrics-file", text(&file)], more].concat());
        samples(&fs::read_to_string(&file).expect("a metrics file"))
    };
    let first = run(&input, 0, &["--report", text(&report)]);
    let report: Value = serde_json::from_slice(&fs::read(&report).expect("a report")).expect("JSON");
    for (name, told) in [
        ("daysum_rows fate=\"aggregated\"", &report["rows_aggregated"]),
        ("daysum_rows fate=\"no_node\"", &report["rows_filtered"]["no_node"]),
        ("daysum_folded_rows", &report["rows_in"]),
        ("daysum_output_rows", &report["rows_out"]),
        ("daysum_objects", &report["objects"]),
        ("daysum_read_bytes", &report["bytes_read"]),
        ("daysum_written_bytes", &report["bytes_written"]),
        ("daysum_phase_seconds phase=\"write\"", &report["seconds"]["write"]),
    ] {
        let told = told.as_f64().expect("a number");
        // Both texts are rounded, the one to nanoseconds.
        assert!((first[name] - told).abs() < 1e-9 * told.max(1.0), "{name}: {} for {told}", first[name]);
    }
    assert_eq!((first["daysum_days state=\"published\""], first["daysum_last_run_success"]), (2.0, 1.0));
    assert_eq!(first["daysum_last_run_timestamp_seconds"], first["daysum_last_success_timestamp_seconds"]);
    assert!(first["daysum_peak_memory_bytes"] > 1e6);

    let again = run(&input, 0, &[]);
    assert_eq!((again["daysum_days state=\"unchanged\""], again["daysum_output_rows"]), (2.0, 0.0));

    let failed = run(Path::new("/nowhere"), 2, &[]);
    assert_eq!((failed["daysum_last_run_success"], failed["daysum_last_run_exit_code"]), (0.0, 2.0));
    let success = failed["daysum_last_success_timestamp_seconds"];
    assert_eq!(success, again["daysum_last_success_timestamp_seconds"]);
    assert!(failed["daysum_last_run_timestamp_seconds"] > success);
    let left = fs::read_dir(work.path()).expect("a directory").count();
    assert_eq!(left, 3, "out, the report and the metrics: nothing temporary is left");
}

#[test]
fn metrics_are_served_while_a_run_lasts() {
    let golden = Golden::read(&Golden::root().join("gen-small"));
    let (_, lookups) = command::golden("gen-small");
    let output = TempDir::new().expect("a directory");
    let s3 = S3Server::start();
    s3.place_files("slow", &golden.files);
    s3.plan([Some(Fault::Stalled)]);
    let input = format!("s3://{BUCKET}/slow");
    let run = ["run", &input, "--lookups", text(&lookups), "--output", text(output.path())];
    let listen = ["--metrics-listen", "127.0.0.1:0"];
    let mut child = DAYSUM
        .command(&[&run[..], &listen].concat(), &s3.variables())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command was built for this test");
    let said = BufReader::new(child.stderr.take().expect("piped"));
    let mut lines = said.lines().map(|line| line.expect("text"));
    let line = lines.find(|line| line.contains("metrics are served")).expect("the address is logged");
    let address = line.rsplit("address=").next().expect("at its end");
    let mut scraper = TcpStream::connect(address).expect("it listens");
    scraper.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    scraper.read_to_string(&mut answer).expect("answered");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("openmetrics-text"), "{head}");
    assert!(samples(body).contains_key("daysum_folded_rows"), "{body}");
    lines.for_each(drop);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_run_without_anything_new_reads_nothing() {
    let bench = Bench::new(DAYSUM);
    // It belongs to no day, and no run can read it: a table that is no part of the summary.
    let other = bench.path("input/vm_usage");
    fs::create_dir(&other).expect("a new directory");
    fs::write(other.join("x.parquet"), "PAR1").expect("writable");
    let output = bench.path("out");
    let run = |code| bench.run(code, &["--output", text(&output)]);
    let both = ["2025-11-01", "2025-11-02"];
    let read = |report: &Value| report["bytes_read"].as_u64().expect("a number");

    assert_eq!(days(&run(0), "days"), both);
    for _ in 0..3 {
        let nothing = run(0);
        assert_eq!((read(&nothing), days(&nothing, "days_unchanged")), (0, both.map(String::from).to_vec()));
        assert!(days(&nothing, "days").is_empty());
        assert!(nothing["objects"].as_u64() > Some(10));
    }

    let pods = bench.file(&["pod_usage_line_items_daily", "2025-11-02"]);
    let copy = pods.with_file_name("pod_usage.2025-11-02.another.parquet");
    fs::copy(&pods, &copy).expect("writable");
    let appeared = run(0);
    assert_eq!(
        (days(&appeared, "days"), days(&appeared, "days_unchanged")),
        (vec![both[1].into()], vec![both[0].into()])
    );
    assert_eq!(read(&run(0)), 0);

    fs::remove_file(&copy).expect("it was there");
    assert_eq!(days(&run(0), "days"), [both[1]]);
    assert_eq!(read(&run(0)), 0);

    let content = fs::read(&pods).expect("readable");
    fs::write(&pods, content).expect("writable"); // the same bytes, but who would know without reading
    assert_eq!(days(&run(0), "days"), [both[1]]);
    assert_eq!(read(&run(0)), 0);

    assert!(read(&bench.run(0, &["--output", text(&output), "--force"])) > 0);
    assert!(read(&bench.run(0, &["--output", text(&output), "--enabled-keys", "other"])) > 0);
    assert!(read(&run(0)) > 0, "the rows are those of another configuration");
    fs::remove_file(&parquet_below(&output)[0]).expect("a day");
    assert_eq!(days(&run(0), "days"), [both[0]]);
    assert_eq!(read(&run(0)), 0);
}

#[test]
fn a_range_that_grows_computes_what_it_has_not_had() {
    let bench = Bench::new(DAYSUM);
    let output = bench.path("out");
    let until = |end: &str| bench.run(0, &["--output", text(&output), "--end", end]);
    let (first, second) = ("2025-11-01", "2025-11-02");
    assert_eq!(days(&until(first), "days"), [first]);
    let grown = until(second);
    assert_eq!(
        (days(&grown, "days"), days(&grown, "days_unchanged")),
        (vec![second.into()], vec![first.into()])
    );
    let shrunk = until(first);
    assert_eq!((days(&shrunk, "days").len(), days(&shrunk, "days_unchanged")), (0, vec![first.into()]));
}

#[test]
fn a_range_of_two_months_is_two_runs_in_one() {
    let bench = Bench::generated(DAYSUM, 40);
    let output = bench.path("out");
    let run = |code, more: &[&str]| bench.run(code, &[&["--output", text(&output)], more].concat());
    let counts = |report: &Value| ["objects", "rows_in", "rows_out"].map(|name| report[name].as_u64());
    let first = run(0, &[]);
    assert_eq!((days(&first, "days").len(), counts(&first)[0]), (40, Some(160)));
    assert_eq!(run(0, &[])["bytes_read"], 0);

    // What is bad in one month does not concern the other.
    let (input, aside) = (bench.path("input"), bench.path("aside"));
    let broken = bench.file(&["pod_usage", "2025-11-05"]);
    fs::rename(&broken, &aside).expect("one directory");
    fs::write(&broken, "broken").expect("writable");
    let command = ["run", text(&input), "--lookups", text(&bench.lookups), "--output", text(&output)];
    let said = DAYSUM.ends(3, &command);
    assert!(
        said.contains("nothing is new first=2025-12-01 last=2025-12-10 objects=40 days_kept=10"),
        "{said}"
    );
    let held = run(3, &[]);
    assert_eq!(
        (days(&held, "days_held"), days(&held, "days_unchanged").len()),
        (vec!["2025-11-05".into()], 39)
    );
    let planned = DAYSUM.run(&[&["plan"], &command[1..]].concat(), &[]).stdout;
    assert!(planned.contains("of 160 objects") && planned.contains("unchanged  39 days"), "{planned}");

    let since = run(0, &["--since", "2025-12-01"]);
    assert_eq!((counts(&since)[0], days(&since, "days_unchanged").len()), (Some(40), 10));

    // It comes back as the very file that the day was computed from: nothing is left to be done.
    fs::rename(&aside, &broken).expect("one directory");
    assert_eq!(days(&run(0, &[]), "days_unchanged").len(), 40);
    assert_eq!(run(0, &[])["bytes_read"], 0);

    // Nobody knows which month this one is of.
    fs::rename(&broken, bench.path("input/pods.parquet")).expect("one directory");
    assert_eq!(days(&run(0, &[]), "days"), ["2025-11-05"]);
    assert_eq!(counts(&run(0, &["--force"])), counts(&first));

    // A database has one report period for a month.
    let (_, url) = DAYSUM.tenant(&Golden::read(&Golden::root().join("gen-small")).lookups);
    let database = ["--database", &url, "--schema", SCHEMA];
    let said =
        DAYSUM.ends(2, &[&["run", text(&input), "--lookups", text(&bench.lookups)], &database[..]].concat());
    assert!(said.contains("one month"), "{said}");
}

#[test]
fn files_that_are_read_for_something_else_are_read_again() {
    let bench = Bench::new(DAYSUM);
    let output = bench.path("out");
    let run = |more: &[&str]| bench.run(0, &[&["--output", text(&output)], more].concat());
    let written =
        || parquet_below(&output).iter().map(|path| fs::read(path).expect("a day")).collect::<Vec<_>>();
    let daily: Vec<(PathBuf, Vec<u8>)> =
        parquet_below(&bench.path("input/openshift_pod_usage_line_items_daily"))
            .into_iter()
            .map(|path| (path.clone(), fs::read(&path).expect("readable")))
            .collect();
    daily.iter().for_each(|(path, _)| fs::remove_file(path).expect("it was there"));
    assert_eq!(days(&run(&[]), "days").len(), 2, "usage comes from the hourly files");
    let from_hourly = written();

    // Where a month has daily files, the hourly ones tell capacity only, those of other days too.
    for (path, content) in daily.iter().filter(|(path, _)| text(path).contains("2025-11-02")) {
        fs::write(path, content).expect("writable");
    }
    assert_eq!(days(&run(&[]), "days").len(), 2);
    let incremental = written();
    assert_ne!(incremental[0], from_hourly[0]);
    run(&["--force"]);
    assert_eq!(written(), incremental);
}

#[test]
fn a_missing_column_is_told_and_read_as_null() {
    let bench = Bench::new(DAYSUM);
    for file in parquet_below(&bench.path("input/openshift_storage_usage_line_items_daily")) {
        let rows = read_parquet(fs::read(&file).expect("readable").into());
        let schema = rows.schema();
        let kept = (0..rows.num_columns()).filter(|column| schema.field(*column).name() != "storageclass");
        let rows = rows.project(&kept.collect::<Vec<_>>()).expect("its own columns");
        let written = File::create(&file).expect("writable");
        let mut writer =
            ArrowWriter::try_new(written, rows.schema(), None).expect("a schema Parquet can hold");
        writer.write(&rows).expect("written");
        writer.close().expect("written");
    }
    let (input, output) = (bench.path("input"), bench.path("out"));
    let metrics = bench.path("metrics");
    let run = ["run", text(&input), "--lookups", text(&bench.lookups), "--output", text(&output)];
    let said = DAYSUM.ends(0, &[&run[..], &["--metrics-file", text(&metrics)]].concat());
    assert!(said.contains("missing and read as NULL columns=\"storageclass\" files=4"), "{said}");
    let metrics = fs::read_to_string(metrics).expect("metrics");
    assert_eq!(samples(&metrics)["daysum_missing_columns"], 1.0);
    let file = bench.file(&["storage_usage_line_items_daily"]);
    let inspected = DAYSUM.run(&["inspect", text(&file)], &[]).stdout;
    assert!(inspected.contains("without storageclass: they read as NULL"), "{inspected}");
    let state = bench.path("state");
    let said =
        DAYSUM.ends(0, &["fold", text(&input), "--lookups", text(&bench.lookups), "--output", text(&state)]);
    assert!(said.contains("columns=\"storageclass\""), "{said}");
    let rows = read_parquet(fs::read(&parquet_below(&output)[0]).expect("readable").into());
    let classes = rows.column_by_name("storageclass").expect("a column");
    assert_eq!(classes.null_count(), rows.num_rows());
}

#[test]
fn a_run_that_left_something_open_is_no_run_without_anything_new() {
    let bench = Bench::new(DAYSUM);
    let output = bench.path("out");
    let broken = bench.file(&["pod_usage_line_items_daily", "2025-11-01"]);
    let whole = fs::read(&broken).expect("readable");
    fs::write(&broken, &whole[..whole.len() / 2]).expect("writable");
    for _ in 0..2 {
        let held = bench.run(3, &["--output", text(&output)]);
        assert_eq!(days(&held, "days_held"), ["2025-11-01"]);
    }
    fs::write(&broken, &whole).expect("writable");
    let since = bench.run(0, &["--output", text(&output), "--since", "2025-11-02"]);
    assert_eq!((days(&since, "days"), days(&since, "days_unchanged")), (vec![], vec!["2025-11-02".into()]));
    let rest = bench.run(0, &["--output", text(&output)]);
    assert_eq!(days(&rest, "days"), ["2025-11-01"]);
}

#[test]
fn days_before_since_are_left_alone() {
    let bench = Bench::new(DAYSUM);
    let output = bench.path("out");
    let since =
        |more: &[&str]| bench.run(0, &[&["--output", text(&output), "--since", "2025-11-02"], more].concat());
    let first = since(&[]);
    assert_eq!(days(&first, "days"), ["2025-11-02"]);
    let everything = bench.run(0, &["--output", text(&output)]);
    assert_eq!(days(&everything, "days"), ["2025-11-01"], "the day after it was published already");
    assert!(first["bytes_read"].as_u64() < everything["bytes_read"].as_u64().map(|bytes| bytes * 2));

    // Both days have changed, and one of them is asked for.
    for day in ["2025-11-01", "2025-11-02"] {
        let pods = bench.file(&["pod_usage_line_items_daily", day]);
        let content = fs::read(&pods).expect("readable");
        fs::write(&pods, content).expect("writable");
    }
    assert_eq!(days(&since(&[]), "days"), ["2025-11-02"]);
    assert_eq!(days(&since(&["--force"]), "days"), ["2025-11-02"]);
    assert_eq!(days(&bench.run(0, &["--output", text(&output)]), "days"), ["2025-11-01"]);
    // An unreadable file of an earlier day concerns nobody who asks for later ones.
    fs::write(bench.file(&["pod_usage_line_items_daily", "2025-11-01"]), "broken").expect("writable");
    assert_eq!(days(&since(&[]), "days_unchanged"), ["2025-11-02"]);
    DAYSUM.ends(2, &["run", "x", "--since", "yesterday"]);
}

#[test]
fn a_clock_that_goes_back_hides_no_change() {
    let bench = Bench::new(DAYSUM);
    let output = bench.path("out");
    let computed = || days(&bench.run(0, &["--output", text(&output)]), "days");
    assert_eq!(computed().len(), 2);
    let pods = File::options().append(true).open(bench.file(&["pod_usage_line_items_daily", "2025-11-02"]));
    let pods = pods.expect("it is there");
    let (century, now) = (Duration::from_secs(36_500 * 86_400), SystemTime::now());
    for time in [SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH - century / 2, now + century, now] {
        pods.set_modified(time).expect("times can be set");
        assert_eq!(computed(), ["2025-11-02"], "{time:?}");
        assert!(computed().is_empty(), "{time:?}");
    }
}

/// Overwrites the data of a file, or brings it back, so that a listing cannot tell: same file, same size, same time.
fn overwrite_in_secret(path: &Path, content: &[u8]) {
    let written = fs::metadata(path).and_then(|file| file.modified()).expect("it is there");
    fs::write(path, content).expect("writable");
    File::options()
        .append(true)
        .open(path)
        .and_then(|file| file.set_modified(written))
        .expect("times can be set");
}

#[test]
fn quarantine_retry_reads_what_was_skipped() {
    let bench = Bench::new(DAYSUM);
    let golden = Golden::read(&Golden::root().join("gen-small"));
    let (database, url) = DAYSUM.tenant(&golden.lookups);
    let settings = bench.path("daysum.yaml");
    let skip = ["--database", &url, "--schema", SCHEMA, "--config", text(&settings)];
    fs::write(&settings, "policy: {bad_file: skip-and-report}").expect("writable");
    let quarantine = |verb| {
        let source = golden.lookups.source_uuid.as_str();
        let asked = ["quarantine", verb, "--database", &url, "--schema", SCHEMA, "--source", source];
        DAYSUM.run(&asked, &[]).stdout
    };
    let rows = || {
        let table = format!("{SCHEMA}.reporting_ocpusagelineitem_daily_summary");
        shared().sql(&database, &format!("SELECT usage_start, count(*) FROM {table} GROUP BY 1 ORDER BY 1"))
    };

    // The footer is sound, the pages are not.
    let broken = bench.file(&["pod_usage_line_items_daily", "2025-11-02"]);
    let whole = fs::read(&broken).expect("readable");
    let mut bad = whole.clone();
    bad[4..400].fill(0xff);
    overwrite_in_secret(&broken, &bad);
    let first = bench.run(0, &skip);
    assert_eq!((days(&first, "days").len(), first["quarantined"].as_array().map(Vec::len)), (2, Some(1)));
    let incomplete = rows();
    assert!(quarantine("list").contains("1 objects"));

    overwrite_in_secret(&broken, &whole);
    let kept = bench.run(0, &skip);
    assert_eq!((days(&kept, "days_unchanged").len(), rows()), (2, incomplete.clone()));
    assert!(quarantine("list").contains("1 objects"), "nobody has read it since");

    assert!(quarantine("retry").contains("1 objects: the next run tries them, and reads 1 published days"));
    let again = bench.run(0, &skip);
    assert_eq!((days(&again, "days"), days(&again, "days_unchanged").len()), (vec!["2025-11-02".into()], 1));
    assert_ne!(rows(), incomplete);
    assert!(quarantine("list").contains("0 objects"));
    let nothing = bench.run(0, &skip);
    assert_eq!((nothing["bytes_read"].as_u64(), days(&nothing, "days_unchanged").len()), (Some(0), 2));
    shared().sql(
        &database,
        &format!(
            "INSERT INTO {SCHEMA}.daysum_quarantine (source_uuid, object, code, reason, days, run) \
             VALUES ('{}', 'left over', 'port', 'r', '{{}}', 'r')",
            golden.lookups.source_uuid
        ),
    );
    assert!(bench.run(0, &skip)["bytes_read"].as_u64() > Some(0), "something is still in quarantine");
}

/// Runs that skip what is bad, and their quarantine.
struct Skipping {
    bench: Bench,
    output: PathBuf,
    settings: PathBuf,
}

impl Skipping {
    fn new() -> Self {
        let bench = Bench::new(DAYSUM);
        let (output, settings) = (bench.path("out"), bench.path("daysum.yaml"));
        fs::write(&settings, "policy: {bad_file: skip-and-report}").expect("writable");
        Self { bench, output, settings }
    }

    fn run(&self) -> Value {
        self.bench.run(0, &["--output", text(&self.output), "--config", text(&self.settings)])
    }

    fn open(&self) -> String {
        let golden = Golden::read(&Golden::root().join("gen-small"));
        let asked = ["--output", text(&self.output), "--source", &golden.lookups.source_uuid];
        DAYSUM.run(&[&["quarantine", "list"], &asked[..]].concat(), &[]).stdout
    }
}

/// Breaks the first page of each row group; the footer stays sound.
fn break_pages(path: &Path, with: u8) {
    let mut content = fs::read(path).expect("readable");
    let reader = SerializedFileReader::new(File::open(path).expect("readable")).expect("Parquet");
    for group in reader.metadata().row_groups() {
        let (start, length) = group.column(0).byte_range();
        content[start as usize..(start + length.min(60)) as usize].fill(with);
    }
    fs::write(path, content).expect("writable");
}

#[test]
fn an_object_is_open_as_long_as_one_version_or_day_is() {
    let scene = Skipping::new();
    // Both days in one file, a row group for each.
    let [first, second] =
        ["2025-11-01", "2025-11-02"].map(|day| scene.bench.file(&["pod_usage_line_items_daily", day]));
    let days_of = [&first, &second].map(|path| read_parquet(fs::read(path).expect("readable").into()));
    let written = File::create(&first).expect("writable");
    let mut writer =
        ArrowWriter::try_new(written, days_of[0].schema(), None).expect("a schema Parquet can hold");
    for rows in &days_of {
        writer.write(rows).expect("written");
        writer.flush().expect("written");
    }
    writer.close().expect("written");
    fs::remove_file(&second).expect("it was there");

    break_pages(&first, 0xff);
    assert_eq!(days(&scene.run(), "days").len(), 2);
    assert!(scene.open().contains("touches 2025-11-01 2025-11-02"), "{}", scene.open());
    break_pages(&first, 0xfe);
    assert_eq!(days(&scene.run(), "days").len(), 2);
    for _ in 0..2 {
        let again = scene.run();
        assert_eq!(days(&again, "days_unchanged").len(), 2);
        assert!(again["bytes_read"].as_u64() > Some(0), "something is open");
        assert!(scene.open().contains("2 objects"), "both versions stay: {}", scene.open());
    }

    fs::remove_file(&first).expect("it was there");
    assert_eq!(days(&scene.run(), "days").len(), 2);
    assert!(scene.open().contains("0 objects"), "it is gone: {}", scene.open());
    assert_eq!(scene.run()["bytes_read"], 0);
}

#[test]
fn what_a_day_lacks_is_open_after_the_run_has_listed_again() {
    let golden = Golden::read(&Golden::root().join("gen-small"));
    let (scene, s3) = (Skipping::new(), S3Server::start());
    let [first, second] = ["2025-11-01", "2025-11-02"].map(|day| {
        let words = ["pod_usage_line_items_daily", day];
        let file = golden.files.iter().find(|file| words.iter().all(|word| file.key.contains(word)));
        file.expect("a file of each day").key.clone()
    });
    let mut files = golden.files.clone();
    let bad = files.iter_mut().find(|file| file.key == first).expect("it is there");
    let broken = scene.bench.path("broken.parquet");
    fs::write(&broken, &bad.bytes).expect("writable");
    break_pages(&broken, 0xff);
    bad.bytes = fs::read(&broken).expect("readable").into();
    s3.place_files("in", &files);
    s3.change(&format!("in/{second}"), 1, None); // after its footer was read, and after the first day was published

    let (input, report) = (format!("s3://{BUCKET}/in"), scene.bench.path("report.json"));
    let run = || {
        let paths = [&scene.bench.lookups, &scene.output, &scene.settings, &report].map(|path| text(path));
        let run = ["run", &input, "--threads", "1", "--lookups", paths[0], "--output", paths[1]];
        let more = ["--config", paths[2], "--report", paths[3]];
        DAYSUM.ends_with(0, &[&run[..], &more].concat(), &s3.variables());
        serde_json::from_slice::<Value>(&fs::read(&report).expect("a report")).expect("JSON")
    };
    let told = run();
    assert_eq!((&told["replans"], days(&told, "days").len()), (&Value::from(1), 2));
    assert_eq!(told["quarantined"].as_array().map(Vec::len), Some(1), "the first day lacks it");
    assert!(scene.open().contains("1 objects"), "{}", scene.open());
    assert!(run()["bytes_read"].as_u64() > Some(0), "and is looked at again");
    assert!(scene.open().contains("1 objects"), "{}", scene.open());
}

#[test]
fn files_have_a_quarantine_beside_their_ledger() {
    let bench = Bench::new(DAYSUM);
    let golden = Golden::read(&Golden::root().join("gen-small"));
    let (output, settings) = (bench.path("out"), bench.path("daysum.yaml"));
    fs::write(&settings, "policy: {bad_file: skip-and-report}").expect("writable");
    let skip = ["--output", text(&output), "--config", text(&settings)];
    let asked = ["--output", text(&output), "--source", &golden.lookups.source_uuid];
    let quarantine = |more: &[&str]| {
        let ended = DAYSUM.run(&[&["quarantine"], more, &asked].concat(), &[]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout
    };
    let status = || DAYSUM.run(&[&["status", "--month", "2025-11"], &asked[..]].concat(), &[]).stdout;
    let rows = || fs::read(&parquet_below(&output)[1]).expect("a day");

    let broken = bench.file(&["pod_usage_line_items_daily", "2025-11-02"]);
    let input = bench.path("input");
    let key = text(broken.strip_prefix(&input).expect("it was found there")).to_owned();
    let whole = fs::read(&broken).expect("readable");
    let mut bad = whole.clone();
    bad[4..400].fill(0xff); // the footer is sound, the pages are not
    overwrite_in_secret(&broken, &bad);
    assert_eq!(days(&bench.run(0, &skip), "days").len(), 2);
    let incomplete = rows();
    assert!(status().contains("2 days published"), "{}", status());
    let listed = quarantine(&["list"]);
    assert!(listed.contains(&key) && listed.contains("1 objects"), "{listed}");
    let shown: Value = serde_json::from_str(&quarantine(&["show", &key])).expect("JSON");
    assert_eq!((&shown[0]["object"], shown.as_array().map(Vec::len)), (&Value::from(key.as_str()), Some(1)));

    overwrite_in_secret(&broken, &whole);
    assert_eq!(days(&bench.run(0, &skip), "days_unchanged").len(), 2, "nobody was asked to read it again");
    assert!(
        quarantine(&["retry"]).contains("1 objects: the next run tries them, and reads 1 published days")
    );
    assert_eq!(days(&bench.run(0, &skip), "days"), ["2025-11-02"]);
    assert_ne!(rows(), incomplete);
    assert!(quarantine(&["list"]).starts_with("0 objects"));

    // A day that is held back is in it, too, and leaves it when somebody says so.
    fs::write(&broken, &whole[..whole.len() / 2]).expect("writable");
    assert_eq!(days(&bench.run(3, &["--output", text(&output)]), "days_held"), ["2025-11-02"]);
    assert!(quarantine(&["list"]).contains("1 objects"));
    assert!(quarantine(&["drop", &key]).contains("1 entries dropped"));
    assert!(quarantine(&["list"]).starts_with("0 objects"));
}

#[test]
fn a_published_day_without_objects_keeps_its_rows_and_is_told() {
    let bench = Bench::new(DAYSUM);
    let (output, input) = (bench.path("out"), bench.path("input"));
    let run = || bench.run(0, &["--output", text(&output)]);
    assert!(days(&run(), "days_orphaned").is_empty());
    let published = || parquet_below(&output).iter().map(|path| fs::read(path).expect("a day")).collect();
    let before: Vec<Vec<u8>> = published();
    for path in parquet_below(&input).iter().filter(|path| text(path).contains("2025-11-02")) {
        fs::remove_file(path).expect("it was found there");
    }
    for _ in 0..2 {
        let report = run();
        assert_eq!(days(&report, "days_orphaned"), ["2025-11-02"]); // the second run reads no footer, and knows it too
        assert_eq!(days(&report, "days_unchanged"), ["2025-11-01"]);
    }
    let asked = ["plan", text(&input), "--lookups", text(&bench.lookups), "--output", text(&output)];
    let plan = DAYSUM.run(&asked, &[]).stdout;
    assert!(plan.contains("orphaned   1 days  2025-11-02"), "{plan}");
    assert_eq!(published(), before);
}

#[test]
fn a_bad_row_holds_back_its_day_whatever_happens_to_bad_files() {
    let work = TempDir::new().expect("a directory");
    let (second, bad) = (fixture::hour("2025-02-02", 0), fixture::text("{"));
    let mut rows = Fixture::base();
    rows.rows_per_file = 1;
    rows.set_pods([
        fixture::pod(),
        PodRow { labels: bad, ..fixture::pod() },
        PodRow { start: second, ..fixture::pod() },
    ]);
    for file in rows.files() {
        let path = work.path().join("input").join(&file.key);
        fs::create_dir_all(path.parent().expect("a directory")).expect("directories can be made");
        fs::write(path, &file.bytes).expect("writable");
    }
    let path = |name: &str| work.path().join(name);
    fs::write(path("lookups.json"), serde_json::to_vec(&rows.lookups).expect("JSON")).expect("writable");
    let (input, lookups, output) = (path("input"), path("lookups.json"), path("out"));
    let run = ["run", text(&input), "--lookups", text(&lookups), "--output", text(&output)];
    for policy in ["hold-day", "skip-and-report"] {
        let policy = [("DAYSUM_POLICY_BAD_FILE", policy.to_owned())];
        let said = DAYSUM.ends_with(3, &run, &policy);
        assert!(said.contains("held back: 1 days, 2025-02-01; "), "{said}");
        let written = parquet_below(&output);
        assert_eq!(written.len(), 1);
        assert!(text(&written[0]).ends_with("2025-02-02.parquet"), "{written:?}");
    }
}

#[test]
fn dedupe_keeps_the_manifest_that_covers_more_of_the_day() {
    let work = TempDir::new().expect("a directory");
    let s3 = S3Server::start();
    let mut fixture = Fixture::base();
    fixture.rows_per_file = 1;
    for (manifest, hours, cpu) in [("7", "12", 3600.0), ("10", "24", 7200.0)] {
        fixture.daily_pods = vec![PodRow { cpu: [Some(cpu); 4], ..fixture::pod() }];
        for mut file in fixture.files() {
            let table = if file.key.contains("_daily") { "d" } else { "h" };
            // s3s-fs names the metadata by the whole key, so that keys must be short.
            file.key = format!("{table}/{manifest}.parquet");
            let told =
                [("manifestid", manifest), ("reportdatestart", "2025-02-01"), ("reportnumhours", hours)];
            s3.upload_with("twice", &file, &told);
        }
    }
    let lookups = work.path().join("lookups.json");
    fs::write(&lookups, serde_json::to_vec(&fixture.lookups).expect("JSON")).expect("writable");
    let input = format!("s3://{BUCKET}/twice");
    let usage = |dedupe: &str| {
        let output = work.path().join(dedupe);
        let run = ["run", &input, "--lookups", text(&lookups), "--output", text(&output)];
        let variables = [&s3.variables()[..], &[("DAYSUM_POLICY_DEDUPE", dedupe.to_owned())]].concat();
        DAYSUM.ends_with(0, &run, &variables);
        let rows = read_parquet(fs::read(&parquet_below(&output)[0]).expect("a day").into());
        let pods = rows["data_source"].as_string::<i32>().iter().position(|kind| kind == Some("Pod"));
        rows["pod_usage_cpu_core_hours"].as_primitive::<Float64Type>().value(pods.expect("a pod row"))
    };
    assert_eq!(usage("false"), 3.0, "koku's SQL never deduplicates");
    assert_eq!(usage("true"), 2.0);
}

#[test]
fn the_registry_is_filled_before_the_summary_needs_it() {
    let work = TempDir::new().expect("a directory");
    let database = database();
    let url = shared().url(&database);
    let mut fixture = Fixture::with_storage();
    fixture.node_labels = vec![
        fixture::labels("n1", r#"{"node_role_kubernetes_io": "infra", "kubernetes_io_arch": "AMD64"}"#),
        fixture::labels("n2", "{}"),
        fixture::labels("big", "{}"),
    ];
    let on = |node: &str, namespace: &str| PodRow {
        node: fixture::text(node),
        namespace: fixture::text(namespace),
        resource_id: fixture::text(&format!("i-{node}")),
        ..fixture::pod()
    };
    // The table of nodes holds fewer cores than the summary.
    let mut big = on("big", "ns");
    big.capacity[0] = Some(1e17);
    fixture.set_pods([on("n1", "ns"), on("n2", "openshift-kube-apiserver"), on("unlabelled", "ns"), big]);
    for file in fixture.files() {
        let path = work.path().join("input").join(&file.key);
        fs::create_dir_all(path.parent().expect("a directory")).expect("directories can be made");
        fs::write(path, &file.bytes).expect("writable");
    }
    let (input, report) = (work.path().join("input"), work.path().join("report.json"));
    let source = fixture.lookups.source_uuid.as_str();
    let run = |more: &[&str]| {
        let of = ["--source", source, "--month", "2025-02", "--cluster-id", "c", "--cluster-alias", "a"];
        let to = ["--database", &url, "--schema", SCHEMA, "--report", text(&report)];
        DAYSUM.ends(0, &[&["run", text(&input)], &of[..], &to, more].concat());
        serde_json::from_slice::<Value>(&fs::read(&report).expect("a report")).expect("JSON")
    };
    let namespaces = || {
        let table = format!("{SCHEMA}.reporting_ocpusagelineitem_daily_summary");
        let sql =
            format!("SELECT node, namespace FROM {table} WHERE namespace LIKE '% unallocated' ORDER BY 1");
        shared().sql(&database, &sql)
    };
    run(&[]);
    assert_eq!(namespaces(), "", "nobody knows a role");
    assert_eq!(run(&[])["bytes_read"], 0);
    run(&["--registry"]);
    assert_eq!(namespaces(), "big|Worker unallocated\nn1|Platform unallocated\nn2|Platform unallocated");
    let stored = |columns: &str, table: &str| {
        shared().sql(&database, &format!("SELECT {columns} FROM {SCHEMA}.reporting_ocp_{table} ORDER BY 1"))
    };
    let nodes = stored("node, resource_id, node_role, architecture, node_capacity_cpu_cores", "nodes");
    assert_eq!(nodes, "big|i-big|worker||\nn1|i-n1|infra|amd64|4.00\nn2|i-n2|master||4.00");
    assert_eq!(
        stored("persistent_volume, persistent_volume_claim, csi_volume_handle", "pvcs"),
        "pv|pvc|vol-1"
    );
    assert_eq!(stored("project", "projects"), "ns\nopenshift-kube-apiserver");
    assert_eq!(stored("cluster_id, cluster_alias", "clusters"), "c|a");
    assert_eq!(run(&["--registry"])["bytes_read"], 0);

    let files = ["--registry", "--output", text(work.path())];
    let said = DAYSUM
        .ends(2, &[&["run", text(&input), "--source", source, "--month", "2025-02"], &files[..]].concat());
    assert!(said.contains("--registry writes tables of a database"), "{said}");
}

/// PostgreSQL has no NUL: the day is held back for it, and the registry is filled for the others.
#[test]
fn a_name_that_cannot_be_stored_does_not_end_the_run() {
    let work = TempDir::new().expect("a directory");
    let database = database();
    let url = shared().url(&database);
    let mut fixture = Fixture::base();
    let bad =
        PodRow { namespace: fixture::text("n\0"), start: fixture::hour("2025-02-02", 0), ..fixture::pod() };
    fixture.set_pods([fixture::pod(), bad]);
    for file in fixture.files() {
        let path = work.path().join(&file.key);
        fs::create_dir_all(path.parent().expect("a directory")).expect("directories can be made");
        fs::write(path, &file.bytes).expect("writable");
    }
    DAYSUM.ends(0, &["db", "init", "--database", &url, "--schema", SCHEMA]);
    let of = ["--source", &fixture.lookups.source_uuid, "--month", "2025-02", "--cluster-id", "c"];
    let to = ["--registry", "--database", &url, "--schema", SCHEMA];
    let said = DAYSUM.ends(3, &[&["run", text(work.path())], &of[..], &to].concat());
    assert!(said.contains("held back: 1 days, 2025-02-02"), "{said}");
    let days = format!("SELECT DISTINCT usage_start FROM {SCHEMA}.reporting_ocpusagelineitem_daily_summary");
    assert_eq!(shared().sql(&database, &days), "2025-02-01");
    assert_eq!(
        shared().sql(&database, &format!("SELECT project FROM {SCHEMA}.reporting_ocp_projects")),
        "ns"
    );
}

#[test]
fn what_changes_or_vanishes_while_it_is_read_is_listed_again() {
    let golden = Golden::read(&Golden::root().join("gen-small"));
    let (_, lookups) = command::golden("gen-small");
    let work = TempDir::new().expect("a directory");
    let s3 = S3Server::start();
    let pods = |day: &str| {
        let words = ["pod_usage_line_items_daily", day];
        let found = golden.files.iter().find(|file| words.iter().all(|word| file.key.contains(word)));
        found.expect("a file of each day")
    };
    let (first, second) = (pods("2025-11-01"), pods("2025-11-02"));
    let run = |name: &str, code, prefix: &str| {
        let (output, report) = (work.path().join(name), work.path().join(format!("{name}.json")));
        let input = format!("s3://{BUCKET}/{prefix}");
        let run = ["run", &input, "--lookups", text(&lookups), "--output", text(&output), "--force"];
        let said =
            DAYSUM.ends_with(code, &[&run[..], &["--report", text(&report)]].concat(), &s3.variables());
        let rows: Vec<_> = parquet_below(&output)
            .iter()
            .map(|path| read_parquet(fs::read(path).expect("a day").into()))
            .collect();
        let report = fs::read(&report).map(|json| serde_json::from_slice::<Value>(&json).expect("JSON"));
        (said, rows, report.unwrap_or_default())
    };
    // Another file's rows take its place, after its footer was read; or it is gone then.
    for (name, content) in [("changed", Some(first.bytes.to_vec())), ("vanished", None)] {
        s3.place_files(name, &golden.files);
        s3.change(&format!("{name}/{}", second.key), 1, content);
        let (said, rows, report) = run(name, 0, name);
        assert_eq!(report["replans"], 1, "{said}");
        let filtered: u64 =
            report["rows_filtered"].as_object().expect("reasons").values().flat_map(Value::as_u64).sum();
        let told = report["rows_aggregated"].as_u64().expect("a number") + filtered;
        assert_eq!(report["rows_in"].as_u64(), Some(told));
        let (_, undisturbed, report) = run(&format!("{name}-again"), 0, name);
        assert_eq!((rows, &report["replans"]), (undisturbed, &Value::from(0)), "{name}");
    }

    s3.place_files("restless", &golden.files);
    let key = format!("restless/{}", second.key);
    for content in [&first.bytes, &second.bytes, &first.bytes, &second.bytes] {
        s3.change(&key, 0, Some(content.to_vec()));
    }
    let (said, rows, _) = run("restless", 1, "restless");
    assert_eq!((rows.len(), said.matches("listing again").count()), (0, 3), "{said}");
    assert!(said.contains(&second.key) && said.contains("changed since it was listed"), "{said}");
    assert_eq!(run("restless", 0, "restless").1.len(), 2, "nothing changes any more");
}

/// What the first pass of a run saw must not be remembered for the second.
#[test]
fn an_object_that_vanishes_and_comes_back_is_new() {
    let golden = Golden::read(&Golden::root().join("gen-small"));
    let (_, lookups) = command::golden("gen-small");
    let (work, s3) = (TempDir::new().expect("a directory"), S3Server::start());
    let (output, report) = (work.path().join("out"), work.path().join("report.json"));
    let input = format!("s3://{BUCKET}/returns");
    let run = || {
        let run = ["run", &input, "--lookups", text(&lookups), "--output", text(&output)];
        DAYSUM.ends_with(0, &[&run[..], &["--report", text(&report)]].concat(), &s3.variables());
        serde_json::from_slice::<Value>(&fs::read(&report).expect("a report")).expect("JSON")
    };
    s3.place_files("returns", &golden.files);
    assert_eq!(days(&run(), "days").len(), 2);

    let words = ["pod_usage_line_items_daily", "2025-11-02"];
    let file = golden.files.iter().find(|file| words.iter().all(|word| file.key.contains(word)));
    let mut another = file.expect("a file of each day").clone();
    another.key = another.key.replace(".parquet", ".another.parquet");
    let another = [another];
    s3.place_files("returns", &another);
    s3.change(&format!("returns/{}", another[0].key), 1, None);
    let vanished = run();
    assert_eq!((&vanished["replans"], days(&vanished, "days_unchanged").len()), (&Value::from(1), 2));

    s3.place_files("returns", &another);
    let back = run();
    assert_eq!((days(&back, "days"), days(&back, "days_orphaned").len()), (vec!["2025-11-02".into()], 0));
}

#[test]
fn a_file_of_a_directory_that_never_rests_is_one_clear_error() {
    let bench = Bench::new(DAYSUM);
    let restless = bench.file(&["pod_usage_line_items_daily", "2025-11-02"]);
    let output = bench.path("out");
    let (input, lookups) = (bench.path("input"), text(&bench.lookups));
    let run = ["run", text(&input), "--lookups", lookups, "--output", text(&output)];
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = File::options().append(true).open(&restless).expect("it is there");
            let mut time = SystemTime::UNIX_EPOCH;
            while !stop.load(Ordering::Relaxed) {
                time += Duration::from_micros(1);
                file.set_modified(time).expect("times can be set");
            }
        });
        // A run may get through while the other thread is not given a core; some run does not.
        let again = [&run[..], &["--force"]].concat();
        let ended = (0..100).map(|_| DAYSUM.run(&again, &[])).find(|ended| ended.code != Some(0));
        stop.store(true, Ordering::Relaxed);
        let ended = ended.expect("a run gives up");
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let said = ended.stderr;
        assert!(said.contains("2025-11-02") && said.contains("changed since it was listed"), "{said}");
        assert_eq!(said.matches("listing again").count(), 3, "{said}");
    });
    DAYSUM.ends(0, &run);
    assert_eq!(parquet_below(&output).len(), 2);
}
