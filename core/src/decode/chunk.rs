//! One row group: its needed column chunks in, record batches out.

use std::ops::Range;

use arrow::array::RecordBatch;
use bytes::Bytes;
use parquet::DecodeResult;
use parquet::arrow::ProjectionMask;
use parquet::arrow::push_decoder::{ParquetPushDecoder, ParquetPushDecoderBuilder};
use parquet::errors::ParquetError;

use super::footer::Footer;
use super::pages::{PageWalk, check_together};
use super::{guarded, unreadable};
use crate::error::{Error, Location, Result};
use crate::schema::FactKind;

/// A conversation about the rows of one row group. Call [`step`](Self::step) until it is done.
pub trait Decoder {
    /// What to do next.
    fn step(&mut self) -> Result<ChunkStep>;

    /// Hands over the bytes of the ranges that `step` asked for, in its order. Refuses bytes that are not as many.
    fn supply(&mut self, bytes: Vec<Bytes>) -> Result<()>;
}

/// Decodes a row group that is held as it is fetched: every needed column chunk as a whole.
#[derive(Debug)]
pub struct ChunkDecoder {
    at: Location,
    inner: ParquetPushDecoder,
    asked: Vec<Range<u64>>,
    /// The columns that are read.
    pages: Vec<PageWalk>,
    /// Rows that are still to come.
    rows_left: u64,
}

/// What a chunk decoder says next.
#[derive(Debug)]
pub enum ChunkStep {
    /// Supply the bytes of these ranges, in their order, then step again.
    Need(Vec<Range<u64>>),
    /// Rows, in the order of the file.
    Batch(RecordBatch),
    /// There are no more rows.
    Done,
}

impl ChunkDecoder {
    /// A decoder for the columns that `kind` reads of one row group; what [`FactKind::check`] refuses is refused.
    pub fn new(footer: &Footer, kind: FactKind, row_group: u32, batch_rows: usize) -> Result<Self> {
        kind.check(footer.object(), footer.schema())?;
        let at = Location::object(footer.object().clone()).row_group(row_group);
        let reader = footer.reader(row_group)?;
        let group = reader.metadata().row_group(0);
        let rows_left = group.num_rows().max(0) as u64;
        let pages = footer.read_columns(kind).map(|column| PageWalk::new(group.column(column))).collect();
        let projection = ProjectionMask::leaves(reader.parquet_schema(), footer.read_columns(kind));
        let inner = ParquetPushDecoderBuilder::new_with_metadata(reader)
            .with_projection(projection)
            .with_batch_size(batch_rows.max(1))
            .build()
            .map_err(|error| unreadable(at.clone(), &error))?;
        Ok(Self { at, inner, asked: Vec::new(), pages, rows_left })
    }

    /// Refuses pages that take more together than this, decompressed, instead of [`LARGEST_PAGE`](super::LARGEST_PAGE).
    pub fn pages_within(mut self, bytes: u64) -> Self {
        self.pages.iter_mut().for_each(|pages| pages.most = bytes);
        self
    }

    fn unreadable(&self, error: &ParquetError) -> Error {
        unreadable(self.at.clone(), error)
    }
}

impl Decoder for ChunkDecoder {
    fn step(&mut self) -> Result<ChunkStep> {
        let decoded = guarded(&self.at, || self.inner.try_decode())?;
        Ok(match decoded.map_err(|error| self.unreadable(&error))? {
            DecodeResult::NeedsData(ranges) => {
                self.asked.clone_from(&ranges);
                ChunkStep::Need(ranges)
            }
            DecodeResult::Data(batch) => {
                self.rows_left = self.rows_left.saturating_sub(batch.num_rows() as u64);
                ChunkStep::Batch(batch)
            }
            // Also what parquet's decoder says when it is asked again after an error.
            DecodeResult::Finished if self.rows_left > 0 => {
                let reason = format!("it ends {} rows before the footer says", self.rows_left);
                return Err(Error::Format { at: Box::new(self.at.clone()), reason });
            }
            DecodeResult::Finished => ChunkStep::Done,
        })
    }

    fn supply(&mut self, bytes: Vec<Bytes>) -> Result<()> {
        let asked = std::mem::take(&mut self.asked);
        for (range, bytes) in asked.iter().zip(&bytes) {
            let end = range.start + bytes.len() as u64;
            let inside = |pages: &&mut PageWalk| range.start <= pages.next && pages.end <= end;
            for pages in self.pages.iter_mut().filter(inside) {
                let held = |from: u64, length: u64| {
                    let start = from - range.start;
                    bytes.slice(start as usize..(start + length).min(bytes.len() as u64) as usize)
                };
                pages.walk(pages.end, &self.at, held)?;
            }
        }
        check_together(self.pages.iter(), &self.at)?;
        self.inner.push_ranges(asked, bytes).map_err(|error| self.unreadable(&error))
    }
}
