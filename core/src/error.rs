//! What can go wrong, and where: every data error names object, row group, row and column.

use std::fmt;
use std::sync::Arc;

use crate::send::BoxError;

/// The result of everything fallible in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where in the input something is wrong. Parts that are not known stay `None`.
///
/// ```
/// use daysum_core::Location;
/// let at = Location::object("pod.parquet").row_group(3).row(17).column("pod_labels");
/// assert_eq!(at.to_string(), "pod.parquet, row group 3, row 17, column pod_labels");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The object's key or the file's path.
    pub object: Arc<str>,
    /// Zero-based row group within the object.
    pub row_group: Option<u32>,
    /// Zero-based row within the row group.
    pub row: Option<u64>,
    /// The column's name.
    pub column: Option<Arc<str>>,
}

impl Location {
    /// A location that names only the object.
    pub fn object(object: impl Into<Arc<str>>) -> Self {
        Self { object: object.into(), row_group: None, row: None, column: None }
    }
    /// Adds the row group.
    #[must_use]
    pub fn row_group(mut self, row_group: u32) -> Self {
        self.row_group = Some(row_group);
        self
    }
    /// Adds the row, counted from the start of the row group.
    #[must_use]
    pub fn row(mut self, row: u64) -> Self {
        self.row = Some(row);
        self
    }
    /// Adds the column.
    #[must_use]
    pub fn column(mut self, column: impl Into<Arc<str>>) -> Self {
        self.column = Some(column.into());
        self
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys come from outside; a newline or an escape sequence in one must not reach a terminal.
        write!(f, "{}", self.object.escape_debug())?;
        if let Some(row_group) = self.row_group {
            write!(f, ", row group {row_group}")?;
        }
        if let Some(row) = self.row {
            write!(f, ", row {row}")?;
        }
        if let Some(column) = &self.column {
            write!(f, ", column {}", column.escape_debug())?;
        }
        Ok(())
    }
}

/// Everything this crate refuses, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not a readable Parquet file: truncated, corrupt, encrypted, unknown codec.
    #[error("{at}: unreadable Parquet: {reason}; replace the object by a sound one")]
    Format {
        /// Which object, and row group if known.
        at: Box<Location>,
        /// What the reader said.
        reason: String,
    },
    /// A column is missing or has a type that cannot be read as what it must be.
    #[error("{at}: expected {expected}, found {found}; correct the file, or what writes it")]
    Schema {
        /// Which object and column.
        at: Box<Location>,
        /// What the table needs.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// A value that has no meaning here: malformed labels, NaN, a day out of the calendar.
    #[error("{at}: {reason}")]
    Value {
        /// Which row and column.
        at: Box<Location>,
        /// Why, and what to do.
        reason: String,
    },
    /// Pages that would take more memory, decompressed, than they may. The file can be sound.
    #[error(
        "{at}: the largest pages of its columns have {bytes} bytes, of which {most} are the most that is decompressed at \
         once; write smaller pages, or give more memory"
    )]
    Memory {
        /// Which row group, and the column with the largest.
        at: Box<Location>,
        /// Bytes of them together, as their headers say.
        bytes: u64,
        /// Bytes that they may have.
        most: u64,
    },
    /// A sum left the range that exact arithmetic covers (2^111).
    #[error("{what}: the sum exceeds 2^111; an input value is absurdly large")]
    Overflow {
        /// Which sum.
        what: String,
    },
    /// Two states contain the same chunk, so merging would count it twice.
    #[error("{chunk} is already in this state; fold or merge each chunk once")]
    Overlap {
        /// The chunk that both contain.
        chunk: String,
    },
    /// Two states were folded under different configurations.
    #[error(
        "states were folded under different configurations: {differs}; fold them again with one, or say the same again"
    )]
    ConfigMismatch {
        /// What differs, each with this state's and the other's: label keys, range, storage or options.
        differs: String,
    },
    /// A state blob of a version that this build does not know.
    #[error(
        "state blob has version {found}, this build reads {expected}; finalise it with the release that wrote it"
    )]
    WireVersion {
        /// What this build reads.
        expected: u32,
        /// What the blob says.
        found: u32,
    },
    /// A state blob that is damaged or is no state at all.
    #[error("not a readable state blob: {reason}")]
    Wire {
        /// What is wrong with it.
        reason: String,
    },
    /// The caller's configuration or lookups make no sense.
    #[error("configuration: {reason}")]
    Config {
        /// Which setting, and what it accepts.
        reason: String,
    },
    /// daysum contradicts itself: nothing that the caller did.
    #[error("{reason}; this is a defect of daysum, please report it")]
    Internal {
        /// What cannot be.
        reason: String,
    },
    /// An object is no longer the one that was listed: it was replaced or removed while it was read.
    #[error(
        "{object}: the object has {} since it was listed; run again when nothing writes it any more",
        if *vanished { "vanished" } else { "changed" },
        object = object.escape_debug()
    )]
    Changed {
        /// Its key.
        object: String,
        /// Whether it is gone, not replaced.
        vanished: bool,
    },
    /// Something below a port failed.
    ///
    /// The text holds that of the cause. Whoever prints a chain of errors would see it twice, so the cause is a field and
    /// no [`source`](std::error::Error::source).
    #[error("{port}: {operation} failed: {cause}", operation = operation.escape_debug())]
    Port {
        /// `source`, `sink`, `state store`, …
        port: &'static str,
        /// What was attempted, with the key where there is one; never with a secret.
        operation: String,
        /// Whether trying again could help.
        retryable: bool,
        /// The cause.
        cause: BoxError,
    },
}

// An error travels in every Result of the hot path.
const _: () = assert!(size_of::<Error>() <= 80);

impl Error {
    /// A short, stable name of the class: what reports, metrics and JavaScript switch on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Format { .. } => "format",
            Self::Schema { .. } => "schema",
            Self::Value { .. } => "value",
            Self::Memory { .. } => "memory",
            Self::Overflow { .. } => "overflow",
            Self::Overlap { .. } => "overlap",
            Self::ConfigMismatch { .. } => "config_mismatch",
            Self::WireVersion { .. } => "wire_version",
            Self::Wire { .. } => "wire",
            Self::Config { .. } => "config",
            Self::Internal { .. } => "internal",
            Self::Changed { .. } => "changed",
            Self::Port { .. } => "port",
        }
    }

    /// Where in the input, for the errors that have a place.
    pub fn location(&self) -> Option<&Location> {
        match self {
            Self::Format { at, .. }
            | Self::Schema { at, .. }
            | Self::Value { at, .. }
            | Self::Memory { at, .. } => Some(at),
            _ => None,
        }
    }

    /// Whether trying again could help: the same once more, or, for [`Changed`](Self::Changed), what a new listing
    /// says.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Port { retryable: true, .. } | Self::Changed { .. })
    }

    /// The object was replaced since it was listed.
    pub fn changed(object: impl Into<String>) -> Self {
        Self::Changed { object: object.into(), vanished: false }
    }

    /// The object was removed since it was listed.
    pub fn vanished(object: impl Into<String>) -> Self {
        Self::Changed { object: object.into(), vanished: true }
    }

    pub(crate) fn value(at: Location, reason: impl Into<String>) -> Self {
        Self::Value { at: Box::new(at), reason: reason.into() }
    }

    pub(crate) fn wire(reason: impl fmt::Display) -> Self {
        Self::Wire { reason: reason.to_string() }
    }

    /// Wrong settings or lookups: the caller can mend it.
    pub fn config(reason: impl Into<String>) -> Self {
        Self::Config { reason: reason.into() }
    }

    /// The same, and of a configuration which part of it: a setting, a field or a file.
    pub fn of(self, part: impl fmt::Display) -> Self {
        match self {
            Self::Config { reason } => Self::config(format!("{part}: {reason}")),
            other => other,
        }
    }

    /// An error of the `port` that an adapter implements.
    ///
    /// ```
    /// let error = daysum_core::Error::port("source", "read a\nb", false, "refused");
    /// assert_eq!(error.to_string(), r"source: read a\nb failed: refused");
    /// assert!(std::error::Error::source(&error).is_none(), "told already");
    /// ```
    pub fn port(
        port: &'static str,
        operation: impl Into<String>,
        retryable: bool,
        cause: impl Into<BoxError>,
    ) -> Self {
        Self::Port { port, operation: operation.into(), retryable, cause: cause.into() }
    }
}
