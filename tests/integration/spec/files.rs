//! Cases 58 to 72: which rows and files count.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, RecordBatch, new_null_array};
use arrow::compute::{concat, concat_batches};
use arrow::datatypes::DataType;
use arrow::datatypes::Int64Type;
use arrow::datatypes::TimeUnit::Millisecond;
use bytes::Bytes;
use daysum_core::port::ListRequest;
use daysum_core::{Day, Lookups, TextOrNumber, drive};
use daysum_tests::compare::{Precision, assert_same};
use daysum_tests::engine::{InputFile, engines, memory};
use daysum_tests::fixture::{
    Encoding, Fixture, PodRow, SOURCE, StorageRow, TextEncoding, TimeUnit, hour, key, labels, parquet, pod,
    storage, text,
};
use daysum_tests::golden::{read_parquet, write_parquet};
use daysum_tests::summary::Summary;
use futures::executor::block_on;
use parquet::file::properties::EnabledStatistics;

use super::{each, each_of, one, refused};

fn at(start: i64) -> PodRow {
    PodRow { start, ..pod() }
}

fn days_of(summary: &daysum_tests::summary::Summary) -> Vec<(String, Option<f64>)> {
    summary.pods().iter().map(|line| (line.day().to_string(), line.cpu()[0])).collect()
}

#[test]
fn case_58_both_ends_of_the_range_are_in_it() {
    let mut fixture = Fixture::base();
    fixture.lookups.start_date = text("2025-02-02");
    fixture.lookups.end_date = text("2025-02-03");
    fixture.daily_pods.clear();
    fixture.hourly_pods = vec![
        at(hour("2025-02-02", 0) - 1),
        at(hour("2025-02-02", 0)),
        at(hour("2025-02-04", 0) - 1), // 23:59:59.999
        at(hour("2025-02-04", 0)),
    ];
    let expected = [("2025-02-02".to_owned(), Some(1.0)), ("2025-02-03".to_owned(), Some(1.0))];
    for unit in [TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
        fixture.encodings =
            vec![Encoding { unit, utc: unit != TimeUnit::Millisecond, ..Encoding::default() }];
        each(&fixture, |summary| assert_eq!(days_of(summary), expected));
    }
    // Of the days of the range only those asked for are published (SPEC 2.11).
    fixture.lookups.days = Some(vec![TextOrNumber::Text("3".to_owned()), TextOrNumber::Number(4)]);
    each(&fixture, |summary| assert_eq!(days_of(summary), expected[1..]));
}

#[test]
fn case_59_rows_obey_the_range_and_their_partition() {
    let month = "2025-02".parse().expect("a month");
    let rows = [
        at(hour("2025-02-01", 0)),
        at(hour("2025-02-20", 0)),
        at(hour("2025-03-01", 0)),
        at(hour("2025-01-31", 0)),
    ];
    let file = InputFile {
        key: key("pod_usage", false, SOURCE, month, "additive"),
        bytes: parquet(&rows, "pod_usage", false, &Encoding::default()),
    };
    let mut lookups = Fixture::base().lookups;
    lookups.start_date = text("2025-01-15");
    lookups.end_date = text("2025-03-15");
    let days: Vec<_> = ["2025-02-01", "2025-02-20"].map(|day| (day.to_owned(), Some(1.0))).into();
    each_of(std::slice::from_ref(&file), &lookups, |summary| assert_eq!(days_of(summary), days));
    lookups.end_date = text("2025-02-10");
    each_of(std::slice::from_ref(&file), &lookups, |summary| assert_eq!(days_of(summary), days[..1]));
    // A row group of which statistics say that it is of another month is counted as its rows are that have to be read.
    for row_group in [1, 4] {
        let bytes = parquet(&rows, "pod_usage", false, &Encoding { row_group, ..Encoding::default() });
        let source = memory(&[InputFile { bytes, ..file.clone() }]);
        let everything = ListRequest::default();
        let counts = block_on(drive::stream(&source, &everything, &lookups, |_| Ok(()))).expect("summarised");
        assert_eq!((counts.aggregated, counts.out_of_range, counts.other_month), (1, 1, 2), "{row_group}");
    }
}

/// SPEC 2.0: NULL is not in any range.
#[test]
fn a_row_at_no_time_is_out_of_range() {
    let mut fixture = Fixture::base();
    fixture.daily_pods.clear();
    fixture.hourly_pods = vec![pod(), at(hour("2025-02-02", 0))];
    let files = fixture.files().into_iter().map(|file| {
        changed(&file, |name, column| match name {
            "interval_start" => {
                let times = [column.slice(0, 1), new_null_array(column.data_type(), 1)];
                Some(concat(&times.each_ref().map(|part| &**part)).expect("one type"))
            }
            _ => Some(column.clone()),
        })
    });
    let files: Vec<InputFile> = files.collect();
    each_of(&files, &fixture.lookups, |summary| assert_eq!(one(summary.pods()).cpu()[0], Some(1.0)));
    let (source, everything) = (memory(&files), ListRequest::default());
    let counts = block_on(drive::stream(&source, &everything, &fixture.lookups, |_| Ok(())));
    let counts = counts.expect("summarised");
    assert_eq!((counts.aggregated, counts.out_of_range, counts.other_month), (1, 1, 0));
}

/// SPEC 1.2: tables that are no part of the summary are not even opened.
#[test]
fn files_of_other_tables_are_left_alone() {
    let fixture = Fixture::with_storage();
    let expected = engines()[0].1.summarise(&fixture.files(), &fixture.lookups).expect("sound files");
    for key in ["misc/vm_usage.2025-02.parquet", "openshift_gpu_usage_line_items/a.parquet"] {
        let broken = InputFile { key: key.to_owned(), bytes: Bytes::from_static(b"not Parquet") };
        let files = [fixture.files(), vec![broken]].concat();
        for (name, engine) in &engines()[1..] {
            let rows =
                engine.summarise(&files, &fixture.lookups).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_same(name, &expected, &rows, Precision::Bits);
        }
    }
}

/// A folder can be named like a file, and some tools keep an empty object for it.
#[test]
fn a_folder_that_is_named_like_a_file_is_none() {
    let fixture = Fixture::with_storage();
    let in_folders = fixture.files().into_iter().flat_map(|file| {
        let inside = InputFile { key: format!("{}/part-0.parquet", file.key), ..file.clone() };
        [InputFile { bytes: Bytes::new(), ..file }, inside]
    });
    let in_folders: Vec<InputFile> = in_folders.collect();
    let (_, oracle) = &engines()[0];
    let expected = oracle.summarise(&fixture.files(), &fixture.lookups).expect("summarised");
    for (name, engine) in &engines()[1..] {
        let rows =
            engine.summarise(&in_folders, &fixture.lookups).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_same(name, &expected, &rows, Precision::Bits);
    }
}

/// Two months with everything in them.
fn two_months() -> Fixture {
    let mut fixture = Fixture::base();
    let days: Vec<i64> = (20..45).map(|day| hour("2025-01-01", day * 24)).collect();
    fixture.set_pods(days.iter().map(|start| at(*start)));
    fixture.storage = days.iter().map(|start| StorageRow { start: *start, ..storage() }).collect();
    fixture.node_labels = days
        .iter()
        .map(|start| daysum_tests::fixture::LabelRow { start: *start, ..labels("n1", "{}") })
        .collect();
    fixture.lookups.start_date = text("2025-01-25");
    fixture.lookups.end_date = text("2025-02-10");
    fixture
}

#[test]
fn case_62_a_range_over_a_month_end_is_complete_in_both() {
    each(&two_months(), |summary| {
        let days: Vec<Day> = summary.pods().iter().map(|line| line.day()).collect();
        let first: Day = "2025-01-25".parse().expect("a day");
        assert_eq!(days, (0..17).map(|number| Day(first.0 + number)).collect::<Vec<_>>());
        for line in summary.storage() {
            let days = f64::from(line.day().days_in_month());
            super::close(line.volume(), [10.0, 10.0 / days, 8.0 / days, 4.0 / days]);
        }
        assert_eq!((summary.storage().len(), summary.unallocated().len()), (17, 17));
    });
}

#[test]
fn case_64_chunks_of_a_range_are_the_range() {
    let fixture = two_months();
    for (name, engine) in engines() {
        let whole = engine.summarise(&fixture.files(), &fixture.lookups).expect("sound files");
        let chunks =
            [("2025-01-25", "2025-01-30"), ("2025-01-31", "2025-02-04"), ("2025-02-05", "2025-02-10")];
        let parts = chunks.map(|(start, end)| {
            let lookups = Lookups { start_date: text(start), end_date: text(end), ..fixture.lookups.clone() };
            engine.summarise(&fixture.files(), &lookups).expect("sound files")
        });
        let joined = concat_batches(&whole.schema(), &parts).expect("one schema");
        assert_same(name, &whole, &joined, Precision::Bits);
    }
}

#[test]
fn case_65_every_encoding_reads_the_same_and_empty_files_change_nothing() {
    let month = "2025-02".parse().expect("a month");
    let rows =
        [PodRow { resource_id: None, cpu: [Some(3600.0), Some(7200.0), None, Some(10_800.0)], ..pod() }];
    let mut files = Vec::new();
    for text in [TextEncoding::Utf8, TextEncoding::Large, TextEncoding::View, TextEncoding::Dictionary] {
        for unit in [TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
            for (utc, optional) in [(false, true), (true, false)] {
                let encoding = Encoding {
                    text,
                    unit,
                    utc,
                    null_typed: optional,
                    without_optional: !optional,
                    row_group: 1,
                };
                let rows: &[PodRow] = if files.len() % 3 == 2 { &[] } else { &rows };
                files.push(InputFile {
                    key: key("pod_usage", false, SOURCE, month, &format!("part-{}", files.len())),
                    bytes: parquet(rows, "pod_usage", false, &encoding),
                });
            }
        }
    }
    // 24 files, every third of them empty.
    each_of(&files, &Fixture::base().lookups, |summary| {
        let line = one(summary.pods());
        assert_eq!(line.cpu(), [16.0, 32.0, 32.0, 48.0].map(Some));
        assert_eq!((line.text("resource_id"), line.capacity()[1]), (None, Some(4.0)));
    });
}

type Columns = Vec<(String, ArrayRef)>;

/// The file with other columns: what `change` makes of those it has.
fn rewritten(
    file: &InputFile,
    statistics: EnabledStatistics,
    change: impl FnOnce(Columns) -> Columns,
) -> InputFile {
    let rows = read_parquet(file.bytes.clone());
    let schema = rows.schema();
    let names = schema.fields().iter().map(|field| field.name().clone());
    let columns = change(names.zip(rows.columns().iter().cloned()).collect());
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    let rows = RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length");
    InputFile { key: file.key.clone(), bytes: write_parquet(&rows, statistics) }
}

/// The same column by column; one of which `change` makes nothing is left out.
fn changed(file: &InputFile, change: impl Fn(&str, &ArrayRef) -> Option<ArrayRef>) -> InputFile {
    rewritten(file, EnabledStatistics::Page, |columns| {
        let kept = |(name, column): (String, ArrayRef)| change(&name, &column).map(|column| (name, column));
        columns.into_iter().filter_map(kept).collect()
    })
}

/// Case 65 says it of optional columns, SPEC 1.3 of all but the time.
#[test]
fn missing_columns_are_null() {
    let mut fixture = Fixture::with_storage();
    fixture.node_labels = vec![labels("n1", r#"{"app": "of the node"}"#)];
    fixture.namespace_labels = vec![labels("ns", r#"{"app": "of the namespace"}"#)];
    let names = [
        "pod_labels",
        "pod_usage_cpu_core_seconds",
        "pod_effective_usage_cpu_core_seconds",
        "pod_limit_memory_byte_seconds",
        "persistentvolume_labels",
        "storageclass",
        "persistentvolumeclaim_usage_byte_seconds",
        "node_labels",
        "namespace_labels",
    ];
    let null = |column: &ArrayRef| new_null_array(column.data_type(), column.len());
    let files = fixture.files();
    let with = |change: &dyn Fn(&ArrayRef) -> Option<ArrayRef>| -> Vec<InputFile> {
        let change = |name: &str, column: &ArrayRef| {
            if names.contains(&name) { change(column) } else { Some(column.clone()) }
        };
        files.iter().map(|file| changed(file, change)).collect()
    };
    let (without, nulls) = (with(&|_| None), with(&|column| Some(null(column))));
    for (name, engine) in engines() {
        let expected = engine.summarise(&nulls, &fixture.lookups).expect("sound files");
        let found =
            engine.summarise(&without, &fixture.lookups).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_same(name, &expected, &found, Precision::Bits);
        assert_eq!(Summary(found).pods()[0].cpu()[..2], [None, Some(2.0)]);
    }
    // Daily rows cannot be derived from hourly ones without a number: it would count as 0.
    let hourly: Vec<InputFile> = without.into_iter().filter(|file| !file.key.contains("_daily/")).collect();
    for (name, engine) in engines().into_iter().filter(|(name, _)| *name != "oracle") {
        let error = engine.summarise(&hourly, &fixture.lookups).expect_err(name);
        assert!(error.code() == "schema" && error.to_string().contains("pod_labels"), "{name}: {error}");
    }
    let timeless = |name: &str, column: &ArrayRef| (name != "interval_start").then(|| column.clone());
    let typeless = |name: &str, column: &ArrayRef| match name {
        "interval_start" => Some(new_null_array(&DataType::Null, column.len())),
        _ => Some(column.clone()),
    };
    let timeless: Vec<InputFile> = files.iter().map(|file| changed(file, timeless)).collect();
    let typeless: Vec<InputFile> = files.iter().map(|file| changed(file, typeless)).collect();
    for files in [timeless, typeless] {
        refused(&files, &fixture.lookups, |error| {
            assert!(error.to_string().contains("interval_start"), "{error}");
        });
    }
}

/// Some writers leave a checksum of each page (T-42).
#[test]
fn a_page_that_is_not_what_its_checksum_says_is_refused() {
    let mut fixture = Fixture::base();
    fixture.set_pods([PodRow { labels: None, ..pod() }]);
    let with_labels = |bytes: Vec<u8>| {
        let month = "2025-02".parse().expect("a month");
        let key = key("node_labels", true, SOURCE, month, "checksums");
        [fixture.files(), vec![InputFile { key, bytes: bytes.into() }]].concat()
    };
    let mut bytes = include_bytes!("../../data/page-checksums.parquet").to_vec();
    each_of(&with_labels(bytes.clone()), &fixture.lookups, |summary| {
        assert_eq!(one(summary.pods()).text("pod_labels"), Some(r#"{"app": "checked"}"#));
    });
    let value = b"\x12\0\0\0{\"app\": \"checked\"}";
    let at = bytes.windows(value.len()).position(|window| window == value).expect("it is stored plainly");
    bytes[at + value.len() - 3] ^= 1;
    let files = with_labels(bytes);
    for (name, engine) in &engines()[1..] {
        let error = engine.summarise(&files, &fixture.lookups).expect_err(name);
        assert!(error.code() == "format" && error.to_string().contains("checksum"), "{name}: {error}");
    }
}

/// SPEC 1.3: a column that nobody asks for can be anything, such as lists, of which a row has several values.
#[test]
fn a_column_of_lists_that_is_not_read_does_no_harm() {
    let fixture = Fixture::with_storage();
    let expected = engines()[0].1.summarise(&fixture.files(), &fixture.lookups).expect("sound files");
    let with_lists = |file: &InputFile| {
        rewritten(file, EnabledStatistics::Page, |mut columns| {
            let lists = (0..columns[0].1.len()).map(|_| Some([Some(1), None, Some(3)]));
            let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(lists);
            columns.push(("history".to_owned(), Arc::new(lists)));
            columns
        })
    };
    let files: Vec<InputFile> = fixture.files().iter().map(with_lists).collect();
    each_of(&files, &fixture.lookups, |summary| {
        assert_same("with lists", &expected, &summary.0, Precision::Bits)
    });
}

/// koku's folders say which rows are daily, whatever columns a file has or lacks (SPEC 1.3, 1.7).
#[test]
fn the_table_of_a_folder_beats_a_column_for_ends() {
    let fixture = Fixture::with_storage();
    let expected = engines()[0].1.summarise(&fixture.files(), &fixture.lookups).expect("sound files");
    let without_ends =
        |file: &InputFile| changed(file, |name, column| (name != "interval_end").then(|| column.clone()));
    let with_ends = |file: &InputFile| {
        rewritten(file, EnabledStatistics::Page, |mut columns| {
            let starts =
                columns.iter().find(|(name, _)| name == "interval_start").expect("every file has it");
            columns.push(("interval_end".to_owned(), starts.1.clone()));
            columns
        })
    };
    // One after the other: with both, the two would only change places.
    let (daily, hourly): (Vec<_>, Vec<_>) =
        fixture.files().into_iter().partition(|file| file.key.contains("_daily/"));
    let raw = hourly.iter().map(without_ends).chain(daily.clone()).collect::<Vec<_>>();
    let exported = daily.iter().map(with_ends).chain(hourly.clone()).collect::<Vec<_>>();
    for files in [raw, exported] {
        each_of(&files, &fixture.lookups, |summary| {
            assert_same("by folder", &expected, &summary.0, Precision::Bits);
        });
    }
}

/// Exports of koku's own tables have every column in every file (SPEC 1.4). In folders that say nothing, their rows tell.
#[test]
fn daily_files_may_have_a_column_for_ends() {
    let fixture = Fixture::with_storage();
    let beside_the_month = |key: &str| {
        let [table, source, year, month, name] = key.split('/').collect::<Vec<_>>()[..] else {
            panic!("{key} is not koku's")
        };
        format!("{source}/{year}/{month}/{table}/{name}")
    };
    let expected = engines()[0].1.summarise(&fixture.files(), &fixture.lookups).expect("sound files");
    // Some writers have no statistics for a column without a type.
    for (of, statistics) in [
        (DataType::Timestamp(Millisecond, None), EnabledStatistics::Page),
        (DataType::Null, EnabledStatistics::None),
    ] {
        let with_ends = |file: &InputFile| {
            rewritten(file, statistics, |mut columns| {
                if columns.iter().all(|(name, _)| name != "interval_end") {
                    columns.push(("interval_end".to_owned(), new_null_array(&of, columns[0].1.len())));
                }
                columns
            })
        };
        let files = fixture.files();
        let files =
            files.iter().map(|file| InputFile { key: beside_the_month(&file.key), ..with_ends(file) });
        each_of(&files.collect::<Vec<_>>(), &fixture.lookups, |summary| {
            assert_same("with ends", &expected, &summary.0, Precision::Bits)
        });
    }
}

#[test]
fn case_66_a_corrupt_file_is_refused_by_name() {
    let fixture = Fixture::with_storage();
    for number in 0..fixture.files().len() {
        let mut files = fixture.files();
        let whole = files[number].bytes.clone();
        for damaged in
            [whole.slice(..whole.len() / 2), whole.slice(..0), bytes::Bytes::from_static(b"not Parquet")]
        {
            files[number].bytes = damaged;
            refused(&files, &fixture.lookups, |error| {
                assert_eq!(error.code(), "format", "{error}");
                assert_eq!(error.location().map(|at| &*at.object), Some(&*files[number].key));
            });
        }
    }
}

#[test]
fn case_67_without_deduplication_both_files_of_a_day_count() {
    let mut fixture = Fixture::base();
    fixture.daily_pods = vec![pod(); 2];
    fixture.rows_per_file = 1;
    each(&fixture, |summary| assert_eq!(one(summary.pods()).cpu()[0], Some(2.0)));
}

#[test]
fn case_68_files_of_another_source_are_not_mixed_in() {
    let mut other = Fixture::with_storage();
    other.lookups.source_uuid = "00000000-0000-0000-0000-000000000002".to_owned();
    other.set_pods([PodRow { cpu: [Some(36_000.0); 4], ..pod() }]);
    let fixture = Fixture::base();
    let mut files = fixture.files();
    files.extend(other.files());
    each_of(&files, &fixture.lookups, |summary| {
        assert_eq!(one(summary.pods()).cpu()[0], Some(1.0));
        assert_eq!(summary.storage().len(), 0);
    });
    each_of(&files, &other.lookups, |summary| assert_eq!(one(summary.pods()).cpu()[0], Some(10.0)));
    // Sources compare as lower-case text (SPEC 4.3).
    let lookups = Lookups { source_uuid: SOURCE.to_uppercase(), ..fixture.lookups };
    each_of(&files, &lookups, |summary| {
        assert_eq!(one(summary.pods()).cpu()[0], Some(1.0));
        assert_eq!(one(summary.pods()).text("source_uuid"), Some(SOURCE));
    });
}

#[test]
fn case_69_the_order_of_files_cannot_be_seen() {
    let mut fixture = two_months();
    fixture.rows_per_file = 1;
    let mut files = fixture.files();
    for (name, engine) in engines() {
        let forwards = engine.summarise(&files, &fixture.lookups).expect("sound files");
        files.reverse();
        let backwards = engine.summarise(&files, &fixture.lookups).expect("sound files");
        assert_same(name, &forwards, &backwards, Precision::Bits);
    }
}

/// A month's directory is not the only thing that tells months apart (SPEC 1.7): rows do, as far as one file has those of
/// one kind.
#[test]
fn files_in_no_month_s_directory_go_by_the_months_of_their_rows() {
    let fixture = two_months();
    let files = fixture.files();
    let expected = engines()[0].1.summarise(&files, &fixture.lookups).expect("sound files");
    let is_daily = |file: &InputFile| file.key.contains("_daily/");
    let loose = |file: &InputFile, is_loose: bool| match is_loose {
        true => InputFile { key: file.key.replace(['/', '='], "-"), ..file.clone() },
        false => file.clone(),
    };
    // The oracle goes by directories.
    for (daily, hourly) in [(true, true), (true, false), (false, true)] {
        let files = files.iter().map(|file| loose(file, if is_daily(file) { daily } else { hourly }));
        let files: Vec<InputFile> = files.collect();
        for (name, engine) in &engines()[1..] {
            let rows =
                engine.summarise(&files, &fixture.lookups).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_same(name, &expected, &rows, Precision::Bits);
        }
    }
    // Hourly rows stand in for daily ones in February only, which no file can be read for twice.
    let parts = files.iter().filter(|file| file.key.contains("month=01") == is_daily(file));
    let mut refused: Vec<Vec<InputFile>> = [[true, true], [true, false], [false, true]]
        .map(|is_loose| {
            parts.clone().map(|file| loose(file, is_loose[usize::from(is_daily(file))])).collect()
        })
        .into();
    // Nor can a file of both, which is read for nothing where daily ones are.
    let storage =
        Fixture { hourly_storage: fixture.storage.clone(), storage: vec![], ..two_months() }.files();
    let storage = storage.iter().filter(|file| file.key.contains("storage_usage"));
    let of_both =
        storage.map(|file| rewritten(&loose(file, true), EnabledStatistics::None, |columns| columns));
    let daily = files.iter().filter(|file| is_daily(file) && !file.key.contains("month=02"));
    refused.push(daily.cloned().chain(of_both).collect());
    for files in refused {
        for (name, engine) in &engines()[1..] {
            let error = engine.summarise(&files, &fixture.lookups).expect_err(name);
            assert!(error.to_string().contains("put each into its own (year=YYYY/month=MM)"), "{error}");
        }
    }
}

/// SPEC 1.3, 2.7: a file without rows lacks nothing, and storage that nobody asks for is not looked at.
#[test]
fn files_that_cannot_matter_are_not_refused() {
    let mut fixture = Fixture::with_storage();
    let mut files = fixture.files();
    fixture.lookups.storage_exists = false;
    let expected = engines()[0].1.summarise(&files, &fixture.lookups).expect("sound files");
    for file in files.iter_mut().filter(|file| file.key.contains("storage_usage")) {
        file.bytes = Bytes::from_static(b"not Parquet");
    }
    let empty = rewritten(&files[0], EnabledStatistics::None, |columns| {
        columns.into_iter().map(|(name, _)| (name, new_null_array(&DataType::Null, 0))).collect()
    });
    files.push(InputFile { key: files[0].key.replace("part", "empty"), ..empty });
    for (name, engine) in &engines()[1..] {
        let rows =
            engine.summarise(&files, &fixture.lookups).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_same(name, &expected, &rows, Precision::Bits);
    }
}

/// Not a case of its own, but how every case's files may lie in a store (SPEC 1.2).
#[test]
fn every_layout_of_keys_is_understood() {
    let fixture = Fixture::with_storage();
    let expected = engines()[0].1.summarise(&fixture.files(), &fixture.lookups).expect("sound files");
    let mut koku = fixture.files();
    for file in &mut koku {
        let (table, rest) = file.key.split_once('/').expect("a table");
        let daily = if table.ends_with("_daily") { "daily/" } else { "" };
        let table =
            table.trim_start_matches("openshift_").trim_end_matches("_daily").trim_end_matches("_line_items");
        file.key = format!("data/parquet/{daily}1234567/OCP/{table}/{rest}");
    }
    each_of(&koku, &fixture.lookups, |summary| {
        assert_same("koku's keys", &expected, &summary.0, Precision::Bits)
    });

    // The earlier implementation calls hourly storage daily, and has no daily pods.
    let hourly =
        Fixture { daily_pods: vec![], hourly_storage: fixture.storage.clone(), storage: vec![], ..fixture };
    let mut poc = hourly.files();
    for file in &mut poc {
        let table = if file.key.contains("storage") {
            "openshift_storage_usage_line_items_daily"
        } else {
            "openshift_pod_usage_line_items"
        };
        file.key =
            format!("data/org1234567/OCP/source={SOURCE}/year=2025/month=02/day=01/{table}/data.parquet");
    }
    each_of(&poc, &hourly.lookups, |summary| {
        assert_same("the POC's keys", &expected, &summary.0, Precision::Bits)
    });
}
