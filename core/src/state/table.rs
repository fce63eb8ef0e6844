//! Keys of symbols to dense groups, and one row of accumulators per group.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::error::Result;
use crate::intern::{Interner, Sym};

/// What a group accumulates. Merging is associative and commutative wherever it succeeds.
pub trait Accumulator: Clone + Default {
    /// Takes in what another group of the same key holds, whose symbols `remap` translates.
    fn absorb(&mut self, other: &Self, remap: &mut Remap<'_>) -> Result<()>;
}

/// Groups by `N` symbols. Groups are numbered in the order they came.
#[derive(Debug, Clone)]
pub struct Table<const N: usize, A> {
    keys: Vec<[Sym; N]>,
    values: Vec<A>,
    index: HashTable<u32>,
    hasher: RandomState,
}

impl<const N: usize, A> Default for Table<N, A> {
    fn default() -> Self {
        Self { keys: Vec::new(), values: Vec::new(), index: HashTable::new(), hasher: RandomState::default() }
    }
}

impl<const N: usize, A: Accumulator> Table<N, A> {
    /// A table that grows to this many groups without moving them.
    pub(crate) fn with_capacity(groups: usize) -> Self {
        Self {
            keys: Vec::with_capacity(groups),
            values: Vec::with_capacity(groups),
            index: HashTable::with_capacity(groups),
            hasher: RandomState::default(),
        }
    }

    /// The group of a key, made if it is new.
    #[inline]
    pub fn group(&mut self, key: [Sym; N]) -> usize {
        let Self { keys, values, index, hasher } = self;
        let hashed = hash(hasher, &key);
        if let Some(&found) = index.find(hashed, |&group| keys[group as usize] == key) {
            return found as usize;
        }
        let group = keys.len();
        keys.push(key);
        values.push(A::default());
        let number = u32::try_from(group).expect("fewer than 2^32 groups fit into any memory limit");
        index.insert_unique(hashed, number, |&group| hash(hasher, &keys[group as usize]));
        group
    }

    /// What a group has accumulated.
    #[inline]
    pub fn value_mut(&mut self, group: usize) -> &mut A {
        &mut self.values[group]
    }

    /// The key of a group.
    #[inline]
    pub fn key(&self, group: usize) -> &[Sym; N] {
        &self.keys[group]
    }

    /// The group of a key that is expected at a place.
    #[inline]
    pub(crate) fn group_near(&mut self, expected: usize, key: [Sym; N]) -> usize {
        if self.keys.get(expected) == Some(&key) { expected } else { self.group(key) }
    }

    /// What a group has accumulated.
    pub fn value(&self, group: usize) -> &A {
        &self.values[group]
    }

    /// All groups, in the order they came.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[Sym; N], &A)> {
        self.keys.iter().zip(&self.values)
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Bytes held on the heap. What a vector has in reserve was never written, so that there is no memory behind it.
    pub fn memory_size(&self) -> usize {
        self.keys.len() * size_of::<[Sym; N]>()
            + self.values.len() * size_of::<A>()
            + self.index.allocation_size()
    }

    /// Takes in another table, whose symbols `remap` translates; `symbols` says which parts of a key are symbols.
    pub fn absorb(&mut self, other: &Self, symbols: [bool; N], remap: &mut Remap<'_>) -> Result<()> {
        for (key, value) in other.iter() {
            let mut ours = *key;
            for (part, is_symbol) in ours.iter_mut().zip(symbols) {
                if is_symbol {
                    *part = remap.sym(*part);
                }
            }
            let group = self.group(ours);
            self.values[group].absorb(value, remap)?;
        }
        Ok(())
    }
}

/// Two symbols at a time, instead of one write of the hasher per symbol.
#[inline(always)]
fn hash<const N: usize>(hasher: &RandomState, key: &[Sym; N]) -> u64 {
    let mut hasher = hasher.build_hasher();
    for pair in key.chunks(2) {
        let high = pair.get(1).map_or(0, |sym| u64::from(sym.0));
        hasher.write_u64(high << 32 | u64::from(pair[0].0));
    }
    hasher.finish()
}

/// Translates the symbols of one interner into those of another.
#[derive(Debug)]
pub struct Remap<'a> {
    from: &'a Interner,
    to: &'a mut Interner,
    known: Vec<Sym>,
}

impl<'a> Remap<'a> {
    /// Looks each text up once, for those who translate many groups.
    pub fn new(from: &'a Interner, to: &'a mut Interner) -> Self {
        Self { known: vec![Sym::NULL; from.len()], from, to }
    }

    /// Remembers nothing, for those who translate one group.
    pub fn once(from: &'a Interner, to: &'a mut Interner) -> Self {
        Self { known: Vec::new(), from, to }
    }

    /// The same text's symbol on the other side.
    pub fn sym(&mut self, sym: Sym) -> Sym {
        let Some(text) = self.from.get(sym) else { return Sym::NULL };
        match self.known.get_mut(sym.0 as usize) {
            None => self.to.intern(text),
            Some(known) => {
                if known.is_null() {
                    *known = self.to.intern(text);
                }
                *known
            }
        }
    }

    /// The larger of one of ours and one of theirs, as ours.
    pub fn max(&mut self, ours: Sym, theirs: Sym) -> Sym {
        let theirs = self.sym(theirs);
        self.to.max(ours, theirs)
    }
}
