//! Columns by content: every physical encoding ends here.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, StringArray, StringViewArray, TimestampMillisecondArray,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Int32Type};
use arrow::error::ArrowError;

use super::convert::{doubles, instants, text_dictionary};

/// A text column: keys into a dictionary, or views where its text was too much for one.
///
/// Readers are asked for one or the other, so for most files nothing is copied; plain and large strings are cast into
/// a dictionary.
#[derive(Debug, Clone)]
pub enum TextColumn {
    /// Most columns.
    Keys(KeyedText),
    /// Text of its own in every row.
    Views(StringViewArray),
}

/// What NULL has for a key.
pub(crate) const NO_ID: i32 = -1;

/// Text as dictionary values and keys into them.
#[derive(Debug, Clone)]
pub struct KeyedText {
    keys: ScalarBuffer<i32>,
    nulls: Option<NullBuffer>,
    values: ArrayRef,
}

impl TextColumn {
    pub(super) fn bind(array: Option<&ArrayRef>, rows: usize) -> Result<Self, ArrowError> {
        let wanted = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let Some(array) = array.filter(|array| *array.data_type() != DataType::Null) else {
            return Ok(Self::Keys(KeyedText {
                keys: vec![0; rows].into(),
                nulls: Some(NullBuffer::new_null(rows)),
                values: Arc::new(StringArray::from(Vec::<&str>::new())),
            }));
        };
        if let Some(views) = array.as_string_view_opt() {
            return Ok(Self::Views(views.clone()));
        }
        let array = if *array.data_type() == wanted { array.clone() } else { text_dictionary(array)? };
        let dictionary = array.as_dictionary::<Int32Type>();
        Ok(Self::Keys(KeyedText {
            keys: dictionary.keys().values().clone(),
            nulls: dictionary.keys().nulls().filter(|nulls| nulls.null_count() > 0).cloned(),
            values: dictionary.values().clone(),
        }))
    }

    pub(crate) fn dictionary(&self) -> Option<&ArrayRef> {
        match self {
            Self::Keys(text) => Some(text.dictionary()),
            Self::Views(_) => None,
        }
    }

    /// By row, the position of its value in the dictionary, or [`NO_ID`]; `None` where there is no dictionary.
    pub(crate) fn ids(&self) -> Option<Cow<'_, [i32]>> {
        match self {
            Self::Keys(text) => Some(text.ids()),
            Self::Views(_) => None,
        }
    }

    /// The row's text; `None` for NULL.
    #[inline]
    pub fn get(&self, row: usize) -> Option<&str> {
        match self {
            Self::Keys(text) => text.get(row),
            Self::Views(views) => views.is_valid(row).then(|| views.value(row)),
        }
    }
}

impl KeyedText {
    /// The distinct values, as they stand in the file's dictionary.
    pub fn values(&self) -> &StringArray {
        self.values.as_string()
    }

    /// Whether these are its values, in the same memory: what was found out about them still holds.
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

    /// By row, the position of its value, or [`NO_ID`].
    pub(crate) fn ids(&self) -> Cow<'_, [i32]> {
        let Some(nulls) = &self.nulls else { return Cow::Borrowed(&self.keys) };
        let id = |(key, is_valid): (&i32, bool)| if is_valid { *key } else { NO_ID };
        Cow::Owned(self.keys.iter().zip(nulls).map(id).collect())
    }

    /// The row's text; `None` for NULL.
    pub fn get(&self, row: usize) -> Option<&str> {
        let (key, values) = (self.key(row)?, self.values());
        values.is_valid(key).then(|| values.value(key))
    }
}

/// A metric above this is absurd (SPEC 1.6).
pub const ANOMALY: f64 = 1e18;

/// A metric.
#[derive(Debug, Clone)]
pub struct NumberColumn {
    /// `None` where the whole column is NULL.
    values: Option<Float64Array>,
    is_ordinary: bool,
}

impl NumberColumn {
    pub(super) fn bind(array: Option<&ArrayRef>) -> Result<Self, ArrowError> {
        let Some(array) = array.filter(|array| *array.data_type() != DataType::Null) else {
            return Ok(Self { values: None, is_ordinary: false });
        };
        let values = Some(doubles(array)?).filter(|array| array.null_count() < array.len());
        let is_ordinary = values.as_ref().is_some_and(|array| {
            // Without an early end, several values are compared at once.
            let odd = |any: bool, value: &f64| any | (value.abs() > ANOMALY) | value.is_nan();
            array.null_count() == 0 && !array.values().iter().fold(false, odd)
        });
        Ok(Self { values, is_ordinary })
    }

    /// The row's value; `None` for NULL.
    #[inline]
    pub fn get(&self, row: usize) -> Option<f64> {
        let array = self.values.as_ref()?;
        array.is_valid(row).then(|| array.value(row))
    }

    /// All values, where none is NULL, NaN, infinite or beyond [`ANOMALY`] in either direction: no rule on single
    /// values applies to them.
    pub fn ordinary(&self) -> Option<&[f64]> {
        self.values.as_ref().filter(|_| self.is_ordinary).map(|array| &**array.values())
    }

    /// Whether every row is NULL.
    pub fn is_all_null(&self) -> bool {
        self.values.is_none()
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

    /// Number of rows.
    #[expect(clippy::len_without_is_empty, reason = "a batch without rows is nothing special")]
    pub fn len(&self) -> usize {
        self.millis.len()
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
        assert_eq!((column.get(0), column.get(1), column.ordinary()), (Some(3.0), None, None));
    }

    #[test]
    fn ordinary_numbers_are_those_no_rule_is_about() {
        let ordinary = |numbers: Vec<f64>| {
            let array: ArrayRef = Arc::new(Float64Array::from(numbers));
            NumberColumn::bind(Some(&array)).expect("binds").ordinary().is_some()
        };
        assert!(ordinary(vec![0.0, -0.0, -1.5, ANOMALY, 5e-324]));
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.1e18, -1.1e18] {
            assert!(!ordinary(vec![1.0, odd, 2.0]), "{odd}");
        }
    }
}
