//! The quarantine of outputs in files, beside their ledger.
//!
//! ```text
//! {output}/_daysum/quarantine/{source}/{digest of key and version}.json
//! ```
//!
//! A file's name is a digest, because the key of an object can be longer than a file's name may be.

use aws_lc_rs::digest::{SHA256, digest};
use daysum_core::port::{Quarantine, QuarantineEntry};
use daysum_core::{BoxFuture, Result};
use futures::stream::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::open::Place;
use crate::sink::{check, hex, refuse};

/// Entries below a place.
#[derive(Debug, Clone)]
pub struct ObjectStoreQuarantine {
    place: Place,
}

impl ObjectStoreQuarantine {
    /// The quarantine of the outputs at this place.
    pub fn new(place: Place) -> Self {
        Self { place }
    }

    fn folder(&self, source_uuid: &str) -> Result<Path> {
        check(source_uuid)?;
        Ok(self.place.prefix.clone().join("_daysum").join("quarantine").join(source_uuid))
    }

    /// Every entry and where it lies.
    async fn read(&self, source_uuid: &str) -> Result<Vec<(Path, QuarantineEntry)>> {
        let (store, folder) = (&self.place.store, self.folder(source_uuid)?);
        let listed: Vec<Path> = store
            .list(Some(&folder))
            .map_ok(|object| object.location)
            .try_collect()
            .await
            .map_err(|error| refuse("list", &folder, error))?;
        let mut found = Vec::new();
        for path in listed.into_iter().filter(|path| path.as_ref().ends_with(".json")) {
            let bytes = match async { store.get(&path).await?.bytes().await }.await {
                Err(object_store::Error::NotFound { .. }) => continue, // somebody has just dropped it
                read => read.map_err(|error| refuse("read", &path, error))?,
            };
            let entry = serde_json::from_slice(&bytes).map_err(|error| {
                let reason = format!("{error}; remove the file, the next run meets the object again");
                daysum_core::Error::port("quarantine", format!("read {path}"), false, reason)
            })?;
            found.push((path, entry));
        }
        let order = |entry: &QuarantineEntry| (entry.object.clone(), entry.version.clone());
        found.sort_by_key(|(_, entry)| order(entry));
        Ok(found)
    }
}

/// The same object and version have the same name, whatever was wrong with them.
fn name(entry: &QuarantineEntry) -> String {
    let key = serde_json::to_vec(&(&entry.object, &entry.version)).expect("texts are JSON");
    format!("{}.json", hex(digest(&SHA256, &key)))
}

impl Quarantine for ObjectStoreQuarantine {
    fn put<'a>(&'a mut self, entry: &'a QuarantineEntry) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let path = self.folder(&entry.source_uuid)?.join(name(entry));
            let json = serde_json::to_vec_pretty(entry).expect("texts and dates are JSON");
            let put = self.place.store.put(&path, json.into()).await;
            put.map(drop).map_err(|error| refuse("write", &path, error))
        })
    }

    fn list<'a>(&'a mut self, source_uuid: &'a str) -> BoxFuture<'a, Result<Vec<QuarantineEntry>>> {
        Box::pin(
            async move { Ok(self.read(source_uuid).await?.into_iter().map(|(_, entry)| entry).collect()) },
        )
    }

    fn remove<'a>(&'a mut self, source_uuid: &'a str, object: &'a str) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            let found = self.read(source_uuid).await?;
            let mut paths = futures::stream::iter(found)
                .filter_map(|(path, entry)| std::future::ready((entry.object == object).then_some(path)));
            let mut removed = 0;
            while let Some(path) = paths.next().await {
                match self.place.store.delete(&path).await {
                    Ok(()) => removed += 1,
                    Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(refuse("remove", &path, error)),
                }
            }
            Ok(removed)
        })
    }
}
