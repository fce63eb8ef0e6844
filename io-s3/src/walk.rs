//! The listing of a large bucket, of which one source's months are wanted.
//!
//! ```text
//! one page of everything ──┬── that was all: done, with one request
//!                          └── more: folder by folder, side by side, but not into those of other sources and months;
//!                              below a month, everything at once
//! ```
//!
//! A folder tells by `source=`, `year=` and `month=` in its name (SPEC 1.2). Where none does, all are walked.

use daysum_core::Result;
use daysum_core::drive::KeyFacts;
use daysum_core::port::Wanted;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::open::Place;
use crate::source::{REQUESTS, refuse_listing};

/// Keys that a server lists in one answer.
const PAGE: usize = 1000;

/// The objects below a folder that can hold what is wanted.
pub(crate) async fn list(place: &Place, below: &Path, wanted: &Wanted) -> Result<Vec<ObjectMeta>> {
    let store = &place.store;
    let may_hold = |path: &Path| KeyFacts::of(place.key(path)).may_hold(wanted);
    let mut found: Vec<ObjectMeta> =
        store.list(Some(below)).take(PAGE + 1).try_collect().await.map_err(refuse_listing)?;
    if found.len() > PAGE {
        found.clear();
        let (mut open, mut months) = (vec![below.clone()], Vec::new());
        while !open.is_empty() {
            let mut level = stream::iter(std::mem::take(&mut open))
                .map(|folder| async move { store.list_with_delimiter(Some(&folder)).await })
                .buffer_unordered(REQUESTS);
            while let Some(listed) = level.try_next().await.map_err(refuse_listing)? {
                found.extend(listed.objects);
                for folder in listed.common_prefixes {
                    if may_hold(&folder) {
                        let of_a_month = KeyFacts::of(place.key(&folder)).partition.is_some();
                        if of_a_month { months.push(folder) } else { open.push(folder) }
                    }
                }
            }
        }
        let mut whole = stream::iter(months)
            .map(|month| async move { store.list(Some(&month)).try_collect::<Vec<_>>().await })
            .buffer_unordered(REQUESTS);
        while let Some(objects) = whole.try_next().await.map_err(refuse_listing)? {
            found.extend(objects);
        }
    }
    found.retain(|object| may_hold(&object.location));
    Ok(found)
}
