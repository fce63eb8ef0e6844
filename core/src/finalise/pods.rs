//! Pod rows: usage by namespace, node and merged labels (SPEC 2.5).

use super::capacity::Capacity;
use super::joins::Joins;
use super::policy::Policy;
use crate::error::Result;
use crate::intern::{Interner, Sym};
use crate::port::Spill;
use crate::rows::BLOCK_ROWS;
use crate::state::{Block, DayState, Merged, PodSums, Remap, Run, Table, USAGE, sorted};

/// Bytes to gibibytes; exact.
pub(super) const GIB: f64 = 1.0 / (1u64 << 30) as f64;

/// Seconds to hours.
pub(super) const HOUR: f64 = 3600.0;

/// A finished Pod row, in hours, cores and gibibytes.
#[derive(Debug, Clone)]
pub(super) struct PodRow<'a> {
    pub(super) namespace: Option<&'a str>,
    pub(super) node: Option<&'a str>,
    pub(super) resource_id: Option<&'a str>,
    pub(super) labels: Option<&'a str>,
    /// In the order of [`POD_SUMS`](crate::rows::POD_SUMS).
    pub(super) sums: [Option<f64>; 8],
    /// In the order of [`CAPACITIES`](crate::rows::CAPACITIES).
    pub(super) capacities: [Option<f64>; 6],
    pub(super) category: Option<i32>,
}

/// Usage by namespace, node and merged labels.
#[derive(Debug)]
pub(super) enum Pods {
    /// In memory, and the order of the keys.
    Held(Table<3, PodSums>, Vec<usize>),
    /// Sorted runs; a group can be in several. Where nothing can be spilled, this cannot be either.
    Spilled { runs: Vec<Run<3>>, _within: Spill },
}

/// Some groups of them, in order.
#[derive(Debug)]
pub(super) enum PodBlock<'a> {
    Held(&'a Interner, &'a Table<3, PodSums>, &'a [usize]),
    Spilled(Block<3, PodSums>),
}

/// Gathers usage under its merged labels, fan-out included.
pub(super) fn group(
    state: &mut DayState,
    joins: &mut Joins<'_>,
    fanned_out: &mut u64,
) -> Result<Pods> {
    if let Some(spill) = state.spilled.to.clone() {
        return group_spilled(state, joins, fanned_out, spill);
    }
    let DayState { names, usage, .. } = state;
    let usage = std::mem::take(usage);
    let mut groups: Table<3, PodSums> = Table::with_capacity(usage.len());
    let mut sets = Vec::new();
    for (&[namespace, node, own], sums) in usage.iter() {
        let times = joined(names, joins, [namespace, node, own], sums, fanned_out, &mut sets);
        for &set in &sets {
            let group = groups.group([namespace, node, set]);
            let into = groups.value_mut(group);
            into.add_times(sums, times)?;
            into.resource_id = names.max(into.resource_id, sums.resource_id);
        }
    }
    let order = sorted(names, &groups, [true; 3]);
    Ok(Pods::Held(groups, order))
}

/// The same for a day that had to be spilled: block by block, and spilled again under its new keys.
fn group_spilled(
    state: &mut DayState,
    joins: &mut Joins<'_>,
    fanned_out: &mut u64,
    spill: Spill,
) -> Result<Pods> {
    let DayState { names, spilled, .. } = state;
    let known = names.len();
    let (mut runs, mut sets) = (Vec::new(), Vec::new());
    let mut groups: Block<3, PodSums> = Block::default();
    for block in Merged::of(&Merged::<3, PodSums>::reduced(std::mem::take(&mut spilled.usage), &spill)?)? {
        let block: Block<3, PodSums> = block?;
        for (key, sums) in block.table.iter() {
            let key @ [namespace, node, _] = key.map(|part| Remap::once(&block.names, names).sym(part));
            let times = joined(names, joins, key, sums, fanned_out, &mut sets);
            for &set in &sets {
                let key = [namespace, node, set].map(|part| Remap::once(names, &mut groups.names).sym(part));
                let group = groups.table.group(key);
                let into = groups.table.value_mut(group);
                into.add_times(sums, times)?;
                into.resource_id =
                    Remap::once(&block.names, &mut groups.names).max(into.resource_id, sums.resource_id);
            }
        }
        // What this block's labels were and became is not needed for the next one.
        names.truncate(known);
        joins.forget();
        if groups.memory_size() > spill.bytes {
            runs.push(Run::of(&groups.names, &groups.table, USAGE, &spill)?);
            groups = Block::default();
        }
    }
    runs.push(Run::of(&groups.names, &groups.table, USAGE, &spill)?);
    Ok(Pods::Spilled { runs: Merged::<3, PodSums>::reduced(runs, &spill)?, _within: spill })
}

/// Puts the merged label sets that a group's usage belongs to into `sets`; how often to each (SPEC 2.3, 2.10).
fn joined(
    names: &mut Interner,
    joins: &mut Joins<'_>,
    [namespace, node, own]: [Sym; 3],
    sums: &PodSums,
    fanned_out: &mut u64,
    sets: &mut Vec<Sym>,
) -> u64 {
    let times = joins.repeats(names, namespace);
    joins.labels(names, node, namespace, [own, Sym::NULL], sets);
    *fanned_out += sums.rows * (times * sets.len() as u64 - 1);
    times
}

impl Pods {
    /// All groups in the order of their keys.
    pub(super) fn blocks<'a>(
        &'a self,
        names: &'a Interner,
    ) -> Result<Box<dyn Iterator<Item = Result<PodBlock<'a>>> + Send + 'a>> {
        Ok(match self {
            Self::Held(groups, order) => {
                Box::new(order.chunks(BLOCK_ROWS).map(move |order| Ok(PodBlock::Held(names, groups, order))))
            }
            Self::Spilled { runs, .. } => {
                Box::new(Merged::of(runs)?.map(|block| Ok(PodBlock::Spilled(block?))))
            }
        })
    }
}

/// The rows of a block. `names` are those of the day.
pub(super) fn rows<'a>(
    block: &'a PodBlock<'a>,
    names: &Interner,
    capacity: &Capacity,
    policy: &Policy,
) -> Vec<PodRow<'a>> {
    // Rows are sorted by namespace, so its category is mostly that of the row before.
    let mut latest: Option<(Sym, Option<i32>)> = None;
    let mut category = |namespace: Sym, text: Option<&str>| match latest {
        Some((known, category)) if known == namespace => category,
        _ => latest.insert((namespace, policy.categories.matches(text).id())).1,
    };
    let mut row = |texts: &'a Interner, key: &[Sym; 3], sums: &PodSums, of_day: Option<Sym>| {
        let [namespace, node, labels] = key.map(|part| texts.get(part));
        let of_node = of_day.map(|node| capacity.node(node)).unwrap_or_default();
        let hours = |metric: usize| {
            let unit = if metric < 4 { 1.0 } else { GIB };
            sums.sum(metric).map(|seconds| seconds / HOUR * unit)
        };
        PodRow {
            namespace,
            node,
            resource_id: texts.get(sums.resource_id),
            labels,
            sums: std::array::from_fn(hours),
            capacities: [
                sums.cores.get(),
                Some(of_node[0]),
                sums.memory_bytes.get().map(|bytes| bytes * GIB),
                Some(of_node[1]),
                Some(capacity.cluster[0]),
                Some(capacity.cluster[1]),
            ],
            category: category(key[0], namespace),
        }
    };
    match block {
        PodBlock::Held(texts, groups, order) => order
            .iter()
            .map(|&at| row(texts, groups.key(at), groups.value(at), Some(groups.key(at)[1])))
            .collect(),
        PodBlock::Spilled(Block { names: texts, table }) => {
            let of_day = |key: &[Sym; 3]| names.find(texts.get(key[1])?);
            table.iter().map(|(key, sums)| row(texts, key, sums, of_day(key))).collect()
        }
    }
}
