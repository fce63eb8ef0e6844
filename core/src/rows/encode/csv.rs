//! A row as a line of CSV: the rules stand at [`RowsFormat::Csv`](super::RowsFormat::Csv).

use std::io::Write;

use arrow::array::{Array, AsArray, Date32Array, Float64Array, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Schema};

use crate::day::Day;

/// A column with its type known.
pub(super) enum Column<'a> {
    Text(&'a StringArray),
    Number(&'a Float64Array),
    Integer(&'a Int32Array),
    Date(&'a Date32Array),
}

impl<'a> Column<'a> {
    pub(super) fn bind(rows: &'a RecordBatch) -> Vec<Self> {
        rows.columns()
            .iter()
            .map(|column| match column.data_type() {
                DataType::Utf8 => Self::Text(column.as_string()),
                DataType::Float64 => Self::Number(column.as_primitive()),
                DataType::Int32 => Self::Integer(column.as_primitive()),
                DataType::Date32 => Self::Date(column.as_primitive()),
                other => unreachable!("rows::schema has no {other} column, and the encoder compares schemas"),
            })
            .collect()
    }
}

pub(super) fn header(schema: &Schema, line: &mut Vec<u8>) {
    for (index, field) in schema.fields().iter().enumerate() {
        if index > 0 {
            line.push(b',');
        }
        quoted(field.name(), line);
    }
    line.extend(b"\r\n");
}

pub(super) fn row(columns: &[Column<'_>], row: usize, line: &mut Vec<u8>) {
    for (index, column) in columns.iter().enumerate() {
        if index > 0 {
            line.push(b',');
        }
        let _ = match column {
            Column::Text(column) if column.is_valid(row) => {
                quoted(column.value(row), line);
                Ok(())
            }
            // Display of a double is the shortest text that reads back as the same bits, without an exponent.
            Column::Number(column) if column.is_valid(row) => write!(line, "{}", column.value(row)),
            Column::Integer(column) if column.is_valid(row) => write!(line, "{}", column.value(row)),
            Column::Date(column) if column.is_valid(row) => write!(line, "{}", Day(column.value(row))),
            _ => Ok(()), // and writing into memory cannot fail
        };
    }
    line.extend(b"\r\n");
}

fn quoted(text: &str, line: &mut Vec<u8>) {
    line.push(b'"');
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\'']) {
        line.push(b'\'');
    }
    for (index, part) in text.split('"').enumerate() {
        if index > 0 {
            line.extend(b"\"\"");
        }
        line.extend(part.as_bytes());
    }
    line.push(b'"');
}
