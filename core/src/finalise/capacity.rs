//! Node and cluster capacity: the maximum of each interval, summed over the day (SPEC 2.4).

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::pods::{GIB, HOUR};
use crate::error::{Error, Result};
use crate::exact::ExactSum;
use crate::intern::Sym;
use crate::state::DayState;

/// Core-hours, then gibibyte-hours.
type Hours = [f64; 2];

/// Core-seconds, then byte-seconds.
#[derive(Debug, Clone, Copy, Default)]
struct Seconds([ExactSum; 2]);

impl Seconds {
    fn add(&mut self, largest: [Option<f64>; 2]) -> Result<()> {
        if self.0.iter_mut().zip(largest).all(|(sum, value)| sum.add(value.unwrap_or(0.0))) {
            return Ok(());
        }
        Err(Error::Overflow { what: "node capacity of a day".into() })
    }

    fn hours(&self) -> Hours {
        let [cpu, memory] = self.0.map(|sum| sum.to_f64() / HOUR);
        [cpu, memory * GIB]
    }
}

/// Capacities of one day. Without hourly rows they are 0, not NULL (SPEC 2.5).
#[derive(Debug, Default)]
pub(super) struct Capacity {
    nodes: HashMap<Sym, Hours, RandomState>,
    /// All nodes, those without a name included.
    pub(super) cluster: Hours,
}

impl Capacity {
    pub(super) fn of(state: &DayState) -> Result<Self> {
        let mut nodes: HashMap<Sym, Seconds, RandomState> = HashMap::default();
        let mut cluster = Seconds::default();
        for ([_, node], largest) in state.capacity.iter() {
            let largest = [largest.cpu.get(), largest.memory.get()];
            nodes.entry(*node).or_default().add(largest)?;
            cluster.add(largest)?;
        }
        let nodes = nodes.into_iter().map(|(node, seconds)| (node, seconds.hours())).collect();
        Ok(Self { nodes, cluster: cluster.hours() })
    }

    pub(super) fn node(&self, node: Sym) -> Hours {
        self.nodes.get(&node).copied().unwrap_or_default()
    }
}
