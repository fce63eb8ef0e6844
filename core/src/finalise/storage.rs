//! Storage rows: volumes matched to the nodes of the pods that mount them (SPEC 2.6, 2.7).

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::joins::Joins;
use super::pods::GIB;
use super::policy::{OnNodelessVolume, Policy};
use crate::day::Day;
use crate::error::{Error, Location, Result};
use crate::intern::{Interner, Sym};
use crate::rows::blocks;
use crate::state::{DayState, Merged, Mount, Remap, Table, VolumeSums, sorted};

type Map<K, V> = HashMap<K, V, RandomState>;

/// Storage by namespace, node, resource id, claim, volume, class, handle and merged labels; and by how
/// many nodes each volume name is divided.
#[derive(Debug, Default)]
pub(super) struct Volumes {
    groups: Table<8, VolumeSums>,
    order: Vec<usize>,
    node_counts: Map<Sym, usize>,
}

impl Volumes {
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// All groups in the order of their keys, some at a time.
    pub(super) fn blocks<'a>(&'a self, names: &'a Interner) -> impl Iterator<Item = &'a [usize]> {
        let text = |row: usize| names.bytes(self.groups.key(self.order[row]));
        blocks(self.order.len(), text).map(|block| &self.order[block])
    }
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

/// The bits of the sums that are divided among nodes: what was requested, and what was used.
const DIVIDED: u8 = 0b110;

/// Matches every storage line item with the nodes of its pod, fan-out included.
pub(super) fn group(
    state: &mut DayState,
    joins: &mut Joins<'_>,
    day: Day,
    policy: &Policy,
) -> Result<Volumes> {
    let pods = places_of_pods(state)?;
    let DayState { names, volumes, .. } = state;
    // The join has no volume in its condition: a claim with two volumes in the day matches twice.
    let mut volumes_of_claim: Map<[Sym; 3], Vec<Sym>> = Map::default();
    let mut nodes_of_volume: Map<Sym, Vec<Sym>> = Map::default();
    for (&[namespace, pod, claim, volume, ..], _) in volumes.iter() {
        let Some(places) = pods.get(&[namespace, pod]) else { continue };
        volumes_of_claim.entry([namespace, pod, claim]).or_default().push(volume);
        let nodes = nodes_of_volume.entry(volume).or_default();
        nodes.extend(places.iter().map(|[node, _]| *node).filter(|node| !node.is_null()));
    }
    volumes_of_claim.values_mut().for_each(distinct);
    nodes_of_volume.values_mut().for_each(distinct);
    let mut result = Volumes { groups: Table::with_capacity(volumes.len()), ..Volumes::default() };
    if policy.on_nodeless_volume == OnNodelessVolume::Refuse {
        let is_nodeless =
            |volume: Sym| !volume.is_null() && nodes_of_volume.get(&volume).is_some_and(Vec::is_empty);
        // NULL divided by nothing is NULL.
        let divided = volumes.iter().find(|(key, sums)| sums.present & DIVIDED != 0 && is_nodeless(key[3]));
        if let Some((key, _)) = divided {
            let name = names.get(key[3]).unwrap_or_default();
            return Err(Error::value(
                Location::object(format!("{day}: volume {name}")).column("node"),
                "all pods that mount the volume have NULL as their node, so its usage cannot be divided among nodes \
                 (SPEC 2.7 case 8); correct the input, or choose divide-by-one for nodeless volumes",
            ));
        }
    }
    // NULL joins with nothing, so nothing is divided by its count.
    let counted = nodes_of_volume.into_iter().filter(|(volume, _)| !volume.is_null());
    result.node_counts = counted.map(|(volume, nodes)| (volume, nodes.len().max(1))).collect();
    let unmatched = [[Sym::NULL; 2]];
    let mut sets = Vec::new();
    for (&[namespace, pod, claim, volume, class, handle, volume_labels, claim_labels], sums) in volumes.iter()
    {
        let matched = pods.get(&[namespace, pod]).filter(|_| !claim.is_null());
        let places: &[[Sym; 2]] = matched.map_or(&unmatched, Vec::as_slice);
        let repeated = match matched {
            Some(_) => volumes_of_claim[&[namespace, pod, claim]].len() as u64,
            None => 1,
        };
        let times = repeated * joins.repeats(names, namespace);
        let mut copies = 0;
        for &[node, resource] in places {
            let all = (node, 0..joins.sets_of_node(node));
            joins.labels(names, all, namespace, [volume_labels, claim_labels], &mut sets);
            for &set in &sets {
                let group =
                    result.groups.group([namespace, node, resource, claim, volume, class, handle, set]);
                result.groups.value_mut(group).add_times(sums, times)?;
                copies += times;
            }
        }
        joins.count(sums.rows, copies);
    }
    result.order = sorted(names, &result.groups, [true; 8]);
    Ok(result)
}

fn distinct<T: Ord>(parts: &mut Vec<T>) {
    parts.sort_unstable();
    parts.dedup();
}

/// Node and resource id of every pod that reports a volume.
fn places_of_pods(state: &mut DayState) -> Result<Map<[Sym; 2], Vec<[Sym; 2]>>> {
    let DayState { names, volumes, mounts, spilled, .. } = state;
    let mut pods: Map<[Sym; 2], Vec<[Sym; 2]>> = Map::default();
    for (&[namespace, pod, ..], _) in volumes.iter() {
        pods.entry([namespace, pod]).or_default();
    }
    for (&[namespace, pod, node, _], mount) in mounts.iter() {
        if let Some(places) = pods.get_mut(&[namespace, pod]) {
            places.push([node, mount.resource_id]);
        }
    }
    if let Some(spill) = &spilled.to
        && !pods.is_empty()
    {
        let runs = Merged::<4, Mount>::reduced(std::mem::take(&mut spilled.mounts), spill)?;
        for block in Merged::<4, Mount>::of(&runs)? {
            let block = block?;
            for (&[namespace, pod, node, _], mount) in block.table.iter() {
                let known = |part| block.names.get(part).and_then(|text| names.find(text));
                let Some((namespace, pod)) = known(namespace).zip(known(pod)) else { continue };
                if let Some(places) = pods.get_mut(&[namespace, pod]) {
                    places.push(
                        [node, mount.resource_id].map(|part| Remap::once(&block.names, names).sym(part)),
                    );
                }
            }
        }
    }
    pods.retain(|_, places| !places.is_empty());
    // Derived daily rows of other labels can tell of the same place.
    pods.values_mut().for_each(distinct);
    Ok(pods)
}

/// The rows of these groups.
pub(super) fn rows<'a>(
    names: &'a Interner,
    volumes: &Volumes,
    groups: &[usize],
    day: Day,
    policy: &Policy,
) -> Vec<StorageRow<'a>> {
    let month = 86_400.0 * f64::from(day.days_in_month());
    groups
        .iter()
        .map(|&group| {
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
