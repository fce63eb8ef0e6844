//! A row as a JSON object on a line of its own.

use std::io::Write;

use arrow::array::{Array, RecordBatch};
use serde_json::value::RawValue;

use super::csv::Column as Values;
use crate::day::Day;
use crate::error::{Error, Location, Result};

/// Columns whose text is JSON already.
const NESTED: [&str; 4] = ["pod_labels", "volume_labels", "all_labels", "infrastructure_usage_cost"];

/// A column with its key, ready to print.
pub(super) struct Column<'a> {
    /// `"name":`
    key: Vec<u8>,
    name: &'a str,
    nested: bool,
    values: Values<'a>,
}

impl<'a> Column<'a> {
    pub(super) fn bind(rows: &'a RecordBatch) -> Result<Vec<Self>> {
        let fields = rows.schema_ref().fields();
        fields
            .iter()
            .zip(Values::bind(rows))
            .map(|(field, values)| {
                let name = field.name().as_str();
                let mut key = serde_json::to_vec(name).map_err(super::failed)?;
                key.push(b':');
                Ok(Self { key, name, nested: NESTED.contains(&name), values })
            })
            .collect()
    }
}

pub(super) fn row(columns: &[Column<'_>], row: usize, line: &mut Vec<u8>) -> Result<()> {
    let mut separator = b'{';
    for column in columns {
        line.push(separator);
        separator = b',';
        line.extend(&column.key);
        match &column.values {
            Values::Text(values) if values.is_valid(row) && column.nested => {
                nested(values.value(row), row, column.name, line)?;
            }
            Values::Text(values) if values.is_valid(row) => {
                serde_json::to_writer(&mut *line, values.value(row)).map_err(super::failed)?;
            }
            Values::Number(values) if values.is_valid(row) => {
                let value = values.value(row);
                if !value.is_finite() {
                    return Err(refuse(row, column.name, "JSON has no infinite or undefined number"));
                }
                write!(line, "{value}").map_err(super::failed)?;
            }
            Values::Integer(values) if values.is_valid(row) => {
                write!(line, "{}", values.value(row)).map_err(super::failed)?;
            }
            Values::Date(values) if values.is_valid(row) => {
                write!(line, "\"{}\"", Day(values.value(row))).map_err(super::failed)?;
            }
            _ => line.extend(b"null"),
        }
    }
    line.extend(b"}\n");
    Ok(())
}

/// Puts JSON text into the line as it is, once it is known to be one value and to fit on one line.
fn nested(text: &str, row: usize, name: &str, line: &mut Vec<u8>) -> Result<()> {
    let json: &RawValue =
        serde_json::from_str(text).map_err(|error| refuse(row, name, &format!("not JSON: {error}")))?;
    // Outside of strings, where JSON allows none, a line break is only space between values.
    line.extend(json.get().bytes().map(|byte| if byte == b'\n' || byte == b'\r' { b' ' } else { byte }));
    Ok(())
}

fn refuse(row: usize, column: &str, reason: &str) -> Error {
    Error::value(Location::object("finished rows").row(row as u64).column(column), reason)
}
