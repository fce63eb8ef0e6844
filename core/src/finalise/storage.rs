//! Storage rows: volumes matched to the nodes of the pods that mount them (SPEC 2.6, 2.7).

use std::collections::{BTreeMap, BTreeSet};

use super::labels::LabelSets;
use super::pods::GIB;
use super::policy::{OnNodelessVolume, Policy};
use crate::day::Day;
use crate::error::{Error, Location, Result};
use crate::intern::Sym;
use crate::state::sorted;
use crate::state::{DayState, Table, VolumeSums};

/// Storage by namespace, node, resource id, claim, volume, class, handle and merged labels; and by how
/// many nodes each volume name is divided.
#[derive(Debug, Default)]
pub(super) struct Volumes {
    groups: Table<8, VolumeSums>,
    node_counts: BTreeMap<Sym, usize>,
}

/// A finished Storage row, in gibibytes and gibibyte-months.
#[derive(Debug)]
pub(super) struct StorageRow<'a> {
    /// namespace, node, resource id, claim, volume, class, handle, labels
    pub(super) key: [Option<&'a str>; 8],
    /// In the order of [`STORAGE_MEASURES`](crate::rows::STORAGE_MEASURES).
    pub(super) measures: [Option<f64>; 4],
    pub(super) category: Option<i32>,
}

/// Matches every storage line item with the nodes of its pod, fan-out included.
pub(super) fn group(
    state: &mut DayState,
    labels: &mut LabelSets<'_>,
    day: Day,
    policy: &Policy,
    fanned_out: &mut u64,
) -> Result<Volumes> {
    let DayState { names, volumes, mounts, .. } = state;
    let mut pods: BTreeMap<[Sym; 2], Vec<[Sym; 2]>> = BTreeMap::new();
    for (&[namespace, pod, node, resource], _) in mounts.iter() {
        pods.entry([namespace, pod]).or_default().push([node, resource]);
    }
    // The join has no volume in its condition: a claim with two volumes in the day matches twice.
    let mut volumes_of_claim: BTreeMap<[Sym; 3], BTreeSet<Sym>> = BTreeMap::new();
    let mut nodes_of_volume: BTreeMap<Sym, BTreeSet<Sym>> = BTreeMap::new();
    for (&[namespace, pod, claim, volume, ..], _) in volumes.iter() {
        let Some(places) = pods.get(&[namespace, pod]) else { continue };
        volumes_of_claim.entry([namespace, pod, claim]).or_default().insert(volume);
        let nodes = nodes_of_volume.entry(volume).or_default();
        nodes.extend(places.iter().map(|[node, _]| *node).filter(|node| !node.is_null()));
    }
    let mut result = Volumes::default();
    for (volume, nodes) in nodes_of_volume {
        if volume.is_null() {
            continue; // NULL joins with nothing, so nothing is divided by its count
        }
        let count = match (nodes.len(), policy.on_nodeless_volume) {
            (0, OnNodelessVolume::Refuse) => {
                let name = names.get(volume).unwrap_or_default();
                return Err(Error::value(
                    Location::object(format!("{day}: volume {name}")).column("node"),
                    "all pods that mount the volume have NULL as their node, so its usage cannot be divided among \
                     nodes (SPEC 2.7 case 8); correct the input or divide by one",
                ));
            }
            (count, _) => count.max(1),
        };
        result.node_counts.insert(volume, count);
    }
    let unmatched = [[Sym::NULL; 2]];
    for (&[namespace, pod, claim, volume, class, handle, volume_labels, claim_labels], sums) in volumes.iter()
    {
        let matched = pods.get(&[namespace, pod]).filter(|_| !claim.is_null());
        let places: &[[Sym; 2]] = matched.map_or(&unmatched, Vec::as_slice);
        let repeated = match matched {
            Some(_) => volumes_of_claim[&[namespace, pod, claim]].len() as u64,
            None => 1,
        };
        let times = repeated * policy.categories.matches(names.get(namespace)).multiplicity();
        let mut copies = 0;
        for &[node, resource] in places {
            for set in labels.joined(names, node, namespace, [volume_labels, claim_labels]) {
                let group =
                    result.groups.group([namespace, node, resource, claim, volume, class, handle, set]);
                result.groups.value_mut(group).add_times(sums, times)?;
                copies += times;
            }
        }
        *fanned_out += sums.rows * (copies - 1);
    }
    Ok(result)
}

/// The rows, sorted by key.
pub(super) fn rows<'a>(
    state: &'a DayState,
    volumes: Volumes,
    day: Day,
    policy: &Policy,
) -> Vec<StorageRow<'a>> {
    let names = &state.names;
    let month = 86_400.0 * f64::from(day.days_in_month());
    sorted(names, &volumes.groups, [true; 8])
        .into_iter()
        .map(|group| {
            let (key, sums) = (*volumes.groups.key(group), volumes.groups.value(group));
            let nodes = volumes.node_counts.get(&key[4]).map_or(1.0, |count| *count as f64);
            StorageRow {
                key: key.map(|part| names.get(part)),
                measures: [
                    sums.capacity_bytes.get().map(|bytes| bytes * GIB),
                    sums.sum(0).map(|seconds| seconds / month * GIB),
                    sums.sum(1).map(|seconds| seconds / nodes / month * GIB),
                    sums.sum(2).map(|seconds| seconds / nodes / month * GIB),
                ],
                category: policy.categories.matches(names.get(key[0])).id(),
            }
        })
        .collect()
}
