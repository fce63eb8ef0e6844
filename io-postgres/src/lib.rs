//! daysum's adapters over koku's PostgreSQL: the [`Sink`](daysum_core::port::Sink) with its ledger,
//! the [`Quarantine`](daysum_core::port::Quarantine), lookups, and the schema itself.
//!
//! ```text
//!   PostgresConfig + Schema ──┬── PostgresSink        begin ─ write* ─ commit   one transaction a day
//!                             ├── PostgresQuarantine  put, list, remove
//!                             └── Database            init, check, lookups, registry, read_day, diff_day
//! ```
//!
//! ```no_run
//! use daysum_core::port::Sink;
//! use daysum_io_postgres::{PostgresConfig, PostgresSink, Schema, SinkOptions};
//! # async fn example() -> daysum_core::Result<()> {
//! let config = PostgresConfig::from_url("postgres://koku@db.example.com/koku?sslmode=verify-full")?;
//! let mut sink = PostgresSink::new(config, Schema::new("org1234567")?, SinkOptions::default());
//! let january = ("2025-01-01".parse()?, "2025-01-31".parse()?);
//! for day in sink.published("fa4238b2-62ad-5c41-8747-6ee200183c54", january.0, january.1).await? {
//!     println!("{} has {} rows", day.scope.day, day.rows);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The surprise worth knowing: rows are held back, encoded, until they exceed
//! [`SinkOptions::spool_bytes`], and the old rows are only deleted then or at commit. So a day whose digest is
//! the published one costs a ledger row and no dead tuples.

mod check;
mod config;
mod copy;
mod database;
mod diff;
mod error;
mod ident;
mod init;
mod ledger;
mod locks;
mod lookups;
mod numeric;
mod partition;
mod quarantine;
mod read;
mod registry;
mod scope;
mod seen;
mod session;
mod sink;
mod tables;
mod tls;
mod write;

pub use check::{Problem, Severity};
pub use config::{ConnectionParts, PostgresConfig, RetryPolicy, SslMode, Timeouts};
pub use database::Database;
pub use diff::{ChangedColumn, ChangedRow, DayDiff, RowKey};
pub use error::PostgresError;
pub use ident::Schema;
pub use numeric::NumericMode;
pub use quarantine::PostgresQuarantine;
pub use registry::{Cluster, Node, Registry, RegistryChanges, Volume};
pub use scope::DayScope;
pub use session::retries;
pub use sink::{PostgresSink, SinkOptions};
