//! Finished rows in PostgreSQL's binary COPY form, checked value by value on the way.
//!
//! ```text
//!   RecordBatch ──> header │ 37, uuid, 36 values │ 37, uuid, 36 values │ … ──> chunks of 256 KiB
//! ```
//!
//! One bad value ends a whole COPY on the server, and its message names a line number nobody has. So lengths,
//! NUL characters and numbers are refused here, with the row's own names.

use arrow::array::{Array, AsArray, Date32Array, Float64Array, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{Date32Type, Float64Type, Int32Type};
use bytes::{BufMut, Bytes, BytesMut};
use daysum_core::{Day, Error, Location, Result, rows};
use uuid::Uuid;

use crate::numeric::{NumericEncoder, NumericMode};
use crate::scope::DayScope;
use crate::tables::{Kind, written};

/// Chunks this large keep the connection busy and the buffer small.
const CHUNK: usize = 256 * 1024;
/// Days from Arrow's epoch to PostgreSQL's, 2000-01-01.
const EPOCH: i32 = 10_957;
/// What a jsonb value may weigh in total.
const MAX_JSON: usize = 0x0fff_ffff;

/// Encodes batches into chunks.
pub(crate) struct RowEncoder {
    target: DayScope,
    /// The source as most rows spell it.
    source_text: String,
    numbers: Vec<NumericEncoder>,
    buffer: BytesMut,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

impl RowEncoder {
    pub(crate) fn new(target: DayScope, mode: NumericMode) -> Self {
        let mut buffer = BytesMut::with_capacity(CHUNK + 4096);
        buffer.put_slice(b"PGCOPY\n\xff\r\n\0");
        buffer.put_u64(0); // no flags, no header extension
        Self {
            target,
            source_text: target.source.hyphenated().to_string(),
            numbers: vec![NumericEncoder::new(mode); written().len()],
            buffer,
            rows: 0,
            bytes: 0,
        }
    }

    /// Encodes rows `from..` of a batch until a chunk is full; says which row comes next.
    pub(crate) fn fill(&mut self, batch: &Bound<'_>, from: usize) -> Result<usize> {
        for row in from..batch.rows {
            if self.buffer.len() >= CHUNK {
                return Ok(row);
            }
            self.row(batch, row)?;
        }
        Ok(batch.rows)
    }

    /// The full chunk, if there is one.
    pub(crate) fn chunk(&mut self) -> Option<Bytes> {
        (self.buffer.len() >= CHUNK).then(|| self.take())
    }

    /// The last bytes of the stream.
    pub(crate) fn finish(&mut self) -> Bytes {
        self.buffer.put_i16(-1);
        self.take()
    }

    fn take(&mut self) -> Bytes {
        let chunk = self.buffer.split().freeze();
        self.buffer.reserve(CHUNK + 4096);
        self.bytes += chunk.len() as u64;
        chunk
    }

    fn row(&mut self, batch: &Bound<'_>, row: usize) -> Result<()> {
        let start = self.buffer.len();
        let encoded = self.values(batch, row);
        if encoded.is_err() {
            self.buffer.truncate(start);
        } else {
            self.rows += 1;
        }
        encoded.map_err(|(column, reason)| batch.refuse(row, column, reason))
    }

    fn values(&mut self, batch: &Bound<'_>, row: usize) -> Result<(), (usize, String)> {
        let out = &mut self.buffer;
        out.put_i16(written().len() as i16 + 1);
        out.put_i32(16);
        out.put_slice(Uuid::new_v4().as_bytes());
        for (index, column) in batch.columns.iter().enumerate() {
            if column.is_null(row) {
                if is_required(index) {
                    return Err((index, "is NULL, which no finished row may be".to_owned()));
                }
                out.put_i32(-1);
                continue;
            }
            match column {
                Values::Integer(values) => {
                    let value = values.value(row);
                    if index == PERIOD && value != self.target.period {
                        return Err((
                            index,
                            format!("is {value} in a write of report period {}", self.target.period),
                        ));
                    }
                    out.put_i32(4);
                    out.put_i32(value);
                }
                Values::Date(values) => {
                    let day = Day(values.value(row));
                    if day != self.target.day {
                        return Err((index, format!("is {day} in a write of {}", self.target.day)));
                    }
                    out.put_i32(4);
                    out.put_i32(day.0 - EPOCH);
                }
                Values::Varchar(values, limit) => {
                    let text = values.value(row);
                    check_text(text, *limit).map_err(|reason| (index, reason))?;
                    out.put_i32(text.len() as i32);
                    out.put_slice(text.as_bytes());
                }
                Values::Jsonb(values) => {
                    let text = values.value(row);
                    check_json(text).map_err(|reason| (index, reason.to_owned()))?;
                    out.put_i32(text.len() as i32 + 1);
                    out.put_u8(1); // the version of jsonb's binary form
                    out.put_slice(text.as_bytes());
                }
                Values::Numeric(values) => {
                    let value = values.value(row);
                    self.numbers[index]
                        .put(value, out)
                        .map_err(|error| (index, format!("{value:?} {}", error.reason())))?;
                }
                Values::Uuid(values) => {
                    let text = values.value(row);
                    let same = text == self.source_text || text.parse() == Ok(self.target.source);
                    if !same {
                        return Err((
                            index,
                            format!("is {:?} in a write of source {}", text, self.source_text),
                        ));
                    }
                    out.put_i32(16);
                    out.put_slice(self.target.source.as_bytes());
                }
            }
        }
        Ok(())
    }
}

// Positions in `rows::schema`, proved by a test below.
const PERIOD: usize = 0;
const START: usize = 4;
const END: usize = 5;
const SOURCE: usize = 33;

/// Whether it is one of the columns that say which write a row belongs to.
fn is_required(column: usize) -> bool {
    matches!(column, PERIOD | START | END | SOURCE)
}

/// A batch whose columns were checked once.
pub(crate) struct Bound<'a> {
    columns: Vec<Values<'a>>,
    rows: usize,
    day: Day,
}

enum Values<'a> {
    Integer(&'a Int32Array),
    Date(&'a Date32Array),
    Varchar(&'a StringArray, usize),
    Jsonb(&'a StringArray),
    Numeric(&'a Float64Array),
    Uuid(&'a StringArray),
}

impl Values<'_> {
    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Integer(values) => values.is_null(row),
            Self::Date(values) => values.is_null(row),
            Self::Varchar(values, _) | Self::Jsonb(values) | Self::Uuid(values) => values.is_null(row),
            Self::Numeric(values) => values.is_null(row),
        }
    }
}

impl<'a> Bound<'a> {
    pub(crate) fn new(batch: &'a RecordBatch, day: Day) -> Result<Self> {
        let (schema, expected) = (batch.schema(), rows::schema());
        if schema.fields().len() != expected.fields().len() {
            return Err(Error::Schema {
                at: Box::new(Location::object(format!("summary rows of {day}"))),
                expected: format!("{} columns", expected.fields().len()),
                found: schema.fields().len().to_string(),
            });
        }
        for (found, expected) in schema.fields().iter().zip(expected.fields()) {
            if found.name() != expected.name() || found.data_type() != expected.data_type() {
                return Err(Error::Schema {
                    at: Box::new(
                        Location::object(format!("summary rows of {day}")).column(expected.name().as_str()),
                    ),
                    expected: format!("{} {}", expected.name(), expected.data_type()),
                    found: format!("{} {}", found.name(), found.data_type()),
                });
            }
        }
        let columns = written()
            .iter()
            .zip(batch.columns())
            .map(|((_, kind), column)| match kind {
                Kind::Integer => Values::Integer(column.as_primitive::<Int32Type>()),
                Kind::Date => Values::Date(column.as_primitive::<Date32Type>()),
                Kind::Numeric => Values::Numeric(column.as_primitive::<Float64Type>()),
                Kind::Varchar(limit) => Values::Varchar(column.as_string::<i32>(), *limit),
                Kind::Jsonb => Values::Jsonb(column.as_string::<i32>()),
                Kind::Uuid => Values::Uuid(column.as_string::<i32>()),
            })
            .collect();
        Ok(Self { columns, rows: batch.num_rows(), day })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Names the group a row stands for: that is what its reader can look for.
    fn refuse(&self, row: usize, column: usize, reason: String) -> Error {
        let name = |wanted: &str| {
            let index = written().iter().position(|(name, _)| name == wanted)?;
            match &self.columns[index] {
                Values::Varchar(values, _) if !values.is_null(row) => Some(shorten(values.value(row))),
                _ => None,
            }
        };
        let group = format!(
            "{} summary row of {}, namespace {}, node {}",
            name("data_source").unwrap_or_default(),
            self.day,
            name("namespace").unwrap_or_else(|| "NULL".to_owned()),
            name("node").unwrap_or_else(|| "NULL".to_owned()),
        );
        Error::Value {
            at: Box::new(Location::object(group.trim_start()).column(written()[column].0.as_str())),
            reason: format!("{reason}; nothing of this day was written"),
        }
    }
}

/// Enough of a value to find it by.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn check_text(text: &str, limit: usize) -> Result<(), String> {
    // PostgreSQL counts characters; bytes are never fewer.
    if text.len() > limit {
        let count = text.chars().count();
        if count > limit {
            return Err(format!("{:?} has {count} characters and the column holds {limit}", shorten(text)));
        }
    }
    if text.as_bytes().contains(&0) {
        return Err("holds a NUL character, which PostgreSQL cannot store".to_owned());
    }
    Ok(())
}

fn check_json(text: &str) -> Result<(), &'static str> {
    if text.len() > MAX_JSON {
        return Err("is larger than the 256 MiB that jsonb holds");
    }
    if text.as_bytes().contains(&0) || (text.contains('\\') && escapes_nul(text)) {
        return Err("holds a NUL character, which jsonb cannot store; fix the label at its source");
    }
    Ok(())
}

/// Whether a `\u0000` is an escape, and not the end of an escaped backslash.
fn escapes_nul(text: &str) -> bool {
    let bytes = text.as_bytes();
    text.match_indices("\\u0000").any(|(at, _)| {
        let before = bytes[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        before % 2 == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_positions_are_those_of_the_schema() {
        for (index, name) in [
            (PERIOD, "report_period_id"),
            (START, "usage_start"),
            (END, "usage_end"),
            (SOURCE, "source_uuid"),
        ] {
            assert_eq!(written()[index].0, name);
        }
    }

    #[test]
    fn characters_count_not_bytes() {
        assert!(check_text(&"é".repeat(253), 253).is_ok());
        assert!(check_text(&"é".repeat(254), 253).expect_err("too long").contains("254"));
        assert!(check_text("a\0b", 253).is_err());
    }

    #[test]
    fn an_escaped_nul_is_told_from_an_escaped_backslash() {
        assert!(check_json(r#"{"a": "\u0000"}"#).is_err());
        assert!(check_json(r#"{"a": "\\\u0000"}"#).is_err());
        assert!(check_json(r#"{"a": "\\u0000"}"#).is_ok());
        assert!(check_json("{\"a\": \"\0\"}").is_err());
    }
}
