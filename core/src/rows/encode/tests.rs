use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, StringArray, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Date32Type, Field};
use arrow::ipc::reader::FileReader;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::{FileReader as _, SerializedFileReader};

use super::*;
use crate::rows;
use crate::rows::{BLOCK_ROWS, BLOCK_TEXT};

/// `rows` rows, every column filled, with NULLs, empty text and awkward numbers among them.
fn batch(count: usize) -> RecordBatch {
    let numbers = [0.0, -0.0, 0.1, 1e300, 5e-324, 123_456_789.25, -17.5];
    let column = |index: usize, field: &Field| -> ArrayRef {
        let null = |row: usize| (row + index).is_multiple_of(11);
        match field.data_type() {
            DataType::Utf8 => {
                let text = |row: usize| match field.name().as_str() {
                    name if name.ends_with("_labels") || name.ends_with("_cost") => {
                        format!(r#"{{"app": "a{}", "text": "two\nlines"}}"#, row % 7)
                    }
                    _ if row.is_multiple_of(5) => String::new(),
                    name => format!("{name}-{row}"),
                };
                Arc::new((0..count).map(|row| (!null(row)).then(|| text(row))).collect::<StringArray>())
            }
            DataType::Float64 => Arc::new(
                (0..count)
                    .map(|row| (!null(row)).then(|| numbers[(row + index) % numbers.len()]))
                    .collect::<Float64Array>(),
            ),
            DataType::Int32 => {
                Arc::new((0..count).map(|row| (!null(row)).then_some(row as i32)).collect::<Int32Array>())
            }
            DataType::Date32 => Arc::new(
                (0..count)
                    .map(|row| (!null(row)).then_some(20_000 + row as i32 % 31))
                    .collect::<arrow::array::PrimitiveArray<Date32Type>>(),
            ),
            other => panic!("no {other} column is expected"),
        }
    };
    let schema = rows::schema();
    let columns = schema.fields().iter().enumerate().map(|(index, field)| column(index, field)).collect();
    RecordBatch::try_new(schema, columns).expect("every column has its type")
}

/// One row that is NULL everywhere but for one text column.
fn one_text(column: &str, text: &str) -> RecordBatch {
    let schema = rows::schema();
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        if field.name() == column {
            Arc::new(StringArray::from(vec![text]))
        } else {
            new_null_array(field.data_type(), 1)
        }
    });
    RecordBatch::try_new(schema.clone(), columns.collect()).expect("every column has its type")
}

fn encode(format: RowsFormat, batches: &[RecordBatch]) -> Vec<u8> {
    let mut encoder = RowsEncoder::new(format, Vec::new()).expect("a new file");
    for batch in batches {
        encoder.write(batch).expect("good rows");
    }
    encoder.finish().expect("a whole file")
}

/// The line of a single row, without the header.
fn csv_line(rows: &RecordBatch) -> String {
    let text = String::from_utf8(encode(RowsFormat::Csv, std::slice::from_ref(rows))).expect("UTF-8");
    text.split_once("\r\n").expect("a header").1.to_owned()
}

/// A slice keeps the null buffer of the whole, though nothing in it may be NULL.
#[test]
fn a_null_elsewhere_shows_in_no_byte() {
    let with = |first: Option<f64>, count: usize| {
        let rows = batch(count);
        let column = |(field, column): (&Arc<Field>, &ArrayRef)| -> ArrayRef {
            match field.data_type() {
                DataType::Float64 => {
                    let numbers = (1..count).map(|row| Some((row % 8191) as f64 / 3.0));
                    Arc::new(std::iter::once(first).chain(numbers).collect::<Float64Array>())
                }
                _ => new_null_array(column.data_type(), count),
            }
        };
        let columns = rows.schema().fields().iter().zip(rows.columns()).map(column).collect();
        RecordBatch::try_new(rows.schema(), columns).expect("every column has its type")
    };
    let count = 4 * BLOCK_ROWS;
    let filled = with(Some(0.0), count).slice(1, count - 1);
    let sliced = with(None, count).slice(1, count - 1);
    for format in [RowsFormat::Parquet, RowsFormat::Arrow] {
        let same =
            encode(format, std::slice::from_ref(&filled)) == encode(format, std::slice::from_ref(&sliced));
        assert!(same, "{format}");
    }
}

#[test]
fn equal_rows_give_equal_bytes_however_they_are_cut() {
    let whole = batch(20_000);
    for format in RowsFormat::ALL {
        let expected = encode(format, std::slice::from_ref(&whole));
        for step in [1_000, 7_777, 8_192, 8_193] {
            let parts: Vec<_> =
                (0..20_000).step_by(step).map(|at| whole.slice(at, step.min(20_000 - at))).collect();
            assert!(encode(format, &parts) == expected, "{format} in batches of {step}");
        }
    }
}

#[test]
fn parquet_reads_back_with_the_schema_of_the_rows() {
    let whole = batch(10_000);
    let bytes = Bytes::from(encode(RowsFormat::Parquet, std::slice::from_ref(&whole)));
    let file = SerializedFileReader::new(bytes.clone()).expect("Parquet");
    let written = file.metadata().file_metadata().created_by().expect("a writer").to_owned();
    assert_eq!(written, format!("daysum version {}", env!("CARGO_PKG_VERSION")));
    assert_eq!(file.metadata().row_group(0).column(0).compression(), Compression::SNAPPY);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("Parquet");
    assert_eq!(reader.schema().fields(), rows::schema().fields());
    let back: Vec<_> = reader.build().expect("a reader").map(|batch| batch.expect("rows")).collect();
    assert_eq!(concat_batches(&rows::schema(), &back).expect("one schema"), whole);
}

#[test]
fn row_groups_are_closed_by_size() {
    let mut state = 1u64;
    let mut encoder = RowsEncoder::new(RowsFormat::Parquet, Vec::new()).expect("a new file");
    let mut held = 0;
    for row in 0..3 * BLOCK_ROWS {
        // Digits without a pattern, which Snappy cannot shorten, 4 KiB a row: 96 MiB in all.
        let mut text = row.to_string();
        while text.len() < 4096 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(&format!("{:016x}", state ^ (state >> 29)));
        }
        encoder.write(&one_text("cluster_alias", &text)).expect("a good row");
        held = held.max(match &encoder.inner {
            Inner::Parquet { writer, .. } => writer.in_progress_size(),
            _ => unreachable!(),
        });
    }
    let file = SerializedFileReader::new(Bytes::from(encoder.finish().expect("a file"))).expect("Parquet");
    assert_eq!(file.metadata().num_row_groups(), 7, "each block of 16 MiB of text is above the limit");
    assert!(held < 2 * ROW_GROUP_BYTES + BLOCK_TEXT, "{held} bytes were held back");
}

/// Long texts end a block before 8,192 rows do, and where they end it does not depend on batches either.
#[test]
fn long_texts_end_a_block() {
    let half = "x".repeat(BLOCK_TEXT / 2);
    let long = "y".repeat(BLOCK_TEXT + 1);
    let texts = ["a", &half, &half, "b", &long, "c", &half, "d"];
    let rows = concat(&texts.map(|text| one_text("cluster_alias", text))).expect("finished rows");
    let cut_at = |cuts: &[usize]| {
        let (mut blocks, mut sizes) = (Blocks::default(), Vec::new());
        let mut keep = |block: &RecordBatch| {
            sizes.push(block.num_rows());
            Ok(())
        };
        let ends = cuts.iter().copied().chain([texts.len()]);
        ends.fold(0, |start, end| {
            blocks.push(&rows.slice(start, end - start), &mut keep).expect("kept");
            end
        });
        blocks.finish(&mut keep).expect("kept");
        sizes
    };
    let whole = [2, 2, 1, 3];
    assert_eq!(cut_at(&[]), whole);
    for cut in 1..texts.len() {
        assert_eq!(cut_at(&[cut]), whole, "cut at {cut}");
    }
    assert_eq!(cut_at(&[1, 2, 3, 4, 5, 6, 7]), whole);
    let of_rows: Vec<_> =
        rows::blocks(texts.len(), |row| texts[row].len()).map(|block| block.len()).collect();
    assert_eq!(of_rows, whole);
}

#[test]
fn arrow_is_an_ipc_file() {
    let whole = batch(10_000);
    let bytes = encode(RowsFormat::Arrow, std::slice::from_ref(&whole));
    let reader = FileReader::try_new(std::io::Cursor::new(bytes), None).expect("an IPC file");
    assert_eq!(reader.schema(), rows::schema());
    let back: Vec<_> = reader.map(|batch| batch.expect("rows")).collect();
    assert_eq!(concat_batches(&rows::schema(), &back).expect("one schema"), whole);
}

#[test]
fn csv_keeps_null_apart_from_empty() {
    let line = csv_line(&one_text("cluster_id", ""));
    assert_eq!(line, format!(",\"\"{}\r\n", ",".repeat(34)));
    let quotes = csv_line(&one_text("cluster_id", "a \"quoted\", name\nover two lines"));
    assert_eq!(quotes, format!(",\"a \"\"quoted\"\", name\nover two lines\"{}\r\n", ",".repeat(34)));
}

#[test]
fn csv_text_is_no_formula() {
    for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1"] {
        let line = csv_line(&one_text("cluster_alias", text));
        assert!(line.starts_with(&format!(",,\"'{text}\",")), "{line}");
    }
    assert!(csv_line(&one_text("cluster_alias", "a=b")).starts_with(",,\"a=b\","));
}

#[test]
fn csv_numbers_and_dates_read_back() {
    let whole = batch(200);
    let text = String::from_utf8(encode(RowsFormat::Csv, std::slice::from_ref(&whole))).expect("UTF-8");
    // No text of this batch has a comma or a line break but the labels, which stand in quotes.
    let numbers = whole.column_by_name("pod_usage_cpu_core_hours").expect("the column");
    let numbers = arrow::array::AsArray::as_primitive::<arrow::datatypes::Float64Type>(numbers);
    for (row, line) in text.split("\r\n").skip(1).take(200).enumerate() {
        let mut quoted = false;
        let fields: Vec<&str> = line
            .split(|c| {
                quoted ^= c == '"';
                c == ',' && !quoted
            })
            .collect();
        assert_eq!(fields.len(), 36, "{line}");
        let expected = arrow::array::Array::is_valid(numbers, row).then(|| numbers.value(row).to_bits());
        assert_eq!(fields[10].parse::<f64>().ok().map(f64::to_bits), expected, "{line}");
        assert!(fields[4].is_empty() || fields[4].parse::<crate::Day>().is_ok(), "{line}");
    }
}

#[test]
fn json_lines_nest_labels_and_name_every_column() {
    let whole = batch(40);
    let text = String::from_utf8(encode(RowsFormat::JsonLines, std::slice::from_ref(&whole))).expect("UTF-8");
    assert_eq!(text.lines().count(), 40);
    for (row, line) in text.lines().enumerate() {
        let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let object = value.as_object().expect("an object");
        assert_eq!(object.len(), 36);
        match &value["pod_labels"] {
            serde_json::Value::Null => assert_eq!((row + 9) % 11, 0),
            labels => assert_eq!(labels["text"], "two\nlines"),
        }
    }
    let spaced = one_text("pod_labels", "{\n \"a\": 1}");
    let text = String::from_utf8(encode(RowsFormat::JsonLines, &[spaced])).expect("UTF-8");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn json_lines_refuse_labels_that_are_no_json() {
    let mut encoder = RowsEncoder::new(RowsFormat::JsonLines, Vec::new()).expect("a new file");
    let error = encoder.write(&one_text("all_labels", "{\"a\": 1}, \"x\": {}")).expect_err("injected");
    assert!(error.to_string().contains("column all_labels"), "{error}");
}

#[test]
fn another_schema_is_refused() {
    let narrow = batch(1).project(&[0, 1]).expect("two columns");
    for format in RowsFormat::ALL {
        let mut encoder = RowsEncoder::new(format, Vec::new()).expect("a new file");
        encoder.write(&narrow).expect_err("two columns are not 36");
    }
}

#[test]
fn formats_have_names() {
    for format in RowsFormat::ALL {
        assert_eq!(format.to_string().parse::<RowsFormat>().expect("its own name"), format);
    }
    assert_eq!("Parquet".parse::<RowsFormat>().expect("any case"), RowsFormat::Parquet);
    assert!("xlsx".parse::<RowsFormat>().is_err());
}
