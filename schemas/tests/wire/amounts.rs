//! Arithmetic against integers without bounds.

use num_bigint::{BigInt, Sign};
use proptest::prelude::*;
use tapewatch_schemas::Amount;
use tapewatch_schemas::amount::AmountError;

use crate::sample::{MAX, amount, unscaled};

fn of(unscaled: i128) -> Amount {
    Amount::from_unscaled(unscaled).unwrap()
}

/// What fits, of an exact unscaled result.
fn fitted(exact: &BigInt) -> Result<Amount, AmountError> {
    match i128::try_from(exact) {
        Ok(unscaled) => Amount::from_unscaled(unscaled),
        Err(_) => Err(AmountError::Overflow),
    }
}

/// The quotient rounded half-even, by the definition: the nearest integer, of two the even one.
fn half_even(dividend: &BigInt, divisor: &BigInt) -> BigInt {
    let negative = (dividend.sign() == Sign::Minus) != (divisor.sign() == Sign::Minus);
    let (dividend, divisor) = (dividend.magnitude(), divisor.magnitude());
    let (floor, rest) = (dividend / divisor, dividend % divisor);
    let twice = rest * 2_u32;
    let up = twice > *divisor || (twice == *divisor && floor.bit(0));
    let magnitude = if up { floor + 1_u32 } else { floor };
    if negative { -BigInt::from(magnitude) } else { BigInt::from(magnitude) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn sums_are_exact(a in unscaled(), b in unscaled()) {
        prop_assert_eq!(of(a).checked_add(of(b)), fitted(&(BigInt::from(a) + b)));
        prop_assert_eq!(of(a).checked_sub(of(b)), fitted(&(BigInt::from(a) - b)));
        prop_assert_eq!(of(a).checked_add(of(b)), of(b).checked_add(of(a)));
        prop_assert_eq!(of(a).checked_sub(of(a)), Ok(Amount::ZERO));
    }

    #[test]
    fn products_are_rounded_once_half_even(a in unscaled(), b in unscaled()) {
        let unit = BigInt::from(10_i128.pow(12));
        prop_assert_eq!(of(a).checked_mul(of(b)), fitted(&half_even(&(BigInt::from(a) * b), &unit)));
        prop_assert_eq!(of(a).checked_mul(Amount::ONE), Ok(of(a)));
    }

    #[test]
    fn quotients_are_rounded_once_half_even(a in unscaled(), b in unscaled()) {
        prop_assume!(b != 0);
        let wide = BigInt::from(a) * 10_i128.pow(12);
        prop_assert_eq!(of(a).checked_div(of(b)), fitted(&half_even(&wide, &BigInt::from(b))));
    }

    #[test]
    fn order_and_sign_are_the_integers(a in unscaled(), b in unscaled()) {
        prop_assert_eq!(of(a).cmp(&of(b)), a.cmp(&b));
        prop_assert_eq!((of(a).is_negative(), of(a).is_zero(), of(a).is_positive()), (a < 0, a == 0, a > 0));
        prop_assert_eq!((-of(a)).abs(), of(a.abs()));
    }

    #[test]
    fn text_and_decimals_come_back(a in unscaled()) {
        let text = of(a).to_string();
        prop_assert_eq!(text.parse(), Ok(of(a)));
        prop_assert!(!text.contains('.') || !text.ends_with('0'), "{}", text);
        prop_assert_eq!(Amount::new(of(a).decimal()), Ok(of(a)));
        prop_assert_eq!(serde_json::from_str::<Amount>(&serde_json::to_string(&of(a)).unwrap()).unwrap(), of(a));
    }

    #[test]
    fn doubles_are_the_nearest_of_15_digits(digits in -999_999_999_999_999_i64..=999_999_999_999_999, places in 0..=12_u32) {
        let unscaled = i128::from(digits) * 10_i128.pow(12 - places);
        prop_assume!(unscaled.abs() <= MAX);
        let nearest: f64 = format!("{digits}e-{places}").parse().unwrap();
        prop_assert_eq!(of(unscaled).to_f64(), nearest);
    }

    #[test]
    fn any_double_is_within_a_unit_in_the_last_place(a in unscaled()) {
        let nearest: f64 = of(a).to_string().parse().unwrap();
        let found = of(a).to_f64();
        prop_assert!((found - nearest).abs() <= nearest.abs() * f64::EPSILON, "{} {}", found, nearest);
    }

    #[test]
    fn any_text_is_a_number_or_an_error(text in "[-+]?[0-9.eE_ ]{0,40}") {
        let _ = text.parse::<Amount>();
    }
}

#[test]
fn ties_go_to_the_even() {
    // Half of 10⁻¹², and three halves.
    let half = amount("0.5");
    assert_eq!(of(1).checked_mul(half), Ok(of(0)));
    assert_eq!(of(3).checked_mul(half), Ok(of(2)));
    assert_eq!(of(-3).checked_mul(half), Ok(of(-2)));
    // 0.5 behind a quotient whose terms are odd and even.
    assert_eq!(of(135_733).checked_mul(amount("2928060702709.5")), Ok(of(397_434_463_360_868_564)));
    assert_eq!(of(1).checked_div(amount("2")), Ok(of(0)));
    assert_eq!(of(3).checked_div(amount("-2")), Ok(of(-2)));
    assert_eq!(Amount::ONE.checked_div(Amount::ZERO), Err(AmountError::DivisionByZero));
}

#[test]
fn digits_too_many_are_refused_never_rounded() {
    assert_eq!("0.0000000000001".parse::<Amount>(), Err(AmountError::TooPrecise));
    assert_eq!("0.1230000000000000".parse::<Amount>(), Ok(amount("0.123")));
    assert_eq!("10000000000000000".parse::<Amount>(), Err(AmountError::Overflow));
    assert_eq!("9999999999999999.999999999999".parse::<Amount>(), Ok(of(MAX)));
    assert_eq!(format!("1{}", "0".repeat(60)).parse::<Amount>(), Err(AmountError::Overflow));
    assert_eq!(format!("{}1", "0".repeat(60)).parse::<Amount>(), Ok(Amount::ONE));
    for text in ["", "-", ".", "+-1", "1e5", "1_000", " 1", "1.2.3", "NaN", "١"] {
        assert_eq!(text.parse::<Amount>(), Err(AmountError::NotANumber), "{text}");
    }
    assert_eq!(Amount::new("0.0000000000001".parse().unwrap()), Err(AmountError::TooPrecise));
    assert_eq!(Amount::new("0.1000000000000000".parse().unwrap()), Ok(amount("0.1")));
}
