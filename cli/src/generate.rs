//! `daysum generate`: a synthetic cluster to try things on.

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use daysum::synth::{Shape, generate};
use daysum_core::{Day, Error, Result};

/// How large, and where.
#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// Directory that gets the files and lookups.json; must be empty or absent.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Hourly pod rows, about: a number, or one such as 20k or 10m.
    #[arg(long, visible_alias = "scale", default_value = "100k", value_parser = rows)]
    rows: u64,
    /// Days.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3660))]
    days: u32,
    /// First day.
    #[arg(long, default_value = "2025-11-01")]
    start: Day,
    /// Pods per day, instead of --rows.
    #[arg(long, conflicts_with = "rows", value_parser = of(3..=MOST_PODS))]
    pods: Option<u32>,
    /// Nodes.
    #[arg(long, value_parser = of(1..=100_000))]
    nodes: Option<u32>,
    /// Namespaces.
    #[arg(long, value_parser = of(1..=100_000))]
    namespaces: Option<u32>,
    /// Label keys of a pod.
    #[arg(long, value_parser = of(1..=12))]
    label_keys: Option<u32>,
    /// Volumes; 0 for a cluster without storage.
    #[arg(long, value_parser = of(0..=i64::from(u32::MAX)))]
    volumes: Option<u32>,
    /// Nodes, and as many namespaces, whose labels change at noon, so that usage appears under both sets.
    #[arg(long, value_parser = of(0..=100_000))]
    changes: Option<u32>,
    /// Rows per row group.
    #[arg(long)]
    row_group_rows: Option<NonZeroUsize>,
    /// The same seed gives the same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads that write.
    #[arg(long)]
    threads: Option<NonZeroUsize>,
}

/// Names and labels of a cluster are held while it is written, about a kilobyte for each pod: twenty gigabytes here.
const MOST_PODS: i64 = 20_000_000;

fn of(sizes: std::ops::RangeInclusive<i64>) -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(sizes)
}

/// A number of rows as people write it.
pub(crate) fn rows(text: &str) -> std::result::Result<u64, String> {
    let lower = text.to_lowercase();
    let (number, unit) = match lower.strip_suffix('k').map(|number| (number, 1_000)) {
        Some(thousands) => thousands,
        None => lower.strip_suffix('m').map_or((lower.as_str(), 1), |number| (number, 1_000_000)),
    };
    let number: u64 = number.parse().map_err(|_| "write a number, such as 100000, 100k or 10m".to_owned())?;
    number
        .checked_mul(unit)
        .filter(|rows| (1..=1 << 34).contains(rows))
        .ok_or_else(|| "1 to 17 billion rows".to_owned())
}

pub(crate) fn run(args: &GenerateArgs) -> Result<String> {
    let started = Instant::now();
    let output = &args.output;
    let cannot = |error| Error::port("generator", format!("open {}", output.display()), false, error);
    if output.to_string_lossy().contains("://") {
        return Err(Error::config(
            "clusters are generated into a directory of this machine; copy it from there",
        ));
    }
    fs::create_dir_all(output).map_err(cannot)?;
    if fs::read_dir(output).map_err(cannot)?.next().is_some() {
        return Err(Error::config(format!(
            "{} is not empty; name a directory that is empty or absent",
            output.display()
        )));
    }
    let rows = args.pods.map_or(args.rows, |pods| u64::from(pods) * 24 * u64::from(args.days));
    let mut shape = Shape::of_rows(rows, args.days, args.start, args.seed);
    if i64::from(shape.pods) > MOST_PODS {
        return Err(Error::config(format!(
            "{} pods in a day, of which {MOST_PODS} are possible: give fewer --rows, or more --days",
            shape.pods
        )));
    }
    let sizes = [
        (&mut shape.nodes, args.nodes),
        (&mut shape.namespaces, args.namespaces),
        (&mut shape.label_keys, args.label_keys),
        (&mut shape.volumes, args.volumes),
        (&mut shape.changes, args.changes),
    ];
    for (size, given) in sizes {
        *size = given.unwrap_or(*size);
    }
    shape.row_group_rows = args.row_group_rows.map_or(shape.row_group_rows, NonZeroUsize::get);
    let threads =
        args.threads.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let written = generate(&shape, output, threads)?;
    Ok(format!(
        "{} rows in {} files, {} bytes, {:.1} s; daysum run {} --lookups {} --output DIR",
        written.rows,
        written.files,
        written.bytes,
        started.elapsed().as_secs_f64(),
        output.display(),
        output.join("lookups.json").display()
    ))
}
