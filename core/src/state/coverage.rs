//! Which chunks a state contains, and what they were read for, so that nothing is counted twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::day::{Day, Month};
use crate::error::{Error, Result};
use crate::schema::FactKind;

/// A row group of one version of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
        write!(f, "{}, row group {}", self.object.escape_debug(), self.row_group)?;
        match &*self.version {
            "" => Ok(()),
            version => write!(f, ", version {}", version.escape_debug()),
        }
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
    /// Adds a chunk; refuses one that is inside already, and one of an object of which another version is inside.
    pub fn insert(&mut self, chunk: &ChunkId) -> Result<()> {
        self.check(chunk)?;
        self.chunks.insert(chunk.clone());
        Ok(())
    }

    /// Every chunk, in order.
    pub fn iter(&self) -> impl Iterator<Item = &ChunkId> {
        self.chunks.iter()
    }

    /// Disjoint union; nothing is added where the two share a chunk, or hold two versions of an object.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        other.iter().try_for_each(|chunk| self.check(chunk))?;
        self.chunks.extend(other.chunks);
        Ok(())
    }

    fn check(&self, chunk: &ChunkId) -> Result<()> {
        let (object, version) = (chunk.object.clone(), Arc::from(""));
        let of_object = self.chunks.range(ChunkId { object, version, row_group: 0 }..).next();
        let other =
            of_object.filter(|inside| inside.object == chunk.object && inside.version != chunk.version);
        let inside = other.or_else(|| self.chunks.get(chunk));
        inside.map_or(Ok(()), |inside| Err(Error::Overlap { chunk: inside.to_string() }))
    }
}

/// What chunks were read for, by the month of their partition: rows that stand in for daily ones must not meet those.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Purposes(BTreeSet<(Option<Day>, FactKind)>);

impl Purposes {
    pub(crate) fn insert(&mut self, kind: FactKind, partition: Option<Month>) -> Result<()> {
        let month = partition.map(Month::first);
        // A file that lies in no month's directory can hold rows of any.
        let meets = |of: &Option<Day>| *of == month || of.is_none() || month.is_none();
        for other in kind.excludes() {
            if self.0.iter().any(|(of, kind)| kind == other && meets(of)) {
                let month = partition.map_or_else(String::new, |month| format!(" of {month}"));
                return Err(Error::config(format!(
                    "{kind:?} rows{month} would count what {other:?} rows have counted: fold the parts of a month under one \
                     plan of all its files (`daysum fold --only`)"
                )));
            }
        }
        self.0.insert((month, kind));
        Ok(())
    }

    pub(crate) fn merge(&mut self, other: Self) -> Result<()> {
        other.0.into_iter().try_for_each(|(month, kind)| self.insert(kind, month.map(Day::month)))
    }
}
