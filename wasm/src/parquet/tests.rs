use std::sync::Arc;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow::array::{ArrayRef, Date32Array, Float64Array, Int32Array, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Field;
use bytes::Bytes;

use super::*;

/// `rows` rows: `words` different texts in every text column, NULLs and runs among them.
fn batch(rows: usize, words: usize) -> RecordBatch {
    let numbers = [0.0, -0.0, 0.1, 1e300, 5e-324, -17.5];
    let column = |index: usize, field: &Field| -> ArrayRef {
        // Some columns have no NULL, some nothing else, most of them stretches.
        let null = |row: usize| match index % 5 {
            0 => false,
            1 => true,
            _ => (row / (index + 1)).is_multiple_of(3),
        };
        let there = |row: &usize| !null(*row);
        match field.data_type() {
            DataType::Utf8 => {
                let text = |row: usize| format!("{}-{}", field.name(), row * (index + 7) % words);
                Arc::new((0..rows).map(|row| there(&row).then(|| text(row))).collect::<StringArray>())
            }
            DataType::Float64 => {
                let number = |row: usize| numbers[(row + index) % numbers.len()];
                Arc::new((0..rows).map(|row| there(&row).then(|| number(row))).collect::<Float64Array>())
            }
            DataType::Date32 => {
                Arc::new((0..rows).map(|row| there(&row).then_some(20_000)).collect::<Date32Array>())
            }
            _ => Arc::new((0..rows).map(|row| there(&row).then_some(-(row as i32))).collect::<Int32Array>()),
        }
    };
    let schema = rows::schema();
    let columns = schema.fields().iter().enumerate().map(|(index, field)| column(index, field)).collect();
    RecordBatch::try_new(schema, columns).expect("every column has its type")
}

fn read(file: Vec<u8>) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).expect("Parquet");
    assert_eq!(reader.schema().fields(), rows::schema().fields());
    let batches: Vec<_> = reader.build().expect("a reader").map(|batch| batch.expect("rows")).collect();
    concat_batches(&rows::schema(), &batches).expect("one schema")
}

#[test]
fn parquets_own_reader_gives_the_rows_back() {
    for (rows, words) in [(1, 1), (7, 1), (8, 2), (9, 3), (100, 17), (5_000, 1_000), (70_000, 70_000)] {
        let batch = batch(rows, words);
        let mut file = ParquetFile::new();
        file.write(&batch).expect("finished rows");
        assert!(read(file.finish()) == batch, "{rows} rows of {words} words");
    }
}

#[test]
fn days_are_row_groups_one_after_the_other() {
    let days = [batch(10, 3), batch(1_000, 30), batch(0, 1), batch(9, 9)];
    let mut file = ParquetFile::new();
    days.iter().for_each(|day| file.write(day).expect("finished rows"));
    assert_eq!(read(file.finish()), concat_batches(&rows::schema(), &days).expect("one schema"));
}

#[test]
fn no_rows_are_a_file_too() {
    assert_eq!(read(ParquetFile::new().finish()).num_rows(), 0);
}

#[test]
fn other_rows_are_refused() {
    let narrow = batch(1, 1).project(&[0, 1]).expect("two columns");
    ParquetFile::new().write(&narrow).expect_err("two columns are not 36");
}
