//! Rows as a Parquet file, column by column.
//!
//! The four types of [`schema`](crate::rows::schema) go straight to their column writers. parquet's own writer of
//! Arrow batches knows every type there is, and takes a browser as much to download as all of daysum.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int32Type, Schema};
use bytes::Bytes;
use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::column::page::{CompressedPage, PageWriteSpec, PageWriter};
use parquet::column::writer::ColumnWriterImpl;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type as ParquetInt32};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::schema::types::{ColumnDescPtr, Type};

/// A row group is closed at this many encoded bytes, which bounds what the writer holds.
pub(super) const ROW_GROUP_BYTES: usize = 16 * 1024 * 1024;

/// A file that grows row group by row group.
pub(super) struct ParquetFile<W: Write + Send> {
    file: SerializedFileWriter<W>,
    properties: WriterPropertiesPtr,
    /// The open row group.
    columns: Vec<Column>,
}

impl<W: Write + Send> ParquetFile<W> {
    pub(super) fn new(out: W, schema: &Schema) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("daysum version ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let properties = Arc::new(properties);
        let fields = schema.fields().iter().map(|field| leaf(field.name(), field.data_type()));
        let fields = fields.collect::<Result<_>>()?;
        let root = Type::group_type_builder("arrow_schema").with_fields(fields).build()?;
        let file = SerializedFileWriter::new(out, Arc::new(root), properties.clone())?;
        Ok(Self { file, properties, columns: Vec::new() })
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        if self.columns.is_empty() {
            let columns = self.file.schema_descr().columns();
            self.columns =
                columns.iter().map(|column| Column::new(column.clone(), &self.properties)).collect();
        }
        for (column, array) in self.columns.iter_mut().zip(rows.columns()) {
            column.values.write(array)?;
        }
        if self.in_progress_size() >= ROW_GROUP_BYTES {
            self.close_row_group()?;
        }
        Ok(())
    }

    /// Encoded bytes of the open row group.
    pub(super) fn in_progress_size(&self) -> usize {
        self.columns.iter().map(|column| column.values.bytes_written()).sum()
    }

    pub(super) fn finish(mut self) -> Result<W> {
        self.close_row_group()?;
        self.file.into_inner()
    }

    pub(super) fn inner_mut(&mut self) -> &mut W {
        self.file.inner_mut()
    }

    fn close_row_group(&mut self) -> Result<()> {
        if self.columns.is_empty() {
            return Ok(());
        }
        let mut row_group = self.file.next_row_group()?;
        for Column { values, pages } in self.columns.drain(..) {
            let closed = match values {
                Values::Text(writer) => writer.close()?,
                Values::Number(writer) => writer.close()?,
                Values::Integer(writer) => writer.close()?,
            };
            row_group.append_column(&pages.taken()?, closed)?;
        }
        row_group.close()?;
        Ok(())
    }
}

/// A column chunk in the making.
struct Column {
    values: Values,
    pages: Pages,
}

enum Values {
    Text(Box<ColumnWriterImpl<'static, ByteArrayType>>),
    Number(Box<ColumnWriterImpl<'static, DoubleType>>),
    Integer(Box<ColumnWriterImpl<'static, ParquetInt32>>),
}

impl Column {
    fn new(column: ColumnDescPtr, properties: &WriterPropertiesPtr) -> Self {
        let pages = Pages::default();
        let (out, properties) = (Box::new(pages.clone()), properties.clone());
        let values = match column.physical_type() {
            Physical::BYTE_ARRAY => Values::Text(Box::new(ColumnWriterImpl::new(column, properties, out))),
            Physical::DOUBLE => Values::Number(Box::new(ColumnWriterImpl::new(column, properties, out))),
            _ => Values::Integer(Box::new(ColumnWriterImpl::new(column, properties, out))),
        };
        Self { values, pages }
    }
}

impl Values {
    fn write(&mut self, array: &dyn Array) -> Result<()> {
        let levels: Vec<i16> = (0..array.len()).map(|row| i16::from(array.is_valid(row))).collect();
        let levels = Some(&levels[..]);
        match self {
            Self::Text(writer) => {
                let texts = array.as_string::<i32>();
                // One copy for all; the values point into it.
                let all = Bytes::copy_from_slice(texts.value_data());
                let text = |at: &[i32]| ByteArray::from(all.slice(at[0] as usize..at[1] as usize));
                let offsets = texts.value_offsets().windows(2).enumerate();
                let values: Vec<_> =
                    offsets.filter(|(row, _)| texts.is_valid(*row)).map(|(_, at)| text(at)).collect();
                writer.write_batch(&values, levels, None)?;
            }
            Self::Number(writer) => {
                let values: Vec<f64> = array.as_primitive::<Float64Type>().iter().flatten().collect();
                writer.write_batch(&values, levels, None)?;
            }
            Self::Integer(writer) => {
                let values: Vec<i32> = match array.data_type() {
                    DataType::Date32 => array.as_primitive::<Date32Type>().iter().flatten().collect(),
                    _ => array.as_primitive::<Int32Type>().iter().flatten().collect(),
                };
                writer.write_batch(&values, levels, None)?;
            }
        }
        Ok(())
    }

    fn bytes_written(&self) -> usize {
        let bytes = match self {
            Self::Text(writer) => writer.get_total_bytes_written(),
            Self::Number(writer) => writer.get_total_bytes_written(),
            Self::Integer(writer) => writer.get_total_bytes_written(),
        };
        bytes as usize
    }
}

fn leaf(name: &str, content: &DataType) -> Result<Arc<Type>> {
    let (physical, logical, converted) = match content {
        DataType::Utf8 => (Physical::BYTE_ARRAY, Some(LogicalType::String), ConvertedType::UTF8),
        DataType::Float64 => (Physical::DOUBLE, None, ConvertedType::NONE),
        DataType::Date32 => (Physical::INT32, Some(LogicalType::Date), ConvertedType::DATE),
        DataType::Int32 => (Physical::INT32, None, ConvertedType::NONE),
        other => return Err(ParquetError::NYI(format!("rows::schema has no {other} column"))),
    };
    let leaf = Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .with_converted_type(converted)
        .build()?;
    Ok(Arc::new(leaf))
}

/// The pages of a column chunk, in memory until the row group is closed.
#[derive(Clone)]
struct Pages(Arc<Mutex<TrackedWrite<Vec<u8>>>>);

impl Default for Pages {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(TrackedWrite::new(Vec::new()))))
    }
}

impl Pages {
    fn taken(self) -> Result<Bytes> {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.flush()?;
        Ok(std::mem::take(pages.inner_mut()).into())
    }
}

impl PageWriter for Pages {
    fn write_page(&mut self, page: CompressedPage) -> Result<PageWriteSpec> {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        SerializedPageWriter::new(&mut *pages).write_page(page)
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
