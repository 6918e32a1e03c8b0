//! Prices, quantities and money: `decimal(28,12)`.

use std::fmt;
use std::ops::Neg;
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Digits behind the point in every amount.
pub const SCALE: u32 = 12;
/// Digits in all.
pub const PRECISION: u32 = 28;
/// The largest unscaled value: 28 nines.
const MAX_UNSCALED: i128 = 10_i128.pow(PRECISION) - 1;

/// A price, quantity or sum of money: at most 28 digits, 12 of them behind the point.
///
/// Sums are exact or refused. Products and quotients are rounded half-even to 12 places, here and
/// nowhere else. On the wire: Avro `bytes` with logical type `decimal(28,12)`; in JSON a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(Decimal);

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
    pub const ZERO: Self = Self(Decimal::ZERO);
    /// One.
    pub const ONE: Self = Self(Decimal::ONE);

    /// Takes a decimal that fits.
    ///
    /// # Errors
    /// [`AmountError::TooPrecise`] or [`AmountError::Overflow`]; never rounds.
    pub fn new(value: Decimal) -> Result<Self, AmountError> {
        let value = value.normalize();
        if value.scale() > SCALE {
            return Err(AmountError::TooPrecise);
        }
        let unscaled = value.mantissa().checked_mul(10_i128.pow(SCALE - value.scale()));
        match unscaled {
            Some(unscaled) if unscaled.abs() <= MAX_UNSCALED => Ok(Self(value)),
            _ => Err(AmountError::Overflow),
        }
    }

    /// From an unscaled integer, in units of 10⁻¹².
    pub fn from_unscaled(unscaled: i128) -> Result<Self, AmountError> {
        if unscaled.abs() > MAX_UNSCALED {
            return Err(AmountError::Overflow);
        }
        Ok(Self(Decimal::from_i128_with_scale(unscaled, SCALE).normalize()))
    }

    /// The value in units of 10⁻¹².
    pub fn unscaled(self) -> i128 {
        self.0.mantissa() * 10_i128.pow(SCALE - self.0.scale())
    }

    /// The decimal.
    pub const fn decimal(self) -> Decimal {
        self.0
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        // Exact integer then one correctly rounded division: the same on every machine.
        self.0.mantissa() as f64 / POWERS[self.0.scale() as usize]
    }

    /// The sum.
    pub fn checked_add(self, other: Self) -> Result<Self, AmountError> {
        self.0.checked_add(other.0).ok_or(AmountError::Overflow).and_then(Self::new)
    }

    /// The difference.
    pub fn checked_sub(self, other: Self) -> Result<Self, AmountError> {
        self.0.checked_sub(other.0).ok_or(AmountError::Overflow).and_then(Self::new)
    }

    /// The product, rounded half-even to 12 places.
    pub fn checked_mul(self, other: Self) -> Result<Self, AmountError> {
        let product = self.0.checked_mul(other.0).ok_or(AmountError::Overflow)?;
        Self::new(product.round_dp_with_strategy(SCALE, RoundingStrategy::MidpointNearestEven))
    }

    /// The quotient, rounded half-even to 12 places.
    pub fn checked_div(self, other: Self) -> Result<Self, AmountError> {
        if other.0.is_zero() {
            return Err(AmountError::DivisionByZero);
        }
        let quotient = self.0.checked_div(other.0).ok_or(AmountError::Overflow)?;
        Self::new(quotient.round_dp_with_strategy(SCALE, RoundingStrategy::MidpointNearestEven))
    }

    /// Without its sign.
    pub fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// True for zero.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// True below zero.
    pub fn is_negative(self) -> bool {
        self.0.is_sign_negative() && !self.0.is_zero()
    }

    /// True above zero.
    pub fn is_positive(self) -> bool {
        self.0.is_sign_positive() && !self.0.is_zero()
    }
}

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
        Self(Decimal::from(units.clamp(-9_999_999_999_999_999, 9_999_999_999_999_999)))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Amount {
    type Err = AmountError;
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let digits = text.trim_start_matches(['+', '-']);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(AmountError::NotANumber);
        }
        match Decimal::from_str_exact(text) {
            Ok(value) => Self::new(value),
            Err(rust_decimal::Error::Underflow | rust_decimal::Error::ScaleExceedsMaximumPrecision(_)) => {
                Err(AmountError::TooPrecise)
            }
            Err(rust_decimal::Error::ExceedsMaximumPossibleValue) => Err(AmountError::Overflow),
            Err(_) => Err(AmountError::NotANumber),
        }
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(&self.0);
        }
        let bytes = self.unscaled().to_be_bytes();
        serializer.serialize_bytes(&bytes[redundant_sign_bytes(&bytes)..])
    }
}

/// How many leading bytes only repeat the sign: Avro wants the shortest two's complement.
fn redundant_sign_bytes(bytes: &[u8; 16]) -> usize {
    let sign = if bytes[0] & 0x80 == 0 { 0x00 } else { 0xFF };
    let mut skip = 0;
    while skip < 15 && bytes[skip] == sign && (bytes[skip + 1] & 0x80) == (sign & 0x80) {
        skip += 1;
    }
    skip
}

struct AmountVisitor;

impl<'de> de::Visitor<'de> for AmountVisitor {
    type Value = Amount;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal as a string (\"12.5\") or an integer")
    }
    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Amount, E> {
        if bytes.is_empty() || bytes.len() > 16 {
            return Err(E::custom(AmountError::Overflow));
        }
        let sign = if bytes[0] & 0x80 == 0 { 0x00 } else { 0xFF };
        let mut wide = [sign; 16];
        wide[16 - bytes.len()..].copy_from_slice(bytes);
        Amount::from_unscaled(i128::from_be_bytes(wide)).map_err(E::custom)
    }
    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Amount, E> {
        self.visit_bytes(&bytes)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
        text.parse().map_err(E::custom)
    }
    fn visit_i64<E: de::Error>(self, units: i64) -> Result<Amount, E> {
        Amount::new(Decimal::from(units)).map_err(E::custom)
    }
    fn visit_u64<E: de::Error>(self, units: u64) -> Result<Amount, E> {
        Amount::new(Decimal::from(units)).map_err(E::custom)
    }
    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Amount, A::Error> {
        let mut bytes = Vec::with_capacity(16);
        while let Some(byte) = seq.next_element()? {
            if bytes.len() == 16 {
                return Err(de::Error::custom(AmountError::Overflow));
            }
            bytes.push(byte);
        }
        self.visit_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(AmountVisitor)
        } else {
            deserializer.deserialize_bytes(AmountVisitor)
        }
    }
}
