//! The order in which rows leave: by the text of their keys, NULL first.

use crate::intern::{Interner, Sym};
use crate::state::{Accumulator, Table};

/// Positions of all groups of a table, sorted by key text.
pub(super) fn sorted<const N: usize, A: Accumulator>(names: &Interner, table: &Table<N, A>) -> Vec<usize> {
    let ranks = ranks(names, table.iter().flat_map(|(key, _)| key.iter().copied()));
    let rank = |sym: Sym| if sym.is_null() { 0 } else { ranks[sym.0 as usize] };
    let mut order: Vec<usize> = (0..table.len()).collect();
    order.sort_by_cached_key(|&group| table.key(group).map(rank));
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
