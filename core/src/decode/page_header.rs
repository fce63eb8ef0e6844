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
    /// The header that `bytes` begin with. What another reader could take for something else is damaged: a field that
    /// comes twice, is of another type, or has a number beyond 16 bits.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, NoHeader> {
        let mut reader = Reader { rest: bytes };
        let (mut kind, mut uncompressed, mut compressed, mut body) = (None, None, None, None);
        reader.fields(|reader, field, of| match (field, of) {
            (1, I32) => once(&mut kind, reader.int()?),
            (2, I32) => once(&mut uncompressed, reader.int()?),
            (3, I32) => once(&mut compressed, reader.int()?),
            (5 | 7 | 8, STRUCT) => once(&mut body, Body::read(reader, field == 8)?),
            (1..=3 | 5 | 7 | 8, _) => Err(NoHeader::Damaged),
            _ => reader.skip(of, DEEPEST),
        })?;
        let length = bytes.len() - reader.rest.len();
        let body = body.unwrap_or_default(); // pages of indexes have another one
        match (kind, uncompressed, compressed) {
            (Some(kind), Some(uncompressed), Some(compressed)) => Ok(Self {
                length,
                dictionary: kind == DICTIONARY_PAGE,
                values: body.values.unwrap_or(0),
                compressed,
                uncompressed,
                levels: body.definition.unwrap_or(0).saturating_add(body.repetition.unwrap_or(0)),
                is_compressed: body.is_compressed.unwrap_or(true),
            }),
            _ => Err(NoHeader::Damaged),
        }
    }
}

/// The part of a header that pages of one kind have; the last three fields are those of the second version of data pages.
#[derive(Default)]
struct Body {
    values: Option<i32>,
    definition: Option<i32>,
    repetition: Option<i32>,
    is_compressed: Option<bool>,
}

impl Body {
    fn read(reader: &mut Reader<'_>, is_second: bool) -> Result<Self, NoHeader> {
        let mut body = Self::default();
        reader.fields(|reader, field, of| match (field, of) {
            (1, I32) => once(&mut body.values, reader.int()?),
            (5, I32) if is_second => once(&mut body.definition, reader.int()?),
            (6, I32) if is_second => once(&mut body.repetition, reader.int()?),
            (7, TRUE | FALSE) if is_second => once(&mut body.is_compressed, of == TRUE),
            (1, _) => Err(NoHeader::Damaged),
            (5..=7, _) if is_second => Err(NoHeader::Damaged),
            _ => reader.skip(of, DEEPEST),
        })?;
        Ok(body)
    }
}

fn once<T>(field: &mut Option<T>, value: T) -> Result<(), NoHeader> {
    match field.replace(value) {
        Some(_) => Err(NoHeader::Damaged),
        None => Ok(()),
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
            i16::try_from(field).map_err(|_| NoHeader::Damaged)?;
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
    fn what_two_readers_could_read_as_two_headers_is_none() {
        const SIZES: [u8; 8] = [0x15, 0x00, 0x15, 0x08, 0x15, 0x08, 0x2c, 0x15]; // kind, 4 bytes, 4 stored; a body
        let good = [&SIZES[..], &[0x14, 0x00, 0x00]].concat();
        assert_eq!(PageHeader::read(&good).map(|header| (header.values, header.uncompressed)), Ok((10, 4)));
        let bad: [&[u8]; 6] = [
            &[0x15, 0x00, 0x15, 0x08, 0x05, 0x04, 0x08, 0x15, 0x08, 0x00], // bytes twice
            &[0x15, 0x00, 0x16, 0x08, 0x15, 0x08, 0x00],                   // bytes in 64 bits
            &[0x15, 0x00, 0x05, 0x84, 0x80, 0x08, 0x08, 0x00],             // a field of 65538
            &[0x15, 0x00, 0x15, 0x08, 0x15, 0x08, 0x2c, 0x00, 0x2c, 0x00, 0x00], // two bodies
            &[0x15, 0x00, 0x15, 0x08, 0x15, 0x08, 0x5c, 0x71, 0x0c, 0x0e, 0x00, 0x00, 0x00],
            &[0x15, 0x00, 0x15, 0x08, 0x15, 0x08, 0x2c, 0x16, 0x14, 0x00, 0x00], // values in 64 bits
        ];
        for bytes in bad {
            assert_eq!(PageHeader::read(bytes), Err(NoHeader::Damaged), "{bytes:x?}");
        }
        // Of a first version's body the fields of the second one mean nothing.
        let first = [&SIZES[..], &[0x14, 0x62, 0x00, 0x00]].concat();
        assert_eq!(
            PageHeader::read(&first).map(|header| (header.levels, header.is_compressed)),
            Ok((0, true))
        );
    }

    #[test]
    fn nonsense_ends() {
        for bytes in [vec![0xff; 1000], vec![0x1c; 1000], vec![0x00], [[0x15, 0x80].repeat(9)].concat()] {
            assert_eq!(PageHeader::read(&bytes), Err(NoHeader::Damaged));
        }
    }
}
