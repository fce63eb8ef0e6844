//! What the joins of a line item add: the label sets of its node and namespace (SPEC 2.3), and how often the cost
//! categories of its namespace repeat it (SPEC 2.5).

use std::ops::Range;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::policy::Policy;
use crate::intern::{Interner, Sym};
use crate::labels::LabelFilter;
use crate::state::{DayState, FoldConfig, Member, Table};

/// Label sets by their node or namespace.
type Sets = HashMap<Sym, Vec<Sym>, RandomState>;

/// Lives for one day's finish, so it is bounded by that day's distinct combinations.
#[derive(Debug)]
pub(super) struct Joins<'a> {
    filter: &'a LabelFilter,
    policy: &'a Policy,
    nodes: Sets,
    namespaces: Sets,
    /// By sets, of which the last wins.
    merged: HashMap<[Sym; 3], Sym, RandomState>,
    repeats: HashMap<Sym, u64, RandomState>,
    /// Copies of line items beyond the first of each.
    pub(super) fanned_out: u64,
}

impl<'a> Joins<'a> {
    pub(super) fn of(state: &DayState, config: &'a FoldConfig, policy: &'a Policy) -> Self {
        Self {
            filter: config.labels(),
            policy,
            nodes: by_owner(&state.node_labels),
            namespaces: by_owner(&state.namespace_labels),
            merged: HashMap::default(),
            repeats: HashMap::default(),
            fanned_out: 0,
        }
    }

    /// Forgets what was found out, before texts that it names are forgotten.
    pub(super) fn forget(&mut self) {
        self.merged.clear();
        self.repeats.clear();
    }

    /// How many label sets a node has, of which a line item inherits each: where it has none, that is one.
    pub(super) fn sets_of_node(&self, node: Sym) -> usize {
        sets(&self.nodes, node).len()
    }

    /// Pairs of a label set of the node and one of the namespace: a line item appears under each (SPEC 2.3).
    pub(super) fn pairs(&self, node: Sym, namespace: Sym) -> u64 {
        self.sets_of_node(node).saturating_mul(sets(&self.namespaces, namespace).len()) as u64
    }

    /// Counts line items that appear so often.
    pub(super) fn count(&mut self, line_items: u64, times: u64) {
        let beyond_the_first = line_items.saturating_mul(times.saturating_sub(1));
        self.fanned_out = self.fanned_out.saturating_add(beyond_the_first);
    }

    /// Puts what the joins make of a group with some sets of its node into `joined`: one merged label set per pair of
    /// one of these and a set of the namespace. `own` are one or two sets that override both, in order.
    pub(super) fn labels(
        &mut self,
        names: &mut Interner,
        (node, of_node): (Sym, Range<usize>),
        namespace: Sym,
        own: [Sym; 2],
        joined: &mut Vec<Sym>,
    ) {
        let mut merged = |sets: [Sym; 3]| {
            *self.merged.entry(sets).or_insert_with(|| {
                let merged = self.filter.merge(sets.map(|set| names.get(set).unwrap_or("{}")));
                names.intern(&merged)
            })
        };
        joined.clear();
        for &node_set in &sets(&self.nodes, node)[of_node] {
            for &namespace_set in sets(&self.namespaces, namespace) {
                // What every line item of this node and namespace inherits is merged once.
                let inherited = merged([node_set, namespace_set, Sym::NULL]);
                joined.push(merged([inherited, own[0], own[1]]));
            }
        }
    }

    /// How often the cost categories of a namespace repeat a line item: once even where none matches.
    pub(super) fn repeats(&mut self, names: &Interner, namespace: Sym) -> u64 {
        let matches = || self.policy.categories.matches(names.get(namespace)).multiplicity();
        *self.repeats.entry(namespace).or_insert_with(matches)
    }
}

/// The sets of an owner; of one without labels, NULL alone.
fn sets(by_owner: &Sets, owner: Sym) -> &[Sym] {
    by_owner.get(&owner).map_or(&[Sym::NULL], Vec::as_slice)
}

fn by_owner(table: &Table<2, Member>) -> Sets {
    let mut sets = Sets::default();
    for ([owner, set], _) in table.iter() {
        sets.entry(*owner).or_default().push(*set);
    }
    sets
}
