//! What becomes of bad files and rows: held, skipped, kept in quarantine, tried again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use daysum_tests::command::{Bench, Daysum, days, parquet_below, text};
use daysum_tests::fixture::{self, Fixture, PodRow};
use daysum_tests::golden::{Golden, read_parquet};
use daysum_tests::postgres::{SCHEMA, shared};
use daysum_tests::s3::{BUCKET, S3Server};
use parquet::arrow::ArrowWriter;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;
use tempfile::TempDir;

const DAYSUM: Daysum = Daysum(env!("CARGO_BIN_EXE_daysum"));

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
    let golden = Golden::small();
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
        let golden = Golden::small();
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
    let golden = Golden::small();
    let (scene, s3) = (Skipping::new(), S3Server::start());
    let [first, second] =
        ["2025-11-01", "2025-11-02"].map(|day| golden.file(&["pod_usage_line_items_daily", day]).key.clone());
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
    let golden = Golden::small();
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
    let ((input, lookups), output) = (rows.place(work.path()), work.path().join("out"));
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
