//! What a node had and no pod used (SPEC 2.9).

use std::collections::BTreeMap;

use daysum_core::{Day, NodeRole, Result};

use super::Oracle;
use super::exact::{Sum, max};
use super::like::Categories;
use super::output::Row;

const EXCLUDED: [&str; 4] =
    ["Platform unallocated", "Worker unallocated", "Network unattributed", "Storage unattributed"];

pub(super) fn rows(
    oracle: &Oracle,
    pods: &[Row],
    nodes: &[NodeRole],
    categories: Categories<'_>,
) -> Result<Vec<Row>> {
    let mut roles: BTreeMap<(&str, &str), Option<&str>> = BTreeMap::new();
    for node in nodes {
        let Some(resource_id) = &node.resource_id else { continue };
        let role = roles.entry((&node.node, resource_id)).or_default();
        *role = (*role).max(node.node_role.as_deref());
    }
    let mut groups: BTreeMap<(Day, &str), Vec<&Row>> = BTreeMap::new();
    for row in pods {
        let (Some(node), Some(namespace)) = (&row.node, &row.namespace) else { continue };
        if !EXCLUDED.contains(&namespace.as_str()) {
            groups.entry((row.day, node)).or_default().push(row);
        }
    }
    let mut rows = Vec::new();
    for ((day, node), group) in groups {
        let role_of = |row: &&Row| *roles.get(&(node, row.resource_id.as_deref()?))?;
        let namespace = match group.iter().filter_map(role_of).max() {
            Some("master" | "infra") => Some("Platform unallocated"),
            Some("worker") => Some("Worker unallocated"),
            _ => None,
        };
        let capacity: [Option<f64>; 6] =
            std::array::from_fn(|at| max(group.iter().map(|row| row.capacity[at])));
        let free = |capacity: usize, metric: usize| {
            Some(
                max(group.iter().map(|row| row.capacity[capacity]))?
                    - Sum::of(group.iter().map(|row| row.pod[metric])).finish(oracle)?,
            )
        };
        let row = Row {
            data_source: "Pod",
            namespace: namespace.map(str::to_owned),
            node: Some(node.to_owned()),
            resource_id: group.iter().filter_map(|row| row.resource_id.clone()).max(),
            pod: [free(1, 0), free(1, 1), free(1, 2), None, free(3, 4), free(3, 5), free(3, 6), None],
            capacity,
            all_labels: "{}".to_owned(),
            ..Row::new(day)
        };
        let mut ids: Vec<Option<i32>> = categories.matching(namespace)?.into_iter().map(Some).collect();
        if ids.is_empty() {
            ids.push(None);
        }
        rows.extend(ids.into_iter().map(|category| Row { category, ..row.clone() }));
    }
    Ok(rows)
}
