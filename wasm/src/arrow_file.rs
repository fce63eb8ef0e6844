//! Finished rows out of the Arrow files that this package wrote.
//!
//! ```text
//! ARROW1 .. | message: nodes, buffers | bodies | … | footer: where the messages are | its length | ARROW1
//! ```
//!
//! Arrow's reader knows every type and dictionaries that grow, which doubles what a browser downloads. Here the
//! columns are those of [`rows::schema`], and anything else is refused.

use arrow::array::{ArrayDataBuilder, ArrayRef, RecordBatch, make_array};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use arrow::ipc::{Block, root_as_footer, root_as_message};
use daysum_core::rows;

use crate::error::Told;

const MAGIC: &[u8] = b"ARROW1";

/// The rows of a day's file.
pub(crate) fn batches(file: Vec<u8>) -> Result<Vec<RecordBatch>, Told> {
    let file = Buffer::from_vec(file);
    let body = file.strip_suffix(MAGIC).filter(|_| file.starts_with(MAGIC)).ok_or_else(damaged)?;
    let (body, length) = body.split_last_chunk::<4>().ok_or_else(damaged)?;
    let start = body.len().checked_sub(u32::from_le_bytes(*length) as usize).ok_or_else(damaged)?;
    let footer = root_as_footer(&body[start..]).map_err(|_| damaged())?;
    footer.recordBatches().into_iter().flatten().map(|block| read(&file, block)).collect()
}

fn read(file: &Buffer, block: &Block) -> Result<RecordBatch, Told> {
    let start = usize::try_from(block.offset()).map_err(|_| damaged())?;
    let length = usize::try_from(block.metaDataLength()).map_err(|_| damaged())?;
    let end = start.checked_add(length).ok_or_else(damaged)?;
    // A marker and the length stand before the message.
    let message = file.get(start..end).and_then(|message| message.get(8..)).ok_or_else(damaged)?;
    let message = root_as_message(message).map_err(|_| damaged())?;
    let header = message.header_as_record_batch().filter(|header| header.compression().is_none());
    let header = header.ok_or_else(damaged)?;
    let (nodes, buffers) = (header.nodes().ok_or_else(damaged)?, header.buffers().ok_or_else(damaged)?);
    let mut buffers = buffers.iter();
    let mut next = || {
        let buffer = buffers.next().ok_or_else(damaged)?;
        let (at, length) = (usize::try_from(buffer.offset()), usize::try_from(buffer.length()));
        let (Ok(at), Ok(length)) = (at, length) else { return Err(damaged()) };
        let at = end.checked_add(at).ok_or_else(damaged)?;
        let fits = at.checked_add(length).is_some_and(|end| end <= file.len());
        if fits { Ok(file.slice_with_length(at, length)) } else { Err(damaged()) }
    };
    let schema = rows::schema();
    let mut nodes = nodes.iter();
    let mut columns = Vec::new();
    for field in schema.fields() {
        let node = nodes.next().ok_or_else(damaged)?;
        let (rows, nulls) = (node.length(), node.null_count());
        columns.push(column(field, rows, nulls, &mut next)?);
    }
    if nodes.next().is_some() {
        return Err(damaged());
    }
    RecordBatch::try_new(schema, columns).map_err(refused)
}

fn column(
    field: &Field,
    rows: i64,
    nulls: i64,
    next: &mut impl FnMut() -> Result<Buffer, Told>,
) -> Result<ArrayRef, Told> {
    let rows = usize::try_from(rows).map_err(|_| damaged())?;
    let validity = next()?;
    let mut builder = ArrayDataBuilder::new(field.data_type().clone())
        .len(rows)
        .null_bit_buffer((nulls > 0).then_some(validity))
        .add_buffer(next()?)
        .align_buffers(true);
    if *field.data_type() == DataType::Utf8 {
        builder = builder.add_buffer(next()?);
    }
    // Checked as a whole: lengths, offsets, UTF-8.
    Ok(make_array(builder.build().map_err(refused)?))
}

fn damaged() -> Told {
    Told::new("format", "not an Arrow file of finished rows, or a damaged one")
}

fn refused(error: ArrowError) -> Told {
    Told::new("format", format!("not an Arrow file of finished rows: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::encode::arrow_file;
    use arrow::array::{Date32Array, Float64Array, Int32Array, StringArray};

    fn batch(rows: usize) -> RecordBatch {
        let null = |row: usize, index: usize| (row + index).is_multiple_of(1 + index % 4);
        let column = |(index, field): (usize, &Arc<Field>)| -> ArrayRef {
            let rows = 0..rows;
            match field.data_type() {
                DataType::Utf8 => Arc::new(
                    rows.map(|row| (!null(row, index)).then(|| format!("é{row}"))).collect::<StringArray>(),
                ),
                DataType::Float64 => {
                    Arc::new(rows.map(|row| (!null(row, index)).then_some(0.1)).collect::<Float64Array>())
                }
                DataType::Date32 => Arc::new(rows.map(|row| Some(row as i32)).collect::<Date32Array>()),
                _ => Arc::new(rows.map(|row| (!null(row, index)).then_some(7)).collect::<Int32Array>()),
            }
        };
        let columns = rows::schema().fields().iter().enumerate().map(column).collect();
        RecordBatch::try_new(rows::schema(), columns).expect("every column has its type")
    }

    #[test]
    fn what_was_written_is_read() {
        for rows in [1, 100, 20_000] {
            let batch = batch(rows);
            let file = arrow_file([Ok(batch.clone())].into_iter()).expect("an Arrow file");
            let back = batches(file).expect("its rows");
            assert_eq!(arrow::compute::concat_batches(&rows::schema(), &back).expect("one schema"), batch);
        }
    }

    #[test]
    fn damage_is_an_error_wherever_it_is() {
        let file = arrow_file([Ok(batch(50))].into_iter()).expect("an Arrow file");
        for end in 0..file.len() {
            batches(file[..end].to_vec()).expect_err("it is cut short");
        }
        for at in 0..file.len() {
            let mut file = file.clone();
            file[at] ^= 0xff;
            let _ = batches(file); // some bytes are values; none may panic
        }
    }
}
