//! The one seam between the proofs and whatever computes summaries.
//!
//! Everything in this crate that states what the numbers must be states it about an [`Engine`]. A way of
//! running the real engine (streaming, in memory, merged from parts, through the wire) joins all of the
//! proofs by one line in [`engines`].

use std::fmt::Debug;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use bytes::Bytes;
use daysum_core::port::{ListRequest, memory::MemorySource};
use daysum_core::{Lookups, Result, drive, rows};
use futures::executor::block_on;

use crate::oracle::Oracle;

/// A Parquet object as it lies in a store.
#[derive(Debug, Clone)]
pub struct InputFile {
    /// Key relative to the input's root, in one of the layouts of SPEC 1.2.
    pub key: String,
    /// The whole object.
    pub bytes: Bytes,
}

/// Something that turns files into finished rows.
pub trait Engine: Debug + Send + Sync {
    /// All finished rows, as `daysum_core::rows::schema`, in any order.
    fn summarise(&self, files: &[InputFile], lookups: &Lookups) -> Result<RecordBatch>;
}

/// Every way of computing a summary that there is, with its name. The oracle comes first.
pub fn engines() -> Vec<(&'static str, Box<dyn Engine>)> {
    vec![("oracle", Box::new(Oracle::default())), ("in memory", Box::new(InMemory))]
}

/// The real engine, on one task, everything in memory.
#[derive(Debug)]
pub struct InMemory;

impl Engine for InMemory {
    fn summarise(&self, files: &[InputFile], lookups: &Lookups) -> Result<RecordBatch> {
        let source = MemorySource::default();
        for file in files {
            source.insert(&file.key, file.bytes.clone());
        }
        let summary = block_on(drive::summarise(&source, &ListRequest::default(), lookups))?;
        let days: Vec<RecordBatch> = summary.days.into_iter().map(|day| day.rows).collect();
        Ok(concat_batches(&rows::schema(), &days).expect("all days have the schema of finished rows"))
    }
}
