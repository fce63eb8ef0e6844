//! Which node a volume belongs to, and storage rows (SPEC 2.6, 2.7).

use std::collections::{BTreeMap, BTreeSet};

use daysum_core::{Day, Result};

use super::exact::{Sum, max};
use super::labels::{LabelSets, Labels, merged, spelled};
use super::like::Categories;
use super::output::{GIB, Row};
use super::pods::left_join_categories;
use super::read::{Input, Storage};
use super::{Bug, Oracle, value_error};

type Text = Option<String>;

/// A tuple of the volume match. NULLs stay in it where the SQL keeps them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Mount {
    day: Day,
    claim: Text,
    volume: Text,
    pod: String,
    namespace: String,
    node: Text,
    resource_id: Text,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    namespace: Text,
    node: Text,
    resource_id: Text,
    claim: Text,
    volume: Text,
    class: Text,
    handle: Text,
    day: Day,
    labels: Labels,
}

struct Joined<'a> {
    storage: &'a Storage,
    node_count: Option<usize>,
    category: Option<i32>,
}

pub(super) fn rows(
    oracle: &Oracle,
    input: &Input,
    labels: &LabelSets,
    categories: Categories<'_>,
) -> Result<Vec<Row>> {
    let mounts = mounts(oracle, input, labels);
    let mut nodes: BTreeMap<(Day, Text), BTreeSet<&str>> = BTreeMap::new();
    for mount in &mounts {
        let counted =
            if oracle.has(Bug::NodeCountOfPods) { Some(mount.pod.as_str()) } else { mount.node.as_deref() };
        nodes.entry((mount.day, mount.volume.clone())).or_default().extend(counted);
    }
    let mut by_claim: BTreeMap<(Day, &str, &str), Vec<&Mount>> = BTreeMap::new();
    for mount in &mounts {
        if let Some(claim) = &mount.claim {
            by_claim.entry((mount.day, claim, &mount.pod)).or_default().push(mount);
        }
    }
    let mut groups: BTreeMap<Key, Vec<Joined<'_>>> = BTreeMap::new();
    for storage in &input.storage {
        let mut matched: Vec<Option<&Mount>> = Vec::new();
        if let (Some(claim), Some(pod), Some(namespace)) = (&storage.claim, &storage.pod, &storage.namespace)
        {
            let candidates = by_claim.get(&(storage.day, claim, pod)).into_iter().flatten();
            let same_namespace =
                |mount: &&&Mount| mount.namespace == *namespace || oracle.has(Bug::VolumesIgnoreNamespace);
            matched.extend(candidates.filter(same_namespace).map(|mount| Some(*mount)));
        }
        if matched.is_empty() {
            matched.push(None);
        }
        // A NULL volume equals nothing, so it has no count.
        let node_count = match &storage.volume {
            Some(_) => nodes.get(&(storage.day, storage.volume.clone())).map(BTreeSet::len),
            None => None,
        };
        let filtered = |text: &Text, column: &str| {
            labels
                .filtered(text.as_deref())
                .map_err(|reason| value_error(storage.at.clone().column(column), reason))
        };
        let of_volume = filtered(&storage.volume_labels, "persistentvolume_labels")?;
        let of_claim = filtered(&storage.claim_labels, "persistentvolumeclaim_labels")?;
        for mount in matched {
            let node = mount.and_then(|mount| mount.node.clone());
            for of_node in labels.of_node(storage.day, node.as_deref()) {
                for of_namespace in labels.of_namespace(storage.day, storage.namespace.as_deref()) {
                    let key = Key {
                        namespace: storage.namespace.clone(),
                        node: node.clone(),
                        resource_id: mount.and_then(|mount| mount.resource_id.clone()),
                        claim: storage.claim.clone(),
                        volume: storage.volume.clone(),
                        class: match &storage.class {
                            None if oracle.has(Bug::NullIsEmpty) => Some(String::new()),
                            class => class.clone(),
                        },
                        handle: storage.handle.clone().filter(|_| !oracle.has(Bug::HandlesMerged)),
                        day: storage.day,
                        labels: merged([&of_node, &of_namespace, &of_volume, &of_claim]),
                    };
                    for category in left_join_categories(oracle, categories, storage.namespace.as_deref())? {
                        groups.entry(key.clone()).or_default().push(Joined { storage, node_count, category });
                    }
                }
            }
        }
    }
    groups.into_iter().map(|(key, group)| row(oracle, key, &group)).collect()
}

/// Storage joined with pods on namespace, pod and day; distinct.
fn mounts(oracle: &Oracle, input: &Input, labels: &LabelSets) -> BTreeSet<Mount> {
    #[expect(clippy::type_complexity, reason = "the join, spelled out once")]
    let mut pods: BTreeMap<(Day, &str), BTreeSet<(&str, &Text, &Text)>> = BTreeMap::new();
    // Hourly rows become daily ones first, by their labels too, with the largest resource id of each (SPEC 1.5).
    let mut derived: BTreeMap<(Day, &str, &str, &Text, Labels), &Text> = BTreeMap::new();
    for pod in &input.pods {
        let (Some(namespace), Some(name)) = (&pod.namespace, &pod.pod) else { continue };
        if pod.derived {
            let on_node = pod.node.as_ref().is_some_and(|node| !node.is_empty());
            let own = labels.filtered(pod.labels.as_deref().filter(|_| on_node)).unwrap_or_default();
            let largest = derived.entry((pod.day, name, namespace, &pod.node, own)).or_insert(&None);
            *largest = (*largest).max(&pod.resource_id);
        } else {
            pods.entry((pod.day, name)).or_default().insert((namespace, &pod.node, &pod.resource_id));
        }
    }
    for ((day, name, namespace, node, _), resource_id) in derived {
        pods.entry((day, name)).or_default().insert((namespace, node, resource_id));
    }
    let mut mounts = BTreeSet::new();
    for storage in &input.storage {
        let (Some(of_storage), Some(pod)) = (&storage.namespace, &storage.pod) else { continue };
        for (namespace, node, resource_id) in pods.get(&(storage.day, pod.as_str())).into_iter().flatten() {
            if namespace != of_storage && !oracle.has(Bug::VolumesIgnoreNamespace) {
                continue;
            }
            mounts.insert(Mount {
                day: storage.day,
                claim: storage.claim.clone(),
                volume: storage.volume.clone(),
                pod: pod.clone(),
                namespace: (*namespace).to_owned(),
                node: (*node).clone(),
                resource_id: (*resource_id).clone(),
            });
        }
    }
    mounts
}

fn row(oracle: &Oracle, key: Key, group: &[Joined<'_>]) -> Result<Row> {
    // All of a group have one day and volume, hence one count.
    let nodes = group.iter().filter_map(|joined| joined.node_count).max().unwrap_or(1);
    let sum = |metric: usize| Sum::of(group.iter().map(|joined| joined.storage.sums[metric])).finish(oracle);
    if nodes == 0 && (sum(1).is_some() || sum(2).is_some()) {
        let at = group[0].storage.at.clone();
        return Err(value_error(
            at,
            "the pods of this volume are on no node, so its usage is divided by zero",
        ));
    }
    let days = if oracle.has(Bug::ThirtyDays) { 30 } else { key.day.days_in_month() };
    let month_seconds = 86_400.0 * f64::from(days);
    let shared = |sum: Option<f64>| sum.map(|sum| sum / nodes as f64 / month_seconds * GIB);
    let labels = spelled(&key.labels);
    Ok(Row {
        data_source: "Storage",
        namespace: key.namespace,
        node: key.node,
        resource_id: key.resource_id,
        claim: key.claim,
        volume: key.volume,
        class: key.class,
        volume_labels: Some(labels.clone()),
        all_labels: labels,
        storage: [
            max(group.iter().map(|joined| joined.storage.capacity_bytes)).map(|bytes| bytes * GIB),
            sum(0).map(|sum| sum / month_seconds * GIB),
            shared(sum(1)),
            shared(sum(2)),
        ],
        zero_cost: true,
        category: group.iter().filter_map(|joined| joined.category).max(),
        ..Row::new(key.day)
    })
}
