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

/// Label texts met before, and their canonical sets. Where a column has more text than a dictionary page holds,
/// every batch comes with a dictionary of its own, and comparing text is far cheaper than parsing it again.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    texts: Interner,
    sets: Vec<Sym>,
}

/// Bytes of label text kept per day and column before they are forgotten.
const MAX_PARSED: usize = 16 << 20;

/// Days and columns of which label texts are kept at once.
const MAX_PARSED_DAYS: usize = 8;

impl Parsed {
    /// The set of a text, found by `parse` where it is new.
    pub(super) fn set(&mut self, text: &str, parse: impl FnOnce() -> Result<Sym>) -> Result<Sym> {
        if let Some(known) = self.texts.find(text) {
            return Ok(self.sets[known.0 as usize]);
        }
        let set = parse()?;
        if self.texts.memory_size() > MAX_PARSED {
            *self = Self::default();
        }
        self.texts.intern(text);
        self.sets.push(set);
        Ok(set)
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
            return rows
                .iter()
                .map(|&row| column.get(row as usize).map_or(Ok(Sym::NULL), |text| symbol(text, row as usize)))
                .collect();
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
        let parsed: usize = self.parsed.values().map(|parsed| parsed.texts.memory_size()).sum();
        let columns: usize = self
            .columns
            .values()
            .flat_map(|known| known.days.values())
            .map(|memo| memo.capacity() * size_of::<Option<Sym>>())
            .sum();
        parsed + columns
    }
}
