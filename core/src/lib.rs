//! Exact daily summaries of OpenShift usage: bytes in, rows out, no IO inside.
//!
//! ```text
//! bytes -> decode -> schema -> fold -> PartialState (merge) -> finalise by day -> rows -> sink
//!          machine    bind              one law                 labels, units
//! ```
//!
//! - [`decode`] asks for byte ranges and returns record batches; whoever drives it does the reading.
//! - [`fold`] turns the batches of one row group into a [`PartialState`], which merges in any order.
//! - [`finalise`] turns a day of it into rows of `reporting_ocpusagelineitem_daily_summary`.
//! - [`port`] says what a source, a sink and a state store promise.

mod day;
pub mod decode;
pub mod drive;
mod error;
pub mod exact;
pub mod finalise;
pub mod fold;
pub mod intern;
pub mod labels;
mod like;
mod lookups;
pub mod port;
pub mod rows;
pub mod schema;
mod send;
pub mod state;

pub use day::{Day, MILLIS_PER_DAY, Month};
pub use error::{Error, Location, Result};
pub use finalise::{DaySummary, Policy, PolicyOptions};
pub use fold::ChunkFolder;
pub use lookups::{CostCategory, LOOKUPS_VERSION, Lookups, NodeRole, TextOrNumber, VM_KEY};
pub use send::{BoxError, BoxFuture, BoxStream, MaybeSend, MaybeSync};
pub use state::{ChunkId, Coverage, DayState, FoldConfig, FoldOptions, PartialState, RowCounts};
