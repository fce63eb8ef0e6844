//! Text as small integers, private to one day of one state.
//!
//! ```
//! use daysum_core::intern::{Interner, Sym};
//! let mut names = Interner::default();
//! let node = names.intern("node-1");
//! assert_eq!(names.intern("node-1"), node);
//! assert_eq!(names.get(node), Some("node-1"));
//! assert_eq!(names.get(Sym::NULL), None); // NULL is no text, and not the empty one
//! ```

use std::hash::BuildHasher;

use arrow::array::StringArray;
use arrow::array::builder::StringBuilder;
use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// A text of one [`Interner`], or NULL. Two texts are equal where their symbols are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sym(pub u32);

impl Sym {
    /// SQL's NULL: equal to itself as a key, joined with nothing.
    pub const NULL: Self = Self(u32::MAX);

    /// Whether it is NULL.
    pub fn is_null(self) -> bool {
        self == Self::NULL
    }
}

/// Distinct texts, numbered in the order they came.
#[derive(Debug, Clone, Default)]
pub struct Interner {
    text: String,
    /// Where each text ends; it starts where the one before ends.
    ends: Vec<usize>,
    index: HashTable<Entry>,
    hasher: RandomState,
}

/// A symbol and half of its text's hash, so that a growing index reads no text.
#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: u32,
    sym: u32,
}

impl Entry {
    /// What the table goes by: its groups by the lower bits, what tells their entries apart by the upper ones.
    fn spread(hash: u32) -> u64 {
        u64::from(hash) << 32 | u64::from(hash)
    }
}

impl Interner {
    /// The symbol of a text.
    ///
    /// # Panics
    /// With 2^32 - 1 distinct texts, which take more memory than any limit grants.
    pub fn intern(&mut self, text: &str) -> Sym {
        let Self { text: arena, ends, index, hasher } = self;
        let hash = hasher.hash_one(text) as u32;
        let same = |entry: &Entry| entry.hash == hash && slice(arena, ends, entry.sym) == text;
        if let Some(found) = index.find(Entry::spread(hash), same) {
            return Sym(found.sym);
        }
        let sym =
            u32::try_from(ends.len()).ok().filter(|sym| *sym != u32::MAX).expect("fewer than 2^32 - 1 texts");
        arena.push_str(text);
        ends.push(arena.len());
        index.insert_unique(Entry::spread(hash), Entry { hash, sym }, |entry| Entry::spread(entry.hash));
        Sym(sym)
    }

    /// The symbol of a text that may be missing.
    pub fn intern_option(&mut self, text: Option<&str>) -> Sym {
        text.map_or(Sym::NULL, |text| self.intern(text))
    }

    /// The symbol of a text that was interned before.
    pub fn find(&self, text: &str) -> Option<Sym> {
        let hash = self.hasher.hash_one(text) as u32;
        let same = |entry: &Entry| entry.hash == hash && slice(&self.text, &self.ends, entry.sym) == text;
        self.index.find(Entry::spread(hash), same).map(|entry| Sym(entry.sym))
    }

    /// Whether a symbol, of this interner or not, is that of the text.
    #[inline]
    pub fn is(&self, sym: Sym, text: &str) -> bool {
        let at = sym.0 as usize;
        let Some(&end) = self.ends.get(at) else { return false };
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        self.text.as_bytes()[start..end] == *text.as_bytes()
    }

    /// The text of a symbol; `None` for NULL.
    ///
    /// # Panics
    /// For a symbol of another interner that this one does not have.
    pub fn get(&self, sym: Sym) -> Option<&str> {
        (!sym.is_null()).then(|| slice(&self.text, &self.ends, sym.0))
    }

    /// Bytes of the texts of symbols, each as often as it is there.
    pub(crate) fn bytes<'a>(&self, syms: impl IntoIterator<Item = &'a Sym>) -> usize {
        syms.into_iter().filter_map(|sym| self.get(*sym)).map(str::len).sum()
    }

    /// The texts of symbols as a column.
    pub(crate) fn column(&self, syms: impl ExactSizeIterator<Item = Sym> + Clone) -> StringArray {
        let texts = syms.map(|sym| self.get(sym));
        let bytes = texts.clone().flatten().map(str::len).sum();
        let mut column = StringBuilder::with_capacity(texts.len(), bytes);
        texts.for_each(|text| column.append_option(text));
        column.finish()
    }

    /// Forgets every text but the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.index.retain(|entry| (entry.sym as usize) < len);
        self.ends.truncate(len);
        self.text.truncate(self.ends.last().copied().unwrap_or_default());
    }

    /// Gives back what is in reserve for texts that will not come.
    pub fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes held on the heap, without what is in reserve and was never written.
    pub fn memory_size(&self) -> usize {
        self.text.len() + self.ends.len() * size_of::<usize>() + self.index.allocation_size()
    }

    /// The larger of two texts, bytewise (SPEC 4.3); NULL is smaller than any.
    pub fn max(&self, left: Sym, right: Sym) -> Sym {
        if left == right || self.get(left) >= self.get(right) { left } else { right }
    }
}

fn slice<'a>(text: &'a str, ends: &[usize], sym: u32) -> &'a str {
    let end = ends[sym as usize];
    let start = if sym == 0 { 0 } else { ends[sym as usize - 1] };
    &text[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_empty_stay_apart() {
        let mut texts = Interner::default();
        let empty = texts.intern("");
        assert_ne!(empty, Sym::NULL);
        assert_eq!(texts.intern_option(None), Sym::NULL);
        assert_eq!(texts.get(empty), Some(""));
        assert_eq!(texts.max(empty, Sym::NULL), empty);
        assert_eq!(texts.max(Sym::NULL, Sym::NULL), Sym::NULL);
    }

    #[test]
    fn many_texts_keep_their_symbols_while_the_table_grows() {
        let mut texts = Interner::default();
        let symbols: Vec<Sym> = (0..10_000).map(|number| texts.intern(&format!("text-{number}"))).collect();
        for (number, symbol) in symbols.into_iter().enumerate() {
            assert_eq!(texts.find(&format!("text-{number}")), Some(symbol));
        }
        assert_eq!(texts.len(), 10_000);
        assert_eq!(texts.find("never seen"), None);
        texts.truncate(10);
        assert_eq!((texts.len(), texts.find("text-9"), texts.find("text-10")), (10, Some(Sym(9)), None));
        assert_eq!(texts.intern("another"), Sym(10));
        texts.truncate(0);
        assert_eq!((texts.is_empty(), texts.find("text-0"), texts.intern("text-0")), (true, None, Sym(0)));
    }
}
