//! The sink: one transaction replaces one day.
//!
//! ```text
//!   begin   connect ─ check the table ─ ledger ─ partition   (own short transactions, with retries)
//!           BEGIN ─ lock (schema, source, month) shared ─ lock the day ─ read the ledger row
//!   write   encode ─ hold back, until the spool is full: SAVEPOINT ─ DELETE ─ COPY …
//!   commit  same digest and as many rows there?  ROLLBACK TO SAVEPOINT ─ ledger ─ COMMIT
//!           otherwise                            DELETE ─ COPY ─ ledger ─ COMMIT
//! ```
//!
//! The surprise worth knowing: a connection lost during COMMIT leaves the outcome open. The writer then takes the
//! day's lock again on a new connection, which waits out the old one, and believes the ledger.

use arrow::array::RecordBatch;
use daysum_core::port::{Ledger, Published, Receipt, Sink, SinkWrite, WriteScope};
use daysum_core::{BoxFuture, Day, Result};
use tokio_postgres::Client;
use tracing::info;

use crate::check;
use crate::config::PostgresConfig;
use crate::error::{PostgresError, during, refused};
use crate::ident::Schema;
use crate::ledger;
use crate::locks::{lock_day, lock_ddl, make_table};
use crate::numeric::NumericMode;
use crate::partition;
use crate::scope::{DayScope, source_of};
use crate::seen;
use crate::session::{Session, answer, begin, retry_after, transaction_settings};
use crate::tables::{SUMMARY, replaced};
use crate::write::{PostgresWrite, other_source};

/// What a caller may choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkOptions {
    /// How doubles become numeric(33,15).
    pub numeric: NumericMode,
    /// Encoded bytes held back before the old rows are touched.
    pub spool_bytes: usize,
    /// Whether rows are written even where those of the ledger seem to be there: somebody may have altered them.
    pub rewrite: bool,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self { numeric: NumericMode::default(), spool_bytes: 8 * 1024 * 1024, rewrite: false }
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

    /// A sink of the same schema over a connection of its own.
    pub fn another(&self) -> Self {
        Self::new(self.session.config.clone(), self.schema.clone(), self.options.clone())
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
                Err(error) => {
                    self.session.settle().await;
                    retry_after(error, &mut delays).await?;
                }
            }
        }
    }

    async fn remove_once(&mut self, entry: &Published, target: DayScope) -> Result<Option<u64>> {
        let DayScope { source, period, day } = target;
        let operation = format!("remove {day}");
        self.session.connected().await?;
        let Session { config, client, broken } = &mut self.session;
        let client = client.as_mut().expect("connected two lines above");
        let tx = answer(&operation, &config.timeouts, broken, begin(client)).await?;
        let delete = format!("DELETE FROM {} WHERE {}", self.schema.table(SUMMARY), replaced());
        let removed = answer(&operation, &config.timeouts, broken, async {
            tx.batch_execute(&transaction_settings(&config.timeouts)).await?;
            lock_day(&tx, &self.schema, target).await?;
            if let Some(other) = other_source(&tx, &self.schema, target).await? {
                return Ok(Err(other));
            }
            if !ledger::remove(&tx, &self.schema, source, entry).await? {
                // Nobody's row any more: the answer to an earlier attempt of this very removal was lost.
                let there = ledger::entry(&tx, &self.schema, source, day).await?;
                return Ok(Ok(there.is_none().then_some(0)));
            }
            let rows = tx.execute(&delete, &[&period, &day.0]).await?;
            tx.commit().await?;
            Ok(Ok(Some(rows)))
        })
        .await?;
        removed.map_err(|other| {
            let source_uuid = other.to_string();
            refused(operation, false, PostgresError::OtherSource { period, day, source_uuid })
        })
    }

    async fn publish_once(
        &mut self,
        scope: &WriteScope,
        rows: impl Iterator<Item = Result<RecordBatch>> + Send,
    ) -> Result<Receipt> {
        let target = DayScope::try_from(scope)?;
        self.prepare(target).await?;
        let mut write = self.open(scope, target).await?;
        for batch in rows {
            write.add(&batch?).await?;
        }
        write.finish().await
    }

    /// Everything that must hold before a transaction is opened: the table, the ledger, the partition.
    async fn prepare(&mut self, target: DayScope) -> Result<()> {
        let timeouts = self.session.config.timeouts.clone();
        let schema = self.schema.clone();
        let client = self.session.connected().await?;
        if !self.checked {
            check::target(client, &schema).await?;
            if !ledger::exists(client, &schema).await? {
                make_table(client, &schema, &timeouts, "create the ledger", &ledger::create(&schema)).await?;
            }
            self.checked = true;
        }
        let tx = begin(client).await.map_err(during("look for the partition"))?;
        tx.batch_execute(&transaction_settings(&timeouts)).await.map_err(during("look for the partition"))?;
        if !partition::exists(&tx, &schema, target.day).await? {
            lock_ddl(&tx, &schema, &timeouts).await?;
            // Another writer may have made it while this one waited.
            if !partition::exists(&tx, &schema, target.day).await? {
                let month = target.day.month();
                partition::create(&tx, &schema, month).await?;
                info!(%month, "created the partition");
            }
        }
        tx.commit().await.map_err(during("create the partition"))
    }

    /// Opens the transaction and takes its locks.
    async fn open<'a>(&'a mut self, scope: &'a WriteScope, target: DayScope) -> Result<PostgresWrite<'a>> {
        let Session { config, client, broken } = &mut self.session;
        let operation = format!("begin {}", scope.day);
        let client = client
            .as_mut()
            .ok_or_else(|| refused(&operation, false, PostgresError::Misuse("there is no connection")))?;
        let tx = answer(&operation, &config.timeouts, broken, begin(client)).await?;
        let entry = answer(&operation, &config.timeouts, broken, async {
            tx.batch_execute(&transaction_settings(&config.timeouts)).await?;
            lock_day(&tx, &self.schema, target).await?;
            ledger::entry(&tx, &self.schema, target.source, scope.day).await
        })
        .await?;
        Ok(PostgresWrite::new(tx, target, entry, config, broken, &self.schema, &self.options, scope))
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
            let (source, schema) = (source_of(source_uuid)?, &self.schema);
            let read = async |client: &mut Client| match ledger::exists(client, schema).await? {
                true => ledger::list(client, schema, source, first, last).await,
                false => Ok(Vec::new()),
            };
            self.session.ask("read the ledger", read).await
        })
    }

    fn begin<'a>(&'a mut self, scope: &'a WriteScope) -> BoxFuture<'a, Result<Box<dyn SinkWrite + 'a>>> {
        Box::pin(async move {
            let target = DayScope::try_from(scope)?;
            let mut delays = self.session.config.retry.delays();
            while let Err(error) = self.prepare(target).await {
                retry_after(error, &mut delays).await?;
            }
            Ok(Box::new(self.open(scope, target).await?) as Box<dyn SinkWrite + 'a>)
        })
    }
}

impl Ledger for PostgresSink {
    fn remembered<'a>(
        &'a mut self,
        source_uuid: &'a str,
        first: Day,
        last: Day,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async move {
            let (source, schema) = (source_of(source_uuid)?, &self.schema);
            let read = async |client: &mut Client| match seen::exists(client, schema).await? {
                true => seen::get(client, schema, source, first, last).await,
                false => Ok(None),
            };
            self.session.ask("read what the last run saw", read).await
        })
    }

    /// The table is made when it is first needed.
    fn remember<'a>(
        &'a mut self,
        source_uuid: &'a str,
        first: Day,
        last: Day,
        seen: &'a str,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let (source, timeouts) = (source_of(source_uuid)?, self.session.config.timeouts.clone());
            let schema = &self.schema;
            let write = async |client: &mut Client| {
                if !seen::exists(client, schema).await? {
                    let operation = "create the table of what runs saw";
                    make_table(client, schema, &timeouts, operation, &seen::create(schema)).await?;
                }
                seen::put(client, schema, source, first, last, seen).await
            };
            self.session.ask("remember what this run saw", write).await
        })
    }

    /// What stays published is still known by its digest, so that rows that come out the same are not written.
    fn reread<'a>(&'a mut self, source_uuid: &'a str, days: &'a [Day]) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            let (source, schema) = (source_of(source_uuid)?, &self.schema);
            let mark = async |client: &mut Client| match ledger::exists(client, schema).await? {
                true => ledger::unmatch(client, schema, source, days).await,
                false => Ok(0),
            };
            self.session.ask("mark the days for reading", mark).await
        })
    }

    /// Of its rows those go that a write would replace (SPEC 2.12).
    fn remove_day<'a>(&'a mut self, entry: &'a Published) -> BoxFuture<'a, Result<Option<u64>>> {
        Box::pin(async move {
            let target = DayScope::try_from(&entry.scope)?;
            let mut delays = self.session.config.retry.delays();
            loop {
                match self.remove_once(entry, target).await {
                    Ok(removed) => return Ok(removed),
                    Err(error) => {
                        self.session.settle().await;
                        retry_after(error, &mut delays).await?;
                    }
                }
            }
        })
    }
}
