//! Node and namespace labels: the set of distinct filtered label sets per day (SPEC 2.3).

use super::Context;
use super::symbols::Memo;
use crate::error::Result;
use crate::intern::{Interner, Sym};
use crate::schema::{FactKind, LabelsView, TextColumn};
use crate::state::DayState;

pub(super) fn fold(
    context: &Context<'_>,
    view: &LabelsView,
    rows: &[u32],
    state: &mut DayState,
    memo: &mut Memo,
) -> Result<()> {
    let (owner, labels) = match context.kind {
        FactKind::NodeLabels => ("node", "node_labels"),
        _ => ("namespace", "namespace_labels"),
    };
    let names = &mut state.names;
    let owners =
        memo.dictionaries.symbols(context.day, owner, &view.owner, rows, |text, _| Ok(names.intern(text)))?;
    let sets = canonical(context, labels, &view.labels, rows, &owners, names, memo)?;
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
    let parse = |text: &str, row| {
        let set = context.config.labels().canonical(text);
        set.map_err(|reason| context.refuse(row, name, reason))
    };
    let mut labels = memo.labels.of(context.day, name, names);
    let mut sets = match column {
        TextColumn::Keys(_) => memo.dictionaries.symbols(context.day, name, column, rows, |text, row| {
            labels.symbol(text, |text| parse(text, row))
        })?,
        TextColumn::Views(_) => {
            let of_row = |(&row, &owner): (&u32, &Sym)| match column.get(row as usize) {
                Some(text) => labels.symbol_for(owner, text, |text| parse(text, row as usize)),
                None => Ok(Sym::NULL),
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
