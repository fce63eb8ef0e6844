//! One day on its way into the table, from the open transaction to the answered COMMIT. The route is drawn in `sink`.

use std::pin::Pin;

use arrow::array::RecordBatch;
use bytes::Bytes;
use daysum_core::port::{Receipt, SinkWrite, WriteScope};
use daysum_core::rows::RowsDigest;
use daysum_core::{BoxFuture, Error, Result};
use futures::SinkExt;
use tokio_postgres::error::SqlState;
use tokio_postgres::{CopyInSink, Transaction};
use tracing::{debug, warn};
use uuid::Uuid;

use crate::config::PostgresConfig;
use crate::copy::{Bound, RowEncoder};
use crate::error::{PostgresError, during, is_ambiguous, refused};
use crate::ident::Schema;
use crate::ledger::{self, Entry};
use crate::locks::lock_day;
use crate::scope::DayScope;
use crate::session::{Session, answer, begin, retry_after, transaction_settings};
use crate::sink::SinkOptions;
use crate::tables::{SUMMARISED, SUMMARY, copied_columns, replaced};

/// A day in progress. The fields are dropped in this order: an open COPY is cancelled, then the transaction
/// rolls back.
pub(crate) struct PostgresWrite<'a> {
    copy: Option<Pin<Box<CopyInSink<Bytes>>>>,
    tx: Transaction<'a>,
    encoder: RowEncoder,
    target: DayScope,
    config: &'a PostgresConfig,
    broken: &'a mut bool,
    schema: &'a Schema,
    options: &'a SinkOptions,
    scope: &'a WriteScope,
    entry: Option<Entry>,
    digest: RowsDigest,
    /// Encoded chunks that wait for the COPY.
    spool: Vec<Bytes>,
    spooled: usize,
    deleted: u64,
    /// Whether the rows of the ledger's entry were all still there when the COPY was opened.
    untouched: bool,
    failed: bool,
}

impl<'a> PostgresWrite<'a> {
    #[expect(
        clippy::too_many_arguments,
        reason = "the sink lends its parts one by one, as the borrow checker needs"
    )]
    pub(crate) fn new(
        tx: Transaction<'a>,
        target: DayScope,
        entry: Option<Entry>,
        config: &'a PostgresConfig,
        broken: &'a mut bool,
        schema: &'a Schema,
        options: &'a SinkOptions,
        scope: &'a WriteScope,
    ) -> Self {
        Self {
            copy: None,
            tx,
            encoder: RowEncoder::new(target, options.numeric),
            target,
            config,
            broken,
            schema,
            options,
            scope,
            entry,
            digest: RowsDigest::default(),
            spool: Vec::new(),
            spooled: 0,
            deleted: 0,
            untouched: false,
            failed: false,
        }
    }
}

impl SinkWrite for PostgresWrite<'_> {
    fn write<'a>(&'a mut self, rows: &'a RecordBatch) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.add(rows))
    }

    fn commit<'a>(self: Box<Self>) -> BoxFuture<'a, Result<Receipt>>
    where
        Self: 'a,
    {
        Box::pin(self.finish())
    }
}

impl PostgresWrite<'_> {
    pub(crate) async fn add(&mut self, rows: &RecordBatch) -> Result<()> {
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
        self.digest.update(rows)?;
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
        let table = self.schema.table(SUMMARY);
        let (replaced, tx) = (replaced(), &self.tx);
        let DayScope { source, period, day } = self.target;
        let delete = format!("DELETE FROM {table} WHERE {replaced}");
        let delete_moved = format!("{delete} AND source_uuid = $3 AND {SUMMARISED}");
        // The day may have been published under another period; it would be counted twice.
        let moved = self.entry.as_ref().and_then(|entry| entry.report_period_id).filter(|old| *old != period);
        let (other, deleted) = answer(&operation, &self.config.timeouts, self.broken, async {
            let other = other_source(tx, self.schema, self.target).await?;
            if other.is_some() {
                return Ok((other, 0));
            }
            tx.batch_execute("SAVEPOINT daysum_day").await?;
            let mut deleted = tx.execute(&delete, &[&period, &day.0]).await?;
            if let Some(old) = moved {
                deleted += tx.execute(&delete_moved, &[&old, &day.0, &source]).await?;
            }
            Ok((None, deleted))
        })
        .await?;
        if let Some(other) = other {
            let source_uuid = other.to_string();
            return Err(refused(operation, false, PostgresError::OtherSource { period, day, source_uuid }));
        }
        self.deleted = deleted;
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
        let DayScope { source, period, day } = self.target;
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
        let same = !self.options.rewrite
            && self.entry.as_ref().is_some_and(|entry| {
                entry.digest == digest
                    && entry.report_period_id == Some(self.target.period)
                    && entry.numeric_mode == self.options.numeric.name()
                    && u64::try_from(entry.rows) == Ok(self.encoder.rows)
            });
        if !same || self.copy.is_some() {
            return Ok(same && self.untouched);
        }
        self.is_untouched().await
    }

    pub(crate) async fn finish(mut self) -> Result<Receipt> {
        let operation = format!("commit {}", self.scope.day);
        if self.failed {
            let misuse = PostgresError::Misuse("an earlier write failed; drop this one and begin again");
            return Err(refused(operation, false, misuse));
        }
        let digest = std::mem::take(&mut self.digest).finish();
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
        let (source, rows, mode) = (self.target.source, self.encoder.rows, self.options.numeric);
        let renewed =
            ledger::upsert(&self.tx, self.schema, source, self.scope, rows, &digest, mode, write_id);
        answer(&operation, &self.config.timeouts, self.broken, renewed).await?;
        let Self { tx, target, config, broken, schema, encoder, deleted, .. } = self;
        commit(tx, &operation, config, broken, schema, target, write_id).await?;
        debug!(day = %target.day, rows, unchanged, "published");
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
            Err(Error::Port { port, operation, cause, retryable }) => {
                Err(Error::Port { port, operation, cause, retryable: retryable || vanished })
            }
            Err(error) => Err(error),
        }
    }
}

/// Another source of which rows are among those that replacing or removing the day would delete.
pub(crate) async fn other_source(
    tx: &Transaction<'_>,
    schema: &Schema,
    DayScope { source, period, day }: DayScope,
) -> Result<Option<Uuid>, tokio_postgres::Error> {
    let (table, replaced) = (schema.table(SUMMARY), replaced());
    let sql = format!("SELECT source_uuid FROM {table} WHERE {replaced} AND source_uuid <> $3 LIMIT 1");
    Ok(tx.query_opt(&sql, &[&period, &day.0, &source]).await?.map(|row| row.get(0)))
}

async fn commit(
    tx: Transaction<'_>,
    operation: &str,
    config: &PostgresConfig,
    broken: &mut bool,
    schema: &Schema,
    target: DayScope,
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
            warn!(%error, day = %target.day, "the connection was lost around commit; asking the ledger");
            *broken = true;
            resolve(operation, config, schema, target, write_id).await
        }
        Err(error) => Err(error),
    }
}

/// Finds out whether a commit happened whose answer was lost.
async fn resolve(
    operation: &str,
    config: &PostgresConfig,
    schema: &Schema,
    target: DayScope,
    write_id: Uuid,
) -> Result<()> {
    let mut session = Session::new(config.clone());
    let mut delays = config.retry.delays();
    let found = loop {
        let attempt = async {
            let client = session.connected().await?;
            let tx = begin(client).await.map_err(during(operation))?;
            tx.batch_execute(&transaction_settings(&config.timeouts)).await.map_err(during(operation))?;
            // The old session holds this lock for as long as its commit may still happen.
            lock_day(&tx, schema, target).await.map_err(during(operation))?;
            ledger::write_id(&tx, schema, target.source, target.day).await.map_err(during(operation))
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
