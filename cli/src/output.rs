//! Where finished days go: files, or a database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use daysum_core::drive::Seen;
use daysum_core::port::{Published, Quarantine, QuarantineEntry, Receipt, RunId, Sink, WriteScope};
use daysum_core::rows::RowsFormat;
use daysum_core::{Day, DaySummary, Result};
use daysum_io_postgres::{
    Database, DayDiff, NumericMode, PostgresConfig, PostgresQuarantine, PostgresSink, Schema, SinkOptions,
};
use daysum_io_s3::{ObjectStoreQuarantine, ObjectStoreSink, Place};

/// An open output.
#[derive(Debug)]
pub(crate) enum Output {
    Files {
        sink: ObjectStoreSink,
        quarantine: ObjectStoreQuarantine,
        /// Days that are written at once.
        writers: usize,
    },
    Database {
        sink: Box<PostgresSink>,
        quarantine: Box<PostgresQuarantine>,
        database: Box<Database>,
        /// Days that are written at once.
        writers: usize,
    },
    /// Nothing is written: days are compared with what is stored.
    Comparison { sink: Box<PostgresSink>, target: Box<(PostgresConfig, Schema)>, differences: Differences },
}

/// What comparisons found, day by day.
pub(crate) type Differences = Arc<Mutex<BTreeMap<Day, DayDiff>>>;

/// What writes days into an output, or compares them with it, one at a time.
#[derive(Debug)]
pub(crate) enum Writer {
    Files(ObjectStoreSink),
    Database(Box<PostgresSink>),
    Comparison { stored: Box<Database>, differences: Differences },
}

impl Writer {
    /// Replaces a day, or compares it.
    pub(crate) async fn publish(&mut self, scope: &WriteScope, day: &DaySummary) -> Result<Receipt> {
        match self {
            Self::Files(sink) => {
                let mut write = sink.begin(scope).await?;
                for rows in day.batches()? {
                    write.write(&rows?).await?;
                }
                write.commit().await
            }
            Self::Database(sink) => sink.publish_day(scope, || day.batches()).await,
            Self::Comparison { stored, differences } => {
                let rows: Vec<RecordBatch> = day.batches()?.collect::<Result<_>>()?;
                let diff = stored.diff_day(&scope.try_into()?, &rows, NumericMode::default()).await?;
                let unchanged = diff.is_empty();
                // A day comes twice where an object of it has changed meanwhile.
                differences.lock().unwrap_or_else(PoisonError::into_inner).insert(scope.day, diff);
                Ok(Receipt { rows: day.num_rows() as u64, unchanged, ..Receipt::default() })
            }
        }
    }
}

impl Output {
    pub(crate) fn files(place: Place, format: RowsFormat, writers: Option<usize>) -> Self {
        // A disk writes one day after the other anyway; what an object store takes is the way there and back.
        let usual = if place.is_directory() { 1 } else { 4 };
        Self::Files {
            writers: writers.unwrap_or(usual),
            quarantine: ObjectStoreQuarantine::new(place.clone()),
            sink: ObjectStoreSink::new(place, format),
        }
    }

    /// `rewrite` also writes rows that seem to be there already.
    pub(crate) fn database(
        config: PostgresConfig,
        schema: Schema,
        writers: Option<usize>,
        rewrite: bool,
    ) -> Self {
        let options = SinkOptions { rewrite, ..SinkOptions::default() };
        Self::Database {
            writers: writers.unwrap_or(2),
            sink: Box::new(PostgresSink::new(config.clone(), schema.clone(), options)),
            quarantine: Box::new(PostgresQuarantine::new(config.clone(), schema.clone())),
            database: Box::new(Database::new(config, schema)),
        }
    }

    pub(crate) fn comparison(config: PostgresConfig, schema: Schema) -> Self {
        Self::Comparison {
            sink: Box::new(PostgresSink::new(config.clone(), schema.clone(), SinkOptions::default())),
            target: Box::new((config, schema)),
            differences: Differences::default(),
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
            Self::Files { sink, .. } => sink.published(source_uuid, first, last).await,
            Self::Database { sink, .. } | Self::Comparison { sink, .. } => {
                sink.published(source_uuid, first, last).await
            }
        }
    }

    /// Whether a day that has no rows any more may have some here: a database can hold rows that others wrote.
    pub(crate) fn may_hold(&self, day: Day, published: &BTreeMap<Day, RunId>) -> bool {
        !matches!(self, Self::Files { .. }) || published.contains_key(&day)
    }

    /// What the last complete run of these days saw. Nothing, while something of theirs is in quarantine: every run then
    /// tries it again.
    pub(crate) async fn seen(&mut self, source_uuid: &str, first: Day, last: Day) -> Result<Option<Seen>> {
        let concerns = |entry: &QuarantineEntry| {
            entry.days.is_empty() || entry.days.iter().any(|day| (first..=last).contains(day))
        };
        if self.left_out(source_uuid).await?.iter().any(concerns) {
            return Ok(None);
        }
        let kept = match self {
            Self::Files { sink, .. } => sink.remembered(source_uuid, first, last).await?,
            Self::Database { sink, .. } | Self::Comparison { sink, .. } => {
                sink.remembered(source_uuid, first, last).await?
            }
        };
        Ok(kept.as_deref().and_then(Seen::decode))
    }

    /// Keeps what a complete run of these days saw.
    pub(crate) async fn remember(
        &mut self,
        source_uuid: &str,
        first: Day,
        last: Day,
        seen: &Seen,
    ) -> Result<()> {
        match self {
            Self::Files { sink, .. } => sink.remember(source_uuid, first, last, &seen.encode()).await,
            Self::Database { sink, .. } => sink.remember(source_uuid, first, last, &seen.encode()).await,
            Self::Comparison { .. } => Ok(()),
        }
    }

    /// Days that are written at once.
    pub(crate) fn at_once(&self) -> usize {
        match self {
            Self::Files { writers, .. } | Self::Database { writers, .. } => *writers,
            Self::Comparison { .. } => 1,
        }
    }

    /// Those that write its days: each with a connection of its own, made when it gets its first day.
    pub(crate) fn writers(&self) -> Vec<Writer> {
        match self {
            Self::Files { sink, writers, .. } => (0..*writers).map(|_| Writer::Files(sink.clone())).collect(),
            Self::Database { sink, writers, .. } => {
                (0..*writers).map(|_| Writer::Database(Box::new(sink.another()))).collect()
            }
            Self::Comparison { target, differences, .. } => {
                let (config, schema) = (**target).clone();
                let stored = Box::new(Database::new(config, schema));
                vec![Writer::Comparison { stored, differences: differences.clone() }]
            }
        }
    }

    /// The database that is written to, if one is.
    pub(crate) fn database_mut(&mut self) -> Option<&mut Database> {
        match self {
            Self::Database { database, .. } => Some(database),
            Self::Files { .. } | Self::Comparison { .. } => None,
        }
    }

    /// Remembers what was left out, durably.
    pub(crate) async fn quarantine(&mut self, entry: &QuarantineEntry) -> Result<()> {
        match self.quarantines() {
            Some(quarantine) => quarantine.put(entry).await,
            None => Ok(()),
        }
    }

    /// What was left out earlier.
    pub(crate) async fn left_out(&mut self, source_uuid: &str) -> Result<Vec<QuarantineEntry>> {
        match self.quarantines() {
            Some(quarantine) => quarantine.list(source_uuid).await,
            None => Ok(Vec::new()),
        }
    }

    /// Forgets an object that was left out; says how many entries it had.
    pub(crate) async fn forget(&mut self, source_uuid: &str, object: &str) -> Result<u64> {
        match self.quarantines() {
            Some(quarantine) => quarantine.remove(source_uuid, object).await,
            None => Ok(0),
        }
    }

    /// Forgets what was left out earlier and is no longer open.
    pub(crate) async fn recovered(
        &mut self,
        source_uuid: &str,
        is_done: impl Fn(&QuarantineEntry) -> bool,
    ) -> Result<()> {
        let entries = self.left_out(source_uuid).await?;
        let (done, open): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_done);
        // The entries of an object go together: as long as one version is open, so is the object.
        let open: BTreeSet<String> = open.into_iter().map(|entry| entry.object).collect();
        let done: BTreeSet<String> = done.into_iter().map(|entry| entry.object).collect();
        for object in done.difference(&open) {
            self.forget(source_uuid, object).await?;
        }
        Ok(())
    }

    /// Makes the next run read these days again; says how many of them are published.
    pub(crate) async fn reread(&mut self, source_uuid: &str, days: &[Day]) -> Result<u64> {
        match self {
            Self::Files { sink, .. } => sink.reread(source_uuid, days).await,
            Self::Database { sink, .. } => sink.reread(source_uuid, days).await,
            Self::Comparison { .. } => Ok(0),
        }
    }

    /// Takes a published day back, with its rows; says how many went, or that another run has published it again.
    pub(crate) async fn remove_day(&mut self, entry: &Published) -> Result<Option<u64>> {
        match self {
            Self::Files { sink, .. } => sink.remove_day(entry).await,
            Self::Database { sink, .. } => sink.remove_day(entry).await,
            Self::Comparison { .. } => Ok(None),
        }
    }

    fn quarantines(&mut self) -> Option<&mut dyn Quarantine> {
        match self {
            Self::Files { quarantine, .. } => Some(quarantine),
            Self::Database { quarantine, .. } => Some(&mut **quarantine),
            Self::Comparison { .. } => None,
        }
    }
}
