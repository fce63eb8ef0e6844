//! Exact daily summaries of OpenShift usage.

mod day;
pub mod exact;
pub mod intern;
pub mod labels;
mod like;
mod error;
mod lookups;
pub mod port;
pub mod rows;
mod send;

pub use day::{Day, MILLIS_PER_DAY, Month};
pub use error::{Error, Location, Result};
pub use lookups::{CostCategory, LOOKUPS_VERSION, Lookups, NodeRole, TextOrNumber, VM_KEY};
pub use send::{BoxError, BoxFuture, BoxStream, MaybeSend, MaybeSync};
