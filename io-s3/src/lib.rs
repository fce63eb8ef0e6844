//! daysum's adapters for places that keep files: S3, local disk, GCS, Azure and HTTP through `object_store`, and a
//! directory of this machine without any runtime.
//!
//! ```no_run
//! use daysum_core::rows::RowsFormat;
//! use daysum_io_s3::{Missing, ObjectStoreSink, ObjectStoreSource, Place, StoreSettings};
//! # fn main() -> daysum_core::Result<()> {
//! let settings = StoreSettings::default(); // AWS_* variables and the AWS chain
//! let input = Place::open("s3://koku-bucket/data/parquet", &settings, Missing::Refuse)?;
//! let source = ObjectStoreSource::new(input);
//! let output = Place::open("summaries", &settings, Missing::Make)?;
//! let sink = ObjectStoreSink::new(output, RowsFormat::Parquet);
//! # Ok(())
//! # }
//! ```

mod discreet;
mod local;
mod open;
mod quarantine;
mod refusal;
mod s3;
mod sink;
mod source;
mod state_store;
mod walk;

pub use local::LocalSource;
pub use open::{Missing, Place, StoreSettings, folder};
pub use quarantine::ObjectStoreQuarantine;
pub use sink::ObjectStoreSink;
pub use source::ObjectStoreSource;
pub use state_store::ObjectStoreStateStore;
