//! What commands need before they can start: lookups, an input, a tenant, a runtime.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use daysum::config::{Address, Config};
use daysum_core::drive::Plan;
use daysum_core::port::Source;
use daysum_core::schema::FactKind;
use daysum_core::{Error, FoldConfig, Lookups, Month, Result};
use daysum_io_postgres::{Database, PostgresConfig, Schema};
use daysum_io_s3::{LocalSource, Missing, ObjectStoreSource, Place};
use tokio::runtime::Runtime;
use url::Url;

use crate::args::Selection;

/// The lookups file, or what the database answers, or nothing: then flags and settings must say it all. A database that is
/// not needed is not looked at: somebody else's DATABASE_URL does no harm.
pub(crate) async fn lookups_of(config: &Config, selection: &Selection) -> Result<Lookups> {
    let mut lookups = match &config.run.lookups {
        Some(path) => read_lookups(path)?,
        None => match config.postgresql.connection()? {
            Some(database) => answered_by(database, config).await?,
            None => Lookups::default(),
        },
    };
    let (month, period) = (month_of(&lookups), lookups.report_period_id);
    complete(config, &mut lookups);
    selection.complete(&mut lookups);
    if month.zip(month_of(&lookups)).is_some_and(|(theirs, asked)| theirs != asked)
        && !config.is_flag("ocp.report_period_id")
        && period.is_some()
    {
        tracing::warn!(
            "the lookups are of another month than the one asked for, and so is their report period: it is not used"
        );
        lookups.report_period_id = None;
    }
    // However it is written, it is one source: in rows, in the ledger, in what tells whether a day is up to date.
    lookups.source_uuid = lookups.source_uuid.to_lowercase();
    for key in lookups.unknown.keys() {
        tracing::warn!("lookups: {key:?} is not known and has no effect");
    }
    Ok(lookups)
}

/// The month of the first day.
fn month_of(lookups: &Lookups) -> Option<Month> {
    lookups.range().ok().map(|(first, _)| first.month())
}

/// Completes lookups by the settings. Where both say something, and not the same, it is told.
pub(crate) fn complete(config: &Config, lookups: &mut Lookups) {
    for key in config.complete(lookups) {
        tracing::warn!("{key} says otherwise than the lookups, which count; a flag overrides them");
    }
}

pub(crate) fn read_lookups(path: &Path) -> Result<Lookups> {
    let json = std::fs::read(path)
        .map_err(|error| Error::config(format!("cannot read the lookups {}: {error}", path.display())))?;
    Lookups::from_json(&json).map_err(|error| error.of(path.display()))
}

/// What koku's tables say of the source and the month of the settings.
async fn answered_by(database: PostgresConfig, config: &Config) -> Result<Lookups> {
    let mut asked = Lookups::default();
    complete(config, &mut asked);
    let schema = tenant(asked.schema.as_deref())?;
    require_source(&asked)?;
    let (first, last) = asked.range()?;
    if first.month() != last.month() {
        return Err(Error::config("a report period is one month: give --month, or a range within a month"));
    }
    let answered = Database::new(database, schema).lookups(&asked.source_uuid, first.month()).await?;
    Ok(Lookups { schema: asked.schema, ..answered })
}

/// Rows belong to a source.
pub(crate) fn require_source(lookups: &Lookups) -> Result<()> {
    if lookups.source_uuid.is_empty() {
        return Err(Error::config("no source: give --source UUID, or source_uuid in the lookups"));
    }
    Ok(())
}

/// Rows of a database belong to a report period. koku makes it; without koku the cluster's name is enough.
pub(crate) async fn ensure_period(
    lookups: &mut Lookups,
    fold: &FoldConfig,
    database: &PostgresConfig,
    schema: &Schema,
) -> Result<()> {
    let mut database = Database::new(database.clone(), schema.clone());
    // Once, and not for each of its days.
    database.require_fit().await?;
    if let Some(id) = lookups.report_period_id {
        let owner = database.owner_of_report_period(id).await?;
        if let Some(owner) = owner.filter(|owner| !owner.eq_ignore_ascii_case(&lookups.source_uuid)) {
            tracing::warn!(
                id,
                owner,
                "the report period is another source's; where that has rows, days are held back"
            );
        }
        return Ok(());
    }
    let month = fold.range().0.month();
    if lookups.cluster_id.is_empty() {
        return Err(Error::config(format!(
            "{} has no report period for source {} and {month}: koku makes it; without koku give --cluster-id",
            schema.name(),
            lookups.source_uuid
        )));
    }
    let (cluster, alias) = (lookups.cluster_id.clone(), lookups.cluster_alias.clone());
    let id = database.ensure_report_period(&lookups.source_uuid, month, &cluster, &alias).await?;
    lookups.report_period_id = Some(id);
    Ok(())
}

/// A directory is read without the detour over a runtime; everything else is an object store.
pub(crate) fn open(input: &str, config: &Config) -> Result<Arc<dyn Source>> {
    if input.contains("://") {
        let place = Place::open(input, &config.s3.store(), Missing::Refuse).map_err(as_the("input"))?;
        let source = ObjectStoreSource::new(place);
        return Ok(Arc::new(if config.policy.dedupe { source.with_metadata() } else { source }));
    }
    Ok(Arc::new(LocalSource::new(input).map_err(as_the("input"))?))
}

/// Says of a place that is refused what it was to be.
pub(crate) fn as_the(role: &'static str) -> impl Fn(Error) -> Error {
    move |error| error.of(format_args!("the {role}"))
}

/// Where in the input the output lies, as a prefix of keys: what a run has written there is none of the input.
pub(crate) fn output_within(input: &Address, output: &Address) -> Result<Option<String>> {
    let (Some(from), Some(to)) = (folder(input.expose()), folder(output.expose())) else { return Ok(None) };
    match to.strip_prefix(&from) {
        Ok(inside) if inside.as_os_str().is_empty() => {
            Err(Error::config(format!("the output {output} is the input: give another directory")))
        }
        Ok(inside) => Ok(Some(format!("{}/", inside.display()))),
        Err(_) => Ok(None),
    }
}

/// An address in a form in which that of a folder is the start of what lies in it.
fn folder(address: &str) -> Option<PathBuf> {
    if let Some(folder) = daysum_io_s3::folder(address).ok()? {
        return Some(folder.into());
    }
    let directory = match Url::parse(address).ok().filter(|url| url.scheme() == "file") {
        None => std::path::absolute(address).ok()?,
        Some(url) => url.to_file_path().ok()?,
    };
    // What is not there yet has no links in it.
    let there = directory.ancestors().find(|ancestor| ancestor.exists())?;
    Some(there.canonicalize().ok()?.join(directory.strip_prefix(there).ok()?))
}

/// A file of this machine, where an address would be taken for one.
pub(crate) fn local(path: &Path) -> Result<&Path> {
    if path.to_string_lossy().contains("://") {
        return Err(Error::config(format!(
            "{}: only a file of this machine can be given here",
            path.display()
        )));
    }
    Ok(path)
}

/// Tells which columns read as NULL; their names.
pub(crate) fn warn_of_missing_columns(plan: &Plan) -> BTreeSet<&'static str> {
    let missing = plan.missing_columns();
    for (columns, files) in &missing {
        let (columns, first) = (columns.join(", "), files[0]);
        tracing::warn!(columns, files = files.len(), first, "columns are missing and read as NULL");
    }
    missing.into_keys().flatten().collect()
}

/// Tells of objects that seem to be there twice; the keys of the copies.
pub(crate) fn warn_of_copies(plan: &Plan) -> Vec<String> {
    let alike = plan.alike();
    if let Some([first, copy]) = alike.first() {
        tracing::warn!(
            objects = alike.len(),
            first,
            copy,
            "objects seem to be there twice: their rows count twice"
        );
    }
    alike.into_iter().map(|[_, copy]| copy.to_owned()).collect()
}

/// Tells where nothing says what nodes can do: daily files do not (SPEC 2.4), and hourly ones are not there.
pub(crate) fn warn_of_missing_capacity(plan: &Plan) {
    let has = |kinds: &[FactKind]| plan.objects.iter().any(|object| kinds.contains(&object.kind));
    if has(&[FactKind::PodDaily]) && !has(&[FactKind::PodHourly, FactKind::PodCapacity]) {
        tracing::warn!(
            "there are no hourly pod files: node and cluster capacity is 0, and unallocated capacity negative"
        );
    }
}

pub(crate) fn runtime() -> Result<Runtime> {
    Runtime::new()
        .map_err(|error| Error::port("runtime", "start threads for reading and writing", false, error))
}

/// The schema of the tenant, which nobody may leave out.
pub(crate) fn tenant(schema: Option<&str>) -> Result<Schema> {
    Schema::new(schema.ok_or_else(|| Error::config("no schema: give --schema, such as org1234567"))?)
}
