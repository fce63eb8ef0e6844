//! `daysum run`, and the commands that look before or after it: `plan`, `diff`, `verify`.
//!
//! ```text
//! settings -> Job::prepare: lookups (file or database), input, output   job.rs
//!          -> Job::parts:   the months of the range, each by itself from here on
//!          -> Job::plan:    listing -> footers -> schedule, without the days whose inputs are those of the ledger
//!          -> Job::carry_out: plan, fold on threads, publish each whole day   publish.rs
//! ```

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use daysum::config::Config;
use daysum_core::{Day, Error, Result};
use daysum_io_postgres::DayDiff;
use tokio::runtime::Runtime;

use crate::args::{Common, Selection, Settings};
use crate::job::{Job, Purpose};
use crate::logging;
use crate::metrics::Metrics;
use crate::report::{Report, cpu_seconds, failure_code, peak_rss_bytes};
use crate::setup::runtime;

/// What to read, and by what means.
#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// Directory or s3://BUCKET/PREFIX with koku's tables or object keys.
    input: Option<String>,
    /// What koku's database would answer: keys, categories, nodes, period, range (JSON).
    #[arg(long, value_name = "FILE")]
    lookups: Option<PathBuf>,
    /// streaming or in-memory; the rows are the same.
    #[arg(long)]
    mode: Option<String>,
    /// Threads that fold; otherwise the cores that are granted.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Bytes of memory, such as 256MiB.
    #[arg(long, value_name = "BYTES")]
    memory_limit: Option<String>,
    /// Leaves days before this one alone, YYYY-MM-DD.
    #[arg(long, value_name = "DATE")]
    pub(crate) since: Option<Day>,
    #[command(flatten)]
    pub(crate) selection: Selection,
}

/// Where days go, and when they go there again.
#[derive(Debug, Default, Args)]
pub(crate) struct TargetArgs {
    /// Directory or s3://BUCKET/PREFIX that gets one file per day, below one directory per source.
    #[arg(long, value_name = "DIR")]
    output: Option<String>,
    /// parquet, csv, arrow or jsonl.
    #[arg(long)]
    format: Option<String>,
    /// Computes and writes days whose inputs have not changed, too; in a database even rows that seem to be there.
    #[arg(long)]
    pub(crate) force: bool,
    /// Also writes koku's registry of clusters, nodes, volumes and projects, before the summary: where koku does not run.
    #[arg(long)]
    pub(crate) registry: bool,
}

/// What a run would do.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    reading: ReadArgs,
    #[command(flatten)]
    target: TargetArgs,
}

/// What to read, and where to put the days.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    reading: ReadArgs,
    #[command(flatten)]
    target: TargetArgs,
    /// Days that are written at once; otherwise 4 to an object store, 2 to a database, 1 to a directory.
    #[arg(long, value_name = "N")]
    writers: Option<NonZeroUsize>,
    /// File that gets the report as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<String>,
    /// File for Prometheus metrics, replaced at the end of the run.
    #[arg(long, value_name = "FILE")]
    metrics_file: Option<String>,
    /// Address that serves Prometheus metrics while the run lasts, such as 127.0.0.1:9187.
    #[arg(long, value_name = "ADDRESS")]
    metrics_listen: Option<String>,
    /// Empties published days of which the input has no object any more. Refused where it holds nothing that a published
    /// day was computed from, unless --force says that this is neither an outage nor another place. Not to be used while
    /// koku ingests: it removes a day's objects before it writes new ones.
    #[arg(long)]
    prune: bool,
}

/// Runs; the report is written to `--report`, and the metrics, whatever went wrong.
pub(crate) fn run(common: &Common, args: &RunArgs) -> Result<Report> {
    let (config, runtime) = (common.load(&args.settings())?, runtime()?);
    for (flag, path) in [("--report", &config.run.report), ("--metrics-file", &config.metrics.textfile)] {
        make_directory(flag, path.as_deref())?;
    }
    let metrics = Metrics::start(&config.metrics, &runtime)?;
    let source = config.ocp.provider_uuid.clone().unwrap_or_default().to_lowercase();
    let daysum_version = env!("CARGO_PKG_VERSION");
    let mut report = Report { daysum_version, source, ..Report::default() };
    let ended = carry_out(&config, args, &runtime, &metrics, &mut report);
    report.error = ended.as_ref().err().map(ToString::to_string);
    if let Some(path) = &config.run.report
        && let Err(error) = report.write(path)
    {
        logging::failure(&error); // what was done is told all the same
        report.unwritten = true;
    }
    metrics.end(&report, ended.as_ref().map_or_else(failure_code, |()| report.code()));
    ended.map(|()| report)
}

/// A place where nothing can be written is better found before the run than after it.
fn make_directory(flag: &str, file: Option<&Path>) -> Result<()> {
    let Some(directory) = file.and_then(Path::parent) else { return Ok(()) };
    let refuse =
        |error| Error::config(format!("{flag}: cannot make the directory {}: {error}", directory.display()));
    std::fs::create_dir_all(directory).map_err(refuse)
}

fn carry_out(
    config: &Config,
    args: &RunArgs,
    runtime: &Runtime,
    metrics: &Metrics<'_>,
    report: &mut Report,
) -> Result<()> {
    let started = Instant::now();
    let RunArgs { reading, target, prune, .. } = args;
    let mut job = runtime.block_on(Job::prepare(config, reading, target, Purpose::Publish))?;
    job.prune = *prune;
    *report = job.report(config);
    let _span = tracing::error_span!("run", run = report.run, source = report.source).entered();
    report.seconds.plan = started.elapsed().as_secs_f64();
    let done = job.carry_out(Purpose::Publish, runtime, report, &|report| metrics.progress(report));
    report.bytes_read = job.source.bytes();
    report.peak_rss_bytes = peak_rss_bytes();
    report.cpu_seconds = cpu_seconds();
    report.seconds.total = started.elapsed().as_secs_f64();
    done
}

/// `daysum plan`: what a run would read and replace.
pub(crate) fn plan(common: &Common, args: &PlanArgs) -> Result<String> {
    let PlanArgs { reading, target } = args;
    let settings = [reading.settings(), target.settings()].concat();
    let (config, runtime) = (common.load(&settings)?, runtime()?);
    let mut job = runtime.block_on(Job::prepare(&config, reading, target, Purpose::Look))?;
    let mut report = job.report(&config);
    let (mut row_groups, mut rows, mut bytes, mut days) = (0, 0, 0, BTreeSet::new());
    for part in runtime.block_on(job.parts())? {
        job.turn_to(part);
        let schedule = runtime.block_on(job.plan(&mut report, Purpose::Look))?;
        for unit in schedule.units() {
            row_groups += 1;
            rows += unit.row_group.rows;
            bytes += unit.row_group.bytes;
        }
        days.extend(schedule.inputs().into_keys().filter(|day| !schedule.is_closed(*day)));
    }
    let listed = |days: &BTreeSet<Day>| days.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let mut lines = vec![
        format!(
            "read       {row_groups} row groups, {rows} rows, {bytes} bytes, of {} objects",
            report.objects
        ),
        format!("replace    {} days  {}", days.len(), listed(&days)),
        format!("unchanged  {} days  {}", report.days_unchanged.len(), listed(&report.days_unchanged)),
        format!("held back  {} days  {}", report.days_held.len(), listed(&report.days_held)),
    ];
    if !report.days_orphaned.is_empty() {
        let days = &report.days_orphaned;
        lines.push(format!(
            "orphaned   {} days  {}  (published, and no object left; run --prune empties them)",
            days.len(),
            listed(days)
        ));
    }
    lines.extend(report.quarantined.iter().map(|bad| format!("unreadable {}", bad.reason)));
    Ok(lines.join("\n"))
}

/// `daysum diff` and `daysum verify`: computes every day again and compares it with the database. The code is
/// 1 where anything differs, 3 where a day could not be computed, 4 where there was nothing to compare.
pub(crate) fn compare(common: &Common, reading: &ReadArgs, show_rows: bool) -> Result<(String, u8)> {
    let (mut config, runtime) = (common.load(&reading.settings())?, runtime()?);
    if config.postgresql.connection()?.is_none() {
        return Err(Error::config("diff and verify compare with a database: give --database URL"));
    }
    config.run.output = None;
    let every_day = TargetArgs { force: true, ..TargetArgs::default() };
    let mut job = runtime.block_on(Job::prepare(&config, reading, &every_day, Purpose::Look))?;
    let mut report = job.report(&config);
    job.carry_out(Purpose::Look, &runtime, &mut report, &|_| {})?;
    let differences = job.output.differences().expect("who looks at a database compares");
    let told = |(day, diff): (&Day, &DayDiff)| {
        let DayDiff { unchanged, added, removed, changed, added_by_cost_models } = diff;
        if show_rows {
            return serde_json::json!({ "day": day, "diff": diff }).to_string();
        }
        let (added, removed, changed) = (added.len(), removed.len(), changed.len());
        let of_cost_models = match added_by_cost_models {
            0 => String::new(),
            rows => format!("; {rows} rows of cost models, which writing the day removes"),
        };
        format!(
            "{day}  {unchanged} same, {added} added, {removed} removed, {changed} changed{of_cost_models}"
        )
    };
    let left_out = |reason: &str| match show_rows {
        true => serde_json::json!({ "unreadable": reason }).to_string(),
        false => format!("unreadable {reason}"),
    };
    let orphaned = |day: &Day| match show_rows {
        true => serde_json::json!({ "day": day, "orphaned": true }).to_string(),
        false => format!("{day}  published, and no object left of it"),
    };
    let mut lines: Vec<String> = differences.iter().map(told).collect();
    lines.extend(report.quarantined.iter().map(|bad| left_out(&bad.reason)));
    lines.extend(report.days_orphaned.iter().map(orphaned));
    if lines.is_empty() {
        logging::remark("nothing to compare: no day that is asked for has rows in the input");
    }
    let differs = differences.values().any(|diff| !diff.is_empty()) || !report.days_orphaned.is_empty();
    let code = match () {
        () if differs => 1,
        () if !report.days_held.is_empty() => 3,
        () if differences.is_empty() => 4,
        () => 0,
    };
    Ok((lines.join("\n"), code))
}

impl ReadArgs {
    /// The flags that are settings.
    fn settings(&self) -> Settings {
        let mut settings = self.selection.settings();
        settings.extend([
            ("run.input", self.input.clone()),
            ("run.lookups", self.lookups.as_ref().map(|path| path.display().to_string())),
            ("run.mode", self.mode.clone()),
            ("run.threads", self.threads.map(|threads| threads.to_string())),
            ("run.memory_limit", self.memory_limit.clone()),
        ]);
        settings
    }
}

impl TargetArgs {
    fn settings(&self) -> Settings {
        vec![
            ("run.output", self.output.clone()),
            ("run.format", self.format.clone()),
            ("postgresql.registry", self.registry.then(|| "true".to_owned())),
        ]
    }
}

impl RunArgs {
    fn settings(&self) -> Settings {
        let own = vec![
            ("run.report", self.report.clone()),
            ("run.writers", self.writers.map(|writers| writers.to_string())),
            ("metrics.textfile", self.metrics_file.clone()),
            ("metrics.listen", self.metrics_listen.clone()),
        ];
        [self.reading.settings(), self.target.settings(), own].concat()
    }
}
