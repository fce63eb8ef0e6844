//! Text columns to symbols: one look-up per dictionary value and day, not one per row.

use std::borrow::Cow;
use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef};

use crate::day::Day;
use crate::error::Result;
use crate::intern::{Interner, Sym};
use crate::schema::{NO_ID, TextColumn};
use crate::state::{Accumulator, Table};

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
    /// What is known of a column of which this many rows are looked at; give it back with [`keep`](Self::keep).
    pub(super) fn column<'a>(
        &mut self,
        day: Day,
        name: &'static str,
        text: &'a TextColumn,
        rows: usize,
    ) -> Symbols<'a> {
        let mut symbols = Symbols { day, name, text, known: None };
        let TextColumn::Keys(column) = text else { return symbols };
        let values = column.values().len();
        let known = self.columns.entry(name).or_default();
        if !known.dictionary.as_ref().is_some_and(|dictionary| column.same_dictionary(dictionary))
            || (known.days.len() + 1) * values > MAX_KNOWN
        {
            known.days.clear();
            known.dictionary = Some(column.dictionary().clone());
        }
        // With a dictionary much larger than the selection, remembering costs more than it saves.
        if values <= 8 * rows {
            symbols.known = Some(known.days.remove(&day).unwrap_or_else(|| vec![None; values]));
        }
        symbols
    }

    pub(super) fn keep(&mut self, symbols: Symbols<'_>) {
        if let (Some(of_day), Some(known)) = (symbols.known, self.columns.get_mut(symbols.name)) {
            known.days.insert(symbols.day, of_day);
        }
    }

    /// The symbol of every selected row, in their order.
    pub(super) fn symbols(
        &mut self,
        day: Day,
        name: &'static str,
        text: &TextColumn,
        rows: &[u32],
        symbol: impl FnMut(&str, usize) -> Result<Sym>,
    ) -> Result<Vec<Sym>> {
        let mut column = self.column(day, name, text, rows.len());
        let found = column.all(rows, symbol)?;
        self.keep(column);
        Ok(found)
    }

    fn memory_size(&self) -> usize {
        let days = self.columns.values().flat_map(|known| known.days.values());
        days.map(|memo| memo.capacity() * size_of::<Option<Sym>>()).sum()
    }
}

/// One column of one day.
pub(super) struct Symbols<'a> {
    day: Day,
    name: &'static str,
    text: &'a TextColumn,
    /// By dictionary value, where that is worth while.
    known: Option<Vec<Option<Sym>>>,
}

impl<'a> Symbols<'a> {
    /// The symbol of a row; `symbol` finds that of a text.
    #[inline]
    pub(super) fn of(&mut self, row: usize, symbol: impl FnOnce(&str) -> Result<Sym>) -> Result<Sym> {
        let (TextColumn::Keys(column), Some(known)) = (self.text, &mut self.known) else {
            return self.text.get(row).map_or(Ok(Sym::NULL), symbol);
        };
        let Some(key) = column.key(row) else { return Ok(Sym::NULL) };
        if let Some(sym) = known[key] {
            return Ok(sym);
        }
        let values = column.values();
        let sym = if values.is_null(key) { Sym::NULL } else { symbol(values.value(key))? };
        known[key] = Some(sym);
        Ok(sym)
    }

    fn all(&mut self, rows: &[u32], mut symbol: impl FnMut(&str, usize) -> Result<Sym>) -> Result<Vec<Sym>> {
        let mut found = Vec::with_capacity(rows.len());
        for &row in rows {
            found.push(self.of(row as usize, |text| symbol(text, row as usize))?);
        }
        Ok(found)
    }

    /// A number for each row of the batch, equal exactly where the texts are: keys where there is a dictionary, otherwise the
    /// day's symbols.
    pub(super) fn ids(
        &mut self,
        rows: &[u32],
        mut symbol: impl FnMut(&str) -> Result<Sym>,
    ) -> Result<Cow<'a, [i32]>> {
        if let Some(ids) = self.text.ids() {
            return Ok(ids);
        }
        let end = rows.last().map_or(0, |last| *last as usize + 1);
        let mut ids = vec![NO_ID; end];
        for &row in rows {
            ids[row as usize] = self.of(row as usize, &mut symbol)?.0 as i32;
        }
        Ok(Cow::Owned(ids))
    }
}

/// By a pod's, node's or volume's symbol: where something of it was found last, which mostly is where it is found next.
/// A guess to be checked, for what it points into may be gone.
#[derive(Debug, Default)]
pub(super) struct Latest(Vec<u32>);

impl Latest {
    #[inline]
    fn get(&self, owner: Sym) -> u32 {
        self.0.get(slot(owner)).copied().unwrap_or(u32::MAX)
    }

    /// The group of a key, which is mostly the one that its owner had last.
    #[inline(always)]
    pub(super) fn group<const N: usize, A: Accumulator>(
        &mut self,
        owner: Sym,
        table: &mut Table<N, A>,
        key: [Sym; N],
    ) -> usize {
        let latest = self.get(owner);
        let group = table.group_near(latest as usize, key);
        if group as u32 != latest {
            self.set(owner, group as u32);
        }
        group
    }

    fn set(&mut self, owner: Sym, at: u32) {
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
    /// What is known of one column.
    pub(super) fn of(&mut self, day: Day, column: &'static str) -> Labels<'_> {
        if self.columns.len() >= MAX_LABEL_COLUMNS && !self.columns.contains_key(&(day, column)) {
            self.columns.clear();
        }
        let symbols = self.columns.entry((day, column)).or_default();
        symbols.forget_unless(self.texts.generation);
        Labels { texts: &mut self.texts, symbols }
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

/// Bytes of label texts and sets that are kept before they are forgotten. tests/integration/long_labels.rs goes by it.
const MAX_TEXTS: usize = 6 << 20;

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
}

impl Labels<'_> {
    /// Changes when every text gets a new number.
    pub(super) fn generation(&self) -> u32 {
        self.texts.generation
    }

    /// Whether a number is that of the text.
    #[inline]
    pub(super) fn is(&self, number: Sym, text: &str) -> bool {
        self.texts.texts.is(number, text)
    }

    /// The number of a text, whose canonical set is found by `parse` where it is new.
    pub(super) fn number(&mut self, text: &str, parse: impl FnOnce(&str) -> Result<String>) -> Result<Sym> {
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

    /// The same for the text of an owner, who likely had it before.
    #[inline]
    pub(super) fn number_for(
        &mut self,
        owner: Sym,
        text: &str,
        parse: impl FnOnce(&str) -> Result<String>,
    ) -> Result<Sym> {
        let latest = Sym(self.symbols.latest.get(owner));
        if self.is(latest, text) {
            return Ok(latest);
        }
        let number = self.number(text, parse)?;
        self.symbols.latest.set(owner, number.0);
        Ok(number)
    }

    /// The symbol among the day's `names` of a text's set.
    #[inline]
    pub(super) fn set(&mut self, number: Sym, names: &mut Interner) -> Sym {
        let at = number.0 as usize;
        if let Some(Some(symbol)) = self.symbols.by_text.get(at) {
            return *symbol;
        }
        let set = self.texts.sets.get(self.texts.set_of[at]).expect("every text has a set");
        let symbol = names.intern(set);
        if at >= self.symbols.by_text.len() {
            self.symbols.by_text.resize(at + 1, None);
        }
        self.symbols.by_text[at] = Some(symbol);
        symbol
    }
}
