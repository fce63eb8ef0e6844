//! One row group into a fresh partial state: pure, so that a retry starts from nothing.
//!
//! ```text
//! batch -> bind -> rows by day -> symbols (once per dictionary value) -> groups -> columns of sums
//! ```
//!
//! The rules on single rows are all here: range and partition month (SPEC 2.0, 1.1), absurd values and
//! missing metrics of hourly rows (SPEC 1.5, 1.6), pods without a node (SPEC 2.5).

mod labels;
mod pod;
mod rows;
mod storage;
mod symbols;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::day::{Day, Month};
use crate::error::{Error, Location, Result};
use crate::port::Spill;
use crate::schema::{FactKind, FactView};
use crate::state::{ChunkId, Coverage, DayState, FoldConfig, PartialState, RowCounts};

use rows::split_by_day;
use symbols::{Latest, Memo};

/// Folds the batches of one row group.
#[derive(Debug)]
pub struct ChunkFolder {
    config: Arc<FoldConfig>,
    kind: FactKind,
    partition: Option<Month>,
    at: Location,
    coverage: Coverage,
    counts: RowCounts,
    days: BTreeMap<Day, DayState>,
    series: BTreeMap<Day, pod::Series>,
    claims: BTreeMap<Day, Latest>,
    memo: Memo,
    spill: Option<Spill>,
    /// Rows of the batches before this one.
    rows_before: u64,
}

impl ChunkFolder {
    /// A folder for a chunk that is read as `kind` and lies in this month's partition, if in any.
    pub fn new(config: Arc<FoldConfig>, chunk: &ChunkId, kind: FactKind, partition: Option<Month>) -> Self {
        let mut coverage = Coverage::default();
        coverage.insert(chunk).expect("the first chunk of a coverage overlaps nothing");
        Self {
            config,
            kind,
            partition,
            at: Location::object(chunk.object.clone()).row_group(chunk.row_group),
            coverage,
            counts: RowCounts::default(),
            days: BTreeMap::new(),
            series: BTreeMap::new(),
            claims: BTreeMap::new(),
            memo: Memo::default(),
            spill: None,
            rows_before: 0,
        }
    }

    /// Puts groups out of memory once they take more than these bytes.
    pub fn spilling(mut self, spill: Option<Spill>) -> Self {
        self.spill = spill;
        self
    }

    /// Folds the next rows of the chunk. After an error the folder must be dropped.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let view = FactView::bind(self.kind, &self.at, batch)?;
        let rows = batch.num_rows();
        self.counts.rows_in += rows as u64;
        let by_day =
            split_by_day(&self.config, self.partition, view.interval_start(), rows, &mut self.counts);
        for (day, selected) in by_day {
            let selected = match &view {
                FactView::Pod(view) if self.kind.derives_daily() && pod::Ordinary::of(view).is_none() => {
                    self.without(selected, |row| pod::is_anomalous(view, row))
                }
                FactView::Storage(view) if self.kind.derives_daily() => {
                    self.without(selected, |row| storage::is_anomalous(view, row))
                }
                _ => selected,
            };
            self.fold_day(day, &view, &selected).map_err(|error| shift_row(error, self.rows_before))?;
        }
        self.rows_before += rows as u64;
        self.keep_within()
    }

    /// What is only remembered to save work goes first.
    fn keep_within(&mut self) -> Result<()> {
        let Some(spill) = &self.spill else { return Ok(()) };
        if self.memory_size() <= spill.bytes {
            return Ok(());
        }
        self.memo = Memo::default();
        self.series.clear();
        self.claims.clear();
        if self.memory_size() > spill.bytes / 2 {
            for state in self.days.values_mut() {
                state.spill(spill)?;
            }
        }
        Ok(())
    }

    fn without(&mut self, mut rows: Vec<u32>, is_anomalous: impl Fn(usize) -> bool) -> Vec<u32> {
        let before = rows.len();
        rows.retain(|&row| !is_anomalous(row as usize));
        self.counts.anomalous += (before - rows.len()) as u64;
        rows
    }

    fn fold_day(&mut self, day: Day, view: &FactView, rows: &[u32]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let state = self.days.entry(day).or_default();
        let context = Context { config: &self.config, kind: self.kind, at: &self.at, day };
        match view {
            FactView::Pod(view) => {
                let series = self.series.entry(day).or_default();
                pod::fold(&context, view, rows, state, series, &mut self.memo, &mut self.counts)
            }
            FactView::Storage(view) => {
                self.counts.aggregated += rows.len() as u64;
                if self.config.storage() {
                    let claims = self.claims.entry(day).or_default();
                    storage::fold(&context, view, rows, state, claims, &mut self.memo)
                } else {
                    Ok(())
                }
            }
            FactView::Labels(view) => {
                self.counts.aggregated += rows.len() as u64;
                labels::fold(&context, view, rows, state, &mut self.memo)
            }
        }
    }

    /// Bytes held on the heap.
    pub fn memory_size(&self) -> usize {
        self.days.values().map(DayState::memory_size).sum::<usize>()
            + self.series.values().map(pod::Series::memory_size).sum::<usize>()
            + self.claims.values().map(Latest::memory_size).sum::<usize>()
            + self.memo.memory_size()
    }

    /// The state of this chunk alone.
    pub fn finish(self) -> PartialState {
        PartialState::from_parts(self.config, self.coverage, self.counts, self.days)
    }
}

/// What the folds of all tables need to know.
struct Context<'a> {
    config: &'a FoldConfig,
    kind: FactKind,
    at: &'a Location,
    day: Day,
}

impl Context<'_> {
    fn refuse(&self, row: usize, column: &'static str, reason: impl Into<String>) -> Error {
        Error::value(self.at.clone().row(row as u64).column(column), reason)
    }
}

/// Rows are counted within a batch while it is folded, and from the start of the row group in errors.
fn shift_row(error: Error, by: u64) -> Error {
    match error {
        Error::Value { mut at, reason } => {
            at.row = at.row.map(|row| row + by);
            Error::Value { at, reason }
        }
        other => other,
    }
}
