//! Reading Parquet as a conversation: no IO, no async.
//!
//! ```text
//!   FooterDecoder            ChunkDecoder or WindowedDecoder (one row group)
//!   Need(ranges) -> supply   Need(ranges) -> supply
//!   Done(Footer) ----------> Batch, Batch, … Done
//! ```
//!
//! A decoder says which byte ranges it needs; whoever drives it (an async loop, a thread, JavaScript,
//! a test) supplies them. parquet's push decoder is the engine underneath.
//!
//! The surprise worth knowing: page headers are read here, before parquet's reader sees them, so that a small file
//! cannot ask for much memory.
//!
//! ```
//! use daysum_core::decode::{FooterDecoder, FooterStep};
//! # use daysum_core::port::ObjectMeta;
//! # let content = bytes::Bytes::from_static(b"not Parquet at all");
//! # let object = ObjectMeta { key: "x.parquet".into(), size: content.len() as u64, ..Default::default() };
//! let mut decoder = FooterDecoder::new(&object)?;
//! let outcome = loop {
//!     match decoder.step() {
//!         Ok(FooterStep::Need(ranges)) => {
//!             let bytes = ranges.iter().map(|r| content.slice(r.start as usize..r.end as usize)).collect();
//!             decoder.supply(bytes)?;
//!         }
//!         Ok(FooterStep::Done(footer)) => break Ok(footer),
//!         Err(error) => break Err(error),
//!     }
//! };
//! assert_eq!(outcome.expect_err("no magic at the end").code(), "format");
//! # Ok::<(), daysum_core::Error>(())
//! ```

mod chunk;
#[cfg(test)]
mod conversation;
mod footer;
mod layout;
mod packed;
mod page_header;
mod pages;
mod windows;

use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::errors::ParquetError;

pub use chunk::{ChunkDecoder, ChunkStep, Decoder};
pub use footer::{Footer, FooterDecoder, FooterStep, RowGroup};
pub use layout::Layouts;
pub use pages::LARGEST_PAGE;
pub use windows::WindowedDecoder;

use crate::error::{Error, Location, Result};

/// Rows per decoded batch. Larger batches amortise the work per batch and dictionary; beyond this
/// they no longer fit the caches.
pub const BATCH_ROWS: usize = 16_384;

/// Takes a step of parquet's reader, which in places believes what a page says of its own length and panics where that
/// is a lie: to daysum such a file is as damaged as any other. Where panics end the program (wasm) this one does, too.
///
/// Nothing is left half done that anybody sees: after an error the reader is dropped, or gives errors again.
fn guarded<T>(at: &Location, step: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(step)).map_err(|_| Error::Format {
        at: Box::new(at.clone()),
        reason: "its pages contradict themselves, so that the reader gave up".to_owned(),
    })
}

fn unreadable(at: Location, error: &ParquetError) -> Error {
    let mut reason = error.to_string();
    if reason.contains("Disabled feature") {
        reason += "; write it with snappy, gzip, lz4, zstd, or uncompressed";
    }
    Error::Format { at: Box::new(at), reason }
}
