//! Value at risk and expected shortfall of a normal distribution.

use super::normal::{normal_density, normal_quantile};
use super::sample::{SampleError, Tail, TailRisk, finite};

/// Of returns with this mean and standard deviation: VaR = μ + σ·z(α), ES = μ − σ·φ(z(α))/α.
///
/// The mean may be taken as zero, as is usual for returns of a day. Without deviation both are the mean.
///
/// # Errors
/// The deviation is negative, or a figure beyond what a double holds.
pub fn gaussian_tail(mean: f64, deviation: f64, tail: Tail) -> Result<TailRisk, SampleError> {
    if deviation.is_nan() || deviation < 0.0 {
        let expected = "0 or more";
        return Err(SampleError::Parameter { name: "the standard deviation", value: deviation, expected });
    }
    let z = normal_quantile(tail.alpha());
    Ok(TailRisk {
        var: finite(mean + deviation * z, "value at risk")?,
        es: finite(mean - deviation * (normal_density(z) / tail.alpha()), "expected shortfall")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The familiar figures: 1.645 and 2.063 deviations at 95 %, 2.326 and 2.665 at 99 %.
    #[test]
    fn the_familiar_figures() {
        for (alpha, var, es) in
            [(0.05, -1.644_853_627, -2.062_712_807), (0.01, -2.326_347_874, -2.665_214_220)]
        {
            let risk = gaussian_tail(0.0, 1.0, Tail::new(alpha).unwrap()).unwrap();
            assert!((risk.var - var).abs() < 1e-8 && (risk.es - es).abs() < 1e-8, "{risk:?}");
        }
    }

    #[test]
    fn no_deviation_leaves_the_mean_and_nonsense_is_refused() {
        let tail = Tail::new(0.05).unwrap();
        assert_eq!(gaussian_tail(0.25, 0.0, tail), Ok(TailRisk { var: 0.25, es: 0.25 }));
        assert!(gaussian_tail(0.0, f64::NAN, tail).is_err());
        assert!(gaussian_tail(0.0, -1.0, tail).is_err());
        assert!(matches!(gaussian_tail(0.0, f64::MAX, tail), Err(SampleError::Overflow { .. })));
    }
}
