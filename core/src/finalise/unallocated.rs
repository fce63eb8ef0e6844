//! What of each node's capacity no pod used or asked for (SPEC 2.9).

use std::collections::BTreeMap;

use super::pods::PodRow;
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
    nodes: BTreeMap<String, Node<'a>>,
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

impl UnallocatedRow {
    /// It has the columns of a Pod row, and no labels.
    pub(super) fn as_pod(&self) -> PodRow<'_> {
        PodRow {
            namespace: self.namespace,
            node: Some(&self.node),
            resource_id: self.resource_id.as_deref(),
            labels: None,
            sums: self.sums,
            capacities: self.capacities,
            category: self.category,
        }
    }
}

impl<'a> Nodes<'a> {
    /// Takes in finished rows of pods.
    pub(super) fn add(&mut self, rows: &[PodRow<'_>], policy: &'a Policy) -> Result<()> {
        for row in rows {
            let (Some(namespace), Some(name)) = (row.namespace, row.node) else { continue };
            if EXCLUDED.contains(&namespace) {
                continue;
            }
            if !self.nodes.contains_key(name) {
                self.nodes.insert(name.to_owned(), Node::default());
            }
            let node = self.nodes.get_mut(name).expect("it was just there");
            for (sum, metric) in node.sums.iter_mut().zip(COMPARED) {
                let Some(hours) = row.sums[metric] else { continue };
                if !sum.get_or_insert_default().add(hours) {
                    return Err(Error::Overflow { what: format!("usage of node {name}") });
                }
            }
            for (max, capacity) in node.capacities.iter_mut().zip(row.capacities) {
                capacity.into_iter().for_each(|value| max.add(value));
            }
            if row.resource_id > node.resource_id.as_deref() {
                node.resource_id = row.resource_id.map(str::to_owned);
            }
            if row.resource_id != node.role_of.as_deref() {
                node.role = node.role.max(policy.role(name, row.resource_id));
                node.role_of = row.resource_id.map(str::to_owned);
            }
        }
        Ok(())
    }

    /// One row per node and matching category, sorted by node; and how many nodes have no known role.
    pub(super) fn into_rows(self, policy: &Policy) -> (Vec<UnallocatedRow>, u64) {
        let mut without_role = 0;
        let mut rows = Vec::new();
        for (name, node) in self.nodes {
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
