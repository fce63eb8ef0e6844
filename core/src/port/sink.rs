//! Where finished rows go, one replaceable day at a time.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::day::Day;
use crate::error::Result;
use crate::port::RunId;
use crate::schema::FactKind;
use crate::send::{BoxFuture, MaybeSend};

/// Opens replacements of whole days. One at a time: the borrow says so.
pub trait Sink: Debug + MaybeSend {
    /// What is published for this source between two days, both inclusive: the ledger, in day order.
    fn published<'a>(
        &'a mut self,
        source_uuid: &'a str,
        first: Day,
        last: Day,
    ) -> BoxFuture<'a, Result<Vec<Published>>>;

    /// Starts to replace everything inside `scope`.
    fn begin<'a>(&'a mut self, scope: &'a WriteScope) -> BoxFuture<'a, Result<Box<dyn SinkWrite + 'a>>>;
}

/// A sink that also remembers, so that the runs that follow need not do again what was done.
pub trait Ledger: Sink {
    /// What [`remember`](Self::remember) was last given for just these days, both inclusive.
    fn remembered<'a>(
        &'a mut self,
        source_uuid: &'a str,
        first: Day,
        last: Day,
    ) -> BoxFuture<'a, Result<Option<String>>>;

    /// Keeps what a complete run of these days saw: [`Seen`](crate::drive::Seen), encoded.
    fn remember<'a>(
        &'a mut self,
        source_uuid: &'a str,
        first: Day,
        last: Day,
        seen: &'a str,
    ) -> BoxFuture<'a, Result<()>>;

    /// Makes the next run read these days again, whatever their inputs: their rows stay, under the fingerprint of no
    /// configuration. Says how many of them were published.
    fn reread<'a>(&'a mut self, source_uuid: &'a str, days: &'a [Day]) -> BoxFuture<'a, Result<u64>>;

    /// Takes a published day back: its rows go, and its ledger row with them. Says how many rows went; `None`, and nothing
    /// has happened, where the day was published again since `entry` was read.
    fn remove_day<'a>(&'a mut self, entry: &'a Published) -> BoxFuture<'a, Result<Option<u64>>>;
}

/// A replacement in progress. Dropped: nothing happened. Committed: all of it did, and the writer is gone.
pub trait SinkWrite: MaybeSend {
    /// Adds rows in the schema of [`rows::schema`](crate::rows::schema), all of the scope's day.
    fn write<'a>(&'a mut self, rows: &'a RecordBatch) -> BoxFuture<'a, Result<()>>;

    /// Makes the replacement visible together with its ledger row. Where the digest of what was written, which every
    /// sink takes in its own way, equals the published one, the sink may leave the old rows in place and only renew the
    /// ledger row.
    fn commit<'a>(self: Box<Self>) -> BoxFuture<'a, Result<Receipt>>
    where
        Self: 'a;
}

/// What a write replaces, and what its ledger row says about where the rows came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteScope {
    /// The provider whose day it is.
    pub source_uuid: String,
    /// The report period whose rows are deleted (SPEC 2.12); `None` for sinks without one.
    pub report_period_id: Option<i32>,
    /// The day that is replaced.
    pub day: Day,
    /// The objects the rows were computed from, sorted by key.
    pub inputs: Vec<InputObject>,
    /// Fingerprint of configuration and lookups: another one means other rows.
    pub fingerprint: String,
    /// The run that writes.
    pub run: RunId,
}

/// One object that a published day was computed from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InputObject {
    /// Its key.
    pub key: Arc<str>,
    /// Its ETag or version.
    pub version: Option<Arc<str>>,
    /// Its size in bytes.
    pub size: u64,
    /// What it was read for: a daily file that appears somewhere in the month turns the hourly ones beside it into those
    /// that tell capacity only (SPEC 1.7). `None` in ledgers of older versions, and where objects are only listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<FactKind>,
}

/// A ledger row: one published day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The scope it was written under.
    #[serde(flatten)]
    pub scope: WriteScope,
    /// Rows the day has.
    pub rows: u64,
    /// Digest of those rows in the form in which the sink writes them: the same where rows and form are.
    pub digest: String,
    /// daysum's version that wrote it.
    pub daysum_version: String,
}

/// What a commit did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Rows that the day has now.
    pub rows: u64,
    /// Rows that were removed; `None` where the sink replaces without counting.
    pub rows_deleted: Option<u64>,
    /// Bytes written.
    pub bytes: u64,
    /// Whether the digest was the published one, so that no row was touched.
    pub unchanged: bool,
}
