//! Where partial states wait between fold, merge and finalise.

use std::fmt::{self, Debug};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::send::{BoxFuture, BoxStream, MaybeSend, MaybeSync};

/// Keeps opaque blobs. It never learns what a state is; `put` of an existing key replaces it whole.
pub trait StateStore: Debug + MaybeSend + MaybeSync {
    /// Stores the blob; a reader sees the old one or the new one, never a mixture.
    fn put<'a>(&'a self, key: &'a StateKey, state: Bytes) -> BoxFuture<'a, Result<()>>;
    /// The blob, or `None` where there is none.
    fn get<'a>(&'a self, key: &'a StateKey) -> BoxFuture<'a, Result<Option<Bytes>>>;
    /// Every key of a run, in any order.
    fn list<'a>(&'a self, run: &'a RunId) -> BoxStream<'a, Result<StateKey>>;
    /// Removes the blob; removing what is not there is fine.
    fn delete<'a>(&'a self, key: &'a StateKey) -> BoxFuture<'a, Result<()>>;
}

/// Names a run: states of one run merge with each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one state of a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StateKey {
    /// The run it belongs to.
    pub run: RunId,
    /// Its name within the run; letters, digits, `-`, `_` and `.`.
    pub name: String,
}
