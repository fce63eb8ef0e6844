//! Sums as integers of any length, in units of 2^-80.

use num_bigint::{BigInt, BigUint, Sign};

use super::{Bug, Oracle};

const GRID_BITS: i64 = 80;

/// SQL's sum: NULL until a value has come, NULLs are passed over.
#[derive(Debug, Clone, Default)]
pub(super) struct Sum {
    units: Option<BigInt>,
    /// Only for the planted bug.
    floats: f64,
}

impl Sum {
    pub(super) fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            *self.units.get_or_insert_default() += on_grid(value);
            self.floats += value;
        }
    }

    pub(super) fn of(values: impl IntoIterator<Item = Option<f64>>) -> Self {
        let mut sum = Self::default();
        values.into_iter().for_each(|value| sum.add(value));
        sum
    }

    /// The nearest double.
    pub(super) fn finish(&self, oracle: &Oracle) -> Option<f64> {
        let units = self.units.as_ref()?;
        Some(if oracle.has(Bug::FloatSums) { self.floats } else { nearest(units) })
    }
}

/// The largest of the values that are there.
pub(super) fn max(values: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    values.into_iter().flatten().reduce(|a, b| if b > a { b } else { a })
}

/// The multiple of 2^-80 that is nearest to a finite double, ties to even.
fn on_grid(value: f64) -> BigInt {
    let bits = value.to_bits();
    let (biased, fraction) = ((bits >> 52 & 0x7ff) as i64, bits & ((1 << 52) - 1));
    // |value| = mantissa * 2^exponent
    let (mantissa, exponent) =
        if biased == 0 { (fraction, -1074) } else { (fraction | 1 << 52, biased - 1075) };
    let mantissa = BigUint::from(mantissa);
    let shift = exponent + GRID_BITS;
    let units = if shift >= 0 { mantissa << shift } else { divide(&mantissa, -shift) };
    BigInt::from_biguint(if value < 0.0 { Sign::Minus } else { Sign::Plus }, units)
}

/// The double that is nearest to this many units, ties to even.
fn nearest(units: &BigInt) -> f64 {
    let magnitude = units.magnitude();
    let surplus = (magnitude.bits() as i64 - 53).max(0);
    let mantissa = divide(magnitude, surplus);
    let mantissa = u64::try_from(mantissa).expect("at most 2^53") as f64;
    let value = mantissa * 2f64.powi((surplus - GRID_BITS) as i32);
    if units.sign() == Sign::Minus { -value } else { value }
}

/// `dividend / 2^bits`, rounded half to even.
fn divide(dividend: &BigUint, bits: i64) -> BigUint {
    let divisor = BigUint::from(1u8) << bits;
    let (quotient, twice_rest) = (dividend / &divisor, (dividend % &divisor) * 2u8);
    let up = twice_rest > divisor || (twice_rest == divisor && quotient.bit(0));
    quotient + u8::from(up)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f64]) -> f64 {
        Sum::of(values.iter().copied().map(Some)).finish(&Oracle::default()).expect("not NULL")
    }

    #[test]
    fn sums_are_those_of_the_exact_values() {
        assert_eq!(sum(&[1e18, 0.1, -1e18]), 0.1);
        assert_eq!(sum(&[0.1, 0.2]), 0.30000000000000004); // the exact sum of those two doubles is nearest to it
        assert_eq!(sum(&[9007199254740992.0, 1.0]), 9007199254740992.0); // a tie, to even
        assert_eq!(sum(&[9007199254740992.0, 1.0, 1e-20]), 9007199254740994.0); // just above the tie
        assert_eq!(sum(&[9007199254740994.0, 1.0]), 9007199254740996.0); // a tie, to even, upwards
        assert_eq!(sum(&[-9007199254740992.0, -1.0, -1e-20]), -9007199254740994.0);
        assert_eq!(sum(&[1.0, -1.0]).to_bits(), 0);
    }

    #[test]
    fn what_is_below_the_grid_is_rounded_once() {
        let grid = 2f64.powi(-80);
        for (value, expected) in [(0.5, 0.0), (1.5, 2.0), (2.5, 2.0), (-2.5, -2.0), (0.75, 1.0), (3.0, 3.0)] {
            assert_eq!(sum(&[grid * value]), grid * expected, "{value}");
        }
        assert_eq!(sum(&[5e-324, f64::MIN_POSITIVE]), 0.0);
    }

    #[test]
    fn the_sum_of_nothing_is_null_and_that_of_zeros_is_zero() {
        assert_eq!(Sum::of([None, None]).finish(&Oracle::default()), None);
        assert_eq!(Sum::of([None, Some(0.0)]).finish(&Oracle::default()), Some(0.0));
    }
}
