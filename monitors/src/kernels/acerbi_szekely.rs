//! Was the expected shortfall deep enough: Acerbi and Székely's first two tests.

use super::backtest::Forecast;
use super::sample::{Sample, SampleError, Tail, finite};

/// What the tests say. Below zero, risk was underestimated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AcerbiSzekely {
    /// Returns worse than the value at risk.
    pub exceptions: usize,
    /// Conditional: how deep exceptions were. None if there were none.
    pub z1: Option<f64>,
    /// Unconditional: how deep and how many. 1 if there were none.
    pub z2: f64,
}

/// Acerbi and Székely, "Back-testing expected shortfall" (2014): Z₁ = Σ(r·I/ES)/N + 1 over the N exceptions,
/// Z₂ = Σ(r·I/(n·α·ES)) + 1 over all n, with ES positive. An exception is strictly worse than the forecast.
///
/// # Errors
/// Returns and forecasts are not equally many, an expected shortfall is no loss, or a figure is beyond what a
/// double holds.
pub fn acerbi_szekely(
    returns: Sample<'_>,
    forecasts: &[Forecast],
    tail: Tail,
) -> Result<AcerbiSzekely, SampleError> {
    if returns.len() != forecasts.len() {
        return Err(SampleError::Lengths { left: returns.len(), right: forecasts.len() });
    }
    let (mut exceptions, mut depth) = (0_usize, 0.0);
    for (place, (r, forecast)) in returns.values().iter().zip(forecasts).enumerate() {
        if forecast.es.is_nan() || forecast.es >= 0.0 {
            let expected = "a loss, less than 0";
            return Err(SampleError::Value {
                what: "the expected shortfall of observation",
                place: place + 1,
                value: forecast.es,
                expected,
            });
        }
        if *r < forecast.var {
            exceptions += 1;
            depth -= r / forecast.es;
        }
    }
    let n = returns.len() as f64;
    let depth = finite(depth, "the depth of exceptions")?;
    Ok(AcerbiSzekely {
        exceptions,
        z1: (exceptions > 0).then(|| depth / exceptions as f64 + 1.0),
        z2: finite(depth / (n * tail.alpha()) + 1.0, "Z2")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_shortfall_gives_zero_and_a_short_one_less() {
        let returns = [-0.02, 0.01, 0.0, 0.01];
        let tail = Tail::new(0.25).unwrap();
        let with = |es: f64| {
            acerbi_szekely(Sample::new(&returns).unwrap(), &[Forecast { var: -0.015, es }; 4], tail).unwrap()
        };
        assert_eq!(with(-0.02), AcerbiSzekely { exceptions: 1, z1: Some(0.0), z2: 0.0 });
        assert_eq!(with(-0.016), AcerbiSzekely { exceptions: 1, z1: Some(-0.25), z2: -0.25 });
    }

    #[test]
    fn without_exceptions_only_the_second_is_defined() {
        let calm = [0.01, 0.02];
        let forecasts = [Forecast { var: -0.01, es: -0.02 }; 2];
        let tail = Tail::new(0.05).unwrap();
        let got = acerbi_szekely(Sample::new(&calm).unwrap(), &forecasts, tail).unwrap();
        assert_eq!(got, AcerbiSzekely { exceptions: 0, z1: None, z2: 1.0 });
        let gain = [Forecast { var: -0.01, es: 0.0 }; 2];
        assert!(acerbi_szekely(Sample::new(&calm).unwrap(), &gain, tail).is_err());
        assert!(acerbi_szekely(Sample::new(&calm).unwrap(), &forecasts[..1], tail).is_err());
    }
}
