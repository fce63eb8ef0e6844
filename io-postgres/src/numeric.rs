//! f64 to numeric(33,15), exactly as SPEC 4.1 says, and its binary form.
//!
//! ```text
//!   1234.5678901234567  --shortest-->  12345678901234567 e-13  --half-up at 15-->  i128 at scale 15  --> base 10,000
//! ```
//!
//! The surprise worth knowing: PostgreSQL's own cast keeps 15 significant digits only. The default here keeps
//! what the double says; [`NumericMode::FifteenDigits`] repeats the cast.

use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};
use tokio_postgres::types::{FromSql, Type};

/// How a double becomes numeric(33,15).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NumericMode {
    /// The shortest decimal that reads back as the same double, rounded half-up at 15 places.
    #[default]
    Shortest,
    /// 15 significant digits first, as PostgreSQL's float8 to numeric cast does: koku's self-hosted SQL.
    FifteenDigits,
}

impl NumericMode {
    /// Its name in the ledger and in configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shortest => "shortest",
            Self::FifteenDigits => "fifteen-digits",
        }
    }
}

/// Why a double has no numeric(33,15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotNumeric {
    NotFinite,
    TooLarge,
}

impl NotNumeric {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::NotFinite => "is not a finite number and numeric(33,15) cannot hold it",
            Self::TooLarge => "has more than the 18 integer digits of numeric(33,15)",
        }
    }
}

/// Digits after the decimal point.
const SCALE: i32 = 15;
/// The first magnitude that numeric(33,15) cannot hold, at scale 15.
const LIMIT: i128 = 10_i128.pow(33);

/// The value times 10^15, rounded half away from zero.
pub(crate) fn scaled(value: f64, mode: NumericMode) -> Result<i128, NotNumeric> {
    if !value.is_finite() {
        return Err(NotNumeric::NotFinite);
    }
    if value == 0.0 {
        return Ok(0);
    }
    let (digits, exponent) = match mode {
        NumericMode::Shortest => decimal(zmij::Buffer::new().format_finite(value.abs())),
        NumericMode::FifteenDigits => decimal(&format!("{:.14e}", value.abs())),
    };
    let magnitude = round(digits, exponent)?;
    Ok(if value < 0.0 { -magnitude } else { magnitude })
}

/// Digits and decimal exponent of what a float formatter printed.
fn decimal(text: &str) -> (u64, i32) {
    let (mut digits, mut exponent, mut point) = (0_u64, 0_i32, false);
    let (mantissa, power) = text.split_once('e').unwrap_or((text, "0"));
    for byte in mantissa.strip_suffix(".0").unwrap_or(mantissa).bytes() {
        if byte == b'.' {
            point = true;
        } else {
            digits = digits * 10 + u64::from(byte - b'0');
            exponent -= i32::from(point);
        }
    }
    (digits, exponent + power.parse::<i32>().expect("formatters print a small integer after e"))
}

fn round(digits: u64, exponent: i32) -> Result<i128, NotNumeric> {
    let shift = exponent + SCALE;
    let digits = i128::from(digits);
    let rounded = match u32::try_from(shift) {
        // At most 18 digits times 10^shift, so everything past 10^33 is out anyway.
        Ok(shift) => 10_i128
            .checked_pow(shift)
            .and_then(|power| digits.checked_mul(power))
            .ok_or(NotNumeric::TooLarge)?,
        Err(_) if shift < -19 => 0,
        Err(_) => {
            let power = 10_i128.pow(shift.unsigned_abs());
            (digits + power / 2) / power
        }
    };
    if rounded >= LIMIT { Err(NotNumeric::TooLarge) } else { Ok(rounded) }
}

/// The longest binary numeric this module writes: header and nine digits.
pub(crate) const MAX_BYTES: usize = 8 + 2 * 9;

/// Writes PostgreSQL's binary numeric, without its length.
pub(crate) fn encode(scaled: i128, out: &mut impl BufMut) {
    const FRACTION: u128 = 10_u128.pow(15);
    let magnitude = scaled.unsigned_abs();
    let (mut integer, fraction) = ((magnitude / FRACTION) as u64, (magnitude % FRACTION) as u64);
    // Scale 15 is no multiple of four digits; one more zero makes it four groups.
    let mut fraction = fraction * 10;
    let mut groups = [0_u16; 9];
    for group in groups[5..].iter_mut().rev() {
        *group = (fraction % 10_000) as u16;
        fraction /= 10_000;
    }
    for group in groups[..5].iter_mut().rev() {
        *group = (integer % 10_000) as u16;
        integer /= 10_000;
    }
    let first = groups.iter().position(|group| *group != 0).unwrap_or(9);
    let last = groups.iter().rposition(|group| *group != 0).map_or(first, |last| last + 1);
    let weight = if first == 9 { 0 } else { 4 - first as i16 };
    out.put_i16((last - first) as i16);
    out.put_i16(weight);
    out.put_u16(if scaled < 0 { 0x4000 } else { 0 });
    out.put_i16(SCALE as i16);
    for group in &groups[first..last] {
        out.put_u16(*group);
    }
}

/// A stored numeric as an integer at scale 15; what lies beyond 15 places is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Scaled(pub(crate) i128);

impl Scaled {
    /// The nearest double.
    pub(crate) fn to_f64(self) -> f64 {
        self.text().parse().expect("a sign, digits, a point and digits are a number")
    }

    /// As PostgreSQL prints it.
    pub(crate) fn text(self) -> String {
        const FRACTION: u128 = 10_u128.pow(15);
        let (sign, magnitude) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        format!("{sign}{}.{:015}", magnitude / FRACTION, magnitude % FRACTION)
    }
}

impl<'a> FromSql<'a> for Scaled {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        let word = |at: usize| -> Result<u16, &'static str> {
            let bytes = raw.get(2 * at..2 * at + 2).ok_or("the numeric is cut short")?;
            Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
        };
        let (count, weight, sign) = (word(0)?, i32::from(word(1)? as i16), word(2)?);
        if sign & 0x8000 != 0 {
            return Err("the table holds NaN or Infinity".into());
        }
        let mut value = 0_i128;
        for index in 0..count {
            let digit = i128::from(word(4 + usize::from(index))?);
            // This group stands for digit * 10^(4 * (weight - index)), at scale 15.
            let power = 4 * (weight - i32::from(index)) + SCALE;
            let part = match u32::try_from(power) {
                Ok(power) => 10_i128.checked_pow(power).and_then(|ten| ten.checked_mul(digit)),
                Err(_) => Some(digit / 10_i128.pow(power.unsigned_abs().min(30))),
            };
            value = part.and_then(|part| value.checked_add(part)).ok_or("the numeric is out of range")?;
        }
        Ok(Self(if sign == 0x4000 { -value } else { value }))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::NUMERIC
    }
}

/// One column's last value and its bytes: capacities repeat from row to row.
#[derive(Debug, Clone)]
pub(crate) struct NumericEncoder {
    mode: NumericMode,
    last: Option<u64>,
    bytes: BytesMut,
}

impl NumericEncoder {
    pub(crate) fn new(mode: NumericMode) -> Self {
        Self { mode, last: None, bytes: BytesMut::with_capacity(MAX_BYTES) }
    }

    /// Writes the length and the numeric.
    pub(crate) fn put(&mut self, value: f64, out: &mut BytesMut) -> Result<(), NotNumeric> {
        if self.last != Some(value.to_bits()) {
            let scaled = scaled(value, self.mode)?;
            self.bytes.clear();
            encode(scaled, &mut self.bytes);
            self.last = Some(value.to_bits());
        }
        out.put_i32(self.bytes.len() as i32);
        out.extend_from_slice(&self.bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: f64, mode: NumericMode) -> String {
        Scaled(scaled(value, mode).expect("in range")).text()
    }

    #[test]
    fn the_two_modes_differ_as_spec_case_70_says() {
        let value = 1_234.567_890_123_456_7;
        assert_eq!(text(value, NumericMode::Shortest), "1234.567890123456700");
        assert_eq!(text(value, NumericMode::FifteenDigits), "1234.567890123460000");
        assert_eq!(text(10.0 / 28.0, NumericMode::Shortest), "0.357142857142857");
    }

    #[test]
    fn rounding_is_half_away_from_zero_on_the_shortest_decimal() {
        for (value, expected) in [
            (0.5e-15, "0.000000000000001"),
            (0.49e-15, "0.000000000000000"),
            (-0.5e-15, "-0.000000000000001"),
            (1.5e-15, "0.000000000000002"),
            (-0.0, "0.000000000000000"),
            (5e-324, "0.000000000000000"),
            (1e17, "100000000000000000.000000000000000"),
        ] {
            assert_eq!(text(value, NumericMode::Shortest), expected, "{value:e}");
        }
    }

    #[test]
    fn what_numeric_cannot_hold_is_refused() {
        for mode in [NumericMode::Shortest, NumericMode::FifteenDigits] {
            for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                assert_eq!(scaled(value, mode), Err(NotNumeric::NotFinite));
            }
            for value in [1e18, -1e18, 1e300, f64::MAX] {
                assert_eq!(scaled(value, mode), Err(NotNumeric::TooLarge), "{value:e}");
            }
            assert!(scaled(999_999_999_999_999_000.0, mode).is_ok());
        }
    }

    proptest! {
        #[test]
        fn every_scaled_integer_survives_the_binary_form(value in -LIMIT + 1..LIMIT) {
            let mut bytes = BytesMut::new();
            encode(value, &mut bytes);
            prop_assert!(bytes.len() <= MAX_BYTES);
            prop_assert_eq!(Scaled::from_sql(&Type::NUMERIC, &bytes).expect("its own form"), Scaled(value));
        }

        #[test]
        fn small_integers_survive_too(value in -20_000_i128..20_000, shift in 0_u32..30) {
            let value = value * 10_i128.pow(shift);
            let mut bytes = BytesMut::new();
            if value.abs() < LIMIT {
                encode(value, &mut bytes);
                prop_assert_eq!(Scaled::from_sql(&Type::NUMERIC, &bytes).expect("its own form"), Scaled(value));
            }
        }
    }
}
