//! The ports, and what the engine relies on from whatever stands behind them.
//!
//! | Port | Methods | Promise |
//! |---|---|---|
//! | [`Source`] | `list`, `read` | ranges come back in the order asked, one buffer each, all of one version of the object |
//! | [`Sink`] / [`SinkWrite`] | `published`, `begin` / `write`, `commit` | dropped: nothing happened; committed: everything in scope was replaced |
//! | [`Ledger`], a sink | `remembered`, `remember`, `reread`, `remove_day` | incremental runs: what was done need not be done again |
//! | [`StateStore`] | `put`, `get`, `list`, `delete` | opaque bytes, replaced whole |
//! | [`SpillStore`] | `keep` | what was kept is read back until its reader is dropped, and is gone then |
//! | [`Quarantine`] | `put`, `list`, `remove` | durable before `put` returns |
//!
//! [`memory`] shows how each behaves; `conformance` (a feature) lets an adapter prove that it does the same.

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod memory;
mod quarantine;
mod sink;
mod source;
mod spill;
mod state_store;

pub use quarantine::{Quarantine, QuarantineEntry};
pub use sink::{InputObject, Ledger, Published, Receipt, Sink, SinkWrite, WriteScope};
pub use source::{ListRequest, ObjectMeta, Source, Wanted};
pub use spill::{ReadAt, Spill, SpillStore};
pub use state_store::{RunId, StateKey, StateStore};
