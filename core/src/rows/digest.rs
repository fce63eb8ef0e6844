//! A digest of finished rows: equal rows in equal order give equal digests, whatever the batch sizes.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{ArrowNativeType, DataType, Date32Type, Float64Type, Int32Type};
use sha2::{Digest, Sha256};

use crate::error::Result;

/// SHA-256 over the columns of rows.
///
/// Each column is a stream of its own, so that its memory is digested as it lies there and not value by value.
#[derive(Debug, Clone, Default)]
pub struct RowsDigest {
    columns: Vec<ColumnDigest>,
    rows: u64,
}

impl RowsDigest {
    /// Adds the rows of a batch; those of another schema than [`schema`](super::schema) are refused.
    pub fn update(&mut self, rows: &RecordBatch) -> Result<()> {
        super::check(rows)?;
        self.columns.resize_with(rows.num_columns(), ColumnDigest::default);
        for (digest, column) in self.columns.iter_mut().zip(rows.columns()) {
            digest.update(column);
        }
        self.rows += rows.num_rows() as u64;
        Ok(())
    }

    /// How many rows were added.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The digest so far, as 64 hexadecimal digits.
    pub fn finish(self) -> String {
        let mut whole = Sha256::new();
        for column in self.columns.into_iter().filter(|_| self.rows > 0) {
            column.finish(&mut whole);
        }
        whole.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The values that are there, the lengths that keep texts apart, and the runs of rows with and without a value: none
/// of the three depends on where batches end.
#[derive(Debug, Clone, Default)]
struct ColumnDigest {
    values: Sha256,
    lengths: Sha256,
    runs: Sha256,
    run: Run,
}

/// Rows in a row that all have a value, or all have none.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    has_value: bool,
    rows: u64,
}

impl ColumnDigest {
    fn update(&mut self, column: &dyn Array) {
        match column.data_type() {
            DataType::Utf8 => {
                let texts = column.as_string::<i32>();
                self.slices(column, |digest, from, to| {
                    let offsets = &texts.value_offsets()[from..=to];
                    digest
                        .values
                        .update(&texts.value_data()[offsets[0] as usize..offsets[to - from] as usize]);
                    let lengths: ScalarBuffer<i32> =
                        offsets.windows(2).map(|ends| ends[1] - ends[0]).collect();
                    digest.lengths.update(lengths.inner());
                });
            }
            DataType::Float64 => self.numbers(column, column.as_primitive::<Float64Type>().values()),
            DataType::Int32 => self.numbers(column, column.as_primitive::<Int32Type>().values()),
            DataType::Date32 => self.numbers(column, column.as_primitive::<Date32Type>().values()),
            other => unreachable!("rows::schema has no {other} column"),
        }
    }

    /// Numbers are digested as they lie in memory, which is little endian wherever Arrow files are.
    fn numbers<T: ArrowNativeType>(&mut self, column: &dyn Array, values: &ScalarBuffer<T>) {
        self.slices(column, |digest, from, to| {
            digest.values.update(values.slice(from, to - from).inner());
        });
    }

    /// Calls for every slice of rows that have a value.
    fn slices(&mut self, column: &dyn Array, mut each: impl FnMut(&mut Self, usize, usize)) {
        let rows = column.len();
        let mut done = 0;
        let mut slice = |digest: &mut Self, from: usize, to: usize| {
            digest.extend_run(false, from - done);
            digest.extend_run(true, to - from);
            each(digest, from, to);
            done = to;
        };
        match column.nulls() {
            Some(nulls) => nulls.valid_slices().for_each(|(from, to)| slice(self, from, to)),
            None if rows > 0 => slice(self, 0, rows),
            None => {}
        }
        self.extend_run(false, rows - done);
    }

    fn extend_run(&mut self, has_value: bool, rows: usize) {
        if rows > 0 && self.run.has_value != has_value {
            self.runs.update(self.run.rows.to_le_bytes());
            self.run = Run { has_value, rows: 0 };
        }
        self.run.rows += rows as u64;
    }

    fn finish(mut self, whole: &mut Sha256) {
        self.runs.update(self.run.rows.to_le_bytes());
        for part in [self.values, self.lengths, self.runs] {
            whole.update(part.finalize());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Date32Array, Float64Array, Int32Array, StringArray, new_null_array};
    use arrow::datatypes::FieldRef;

    use super::*;
    use crate::rows::{POD_SUMS, concat, schema};

    fn batch(texts: Vec<Option<&str>>, numbers: Vec<Option<f64>>) -> RecordBatch {
        let (counts, days): (Vec<i32>, Vec<i32>) = (0..texts.len() as i32).map(|row| (row % 2, 7)).unzip();
        let rows = texts.len();
        let given: [(&str, ArrayRef); 4] = [
            ("namespace", Arc::new(StringArray::from(texts))),
            (POD_SUMS[0], Arc::new(Float64Array::from(numbers))),
            ("cost_category_id", Arc::new(Int32Array::from(counts))),
            ("usage_start", Arc::new(Date32Array::from(days))),
        ];
        let column = |field: &FieldRef| match given.iter().find(|(name, _)| name == field.name()) {
            Some((_, column)) => column.clone(),
            None => new_null_array(field.data_type(), rows),
        };
        RecordBatch::try_new(schema(), schema().fields().iter().map(column).collect()).expect("equal lengths")
    }

    fn digest(batches: &[RecordBatch]) -> String {
        let mut digest = RowsDigest::default();
        batches.iter().for_each(|rows| digest.update(rows).expect("finished rows"));
        digest.finish()
    }

    #[test]
    fn rows_of_another_schema_are_refused() {
        let foreign = sample().project(&[0, 6]).expect("columns that are there");
        assert!(RowsDigest::default().update(&foreign).is_err());
        assert!(concat(&[sample(), foreign]).is_err());
        assert_eq!(concat(&[sample(), sample()]).expect("finished rows").num_rows(), 16);
    }

    fn sample() -> RecordBatch {
        let texts = vec![Some("a"), Some(""), None, None, Some("bc"), Some("d"), None, Some("e")];
        let numbers = vec![None, None, Some(1.0), Some(-0.0), None, Some(f64::NAN), Some(3.5), None];
        batch(texts, numbers)
    }

    #[test]
    fn it_does_not_depend_on_where_batches_end() {
        let (rows, whole) = (sample(), digest(&[sample()]));
        for first in 0..=rows.num_rows() {
            for second in first..=rows.num_rows() {
                let cut = [
                    rows.slice(0, first),
                    rows.slice(first, second - first),
                    rows.slice(second, rows.num_rows() - second),
                ];
                assert_eq!(digest(&cut), whole, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn every_value_counts() {
        let one = |texts, numbers| digest(&[batch(texts, numbers)]);
        let digests = [
            one(vec![Some("a"), Some("bc")], vec![Some(1.0), None]),
            one(vec![Some("ab"), Some("c")], vec![Some(1.0), None]),
            one(vec![Some("a"), Some("bc")], vec![None, Some(1.0)]),
            one(vec![Some("abc"), None], vec![Some(1.0), None]),
            one(vec![Some("abc"), Some("")], vec![Some(1.0), None]),
            one(vec![None, Some("abc")], vec![Some(1.0), None]),
            one(vec![Some("a"), Some("bc")], vec![Some(0.0), None]),
            one(vec![Some("a"), Some("bc")], vec![Some(-0.0), None]),
            one(vec![], vec![]),
        ];
        for (at, digest) in digests.iter().enumerate() {
            assert!(!digests[..at].contains(digest), "{at}");
        }
    }
}
