//! What each holding contributes to value at risk and expected shortfall of all, by historical simulation.

use super::historical::{ShortfallConvention, expected_shortfall, value_at_risk};
use super::quantile::quantile_type7;
use super::revaluation::{Exposed, revalue};
use super::sample::{SampleError, Tail, TailRisk, finite};

/// What one holding contributes. Losses are negative, as in [`TailRisk`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contribution {
    /// Its share of the figure: those of all holdings add up to it.
    pub component: TailRisk,
    /// The figure's change per unit of money more of it: the component is value × this.
    pub marginal: TailRisk,
    /// The figure, less what it is without the holding.
    pub incremental: TailRisk,
}

/// Value at risk and expected shortfall of a book, and what each holding contributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Contributions {
    /// Of all.
    pub total: TailRisk,
    /// Of each holding, in their order.
    pub parts: Vec<Contribution>,
}

/// Euler's allocation at the scenarios of the tail: both figures are weighted means of the book's profits in a few
/// scenarios (value at risk of the two that its quantile is between), and a component is the same mean of the holding's own
/// profits there. Tasche, "Capital allocation to business units and sub-portfolios: the Euler principle" (2008). Of
/// scenarios with the same profit the earlier one comes first.
///
/// Scenarios are the instants at which all have a return, as in [`revalue`].
///
/// # Errors
/// There is no such instant, a value is no number, or a figure is beyond what a double holds.
pub fn contributions(
    held: &[Exposed<'_>],
    tail: Tail,
    convention: ShortfallConvention,
) -> Result<Contributions, SampleError> {
    let mut pnl = Vec::new();
    revalue(held, &mut pnl)?;
    // A unit of money of each, at the same instants: with all the others at nothing, the gaps are those of all.
    let mut units = vec![Vec::new(); held.len()];
    for (place, of_one) in units.iter_mut().enumerate() {
        revalue(&with(held, |at, _| if at == place { 1.0 } else { 0.0 }), of_one)?;
    }
    let mut order: Vec<usize> = (0..pnl.len()).collect();
    order.sort_by(|a, b| pnl[*a].total_cmp(&pnl[*b]));
    let sorted: Vec<f64> = order.iter().map(|at| pnl[*at]).collect();
    let total = tail_of(&sorted, tail, convention)?;
    let (var, es) = (quantile_weights(sorted.len(), tail), shortfall_weights(&sorted, tail, convention));
    let mean = |weights: &[(usize, f64)], of: &[f64]| -> f64 {
        weights.iter().map(|(rank, weight)| weight * of[order[*rank]]).sum()
    };
    let mut parts = Vec::with_capacity(held.len());
    for (place, (one, unit)) in held.iter().zip(&units).enumerate() {
        let marginal = TailRisk { var: mean(&var, unit), es: mean(&es, unit) };
        let component = TailRisk { var: one.value * marginal.var, es: one.value * marginal.es };
        // All but this one, at the instants at which it has a return, too.
        revalue(&with(held, |at, value| if at == place { 0.0 } else { value }), &mut pnl)?;
        pnl.sort_unstable_by(f64::total_cmp);
        let without = tail_of(&pnl, tail, convention)?;
        let incremental = TailRisk { var: total.var - without.var, es: total.es - without.es };
        for figure in [component.var, component.es, incremental.var, incremental.es] {
            finite(figure, "a contribution")?;
        }
        parts.push(Contribution { component, marginal, incremental });
    }
    Ok(Contributions { total, parts })
}

/// The same returns with other values.
fn with<'a>(held: &[Exposed<'a>], value: impl Fn(usize, f64) -> f64) -> Vec<Exposed<'a>> {
    let other =
        |(at, one): (usize, &Exposed<'a>)| Exposed { value: value(at, one.value), returns: one.returns };
    held.iter().enumerate().map(other).collect()
}

fn tail_of(sorted: &[f64], tail: Tail, convention: ShortfallConvention) -> Result<TailRisk, SampleError> {
    let var = value_at_risk(sorted, tail.alpha());
    let es = expected_shortfall(sorted, tail.alpha(), convention);
    let (var, es) = var.zip(es).ok_or(SampleError::TooFew { have: 0, want: 1 })?;
    Ok(TailRisk { var: finite(var, "value at risk")?, es: finite(es, "expected shortfall")? })
}

/// The ranks that the type 7 quantile is between, and how much of each it is.
fn quantile_weights(n: usize, tail: Tail) -> [(usize, f64); 2] {
    let last = n.saturating_sub(1);
    let at = last as f64 * tail.alpha();
    let below = libm::floor(at) as usize;
    let weight = at - below as f64;
    [(below, 1.0 - weight), ((below + 1).min(last), weight)]
}

/// The ranks that the shortfall is the mean of, and their weights.
fn shortfall_weights(sorted: &[f64], tail: Tail, convention: ShortfallConvention) -> Vec<(usize, f64)> {
    let (n, alpha) = (sorted.len(), tail.alpha());
    let equal = |count: usize| (0..count).map(|rank| (rank, 1.0 / count as f64)).collect();
    match convention {
        ShortfallConvention::MeanBelowQuantile => {
            let quantile = quantile_type7(sorted, alpha).unwrap_or(f64::NEG_INFINITY);
            equal(sorted.partition_point(|x| *x <= quantile).max(1))
        }
        ShortfallConvention::Empyrical => equal((libm::floor((n - 1) as f64 * alpha) as usize + 1).min(n)),
        ShortfallConvention::AcerbiTasche => {
            let weight = n as f64 * alpha;
            let whole = libm::floor(weight) as usize;
            if whole == 0 {
                return equal(1);
            }
            let mut weights: Vec<_> = (0..whole.min(n)).map(|rank| (rank, 1.0 / weight)).collect();
            if whole < n {
                weights.push((whole, (weight - whole as f64) / weight));
            }
            weights
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(book: &[(f64, Vec<f64>)], alpha: f64, convention: ShortfallConvention) -> Contributions {
        let held: Vec<_> = book.iter().map(|(value, returns)| Exposed { value: *value, returns }).collect();
        contributions(&held, Tail::new(alpha).unwrap(), convention).unwrap()
    }

    #[test]
    fn a_hedge_contributes_less_than_nothing() {
        let book = [(100.0, vec![-0.10, 0.02, 0.03, -0.05]), (-50.0, vec![-0.08, 0.01, 0.02, -0.04])];
        let found = of(&book, 0.25, ShortfallConvention::AcerbiTasche);
        assert!((found.total.es + 6.0).abs() < 1e-12, "{found:?}");
        assert!((found.parts[0].component.es + 10.0).abs() < 1e-12);
        assert!((found.parts[1].component.es - 4.0).abs() < 1e-12, "it earns when the other loses");
        assert!((found.parts[1].marginal.es + 0.08).abs() < 1e-12, "per unit of money held");
        assert!((found.parts[1].incremental.es - 4.0).abs() < 1e-12, "without it the loss is 10");
    }

    #[test]
    fn nothing_to_go_by_is_refused() {
        let held = [Exposed { value: 1.0, returns: &[] }];
        let found = contributions(&held, Tail::new(0.05).unwrap(), ShortfallConvention::Empyrical);
        assert!(matches!(found, Err(SampleError::TooFew { .. })));
    }

    fn books() -> impl Strategy<Value = Vec<(f64, Vec<f64>)>> {
        prop::collection::vec((-1e6..1e6_f64, prop::collection::vec(-0.2..0.2_f64, 30)), 1..6)
    }

    fn conventions() -> impl Strategy<Value = ShortfallConvention> {
        prop_oneof![
            Just(ShortfallConvention::AcerbiTasche),
            Just(ShortfallConvention::MeanBelowQuantile),
            Just(ShortfallConvention::Empyrical),
        ]
    }

    proptest! {
        #[test]
        fn components_add_up(book in books(), alpha in 0.005..0.6_f64, convention in conventions()) {
            let found = of(&book, alpha, convention);
            let gross: f64 = book.iter().map(|(value, _)| value.abs()).sum();
            let var: f64 = found.parts.iter().map(|part| part.component.var).sum();
            let es: f64 = found.parts.iter().map(|part| part.component.es).sum();
            prop_assert!((var - found.total.var).abs() <= 1e-12 * gross, "{} {}", var, found.total.var);
            prop_assert!((es - found.total.es).abs() <= 1e-12 * gross, "{} {}", es, found.total.es);
        }

        /// Within the same scenarios, the marginal is the slope.
        #[test]
        fn a_little_more_of_one_costs_its_marginal(book in books(), place in 0_usize..6, convention in conventions()) {
            let place = place % book.len();
            let before = of(&book, 0.1, convention);
            let mut more = book.clone();
            more[place].0 += 1e-4;
            let after = of(&more, 0.1, convention);
            let slope = (after.total.es - before.total.es) / 1e-4;
            prop_assert!((slope - before.parts[place].marginal.es).abs() < 1e-3, "{} {:?}", slope, before.parts[place]);
        }

        #[test]
        fn the_order_of_holdings_changes_nothing_but_rounding(book in books(), by in 0_usize..6) {
            let convention = ShortfallConvention::AcerbiTasche;
            let one = of(&book, 0.1, convention);
            let mut turned = book.clone();
            let by = by % book.len();
            turned.rotate_left(by);
            let mut other = of(&turned, 0.1, convention).parts;
            other.rotate_right(by);
            let gross: f64 = book.iter().map(|(value, _)| value.abs()).sum();
            for (a, b) in one.parts.iter().zip(other) {
                prop_assert!((a.component.es - b.component.es).abs() <= 1e-12 * gross);
                prop_assert!((a.incremental.var - b.incremental.var).abs() <= 1e-12 * gross);
            }
        }

        /// Alone, a holding is all there is: component, incremental and total are one.
        #[test]
        fn one_holding_is_the_whole(value in -1e6..1e6_f64, returns in prop::collection::vec(-0.2..0.2_f64, 1..40)) {
            let found = of(&[(value, returns)], 0.05, ShortfallConvention::AcerbiTasche);
            let part = found.parts[0];
            prop_assert!((part.component.var - found.total.var).abs() <= 1e-12 * value.abs());
            prop_assert!((part.incremental.es - found.total.es).abs() <= 1e-12 * value.abs());
        }
    }
}
