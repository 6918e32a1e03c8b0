//! Historical value at risk and expected shortfall of a sorted sample.

use serde::{Deserialize, Serialize};

use super::quantile::{QuantileType, quantile, quantile_type7};
use super::sample::{Sample, SampleError, Tail, TailRisk, finite};

/// How the mean of the tail beyond the quantile is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShortfallConvention {
    /// The mean of all values at or below the type 7 quantile.
    MeanBelowQuantile,
    /// The n·α worst values, the last of them with its fractional weight: Acerbi and Tasche, "On the
    /// coherence of expected shortfall" (2002), the coherent one.
    AcerbiTasche,
    /// The mean of the ⌊(n−1)·α⌋ + 1 worst values, as empyrical does.
    Empyrical,
}

/// Value at risk: the type 7 quantile at tail probability `alpha` of values sorted ascending, losses
/// negative. None if there is no value.
pub fn value_at_risk(sorted: &[f64], alpha: f64) -> Option<f64> {
    quantile_type7(sorted, alpha)
}

/// Expected shortfall at tail probability `alpha` of values sorted ascending, losses negative. None if
/// there is no value.
///
/// The tail is summed anew from the worst value up each time: at 95 % of 500 values that is 25
/// additions, and the result depends on the values alone, not on the order they came and went in.
pub fn expected_shortfall(sorted: &[f64], alpha: f64, convention: ShortfallConvention) -> Option<f64> {
    let n = sorted.len();
    let quantile = quantile_type7(sorted, alpha)?;
    let mean = |count: usize| sorted[..count].iter().sum::<f64>() / count as f64;
    Some(match convention {
        // Type 7 interpolates between two order statistics, so rounding can put it a hair below a run of
        // equal values that it should include; the smallest value is always in the tail.
        ShortfallConvention::MeanBelowQuantile => mean(sorted.partition_point(|x| *x <= quantile).max(1)),
        ShortfallConvention::AcerbiTasche => {
            let weight = (n as f64 * alpha).clamp(0.0, n as f64);
            let whole = libm::floor(weight) as usize;
            if whole == 0 {
                return Some(sorted[0]);
            }
            let sum: f64 = sorted[..whole].iter().sum();
            let fraction = weight - whole as f64;
            let partial = if whole < n { fraction * sorted[whole] } else { 0.0 };
            (sum + partial) / weight
        }
        ShortfallConvention::Empyrical => mean((libm::floor((n - 1) as f64 * alpha) as usize + 1).min(n)),
    })
}

/// Both of values sorted ascending, losses negative: the type 7 quantile, and the mean beyond it.
///
/// # Errors
/// There is no value, or a figure is beyond what a double holds.
pub fn sorted_tail(
    sorted: &[f64],
    tail: Tail,
    convention: ShortfallConvention,
) -> Result<TailRisk, SampleError> {
    let var = value_at_risk(sorted, tail.alpha());
    let es = expected_shortfall(sorted, tail.alpha(), convention);
    let (var, es) = var.zip(es).ok_or(SampleError::TooFew { have: 0, want: 1 })?;
    let (var, es) = (finite(var, "value at risk")?, finite(es, "expected shortfall")?);
    // No mean of the tail is milder than its edge, but for rounding.
    Ok(TailRisk { var, es: es.min(var) })
}

/// Sorts as far as [`sorted_tail`] looks: the worst values, ascending, come first, and the others behind them in no
/// particular order. What it then says of this tail, and of every narrower one, is what it says of all sorted.
pub fn sort_worst(values: &mut [f64], widest: Tail, convention: ShortfallConvention) {
    match worst_looked_at(values.len(), widest, convention) {
        Some(last) => values.select_nth_unstable_by(last, f64::total_cmp).0.sort_unstable_by(f64::total_cmp),
        None => values.sort_unstable_by(f64::total_cmp),
    }
}

/// The last place of so many sorted values that [`sorted_tail`] looks at; none if it looks at all of them.
pub(super) fn worst_looked_at(count: usize, widest: Tail, convention: ShortfallConvention) -> Option<usize> {
    // The quantile's upper neighbour is at place ⌊(n − 1)·α⌋ + 1, and the tail's last value at ⌊n·α⌋.
    let last = libm::floor(count as f64 * widest.alpha()) as usize + 1;
    // How many are at or below the quantile, only an order of all of them tells.
    (last < count && convention != ShortfallConvention::MeanBelowQuantile).then_some(last)
}

/// Both of a sample that was not looked at yet, in any order: losses are negative, `kind` says how the quantile
/// is taken (the workers' is type 7), `convention` how the mean beyond it.
///
/// # Errors
/// A figure is beyond what a double holds.
pub fn historical_tail(
    sample: Sample<'_>,
    tail: Tail,
    kind: QuantileType,
    convention: ShortfallConvention,
) -> Result<TailRisk, SampleError> {
    let sorted = sample.sorted();
    let var = quantile(&sorted, tail.alpha(), kind).expect("a sample is not empty");
    let es = expected_shortfall(&sorted, tail.alpha(), convention).expect("a sample is not empty");
    Ok(TailRisk { var: finite(var, "value at risk")?, es: finite(es, "expected shortfall")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_conventions_differ_as_stated() {
        let sorted: Vec<f64> = (0..30).map(|i| f64::from(i) - 30.0).collect();
        let es = |convention| expected_shortfall(&sorted, 0.05, convention).unwrap();
        assert_eq!(es(ShortfallConvention::AcerbiTasche), (-30.0 - 29.0 * 0.5) / 1.5);
        assert_eq!(es(ShortfallConvention::Empyrical), -29.5);
        assert_eq!(es(ShortfallConvention::MeanBelowQuantile), -29.5);
    }

    #[test]
    fn nothing_has_no_shortfall_and_one_value_is_its_own() {
        for convention in [
            ShortfallConvention::AcerbiTasche,
            ShortfallConvention::Empyrical,
            ShortfallConvention::MeanBelowQuantile,
        ] {
            assert_eq!(expected_shortfall(&[], 0.05, convention), None);
            assert_eq!(expected_shortfall(&[-3.0], 0.05, convention), Some(-3.0));
        }
    }
}
