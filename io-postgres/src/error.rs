//! What PostgreSQL says, in the words of the core's error: what was attempted, why, whether a retry could help.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use daysum_core::{Day, Error, Month};
use tokio_postgres::error::SqlState;

use crate::check::Problem;

/// The cause inside [`daysum_core::Error::Port`], for callers that want more than the text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// The server refused a statement.
    #[error("{message} (SQLSTATE {code})")]
    Server {
        /// SQLSTATE.
        code: String,
        /// Message, detail and hint, with control characters escaped.
        message: String,
    },
    /// The connection could not be made or was lost.
    #[error("{message}")]
    Connection {
        /// What happened to it.
        message: String,
    },
    /// The server did not answer in time.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(
        /// How long it was given.
        Duration,
    ),
    /// The schema is not fit to be written to; nothing was deleted.
    #[error("{}", list(.0))]
    NotReady(
        /// Everything that is wrong.
        Vec<Problem>,
    ),
    /// No report period for the provider and month (SPEC 3.3).
    #[error(
        "source {source_uuid} has no report period for {month}; ingest the month in koku first, or create the period"
    )]
    NoReportPeriod {
        /// The provider.
        source_uuid: String,
        /// The month.
        month: Month,
    },
    /// The rows that a day would replace are those of another provider.
    #[error(
        "report period {period} has rows of source {source_uuid} on {day}, which would be deleted; every source and \
         month has a period of its own: see --report-period-id, or report_period_id in the lookups"
    )]
    OtherSource {
        /// The report period.
        period: i32,
        /// The day.
        day: Day,
        /// Whose rows they are.
        source_uuid: String,
    },
    /// The connection broke around commit, and the ledger shows that the transaction did not happen.
    #[error("the connection was lost around commit, and the day was rolled back")]
    RolledBack,
    /// The connection broke around commit, and the ledger could not be asked since.
    #[error(
        "the connection was lost around commit and the ledger cannot be read ({reason}); write the day again, which is safe either way"
    )]
    CommitUnknown {
        /// Why the ledger could not be read.
        reason: String,
    },
    /// A ledger row that cannot be read back.
    #[error("ledger row of {day}: {reason}; delete it from daysum_ledger, and the day is published again")]
    BadLedger {
        /// The day it stands for.
        day: Day,
        /// What is wrong with it.
        reason: String,
    },
    /// A month has no partition and cannot be given one.
    #[error("{partition}: {reason}")]
    NoPartition {
        /// The partition's name.
        partition: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The caller broke the order of calls.
    #[error("{0}")]
    Misuse(
        /// How.
        &'static str,
    ),
}

fn list(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    format!("the schema is not ready ({}); `daysum db check` lists this too", lines.join("; "))
}

/// States in which the same statement may succeed a moment later.
const RETRYABLE: [SqlState; 10] = [
    SqlState::T_R_SERIALIZATION_FAILURE,
    SqlState::T_R_DEADLOCK_DETECTED,
    SqlState::ADMIN_SHUTDOWN,
    SqlState::CRASH_SHUTDOWN,
    SqlState::CANNOT_CONNECT_NOW,
    SqlState::TOO_MANY_CONNECTIONS,
    SqlState::LOCK_NOT_AVAILABLE,
    SqlState::QUERY_CANCELED,
    SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    SqlState::IDLE_SESSION_TIMEOUT,
];

/// An error of one of this crate's ports.
pub(crate) fn port(operation: impl Into<String>, error: &tokio_postgres::Error) -> Error {
    Error::port("postgres", operation, is_retryable(error), describe(error))
}

/// The same where the cause is ours.
pub(crate) fn refused(operation: impl Into<String>, retryable: bool, cause: PostgresError) -> Error {
    Error::port("postgres", operation, retryable, cause)
}

/// Adds the attempted operation to a driver error, to be used with `map_err`.
pub(crate) fn during(operation: &str) -> impl Fn(tokio_postgres::Error) -> Error + '_ {
    move |error| port(operation, &error)
}

pub(crate) fn is_retryable(error: &tokio_postgres::Error) -> bool {
    if let Some(state) = error.code() {
        return RETRYABLE.contains(state) || state.code().starts_with("08");
    }
    error.is_closed() || lost_connection(error)
}

/// Whether the outcome of a COMMIT that ended in this error is unknown. A server that answers with anything
/// but a shutdown has rolled back.
pub(crate) fn is_ambiguous(error: &tokio_postgres::Error) -> bool {
    error.code().is_none_or(|state| state.code().starts_with("08") || state.code().starts_with("57P"))
}

fn lost_connection(error: &tokio_postgres::Error) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            // A refused certificate arrives as InvalidData; trying again would be refused again.
            return !matches!(
                io.kind(),
                io::ErrorKind::InvalidData
                    | io::ErrorKind::InvalidInput
                    | io::ErrorKind::PermissionDenied
                    | io::ErrorKind::Unsupported
            );
        }
        cause = inner.source();
    }
    false
}

fn describe(error: &tokio_postgres::Error) -> PostgresError {
    let Some(db) = error.as_db_error() else {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let _ = write!(message, ": {inner}");
            cause = inner.source();
        }
        return PostgresError::Connection { message: printable(&message) };
    };
    let mut message = db.message().to_owned();
    for (label, part) in [("table", db.table()), ("column", db.column()), ("constraint", db.constraint())] {
        if let Some(part) = part {
            let _ = write!(message, ", {label} {part}");
        }
    }
    for part in [db.detail(), db.hint()].into_iter().flatten() {
        let _ = write!(message, "; {part}");
    }
    PostgresError::Server { code: db.code().code().to_owned(), message: printable(&message) }
}

/// The server quotes values in its messages; control characters among them must not reach a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
}
