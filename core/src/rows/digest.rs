//! A digest of finished rows: equal rows in equal order give equal digests, whatever the batch sizes.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int32Type};
use sha2::{Digest, Sha256};

/// SHA-256 over the values of rows, column after column within a row.
#[derive(Debug, Clone, Default)]
pub struct RowsDigest {
    hash: Sha256,
    rows: u64,
}

impl RowsDigest {
    /// Adds the rows of a batch.
    pub fn update(&mut self, rows: &RecordBatch) {
        let mut buffer = Vec::new();
        for row in 0..rows.num_rows() {
            buffer.clear();
            for column in rows.columns() {
                // A tag keeps NULL apart from empty, a length keeps neighbours apart.
                if column.is_null(row) {
                    buffer.push(0);
                    continue;
                }
                buffer.push(1);
                match column.data_type() {
                    DataType::Utf8 => {
                        let text = column.as_string::<i32>().value(row);
                        buffer.extend((text.len() as u64).to_le_bytes());
                        buffer.extend(text.as_bytes());
                    }
                    DataType::Float64 => {
                        buffer
                            .extend(column.as_primitive::<Float64Type>().value(row).to_bits().to_le_bytes());
                    }
                    DataType::Int32 => {
                        buffer.extend(column.as_primitive::<Int32Type>().value(row).to_le_bytes())
                    }
                    DataType::Date32 => {
                        buffer.extend(column.as_primitive::<Date32Type>().value(row).to_le_bytes())
                    }
                    other => unreachable!("rows::schema has no {other} column"),
                }
            }
            self.hash.update(&buffer);
        }
        self.rows += rows.num_rows() as u64;
    }

    /// How many rows were added.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The digest so far, as 64 hexadecimal digits.
    pub fn finish(self) -> String {
        self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
