//! Exact daily summaries of OpenShift usage: bytes in, rows out, no IO inside.
//!
//! ```text
//! bytes -> decode -> schema -> fold -> PartialState (merge) -> finalise by day -> rows -> sink
//!          machine    bind              one law                 labels, units
//! ```
//!
//! - [`decode`] asks for byte ranges and returns record batches; whoever drives it does the reading.
//! - [`fold`] turns the batches of row groups into a [`PartialState`], which merges in any order.
//! - [`finalise`] turns a day of it into rows of `reporting_ocpusagelineitem_daily_summary`.
//! - [`port`] says what a source, a sink and a state store promise.
//!
//! Rules are named by their section, such as SPEC 2.7, in `docs/spec.md` of the repository.
//!
//! [`drive::summarise`] does all of it on one task of any executor. Across threads, or machines, each part is folded
//! by itself and the parts are merged, in any order and to the same last bit. All parts are of one plan, because which
//! files are there decides how the others are read (SPEC 1.7); parts that were planned apart refuse to merge:
//!
//! ```
//! use std::sync::Arc;
//!
//! use daysum_core::port::{ListRequest, memory::MemorySource};
//! use daysum_core::{FoldConfig, Lookups, PartialState, Policy, Result, drive};
//! use futures::executor::block_on; // or that of your runtime
//!
//! fn rows(source: &MemorySource, lookups: &Lookups) -> Result<usize> {
//!     let config = Arc::new(FoldConfig::new(lookups, Default::default())?);
//!     let policy = Policy::new(lookups, Default::default())?;
//!     let plan = block_on(drive::plan_below(source, &ListRequest::default(), lookups))?;
//!     let parts = std::thread::scope(|scope| {
//!         let fold = |object| block_on(drive::fold_object(source, object, &config));
//!         let workers: Vec<_> = plan.objects.iter().map(|object| scope.spawn(move || fold(object))).collect();
//!         workers.into_iter().map(|worker| worker.join().expect("no worker panics")).collect::<Result<Vec<_>>>()
//!     })?;
//!     let mut whole = PartialState::empty(config.clone());
//!     for part in parts {
//!         whole.merge(part)?; // refuses a row group that is inside already
//!     }
//!     let mut rows = 0;
//!     for (day, state) in whole.take_days() {
//!         rows += state.finalise(day, &config, &policy)?.num_rows();
//!     }
//!     Ok(rows)
//! }
//! # let lookups = Lookups { start_date: Some("2025-11-01".into()), end_date: Some("2025-11-30".into()), ..Default::default() };
//! # assert_eq!(rows(&MemorySource::default(), &lookups).expect("nothing to read"), 0);
//! ```
//!
//! [`PartialState::encode`] and [`decode`](PartialState::decode) carry a part from one process to another. Days
//! that are to be finished before everything is read are what [`drive::Schedule`] is for.

#![forbid(unsafe_code)]

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
pub use fold::{ChunkFolder, Folder};
pub use lookups::{CostCategory, LOOKUPS_VERSION, Lookups, NodeRole, TextOrNumber, VM_KEY};
pub use send::{BoxError, BoxFuture, BoxStream, MaybeSend, MaybeSync};
pub use state::{ChunkId, Coverage, DayState, FoldConfig, FoldOptions, PartialState, RowCounts};
