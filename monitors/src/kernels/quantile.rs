//! Sample quantiles.

/// How a quantile is taken of a sample, by its number in Hyndman and Fan, "Sample quantiles in statistical
/// packages" (1996). With n values counted from 1, types 6 to 8 are linear between the two values around
/// the place h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantileType {
    /// Type 1: the smallest value with at least a share p of the sample at or below it.
    InverseDistribution,
    /// Type 6: h = (n + 1)·p.
    Weibull,
    /// Type 7: h = (n − 1)·p + 1. numpy's, R's and the workers' own.
    Linear,
    /// Type 8: h = (n + 1/3)·p + 1/3, about unbiased for the median of any distribution.
    MedianUnbiased,
}

/// The quantile at `p` (0 to 1) of values sorted ascending. None if there is no value.
pub fn quantile(sorted: &[f64], p: f64, kind: QuantileType) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let (n, p) = (sorted.len() as f64, p.clamp(0.0, 1.0));
    let at = match kind {
        QuantileType::InverseDistribution => libm::ceil(n * p) - 1.0,
        QuantileType::Weibull => (n + 1.0) * p - 1.0,
        QuantileType::Linear => (n - 1.0) * p,
        QuantileType::MedianUnbiased => (n + 1.0 / 3.0) * p + 1.0 / 3.0 - 1.0,
    };
    let at = at.clamp(0.0, last as f64);
    let below = libm::floor(at) as usize;
    let low = sorted[below];
    let high = sorted[(below + 1).min(last)];
    let weight = at - below as f64;
    let difference = high - low;
    // numpy's own form: from the nearer end, so that the result is monotonic in p and never past `high`.
    Some(if weight >= 0.5 { high - difference * (1.0 - weight) } else { low + difference * weight })
}

/// The type 7 quantile.
pub fn quantile_type7(sorted: &[f64], p: f64) -> Option<f64> {
    quantile(sorted, p, QuantileType::Linear)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.quantile([1, 2, 4, 8], p, method=…)`.
    #[test]
    fn they_are_numpys() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        for (kind, expected) in [
            (QuantileType::InverseDistribution, [1.0, 1.0, 2.0, 8.0, 8.0]),
            (QuantileType::Weibull, [1.0, 1.25, 3.0, 8.0, 8.0]),
            (QuantileType::Linear, [1.0, 1.75, 3.0, 6.8, 8.0]),
            (QuantileType::MedianUnbiased, [1.0, 1.0 + 5.0 / 12.0, 3.0, 8.0, 8.0]),
        ] {
            for (p, expected) in [0.0, 0.25, 0.5, 0.9, 1.0].into_iter().zip(expected) {
                let got = quantile(&sorted, p, kind).unwrap();
                assert!((got - expected).abs() < 1e-12, "{kind:?} {p}: {got}, not {expected}");
            }
        }
    }

    #[test]
    fn nothing_has_none_and_one_value_is_its_own() {
        assert_eq!(quantile_type7(&[], 0.5), None);
        assert_eq!(quantile_type7(&[7.0], 0.01), Some(7.0));
    }
}
