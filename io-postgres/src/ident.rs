//! Schema names: refused or quoted, never pasted.

use std::fmt;

use daysum_core::{Error, Result};

/// What PostgreSQL keeps of a name; it silently cuts the rest, so a longer one is refused here.
const MAX_BYTES: usize = 63;

/// The tenant schema, such as `org1234567`. Any name that PostgreSQL can hold is accepted and always quoted.
///
/// ```
/// use daysum_io_postgres::Schema;
/// assert_eq!(Schema::new("org\"; drop")?.table("t"), r#""org""; drop"."t""#);
/// assert!(Schema::new("").is_err());
/// assert!(Schema::new("a\0b").is_err());
/// assert!(Schema::new("x".repeat(64)).is_err());
/// # Ok::<(), daysum_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Schema {
    name: String,
}

impl Schema {
    /// Checks a name: not empty, no NUL, at most 63 bytes.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let refuse = |why: String| {
            Err(Error::Config { reason: format!("schema name {}: {why}", name.escape_debug()) })
        };
        if name.is_empty() {
            return refuse("it is empty; give one such as org1234567".to_owned());
        }
        if name.contains('\0') {
            return refuse("it holds a NUL character, which PostgreSQL cannot store".to_owned());
        }
        if name.len() > MAX_BYTES {
            return refuse(format!(
                "it has {} bytes and PostgreSQL cuts names after {MAX_BYTES}; give a shorter one",
                name.len()
            ));
        }
        Ok(Self { name })
    }

    /// The bare name, for parameters and messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The quoted name, for SQL text.
    pub fn quoted(&self) -> String {
        quote(&self.name)
    }

    /// A quoted, qualified table name, for SQL text.
    pub fn table(&self, table: &str) -> String {
        format!("{}.{}", quote(&self.name), quote(table))
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name.escape_debug())
    }
}

/// A quoted identifier.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
