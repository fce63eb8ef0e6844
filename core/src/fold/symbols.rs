//! Text columns to symbols: one look-up per dictionary value and day, not one per row.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef};

use crate::day::Day;
use crate::error::Result;
use crate::intern::Sym;
use crate::schema::TextColumn;

/// Entries kept before everything is forgotten: bounds what files of thousands of days can hold here.
const MAX_KNOWN: usize = 1 << 20;

/// What is known about the dictionaries of the columns, for as long as batches share them.
#[derive(Debug, Default)]
pub(super) struct Memo {
    columns: BTreeMap<&'static str, Known>,
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

    pub(super) fn memory_size(&self) -> usize {
        self.columns
            .values()
            .flat_map(|known| known.days.values())
            .map(|memo| memo.capacity() * size_of::<Option<Sym>>())
            .sum()
    }
}
