//! The order in which everything leaves a state: by the text of its keys, NULL first. Hash order never shows.

use std::cmp::Ordering;

use super::table::{Accumulator, Table};
use crate::intern::{Interner, Sym};

/// Positions of all groups of a table, sorted by key text; `symbols` says which parts of a key are text, the
/// others sort as numbers.
pub(crate) fn sorted<const N: usize, A: Accumulator>(
    names: &Interner,
    table: &Table<N, A>,
    symbols: [bool; N],
) -> Vec<usize> {
    // The last part is nearly unique, so that ranks would cost more than they save: it is compared where all others tie.
    let ranked: [bool; N] = std::array::from_fn(|part| symbols[part] && part + 1 < N);
    let used = table.iter().flat_map(|(key, _)| key.iter().zip(ranked));
    let ranks = ranks(names, used.filter(|(_, is_ranked)| *is_ranked).map(|(sym, _)| *sym));
    let by_rank = |(key, _): (&[Sym; N], &A)| {
        std::array::from_fn::<u32, N, _>(|part| match key[part] {
            sym if !symbols[part] => sym.0,
            _ if !ranked[part] => 0,
            Sym::NULL => 0,
            sym => ranks[sym.0 as usize],
        })
    };
    let mut order: Vec<([u32; N], usize)> =
        table.iter().enumerate().map(|(group, entry)| (by_rank(entry), group)).collect();
    let last = |group: usize| names.get(table.key(group)[N - 1]);
    order.sort_unstable_by(|(left, a), (right, b)| {
        left.cmp(right).then_with(|| if symbols[N - 1] { last(*a).cmp(&last(*b)) } else { Ordering::Equal })
    });
    order.into_iter().map(|(_, group)| group).collect()
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
