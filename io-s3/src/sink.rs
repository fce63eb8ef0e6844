//! Finished days as objects, and the ledger beside them.
//!
//! ```text
//! {output}/{source}/{YYYY-MM-DD}.parquet          a day's rows, replaced in one step
//! {output}/_daysum/{source}/{YYYY-MM-DD}.json     what they were computed from; written after the rows
//! {output}/_daysum/{source}/{first}_{last}.seen.json   what the last complete run of these days saw
//! {output}/_daysum/quarantine/{source}/…json       what was left out (ObjectStoreQuarantine)
//! ```
//!
//! A run that ends between the two leaves new rows under the old ledger entry: the next run finds the day's
//! inputs changed and writes it again.

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use aws_lc_rs::digest::{Context, Digest, SHA256};
use bytes::Bytes;
use daysum_core::port::{Published, Receipt, Sink, SinkWrite, WriteScope};
use daysum_core::rows::{RowsEncoder, RowsFormat};
use daysum_core::{BoxFuture, Day, Error, Result};
use futures::stream::TryStreamExt;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt};

use crate::discreet::discreet;
use crate::open::Place;

/// Days below a place, in one format.
#[derive(Debug, Clone)]
pub struct ObjectStoreSink {
    place: Place,
    format: RowsFormat,
}

impl ObjectStoreSink {
    /// A sink over this place.
    pub fn new(place: Place, format: RowsFormat) -> Self {
        Self { place, format }
    }

    fn rows(&self, source_uuid: &str, day: Day) -> Path {
        self.place.prefix.clone().join(source_uuid).join(format!("{day}.{}", self.format.extension()))
    }

    fn ledger(&self, source_uuid: &str) -> Path {
        self.place.prefix.clone().join("_daysum").join(source_uuid)
    }

    async fn entry(&self, path: &Path) -> Result<Option<Published>> {
        // An entry that cannot be read counts as none: the day is computed and written again.
        Ok(self.get(path).await?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    async fn put_entry(&self, path: &Path, entry: &Published) -> Result<()> {
        let json = serde_json::to_vec_pretty(entry).expect("texts, numbers and dates are JSON");
        let put = self.place.store.put(path, json.into()).await;
        put.map(drop).map_err(|error| refuse("write", path, error))
    }

    async fn get(&self, path: &Path) -> Result<Option<Bytes>> {
        let read = async { self.place.store.get(path).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(refuse("read", path, error)),
        }
    }

    fn seen(&self, source_uuid: &str, first: Day, last: Day) -> Path {
        self.ledger(source_uuid).join(format!("{first}_{last}.seen.json"))
    }

    /// What [`remember`](Self::remember) was last given for these days.
    pub async fn remembered(&self, source_uuid: &str, first: Day, last: Day) -> Result<Option<String>> {
        check(source_uuid)?;
        let kept = self.get(&self.seen(source_uuid, first, last)).await?;
        Ok(kept.and_then(|bytes| String::from_utf8(bytes.into()).ok()))
    }

    /// Makes the next run read these days again, whatever their inputs: rows that come out the same are not written.
    /// Says how many days were published.
    pub async fn reread(&self, source_uuid: &str, days: &[Day]) -> Result<u64> {
        check(source_uuid)?;
        let mut marked = 0;
        for day in days.iter().collect::<BTreeSet<_>>() {
            let path = self.ledger(source_uuid).join(format!("{day}.json"));
            let Some(mut entry) = self.entry(&path).await? else { continue };
            entry.scope.fingerprint.clear(); // that of no configuration
            self.put_entry(&path, &entry).await?;
            marked += 1;
        }
        Ok(marked)
    }

    /// Takes a published day back: its file goes, then its ledger entry. Says how many rows went; `None`, and nothing
    /// has happened, where the day was published again since `entry` was read.
    pub async fn remove_day(&self, entry: &Published) -> Result<Option<u64>> {
        let (source_uuid, day) = (&entry.scope.source_uuid, entry.scope.day);
        check(source_uuid)?;
        let ledger = self.ledger(source_uuid).join(format!("{day}.json"));
        if self.entry(&ledger).await?.is_some_and(|now| now != *entry) {
            return Ok(None);
        }
        for path in [self.rows(source_uuid, day), ledger] {
            match self.place.store.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(refuse("remove", &path, error)),
            }
        }
        Ok(Some(entry.rows))
    }

    /// Keeps what a complete run of these days saw.
    pub async fn remember(&self, source_uuid: &str, first: Day, last: Day, seen: &str) -> Result<()> {
        check(source_uuid)?;
        let path = self.seen(source_uuid, first, last);
        let put = self.place.store.put(&path, seen.to_owned().into()).await;
        put.map(drop).map_err(|error| refuse("write", &path, error))
    }
}

/// The source becomes a directory; anything else in it could lead elsewhere.
pub(crate) fn check(source_uuid: &str) -> Result<()> {
    if !source_uuid.is_empty() && source_uuid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        return Ok(());
    }
    Err(Error::Config {
        reason: format!("source_uuid {source_uuid:?} is no UUID: letters, digits and - only"),
    })
}

pub(crate) fn refuse(operation: &str, path: &Path, error: object_store::Error) -> Error {
    let retryable = matches!(error, object_store::Error::Generic { .. });
    Error::port("sink", format!("{operation} {path}"), retryable, discreet(&error))
}

/// A finished digest, as it is written.
pub(crate) fn hex(digest: Digest) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Sink for ObjectStoreSink {
    fn published<'a>(
        &'a mut self,
        source_uuid: &'a str,
        first: Day,
        last: Day,
    ) -> BoxFuture<'a, Result<Vec<Published>>> {
        Box::pin(async move {
            check(source_uuid)?;
            let ledger = self.ledger(source_uuid);
            let listed: Vec<_> = self
                .place
                .store
                .list(Some(&ledger))
                .try_collect()
                .await
                .map_err(|error| refuse("list", &ledger, error))?;
            let mut found: Vec<Published> = Vec::new();
            for object in listed {
                let name = object.location.filename().and_then(|name| name.strip_suffix(".json"));
                let day = name.and_then(|name| name.parse::<Day>().ok());
                if day.is_some_and(|day| (first..=last).contains(&day)) {
                    found.extend(self.entry(&object.location).await?);
                }
            }
            // Rows that were removed, or were written in another format, are not published here.
            let folder = self.place.prefix.clone().join(source_uuid);
            let there: Vec<_> = self
                .place
                .store
                .list(Some(&folder))
                .map_ok(|object| object.location)
                .try_collect()
                .await
                .map_err(|error| refuse("list", &folder, error))?;
            found.retain(|entry| there.contains(&self.rows(source_uuid, entry.scope.day)));
            found.sort_by_key(|entry| entry.scope.day);
            Ok(found)
        })
    }

    fn begin<'a>(&'a mut self, scope: &'a WriteScope) -> BoxFuture<'a, Result<Box<dyn SinkWrite + 'a>>> {
        Box::pin(async move {
            check(&scope.source_uuid)?;
            let encoder = RowsEncoder::new(self.format, Vec::new())?;
            Ok(Box::new(Write {
                sink: self,
                scope,
                encoder,
                upload: None,
                uploaded: 0,
                digest: Context::new(&SHA256),
            }) as Box<dyn SinkWrite>)
        })
    }
}

struct Write<'a> {
    sink: &'a ObjectStoreSink,
    scope: &'a WriteScope,
    encoder: RowsEncoder<Vec<u8>>,
    /// Begun when a day turns out to be larger than a part. Nothing of it can be seen before it is completed.
    upload: Option<Box<dyn MultipartUpload>>,
    uploaded: u64,
    /// Of the file: equal rows are equal bytes.
    digest: Context,
}

/// Bytes of a part of a day's file: the least that S3 takes.
const PART_BYTES: usize = 5 << 20;

impl Write<'_> {
    async fn upload_part(&mut self) -> object_store::Result<()> {
        let part = std::mem::take(self.encoder.get_mut());
        self.uploaded += part.len() as u64;
        self.digest.update(&part);
        let upload = match &mut self.upload {
            Some(upload) => upload,
            None => {
                let path = self.sink.rows(&self.scope.source_uuid, self.scope.day);
                self.upload.insert(self.sink.place.store.put_multipart(&path).await?)
            }
        };
        upload.put_part(part.into()).await
    }
}

impl SinkWrite for Write<'_> {
    fn write<'a>(&'a mut self, rows: &'a RecordBatch) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.encoder.write(rows)?;
            if self.encoder.get_mut().len() < PART_BYTES {
                return Ok(());
            }
            let sent = self.upload_part().await;
            let path = self.sink.rows(&self.scope.source_uuid, self.scope.day);
            sent.map_err(|error| refuse("write", &path, error))
        })
    }

    fn commit<'a>(self: Box<Self>) -> BoxFuture<'a, Result<Receipt>>
    where
        Self: 'a,
    {
        Box::pin(async move {
            let Self { sink, scope, encoder, upload, uploaded, mut digest } = *self;
            let store = &sink.place.store;
            let (rows, content) = (encoder.rows(), encoder.finish()?);
            digest.update(&content);
            let digest = hex(digest.finish());
            let path = sink.rows(&scope.source_uuid, scope.day);
            let entry = sink.ledger(&scope.source_uuid).join(format!("{}.json", scope.day));
            let old = sink.entry(&entry).await?;
            let same = old.as_ref().is_some_and(|old| old.digest == digest && old.rows == rows);
            // Same bytes, same size: what lies there is what would be written.
            let size = uploaded + content.len() as u64;
            let unchanged = same && store.head(&path).await.is_ok_and(|there| there.size == size);
            let bytes = if unchanged { 0 } else { size };
            let written = match upload {
                None if unchanged => Ok(()),
                None => store.put(&path, content.into()).await.map(drop),
                Some(mut upload) if unchanged => upload.abort().await,
                Some(mut upload) => match upload.put_part(content.into()).await {
                    Ok(()) => upload.complete().await.map(drop),
                    refused => refused,
                },
            };
            written.map_err(|error| refuse("write", &path, error))?;
            let published = Published {
                scope: scope.clone(),
                rows,
                digest,
                daysum_version: env!("CARGO_PKG_VERSION").to_owned(),
            };
            sink.put_entry(&entry, &published).await?;
            Ok(Receipt { rows, rows_deleted: old.map(|old| old.rows), bytes, unchanged })
        })
    }
}
