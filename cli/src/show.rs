//! The one place that writes to stdout: answers go there, everything else to stderr.

use std::io::{ErrorKind, Write};

use daysum_core::{Error, Result};

/// Prints an answer, if there is one. A reader that has gone away (`| head`) is no error; a full disk is.
pub(crate) fn line(said: &str) -> Result<()> {
    let said = said.trim_end();
    if said.is_empty() {
        return Ok(());
    }
    match writeln!(std::io::stdout().lock(), "{said}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::port("output", "write to stdout", false, error))
        }
        _ => Ok(()),
    }
}
