//! What another run reads: nothing where nothing is new, and of a range, a month or a day what is.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use daysum_tests::command::{Bench, Daysum, days, parquet_below, text};
use daysum_tests::golden::Golden;
use daysum_tests::postgres::SCHEMA;
use serde_json::Value;

const DAYSUM: Daysum = Daysum(env!("CARGO_BIN_EXE_daysum"));

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

    let first = run(0);
    assert_eq!(
        (days(&first, "days"), first["objects_alike"].as_array().map(Vec::len)),
        (both.map(String::from).to_vec(), Some(0))
    );
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
    let alike = appeared["objects_alike"].as_array().map(Vec::len);
    assert_eq!(alike, Some(1), "its rows count twice, as they would in koku");
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
    let (_, url) = DAYSUM.tenant(&Golden::small().lookups);
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
