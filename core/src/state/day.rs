//! The tables of one day, with the symbols their keys are made of.

use super::spill::Spilled;
use super::table::{Remap, Table};
use super::values::{CapacityMax, Member, Mount, PodSums, VolumeSums};
use crate::error::Result;
use crate::intern::{Interner, Sym};

/// Everything known of one day. It shares nothing with other days, so finishing a day frees all of it.
#[derive(Debug, Clone, Default)]
pub struct DayState {
    /// The texts of all keys below.
    pub(crate) names: Interner,
    /// namespace, node, canonical labels
    pub(crate) usage: Table<3, PodSums>,
    /// milliseconds since midnight (a number, no symbol), node
    pub(crate) capacity: Table<2, CapacityMax>,
    /// namespace, pod, claim, volume, class, handle, volume labels, claim labels
    pub(crate) volumes: Table<8, VolumeSums>,
    /// namespace, pod, node, and what tells the pod's daily rows apart: their resource id or, where they are derived, their
    /// canonical labels
    pub(crate) mounts: Table<4, Mount>,
    /// node, canonical labels
    pub(crate) node_labels: Table<2, Member>,
    /// namespace, canonical labels
    pub(crate) namespace_labels: Table<2, Member>,
    /// What did not fit into memory, of any of the tables.
    pub(crate) spilled: Spilled,
}

/// Which parts of a capacity key are symbols.
pub(crate) const CAPACITY_SYMBOLS: [bool; 2] = [false, true];

impl DayState {
    /// Both days' content. The smaller one is translated into the symbols of the larger.
    pub fn merge(self, other: Self) -> Result<Self> {
        let (mut into, from) = if self.groups() >= other.groups() { (self, other) } else { (other, self) };
        let Self { names, usage, capacity, volumes, mounts, node_labels, namespace_labels, spilled } =
            &mut into;
        spilled.append(from.spilled);
        let mut remap = Remap::new(&from.names, names);
        usage.absorb(&from.usage, [true; 3], &mut remap)?;
        capacity.absorb(&from.capacity, CAPACITY_SYMBOLS, &mut remap)?;
        volumes.absorb(&from.volumes, [true; 8], &mut remap)?;
        mounts.absorb(&from.mounts, [true; 4], &mut remap)?;
        node_labels.absorb(&from.node_labels, [true; 2], &mut remap)?;
        namespace_labels.absorb(&from.namespace_labels, [true; 2], &mut remap)?;
        Ok(into)
    }

    /// Groups of all tables that are held in memory.
    pub fn groups(&self) -> usize {
        self.usage.len()
            + self.capacity.len()
            + self.volumes.len()
            + self.mounts.len()
            + self.node_labels.len()
            + self.namespace_labels.len()
    }

    /// Bytes held on the heap.
    pub fn memory_size(&self) -> usize {
        self.names.memory_size()
            + self.usage.memory_size()
            + self.capacity.memory_size()
            + self.volumes.memory_size()
            + self.mounts.memory_size()
            + self.node_labels.memory_size()
            + self.namespace_labels.memory_size()
    }

    /// Key of a capacity group.
    pub(crate) fn capacity_key(millis_of_day: u32, node: Sym) -> [Sym; 2] {
        [Sym(millis_of_day), node]
    }
}
