//! Node and cluster capacity: the maximum of each interval, summed over the day (SPEC 2.4).

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::exact::ExactSum;
use crate::intern::Sym;
use crate::state::DayState;

/// CPU in core-seconds, memory in byte-seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seconds {
    cpu: ExactSum,
    memory: ExactSum,
}

impl Seconds {
    pub(super) fn cpu(&self) -> f64 {
        self.cpu.to_f64()
    }

    pub(super) fn memory(&self) -> f64 {
        self.memory.to_f64()
    }

    fn add(&mut self, cpu: Option<f64>, memory: Option<f64>) -> Result<()> {
        if self.cpu.add(cpu.unwrap_or(0.0)) && self.memory.add(memory.unwrap_or(0.0)) {
            return Ok(());
        }
        Err(Error::Overflow { what: "node capacity of a day".into() })
    }
}

/// Capacities of one day. Without hourly rows they are 0, not NULL (SPEC 2.5).
#[derive(Debug, Default)]
pub(super) struct Capacity {
    nodes: BTreeMap<Sym, Seconds>,
    /// All nodes, those without a name included.
    pub(super) cluster: Seconds,
}

impl Capacity {
    pub(super) fn of(state: &DayState) -> Result<Self> {
        let mut capacity = Self::default();
        for ([_, node], largest) in state.capacity.iter() {
            let (cpu, memory) = (largest.cpu.get(), largest.memory.get());
            capacity.nodes.entry(*node).or_default().add(cpu, memory)?;
            capacity.cluster.add(cpu, memory)?;
        }
        Ok(capacity)
    }

    pub(super) fn node(&self, node: Sym) -> Seconds {
        self.nodes.get(&node).copied().unwrap_or_default()
    }
}
