//! The order in which everything leaves a state: by the text of its keys, NULL first. Hash order never shows.

use super::table::{Accumulator, Table};
use crate::intern::{Interner, Sym};

/// Positions of all groups of a table, sorted by key text; `symbols` says which parts of a key are text, the
/// others sort as numbers.
pub(crate) fn sorted<const N: usize, A: Accumulator>(
    names: &Interner,
    table: &Table<N, A>,
    symbols: [bool; N],
) -> Vec<usize> {
    let used = table.iter().flat_map(|(key, _)| key.iter().zip(symbols));
    let ranks = ranks(names, used.filter(|(_, is_text)| *is_text).map(|(sym, _)| *sym));
    let mut order: Vec<usize> = (0..table.len()).collect();
    order.sort_by_cached_key(|&group| {
        let key = table.key(group);
        std::array::from_fn::<u32, N, _>(|part| match key[part] {
            sym if !symbols[part] => sym.0,
            Sym::NULL => 0,
            sym => ranks[sym.0 as usize],
        })
    });
    order
}

/// The rank of every symbol in use: text is compared once per distinct text, not once per key.
fn ranks(names: &Interner, used: impl Iterator<Item = Sym>) -> Vec<u32> {
    let mut ranks = vec![0; names.len()];
    used.filter(|sym| !sym.is_null()).for_each(|sym| ranks[sym.0 as usize] = 1);
    let mut syms: Vec<u32> = (0..ranks.len() as u32).filter(|&sym| ranks[sym as usize] == 1).collect();
    syms.sort_unstable_by_key(|&sym| names.get(Sym(sym)));
    for (position, sym) in syms.into_iter().enumerate() {
        ranks[sym as usize] = position as u32 + 1;
    }
    ranks
}
