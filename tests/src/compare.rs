//! Comparing finished rows as multisets, with a difference that a person can read.
//!
//! ```text
//! expected, actual --group by everything that is no number--> pairs of row lists --match numbers--> difference
//! ```
//!
//! The surprise: unallocated rows are differences of large numbers, so their usage is compared relative
//! to the node's capacity, not to the little that is left of it.

use std::collections::BTreeMap;
use std::fmt;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int32Type};
use arrow::util::display::array_value_to_string;

/// How equal numbers and labels must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Precision {
    /// The same bits, and labels in the same spelling.
    Bits,
    /// Within this much relative to the larger one; labels as parsed JSON.
    Relative(f64),
    /// As numeric(33,15) and jsonb keep it: 1e-9 relative, or 1e-15; labels as parsed JSON.
    Stored,
}

/// At most this many differing rows are shown.
const SHOWN: usize = 6;

/// One way in which two results are not the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// On which side the row is.
    pub side: Side,
    /// The row without its numbers, as `column="text"` for every column that is not NULL.
    pub row: String,
    /// Column, expected and actual number, for rows on both sides.
    pub numbers: Vec<(String, Option<f64>, Option<f64>)>,
}

/// Where a differing row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// On both, with other numbers.
    Both,
    /// Only among the expected rows.
    Expected,
    /// Only among the actual rows.
    Actual,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.side {
            Side::Both => f.write_str(&self.row)?,
            Side::Expected => write!(f, "only in expected: {}", self.row)?,
            Side::Actual => write!(f, "only in actual:   {}", self.row)?,
        }
        for (column, expected, actual) in &self.numbers {
            write!(f, "\n    {column}: expected {expected:?}, actual {actual:?}")?;
        }
        Ok(())
    }
}

/// Every difference; `Err` where the columns are not even the same.
pub fn differences(
    expected: &RecordBatch,
    actual: &RecordBatch,
    precision: Precision,
) -> Result<Vec<Difference>, String> {
    let shape = |batch: &RecordBatch| -> Vec<String> {
        batch
            .schema()
            .fields()
            .iter()
            .map(|field| format!("{} {}", field.name(), field.data_type()))
            .collect()
    };
    if shape(expected) != shape(actual) {
        return Err(format!("columns differ\nexpected {:?}\nactual   {:?}", shape(expected), shape(actual)));
    }
    let mut groups: BTreeMap<String, [Vec<Line>; 2]> = BTreeMap::new();
    for (side, batch) in [expected, actual].into_iter().enumerate() {
        for row in 0..batch.num_rows() {
            let line = Line::of(batch, row);
            groups.entry(line.identity(precision)).or_default()[side].push(line);
        }
    }
    let mut differences = Vec::new();
    for [mut expected, mut actual] in groups.into_values() {
        cancel(&mut expected, &mut actual, precision);
        let pairs = expected.len().min(actual.len());
        for (ours, theirs) in expected.drain(..pairs).zip(actual.drain(..pairs)) {
            let numbers = ours.numbers_that_differ(&theirs, precision);
            differences.push(Difference { side: Side::Both, row: ours.to_string(), numbers });
        }
        for (side, lines) in [(Side::Expected, expected), (Side::Actual, actual)] {
            let alone = |line: Line| Difference { side, row: line.to_string(), numbers: Vec::new() };
            differences.extend(lines.into_iter().map(alone));
        }
    }
    Ok(differences)
}

/// `Err` holds a readable account of the first differences.
pub fn compare(expected: &RecordBatch, actual: &RecordBatch, precision: Precision) -> Result<(), String> {
    let differences = differences(expected, actual, precision)?;
    if differences.is_empty() {
        return Ok(());
    }
    let mut report = format!(
        "{} expected rows, {} actual rows, {} differences",
        expected.num_rows(),
        actual.num_rows(),
        differences.len()
    );
    for difference in differences.iter().take(SHOWN) {
        report += &format!("\n- {difference}");
    }
    if differences.len() > SHOWN {
        report += &format!("\n- and {} more", differences.len() - SHOWN);
    }
    Err(report)
}

/// Panics with `name` and the difference.
#[track_caller]
pub fn assert_same(name: &str, expected: &RecordBatch, actual: &RecordBatch, precision: Precision) {
    if let Err(difference) = compare(expected, actual, precision) {
        panic!("{name}: {difference}");
    }
}

/// Takes out the pairs that are equal.
fn cancel(expected: &mut Vec<Line>, actual: &mut Vec<Line>, precision: Precision) {
    expected.retain(|ours| match actual.iter().position(|theirs| ours.same_numbers(theirs, precision)) {
        Some(position) => {
            actual.swap_remove(position);
            false
        }
        None => true,
    });
}

/// One row, apart into what it is and what it measures.
#[derive(Debug)]
struct Line {
    /// Name and text of every column that is no number and not NULL.
    what: Vec<(String, String)>,
    numbers: Vec<(String, Option<f64>)>,
    unallocated: bool,
}

impl Line {
    fn of(batch: &RecordBatch, row: usize) -> Self {
        let mut line = Self { what: Vec::new(), numbers: Vec::new(), unallocated: false };
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            let value = column.is_valid(row).then(|| match column.data_type() {
                DataType::Float64 => String::new(),
                DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
                DataType::Int32 => column.as_primitive::<Int32Type>().value(row).to_string(),
                DataType::Date32 => {
                    daysum_core::Day(column.as_primitive::<Date32Type>().value(row)).to_string()
                }
                _ => array_value_to_string(column, row).expect("a printable value"),
            });
            if *column.data_type() == DataType::Float64 {
                let number = value.map(|_| column.as_primitive::<Float64Type>().value(row));
                line.numbers.push((field.name().clone(), number));
            } else if let Some(text) = value {
                line.what.push((field.name().clone(), text));
            }
        }
        line.unallocated = line.text("data_source") == Some("Pod")
            && (line.text("pod_labels").is_none()
                || line.text("namespace").is_some_and(|namespace| namespace.ends_with(" unallocated")));
        line
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.what.iter().find(|(column, _)| column == name).map(|(_, text)| text.as_str())
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.numbers.iter().find(|(column, _)| column == name).and_then(|(_, number)| *number)
    }

    fn identity(&self, precision: Precision) -> String {
        let mut identity = String::new();
        for (name, text) in &self.what {
            let is_json = name.ends_with("_labels") || name == "infrastructure_usage_cost";
            let text =
                if is_json && precision != Precision::Bits { canonical(text) } else { format!("{text:?}") };
            identity += &format!("{name}={text}\n");
        }
        identity
    }

    fn same_numbers(&self, other: &Self, precision: Precision) -> bool {
        self.numbers
            .iter()
            .zip(&other.numbers)
            .all(|((name, ours), (_, theirs))| same(*ours, *theirs, precision, self.scale(name)))
    }

    fn numbers_that_differ(
        &self,
        other: &Self,
        precision: Precision,
    ) -> Vec<(String, Option<f64>, Option<f64>)> {
        self.numbers
            .iter()
            .zip(&other.numbers)
            .filter(|((name, ours), (_, theirs))| !same(*ours, *theirs, precision, self.scale(name)))
            .map(|((name, ours), (_, theirs))| (name.clone(), *ours, *theirs))
            .collect()
    }

    /// What a number may be compared to when it is itself small.
    fn scale(&self, name: &str) -> f64 {
        if !self.unallocated || !name.starts_with("pod_") {
            return 0.0;
        }
        let capacity = if name.contains("memory") {
            "node_capacity_memory_gigabyte_hours"
        } else {
            "node_capacity_cpu_core_hours"
        };
        self.number(capacity).unwrap_or(0.0)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNINTERESTING: [&str; 6] = [
            "report_period_id",
            "cluster_id",
            "cluster_alias",
            "usage_end",
            "source_uuid",
            "infrastructure_usage_cost",
        ];
        for (name, text) in self.what.iter().filter(|(name, _)| !UNINTERESTING.contains(&name.as_str())) {
            write!(f, "{name}={text:?} ")?;
        }
        Ok(())
    }
}

fn same(ours: Option<f64>, theirs: Option<f64>, precision: Precision, scale: f64) -> bool {
    match (ours, theirs, precision) {
        (None, None, _) => true,
        (Some(ours), Some(theirs), Precision::Bits) => ours.to_bits() == theirs.to_bits(),
        (Some(ours), Some(theirs), Precision::Stored) => {
            (ours - theirs).abs() <= f64::max(1e-15, 1e-9 * ours.abs().max(theirs.abs()))
        }
        (Some(ours), Some(theirs), Precision::Relative(tolerance)) => {
            (ours - theirs).abs() <= tolerance * ours.abs().max(theirs.abs()).max(scale)
        }
        _ => false,
    }
}

/// JSON with sorted keys; text that is no JSON stays apart from everything that is.
fn canonical(text: &str) -> String {
    match serde_json::from_str(text) {
        Ok(value) => sorted(&value),
        Err(_) => format!("not JSON: {text:?}"),
    }
}

fn sorted(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(members) => {
            let members: BTreeMap<_, _> = members.iter().map(|(key, value)| (key, sorted(value))).collect();
            format!("{members:?}")
        }
        serde_json::Value::Array(items) => format!("{:?}", items.iter().map(sorted).collect::<Vec<_>>()),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::array::{ArrayRef, Float64Array, StringArray};

    fn rows(rows: &[(&str, &str, f64, f64)]) -> RecordBatch {
        let text = |get: fn(&(&str, &str, f64, f64)) -> String| -> ArrayRef {
            Arc::new(rows.iter().map(|row| Some(get(row))).collect::<StringArray>())
        };
        let number = |get: fn(&(&str, &str, f64, f64)) -> f64| -> ArrayRef {
            Arc::new(rows.iter().map(|row| Some(get(row))).collect::<Float64Array>())
        };
        RecordBatch::try_from_iter([
            ("data_source", text(|_| "Pod".to_owned())),
            ("namespace", text(|row| row.0.to_owned())),
            ("pod_labels", text(|row| row.1.to_owned())),
            ("pod_usage_cpu_core_hours", number(|row| row.2)),
            ("node_capacity_cpu_core_hours", number(|row| row.3)),
        ])
        .expect("columns of one length")
    }

    const LOOSE: Precision = Precision::Relative(1e-9);

    #[test]
    fn order_and_spelling_do_not_matter_but_counts_do() {
        let ours = rows(&[("a", r#"{"x":"1","y":"2"}"#, 1.0, 4.0), ("b", "{}", 2.0, 4.0)]);
        let theirs = rows(&[("b", "{}", 2.0, 4.0), ("a", r#"{"y": "2", "x": "1"}"#, 1.0 + 1e-12, 4.0)]);
        assert_eq!(compare(&ours, &theirs, LOOSE), Ok(()));
        assert!(compare(&ours, &theirs, Precision::Bits).is_err());
        let twice = rows(&[("b", "{}", 2.0, 4.0), ("b", "{}", 2.0, 4.0)]);
        let once = rows(&[("b", "{}", 2.0, 4.0)]);
        assert!(compare(&twice, &once, LOOSE).is_err() && compare(&once, &twice, LOOSE).is_err());
    }

    #[test]
    fn the_difference_names_row_and_column() {
        let ours = rows(&[("a", "{}", 1.0, 4.0), ("a", "{}", 2.0, 4.0)]);
        let theirs = rows(&[("a", "{}", 2.0, 4.0), ("a", "{}", 1.5, 4.0)]);
        let difference = compare(&ours, &theirs, LOOSE).expect_err("1 is not 1.5");
        assert!(
            difference.contains("pod_usage_cpu_core_hours: expected Some(1.0), actual Some(1.5)"),
            "{difference}"
        );
        assert!(difference.contains("namespace=\"a\""), "{difference}");
    }

    #[test]
    fn what_is_left_of_a_node_is_compared_to_the_node() {
        let ours = rows(&[("Worker unallocated", "{}", 1e-13, 4.0)]);
        let theirs = rows(&[("Worker unallocated", "{}", 0.0, 4.0)]);
        assert_eq!(compare(&ours, &theirs, LOOSE), Ok(()));
        let (ours, theirs) = (rows(&[("a", "{}", 1e-13, 4.0)]), rows(&[("a", "{}", 0.0, 4.0)]));
        assert!(compare(&ours, &theirs, LOOSE).is_err());
    }
}
