//! What of each node's capacity no pod used or asked for (SPEC 2.9).

use std::collections::BTreeSet;

use arrow::array::Array;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::capacity::Capacity;
use super::pods::{PodBlock, PodRows};
use super::policy::Policy;
use super::roles::Nodes;
use crate::error::{Error, Result};
use crate::exact::{ExactSum, MaxOf};
use crate::intern::{Interner, Sym};

/// Namespaces that are no workload; so is NULL.
const EXCLUDED: [&str; 4] =
    ["Platform unallocated", "Worker unallocated", "Network unattributed", "Storage unattributed"];

/// The sums that capacity is compared with: usage, request and effective usage, for CPU then memory.
const COMPARED: [usize; 6] = [0, 1, 2, 4, 5, 6];

/// What the rows of pods say of each node.
#[derive(Debug, Default)]
pub(super) struct Usage {
    nodes: Vec<Node>,
    by_name: HashMap<String, usize, RandomState>,
}

#[derive(Debug, Default)]
struct Node {
    sums: [Option<ExactSum>; 6],
    cores: MaxOf,
    memory: MaxOf,
    /// It rarely has a second one.
    resource_ids: BTreeSet<String>,
}

/// The unallocated capacity of a node, under one cost category.
#[derive(Debug)]
pub(super) struct UnallocatedRow {
    namespace: Option<&'static str>,
    node: String,
    resource_id: Option<String>,
    sums: [Option<f64>; 8],
    capacities: [Option<f64>; 6],
    category: Option<i32>,
}

/// They have the columns of Pod rows, and no labels.
pub(super) fn as_pods(rows: &[UnallocatedRow]) -> PodRows {
    PodRows {
        namespaces: rows.iter().map(|row| row.namespace).collect(),
        nodes: rows.iter().map(|row| Some(&row.node)).collect(),
        resource_ids: rows.iter().map(|row| row.resource_id.as_ref()).collect(),
        sums: std::array::from_fn(|metric| rows.iter().map(|row| row.sums[metric]).collect()),
        capacities: std::array::from_fn(|capacity| rows.iter().map(|row| row.capacities[capacity]).collect()),
        categories: rows.iter().map(|row| row.category).collect(),
    }
}

impl Usage {
    /// Takes in the rows of a block; says how many there are.
    pub(super) fn add(&mut self, block: &PodBlock<'_>) -> Result<usize> {
        let (texts, finished, rows) = block.parts();
        // By the block's symbol: the node's position, and the resource id it had last.
        let mut of_block: HashMap<Sym, (usize, Option<Sym>), RandomState> = HashMap::default();
        // Rows are sorted by namespace.
        let mut latest = (Sym::NULL, false);
        for row in rows.clone() {
            let [namespace, node, _] = finished.keys[row];
            if namespace != latest.0 {
                latest = (namespace, texts.get(namespace).is_some_and(|name| !EXCLUDED.contains(&name)));
            }
            let (true, Some(name)) = (latest.1, texts.get(node)) else { continue };
            let (position, resource_id) = of_block.entry(node).or_insert_with(|| (self.position(name), None));
            let node = &mut self.nodes[*position];
            for (sum, metric) in node.sums.iter_mut().zip(COMPARED) {
                let column = &finished.sums[metric];
                if column.is_valid(row) && !sum.get_or_insert_default().add(column.value(row)) {
                    return Err(Error::Overflow { what: format!("usage of node {name}") });
                }
            }
            for (max, column) in [(&mut node.cores, &finished.cores), (&mut node.memory, &finished.memory)] {
                if column.is_valid(row) {
                    max.add(column.value(row));
                }
            }
            let id = finished.resource_ids[row];
            if *resource_id != Some(id) {
                *resource_id = Some(id);
                if let Some(id) = texts.get(id)
                    && !node.resource_ids.contains(id)
                {
                    node.resource_ids.insert(id.to_owned());
                }
            }
        }
        Ok(rows.len())
    }

    fn position(&mut self, name: &str) -> usize {
        *self.by_name.entry_ref(name).or_insert_with(|| {
            self.nodes.push(Node::default());
            self.nodes.len() - 1
        })
    }

    /// All nodes, as their roles are told by.
    pub(super) fn nodes(&self) -> Nodes {
        let mut nodes = Nodes::default();
        for (name, position) in &self.by_name {
            self.nodes[*position].resource_ids.iter().for_each(|id| nodes.meet(name, id));
        }
        nodes
    }

    /// One row per node and matching category, sorted by node; and how many nodes have no known role. `names` are those
    /// of the day.
    pub(super) fn into_rows(
        self,
        names: &Interner,
        capacity: &Capacity,
        policy: &Policy,
    ) -> (Vec<UnallocatedRow>, u64) {
        let mut without_role = 0;
        let mut rows = Vec::new();
        let mut by_name: Vec<(String, usize)> = self.by_name.into_iter().collect();
        by_name.sort_unstable();
        for (name, position) in by_name {
            let node = &self.nodes[position];
            let role = node.resource_ids.iter().filter_map(|id| policy.roles.get(&name, id)).max();
            let namespace = match role {
                Some("master" | "infra") => Some("Platform unallocated"),
                Some("worker") => Some("Worker unallocated"),
                _ => None,
            };
            without_role += u64::from(namespace.is_none());
            let [core_hours, memory_hours] =
                names.find(&name).map(|node| capacity.node(node)).unwrap_or_default();
            let capacities = [
                node.cores.get(),
                Some(core_hours),
                node.memory.get(),
                Some(memory_hours),
                Some(capacity.cluster[0]),
                Some(capacity.cluster[1]),
            ];
            let mut sums = [None; 8];
            for (sum, metric) in node.sums.iter().zip(COMPARED) {
                let capacity = if metric < 4 { capacities[1] } else { capacities[3] };
                sums[metric] = capacity.zip(*sum).map(|(capacity, used)| capacity - used.to_f64());
            }
            let matches = policy.categories.matches(namespace);
            let categories: Vec<Option<i32>> =
                if matches.ids.is_empty() { vec![None] } else { matches.ids.into_iter().map(Some).collect() };
            for category in categories {
                rows.push(UnallocatedRow {
                    namespace,
                    node: name.clone(),
                    resource_id: node.resource_ids.last().cloned(),
                    sums,
                    capacities,
                    category,
                });
            }
        }
        (rows, without_role)
    }
}
