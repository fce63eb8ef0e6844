//! The label sets of nodes and namespaces, and their merging with a group's own (SPEC 2.3).

use std::collections::BTreeMap;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::intern::{Interner, Sym};
use crate::labels::LabelFilter;
use crate::state::{DayState, FoldConfig, Member, Table};

/// Lives for one day's finish, so it is bounded by that day's distinct combinations.
#[derive(Debug)]
pub(super) struct LabelSets<'a> {
    filter: &'a LabelFilter,
    nodes: BTreeMap<Sym, Vec<Sym>>,
    namespaces: BTreeMap<Sym, Vec<Sym>>,
    merged: HashMap<[Sym; 4], Sym, RandomState>,
}

impl<'a> LabelSets<'a> {
    pub(super) fn of(state: &DayState, config: &'a FoldConfig) -> Self {
        Self {
            filter: config.labels(),
            nodes: by_owner(&state.node_labels),
            namespaces: by_owner(&state.namespace_labels),
            merged: HashMap::default(),
        }
    }

    /// Forgets what was merged, before texts that it names are forgotten.
    pub(super) fn forget(&mut self) {
        self.merged.clear();
    }

    /// What the joins make of a group: one merged label set per pair of a node's and a namespace's set.
    /// `own` are one or two sets that override both, in order.
    pub(super) fn joined(
        &mut self,
        names: &mut Interner,
        node: Sym,
        namespace: Sym,
        own: [Sym; 2],
    ) -> Vec<Sym> {
        const NONE: &[Sym] = &[Sym::NULL];
        let nodes = self.nodes.get(&node).map_or(NONE, Vec::as_slice);
        let namespaces = self.namespaces.get(&namespace).map_or(NONE, Vec::as_slice);
        let mut joined = Vec::with_capacity(nodes.len() * namespaces.len());
        for &node_set in nodes {
            for &namespace_set in namespaces {
                let sets = [node_set, namespace_set, own[0], own[1]];
                let merged = *self.merged.entry(sets).or_insert_with(|| {
                    let merged = self.filter.merge(sets.iter().filter_map(|set| names.get(*set)));
                    names.intern(&merged)
                });
                joined.push(merged);
            }
        }
        joined
    }
}

fn by_owner(table: &Table<2, Member>) -> BTreeMap<Sym, Vec<Sym>> {
    let mut sets: BTreeMap<Sym, Vec<Sym>> = BTreeMap::new();
    for ([owner, set], _) in table.iter() {
        sets.entry(*owner).or_default().push(*set);
    }
    sets
}
