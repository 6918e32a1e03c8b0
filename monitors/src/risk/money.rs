//! Sums of money that are exact whatever the order they are added in.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use serde::{Deserialize, Serialize};
use tapewatch_schemas::Amount;
use tapewatch_schemas::amount::AmountError;

/// The largest sum that an [`Amount`] can carry, in units of 10⁻¹².
const LARGEST: i128 = 10_i128.pow(28) - 1;

/// Money in units of 10⁻¹², as an integer: adding and taking away is exact, so a running sum is the same
/// as a sum from scratch. What enters from a record is at most 10²⁸ units, so that 10¹⁰ of them fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Money(i128);

impl Money {
    /// Nothing.
    pub(super) const ZERO: Self = Self(0);

    /// From an amount; exact.
    pub(super) fn of(amount: Amount) -> Self {
        Self(amount.unscaled())
    }

    /// So many 10⁻¹².
    #[cfg(test)]
    pub(super) const fn of_units(units: i128) -> Self {
        Self(units)
    }

    /// The amount, if it has at most 28 digits.
    pub(super) fn amount(self) -> Option<Amount> {
        self.to_amount().ok()
    }

    /// The amount, if it has at most 28 digits.
    pub(super) fn to_amount(self) -> Result<Amount, AmountError> {
        Amount::from_unscaled(self.0)
    }

    /// Itself, if it fits an amount.
    pub(super) fn fitting(self) -> Result<Self, AmountError> {
        if self.0.abs() <= LARGEST { Ok(self) } else { Err(AmountError::Overflow) }
    }

    /// A quantity at a price with a multiplier, rounded half-even to 12 places.
    pub(super) fn value(quantity: Amount, price: Amount, multiplier: Amount) -> Result<Self, AmountError> {
        let value = quantity.checked_mul(price)?;
        let value = if multiplier == Amount::ONE { value } else { value.checked_mul(multiplier)? };
        Ok(Self::of(value))
    }

    /// So many millionths of it, at most 10⁸ of them, rounded half-even to 12 places.
    pub(super) fn millionths(self, parts: i64) -> Self {
        const WHOLE: i128 = 1_000_000;
        let product = self.0 * i128::from(parts);
        let (below, rest) = (product.div_euclid(WHOLE), product.rem_euclid(WHOLE));
        let up = rest > WHOLE / 2 || (rest == WHOLE / 2 && below % 2 != 0);
        Self(below + i128::from(up))
    }

    /// What it is over one and so many millionths, at most 10⁸ of them, rounded half-even to 12 places; nothing if that is
    /// over nothing or less.
    pub(super) fn over_millionths(self, parts: i64) -> Option<Self> {
        const WHOLE: i128 = 1_000_000;
        let by = WHOLE + i128::from(parts);
        if by <= 0 {
            return None;
        }
        let product = self.0 * WHOLE;
        let (below, rest) = (product.div_euclid(by), product.rem_euclid(by));
        let up = rest * 2 > by || (rest * 2 == by && below % 2 != 0);
        Some(Self(below + i128::from(up)))
    }

    /// The part of it that so many units are of all of them, rounded half-even to 12 places; all of it if that does not fit.
    pub(super) fn part(self, units: Self, of: Amount) -> Self {
        if units == Self::ZERO {
            return Self::ZERO;
        }
        let part = |units: Amount, money: Amount| {
            let product = money.decimal().checked_mul(units.decimal())?;
            Amount::new(product.checked_div(of.decimal())?.round_dp(tapewatch_schemas::amount::SCALE)).ok()
        };
        let known = if units == Self::of(of) { None } else { units.amount().zip(self.amount()) };
        known.and_then(|(units, money)| part(units, money)).map_or(self, Self::of)
    }

    /// The double next to it.
    pub(super) fn to_f64(self) -> f64 {
        self.0 as f64 / 1e12
    }

    /// Without its sign.
    pub(super) fn abs(self) -> Self {
        Self(self.0.abs())
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn millionths_are_rounded_half_even_and_the_same_for_both_signs() {
        for (units, parts, expected) in [
            (10, 250_000, 2),
            (30, 250_000, 8),
            (3, 500_000, 2),
            (1, 500_000, 0),
            (7, 1_000_000, 7),
            (5, 499_999, 2),
        ] {
            for (units, parts, expected) in
                [(units, parts, expected), (-units, parts, -expected), (units, -parts, -expected)]
            {
                assert_eq!(Money(units).millionths(parts), Money(expected), "{parts} of {units}");
            }
        }
        let most = Money(LARGEST);
        assert_eq!(most.millionths(100_000_000), Money(LARGEST * 100));
    }
}
