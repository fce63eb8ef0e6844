//! One run: what it holds on to, and how it finds out what is to be done.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use daysum::config::{Address, Config, OnBad};
use daysum::counting::Counting;
use daysum::engine::{Options, is_bad_file};
use daysum::memory::{self, Shares};
use daysum::spill::SpillFiles;
use daysum_core::decode::Layouts;
use daysum_core::drive::{self, KeyFacts, Plan, Schedule, Seen, UnreadableObject};
use daysum_core::port::{InputObject, ListRequest, ObjectMeta, Published, RunId, Source, SpillStore};
use daysum_core::{Day, Error, FoldConfig, Lookups, Policy, Result};
use daysum_io_postgres::Cluster;
use daysum_io_s3::{Missing, Place};
use futures::{StreamExt, TryStreamExt};

use crate::output::Output;
use crate::publish::{entry, quarantined};
use crate::registry;
use crate::report::Report;
use crate::run::{ReadArgs, TargetArgs};
use crate::setup::{
    as_the, ensure_period, lookups_of, open, output_within, require_source, tenant, warn_of_copies,
    warn_of_missing_capacity, warn_of_missing_columns,
};

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Days are replaced.
    Publish,
    /// Nothing is written.
    Look,
}

/// Everything that a run holds on to.
pub(crate) struct Job {
    pub(crate) source: Arc<Counting<Arc<dyn Source>>>,
    pub(crate) lookups: Lookups,
    pub(crate) fold: Arc<FoldConfig>,
    pub(crate) policy: Policy,
    /// Where the output lies in the input: keys that start so are never read.
    own: Option<String>,
    pub(crate) output: Output,
    pub(crate) options: Options,
    /// Threads that fold where the limit lets them.
    threads: NonZeroUsize,
    /// Bytes of memory that the run may take.
    pub(crate) limit: u64,
    pub(crate) reads: usize,
    pub(crate) run: RunId,
    /// Days that the ledger knows, and the run that wrote them.
    pub(crate) published: BTreeMap<Day, RunId>,
    /// Those of them with rows.
    pub(crate) filled: BTreeSet<Day>,
    pub(crate) force: bool,
    pub(crate) since: Option<Day>,
    /// Whether published days without any object are emptied.
    pub(crate) prune: bool,
    /// Whether the registry is written before the summary.
    pub(crate) registry: bool,
    /// Whether neither a lookups file nor a flag names the roles.
    pub(crate) roles_from_database: bool,
    /// What this run sees, as the next one will want to know it.
    pub(crate) seen: Option<Seen>,
    /// Keys of the listed objects, and whether their footer could be read.
    pub(crate) listed: BTreeMap<Arc<str>, bool>,
}

impl Job {
    pub(crate) async fn prepare(
        config: &Config,
        reading: &ReadArgs,
        target: &TargetArgs,
        purpose: Purpose,
    ) -> Result<Self> {
        // Somebody else's DATABASE_URL is none of a run's into files.
        let database = if config.run.output.is_some() { None } else { config.postgresql.connection()? };
        let mut lookups = lookups_of(config, &reading.selection).await?;
        let fold = FoldConfig::new(&lookups, config.policy.fold)?;
        require_source(&lookups)?;
        let (first, last) = fold.range();
        if first.month() != last.month() && database.is_some() {
            return Err(Error::config(
                "rows of a database belong to a report period, which is one month: give --month, or a range within a month",
            ));
        }
        if config.run.output.is_some() && config.run.lookups.is_some() && config.is_flag("postgresql.url") {
            tracing::warn!("--database has no effect: rows go to the output, and the lookups are a file");
        }
        let input =
            config.input().ok_or_else(|| Error::config("no input: give a directory or s3:// address"))?;
        let source = open(input.expose(), config)?;
        let (output, own) = match &config.run.output {
            Some(_) if target.registry => {
                return Err(Error::config(
                    "--registry writes tables of a database: give --database URL and no --output",
                ));
            }
            Some(output) => {
                let own = output_within(&input, output)?;
                (files_of(config, output, purpose)?, own)
            }
            None => {
                let database = database
                    .ok_or_else(|| Error::config("no output: give --output DIR or --database URL"))?;
                let schema = tenant(lookups.schema.as_deref())?;
                if config.postgresql.schema.as_ref().is_some_and(|ours| ours != schema.name()) {
                    let theirs = schema.name();
                    return Err(Error::config(format!(
                        "the lookups are of schema {theirs}, and postgresql.schema is another: give --schema to say which"
                    )));
                }
                let output = match purpose {
                    Purpose::Publish => {
                        ensure_period(&mut lookups, &fold, &database, &schema).await?;
                        Output::database(database, schema, config.run.writers, target.force)
                    }
                    Purpose::Look => Output::comparison(database, schema),
                };
                (output, None)
            }
        };
        let threads = config.run.threads.and_then(NonZeroUsize::new);
        let threads =
            threads.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
        let limit = memory::fitted(config.run.memory_limit);
        memory::keep_within(limit);
        let shares = Shares::of(limit, 0, output.at_once);
        Ok(Self {
            source: Arc::new(Counting::new(source)),
            policy: Policy::new(&lookups, config.policy.finalise)?,
            fold: Arc::new(fold),
            lookups,
            own,
            output,
            options: Options {
                threads,
                shares,
                spill: spill_of(config),
                in_memory: config.run.in_memory,
                skip_unreadable: config.policy.bad_file == OnBad::SkipAndReport,
            },
            threads,
            limit,
            reads: config.run.reads,
            run: RunId(uuid::Uuid::new_v4().to_string()),
            published: BTreeMap::new(),
            filled: BTreeSet::new(),
            force: target.force,
            since: reading.since,
            prune: false,
            // Of files there is no registry, whatever the settings say.
            registry: config.postgresql.registry && config.run.output.is_none(),
            roles_from_database: config.run.lookups.is_none() && !reading.selection.names_nodes(),
            seen: None,
            listed: BTreeMap::new(),
        })
    }

    pub(crate) fn report(&self, config: &Config) -> Report {
        Report {
            daysum_version: env!("CARGO_PKG_VERSION"),
            run: self.run.0.clone(),
            source: self.lookups.source_uuid.clone(),
            mode: if config.run.in_memory { "in-memory" } else { "streaming" },
            threads: self.options.threads.get(),
            ..Report::default()
        }
    }

    /// What the rows of a day depend on beside its inputs, before what finishing them adds.
    pub(crate) fn folded_as(&self) -> String {
        // A database whose registry is not written yet is no finished work.
        let registry = if self.registry { "registry-" } else { "" };
        format!("{registry}{}-", self.fold.day_fingerprint())
    }

    /// Whether a published day with this fingerprint would get the same rows from the same inputs.
    fn holds(&self, fingerprint: &str) -> bool {
        fingerprint.strip_prefix(&self.folded_as()).is_some_and(|finished_as| self.policy.stands(finished_as))
    }

    pub(crate) fn is_asked(&self, day: Day) -> bool {
        self.since.is_none_or(|since| day >= since)
    }

    /// Those that are asked for, and were not published by this run before it listed again.
    fn kept(&self, days: BTreeSet<Day>, report: &Report) -> BTreeSet<Day> {
        days.into_iter().filter(|day| self.is_asked(*day) && !report.days.contains(day)).collect()
    }

    /// A day whose objects are all gone keeps its rows until somebody says `--prune`: an outage, or the end of a
    /// retention, looks the same.
    async fn see_to_orphaned(
        &mut self,
        published: &[Published],
        listed: &[ObjectMeta],
        has_objects: impl Fn(Day) -> bool,
        purpose: Purpose,
        report: &mut Report,
    ) -> Result<()> {
        // Objects that vanish while they are read are about to be replaced: after such a moment nothing is pruned.
        let prune = self.prune && purpose == Purpose::Publish && report.replans == 0;
        let orphaned = |entry: &&Published| {
            let day = entry.scope.day;
            entry.rows > 0 && !has_objects(day) && self.is_asked(day) && self.fold.wants(day)
        };
        let orphaned: Vec<&Published> = published.iter().filter(orphaned).collect();
        if prune && !orphaned.is_empty() {
            self.allow_pruning(published, listed)?;
        }
        for entry in orphaned {
            let day = entry.scope.day;
            let removed = if prune { self.output.ledger.remove_day(entry).await } else { Ok(None) };
            let removed = match removed {
                Ok(rows) => rows,
                Err(error) if error.is_retryable() => return Err(error),
                Err(error) => {
                    tracing::warn!(%day, %error, "not pruned");
                    report.days_held.insert(day);
                    continue;
                }
            };
            if let Some(rows) = removed {
                tracing::info!(%day, rows, "pruned: no object of this published day is there any more");
                report.days_pruned.insert(day);
                report.rows_deleted += rows;
            } else {
                report.orphan(day);
            }
        }
        Ok(())
    }

    /// Nothing is pruned by a listing that could be that of another place: it must hold an object that some published
    /// day was computed from.
    fn allow_pruning(&self, published: &[Published], listed: &[ObjectMeta]) -> Result<()> {
        let listed: BTreeSet<(&str, Option<&str>, u64)> =
            listed.iter().map(|object| (&*object.key, object.version.as_deref(), object.size)).collect();
        let mut inputs = published.iter().flat_map(|day| &day.scope.inputs);
        if self.force
            || inputs.any(|input| listed.contains(&(&input.key, input.version.as_deref(), input.size)))
        {
            return Ok(());
        }
        Err(Error::config(
            "--prune: the listing has no object that a published day was computed from, as in an outage or after a \
             slip in the address. Run without --prune first; add --force where those objects are gone for good",
        ))
    }

    /// The parts of the range that are planned and carried out one after the other, so that no more than a month's
    /// footers are held at once: its months, as far as every object is in one by its key.
    pub(crate) async fn parts(&self) -> Result<Vec<(Day, Day)>> {
        let (first, last) = self.fold.range();
        let mut months = Vec::new();
        let mut start = first;
        while start <= last {
            let end = start.month().last().min(last);
            months.push((start, end));
            start = end.next();
        }
        // What is pruned is decided by the listing of all.
        let whole = vec![(first, last)];
        if months.len() == 1 || self.options.in_memory || self.prune {
            return Ok(whole);
        }
        // Objects without a month are in the listing of any.
        let of_first = between(&self.lookups, months[0]);
        let listed = self.list(&of_first).await?;
        if let Some(object) = listed.iter().find(|object| KeyFacts::of(&object.key).partition.is_none()) {
            tracing::info!(object = &*object.key, "no month in this key: the range is carried out as one");
            return Ok(whole);
        }
        months.retain(|(_, last)| self.is_asked(*last));
        Ok(months)
    }

    /// From here on it is about these days.
    pub(crate) fn turn_to(&mut self, part: (Day, Day)) {
        self.lookups = between(&self.lookups, part);
        self.fold = Arc::new(self.fold.between(part.0, part.1));
    }

    async fn list(&self, lookups: &Lookups) -> Result<Vec<ObjectMeta>> {
        let mut listed = drive::list(&*self.source, &ListRequest::default(), lookups).await?;
        let Some(own) = &self.own else { return Ok(listed) };
        let below = listed.len();
        listed.retain(|object| !object.key.starts_with(own));
        if below > 0 && listed.is_empty() {
            let output = own.as_str();
            tracing::warn!(output, "every object of the input lies in the output, whose files are not read");
        }
        Ok(listed)
    }

    /// Of a run that found nothing: tells where Parquet lies in the input after all, of another source or of other months.
    pub(crate) async fn tell_of_others(&self) -> Result<()> {
        let all = ListRequest::default();
        let mut listed = self.source.list(&all);
        let is_own = |key: &str| self.own.as_ref().is_some_and(|own| key.starts_with(own));
        while let Some(object) = listed.try_next().await? {
            if object.key.ends_with(".parquet") && !is_own(&object.key) {
                let (object, source) = (&*object.key, &self.lookups.source_uuid);
                tracing::warn!(
                    object,
                    source,
                    "the input has Parquet files such as this one, and none of this source and range"
                );
                break;
            }
        }
        Ok(())
    }

    /// Lists, reads footers, and leaves out what is published already.
    pub(crate) async fn plan(&mut self, report: &mut Report, purpose: Purpose) -> Result<Schedule> {
        // What an earlier pass saw is not what this one sees.
        self.seen = None;
        let objects = self.list(&self.lookups).await?;
        let (first, last) = self.fold.range();
        let published = self.output.ledger.published(&self.lookups.source_uuid, first, last).await?;
        self.listed = objects.iter().map(|object| (object.key.clone(), false)).collect();
        self.published = published.iter().map(|day| (day.scope.day, day.scope.run.clone())).collect();
        self.filled = published.iter().filter(|day| day.rows > 0).map(|day| day.scope.day).collect();
        report.objects += objects.len() as u64;
        let mut seen = self.sees(&objects);
        if let Some(days) = self.nothing_new(&seen, &published).await? {
            tracing::info!(%first, %last, objects = objects.len(), days_kept = days.len(), "nothing is new");
            self.see_to_orphaned(&published, &objects, |day| days.contains(&day), purpose, report).await?;
            let kept = self.kept(days, report);
            report.days_unchanged.extend(kept);
            return Ok(Schedule::new(Plan::default(), self.fold.clone()));
        }
        let mut plan = self.footers(objects.clone()).await?;
        if self.registry && purpose == Purpose::Publish {
            self.write_registry(&plan).await?;
            seen = self.sees(&objects);
        }
        // Who only looks leaves nothing behind.
        self.seen = (purpose == Purpose::Publish).then_some(seen);
        self.listed.values_mut().for_each(|readable| *readable = true);
        self.listed.extend(plan.unreadable.iter().map(|bad| (bad.meta.key.clone(), false)));
        report.columns_missing.extend(warn_of_missing_columns(&plan));
        report.objects_alike.extend(warn_of_copies(&plan));
        warn_of_missing_capacity(&plan);
        plan.unreadable.retain(|bad| bad.days.is_none_or(|(_, last)| self.is_asked(last)));
        self.note_unreadable(&plan.unreadable, purpose, report).await?;
        // One that is left out is no word on days that it only could have had rows of.
        let skips = self.options.skip_unreadable;
        let counts = |bad: &&UnreadableObject| {
            !skips || !is_bad_file(&bad.error) || KeyFacts::of(&bad.meta.key).day.is_some()
        };
        let unreadable: Vec<(Day, Day)> =
            plan.unreadable.iter().filter(counts).map(|bad| bad.days.unwrap_or((first, last))).collect();
        if self.options.skip_unreadable {
            plan.unreadable.retain(|bad| !is_bad_file(&bad.error)); // told above; the others hold nothing back
        }
        let unread: BTreeSet<Arc<str>> = plan.unreadable.iter().map(|bad| bad.meta.key.clone()).collect();
        let mut schedule = Schedule::new(plan, self.fold.clone());
        // Its name may tell one day only; the ledger knows every day that it had rows of.
        let had_rows_of = |day: &&Published| day.scope.inputs.iter().any(|input| unread.contains(&input.key));
        let of_unread = published.iter().filter(had_rows_of).map(|entry| entry.scope.day);
        schedule.hold(of_unread.filter(|day| self.fold.wants(*day)));
        report.days_held.extend(schedule.held().iter().filter(|day| self.is_asked(**day)));
        let inputs = schedule.inputs();
        let has_objects = |day| {
            let unread = unreadable.iter().any(|(first, last)| (*first..=*last).contains(&day));
            inputs.contains_key(&day) || unread
        };
        self.see_to_orphaned(&published, &objects, has_objects, purpose, report).await?;
        let unchanged = self.unchanged(&published, &inputs);
        let unchanged: BTreeSet<Day> = unchanged.difference(schedule.held()).copied().collect();
        schedule.skip(&unchanged);
        schedule.skip(&inputs.into_keys().filter(|day| !self.is_asked(*day)).collect());
        let unchanged = self.kept(unchanged, report);
        let days_kept = unchanged.len();
        report.days_unchanged.extend(unchanged);
        self.share_memory(&schedule, report);
        tracing::info!(
            %first,
            %last,
            objects = objects.len(),
            row_groups = schedule.units().len(),
            days_kept,
            days_held = report.days_held.range(first..=last).count(),
            "planned"
        );
        Ok(schedule)
    }

    /// Tells of objects that cannot be read, and remembers them for those who ask later.
    async fn note_unreadable(
        &mut self,
        unreadable: &[UnreadableObject],
        purpose: Purpose,
        report: &mut Report,
    ) -> Result<()> {
        for bad in unreadable {
            let days = bad.days.unwrap_or(self.fold.range());
            tracing::warn!(day = %days.0, last_day = %days.1, error = %bad.error, "unreadable");
            // Of a month only the days that are asked for: the run that finds the object gone can answer for no others.
            let (asked, others): (Vec<Day>, Vec<Day>) =
                days.0.through(days.1).partition(|day| self.fold.wants(*day));
            let touched = if asked.is_empty() { others } else { asked };
            let entry = entry(&bad.error, Some(&bad.meta), touched, &self.lookups, &self.run);
            if purpose == Purpose::Publish {
                self.output.quarantine(&entry).await?;
            }
            report.quarantined.push(quarantined(&bad.error, Some(&bad.meta), None, Some(days)));
        }
        Ok(())
    }

    /// Divides the memory that the footers leave, and lets as many threads fold as have room beside each other.
    fn share_memory(&mut self, schedule: &Schedule, report: &mut Report) {
        self.options.shares = Shares::of(self.limit, schedule.footer_bytes(), self.output.at_once);
        if self.options.spill.is_some() {
            self.options.threads = self.threads.min(self.options.shares.threads());
            report.threads = self.options.threads.get();
        }
    }

    /// Brings the registry up to date, and takes the roles from it that it has now.
    async fn write_registry(&mut self, plan: &Plan) -> Result<()> {
        let Some(database) = self.output.database_mut() else { return Ok(()) };
        let cluster = Cluster {
            source_uuid: self.lookups.source_uuid.clone(),
            cluster_id: self.lookups.cluster_id.clone(),
            cluster_alias: self.lookups.cluster_alias.clone(),
        };
        let registry = registry::read(&*self.source, &plan.objects, self.fold.range(), cluster).await?;
        let changes = database.upsert_registry(&registry).await?;
        tracing::info!(nodes = registry.nodes.len(), ?changes, "wrote the registry");
        if self.roles_from_database {
            let month = self.fold.range().0.month();
            let answered = database.lookups(&self.lookups.source_uuid, month).await?;
            self.policy = self.policy.with_nodes(&answered.nodes);
        }
        Ok(())
    }

    fn sees(&self, objects: &[ObjectMeta]) -> Seen {
        let of_days = self.folded_as() + self.policy.fingerprint();
        Seen::new(self.fold.fingerprint(), &of_days, env!("CARGO_PKG_VERSION"), objects)
    }

    /// The published days, where the last complete run saw what this one sees.
    async fn nothing_new(&mut self, seen: &Seen, published: &[Published]) -> Result<Option<BTreeSet<Day>>> {
        if self.force {
            return Ok(None);
        }
        let (first, last) = self.fold.range();
        let before = self.output.seen(&self.lookups.source_uuid, first, last).await?;
        Ok(before.and_then(|before| before.nothing_new(seen, published, |of_day| self.holds(of_day))))
    }

    /// The days whose rows were computed by this version and configuration, from these very inputs.
    fn unchanged(&self, published: &[Published], inputs: &BTreeMap<Day, Vec<InputObject>>) -> BTreeSet<Day> {
        published
            .iter()
            .filter(|day| !self.force || day.scope.run == self.run)
            .filter(|day| {
                self.holds(&day.scope.fingerprint) && day.daysum_version == env!("CARGO_PKG_VERSION")
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
        let (mut files, mut layouts) = (Vec::new(), Layouts::default());
        while let Some((object, footer)) = read.next().await {
            match footer {
                Err(error) if error.is_retryable() => return Err(error),
                footer => files.push((object, footer.map(|footer| layouts.share(footer)))),
            }
        }
        drive::plan(files, &self.lookups)
    }
}

fn between(lookups: &Lookups, (first, last): (Day, Day)) -> Lookups {
    Lookups { start_date: Some(first.to_string()), end_date: Some(last.to_string()), ..lookups.clone() }
}

/// Files at this address. Who only looks makes no directory.
fn files_of(config: &Config, output: &Address, purpose: Purpose) -> Result<Output> {
    let missing = match purpose {
        Purpose::Publish => Missing::Make,
        Purpose::Look => Missing::Empty,
    };
    let place = Place::open(output.expose(), &config.s3.store(), missing).map_err(as_the("output"))?;
    Ok(Output::files(place, config.run.format.parse()?, config.run.writers))
}

/// In-memory mode holds everything: that is what it is for.
fn spill_of(config: &Config) -> Option<Arc<dyn SpillStore>> {
    let directory = config.run.spill_dir.clone().unwrap_or_else(std::env::temp_dir);
    (!config.run.in_memory).then(|| Arc::new(SpillFiles::new(directory)) as Arc<dyn SpillStore>)
}
