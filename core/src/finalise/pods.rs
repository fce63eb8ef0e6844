//! Pod rows: usage by namespace, node and merged labels (SPEC 2.5).

use std::ops::Range;

use arrow::array::builder::Float64Builder;
use arrow::array::{Float64Array, Int32Array, StringArray};

use super::capacity::Capacity;
use super::joins::Joins;
use super::policy::Policy;
use crate::error::Result;
use crate::intern::{Interner, Sym};
use crate::port::Spill;
use crate::rows;
use crate::state::{Block, DayState, Merged, PodSums, Remap, Run, Table, USAGE, sorted};

/// Bytes to gibibytes; exact.
pub(super) const GIB: f64 = 1.0 / (1u64 << 30) as f64;

/// Seconds to hours.
pub(super) const HOUR: f64 = 3600.0;

/// Finished rows with the columns of Pod rows but their labels, in hours, cores and gibibytes.
#[derive(Debug)]
pub(super) struct PodRows {
    pub(super) namespaces: StringArray,
    pub(super) nodes: StringArray,
    pub(super) resource_ids: StringArray,
    /// In the order of [`POD_SUMS`](crate::rows::POD_SUMS).
    pub(super) sums: [Float64Array; 8],
    /// In the order of [`CAPACITIES`](crate::rows::CAPACITIES).
    pub(super) capacities: [Float64Array; 6],
    pub(super) categories: Int32Array,
}

/// Usage by namespace, node and merged labels.
#[derive(Debug)]
pub(super) enum Pods {
    /// In memory.
    Held(Box<Finished>),
    /// Sorted runs; a group can be in several. Where nothing can be spilled, this cannot be either.
    Spilled { runs: Vec<Run<3>>, _within: Spill },
}

/// What was summed up of some groups, sorted by key: a third of what the sums themselves take.
#[derive(Debug)]
pub(super) struct Finished {
    /// namespace, node, merged labels
    pub(super) keys: Vec<[Sym; 3]>,
    pub(super) resource_ids: Vec<Sym>,
    /// In the order of [`POD_SUMS`](crate::rows::POD_SUMS).
    pub(super) sums: [Float64Array; 8],
    pub(super) cores: Float64Array,
    pub(super) memory: Float64Array,
}

/// Some groups of them, in order.
#[derive(Debug)]
pub(super) enum PodBlock<'a> {
    Held(&'a Interner, &'a Finished, Range<usize>),
    Spilled(Box<(Interner, Finished)>),
}

/// Gathers usage under its merged labels, fan-out included.
pub(super) fn group(state: &mut DayState, joins: &mut Joins<'_>) -> Result<Pods> {
    if let Some(spill) = state.spilled.to.clone() {
        return group_spilled(state, joins, spill);
    }
    let DayState { names, usage, .. } = state;
    let usage = std::mem::take(usage);
    let mut groups: Table<3, PodSums> = Table::with_capacity(usage.len());
    let mut sets = Vec::new();
    for (&[namespace, node, own], sums) in usage.iter() {
        let times = joins.repeats(names, namespace);
        joins.count(sums.rows, times.saturating_mul(joins.pairs(node, namespace)));
        let all = (node, 0..joins.sets_of_node(node));
        joins.labels(names, all, namespace, [own, Sym::NULL], &mut sets);
        for &set in &sets {
            let group = groups.group([namespace, node, set]);
            let into = groups.value_mut(group);
            into.add_times(sums, times)?;
            into.resource_id = names.max(into.resource_id, sums.resource_id);
        }
    }
    drop(usage);
    let order = sorted(names, &groups, [true; 3]);
    let groups = order.into_iter().map(|group| (groups.key(group), groups.value(group)));
    Ok(Pods::Held(Box::new(Finished::of(groups))))
}

/// The same for a day that had to be spilled: block by block, and spilled again under its new keys.
fn group_spilled(state: &mut DayState, joins: &mut Joins<'_>, spill: Spill) -> Result<Pods> {
    let DayState { names, spilled, .. } = state;
    let known = names.len();
    let (mut runs, mut sets) = (Vec::new(), Vec::new());
    let mut groups: Block<3, PodSums> = Block::default();
    for block in Merged::of(&Merged::<3, PodSums>::reduced(std::mem::take(&mut spilled.usage), &spill)?)? {
        let block: Block<3, PodSums> = block?;
        for (key, sums) in block.table.iter() {
            let [namespace, node, own] = key.map(|part| Remap::once(&block.names, names).sym(part));
            let times = joins.repeats(names, namespace);
            joins.count(sums.rows, times.saturating_mul(joins.pairs(node, namespace)));
            let (texts, held) = (names.len(), names.memory_size());
            for set in 0..joins.sets_of_node(node) {
                joins.labels(names, (node, set..set + 1), namespace, [own, Sym::NULL], &mut sets);
                for &set in &sets {
                    let key =
                        [namespace, node, set].map(|part| Remap::once(names, &mut groups.names).sym(part));
                    let group = groups.table.group(key);
                    let into = groups.table.value_mut(group);
                    into.add_times(sums, times)?;
                    into.resource_id =
                        Remap::once(&block.names, &mut groups.names).max(into.resource_id, sums.resource_id);
                }
                if names.memory_size() - held > spill.bytes / 8 {
                    joins.forget();
                    names.truncate(texts);
                }
                // The other half is for the blocks of the runs that are merged.
                if groups.memory_size() > spill.bytes / 2 {
                    runs.push(Run::of(&groups.names, &groups.table, USAGE, &spill)?);
                    groups = Block::default();
                }
            }
        }
        // What this block's labels were and became is not needed for the next one.
        joins.forget();
        names.truncate(known);
    }
    runs.push(Run::of(&groups.names, &groups.table, USAGE, &spill)?);
    Ok(Pods::Spilled { runs: Merged::<3, PodSums>::reduced(runs, &spill)?, _within: spill })
}

impl Pods {
    /// All groups in the order of their keys.
    pub(super) fn blocks<'a>(
        &'a self,
        names: &'a Interner,
    ) -> Result<Box<dyn Iterator<Item = Result<PodBlock<'a>>> + Send + 'a>> {
        Ok(match self {
            Self::Held(finished) => {
                let text = |row: usize| names.bytes(&finished.keys[row]);
                let blocks = rows::blocks(finished.keys.len(), text);
                Box::new(blocks.map(move |rows| Ok(PodBlock::Held(names, finished, rows))))
            }
            Self::Spilled { runs, .. } => Box::new(Merged::of(runs)?.map(|block| {
                let Block { names, table } = block?;
                let finished = Finished::of(table.iter());
                Ok(PodBlock::Spilled(Box::new((names, finished))))
            })),
        })
    }
}

impl Finished {
    fn of<'a>(groups: impl ExactSizeIterator<Item = (&'a [Sym; 3], &'a PodSums)>) -> Self {
        let rows = groups.len();
        let (mut keys, mut resource_ids) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        let mut numbers: [Float64Builder; 10] = std::array::from_fn(|_| Float64Builder::with_capacity(rows));
        for (key, sums) in groups {
            keys.push(*key);
            resource_ids.push(sums.resource_id);
            for (metric, column) in numbers[..8].iter_mut().enumerate() {
                let unit = if metric < 4 { 1.0 } else { GIB };
                column.append_option(sums.sum(metric).map(|seconds| seconds / HOUR * unit));
            }
            numbers[8].append_option(sums.cores.get());
            numbers[9].append_option(sums.memory_bytes.get().map(|bytes| bytes * GIB));
        }
        let [sums @ .., cores, memory] = numbers.map(|mut column| column.finish());
        Self { keys, resource_ids, sums, cores, memory }
    }
}

impl PodBlock<'_> {
    /// The texts of its symbols, and which of the finished groups are its rows.
    pub(super) fn parts(&self) -> (&Interner, &Finished, Range<usize>) {
        match self {
            Self::Held(texts, finished, rows) => (texts, finished, rows.clone()),
            Self::Spilled(block) => (&block.0, &block.1, 0..block.1.keys.len()),
        }
    }

    fn text(&self, part: usize) -> StringArray {
        let (texts, finished, rows) = self.parts();
        texts.column(finished.keys[rows].iter().map(|key| key[part]))
    }

    /// The labels of its rows.
    pub(super) fn labels(&self) -> StringArray {
        self.text(2)
    }

    /// Its rows. `names` are those of the day.
    pub(super) fn rows(&self, names: &Interner, capacity: &Capacity, policy: &Policy) -> PodRows {
        let (texts, finished, rows) = self.parts();
        let keys = &finished.keys[rows.clone()];
        let of_day = |node: Sym| match self {
            Self::Held(..) => Some(node),
            Self::Spilled(_) => names.find(texts.get(node)?),
        };
        let hours = keys.iter().map(|key| of_day(key[1]).map(|node| capacity.node(node)).unwrap_or_default());
        let (core_hours, memory_hours): (Vec<f64>, Vec<f64>) =
            hours.map(|[cpu, memory]| (cpu, memory)).unzip();
        // Rows are sorted by namespace, so its category is mostly that of the row before.
        let mut latest: Option<(Sym, Option<i32>)> = None;
        let category = |key: &[Sym; 3]| match latest {
            Some((known, category)) if known == key[0] => category,
            _ => latest.insert((key[0], policy.categories.matches(texts.get(key[0])).id())).1,
        };
        let slice = |column: &Float64Array| column.slice(rows.start, rows.len());
        let resource_ids = texts.column(finished.resource_ids[rows.clone()].iter().copied());
        PodRows {
            namespaces: self.text(0),
            nodes: self.text(1),
            resource_ids,
            sums: finished.sums.each_ref().map(slice),
            capacities: [
                slice(&finished.cores),
                core_hours.into(),
                slice(&finished.memory),
                memory_hours.into(),
                Float64Array::from_value(capacity.cluster[0], rows.len()),
                Float64Array::from_value(capacity.cluster[1], rows.len()),
            ],
            categories: keys.iter().map(category).collect(),
        }
    }
}
