//! Where finished days go: a directory, or a database.

use std::path::PathBuf;

use daysum_core::port::Quarantine;
use daysum_core::port::{Published, QuarantineEntry, Receipt, Sink, WriteScope};
use daysum_core::rows::RowsFormat;
use daysum_core::{Day, DaySummary, Result};
use daysum_io_postgres::{PostgresConfig, PostgresQuarantine, PostgresSink, Schema, SinkOptions};
use daysum_io_s3::publish;

/// An open output.
#[derive(Debug)]
pub(crate) enum Output {
    Directory { root: PathBuf, format: RowsFormat },
    Database { sink: Box<PostgresSink>, quarantine: Box<PostgresQuarantine> },
}

impl Output {
    pub(crate) fn database(config: PostgresConfig, schema: Schema) -> Self {
        Self::Database {
            sink: Box::new(PostgresSink::new(config.clone(), schema.clone(), SinkOptions::default())),
            quarantine: Box::new(PostgresQuarantine::new(config, schema)),
        }
    }

    /// The ledger of these days.
    pub(crate) async fn published(
        &mut self,
        source_uuid: &str,
        first: Day,
        last: Day,
    ) -> Result<Vec<Published>> {
        match self {
            Self::Directory { .. } => Ok(Vec::new()),
            Self::Database { sink, .. } => sink.published(source_uuid, first, last).await,
        }
    }

    /// Replaces a day.
    pub(crate) async fn publish(&mut self, scope: &WriteScope, day: &DaySummary) -> Result<Receipt> {
        match self {
            Self::Directory { root, format } => {
                let (_, bytes) = publish(root, &scope.source_uuid, scope.day, *format, &day.rows)?;
                Ok(Receipt { rows: day.rows.num_rows() as u64, bytes, ..Receipt::default() })
            }
            Self::Database { sink, .. } => {
                sink.publish_day(scope, || Ok(std::iter::once(Ok(day.rows.clone())))).await
            }
        }
    }

    /// Remembers what was left out.
    pub(crate) async fn quarantine(&mut self, entry: &QuarantineEntry) -> Result<()> {
        match self {
            Self::Directory { .. } => Ok(()),
            Self::Database { quarantine, .. } => quarantine.put(entry).await,
        }
    }
}
