//! One connection that is made when it is needed and made again when it was lost.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use daysum_core::{Error, Result};
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, IsolationLevel, NoTls, Transaction};
use tracing::{debug, warn};

use crate::config::{PostgresConfig, Timeouts};
use crate::error::{PostgresError, during, refused};
use crate::tls;

/// How much longer than the server the client waits, so that the server's own word arrives first.
const GRACE: Duration = Duration::from_secs(30);

pub(crate) struct Session {
    pub(crate) config: PostgresConfig,
    /// Private to this module and to the sink, which borrows it for a transaction.
    pub(crate) client: Option<Client>,
    /// Set when an answer is overdue: the connection may be open, but what it would say next is unknown.
    pub(crate) broken: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("config", &self.config)
            .field("connected", &self.client.is_some())
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn new(config: PostgresConfig) -> Self {
        Self { config, client: None, broken: false }
    }

    /// The connection, made in one attempt if there is none.
    pub(crate) async fn connected(&mut self) -> Result<&mut Client> {
        if self.broken || self.client.as_ref().is_some_and(Client::is_closed) {
            self.client = None;
            self.broken = false;
        }
        if self.client.is_none() {
            self.client = Some(connect(&self.config).await?);
        }
        Ok(self.client.as_mut().expect("set two lines above"))
    }

    /// One exchange outside a day's transaction, whose repetition does no harm: it is tried again as configured.
    pub(crate) async fn ask<T>(
        &mut self,
        operation: &str,
        exchange: impl AsyncFnOnce(&mut Client) -> Result<T> + Clone,
    ) -> Result<T> {
        let mut delays = self.config.retry.delays();
        loop {
            match self.ask_once(operation, exchange.clone()).await {
                Ok(answered) => return Ok(answered),
                Err(error) => retry_after(error, &mut delays).await?,
            }
        }
    }

    /// The same in one attempt. It has the limit that the server keeps inside a transaction.
    async fn ask_once<T>(
        &mut self,
        operation: &str,
        exchange: impl AsyncFnOnce(&mut Client) -> Result<T>,
    ) -> Result<T> {
        self.connected().await?;
        let Self { config, client, broken } = self;
        let client = client.as_mut().expect("connected two lines above");
        within(operation, &config.timeouts, broken, exchange(client)).await
    }

    /// The connection, made with retries if there is none.
    pub(crate) async fn client(&mut self) -> Result<&mut Client> {
        let mut delays = self.config.retry.delays();
        while let Err(error) = self.connected().await {
            retry_after(error, &mut delays).await?;
        }
        self.connected().await
    }

    /// Waits until a rollback that a dropped transaction has queued is done, so that an error is returned
    /// after its locks are gone. A connection that does not answer is given up.
    pub(crate) async fn settle(&mut self) {
        if let Some(client) = &self.client
            && !matches!(timeout(GRACE, client.simple_query("")).await, Ok(Ok(_)))
        {
            self.client = None;
        }
    }
}

/// How often this process has waited and tried again, for metrics.
pub fn retries() -> u64 {
    RETRIES.load(Ordering::Relaxed)
}

static RETRIES: AtomicU64 = AtomicU64::new(0);

/// Waits for the next delay, or gives the error back where it is final or the budget is used up.
pub(crate) async fn retry_after(
    error: Error,
    delays: &mut (impl Iterator<Item = Duration> + Send),
) -> Result<()> {
    let delay = if error.is_retryable() { delays.next() } else { None };
    let Some(delay) = delay else {
        return Err(error);
    };
    RETRIES.fetch_add(1, Ordering::Relaxed);
    warn!(%error, ?delay, "trying again");
    sleep(delay).await;
    Ok(())
}

async fn connect(config: &PostgresConfig) -> Result<Client> {
    let operation = format!("connect to {config}");
    let driver = config.driver();
    let attempt = async {
        if config.uses_tls() {
            let (client, connection) =
                driver.connect(tls::connector(config)?).await.map_err(during(&operation))?;
            tokio::spawn(drive(connection));
            Ok(client)
        } else {
            let (client, connection) = driver.connect(NoTls).await.map_err(during(&operation))?;
            tokio::spawn(drive(connection));
            Ok(client)
        }
    };
    // The driver's limit covers the socket alone; a server that accepts and says nothing is caught here.
    match timeout(config.timeouts.connect, attempt).await {
        Ok(client) => client,
        Err(_) => Err(refused(operation, true, PostgresError::Timeout(config.timeouts.connect))),
    }
}

async fn drive<S, T>(connection: tokio_postgres::Connection<S, T>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    if let Err(error) = connection.await {
        // Whoever was waiting for an answer gets the same error; this is for the idle connection.
        debug!(%error, "the connection has ended");
    }
}

/// The statement that bounds everything inside a transaction. `SET LOCAL` ends with it, so a pooler that
/// hands the connection on passes nothing of ours along.
///
/// For the same reason a query outside a transaction is asked with its types (`query_typed`), in one message: a prepared
/// statement would wait for its execution in a connection that the pooler may have given to somebody else.
pub(crate) fn transaction_settings(timeouts: &Timeouts) -> String {
    let (statement, lock) = (timeouts.statement.as_millis(), timeouts.lock.as_millis());
    format!(
        "SET LOCAL lock_timeout = {lock}; SET LOCAL statement_timeout = {statement}; \
         SET LOCAL idle_in_transaction_session_timeout = {statement}; \
         SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD'"
    )
}

/// Opens a transaction in which every statement sees what others have committed, whatever the database's default is: a
/// lock that was waited for says nothing under an older snapshot.
pub(crate) async fn begin(client: &mut Client) -> Result<Transaction<'_>, tokio_postgres::Error> {
    client.build_transaction().isolation_level(IsolationLevel::ReadCommitted).start().await
}

/// Runs one exchange with the server, and gives up on a server that stays silent past its own limit.
pub(crate) async fn answer<T>(
    operation: &str,
    timeouts: &Timeouts,
    broken: &mut bool,
    exchange: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T> {
    within(operation, timeouts, broken, async { exchange.await.map_err(during(operation)) }).await
}

/// The same where the exchange says itself what it was about.
async fn within<T>(
    operation: &str,
    timeouts: &Timeouts,
    broken: &mut bool,
    exchange: impl Future<Output = Result<T>>,
) -> Result<T> {
    if timeouts.statement.is_zero() {
        return exchange.await;
    }
    let limit = timeouts.statement + GRACE;
    match timeout(limit, exchange).await {
        Ok(answered) => answered,
        Err(_) => {
            *broken = true;
            Err(refused(operation, true, PostgresError::Timeout(limit)))
        }
    }
}
