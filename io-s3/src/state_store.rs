//! Partial states as objects: `{place}/{run}/{name}`, each replaced whole.

use bytes::Bytes;
use daysum_core::port::{RunId, StateKey, StateStore};
use daysum_core::{BoxFuture, BoxStream, Error, Result};
use futures::stream::{self, StreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::open::Place;
use crate::refusal;

/// States below a place.
#[derive(Debug, Clone)]
pub struct ObjectStoreStateStore {
    place: Place,
}

impl ObjectStoreStateStore {
    /// A store over this place.
    pub fn new(place: Place) -> Self {
        Self { place }
    }

    fn folder(&self, run: &RunId) -> Result<Path> {
        check(&run.0)?;
        Ok(self.place.prefix.clone().join(run.0.as_str()))
    }

    fn path(&self, key: &StateKey) -> Result<Path> {
        check(&key.name)?;
        Ok(self.folder(&key.run)?.join(key.name.as_str()))
    }
}

/// Names become folders and objects; anything else in one could lead elsewhere, or come back spelled in another way.
fn check(name: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !name.trim_matches('.').is_empty() && name.bytes().all(plain) {
        return Ok(());
    }
    Err(Error::Config { reason: format!("{name:?} names no state or run: letters, digits, - _ . only") })
}

fn refuse(operation: &str, path: &Path, error: object_store::Error) -> Error {
    refusal::refuse("state store", format!("{operation} {path}"), &error)
}

impl StateStore for ObjectStoreStateStore {
    fn put<'a>(&'a self, key: &'a StateKey, state: Bytes) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let path = self.path(key)?;
            let put = self.place.store.put(&path, state.into()).await;
            put.map(drop).map_err(|error| refuse("write", &path, error))
        })
    }

    fn get<'a>(&'a self, key: &'a StateKey) -> BoxFuture<'a, Result<Option<Bytes>>> {
        Box::pin(async move {
            let path = self.path(key)?;
            match async { self.place.store.get(&path).await?.bytes().await }.await {
                Ok(state) => Ok(Some(state)),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(refuse("read", &path, error)),
            }
        })
    }

    fn list<'a>(&'a self, run: &'a RunId) -> BoxStream<'a, Result<StateKey>> {
        let folder = match self.folder(run) {
            Ok(folder) => folder,
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        let listed = self.place.store.list(Some(&folder));
        let key = move |object: object_store::Result<object_store::ObjectMeta>| {
            let object = object.map_err(|error| refuse("list", &folder, error))?;
            let name = object.location.filename().unwrap_or_default().to_owned();
            Ok(StateKey { run: run.clone(), name })
        };
        listed.map(key).boxed()
    }

    fn delete<'a>(&'a self, key: &'a StateKey) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let path = self.path(key)?;
            match self.place.store.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(refuse("remove", &path, error)),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", ".", "..", "../up", "a/b", "a b", "ü", "a%2e"] {
            assert!(check(name).is_err(), "{name:?}");
        }
        for name in ["one", "part-0.state", "5f2c_9", ".hidden"] {
            check(name).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
