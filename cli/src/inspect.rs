//! `daysum inspect`: what a Parquet file is, before anybody folds it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int32Type;
use clap::Args;
use comfy_table::{Cell, Table};
use daysum_core::decode::{BATCH_ROWS, ChunkDecoder, Footer};
use daysum_core::drive::{read_footer, read_rows};
use daysum_core::port::ObjectMeta;
use daysum_core::schema::{FactKind, Grain};
use daysum_core::{Day, Error, Result};
use daysum_io_s3::LocalSource;
use futures::executor::block_on;
use serde::Serialize;

use crate::setup::local;

/// Which files.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Parquet files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// One JSON document instead of tables.
    #[arg(long)]
    json: bool,
}

/// What a file is.
#[derive(Debug, Serialize)]
struct Inspected {
    file: PathBuf,
    table: String,
    grain: &'static str,
    rows: u64,
    row_groups: usize,
    first_day: Option<Day>,
    last_day: Option<Day>,
    /// Columns that koku always writes; they read as NULL.
    missing: Vec<&'static str>,
    columns: Vec<Column>,
}

#[derive(Debug, Serialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    data_type: String,
    compressed_bytes: i64,
    /// Whether a run fetches it.
    read: bool,
    /// Distinct texts in the file.
    distinct: Option<usize>,
}

/// Every file that can be read is shown; the code is 1 if one cannot.
pub(crate) fn run(args: &InspectArgs) -> (String, u8) {
    let (mut found, mut code) = (Vec::new(), 0);
    for file in &args.files {
        match inspect(file) {
            Ok(inspected) => found.push(inspected),
            Err(error) => {
                eprintln!("daysum: {error}");
                code = 1;
            }
        }
    }
    let said = if args.json {
        serde_json::to_string_pretty(&found).expect("names and numbers are JSON")
    } else {
        found.iter().map(text).collect::<Vec<_>>().join("\n\n")
    };
    (said, code)
}

fn inspect(file: &Path) -> Result<Inspected> {
    let directory =
        local(file)?.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let source = LocalSource::new(directory)?;
    let cannot = |error| Error::port("source", format!("open {}", file.display()), false, error);
    let metadata = std::fs::metadata(file).map_err(cannot)?;
    if metadata.is_dir() {
        return Err(Error::config(format!("{} is a directory: name Parquet files in it", file.display())));
    }
    let size = metadata.len();
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let object = ObjectMeta { key: name.into(), size, ..ObjectMeta::default() };
    let footer = block_on(read_footer(&source, &object))?;
    let table = footer.table()?;
    // As a run reads it where no daily file is there.
    let kind = FactKind::of(table, footer.grain(), false);
    let groups = kind.map(|kind| footer.row_groups(kind)).unwrap_or_default();
    let days = groups.iter().filter_map(|group| group.days);
    let distinct =
        kind.map_or_else(|| Ok(BTreeMap::new()), |kind| distinct(&source, &object, &footer, kind))?;
    let metadata = footer.metadata()?;
    let stored = metadata.file_metadata().schema_descr();
    let columns = footer.schema().fields().iter().enumerate().map(|(at, field)| {
        // A nested one is stored as several.
        let bytes = metadata.row_groups().iter().flat_map(|group| {
            let leaves = group.columns().iter().enumerate();
            let of_field = leaves.filter(move |(leaf, _)| stored.get_column_root_idx(*leaf) == at);
            of_field.map(|(_, column)| column.compressed_size())
        });
        Column {
            name: field.name().clone(),
            data_type: field.data_type().to_string(),
            compressed_bytes: bytes.sum(),
            read: kind.is_some_and(|kind| kind.columns().iter().any(|column| column.name == field.name())),
            distinct: distinct.get(field.name()).copied(),
        }
    });
    Ok(Inspected {
        file: file.to_owned(),
        table: format!("{table:?}"),
        grain: if footer.grain() == Grain::Daily { "daily" } else { "hourly" },
        rows: metadata.file_metadata().num_rows().max(0) as u64,
        row_groups: metadata.num_row_groups(),
        first_day: days.clone().map(|days| days.0).min(),
        last_day: days.map(|days| days.1).max(),
        missing: kind.map(|kind| kind.missing(footer.schema())).unwrap_or_default(),
        columns: columns.collect(),
    })
}

/// Distinct texts by column.
fn distinct(
    source: &LocalSource,
    object: &ObjectMeta,
    footer: &Footer,
    kind: FactKind,
) -> Result<BTreeMap<String, usize>> {
    let mut texts: BTreeMap<String, std::collections::HashSet<String>> = BTreeMap::new();
    let mut seen: BTreeMap<String, Arc<dyn Array>> = BTreeMap::new();
    for group in footer.row_groups(kind) {
        let decoder = ChunkDecoder::new(footer, kind, group.index, BATCH_ROWS)?;
        let read = read_rows(source, object, decoder, |batch| {
            for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                if let Some(views) = column.as_string_view_opt() {
                    let known = texts.entry(field.name().clone()).or_default();
                    for text in views.iter().flatten() {
                        if !known.contains(text) {
                            known.insert(text.to_owned());
                        }
                    }
                } else if let Some(dictionary) = column.as_dictionary_opt::<Int32Type>() {
                    // Batches of a row group share their dictionary.
                    let values = dictionary.values();
                    let last = seen.insert(field.name().clone(), values.clone());
                    if !last.is_some_and(|last| Arc::ptr_eq(&last, values)) {
                        let values = values.as_string::<i32>().iter().flatten().map(str::to_owned);
                        texts.entry(field.name().clone()).or_default().extend(values);
                    }
                }
            }
            Ok(())
        });
        block_on(read)?;
    }
    Ok(texts.into_iter().map(|(name, texts)| (name, texts.len())).collect())
}

fn text(inspected: &Inspected) -> String {
    let mut table = Table::new();
    table.set_header(["column", "type", "bytes", "read", "distinct"]);
    for column in &inspected.columns {
        table.add_row([
            Cell::new(column.name.escape_debug()),
            Cell::new(&column.data_type),
            Cell::new(column.compressed_bytes),
            Cell::new(if column.read { "yes" } else { "" }),
            Cell::new(column.distinct.map(|distinct| distinct.to_string()).unwrap_or_default()),
        ]);
    }
    let days = match (inspected.first_day, inspected.last_day) {
        (Some(first), Some(last)) => format!("{first} to {last}"),
        _ => "days unknown".to_owned(),
    };
    let missing = match inspected.missing.as_slice() {
        [] => String::new(),
        columns => format!("\nwithout {}: they read as NULL", columns.join(", ")),
    };
    format!(
        "{}\n{} ({}), {} rows in {} row groups, {days}{missing}\n{table}",
        inspected.file.display(),
        inspected.table,
        inspected.grain,
        inspected.rows,
        inspected.row_groups
    )
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, StringArray, StructArray, TimestampMillisecondArray};
    use arrow::datatypes::{DataType, Field};
    use arrow::record_batch::RecordBatch;
    use parquet::arrow::ArrowWriter;

    use super::*;

    #[test]
    fn a_nested_column_is_counted_with_what_is_stored_of_it() {
        let texts = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; 10])) };
        let field = |name: &str| Arc::new(Field::new(name, DataType::Utf8, true));
        let nested = StructArray::from(vec![(field("a"), texts("a")), (field("b"), texts(&"b".repeat(500)))]);
        let batch = RecordBatch::try_from_iter([
            ("nested", Arc::new(nested) as ArrayRef),
            ("interval_start", Arc::new(TimestampMillisecondArray::from(vec![86_400_000; 10]))),
            ("node", texts("node")),
            ("node_labels", texts("{}")),
        ])
        .expect("columns of one length");
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("nodes.parquet");
        let file = std::fs::File::create(&path).expect("writable");
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
        writer.write(&batch).expect("rows");
        let stored = writer.close().expect("a file");

        let found = inspect(&path).expect("node labels");
        let bytes: Vec<i64> = found.columns.iter().map(|column| column.compressed_bytes).collect();
        let leaves: Vec<i64> =
            stored.row_group(0).columns().iter().map(|column| column.compressed_size()).collect();
        assert_eq!(bytes, [leaves[0] + leaves[1], leaves[2], leaves[3], leaves[4]]);
        assert_eq!((found.rows, found.first_day), (10, Day::from_ymd(1970, 1, 2)));
    }
}
