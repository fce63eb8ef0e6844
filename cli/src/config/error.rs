//! What is wrong with a configuration, with the line. No message repeats a value: it could be a secret in the
//! wrong place.

use std::fmt;
use std::path::PathBuf;

use super::layers::Origin;

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration file {}: {source}; give the path of a readable YAML file", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something in the file is wrong; the source says what, with the line.
    #[error("{}: {source}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<ConfigError>,
    },
    /// The file is not YAML, or is YAML that no configuration needs.
    #[error("line {line}, column {column}: {reason}")]
    Syntax {
        /// One-based line.
        line: usize,
        /// One-based column.
        column: usize,
        /// What is wrong, and what to write instead.
        reason: String,
    },
    /// A key that nothing reads.
    #[error("{origin}: unknown key {key}{}", Suggestion(suggestion.as_deref()))]
    UnknownKey {
        /// Where it stands.
        origin: Origin,
        /// The key, dotted.
        key: String,
        /// The nearest key that exists.
        suggestion: Option<String>,
    },
    /// A key that is given twice.
    #[error("line {line}: {key} is already given at line {first}; keep one of them")]
    Duplicate {
        /// The second line.
        line: usize,
        /// The first line.
        first: usize,
        /// The key, dotted.
        key: String,
    },
    /// A value of the wrong form.
    #[error("{origin}: {key} must be {expected}")]
    Value {
        /// Where it stands.
        origin: Origin,
        /// The key, dotted.
        key: String,
        /// What it accepts.
        expected: String,
    },
    /// `${NAME}` without a default, and no such variable.
    #[error("{}", Unset(missing))]
    Unset {
        /// Line, key and variable of each.
        missing: Vec<(usize, String, String)>,
    },
}

struct Suggestion<'a>(Option<&'a str>);

impl fmt::Display for Suggestion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(key) => write!(f, "; did you mean {key}?"),
            None => f.write_str("; `daysum config show` lists every key"),
        }
    }
}

struct Unset<'a>(&'a [(usize, String, String)]);

impl fmt::Display for Unset<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (line, key, variable) in self.0 {
            write!(f, "line {line}: {key} needs the environment variable {variable}, which is not set; ")?;
        }
        let (_, _, example) = &self.0[0];
        write!(f, "set it, or allow its absence with ${{{example}:-}}")
    }
}

/// One line for the operator: something accepted that means nothing here, or that deserves a second look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The key, dotted.
    pub key: String,
    /// Where it was given.
    pub origin: Origin,
    /// Why it has no effect, or what to watch.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.key, self.origin, self.text)
    }
}
