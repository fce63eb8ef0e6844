//! What somebody gets wrong at three in the morning, and that daysum says so before it does harm.

use std::fs;

use daysum_core::Lookups;
use daysum_tests::command::{Bench, Daysum, days, text};
use daysum_tests::postgres::{SCHEMA, shared};

const DAYSUM: Daysum = Daysum(env!("CARGO_BIN_EXE_daysum"));
const SUMMARY: &str = "org1234567.reporting_ocpusagelineitem_daily_summary";

#[test]
fn settings_that_the_lookups_beat_are_told_and_of_two_tenants_none_is_chosen() {
    let bench = Bench::generated(DAYSUM, 2);
    let lookups = Lookups::from_json(&fs::read(&bench.lookups).expect("lookups")).expect("lookups");
    let (name, url) = DAYSUM.tenant(&lookups);
    let input = bench.path("input");
    let run = ["run", text(&input), "--lookups", text(&bench.lookups)];
    let other = [("DAYSUM_POSTGRESQL_SCHEMA", "org2".to_owned())];
    let said = DAYSUM.ends_with(2, &[&run[..], &["--database", &url]].concat(), &other);
    assert!(said.contains("give --schema to say which"), "{said}");
    let said = DAYSUM.ends_with(0, &[&run[..], &["--database", &url, "--schema", SCHEMA]].concat(), &other);
    assert!(!said.contains("otherwise"), "{said}");
    assert_ne!(shared().sql(&name, &format!("SELECT count(*) FROM {SUMMARY}")), "0");

    let variables =
        [("OCP_CLUSTER_ID", "another"), ("OCP_START_DATE", "2025-11-02"), ("OCP_END_DATE", "2025-11-02")];
    let variables = [&other[..], &variables.map(|(name, value)| (name, value.to_owned()))].concat();
    let output = bench.path("out");
    let said = DAYSUM.ends_with(0, &[&run[..], &["--output", text(&output)]].concat(), &variables);
    for key in ["ocp.cluster_id", "ocp.start_date"] {
        assert!(said.contains(&format!("{key} says otherwise than the lookups")), "{said}");
    }
    assert!(!said.contains("schema"), "files are in none: {said}");
}

#[test]
fn lookups_of_another_month_do_not_lend_their_report_period() {
    let mut bench = Bench::generated(DAYSUM, 32);
    let mut lookups: serde_json::Value =
        serde_json::from_slice(&fs::read(&bench.lookups).expect("lookups")).expect("JSON");
    lookups["end_date"] = "2025-11-30".into();
    bench.lookups = bench.path("november.json");
    fs::write(&bench.lookups, lookups.to_string()).expect("writable");
    let november = Lookups::from_json(lookups.to_string().as_bytes()).expect("lookups");
    let (name, url) = DAYSUM.tenant(&november);
    let sequence = "pg_get_serial_sequence('org1234567.reporting_ocpusagereportperiod', 'id')";
    shared().sql(&name, &format!("SELECT setval({sequence}, 10)")); // the period above came with its number
    bench.run(0, &["--database", &url, "--schema", SCHEMA, "--month", "2025-12"]);
    let periods = "SELECT string_agg(DISTINCT report_period_start::text, ' ') FROM org1234567.reporting_ocpusagereportperiod";
    assert!(shared().sql(&name, periods).contains("2025-12-01"), "December has a period of its own");
    let of_november = november.report_period_id.expect("generated");
    let mixed = format!("SELECT count(*) FROM {SUMMARY} WHERE report_period_id = {of_november}");
    assert_eq!(shared().sql(&name, &mixed), "0");
    assert_ne!(shared().sql(&name, &format!("SELECT count(*) FROM {SUMMARY}")), "0");
}

#[test]
fn a_table_that_is_not_fit_is_told_once_and_before_anything_is_read() {
    let bench = Bench::generated(DAYSUM, 2);
    let lookups = Lookups::from_json(&fs::read(&bench.lookups).expect("lookups")).expect("lookups");
    let (name, url) = DAYSUM.tenant(&lookups);
    shared().sql(&name, &format!("ALTER TABLE {SUMMARY} DROP COLUMN pod_labels"));
    let database = ["--database", &url, "--schema", SCHEMA];
    let report = bench.run(1, &database);
    assert!(report["error"].as_str().is_some_and(|error| error.contains("pod_labels")), "{report}");
    assert_eq!(
        (&report["bytes_read"], &report["daysum_version"]),
        (&0.into(), &env!("CARGO_PKG_VERSION").into())
    );
    assert_eq!(days(&report, "days_held"), [""; 0]);
    let ended = DAYSUM.run(&[&["db", "init"][..], &database].concat(), &[]);
    assert!(ended.code == Some(1) && ended.stdout.contains("pod_labels"), "{ended:?}");
}

#[test]
fn what_is_asked_of_the_quarantine_must_be_there() {
    let bench = Bench::generated(DAYSUM, 2);
    bench.run(0, &["--output", text(&bench.path("out"))]);
    let lookups = Lookups::from_json(&fs::read(&bench.lookups).expect("lookups")).expect("lookups");
    let (_, url) = DAYSUM.tenant(&lookups);
    let source = ["--source", &lookups.source_uuid];
    for verb in ["show", "drop", "retry"] {
        let output = ["--output", text(&bench.path("out"))].map(str::to_owned);
        let output = output.each_ref().map(String::as_str);
        let said = DAYSUM.ends(2, &[&["quarantine", verb, "x.parquet"][..], &output, &source].concat());
        assert!(said.contains("\"x.parquet\" is not in quarantine"), "{said}");
    }
    let nowhere = ["--database", &url, "--schema", "nope"];
    let said = DAYSUM.ends(2, &[&["quarantine", "list"][..], &nowhere, &source].concat());
    assert!(said.contains("no schema nope"), "{said}");
}

#[test]
fn nothing_of_this_source_is_told_with_what_is_there() {
    let bench = Bench::generated(DAYSUM, 2);
    let other = [
        "--source",
        "00000000-0000-4000-8000-000000000000",
        "--output",
        text(&bench.path("out")).to_owned().leak(),
    ];
    let (input, lookups) = (bench.path("input"), text(&bench.lookups));
    let said = DAYSUM.ends(4, &[&["run", text(&input), "--lookups", lookups][..], &other].concat());
    assert!(said.contains("none of this source and range"), "{said}");
}

#[test]
fn daily_files_alone_say_nothing_of_capacity() {
    let bench = Bench::new(DAYSUM);
    let run = || {
        let (input, output) = (bench.path("input"), bench.path("out"));
        DAYSUM.ends(
            0,
            &["run", text(&input), "--lookups", text(&bench.lookups), "--output", text(&output), "--force"],
        )
    };
    assert!(!run().contains("no hourly pod files"), "they are there");
    let hourly = bench.path("input/openshift_pod_usage_line_items");
    fs::remove_dir_all(hourly).expect("it is there");
    assert!(run().contains("no hourly pod files"));
}

#[test]
fn a_word_that_is_no_level_does_not_silence_the_log() {
    let bench = Bench::generated(DAYSUM, 2);
    let (input, output) = (bench.path("input"), bench.path("out"));
    let run = ["run", text(&input), "--lookups", text(&bench.lookups), "--output", text(&output)];
    let said = DAYSUM.ends_with(0, &run, &[("DAYSUM_LOG", "wran".to_owned())]);
    assert!(said.contains("\"wran\" is no level") && said.contains("published"), "{said}");
    let below_a_file = bench.lookups.join("r.json");
    let said = DAYSUM.ends_with(2, &[&run[..], &["--report", text(&below_a_file)]].concat(), &[]);
    assert!(said.contains("--report: cannot make the directory"), "{said}");
    let inside = output.join("reports/r.json");
    DAYSUM.ends_with(0, &[&run[..], &["--report", text(&inside)]].concat(), &[]);
    assert!(inside.exists());
}

#[test]
fn a_success_is_that_of_its_source() {
    let bench = Bench::generated(DAYSUM, 2);
    let (input, output, file) = (bench.path("input"), bench.path("out"), bench.path("daysum.prom"));
    let run = |code, source: &[&str]| {
        let run = ["run", text(&input), "--lookups", text(&bench.lookups), "--output", text(&output)];
        DAYSUM.ends(code, &[&run[..], &["--metrics-file", text(&file)], source].concat());
        let metrics = fs::read_to_string(&file).expect("metrics");
        let line = metrics.lines().find(|line| line.starts_with("daysum_last_success")).expect("always told");
        line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a number")
    };
    let other = ["--source", "00000000-0000-4000-8000-000000000000"];
    assert_eq!(run(4, &other), 0.0, "none is known");
    assert!(run(0, &[]) > 0.0);
    assert_eq!(run(4, &other), 0.0, "it was another's");
}
