//! Finished days as objects, and the ledger beside them.
//!
//! ```text
//! {output}/{source}/{YYYY-MM-DD}.parquet               a day's rows, replaced in one step
//! {output}/_daysum/{source}/{YYYY-MM-DD}.parquet.json  what they were computed from; written after the rows
//! {output}/_daysum/{source}/{first}_{last}.parquet.seen.json   what the last complete run of these days saw
//! {output}/_daysum/{source}/staged/{run}-{YYYY-MM-DD}.parquet.part  in a directory: rows until they are whole
//! {output}/_daysum/quarantine/{source}/…json           what was left out (ObjectStoreQuarantine)
//! ```
//!
//! Every format is an output of its own. A ledger entry tells which file it is about, by size and ETag: where another one
//! lies there, of a run that ended between the two writes or ran beside this one, the day does not count as published,
//! and the next run writes it again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use arrow::array::RecordBatch;
use aws_lc_rs::digest::{Context, Digest, SHA256};
use bytes::Bytes;
use daysum_core::port::{Ledger, Published, Receipt, Sink, SinkWrite, WriteScope};
use daysum_core::rows::{RowsEncoder, RowsFormat};
use daysum_core::{BoxFuture, Day, Error, Result};
use futures::future::try_join_all;
use futures::stream::TryStreamExt;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};

use crate::open::Place;
use crate::refusal;
use crate::source::REQUESTS;

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
        self.place.prefix.clone().join(source_uuid).join(format!("{day}.{}", self.format))
    }

    fn ledger(&self, source_uuid: &str) -> Path {
        self.place.prefix.clone().join("_daysum").join(source_uuid)
    }

    fn entry_of(&self, source_uuid: &str, day: Day) -> Path {
        self.ledger(source_uuid).join(format!("{day}.{}.json", self.format))
    }

    async fn entry(&self, path: &Path) -> Result<Option<Entry>> {
        // An entry that cannot be read counts as none: the day is computed and written again.
        Ok(self.get(path).await?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    async fn list(&self, folder: &Path) -> Result<Vec<ObjectMeta>> {
        let listed = self.place.store.list(Some(folder)).try_collect().await;
        listed.map_err(|error| refuse("list", folder, error))
    }

    async fn put_entry(&self, path: &Path, entry: &Entry) -> Result<()> {
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
        self.ledger(source_uuid).join(format!("{first}_{last}.{}.seen.json", self.format))
    }

    /// Where the rows of a day lie until they are whole, if this is a directory: who reads all files of the format would
    /// read half a day otherwise, and that of a killed run ever after. What killed runs have left here is removed.
    fn staged(&self, scope: &WriteScope) -> Option<Path> {
        let directory = self.place.directory.as_ref()?;
        let folder = self.ledger(&scope.source_uuid).join("staged");
        for file in fs::read_dir(directory.join(folder.as_ref())).into_iter().flatten().flatten() {
            let written = file.metadata().and_then(|file| file.modified());
            let age = written.ok().and_then(|written| written.elapsed().ok());
            if age.is_some_and(|age| age > ABANDONED) {
                let _ = fs::remove_file(file.path()); // another run may have done it
            }
        }
        Some(folder.join(format!("{}-{}.{}.part", scope.run.0, scope.day, self.format)))
    }
}

/// A ledger entry: what was published, and which file it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    published: Published,
    /// Bytes of the file.
    size: u64,
    /// What the store calls this content; in a directory it tells when the file was written, too.
    etag: Option<String>,
}

impl Entry {
    /// Whether the file is the one that was written with this entry.
    fn is_of(&self, file: &ObjectMeta) -> bool {
        // Some stores quote an ETag in one answer and not in the other, and some tell none in a listing.
        let bare = |etag: &Option<String>| {
            let etag = etag.as_ref().map(|etag| etag.trim_matches('"').to_owned());
            etag.filter(|etag| !etag.is_empty())
        };
        let (ours, theirs) = (bare(&self.etag), bare(&file.e_tag));
        file.size == self.size && (ours.is_none() || theirs.is_none() || ours == theirs)
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
    refusal::refuse("sink", format!("{operation} {path}"), &error)
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
            // Rows that were removed are not there. Those that others have written are, though not by this configuration.
            let folder = self.place.prefix.clone().join(source_uuid);
            let files = self.list(&folder).await?.into_iter().map(|file| (file.location.clone(), file));
            let files: BTreeMap<Path, ObjectMeta> = files.collect();
            let suffix = format!(".{}.json", self.format);
            let listed = self.list(&self.ledger(source_uuid)).await?;
            let with_file = listed.iter().filter_map(|object| {
                let name = object.location.filename()?.strip_suffix(&suffix)?;
                let day = name.parse::<Day>().ok().filter(|day| (first..=last).contains(day))?;
                Some((&object.location, day, files.get(&self.rows(source_uuid, day))?))
            });
            let with_file: Vec<(&Path, Day, &ObjectMeta)> = with_file.collect();
            let mut found: Vec<Published> = Vec::new();
            for some in with_file.chunks(REQUESTS) {
                let entries = try_join_all(some.iter().map(|(path, ..)| self.entry(path))).await?;
                let with_entry = entries.into_iter().zip(some);
                let with_entry = with_entry.filter_map(|(entry, (_, day, file))| Some((entry?, day, file)));
                found.extend(with_entry.map(|(mut entry, day, file)| {
                    let scope = &entry.published.scope;
                    let is_copied = scope.source_uuid != source_uuid || scope.day != *day;
                    if is_copied || !entry.is_of(file) {
                        let scope = &mut entry.published.scope;
                        scope.fingerprint.clear();
                        // Whatever it says: it is about the file that lies here.
                        (scope.source_uuid, scope.day) = (source_uuid.to_owned(), *day);
                    }
                    entry.published
                }));
            }
            found.sort_by_key(|entry| entry.scope.day);
            Ok(found)
        })
    }

    fn begin<'a>(&'a mut self, scope: &'a WriteScope) -> BoxFuture<'a, Result<Box<dyn SinkWrite + 'a>>> {
        Box::pin(async move {
            check(&scope.source_uuid)?;
            let encoder = RowsEncoder::new(self.format, Vec::new())?;
            let path = self.rows(&scope.source_uuid, scope.day);
            Ok(Box::new(Write {
                sink: self,
                scope,
                encoder,
                staged: self.staged(scope),
                path,
                upload: None,
                uploaded: 0,
                digest: Context::new(&SHA256),
            }) as Box<dyn SinkWrite>)
        })
    }
}

impl Ledger for ObjectStoreSink {
    fn remembered<'a>(
        &'a mut self,
        source_uuid: &'a str,
        first: Day,
        last: Day,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async move {
            check(source_uuid)?;
            let kept = self.get(&self.seen(source_uuid, first, last)).await?;
            Ok(kept.and_then(|bytes| String::from_utf8(bytes.into()).ok()))
        })
    }

    fn remember<'a>(
        &'a mut self,
        source_uuid: &'a str,
        first: Day,
        last: Day,
        seen: &'a str,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            check(source_uuid)?;
            let path = self.seen(source_uuid, first, last);
            let put = self.place.store.put(&path, seen.to_owned().into()).await;
            put.map(drop).map_err(|error| refuse("write", &path, error))
        })
    }

    /// In any format: the quarantine does not tell which one a run wrote.
    fn reread<'a>(&'a mut self, source_uuid: &'a str, days: &'a [Day]) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            check(source_uuid)?;
            let mut marked = BTreeSet::new();
            for day in days {
                for format in RowsFormat::ALL {
                    let path = Self { format, ..self.clone() }.entry_of(source_uuid, *day);
                    let Some(mut entry) = self.entry(&path).await? else { continue };
                    entry.published.scope.fingerprint.clear(); // that of no configuration
                    self.put_entry(&path, &entry).await?;
                    marked.insert(*day);
                }
            }
            Ok(marked.len() as u64)
        })
    }

    /// The file goes first: a ledger entry without a file is of no day.
    fn remove_day<'a>(&'a mut self, entry: &'a Published) -> BoxFuture<'a, Result<Option<u64>>> {
        Box::pin(async move {
            let (source_uuid, day) = (&entry.scope.source_uuid, entry.scope.day);
            check(source_uuid)?;
            let ledger = self.entry_of(source_uuid, day);
            let of_write = |entry: &Published| (entry.scope.run.clone(), entry.digest.clone());
            if self.entry(&ledger).await?.is_some_and(|now| of_write(&now.published) != of_write(entry)) {
                return Ok(None);
            }
            for path in [self.rows(source_uuid, day), ledger] {
                match self.place.store.delete(&path).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(refuse("remove", &path, error)),
                }
            }
            Ok(Some(entry.rows))
        })
    }
}

struct Write<'a> {
    sink: &'a ObjectStoreSink,
    scope: &'a WriteScope,
    encoder: RowsEncoder<Vec<u8>>,
    /// Where the day's rows go.
    path: Path,
    /// Where they are until they are whole, in a directory.
    staged: Option<Path>,
    /// Begun when a day turns out to be larger than a part. Nothing of it can be seen before it is completed.
    upload: Option<Box<dyn MultipartUpload>>,
    uploaded: u64,
    /// Of the file: equal rows are equal bytes.
    digest: Context,
}

/// A file that nobody has written to for so long is no run's any more.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

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
                let path = self.staged.as_ref().unwrap_or(&self.path);
                self.upload.insert(self.sink.place.store.put_multipart(path).await?)
            }
        };
        let sent = upload.put_part(part.into()).await;
        if sent.is_err() {
            abandon(Some(upload)).await;
        }
        sent
    }
}

/// Gives up an upload, if one was begun: parts of one that is never completed are in no listing, and are paid for. The
/// caller keeps it, so that a later part cannot begin another one without the parts that this one had.
async fn abandon(upload: Option<&mut Box<dyn MultipartUpload>>) {
    if let Some(upload) = upload {
        let _ = upload.abort().await; // what it was given up for says more
    }
}

impl SinkWrite for Write<'_> {
    fn write<'a>(&'a mut self, rows: &'a RecordBatch) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if let Err(error) = self.encoder.write(rows) {
                abandon(self.upload.as_mut()).await;
                return Err(error);
            }
            if self.encoder.get_mut().len() < PART_BYTES {
                return Ok(());
            }
            let sent = self.upload_part().await;
            sent.map_err(|error| refuse("write", &self.path, error))
        })
    }

    fn commit<'a>(self: Box<Self>) -> BoxFuture<'a, Result<Receipt>>
    where
        Self: 'a,
    {
        Box::pin(async move {
            let Self { sink, scope, encoder, path, staged, mut upload, uploaded, mut digest } = *self;
            let store = &sink.place.store;
            let ledger = sink.entry_of(&scope.source_uuid, scope.day);
            let rows = encoder.rows();
            let (content, old) = match (encoder.finish(), sink.entry(&ledger).await) {
                (Ok(content), Ok(old)) => (content, old),
                (Err(error), _) | (_, Err(error)) => {
                    abandon(upload.as_mut()).await;
                    return Err(error);
                }
            };
            digest.update(&content);
            let digest = hex(digest.finish());
            let size = uploaded + content.len() as u64;
            let published = Published {
                scope: scope.clone(),
                rows,
                digest,
                daysum_version: env!("CARGO_PKG_VERSION").to_owned(),
            };
            // The same bytes, and they are still there: what would be written.
            let kept = match &old {
                Some(old) if old.published.digest == published.digest && old.published.rows == rows => {
                    store.head(&path).await.is_ok_and(|there| old.is_of(&there)).then(|| old.etag.clone())
                }
                _ => None,
            };
            let unchanged = kept.is_some();
            let rows_deleted = old.map(|old| if unchanged { 0 } else { old.published.rows });
            let etag = match kept {
                Some(etag) => {
                    abandon(upload.as_mut()).await;
                    etag
                }
                None => put(store, &path, staged.as_ref(), upload, content)
                    .await
                    .map_err(|error| refuse("write", &path, error))?,
            };
            sink.put_entry(&ledger, &Entry { published, size, etag }).await?;
            Ok(Receipt { rows, rows_deleted, bytes: if unchanged { 0 } else { size }, unchanged })
        })
    }
}

/// Writes the last bytes of a file, which may be all of them, and brings it to its place. Its ETag.
async fn put(
    store: &dyn ObjectStore,
    path: &Path,
    staged: Option<&Path>,
    upload: Option<Box<dyn MultipartUpload>>,
    content: Vec<u8>,
) -> object_store::Result<Option<String>> {
    let put = match upload {
        None => store.put(staged.unwrap_or(path), content.into()).await?,
        Some(mut upload) => {
            let sent = match upload.put_part(content.into()).await {
                Ok(()) => upload.complete().await,
                Err(error) => Err(error),
            };
            match sent {
                Ok(put) => put,
                Err(error) => {
                    abandon(Some(&mut upload)).await;
                    return Err(error);
                }
            }
        }
    };
    if let Some(staged) = staged {
        store.rename(staged, path).await?;
    }
    Ok(put.e_tag)
}
