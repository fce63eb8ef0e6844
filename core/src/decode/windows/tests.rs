use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::compute::concat_batches;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use proptest::prelude::*;

use super::*;
use crate::decode::ChunkDecoder;
use crate::decode::conversation::{at_once, footer, windowed};

/// Node labels: few nodes, labels that are all different, and a column that is not read between them.
fn file(rows: usize, page_rows: usize, page_bytes: usize, version: WriterVersion) -> Bytes {
    let rows = 0..rows;
    let columns: [(&str, ArrayRef); 4] = [
        (
            "interval_start",
            Arc::new(
                rows.clone().map(|row| Some(row as i64 * 3_600_000)).collect::<TimestampMillisecondArray>(),
            ),
        ),
        (
            "node",
            Arc::new(
                rows.clone()
                    .map(|row| (row % 5 > 0).then(|| format!("node-{}", row % 3)))
                    .collect::<StringArray>(),
            ),
        ),
        ("unread", Arc::new(rows.clone().map(|row| row as f64).collect::<Float64Array>())),
        (
            "node_labels",
            Arc::new(rows.map(|row| Some(format!("{{\"app\": \"{row}\"}}"))).collect::<StringArray>()),
        ),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))
        .expect("columns of one length");
    let properties = WriterProperties::builder()
        .set_writer_version(version)
        .set_compression(Compression::SNAPPY)
        .set_data_page_row_count_limit(page_rows)
        .set_data_page_size_limit(page_bytes)
        .set_write_batch_size(7)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.into_inner().expect("a file").into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the pages and the batches are, the rows are those of the decoder that holds a row group whole.
    #[test]
    fn windows_give_the_same_rows(
        rows in 1_usize..2_000,
        page_rows in 1_usize..500,
        page_bytes in 10_usize..5_000,
        batch_rows in 1_usize..700,
        newer in any::<bool>(),
    ) {
        let version = if newer { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 };
        let file = file(rows, page_rows, page_bytes, version);
        let (batches, _) = windowed(&file, 0, batch_rows, 1);
        prop_assert_eq!(batches, at_once(&file, 0, batch_rows));
    }
}

#[test]
fn a_large_row_group_is_read_by_and_by() {
    let file = file(150_000, 1_000, 1 << 20, WriterVersion::PARQUET_1_0);
    let (batches, reads) = windowed(&file, 0, 1_000, 64 * 1024);
    assert!(reads > 1, "{reads} reads");
    let schema = batches[0].schema();
    let rows = |batches: &[RecordBatch]| concat_batches(&schema, batches).expect("one schema").num_rows();
    assert_eq!(rows(&batches), 150_000);
    assert_eq!(windowed(&file, 0, 1_000, u64::MAX).1, 1, "one that fits is read at once");
}

/// What a decoder says of the bytes that `change` makes of those it asks for first.
fn refusal(mut decoder: impl Decoder, file: &Bytes, change: impl Fn(&Bytes) -> Bytes) -> Error {
    let ChunkStep::Need(ranges) = decoder.step().expect("a first step") else {
        panic!("nothing is held yet")
    };
    let bytes = ranges.iter().map(|range| change(&file.slice(range.start as usize..range.end as usize)));
    decoder.supply(bytes.collect()).expect_err("no such pages")
}

#[test]
fn pages_that_cannot_be_are_named_by_column_before_they_are_read() {
    let file = file(100, 100, 1 << 20, WriterVersion::PARQUET_1_0);
    let (footer, kind) = (footer(&file), FactKind::NodeLabels);
    let windowed = || WindowedDecoder::new(&footer, kind, 0, 10, u64::MAX).expect("a decoder");
    let whole = || ChunkDecoder::new(&footer, kind, 0, 10).expect("a decoder");
    let zeros = |bytes: &Bytes| vec![0; bytes.len()].into();
    for (code, error) in [
        ("format", refusal(windowed(), &file, zeros)),
        ("format", refusal(whole(), &file, zeros)),
        ("memory", refusal(windowed().pages_within(500), &file, Bytes::clone)),
        ("memory", refusal(whole().pages_within(500), &file, Bytes::clone)),
    ] {
        let at = error.location().expect("a place");
        assert_eq!((error.code(), at.row_group, at.column.is_some()), (code, Some(0), true), "{error}");
    }
}

/// A page of a megabyte of blanks, whose header and footer are made to claim four bytes.
#[test]
fn a_page_that_inflates_to_more_than_it_claims_is_not_read() {
    let texts = |text: String| Arc::new(StringArray::from(vec![text])) as ArrayRef;
    let columns = [
        ("interval_start", Arc::new(TimestampMillisecondArray::from(vec![0])) as ArrayRef),
        ("node", texts("n1".to_owned())),
        ("node_labels", texts(" ".repeat(1_000_000))),
    ];
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        let properties = WriterProperties::builder()
            .set_writer_version(version)
            .set_compression(Compression::GZIP(Default::default()))
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .build();
        let batch = RecordBatch::try_from_iter(columns.clone()).expect("columns of one length");
        let mut writer =
            ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).expect("a writer");
        writer.write(&batch).expect("rows");
        let file: Bytes = writer.into_inner().expect("a file").into();
        let lying = |bytes: &Bytes| {
            let mut bytes = bytes.to_vec();
            // A million and a few, doubled for their sign, seven bits in a byte; and 4 in as many bytes.
            let told = |window: &[u8]| matches!(window, [0x15, _, 0x89, 0x7a]);
            if let Some(at) = bytes.windows(4).position(told) {
                bytes[at + 1..at + 4].copy_from_slice(&[0x88, 0x80, 0x00]);
            }
            bytes.into()
        };
        let footer = footer(&file);
        let windowed = WindowedDecoder::new(&footer, FactKind::NodeLabels, 0, 10, u64::MAX);
        let whole = ChunkDecoder::new(&footer, FactKind::NodeLabels, 0, 10);
        for error in [
            refusal(windowed.expect("a decoder").pages_within(1000), &file, lying),
            refusal(whole.expect("a decoder").pages_within(1000), &file, lying),
        ] {
            assert!(error.to_string().contains("column node_labels"), "{error}");
            assert!(error.to_string().contains("more bytes than it claims"), "{error}");
        }
    }
}
