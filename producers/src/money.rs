//! Exact fixed-point sums inside the simulator: no float ever touches a balance.

use tapewatch_schemas::Amount;

/// Digits behind the point of a price and of a quantity together: price × quantity is exact at this scale.
pub(crate) const PLACES: u32 = 8;

/// Money in units of 10⁻⁸ of the currency.
pub(crate) type Money = i128;

/// Whole currency units as [`Money`].
pub(crate) const fn whole(units: i64) -> Money {
    units as i128 * 10_i128.pow(PLACES)
}

/// A fixed-point number of `places` (at most 12) as an amount.
pub(crate) fn amount(value: i128, places: u32) -> Amount {
    Amount::from_unscaled(value * 10_i128.pow(12 - places))
        .expect("the simulator's sums stay far below 10^16 units")
}

/// Money as an amount.
pub(crate) fn money(value: Money) -> Amount {
    amount(value, PLACES)
}

/// Money as a double, in currency units: for decisions and reports, never for balances.
pub(crate) fn approximate(value: Money) -> f64 {
    value as f64 / 1e8
}

/// `value` times `basis_points`, rounded to the nearest 10⁻⁶ of the currency, half away from zero.
pub(crate) fn basis_points(value: Money, hundredths: i128) -> Money {
    let exact = value * hundredths; // in units of 10⁻⁸ × 10⁻⁶
    let step = 1_000_000 * 100;
    (exact + exact.signum() * step / 2) / step * 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_point_becomes_the_same_decimal() {
        assert_eq!(amount(4_354_877, 2).to_string(), "43548.77");
        assert_eq!(money(whole(3)).to_string(), "3");
        // 2.5 basis points of 1,000 are 0.25.
        assert_eq!(money(basis_points(whole(1000), 250)).to_string(), "0.25");
        assert_eq!(money(basis_points(-whole(1000), 250)).to_string(), "-0.25");
    }
}
