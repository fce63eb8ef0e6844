//! `daysum run`: a directory of Parquet in, one file per day out.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use daysum_core::port::ListRequest;
use daysum_core::rows::RowsFormat;
use daysum_core::{Error, Lookups, Result, RowCounts, drive};
use daysum_io_s3::{LocalSource, publish};
use futures::executor::block_on;
use serde::Serialize;

/// What to read, and where to put the days.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory with koku's tables or object keys.
    input: PathBuf,
    /// What koku's database would answer: keys, categories, nodes, period, range.
    #[arg(long)]
    lookups: PathBuf,
    /// Directory that gets one file per day, below one directory per source.
    #[arg(long)]
    output: PathBuf,
    /// parquet, csv, arrow or jsonl.
    #[arg(long, default_value = "parquet", value_parser = |text: &str| text.parse::<RowsFormat>().map_err(|error| error.to_string()))]
    format: RowsFormat,
    /// File that gets the report as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
}

/// What a run did.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    rows_in: u64,
    rows_aggregated: u64,
    rows_filtered: Filtered,
    rows_quarantined: u64,
    rows_fanned_out: u64,
    pub(crate) rows_out: u64,
    nodes_without_role: u64,
    days: Vec<String>,
    bytes_written: u64,
    seconds: f64,
}

#[derive(Debug, Default, Serialize)]
struct Filtered {
    out_of_range: u64,
    other_month: u64,
    no_node: u64,
    anomalous: u64,
}

impl From<RowCounts> for Filtered {
    fn from(counts: RowCounts) -> Self {
        let RowCounts { out_of_range, other_month, no_node, anomalous, .. } = counts;
        Self { out_of_range, other_month, no_node, anomalous }
    }
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    let started = Instant::now();
    let json = fs::read(&args.lookups)
        .map_err(|error| Error::Config { reason: format!("{}: {error}", args.lookups.display()) })?;
    let lookups = Lookups::from_json(&json)?;
    let source = LocalSource::new(&args.input)?;
    let summary = block_on(drive::summarise(&source, &ListRequest::default(), &lookups))?;
    let mut report = Report {
        rows_in: summary.counts.rows_in,
        rows_aggregated: summary.counts.aggregated,
        rows_filtered: summary.counts.into(),
        ..Report::default()
    };
    for day in &summary.days {
        if day.rows.num_rows() == 0 {
            continue;
        }
        let (_, bytes) =
            publish(&args.output, &lookups.source_uuid.to_lowercase(), day.day, args.format, &day.rows)?;
        report.days.push(day.day.to_string());
        report.rows_out += day.rows.num_rows() as u64;
        report.rows_fanned_out += day.fanned_out;
        report.nodes_without_role += day.nodes_without_role;
        report.bytes_written += bytes;
    }
    report.seconds = started.elapsed().as_secs_f64();
    if let Some(path) = &args.report {
        let json = serde_json::to_vec_pretty(&report).expect("a report of numbers and dates is JSON");
        fs::write(path, json)
            .map_err(|error| Error::port("report", format!("write {}", path.display()), false, error))?;
    }
    Ok(report)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Filtered { out_of_range, other_month, no_node, anomalous } = self.rows_filtered;
        writeln!(f, "rows in       {:>12}", self.rows_in)?;
        writeln!(f, "  aggregated  {:>12}", self.rows_aggregated)?;
        writeln!(
            f,
            "  left out    {:>12}   out of range {out_of_range}, other month {other_month}, no node {no_node}, above 1e18 {anomalous}",
            out_of_range + other_month + no_node + anomalous
        )?;
        writeln!(
            f,
            "fanned out    {:>12}   copies that several label sets or categories made",
            self.rows_fanned_out
        )?;
        writeln!(
            f,
            "rows out      {:>12}   {} days, {} bytes, {:.2} s",
            self.rows_out,
            self.days.len(),
            self.bytes_written,
            self.seconds
        )?;
        if self.nodes_without_role > 0 {
            writeln!(
                f,
                "warning: {} node-days have no known role, so their unallocated rows have no namespace",
                self.nodes_without_role
            )?;
        }
        Ok(())
    }
}
