//! States as bytes: an envelope around one Arrow IPC stream per table and day.
//!
//! ```text
//! "daysum\0\1" | version u32 | length u32 | header (JSON) | streams … | SHA-256 of everything before
//!
//! header   configuration, coverage, purposes, counts, and for each day the lengths of its streams, in the order
//!          usage, capacity, volumes, mounts, node_labels, namespace_labels
//! stream   one batch: keys as sorted dictionaries, sums as 24 bytes (192 bits, lowest 2^-80), maxima as doubles
//! ```
//!
//! Rows are sorted by the text of their keys and dictionaries hold what is used, sorted; so equal content gives
//! equal bytes, whichever way it was merged. NULL stands where a group had only NULLs.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, FixedSizeBinaryArray, FixedSizeBinaryBuilder, Float64Array,
    RecordBatch, RecordBatchOptions, StringArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, UInt32Type, UInt64Type};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::PartialState;
use super::config::{FoldConfig, Told};
use super::coverage::{Coverage, Purposes};
use super::day::{CAPACITY_SYMBOLS, DayState};
use super::order::sorted;
use super::table::{Accumulator, Table};
use super::values::{CapacityMax, Member, Mount, PodSums, RowCounts, VolumeSums};
use crate::day::Day;
use crate::error::{Error, Result};
use crate::exact::{ExactSum, MaxOf};
use crate::intern::{Interner, Sym};

/// The form that this build writes, and the only one it reads.
pub const WIRE_VERSION: u32 = 2;

const MAGIC: &[u8; 8] = b"daysum\0\x01";
const DIGEST_BYTES: usize = 32;
pub(super) const STREAMS: usize = 6;

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    config: Told,
    coverage: Coverage,
    purposes: Purposes,
    counts: RowCounts,
    days: BTreeMap<Day, [u64; STREAMS]>,
}

impl PartialState {
    /// The state as bytes; equal content gives equal bytes.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use daysum_core::{FoldConfig, Lookups, PartialState};
    /// let lookups = Lookups { start_date: Some("2025-11-01".into()), end_date: Some("2025-11-30".into()), ..Default::default() };
    /// let state = PartialState::empty(Arc::new(FoldConfig::new(&lookups, Default::default())?));
    /// let bytes = state.encode()?;
    /// assert_eq!(PartialState::decode(bytes.clone())?.encode()?, bytes);
    /// # Ok::<(), daysum_core::Error>(())
    /// ```
    pub fn encode(&self) -> Result<Bytes> {
        let mut days = BTreeMap::new();
        let mut body = Vec::new();
        for (day, state) in &self.days {
            let streams = state.unspilled()?.to_streams()?;
            days.insert(*day, streams.each_ref().map(|stream| stream.len() as u64));
            streams.iter().for_each(|stream| body.extend_from_slice(stream));
        }
        let header = Header {
            config: self.config.told().clone(),
            coverage: self.coverage.clone(),
            purposes: self.purposes.clone(),
            counts: self.counts,
            days,
        };
        let header = serde_json::to_vec(&header).map_err(Error::wire)?;
        let length = u32::try_from(header.len()).map_err(|_| Error::wire("the header exceeds 4 GiB"))?;
        let mut bytes = Vec::with_capacity(MAGIC.len() + 8 + header.len() + body.len() + DIGEST_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&WIRE_VERSION.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&header);
        bytes.append(&mut body);
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        Ok(bytes.into())
    }

    /// Reads what [`encode`](Self::encode) wrote: refuses other versions, damage, and what is no state.
    pub fn decode(bytes: Bytes) -> Result<Self> {
        let mut rest =
            bytes.strip_prefix(MAGIC).ok_or_else(|| Error::wire("it does not start as a state of daysum"))?;
        let version = number(&mut rest)?;
        if version != WIRE_VERSION {
            return Err(Error::WireVersion { expected: WIRE_VERSION, found: version });
        }
        let (content, digest) =
            bytes.split_last_chunk::<DIGEST_BYTES>().ok_or_else(|| Error::wire("it is cut short"))?;
        if Sha256::digest(content).as_slice() != digest {
            return Err(Error::wire("its checksum is wrong: it is cut short or damaged"));
        }
        let length = number(&mut rest)? as usize;
        let header = rest.get(..length).ok_or_else(|| Error::wire("it is cut short"))?;
        let header: Header = serde_json::from_slice(header).map_err(Error::wire)?;
        let config = Arc::new(FoldConfig::from_told(header.config));
        let mut body = &content[content.len() - (rest.len() - DIGEST_BYTES).saturating_sub(length)..];
        let mut days = BTreeMap::new();
        for (day, lengths) in header.days {
            let mut streams = [&[] as &[u8]; STREAMS];
            for (stream, length) in streams.iter_mut().zip(lengths) {
                let (taken, left) = usize::try_from(length)
                    .ok()
                    .and_then(|length| body.split_at_checked(length))
                    .ok_or_else(|| Error::wire("its tables are shorter than its header says"))?;
                (*stream, body) = (taken, left);
            }
            let state = guarded(|| DayState::from_streams(streams))?;
            state.check_labels(&config)?;
            days.insert(day, state);
        }
        if !body.is_empty() {
            return Err(Error::wire("it holds more than its header says"));
        }
        Ok(Self::from_parts(config, header.coverage, header.purposes, header.counts, days))
    }
}

/// Arrow's reader believes in places what a stream says of its own lengths, and panics where that is a lie.
fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    let read = catch_unwind(AssertUnwindSafe(read));
    read.unwrap_or_else(|_| Err(Error::wire("its tables contradict themselves, so that the reader gave up")))
}

fn number(rest: &mut &[u8]) -> Result<u32> {
    let (number, left) = rest.split_first_chunk::<4>().ok_or_else(|| Error::wire("it is cut short"))?;
    *rest = left;
    Ok(u32::from_le_bytes(*number))
}

pub(crate) const USAGE: [&str; 3] = ["namespace", "node", "labels"];
const CAPACITY: [&str; 2] = ["millis_of_day", "node"];
const VOLUMES: [&str; 8] =
    ["namespace", "pod", "claim", "volume", "class", "handle", "volume_labels", "claim_labels"];
pub(super) const MOUNTS: [&str; 4] = ["namespace", "pod", "node", "daily_row"];
const NODE_LABELS: [&str; 2] = ["node", "labels"];
const NAMESPACE_LABELS: [&str; 2] = ["namespace", "labels"];

impl DayState {
    pub(super) fn to_streams(&self) -> Result<[Vec<u8>; STREAMS]> {
        let Self { names, usage, capacity, volumes, mounts, node_labels, namespace_labels, .. } = self;
        Ok([
            write(names, usage, USAGE, [true; 3])?,
            write(names, capacity, CAPACITY, CAPACITY_SYMBOLS)?,
            write(names, volumes, VOLUMES, [true; 8])?,
            write(names, mounts, MOUNTS, [true; 4])?,
            write(names, node_labels, NODE_LABELS, [true; 2])?,
            write(names, namespace_labels, NAMESPACE_LABELS, [true; 2])?,
        ])
    }

    pub(super) fn from_streams(streams: [&[u8]; STREAMS]) -> Result<Self> {
        let mut state = Self::default();
        let Self { names, usage, capacity, volumes, mounts, node_labels, namespace_labels, .. } = &mut state;
        *usage = read(names, streams[0], USAGE, [true; 3])?;
        *capacity = read(names, streams[1], CAPACITY, CAPACITY_SYMBOLS)?;
        *volumes = read(names, streams[2], VOLUMES, [true; 8])?;
        *mounts = read(names, streams[3], MOUNTS, [true; 4])?;
        *node_labels = read(names, streams[4], NODE_LABELS, [true; 2])?;
        *namespace_labels = read(names, streams[5], NAMESPACE_LABELS, [true; 2])?;
        Ok(state)
    }

    /// Label sets are merged as they are spelled, so a state in which they are spelled otherwise is none of ours.
    fn check_labels(&self, config: &FoldConfig) -> Result<()> {
        let usage = self.usage.iter().map(|(key, _)| key[2]);
        let volumes = self.volumes.iter().flat_map(|(key, _)| [key[6], key[7]]);
        let owned = self.node_labels.iter().chain(self.namespace_labels.iter()).map(|(key, _)| key[1]);
        let sets: BTreeSet<Sym> = usage.chain(volumes).chain(owned).collect();
        for set in sets.into_iter().filter_map(|set| self.names.get(set)) {
            if config.labels().canonical(set).ok().as_deref() != Some(set) {
                return Err(Error::wire(format!(
                    "{set:?} is no label set of the keys that it was folded with"
                )));
            }
        }
        Ok(())
    }
}

/// A table's values as columns.
pub(crate) trait Columns: Accumulator {
    /// Named columns, a value for each of `rows`.
    fn to_columns(rows: &[&Self], names: &Interner) -> Vec<(String, ArrayRef)>;
    /// The values of all rows.
    fn from_columns(batch: &RecordBatch, names: &mut Interner) -> Result<Vec<Self>>;
}

fn write<const N: usize, A: Columns>(
    names: &Interner,
    table: &Table<N, A>,
    keys: [&str; N],
    symbols: [bool; N],
) -> Result<Vec<u8>> {
    write_groups(names, table, &sorted(names, table, symbols), keys, symbols)
}

/// These groups of a table, in this order.
pub(super) fn write_groups<const N: usize, A: Columns>(
    names: &Interner,
    table: &Table<N, A>,
    order: &[usize],
    keys: [&str; N],
    symbols: [bool; N],
) -> Result<Vec<u8>> {
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for (part, (name, is_symbol)) in keys.into_iter().zip(symbols).enumerate() {
        let key = order.iter().map(|&group| table.key(group)[part]);
        let column = if is_symbol {
            text_column(names, key)
        } else {
            Arc::new(UInt32Array::from_iter_values(key.map(|number| number.0)))
        };
        columns.push((name.to_owned(), column));
    }
    let values: Vec<&A> = order.iter().map(|&group| table.value(group)).collect();
    columns.extend(A::to_columns(&values, names));
    let fields: Vec<Field> =
        columns.iter().map(|(name, column)| Field::new(name, column.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let rows = RecordBatchOptions::new().with_row_count(Some(order.len()));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let batch = RecordBatch::try_new_with_options(schema.clone(), columns, &rows).map_err(Error::wire)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).map_err(Error::wire)?;
    writer.write(&batch).map_err(Error::wire)?;
    writer.into_inner().map_err(Error::wire)
}

pub(super) fn read<const N: usize, A: Columns>(
    names: &mut Interner,
    stream: &[u8],
    keys: [&str; N],
    symbols: [bool; N],
) -> Result<Table<N, A>> {
    let mut table = Table::default();
    for batch in StreamReader::try_new(stream, None).map_err(Error::wire)? {
        let batch = batch.map_err(Error::wire)?;
        let mut parts = Vec::with_capacity(N);
        for (name, is_symbol) in keys.into_iter().zip(symbols) {
            parts.push(if is_symbol { text_symbols(&batch, name, names)? } else { numbers(&batch, name)? });
        }
        let values = A::from_columns(&batch, names)?;
        for (row, value) in values.into_iter().enumerate() {
            let before = table.len();
            let group = table.group(std::array::from_fn(|part| parts[part][row]));
            if group != before {
                return Err(Error::wire("a group is there twice"));
            }
            *table.value_mut(group) = value;
        }
    }
    Ok(table)
}

/// Symbols as a dictionary of the texts in use, sorted.
fn text_column(names: &Interner, syms: impl Iterator<Item = Sym> + Clone) -> ArrayRef {
    let mut used: Vec<Sym> = syms.clone().filter(|sym| !sym.is_null()).collect();
    used.sort_unstable();
    used.dedup();
    used.sort_unstable_by_key(|sym| names.get(*sym));
    let positions: HashMap<Sym, u32, RandomState> = used.iter().copied().zip(0..).collect();
    let keys: UInt32Array = syms.map(|sym| (!sym.is_null()).then(|| positions[&sym])).collect();
    let values = StringArray::from_iter(used.iter().map(|sym| names.get(*sym)));
    Arc::new(DictionaryArray::new(keys, Arc::new(values)))
}

fn text_symbols(batch: &RecordBatch, name: &str, names: &mut Interner) -> Result<Vec<Sym>> {
    let wanted = DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8));
    let column = column(batch, name, &wanted)?.as_dictionary::<UInt32Type>();
    let values: Vec<Sym> =
        column.values().as_string::<i32>().iter().map(|text| names.intern_option(text)).collect();
    let sym = |key: Option<u32>| match key {
        None => Ok(Sym::NULL),
        Some(key) => {
            values.get(key as usize).copied().ok_or_else(|| Error::wire("a key beyond its dictionary"))
        }
    };
    column.keys().iter().map(sym).collect()
}

fn numbers(batch: &RecordBatch, name: &str) -> Result<Vec<Sym>> {
    let column = column(batch, name, &DataType::UInt32)?.as_primitive::<UInt32Type>();
    Ok(column.values().iter().map(|&number| Sym(number)).collect())
}

fn column<'a>(batch: &'a RecordBatch, name: &str, wanted: &DataType) -> Result<&'a ArrayRef> {
    batch
        .column_by_name(name)
        .filter(|column| column.data_type() == wanted)
        .ok_or_else(|| Error::wire(format!("no column {name} of type {wanted}")))
}

fn sum_column(rows: usize, sum: impl Fn(usize) -> Option<ExactSum>) -> ArrayRef {
    let mut column = FixedSizeBinaryBuilder::with_capacity(rows, ExactSum::BYTES as i32);
    for row in 0..rows {
        match sum(row) {
            Some(sum) => column.append_value(sum.to_bytes()).expect("a sum has the width of the column"),
            None => column.append_null(),
        }
    }
    Arc::new(column.finish())
}

fn sums<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a FixedSizeBinaryArray> {
    Ok(column(batch, name, &DataType::FixedSizeBinary(ExactSum::BYTES as i32))?.as_fixed_size_binary())
}

fn sum_at(column: &FixedSizeBinaryArray, row: usize) -> Option<ExactSum> {
    let bytes = column.is_valid(row).then(|| column.value(row))?;
    Some(ExactSum::from_bytes(bytes.try_into().expect("the column's width was checked")))
}

fn max_column<'a>(maxima: impl Iterator<Item = &'a MaxOf>) -> ArrayRef {
    Arc::new(maxima.map(MaxOf::get).collect::<Float64Array>())
}

fn maxima(batch: &RecordBatch, name: &str) -> Result<Vec<MaxOf>> {
    let column = column(batch, name, &DataType::Float64)?.as_primitive::<Float64Type>();
    let max = |value: Option<f64>| {
        let mut max = MaxOf::NONE;
        if let Some(value) = value {
            if !value.is_finite() {
                return Err(Error::wire(format!("{name} holds {value}")));
            }
            max.add(value);
        }
        Ok(max)
    };
    column.iter().map(max).collect()
}

fn counts(batch: &RecordBatch, name: &str) -> Result<Vec<u64>> {
    Ok(column(batch, name, &DataType::UInt64)?.as_primitive::<UInt64Type>().values().to_vec())
}

/// `sum_0`, `sum_1`, …: NULL where every value was NULL.
fn sum_columns<'a, const M: usize>(
    rows: usize,
    of: impl Fn(usize) -> (&'a [ExactSum; M], u8),
) -> Vec<(String, ArrayRef)> {
    let column = |metric: usize| {
        sum_column(rows, |row| {
            let (sums, present) = of(row);
            (present >> metric & 1 == 1).then(|| sums[metric])
        })
    };
    (0..M).map(|metric| (format!("sum_{metric}"), column(metric))).collect()
}

fn read_sums<const M: usize>(batch: &RecordBatch) -> Result<Vec<([ExactSum; M], u8)>> {
    let mut rows = vec![([ExactSum::ZERO; M], 0u8); batch.num_rows()];
    for metric in 0..M {
        let column = sums(batch, &format!("sum_{metric}"))?;
        for (row, (sums, present)) in rows.iter_mut().enumerate() {
            if let Some(sum) = sum_at(column, row) {
                sums[metric] = sum;
                *present |= 1 << metric;
            }
        }
    }
    Ok(rows)
}

impl Columns for PodSums {
    fn to_columns(rows: &[&Self], names: &Interner) -> Vec<(String, ArrayRef)> {
        let mut columns = sum_columns(rows.len(), |row| (&rows[row].sums, rows[row].present));
        let count: ArrayRef = Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.rows)));
        columns.extend([
            ("rows".to_owned(), count),
            ("cores".to_owned(), max_column(rows.iter().map(|row| &row.cores))),
            ("memory_bytes".to_owned(), max_column(rows.iter().map(|row| &row.memory_bytes))),
            ("resource_id".to_owned(), text_column(names, rows.iter().map(|row| row.resource_id))),
        ]);
        columns
    }

    fn from_columns(batch: &RecordBatch, names: &mut Interner) -> Result<Vec<Self>> {
        let (rows, cores) = (counts(batch, "rows")?, maxima(batch, "cores")?);
        let (memory, resources) =
            (maxima(batch, "memory_bytes")?, text_symbols(batch, "resource_id", names)?);
        let sums = read_sums(batch)?.into_iter().enumerate();
        Ok(sums
            .map(|(row, (sums, present))| Self {
                sums,
                present,
                rows: rows[row],
                cores: cores[row],
                memory_bytes: memory[row],
                resource_id: resources[row],
            })
            .collect())
    }
}

impl Columns for VolumeSums {
    fn to_columns(rows: &[&Self], _: &Interner) -> Vec<(String, ArrayRef)> {
        let mut columns = sum_columns(rows.len(), |row| (&rows[row].sums, rows[row].present));
        let count: ArrayRef = Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.rows)));
        columns.push(("rows".to_owned(), count));
        columns.push(("capacity_bytes".to_owned(), max_column(rows.iter().map(|row| &row.capacity_bytes))));
        columns
    }

    fn from_columns(batch: &RecordBatch, _: &mut Interner) -> Result<Vec<Self>> {
        let (rows, capacity) = (counts(batch, "rows")?, maxima(batch, "capacity_bytes")?);
        let sums = read_sums(batch)?.into_iter().enumerate();
        Ok(sums
            .map(|(row, (sums, present))| Self {
                sums,
                present,
                rows: rows[row],
                capacity_bytes: capacity[row],
            })
            .collect())
    }
}

impl Columns for CapacityMax {
    fn to_columns(rows: &[&Self], _: &Interner) -> Vec<(String, ArrayRef)> {
        vec![
            ("cpu".to_owned(), max_column(rows.iter().map(|row| &row.cpu))),
            ("memory".to_owned(), max_column(rows.iter().map(|row| &row.memory))),
        ]
    }

    fn from_columns(batch: &RecordBatch, _: &mut Interner) -> Result<Vec<Self>> {
        let (cpu, memory) = (maxima(batch, "cpu")?, maxima(batch, "memory")?);
        Ok(cpu.into_iter().zip(memory).map(|(cpu, memory)| Self { cpu, memory }).collect())
    }
}

impl Columns for Mount {
    fn to_columns(rows: &[&Self], names: &Interner) -> Vec<(String, ArrayRef)> {
        vec![("resource_id".to_owned(), text_column(names, rows.iter().map(|row| row.resource_id)))]
    }

    fn from_columns(batch: &RecordBatch, names: &mut Interner) -> Result<Vec<Self>> {
        let resources = text_symbols(batch, "resource_id", names)?;
        Ok(resources.into_iter().map(|resource_id| Self { resource_id }).collect())
    }
}

impl Columns for Member {
    fn to_columns(_: &[&Self], _: &Interner) -> Vec<(String, ArrayRef)> {
        Vec::new()
    }

    fn from_columns(batch: &RecordBatch, _: &mut Interner) -> Result<Vec<Self>> {
        Ok(vec![Self; batch.num_rows()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookups::Lookups;

    /// A state whose one node has these labels.
    fn labelled(labels: &str) -> Bytes {
        let lookups = Lookups {
            start_date: Some("2025-11-01".into()),
            end_date: Some("2025-11-30".into()),
            enabled_tag_keys: vec!["app".into()],
            ..Lookups::default()
        };
        let config = FoldConfig::new(&lookups, Default::default()).expect("a range");
        let mut day = DayState::default();
        let key = ["node", labels].map(|text| day.names.intern(text));
        day.node_labels.group(key);
        let days = BTreeMap::from([("2025-11-01".parse().expect("a day"), day)]);
        let state = PartialState::from_parts(
            Arc::new(config),
            Default::default(),
            Default::default(),
            Default::default(),
            days,
        );
        state.encode().expect("encodes")
    }

    /// The same with another end, and the checksum of what it is then.
    fn checked(content: &[u8]) -> Bytes {
        [content, &Sha256::digest(content)].concat().into()
    }

    #[test]
    fn damaged_states_and_those_of_other_versions_are_refused() {
        let good = labelled("{}");
        let content = &good[..good.len() - DIGEST_BYTES];
        assert_eq!(checked(content), good);
        for at in 0..good.len() {
            let mut damaged = good.to_vec();
            damaged[at] ^= 1;
            let error = PartialState::decode(damaged.into()).expect_err("a flipped bit");
            assert!(matches!(error.code(), "wire" | "wire_version"), "{at}: {error}");
            PartialState::decode(good.slice(..at)).expect_err("cut short");
        }
        for version in [WIRE_VERSION - 1, WIRE_VERSION + 1] {
            let mut other = content.to_vec();
            other[MAGIC.len()..][..4].copy_from_slice(&version.to_le_bytes());
            let error = PartialState::decode(checked(&other)).expect_err("another version");
            assert_eq!(error.code(), "wire_version");
            assert!(error.to_string().contains(&format!("version {version}")), "{error}");
        }
        let error = PartialState::decode(checked(&[content, b"x"].concat())).expect_err("a byte too many");
        assert!(error.to_string().contains("more than its header says"), "{error}");
    }

    #[test]
    fn a_maximum_that_is_no_number_of_ours_is_refused() {
        let mut day = DayState::default();
        let node = day.names.intern("node");
        let group = day.capacity.group(DayState::capacity_key(0, node));
        day.capacity.value_mut(group).cpu.add(f64::INFINITY);
        let streams = day.to_streams().expect("it can be written");
        let error = DayState::from_streams(streams.each_ref().map(Vec::as_slice)).expect_err("infinity");
        assert!(error.to_string().contains("cpu holds inf"), "{error}");
    }

    #[test]
    fn labels_that_no_fold_has_spelled_are_refused() {
        for good in ["{}", r#"{"app": "x"}"#, r#"{"app": null}"#, r#"{"app": "a\"b"}"#] {
            PartialState::decode(labelled(good)).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
        for bad in ["", "{", r#"{"app":"x"}"#, r#"{"app": "x}"#, r#"{"other": "x"}"#, r#"{"app": 1}"#] {
            let error = PartialState::decode(labelled(bad)).expect_err(bad);
            assert_eq!(error.code(), "wire", "{bad}: {error}");
        }
    }
}
