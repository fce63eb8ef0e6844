//! Pod rows: usage by namespace, node and merged labels (SPEC 2.5).

use super::capacity::Capacity;
use super::labels::LabelSets;
use super::policy::Policy;
use crate::error::Result;
use crate::intern::Sym;
use crate::state::sorted;
use crate::state::{DayState, PodSums, Table};

/// Bytes to gibibytes; exact.
pub(super) const GIB: f64 = 1.0 / (1u64 << 30) as f64;

/// Seconds to hours.
pub(super) const HOUR: f64 = 3600.0;

/// A finished Pod row, in hours, cores and gibibytes.
#[derive(Debug, Clone)]
pub(super) struct PodRow<'a> {
    pub(super) namespace: Option<&'a str>,
    pub(super) node: Option<&'a str>,
    pub(super) resource_id: Option<&'a str>,
    pub(super) labels: Option<&'a str>,
    /// In the order of [`POD_SUMS`](crate::rows::POD_SUMS).
    pub(super) sums: [Option<f64>; 8],
    /// In the order of [`CAPACITIES`](crate::rows::CAPACITIES).
    pub(super) capacities: [Option<f64>; 6],
    pub(super) category: Option<i32>,
}

/// Usage by namespace, node and merged labels, fan-out included.
pub(super) fn group(
    state: &mut DayState,
    labels: &mut LabelSets<'_>,
    policy: &Policy,
    fanned_out: &mut u64,
) -> Result<Table<3, PodSums>> {
    let mut merged: Table<3, PodSums> = Table::default();
    let DayState { names, usage, .. } = state;
    for (&[namespace, node, own], sums) in usage.iter() {
        let times = policy.categories.matches(names.get(namespace)).multiplicity();
        let joined = labels.joined(names, node, namespace, [own, Sym::NULL]);
        *fanned_out += sums.rows * (times * joined.len() as u64 - 1);
        for set in joined {
            let group = merged.group([namespace, node, set]);
            let into = merged.value_mut(group);
            into.add_times(sums, times)?;
            into.resource_id = names.max(into.resource_id, sums.resource_id);
        }
    }
    Ok(merged)
}

/// The rows, sorted by key.
pub(super) fn rows<'a>(
    state: &'a DayState,
    groups: &Table<3, PodSums>,
    capacity: &Capacity,
    policy: &Policy,
) -> Vec<PodRow<'a>> {
    let names = &state.names;
    let cluster = [capacity.cluster.cpu() / HOUR, capacity.cluster.memory() / HOUR * GIB];
    sorted(names, groups, [true; 3])
        .into_iter()
        .map(|group| {
            let ([namespace, node, labels], sums) = (*groups.key(group), groups.value(group));
            let of_node = capacity.node(node);
            let hours = |metric: usize| {
                let unit = if metric < 4 { 1.0 } else { GIB };
                sums.sum(metric).map(|seconds| seconds / HOUR * unit)
            };
            PodRow {
                namespace: names.get(namespace),
                node: names.get(node),
                resource_id: names.get(sums.resource_id),
                labels: names.get(labels),
                sums: std::array::from_fn(hours),
                capacities: [
                    sums.cores.get(),
                    Some(of_node.cpu() / HOUR),
                    sums.memory_bytes.get().map(|bytes| bytes * GIB),
                    Some(of_node.memory() / HOUR * GIB),
                    Some(cluster[0]),
                    Some(cluster[1]),
                ],
                category: policy.categories.matches(names.get(namespace)).id(),
            }
        })
        .collect()
}
