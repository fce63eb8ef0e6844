//! Batches of any size into blocks of one size, so that a file's bytes do not tell how its rows were cut.
//!
//! Arrow has this for columns of every type; ours have four, and a browser downloads what it uses.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Date32Array, Float64Array, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int32Type};

use crate::error::Result;
use crate::rows::{self, BLOCK_ROWS};

/// Rows that wait until a block is full.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    waiting: Vec<RecordBatch>,
    rows: usize,
}

impl Blocks {
    /// Adds rows, and hands every full block on.
    pub(super) fn push(
        &mut self,
        batch: &RecordBatch,
        mut write: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let mut start = 0;
        while start < batch.num_rows() {
            let taken = (batch.num_rows() - start).min(BLOCK_ROWS - self.rows);
            if taken == BLOCK_ROWS {
                write(&batch.slice(start, taken))?;
                start += taken;
                continue;
            }
            self.waiting.push(batch.slice(start, taken));
            self.rows += taken;
            start += taken;
            if self.rows == BLOCK_ROWS {
                self.finish(&mut write)?;
            }
        }
        Ok(())
    }

    /// Hands on what is left.
    pub(super) fn finish(&mut self, mut write: impl FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        if self.rows > 0 {
            let block = concat(&self.waiting)?;
            *self = Self::default();
            write(&block)?;
        }
        Ok(())
    }
}

/// Batches of finished rows as one.
pub fn concat(batches: &[RecordBatch]) -> Result<RecordBatch> {
    let schema = rows::schema();
    let columns = (0..schema.fields().len()).map(|column| joined(batches, column)).collect();
    RecordBatch::try_new(schema, columns).map_err(super::failed)
}

fn joined(batches: &[RecordBatch], column: usize) -> ArrayRef {
    let parts = batches.iter().map(|batch| batch.column(column));
    match rows::schema().field(column).data_type() {
        DataType::Utf8 => {
            let mut joined = arrow::array::StringBuilder::new();
            parts.for_each(|part| joined.extend(part.as_string::<i32>()));
            Arc::new(joined.finish()) as Arc<StringArray>
        }
        DataType::Float64 => {
            Arc::new(parts.flat_map(|part| part.as_primitive::<Float64Type>()).collect::<Float64Array>())
        }
        DataType::Date32 => {
            Arc::new(parts.flat_map(|part| part.as_primitive::<Date32Type>()).collect::<Date32Array>())
        }
        DataType::Int32 => {
            Arc::new(parts.flat_map(|part| part.as_primitive::<Int32Type>()).collect::<Int32Array>())
        }
        other => {
            unreachable!("rows::schema has no {other} column")
        }
    }
}
