//! Exponentially weighted volatility of returns around a mean of zero.

use serde::{Deserialize, Serialize};

use super::moments::Moments;
use super::sample::{Sample, SampleError, finite, shift};

/// What the recursion begins with: the variance that is forecast for the first return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EwmaSeed {
    /// The first return's square, so that this is the forecast for the second, too.
    FirstSquare,
    /// The population's variance of the whole sample. It knows what is to come: for a look back only.
    SampleVariance,
    /// The mean of the first 75 squares at most, weighted 0.94^i from the first on, whatever λ is: `arch`'s
    /// backcast.
    Backcast,
}

/// RiskMetrics' recursion σ²[t+1] = λ·σ²[t] + (1 − λ)·r[t]², a return at a time ("RiskMetrics – Technical
/// Document", J.P. Morgan, 1996; λ 0.94 for days). Its state is one number; nothing accumulates, since each
/// step forgets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ewma {
    lambda: f64,
    variance: f64,
}

/// That λ is one.
pub(super) fn weight_of_the_past(lambda: f64) -> Result<(), SampleError> {
    if lambda > 0.0 && lambda < 1.0 {
        return Ok(());
    }
    let expected = "more than 0 and less than 1, such as 0.94";
    Err(SampleError::Parameter { name: "lambda", value: lambda, expected })
}

impl Ewma {
    /// From the variance that is forecast for the next return.
    ///
    /// # Errors
    /// λ is not between 0 and 1, or the variance is no number of at least 0.
    pub fn new(lambda: f64, variance: f64) -> Result<Self, SampleError> {
        weight_of_the_past(lambda)?;
        if !(variance.is_finite() && variance >= 0.0) {
            let expected = "a number of at least 0";
            return Err(SampleError::Parameter { name: "the first variance", value: variance, expected });
        }
        Ok(Self { lambda, variance })
    }

    /// Takes the next return. What is refused changes nothing. The square of a return below 1e-162 is 0.
    ///
    /// # Errors
    /// It is no number, or its square is beyond what a double holds.
    pub fn push(&mut self, r: f64) -> Result<(), SampleError> {
        if !r.is_finite() {
            return Err(SampleError::NotFinite { place: 1, value: r });
        }
        let square = finite(r * r, "the square of a return")?;
        self.variance = self.lambda * self.variance + (1.0 - self.lambda) * square;
        Ok(())
    }

    /// The variance forecast for the next return.
    pub fn variance(&self) -> f64 {
        self.variance
    }

    /// Its root.
    pub fn volatility(&self) -> f64 {
        libm::sqrt(self.variance)
    }
}

/// The volatilities forecast for each return of a sample and for the one after it: one more than there are
/// returns.
///
/// # Errors
/// λ is not between 0 and 1, or a volatility beyond what a double holds.
pub fn ewma_volatilities(returns: Sample<'_>, lambda: f64, seed: EwmaSeed) -> Result<Vec<f64>, SampleError> {
    let (values, exponent) = returns.scaled();
    let first = match seed {
        EwmaSeed::FirstSquare => values[0] * values[0],
        EwmaSeed::SampleVariance => {
            let deviation = Moments::of(Sample::new(&values)?).deviation(0)?;
            deviation * deviation
        }
        EwmaSeed::Backcast => backcast(&values),
    };
    let mut ewma = Ewma::new(lambda, first)?;
    let mut volatilities = vec![ewma.volatility()];
    for r in values.iter() {
        ewma.push(*r)?;
        volatilities.push(ewma.volatility());
    }
    for volatility in &mut volatilities {
        *volatility = finite(shift(*volatility, exponent), "the volatility")?;
    }
    Ok(volatilities)
}

fn backcast(values: &[f64]) -> f64 {
    let (mut weight, mut weights, mut sum) = (1.0, 0.0, 0.0);
    for value in values.iter().take(75) {
        sum += weight * value * value;
        weights += weight;
        weight *= 0.94;
    }
    sum / weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_steps_by_hand() {
        let values = [0.02, -0.01, 0.03];
        let returns = Sample::new(&values).unwrap();
        let got = ewma_volatilities(returns, 0.9, EwmaSeed::FirstSquare).unwrap();
        let third: f64 = 0.9 * 0.0004 + 0.1 * 0.0001;
        let fourth = 0.9 * third + 0.1 * 0.0009;
        for (got, expected) in got.iter().zip([0.02, 0.02, third.sqrt(), fourth.sqrt()]) {
            assert!((got - expected).abs() < 1e-15, "{got}, not {expected}");
        }
    }

    #[test]
    fn nonsense_is_refused_and_changes_nothing() {
        for lambda in [0.0, 1.0, -0.5, f64::NAN] {
            assert!(Ewma::new(lambda, 1.0).is_err(), "{lambda}");
        }
        assert!(Ewma::new(0.94, f64::INFINITY).is_err());
        let mut ewma = Ewma::new(0.94, 0.5).unwrap();
        for r in [f64::NAN, f64::INFINITY, f64::MAX] {
            assert!(ewma.push(r).is_err(), "{r}");
        }
        assert_eq!(ewma.variance(), 0.5);
    }

    #[test]
    fn returns_of_any_size_have_a_volatility() {
        for size in [1e-300, 1.0, 1e300] {
            let values = [size, -size, size];
            let returns = Sample::new(&values).unwrap();
            for seed in [EwmaSeed::FirstSquare, EwmaSeed::SampleVariance, EwmaSeed::Backcast] {
                let got = ewma_volatilities(returns, 0.94, seed).unwrap();
                assert!((got[3] / size - 1.0).abs() < 0.06, "{size} {seed:?}: {got:?}");
            }
        }
    }
}
