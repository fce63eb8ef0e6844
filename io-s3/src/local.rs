//! A directory as a source of Parquet.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use daysum_core::drive::KeyFacts;
use daysum_core::port::{ListRequest, ObjectMeta, Source};
use daysum_core::{BoxFuture, BoxStream, Error, Result};
use futures::stream::{self, StreamExt};

/// The files below a directory. Keys are paths relative to it. A link to what lies inside is passed over, because that has
/// a key already; one that leads out of the directory is refused, so that nobody's rows are missing without a word.
///
/// Reading a local file needs no runtime: the futures are ready when they are made.
#[derive(Debug, Clone)]
pub struct LocalSource {
    root: PathBuf,
}

impl LocalSource {
    /// A source over this directory; refuses what is no directory.
    pub fn new(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        match root.canonicalize() {
            Ok(found) if found.is_dir() => Ok(Self { root: found }),
            Ok(_) => Err(Error::Config { reason: format!("{} is not a directory", root.display()) }),
            Err(error) => Err(Error::Config { reason: format!("{}: {error}", root.display()) }),
        }
    }

    fn walk(&self, directory: &Path, request: &ListRequest, found: &mut Vec<ObjectMeta>) -> Result<()> {
        let refuse =
            |error| Error::port("source", format!("list {}", directory.display()), false, Box::new(error));
        for entry in fs::read_dir(directory).map_err(refuse)? {
            let entry = entry.map_err(refuse)?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(refuse)?);
            let inside = path.strip_prefix(&self.root).unwrap_or(&path);
            let wrong = |reason| refuse(std::io::Error::other(format!("{inside:?} {reason}")));
            let key = inside.to_str().ok_or_else(|| wrong("is no UTF-8; give it another name"))?;
            let is_wanted =
                || request.wanted.as_ref().is_none_or(|wanted| KeyFacts::of(key).may_hold(wanted));
            if kind.is_symlink() {
                // What a link leads to inside is listed where it is.
                let leads_inside = path.canonicalize().map(|target| target.starts_with(&self.root));
                let is_gone = || path.symlink_metadata().is_err(); // the link itself, since it was listed
                match leads_inside {
                    Ok(true) => {}
                    Ok(false) if is_wanted() => {
                        return Err(wrong(
                            "is a link out of the input, and links are not followed; copy or mount it",
                        ));
                    }
                    Err(_) if is_wanted() && !is_gone() => {
                        return Err(wrong("is a link to what is not there; mount that, or remove the link"));
                    }
                    Ok(false) | Err(_) => {}
                }
            } else if kind.is_dir() {
                if is_wanted() {
                    self.walk(&path, request, found)?;
                }
            } else if kind.is_file() {
                let metadata = match entry.metadata() {
                    Err(error) if error.kind() == ErrorKind::NotFound => continue, // removed since it was listed
                    metadata => metadata.map_err(refuse)?,
                };
                found.push(ObjectMeta {
                    key: key.into(),
                    size: metadata.len(),
                    version: Some(version(&metadata).into()),
                    metadata: Default::default(),
                });
            }
        }
        Ok(())
    }
}

/// Changes whenever the file is written or replaced.
fn version(metadata: &fs::Metadata) -> String {
    format!(
        "{}-{}-{}",
        metadata.ino(),
        metadata.len(),
        metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec()
    )
}

impl Source for LocalSource {
    fn list<'a>(&'a self, request: &'a ListRequest) -> BoxStream<'a, Result<ObjectMeta>> {
        let mut found = Vec::new();
        let listed = self.walk(&self.root, request, &mut found);
        found.retain(|object| request.is_below(&object.key));
        stream::iter(found.into_iter().map(Ok).chain(listed.err().map(Err))).boxed()
    }

    fn read<'a>(
        &'a self,
        object: &'a ObjectMeta,
        ranges: &'a [Range<u64>],
    ) -> BoxFuture<'a, Result<Vec<Bytes>>> {
        Box::pin(async move {
            let refuse = |error: std::io::Error| {
                Error::port("source", format!("read {}", object.key), false, Box::new(error))
            };
            let opened = File::open(self.root.join(&*object.key));
            let file = opened.map_err(|error| match error.kind() {
                ErrorKind::NotFound => Error::vanished(&*object.key),
                _ => refuse(error),
            })?;
            let is_listed = || {
                let now = file.metadata().map_err(refuse)?;
                match &object.version {
                    Some(listed) if version(&now) != **listed => Err(Error::changed(&*object.key)),
                    _ => Ok(()),
                }
            };
            is_listed()?;
            let read = |range: &Range<u64>| {
                let mut buffer = vec![0; (range.end - range.start) as usize];
                file.read_exact_at(&mut buffer, range.start).map_err(refuse)?;
                Ok(buffer.into())
            };
            let read: Result<Vec<Bytes>> = ranges.iter().map(read).collect();
            // It may have been written to in the meantime; then these are bytes of two versions, or too few.
            is_listed()?;
            read
        })
    }

    /// What a processor's cache holds: it is decoded before it has left there.
    fn read_ahead(&self) -> u64 {
        2 << 20
    }
}
