//! The one place that writes to stdout: answers go there, everything else to stderr.

use std::io::{ErrorKind, Write};

use daysum_core::{Error, Result};

/// Prints an answer. A reader that has gone away (`| head`) is no error; a full disk is.
pub(crate) fn line(said: &str) -> Result<()> {
    match writeln!(std::io::stdout().lock(), "{}", said.trim_end()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::port("output", "write to stdout", false, error))
        }
        _ => Ok(()),
    }
}
