//! Physical encodings into the three that columns have: dictionaries of text, doubles, instants.
//!
//! Arrow's cast does the same for every pair of types there is; it would be a quarter of what a browser
//! downloads. Only types that [`Content`](super::Content) lets through arrive here.

use arrow::array::timezone::Tz;
use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Float64Array, StringDictionaryBuilder,
    TimestampMillisecondArray,
};
use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DecimalType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;

use crate::day::MILLIS_PER_DAY;

/// Text of any encoding as a dictionary.
pub(super) fn text_dictionary(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let mut dictionary = StringDictionaryBuilder::<Int32Type>::new();
    for text in texts(array)? {
        match text {
            Some(text) => drop(dictionary.append(text)?),
            None => dictionary.append_null(),
        }
    }
    let dictionary: DictionaryArray<Int32Type> = dictionary.finish();
    Ok(std::sync::Arc::new(dictionary))
}

/// Numbers of any width.
pub(super) fn doubles(array: &ArrayRef) -> Result<Float64Array, ArrowError> {
    Ok(match array.data_type() {
        DataType::Float64 => array.as_primitive::<Float64Type>().clone(),
        DataType::Float32 => array.as_primitive::<Float32Type>().unary(f64::from),
        DataType::Float16 => array.as_primitive::<Float16Type>().unary(f64::from),
        DataType::Int8 => array.as_primitive::<Int8Type>().unary(f64::from),
        DataType::Int16 => array.as_primitive::<Int16Type>().unary(f64::from),
        DataType::Int32 => array.as_primitive::<Int32Type>().unary(f64::from),
        DataType::Int64 => array.as_primitive::<Int64Type>().unary(|number| number as f64),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().unary(f64::from),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().unary(f64::from),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().unary(f64::from),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().unary(|number| number as f64),
        DataType::Decimal32(precision, scale) => decimals::<Decimal32Type>(array, *precision, *scale)?,
        DataType::Decimal64(precision, scale) => decimals::<Decimal64Type>(array, *precision, *scale)?,
        DataType::Decimal128(precision, scale) => decimals::<Decimal128Type>(array, *precision, *scale)?,
        DataType::Decimal256(precision, scale) => decimals::<Decimal256Type>(array, *precision, *scale)?,
        DataType::Dictionary(..) => {
            let values = doubles(array.as_any_dictionary().values())?;
            by_key(array, |key| values.is_valid(key).then(|| values.value(key))).collect()
        }
        other => return Err(no_such(other, "numbers")),
    })
}

/// Points in time of any unit, rounded down: towards zero would put instants before 1970 into the wrong millisecond.
pub(super) fn instants(array: &ArrayRef) -> Result<TimestampMillisecondArray, ArrowError> {
    Ok(match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            let too_far = || ArrowError::CastError("an instant beyond the calendar".to_owned());
            let millis = |second: i64| second.checked_mul(1000).ok_or_else(too_far);
            array.as_primitive::<TimestampSecondType>().try_unary(millis)?
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            array.as_primitive::<TimestampMillisecondType>().clone()
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            array.as_primitive::<TimestampMicrosecondType>().unary(|tick| tick.div_euclid(1_000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            array.as_primitive::<TimestampNanosecondType>().unary(|tick| tick.div_euclid(1_000_000))
        }
        DataType::Date32 => array.as_primitive::<Date32Type>().unary(|day| i64::from(day) * MILLIS_PER_DAY),
        DataType::Date64 => array.as_primitive::<Date64Type>().unary(|millis| millis),
        DataType::Dictionary(..) => {
            let values = instants(array.as_any_dictionary().values())?;
            by_key(array, |key| values.is_valid(key).then(|| values.value(key))).collect()
        }
        _ => parsed(array)?,
    })
}

/// Text as the operator writes it, `2025-11-10 00:00:00 +0000 UTC`, or in ISO form (SPEC 1.6).
fn parsed(array: &ArrayRef) -> Result<TimestampMillisecondArray, ArrowError> {
    let utc: Tz = "+00:00".parse()?;
    let instant = |text: Option<&str>| {
        let stripped = |text: &str| {
            text.trim().trim_end_matches("UTC").trim().trim_end_matches("+0000").trim().to_owned()
        };
        text.map(|text| Ok(string_to_datetime(&utc, &stripped(text))?.timestamp_millis())).transpose()
    };
    texts(array)?.into_iter().map(instant).collect()
}

fn text(bytes: Option<&[u8]>) -> Result<Option<&str>, ArrowError> {
    Ok(bytes.map(std::str::from_utf8).transpose()?)
}

fn texts(array: &ArrayRef) -> Result<Vec<Option<&str>>, ArrowError> {
    match array.data_type() {
        DataType::Utf8 => Ok(array.as_string::<i32>().iter().collect()),
        DataType::LargeUtf8 => Ok(array.as_string::<i64>().iter().collect()),
        DataType::Utf8View => Ok(array.as_string_view().iter().collect()),
        DataType::Binary => array.as_binary::<i32>().iter().map(text).collect(),
        DataType::LargeBinary => array.as_binary::<i64>().iter().map(text).collect(),
        DataType::BinaryView => array.as_binary_view().iter().map(text).collect(),
        DataType::Dictionary(..) => {
            let values = texts(array.as_any_dictionary().values())?;
            Ok(by_key(array, |key| values[key]).collect())
        }
        other => Err(no_such(other, "text")),
    }
}

/// Decimal digits say exactly which number it is; reading them rounds once.
fn decimals<D: DecimalType>(array: &ArrayRef, precision: u8, scale: i8) -> Result<Float64Array, ArrowError> {
    array.as_primitive::<D>().try_unary(|unscaled| {
        let digits = D::format_decimal(unscaled, precision, scale);
        digits.parse().map_err(|error| ArrowError::CastError(format!("{digits}: {error}")))
    })
}

/// What each key of a dictionary stands for.
fn by_key<'a, T>(
    array: &'a ArrayRef,
    value: impl Fn(usize) -> Option<T> + 'a,
) -> impl Iterator<Item = Option<T>> + 'a {
    let dictionary = array.as_any_dictionary();
    // Without values every key is NULL, and there is nothing to normalise.
    let keys =
        if dictionary.values().is_empty() { vec![0; array.len()] } else { dictionary.normalized_keys() };
    keys.into_iter().enumerate().map(
        move |(row, key)| {
            if dictionary.keys().is_null(row) { None } else { value(key) }
        },
    )
}

fn no_such(found: &DataType, wanted: &str) -> ArrowError {
    ArrowError::CastError(format!("{found} holds no {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{BinaryArray, Date32Array, Int64Array, StringArray, UInt16Array};
    use arrow::compute::{CastOptions, cast_with_options};

    fn cast(array: &ArrayRef, to: &DataType) -> ArrayRef {
        let options = CastOptions { safe: false, ..Default::default() };
        cast_with_options(array, to, &options)
            .unwrap_or_else(|error| panic!("{}: {error}", array.data_type()))
    }

    fn dictionary(value: DataType) -> DataType {
        DataType::Dictionary(Box::new(DataType::UInt16), Box::new(value))
    }

    #[test]
    fn numbers_are_those_of_arrows_cast() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(3), None, Some(0), Some(117), Some(3)]));
        let mut types = vec![DataType::Float16, DataType::Float32, DataType::Float64];
        types.extend([DataType::Int8, DataType::Int16, DataType::Int32, DataType::Int64]);
        types.extend([DataType::UInt8, DataType::UInt16, DataType::UInt32, DataType::UInt64]);
        types.extend([DataType::Decimal32(9, 2), DataType::Decimal64(18, 3), DataType::Decimal128(38, 9)]);
        types.extend([DataType::Decimal256(60, 5), dictionary(DataType::Int64)]);
        for to in types {
            let array = cast(&numbers, &to);
            let expected = cast(&array, &DataType::Float64);
            assert_eq!(&doubles(&array).expect("numbers"), expected.as_primitive::<Float64Type>(), "{to}");
        }
        let odd: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX, i64::MIN, 1_234_567_890_123_456_789]));
        for to in [DataType::Int64, DataType::Decimal128(38, 19)] {
            let array = cast(&odd, &to);
            let expected = cast(&array, &DataType::Float64);
            assert_eq!(&doubles(&array).expect("numbers"), expected.as_primitive::<Float64Type>(), "{to}");
        }
    }

    #[test]
    fn instants_are_those_of_arrows_cast() {
        let millis = vec![Some(1_762_732_800_000), None, Some(0), Some(86_400_000)];
        let wanted: ArrayRef = Arc::new(TimestampMillisecondArray::from(millis));
        let mut types: Vec<DataType> =
            [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond]
                .into_iter()
                .map(|unit| DataType::Timestamp(unit, None))
                .collect();
        types.extend([
            DataType::Date32,
            DataType::Date64,
            DataType::Utf8,
            DataType::LargeUtf8,
            DataType::Utf8View,
        ]);
        types.push(dictionary(DataType::Utf8));
        for to in types {
            assert_eq!(&instants(&cast(&wanted, &to)).expect("instants"), wanted.as_primitive(), "{to}");
        }
        let days = Arc::new(Date32Array::from(vec![20_402, 0, 1]));
        let keys = UInt16Array::from(vec![Some(0), None, Some(1), Some(2)]);
        let by_day: ArrayRef = Arc::new(DictionaryArray::new(keys, days));
        assert_eq!(&instants(&by_day).expect("instants"), wanted.as_primitive());
        let in_utc: ArrayRef =
            Arc::new(wanted.as_primitive::<TimestampMillisecondType>().clone().with_timezone("UTC"));
        assert_eq!(
            instants(&in_utc).expect("instants").values(),
            wanted.as_primitive::<TimestampMillisecondType>().values()
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let good: ArrayRef = Arc::new(BinaryArray::from_opt_vec(vec![Some(b"a".as_slice()), None]));
        assert_eq!(texts(&good).expect("text"), [Some("a"), None]);
        let bad: ArrayRef = Arc::new(BinaryArray::from(vec![b"\xff".as_slice()]));
        texts(&bad).expect_err("no UTF-8");
    }

    #[test]
    fn a_dictionary_without_values_is_all_null() {
        let empty: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>, None]));
        let array = cast(&empty, &dictionary(DataType::Utf8));
        assert_eq!(texts(&array).expect("text"), [None, None]);
        assert_eq!(instants(&array).expect("instants").null_count(), 2);
    }
}
