//! Finished rows as a file: Parquet, CSV, Arrow IPC or JSON lines, without IO.
//!
//! ```text
//!   batches of any size --(Parquet, Arrow: blocks of 8,192 rows)--> writer --> W: Write
//! ```
//!
//! ```
//! use daysum_core::rows::{self, RowsEncoder, RowsFormat};
//! use arrow::array::RecordBatch;
//!
//! let mut encoder = RowsEncoder::new(RowsFormat::Csv, Vec::new())?;
//! encoder.write(&RecordBatch::new_empty(rows::schema()))?;
//! let file = encoder.finish()?;
//! assert!(file.starts_with(b"\"report_period_id\",\"cluster_id\""));
//! # Ok::<(), daysum_core::Error>(())
//! ```
//!
//! The surprise worth knowing: equal rows in equal order give equal bytes, however they were cut into batches.

use std::fmt;
use std::io::Write;
use std::str::FromStr;

use arrow::array::RecordBatch;
use arrow::ipc::writer::FileWriter;
#[cfg(feature = "parquet-out")]
use parquet::{
    arrow::ArrowWriter,
    basic::Compression,
    file::properties::{EnabledStatistics, WriterProperties},
};

use crate::error::{Error, Result};

mod blocks;
mod csv;
mod json;
#[cfg(test)]
mod tests;

use blocks::Blocks;
pub use blocks::concat;

/// A Parquet row group is closed at this many encoded bytes, which bounds what the writer holds.
#[cfg(feature = "parquet-out")]
const ROW_GROUP_BYTES: usize = 8 * 1024 * 1024;

/// The form of an output file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum RowsFormat {
    /// Parquet, snappy, with the columns, names and types of [`schema`](super::schema).
    #[default]
    Parquet,
    /// Comma-separated values after RFC 4180, with a header and `\r\n`.
    ///
    /// NULL is an empty field, an empty text is `""`, all other text is quoted; dates are `YYYY-MM-DD`; a number
    /// is the shortest that reads back as the same double. Text that a spreadsheet would run as a formula (it
    /// starts with `=`, `+`, `-`, `@`, a tab or a carriage return) gets a leading apostrophe, and so does text
    /// that starts with an apostrophe: removing one leading apostrophe gives the original back.
    Csv,
    /// An Arrow IPC file (Feather version 2), uncompressed. The file form rather than the stream, because it can
    /// be mapped into memory and read from the middle.
    Arrow,
    /// One JSON object a line. Labels and `infrastructure_usage_cost` are nested objects, not text holding JSON;
    /// NULL is `null`, so that every line has every key.
    JsonLines,
}

impl RowsFormat {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Parquet, Self::Csv, Self::Arrow, Self::JsonLines];

    /// What follows the dot in a file's name, and the name of the format on the command line.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Arrow => "arrow",
            Self::JsonLines => "jsonl",
        }
    }
}

impl fmt::Display for RowsFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.extension())
    }
}

impl FromStr for RowsFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let lower = text.to_ascii_lowercase();
        Self::ALL.into_iter().find(|format| format.extension() == lower).ok_or_else(|| {
            Error::config(format!("{text:?} is no output format; use parquet, csv, arrow or jsonl"))
        })
    }
}

/// Writes batches of [`schema`](super::schema) as one file.
pub struct RowsEncoder<W: Write + Send> {
    inner: Inner<W>,
    rows: u64,
}

enum Inner<W: Write + Send> {
    #[cfg(feature = "parquet-out")]
    Parquet {
        writer: Box<ArrowWriter<W>>,
        blocks: Blocks,
    },
    Arrow {
        writer: Box<FileWriter<W>>,
        blocks: Blocks,
    },
    Csv {
        out: W,
        line: Vec<u8>,
    },
    JsonLines {
        out: W,
        line: Vec<u8>,
    },
}

impl<W: Write + Send> fmt::Debug for RowsEncoder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowsEncoder").field("format", &self.format()).field("rows", &self.rows).finish()
    }
}

impl<W: Write + Send> RowsEncoder<W> {
    /// Starts a file; a header is written at once where the format has one.
    pub fn new(format: RowsFormat, mut out: W) -> Result<Self> {
        let schema = super::schema();
        let inner = match format {
            #[cfg(not(feature = "parquet-out"))]
            RowsFormat::Parquet => return Err(failed("this build writes no Parquet: feature parquet-out")),
            #[cfg(feature = "parquet-out")]
            RowsFormat::Parquet => {
                let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties())).map_err(failed)?;
                Inner::Parquet { writer: Box::new(writer), blocks: Blocks::default() }
            }
            RowsFormat::Arrow => {
                let writer = FileWriter::try_new(out, &schema).map_err(failed)?;
                Inner::Arrow { writer: Box::new(writer), blocks: Blocks::default() }
            }
            RowsFormat::Csv => {
                let mut line = Vec::new();
                csv::header(&schema, &mut line);
                out.write_all(&line).map_err(failed)?;
                Inner::Csv { out, line }
            }
            RowsFormat::JsonLines => Inner::JsonLines { out, line: Vec::new() },
        };
        Ok(Self { inner, rows: 0 })
    }

    /// Adds rows.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        super::check(rows)?;
        self.rows += rows.num_rows() as u64;
        match &mut self.inner {
            #[cfg(feature = "parquet-out")]
            Inner::Parquet { writer, blocks } => blocks.push(rows, |block| write_parquet(writer, block)),
            Inner::Arrow { writer, blocks } => blocks.push(rows, |block| writer.write(block).map_err(failed)),
            Inner::Csv { out, line } => {
                let columns = csv::Column::bind(rows);
                in_pieces(rows.num_rows(), out, line, |row, line| {
                    csv::row(&columns, row, line);
                    Ok(())
                })
            }
            Inner::JsonLines { out, line } => {
                let columns = json::Column::bind(rows)?;
                in_pieces(rows.num_rows(), out, line, |row, line| json::row(&columns, row, line))
            }
        }
    }

    /// Ends the file and gives the writer back, flushed.
    pub fn finish(self) -> Result<W> {
        let mut out = match self.inner {
            #[cfg(feature = "parquet-out")]
            Inner::Parquet { mut writer, mut blocks } => {
                blocks.finish(|block| write_parquet(&mut writer, block))?;
                writer.into_inner().map_err(failed)?
            }
            Inner::Arrow { mut writer, mut blocks } => {
                blocks.finish(|block| writer.write(block).map_err(failed))?;
                writer.finish().map_err(failed)?;
                writer.into_inner().map_err(failed)?
            }
            Inner::Csv { out, .. } | Inner::JsonLines { out, .. } => out,
        };
        out.flush().map_err(failed)?;
        Ok(out)
    }

    /// The writer below, such as a `Vec<u8>` whose bytes are taken away as they come. Adding to it breaks the file.
    pub fn get_mut(&mut self) -> &mut W {
        match &mut self.inner {
            #[cfg(feature = "parquet-out")]
            Inner::Parquet { writer, .. } => writer.inner_mut(),
            Inner::Arrow { writer, .. } => writer.get_mut(),
            Inner::Csv { out, .. } | Inner::JsonLines { out, .. } => out,
        }
    }

    /// Rows added so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    fn format(&self) -> RowsFormat {
        match self.inner {
            #[cfg(feature = "parquet-out")]
            Inner::Parquet { .. } => RowsFormat::Parquet,
            Inner::Arrow { .. } => RowsFormat::Arrow,
            Inner::Csv { .. } => RowsFormat::Csv,
            Inner::JsonLines { .. } => RowsFormat::JsonLines,
        }
    }
}

#[cfg(feature = "parquet-out")]
fn properties() -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("daysum version ", env!("CARGO_PKG_VERSION")).to_owned());
    // What hardly repeats is only slowed down by a dictionary, and nobody looks for a range of label texts.
    let [usage_cpu, _, effective_cpu, _, usage_memory, _, effective_memory, _] = super::POD_SUMS;
    for unique in [usage_cpu, effective_cpu, usage_memory, effective_memory] {
        properties = properties.set_column_dictionary_enabled(unique.into(), false);
    }
    for labels in ["pod_labels", "volume_labels", "all_labels"] {
        properties = properties
            .set_column_dictionary_enabled(labels.into(), false)
            .set_column_statistics_enabled(labels.into(), EnabledStatistics::None);
    }
    properties.build()
}

#[cfg(feature = "parquet-out")]
fn write_parquet<W: Write + Send>(writer: &mut ArrowWriter<W>, block: &RecordBatch) -> Result<()> {
    writer.write(block).map_err(failed)?;
    if writer.in_progress_size() >= ROW_GROUP_BYTES {
        writer.flush().map_err(failed)?;
    }
    Ok(())
}

/// Formats row after row and writes them out in pieces of about 64 KiB.
fn in_pieces(
    rows: usize,
    out: &mut impl Write,
    piece: &mut Vec<u8>,
    mut format: impl FnMut(usize, &mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    piece.clear();
    for row in 0..rows {
        format(row, piece)?;
        if piece.len() >= 1 << 16 {
            out.write_all(piece).map_err(failed)?;
            piece.clear();
        }
    }
    out.write_all(piece).map_err(failed)
}

fn failed(cause: impl Into<crate::send::BoxError>) -> Error {
    Error::port("sink", "encode rows", false, cause)
}
