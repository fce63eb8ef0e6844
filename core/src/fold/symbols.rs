//! Text columns to symbols: one look-up per dictionary value and day, not one per row.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef};

use crate::day::Day;
use crate::error::Result;
use crate::intern::{Interner, Sym};
use crate::schema::TextColumn;

/// What is remembered to save work.
#[derive(Debug, Default)]
pub(super) struct Memo {
    pub(super) dictionaries: Dictionaries,
    pub(super) labels: LabelMemo,
}

impl Memo {
    /// Symbols are those of days that are gone; texts are what they were.
    pub(super) fn forget_days(&mut self) {
        self.dictionaries.columns.values_mut().for_each(|known| known.days.clear());
        self.labels.columns.clear();
    }

    pub(super) fn memory_size(&self) -> usize {
        self.dictionaries.memory_size() + self.labels.memory_size()
    }
}

/// What is known about the dictionaries of the columns, for as long as batches share them.
#[derive(Debug, Default)]
pub(super) struct Dictionaries {
    columns: BTreeMap<&'static str, Known>,
}

/// Entries kept before everything is forgotten: bounds what files of thousands of days can hold here.
const MAX_KNOWN: usize = 1 << 20;

#[derive(Debug, Default)]
struct Known {
    dictionary: Option<ArrayRef>,
    days: BTreeMap<Day, Vec<Option<Sym>>>,
}

impl Dictionaries {
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

    fn memory_size(&self) -> usize {
        let days = self.columns.values().flat_map(|known| known.days.values());
        days.map(|memo| memo.capacity() * size_of::<Option<Sym>>()).sum()
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

/// Label texts met before, and their canonical sets: the same pods come again in every hour of every day. Comparing text is
/// far cheaper than parsing it again, and comparing it with what the same pod, node or volume had last is cheaper than
/// looking for it.
#[derive(Debug, Default)]
pub(super) struct LabelMemo {
    texts: LabelTexts,
    columns: BTreeMap<(Day, &'static str), LabelSymbols>,
}

/// Days and columns that are remembered at once: files of thousands of days must not be remembered as a whole.
const MAX_LABEL_COLUMNS: usize = 64;

impl LabelMemo {
    /// What is known of one column; `names` are those of the day.
    pub(super) fn of<'a>(
        &'a mut self,
        day: Day,
        column: &'static str,
        names: &'a mut Interner,
    ) -> Labels<'a> {
        if self.columns.len() >= MAX_LABEL_COLUMNS {
            self.columns.clear();
        }
        let symbols = self.columns.entry((day, column)).or_default();
        symbols.forget_unless(self.texts.generation);
        Labels { texts: &mut self.texts, symbols, names }
    }

    fn memory_size(&self) -> usize {
        let symbols = |column: &LabelSymbols| {
            column.by_text.capacity() * size_of::<Option<Sym>>() + column.latest.memory_size()
        };
        self.texts.memory_size() + self.columns.values().map(symbols).sum::<usize>()
    }
}

#[derive(Debug, Default)]
struct LabelTexts {
    /// How often everything was forgotten.
    generation: u32,
    texts: Interner,
    /// By text.
    set_of: Vec<Sym>,
    sets: Interner,
}

/// Bytes of label texts and sets that are kept before they are forgotten.
const MAX_TEXTS: usize = 16 << 20;

impl LabelTexts {
    fn memory_size(&self) -> usize {
        self.texts.memory_size() + self.sets.memory_size() + self.set_of.capacity() * size_of::<Sym>()
    }
}

/// Of one day and column.
#[derive(Debug, Default)]
struct LabelSymbols {
    /// Of the texts.
    generation: u32,
    /// The day's symbol of a text's set, where it was asked for.
    by_text: Vec<Option<Sym>>,
    /// An owner's latest text.
    latest: Latest,
}

impl LabelSymbols {
    fn forget_unless(&mut self, generation: u32) {
        if self.generation != generation {
            *self = Self { generation, ..Self::default() };
        }
    }
}

/// Looks up the labels of one column and day.
pub(super) struct Labels<'a> {
    texts: &'a mut LabelTexts,
    symbols: &'a mut LabelSymbols,
    names: &'a mut Interner,
}

impl Labels<'_> {
    /// The symbol of a text's canonical set, found by `parse` where it is new.
    pub(super) fn symbol(&mut self, text: &str, parse: impl FnOnce(&str) -> Result<String>) -> Result<Sym> {
        let text = self.find(text, parse)?;
        Ok(self.symbol_of(text))
    }

    /// The same for the text of an owner.
    #[inline]
    pub(super) fn symbol_for(
        &mut self,
        owner: Sym,
        text: &str,
        parse: impl FnOnce(&str) -> Result<String>,
    ) -> Result<Sym> {
        let latest = Sym(self.symbols.latest.get(owner));
        if self.texts.texts.is(latest, text) {
            return Ok(self.symbol_of(latest));
        }
        let text = self.find(text, parse)?;
        self.symbols.latest.set(owner, text.0);
        Ok(self.symbol_of(text))
    }

    fn find(&mut self, text: &str, parse: impl FnOnce(&str) -> Result<String>) -> Result<Sym> {
        if let Some(known) = self.texts.texts.find(text) {
            return Ok(known);
        }
        let set = parse(text)?;
        if self.texts.memory_size() > MAX_TEXTS {
            *self.texts = LabelTexts { generation: self.texts.generation + 1, ..LabelTexts::default() };
            self.symbols.forget_unless(self.texts.generation);
        }
        let set = self.texts.sets.intern(&set);
        self.texts.set_of.push(set);
        Ok(self.texts.texts.intern(text))
    }

    #[inline]
    fn symbol_of(&mut self, text: Sym) -> Sym {
        let at = text.0 as usize;
        if let Some(Some(symbol)) = self.symbols.by_text.get(at) {
            return *symbol;
        }
        let set = self.texts.sets.get(self.texts.set_of[at]).expect("every text has a set");
        let symbol = self.names.intern(set);
        if at >= self.symbols.by_text.len() {
            self.symbols.by_text.resize(at + 1, None);
        }
        self.symbols.by_text[at] = Some(symbol);
        symbol
    }
}
