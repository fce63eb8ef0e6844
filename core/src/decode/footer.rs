//! A file's footer: its schema, its row groups and the days they can hold, before any data is fetched.

use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use foldhash::fast::FixedState;
use parquet::DecodeResult;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::{LogicalType, TimeUnit};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder,
    RowGroupMetaData,
};
use parquet::file::statistics::Statistics;

use super::layout::Layout;
use super::packed::PackedColumns;
use super::unreadable;
use crate::day::Day;
use crate::error::{Error, Location, Result};
use crate::port::ObjectMeta;
use crate::schema::{FactKind, Grain, Table};

/// Bytes asked for first: the footers of nearly all files fit, so one read is enough.
const TAIL: u64 = 64 * 1024;

/// A footer is held whole while it is parsed; one of ten thousand row groups takes half of this.
const MOST: u64 = 64 * 1024 * 1024;

/// The largest dictionary that writers make before they go on without one.
const DICTIONARY_BYTES: i64 = 2 * 1024 * 1024;

/// A dictionary key takes no more than this.
const KEY_BYTES: i64 = 4;

/// Reads a footer. Call [`step`](Self::step) until it is done.
#[derive(Debug)]
pub struct FooterDecoder {
    object: Arc<str>,
    size: u64,
    inner: ParquetMetaDataPushDecoder,
    /// What was asked for last; the tail comes first.
    asked: Option<Vec<Range<u64>>>,
}

/// What a footer decoder says next.
#[derive(Debug)]
pub enum FooterStep {
    /// Supply the bytes of these ranges, in their order, then step again.
    Need(Vec<Range<u64>>),
    /// The footer.
    Done(Box<Footer>),
}

impl FooterDecoder {
    /// A decoder for the footer of this object.
    pub fn new(object: &ObjectMeta) -> Result<Self> {
        let at = || Location::object(object.key.clone());
        if object.size == 0 {
            return Err(Error::Format { at: Box::new(at()), reason: "the file is empty".into() });
        }
        let inner = ParquetMetaDataPushDecoder::try_new(object.size)
            .map_err(|error| unreadable(at(), &error))?
            .with_page_index_policy(PageIndexPolicy::Skip);
        Ok(Self { object: object.key.clone(), size: object.size, inner, asked: None })
    }

    /// What to do next.
    pub fn step(&mut self) -> Result<FooterStep> {
        if self.asked.is_none() {
            let tail = self.size.saturating_sub(TAIL)..self.size;
            return Ok(self.ask(Vec::from([tail])));
        }
        match self.inner.try_decode().map_err(|error| self.unreadable(&error))? {
            DecodeResult::NeedsData(ranges) => {
                let claimed: u64 = ranges.iter().map(|range| range.end - range.start).sum();
                if claimed > MOST {
                    let reason =
                        format!("a footer of {claimed} bytes, of which {MOST} are the most that is read");
                    return Err(self.unreadable(&ParquetError::General(reason)));
                }
                Ok(self.ask(ranges))
            }
            DecodeResult::Data(metadata) => Ok(FooterStep::Done(Box::new(self.footer(metadata)?))),
            DecodeResult::Finished => Err(self.unreadable(&ParquetError::EOF("no metadata".into()))),
        }
    }

    fn ask(&mut self, ranges: Vec<Range<u64>>) -> FooterStep {
        self.asked = Some(ranges.clone());
        FooterStep::Need(ranges)
    }

    /// Hands over the bytes of the ranges that `step` asked for, in its order.
    pub fn supply(&mut self, bytes: Vec<Bytes>) -> Result<()> {
        let asked = self.asked.as_mut().map(std::mem::take).unwrap_or_default();
        self.inner.push_ranges(asked, bytes).map_err(|error| self.unreadable(&error))
    }

    /// Keeps of the metadata what reading needs: a run holds the footers of all its files at once.
    fn footer(&self, metadata: ParquetMetaData) -> Result<Footer> {
        for (index, group) in metadata.row_groups().iter().enumerate() {
            self.check_ranges(index as u32, group)?;
        }
        let plain = ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new())
            .map_err(|error| self.unreadable(&error))?;
        let layout = Layout {
            schema: Arc::new(Schema::new(plain.schema().fields().clone())),
            columns: plain.metadata().file_metadata().schema_descr_ptr(),
        };
        let start = layout.leaf("interval_start");
        let ends = layout.schema.field_with_name("interval_end");
        let no_type = ends.is_ok_and(|ends| *ends.data_type() == DataType::Null);
        let never_ends = |leaf| {
            let mut filled =
                plain.metadata().row_groups().iter().filter(|group| group.num_rows() > 0).peekable();
            filled.peek().is_some() && (no_type || filled.all(|group| is_null(group.column(leaf))))
        };
        let grain = match layout.leaf("interval_end") {
            // Exports of koku's own tables have the column in daily rows too, with nothing in it (SPEC 1.4).
            Some(leaf) if never_ends(leaf) => Grain::Daily,
            _ => Grain::detect(&layout.schema),
        };
        let group = |group: &RowGroupMetaData| StoredGroup {
            rows: group.num_rows().max(0) as u64,
            days: start.and_then(|leaf| days(group.column(leaf))),
            columns: PackedColumns::new(group.columns()),
        };
        let groups = plain.metadata().row_groups().iter().map(group).collect();
        let likeness = likeness(plain.metadata());
        Ok(Footer { object: self.object.clone(), layout: Arc::new(layout), grain, groups, likeness })
    }

    /// A lying footer must not send the reader beyond the file, or make it allocate by a made-up count.
    fn check_ranges(&self, index: u32, group: &RowGroupMetaData) -> Result<()> {
        for column in group.columns() {
            let lie = |reason: &str| Error::Format {
                at: Box::new(
                    Location::object(self.object.clone())
                        .row_group(index)
                        .column(column.column_path().string()),
                ),
                reason: reason.into(),
            };
            let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
            let (Ok(start), Ok(length)) = (u64::try_from(start), u64::try_from(column.compressed_size()))
            else {
                return Err(lie("the footer has negative offsets or sizes"));
            };
            if start.checked_add(length).is_none_or(|end| end > self.size) {
                return Err(lie("the footer points beyond the end of the file: it is truncated or damaged"));
            }
            // Lists hold any number of values; no column that is read is one.
            let repeated = column.column_descr().max_rep_level() > 0;
            if group.num_rows() < 0
                || column.num_values() < 0
                || (column.num_values() > group.num_rows() && !repeated)
            {
                return Err(lie("the footer's row and value counts contradict each other"));
            }
        }
        Ok(())
    }

    fn unreadable(&self, error: &ParquetError) -> Error {
        unreadable(Location::object(self.object.clone()), error)
    }
}

/// What a file says about itself, as far as reading it goes.
#[derive(Debug, Clone)]
pub struct Footer {
    object: Arc<str>,
    pub(super) layout: Arc<Layout>,
    grain: Grain,
    groups: Box<[StoredGroup]>,
    likeness: Option<u64>,
}

#[derive(Debug, Clone)]
struct StoredGroup {
    rows: u64,
    days: Option<(Day, Day)>,
    columns: PackedColumns,
}

/// One row group, as the footer describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowGroup {
    /// Zero-based position.
    pub index: u32,
    /// Rows.
    pub rows: u64,
    /// First and last day of `interval_start`, where the writer left statistics.
    pub days: Option<(Day, Day)>,
    /// Compressed bytes of the columns that are read.
    pub bytes: u64,
}

impl Footer {
    /// The object's key.
    pub fn object(&self) -> &Arc<str> {
        &self.object
    }

    /// The schema as Arrow sees it, without key-value metadata.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.layout.schema
    }

    /// All row groups as parquet's readers want to see them: rebuilt from what was kept, so that statistics, indexes and
    /// key-value metadata are not there. The types are those of [`schema`](Self::schema), which is to be supplied.
    pub fn metadata(&self) -> Result<ParquetMetaData> {
        self.rebuilt(0, &self.groups)
    }

    /// Bytes that the footer takes in memory, beside the schema that it may share with others.
    pub fn memory_size(&self) -> usize {
        let group = |group: &StoredGroup| size_of::<StoredGroup>() + group.columns.memory_size();
        size_of::<Self>() + self.object.len() + self.groups.iter().map(group).sum::<usize>()
    }

    /// Equal for files whose columns have the same places, sizes and statistics: for copies, and hardly for others. `None`
    /// without rows or statistics.
    pub(crate) fn likeness(&self) -> Option<u64> {
        self.likeness
    }

    /// Whether no row group has rows.
    pub fn is_empty(&self) -> bool {
        self.groups.iter().all(|group| group.rows == 0)
    }

    /// First and last day of all rows, where the writer left statistics for each row group that has some.
    pub fn days(&self) -> Option<(Day, Day)> {
        let filled = self.groups.iter().filter(|group| group.rows > 0);
        filled.map(|group| group.days).reduce(|these, those| {
            let ((first, last), (earlier, later)) = these.zip(those)?;
            Some((first.min(earlier), last.max(later)))
        })?
    }

    /// The table whose columns it has.
    pub fn table(&self) -> Result<Table> {
        Table::detect(self.schema()).ok_or_else(|| Error::Schema {
            at: Box::new(Location::object(self.object.clone())),
            expected: "pod usage, storage usage, node labels or namespace labels".into(),
            found: "none of their columns; VM and GPU tables are not summarised here".into(),
        })
    }

    /// Whether its rows are hourly: they have an `interval_end`, and neither its type nor its statistics say that it holds
    /// nothing.
    pub fn grain(&self) -> Grain {
        self.grain
    }

    /// The row groups, with the bytes that reading them as `kind` fetches.
    pub fn row_groups(&self, kind: FactKind) -> Vec<RowGroup> {
        let read: Vec<usize> = self.read_columns(kind).collect();
        let bytes = |group: &StoredGroup| {
            let sizes = group.columns.compressed_sizes().enumerate();
            sizes.filter(|(column, _)| read.contains(column)).map(|(_, size)| size.max(0) as u64).sum()
        };
        let groups = self.groups.iter().enumerate();
        groups
            .map(|(index, group)| RowGroup {
                index: index as u32,
                rows: group.rows,
                days: group.days,
                bytes: bytes(group),
            })
            .collect()
    }

    /// Positions of the stored columns that `kind` reads.
    pub(super) fn read_columns(&self, kind: FactKind) -> impl Iterator<Item = usize> + '_ {
        kind.columns().iter().filter_map(|column| self.layout.leaf(column.name))
    }

    /// The reader's metadata for a row group, which is the only one in it: text comes as it lies there, in dictionaries,
    /// or as views into its pages where it outgrew them. A dictionary of such text would have to be made, by hashing every
    /// row of it.
    pub(super) fn reader(&self, row_group: u32) -> Result<ArrowReaderMetadata> {
        let group = self.groups.get(row_group as usize).ok_or_else(|| Error::Format {
            at: Box::new(Location::object(self.object.clone()).row_group(row_group)),
            reason: format!("there are {} row groups", self.groups.len()),
        })?;
        let group = std::slice::from_ref(group);
        let metadata = self.rebuilt(row_group, group)?;
        let columns = metadata.row_group(0).columns();
        let outgrew = |name: &str| {
            self.layout.leaf(name).is_some_and(|leaf| {
                let keys = columns[leaf].num_values().saturating_mul(KEY_BYTES);
                columns[leaf].uncompressed_size() > DICTIONARY_BYTES.saturating_add(keys)
            })
        };
        let hinted = |field: &Arc<Field>| {
            let text = match field.data_type() {
                DataType::Dictionary(_, value) => value.is_string(),
                found => found.is_string(),
            };
            let wanted = match text && outgrew(field.name()) {
                true => DataType::Utf8View,
                false => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            };
            if text { Arc::new(field.as_ref().clone().with_data_type(wanted)) } else { field.clone() }
        };
        let hint = Schema::new(self.schema().fields().iter().map(hinted).collect::<Vec<_>>());
        ArrowReaderMetadata::try_new(
            Arc::new(metadata),
            ArrowReaderOptions::new().with_schema(Arc::new(hint)),
        )
        .map_err(|error| self.unreadable(&error))
    }

    /// The row groups from `first` on.
    fn rebuilt(&self, first: u32, groups: &[StoredGroup]) -> Result<ParquetMetaData> {
        let columns = &self.layout.columns;
        let group = |(index, group): (u32, &StoredGroup)| {
            RowGroupMetaData::builder(columns.clone())
                .set_ordinal(index as i32)
                .set_num_rows(group.rows as i64)
                .set_column_metadata(group.columns.unpack(columns.columns()))
                .build()
        };
        let groups = (first..).zip(groups).map(group).collect::<Result<Vec<_>, _>>();
        let groups = groups.map_err(|error| self.unreadable(&error))?;
        let rows = groups.iter().map(RowGroupMetaData::num_rows).fold(0, i64::saturating_add);
        Ok(ParquetMetaData::new(FileMetaData::new(1, rows, None, None, columns.clone(), None), groups))
    }

    fn unreadable(&self, error: &ParquetError) -> Error {
        unreadable(Location::object(self.object.clone()), error)
    }
}

fn likeness(metadata: &ParquetMetaData) -> Option<u64> {
    let mut hasher = FixedState::default().build_hasher();
    let mut told = false;
    for group in metadata.row_groups() {
        for column in group.columns() {
            (group.num_rows(), column.byte_range(), column.uncompressed_size()).hash(&mut hasher);
            let statistics = column.statistics();
            let ends = statistics.map(|of| (of.min_bytes_opt(), of.max_bytes_opt(), of.null_count_opt()));
            told |= ends.is_some_and(|(min, ..)| min.is_some());
            ends.hash(&mut hasher);
        }
    }
    told.then(|| hasher.finish())
}

/// Whether statistics say that no row has a value.
fn is_null(column: &ColumnChunkMetaData) -> bool {
    let nulls = column.statistics().and_then(Statistics::null_count_opt);
    nulls.is_some_and(|nulls| i64::try_from(nulls) == Ok(column.num_values()))
}

/// First and last day that a column of instants can hold.
fn days(column: &ColumnChunkMetaData) -> Option<(Day, Day)> {
    let statistics = match column.statistics()? {
        Statistics::Int64(statistics) => statistics,
        Statistics::Int32(statistics) if is_date(column) => {
            let (first, last) = (Day(*statistics.min_opt()?), Day(*statistics.max_opt()?));
            return (first <= last).then_some((first, last));
        }
        _ => return None,
    };
    let per_milli = match column.column_descr().logical_type_ref() {
        Some(LogicalType::Timestamp(stamp)) if stamp.unit == TimeUnit::MILLIS => 1,
        Some(LogicalType::Timestamp(stamp)) if stamp.unit == TimeUnit::MICROS => 1_000,
        Some(LogicalType::Timestamp(stamp)) if stamp.unit == TimeUnit::NANOS => 1_000_000,
        _ => return None,
    };
    let day = |ticks: &i64| Day::from_millis(ticks.div_euclid(per_milli));
    let (first, last) = (day(statistics.min_opt()?), day(statistics.max_opt()?));
    (first <= last).then_some((first, last))
}

fn is_date(column: &ColumnChunkMetaData) -> bool {
    matches!(column.column_descr().logical_type_ref(), Some(LogicalType::Date))
}

#[cfg(test)]
mod tests;
