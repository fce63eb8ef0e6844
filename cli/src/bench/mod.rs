//! `daysum bench`: how time and memory grow with rows, beside what decoding alone takes.
//!
//! ```text
//! scale -> generate -> (run in a process of its own, decode only) x runs -> medians -> table, JSON, HTML
//! ```
//!
//! Every run is a process of its own, so that its peak memory is its own and the true one, as the kernel counts it.

mod decode;
mod measure;
mod page;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use comfy_table::Table;
use daysum::config;
use daysum::synth::{Shape, generate};
use daysum_core::{Day, Error, Lookups, Result};

use crate::generate::rows;
use measure::{Measured, Runs};

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Hourly pod rows of each synthetic month, such as 20k,1m,10m, or 20k..100m for steps of 1, 2 and 5 between.
    #[arg(long, value_delimiter = ',', default_value = "20k,200k,1m", value_parser = scales)]
    scales: Vec<Scales>,
    /// streaming, in-memory or both.
    #[arg(long, default_value = "both")]
    mode: Mode,
    /// Threads of every run, and of decoding.
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// Memory limit of every run.
    #[arg(long, default_value = "256MiB", value_parser = memory)]
    memory_limit: String,
    /// Counted runs of each kind; medians are told, and the largest peak. One more goes before, uncounted.
    #[arg(long, default_value = "5")]
    runs: NonZeroUsize,
    /// File that gets the measurements as JSON; without a name, they are printed instead of the table.
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    json: Option<Option<PathBuf>>,
    /// File that gets a page with plots of time and memory against rows.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Directory for the synthetic months, kept afterwards and used again; otherwise a temporary one.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    Streaming,
    InMemory,
    Both,
}

impl Mode {
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Streaming => &["streaming"],
            Self::InMemory => &["in-memory"],
            Self::Both => &["streaming", "in-memory"],
        }
    }
}

/// One scale, or all between two.
#[derive(Debug, Clone)]
struct Scales(Vec<u64>);

fn scales(text: &str) -> std::result::Result<Scales, String> {
    let Some((first, last)) = text.split_once("..") else { return Ok(Scales(vec![rows(text)?])) };
    let (first, last) = (rows(first)?, rows(last)?);
    let steps = (0..11).flat_map(|power| [1, 2, 5].map(|step| step * 10_u64.pow(power)));
    let between = steps.filter(|step| first < *step && *step < last);
    match first <= last {
        true => {
            Ok(Scales([first].into_iter().chain(between).chain((first < last).then_some(last)).collect()))
        }
        false => Err("the smaller number comes first".to_owned()),
    }
}

/// Memory as the runs will read it, refused before anything is measured.
fn memory(text: &str) -> std::result::Result<String, String> {
    config::accepts("run.memory_limit", text).map(|()| text.to_owned())
}

pub(crate) fn run(args: &BenchArgs) -> Result<String> {
    let json_file = args.json.as_ref().and_then(Option::as_ref);
    for path in [json_file, args.html.as_ref()].into_iter().flatten() {
        // What was measured for an hour is not to end at a path that cannot be written.
        let opened = std::fs::File::create(path);
        opened.map_err(|error| Error::port("bench", format!("open {}", path.display()), false, error))?;
    }
    let temporary = tempfile::tempdir().map_err(cannot("make a temporary directory"))?;
    let data = args.data.as_deref().unwrap_or(temporary.path());
    let threads =
        args.threads.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let mut measured = Vec::new();
    for &scale in args.scales.iter().flat_map(|Scales(scales)| scales) {
        let input = month(&data.join(scale.to_string()), scale, threads)?;
        let runs = Runs {
            input: &input,
            output: temporary.path(),
            threads,
            memory_limit: &args.memory_limit,
            count: args.runs,
        };
        measured.extend(runs.measure(args.mode.names())?);
    }
    let json = || serde_json::to_string_pretty(&measured).expect("numbers and texts are JSON");
    if let Some(path) = json_file {
        std::fs::write(path, json()).map_err(cannot("write the measurements"))?;
    }
    if let Some(path) = &args.html {
        std::fs::write(path, page::page(&measured)).map_err(cannot("write the page"))?;
    }
    Ok(if args.json == Some(None) { json() } else { table(&measured) })
}

/// A synthetic month of this size; one that is there already is used again.
fn month(directory: &Path, scale: u64, threads: NonZeroUsize) -> Result<PathBuf> {
    let start: Day = "2025-11-01".parse()?;
    if !directory.join("lookups.json").exists() {
        std::fs::create_dir_all(directory).map_err(cannot("make a directory for synthetic months"))?;
        generate(&Shape::of_rows(scale, 30, start, 1), directory, threads)?;
    }
    Ok(directory.to_owned())
}

fn lookups(input: &Path) -> Result<Lookups> {
    Lookups::from_json(&std::fs::read(input.join("lookups.json")).map_err(cannot("read the lookups"))?)
}

fn cannot(action: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |error| Error::port("bench", action, false, error)
}

fn table(measured: &[Measured]) -> String {
    let mut table = Table::new();
    table.set_header([
        "rows in",
        "mode",
        "seconds",
        "rows/s",
        "x decode only",
        "cpu s",
        "peak MiB",
        "rows out",
    ]);
    for of in measured {
        table.add_row([
            of.input_rows_hourly.to_string(),
            of.mode.to_owned(),
            format!("{:.3}", of.total_duration_seconds),
            format!("{:.0}", of.rows_per_second),
            format!("{:.2}", of.ratio_to_decode_only),
            format!("{:.2}", of.total_cpu_seconds),
            format!("{:.0}", of.peak_memory_bytes as f64 / f64::from(1 << 20)),
            of.output_rows.to_string(),
        ]);
    }
    table.to_string()
}
