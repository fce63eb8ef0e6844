//! Objects below a place as a source of Parquet.
//!
//! ```text
//!  ranges of one row group ── those close together become one request ── each pinned to the listed ETag ── cut apart
//! ```
//!
//! The store's client tries again what may succeed (throttling, 5xx, broken bodies) with growing pauses. What
//! remains is an error: an object that has changed or vanished is never spliced, and never taken for empty.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use daysum_core::port::{ListRequest, ObjectMeta, Source};
use daysum_core::{BoxFuture, BoxStream, Error, Result};
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange};

use crate::open::Place;
use crate::refusal;
use crate::walk;

/// Ranges that are no further apart than this are one request: a round trip costs more than the bytes between.
const GAP: u64 = 16 * 1024;

/// Requests for one row group, of one listing, or of one look into the ledger, under way at once.
pub(crate) const REQUESTS: usize = 8;

/// Everything below a place. Keys are relative to its prefix.
#[derive(Debug, Clone)]
pub struct ObjectStoreSource {
    place: Place,
    with_metadata: bool,
}

impl ObjectStoreSource {
    /// A source over this place.
    pub fn new(place: Place) -> Self {
        Self { place, with_metadata: false }
    }

    /// The same, with the user metadata of each Parquet object in the listing: one request more for each.
    pub fn with_metadata(self) -> Self {
        Self { with_metadata: true, ..self }
    }

    /// User metadata such as `reportdatestart`, lower-case (SPEC 1.2).
    pub async fn metadata(&self, object: &ObjectMeta) -> Result<ObjectMeta> {
        let options = GetOptions { if_match: pinned(object), head: true, ..GetOptions::default() };
        let answer = self.place.store.get_opts(&self.path(&object.key)?, options).await;
        let answer = answer.map_err(|error| refuse("read the metadata of", &object.key, error))?;
        let metadata = answer.attributes.iter().filter_map(|(name, value)| match name {
            object_store::Attribute::Metadata(name) => Some((name.to_lowercase(), value.to_string())),
            _ => None,
        });
        Ok(ObjectMeta { metadata: metadata.collect(), ..object.clone() })
    }

    fn path(&self, key: &str) -> Result<Path> {
        let prefix = self.place.prefix.as_ref();
        let whole = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}/{key}") };
        Path::parse(whole).map_err(|error| Error::port("source", format!("read {key}"), false, error))
    }

    async fn fetch(&self, path: &Path, object: &ObjectMeta, range: Range<u64>) -> Result<Bytes> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            if_match: pinned(object),
            ..GetOptions::default()
        };
        let answer = self.place.store.get_opts(path, options).await;
        let answer = answer.map_err(|error| refuse("read", &object.key, error))?;
        // Not every server heeds If-Match, and not every one lists ETags.
        let now = [answer.meta.e_tag.clone(), Some(modified(&answer.meta))];
        let is_it = |listed: &Arc<str>| now.iter().flatten().any(|now| **now == **listed);
        if !object.version.as_ref().is_none_or(is_it) {
            return Err(Error::changed(&*object.key));
        }
        let told = answer.range.clone();
        let bytes = answer.bytes().await.map_err(|error| refuse("read", &object.key, error))?;
        if told != range || bytes.len() as u64 != range.end - range.start {
            let reason =
                format!("asked for bytes {range:?}, the server sent {} bytes of {told:?}", bytes.len());
            return Err(Error::port("source", format!("read {}", object.key), true, reason));
        }
        Ok(bytes)
    }
}

impl Source for ObjectStoreSource {
    fn list<'a>(&'a self, request: &'a ListRequest) -> BoxStream<'a, Result<ObjectMeta>> {
        let below = match self.path(&request.prefix) {
            Ok(below) => below,
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        let found = match &request.wanted {
            None => self.place.store.list(Some(&below)).map_err(refuse_listing).boxed(),
            Some(wanted) => {
                let walk = async move { walk::list(&self.place, &below, wanted).await };
                let found = stream::once(walk).map_ok(|found| stream::iter(found).map(Ok));
                found.try_flatten().boxed()
            }
        };
        let listed = found.map_ok(|object| ObjectMeta {
            key: self.place.key(&object.location).into(),
            size: object.size,
            version: Some(object.e_tag.clone().unwrap_or_else(|| modified(&object)).into()),
            metadata: Default::default(),
        });
        if !self.with_metadata {
            return listed.boxed();
        }
        let complete = async |object: Result<ObjectMeta>| match object {
            Ok(object) if object.key.ends_with(".parquet") => self.metadata(&object).await,
            other => other,
        };
        listed.map(complete).buffered(REQUESTS).boxed()
    }

    fn read<'a>(
        &'a self,
        object: &'a ObjectMeta,
        ranges: &'a [Range<u64>],
    ) -> BoxFuture<'a, Result<Vec<Bytes>>> {
        Box::pin(async move {
            let path = self.path(&object.key)?;
            let requests = coalesce(ranges);
            let fetched: Vec<Bytes> = stream::iter(requests.clone())
                .map(|range| self.fetch(&path, object, range))
                .buffered(REQUESTS)
                .try_collect()
                .await?;
            let cut = |range: &Range<u64>| {
                let at = requests.partition_point(|request| request.start <= range.start) - 1;
                let start = (range.start - requests[at].start) as usize;
                fetched[at].slice(start..start + (range.end - range.start) as usize)
            };
            Ok(ranges.iter().map(cut).collect())
        })
    }
}

/// The requests that cover all ranges, in order and apart from each other.
fn coalesce(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut sorted = ranges.to_vec();
    sorted.sort_by_key(|range| range.start);
    let mut requests: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        match requests.last_mut() {
            Some(last) if range.start <= last.end + GAP => last.end = last.end.max(range.end),
            _ => requests.push(range),
        }
    }
    requests
}

/// What stands for an ETag where a listing has none. Headers tell whole seconds only.
fn modified(object: &object_store::ObjectMeta) -> String {
    format!("modified {}, {} bytes", object.last_modified.timestamp(), object.size)
}

/// The listed ETag, if it is one.
fn pinned(object: &ObjectMeta) -> Option<String> {
    object.version.as_deref().filter(|version| version.ends_with('"')).map(str::to_owned)
}

const LIST: &str = "list";

pub(crate) fn refuse_listing(error: object_store::Error) -> Error {
    refuse(LIST, "the input", error)
}

fn refuse(operation: &str, key: &str, error: object_store::Error) -> Error {
    use object_store::Error as Cause;
    match error {
        Cause::Precondition { .. } => Error::changed(key),
        // Only what a listing named is read; a listing of nothing has no object.
        Cause::NotFound { .. } if operation != LIST => Error::vanished(key),
        error => refusal::refuse("source", format!("{operation} {key}"), &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_request_and_strangers_are_not() {
        let far = GAP + 101;
        assert_eq!(coalesce(&[50..60, 0..10, far..far + 5]), [0..60, far..far + 5]);
        assert_eq!(coalesce(&[0..100, 20..30, far * 2..far * 3]), [0..100, far * 2..far * 3]);
        assert!(coalesce(&[]).is_empty());
    }
}
