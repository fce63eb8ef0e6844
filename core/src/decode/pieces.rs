//! One row group in pieces: a window of every column at a time, where a whole row group is too much to hold.
//!
//! ```text
//! column chunk  |=== window ===|                                  |   a page is decoded out of the window,
//!               |              |=== window ===|                   |   then the window moves on
//! ```
//!
//! The push decoder wants all columns of a row group at once. Here each column asks for the bytes it needs next,
//! so memory is that of one window and one page per column, however large the row group. The price is that
//! reading happens inside decoding, in the caller's thread: [`ReadAt`] blocks.

use std::fmt::Debug;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use bytes::{Bytes, BytesMut};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowGroups};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::column::page::{PageIterator, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length, SerializedPageReader};

use super::footer::Footer;
use super::{guarded, unreadable};
use crate::error::{Error, Location, Result};
use crate::port::ReadAt;
use crate::schema::FactKind;

/// The batches of one row group, decoded from windows.
#[derive(Debug)]
pub struct PiecewiseDecoder {
    at: Location,
    object: Arc<Object>,
    inner: Batches,
}

/// parquet's reader says nothing of itself.
struct Batches(ParquetRecordBatchReader);

impl Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Batches")
    }
}

impl PiecewiseDecoder {
    /// A decoder for the columns that `kind` reads of one row group, which holds about `window` bytes of each
    /// of them; a page larger than that is held whole.
    pub fn new(
        footer: &Footer,
        kind: FactKind,
        row_group: u32,
        batch_rows: usize,
        window: u64,
        bytes: Arc<dyn ReadAt>,
    ) -> Result<Self> {
        kind.check(footer.object(), footer.schema())?;
        let at = Location::object(footer.object().clone()).row_group(row_group);
        let object = Arc::new(Object { bytes, window: window.max(1), failed: Mutex::new(None) });
        let group = Group { metadata: footer.metadata(), row_group: row_group as usize, object: &object };
        let schema = group.metadata.file_metadata().schema_descr();
        let mask = ProjectionMask::roots(schema, footer.read_columns(kind));
        let inner = footer.reader(row_group).and_then(|reader| {
            parquet_to_arrow_field_levels(schema, mask, Some(reader.schema().fields()))
                .and_then(|levels| {
                    ParquetRecordBatchReader::try_new_with_row_groups(
                        &levels,
                        &group,
                        batch_rows.max(1),
                        None,
                    )
                })
                .map_err(|error| match lock(&object.failed).take() {
                    Some(failed) => failed,
                    None => unreadable(at.clone(), &error),
                })
        })?;
        Ok(Self { at, object, inner: Batches(inner) })
    }
}

impl Iterator for PiecewiseDecoder {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match guarded(&self.at, || self.inner.0.next()) {
            Ok(batch) => batch?,
            Err(error) => return Some(Err(error)),
        };
        Some(batch.map_err(|error| match lock(&self.object.failed).take() {
            Some(failed) => failed,
            None => Error::Format { at: Box::new(self.at.clone()), reason: error.to_string() },
        }))
    }
}

/// Where windows come from. A failed read keeps its own error, which parquet's could not carry.
#[derive(Debug)]
struct Object {
    bytes: Arc<dyn ReadAt>,
    window: u64,
    failed: Mutex<Option<Error>>,
}

impl Object {
    fn read(&self, range: Range<u64>) -> Result<Bytes, ParquetError> {
        self.bytes.read_at(range).map_err(|error| {
            let told = ParquetError::General(error.to_string());
            *lock(&self.failed) = Some(error);
            told
        })
    }
}

/// One row group, as parquet's reader wants to see it.
struct Group<'a> {
    metadata: &'a ParquetMetaData,
    row_group: usize,
    object: &'a Arc<Object>,
}

impl RowGroups for Group<'_> {
    fn num_rows(&self) -> usize {
        self.metadata.row_group(self.row_group).num_rows().max(0) as usize
    }

    fn column_chunks(&self, column: usize) -> Result<Box<dyn PageIterator>, ParquetError> {
        let chunk = self.metadata.row_group(self.row_group).column(column);
        let (start, length) = chunk.byte_range();
        let window = Window {
            object: self.object.clone(),
            end: start + length,
            held: Mutex::new((start, Bytes::new())),
        };
        let pages = SerializedPageReader::new(Arc::new(window), chunk, self.num_rows(), None)?;
        Ok(Box::new(Pages(Some(Box::new(pages)))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.metadata.row_group(self.row_group)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        self.metadata
    }
}

/// The pages of the one column chunk there is.
pub(super) struct Pages(pub(super) Option<Box<dyn PageReader>>);

impl Iterator for Pages {
    type Item = Result<Box<dyn PageReader>, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for Pages {}

/// The part of a column chunk that is in memory: where it starts, and its bytes.
#[derive(Debug)]
struct Window {
    object: Arc<Object>,
    /// End of the column chunk.
    end: u64,
    held: Mutex<(u64, Bytes)>,
}

impl Window {
    /// At least `length` bytes from `start`, of which as many as possible are held already.
    fn bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let wanted = start.saturating_add(length as u64);
        if wanted > self.end {
            return Err(ParquetError::EOF(format!(
                "a page ends at byte {wanted}, its column at byte {}: the file is damaged",
                self.end
            )));
        }
        let mut held = lock(&self.held);
        let held_end = held.0 + held.1.len() as u64;
        if start < held.0 || wanted > held_end {
            let kept = if (held.0..held_end).contains(&start) {
                held.1.slice((start - held.0) as usize..)
            } else {
                Bytes::new()
            };
            let from = start + kept.len() as u64;
            let more = self.object.read(from..wanted.max(self.end.min(from + self.object.window)))?;
            *held = (start, if kept.is_empty() { more } else { joined(&kept, &more) });
        }
        let from = (start - held.0) as usize;
        Ok(held.1.slice(from..from + length))
    }
}

fn joined(first: &[u8], second: &[u8]) -> Bytes {
    let mut joined = BytesMut::with_capacity(first.len() + second.len());
    joined.extend_from_slice(first);
    joined.extend_from_slice(second);
    joined.freeze()
}

impl Length for Window {
    fn len(&self) -> u64 {
        self.end
    }
}

impl ChunkReader for Window {
    type T = Header;

    fn get_read(&self, start: u64) -> Result<Header, ParquetError> {
        // Page headers are short, unless they hold statistics of long texts.
        let first = self.bytes(start, self.end.saturating_sub(start).min(HEADER) as usize)?;
        Ok(Header {
            object: self.object.clone(),
            next: start + first.len() as u64,
            end: self.end,
            held: first,
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.bytes(start, length)
    }
}

const HEADER: u64 = 1024;

/// Reads on from a position: first what the window held, then the rest of the column chunk.
#[derive(Debug)]
struct Header {
    held: Bytes,
    object: Arc<Object>,
    next: u64,
    end: u64,
}

impl Read for Header {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.held.is_empty() && self.next < self.end {
            let range = self.next..self.end.min(self.next + self.object.window);
            self.next = range.end;
            self.held = self.object.read(range).map_err(io::Error::other)?;
        }
        let taken = into.len().min(self.held.len());
        into[..taken].copy_from_slice(&self.held.split_to(taken));
        Ok(taken)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
