//! Days that do not fit into memory: their groups leave as sorted runs and come back in the order of their keys.
//!
//! ```text
//! DayState -- spill --> run: usage  | block | block | block …   sorted by key, a few hundred groups each
//!                            mounts | block …
//!                            rest   | capacity, volumes, node and namespace labels, whole
//! runs -- Merged --> blocks of all of them, equal keys merged
//! ```
//!
//! The two tables that grow with pods come back a block at a time; the others grow with nodes, namespaces and claims,
//! and are held again when their day is finished. A block is one Arrow IPC stream, as in a state's encoded form.
//! Sums are integers, so where and how often a group was cut cannot be seen in them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::day::DayState;
use super::order::sorted;
use super::table::{Accumulator, Remap, Table};
use super::values::{Member, PodSums};
use super::wire::{Columns, MOUNTS, STREAMS, USAGE, read, write_groups};
use crate::error::Result;
use crate::intern::{Interner, Sym};
use crate::port::{ReadAt, Spill};

/// Groups of a block: as few as make the cost of a block small beside that of its groups, because a merge holds a
/// block of every run.
const BLOCK_GROUPS: usize = 256;

/// Bytes after which a block ends in any case, for keys with very long texts.
const BLOCK_BYTES: usize = 256 << 10;

/// Some groups in the order of their keys, with the texts of these alone.
#[derive(Debug)]
pub(crate) struct Block<const N: usize, A> {
    pub(crate) names: Interner,
    pub(crate) table: Table<N, A>,
}

impl<const N: usize, A> Default for Block<N, A> {
    fn default() -> Self {
        Self { names: Interner::default(), table: Table::default() }
    }
}

impl<const N: usize, A: Accumulator> Block<N, A> {
    /// Bytes held on the heap.
    pub(crate) fn memory_size(&self) -> usize {
        self.names.memory_size() + self.table.memory_size()
    }
}

/// Sorted groups, kept elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct Run<const N: usize> {
    keys: [&'static str; N],
    bytes: Arc<dyn ReadAt>,
    blocks: Vec<Range<u64>>,
}

impl<const N: usize> Run<N> {
    /// Keeps a table as one run.
    pub(crate) fn of<A: Columns>(
        names: &Interner,
        table: &Table<N, A>,
        keys: [&'static str; N],
        spill: &Spill,
    ) -> Result<Self> {
        Self::keep(keys, spill, &mut blocks(names, table, keys))
    }

    fn keep(
        keys: [&'static str; N],
        spill: &Spill,
        blocks: &mut dyn Iterator<Item = Result<Vec<u8>>>,
    ) -> Result<Self> {
        let mut ranges = Ranges::default();
        let bytes = spill.store.keep(&mut blocks.inspect(|block| ranges.add(block)))?;
        Ok(Self { keys, bytes, blocks: ranges.found })
    }

    /// Bytes that a place in the run holds while it is merged: a block, in less than twice its encoded size.
    fn cursor_bytes(&self) -> usize {
        self.blocks.iter().map(|block| 2 * (block.end - block.start) as usize).max().unwrap_or_default()
    }

    fn block<A: Columns>(&self, at: usize) -> Result<Option<Block<N, A>>> {
        let Some(range) = self.blocks.get(at) else { return Ok(None) };
        let mut names = Interner::default();
        let table = read(&mut names, &self.bytes.read_at(range.clone())?, self.keys, [true; N])?;
        Ok(Some(Block { names, table }))
    }
}

fn blocks<const N: usize, A: Columns>(
    names: &Interner,
    table: &Table<N, A>,
    keys: [&'static str; N],
) -> impl Iterator<Item = Result<Vec<u8>>> {
    let order = sorted(names, table, [true; N]);
    let text =
        |group| table.key(group).iter().filter_map(|part| names.get(*part)).map(str::len).sum::<usize>();
    let mut end = 0;
    std::iter::from_fn(move || {
        let (start, mut bytes) = (end, 0);
        while end < order.len() && end - start < BLOCK_GROUPS && bytes < BLOCK_BYTES {
            bytes += text(order[end]);
            end += 1;
        }
        (start < end).then(|| write_groups(names, table, &order[start..end], keys, [true; N]))
    })
}

/// Where blocks come to lie that are kept one behind the other.
#[derive(Debug, Default)]
struct Ranges {
    found: Vec<Range<u64>>,
}

impl Ranges {
    fn add(&mut self, block: &Result<Vec<u8>>) {
        let start = self.found.last().map_or(0, |range| range.end);
        let length = block.as_ref().map_or(0, Vec::len);
        self.found.push(start..start + length as u64);
    }
}

type Rest = (Arc<dyn ReadAt>, [Range<u64>; STREAMS]);

/// What a day has out of memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spilled {
    /// The runs of the usage table.
    pub(crate) usage: Vec<Run<3>>,
    /// The runs of the table of mounts.
    pub(crate) mounts: Vec<Run<4>>,
    /// The other tables, as streams of the encoded form.
    rest: Vec<Rest>,
    /// Where they were put.
    pub(crate) to: Option<Spill>,
}

impl Spilled {
    pub(super) fn append(&mut self, other: Self) {
        self.usage.extend(other.usage);
        self.mounts.extend(other.mounts);
        self.rest.extend(other.rest);
        self.to = self.to.take().or(other.to);
    }
}

impl DayState {
    /// Makes the day ready to be finished within these bytes: what does not fit goes out of memory. Returns the bytes that
    /// finishing may take: those of the day twice, since it is regrouped, and of what its joins repeat.
    pub fn fit(&mut self, spill: &Spill) -> Result<usize> {
        let (held, repeated) = (self.memory_size(), self.repeated_size());
        if self.spilled.to.is_none() && held.saturating_add(repeated) <= spill.bytes {
            return Ok(2 * held + repeated);
        }
        self.spill(spill)?;
        self.spilled.to = Some(spill.clone());
        Ok(spill.bytes)
    }

    /// Bytes of the groups that usage becomes beyond those it has, if all are distinct: one for each pair of a label set of
    /// its node and one of its namespace (SPEC 2.3).
    fn repeated_size(&self) -> usize {
        let (of_nodes, of_namespaces) = (self.sets(&self.node_labels), self.sets(&self.namespace_labels));
        if of_nodes.values().chain(of_namespaces.values()).all(|(sets, _)| *sets <= 1) {
            return 0;
        }
        let beyond = |key: &[Sym; 3]| {
            let [namespace, node, _] = key;
            let (nodes, node_bytes) = of_nodes.get(node).copied().unwrap_or((1, 0));
            let (namespaces, namespace_bytes) = of_namespaces.get(namespace).copied().unwrap_or((1, 0));
            let pairs = nodes.saturating_mul(namespaces);
            let own = size_of::<[Sym; 3]>() + size_of::<PodSums>() + self.names.bytes(key);
            let inherited = |pairs: usize, sets: usize, bytes: usize| (pairs / sets).saturating_mul(bytes);
            let texts = inherited(pairs, nodes, node_bytes).saturating_add(inherited(
                pairs,
                namespaces,
                namespace_bytes,
            ));
            if pairs == 1 { 0 } else { (pairs - 1).saturating_mul(own).saturating_add(texts) }
        };
        self.usage.iter().map(|(key, _)| beyond(key)).fold(0, usize::saturating_add)
    }

    /// By owner, how many label sets it has and the bytes of their texts.
    fn sets(&self, labels: &Table<2, Member>) -> HashMap<Sym, (usize, usize), RandomState> {
        let mut by_owner = HashMap::default();
        for ([owner, set], _) in labels.iter() {
            let (sets, bytes) = by_owner.entry(*owner).or_insert((0, 0));
            (*sets, *bytes) = (*sets + 1, *bytes + self.names.bytes([set]));
        }
        by_owner
    }

    /// Puts everything that is held in memory out of it. Nothing is lost: merging, encoding and finishing go on, and after
    /// an error of the store everything is held as before.
    pub fn spill(&mut self, spill: &Spill) -> Result<()> {
        if self.groups() == 0 {
            return Ok(());
        }
        let usage = Run::of(&self.names, &self.usage, USAGE, spill)?;
        let mounts = Run::of(&self.names, &self.mounts, MOUNTS, spill)?;
        let rest = self.keep_rest(spill)?;
        let mut spilled = std::mem::take(&mut self.spilled);
        spilled.usage.extend((!usage.blocks.is_empty()).then_some(usage));
        spilled.mounts.extend((!mounts.blocks.is_empty()).then_some(mounts));
        spilled.rest.push(rest);
        spilled.to = Some(spill.clone());
        *self = Self { spilled, ..Self::default() };
        Ok(())
    }

    /// Keeps the tables that have no runs.
    fn keep_rest(&mut self, spill: &Spill) -> Result<Rest> {
        let in_runs = (std::mem::take(&mut self.usage), std::mem::take(&mut self.mounts));
        let streams = self.to_streams();
        (self.usage, self.mounts) = in_runs;
        let mut ranges = Ranges::default();
        let mut streams = streams?.into_iter().map(Ok).inspect(|stream| ranges.add(stream));
        let bytes = spill.store.keep(&mut streams)?;
        Ok((bytes, ranges.found.try_into().expect("a store asks for every block")))
    }

    /// A day as it is finished: held in memory, or its usage and mounts in runs alone, and the other tables held.
    pub(crate) fn settled(mut self) -> Result<Self> {
        let Some(spill) = self.spilled.to.clone() else { return Ok(self) };
        self.spill(&spill)?;
        self.restore_rest()
    }

    /// Takes the tables back that do not grow with pods.
    fn restore_rest(mut self) -> Result<Self> {
        for (bytes, ranges) in std::mem::take(&mut self.spilled.rest) {
            let mut streams = Vec::with_capacity(STREAMS);
            for range in ranges {
                streams.push(bytes.read_at(range)?);
            }
            self = self.merge(Self::from_streams(std::array::from_fn(|at| &*streams[at]))?)?;
        }
        Ok(self)
    }

    /// The day with everything in memory, for those who need it whole.
    pub(super) fn unspilled(&self) -> Result<Cow<'_, Self>> {
        let Some(_) = self.spilled.to else { return Ok(Cow::Borrowed(self)) };
        let mut whole = self.clone().restore_rest()?;
        let spilled = std::mem::take(&mut whole.spilled);
        let Self { names, usage, mounts, .. } = &mut whole;
        absorb_runs(names, usage, &spilled.usage)?;
        absorb_runs(names, mounts, &spilled.mounts)?;
        Ok(Cow::Owned(whole))
    }
}

fn absorb_runs<const N: usize, A: Columns>(
    names: &mut Interner,
    table: &mut Table<N, A>,
    runs: &[Run<N>],
) -> Result<()> {
    for block in Merged::of(runs)? {
        let block: Block<N, A> = block?;
        table.absorb(&block.table, [true; N], &mut Remap::new(&block.names, names))?;
    }
    Ok(())
}

/// The groups of several runs as one sequence of blocks.
#[derive(Debug)]
pub(crate) struct Merged<const N: usize, A: Columns> {
    heap: BinaryHeap<Cursor<N, A>>,
}

impl<const N: usize, A: Columns> Merged<N, A> {
    /// Starts before the first group. Holds a block of every run.
    pub(crate) fn of(runs: &[Run<N>]) -> Result<Self> {
        let cursors = runs.iter().map(|run| Cursor::open(run.clone()));
        Ok(Self { heap: cursors.filter_map(Result::transpose).collect::<Result<_>>()? })
    }

    /// As few runs as can be merged within half of what may be held.
    pub(crate) fn reduced(mut runs: Vec<Run<N>>, spill: &Spill) -> Result<Vec<Run<N>>> {
        let may_hold = spill.bytes / 2;
        loop {
            let held: usize = runs.iter().map(Run::cursor_bytes).sum();
            if held <= may_hold || runs.len() <= 2 {
                return Ok(runs);
            }
            // As many as fit at the average size; all of them fit once the surplus has become one.
            let most = (runs.len() as u64 * may_hold as u64 / held as u64).max(2) as usize;
            let surplus = (runs.len() - most + 1).clamp(2, most);
            let some: Vec<Run<N>> = runs.drain(..surplus).collect();
            let keys = some[0].keys;
            let mut blocks = Self::of(&some)?.map(|block| {
                let Block { names, table } = block?;
                let order: Vec<usize> = (0..table.len()).collect();
                write_groups(&names, &table, &order, keys, [true; N])
            });
            runs.push(Run::keep(keys, spill, &mut blocks)?);
        }
    }

    fn next_block(&mut self) -> Result<Block<N, A>> {
        let mut block: Block<N, A> = Block::default();
        while let Some(mut first) = self.heap.peek_mut() {
            let key = first.key();
            let last = block.table.len().checked_sub(1).map(|last| *block.table.key(last));
            let again = last.is_some_and(|last| last.map(|part| block.names.get(part)) == key);
            let is_full = block.table.len() >= BLOCK_GROUPS || block.memory_size() >= BLOCK_BYTES;
            if is_full && !again && !block.table.is_empty() {
                break;
            }
            let group = match again {
                true => block.table.len() - 1,
                false => block.table.group(key.map(|part| block.names.intern_option(part))),
            };
            let mut remap = Remap::once(&first.block.names, &mut block.names);
            block.table.value_mut(group).absorb(first.block.table.value(first.at), &mut remap)?;
            if !first.advance()? {
                PeekMut::pop(first);
            }
        }
        Ok(block)
    }
}

impl<const N: usize, A: Columns> Iterator for Merged<N, A> {
    type Item = Result<Block<N, A>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.heap.is_empty() {
            return None;
        }
        let block = self.next_block();
        if block.is_err() {
            self.heap.clear();
        }
        Some(block)
    }
}

/// A place in a run.
#[derive(Debug)]
struct Cursor<const N: usize, A> {
    run: Run<N>,
    next: usize,
    block: Block<N, A>,
    at: usize,
}

impl<const N: usize, A: Columns> Cursor<N, A> {
    fn open(run: Run<N>) -> Result<Option<Self>> {
        Ok(run.block(0)?.map(|block| Self { run, next: 1, block, at: 0 }))
    }

    /// Goes to the next group; false where there is none.
    fn advance(&mut self) -> Result<bool> {
        self.at += 1;
        if self.at < self.block.table.len() {
            return Ok(true);
        }
        match self.run.block(self.next)? {
            None => Ok(false),
            Some(block) => {
                (self.block, self.at, self.next) = (block, 0, self.next + 1);
                Ok(true)
            }
        }
    }

    /// NULL sorts before any text, as it does in `sorted`.
    fn key(&self) -> [Option<&str>; N] {
        self.block.table.key(self.at).map(|part| self.block.names.get(part))
    }
}

/// A heap's top is its largest: the cursor with the smallest key.
impl<const N: usize, A: Columns> Ord for Cursor<N, A> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl<const N: usize, A: Columns> PartialOrd for Cursor<N, A> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<const N: usize, A: Columns> PartialEq for Cursor<N, A> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<const N: usize, A: Columns> Eq for Cursor<N, A> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::memory::MemorySpill;

    const GROUPS: usize = 3 * BLOCK_GROUPS;

    /// A group for each number, in which `value` was counted.
    fn run(numbers: impl Iterator<Item = usize>, value: f64, spill: &Spill) -> Run<3> {
        let mut names = Interner::default();
        let mut table: Table<3, PodSums> = Table::default();
        for number in numbers {
            let labels = if number == 0 { Sym::NULL } else { names.intern(&format!("{number:04}")) };
            let group = table.group([names.intern("namespace"), names.intern("node"), labels]);
            let sums = table.value_mut(group);
            assert!(sums.sums[0].add(value));
            (sums.present, sums.rows) = (1, 1);
        }
        Run::of(&names, &table, USAGE, spill).expect("memory keeps everything")
    }

    /// Labels, sum and rows of every group, in the order they come.
    fn read_all(runs: &[Run<3>]) -> Vec<(Option<String>, Option<f64>, u64)> {
        let mut found = Vec::new();
        for block in Merged::<3, PodSums>::of(runs).expect("readable") {
            let Block { names, table } = block.expect("readable");
            assert!((1..=BLOCK_GROUPS).contains(&table.len()));
            let labels = |key: &[Sym; 3]| names.get(key[2]).map(str::to_owned);
            found.extend(table.iter().map(|(key, sums)| (labels(key), sums.sum(0), sums.rows)));
        }
        found
    }

    #[test]
    fn runs_come_back_in_order_and_every_group_once() {
        let spill = Spill { bytes: 0, store: Arc::new(MemorySpill) };
        let runs: Vec<Run<3>> = vec![
            run((0..GROUPS).rev(), 1.0, &spill),
            run((0..GROUPS).filter(|number| number % 2 == 0), 2.0, &spill),
            run(GROUPS - 5..GROUPS, 4.0, &spill),
            run(0..1, 8.0, &spill),
        ];
        let expected: Vec<_> = (0..GROUPS)
            .map(|number| {
                let inside = [true, number % 2 == 0, number >= GROUPS - 5, number == 0];
                let sum: f64 = inside
                    .iter()
                    .zip([1.0, 2.0, 4.0, 8.0])
                    .map(|(is, value)| f64::from(u8::from(*is)) * value)
                    .sum();
                let rows = inside.iter().filter(|is| **is).count() as u64;
                ((number > 0).then(|| format!("{number:04}")), Some(sum), rows)
            })
            .collect();
        assert_eq!(read_all(&runs), expected);
        let fewer = Merged::<3, PodSums>::reduced(runs, &spill).expect("memory keeps everything");
        assert_eq!(fewer.len(), 2, "no more than fit");
        assert_eq!(read_all(&fewer), expected);
    }
}
