//! Builders of small input files: rows as structs, any physical encoding, koku's object keys.
//!
//! ```
//! use daysum_tests::fixture::{Fixture, pod, text};
//! let mut fixture = Fixture::base();
//! fixture.set_pods([pod(), daysum_tests::fixture::PodRow { node: text("n2"), ..pod() }]);
//! assert_eq!(fixture.files().len(), 2); // one hourly file, one daily
//! ```

mod rows;
mod write;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use daysum_core::{CostCategory, Day, Lookups, NodeRole};

pub use rows::{LabelRow, PodRow, StorageRow};
pub use write::{Columns, Encoding, TextEncoding, TimeUnit, key, parquet};

use crate::engine::InputFile;

/// A gigabyte, in bytes.
pub const GIB: f64 = (1u64 << 30) as f64;

/// The source of every fixture.
pub const SOURCE: &str = "fa4238b2-62ad-5c41-8747-6ee200183c54";

/// A text that is not NULL.
pub fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Milliseconds since the epoch of an hour of a day.
pub fn hour(day: &str, hour: i64) -> i64 {
    day.parse::<Day>().expect("a day of the calendar").start_millis() + hour * 3_600_000
}

/// The pod row of SPEC 5's common fixture.
pub fn pod() -> PodRow {
    let memory = Some(3600.0 * GIB);
    PodRow {
        start: hour("2025-02-01", 0),
        namespace: text("ns"),
        node: text("n1"),
        resource_id: text("i-1"),
        pod: text("p1"),
        labels: text(r#"{"app":"x"}"#),
        cpu: [Some(3600.0), Some(7200.0), Some(7200.0), Some(10_800.0)],
        memory: [memory; 4],
        capacity: [Some(4.0), Some(14_400.0), Some(16.0 * GIB), Some(16.0 * 3600.0 * GIB)],
    }
}

/// The storage row of SPEC 5's common fixture.
pub fn storage() -> StorageRow {
    let gigabyte_days = |count: f64| Some(count * 86_400.0 * GIB);
    StorageRow {
        start: hour("2025-02-01", 0),
        namespace: text("ns"),
        pod: text("p1"),
        claim: text("pvc"),
        volume: text("pv"),
        class: text("sc"),
        handle: text("vol-1"),
        volume_labels: text("{}"),
        claim_labels: text("{}"),
        capacity_bytes: Some(10.0 * GIB),
        sums: [gigabyte_days(10.0), gigabyte_days(8.0), gigabyte_days(4.0)],
    }
}

/// Labels of a node or namespace on the fixture's day.
pub fn labels(owner: &str, labels: &str) -> LabelRow {
    LabelRow { start: hour("2025-02-01", 0), owner: text(owner), labels: text(labels) }
}

/// A source's files, as rows, with what the database knows.
#[derive(Debug, Clone)]
pub struct Fixture {
    /// What the database knows.
    pub lookups: Lookups,
    /// Rows of the raw pod table.
    pub hourly_pods: Vec<PodRow>,
    /// Rows of the daily pod table.
    pub daily_pods: Vec<PodRow>,
    /// Rows of the raw storage table.
    pub hourly_storage: Vec<StorageRow>,
    /// Rows of the daily storage table.
    pub storage: Vec<StorageRow>,
    /// Rows of the daily node label table.
    pub node_labels: Vec<LabelRow>,
    /// Rows of the daily namespace label table.
    pub namespace_labels: Vec<LabelRow>,
    /// How many rows a file holds at most.
    pub rows_per_file: usize,
    /// How the files are written, in turn.
    pub encodings: Vec<Encoding>,
}

impl Fixture {
    /// The common fixture of SPEC 5 without storage: one pod, key `app` enabled, no roles, no categories.
    pub fn base() -> Self {
        let lookups = Lookups {
            source_uuid: SOURCE.to_owned(),
            start_date: text("2025-02-01"),
            end_date: text("2025-02-28"),
            report_period_id: Some(7),
            cluster_id: "cluster".to_owned(),
            cluster_alias: "The cluster".to_owned(),
            storage_exists: true,
            enabled_tag_keys: vec!["app".to_owned()],
            ..Lookups::default()
        };
        let mut fixture = Self {
            lookups,
            hourly_pods: Vec::new(),
            daily_pods: Vec::new(),
            hourly_storage: Vec::new(),
            storage: Vec::new(),
            node_labels: Vec::new(),
            namespace_labels: Vec::new(),
            rows_per_file: usize::MAX,
            encodings: vec![Encoding::default()],
        };
        fixture.set_pods([pod()]);
        fixture
    }

    /// The common fixture with its volume.
    pub fn with_storage() -> Self {
        Self { storage: vec![storage()], ..Self::base() }
    }

    /// The same rows in the hourly and the daily table.
    pub fn set_pods(&mut self, pods: impl IntoIterator<Item = PodRow>) {
        self.hourly_pods = pods.into_iter().collect();
        self.daily_pods = self.hourly_pods.clone();
    }

    /// The tag keys that are enabled.
    pub fn enable(&mut self, keys: &[&str]) {
        self.lookups.enabled_tag_keys = keys.iter().map(|key| (*key).to_owned()).collect();
    }

    /// The cost categories.
    pub fn categories(&mut self, patterns: &[(&str, i32)]) {
        self.lookups.cost_categories = patterns
            .iter()
            .map(|(pattern, id)| CostCategory { namespace: (*pattern).to_owned(), cost_category_id: *id })
            .collect();
    }

    /// The node registry.
    pub fn roles(&mut self, roles: &[(&str, &str, Option<&str>)]) {
        self.lookups.nodes = roles
            .iter()
            .map(|(node, id, role)| NodeRole {
                node: (*node).to_owned(),
                resource_id: text(id),
                node_role: role.map(str::to_owned),
            })
            .collect();
    }

    /// The files, by table and month.
    pub fn files(&self) -> Vec<InputFile> {
        let mut files = Vec::new();
        self.table(&mut files, &self.hourly_pods, "pod_usage", false, |row| row.start);
        self.table(&mut files, &self.daily_pods, "pod_usage", true, |row| row.start);
        self.table(&mut files, &self.hourly_storage, "storage_usage", false, |row| row.start);
        self.table(&mut files, &self.storage, "storage_usage", true, |row| row.start);
        self.table(&mut files, &self.node_labels, "node_labels", true, |row| row.start);
        self.table(&mut files, &self.namespace_labels, "namespace_labels", true, |row| row.start);
        files
    }

    /// Puts the files below `input` of this directory, in the place of those that were there, and the lookups beside it.
    /// Returns both paths.
    pub fn place(&self, directory: &Path) -> (PathBuf, PathBuf) {
        let (input, lookups) = (directory.join("input"), directory.join("lookups.json"));
        let _ = fs::remove_dir_all(&input);
        for file in self.files() {
            let path = input.join(&file.key);
            fs::create_dir_all(path.parent().expect("keys have directories")).expect("writable");
            fs::write(path, &file.bytes).expect("writable");
        }
        fs::write(&lookups, serde_json::to_vec(&self.lookups).expect("JSON")).expect("writable");
        (input, lookups)
    }

    fn table<R: write::Columns + Clone>(
        &self,
        files: &mut Vec<InputFile>,
        rows: &[R],
        table: &str,
        daily: bool,
        start: fn(&R) -> i64,
    ) {
        let mut months: BTreeMap<_, Vec<R>> = BTreeMap::new();
        for row in rows {
            months.entry(Day::from_millis(start(row)).month()).or_default().push(row.clone());
        }
        for (month, rows) in months {
            for rows in rows.chunks(self.rows_per_file.min(rows.len())) {
                let encoding = &self.encodings[files.len() % self.encodings.len()];
                files.push(InputFile {
                    key: key(
                        table,
                        daily,
                        &self.lookups.source_uuid,
                        month,
                        &format!("part-{}", files.len()),
                    ),
                    bytes: parquet(rows, table, daily, encoding),
                });
            }
        }
    }
}
