//! The chi-square distribution of one and two degrees of freedom, which is what the backtests' statistics follow.

/// The probability of a value above `x` with one degree of freedom: that of a standard normal's square.
pub fn chi_square_1_above(x: f64) -> f64 {
    libm::erfc(libm::sqrt(0.5 * at_least_zero(x)))
}

/// The probability of a value above `x` with two degrees of freedom: an exponential distribution of mean 2.
pub fn chi_square_2_above(x: f64) -> f64 {
    libm::exp(-0.5 * at_least_zero(x))
}

/// There is nothing below zero. NaN stays what it is.
fn at_least_zero(x: f64) -> f64 {
    if x < 0.0 { 0.0 } else { x }
}

#[cfg(test)]
mod tests {
    use statrs::distribution::{ChiSquared, ContinuousCDF as _};

    use super::*;

    #[test]
    fn another_implementation_agrees() {
        let (one, two) = (ChiSquared::new(1.0).unwrap(), ChiSquared::new(2.0).unwrap());
        for step in 0..400 {
            let x = f64::from(step) / 10.0;
            for (ours, theirs) in [(chi_square_1_above(x), one.sf(x)), (chi_square_2_above(x), two.sf(x))] {
                assert!((ours / theirs - 1.0).abs() < 1e-10, "{x}: {ours}, {theirs}");
            }
        }
        assert_eq!((chi_square_1_above(-1.0), chi_square_2_above(-1.0)), (1.0, 1.0));
        assert!(chi_square_2_above(f64::NAN).is_nan());
    }
}
