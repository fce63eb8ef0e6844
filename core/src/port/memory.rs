//! In-memory adapters of every port: the reference behaviour, and all that a test or a preview needs.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::stream::{self, StreamExt};

use super::{
    Ledger, ListRequest, ObjectMeta, Published, Quarantine, QuarantineEntry, ReadAt, Receipt, RunId, Sink,
    SinkWrite, Source, SpillStore, StateKey, StateStore, WriteScope,
};
use crate::day::Day;
use crate::error::{Error, Result};
use crate::rows::RowsDigest;
use crate::send::{BoxFuture, BoxStream};

/// Every value behind these locks is whole between two statements, so a panic elsewhere poisons nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Objects in memory. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct MemorySource {
    objects: Arc<Mutex<BTreeMap<String, (u64, Bytes)>>>,
}

impl MemorySource {
    /// Adds an object, or replaces it under a new version.
    pub fn insert(&self, key: impl Into<String>, content: impl Into<Bytes>) -> ObjectMeta {
        let (key, content) = (key.into(), content.into());
        let mut objects = lock(&self.objects);
        let version = objects.get(&key).map_or(1, |(version, _)| version + 1);
        let meta = Self::meta(&key, version, &content);
        objects.insert(key, (version, content));
        meta
    }

    /// Removes an object.
    pub fn remove(&self, key: &str) {
        lock(&self.objects).remove(key);
    }

    fn meta(key: &str, version: u64, content: &Bytes) -> ObjectMeta {
        ObjectMeta {
            key: key.into(),
            size: content.len() as u64,
            version: Some(version.to_string().into()),
            metadata: BTreeMap::new(),
        }
    }
}

impl Source for MemorySource {
    fn list<'a>(&'a self, request: &'a ListRequest) -> BoxStream<'a, Result<ObjectMeta>> {
        let found: Vec<_> = lock(&self.objects)
            .iter()
            .filter(|(key, _)| request.is_below(key))
            .map(|(key, (version, content))| Ok(Self::meta(key, *version, content)))
            .collect();
        stream::iter(found).boxed()
    }

    fn read<'a>(
        &'a self,
        object: &'a ObjectMeta,
        ranges: &'a [Range<u64>],
    ) -> BoxFuture<'a, Result<Vec<Bytes>>> {
        Box::pin(async move {
            let refuse = |reason: &str| Error::port("source", format!("read {}", object.key), false, reason);
            let objects = lock(&self.objects);
            let (version, content) =
                objects.get(&*object.key).ok_or_else(|| Error::vanished(&*object.key))?;
            if object.version.as_ref().is_some_and(|listed| **listed != version.to_string()) {
                return Err(Error::changed(&*object.key));
            }
            ranges
                .iter()
                .map(|range| {
                    if range.start > range.end || range.end > content.len() as u64 {
                        return Err(refuse("range beyond the end of the object"));
                    }
                    Ok(content.slice(range.start as usize..range.end as usize))
                })
                .collect()
        })
    }
}

/// Spilled blocks that stay in memory after all: for tests, and where there is nothing else.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemorySpill;

impl SpillStore for MemorySpill {
    fn keep(&self, blocks: &mut dyn Iterator<Item = Result<Vec<u8>>>) -> Result<Arc<dyn ReadAt>> {
        let kept: Vec<Vec<u8>> = blocks.collect::<Result<_>>()?;
        Ok(Arc::new(Kept(kept.concat().into())))
    }
}

#[derive(Debug)]
struct Kept(Bytes);

impl ReadAt for Kept {
    fn read_at(&self, range: Range<u64>) -> Result<Bytes> {
        if range.end > self.0.len() as u64 {
            return Err(Error::port("spill", "read back", false, "the range ends beyond what was kept"));
        }
        Ok(self.0.slice(range.start as usize..range.end as usize))
    }
}

type PublishedRows = (Published, Vec<RecordBatch>);

/// Source, first and last day.
type SeenKey = (String, Day, Day);

/// Published days in memory. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct MemorySink {
    days: Arc<Mutex<BTreeMap<(String, Day), PublishedRows>>>,
    seen: Arc<Mutex<BTreeMap<SeenKey, String>>>,
}

impl MemorySink {
    /// The batches of every published day, in day order.
    pub fn batches(&self) -> Vec<RecordBatch> {
        lock(&self.days).values().flat_map(|(_, batches)| batches.clone()).collect()
    }
}

impl Sink for MemorySink {
    fn published<'a>(
        &'a mut self,
        source_uuid: &'a str,
        first: Day,
        last: Day,
    ) -> BoxFuture<'a, Result<Vec<Published>>> {
        Box::pin(async move {
            let days = lock(&self.days);
            let source = source_uuid.to_owned();
            Ok(days
                .range((source.clone(), first)..=(source, last))
                .map(|(_, (entry, _))| entry.clone())
                .collect())
        })
    }

    fn begin<'a>(&'a mut self, scope: &'a WriteScope) -> BoxFuture<'a, Result<Box<dyn SinkWrite + 'a>>> {
        Box::pin(async move {
            Ok(Box::new(MemoryWrite { sink: self, scope, batches: Vec::new() }) as Box<dyn SinkWrite>)
        })
    }
}

impl Ledger for MemorySink {
    fn remembered<'a>(
        &'a mut self,
        source_uuid: &'a str,
        first: Day,
        last: Day,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        let found = lock(&self.seen).get(&(source_uuid.to_owned(), first, last)).cloned();
        Box::pin(async move { Ok(found) })
    }

    fn remember<'a>(
        &'a mut self,
        source_uuid: &'a str,
        first: Day,
        last: Day,
        seen: &'a str,
    ) -> BoxFuture<'a, Result<()>> {
        lock(&self.seen).insert((source_uuid.to_owned(), first, last), seen.to_owned());
        Box::pin(async { Ok(()) })
    }

    fn reread<'a>(&'a mut self, source_uuid: &'a str, days: &'a [Day]) -> BoxFuture<'a, Result<u64>> {
        let mut published = lock(&self.days);
        let mut marked = 0;
        for day in days {
            if let Some((entry, _)) = published.get_mut(&(source_uuid.to_owned(), *day)) {
                entry.scope.fingerprint.clear();
                marked += 1;
            }
        }
        Box::pin(async move { Ok(marked) })
    }

    fn remove_day<'a>(&'a mut self, entry: &'a Published) -> BoxFuture<'a, Result<Option<u64>>> {
        let key = (entry.scope.source_uuid.clone(), entry.scope.day);
        let mut published = lock(&self.days);
        let removed = match published.get(&key) {
            Some((now, _)) if now != entry => None,
            _ => published.remove(&key).map_or(Some(0), |(entry, _)| Some(entry.rows)),
        };
        Box::pin(async move { Ok(removed) })
    }
}

struct MemoryWrite<'a> {
    sink: &'a MemorySink,
    scope: &'a WriteScope,
    batches: Vec<RecordBatch>,
}

impl SinkWrite for MemoryWrite<'_> {
    fn write<'a>(&'a mut self, rows: &'a RecordBatch) -> BoxFuture<'a, Result<()>> {
        self.batches.push(rows.clone());
        Box::pin(async { Ok(()) })
    }

    fn commit<'a>(self: Box<Self>) -> BoxFuture<'a, Result<Receipt>>
    where
        Self: 'a,
    {
        Box::pin(async move {
            let mut digest = RowsDigest::default();
            self.batches.iter().try_for_each(|batch| digest.update(batch))?;
            let rows = digest.rows();
            let published = Published {
                scope: self.scope.clone(),
                rows,
                digest: digest.finish(),
                daysum_version: env!("CARGO_PKG_VERSION").to_owned(),
            };
            let key = (self.scope.source_uuid.clone(), self.scope.day);
            let old = lock(&self.sink.days).insert(key, (published.clone(), self.batches));
            Ok(Receipt {
                rows,
                rows_deleted: Some(old.as_ref().map_or(0, |(old, _)| old.rows)),
                bytes: 0,
                unchanged: old.is_some_and(|(old, _)| old.digest == published.digest),
            })
        })
    }
}

/// States in memory. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct MemoryStateStore {
    states: Arc<Mutex<BTreeMap<StateKey, Bytes>>>,
}

impl StateStore for MemoryStateStore {
    fn put<'a>(&'a self, key: &'a StateKey, state: Bytes) -> BoxFuture<'a, Result<()>> {
        lock(&self.states).insert(key.clone(), state);
        Box::pin(async { Ok(()) })
    }

    fn get<'a>(&'a self, key: &'a StateKey) -> BoxFuture<'a, Result<Option<Bytes>>> {
        let found = lock(&self.states).get(key).cloned();
        Box::pin(async move { Ok(found) })
    }

    fn list<'a>(&'a self, run: &'a RunId) -> BoxStream<'a, Result<StateKey>> {
        let found: Vec<_> =
            lock(&self.states).keys().filter(|key| key.run == *run).cloned().map(Ok).collect();
        stream::iter(found).boxed()
    }

    fn delete<'a>(&'a self, key: &'a StateKey) -> BoxFuture<'a, Result<()>> {
        lock(&self.states).remove(key);
        Box::pin(async { Ok(()) })
    }
}

/// Source, object and version.
type QuarantineKey = (String, String, Option<String>);

/// A quarantine in memory. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct MemoryQuarantine {
    entries: Arc<Mutex<BTreeMap<QuarantineKey, QuarantineEntry>>>,
}

impl Quarantine for MemoryQuarantine {
    fn put<'a>(&'a mut self, entry: &'a QuarantineEntry) -> BoxFuture<'a, Result<()>> {
        let key = (entry.source_uuid.clone(), entry.object.clone(), entry.version.clone());
        lock(&self.entries).insert(key, entry.clone());
        Box::pin(async { Ok(()) })
    }

    fn list<'a>(&'a mut self, source_uuid: &'a str) -> BoxFuture<'a, Result<Vec<QuarantineEntry>>> {
        let found =
            lock(&self.entries).values().filter(|entry| entry.source_uuid == source_uuid).cloned().collect();
        Box::pin(async move { Ok(found) })
    }

    fn remove<'a>(&'a mut self, source_uuid: &'a str, object: &'a str) -> BoxFuture<'a, Result<u64>> {
        let mut entries = lock(&self.entries);
        let before = entries.len();
        entries.retain(|_, entry| entry.source_uuid != source_uuid || entry.object != object);
        let removed = (before - entries.len()) as u64;
        Box::pin(async move { Ok(removed) })
    }
}
