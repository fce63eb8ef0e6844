//! The one place that writes to stdout: answers go there, everything else to stderr.

use std::io::Write;

/// Prints an answer. A reader that has gone away (`| head`) is no error.
pub(crate) fn line(said: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{}", said.trim_end());
}
