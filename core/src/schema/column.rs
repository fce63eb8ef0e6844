//! Columns by content: every physical encoding ends here.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, StringArray, TimestampMillisecondArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Int32Type};
use arrow::error::ArrowError;

use super::convert::{doubles, instants, text_dictionary};

/// A text column as dictionary values and keys into them.
///
/// Readers are asked for dictionaries, so for most files nothing is copied; plain, large and view
/// strings are cast into the same form.
#[derive(Debug, Clone)]
pub struct TextColumn {
    keys: ScalarBuffer<i32>,
    nulls: Option<NullBuffer>,
    values: ArrayRef,
}

impl TextColumn {
    pub(super) fn bind(array: Option<&ArrayRef>, rows: usize) -> Result<Self, ArrowError> {
        let wanted = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let Some(array) = array.filter(|array| *array.data_type() != DataType::Null) else {
            return Ok(Self {
                keys: vec![0; rows].into(),
                nulls: Some(NullBuffer::new_null(rows)),
                values: Arc::new(StringArray::from(Vec::<&str>::new())),
            });
        };
        let array = if *array.data_type() == wanted { array.clone() } else { text_dictionary(array)? };
        let dictionary = array.as_dictionary::<Int32Type>();
        Ok(Self {
            keys: dictionary.keys().values().clone(),
            nulls: dictionary.keys().nulls().filter(|nulls| nulls.null_count() > 0).cloned(),
            values: dictionary.values().clone(),
        })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The distinct values, as they stand in the file's dictionary.
    pub fn values(&self) -> &StringArray {
        self.values.as_string()
    }

    /// Whether both columns share one dictionary in memory: what was found out about its values still holds.
    pub fn same_dictionary(&self, values: &ArrayRef) -> bool {
        Arc::ptr_eq(&self.values, values)
    }

    pub(crate) fn dictionary(&self) -> &ArrayRef {
        &self.values
    }

    /// Position of the row's value in [`values`](Self::values); `None` for NULL.
    #[inline]
    pub fn key(&self, row: usize) -> Option<usize> {
        match &self.nulls {
            Some(nulls) if nulls.is_null(row) => None,
            _ => Some(self.keys[row] as usize),
        }
    }

    /// The row's text; `None` for NULL.
    pub fn get(&self, row: usize) -> Option<&str> {
        let (key, values) = (self.key(row)?, self.values());
        values.is_valid(key).then(|| values.value(key))
    }
}

/// A metric; `None` inside where the whole column is NULL.
#[derive(Debug, Clone)]
pub struct NumberColumn(Option<Float64Array>);

impl NumberColumn {
    pub(super) fn bind(array: Option<&ArrayRef>) -> Result<Self, ArrowError> {
        let Some(array) = array.filter(|array| *array.data_type() != DataType::Null) else {
            return Ok(Self(None));
        };
        Ok(Self(Some(doubles(array)?).filter(|array| array.null_count() < array.len())))
    }

    /// The row's value; `None` for NULL.
    #[inline]
    pub fn get(&self, row: usize) -> Option<f64> {
        let array = self.0.as_ref()?;
        array.is_valid(row).then(|| array.value(row))
    }

    /// All values, where none is NULL.
    pub fn dense(&self) -> Option<&[f64]> {
        self.0.as_ref().filter(|array| array.null_count() == 0).map(|array| &**array.values())
    }

    /// Whether every row is NULL.
    pub fn is_all_null(&self) -> bool {
        self.0.is_none()
    }
}

/// Points in time, as milliseconds since the epoch, UTC (SPEC 1.3).
#[derive(Debug, Clone)]
pub struct InstantColumn {
    millis: ScalarBuffer<i64>,
    nulls: Option<NullBuffer>,
}

impl InstantColumn {
    pub(super) fn bind(array: Option<&ArrayRef>, rows: usize) -> Result<Self, ArrowError> {
        let Some(array) = array.filter(|array| *array.data_type() != DataType::Null) else {
            return Ok(Self { millis: vec![0; rows].into(), nulls: Some(NullBuffer::new_null(rows)) });
        };
        // Whatever the zone says, the instant is UTC (SPEC 4.3).
        let array: TimestampMillisecondArray = instants(array)?;
        Ok(Self {
            millis: array.values().clone(),
            nulls: array.nulls().filter(|nulls| nulls.null_count() > 0).cloned(),
        })
    }

    /// The row's instant; `None` for NULL.
    #[inline]
    pub fn get(&self, row: usize) -> Option<i64> {
        match &self.nulls {
            Some(nulls) if nulls.is_null(row) => None,
            _ => Some(self.millis[row]),
        }
    }

    /// All instants, where none is NULL.
    pub fn dense(&self) -> Option<&[i64]> {
        self.nulls.is_none().then_some(&*self.millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, LargeStringArray, NullArray, StringViewArray, TimestampNanosecondArray};
    use arrow::compute::cast;

    fn texts(array: ArrayRef) -> Vec<Option<String>> {
        let rows = array.len();
        let column = TextColumn::bind(Some(&array), rows).expect("binds");
        (0..rows).map(|row| column.get(row).map(str::to_owned)).collect()
    }

    #[test]
    fn every_encoding_of_text_reads_the_same() {
        let values = vec![Some("a"), None, Some(""), Some("a")];
        let expected: Vec<Option<String>> = values.iter().map(|value| value.map(str::to_owned)).collect();
        let plain: ArrayRef = Arc::new(StringArray::from(values.clone()));
        let dictionary =
            cast(&plain, &DataType::Dictionary(Box::new(DataType::UInt8), Box::new(DataType::Utf8)));
        assert_eq!(texts(plain), expected);
        assert_eq!(texts(dictionary.expect("casts")), expected);
        assert_eq!(texts(Arc::new(LargeStringArray::from(values.clone()))), expected);
        assert_eq!(texts(Arc::new(StringViewArray::from(values))), expected);
        assert_eq!(texts(Arc::new(NullArray::new(2))), vec![None, None]);
    }

    #[test]
    fn instants_before_the_epoch_are_floored() {
        let nanos: ArrayRef = Arc::new(
            TimestampNanosecondArray::from(vec![Some(-1), None, Some(1_999_999)]).with_timezone("UTC"),
        );
        let column = InstantColumn::bind(Some(&nanos), 3).expect("binds");
        assert_eq!([column.get(0), column.get(1), column.get(2)], [Some(-1), None, Some(1)]);
    }

    #[test]
    fn the_operators_text_is_an_instant() {
        let text: ArrayRef =
            Arc::new(StringArray::from(vec!["1970-01-02 00:00:00 +0000 UTC", "1970-01-02T00:00:00Z"]));
        let column = InstantColumn::bind(Some(&text), 2).expect("binds");
        assert_eq!(column.dense(), Some(&[86_400_000, 86_400_000][..]));
    }

    #[test]
    fn integers_are_numbers() {
        let integers: ArrayRef = Arc::new(Int64Array::from(vec![Some(3), None]));
        let column = NumberColumn::bind(Some(&integers)).expect("binds");
        assert_eq!((column.get(0), column.get(1), column.dense().is_some()), (Some(3.0), None, false));
    }
}
