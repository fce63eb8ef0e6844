use std::fmt::Debug;

use arrow::array::{ArrayRef, RecordBatch, StringArray, StructArray, TimestampMillisecondArray};
use arrow::compute::cast;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::{KeyValue, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use proptest::prelude::*;

use super::*;
use crate::decode::Layouts;
use crate::decode::conversation::{at_once, footer, windowed};

const HOURS: i64 = 3_600_000;

/// Node labels behind a column of two, so that Arrow's positions are not those of the stored columns.
fn columns(rows: usize) -> Vec<(&'static str, ArrayRef)> {
    let texts = |name: &str| -> ArrayRef {
        Arc::new((0..rows).map(|row| Some(format!("{name}-{}", row % 7))).collect::<StringArray>())
    };
    let field = |name: &str| Arc::new(Field::new(name, DataType::Utf8, true));
    let nested = StructArray::from(vec![(field("a"), texts("a")), (field("interval_start"), texts("b"))]);
    let hours = (0..rows).map(|row| Some(row as i64 * 12 * HOURS)).collect::<TimestampMillisecondArray>();
    vec![
        ("nested", Arc::new(nested)),
        ("interval_start", Arc::new(hours)),
        ("node", texts("node")),
        ("node_labels", texts("labels")),
    ]
}

/// A file of these columns, in row groups of so many rows.
fn file(columns: Vec<(&str, ArrayRef)>, group_rows: usize, properties: WriterProperties) -> Bytes {
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length");
    let properties = properties.into_builder().set_max_row_group_row_count(Some(group_rows)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.into_inner().expect("a file").into()
}

/// What reading needs of a column chunk.
fn numbers(column: &ColumnChunkMetaData) -> impl PartialEq + Debug + use<> {
    let pages = (column.dictionary_page_offset(), column.data_page_offset(), column.byte_range());
    let sizes = (column.compressed_size(), column.uncompressed_size(), column.num_values());
    (column.column_path().string(), pages, sizes, column.compression())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// What is rebuilt of a footer says of every column what parquet read in it.
    #[test]
    fn what_is_rebuilt_is_what_was_read(
        rows in 1_usize..400,
        group_rows in 1_usize..200,
        plain in any::<bool>(),
        compressed in any::<bool>(),
    ) {
        let mut properties = WriterProperties::builder().set_dictionary_enabled(!plain);
        if compressed {
            properties = properties
                .set_compression(Compression::SNAPPY)
                .set_column_compression(ColumnPath::from("node"), Compression::LZ4_RAW);
        }
        let file = file(columns(rows), group_rows, properties.build());
        let read = ParquetMetaDataReader::new().parse_and_finish(&file).expect("a footer");
        let footer = footer(&file);
        let rebuilt = footer.metadata().expect("rebuilt");
        prop_assert_eq!(rebuilt.num_row_groups(), rows.div_ceil(group_rows));
        prop_assert_eq!(rebuilt.file_metadata().num_rows(), read.file_metadata().num_rows());
        prop_assert_eq!(rebuilt.file_metadata().schema_descr(), read.file_metadata().schema_descr());
        for (index, expected) in read.row_groups().iter().enumerate() {
            let alone = footer.reader(index as u32).expect("rebuilt");
            prop_assert_eq!(alone.metadata().num_row_groups(), 1);
            for found in [rebuilt.row_group(index), alone.metadata().row_group(0)] {
                prop_assert_eq!(found.num_rows(), expected.num_rows());
                prop_assert_eq!(found.ordinal(), expected.ordinal());
                let [found, expected] =
                    [found, expected].map(|group| group.columns().iter().map(numbers).collect::<Vec<_>>());
                prop_assert_eq!(found, expected);
            }
        }
    }
}

#[test]
fn nested_columns_shift_nothing() {
    // Dictionaries take what so few rows could save.
    let properties =
        WriterProperties::builder().set_compression(Compression::SNAPPY).set_dictionary_enabled(false);
    let file = file(columns(10), 4, properties.build());
    let footer = footer(&file);
    let groups = footer.row_groups(FactKind::NodeLabels);
    let days: Vec<_> = groups.iter().map(|group| group.days).collect();
    let span = |first, last| Some((Day(first), Day(last)));
    assert_eq!(days, [span(0, 1), span(2, 3), span(4, 4)], "those of the column that is not nested");
    let read = ParquetMetaDataReader::new().parse_and_finish(&file).expect("a footer");
    let bytes = |leaves: Range<usize>| {
        read.row_group(1).columns()[leaves].iter().map(|column| column.compressed_size() as u64).sum::<u64>()
    };
    assert_eq!(groups[1].bytes, bytes(2..5));
}

/// Both decoders give each row group's own rows, of the columns that are read.
#[test]
fn each_row_group_is_read_by_its_number() {
    let file = file(columns(10), 4, WriterProperties::default());
    for group in footer(&file).row_groups(FactKind::NodeLabels) {
        let [whole] = &at_once(&file, group.index, 100)[..] else { panic!("one batch of a few rows") };
        assert_eq!(windowed(&file, group.index, 100, 1).0, std::slice::from_ref(whole));
        assert_eq!(whole.num_columns(), 3);
        for (name, column) in &columns(10)[1..] {
            let found = cast(whole.column_by_name(name).expect("it is read"), column.data_type());
            let expected = column.slice(group.index as usize * 4, group.rows as usize);
            assert_eq!(&found.expect("text is text"), &expected, "{name}");
        }
    }
}

#[test]
fn equal_layouts_are_held_once_whatever_is_noted_beside_them() {
    let noted = |note: &str| {
        let note = KeyValue { key: "pandas".into(), value: Some(note.to_owned()) };
        WriterProperties::builder().set_key_value_metadata(Some(vec![note])).build()
    };
    let mut other = columns(3);
    other.remove(0);
    let mut layouts = Layouts::default();
    let mut read = |columns, note| layouts.share(footer(&file(columns, 3, noted(note))));
    let (one, two) = (read(columns(3), "one"), read(columns(5), "two"));
    let (third, fourth) = (read(other.clone(), "one"), read(other, "three"));
    assert!(Arc::ptr_eq(&one.layout, &two.layout));
    assert!(Arc::ptr_eq(&third.layout, &fourth.layout));
    assert!(!Arc::ptr_eq(&one.layout, &third.layout));
    assert!(one.schema().metadata().is_empty());
    assert_eq!(third.schema().fields().len(), 3, "each keeps its own columns");
    assert_ne!(one.row_groups(FactKind::NodeLabels), two.row_groups(FactKind::NodeLabels));
}

/// A footer of five stored columns; parquet's takes 400 bytes a column.
#[test]
fn a_footer_is_small() {
    let footer = footer(&file(columns(10), 4, WriterProperties::default()));
    let packed =
        footer.memory_size() - size_of::<Footer>() - footer.object.len() - 3 * size_of::<StoredGroup>();
    assert!(packed <= 3 * 5 * 12, "{packed} bytes for fifteen column chunks");
}

#[test]
fn a_footer_that_claims_too_much_is_refused_before_it_is_read() {
    let object = ObjectMeta { key: "k".into(), size: 1 << 30, ..ObjectMeta::default() };
    let mut decoder = FooterDecoder::new(&object).expect("not empty");
    let FooterStep::Need(ranges) = decoder.step().expect("the tail first") else {
        panic!("nothing was read yet")
    };
    let mut tail = vec![0; (ranges[0].end - ranges[0].start) as usize];
    let end = tail.len();
    tail[end - 8..end - 4].copy_from_slice(&(600u32 << 20).to_le_bytes());
    tail[end - 4..].copy_from_slice(b"PAR1");
    decoder.supply(vec![tail.into()]).expect("what was asked for");
    let error = decoder.step().expect_err("600 MiB");
    assert!(error.to_string().contains("a footer of 62"), "{error}");
}

#[test]
fn days_are_read_from_the_statistics_of_dates() {
    let dates: ArrayRef = Arc::new(arrow::array::Date32Array::from(vec![Some(20_000), Some(20_002), None]));
    let mut columns = columns(3);
    columns[1].1 = dates;
    let footer = footer(&file(columns, 10, WriterProperties::default()));
    assert_eq!(footer.days(), Some((Day(20_000), Day(20_002))));
    assert!(!footer.is_empty());
}
