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

#[derive(Debug, Default)]
struct Node<'a> {
    sums: [Option<ExactSum>; 6],
    capacities: [MaxOf; 6],
    resource_id: Option<&'a str>,
    role: Option<&'a str>,
}

/// One row per node and matching category, sorted by node; and how many nodes have no known role.
pub(super) fn rows<'a>(pods: &[PodRow<'a>], policy: &'a Policy) -> Result<(Vec<PodRow<'a>>, u64)> {
    let mut nodes: BTreeMap<&str, Node<'_>> = BTreeMap::new();
    for row in pods {
        let (Some(namespace), Some(name)) = (row.namespace, row.node) else { continue };
        if EXCLUDED.contains(&namespace) {
            continue;
        }
        let node = nodes.entry(name).or_default();
        for (sum, metric) in node.sums.iter_mut().zip(COMPARED) {
            let Some(hours) = row.sums[metric] else { continue };
            if !sum.get_or_insert_default().add(hours) {
                return Err(Error::Overflow { what: format!("usage of node {name}") });
            }
        }
        for (max, capacity) in node.capacities.iter_mut().zip(row.capacities) {
            capacity.into_iter().for_each(|value| max.add(value));
        }
        node.resource_id = node.resource_id.max(row.resource_id);
        node.role = node.role.max(policy.role(name, row.resource_id));
    }
    let mut without_role = 0;
    let mut rows = Vec::new();
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
            rows.push(PodRow {
                namespace,
                node: Some(name),
                resource_id: node.resource_id,
                labels: None,
                sums,
                capacities,
                category,
            });
        }
    }
    Ok((rows, without_role))
}
