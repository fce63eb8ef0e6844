//! Node and namespace labels: the set of distinct filtered label sets per day (SPEC 2.3).

use super::Context;
use super::symbols::Memo;
use crate::error::Result;
use crate::intern::{Interner, Sym};
use crate::labels::OnMalformed;
use crate::schema::{FactKind, LabelsView, TextColumn};
use crate::state::{DayState, RowCounts};

pub(super) fn fold(
    context: &Context<'_>,
    view: &LabelsView,
    rows: &[u32],
    state: &mut DayState,
    memo: &mut Memo,
    counts: &mut RowCounts,
) -> Result<()> {
    let (owner, labels) = match context.kind {
        FactKind::NodeLabels => ("node", "node_labels"),
        _ => ("namespace", "namespace_labels"),
    };
    let names = &mut state.names;
    let owners =
        memo.dictionaries.symbols(context.day, owner, &view.owner, rows, |text, _| Ok(names.intern(text)))?;
    let sets = canonical(context, labels, &view.labels, rows, &owners, names, memo)?;
    counts.malformed_labels += replaced(context, &view.labels, rows.iter().copied());
    let table = match context.kind {
        FactKind::NodeLabels => &mut state.node_labels,
        _ => &mut state.namespace_labels,
    };
    for (owner, set) in owners.into_iter().zip(sets) {
        // NULL joins with nothing, so its labels reach no row.
        if !owner.is_null() {
            table.group([owner, set]);
        }
    }
    Ok(())
}

/// The symbols of the canonical label sets; NULL labels are the empty set (SPEC 2.2). `owners` say which rows are likely
/// to have the same text.
pub(super) fn canonical(
    context: &Context<'_>,
    name: &'static str,
    column: &TextColumn,
    rows: &[u32],
    owners: &[Sym],
    names: &mut Interner,
    memo: &mut Memo,
) -> Result<Vec<Sym>> {
    let mut labels = memo.labels.of(context.day, name);
    let mut sets = match column {
        TextColumn::Keys(_) => memo.dictionaries.symbols(context.day, name, column, rows, |text, row| {
            let number = labels.number(text, |text| parse(context, name, text, row))?;
            Ok(labels.set(number, names))
        })?,
        TextColumn::Views(_) => {
            let of_row = |(&row, &owner): (&u32, &Sym)| {
                let row = row as usize;
                let Some(text) = column.get(row) else { return Ok(Sym::NULL) };
                let number = labels.number_for(owner, text, |text| parse(context, name, text, row))?;
                Ok(labels.set(number, names))
            };
            rows.iter().zip(owners).map(of_row).collect::<Result<_>>()?
        }
    };
    if sets.iter().any(|set| set.is_null()) {
        let empty = names.intern("{}");
        sets.iter_mut().filter(|set| set.is_null()).for_each(|set| *set = empty);
    }
    Ok(sets)
}

/// How many of the rows have a malformed text that stands for no labels. They are looked at once more, where that is
/// allowed at all: a set does not tell what it was made of.
pub(super) fn replaced(context: &Context<'_>, column: &TextColumn, rows: impl Iterator<Item = u32>) -> u64 {
    let filter = context.config.labels();
    if filter.on_malformed() == OnMalformed::Refuse {
        return 0;
    }
    let malformed = |row: &u32| column.get(*row as usize).is_some_and(|text| filter.is_malformed(text));
    rows.filter(malformed).count() as u64
}

/// The canonical set of a row's text.
pub(super) fn parse(context: &Context<'_>, column: &'static str, text: &str, row: usize) -> Result<String> {
    context.config.labels().canonical(text).map_err(|reason| context.refuse(row, column, reason))
}
