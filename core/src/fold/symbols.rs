//! Text columns to symbols: one look-up per dictionary value and day, not one per row.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef};

use crate::day::Day;
use crate::error::Result;
use crate::intern::{Interner, Sym};
use crate::schema::TextColumn;

/// Entries kept before everything is forgotten: bounds what files of thousands of days can hold here.
const MAX_KNOWN: usize = 1 << 20;

/// What is known about the dictionaries of the columns, for as long as batches share them.
#[derive(Debug, Default)]
pub(super) struct Memo {
    columns: BTreeMap<&'static str, Known>,
    parsed: BTreeMap<(Day, &'static str), Parsed>,
}

/// By a pod's, node's or volume's symbol: where something of it was found last, which mostly is where it is found next.
/// A guess to be checked, for what it points into may be gone.
#[derive(Debug, Default)]
pub(super) struct Latest(Vec<u32>);

impl Latest {
    #[inline]
    pub(super) fn get(&self, owner: Sym) -> u32 {
        self.0.get(slot(owner)).copied().unwrap_or(u32::MAX)
    }

    pub(super) fn set(&mut self, owner: Sym, at: u32) {
        let slot = slot(owner);
        if slot >= self.0.len() {
            self.0.resize(slot + 1, u32::MAX);
        }
        self.0[slot] = at;
    }

    pub(super) fn memory_size(&self) -> usize {
        self.0.capacity() * size_of::<u32>()
    }
}

/// NULL comes first.
fn slot(owner: Sym) -> usize {
    owner.0.wrapping_add(1) as usize
}

/// Label texts met before, and their canonical sets. Comparing text is far cheaper than parsing it again, and comparing
/// it with what the same pod, node or volume had last is cheaper than looking for it.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    texts: Interner,
    sets: Vec<Sym>,
    latest: Latest,
}

/// Bytes of label text kept per day and column before they are forgotten.
const MAX_PARSED: usize = 16 << 20;

/// Days and columns of which label texts are kept at once.
const MAX_PARSED_DAYS: usize = 8;

impl Parsed {
    /// The set of a text, found by `parse` where it is new.
    pub(super) fn set(&mut self, text: &str, parse: impl FnOnce() -> Result<Sym>) -> Result<Sym> {
        let known = self.find(text, parse)?;
        Ok(self.sets[known.0 as usize])
    }

    /// The set of an owner's text.
    #[inline]
    pub(super) fn set_of(
        &mut self,
        owner: Sym,
        text: &str,
        parse: impl FnOnce() -> Result<Sym>,
    ) -> Result<Sym> {
        let latest = self.latest.get(owner);
        if self.texts.is(Sym(latest), text) {
            return Ok(self.sets[latest as usize]);
        }
        let known = self.find(text, parse)?;
        self.latest.set(owner, known.0);
        Ok(self.sets[known.0 as usize])
    }

    fn find(&mut self, text: &str, parse: impl FnOnce() -> Result<Sym>) -> Result<Sym> {
        if let Some(known) = self.texts.find(text) {
            return Ok(known);
        }
        let set = parse()?;
        if self.texts.memory_size() > MAX_PARSED {
            *self = Self::default();
        }
        self.sets.push(set);
        Ok(self.texts.intern(text))
    }

    fn memory_size(&self) -> usize {
        self.texts.memory_size() + self.sets.capacity() * size_of::<Sym>() + self.latest.memory_size()
    }
}

#[derive(Debug, Default)]
struct Known {
    dictionary: Option<ArrayRef>,
    days: BTreeMap<Day, Vec<Option<Sym>>>,
}

impl Memo {
    /// The symbol of every selected row, in their order.
    pub(super) fn symbols(
        &mut self,
        day: Day,
        name: &'static str,
        column: &TextColumn,
        rows: &[u32],
        mut symbol: impl FnMut(&str, usize) -> Result<Sym>,
    ) -> Result<Vec<Sym>> {
        let text = column;
        let TextColumn::Keys(column) = text else { return each(rows, text, symbol) };
        let values = column.values();
        let known = self.columns.entry(name).or_default();
        if !known.dictionary.as_ref().is_some_and(|dictionary| column.same_dictionary(dictionary))
            || (known.days.len() + 1) * values.len() > MAX_KNOWN
        {
            known.days.clear();
            known.dictionary = Some(column.dictionary().clone());
        }
        // With a dictionary much larger than the selection, remembering costs more than it saves.
        if values.len() > 8 * rows.len() {
            return each(rows, text, symbol);
        }
        let memo = known.days.entry(day).or_insert_with(|| vec![None; values.len()]);
        let mut found = Vec::with_capacity(rows.len());
        for &row in rows {
            let row = row as usize;
            let Some(key) = column.key(row) else {
                found.push(Sym::NULL);
                continue;
            };
            let sym = match memo[key] {
                Some(sym) => sym,
                None => {
                    let sym = if values.is_null(key) { Sym::NULL } else { symbol(values.value(key), row)? };
                    memo[key] = Some(sym);
                    sym
                }
            };
            found.push(sym);
        }
        Ok(found)
    }

    /// What is known of a column's label texts; give it back with [`keep`](Self::keep).
    pub(super) fn parsed(&mut self, day: Day, name: &'static str) -> Parsed {
        self.parsed.remove(&(day, name)).unwrap_or_default()
    }

    pub(super) fn keep(&mut self, day: Day, name: &'static str, parsed: Parsed) {
        // Files of thousands of days must not keep all of their texts.
        if self.parsed.len() >= MAX_PARSED_DAYS {
            self.parsed.clear();
        }
        self.parsed.insert((day, name), parsed);
    }

    pub(super) fn memory_size(&self) -> usize {
        let parsed: usize = self.parsed.values().map(Parsed::memory_size).sum();
        let columns: usize = self
            .columns
            .values()
            .flat_map(|known| known.days.values())
            .map(|memo| memo.capacity() * size_of::<Option<Sym>>())
            .sum();
        parsed + columns
    }
}

/// Looks at every selected row.
fn each(
    rows: &[u32],
    column: &TextColumn,
    mut symbol: impl FnMut(&str, usize) -> Result<Sym>,
) -> Result<Vec<Sym>> {
    let rows = rows.iter().map(|&row| row as usize);
    rows.map(|row| column.get(row).map_or(Ok(Sym::NULL), |text| symbol(text, row))).collect()
}
