//! Random small clusters, for laws: few names and many rows, so that everything collides with everything.
//!
//! ```text
//! cluster() --proptest--> Cluster --files--> some layout: split, encoded and ordered at random
//!                                 --plain_files--> the same rows, one file per table and month
//! ```
//!
//! What is in it on purpose: NULL beside empty text in every key, label sets that differ in spelling
//! only, several sets per node and day, shared and renamed volumes, hours that report different
//! capacities, the last millisecond of a day, ends of months, numbers whose sum depends on the order,
//! numbers below the grid of exact sums, hourly tables with and without daily ones beside them, rows in
//! the wrong month, files of another source.
//!
//! What is not: anything that is an error. Errors have cases of their own in `integration/spec`.

mod strategy;

use std::collections::BTreeMap;

use daysum_core::{Day, Lookups, Month};

pub use strategy::cluster;

use crate::engine::InputFile;
use crate::fixture::{Columns, Encoding, LabelRow, PodRow, StorageRow, key, parquet};

/// A cluster's rows, where they lie, and what the database knows.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// What the database knows.
    pub lookups: Lookups,
    /// Pod rows.
    pub pods: Grains<PodRow>,
    /// Storage rows.
    pub storage: Grains<StorageRow>,
    /// Node labels.
    pub node_labels: Grains<LabelRow>,
    /// Namespace labels.
    pub namespace_labels: Grains<LabelRow>,
    /// How files are written, in turn.
    pub encodings: Vec<Encoding>,
    /// Whether another source's files lie beside these.
    pub stranger: bool,
    /// Whether the files are listed backwards.
    pub backwards: bool,
}

/// Rows of both forms of a table.
#[derive(Debug, Clone, Default)]
pub struct Grains<R> {
    /// Of the raw table.
    pub hourly: Vec<Placed<R>>,
    /// Of the daily table.
    pub daily: Vec<Placed<R>>,
}

/// A row and the file it lies in.
#[derive(Debug, Clone)]
pub struct Placed<R> {
    /// The row.
    pub row: R,
    /// Number of the file within its table and month.
    pub file: u8,
    /// Whether it lies in the directory of the month after its own, where it never counts (SPEC 1.1).
    pub misplaced: bool,
}

impl Cluster {
    /// The files, laid out at random.
    pub fn files(&self) -> Vec<InputFile> {
        let mut files = self.write(&self.lookups.source_uuid, &self.encodings, |file| file);
        if self.stranger {
            files.extend(self.write("00000000-0000-0000-0000-00000000beef", &self.encodings, |file| file));
        }
        if self.backwards {
            files.reverse();
        }
        files
    }

    /// The same rows as koku would write them: one file per table and month, nothing else beside them.
    pub fn plain_files(&self) -> Vec<InputFile> {
        self.write(&self.lookups.source_uuid, &[Encoding::default()], |_| 0)
    }

    fn write(&self, source: &str, encodings: &[Encoding], file: fn(u8) -> u8) -> Vec<InputFile> {
        let mut writer = Writer { source, encodings, file, files: Vec::new() };
        writer.table("pod_usage", &self.pods);
        writer.table("storage_usage", &self.storage);
        writer.table("node_labels", &self.node_labels);
        writer.table("namespace_labels", &self.namespace_labels);
        writer.files
    }
}

struct Writer<'a> {
    source: &'a str,
    encodings: &'a [Encoding],
    file: fn(u8) -> u8,
    files: Vec<InputFile>,
}

impl Writer<'_> {
    fn table<R: Columns + Clone>(&mut self, table: &str, rows: &Grains<R>) {
        for (daily, rows) in [(false, &rows.hourly), (true, &rows.daily)] {
            let mut by_file: BTreeMap<(Month, u8), Vec<R>> = BTreeMap::new();
            for placed in rows {
                let month = Day::from_millis(placed.row.start()).month();
                let month = if placed.misplaced { month.last().next().month() } else { month };
                by_file.entry((month, (self.file)(placed.file))).or_default().push(placed.row.clone());
            }
            for ((month, number), rows) in by_file {
                let encoding = &self.encodings[self.files.len() % self.encodings.len()];
                self.files.push(InputFile {
                    key: key(table, daily, self.source, month, &format!("{table}-{number}")),
                    bytes: parquet(&rows, table, daily, encoding),
                });
            }
        }
    }
}
