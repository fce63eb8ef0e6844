//! Synthetic clusters: koku-shaped hourly Parquet, from a seed.
//!
//! ```text
//! Shape (sizes) ── Cluster (names, labels, volumes: once) ── a file per day and table, each from its own random numbers
//! ```
//!
//! The same shape gives the same bytes, however many threads write. There are about 13 pods per
//! namespace and 20 per node, twice as many as koku expects (SPEC 1.8); a pod reports every hour it lives.

mod cluster;
mod files;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use daysum_core::{Day, Error, Lookups, Result, TextOrNumber};

use cluster::Cluster;
use files::{Table, write_file};

/// How large a cluster is, and for how long it is told of.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Everything random comes from it.
    pub seed: u64,
    /// First day.
    pub start: Day,
    /// Days, a file of each table for every one.
    pub days: u32,
    /// Pods per day.
    pub pods: u32,
    /// Nodes.
    pub nodes: u32,
    /// Namespaces.
    pub namespaces: u32,
    /// Label keys of a pod; about half of them are enabled.
    pub label_keys: u32,
    /// Volumes; each is mounted by one pod, about every tenth by pods of two nodes. Without any there is no storage table.
    pub volumes: u32,
    /// Nodes, and as many namespaces, whose labels change at noon: usage appears under both sets (SPEC 2.3).
    pub changes: u32,
    /// Rows per row group.
    pub row_group_rows: usize,
}

impl Shape {
    /// A cluster with about this many hourly pod rows over these days.
    pub fn of_rows(rows: u64, days: u32, start: Day, seed: u64) -> Self {
        let pods = u32::try_from(rows / 24 / u64::from(days.max(1))).unwrap_or(u32::MAX).max(3);
        Self {
            seed,
            start,
            days: days.max(1),
            pods,
            nodes: (pods / 20).clamp(3, 2_000),
            namespaces: (pods / 13).clamp(3, 5_000),
            label_keys: 8,
            volumes: (pods / 5).max(1),
            changes: 0,
            row_group_rows: 1 << 18,
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows of all tables.
    pub rows: u64,
    /// Files.
    pub files: usize,
    /// Bytes of all files.
    pub bytes: u64,
}

/// Writes the cluster below a directory in koku's layout, with the `lookups.json` that `daysum run` takes.
pub fn generate(shape: &Shape, directory: &Path, threads: NonZeroUsize) -> Result<Written> {
    let cluster = Cluster::new(shape);
    let days: Vec<Day> = (shape.start.0..).map(Day).take(shape.days as usize).collect();
    let tables = Table::ALL.into_iter().filter(|table| shape.volumes > 0 || *table != Table::Storage);
    let work: Vec<(Day, Table)> =
        days.iter().flat_map(|day| tables.clone().map(move |table| (*day, table))).collect();
    let (next, rows, bytes) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads.get() {
            scope.spawn(|| {
                while let Some((day, table)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match write_file(shape, &cluster, *day, *table, directory) {
                        Ok(written) => {
                            rows.fetch_add(written.0, Ordering::Relaxed);
                            bytes.fetch_add(written.1, Ordering::Relaxed);
                        }
                        Err(error) => {
                            next.store(work.len(), Ordering::Relaxed);
                            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        }
                    }
                }
            });
        }
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let json = serde_json::to_vec_pretty(&lookups(shape, &cluster)).expect("lookups are JSON");
    let path = directory.join("lookups.json");
    std::fs::write(&path, json).map_err(|error| refuse(&path, error))?;
    Ok(Written { rows: rows.into_inner(), files: work.len(), bytes: bytes.into_inner() })
}

fn lookups(shape: &Shape, cluster: &Cluster) -> Lookups {
    let last = (1..shape.days).fold(shape.start, |day, _| day.next());
    let (year, month, _) = shape.start.ymd();
    Lookups {
        version: Some(1),
        schema: Some("org1234567".to_owned()),
        source_uuid: cluster.source_uuid.clone(),
        year: u32::try_from(year).ok().map(TextOrNumber::Number),
        month: Some(TextOrNumber::Number(month)),
        start_date: Some(shape.start.to_string()),
        end_date: Some(last.to_string()),
        report_period_id: Some(1),
        cluster_id: format!("synthetic-{}", shape.seed),
        cluster_alias: format!("Synthetic cluster {}", shape.seed),
        storage_exists: shape.volumes > 0,
        enabled_tag_keys: cluster.enabled_keys(),
        cost_categories: cluster.cost_categories(),
        nodes: cluster.node_roles(),
        ..Lookups::default()
    }
}

fn refuse(path: &Path, error: impl Into<daysum_core::BoxError>) -> Error {
    Error::port("generator", format!("write {}", path.display()), false, error)
}
