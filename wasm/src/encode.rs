//! Finished days in other forms: Parquet, CSV, JSON lines, or Arrow again.

use arrow::array::RecordBatch;
use daysum_core::rows::{RowsEncoder, RowsFormat};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::arrow_file::batches;
use crate::error::Told;
use crate::parquet::ParquetFile;

/// A day's rows as an Arrow IPC file: the bytes that `daysum run --format arrow` writes.
pub(crate) fn arrow_file(
    batches: impl Iterator<Item = daysum_core::Result<RecordBatch>>,
) -> Result<Vec<u8>, Told> {
    let mut encoder = RowsEncoder::new(RowsFormat::Arrow, Vec::new())?;
    for rows in batches {
        encoder.write(&rows?)?;
    }
    Ok(encoder.finish()?)
}

/// Writes days one after the other into one file, which leaves as it grows: a month of lines is too much for one piece.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Encoder(Option<Inner>);

#[derive(Debug)]
enum Inner {
    Parquet(Box<ParquetFile>),
    Rows(Box<RowsEncoder<Vec<u8>>>),
}

#[wasm_bindgen]
impl Encoder {
    /// A file of this format: `parquet`, `csv`, `arrow` or `jsonl`.
    #[wasm_bindgen(constructor)]
    pub fn new(format: &str) -> Result<Encoder, Told> {
        Ok(Self(Some(match format.parse()? {
            RowsFormat::Parquet => Inner::Parquet(Box::new(ParquetFile::new())),
            format => Inner::Rows(Box::new(RowsEncoder::new(format, Vec::new())?)),
        })))
    }

    /// Adds the rows of a day, as an Arrow IPC file; gives the next bytes of the file.
    pub fn add(&mut self, arrow: Vec<u8>) -> Result<Vec<u8>, Told> {
        let inner = self.0.as_mut().ok_or_else(finished)?;
        for rows in batches(arrow)? {
            match inner {
                Inner::Parquet(file) => file.write(&rows)?,
                Inner::Rows(encoder) => encoder.write(&rows)?,
            }
        }
        Ok(match inner {
            Inner::Parquet(_) => Vec::new(), // small, and all in one piece
            Inner::Rows(encoder) => std::mem::take(encoder.get_mut()),
        })
    }

    /// The last bytes of the file.
    pub fn finish(&mut self) -> Result<Vec<u8>, Told> {
        Ok(match self.0.take().ok_or_else(finished)? {
            Inner::Parquet(file) => file.finish(),
            Inner::Rows(encoder) => encoder.finish()?,
        })
    }
}

fn finished() -> Told {
    Told::config("this file is finished already")
}
