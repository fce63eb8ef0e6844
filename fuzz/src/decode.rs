//! Bytes that claim to be a Parquet object.

use std::ops::Range;

use bytes::Bytes;
use daysum_core::Location;
use daysum_core::decode::{ChunkDecoder, ChunkStep, Decoder, Footer, FooterDecoder, FooterStep};
use daysum_core::port::ObjectMeta;
use daysum_core::schema::{FactKind, FactView};

/// More conversation than a file of this size can need: a decoder that asks on has lost its way.
const MOST_STEPS: usize = 10_000;

/// Every way of reading a file, as more than one may fit its columns.
const KINDS: [FactKind; 7] = [
    FactKind::PodDaily,
    FactKind::PodHourly,
    FactKind::PodCapacity,
    FactKind::StorageDaily,
    FactKind::StorageHourly,
    FactKind::NodeLabels,
    FactKind::NamespaceLabels,
];

/// Reads `data` as an object, in every way its columns allow. Returns whether it is one of the tables, and readable in all
/// of them.
pub fn decode(data: &[u8]) -> bool {
    let content = Bytes::copy_from_slice(data);
    let object = ObjectMeta { key: "fuzz.parquet".into(), size: data.len() as u64, ..ObjectMeta::default() };
    let Some(footer) = footer(&object, &content) else { return false };
    let (mut chunks, mut read) = (0, 0);
    for kind in KINDS {
        if kind.check(&object.key, footer.schema()).is_ok() {
            for row_group in footer.row_groups(kind) {
                chunks += 1;
                read += usize::from(chunk(&footer, kind, row_group.index, &content).is_some());
            }
        }
    }
    chunks > 0 && read == chunks
}

fn footer(object: &ObjectMeta, content: &Bytes) -> Option<Footer> {
    let mut decoder = FooterDecoder::new(object).ok()?;
    for _ in 0..MOST_STEPS {
        match decoder.step().ok()? {
            FooterStep::Need(ranges) => decoder.supply(cut(content, &ranges)).ok()?,
            FooterStep::Done(footer) => return Some(*footer),
        }
    }
    panic!("the footer is never done");
}

fn chunk(footer: &Footer, kind: FactKind, row_group: u32, content: &Bytes) -> Option<()> {
    let at = Location::object(footer.object().clone()).row_group(row_group);
    let mut decoder = ChunkDecoder::new(footer, kind, row_group, 1024).ok()?;
    for _ in 0..MOST_STEPS {
        match decoder.step().ok()? {
            ChunkStep::Need(ranges) => decoder.supply(cut(content, &ranges)).ok()?,
            ChunkStep::Batch(batch) => {
                // The value is not looked at: that binding does not panic is the point.
                let _ = FactView::bind(kind, &at, &batch);
            }
            ChunkStep::Done => return Some(()),
        }
    }
    panic!("the row group is never done");
}

/// What a source would answer. One that is asked for bytes behind the end cannot.
fn cut(content: &Bytes, ranges: &[Range<u64>]) -> Vec<Bytes> {
    let size = content.len() as u64;
    ranges
        .iter()
        .map(|range| {
            assert!(range.start <= range.end && range.end <= size, "asked for {range:?} of {size} bytes");
            content.slice(range.start as usize..range.end as usize)
        })
        .collect()
}
