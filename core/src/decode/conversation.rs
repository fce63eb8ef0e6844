//! The other side of a decoder's conversation, for tests: a file in memory.

use std::ops::Range;

use arrow::array::RecordBatch;
use bytes::Bytes;

use super::{ChunkDecoder, ChunkStep, Footer, FooterDecoder, FooterStep, WindowedDecoder};
use crate::error::Result;
use crate::port::ObjectMeta;
use crate::schema::FactKind;

pub(super) fn footer(file: &Bytes) -> Footer {
    let object = ObjectMeta { key: "nodes.parquet".into(), size: file.len() as u64, ..ObjectMeta::default() };
    let mut decoder = FooterDecoder::new(&object).expect("bytes");
    loop {
        match decoder.step().expect("a footer") {
            FooterStep::Need(ranges) => {
                let bytes = cut(file, &ranges);
                decoder.supply(ranges, bytes).expect("what was asked for");
            }
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
    let mut decoder =
        WindowedDecoder::new(&footer(file), kind, row_group, batch_rows, memory).expect("a decoder");
    read(file, |supplied| {
        if let Some((_, bytes)) = supplied {
            decoder.supply(bytes)?;
        }
        decoder.step()
    })
}

/// Every batch of a row group of node labels that is held whole.
pub(super) fn at_once(file: &Bytes, row_group: u32, batch_rows: usize) -> Vec<RecordBatch> {
    let kind = FactKind::NodeLabels;
    let mut decoder = ChunkDecoder::new(&footer(file), kind, row_group, batch_rows).expect("a decoder");
    let read = read(file, |supplied| {
        if let Some((ranges, bytes)) = supplied {
            decoder.supply(ranges, bytes)?;
        }
        decoder.step()
    });
    read.0
}

fn read(
    file: &Bytes,
    mut step: impl FnMut(Option<(Vec<Range<u64>>, Vec<Bytes>)>) -> Result<ChunkStep>,
) -> (Vec<RecordBatch>, usize) {
    let (mut batches, mut reads, mut supplied) = (Vec::new(), 0, None);
    loop {
        match step(supplied.take()).expect("an honest file") {
            ChunkStep::Need(ranges) => {
                reads += 1;
                let bytes = cut(file, &ranges);
                supplied = Some((ranges, bytes));
            }
            ChunkStep::Batch(batch) => batches.push(batch),
            ChunkStep::Done => return (batches, reads),
        }
    }
}

fn cut(file: &Bytes, ranges: &[Range<u64>]) -> Vec<Bytes> {
    ranges.iter().map(|range| file.slice(range.start as usize..range.end as usize)).collect()
}
