//! The pages of a column chunk as their headers tell, which are read here before parquet's reader sees them: what a
//! page claims is compared with what the footer claims, and with what may be held, before anything is allocated for it.

use std::io::{self, Read};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use parquet::basic::CompressionCodec;
use parquet::file::metadata::ColumnChunkMetaData;

use super::page_header::{NoHeader, PageHeader};
use crate::error::{Error, Location, Result};

/// The largest page that is decompressed where nobody says otherwise, in bytes. No writer that we know makes larger ones.
pub const LARGEST_PAGE: u64 = 512 << 20;

/// A deflated byte becomes no more than so many.
const MOST_INFLATED: u64 = 1032;

/// Page headers are shorter than this, unless they hold statistics of long texts.
pub(super) const HEADER: u64 = 1024;

/// A walk over the pages of one column chunk, as far as its bytes are there.
#[derive(Debug)]
pub(super) struct PageWalk {
    name: String,
    /// Where the next page starts, of which not everything is held, and where it ends if that is known.
    pub(super) next: u64,
    pub(super) next_end: u64,
    /// Where the chunk ends.
    pub(super) end: u64,
    /// Rows of the pages so far.
    pub(super) rows: u64,
    /// Bytes that a page may have, decompressed.
    pub(super) most: u64,
    /// What the footer says of the chunk.
    told_rows: u64,
    told_bytes: u64,
    codec: CompressionCodec,
}

impl PageWalk {
    pub(super) fn new(chunk: &ColumnChunkMetaData) -> Self {
        let (start, length) = chunk.byte_range();
        Self {
            name: chunk.column_path().string(),
            next: start,
            next_end: start,
            end: start + length,
            rows: 0,
            most: LARGEST_PAGE,
            told_rows: chunk.num_values().max(0) as u64,
            told_bytes: chunk.uncompressed_size().max(0) as u64,
            codec: chunk.compression_codec(),
        }
    }

    /// Goes on to where the held bytes end. `bytes` gives those from a place on, at most as many as are asked for.
    pub(super) fn walk(
        &mut self,
        held_end: u64,
        at: &Location,
        bytes: impl Fn(u64, u64) -> Bytes,
    ) -> Result<()> {
        // What lies behind the last row is no page that anybody reads.
        while self.next < held_end && self.rows < self.told_rows {
            let header = match self.header(&bytes) {
                Ok(header) => header,
                Err(NoHeader::Short) if held_end < self.end => break,
                Err(_) => return Err(self.lie(at, "there is no page where one must begin")),
            };
            self.next_end = self.check(header, at)?;
            if self.next_end > held_end {
                break;
            }
            self.check_inflated(header, at, &bytes)?;
            self.next = self.next_end;
            self.rows += if header.dictionary { 0 } else { header.values as u64 };
        }
        Ok(())
    }

    /// The header of the next page. Few are longer than their first look.
    fn header(&self, bytes: impl Fn(u64, u64) -> Bytes) -> Result<PageHeader, NoHeader> {
        let mut look = HEADER;
        loop {
            let bytes = bytes(self.next, look);
            match PageHeader::read(&bytes) {
                Err(NoHeader::Short) if bytes.len() as u64 == look => look *= 64,
                header => return header,
            }
        }
    }

    /// Where the page of this header ends, if what it says can be.
    fn check(&mut self, header: PageHeader, at: &Location) -> Result<u64> {
        let sizes = [header.compressed, header.uncompressed, header.values].map(u64::try_from);
        let [Ok(compressed), Ok(uncompressed), Ok(values)] = sizes else {
            return Err(self.lie(at, "a page has negative sizes"));
        };
        let end = self.next + header.length as u64 + compressed;
        if end > self.end {
            return Err(self.lie(at, "a page reaches beyond its column"));
        }
        if uncompressed > self.told_bytes {
            return Err(self.lie(at, "a page claims more bytes than the footer says of its column"));
        }
        // No value of a dictionary is smaller than a byte.
        let most = if header.dictionary { uncompressed } else { self.told_rows - self.rows };
        if values > most {
            return Err(self.lie(at, "a page claims more values than there can be"));
        }
        if uncompressed > self.most {
            let at = Box::new(at.clone().column(self.name.as_str()));
            return Err(Error::Memory { at, bytes: uncompressed, most: self.most });
        }
        Ok(end)
    }

    /// parquet inflates on for as long as there is something, whatever a page claims; other codecs end where it says.
    /// Looked at only where it could be more than may be held.
    fn check_inflated(
        &self,
        header: PageHeader,
        at: &Location,
        bytes: impl Fn(u64, u64) -> Bytes,
    ) -> Result<()> {
        let (told, levels) = (header.uncompressed as u64, header.levels.max(0) as u64);
        let deflated = (header.compressed as u64).saturating_sub(levels);
        let is_deflated = self.codec == CompressionCodec::GZIP && header.is_compressed;
        if !is_deflated || deflated.saturating_mul(MOST_INFLATED) <= self.most {
            return Ok(());
        }
        let deflated = bytes(self.next + header.length as u64 + levels, deflated);
        let mut inflated = MultiGzDecoder::new(&*deflated).take(told + 1);
        // What cannot be inflated is for parquet's reader to say.
        match io::copy(&mut inflated, &mut io::sink()) {
            Ok(bytes) if bytes > told => Err(self.lie(at, "a page holds more bytes than it claims")),
            _ => Ok(()),
        }
    }

    pub(super) fn lie(&self, at: &Location, reason: &str) -> Error {
        let at = Box::new(at.clone().column(self.name.as_str()));
        Error::Format { at, reason: reason.to_owned() }
    }
}
