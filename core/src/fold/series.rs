//! Pods as they come again, hour after hour: a row finds its group by the ids of its dictionary keys, and what it repeats
//! is counted instead of added.
//!
//! ```text
//! row -> ids of namespace, node, resource, labels -- those this pod had last? -> its run
//!        symbols of them, in other dictionaries   -- those this pod had last? -> its run
//!                                                 -- others? -> combination -> usage group -> a new run
//! run -> requests, limits and the node's size, once for as many rows as repeat them -> sums
//! ```

use arrow::array::ArrayRef;

use super::pod::EFFECTIVE;
use crate::error::{Error, Result};
use crate::exact::ExactSum;
use crate::intern::Sym;
use crate::schema::TextColumn;
use crate::state::{Member, PodSums, Table};

/// The combinations of namespace, node, pod, resource and labels met in the row groups so far.
#[derive(Debug, Default)]
pub(super) struct Series {
    known: Table<5, Member>,
    /// By combination.
    runs: Vec<RowRun>,
    /// Each pod's last row, in symbols.
    pub(super) by_symbol: LastRows,
    /// The same in ids: for as long as dictionaries last.
    pub(super) by_id: LastRows,
    /// Whose keys the ids are.
    dictionaries: [Option<ArrayRef>; 4],
    generation: u32,
}

/// The last row of each pod, by the pod's id or symbol.
#[derive(Debug, Default)]
pub(super) struct LastRows(Vec<LastRow>);

/// What tells the rows of a pod apart: ids, or symbols, of namespace, node, resource and labels. Labels without a
/// dictionary have none, but the number of their text.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastRow {
    pub(super) ids: Ids,
    pub(super) labels: Sym,
    pub(super) run: u32,
}

/// Ids, or symbols, of a row, packed: namespace and node, resource and labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ids(u64, u64);

impl Ids {
    #[inline(always)]
    pub(super) fn new(namespace: i32, node: i32, resource: i32, labels: i32) -> Self {
        let pack = |high: i32, low: i32| u64::from(high as u32) << 32 | u64::from(low as u32);
        Self(pack(namespace, node), pack(resource, labels))
    }
}

/// No row has such ids.
const NOTHING: LastRow = LastRow { ids: Ids(u64::MAX - 1, 0), labels: Sym::NULL, run: 0 };

impl Series {
    /// Forgets ids that are those of other dictionaries, or of label texts that were forgotten.
    pub(super) fn bind(&mut self, columns: [&TextColumn; 4], generation: u32) {
        let now = columns.map(TextColumn::dictionary);
        let same = now.iter().zip(&self.dictionaries).all(|(now, then)| match (now, then) {
            (Some(now), Some(then)) => ArrayRef::ptr_eq(now, then),
            (None, None) => true,
            _ => false,
        });
        if generation != self.generation {
            self.by_symbol.0.clear();
        }
        if !same || generation != self.generation {
            self.by_id.0.clear();
            self.dictionaries = now.map(|dictionary| dictionary.cloned());
            self.generation = generation;
        }
    }

    /// The run of a combination; `group` finds its usage group where it is new.
    pub(super) fn of(&mut self, combination: [Sym; 5], group: impl FnOnce() -> Option<u32>) -> u32 {
        let known = self.known.group(combination);
        if known == self.runs.len() {
            self.runs.push(RowRun::of(group()));
        }
        known as u32
    }

    #[inline]
    pub(super) fn run(&mut self, run: u32) -> &mut RowRun {
        &mut self.runs[run as usize]
    }

    /// Adds what all runs have counted; nothing is left in them.
    pub(super) fn settle(&mut self, usage: &mut Table<3, PodSums>) -> Result<()> {
        self.runs.iter_mut().try_for_each(|run| run.end(usage))
    }

    pub(super) fn memory_size(&self) -> usize {
        self.known.memory_size()
            + self.runs.capacity() * size_of::<RowRun>()
            + (self.by_id.0.capacity() + self.by_symbol.0.capacity()) * size_of::<LastRow>()
    }
}

impl LastRows {
    /// What a pod had in its row before, where this row's ids, and its labels as `has_labels` tells, are the same.
    #[inline(always)]
    pub(super) fn again(&self, pod: i32, ids: Ids, has_labels: impl FnOnce(Sym) -> bool) -> Option<LastRow> {
        let latest = self.0.get(slot(pod))?;
        (latest.ids == ids && has_labels(latest.labels)).then_some(*latest)
    }

    /// Remembers what a pod's row had.
    pub(super) fn remember(&mut self, pod: i32, latest: LastRow) {
        let slot = slot(pod);
        if slot >= self.0.len() {
            self.0.resize(slot + 1, NOTHING);
        }
        self.0[slot] = latest;
    }
}

/// NULL comes first.
fn slot(pod: i32) -> usize {
    pod.wrapping_add(1) as u32 as usize
}

/// Rows of one combination that follow each other and repeat the same numbers. Adding a number so often and adding its
/// multiple are the same, because sums are exact.
#[derive(Debug)]
pub(super) struct RowRun {
    /// None for pods that belong to no node.
    pub(super) group: Option<u32>,
    rows: u32,
    /// Of them, those whose effective usage is what was requested: of CPU and of memory.
    as_requested: [u32; 2],
    /// The bits of what is repeated: requests and limits, then cores and bytes of the node.
    same: [u64; 6],
    /// What is not repeated: usage of CPU and of memory.
    used: [ExactSum; 2],
}

/// Positions in [`POD_METRICS`](crate::schema::POD_METRICS) of what a run repeats first.
const REPEATED: [usize; 4] = [1, 3, 5, 7];

impl RowRun {
    fn of(group: Option<u32>) -> Self {
        Self { group, rows: 0, as_requested: [0; 2], same: [0; 6], used: [ExactSum::ZERO; 2] }
    }

    /// Counts a row of eight ordinary metrics; says whose sum overflows, if one does.
    #[inline(always)]
    pub(super) fn add(
        &mut self,
        metrics: [f64; 8],
        node: [f64; 2],
        usage: &mut Table<3, PodSums>,
    ) -> Result<Option<usize>> {
        let [cores, memory_bytes] = node;
        let same = [metrics[1], metrics[3], metrics[5], metrics[7], cores, memory_bytes].map(f64::to_bits);
        // Number by number: a comparison of all at once would wait for them to be stored.
        let differs = (0..same.len()).fold(0, |differs, at| differs | (same[at] ^ self.same[at]));
        if differs != 0 || self.rows == u32::MAX {
            self.settle(usage)?;
            self.same = same;
        }
        self.rows += 1;
        Ok(self.add_used::<0>(&metrics, usage).or_else(|| self.add_used::<1>(&metrics, usage)))
    }

    /// Adds usage, and effective usage where it is not what was requested.
    #[inline(always)]
    fn add_used<const OF: usize>(
        &mut self,
        metrics: &[f64; 8],
        usage: &mut Table<3, PodSums>,
    ) -> Option<usize> {
        let [used, requested, effective] = EFFECTIVE[OF];
        if !self.used[OF].add(metrics[used]) {
            return Some(used);
        }
        if metrics[effective].to_bits() == metrics[requested].to_bits() {
            self.as_requested[OF] += 1;
            return None;
        }
        let sums = &mut usage.value_mut(self.group? as usize).sums;
        (!sums[effective].add(metrics[effective])).then_some(effective)
    }

    /// Adds what was repeated.
    fn settle(&mut self, usage: &mut Table<3, PodSums>) -> Result<()> {
        let (rows, as_requested) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.as_requested));
        let (Some(group), 1..) = (self.group, rows) else { return Ok(()) };
        let into = usage.value_mut(group as usize);
        into.rows += u64::from(rows);
        into.present = u8::MAX;
        let [repeated @ .., cores, memory_bytes] = self.same.map(f64::from_bits);
        into.cores.add(cores);
        into.memory_bytes.add(memory_bytes);
        let mut fits = true;
        for (metric, value) in REPEATED.into_iter().zip(repeated) {
            fits &= into.sums[metric].add_times(value, rows);
        }
        let requested = [repeated[0], repeated[2]].into_iter().zip(as_requested);
        for ([.., effective], (value, rows)) in EFFECTIVE.into_iter().zip(requested) {
            fits &= into.sums[effective].add_times(value, rows);
        }
        if fits { Ok(()) } else { Err(Error::Overflow { what: "usage of a pod".into() }) }
    }

    fn end(&mut self, usage: &mut Table<3, PodSums>) -> Result<()> {
        self.settle(usage)?;
        let (Some(group), used) = (self.group, std::mem::take(&mut self.used)) else { return Ok(()) };
        let sums = &mut usage.value_mut(group as usize).sums;
        EFFECTIVE.into_iter().zip(used).try_for_each(|([metric, ..], used)| sums[metric].merge(&used))
    }
}
