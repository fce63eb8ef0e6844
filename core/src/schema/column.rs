//! Columns by content: every physical encoding ends here.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, StringArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, Int32Type, TimeUnit, TimestampMillisecondType};
use arrow::error::ArrowError;

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
        let array = if *array.data_type() == wanted { array.clone() } else { strict_cast(array, &wanted)? };
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
        let array = strict_cast(array, &DataType::Float64)?;
        Ok(Self(
            Some(array.as_primitive::<Float64Type>().clone())
                .filter(|array| array.null_count() < array.len()),
        ))
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
        let array = match array.data_type() {
            DataType::Timestamp(unit @ (TimeUnit::Microsecond | TimeUnit::Nanosecond), _) => {
                floored(array, if *unit == TimeUnit::Microsecond { 1_000 } else { 1_000_000 })?
            }
            found if is_text(found) => parsed(array)?,
            _ => array.clone(),
        };
        // Whatever the zone says, the instant is UTC (SPEC 4.3).
        let array = strict_cast(&array, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
        let array = array.as_primitive::<TimestampMillisecondType>();
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

fn is_text(found: &DataType) -> bool {
    match found {
        DataType::Dictionary(_, value) => is_text(value),
        found => found.is_string(),
    }
}

/// A cast truncates towards zero, which puts instants before 1970 into the wrong millisecond.
fn floored(array: &ArrayRef, divisor: i64) -> Result<ArrayRef, ArrowError> {
    let ticks = strict_cast(array, &DataType::Int64)?;
    let millis = ticks
        .as_primitive::<arrow::datatypes::Int64Type>()
        .unary::<_, TimestampMillisecondType>(|tick| tick.div_euclid(divisor));
    Ok(Arc::new(millis))
}

/// Text as the operator writes it, `2025-11-10 00:00:00 +0000 UTC`, or in ISO form (SPEC 1.6).
fn parsed(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let text = strict_cast(array, &DataType::Utf8)?;
    let stripped: StringArray = text
        .as_string::<i32>()
        .iter()
        .map(|text| {
            text.map(|text| text.trim().trim_end_matches("UTC").trim().trim_end_matches("+0000").trim())
        })
        .collect();
    let stripped: ArrayRef = Arc::new(stripped);
    strict_cast(&stripped, &DataType::Timestamp(TimeUnit::Millisecond, None))
}

/// A cast that fails where a value does not fit, instead of making it NULL.
fn strict_cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(array, to, &CastOptions { safe: false, ..Default::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, LargeStringArray, NullArray, StringViewArray, TimestampNanosecondArray};

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
            strict_cast(&plain, &DataType::Dictionary(Box::new(DataType::UInt8), Box::new(DataType::Utf8)));
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
