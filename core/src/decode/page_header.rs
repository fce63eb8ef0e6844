//! What a page says of itself, in Thrift's compact protocol: parquet's own parser is not public.
//!
//! ```text
//! PageHeader: 1 kind, 2 uncompressed, 3 compressed, 5 | 7 | 8: { 1 values, 5 + 6 levels, 7 is compressed, … }
//! ```

/// The parts of a page header that tell how far the page reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageHeader {
    /// Bytes of the header itself.
    pub(super) length: usize,
    pub(super) dictionary: bool,
    pub(super) values: i32,
    pub(super) compressed: i32,
    pub(super) uncompressed: i32,
    /// Bytes before the values that are never compressed.
    pub(super) levels: i32,
    /// Whether the values are compressed, where the column is.
    pub(super) is_compressed: bool,
}

/// Why there is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// The bytes end within it.
    Short,
    /// No header looks like that.
    Damaged,
}

/// Structs within structs; a header has three levels.
const DEEPEST: u32 = 8;

const STOP: u8 = 0;
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const STRUCT: u8 = 12;

const DICTIONARY_PAGE: i32 = 2;

impl PageHeader {
    /// The header that `bytes` begin with.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, NoHeader> {
        let mut reader = Reader { rest: bytes };
        let (mut kind, mut uncompressed, mut compressed, mut values) = (None, None, None, None);
        let (mut levels, mut is_compressed) = (0_i32, true);
        reader.fields(|reader, field, of| {
            match (field, of) {
                (1, I32) => kind = Some(reader.int()?),
                (2, I32) => uncompressed = Some(reader.int()?),
                (3, I32) => compressed = Some(reader.int()?),
                (5 | 7 | 8, STRUCT) => reader.fields(|reader, field, of| {
                    match (field, of) {
                        (1, I32) => values = Some(reader.int()?),
                        // Of the second version of data pages; no other has numbers there.
                        (5 | 6, I32) => levels = levels.saturating_add(reader.int()?),
                        (7, FALSE) => is_compressed = false,
                        _ => reader.skip(of, DEEPEST)?,
                    }
                    Ok(())
                })?,
                _ => reader.skip(of, DEEPEST)?,
            }
            Ok(())
        })?;
        let length = bytes.len() - reader.rest.len();
        match (kind, uncompressed, compressed) {
            (Some(kind), Some(uncompressed), Some(compressed)) => Ok(Self {
                length,
                dictionary: kind == DICTIONARY_PAGE,
                // Pages of indexes hold none.
                values: values.unwrap_or(0),
                compressed,
                uncompressed,
                levels,
                is_compressed,
            }),
            _ => Err(NoHeader::Damaged),
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, NoHeader> {
        let (first, rest) = self.rest.split_first().ok_or(NoHeader::Short)?;
        self.rest = rest;
        Ok(*first)
    }

    fn bytes(&mut self, length: u64) -> Result<(), NoHeader> {
        let length = usize::try_from(length).map_err(|_| NoHeader::Damaged)?;
        self.rest = self.rest.get(length..).ok_or(NoHeader::Short)?;
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, NoHeader> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(NoHeader::Damaged)
    }

    fn zigzag(&mut self) -> Result<i64, NoHeader> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn int(&mut self) -> Result<i32, NoHeader> {
        i32::try_from(self.zigzag()?).map_err(|_| NoHeader::Damaged)
    }

    /// Calls `each` with the number and the type of every field; it reads the value.
    fn fields(
        &mut self,
        mut each: impl FnMut(&mut Self, i64, u8) -> Result<(), NoHeader>,
    ) -> Result<(), NoHeader> {
        let mut field = 0_i64;
        loop {
            let head = self.byte()?;
            if head == STOP {
                return Ok(());
            }
            field = match head >> 4 {
                0 => self.zigzag()?,
                delta => field.saturating_add(i64::from(delta)),
            };
            each(self, field, head & 0x0f)?;
        }
    }

    fn skip(&mut self, of: u8, depth: u32) -> Result<(), NoHeader> {
        let deeper = depth.checked_sub(1).ok_or(NoHeader::Damaged)?;
        match of {
            TRUE | FALSE => Ok(()),
            BYTE => self.bytes(1),
            4 | I32 | I64 => self.varint().map(|_| ()),
            DOUBLE => self.bytes(8),
            BINARY => {
                let length = self.varint()?;
                self.bytes(length)
            }
            LIST | SET => {
                let head = self.byte()?;
                let items = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                for _ in 0..items {
                    match head & 0x0f {
                        // In lists, unlike in structs, a truth takes a byte.
                        TRUE | FALSE => self.bytes(1)?,
                        of => self.skip(of, deeper)?,
                    }
                }
                Ok(())
            }
            STRUCT => self.fields(|reader, _, of| reader.skip(of, deeper)),
            _ => Err(NoHeader::Damaged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kind 0, 100 bytes of which 60 are stored, 10 values; further fields of every sort.
    const DATA: [u8; 36] = [
        0x15, 0x00, 0x15, 0xc8, 0x01, 0x15, 0x78, 0x15, 0x02, // kind, sizes, checksum
        0x1c, 0x15, 0x14, 0x15, 0x00, // values, encoding
        0x3c, 0x18, 2, b'm', b'x', 0x11, 0x12, 0x00, // statistics: bytes, truths
        0x19, 0x22, 1, 2, // a list, which no header has
        0x17, 0, 0, 0, 0, 0, 0, 0, 0, 0x00,
    ];

    fn header() -> PageHeader {
        PageHeader {
            length: 37,
            dictionary: false,
            values: 10,
            compressed: 60,
            uncompressed: 100,
            levels: 0,
            is_compressed: true,
        }
    }

    #[test]
    fn what_is_needed_is_read_and_the_rest_skipped() {
        let bytes = [&DATA[..], &[0x00], b"the page"].concat();
        assert_eq!(PageHeader::read(&bytes), Ok(header()));
    }

    #[test]
    fn a_header_that_is_cut_is_short_wherever_it_is_cut() {
        for end in 0..DATA.len() {
            assert_eq!(PageHeader::read(&DATA[..end]), Err(NoHeader::Short), "{end} bytes");
        }
    }

    #[test]
    fn nonsense_ends() {
        for bytes in [vec![0xff; 1000], vec![0x1c; 1000], vec![0x00], [[0x15, 0x80].repeat(9)].concat()] {
            assert_eq!(PageHeader::read(&bytes), Err(NoHeader::Damaged));
        }
    }
}
