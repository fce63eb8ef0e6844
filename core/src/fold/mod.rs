//! Row groups into a fresh partial state: pure, so that a retry starts from nothing.
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
mod series;
mod storage;
mod symbols;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::day::{Day, Month};
use crate::decode::BATCH_ROWS;
use crate::error::{Error, Location, Result};
use crate::port::Spill;
use crate::schema::{FactKind, FactView};
use crate::state::{ChunkId, Coverage, DayState, FoldConfig, PartialState, Purposes, RowCounts};

use rows::split_by_day;
use series::Series;
use symbols::{Latest, Memo};

/// Bytes of a decoded row with long labels.
const ROW_BYTES: usize = 480;

/// With fewer rows, batches cost more than what is in them.
const LEAST_ROWS: usize = 1024;

/// Folds row groups, one after the other, into one state. What it learns of texts serves the row groups that follow.
///
/// ```
/// # use std::sync::Arc;
/// # use daysum_core::{FoldConfig, Lookups, fold::Folder, schema::FactKind, state::ChunkId};
/// # use arrow::array::RecordBatch;
/// # fn fold(config: Arc<FoldConfig>, chunk: &ChunkId, batches: &[RecordBatch]) -> daysum_core::Result<()> {
/// let mut chunk = Folder::new(config).start(chunk, FactKind::PodHourly, None)?;
/// for batch in batches {
///     chunk.push(batch)?;
/// }
/// let state = chunk.end().take()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Folder {
    config: Arc<FoldConfig>,
    coverage: Coverage,
    counts: RowCounts,
    days: BTreeMap<Day, OpenDay>,
    memo: Memo,
    spill: Option<Spill>,
    purposes: Purposes,
    /// Whether a row group has failed: what there is of it is no longer the whole of anything.
    failed: bool,
}

impl Folder {
    /// A folder that has seen nothing.
    pub fn new(config: Arc<FoldConfig>) -> Self {
        Self {
            config,
            coverage: Coverage::default(),
            counts: RowCounts::default(),
            days: BTreeMap::new(),
            memo: Memo::default(),
            spill: None,
            purposes: Purposes::default(),
            failed: false,
        }
    }

    /// Puts groups out of memory once they take more than these bytes.
    pub fn spilling(mut self, spill: Option<Spill>) -> Self {
        self.spill = spill;
        self
    }

    /// Starts a row group that is read as `kind` and lies in this month's partition, if in any. One that is inside
    /// already is refused.
    pub fn start(mut self, chunk: &ChunkId, kind: FactKind, partition: Option<Month>) -> Result<ChunkFolder> {
        self.coverage.insert(chunk)?;
        self.purposes.insert(kind, partition)?;
        let at = Location::object(chunk.object.clone()).row_group(chunk.row_group);
        Ok(ChunkFolder { folder: self, kind, partition, at, rows_before: 0 })
    }

    /// Rows of a batch that takes, decoded, a third of what its groups may: groups are counted after every batch.
    pub fn batch_rows(&self) -> usize {
        let rows = |spill: &Spill| (spill.bytes / 3 / ROW_BYTES).clamp(LEAST_ROWS, BATCH_ROWS);
        self.spill.as_ref().map_or(BATCH_ROWS, rows)
    }

    /// The days it holds something of, in order.
    pub fn days(&self) -> impl Iterator<Item = Day> + '_ {
        self.days.keys().copied()
    }

    /// Takes out the state of the row groups so far; refused once one of them has failed.
    pub fn take(&mut self) -> Result<PartialState> {
        if self.failed {
            return Err(Error::config(
                "a row group has failed in this folder: fold the others in another one",
            ));
        }
        self.memo.forget_days();
        let (coverage, counts) = (std::mem::take(&mut self.coverage), std::mem::take(&mut self.counts));
        let (purposes, days) = (std::mem::take(&mut self.purposes), std::mem::take(&mut self.days));
        let settled = |(day, mut open): (Day, OpenDay)| open.settle().map(|()| (day, open.state));
        let days = days.into_iter().map(settled).collect::<Result<_>>()?;
        Ok(PartialState::from_parts(self.config.clone(), coverage, purposes, counts, days))
    }

    /// What is only remembered to save work goes first, and groups only where there is hardly room beside them: the same
    /// ones come again with the next hour of the data.
    fn keep_within(&mut self) -> Result<()> {
        let Some(spill) = self.spill.clone() else { return Ok(()) };
        if self.memory_size() <= spill.bytes {
            return Ok(());
        }
        self.memo = Memo::default();
        self.days.values_mut().try_for_each(OpenDay::settle)?;
        if self.memory_size() > spill.bytes / 4 * 3 {
            self.days.values_mut().try_for_each(|open| open.state.spill(&spill))?;
        }
        Ok(())
    }

    /// Bytes held on the heap.
    pub fn memory_size(&self) -> usize {
        self.days.values().map(OpenDay::memory_size).sum::<usize>() + self.memo.memory_size()
    }
}

/// A day while rows of it are folded.
#[derive(Debug, Default)]
struct OpenDay {
    state: DayState,
    /// What its pods repeat, which is not in the state yet.
    series: Series,
    /// Where the groups of its claims are.
    claims: Latest,
}

impl OpenDay {
    /// Brings everything into the state, and forgets what only saved work.
    fn settle(&mut self) -> Result<()> {
        self.claims = Latest::default();
        std::mem::take(&mut self.series).settle(&mut self.state.usage)
    }

    fn memory_size(&self) -> usize {
        self.state.memory_size() + self.series.memory_size() + self.claims.memory_size()
    }
}

/// A folder in the midst of a row group. An error ends it: nothing more is taken from it.
#[derive(Debug)]
pub struct ChunkFolder {
    folder: Folder,
    kind: FactKind,
    partition: Option<Month>,
    at: Location,
    /// Rows of the batches before this one.
    rows_before: u64,
}

impl ChunkFolder {
    /// Folds the next rows of the row group, whose columns must be those that [`FactKind::check`] asks for.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let folded = self.fold(batch);
        self.folder.failed |= folded.is_err();
        folded
    }

    fn fold(&mut self, batch: &RecordBatch) -> Result<()> {
        let view = FactView::bind(self.kind, &self.at, batch)?;
        let (folder, rows) = (&mut self.folder, batch.num_rows());
        folder.counts.rows_in += rows as u64;
        let by_day =
            split_by_day(&folder.config, self.partition, view.interval_start(), rows, &mut folder.counts);
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
        self.folder.keep_within()
    }

    /// Ends the row group.
    pub fn end(self) -> Folder {
        self.folder
    }

    fn without(&mut self, mut rows: Vec<u32>, is_anomalous: impl Fn(usize) -> bool) -> Vec<u32> {
        let before = rows.len();
        rows.retain(|&row| !is_anomalous(row as usize));
        self.folder.counts.anomalous += (before - rows.len()) as u64;
        rows
    }

    fn fold_day(&mut self, day: Day, view: &FactView, rows: &[u32]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let Folder { config, counts, days, memo, .. } = &mut self.folder;
        let open = days.entry(day).or_default();
        let context = Context { config, kind: self.kind, at: &self.at, day };
        match view {
            FactView::Pod(view) => pod::fold(&context, view, rows, open, memo, counts),
            FactView::Storage(view) => {
                counts.aggregated += rows.len() as u64;
                if context.config.storage() {
                    storage::fold(&context, view, rows, open, memo, counts)
                } else {
                    Ok(())
                }
            }
            FactView::Labels(view) => {
                counts.aggregated += rows.len() as u64;
                labels::fold(&context, view, rows, &mut open.state, memo, counts)
            }
        }
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
