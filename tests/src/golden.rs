//! The golden data sets of `tests/data/golden`: input, lookups, and the rows that koku's own SQL made of them.

use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use bytes::Bytes;
use daysum_core::Lookups;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::engine::InputFile;

/// One data set.
#[derive(Debug, Clone)]
pub struct Golden {
    /// Name of its directory.
    pub name: String,
    /// `params.json`.
    pub lookups: Lookups,
    /// Everything below `input`.
    pub files: Vec<InputFile>,
    /// `expected.parquet`.
    pub expected: RecordBatch,
}

impl Golden {
    /// Where the data sets are.
    pub fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("data/golden")
    }

    /// All of them, by name.
    pub fn all() -> Vec<Self> {
        let entries = fs::read_dir(Self::root()).expect("tests/data/golden is part of the repository");
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
        paths.retain(|path| path.is_dir());
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    /// The one in this directory.
    pub fn read(path: &Path) -> Self {
        let bytes = |name: &str| {
            fs::read(path.join(name)).unwrap_or_else(|error| panic!("{}/{name}: {error}", path.display()))
        };
        let mut files = Vec::new();
        collect(&path.join("input"), "", &mut files);
        files.sort_by(|a, b| a.key.cmp(&b.key));
        Self {
            name: path.file_name().expect("a directory has a name").to_string_lossy().into_owned(),
            lookups: Lookups::from_json(&bytes("params.json")).expect("params.json is a lookups file"),
            files,
            expected: read_parquet(Bytes::from(bytes("expected.parquet"))),
        }
    }

    /// The data set gen-small: two days of everything.
    pub fn small() -> Self {
        Self::read(&Self::root().join("gen-small"))
    }

    /// The first file whose key has all of these words.
    pub fn file(&self, words: &[&str]) -> &InputFile {
        let mut files = self.files.iter();
        files.find(|file| words.iter().all(|word| file.key.contains(word))).expect("it is there")
    }

    /// Whether [`hourly_files`](Self::hourly_files) give the same rows.
    pub fn hourly_only(&self) -> HourlyOnly {
        let differs = HOURLY_DIFFERS.iter().find(|(name, _)| *name == self.name);
        differs.map_or(HourlyOnly::Same, |(_, reason)| HourlyOnly::Differs(reason))
    }

    /// The input without any daily file: what an operator's raw upload would be.
    pub fn hourly_files(&self) -> Vec<InputFile> {
        self.files.iter().filter(|file| !file.key.contains("_daily/")).cloned().collect()
    }
}

/// What the rows are when only the hourly files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HourlyOnly {
    /// Those that the daily files give.
    Same,
    /// Others, for this reason: the daily rows are on purpose not the sums of the hourly ones (SPEC 1.5).
    Differs(&'static str),
}

/// The data sets that differ from hourly files alone, and why.
const HOURLY_DIFFERS: [(&str, &str); 3] = [
    (
        "edge-05-null-effective-usage",
        "daily rows hold NULL metrics and a stored effective usage that no hourly row has; \
         where daily rows are derived, the sum of nothing is 0",
    ),
    (
        "edge-11-storage-without-pod",
        "one daily storage row holds NULL request and usage; where daily rows are derived, the sum of nothing is 0",
    ),
    ("edge-17-varying-capacity", "one node is only in the daily files, another only in the hourly ones"),
];

/// All rows of a Parquet file.
pub fn read_parquet(bytes: Bytes) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("readable Parquet");
    let schema = reader.schema().clone();
    let batches: Vec<RecordBatch> =
        reader.build().expect("readable Parquet").collect::<Result<_, _>>().expect("readable Parquet");
    concat_batches(&schema, &batches).expect("batches of one file have one schema")
}

/// Rows as a Parquet file.
pub fn write_parquet(rows: &RecordBatch, statistics: EnabledStatistics) -> Bytes {
    let properties = WriterProperties::builder().set_statistics_enabled(statistics).build();
    let mut bytes = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut bytes, rows.schema(), Some(properties)).expect("a schema Parquet can hold");
    writer.write(rows).expect("writing to memory");
    writer.close().expect("writing to memory");
    bytes.into()
}

fn collect(directory: &Path, key: &str, files: &mut Vec<InputFile>) {
    for entry in fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
        let entry = entry.expect("a readable entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        let key = if key.is_empty() { name } else { format!("{key}/{name}") };
        if entry.path().is_dir() {
            collect(&entry.path(), &key, files);
        } else if key.ends_with(".parquet") {
            let bytes = Bytes::from(fs::read(entry.path()).expect("a readable file"));
            files.push(InputFile { key, bytes });
        }
    }
}
