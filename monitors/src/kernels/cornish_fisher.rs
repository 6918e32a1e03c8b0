//! Value at risk and expected shortfall by the Cornish–Fisher expansion ("modified" VaR and ES).

use super::horizon::Horizon;
use super::moments::Moments;
use super::normal::{normal_cdf, normal_density, normal_quantile};
use super::sample::{SampleError, Tail, finite};

/// A tail of a distribution whose skewness and kurtosis are known. Returns: losses are negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CornishFisher {
    /// The expanded quantile, in standard deviations from the mean.
    pub z: f64,
    /// Value at risk: mean + deviation × z.
    pub var: f64,
    /// The shortfall of the expansion itself. Far from a normal distribution it can be milder than the value at
    /// risk, or a gain: do not use it, it is here to be seen.
    pub es_raw: f64,
    /// The shortfall with its operational floor: never milder than the value at risk.
    pub es: f64,
}

/// Of the sum of as many independent changes as there are steps, each with a sample's moments, the population's (divided by
/// n): of one step, of a change itself. Boudt, Peterson and Croux, "Estimation and
/// decomposition of downside risk for portfolios with non-normal returns" (2008), equations 8 and 20. The
/// floor is that of R's `PerformanceAnalytics`.
///
/// The expansion is a good one near the normal distribution only; with an excess kurtosis over 8 or so its
/// quantile is no longer monotonic in the level.
///
/// # Errors
/// All values are equal, or a figure is beyond what a double holds.
pub fn cornish_fisher(moments: &Moments, horizon: Horizon, tail: Tail) -> Result<CornishFisher, SampleError> {
    let skew = horizon.skewness(moments.skewness()?);
    let kurtosis = horizon.excess_kurtosis(moments.excess_kurtosis()?);
    let (mean, deviation) = (horizon.mean(moments.mean()), horizon.deviation(moments.deviation(0)?));
    let z = expand(normal_quantile(tail.alpha()), skew, kurtosis);
    let raw = shortfall(z, skew, kurtosis) / tail.alpha();
    Ok(CornishFisher {
        z,
        var: finite(mean + deviation * z, "value at risk")?,
        es_raw: finite(mean + deviation * raw, "expected shortfall")?,
        es: finite(mean + deviation * if raw < z { raw } else { z }, "expected shortfall")?,
    })
}

/// The quantile `z` of the normal distribution, moved by skewness `s` and excess kurtosis `k`.
fn expand(z: f64, s: f64, k: f64) -> f64 {
    let (square, cube) = (z * z, z * z * z);
    z + (square - 1.0) * s / 6.0 + (cube - 3.0 * z) * k / 24.0 - (2.0 * cube - 5.0 * z) * s * s / 36.0
}

/// The mean of what lies below `g`, times its probability, under the second-order Edgeworth expansion.
fn shortfall(g: f64, s: f64, k: f64) -> f64 {
    let density = normal_density(g);
    let square = g * g;
    // The paper's I_q: integrals of powers of x under the density, from minus infinity to g.
    let i1 = g * density - normal_cdf(g);
    let i2 = (square + 2.0) * density;
    let i3 = (square + 3.0) * g * density - 3.0 * normal_cdf(g);
    let i4 = ((square + 4.0) * square + 8.0) * density;
    let i6 = (((square + 6.0) * square + 24.0) * square + 48.0) * density;
    -(density
        + (i4 - 6.0 * i2 + 3.0 * density) * k / 24.0
        + (i3 - 3.0 * i1) * s / 6.0
        + (i6 - 15.0 * i4 + 45.0 * i2 - 15.0 * density) * s * s / 72.0)
}

#[cfg(test)]
mod tests {
    use super::super::Sample;
    use super::*;

    #[test]
    fn without_skew_and_excess_it_is_the_normal_tail() {
        let z = normal_quantile(0.05);
        assert_eq!(expand(z, 0.0, 0.0), z);
        assert_eq!(shortfall(z, 0.0, 0.0), -normal_density(z));
    }

    #[test]
    fn the_floor_holds_where_the_expansion_breaks() {
        let mut values: Vec<f64> = (0..300).map(|i| if i % 2 == 0 { 0.03 } else { -0.03 }).collect();
        values.extend([0.4, -0.25]);
        let moments = Moments::of(Sample::new(&values).unwrap());
        let figures = cornish_fisher(&moments, Horizon::ONE, Tail::new(0.05).unwrap()).unwrap();
        assert!(figures.es_raw > figures.var, "{figures:?}");
        assert_eq!(figures.es, figures.var);
    }

    /// A sum of many is nearly normal.
    #[test]
    fn over_more_steps_the_shape_fades() {
        let values: Vec<f64> = (0..300).map(|i| if i % 10 == 0 { -0.09 } else { 0.01 }).collect();
        let moments = Moments::of(Sample::new(&values).unwrap());
        let tail = Tail::new(0.05).unwrap();
        let z = |steps| cornish_fisher(&moments, Horizon::new(steps).unwrap(), tail).unwrap().z;
        let normal = normal_quantile(0.05);
        assert!((z(1) - normal).abs() > 2.0 * (z(10) - normal).abs(), "{} {} {normal}", z(1), z(10));
        assert!((z(250) - normal).abs() < 0.1);
    }

    #[test]
    fn a_constant_has_none() {
        let moments = Moments::of(Sample::new(&[1.0; 9]).unwrap());
        let refused = cornish_fisher(&moments, Horizon::ONE, Tail::new(0.05).unwrap());
        assert_eq!(refused, Err(SampleError::Constant { figure: "skewness" }));
    }
}
