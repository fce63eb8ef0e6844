//! What an operator sees of a run: logs, metrics, what its files lack.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;

use arrow::array::Array;
use daysum_tests::command::{self, Bench, Daysum, days, golden, parquet_below, text};
use daysum_tests::fixture::{Encoding, Fixture, PodRow, SOURCE, hour, labels, parquet, pod};
use daysum_tests::golden::{Golden, read_parquet};
use daysum_tests::s3::{BUCKET, Fault, S3Server};
use parquet::arrow::ArrowWriter;
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

/// Every number is another run's if it is not this one's: none of them is 0.
#[test]
fn reports_and_metrics_tell_what_became_of_every_row() {
    let work = TempDir::new().expect("a directory");
    let at = |day: &str| PodRow { start: hour(day, 0), ..pod() };
    let mut fixture = Fixture { rows_per_file: 1, daily_pods: Vec::new(), ..Fixture::base() };
    fixture.enable(&["app", "zone"]);
    fixture.hourly_pods = vec![
        pod(),
        pod(),
        PodRow { node: Some(String::new()), ..pod() },
        PodRow { cpu: [Some(2e18); 4], ..pod() },
        at("2025-02-20"),
        at("2025-02-03"),
    ];
    fixture.node_labels = vec![labels("n1", r#"{"zone": "a"}"#), labels("n1", r#"{"zone": "b"}"#)];
    fixture.namespace_labels = vec![labels("ns", "{")];
    let (input, lookups) = fixture.place(work.path());
    let month = input.join(format!("openshift_pod_usage_line_items/source={SOURCE}/year=2025/month=02"));
    let stray = parquet(&[at("2025-03-01")], "pod_usage", false, &Encoding::default());
    fs::write(month.join("stray.parquet"), stray).expect("writable");
    let broken = month.join("part-5.parquet");
    let mut bytes = fs::read(&broken).expect("the row of the third day");
    bytes[4..400].fill(0xff); // the footer is sound, the pages are not
    fs::write(&broken, bytes).expect("writable");

    let [output, report, metrics] = ["out", "report.json", "metrics"].map(|name| work.path().join(name));
    let run = ["run", text(&input), "--lookups", text(&lookups), "--output", text(&output)];
    let of = ["--end", "2025-02-10", "--report", text(&report), "--metrics-file", text(&metrics)];
    let policy = [("DAYSUM_POLICY_MALFORMED_LABELS", "empty".to_owned())];
    let said = DAYSUM.ends_with(3, &[&run[..], &of].concat(), &policy);
    let report: Value = serde_json::from_slice(&fs::read(&report).expect("a report")).expect("JSON");
    let metrics = samples(&fs::read_to_string(&metrics).expect("metrics"));
    for (name, metric, number) in [
        ("/rows_in", "", 10),
        ("/rows_aggregated", "daysum_rows fate=\"aggregated\"", 5),
        ("/rows_filtered/out_of_range", "daysum_rows fate=\"out_of_range\"", 1),
        ("/rows_filtered/other_month", "daysum_rows fate=\"other_month\"", 1),
        ("/rows_filtered/no_node", "daysum_rows fate=\"no_node\"", 1),
        ("/rows_filtered/anomalous", "daysum_rows fate=\"anomalous\"", 1),
        ("/rows_quarantined", "daysum_rows fate=\"quarantined\"", 1),
        ("/rows_fanned_out", "daysum_fanned_out_rows", 2),
        ("/rows_out", "daysum_output_rows", 3),
        ("/malformed_labels", "daysum_malformed_labels", 1),
        ("/nodes_without_role", "daysum_nodes_without_role", 1),
        ("/objects", "daysum_objects", 10),
        ("/threads", "", 2),
    ] {
        assert_eq!(report.pointer(name).and_then(Value::as_u64), Some(number), "{name}: {said}");
        assert!(metric.is_empty() || metrics[metric] == number as f64, "{metric}: {metrics:?}");
    }
    assert_eq!(
        (days(&report, "days"), days(&report, "days_held")),
        (vec!["2025-02-01".into()], vec!["2025-02-03".into()])
    );
    for (metric, number) in [
        ("daysum_days state=\"published\"", 1.0),
        ("daysum_days state=\"held\"", 1.0),
        ("daysum_quarantined", 1.0),
        ("daysum_alike_objects", 1.0),
        ("daysum_last_run_exit_code", 3.0),
        ("daysum_last_success_timestamp_seconds", 0.0),
    ] {
        assert_eq!(metrics[metric], number, "{metric}");
    }
    assert!(
        metrics["daysum_phase_seconds phase=\"total\""] >= metrics["daysum_phase_seconds phase=\"plan\""]
    );
    let bad = &report["quarantined"][0];
    let told = ["object", "row_group", "code", "first_day", "last_day"].map(|name| bad[name].to_string());
    assert!(told[0].contains("part-5.parquet"), "{bad}");
    assert_eq!(told[1..], ["0", "\"format\"", "\"2025-02-03\"", "\"2025-02-03\""]);
    for words in
        ["1 node-days have no known role", "1 label texts are malformed", "1 objects seem to be copies"]
    {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn metrics_are_served_while_a_run_lasts() {
    let golden = Golden::small();
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
