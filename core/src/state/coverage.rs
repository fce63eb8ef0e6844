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

/// A set of chunks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Coverage {
    /// Object, then version, then row groups: sorted, so that equal sets look equal.
    chunks: BTreeMap<Arc<str>, BTreeMap<Arc<str>, BTreeSet<u32>>>,
}

impl Coverage {
    /// Adds a chunk; refuses one that is inside already.
    pub fn insert(&mut self, chunk: &ChunkId) -> Result<()> {
        let groups =
            self.chunks.entry(chunk.object.clone()).or_default().entry(chunk.version.clone()).or_default();
        if groups.insert(chunk.row_group) { Ok(()) } else { Err(Error::Overlap { chunk: chunk.to_string() }) }
    }

    /// Whether a chunk is inside.
    pub fn contains(&self, chunk: &ChunkId) -> bool {
        self.chunks
            .get(&chunk.object)
            .and_then(|versions| versions.get(&chunk.version))
            .is_some_and(|groups| groups.contains(&chunk.row_group))
    }

    /// Every chunk, in order.
    pub fn iter(&self) -> impl Iterator<Item = ChunkId> + '_ {
        self.chunks.iter().flat_map(|(object, versions)| {
            versions.iter().flat_map(move |(version, groups)| {
                groups.iter().map(move |&row_group| ChunkId {
                    object: object.clone(),
                    version: version.clone(),
                    row_group,
                })
            })
        })
    }

    /// Disjoint union; nothing is added where the two share a chunk.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        if let Some(shared) = other.iter().find(|chunk| self.contains(chunk)) {
            return Err(Error::Overlap { chunk: shared.to_string() });
        }
        for (object, versions) in other.chunks {
            let ours = self.chunks.entry(object).or_default();
            for (version, groups) in versions {
                ours.entry(version).or_default().extend(groups);
            }
        }
        Ok(())
    }
}
