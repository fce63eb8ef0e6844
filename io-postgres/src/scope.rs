//! Which rows of the table are a day's.

use daysum_core::port::WriteScope;
use daysum_core::{Day, Error, Result};
use uuid::Uuid;

use crate::error::{PostgresError, refused};

/// A day of one source: what a write replaces (SPEC 2.12), and what its rows must carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayScope {
    pub(crate) source: Uuid,
    pub(crate) period: i32,
    pub(crate) day: Day,
}

impl TryFrom<&WriteScope> for DayScope {
    type Error = Error;

    /// Fails where the source is no UUID, or there is no report period.
    fn try_from(scope: &WriteScope) -> Result<Self> {
        let (source, day) = (source_of(&scope.source_uuid)?, scope.day);
        let period = scope.report_period_id.ok_or_else(|| {
            let (source_uuid, month) = (source.to_string(), day.month());
            refused(format!("begin {day}"), false, PostgresError::NoReportPeriod { source_uuid, month })
        })?;
        Ok(Self { source, period, day })
    }
}

/// A source as PostgreSQL's uuid.
pub(crate) fn source_of(text: &str) -> Result<Uuid> {
    text.parse().map_err(|_| Error::Config {
        reason: format!("source {text:?} is no UUID; koku's tables know providers by their UUID"),
    })
}
