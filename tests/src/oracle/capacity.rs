//! Node and cluster capacity (SPEC 2.4).

use std::collections::BTreeMap;

use daysum_core::Day;

use super::exact::{Sum, max};
use super::read::Input;
use super::{Bug, Oracle};

/// CPU core-seconds and memory byte-seconds, as finished sums.
pub(super) type Pair = [Option<f64>; 2];

/// The capacities of every day.
pub(super) struct Capacities {
    nodes: BTreeMap<(Day, Option<String>), Pair>,
    clusters: BTreeMap<Day, Pair>,
}

impl Capacities {
    pub(super) fn of(oracle: &Oracle, input: &Input) -> Self {
        // The maximum of every interval and node, the NULL node among them.
        let mut intervals: BTreeMap<(Day, i64, Option<String>), Vec<Pair>> = BTreeMap::new();
        for row in &input.capacity {
            intervals.entry((row.day, row.millis, row.node.clone())).or_default().push(row.seconds);
        }
        let mut nodes: BTreeMap<(Day, Option<String>), [Sum; 2]> = BTreeMap::new();
        let mut clusters: BTreeMap<Day, [Sum; 2]> = BTreeMap::new();
        for ((day, _, node), pods) in intervals {
            for measure in 0..2 {
                let values = pods.iter().map(|pod| pod[measure]);
                let largest = if oracle.has(Bug::CapacitySummed) {
                    Sum::of(values).finish(oracle)
                } else {
                    max(values)
                };
                nodes.entry((day, node.clone())).or_default()[measure].add(largest);
                clusters.entry(day).or_default()[measure].add(largest);
            }
        }
        let finish = |sums: [Sum; 2]| sums.map(|sum| sum.finish(oracle));
        Self {
            nodes: nodes.into_iter().map(|(key, sums)| (key, finish(sums))).collect(),
            clusters: clusters.into_iter().map(|(day, sums)| (day, finish(sums))).collect(),
        }
    }

    /// The left join on day and node.
    pub(super) fn node(&self, day: Day, node: &str) -> Pair {
        self.nodes.get(&(day, Some(node.to_owned()))).copied().unwrap_or_default()
    }

    /// The left join on day.
    pub(super) fn cluster(&self, day: Day) -> Pair {
        self.clusters.get(&day).copied().unwrap_or_default()
    }
}
