//! What reading needs to know of a row group's columns, in a few bytes each: a run holds it of all its files at once,
//! and parquet's own form takes several hundred.
//!
//! ```text
//! column: dictionary page + 1 or 0, data page, compressed, uncompressed, values, codec      seven bits of them a byte
//! ```

use parquet::basic::CompressionCodec;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::schema::types::ColumnDescPtr;

/// In the order of their numbers.
const CODECS: [CompressionCodec; 8] = [
    CompressionCodec::UNCOMPRESSED,
    CompressionCodec::SNAPPY,
    CompressionCodec::GZIP,
    CompressionCodec::LZO,
    CompressionCodec::BROTLI,
    CompressionCodec::LZ4,
    CompressionCodec::ZSTD,
    CompressionCodec::LZ4_RAW,
];

/// The columns of a row group, packed.
#[derive(Debug, Clone)]
pub(super) struct PackedColumns(Box<[u8]>);

impl PackedColumns {
    pub(super) fn new(columns: &[ColumnChunkMetaData]) -> Self {
        let mut packed = Vec::new();
        for column in columns {
            let numbers = [
                column.dictionary_page_offset().map_or(0, |offset| offset.wrapping_add(1)),
                column.data_page_offset(),
                column.compressed_size(),
                column.uncompressed_size(),
                column.num_values(),
                column.compression_codec() as i64,
            ];
            numbers.into_iter().for_each(|number| put(&mut packed, number));
        }
        Self(packed.into())
    }

    /// As parquet has them, without statistics and whatever else no reader of rows looks at.
    pub(super) fn unpack(&self, columns: &[ColumnDescPtr]) -> Vec<ColumnChunkMetaData> {
        let column = |(numbers, column): ([i64; 6], &ColumnDescPtr)| {
            let [dictionary, data, compressed, uncompressed, values, codec] = numbers;
            ColumnChunkMetaData::builder(column.clone())
                .set_dictionary_page_offset((dictionary != 0).then(|| dictionary.wrapping_sub(1)))
                .set_data_page_offset(data)
                .set_total_compressed_size(compressed)
                .set_total_uncompressed_size(uncompressed)
                .set_num_values(values)
                .set_compression_codec(CODECS[codec as usize])
                .build()
                .expect("the builder has nothing to refuse")
        };
        self.numbers().zip(columns).map(column).collect()
    }

    /// Bytes of each column as it is stored.
    pub(super) fn compressed_sizes(&self) -> impl Iterator<Item = i64> {
        self.numbers().map(|[_, _, compressed, ..]| compressed)
    }

    /// By column, what was put.
    fn numbers(&self) -> impl Iterator<Item = [i64; 6]> {
        let mut packed = &*self.0;
        std::iter::from_fn(move || (!packed.is_empty()).then(|| std::array::from_fn(|_| take(&mut packed))))
    }

    pub(super) fn memory_size(&self) -> usize {
        self.0.len()
    }
}

/// Adds a number, its lowest seven bits first; the eighth says that more follow.
fn put(packed: &mut Vec<u8>, number: i64) {
    let mut rest = number as u64;
    while rest >= 0x80 {
        packed.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    packed.push(rest as u8);
}

/// Takes the next number.
fn take(packed: &mut &[u8]) -> i64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = packed.split_first().expect("as many numbers are taken as were put");
        *packed = rest;
        number |= u64::from(first & 0x7f) << shift;
        if *first < 0x80 {
            break;
        }
    }
    number as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let numbers = [0, 1, 127, 128, 16_384, i64::MAX, -1, i64::MIN];
        let mut packed = Vec::new();
        numbers.iter().for_each(|number| put(&mut packed, *number));
        let mut rest = &packed[..];
        assert_eq!(numbers.map(|_| take(&mut rest)), numbers);
        assert!(rest.is_empty());
    }

    #[test]
    fn codecs_are_known_by_their_numbers() {
        assert_eq!(CODECS.map(|codec| codec as usize), [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
