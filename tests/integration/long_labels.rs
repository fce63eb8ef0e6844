//! Label columns that outgrew their dictionary come as views, and are folded by another path to the same rows.

use arrow::datatypes::DataType;
use daysum_core::decode::{ChunkDecoder, ChunkStep, Decoder};
use daysum_core::drive;
use daysum_core::port::ObjectMeta;
use daysum_core::port::memory::MemorySource;
use daysum_core::schema::FactKind;
use daysum_tests::compare::{Precision, compare};
use daysum_tests::engine::{Engine, InputFile, engines};
use daysum_tests::fixture::{Encoding, Fixture, PodRow, StorageRow, TextEncoding, hour, pod, storage, text};
use daysum_tests::oracle::Oracle;
use futures::executor::block_on;

/// Too much for a dictionary, most of it under a key that is not enabled.
fn long(app: usize, filler: usize) -> Option<String> {
    text(&format!(r#"{{"app": "a{app}", "note": "{}"}}"#, format!("{filler:07}").repeat(200)))
}

/// Pods that come every hour, of which some change their labels, some have none, and some share them with others; and
/// volumes alike.
fn fixture() -> Fixture {
    let mut fixture = Fixture::with_storage();
    let labels = |number: usize, at: i64| match number % 10 {
        0 => None,
        1 => text(""),
        2 => long(number % 7, 0),
        3 => long(number % 5, number + at as usize),
        _ => long(number % 3, number),
    };
    let hours = || (0..4).flat_map(|at| (0..1000).map(move |number| (at, number)));
    fixture.daily_pods = Vec::new();
    fixture.hourly_pods = hours()
        .map(|(at, number)| PodRow {
            start: hour("2025-02-01", at),
            pod: (number != 5).then(|| format!("p{number}")),
            node: text(&format!("n{}", number % 4)),
            labels: labels(number, at),
            ..pod()
        })
        .collect();
    fixture.storage = Vec::new();
    fixture.hourly_storage = hours()
        .map(|(at, number)| StorageRow {
            start: hour("2025-02-01", at),
            pod: text(&format!("p{number}")),
            claim: text(&format!("c{number}")),
            volume: text(&format!("v{}", number / 2)),
            volume_labels: labels(number, at),
            claim_labels: labels(number + 1, at),
            ..storage()
        })
        .collect();
    fixture
}

fn label_types(file: &InputFile) -> Vec<DataType> {
    let source = MemorySource::default();
    source.insert(file.key.clone(), file.bytes.clone());
    let object =
        ObjectMeta { key: file.key.as_str().into(), size: file.bytes.len() as u64, ..ObjectMeta::default() };
    let footer = block_on(drive::read_footer(&source, &object)).expect("a footer");
    let kind = if file.key.contains("pod_usage") { FactKind::PodHourly } else { FactKind::StorageHourly };
    let mut decoder = ChunkDecoder::new(&footer, kind, 0, 512).expect("a row group");
    loop {
        match decoder.step().expect("decodes") {
            ChunkStep::Need(ranges) => {
                let slice =
                    |range: &std::ops::Range<u64>| file.bytes.slice(range.start as usize..range.end as usize);
                decoder.supply(ranges.iter().map(slice).collect()).expect("what was asked for");
            }
            ChunkStep::Batch(batch) => {
                let schema = batch.schema();
                let labels = schema.fields().iter().filter(|field| field.name().ends_with("_labels"));
                return labels.map(|field| field.data_type().clone()).collect();
            }
            ChunkStep::Done => panic!("no rows"),
        }
    }
}

#[test]
fn labels_that_outgrew_their_dictionary_give_the_same_rows() {
    let mut fixture = fixture();
    for text in [TextEncoding::Utf8, TextEncoding::Large, TextEncoding::View] {
        fixture.encodings = vec![Encoding { text, ..Encoding::default() }];
        let files = fixture.files();
        assert_eq!(files.len(), 2);
        for file in &files {
            let types = label_types(file);
            assert!(!types.is_empty() && types.iter().all(|found| *found == DataType::Utf8View), "{types:?}");
        }
        assert!(same_rows(&fixture, &files) > 1000);
    }
}

/// How many rows all engines and the oracle make of the files, to the same bits.
fn same_rows(fixture: &Fixture, files: &[InputFile]) -> usize {
    let expected = Oracle::default().summarise(files, &fixture.lookups).expect("no error");
    for (name, engine) in engines() {
        let rows =
            engine.summarise(files, &fixture.lookups).unwrap_or_else(|error| panic!("{name}: {error}"));
        compare(&expected, &rows, Precision::Bits)
            .unwrap_or_else(|difference| panic!("{name}: {difference}"));
    }
    expected.num_rows()
}

/// Texts are remembered up to 6 MiB and then forgotten, in the midst of a batch too: their numbers then stand for others.
#[test]
fn more_text_than_is_remembered_gives_the_same_rows() {
    let mut fixture = Fixture::with_storage();
    let labels = |number: i64| text(&format!(r#"{{"app": "a{number}", "note": "{}"}}"#, "x".repeat(300_000)));
    let hours = (0..2).flat_map(|at| (0..24).map(move |number| (at, number)));
    fixture.daily_pods = Vec::new();
    fixture.hourly_pods = hours
        .map(|(at, number)| PodRow {
            start: hour("2025-02-01", at),
            // The last pods share a name. The 22nd text is the first after the others were forgotten, and an hour later
            // that of the first pod.
            namespace: text(&format!("ns{}", number % 2)),
            pod: text(&format!("p{}", number.min(22))),
            labels: labels(number + at * 21),
            ..pod()
        })
        .collect();
    assert!(same_rows(&fixture, &fixture.files()) > 24);
}

#[test]
fn a_malformed_label_in_such_a_column_is_named_by_its_row() {
    let mut fixture = fixture();
    fixture.hourly_pods[2345].labels = text(r#"{"app": "#);
    for (name, engine) in engines() {
        let error = engine.summarise(&fixture.files(), &fixture.lookups).expect_err(name).to_string();
        assert!(error.contains("row 2345") && error.contains("pod_labels"), "{name}: {error}");
    }
}
