//! Batches of any size into blocks of one size, so that a file's bytes do not tell how its rows were cut.
//!
//! Arrow has this for columns of every type; ours have four, and a browser downloads what it uses.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, PrimitiveBuilder, RecordBatch, StringArray,
    StringBuilder,
};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int32Type};
use arrow::error::ArrowError;

use crate::error::Result;
use crate::rows::{self, BLOCK_ROWS, BLOCK_TEXT};

/// Rows that wait until a block is full.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    waiting: Vec<RecordBatch>,
    rows: usize,
    /// Bytes of their text.
    text: usize,
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
            let part = batch.slice(start, (batch.num_rows() - start).min(BLOCK_ROWS - self.rows));
            let taken = self.fitting(&part);
            if taken == BLOCK_ROWS {
                write(&without_idle_nulls(part)?)?;
                start += taken;
                continue;
            }
            if taken > 0 {
                let part = part.slice(0, taken);
                self.rows += taken;
                self.text += texts(&part).map(text_bytes).sum::<usize>();
                self.waiting.push(part);
                start += taken;
            }
            if self.rows == BLOCK_ROWS || taken < part.num_rows() {
                self.finish(&mut write)?;
            }
        }
        Ok(())
    }

    /// How many of these rows belong to the block: that goes by the rows alone, and not by where batches end.
    fn fitting(&self, part: &RecordBatch) -> usize {
        if self.text + texts(part).map(text_bytes).sum::<usize>() <= BLOCK_TEXT {
            return part.num_rows();
        }
        let text = |row: usize| texts(part).map(|column| column.value_length(row) as usize).sum::<usize>();
        let ends = (0..part.num_rows()).scan(self.text, |bytes, row| {
            *bytes += text(row);
            Some(*bytes)
        });
        let fitting = ends.take_while(|bytes| *bytes <= BLOCK_TEXT).count();
        if self.rows == 0 { fitting.max(1) } else { fitting }
    }

    /// Hands on what is left.
    pub(super) fn finish(&mut self, mut write: impl FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        if self.rows > 0 {
            let block = concat(&self.waiting)?;
            *self = Self::default();
            write(&without_idle_nulls(block)?)?;
        }
        Ok(())
    }
}

/// The block without null buffers in which nothing is NULL. Which columns have one goes by how rows were gathered, and
/// where one is, parquet's writer ends pages elsewhere.
fn without_idle_nulls(block: RecordBatch) -> Result<RecordBatch> {
    let is_idle = |column: &ArrayRef| column.nulls().is_some_and(|nulls| nulls.null_count() == 0);
    if !block.columns().iter().any(is_idle) {
        return Ok(block);
    }
    let filled = |column: &ArrayRef| match column.data_type() {
        _ if !is_idle(column) => column.clone(),
        DataType::Utf8 => {
            let texts: &StringArray = column.as_string();
            Arc::new(StringArray::new(texts.offsets().clone(), texts.values().clone(), None))
        }
        DataType::Float64 => values::<Float64Type>(column),
        DataType::Date32 => values::<Date32Type>(column),
        _ => values::<Int32Type>(column),
    };
    let columns = block.columns().iter().map(filled).collect();
    RecordBatch::try_new(block.schema(), columns).map_err(super::failed)
}

fn values<T: ArrowPrimitiveType>(column: &ArrayRef) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(column.as_primitive::<T>().values().clone(), None))
}

/// Batches of finished rows as one; those of another schema are refused.
pub fn concat(batches: &[RecordBatch]) -> Result<RecordBatch> {
    batches.iter().try_for_each(rows::check)?;
    let schema = rows::schema();
    let columns = (0..schema.fields().len()).map(|column| joined(batches, column));
    let columns: Result<Vec<ArrayRef>, ArrowError> = columns.collect();
    columns.and_then(|columns| RecordBatch::try_new(schema, columns)).map_err(super::failed)
}

fn joined(batches: &[RecordBatch], column: usize) -> Result<ArrayRef, ArrowError> {
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    let mut parts = batches.iter().map(|batch| batch.column(column));
    Ok(match rows::schema().field(column).data_type() {
        DataType::Utf8 => {
            let bytes = parts.clone().map(|part| text_bytes(part.as_string())).sum();
            let mut joined = StringBuilder::with_capacity(rows, bytes);
            parts.try_for_each(|part| joined.append_array(part.as_string()))?;
            Arc::new(joined.finish())
        }
        DataType::Float64 => numbers::<Float64Type>(parts, rows),
        DataType::Date32 => numbers::<Date32Type>(parts, rows),
        DataType::Int32 => numbers::<Int32Type>(parts, rows),
        other => {
            unreachable!("rows::schema has no {other} column")
        }
    })
}

fn numbers<'a, T: ArrowPrimitiveType>(parts: impl Iterator<Item = &'a ArrayRef>, rows: usize) -> ArrayRef {
    let mut joined = PrimitiveBuilder::<T>::with_capacity(rows);
    parts.for_each(|part| joined.append_array(part.as_primitive()));
    Arc::new(joined.finish())
}

fn texts(rows: &RecordBatch) -> impl Iterator<Item = &StringArray> {
    rows.columns().iter().filter_map(|column| column.as_string_opt())
}

/// Bytes of a column's texts, which can be a part of those it was cut from.
fn text_bytes(column: &StringArray) -> usize {
    let offsets = column.value_offsets();
    (offsets[offsets.len() - 1] - offsets[0]) as usize
}
