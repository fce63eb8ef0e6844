//! What of each node's capacity no pod used or asked for (SPEC 2.9).

use arrow::array::Array;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::pods::PodRows;
use super::policy::Policy;
use crate::error::{Error, Result};
use crate::exact::{ExactSum, MaxOf};

/// Namespaces that are no workload; so is NULL.
const EXCLUDED: [&str; 4] =
    ["Platform unallocated", "Worker unallocated", "Network unattributed", "Storage unattributed"];

/// The sums that capacity is compared with: usage, request and effective usage, for CPU then memory.
const COMPARED: [usize; 6] = [0, 1, 2, 4, 5, 6];

/// What the rows of pods say of each node.
#[derive(Debug, Default)]
pub(super) struct Nodes<'a> {
    nodes: HashMap<String, Node<'a>, RandomState>,
}

#[derive(Debug, Default)]
struct Node<'a> {
    sums: [Option<ExactSum>; 6],
    capacities: [MaxOf; 6],
    resource_id: Option<String>,
    role: Option<&'a str>,
    /// The resource id whose role was looked up last: a node rarely has a second one.
    role_of: Option<String>,
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

impl<'a> Nodes<'a> {
    /// Takes in finished rows of pods.
    pub(super) fn add(&mut self, rows: &PodRows, policy: &'a Policy) -> Result<()> {
        let texts = rows.namespaces.iter().zip(&rows.nodes).zip(&rows.resource_ids);
        for (row, ((namespace, name), resource_id)) in texts.enumerate() {
            let (Some(namespace), Some(name)) = (namespace, name) else { continue };
            if EXCLUDED.contains(&namespace) {
                continue;
            }
            let node = self.nodes.entry_ref(name).or_default();
            for (sum, metric) in node.sums.iter_mut().zip(COMPARED) {
                let column = &rows.sums[metric];
                if column.is_valid(row) && !sum.get_or_insert_default().add(column.value(row)) {
                    return Err(Error::Overflow { what: format!("usage of node {name}") });
                }
            }
            for (max, column) in node.capacities.iter_mut().zip(&rows.capacities) {
                if column.is_valid(row) {
                    max.add(column.value(row));
                }
            }
            if resource_id > node.resource_id.as_deref() {
                node.resource_id = resource_id.map(str::to_owned);
            }
            if resource_id != node.role_of.as_deref() {
                node.role = node.role.max(policy.role(name, resource_id));
                node.role_of = resource_id.map(str::to_owned);
            }
        }
        Ok(())
    }

    /// One row per node and matching category, sorted by node; and how many nodes have no known role.
    pub(super) fn into_rows(self, policy: &Policy) -> (Vec<UnallocatedRow>, u64) {
        let mut without_role = 0;
        let mut rows = Vec::new();
        let mut nodes: Vec<_> = self.nodes.into_iter().collect();
        nodes.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        for (name, node) in nodes {
            let namespace = match node.role {
                Some("master" | "infra") => Some("Platform unallocated"),
                Some("worker") => Some("Worker unallocated"),
                _ => None,
            };
            without_role += u64::from(namespace.is_none());
            let capacities = node.capacities.map(|max| max.get());
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
                    resource_id: node.resource_id.clone(),
                    sums,
                    capacities,
                    category,
                });
            }
        }
        (rows, without_role)
    }
}
