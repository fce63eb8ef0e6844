//! One row group, a window of every column at a time, without reading: whoever drives it supplies the bytes.
//!
//! ```text
//! column chunk  |== held ==|    step: every column holds the pages of the next rows -> Batch
//!               | page | pa|ge        one does not                                  -> Need, one range a column
//! ```
//!
//! This is [`ChunkDecoder`](super::ChunkDecoder)'s conversation for row groups that are too much to hold, and for
//! browsers, which can hold little and block on nothing.

use std::collections::VecDeque;
use std::fmt::{self, Debug};
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowGroups};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::column::page::{PageIterator, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length, SerializedPageReader};

use super::chunk::{ChunkStep, Decoder};
use super::footer::Footer;
use super::pages::{HEADER, PageWalk, check_together};
use super::{guarded, unreadable};
use crate::error::{Error, Location, Result};
use crate::schema::FactKind;

/// No column has less than this part of the memory: small ones are read whole, together with their neighbours.
const LEAST: u64 = 16;

/// Decodes a row group that is too large to be held, or that a browser asks for piece by piece.
pub struct WindowedDecoder {
    at: Location,
    rows: u64,
    batch_rows: usize,
    delivered: u64,
    columns: Vec<Column>,
    inner: ParquetRecordBatchReader,
}

impl Debug for WindowedDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // parquet's reader says nothing of itself.
        f.debug_struct("WindowedDecoder").field("at", &self.at).finish_non_exhaustive()
    }
}

impl WindowedDecoder {
    /// A decoder for the columns that `kind` reads of one row group, which holds about `memory` bytes of the file;
    /// pages larger than their share of it are held whole, up to [`LARGEST_PAGE`](super::LARGEST_PAGE).
    pub fn new(
        footer: &Footer,
        kind: FactKind,
        row_group: u32,
        batch_rows: usize,
        memory: u64,
    ) -> Result<Self> {
        kind.check(footer.object(), footer.schema())?;
        let at = Location::object(footer.object().clone()).row_group(row_group);
        let reader = footer.reader(row_group)?;
        let group = reader.metadata().row_group(0);
        let read: Vec<usize> = footer.read_columns(kind).collect();
        let length = |column: &ColumnChunkMetaData| column.byte_range().1;
        let all: u64 = read.iter().map(|&column| length(group.column(column))).sum();
        // Not as usize, which a browser's is too small for: a lie must not wrap around to the truth.
        let rows = group.num_rows().max(0) as u64;
        // When the next window comes, up to half of the last one is still held.
        let window = memory / 3 * 2;
        let columns: Vec<Column> = read
            .iter()
            .map(|&column| {
                let chunk = group.column(column);
                let share = u128::from(window) * u128::from(length(chunk)) / u128::from(all.max(1));
                Column::new(chunk, u64::try_from(share).unwrap_or(u64::MAX).max(window / LEAST).max(HEADER))
            })
            .collect();
        let held = read.iter().copied().zip(columns.iter().map(|column| column.held.clone())).collect();
        let group = Group { metadata: reader.metadata(), held };
        let schema = reader.parquet_schema();
        let mask = ProjectionMask::leaves(schema, read);
        let inner = parquet_to_arrow_field_levels(schema, mask, Some(reader.schema().fields()))
            .and_then(|levels| {
                ParquetRecordBatchReader::try_new_with_row_groups(&levels, &group, batch_rows.max(1), None)
            })
            .map_err(|error| unreadable(at.clone(), &error))?;
        Ok(Self { at, rows, batch_rows: batch_rows.max(1), delivered: 0, columns, inner })
    }

    /// Refuses pages that take more together than this, decompressed, instead.
    pub fn pages_within(mut self, bytes: u64) -> Self {
        self.columns.iter_mut().for_each(|column| column.pages.most = bytes);
        self
    }
}

impl Decoder for WindowedDecoder {
    fn step(&mut self) -> Result<ChunkStep> {
        if self.delivered >= self.rows {
            return Ok(ChunkStep::Done);
        }
        let target = self.rows.min(self.delivered + self.batch_rows as u64);
        let mut lacking = false;
        for column in self.columns.iter().filter(|column| column.pages.rows < target) {
            if column.is_whole() {
                return Err(column.pages.lie(&self.at, "its pages hold fewer rows than the footer says"));
            }
            lacking = true;
        }
        if lacking {
            // Those that will need more soon read along: one round of requests instead of one for each.
            for column in &mut self.columns {
                column.asked = column.pages.rows < target || column.is_low();
            }
            let asked = self.columns.iter().filter(|column| column.asked);
            return Ok(ChunkStep::Need(asked.map(Column::next_range).collect()));
        }
        let batch = guarded(&self.at, || self.inner.next())?
            .ok_or_else(|| "its pages hold fewer rows than the footer says".to_owned())
            .and_then(|batch| batch.map_err(|error| error.to_string()))
            .map_err(|reason| Error::Format { at: Box::new(self.at.clone()), reason })?;
        self.delivered += batch.num_rows() as u64;
        Ok(ChunkStep::Batch(batch))
    }

    /// By order and not by place: in a file that lies, columns may lie over each other.
    fn supply(&mut self, bytes: Vec<Bytes>) -> Result<()> {
        let asked = self.columns.iter().filter(|column| column.asked).map(Column::next_range);
        if !asked.map(|range| range.end - range.start).eq(bytes.iter().map(|bytes| bytes.len() as u64)) {
            let reason = "other bytes came than were asked for".to_owned();
            return Err(Error::Format { at: Box::new(self.at.clone()), reason });
        }
        let asked = self.columns.iter_mut().filter(|column| column.asked);
        asked.zip(bytes).try_for_each(|(column, bytes)| column.supply(bytes, &self.at))?;
        check_together(self.columns.iter().map(|column| &column.pages), &self.at)
    }
}

/// A column chunk, and how much of it is known.
#[derive(Debug)]
struct Column {
    held: Arc<Held>,
    window: u64,
    /// Whether the last step asked for more of it.
    asked: bool,
    /// Where the held bytes end.
    held_end: u64,
    /// Of the pages that are held, or were.
    pages: PageWalk,
}

impl Column {
    fn new(chunk: &ColumnChunkMetaData, window: u64) -> Self {
        let pages = PageWalk::new(chunk);
        Self {
            held: Arc::new(Held { end: pages.end, parts: Mutex::default() }),
            window,
            asked: false,
            held_end: pages.next,
            pages,
        }
    }

    fn is_whole(&self) -> bool {
        self.held_end == self.pages.end
    }

    fn is_low(&self) -> bool {
        !self.is_whole() && self.held_end - self.pages.next < self.window / 2
    }

    fn next_range(&self) -> Range<u64> {
        self.held_end..self.pages.end.min(self.pages.next_end.max(self.held_end + self.window))
    }

    fn supply(&mut self, bytes: Bytes, at: &Location) -> Result<()> {
        self.asked = false;
        let start = self.held_end;
        self.held_end += bytes.len() as u64;
        self.held.push(start, bytes);
        self.pages.walk(self.held_end, at, |start, length| self.held.from(start, length).joined())
    }
}

/// The bytes of a column that are in memory, in parts that follow each other.
#[derive(Debug)]
struct Held {
    /// Where the column chunk ends.
    end: u64,
    parts: Mutex<VecDeque<(u64, Bytes)>>,
}

impl Held {
    fn parts(&self) -> MutexGuard<'_, VecDeque<(u64, Bytes)>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, start: u64, bytes: Bytes) {
        self.parts().push_back((start, bytes));
    }

    /// At most `length` bytes from `start`, as many as are held.
    fn from(&self, start: u64, length: u64) -> Parts {
        let mut wanted = start..start.saturating_add(length);
        let mut found = VecDeque::new();
        for (from, bytes) in self.parts().iter() {
            let end = from + bytes.len() as u64;
            if (*from..end).contains(&wanted.start) && !wanted.is_empty() {
                let taken = wanted.start - from..wanted.end.min(end) - from;
                wanted.start += taken.end - taken.start;
                found.push_back(bytes.slice(taken.start as usize..taken.end as usize));
            }
        }
        Parts(found)
    }

    /// Nothing before `start` is asked for again.
    fn drop_until(&self, start: u64) {
        let mut parts = self.parts();
        while parts.front().is_some_and(|(from, bytes)| from + bytes.len() as u64 <= start) {
            parts.pop_front();
        }
    }
}

impl Length for Held {
    fn len(&self) -> u64 {
        self.end
    }
}

impl ChunkReader for Held {
    type T = Parts;

    fn get_read(&self, start: u64) -> Result<Parts, ParquetError> {
        Ok(self.from(start, self.end))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.from(start, length as u64).joined();
        if bytes.len() != length {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} are not there")));
        }
        self.drop_until(start + length as u64);
        Ok(bytes)
    }
}

/// Bytes that follow each other.
struct Parts(VecDeque<Bytes>);

impl Parts {
    fn joined(mut self) -> Bytes {
        if self.0.len() == 1 {
            return self.0.pop_front().unwrap_or_default();
        }
        let mut joined = BytesMut::with_capacity(self.0.iter().map(Bytes::len).sum());
        self.0.iter().for_each(|part| joined.extend_from_slice(part));
        joined.freeze()
    }
}

impl Read for Parts {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(first) = self.0.front_mut() else { return Ok(0) };
        let taken = into.len().min(first.len());
        into[..taken].copy_from_slice(&first.split_to(taken));
        if first.is_empty() {
            self.0.pop_front();
        }
        Ok(taken)
    }
}

/// One row group, as parquet's reader wants to see it.
struct Group<'a> {
    /// In which it is the only one.
    metadata: &'a ParquetMetaData,
    /// The columns that are read, by their positions.
    held: Vec<(usize, Arc<Held>)>,
}

impl RowGroups for Group<'_> {
    fn num_rows(&self) -> usize {
        self.metadata.row_group(0).num_rows().max(0) as usize
    }

    fn column_chunks(&self, column: usize) -> Result<Box<dyn PageIterator>, ParquetError> {
        let held = self.held.iter().find(|(position, _)| *position == column).map(|(_, held)| held.clone());
        let held = held.ok_or_else(|| ParquetError::General(format!("column {column} is not read")))?;
        let chunk = self.metadata.row_group(0).column(column);
        let pages = SerializedPageReader::new(held, chunk, self.num_rows(), None)?;
        Ok(Box::new(Pages(Some(Box::new(pages)))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.metadata.row_group(0)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        self.metadata
    }
}

/// The pages of the one column chunk there is.
struct Pages(Option<Box<dyn PageReader>>);

impl Iterator for Pages {
    type Item = Result<Box<dyn PageReader>, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for Pages {}

#[cfg(test)]
mod tests;
