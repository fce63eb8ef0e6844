//! Objects and rows that could not be counted, kept until somebody decides.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use crate::day::Day;
use crate::error::Result;
use crate::send::{BoxFuture, MaybeSend};

/// Remembers what was left out and why.
pub trait Quarantine: Debug + MaybeSend {
    /// Stores the entry durably; one with the same object and version is replaced.
    fn put<'a>(&'a mut self, entry: &'a QuarantineEntry) -> BoxFuture<'a, Result<()>>;
    /// Every entry of a source, sorted by object.
    fn list<'a>(&'a mut self, source_uuid: &'a str) -> BoxFuture<'a, Result<Vec<QuarantineEntry>>>;
    /// Removes the entries of an object; says how many there were.
    fn remove<'a>(&'a mut self, source_uuid: &'a str, object: &'a str) -> BoxFuture<'a, Result<u64>>;
}

/// One thing that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineEntry {
    /// The provider whose object it is.
    pub source_uuid: String,
    /// The object's key; the command writes `day YYYY-MM-DD` where no object but a whole day is bad.
    pub object: String,
    /// Its version when it was read.
    pub version: Option<String>,
    /// [`Error::code`](crate::Error::code) of the reason.
    pub code: String,
    /// The reason with its location, as the error said it.
    pub reason: String,
    /// The days that are held back because of it; empty where that is not known.
    pub days: Vec<Day>,
    /// The run that met it.
    pub run: String,
}
