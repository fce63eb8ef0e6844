//! Ranges that a decoder needs, joined into few reads, and the bytes that arrive for them.

use std::ops::Range;

use bytes::Bytes;

use crate::error::Told;

/// Ranges closer than this are read together: a request costs more than the bytes between.
const GAP: u64 = 64 * 1024;
/// No joined read is longer than this, unless one range alone is.
const LONGEST: u64 = 64 * 1024 * 1024;

/// One request of a decoder.
#[derive(Debug)]
pub(crate) struct Reading {
    wanted: Vec<Range<u64>>,
    reads: Vec<Range<u64>>,
    arrived: Vec<Bytes>,
}

impl Reading {
    pub(crate) fn new(wanted: Vec<Range<u64>>) -> Self {
        let mut sorted = wanted.clone();
        sorted.sort_unstable_by_key(|range| (range.start, range.end));
        let mut reads: Vec<Range<u64>> = Vec::new();
        for range in sorted {
            match reads.last_mut() {
                Some(last)
                    if range.start < last.end.saturating_add(GAP)
                        && range.end.max(last.end) - last.start <= LONGEST =>
                {
                    last.end = last.end.max(range.end);
                }
                _ => reads.push(range),
            }
        }
        Self { wanted, reads, arrived: Vec::new() }
    }

    /// What to read, as `[start, end, …]`: doubles are exact up to 2^53.
    pub(crate) fn flat(&self) -> Vec<f64> {
        self.reads.iter().flat_map(|read| [read.start as f64, read.end as f64]).collect()
    }

    /// Takes the bytes of the next read; true once all are there.
    pub(crate) fn supply(&mut self, bytes: Vec<u8>) -> Result<bool, Told> {
        let Some(read) = self.reads.get(self.arrived.len()) else {
            return Err(Told::new("internal", "more bytes were supplied than asked for"));
        };
        if bytes.len() as u64 != read.end - read.start {
            return Err(Told::new(
                "source",
                format!("{} bytes arrived for the range {}..{}", bytes.len(), read.start, read.end),
            ));
        }
        self.arrived.push(bytes.into());
        Ok(self.arrived.len() == self.reads.len())
    }

    /// The bytes of the ranges, in the order they were wanted, once all are there.
    pub(crate) fn finish(self) -> Vec<Bytes> {
        let bytes = self.wanted.iter().map(|range| {
            let whole = self.reads.iter().zip(&self.arrived);
            let (read, bytes) = whole
                .into_iter()
                .find(|(read, _)| read.start <= range.start && range.end <= read.end)
                .expect("every wanted range lies in a read, and supply has seen them all");
            let part = bytes.slice((range.start - read.start) as usize..(range.end - read.start) as usize);
            // A column that is used up slowly must not keep the bytes of its neighbours.
            if part.len() == bytes.len() { part } else { Bytes::copy_from_slice(&part) }
        });
        bytes.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_ranges_are_read_together_and_come_back_apart() {
        let mut reading = Reading::new(vec![200_000..200_004, 10..14, 20..22]);
        assert_eq!(reading.flat(), [10.0, 22.0, 200_000.0, 200_004.0]);
        assert_eq!(reading.supply((10..22).collect()), Ok(false));
        assert_eq!(reading.supply(vec![9; 4]), Ok(true));
        assert_eq!(reading.finish(), [&[9, 9, 9, 9][..], &[10, 11, 12, 13], &[20, 21]]);
    }

    #[test]
    fn joined_reads_stay_bounded() {
        let step = 40 * 1024 * 1024;
        let reading = Reading::new((0..4).map(|part| part * step..(part + 1) * step).collect());
        assert_eq!(reading.flat().len(), 8);
    }

    #[test]
    fn a_short_answer_is_refused() {
        let mut reading = Reading::new(vec![0..4, 2..4]);
        assert_eq!(reading.supply(vec![1, 2]).expect_err("two bytes of four").code, "source");
    }
}
