//! Sample quantiles.

/// The type 7 quantile of Hyndman and Fan, "Sample quantiles in statistical packages" (1996), which is
/// numpy's default: linear between the order statistics around (n − 1)·p. None if there is no value.
///
/// `sorted` is ascending; `p` is clamped to 0..1.
pub fn quantile_type7(sorted: &[f64], p: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = last as f64 * p.clamp(0.0, 1.0);
    let below = libm::floor(at) as usize;
    let low = sorted[below];
    let high = sorted[(below + 1).min(last)];
    let weight = at - below as f64;
    let difference = high - low;
    // numpy's own form: from the nearer end, so that the result is monotonic in p and never past `high`.
    Some(if weight >= 0.5 { high - difference * (1.0 - weight) } else { low + difference * weight })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_numpys() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        // numpy.quantile([1, 2, 4, 8], p)
        for (p, expected) in [(0.0, 1.0), (0.25, 1.75), (0.5, 3.0), (0.9, 6.8), (1.0, 8.0)] {
            let got = quantile_type7(&sorted, p).unwrap();
            assert!((got - expected).abs() < 1e-12, "{p}: {got}");
        }
        assert_eq!(quantile_type7(&[], 0.5), None);
        assert_eq!(quantile_type7(&[7.0], 0.01), Some(7.0));
    }
}
