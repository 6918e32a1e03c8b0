//! Prices, quantities and money: `decimal(28,12)`.

mod wire;

use std::fmt;
use std::ops::Neg;
use std::str::FromStr;

use rust_decimal::Decimal;

/// Digits behind the point in every amount.
pub const SCALE: u32 = 12;
/// Digits in all.
pub const PRECISION: u32 = 28;
/// The largest unscaled value: 28 nines.
const MAX_UNSCALED: i128 = 10_i128.pow(PRECISION) - 1;
/// One, unscaled.
const UNIT: u128 = 10_u128.pow(SCALE);

/// A price, quantity or sum of money: at most 28 digits, 12 of them behind the point.
///
/// Sums are exact or refused. Products and quotients are exact, then rounded once, half-even, to 12
/// places; here and nowhere else. On the wire: Avro `bytes` with logical type `decimal(28,12)`; in JSON a
/// string. Held as an integer of 10⁻¹², so that a product is never rounded twice (`rust_decimal` rounds
/// one that needs more than 96 bits before it can be rounded to 12 places).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(i128);

/// An amount that does not fit `decimal(28,12)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// More than 16 digits before the point.
    #[error("the amount needs more than 28 digits with 12 behind the point")]
    Overflow,
    /// More than 12 digits behind the point; refused, never rounded.
    #[error("the amount has more than 12 digits behind the point")]
    TooPrecise,
    /// Not a decimal number.
    #[error("not a decimal number: write digits with at most one point, such as \"-12.5\"")]
    NotANumber,
    /// A division by zero.
    #[error("division by zero")]
    DivisionByZero,
}

impl Amount {
    /// Zero.
    pub const ZERO: Self = Self(0);
    /// One.
    pub const ONE: Self = Self(UNIT as i128);

    /// Takes a decimal that fits.
    ///
    /// # Errors
    /// [`AmountError::TooPrecise`] or [`AmountError::Overflow`]; never rounds.
    pub fn new(value: Decimal) -> Result<Self, AmountError> {
        let value = if value.scale() > SCALE { value.normalize() } else { value };
        let missing = SCALE.checked_sub(value.scale()).ok_or(AmountError::TooPrecise)?;
        let unscaled = value.mantissa().checked_mul(10_i128.pow(missing)).ok_or(AmountError::Overflow)?;
        Self::from_unscaled(unscaled)
    }

    /// From an unscaled integer, in units of 10⁻¹².
    pub const fn from_unscaled(unscaled: i128) -> Result<Self, AmountError> {
        if unscaled > MAX_UNSCALED || unscaled < -MAX_UNSCALED {
            return Err(AmountError::Overflow);
        }
        Ok(Self(unscaled))
    }

    /// The value in units of 10⁻¹².
    pub const fn unscaled(self) -> i128 {
        self.0
    }

    /// The decimal, without trailing zeros.
    pub fn decimal(self) -> Decimal {
        Decimal::from_i128_with_scale(self.0, SCALE).normalize()
    }

    /// The nearest double, if the amount has at most 15 digits; else within one unit in the last place.
    /// The same on every machine: an integer converted, then one division.
    pub fn to_f64(self) -> f64 {
        let (mut unscaled, mut places) = (self.0, SCALE as usize);
        // Trailing zeros off first: both operands of the division are then exact.
        while unscaled.unsigned_abs() > EXACT && places > 0 && unscaled % 1000 == 0 {
            unscaled /= 1000;
            places -= 3;
        }
        while unscaled.unsigned_abs() > EXACT && places > 0 && unscaled % 10 == 0 {
            unscaled /= 10;
            places -= 1;
        }
        unscaled as f64 / POWERS[places]
    }

    /// The sum.
    pub const fn checked_add(self, other: Self) -> Result<Self, AmountError> {
        // Two amounts cannot leave the 128 bits.
        Self::from_unscaled(self.0 + other.0)
    }

    /// The difference.
    pub const fn checked_sub(self, other: Self) -> Result<Self, AmountError> {
        Self::from_unscaled(self.0 - other.0)
    }

    /// The product, rounded half-even to 12 places.
    pub fn checked_mul(self, other: Self) -> Result<Self, AmountError> {
        let (a, b) = (self.0.unsigned_abs(), other.0.unsigned_abs());
        let (a_whole, a_part, b_whole, b_part) = (a / UNIT, a % UNIT, b / UNIT, b % UNIT);
        // a·b = (aw·u + ap)(bw·u + bp); over u, only ap·bp leaves a remainder. Wholes are below 10¹⁶,
        // parts below 10¹², so that no term leaves the 128 bits.
        let whole = a_whole * b_whole;
        if whole >= 10_u128.pow(PRECISION - SCALE) {
            return Err(AmountError::Overflow);
        }
        let parts = a_part * b_part;
        // A tie goes by the whole quotient's last digit, not by that of one term.
        let quotient = whole * UNIT + a_whole * b_part + a_part * b_whole + parts / UNIT;
        Self::signed(half_even(quotient, parts % UNIT, UNIT), (self.0 < 0) != (other.0 < 0))
    }

    /// The quotient, rounded half-even to 12 places.
    pub fn checked_div(self, other: Self) -> Result<Self, AmountError> {
        let (a, b) = (self.0.unsigned_abs(), other.0.unsigned_abs());
        if b == 0 {
            return Err(AmountError::DivisionByZero);
        }
        let (whole, rest) = (a / b, a % b);
        if whole >= 10_u128.pow(PRECISION - SCALE) {
            return Err(AmountError::Overflow);
        }
        // Twelve more digits, six at a time: a remainder below 10²⁸ times 10⁶ stays within the 128 bits.
        let six = 10_u128.pow(6);
        let (high, rest) = (rest * six / b, rest * six % b);
        let (low, rest) = (rest * six / b, rest * six % b);
        Self::signed(half_even(whole * UNIT + high * six + low, rest, b), (self.0 < 0) != (other.0 < 0))
    }

    fn signed(magnitude: u128, negative: bool) -> Result<Self, AmountError> {
        let unscaled = i128::try_from(magnitude).map_err(|_| AmountError::Overflow)?;
        Self::from_unscaled(if negative { -unscaled } else { unscaled })
    }

    /// Without its sign.
    pub const fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// True for zero.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// True below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// True above zero.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }
}

/// The quotient raised by one if the remainder is over half the divisor, or just half and it is odd.
fn half_even(quotient: u128, remainder: u128, divisor: u128) -> u128 {
    let twice = 2 * remainder;
    quotient + u128::from(twice > divisor || (twice == divisor && quotient % 2 == 1))
}

/// The largest integer up to which all are doubles.
const EXACT: u128 = 1 << 53;
const POWERS: [f64; 13] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];

impl Neg for Amount {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl From<i64> for Amount {
    /// Whole units; 16 digits always hold what fits here up to 10¹⁶, larger values saturate there.
    fn from(units: i64) -> Self {
        Self(i128::from(units.clamp(-9_999_999_999_999_999, 9_999_999_999_999_999)) * UNIT as i128)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.decimal().fmt(f)
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    /// Digits with at most one point and a sign. Zeros behind the twelfth place are no digits too many.
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (negative, digits) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            all => (false, all),
        };
        let mut unscaled = 0_i128;
        let mut places = None;
        let mut any = false;
        let mut lost = false;
        let mut overflow = false;
        for byte in digits {
            match byte {
                b'.' if places.is_none() => places = Some(0),
                b'0'..=b'9' => {
                    any = true;
                    if places == Some(SCALE) {
                        lost |= *byte != b'0';
                        continue;
                    }
                    unscaled = unscaled * 10 + i128::from(byte - b'0');
                    overflow |= unscaled > MAX_UNSCALED;
                    unscaled = unscaled.min(MAX_UNSCALED);
                    places = places.map(|places| places + 1);
                }
                _ => return Err(AmountError::NotANumber),
            }
        }
        if !any {
            return Err(AmountError::NotANumber);
        }
        if lost {
            return Err(AmountError::TooPrecise);
        }
        if overflow {
            return Err(AmountError::Overflow);
        }
        let missing = 10_i128.pow(SCALE - places.unwrap_or(0));
        let unscaled = unscaled.checked_mul(missing).ok_or(AmountError::Overflow)?;
        Self::from_unscaled(if negative { -unscaled } else { unscaled })
    }
}
