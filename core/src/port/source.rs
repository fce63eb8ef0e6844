//! Where objects come from.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::day::Month;
use crate::error::Result;
use crate::send::{BoxFuture, BoxStream, MaybeSend, MaybeSync};

/// Lists objects and reads byte ranges of one.
///
/// Wrong would be: a buffer shorter than its range (that is an error, not an answer), ranges of two
/// versions of one object in one answer, or an empty list where the listing failed.
pub trait Source: Debug + MaybeSend + MaybeSync {
    /// Every object below `request.prefix`, in any order, each once; of those that are not wanted as many as it likes.
    fn list<'a>(&'a self, request: &'a ListRequest) -> BoxStream<'a, Result<ObjectMeta>>;

    /// The bytes of each range, in request order. Fails with [`Error::Changed`](crate::Error::Changed) when the object
    /// is no longer the version that `object` names, or is gone, so that two versions are never spliced.
    fn read<'a>(
        &'a self,
        object: &'a ObjectMeta,
        ranges: &'a [Range<u64>],
    ) -> BoxFuture<'a, Result<Vec<Bytes>>>;

    /// Bytes from which on one large request is no faster than several small ones. Without a bound, because every
    /// request is a round trip, unless the source is closer than that.
    fn read_ahead(&self) -> u64 {
        u64::MAX
    }
}

/// What to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// Only keys that start with this; whole path segments.
    pub prefix: String,
    /// What is needed of them. A source may leave out the rest, so that a large place is not listed as a whole.
    pub wanted: Option<Wanted>,
}

impl ListRequest {
    /// Whether a key lies below the prefix: `data/1` has nothing of `data/10`.
    pub fn is_below(&self, key: &str) -> bool {
        let Self { prefix, .. } = self;
        let rest = key.strip_prefix(prefix.as_str());
        rest.is_some_and(|rest| prefix.is_empty() || prefix.ends_with('/') || rest.starts_with('/'))
    }
}

/// Whose objects of which months are needed, as far as keys tell (SPEC 1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The provider, lower case; empty is any.
    pub source_uuid: String,
    /// First and last month.
    pub months: (Month, Month),
}

/// One object as the listing saw it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectMeta {
    /// Key relative to the source's root, `/` between segments. Whatever tells of the object shares it.
    pub key: Arc<str>,
    /// Size in bytes.
    pub size: u64,
    /// ETag, version or modification time: changes whenever the content does. `None` if the store has none.
    pub version: Option<Arc<str>>,
    /// User metadata such as `reportdatestart` (SPEC 1.2); empty where it was not asked for.
    pub metadata: BTreeMap<String, String>,
}
