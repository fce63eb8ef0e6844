//! Which rows of a batch belong to which day, and which to none.

use std::collections::BTreeMap;

use crate::day::{Day, Month};
use crate::schema::InstantColumn;
use crate::state::{FoldConfig, RowCounts};

/// The wanted rows by day, ascending; the others are counted by reason.
pub(super) fn split_by_day(
    config: &FoldConfig,
    partition: Option<Month>,
    instants: &InstantColumn,
    rows: usize,
    counts: &mut RowCounts,
) -> Vec<(Day, Vec<u32>)> {
    let mut verdicts: BTreeMap<Day, Verdict> = BTreeMap::new();
    let mut found: Vec<(Day, Vec<u32>)> = Vec::new();
    let mut latest: Option<(Day, Verdict)> = None;
    for row in 0..rows {
        let Some(millis) = instants.get(row) else {
            counts.out_of_range += 1;
            continue;
        };
        let day = Day::from_millis(millis);
        let verdict = match latest {
            Some((known, verdict)) if known == day => verdict,
            _ => *verdicts.entry(day).or_insert_with(|| {
                if partition.is_some_and(|month| month != day.month()) {
                    Verdict::OtherMonth
                } else if !config.wants(day) {
                    Verdict::OutOfRange
                } else {
                    found.push((day, Vec::with_capacity(if found.is_empty() { rows } else { 0 })));
                    Verdict::Wanted(found.len() - 1)
                }
            }),
        };
        latest = Some((day, verdict));
        match verdict {
            Verdict::Wanted(at) => found[at].1.push(row as u32),
            Verdict::OtherMonth => counts.other_month += 1,
            Verdict::OutOfRange => counts.out_of_range += 1,
        }
    }
    found
}

#[derive(Clone, Copy)]
enum Verdict {
    Wanted(usize),
    OtherMonth,
    OutOfRange,
}
