//! The pages of a column chunk as their headers tell, which are read here before parquet's reader sees them: what a
//! page claims is compared with what the footer claims, and with what may be held, before anything is allocated for it.

use std::cmp::Reverse;
use std::io::{self, Read};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder;
use parquet::basic::CompressionCodec;
use parquet::file::metadata::ColumnChunkMetaData;

use super::page_header::{NoHeader, PageHeader};
use crate::error::{Error, Location, Result};

/// What the largest pages of all columns may take together, decompressed, where nobody says otherwise, in bytes. No writer
/// that we know makes larger ones.
pub const LARGEST_PAGE: u64 = 512 << 20;

/// What decompresses a page, a piece at a time.
type Inflate = fn(&[u8]) -> Box<dyn Read + '_>;

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
    /// Bytes of the largest page so far, decompressed.
    largest: u64,
    /// Bytes that the largest pages of all columns that are read may have together, decompressed.
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
            largest: 0,
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
        while self.next < held_end {
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
        self.largest = self.largest.max(uncompressed);
        Ok(end)
    }

    /// Of these two codecs parquet decompresses on for as long as there is something, whatever a page claims; others end
    /// where it says. Looked at only where it could be more than may be held.
    fn check_inflated(
        &self,
        header: PageHeader,
        at: &Location,
        bytes: impl Fn(u64, u64) -> Bytes,
    ) -> Result<()> {
        // How many bytes one can become.
        let (most, inflate): (u64, Inflate) = match self.codec {
            CompressionCodec::GZIP => (1032, |packed| Box::new(MultiGzDecoder::new(packed))),
            CompressionCodec::LZ4 => (255, |packed| Box::new(FrameDecoder::new(packed))),
            _ => return Ok(()),
        };
        let (told, levels) = (header.uncompressed as u64, header.levels.max(0) as u64);
        let packed = (header.compressed as u64).saturating_sub(levels);
        if !header.is_compressed || packed.saturating_mul(most) <= self.most {
            return Ok(());
        }
        let packed = bytes(self.next + header.length as u64 + levels, packed);
        // What cannot be decompressed is for parquet's reader to say.
        match io::copy(&mut inflate(&packed).take(told + 1), &mut io::sink()) {
            Ok(bytes) if bytes > told => Err(self.lie(at, "a page holds more bytes than it claims")),
            _ => Ok(()),
        }
    }

    pub(super) fn lie(&self, at: &Location, reason: &str) -> Error {
        let at = Box::new(at.clone().column(self.name.as_str()));
        Error::Format { at, reason: reason.to_owned() }
    }
}

/// Refuses columns whose largest pages take more together than they may: a page of each is held at once.
pub(super) fn check_together<'a>(
    columns: impl Iterator<Item = &'a PageWalk> + Clone,
    at: &Location,
) -> Result<()> {
    let bytes = columns.clone().map(|pages| pages.largest).fold(0, u64::saturating_add);
    match columns.min_by_key(|pages| Reverse(pages.largest)) {
        Some(largest) if bytes > largest.most => {
            let at = Box::new(at.clone().column(largest.name.as_str()));
            Err(Error::Memory { at, bytes, most: largest.most })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use flate2::write::GzEncoder;
    use lz4_flex::frame::FrameEncoder;
    use parquet::schema::parser::parse_message_type;
    use parquet::schema::types::SchemaDescriptor;

    use super::*;

    /// A data page of one value that claims four bytes.
    fn page(content: &[u8]) -> Vec<u8> {
        let mut header = vec![0x15, 0x00, 0x15, 0x08, 0x15];
        let mut stored = content.len() << 1; // doubled for its sign, seven bits in a byte
        while stored >= 0x80 {
            header.push(stored as u8 | 0x80);
            stored >>= 7;
        }
        header.extend([stored as u8, 0x2c, 0x15, 0x02, 0x00, 0x00]);
        [&header[..], content].concat()
    }

    /// What the walk over a chunk of one row says.
    fn walked(pages: &[u8], codec: CompressionCodec) -> Result<()> {
        let schema = parse_message_type("message table { optional binary labels; }").expect("a schema");
        let column = SchemaDescriptor::new(Arc::new(schema)).column(0);
        let chunk = ColumnChunkMetaData::builder(column)
            .set_num_values(1)
            .set_data_page_offset(0)
            .set_total_compressed_size(pages.len() as i64)
            .set_total_uncompressed_size(1000)
            .set_compression_codec(codec)
            .build();
        let bytes = Bytes::copy_from_slice(pages);
        let held = |start: u64, length: u64| {
            bytes.slice(start as usize..(start + length).min(bytes.len() as u64) as usize)
        };
        let mut walk = PageWalk { most: 1000, ..PageWalk::new(&chunk.expect("a chunk")) };
        walk.walk(walk.end, &Location::object("a"), held)
    }

    #[test]
    fn codecs_that_go_on_are_stopped_where_a_page_lies() {
        let mut deflated = GzEncoder::new(Vec::new(), Default::default());
        deflated.write_all(&[0; 100_000]).expect("memory");
        let mut framed = FrameEncoder::new(Vec::new());
        framed.write_all(&[0; 100_000]).expect("memory");
        for (codec, packed) in [
            (CompressionCodec::GZIP, deflated.finish().expect("memory")),
            (CompressionCodec::LZ4, framed.finish().expect("memory")),
        ] {
            let error = walked(&page(&packed), codec).expect_err("it holds 100,000 bytes");
            assert!(error.to_string().contains("more bytes than it claims"), "{codec:?}: {error}");
        }
        walked(&page(&[0; 100]), CompressionCodec::LZ4).expect("no frame: parquet's reader says what it is");
    }

    #[test]
    fn a_page_behind_the_last_row_is_none() {
        let one = page(b"1234");
        walked(&one, CompressionCodec::UNCOMPRESSED).expect("a page of one row");
        let error = walked(&[&one[..], &one].concat(), CompressionCodec::UNCOMPRESSED).expect_err("two");
        assert!(error.to_string().contains("more values than there can be"), "{error}");
    }
}
