//! Where finished days go: files, or a database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use arrow::array::RecordBatch;
use daysum::engine::lock;
use daysum_core::drive::Seen;
use daysum_core::port::{Ledger, Quarantine, QuarantineEntry, Receipt, RunId, Sink, WriteScope};
use daysum_core::rows::RowsFormat;
use daysum_core::{Day, DaySummary, Result};
use daysum_io_postgres::{
    Database, DayDiff, NumericMode, PostgresConfig, PostgresQuarantine, PostgresSink, Schema, SinkOptions,
};
use daysum_io_s3::{ObjectStoreQuarantine, ObjectStoreSink, Place};

/// An open output.
#[derive(Debug)]
pub(crate) struct Output {
    /// What is published here, over a connection of its own.
    pub(crate) ledger: Box<dyn Ledger>,
    /// What was left out; none where nothing is written.
    quarantine: Option<Box<dyn Quarantine>>,
    /// Days that are written at once.
    pub(crate) at_once: usize,
    kind: Kind,
}

/// What days are written into, or compared with.
#[derive(Debug)]
enum Kind {
    Files(ObjectStoreSink),
    Database { sink: Box<PostgresSink>, database: Box<Database> },
    Comparison { stored: Box<(PostgresConfig, Schema)>, differences: Differences },
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
                lock(differences).insert(scope.day, diff);
                Ok(Receipt { rows: day.num_rows() as u64, unchanged, ..Receipt::default() })
            }
        }
    }
}

impl Output {
    pub(crate) fn files(place: Place, format: RowsFormat, writers: Option<usize>) -> Self {
        // A disk writes one day after the other anyway; what an object store takes is the way there and back.
        let usual = if place.is_directory() { 1 } else { 4 };
        let sink = ObjectStoreSink::new(place.clone(), format);
        Self {
            ledger: Box::new(sink.clone()),
            quarantine: Some(Box::new(ObjectStoreQuarantine::new(place))),
            at_once: writers.unwrap_or(usual),
            kind: Kind::Files(sink),
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
        let sink = PostgresSink::new(config.clone(), schema.clone(), options);
        Self {
            ledger: Box::new(sink.another()),
            quarantine: Some(Box::new(PostgresQuarantine::new(config.clone(), schema.clone()))),
            at_once: writers.unwrap_or(2),
            kind: Kind::Database { sink: Box::new(sink), database: Box::new(Database::new(config, schema)) },
        }
    }

    /// Nothing is written: days are compared with what is stored.
    pub(crate) fn comparison(config: PostgresConfig, schema: Schema) -> Self {
        Self {
            ledger: Box::new(PostgresSink::new(config.clone(), schema.clone(), SinkOptions::default())),
            quarantine: None,
            at_once: 1,
            kind: Kind::Comparison {
                stored: Box::new((config, schema)),
                differences: Differences::default(),
            },
        }
    }

    /// Those that write its days: each with a connection of its own, made when it gets its first day.
    pub(crate) fn writers(&self) -> Vec<Writer> {
        let writer = || match &self.kind {
            Kind::Files(sink) => Writer::Files(sink.clone()),
            Kind::Database { sink, .. } => Writer::Database(Box::new(sink.another())),
            Kind::Comparison { stored, differences } => {
                let (config, schema) = (**stored).clone();
                let stored = Box::new(Database::new(config, schema));
                Writer::Comparison { stored, differences: differences.clone() }
            }
        };
        std::iter::repeat_with(writer).take(self.at_once).collect()
    }

    /// The database that is written to, if one is.
    pub(crate) fn database_mut(&mut self) -> Option<&mut Database> {
        match &mut self.kind {
            Kind::Database { database, .. } => Some(database),
            Kind::Files(_) | Kind::Comparison { .. } => None,
        }
    }

    /// What was found different, if this is a comparison.
    pub(crate) fn differences(&self) -> Option<MutexGuard<'_, BTreeMap<Day, DayDiff>>> {
        match &self.kind {
            Kind::Comparison { differences, .. } => Some(lock(differences)),
            Kind::Files(_) | Kind::Database { .. } => None,
        }
    }

    /// Whether a day that has no rows any more may have some here: a database can hold rows that others wrote.
    pub(crate) fn may_hold(&self, day: Day, published: &BTreeMap<Day, RunId>) -> bool {
        !matches!(self.kind, Kind::Files(_)) || published.contains_key(&day)
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
        let kept = self.ledger.remembered(source_uuid, first, last).await?;
        Ok(kept.as_deref().and_then(Seen::decode))
    }

    /// Remembers what was left out, durably.
    pub(crate) async fn quarantine(&mut self, entry: &QuarantineEntry) -> Result<()> {
        match &mut self.quarantine {
            Some(quarantine) => quarantine.put(entry).await,
            None => Ok(()),
        }
    }

    /// What was left out earlier.
    pub(crate) async fn left_out(&mut self, source_uuid: &str) -> Result<Vec<QuarantineEntry>> {
        match &mut self.quarantine {
            Some(quarantine) => quarantine.list(source_uuid).await,
            None => Ok(Vec::new()),
        }
    }

    /// Forgets an object that was left out; says how many entries it had.
    pub(crate) async fn forget(&mut self, source_uuid: &str, object: &str) -> Result<u64> {
        match &mut self.quarantine {
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
}
