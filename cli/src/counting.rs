//! How much was read.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use daysum_core::port::{ListRequest, ObjectMeta, Source};
use daysum_core::{BoxFuture, BoxStream, Result};

/// A source that counts the bytes it hands out.
#[derive(Debug)]
pub struct Counting<S> {
    inner: S,
    bytes: AtomicU64,
}

impl<S> Counting<S> {
    /// Nothing was read yet.
    pub fn new(inner: S) -> Self {
        Self { inner, bytes: AtomicU64::new(0) }
    }

    /// Bytes handed out so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl<S: AsRef<dyn Source> + std::fmt::Debug + Send + Sync> Source for Counting<S> {
    fn list<'a>(&'a self, request: &'a ListRequest) -> BoxStream<'a, Result<ObjectMeta>> {
        self.inner.as_ref().list(request)
    }

    fn read<'a>(
        &'a self,
        object: &'a ObjectMeta,
        ranges: &'a [Range<u64>],
    ) -> BoxFuture<'a, Result<Vec<Bytes>>> {
        Box::pin(async move {
            let read = self.inner.as_ref().read(object, ranges).await?;
            let bytes = read.iter().map(|range| range.len() as u64).sum();
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
            Ok(read)
        })
    }

    fn read_ahead(&self) -> u64 {
        self.inner.as_ref().read_ahead()
    }
}
