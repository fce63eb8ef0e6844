//! Finished rows as a Parquet file, for downloads.
//!
//! ```text
//! PAR1 | day: column chunk, … | day: … | footer | its length | PAR1
//!          [dictionary page] data page
//! ```
//!
//! parquet's own writer would be a sixth of what a browser downloads; four types, one page a column and day, and
//! no statistics are enough to open a summary elsewhere. The tests read it back with parquet's reader.

mod thrift;

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int32Type, Schema};
use daysum_core::rows;

use crate::error::Told;
use thrift::Struct;

const MAGIC: &[u8] = b"PAR1";
/// A column whose texts are nearly all different gains nothing by a dictionary of more than so many.
const MOST_WORDS: usize = 1 << 16;

/// Numbers of the format's specification.
mod code {
    pub(super) const INT32: i32 = 1;
    pub(super) const DOUBLE: i32 = 5;
    pub(super) const BYTE_ARRAY: i32 = 6;
    pub(super) const OPTIONAL: i32 = 1;
    pub(super) const UTF8: i32 = 0;
    pub(super) const DATE: i32 = 6;
    pub(super) const PLAIN: i32 = 0;
    pub(super) const RLE: i32 = 3;
    pub(super) const RLE_DICTIONARY: i32 = 8;
    pub(super) const SNAPPY: i32 = 1;
    pub(super) const DATA_PAGE: i32 = 0;
    pub(super) const DICTIONARY_PAGE: i32 = 2;
    /// Field numbers of the logical types.
    pub(super) const STRING: i16 = 1;
    pub(super) const LOGICAL_DATE: i16 = 6;
}

/// A file that grows by row groups.
#[derive(Debug)]
pub(crate) struct ParquetFile {
    out: Vec<u8>,
    row_groups: Vec<Struct>,
    rows: i64,
}

impl ParquetFile {
    pub(crate) fn new() -> Self {
        Self { out: MAGIC.to_vec(), row_groups: Vec::new(), rows: 0 }
    }

    /// Adds rows of [`rows::schema`] as a row group.
    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<(), Told> {
        if *rows.schema().fields() != *rows::schema().fields() {
            return Err(Told::new("format", "the rows have another schema than finished ones"));
        }
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let start = self.out.len();
        let mut chunks = Vec::new();
        for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
            chunks.push(self.chunk(field.name(), column)?);
        }
        let count = rows.num_rows() as i64;
        let group =
            Struct::default().structs(1, chunks).i64(2, (self.out.len() - start) as i64).i64(3, count);
        self.row_groups.push(group);
        self.rows += count;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let created_by = concat!("daysum version ", env!("CARGO_PKG_VERSION"));
        let footer = Struct::default()
            .i32(1, 1)
            .structs(2, schema_elements(&rows::schema()))
            .i64(3, self.rows)
            .structs(4, self.row_groups)
            .text(6, created_by)
            .finish();
        self.out.extend(&footer);
        self.out.extend((footer.len() as u32).to_le_bytes());
        self.out.extend(MAGIC);
        self.out
    }

    /// Writes a column's pages; returns what the footer says of it.
    fn chunk(&mut self, name: &str, column: &dyn Array) -> Result<Struct, Told> {
        let start = self.out.len();
        let values = Values::of(column);
        let mut uncompressed = 0;
        let dictionary = match &values.dictionary {
            Some((words, plain)) => {
                let header = Struct::default().i32(1, *words as i32).i32(2, code::PLAIN);
                uncompressed += self.page(code::DICTIONARY_PAGE, 7, header, plain)?;
                Some(start as i64)
            }
            None => None,
        };
        let data_page = self.out.len();
        let encoding = if dictionary.is_some() { code::RLE_DICTIONARY } else { code::PLAIN };
        let rows = column.len() as i32;
        let header = Struct::default().i32(1, rows).i32(2, encoding).i32(3, code::RLE).i32(4, code::RLE);
        let levels = levels(column);
        let mut body = (levels.len() as u32).to_le_bytes().to_vec();
        body.extend(levels);
        body.extend(values.encoded);
        uncompressed += self.page(code::DATA_PAGE, 5, header, &body)?;
        let (physical, ..) = types(column.data_type());
        let mut facts = Struct::default()
            .i32(1, physical)
            .i32s(2, &[code::PLAIN, code::RLE, encoding])
            .texts(3, &[name])
            .i32(4, code::SNAPPY)
            .i64(5, i64::from(rows))
            .i64(6, uncompressed)
            .i64(7, (self.out.len() - start) as i64)
            .i64(9, data_page as i64);
        if let Some(dictionary) = dictionary {
            facts = facts.i64(11, dictionary);
        }
        Ok(Struct::default().i64(2, start as i64).inner(3, facts))
    }

    /// Writes a page; returns its size without compression.
    fn page(&mut self, kind: i32, field: i16, header: Struct, body: &[u8]) -> Result<i64, Told> {
        let refuse = |error| Told::new("memory", format!("a column of this day is too large: {error}"));
        let small = snap::raw::Encoder::new().compress_vec(body).map_err(refuse)?;
        let sizes = Struct::default().i32(1, kind).i32(2, body.len() as i32).i32(3, small.len() as i32);
        let header = sizes.inner(field, header).finish();
        self.out.extend(&header);
        self.out.extend(small);
        Ok((header.len() + body.len()) as i64)
    }
}

/// The values of a column that are not NULL.
#[derive(Default)]
struct Values {
    /// How many words, and those in plain encoding.
    dictionary: Option<(usize, Vec<u8>)>,
    encoded: Vec<u8>,
}

impl Values {
    fn of(column: &dyn Array) -> Self {
        let mut plain = Self::default();
        let out = &mut plain.encoded;
        match column.data_type() {
            DataType::Utf8 => return Self::texts(column.as_string::<i32>().iter().flatten()),
            DataType::Float64 => {
                let values = column.as_primitive::<Float64Type>().iter().flatten();
                values.for_each(|value| out.extend(value.to_le_bytes()));
            }
            DataType::Date32 => {
                let values = column.as_primitive::<Date32Type>().iter().flatten();
                values.for_each(|value| out.extend(value.to_le_bytes()));
            }
            _ => {
                let values = column.as_primitive::<Int32Type>().iter().flatten();
                values.for_each(|value| out.extend(value.to_le_bytes()));
            }
        }
        plain
    }

    fn texts<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Self {
        let mut known: HashMap<&str, u32> = HashMap::new();
        let (mut words, mut keys) = (Vec::new(), Vec::new());
        for text in texts.clone() {
            let next = known.len() as u32;
            let key = *known.entry(text).or_insert_with(|| {
                plain(text, &mut words);
                next
            });
            keys.push(key);
            if known.len() > MOST_WORDS {
                let mut encoded = Vec::new();
                texts.for_each(|text| plain(text, &mut encoded));
                return Self { dictionary: None, encoded };
            }
        }
        // Width of a key in bits, then runs of equal keys or eights of packed ones.
        let width = (32 - (known.len().max(1) as u32 - 1).leading_zeros()).max(1);
        let mut encoded = vec![width as u8];
        hybrid(&keys, width, &mut encoded);
        Self { dictionary: Some((known.len(), words)), encoded }
    }
}

fn plain(text: &str, out: &mut Vec<u8>) {
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

/// 1 where there is a value, 0 for NULL.
fn levels(column: &dyn Array) -> Vec<u8> {
    let levels: Vec<u32> = (0..column.len()).map(|row| u32::from(column.is_valid(row))).collect();
    let mut out = Vec::new();
    hybrid(&levels, 1, &mut out);
    out
}

/// The format's mixture of runs and bit-packed groups of eight.
fn hybrid(values: &[u32], width: u32, out: &mut Vec<u8>) {
    let run_at = |at: usize| values[at..].iter().take_while(|value| **value == values[at]).count();
    let mut at = 0;
    while at < values.len() {
        let run = run_at(at);
        if run >= 8 || at + run == values.len() {
            thrift::varint((run as u64) << 1, out);
            out.extend(&values[at].to_le_bytes()[..width.div_ceil(8) as usize]);
            at += run;
            continue;
        }
        // Eights until a run begins at the start of one; the last one is filled up with zeros.
        let mut end = at + 8;
        while end < values.len() && run_at(end) < 8 {
            end += 8;
        }
        let eights = (end - at) / 8;
        thrift::varint((eights as u64) << 1 | 1, out);
        let (mut bits, mut held) = (0u64, 0);
        for index in at..end {
            bits |= u64::from(values.get(index).copied().unwrap_or(0)) << held;
            held += width;
            while held >= 8 {
                out.push(bits as u8);
                bits >>= 8;
                held -= 8;
            }
        }
        at = end;
    }
}

/// Physical type, older annotation, and the newer one's field.
fn types(found: &DataType) -> (i32, Option<i32>, Option<i16>) {
    match found {
        DataType::Utf8 => (code::BYTE_ARRAY, Some(code::UTF8), Some(code::STRING)),
        DataType::Float64 => (code::DOUBLE, None, None),
        DataType::Date32 => (code::INT32, Some(code::DATE), Some(code::LOGICAL_DATE)),
        _ => (code::INT32, None, None),
    }
}

fn schema_elements(schema: &Schema) -> Vec<Struct> {
    let root = Struct::default().text(4, "schema").i32(5, schema.fields().len() as i32);
    let leaves = schema.fields().iter().map(|field| {
        let (physical, converted, logical) = types(field.data_type());
        let mut leaf = Struct::default().i32(1, physical).i32(3, code::OPTIONAL).text(4, field.name());
        if let Some(converted) = converted {
            leaf = leaf.i32(6, converted);
        }
        if let Some(logical) = logical {
            leaf = leaf.inner(10, Struct::default().inner(logical, Struct::default()));
        }
        leaf
    });
    std::iter::once(root).chain(leaves).collect()
}

#[cfg(test)]
mod tests;
