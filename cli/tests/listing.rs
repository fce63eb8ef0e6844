//! Which objects a run reads of a store that changes, or that holds a day twice.

use std::fs::{self, File};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use daysum_tests::command::{self, Bench, Daysum, days, parquet_below, text};
use daysum_tests::fixture::{self, Fixture, PodRow};
use daysum_tests::golden::{Golden, read_parquet};
use daysum_tests::s3::{BUCKET, S3Server};
use serde_json::Value;
use tempfile::TempDir;

const DAYSUM: Daysum = Daysum(env!("CARGO_BIN_EXE_daysum"));

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
fn what_changes_or_vanishes_while_it_is_read_is_listed_again() {
    let golden = Golden::small();
    let (_, lookups) = command::golden("gen-small");
    let work = TempDir::new().expect("a directory");
    let s3 = S3Server::start();
    let pods = |day: &str| golden.file(&["pod_usage_line_items_daily", day]);
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
    let golden = Golden::small();
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

    let mut another = golden.file(&["pod_usage_line_items_daily", "2025-11-02"]).clone();
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
