//! Numbers that merge in any order: sums as 192-bit integers, maxima that ignore what is missing.
//!
//! ```text
//!  limb 2 (sign)         limb 1               limb 0
//! |----------------|----------------|----------------|     lsb = 2^-80, msb = sign, span 2^111
//! ```
//!
//! A value is placed on this grid once, when it enters; from there on a sum is an integer, so the
//! order of additions, the number of threads and the shape of a merge tree cannot be seen in it.
//!
//! ```
//! use daysum_core::exact::ExactSum;
//! let values = [1e18, 0.1, -1e18, 0.2];
//! let (mut forwards, mut backwards) = (ExactSum::ZERO, ExactSum::ZERO);
//! values.iter().for_each(|&value| assert!(forwards.add(value)));
//! values.iter().rev().for_each(|&value| assert!(backwards.add(value)));
//! assert_eq!(forwards, backwards);
//! assert_eq!(forwards.to_f64(), 0.30000000000000004); // what 0.1 + 0.2 is, not what floats lose to 1e18
//! ```
//!
//! The surprise: doubles below 2^-27 may have bits under the grid and are rounded once, half to even,
//! to within 4e-25; every larger double enters exactly.

use crate::error::{Error, Result};

/// An exact sum of doubles. Addition is associative and commutative wherever it succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExactSum {
    /// Two's complement, least significant first.
    limbs: [u64; 3],
}

const MANTISSA_BITS: u32 = 52;
const MANTISSA: u64 = (1 << MANTISSA_BITS) - 1;
const EXPONENT: u64 = 0x7ff;

/// A normal double with this exponent field has its lowest mantissa bit on the grid's lowest bit.
const GRID_EXPONENT: u64 = 1075 - 80;

/// Positions further up than this are refused by `add`: 2^101 and more is no usage, and the rest of
/// the span is kept for the sum.
const HIGHEST_POSITION: u64 = 128;

impl ExactSum {
    /// The sum of nothing.
    pub const ZERO: Self = Self { limbs: [0; 3] };

    /// Bytes of [`to_bytes`](Self::to_bytes).
    pub const BYTES: usize = 24;

    /// Adds `times` copies of a value. False where [`add`](Self::add) is false for one of them; some may then be added.
    #[inline]
    #[must_use]
    pub fn add_times(&mut self, value: f64, times: u32) -> bool {
        let bits = value.to_bits();
        let position = ((bits >> MANTISSA_BITS) & EXPONENT).wrapping_sub(GRID_EXPONENT);
        if position > HIGHEST_POSITION {
            let mut one = Self::ZERO;
            return one.add_rare(value) && one.times(times.into()).is_ok_and(|all| self.merge(&all).is_ok());
        }
        let mantissa = (bits & MANTISSA) | (1 << MANTISSA_BITS);
        let mut left = u64::from(times);
        let mut fits = true;
        // As many as a mantissa has bits of room for below the sign, which is where the highest position ends.
        while fits && left > 0 {
            let now = left.min((1 << (62 - MANTISSA_BITS)) - 1);
            fits = self.add_placed(mantissa * now, position, bits >> 63);
            left -= now;
        }
        fits
    }

    /// Adds a value. False, and no addition, where it is not finite, reaches 2^101, or overflows the sum.
    #[inline(always)]
    #[must_use]
    pub fn add(&mut self, value: f64) -> bool {
        let bits = value.to_bits();
        let position = ((bits >> MANTISSA_BITS) & EXPONENT).wrapping_sub(GRID_EXPONENT);
        if position > HIGHEST_POSITION {
            return self.add_rare(value);
        }
        let mantissa = (bits & MANTISSA) | (1 << MANTISSA_BITS);
        self.add_placed(mantissa, position, bits >> 63)
    }

    /// Adds `mantissa << position`, negated where `negative` is 1, without a branch on any of them.
    #[inline(always)]
    fn add_placed(&mut self, mantissa: u64, position: u64, negative: u64) -> bool {
        let wide = u128::from(mantissa) << (position & 63);
        let (low, high) = (wide as u64, (wide >> 64) as u64);
        let when = |limb: u64| u64::from(position >> 6 == limb).wrapping_neg();
        let sign = negative.wrapping_neg();
        let term = [
            (low & when(0)) ^ sign,
            ((high & when(0)) | (low & when(1))) ^ sign,
            ((high & when(1)) | (low & when(2))) ^ sign,
        ];
        self.add_limbs(term, negative)
    }

    #[inline(always)]
    fn add_limbs(&mut self, term: [u64; 3], carry: u64) -> bool {
        let first = u128::from(self.limbs[0]) + u128::from(term[0]) + u128::from(carry);
        let second = u128::from(self.limbs[1]) + u128::from(term[1]) + (first >> 64);
        let third = self.limbs[2].wrapping_add(term[2]).wrapping_add((second >> 64) as u64);
        let overflow = (self.limbs[2] ^ third) & (term[2] ^ third);
        if overflow >> 63 != 0 {
            return false;
        }
        self.limbs = [first as u64, second as u64, third];
        true
    }

    /// Zero, values with bits below the grid, and values that are refused.
    #[cold]
    fn add_rare(&mut self, value: f64) -> bool {
        let bits = value.to_bits();
        let exponent = (bits >> MANTISSA_BITS) & EXPONENT;
        if exponent >= GRID_EXPONENT {
            return false; // too large, infinite or not a number
        }
        let mantissa = if exponent == 0 { bits & MANTISSA } else { (bits & MANTISSA) | (1 << MANTISSA_BITS) };
        let below = GRID_EXPONENT - exponent.max(1);
        self.add_placed(shift_right_half_even(mantissa, below), 0, bits >> 63)
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.add_limbs(other.limbs, 0) { Ok(()) } else { Err(overflow()) }
    }

    /// The sum of `times` copies of this one.
    pub fn times(&self, times: u64) -> Result<Self> {
        let (negative, magnitude) = self.magnitude();
        let mut product = [0u64; 3];
        let mut carry = 0u128;
        for (limb, out) in magnitude.iter().zip(&mut product) {
            carry += u128::from(*limb) * u128::from(times);
            *out = carry as u64;
            carry >>= 64;
        }
        if carry != 0 || product[2] >> 63 != 0 {
            return Err(overflow());
        }
        Ok(Self { limbs: if negative { negate(product) } else { product } })
    }

    /// The nearest double, ties to even. Never -0.0.
    pub fn to_f64(&self) -> f64 {
        let (negative, [low, middle, high]) = self.magnitude();
        let wide = |high: u64, low: u64| u128::from(high) << 64 | u128::from(low);
        // Both factors are exact but for the rounding: a power of two is far from the ends of the range.
        let value = match high {
            0 => wide(middle, low) as f64 * power_of_two(-80),
            // Far below what is rounded, one bit tells whether there is anything more.
            _ => wide(high, middle | u64::from(low != 0)) as f64 * power_of_two(-16),
        };
        if negative { -value } else { value }
    }

    /// Two's complement, big endian: byte order is numeric order but for the sign.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(self.limbs.iter().rev()) {
            chunk.copy_from_slice(&limb.to_be_bytes());
        }
        bytes
    }

    /// Reads [`to_bytes`](Self::to_bytes).
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let mut limbs = [0; 3];
        for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.chunks_exact(8)) {
            *limb = chunk.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        }
        Self { limbs }
    }

    fn magnitude(&self) -> (bool, [u64; 3]) {
        let negative = self.limbs[2] >> 63 != 0;
        (negative, if negative { negate(self.limbs) } else { self.limbs })
    }
}

fn overflow() -> Error {
    Error::Overflow { what: "merging".into() }
}

fn negate(limbs: [u64; 3]) -> [u64; 3] {
    let mut carry = true;
    limbs.map(|limb| {
        let (negated, overflowed) = (!limb).overflowing_add(u64::from(carry));
        carry = overflowed;
        negated
    })
}

fn shift_right_half_even(value: u64, by: u64) -> u64 {
    if by > u64::from(MANTISSA_BITS) + 2 {
        return 0;
    }
    let kept = value >> by;
    let rest = value & ((1 << by) - 1);
    let half = 1 << (by - 1);
    kept + u64::from(rest > half || (rest == half && kept & 1 == 1))
}

const fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << MANTISSA_BITS)
}

/// The largest of the values seen, or nothing. Merging is associative, commutative and idempotent.
///
/// "Nothing" is a NaN inside, which `f64::max` passes over; -0.0 enters as 0.0, because which of the
/// two zeros a maximum returns is not specified.
#[derive(Debug, Clone, Copy)]
pub struct MaxOf(f64);

impl MaxOf {
    /// The maximum of nothing.
    pub const NONE: Self = Self(f64::NAN);

    /// Considers a value; NaN is passed over.
    #[inline(always)]
    pub fn add(&mut self, value: f64) {
        self.0 = self.0.max(value + 0.0);
    }

    /// Considers everything the other has seen.
    #[inline]
    pub fn merge(&mut self, other: &Self) {
        self.add(other.0);
    }

    /// The maximum, if anything was seen.
    pub fn get(&self) -> Option<f64> {
        (!self.0.is_nan()).then_some(self.0)
    }
}

impl Default for MaxOf {
    fn default() -> Self {
        Self::NONE
    }
}

impl From<Option<f64>> for MaxOf {
    fn from(value: Option<f64>) -> Self {
        let mut max = Self::NONE;
        value.into_iter().for_each(|value| max.add(value));
        max
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(values: &[f64]) -> ExactSum {
        let mut sum = ExactSum::ZERO;
        for value in values {
            assert!(sum.add(*value), "{value}");
        }
        sum
    }

    /// Doubles of every size that `add` takes, both signs, many of them with few bits.
    fn values() -> impl Strategy<Value = f64> {
        (any::<bool>(), -200..101i32, any::<u64>(), 0..53u32).prop_map(
            |(negative, exponent, bits, cleared)| {
                let mantissa = (bits & MANTISSA) >> cleared << cleared;
                let value = f64::from_bits(((1023 + exponent) as u64) << 52 | mantissa);
                if negative { -value } else { value }
            },
        )
    }

    proptest! {
        #[test]
        fn any_order_and_any_merge_tree_give_the_same_bits(
            mut numbers in prop::collection::vec(values(), 0..40), split in 0usize..40,
        ) {
            let whole = sum(&numbers);
            let split = split.min(numbers.len());
            let mut merged = sum(&numbers[split..]);
            merged.merge(&sum(&numbers[..split])).expect("far from overflow");
            prop_assert_eq!(merged, whole);
            numbers.reverse();
            prop_assert_eq!(sum(&numbers), whole);
        }

        #[test]
        fn so_often_at_once_is_one_after_the_other(value in values(), times in 0u32..5000) {
            prop_assume!(value.abs() < 2f64.powi(97)); // so often larger ones are no sum any more
            let mut at_once = sum(&[1.5]);
            prop_assert!(at_once.add_times(value, times));
            let mut one_by_one = sum(&[1.5]);
            (0..times).for_each(|_| assert!(one_by_one.add(value)));
            prop_assert_eq!(at_once, one_by_one);
        }

        #[test]
        fn one_value_on_the_grid_comes_back_as_it_was(value in values()) {
            if value.abs() >= 2f64.powi(-27) {
                prop_assert_eq!(sum(&[value]).to_f64(), value);
            } else {
                prop_assert!((sum(&[value]).to_f64() - value).abs() <= 2f64.powi(-81));
            }
        }

        #[test]
        fn finished_sums_are_the_nearest_doubles(a in any::<i64>(), b in any::<i64>()) {
            // i128 -> f64 rounds to nearest even, and 2^-10 scales exactly.
            let scale = 2f64.powi(-10);
            let parts = |value: i64| [(value >> 32) as f64 * 2f64.powi(32) * scale, (value & 0xffff_ffff) as f64 * scale];
            let exact = i128::from(a) + i128::from(b);
            let numbers: Vec<f64> = parts(a).into_iter().chain(parts(b)).collect();
            prop_assert_eq!(sum(&numbers).to_f64(), exact as f64 * scale);
        }

        #[test]
        fn times_is_repeated_addition(value in values(), times in 0u64..50) {
            let one = sum(&[value]);
            let mut many = ExactSum::ZERO;
            for _ in 0..times {
                many.merge(&one).expect("far from overflow");
            }
            prop_assert_eq!(one.times(times).expect("far from overflow"), many);
        }

        #[test]
        fn bytes_round_trip(numbers in prop::collection::vec(values(), 0..5)) {
            let sum = sum(&numbers);
            prop_assert_eq!(ExactSum::from_bytes(sum.to_bytes()), sum);
        }
    }

    #[test]
    fn what_is_no_usage_is_refused_and_leaves_the_sum_alone() {
        let mut total = sum(&[1.5]);
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2f64.powi(102), -2f64.powi(200), f64::MAX] {
            assert!(!total.add(value), "{value}");
        }
        assert_eq!(total, sum(&[1.5]));
        let huge = sum(&[2f64.powi(100)]).times(1 << 10).expect("2^110 fits");
        assert!(huge.times(2).is_err());
        let mut twice = huge;
        assert!(twice.merge(&huge).is_err());
        assert_eq!(twice, huge);
    }

    #[test]
    fn so_often_at_once_never_meets_the_sign() {
        let largest = f64::from_bits(2f64.powi(101).to_bits() - 1);
        let mut at_once = ExactSum::ZERO;
        assert!(at_once.add_times(largest, 1023));
        assert_eq!(at_once, sum(&[largest; 1023]));
        assert!(!at_once.add_times(largest, 2047), "beyond 2^111");
        assert!(at_once.to_f64() > 0.0);
    }

    #[test]
    fn zeros_and_subnormals_add_nothing() {
        assert_eq!(sum(&[0.0, -0.0, f64::MIN_POSITIVE, 5e-324, 1e-30]), ExactSum::ZERO);
        assert_eq!(ExactSum::ZERO.to_f64().to_bits(), 0);
        assert_eq!(sum(&[1.0, -1.0]).to_f64().to_bits(), 0);
    }

    #[test]
    fn the_lowest_bit_decides_a_tie() {
        let (large, half, lowest) = (2f64.powi(60), 2f64.powi(7), 2f64.powi(-80));
        assert_eq!(sum(&[large, half]).to_f64(), large, "to even");
        assert_eq!(sum(&[large, half, lowest]).to_f64(), large + 2.0 * half);
        assert_eq!(sum(&[large, half, -lowest]).to_f64(), large);
        assert_eq!(sum(&[-large, -half, -lowest]).to_f64(), -large - 2.0 * half);
    }

    #[test]
    fn halves_below_the_grid_round_to_even() {
        let grid = 2f64.powi(-80);
        assert_eq!(sum(&[grid * 0.5]).to_f64(), 0.0);
        assert_eq!(sum(&[grid * 1.5]).to_f64(), grid * 2.0);
        assert_eq!(sum(&[-grid * 2.5]).to_f64(), -grid * 2.0);
    }

    #[test]
    fn a_maximum_ignores_what_is_missing() {
        let mut max = MaxOf::NONE;
        assert_eq!(max.get(), None);
        max.merge(&MaxOf::NONE);
        max.add(f64::NAN);
        assert_eq!(max.get(), None);
        max.add(-0.0);
        assert_eq!(max.get().map(f64::to_bits), Some(0));
        max.add(-5.0);
        max.merge(&MaxOf::from(Some(3.0)));
        assert_eq!(max.get(), Some(3.0));
    }
}
