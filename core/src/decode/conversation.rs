//! The other side of a decoder's conversation, for tests: a file in memory.

use std::ops::Range;

use arrow::array::RecordBatch;
use bytes::Bytes;

use super::{ChunkDecoder, ChunkStep, Decoder, Footer, FooterDecoder, FooterStep, WindowedDecoder};
use crate::port::ObjectMeta;
use crate::schema::FactKind;

pub(super) fn footer(file: &Bytes) -> Footer {
    let object = ObjectMeta { key: "nodes.parquet".into(), size: file.len() as u64, ..ObjectMeta::default() };
    let mut decoder = FooterDecoder::new(&object).expect("bytes");
    loop {
        match decoder.step().expect("a footer") {
            FooterStep::Need(ranges) => decoder.supply(cut(file, &ranges)).expect("what was asked for"),
            FooterStep::Done(footer) => return *footer,
        }
    }
}

/// Every batch of a row group of node labels, read in windows, and how many rounds of reads there were.
pub(super) fn windowed(
    file: &Bytes,
    row_group: u32,
    batch_rows: usize,
    memory: u64,
) -> (Vec<RecordBatch>, usize) {
    let kind = FactKind::NodeLabels;
    read(file, WindowedDecoder::new(&footer(file), kind, row_group, batch_rows, memory).expect("a decoder"))
}

/// Every batch of a row group of node labels that is held whole.
pub(super) fn at_once(file: &Bytes, row_group: u32, batch_rows: usize) -> Vec<RecordBatch> {
    let kind = FactKind::NodeLabels;
    read(file, ChunkDecoder::new(&footer(file), kind, row_group, batch_rows).expect("a decoder")).0
}

fn read(file: &Bytes, mut decoder: impl Decoder) -> (Vec<RecordBatch>, usize) {
    let (mut batches, mut reads) = (Vec::new(), 0);
    loop {
        match decoder.step().expect("an honest file") {
            ChunkStep::Need(ranges) => {
                reads += 1;
                decoder.supply(cut(file, &ranges)).expect("what was asked for");
            }
            ChunkStep::Batch(batch) => batches.push(batch),
            ChunkStep::Done => return (batches, reads),
        }
    }
}

fn cut(file: &Bytes, ranges: &[Range<u64>]) -> Vec<Bytes> {
    ranges.iter().map(|range| file.slice(range.start as usize..range.end as usize)).collect()
}
