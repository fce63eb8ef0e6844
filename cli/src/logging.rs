//! Log lines on stderr, as `logging.format` and `logging.level` ask for them.
//!
//! `DAYSUM_LOG` (`debug`, `warn,daysum_io_postgres=trace`, …) beats the level. In JSON everything that a run says on
//! stderr is one object per line, its report and its last error included, so that a log collector can read it.

use std::io::{IsTerminal, Write};
use std::sync::{LazyLock, OnceLock};

use daysum::config::Logging;
use daysum_core::Error;
use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::report::Report;

/// Whether lines are JSON; unset while nothing has read the settings.
static JSON: OnceLock<bool> = OnceLock::new();

/// Every progress bar, so that a log line can make it step aside.
pub(crate) static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Starts to log. Settings are read once per command; where they are read again, the first reading stays.
pub(crate) fn start(logging: &Logging) {
    if JSON.set(logging.json).is_err() {
        return;
    }
    let lines = tracing_subscriber::fmt().with_env_filter(filter(logging.level)).with_writer(AboveBars);
    if logging.json {
        lines.json().flatten_event(true).with_span_list(false).init();
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).init();
    }
}

/// Libraries that write whole addresses and requests at their lower levels, and secrets with them: nobody gets those.
const DISCREET: &str = "hyper=info,hyper_util=info,reqwest=info,h2=info";

/// The configured level is that of daysum's own lines, and of the client that tells each retry of a request. Other libraries
/// explain every request; they are asked at `trace`.
fn filter(level: &str) -> EnvFilter {
    let asked = std::env::var("DAYSUM_LOG").ok().filter(|text| !text.is_empty());
    let asked = asked.map(|text| if text == "warning" { "warn".to_owned() } else { text });
    // A word that is no level would be taken for the name of a library, and silence all others.
    let is_meant = |text: &String| text.contains(['=', ',']) || text.parse::<LevelFilter>().is_ok();
    if let Some(text) = asked.as_ref().filter(|text| !is_meant(text)) {
        eprintln!(
            "daysum: DAYSUM_LOG: {text:?} is no level; use error, warn, info, debug or trace, or NAME=LEVEL"
        );
    }
    let asked = asked.filter(is_meant);
    let asked = asked.unwrap_or_else(|| match level {
        "trace" => "trace".to_owned(),
        "error" => "error".to_owned(),
        level => {
            let own = ["daysum", "daysum_core", "daysum_io_s3", "daysum_io_postgres", "object_store"];
            own.iter().fold("warn".to_owned(), |filter, name| format!("{filter},{name}={level}"))
        }
    });
    EnvFilter::new(format!("{asked},{DISCREET}")) // of two lines for one library the last one holds
}

fn json() -> bool {
    JSON.get().copied().unwrap_or_default()
}

/// The end of a run.
pub(crate) fn report(report: &Report) {
    if !json() {
        eprint!("{report}");
        return;
    }
    tracing::info!(
        run = report.run,
        source = report.source,
        rows_in = report.rows_in,
        rows_out = report.rows_out,
        rows_quarantined = report.rows_quarantined,
        days = report.days.len(),
        days_unchanged = report.days_unchanged.len(),
        days_held = report.days_held.len(),
        objects = report.objects,
        bytes_read = report.bytes_read,
        seconds = report.seconds.total,
        "the run has ended"
    );
}

/// The last word of a command that failed.
pub(crate) fn failure(error: &Error) {
    if json() {
        tracing::error!(code = error.code(), "{error}");
    } else {
        eprintln!("daysum: {error}");
    }
}

/// Something that the operator should know although the command goes on.
pub(crate) fn remark(text: &str) {
    if json() {
        tracing::warn!("{text}");
    } else {
        eprintln!("daysum: {text}");
    }
}

/// Stderr, with the progress bars out of the way while a line is written.
#[derive(Debug, Clone, Copy)]
struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        BARS.suspend(|| std::io::stderr().write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for AboveBars {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}
