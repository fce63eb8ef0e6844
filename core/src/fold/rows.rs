//! Which rows of a batch belong to which day, and which to none.

use std::collections::BTreeMap;

use crate::day::{Day, MILLIS_PER_DAY, Month};
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
    if let Some(day) = only_day(instants)
        && partition.is_none_or(|month| month == day.month())
        && config.wants(day)
    {
        return vec![(day, (0..rows as u32).collect())];
    }
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

/// The day of all rows, where they have one in common.
fn only_day(instants: &InstantColumn) -> Option<Day> {
    let millis = instants.dense()?;
    let day = Day::from_millis(*millis.first()?);
    let (first, last) = (day.start_millis(), day.start_millis() + MILLIS_PER_DAY);
    // Without an early end, several values are compared at once.
    let outside = |any: bool, millis: &i64| any | (*millis < first) | (*millis >= last);
    (!millis.iter().fold(false, outside)).then_some(day)
}

#[derive(Clone, Copy)]
enum Verdict {
    Wanted(usize),
    OtherMonth,
    OutOfRange,
}
