//! A run's numbers for Prometheus: a file for node_exporter's textfile collector, and a listener while the run lasts.
//!
//! Every value is a gauge: it tells of the last run, or of this one so far, and a run is a process of its own. The file
//! is replaced in one step at the end of a run, a failed one too. A run that succeeds is one with exit code 0; a failed
//! run takes over the time of the last success of its source from the file that it replaces, or tells 0. So `time() -
//! daysum_last_success_timestamp_seconds` is what to alert on. A run whose settings cannot be read writes no file.

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use daysum::config;
use daysum_core::{Error, Result};
use http_body_util::Full;
use hyper::Response;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::logging;
use crate::replace::replace;
use crate::report::{Report, peak_rss_bytes};

const LAST_SUCCESS: &str = "last_success_timestamp_seconds";

/// Where a run's metrics go.
pub(crate) struct Metrics<'a> {
    settings: &'a config::Metrics,
    /// What the listener answers; `None` where nobody listens.
    served: Option<Arc<Mutex<String>>>,
}

impl<'a> Metrics<'a> {
    /// Starts to listen, where that is asked for.
    pub(crate) fn start(settings: &'a config::Metrics, runtime: &Runtime) -> Result<Self> {
        let Some(address) = &settings.listen else { return Ok(Self { settings, served: None }) };
        let refuse = |error| Error::Config {
            reason: format!("metrics.listen: {address}: {error}; give HOST:PORT, such as 127.0.0.1:9187"),
        };
        let listener = runtime.block_on(TcpListener::bind(address)).map_err(refuse)?;
        let bound = listener.local_addr().map_err(refuse)?;
        tracing::info!(address = %bound, "metrics are served");
        let served = Arc::new(Mutex::new(text(&Report::default(), None)));
        runtime.spawn(serve(listener, served.clone()));
        Ok(Self { settings, served: Some(served) })
    }

    /// Shows how far the run is.
    pub(crate) fn progress(&self, report: &Report) {
        if let Some(served) = &self.served {
            *served.lock().unwrap_or_else(PoisonError::into_inner) = text(report, None);
        }
    }

    /// Writes the file of a run that ended with this code. The rows are published by then, so that a file that
    /// cannot be written does not change how the run has ended.
    pub(crate) fn end(&self, report: &Report, code: u8) {
        let Some(path) = &self.settings.textfile else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let success = if code == 0 { now } else { last_success(path, &report.source) };
        let written = replace(path, text(report, Some(&End { code, now, success })).as_bytes());
        if let Err(error) = written {
            logging::remark(&format!("cannot write the metrics {}: {error}", path.display()));
        }
    }
}

struct End {
    code: u8,
    now: f64,
    success: f64,
}

/// The report in Prometheus' text form.
fn text(report: &Report, end: Option<&End>) -> String {
    let source = ("source".into(), report.source.clone().into());
    let mut metrics = Registry::with_prefix_and_labels("daysum", [source].into_iter());
    many(
        &mut metrics,
        "rows",
        "Line items by what became of them",
        "fate",
        report.rows_filtered.iter().map(|(fate, rows)| (*fate, *rows as f64)).chain([
            ("aggregated", report.rows_aggregated as f64),
            ("quarantined", report.rows_quarantined as f64),
        ]),
    );
    let days = [
        ("published", report.days.len()),
        ("unchanged", report.days_unchanged.len()),
        ("held", report.days_held.len()),
        ("orphaned", report.days_orphaned.len()),
        ("pruned", report.days_pruned.len()),
    ];
    many(
        &mut metrics,
        "days",
        "Days by how they stand after the run",
        "state",
        days.map(|(state, days)| (state, days as f64)),
    );
    let seconds = &report.seconds;
    let phases = [
        ("plan", seconds.plan),
        ("fold", seconds.fold),
        ("finalise", seconds.finalise),
        ("write", seconds.write),
        ("total", seconds.total),
    ];
    many(
        &mut metrics,
        "phase_seconds",
        "Time; fold, finalise and write are summed over threads",
        "phase",
        phases,
    );
    let mut one = |name, help, value: f64| {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(value);
        metrics.register(name, help, gauge);
    };
    one("folded_rows", "Line items read so far", report.rows_folded as f64);
    one(
        "fanned_out_rows",
        "Copies of line items by label sets and categories",
        report.rows_fanned_out as f64,
    );
    one("malformed_labels", "Label texts that stand for no labels", report.malformed_labels as f64);
    one("nodes_without_role", "Nodes of a day whose role nobody knows", report.nodes_without_role as f64);
    one("alike_objects", "Objects that seem to be copies of others", report.objects_alike.len() as f64);
    one("output_rows", "Summary rows written", report.rows_out as f64);
    one("objects", "Parquet objects listed", report.objects as f64);
    one("read_bytes", "Bytes read from the source", report.bytes_read as f64);
    one("written_bytes", "Bytes written", report.bytes_written as f64);
    one("quarantined", "Objects, row groups and days left out", report.quarantined.len() as f64);
    one(
        "missing_columns",
        "Columns that read as NULL, as files that this run looked into lack them",
        report.columns_missing.len() as f64,
    );
    one("database_retries", "Waits before trying the database again", daysum_io_postgres::retries() as f64);
    one("peak_memory_bytes", "Largest resident memory", peak_rss_bytes() as f64);
    if let Some(End { code, now, success }) = end {
        one("last_run_timestamp_seconds", "End of the last run", *now);
        one("last_run_exit_code", "Exit code of the last run", f64::from(*code));
        one("last_run_success", "Whether everything asked for is published", f64::from(u8::from(*code == 0)));
        one(LAST_SUCCESS, "End of the last run that published everything; 0: none is known", *success);
    }
    let mut text = String::new();
    encode(&mut text, &metrics).expect("a String takes every write");
    text
}

/// One metric with a value for each word of a label.
fn many(
    metrics: &mut Registry,
    name: &str,
    help: &str,
    label: &'static str,
    values: impl IntoIterator<Item = (&'static str, f64)>,
) {
    let family = Family::<[(&str, &str); 1], Gauge<f64, AtomicU64>>::default();
    for (word, value) in values {
        family.get_or_create(&[(label, word)]).set(value);
    }
    metrics.register(name, help, family);
}

/// The time of the source's last success that an older file tells, or 0. A run that has failed before it knew its source
/// takes that of any.
fn last_success(path: &Path, source: &str) -> f64 {
    let old = std::fs::read_to_string(path).unwrap_or_default();
    let of_source = format!("source=\"{source}\"");
    let tells = |line: &&str| {
        line.starts_with(&format!("daysum_{LAST_SUCCESS}"))
            && (source.is_empty() || line.contains(&of_source))
    };
    let time = old.lines().find(tells).and_then(|line| line.rsplit(' ').next()?.parse().ok());
    time.unwrap_or_default()
}

async fn serve(listener: TcpListener, served: Arc<Mutex<String>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let served = served.clone();
        tokio::spawn(async move {
            let answer = service_fn(|_| {
                let text = served.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                std::future::ready(
                    Response::builder().header(CONTENT_TYPE, form).body(Full::<bytes::Bytes>::from(text)),
                )
            });
            // A scraper that goes away ends its own connection only.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}
