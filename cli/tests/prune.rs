//! Published days whose objects are gone, and what `daysum run --prune` does with them.

use std::fs::{self, File};
use std::path::Path;

use arrow::compute::concat_batches;
use daysum_core::port::{Ledger, Sink};
use daysum_core::rows::RowsFormat;
use daysum_io_s3::{Missing, ObjectStoreSink, Place};
use daysum_tests::command::{Bench, Daysum, copy_into, days, parquet_below, text};
use daysum_tests::golden::{Golden, read_parquet, write_parquet};
use daysum_tests::postgres::{SCHEMA, shared};
use parquet::arrow::ArrowSchemaConverter;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use serde_json::Value;

const DAYSUM: Daysum = Daysum(env!("CARGO_BIN_EXE_daysum"));
const BOTH: [&str; 2] = ["2025-11-01", "2025-11-02"];

/// Removes every object of a day, or of all days.
fn lose(bench: &Bench, word: &str) {
    for path in parquet_below(&bench.path("input")).iter().filter(|path| text(path).contains(word)) {
        fs::remove_file(path).expect("it was found there");
    }
}

/// Writes the rows of files as another one.
fn rewrite(from: &[&Path], to: &Path, statistics: EnabledStatistics) {
    let rows =
        from.iter().map(|path| read_parquet(fs::read(path).expect("readable").into())).collect::<Vec<_>>();
    let rows = concat_batches(&rows[0].schema(), &rows).expect("one schema");
    fs::write(to, write_parquet(&rows, statistics)).expect("writable");
}

/// As in the moment between koku's removal of a day's files and its new ones.
#[test]
fn a_file_that_only_could_have_rows_of_a_day_does_not_empty_it() {
    let bench = Bench::new(DAYSUM);
    for path in parquet_below(&bench.path("input")) {
        let nameless = text(&path).replace(BOTH[0], "first").replace(BOTH[1], "second");
        rewrite(&[&path], Path::new(&nameless), EnabledStatistics::None);
        fs::remove_file(&path).expect("it was there");
    }
    let output = bench.path("out");
    let to = ["--output", text(&output)];
    assert_eq!(days(&bench.run(0, &to), "days"), BOTH);
    let day = parquet_below(&output).pop().expect("the second day");
    let rows = fs::read(&day).expect("readable");
    lose(&bench, "second");
    for _ in 0..2 {
        let report = bench.run(0, &to);
        assert_eq!(days(&report, "days_orphaned"), BOTH[1..]);
        assert_eq!(fs::read(&day).expect("it is still there"), rows);
    }
}

/// As pyarrow writes a table without rows, and so koku where every row was left out.
fn write_group_without_rows(like: &Path, to: &Path, writer: &str) {
    let rows = read_parquet(fs::read(like).expect("readable").into());
    let schema = ArrowSchemaConverter::new().convert(&rows.schema()).expect("a schema Parquet can hold");
    let properties = WriterProperties::builder().set_created_by(writer.to_owned()).build();
    let file = File::create(to).expect("writable");
    let mut file =
        SerializedFileWriter::new(file, schema.root_schema_ptr(), properties.into()).expect("a writer");
    let mut group = file.next_row_group().expect("a row group");
    while let Some(column) = group.next_column().expect("a column") {
        column.close().expect("written");
    }
    group.close().expect("written");
    file.close().expect("written");
}

#[test]
fn a_row_group_without_rows_is_input_of_no_day() {
    let bench = Bench::new(DAYSUM);
    let like = bench.file(&["namespace_labels_line_items_daily"]);
    let empty = like.with_file_name("empty.parquet");
    let output = bench.path("out");
    let to = ["--output", text(&output)];
    write_group_without_rows(&like, &empty, "one");
    assert_eq!(days(&bench.run(0, &to), "days"), BOTH);
    write_group_without_rows(&like, &empty, "another");
    assert_eq!(days(&bench.run(0, &to), "days_unchanged"), BOTH);
}

/// ADR 0017, where such a file is left out instead of holding days back.
#[test]
fn a_file_that_cannot_be_read_and_is_left_out_is_no_word_on_days_without_objects() {
    let bench = Bench::new(DAYSUM);
    let (output, settings) = (bench.path("out"), bench.path("daysum.yaml"));
    fs::write(&settings, "policy: {bad_file: skip-and-report}").expect("writable");
    let to = ["--output", text(&output), "--config", text(&settings)];
    assert_eq!(days(&bench.run(0, &to), "days"), BOTH);
    lose(&bench, BOTH[1]);
    let of_month = bench.file(&["pod_usage_line_items_daily"]);
    fs::write(of_month.with_file_name("report.parquet"), "broken").expect("writable");
    assert_eq!(days(&bench.run(0, &to), "days_orphaned"), BOTH[1..]);
    // One that is of that day by its name is there, whatever is in it.
    fs::write(of_month.with_file_name(format!("pod.{}.parquet", BOTH[1])), "broken").expect("writable");
    assert!(days(&bench.run(0, &to), "days_orphaned").is_empty());
}

#[test]
fn a_bad_file_that_is_gone_leaves_the_quarantine_though_the_month_goes_on() {
    let bench = Bench::new(DAYSUM);
    let output = bench.path("out");
    let to = ["--output", text(&output), "--start", BOTH[0], "--end", BOTH[1]];
    let bad = bench.file(&["pod_usage_line_items_daily"]).with_file_name("report.parquet");
    fs::write(&bad, "broken").expect("writable");
    assert_eq!(days(&bench.run(3, &to), "days_held"), BOTH);
    fs::remove_file(&bad).expect("it was there");
    assert_eq!(days(&bench.run(0, &to), "days"), BOTH);
    let source = Golden::small().lookups.source_uuid;
    let list = ["quarantine", "list", "--output", text(&output), "--source", &source];
    assert!(DAYSUM.run(&list, &[]).stdout.starts_with("0 objects"), "{}", DAYSUM.run(&list, &[]).stdout);
}

/// A ledger entry is about the file beside which it lies, whatever it says.
#[tokio::test]
async fn a_day_that_was_copied_from_another_source_is_removed_where_it_lies() {
    let bench = Bench::new(DAYSUM);
    let output = bench.path("out");
    assert_eq!(days(&bench.run(0, &["--output", text(&output)]), "days"), BOTH);
    let source = Golden::small().lookups.source_uuid;
    let copy = "00000000-0000-4000-8000-000000000000";
    for folder in ["", "_daysum/"] {
        copy_into(&output.join(format!("{folder}{source}")), &output.join(format!("{folder}{copy}")));
    }
    let place = Place::directory(&output, Missing::Refuse).expect("it is there");
    let mut sink = ObjectStoreSink::new(place, RowsFormat::Parquet);
    let [first, last] = BOTH.map(|day| day.parse().expect("a day"));
    let published = sink.published(copy, first, last).await.expect("listed");
    assert_eq!(published.len(), 2);
    for entry in &published {
        assert_eq!((&*entry.scope.source_uuid, &*entry.scope.fingerprint), (copy, ""));
        assert_eq!(sink.remove_day(entry).await.expect("removed"), Some(entry.rows));
    }
    assert!(parquet_below(&output.join(copy)).is_empty());
    assert_eq!(parquet_below(&output.join(source)).len(), 2);
}

/// ADR 0005: a bad file never lowers a bill.
#[test]
fn a_file_that_becomes_unreadable_holds_back_every_day_that_it_had_rows_of() {
    let bench = Bench::new(DAYSUM);
    let [first, second] = BOTH.map(|day| bench.file(&["pod_usage_line_items_daily", day]));
    rewrite(&[&first, &second], &first, EnabledStatistics::Page);
    fs::remove_file(&second).expect("it was there");
    let output = bench.path("out");
    let to = ["--output", text(&output)];
    assert_eq!(days(&bench.run(0, &to), "days"), BOTH);
    let sound = fs::read(&first).expect("readable");
    fs::write(&first, &sound[..sound.len() / 2]).expect("writable");
    let report = bench.run(3, &to);
    assert_eq!(
        (days(&report, "days_held"), days(&report, "days").len()),
        (BOTH.map(String::from).to_vec(), 0)
    );
    fs::write(&first, &sound).expect("writable");
    assert!(days(&bench.run(0, &to), "days_held").is_empty());
}

/// Whether hourly rows stand in for daily ones does not turn on which files can be read.
#[test]
fn a_daily_file_that_cannot_be_read_changes_no_other_day() {
    let bench = Bench::new(DAYSUM);
    let is_daily = |path: &Path| text(path).contains("pod_usage_line_items_daily");
    let daily = || parquet_below(&bench.path("input")).into_iter().filter(|path| is_daily(path));
    daily()
        .filter(|path| text(path).contains(BOTH[1]))
        .for_each(|path| fs::remove_file(path).expect("it was there"));
    let output = bench.path("out");
    let to = ["--output", text(&output)];
    assert_eq!(days(&bench.run(0, &to), "days"), BOTH);
    daily().for_each(|path| fs::write(path, "damaged").expect("writable"));
    let report = bench.run(3, &to);
    assert_eq!(
        (days(&report, "days_held"), days(&report, "days_unchanged")),
        (vec![BOTH[0].into()], vec![BOTH[1].into()])
    );
}

/// A file that is sound again is done with, whether a run reads its rows or not.
#[test]
fn a_mended_file_that_is_not_read_leaves_the_quarantine() {
    let bench = Bench::new(DAYSUM);
    let output = bench.path("out");
    let to = ["--output", text(&output)];
    let hourly = bench.file(&["storage_usage_line_items/", BOTH[0]]);
    let sound = fs::read(&hourly).expect("readable");
    fs::write(&hourly, "damaged").expect("writable");
    bench.run(3, &to);
    fs::write(&hourly, &sound).expect("writable");
    bench.run(0, &to);
    assert_eq!(bench.run(0, &to)["bytes_read"], 0, "nothing is open, so nothing is looked at again");
}

/// As after a copy of the output to another disk.
#[test]
fn a_file_that_the_ledger_does_not_know_again_is_a_published_day_all_the_same() {
    let bench = Bench::new(DAYSUM);
    let output = bench.path("out");
    let to = ["--output", text(&output)];
    bench.run(0, &to);
    let day = parquet_below(&output).pop().expect("the second day");
    let rows = fs::read(&day).expect("readable");
    fs::remove_file(&day).expect("it was there");
    fs::write(&day, rows).expect("writable");
    lose(&bench, BOTH[1]);
    assert_eq!(days(&bench.run(0, &to), "days_orphaned"), BOTH[1..]);
    assert_eq!(days(&bench.run(0, &[&to[..], &["--prune"]].concat()), "days_pruned"), BOTH[1..]);
    assert!(!day.exists());
}

#[test]
fn rows_of_days_without_objects_go_when_somebody_says_so() {
    let bench = Bench::new(DAYSUM);
    let lookups = Golden::small().lookups;
    let (database, url) = DAYSUM.tenant(&lookups);
    let to = ["--database", &url, "--schema", SCHEMA];
    let prune = [&to[..], &["--prune"]].concat();
    let table = format!("{SCHEMA}.reporting_ocpusagelineitem_daily_summary");
    let rows = || {
        shared().sql(
            &database,
            &format!("SELECT usage_start, md5(string_agg(uuid::text, '' ORDER BY uuid)) FROM {table} GROUP BY 1 ORDER BY 1"),
        )
    };
    let ledger =
        || shared().sql(&database, &format!("SELECT usage_day FROM {SCHEMA}.daysum_ledger ORDER BY 1"));
    assert!(days(&bench.run(0, &prune), "days_pruned").is_empty(), "nothing is gone");
    // Rows that others wrote, and that koku keeps (SPEC 2.12).
    let period = lookups.report_period_id.expect("goldens have one");
    for (day, cost) in BOTH.iter().flat_map(|day| [(day, "5"), (day, "NULL")]) {
        let (period, whose) = if cost == "5" { (period, "cloud") } else { (period + 1, "other period") };
        shared().sql(
            &database,
            &format!(
                "INSERT INTO {table} (usage_start, usage_end, report_period_id, namespace, infrastructure_raw_cost) \
                 VALUES ('{day}', '{day}', {period}, '{whose}', {cost})"
            ),
        );
    }
    let before = rows();

    lose(&bench, BOTH[1]);
    for _ in 0..2 {
        let report = bench.run(0, &to);
        assert_eq!(days(&report, "days_orphaned"), [BOTH[1]]);
        assert!(days(&report, "days_pruned").is_empty());
    }
    let since = [&prune[..], &["--since", "2025-11-03"]].concat();
    assert!(days(&bench.run(4, &since), "days_pruned").is_empty(), "the day is not asked for");
    let input = bench.path("input");
    let plan = [&["plan", text(&input), "--lookups", text(&bench.lookups)], &to[..]].concat();
    assert!(DAYSUM.run(&plan, &[]).stdout.contains("orphaned   1 days  2025-11-02"));
    assert_eq!(rows(), before, "nobody has asked for it, or planned only");

    // The listing is that of the run before, and nothing is read.
    let report = bench.run(0, &prune);
    assert_eq!(
        (days(&report, "days_pruned"), &report["bytes_read"]),
        (vec![BOTH[1].to_owned()], &Value::from(0))
    );
    assert!(report["rows_deleted"].as_u64() > Some(10), "{report}");
    assert_eq!(days(&report, "days_unchanged"), [BOTH[0]]);
    assert_eq!(rows().lines().next(), before.lines().next(), "the other day is as it was");
    let left = format!("SELECT namespace FROM {table} WHERE usage_start = '{}' ORDER BY 1", BOTH[1]);
    assert_eq!(shared().sql(&database, &left), "cloud\nother period");
    assert_eq!(ledger(), BOTH[0]);
    assert!(days(&bench.run(0, &prune), "days_pruned").is_empty(), "it is done");

    // Nothing at all is what an outage looks like.
    lose(&bench, "");
    let run = [&["run", text(&input), "--lookups", text(&bench.lookups)], &prune[..]].concat();
    let before = rows();
    let said = DAYSUM.ends(2, &run);
    assert!(said.contains("--force"), "{said}");
    assert_eq!((rows(), ledger()), (before, BOTH[0].to_owned()));
    let forced = bench.run(0, &[&prune[..], &["--force"]].concat());
    assert_eq!(days(&forced, "days_pruned"), [BOTH[0]]);
    assert_eq!(ledger(), "");
    let left = format!("SELECT DISTINCT namespace FROM {table} ORDER BY 1");
    assert_eq!(shared().sql(&database, &left), "cloud\nother period");
}

#[test]
fn files_of_days_without_objects_go_with_their_ledger() {
    let bench = Bench::new(DAYSUM);
    let output = bench.path("out");
    let to = ["--output", text(&output)];
    let prune = [&to[..], &["--prune"]].concat();
    bench.run(0, &to);
    lose(&bench, BOTH[1]);
    assert_eq!(days(&bench.run(0, &to), "days_orphaned"), [BOTH[1]]);
    assert_eq!(parquet_below(&output).len(), 2);
    assert_eq!(days(&bench.run(0, &prune), "days_pruned"), [BOTH[1]]);
    let left = parquet_below(&output);
    assert!(left.len() == 1 && text(&left[0]).ends_with("2025-11-01.parquet"), "{left:?}");
    let source = Golden::small().lookups.source_uuid;
    let entries = fs::read_dir(output.join("_daysum").join(source)).expect("the ledger");
    let entries = entries.filter(|entry| {
        let name = entry.as_ref().expect("an entry").file_name();
        name.to_str().is_some_and(|name| name.starts_with("2025-11-02"))
    });
    assert_eq!(entries.count(), 0);
}

/// Days are not gone because somebody looks for them in another place: below one day's folder, or in another month.
#[test]
fn a_slip_in_the_address_prunes_nothing() {
    let bench = Bench::new(DAYSUM);
    let (output, october) = (bench.path("out"), bench.path("october"));
    bench.run(0, &["--output", text(&output)]);
    let generate =
        ["generate", "--rows", "1k", "--start", "2025-10-01", "--days", "2", "--output", text(&october)];
    assert_eq!(DAYSUM.run(&generate, &[]).code, Some(0));
    // Below an address that names source and month, keys name neither.
    let below = |from: &Path, word: &str, to: &str| {
        for path in parquet_below(from).iter().filter(|path| text(path).contains(word)) {
            let table = path.strip_prefix(from).expect("below").components().next().expect("a table");
            fs::create_dir_all(bench.path(to).join(table)).expect("writable");
            fs::copy(path, bench.path(to).join(table).join(path.file_name().expect("a file")))
                .expect("copied");
        }
    };
    below(&bench.path("input"), BOTH[1], "one-day");
    below(&october, "", "another-month");
    for place in ["one-day", "another-month"] {
        let place = bench.path(place);
        assert!(!parquet_below(&place).is_empty());
        let run =
            ["run", text(&place), "--lookups", text(&bench.lookups), "--output", text(&output), "--prune"];
        let said = DAYSUM.ends(2, &run);
        assert!(said.contains("--force") && said.contains("without --prune first"), "{said}");
        assert_eq!(parquet_below(&output).len(), 2);
    }
}

/// An object that nobody can read is not gone, whatever the policy says of it.
#[test]
fn an_unreadable_object_keeps_its_day_from_being_pruned() {
    let bench = Bench::new(DAYSUM);
    let (output, settings) = (bench.path("out"), bench.path("daysum.yaml"));
    fs::write(&settings, "policy: {bad_file: skip-and-report}").expect("writable");
    bench.run(0, &["--output", text(&output)]);
    for path in parquet_below(&bench.path("input")).iter().filter(|path| text(path).contains(BOTH[1])) {
        fs::write(path, "broken").expect("writable");
    }
    let skip = ["--output", text(&output), "--prune", "--config", text(&settings)];
    let report = bench.run(0, &skip);
    assert!(report["quarantined"].as_array().is_some_and(|bad| !bad.is_empty()), "{report}");
    assert!(days(&report, "days_pruned").is_empty() && days(&report, "days_orphaned").is_empty());
    assert_eq!(parquet_below(&output).len(), 2);
}
