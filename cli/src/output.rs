//! Where finished days go: files, or a database.

use daysum_core::port::{Published, Quarantine, QuarantineEntry, Receipt, Sink, WriteScope};
use daysum_core::rows::{RowsDigest, RowsFormat};
use daysum_core::{Day, DaySummary, Result};
use daysum_io_postgres::{PostgresConfig, PostgresQuarantine, PostgresSink, Schema, SinkOptions};
use daysum_io_s3::{ObjectStoreSink, Place};

/// An open output.
#[derive(Debug)]
pub(crate) enum Output {
    Files(ObjectStoreSink),
    Database { sink: Box<PostgresSink>, quarantine: Box<PostgresQuarantine> },
}

impl Output {
    pub(crate) fn files(place: Place, format: RowsFormat) -> Self {
        Self::Files(ObjectStoreSink::new(place, format))
    }

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
            Self::Files(sink) => sink.published(source_uuid, first, last).await,
            Self::Database { sink, .. } => sink.published(source_uuid, first, last).await,
        }
    }

    /// Replaces a day.
    pub(crate) async fn publish(&mut self, scope: &WriteScope, day: &DaySummary) -> Result<Receipt> {
        match self {
            Self::Files(sink) => {
                let mut digest = RowsDigest::default();
                digest.update(&day.rows);
                let mut write = sink.begin(scope).await?;
                write.write(&day.rows).await?;
                write.commit(digest.finish()).await
            }
            Self::Database { sink, .. } => {
                sink.publish_day(scope, || Ok(std::iter::once(Ok(day.rows.clone())))).await
            }
        }
    }

    /// Remembers what was left out. Files have no quarantine of their own: the report and the exit code tell.
    pub(crate) async fn quarantine(&mut self, entry: &QuarantineEntry) -> Result<()> {
        match self {
            Self::Files(_) => Ok(()),
            Self::Database { quarantine, .. } => quarantine.put(entry).await,
        }
    }
}
