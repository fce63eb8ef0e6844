//! Pod rows (SPEC 2.5).

use std::collections::BTreeMap;

use daysum_core::{Day, Result};

use super::capacity::Capacities;
use super::exact::{Sum, max};
use super::labels::{LabelSets, Labels, merged, spelled};
use super::like::Categories;
use super::output::{GIB, Row};
use super::read::{Input, Pod};
use super::{Bug, Oracle, value_error};

/// One row of the joins, before grouping.
struct Joined<'a> {
    pod: &'a Pod,
    category: Option<i32>,
}

type Key = (Day, Option<String>, String, Labels);

pub(super) fn rows(
    oracle: &Oracle,
    input: &Input,
    labels: &LabelSets,
    categories: Categories<'_>,
) -> Result<Vec<Row>> {
    let mut groups: BTreeMap<Key, Vec<Joined<'_>>> = BTreeMap::new();
    for pod in &input.pods {
        let Some(node) = pod.node.clone().filter(|node| !node.is_empty()) else { continue };
        let own = labels
            .filtered(pod.labels.as_deref())
            .map_err(|reason| value_error(pod.at.clone().column("pod_labels"), reason))?;
        let matching = left_join_categories(oracle, categories, pod.namespace.as_deref())?;
        let namespace = match &pod.namespace {
            None if oracle.has(Bug::NullIsEmpty) => Some(String::new()),
            namespace => namespace.clone(),
        };
        for of_node in labels.of_node(pod.day, Some(&node)) {
            for of_namespace in labels.of_namespace(pod.day, pod.namespace.as_deref()) {
                let sets = if oracle.has(Bug::LabelPrecedence) {
                    [&of_node, &own, &of_namespace]
                } else {
                    [&of_node, &of_namespace, &own]
                };
                let key = (pod.day, namespace.clone(), node.clone(), merged(sets));
                let group = groups.entry(key).or_default();
                group.extend(matching.iter().map(|category| Joined { pod, category: *category }));
            }
        }
    }
    let capacities = Capacities::of(oracle, input);
    Ok(groups.into_iter().map(|(key, group)| row(oracle, key, &group, &capacities)).collect())
}

/// The left join with the patterns: one entry per match, or one without an id.
pub(super) fn left_join_categories(
    oracle: &Oracle,
    categories: Categories<'_>,
    namespace: Option<&str>,
) -> Result<Vec<Option<i32>>> {
    let mut ids: Vec<Option<i32>> = categories.matching(namespace)?.into_iter().map(Some).collect();
    if ids.is_empty() {
        ids.push(None);
    }
    if oracle.has(Bug::CategoriesOnce) {
        ids = vec![ids.into_iter().max().flatten()];
    }
    Ok(ids)
}

fn row(oracle: &Oracle, key: Key, group: &[Joined<'_>], capacities: &Capacities) -> Row {
    let (day, namespace, node, labels) = key;
    let sum = |metric: usize| Sum::of(group.iter().map(|joined| joined.pod.metrics[metric])).finish(oracle);
    let cpu = |seconds: Option<f64>| seconds.map(|seconds| seconds / 3600.0);
    let memory = |seconds: Option<f64>| seconds.map(|seconds| seconds / 3600.0 * GIB);
    let of_node = capacities.node(day, &node).map(|seconds| seconds.or(Some(0.0)));
    let of_cluster = capacities.cluster(day).map(|seconds| seconds.or(Some(0.0)));
    let labels = spelled(&labels);
    let resource_ids = group.iter().filter_map(|joined| joined.pod.resource_id.clone());
    Row {
        data_source: "Pod",
        day,
        namespace,
        resource_id: if oracle.has(Bug::ResourceMin) { resource_ids.min() } else { resource_ids.max() },
        node: Some(node),
        pod_labels: Some(labels.clone()),
        all_labels: labels,
        pod: [
            cpu(sum(0)),
            cpu(sum(1)),
            cpu(sum(2)),
            cpu(sum(3)),
            memory(sum(4)),
            memory(sum(5)),
            memory(sum(6)),
            memory(sum(7)),
        ],
        capacity: [
            max(group.iter().map(|joined| joined.pod.capacity_cores)),
            cpu(of_node[0]),
            max(group.iter().map(|joined| joined.pod.capacity_bytes)).map(|bytes| bytes * GIB),
            memory(of_node[1]),
            cpu(of_cluster[0]),
            memory(of_cluster[1]),
        ],
        zero_cost: true,
        category: group.iter().filter_map(|joined| joined.category).max(),
        ..Row::new(day)
    }
}
