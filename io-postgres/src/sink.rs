//! The sink: one transaction replaces one day.
//!
//! ```text
//!   begin   connect ─ check the table ─ ledger ─ partition   (own short transactions, with retries)
//!           BEGIN ─ lock (schema, source, month) shared ─ lock the day ─ read the ledger row
//!   write   encode ─ hold back, until the spool is full: SAVEPOINT ─ DELETE ─ COPY …
//!   commit  same digest and the rows still there?  ROLLBACK TO SAVEPOINT ─ ledger ─ COMMIT
//!           otherwise                              DELETE ─ COPY ─ ledger ─ COMMIT
//! ```
//!
//! The surprise worth knowing: a connection lost during COMMIT leaves the outcome open. The writer then takes the
//! day's lock again on a new connection, which waits out the old one, and believes the ledger.

use std::pin::Pin;

use arrow::array::RecordBatch;
use bytes::Bytes;
use daysum_core::port::{Published, Receipt, Sink, SinkWrite, WriteScope};
use daysum_core::rows::RowsDigest;
use daysum_core::{BoxFuture, Day, Error, Month, Result};
use futures::SinkExt;
use sha2::{Digest, Sha256};
use tokio_postgres::error::SqlState;
use tokio_postgres::{CopyInSink, Transaction};
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::check;
use crate::config::{PostgresConfig, Timeouts};
use crate::copy::{Bound, RowEncoder, Target};
use crate::error::{PostgresError, during, is_ambiguous, port, refused};
use crate::ident::Schema;
use crate::ledger::{self, EPOCH_SQL, Entry};
use crate::numeric::NumericMode;
use crate::partition;
use crate::session::{Session, answer, retry_after, transaction_settings};
use crate::tables::{SUMMARY, copied_columns};

/// Rows of a day that this program replaces: SPEC 2.12, restricted to the day. $1 is the period, $2 the day.
pub(crate) fn replaced() -> String {
    format!(
        "usage_start = {EPOCH_SQL} + $2::int4 AND report_period_id = $1 \
         AND (infrastructure_raw_cost IS NULL OR infrastructure_raw_cost = 0)"
    )
}

/// Those of them that a cost model has not added.
pub(crate) const SUMMARISED: &str = "cost_model_rate_type IS NULL AND monthly_cost_type IS NULL";

/// What a caller may choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkOptions {
    /// How doubles become numeric(33,15).
    pub numeric: NumericMode,
    /// Encoded bytes held back before the old rows are touched.
    pub spool_bytes: usize,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self { numeric: NumericMode::default(), spool_bytes: 8 * 1024 * 1024 }
    }
}

/// Writes days into one schema over one connection; give each parallel writer its own.
#[derive(Debug)]
pub struct PostgresSink {
    session: Session,
    schema: Schema,
    options: SinkOptions,
    /// Whether the table was found fit; asked once.
    checked: bool,
}

impl PostgresSink {
    /// A sink that connects when it is first used.
    pub fn new(config: PostgresConfig, schema: Schema, options: SinkOptions) -> Self {
        Self { session: Session::new(config), schema, options, checked: false }
    }

    /// Replaces a day, and does it again from the start where a failure is worth a retry. `rows` is called once
    /// for each attempt and must give the same rows.
    pub async fn publish_day<I>(
        &mut self,
        scope: &WriteScope,
        mut rows: impl FnMut() -> Result<I> + Send,
    ) -> Result<Receipt>
    where
        I: Iterator<Item = Result<RecordBatch>> + Send,
    {
        let mut delays = self.session.config.retry.delays();
        loop {
            match self.publish_once(scope, rows()?).await {
                Ok(receipt) => return Ok(receipt),
                Err(error) => retry_after(error, &mut delays).await?,
            }
        }
    }

    async fn publish_once(
        &mut self,
        scope: &WriteScope,
        rows: impl Iterator<Item = Result<RecordBatch>> + Send,
    ) -> Result<Receipt> {
        let ids = Ids::of(scope)?;
        self.prepare(&ids).await?;
        let mut write = self.open(scope, ids).await?;
        let mut digest = RowsDigest::default();
        for batch in rows {
            let batch = batch?;
            digest.update(&batch);
            write.add(&batch).await?;
        }
        write.finish(digest.finish()).await
    }

    /// Everything that must hold before a transaction is opened: the table, the ledger, the partition.
    async fn prepare(&mut self, ids: &Ids) -> Result<()> {
        let timeouts = self.session.config.timeouts.clone();
        let schema = self.schema.clone();
        let client = self.session.connected().await?;
        if !self.checked {
            check::target(client, &schema).await?;
            if !ledger::exists(client, &schema).await? {
                let tx = client.transaction().await.map_err(during("create the ledger"))?;
                lock_ddl(&tx, &schema, &timeouts).await?;
                tx.batch_execute(&ledger::create(&schema)).await.map_err(during("create the ledger"))?;
                tx.commit().await.map_err(during("create the ledger"))?;
            }
            self.checked = true;
        }
        let tx = client.transaction().await.map_err(during("look for the partition"))?;
        tx.batch_execute(&transaction_settings(&timeouts)).await.map_err(during("look for the partition"))?;
        if !partition::exists(&tx, &schema, ids.target.day).await? {
            lock_ddl(&tx, &schema, &timeouts).await?;
            // Another writer may have made it while this one waited.
            if !partition::exists(&tx, &schema, ids.target.day).await? {
                let month = ids.target.day.month();
                partition::create(&tx, &schema, month).await?;
                info!(%month, "created the partition");
            }
        }
        tx.commit().await.map_err(during("create the partition"))
    }

    /// Opens the transaction and takes its locks.
    async fn open<'a>(&'a mut self, scope: &'a WriteScope, ids: Ids) -> Result<PostgresWrite<'a>> {
        let Session { config, client, broken } = &mut self.session;
        let operation = format!("begin {}", scope.day);
        let client = client
            .as_mut()
            .ok_or_else(|| refused(&operation, false, PostgresError::Misuse("there is no connection")))?;
        let tx = answer(&operation, &config.timeouts, broken, client.transaction()).await?;
        let entry = answer(&operation, &config.timeouts, broken, async {
            tx.batch_execute(&transaction_settings(&config.timeouts)).await?;
            lock_day(&tx, &self.schema, &ids).await?;
            ledger::entry(&tx, &self.schema, ids.target.source, scope.day).await
        })
        .await?;
        Ok(PostgresWrite {
            copy: None,
            tx,
            encoder: RowEncoder::new(ids.target, self.options.numeric),
            ids,
            config,
            broken,
            schema: &self.schema,
            options: &self.options,
            scope,
            entry,
            spool: Vec::new(),
            spooled: 0,
            deleted: 0,
            untouched: false,
            failed: false,
        })
    }
}

impl Sink for PostgresSink {
    fn published<'a>(
        &'a mut self,
        source_uuid: &'a str,
        first: Day,
        last: Day,
    ) -> BoxFuture<'a, Result<Vec<Published>>> {
        Box::pin(async move {
            let source = source_of(source_uuid)?;
            let mut delays = self.session.config.retry.delays();
            loop {
                let schema = &self.schema;
                let attempt = async {
                    let client = self.session.connected().await?;
                    if !ledger::exists(client, schema).await? {
                        return Ok(Vec::new());
                    }
                    ledger::list(client, schema, source, first, last).await
                };
                match attempt.await {
                    Ok(found) => return Ok(found),
                    Err(error) => retry_after(error, &mut delays).await?,
                }
            }
        })
    }

    fn begin<'a>(&'a mut self, scope: &'a WriteScope) -> BoxFuture<'a, Result<Box<dyn SinkWrite + 'a>>> {
        Box::pin(async move {
            let ids = Ids::of(scope)?;
            let mut delays = self.session.config.retry.delays();
            while let Err(error) = self.prepare(&ids).await {
                retry_after(error, &mut delays).await?;
            }
            Ok(Box::new(self.open(scope, ids).await?) as Box<dyn SinkWrite + 'a>)
        })
    }
}

/// A day in progress. The fields are dropped in this order: an open COPY is cancelled, then the transaction
/// rolls back.
struct PostgresWrite<'a> {
    copy: Option<Pin<Box<CopyInSink<Bytes>>>>,
    tx: Transaction<'a>,
    encoder: RowEncoder,
    ids: Ids,
    config: &'a PostgresConfig,
    broken: &'a mut bool,
    schema: &'a Schema,
    options: &'a SinkOptions,
    scope: &'a WriteScope,
    entry: Option<Entry>,
    /// Encoded chunks that wait for the COPY.
    spool: Vec<Bytes>,
    spooled: usize,
    deleted: u64,
    /// Whether the rows of the ledger's entry were all still there when the COPY was opened.
    untouched: bool,
    failed: bool,
}

impl SinkWrite for PostgresWrite<'_> {
    fn write<'a>(&'a mut self, rows: &'a RecordBatch) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.add(rows))
    }

    fn commit<'a>(self: Box<Self>, digest: String) -> BoxFuture<'a, Result<Receipt>>
    where
        Self: 'a,
    {
        Box::pin(self.finish(digest))
    }
}

impl PostgresWrite<'_> {
    async fn add(&mut self, rows: &RecordBatch) -> Result<()> {
        // Whatever goes wrong from here on, half a batch may be on its way: this write cannot be committed.
        self.failed = true;
        let bound = Bound::new(rows, self.scope.day)?;
        let mut next = 0;
        while next < bound.rows() {
            next = self.encoder.fill(&bound, next)?;
            if let Some(chunk) = self.encoder.chunk() {
                self.send(chunk).await?;
            }
        }
        self.failed = false;
        Ok(())
    }

    /// Holds a chunk back, or passes everything on once the spool is full.
    async fn send(&mut self, chunk: Bytes) -> Result<()> {
        if self.copy.is_none() {
            self.spooled += chunk.len();
            self.spool.push(chunk);
            if self.spooled > self.options.spool_bytes {
                self.replace().await?;
            }
            return Ok(());
        }
        self.feed(chunk).await
    }

    async fn feed(&mut self, chunk: Bytes) -> Result<()> {
        let operation = format!("copy rows of {}", self.scope.day);
        let Some(copy) = self.copy.as_mut() else {
            return Err(refused(operation, false, PostgresError::Misuse("no COPY is open")));
        };
        answer(&operation, &self.config.timeouts, self.broken, copy.send(chunk)).await
    }

    /// Deletes the old rows, opens the COPY and sends what was held back.
    async fn replace(&mut self) -> Result<()> {
        self.untouched = self.is_untouched().await?;
        let operation = format!("delete the old rows of {}", self.scope.day);
        let delete = format!("DELETE FROM {} WHERE {}", self.schema.table(SUMMARY), replaced());
        let tx = &self.tx;
        let Target { period, day, .. } = self.ids.target;
        self.deleted = answer(&operation, &self.config.timeouts, self.broken, async {
            tx.batch_execute("SAVEPOINT daysum_day").await?;
            tx.execute(&delete, &[&period, &day.0]).await
        })
        .await?;
        let operation = format!("copy rows of {}", self.scope.day);
        let copy = format!(
            "COPY {} ({}) FROM STDIN WITH (FORMAT binary)",
            self.schema.table(SUMMARY),
            copied_columns()
        );
        let copy = answer(&operation, &self.config.timeouts, self.broken, tx.copy_in(&copy)).await?;
        self.copy = Some(Box::pin(copy));
        for chunk in std::mem::take(&mut self.spool) {
            self.feed(chunk).await?;
        }
        Ok(())
    }

    /// Whether the rows that the ledger speaks of are still in the table. koku's own summary or an operator may
    /// have removed them, and then an equal digest proves nothing.
    async fn is_untouched(&mut self) -> Result<bool> {
        let Some(entry) = &self.entry else {
            return Ok(false);
        };
        let Target { source, period, day } = self.ids.target;
        let sql = format!(
            "SELECT count(*) FROM {} WHERE {} AND source_uuid = $3 AND {SUMMARISED}",
            self.schema.table(SUMMARY),
            replaced()
        );
        let operation = format!("count the rows of {day}");
        let tx = &self.tx;
        let row = answer(&operation, &self.config.timeouts, self.broken, async {
            tx.query_one(&sql, &[&period, &day.0, &source]).await
        })
        .await?;
        Ok(row.get::<_, i64>(0) == entry.rows)
    }

    /// Whether publishing these rows would change nothing.
    async fn is_unchanged(&mut self, digest: &str) -> Result<bool> {
        let same = self.entry.as_ref().is_some_and(|entry| {
            entry.digest == digest
                && entry.report_period_id == Some(self.ids.target.period)
                && entry.numeric_mode == self.options.numeric.name()
                && u64::try_from(entry.rows) == Ok(self.encoder.rows)
        });
        if !same || self.copy.is_some() {
            return Ok(same && self.untouched);
        }
        self.is_untouched().await
    }

    async fn finish(mut self, digest: String) -> Result<Receipt> {
        let operation = format!("commit {}", self.scope.day);
        if self.failed {
            let misuse = PostgresError::Misuse("an earlier write failed; drop this one and begin again");
            return Err(refused(operation, false, misuse));
        }
        let unchanged = self.is_unchanged(&digest).await?;
        if unchanged {
            self.keep_old_rows().await?;
        } else {
            if self.copy.is_none() {
                self.replace().await?;
            }
            let last = self.encoder.finish();
            self.feed(last).await?;
            self.end_copy().await?;
        }
        let write_id = Uuid::new_v4();
        let (source, rows, mode) = (self.ids.target.source, self.encoder.rows, self.options.numeric);
        let renewed =
            ledger::upsert(&self.tx, self.schema, source, self.scope, rows, &digest, mode, write_id);
        answer(&operation, &self.config.timeouts, self.broken, renewed).await?;
        let Self { tx, ids, config, broken, schema, encoder, deleted, .. } = self;
        commit(tx, &operation, config, broken, schema, &ids, write_id).await?;
        debug!(day = %ids.target.day, rows, unchanged, "published");
        Ok(Receipt {
            rows,
            rows_deleted: Some(if unchanged { 0 } else { deleted }),
            bytes: if unchanged { 0 } else { encoder.bytes },
            unchanged,
        })
    }

    async fn keep_old_rows(&mut self) -> Result<()> {
        if self.copy.take().is_none() {
            return Ok(()); // nothing was sent, so there is nothing to take back
        }
        // Dropping the COPY above cancelled it; the savepoint brings the transaction and the rows back.
        let operation = format!("keep the old rows of {}", self.scope.day);
        let rollback = self.tx.batch_execute("ROLLBACK TO SAVEPOINT daysum_day");
        answer(&operation, &self.config.timeouts, self.broken, rollback).await
    }

    async fn end_copy(&mut self) -> Result<()> {
        let operation = format!("copy rows of {}", self.scope.day);
        let Some(mut copy) = self.copy.take() else {
            return Err(refused(operation, false, PostgresError::Misuse("no COPY is open")));
        };
        let limit = &self.config.timeouts;
        let mut vanished = false;
        let copied = answer(&operation, limit, self.broken, async {
            let copied = copy.as_mut().finish().await;
            // No constraint is named when a row finds no partition: somebody dropped it a moment ago.
            vanished = copied.as_ref().is_err_and(|error| {
                error
                    .as_db_error()
                    .is_some_and(|db| *db.code() == SqlState::CHECK_VIOLATION && db.constraint().is_none())
            });
            copied
        })
        .await;
        match copied {
            Ok(rows) if rows == self.encoder.rows => Ok(()),
            Ok(_) => Err(refused(
                operation,
                false,
                PostgresError::Misuse("the server counts other rows than were sent"),
            )),
            Err(Error::Port { port, operation, source, retryable }) => {
                Err(Error::Port { port, operation, source, retryable: retryable || vanished })
            }
            Err(error) => Err(error),
        }
    }
}

async fn commit(
    tx: Transaction<'_>,
    operation: &str,
    config: &PostgresConfig,
    broken: &mut bool,
    schema: &Schema,
    ids: &Ids,
    write_id: Uuid,
) -> Result<()> {
    let mut ambiguous = false;
    let outcome = answer(operation, &config.timeouts, broken, async {
        let outcome = tx.commit().await;
        ambiguous = outcome.as_ref().is_err_and(is_ambiguous);
        outcome
    })
    .await;
    match outcome {
        Ok(()) => Ok(()),
        Err(error) if ambiguous || *broken => {
            warn!(%error, day = %ids.target.day, "the connection was lost around commit; asking the ledger");
            *broken = true;
            resolve(operation, config, schema, ids, write_id).await
        }
        Err(error) => Err(error),
    }
}

/// Finds out whether a commit happened whose answer was lost.
async fn resolve(
    operation: &str,
    config: &PostgresConfig,
    schema: &Schema,
    ids: &Ids,
    write_id: Uuid,
) -> Result<()> {
    let mut session = Session::new(config.clone());
    let mut delays = config.retry.delays();
    let found = loop {
        let attempt = async {
            let client = session.connected().await?;
            let tx = client.transaction().await.map_err(during(operation))?;
            tx.batch_execute(&transaction_settings(&config.timeouts)).await.map_err(during(operation))?;
            // The old session holds this lock for as long as its commit may still happen.
            lock_day(&tx, schema, ids).await.map_err(during(operation))?;
            ledger::write_id(&tx, schema, ids.target.source, ids.target.day).await.map_err(during(operation))
        };
        match attempt.await {
            Ok(found) => break found,
            Err(error) => {
                if let Err(error) = retry_after(error, &mut delays).await {
                    let reason = error.to_string();
                    return Err(refused(operation, true, PostgresError::CommitUnknown { reason }));
                }
            }
        }
    };
    if found == Some(write_id) { Ok(()) } else { Err(refused(operation, true, PostgresError::RolledBack)) }
}

/// The scope's names, parsed once.
#[derive(Debug, Clone, Copy)]
struct Ids {
    target: Target,
}

impl Ids {
    fn of(scope: &WriteScope) -> Result<Self> {
        let source = source_of(&scope.source_uuid)?;
        let period = scope.report_period_id.ok_or_else(|| {
            let (source_uuid, month) = (source.to_string(), scope.day.month());
            refused(
                format!("begin {}", scope.day),
                false,
                PostgresError::NoReportPeriod { source_uuid, month },
            )
        })?;
        Ok(Self { target: Target { source, period, day: scope.day } })
    }
}

/// A source as PostgreSQL's uuid.
pub(crate) fn source_of(text: &str) -> Result<Uuid> {
    text.parse().map_err(|_| Error::Config {
        reason: format!("source {text:?} is no UUID; koku's tables know providers by their UUID"),
    })
}

/// Writers of one month share the month's lock and exclude each other by day: days of one month do not wait
/// for each other, and whoever wants the month for itself can take it.
async fn lock_day(tx: &Transaction<'_>, schema: &Schema, ids: &Ids) -> Result<(), tokio_postgres::Error> {
    let Target { source, day, .. } = ids.target;
    let month: Month = day.month();
    let month = lock_key(&[schema.name(), &source.to_string(), &month.to_string()]);
    let day = lock_key(&[schema.name(), &source.to_string(), &day.to_string()]);
    tx.query_one("SELECT pg_advisory_xact_lock_shared($1)", &[&month]).await?;
    tx.query_one("SELECT pg_advisory_xact_lock($1)", &[&day]).await?;
    Ok(())
}

/// Makers of tables and partitions of one schema wait for each other.
pub(crate) async fn lock_ddl(tx: &Transaction<'_>, schema: &Schema, timeouts: &Timeouts) -> Result<()> {
    let locked = async {
        tx.batch_execute(&transaction_settings(timeouts)).await?;
        tx.query_one("SELECT pg_advisory_xact_lock($1)", &[&lock_key(&[schema.name(), "tables"])]).await
    };
    locked.await.map(drop).map_err(|error| port("wait for other makers of tables", &error))
}

/// A lock's number. It never changes between versions: an old and a new daysum must exclude each other.
fn lock_key(parts: &[&str]) -> i64 {
    let mut hash = Sha256::new();
    hash.update(b"daysum\0");
    for part in parts {
        hash.update(part.as_bytes());
        hash.update(b"\0");
    }
    let digest = hash.finalize();
    i64::from_be_bytes(digest[..8].try_into().expect("SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_numbers_stay_what_they_were() {
        assert_eq!(
            lock_key(&["org1234567", "fa4238b2-62ad-5c41-8747-6ee200183c54", "2025-02"]),
            LOCK_FIXTURE
        );
        assert_ne!(lock_key(&["a", "bc"]), lock_key(&["ab", "c"]));
    }
    const LOCK_FIXTURE: i64 = -1_262_127_902_460_118_399;
}
