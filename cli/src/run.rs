//! `daysum run`: Parquet in, finished days out.
//!
//! ```text
//! settings -> lookups (file or database) -> listing -> footers -> plan -> schedule
//!          -> days whose inputs are those of the ledger are skipped -> fold on threads -> publish each whole day
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use daysum::config::{Config, OnBad};
use daysum::counting::Counting;
use daysum::engine::{self, Event, Options, Rejected};
use daysum_core::drive::{self, Plan, Schedule, Seen};
use daysum_core::port::{
    InputObject, ListRequest, ObjectMeta, Published, QuarantineEntry, RunId, Source, WriteScope,
};
use daysum_core::{Day, Error, FoldConfig, FoldOptions, Lookups, Policy, PolicyOptions, Result};
use daysum_io_postgres::{Cluster, Database, Schema};
use daysum_io_s3::{LocalSource, ObjectStoreSource, Place};
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::runtime::Runtime;

use crate::args::{Common, Selection};
use crate::logging::BARS;
use crate::metrics::Metrics;
use crate::output::Output;
use crate::registry;
use crate::report::{Quarantined, Report, cpu_seconds, failure_code, peak_rss_bytes};

/// What to read, and where to put the days.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Directory or s3://BUCKET/PREFIX with koku's tables or object keys.
    input: Option<String>,
    /// What koku's database would answer: keys, categories, nodes, period, range (JSON).
    #[arg(long, value_name = "FILE")]
    lookups: Option<PathBuf>,
    /// Directory that gets one file per day, below one directory per source.
    #[arg(long, value_name = "DIR")]
    output: Option<String>,
    /// parquet, csv, arrow or jsonl.
    #[arg(long)]
    format: Option<String>,
    /// streaming or in-memory; the rows are the same.
    #[arg(long)]
    mode: Option<String>,
    /// Threads that fold; otherwise the cores that are granted.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Bytes of memory, such as 256MiB.
    #[arg(long, value_name = "BYTES")]
    memory_limit: Option<String>,
    /// File that gets the report as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<String>,
    /// File for Prometheus metrics, replaced at the end of the run.
    #[arg(long, value_name = "FILE")]
    metrics_file: Option<String>,
    /// Address that serves Prometheus metrics while the run lasts, such as 127.0.0.1:9187.
    #[arg(long, value_name = "ADDRESS")]
    metrics_listen: Option<String>,
    /// Computes and writes days whose inputs have not changed, too.
    #[arg(long)]
    force: bool,
    /// Leaves days before this one alone, YYYY-MM-DD.
    #[arg(long, value_name = "DATE")]
    since: Option<Day>,
    /// Also writes koku's registry of clusters, nodes, volumes and projects, before the summary: where koku does not run.
    #[arg(long)]
    registry: bool,
    #[command(flatten)]
    selection: Selection,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Days are replaced.
    Publish,
    /// Nothing is written.
    Look,
}

/// Runs; the report is written to `--report` whatever was held back, the metrics whatever went wrong.
pub(crate) fn run(common: &Common, args: &RunArgs) -> Result<Report> {
    let (config, runtime) = (load(common, args)?, runtime()?);
    let metrics = Metrics::start(&config.metrics, &runtime)?;
    let source = config.ocp.provider_uuid.clone().unwrap_or_default().to_lowercase();
    let mut report = Report { source, ..Report::default() };
    let ended = carry_out(&config, args, &runtime, &metrics, &mut report);
    metrics.end(&report, ended.as_ref().map_or_else(failure_code, |()| report.code()));
    ended.map(|()| report)
}

fn carry_out(
    config: &Config,
    args: &RunArgs,
    runtime: &Runtime,
    metrics: &Metrics<'_>,
    report: &mut Report,
) -> Result<()> {
    let started = Instant::now();
    let mut job = runtime.block_on(Job::prepare(config, args, Purpose::Publish))?;
    *report = job.report(config);
    let _span = tracing::error_span!("run", run = report.run, source = report.source).entered();
    let schedule = runtime.block_on(job.plan(report, Purpose::Publish))?;
    report.seconds.plan = started.elapsed().as_secs_f64();
    let folded = job.fold(schedule, runtime, report, |report| metrics.progress(report));
    report.bytes_read = job.source.bytes();
    report.peak_rss_bytes = peak_rss_bytes();
    report.cpu_seconds = cpu_seconds();
    report.seconds.total = started.elapsed().as_secs_f64();
    folded?;
    match &config.run.report {
        Some(path) => report.write(path),
        None => Ok(()),
    }
}

/// `daysum plan`: what a run would read and replace.
pub(crate) fn plan(common: &Common, args: &RunArgs) -> Result<String> {
    let (config, runtime) = (load(common, args)?, runtime()?);
    let mut job = runtime.block_on(Job::prepare(&config, args, Purpose::Look))?;
    let mut report = job.report(&config);
    let schedule = runtime.block_on(job.plan(&mut report, Purpose::Look))?;
    let units = schedule.units();
    let (rows, bytes) =
        units.iter().fold((0, 0), |sum, unit| (sum.0 + unit.row_group.rows, sum.1 + unit.row_group.bytes));
    let days: BTreeSet<Day> =
        schedule.inputs().into_keys().filter(|day| !schedule.held().contains(day)).collect();
    let listed = |days: &BTreeSet<Day>| days.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let mut lines = vec![
        format!(
            "read       {} row groups, {rows} rows, {bytes} bytes, of {} objects",
            units.len(),
            report.objects
        ),
        format!("replace    {} days  {}", days.len(), listed(&days)),
        format!("unchanged  {} days  {}", report.days_unchanged.len(), listed(&report.days_unchanged)),
        format!("held back  {} days  {}", report.days_held.len(), listed(&report.days_held)),
    ];
    lines.extend(report.quarantined.iter().map(|bad| format!("unreadable {}", bad.reason)));
    Ok(lines.join("\n"))
}

/// `daysum diff` and `daysum verify`: computes every day again and compares it with the database. The code is
/// 1 where anything differs, 3 where a day could not be computed.
pub(crate) fn compare(common: &Common, args: &RunArgs, show_rows: bool) -> Result<(String, u8)> {
    let (config, runtime) = (load(common, args)?, runtime()?);
    let mut job = runtime.block_on(Job::prepare(&config, args, Purpose::Look))?;
    if !matches!(job.output, Output::Comparison { .. }) {
        return Err(wrong("diff and verify compare with a database: give --database URL and no --output"));
    }
    let mut report = job.report(&config);
    job.force = true;
    let schedule = runtime.block_on(job.plan(&mut report, Purpose::Look))?;
    job.fold(schedule, &runtime, &mut report, |_| {})?;
    let Output::Comparison { differences, .. } = &mut job.output else {
        return Err(wrong("diff and verify compare with a database"));
    };
    differences.sort_by_key(|(day, _)| *day);
    let mut lines = Vec::new();
    for (day, diff) in differences.iter() {
        let (added, removed, changed) = (diff.added.len(), diff.removed.len(), diff.changed.len());
        lines.push(format!(
            "{day}  {} same, {added} added, {removed} removed, {changed} changed",
            diff.unchanged
        ));
        if show_rows && !diff.is_empty() {
            lines.push(serde_json::to_string_pretty(diff).expect("names and numbers are JSON"));
        }
    }
    lines.extend(report.quarantined.iter().map(|bad| format!("unreadable {}", bad.reason)));
    let differs = differences.iter().any(|(_, diff)| !diff.is_empty());
    let code = if differs {
        1
    } else if report.days_held.is_empty() {
        0
    } else {
        3
    };
    Ok((lines.join("\n"), code))
}

fn load(common: &Common, args: &RunArgs) -> Result<Config> {
    let mut settings = args.selection.settings();
    settings.extend([
        ("run.input", args.input.clone()),
        ("run.lookups", args.lookups.as_ref().map(|path| path.display().to_string())),
        ("run.output", args.output.clone()),
        ("run.format", args.format.clone()),
        ("run.mode", args.mode.clone()),
        ("run.threads", args.threads.map(|threads| threads.to_string())),
        ("run.memory_limit", args.memory_limit.clone()),
        ("run.report", args.report.clone()),
        ("metrics.textfile", args.metrics_file.clone()),
        ("metrics.listen", args.metrics_listen.clone()),
        ("postgresql.registry", args.registry.then(|| "true".to_owned())),
    ]);
    let (config, notes) = common.load(&settings)?;
    for note in notes {
        tracing::warn!("{note}");
    }
    Ok(config)
}

/// Everything that a run holds on to.
struct Job {
    source: Arc<Counting<Arc<dyn Source>>>,
    lookups: Lookups,
    fold: Arc<FoldConfig>,
    policy: Policy,
    output: Output,
    options: Options,
    reads: usize,
    run: RunId,
    /// Days that the ledger has rows of.
    published: BTreeSet<Day>,
    force: bool,
    since: Option<Day>,
    /// Whether the registry is written before the summary.
    registry: bool,
    /// Whether neither a lookups file nor a flag names the roles.
    roles_from_database: bool,
    /// What this run sees, as the next one will want to know it.
    seen: Option<Seen>,
    /// Keys of objects whose footer could be read.
    readable: BTreeSet<String>,
}

impl Job {
    async fn prepare(config: &Config, args: &RunArgs, purpose: Purpose) -> Result<Self> {
        let database = config.postgresql.connection()?;
        let mut lookups = lookups_of(config, &args.selection, database.clone()).await?;
        let fold =
            FoldConfig::new(&lookups, FoldOptions { on_malformed_labels: config.policy.malformed_labels })?;
        let input =
            config.run.input.as_ref().ok_or_else(|| wrong("no input: give a directory or s3:// address"))?;
        let source = open(input.expose(), config)?;
        let output = match (&config.run.output, database) {
            (Some(_), _) if args.registry => {
                return Err(wrong(
                    "--registry writes tables of a database: give --database URL and no --output",
                ));
            }
            (Some(output), _) => {
                let place = Place::open(output.expose(), &config.s3.store())?;
                Output::files(place, config.run.format.parse()?)
            }
            (None, Some(database)) => {
                let schema = tenant(lookups.schema.as_deref())?;
                match purpose {
                    Purpose::Publish => {
                        ensure_period(&mut lookups, &fold, &database, &schema).await?;
                        Output::database(database, schema)
                    }
                    Purpose::Look => Output::comparison(database, schema),
                }
            }
            (None, None) => return Err(wrong("no output: give --output DIR or --database URL")),
        };
        let threads = config.run.threads.and_then(NonZeroUsize::new);
        let limit = config.run.memory_limit.unwrap_or(256 << 20);
        Ok(Self {
            source: Arc::new(Counting::new(source)),
            policy: Policy::new(&lookups, PolicyOptions::default())?,
            fold: Arc::new(fold),
            lookups,
            output,
            options: Options {
                threads: threads
                    .or_else(|| std::thread::available_parallelism().ok())
                    .unwrap_or(NonZeroUsize::MIN),
                in_flight: limit / 4,
                in_memory: config.run.in_memory,
                skip_unreadable: config.policy.bad_file == OnBad::SkipAndReport,
            },
            reads: config.run.reads.unwrap_or(16),
            run: RunId(uuid::Uuid::new_v4().to_string()),
            published: BTreeSet::new(),
            force: args.force,
            since: args.since,
            registry: config.postgresql.registry,
            roles_from_database: config.run.lookups.is_none() && !args.selection.names_nodes(),
            seen: None,
            readable: BTreeSet::new(),
        })
    }

    fn report(&self, config: &Config) -> Report {
        Report {
            daysum_version: env!("CARGO_PKG_VERSION"),
            run: self.run.0.clone(),
            source: self.lookups.source_uuid.to_lowercase(),
            mode: if config.run.in_memory { "in-memory" } else { "streaming" },
            threads: self.options.threads.get(),
            ..Report::default()
        }
    }

    fn fingerprint(&self) -> String {
        // A database whose registry is not written yet is no finished work.
        let registry = if self.registry { "-registry" } else { "" };
        format!("{}-{}{registry}", self.fold.fingerprint(), self.policy.fingerprint())
    }

    fn source_uuid(&self) -> String {
        self.lookups.source_uuid.to_lowercase()
    }

    fn is_asked(&self, day: Day) -> bool {
        self.since.is_none_or(|since| day >= since)
    }

    /// Lists, reads footers, and leaves out what is published already.
    async fn plan(&mut self, report: &mut Report, purpose: Purpose) -> Result<Schedule> {
        let objects = drive::list(&*self.source, &ListRequest::default(), &self.lookups).await?;
        let (first, last) = self.fold.range();
        let published = self.output.published(&self.source_uuid(), first, last).await?;
        self.published = published.iter().map(|day| day.scope.day).collect();
        report.objects = objects.len() as u64;
        let mut seen = Seen::new(&self.fingerprint(), env!("CARGO_PKG_VERSION"), &objects);
        if let Some(days) = self.nothing_new(&seen, &published).await? {
            tracing::info!(objects = report.objects, days_kept = days.len(), "nothing is new");
            report.days_unchanged = days.into_iter().filter(|day| self.is_asked(*day)).collect();
            return Ok(Schedule::new(Plan::default(), self.fold.clone()));
        }
        let mut plan = self.footers(objects.clone()).await?;
        if self.registry && purpose == Purpose::Publish {
            self.write_registry(&plan).await?;
            seen = Seen::new(&self.fingerprint(), env!("CARGO_PKG_VERSION"), &objects);
        }
        self.seen = Some(seen);
        self.readable = plan.objects.iter().map(|object| object.meta.key.clone()).collect();
        plan.unreadable.retain(|bad| bad.days.is_none_or(|(_, last)| self.is_asked(last)));
        for bad in &plan.unreadable {
            let days = bad.days.unwrap_or((first, last));
            tracing::warn!(day = %days.0, last_day = %days.1, error = %bad.error, "unreadable");
            let entry = entry(&bad.error, Some(&bad.meta), Some(days), &self.lookups, &self.run);
            if purpose == Purpose::Publish {
                self.output.quarantine(&entry).await?;
            }
            report.quarantined.push(quarantined(&bad.error, Some(&bad.meta), None, Some(days)));
        }
        if self.options.skip_unreadable {
            plan.unreadable.clear(); // told above; they hold nothing back
        }
        let mut schedule = Schedule::new(plan, self.fold.clone());
        report.days_held.extend(schedule.held().iter().filter(|day| self.is_asked(**day)));
        let inputs = schedule.inputs();
        let unchanged = self.unchanged(&published, &inputs);
        let unchanged: BTreeSet<Day> = unchanged.difference(schedule.held()).copied().collect();
        schedule.skip(&unchanged);
        schedule.skip(&inputs.into_keys().filter(|day| !self.is_asked(*day)).collect());
        report.days_unchanged = unchanged.into_iter().filter(|day| self.is_asked(*day)).collect();
        tracing::info!(
            objects = report.objects,
            row_groups = schedule.units().len(),
            days_kept = report.days_unchanged.len(),
            days_held = report.days_held.len(),
            "planned"
        );
        Ok(schedule)
    }

    /// Brings the registry up to date, and takes the roles from it that it has now.
    async fn write_registry(&mut self, plan: &Plan) -> Result<()> {
        let cluster = Cluster {
            source_uuid: self.source_uuid(),
            cluster_id: self.lookups.cluster_id.clone(),
            cluster_alias: self.lookups.cluster_alias.clone(),
        };
        let registry = registry::read(&*self.source, &plan.objects, self.fold.range(), cluster).await?;
        let Some(changes) = self.output.write_registry(&registry).await? else { return Ok(()) };
        tracing::info!(nodes = registry.nodes.len(), ?changes, "wrote the registry");
        if self.roles_from_database {
            let month = self.fold.range().0.month();
            self.lookups.nodes = self.output.nodes(&self.source_uuid(), month).await?;
            self.policy = Policy::new(&self.lookups, PolicyOptions::default())?;
        }
        Ok(())
    }

    /// The published days, where the last complete run saw what this one sees.
    async fn nothing_new(&mut self, seen: &Seen, published: &[Published]) -> Result<Option<BTreeSet<Day>>> {
        if self.force {
            return Ok(None);
        }
        let (first, last) = self.fold.range();
        let before = self.output.seen(&self.source_uuid(), first, last).await?;
        Ok(before.and_then(|before| before.nothing_new(seen, published)))
    }

    /// The days whose rows were computed by this version and configuration, from these very inputs.
    fn unchanged(&self, published: &[Published], inputs: &BTreeMap<Day, Vec<InputObject>>) -> BTreeSet<Day> {
        let fingerprint = self.fingerprint();
        published
            .iter()
            .filter(|_| !self.force)
            .filter(|day| {
                day.scope.fingerprint == fingerprint && day.daysum_version == env!("CARGO_PKG_VERSION")
            })
            .filter(|day| inputs.get(&day.scope.day) == Some(&day.scope.inputs))
            .map(|day| day.scope.day)
            .collect()
    }

    async fn footers(&self, objects: Vec<ObjectMeta>) -> Result<Plan> {
        let mut read = futures::stream::iter(objects)
            .map(|object| async {
                let footer = drive::read_footer(&*self.source, &object).await;
                (object, footer)
            })
            .buffered(self.reads);
        let mut files = Vec::new();
        while let Some((object, footer)) = read.next().await {
            match footer {
                Err(error) if error.is_retryable() => return Err(error),
                footer => files.push((object, footer)),
            }
        }
        drive::plan(files, &self.lookups)
    }

    /// Folds and publishes; `show` sees the report after every step.
    fn fold(
        &mut self,
        mut schedule: Schedule,
        runtime: &Runtime,
        report: &mut Report,
        show: impl Fn(&Report),
    ) -> Result<()> {
        let inputs = schedule.inputs();
        let fingerprint = self.fingerprint();
        let bar = progress(schedule.units().iter().map(|unit| unit.row_group.rows).sum());
        let Self { source, output, lookups, policy, fold, options, run, published, .. } = self;
        let outcome =
            engine::run(source.clone(), &mut schedule, fold, policy, options, runtime.handle(), |event| {
                match event {
                    Event::Folded { rows } => {
                        bar.inc(rows);
                        report.rows_folded += rows;
                    }
                    Event::Day(day) if day.rows.num_rows() == 0 && !output.may_hold(day.day, published) => {}
                    Event::Day(day) => {
                        let started = Instant::now();
                        let scope = WriteScope {
                            source_uuid: lookups.source_uuid.to_lowercase(),
                            report_period_id: lookups.report_period_id,
                            day: day.day,
                            inputs: inputs.get(&day.day).cloned().unwrap_or_default(),
                            fingerprint: fingerprint.clone(),
                            run: run.clone(),
                        };
                        match runtime.block_on(output.publish(&scope, &day)) {
                            Ok(receipt) => {
                                let (rows, rewritten) = (receipt.rows, !receipt.unchanged);
                                tracing::info!(day = %day.day, rows, rewritten, "published");
                                report.add_day(&day, &receipt);
                            }
                            Err(error) if error.is_retryable() => return Err(error),
                            Err(error) => {
                                let rejected =
                                    Rejected { unit: None, days: (day.day, day.day), held: true, error };
                                reject(rejected, report, output, lookups, fold, run, runtime)?;
                            }
                        }
                        report.seconds.write += started.elapsed().as_secs_f64();
                    }
                    Event::Rejected(rejected) => {
                        reject(rejected, report, output, lookups, fold, run, runtime)?
                    }
                }
                report.bytes_read = source.bytes();
                show(report);
                Ok(())
            });
        bar.finish_and_clear();
        let outcome = outcome?;
        report.seconds.fold = outcome.fold.as_secs_f64();
        report.seconds.finalise = outcome.finalise.as_secs_f64();
        report.add_counts(&outcome.counts)?;
        runtime.block_on(self.forget_recovered(report, &inputs))?;
        runtime.block_on(self.remember(report, &inputs));
        Ok(())
    }

    /// Takes out of the quarantine what this run has read in full: neither bad again, nor of a day that was skipped.
    async fn forget_recovered(
        &mut self,
        report: &Report,
        inputs: &BTreeMap<Day, Vec<InputObject>>,
    ) -> Result<()> {
        let bad = report.quarantined.iter().filter_map(|bad| bad.object.as_deref());
        let skipped = inputs
            .iter()
            .filter(|(day, _)| report.days_unchanged.contains(day) || !self.is_asked(**day))
            .flat_map(|(_, inputs)| inputs.iter().map(|input| input.key.as_str()));
        let unread: BTreeSet<&str> = bad.chain(skipped).collect();
        let mut read: BTreeSet<&str> =
            self.readable.iter().map(String::as_str).filter(|key| !unread.contains(key)).collect();
        if report.days_held.is_empty() && self.since.is_none() {
            read.insert(""); // a day that could not be finished has no object
        }
        self.output.recovered(&self.lookups.source_uuid.to_lowercase(), &read).await
    }

    /// Tells the next run what this one saw, where nothing was held back, left out or not asked for.
    async fn remember(&mut self, report: &Report, inputs: &BTreeMap<Day, Vec<InputObject>>) {
        let Some(mut seen) = self.seen.take() else { return };
        if !report.days_held.is_empty() || !report.quarantined.is_empty() || self.since.is_some() {
            return;
        }
        for (day, inputs) in inputs {
            if report.days.contains(day) || report.days_unchanged.contains(day) {
                seen.add_day(*day, inputs);
            }
        }
        let (first, last) = self.fold.range();
        if let Err(error) = self.output.remember(&self.source_uuid(), first, last, &seen).await {
            tracing::warn!(%error, "the next run will read all footers again");
        }
    }
}

fn reject(
    rejected: Rejected,
    report: &mut Report,
    output: &mut Output,
    lookups: &Lookups,
    fold: &FoldConfig,
    run: &RunId,
    runtime: &Runtime,
) -> Result<()> {
    let Rejected { unit, days, held, error } = rejected;
    let object = unit.as_ref().map(|unit| &unit.object.meta);
    let rows = unit.as_ref().map_or(0, |unit| unit.row_group.rows);
    report.rows_in += rows;
    report.rows_quarantined += rows;
    if held {
        report.days_held.extend(days.0.through(days.1).filter(|day| fold.wants(*day)));
    }
    let row_group = unit.as_ref().map(|unit| unit.row_group.index);
    tracing::warn!(day = %days.0, last_day = %days.1, held, %error, "left out");
    report.quarantined.push(quarantined(&error, object, row_group, Some(days)));
    runtime.block_on(output.quarantine(&entry(&error, object, Some(days), lookups, run)))
}

fn quarantined(
    error: &Error,
    object: Option<&ObjectMeta>,
    row_group: Option<u32>,
    days: Option<(Day, Day)>,
) -> Quarantined {
    Quarantined {
        object: object.map(|object| object.key.clone()),
        row_group,
        code: error.code(),
        reason: error.to_string(),
        first_day: days.map(|days| days.0),
        last_day: days.map(|days| days.1),
    }
}

fn entry(
    error: &Error,
    object: Option<&ObjectMeta>,
    days: Option<(Day, Day)>,
    lookups: &Lookups,
    run: &RunId,
) -> QuarantineEntry {
    let days = days.map(|(first, last)| first.through(last).collect());
    QuarantineEntry {
        source_uuid: lookups.source_uuid.to_lowercase(),
        object: object.map(|object| object.key.clone()).unwrap_or_default(),
        version: object.and_then(|object| object.version.clone()),
        code: error.code().to_owned(),
        reason: error.to_string(),
        days: days.unwrap_or_default(),
        run: run.0.clone(),
    }
}

/// The lookups file, or what the database answers, or nothing: then flags and settings must say it all.
pub(crate) async fn lookups_of(
    config: &Config,
    selection: &Selection,
    database: Option<daysum_io_postgres::PostgresConfig>,
) -> Result<Lookups> {
    let mut lookups = match (&config.run.lookups, database) {
        (Some(path), _) => {
            let json = std::fs::read(path)
                .map_err(|error| wrong(&format!("cannot read the lookups {}: {error}", path.display())))?;
            Lookups::from_json(&json)?
        }
        (None, Some(database)) => {
            let mut asked = Lookups::default();
            config.complete(&mut asked);
            let schema = tenant(asked.schema.as_deref())?;
            let (first, last) = asked.range()?;
            if first.month() != last.month() {
                return Err(wrong("a report period is one month: give --month, or a range within a month"));
            }
            let mut answered =
                Database::new(database, schema).lookups(&asked.source_uuid, first.month()).await?;
            answered.schema = asked.schema;
            answered
        }
        (None, None) => Lookups { storage_exists: true, ..Lookups::default() },
    };
    config.complete(&mut lookups);
    selection.complete(&mut lookups);
    for key in lookups.unknown.keys() {
        tracing::warn!("lookups: {key:?} is not known and has no effect");
    }
    Ok(lookups)
}

/// Rows of a database belong to a report period. koku makes it; without koku the cluster's name is enough.
async fn ensure_period(
    lookups: &mut Lookups,
    fold: &FoldConfig,
    database: &daysum_io_postgres::PostgresConfig,
    schema: &Schema,
) -> Result<()> {
    if lookups.report_period_id.is_some() {
        return Ok(());
    }
    let month = fold.range().0.month();
    if lookups.cluster_id.is_empty() {
        return Err(wrong(&format!(
            "{} has no report period for source {} and {month}: koku makes it; without koku give --cluster-id",
            schema.name(),
            lookups.source_uuid
        )));
    }
    let (cluster, alias) = (lookups.cluster_id.clone(), lookups.cluster_alias.clone());
    let mut database = Database::new(database.clone(), schema.clone());
    let id = database.ensure_report_period(&lookups.source_uuid, month, &cluster, &alias).await?;
    lookups.report_period_id = Some(id);
    Ok(())
}

/// A directory is read without the detour over a runtime; everything else is an object store.
pub(crate) fn open(input: &str, config: &Config) -> Result<Arc<dyn Source>> {
    if input.contains("://") {
        let place = Place::open(input, &config.s3.store())?;
        let source = ObjectStoreSource::new(place);
        return Ok(Arc::new(if config.policy.dedupe { source.with_metadata() } else { source }));
    }
    Ok(Arc::new(LocalSource::new(input)?))
}

pub(crate) fn runtime() -> Result<Runtime> {
    Runtime::new()
        .map_err(|error| Error::port("runtime", "start threads for reading and writing", false, error))
}

/// The schema of the tenant, which nobody may leave out.
pub(crate) fn tenant(schema: Option<&str>) -> Result<Schema> {
    Schema::new(schema.ok_or_else(|| wrong("no schema: give --schema, such as org1234567"))?)
}

pub(crate) fn wrong(reason: &str) -> Error {
    Error::Config { reason: reason.to_owned() }
}

fn progress(rows: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} rows  {per_sec}  {eta} left")
        .expect("the template is sound");
    BARS.add(ProgressBar::new(rows).with_style(style)) // draws on a terminal only
}
