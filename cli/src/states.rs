//! `daysum fold`, `merge` and `finalise`: the run in parts, for Kubernetes Jobs, Celery or Spark.
//!
//! Each row group belongs into one state only; `merge` refuses two states that share one, and states that were
//! folded under different settings. Nothing is held back here: a part that cannot be read fails as a whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use daysum::config::Address;
use daysum_core::drive;
use daysum_core::port::{ListRequest, RunId, Sink, WriteScope};
use daysum_core::{Error, FoldConfig, PartialState, Policy, Result, RowCounts};
use daysum_io_s3::{Missing, ObjectStoreSink, Place};

use crate::args::{Common, Selection};
use crate::output::Writer;
use crate::replace::replace;
use crate::setup::{
    as_the, local, lookups_of, open, require_source, runtime, warn_of_copies, warn_of_missing_columns,
};

/// What to fold.
#[derive(Debug, Args)]
pub(crate) struct FoldArgs {
    /// Directory or s3://BUCKET/PREFIX with koku's tables or object keys.
    input: String,
    /// Fold only objects whose key contains this; repeat for more.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Lookups file (JSON); the same for all parts.
    #[arg(long, value_name = "FILE")]
    lookups: Option<PathBuf>,
    /// File that gets the state.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    selection: Selection,
}

/// What to merge.
#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// State files.
    #[arg(required = true)]
    states: Vec<PathBuf>,
    /// File that gets the merged state.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// What to finish.
#[derive(Debug, Args)]
pub(crate) struct FinaliseArgs {
    /// A state file that holds every row group of its days.
    state: PathBuf,
    /// Lookups file (JSON), as it was given to fold.
    #[arg(long, value_name = "FILE")]
    lookups: Option<PathBuf>,
    /// Directory that gets one file per day.
    #[arg(long, value_name = "DIR")]
    output: String,
    /// parquet, csv, arrow or jsonl.
    #[arg(long)]
    format: Option<String>,
    #[command(flatten)]
    selection: Selection,
}

pub(crate) fn fold(common: &Common, args: &FoldArgs) -> Result<String> {
    let runtime = runtime()?;
    local(&args.output)?;
    let mut settings = args.selection.settings();
    settings.push(("run.lookups", args.lookups.as_ref().map(|path| path.display().to_string())));
    let config = common.load(&settings)?;
    let state = runtime.block_on(async {
        let lookups = lookups_of(&config, &args.selection).await?;
        let source = open(&args.input, &config)?;
        let fold = Arc::new(FoldConfig::new(&lookups, config.policy.fold)?);
        // The plan is that of the whole input: which files are daily decides how the hourly ones are read.
        let plan = drive::plan_below(&*source, &ListRequest::default(), &lookups).await?;
        warn_of_missing_columns(&plan);
        warn_of_copies(&plan);
        let is_asked = |key: &str| args.only.is_empty() || args.only.iter().any(|part| key.contains(part));
        let mut objects = plan.objects.iter().filter(|object| is_asked(&object.meta.key)).peekable();
        if objects.peek().is_none() {
            let known = plan.objects.len();
            return Err(Error::config(format!(
                "nothing to fold: of {known} objects of this source and these days, none is asked for; see --source, \
                 the dates, and --only"
            )));
        }
        let mut state = PartialState::empty(fold.clone());
        for object in objects {
            state.merge(drive::fold_object(&*source, object, &fold).await?)?;
        }
        Ok(state)
    })?;
    write(&args.output, &state)
}

pub(crate) fn merge(args: &MergeArgs) -> Result<String> {
    local(&args.output)?;
    let mut states = args.states.iter().map(|path| read(path));
    let mut merged = states.next().expect("the command line asks for one")?;
    for (state, path) in states.zip(&args.states[1..]) {
        merged.merge(state?).map_err(|error| match error {
            Error::Overlap { chunk } => Error::Overlap { chunk: format!("{}: {chunk}", path.display()) },
            Error::ConfigMismatch { differs } => {
                Error::ConfigMismatch { differs: format!("{}: {differs}", path.display()) }
            }
            other => other,
        })?;
    }
    write(&args.output, &merged)
}

pub(crate) fn finalise(common: &Common, args: &FinaliseArgs) -> Result<(String, u8)> {
    let mut settings = args.selection.settings();
    settings.push(("run.lookups", args.lookups.as_ref().map(|path| path.display().to_string())));
    settings.push(("run.format", args.format.clone()));
    let config = common.load(&settings)?;
    let runtime = runtime()?;
    let lookups = runtime.block_on(lookups_of(&config, &args.selection))?;
    require_source(&lookups)?;
    let mut state = read(&args.state)?;
    // Refuses lookups under which other rows would have been folded.
    state.merge(PartialState::empty(Arc::new(FoldConfig::new(&lookups, config.policy.fold)?)))?;
    let (fold, policy) = (state.config().clone(), Policy::new(&lookups, config.policy.finalise)?);
    let place = Place::open(&args.output, &config.s3.store(), Missing::Make).map_err(as_the("output"))?;
    let mut sink = ObjectStoreSink::new(place, config.run.format.parse()?);
    let (first, last) = fold.range();
    let published = runtime.block_on(sink.published(&lookups.source_uuid, first, last))?;
    let mut writer = Writer::Files(sink);
    let (mut days, mut rows, mut fanned_out, mut nodes_without_role) = (0, 0, 0, 0);
    for (day, state) in state.take_days() {
        let summary = state.finalise(day, &fold, &policy)?;
        fanned_out += summary.fanned_out;
        nodes_without_role += summary.nodes_without_role;
        // Rows that were there before go where there are none any more.
        if summary.num_rows() > 0 || published.iter().any(|entry| entry.scope.day == day && entry.rows > 0) {
            let scope = WriteScope {
                source_uuid: lookups.source_uuid.clone(),
                report_period_id: lookups.report_period_id,
                day,
                inputs: Vec::new(), // which objects were folded into a day is not told by a state
                fingerprint: format!("{}-{}", fold.day_fingerprint(), summary.fingerprint()),
                run: RunId("finalise".to_owned()),
            };
            runtime.block_on(writer.publish(&scope, &summary))?;
            days += 1;
            rows += summary.num_rows();
        }
    }
    if nodes_without_role > 0 {
        tracing::warn!(
            nodes_without_role,
            "unallocated rows of nodes without a known role have no namespace"
        );
    }
    let code = if days == 0 { 4 } else { 0 };
    let output = Address::new(args.output.as_str());
    Ok((
        format!("{rows} rows of {days} days in {output}; {}, {fanned_out} fanned out", told(state.counts())?),
        code,
    ))
}

fn read(path: &Path) -> Result<PartialState> {
    let bytes = std::fs::read(local(path)?)
        .map_err(|error| Error::port("state store", format!("read {}", path.display()), false, error))?;
    PartialState::decode(bytes.into()).map_err(|error| match error {
        Error::Wire { reason } => Error::Wire { reason: format!("{}: {reason}", path.display()) },
        other => other,
    })
}

fn write(path: &Path, state: &PartialState) -> Result<String> {
    let bytes = state.encode()?;
    replace(path, &bytes)
        .map_err(|error| Error::port("state store", format!("write {}", path.display()), false, error))?;
    Ok(format!(
        "{}: {} row groups, {} days, {}, {} bytes",
        path.display(),
        state.coverage().iter().count(),
        state.days().count(),
        told(state.counts())?,
        bytes.len()
    ))
}

/// What became of the rows, which must be all of them.
fn told(counts: &RowCounts) -> Result<String> {
    counts.check()?;
    let RowCounts { rows_in, aggregated, out_of_range, other_month, no_node, anomalous, malformed_labels } =
        counts;
    Ok(format!(
        "{rows_in} rows in, {aggregated} aggregated ({out_of_range} out of range, {other_month} of another month, \
         {no_node} without node, {anomalous} anomalous), {malformed_labels} malformed labels"
    ))
}
