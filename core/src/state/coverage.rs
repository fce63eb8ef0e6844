//! Which chunks a state contains, so that a retry never counts twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A row group of one version of an object, read for one purpose.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId {
    /// The object's key.
    pub object: Arc<str>,
    /// Its version; empty where the store has none.
    pub version: Arc<str>,
    /// Zero-based row group.
    pub row_group: u32,
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, row group {}", self.object.escape_debug(), self.row_group)
    }
}

/// A set of chunks. A run's grows with its files, so it shares their keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Nested", into = "Nested")]
pub struct Coverage {
    chunks: BTreeSet<ChunkId>,
}

/// As it is written: object, then version, then row groups.
type Nested = BTreeMap<Arc<str>, BTreeMap<Arc<str>, BTreeSet<u32>>>;

impl From<Nested> for Coverage {
    fn from(nested: Nested) -> Self {
        let mut chunks = BTreeSet::new();
        for (object, versions) in &nested {
            for (version, groups) in versions {
                let chunk =
                    |&row_group| ChunkId { object: object.clone(), version: version.clone(), row_group };
                chunks.extend(groups.iter().map(chunk));
            }
        }
        Self { chunks }
    }
}

impl From<Coverage> for Nested {
    fn from(coverage: Coverage) -> Self {
        let mut nested = Self::new();
        for ChunkId { object, version, row_group } in coverage.chunks {
            nested.entry(object).or_default().entry(version).or_default().insert(row_group);
        }
        nested
    }
}

impl Coverage {
    /// Adds a chunk; refuses one that is inside already.
    pub fn insert(&mut self, chunk: &ChunkId) -> Result<()> {
        let is_new = self.chunks.insert(chunk.clone());
        if is_new { Ok(()) } else { Err(Error::Overlap { chunk: chunk.to_string() }) }
    }

    /// Whether a chunk is inside.
    pub fn contains(&self, chunk: &ChunkId) -> bool {
        self.chunks.contains(chunk)
    }

    /// Every chunk, in order.
    pub fn iter(&self) -> impl Iterator<Item = &ChunkId> {
        self.chunks.iter()
    }

    /// Disjoint union; nothing is added where the two share a chunk.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        if let Some(shared) = other.iter().find(|chunk| self.contains(chunk)) {
            return Err(Error::Overlap { chunk: shared.to_string() });
        }
        self.chunks.extend(other.chunks);
        Ok(())
    }
}
