//! What each holding contributes to value at risk and expected shortfall of all, by historical simulation.

use super::historical::{ShortfallConvention, sort_worst, sorted_tail, worst_looked_at};
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

/// Value at risk and expected shortfall of a book, and the few scenarios that they are means of.
///
/// Euler's allocation at the scenarios of the tail: both figures are weighted means of the book's profits in a few
/// scenarios (value at risk of the two that its quantile is between), and a component is the same mean of the holding's own
/// profits there. Tasche, "Capital allocation to business units and sub-portfolios: the Euler principle" (2008). Of
/// scenarios with the same profit the earlier one comes first.
///
/// Scenarios are the instants at which all have a return, as in [`revalue`].
#[derive(Clone, Debug)]
pub struct Decomposition<'a> {
    held: Vec<Exposed<'a>>,
    tail: Tail,
    convention: ShortfallConvention,
    /// The profit in each scenario, oldest first.
    profits: Vec<f64>,
    /// The place of each scenario among the latest instants that all series reach.
    instants: Vec<usize>,
    shared: usize,
    total: TailRisk,
    /// The instants that value at risk is the mean of, and their weights.
    var: Vec<(usize, f64)>,
    /// The same of expected shortfall.
    es: Vec<(usize, f64)>,
}

impl<'a> Decomposition<'a> {
    /// Of what is held. Costs as much as a revaluation, and a place for each scenario.
    ///
    /// # Errors
    /// There is no scenario, a value is no number, or a figure is beyond what a double holds.
    pub fn new(
        held: Vec<Exposed<'a>>,
        tail: Tail,
        convention: ShortfallConvention,
    ) -> Result<Self, SampleError> {
        let mut profits = Vec::new();
        revalue(&held, &mut profits)?;
        let shared = held.iter().map(|one| one.returns.len()).min().unwrap_or(0);
        let has_all = |at: &usize| held.iter().all(|one| !one.latest(shared)[*at].is_nan());
        let instants: Vec<usize> = match profits.len() {
            all if all == shared => (0..shared).collect(),
            _ => (0..shared).filter(has_all).collect(),
        };
        let order = worst_first(&profits, tail, convention);
        let sorted: Vec<f64> = order.iter().map(|scenario| profits[*scenario]).collect();
        let total = sorted_tail(&sorted, tail, convention)?;
        let at_instants = |weights: &[(usize, f64)]| -> Vec<(usize, f64)> {
            weights.iter().map(|(rank, weight)| (instants[order[*rank]], *weight)).collect()
        };
        let var = at_instants(&quantile_weights(sorted.len(), tail));
        let es = at_instants(&shortfall_weights(&sorted, tail, convention));
        Ok(Self { held, tail, convention, profits, instants, shared, total, var, es })
    }

    /// Both figures of all that is held.
    pub fn total(&self) -> TailRisk {
        self.total
    }

    /// How many scenarios there are.
    pub fn scenarios(&self) -> usize {
        self.profits.len()
    }

    /// The figures' change per unit of money more of a holding, by its place.
    pub fn marginal(&self, place: usize) -> TailRisk {
        let returns = self.held[place].latest(self.shared);
        let mean = |of: &[(usize, f64)]| -> f64 { of.iter().map(|(at, weight)| weight * returns[*at]).sum() };
        TailRisk { var: mean(&self.var), es: mean(&self.es) }
    }

    /// A holding's shares of the figures. Costs as many multiplications as there are scenarios in the tail.
    ///
    /// # Errors
    /// One is beyond what a double holds.
    pub fn component(&self, place: usize) -> Result<TailRisk, SampleError> {
        let (value, marginal) = (self.held[place].value, self.marginal(place));
        known(TailRisk { var: value * marginal.var, es: value * marginal.es })
    }

    /// The figures, less what they are without a holding, in the same scenarios. Costs as much as a revaluation of it
    /// alone, and a sort of the worst. `without` is memory to work in.
    ///
    /// # Errors
    /// One is beyond what a double holds.
    pub fn incremental(&self, place: usize, without: &mut Vec<f64>) -> Result<TailRisk, SampleError> {
        let one = &self.held[place];
        let returns = one.latest(self.shared);
        without.clear();
        let own = self.instants.iter().map(|at| one.value * returns[*at]);
        without.extend(self.profits.iter().zip(own).map(|(all, own)| all - own));
        sort_worst(without, self.tail, self.convention);
        let without = sorted_tail(without, self.tail, self.convention)?;
        known(TailRisk { var: self.total.var - without.var, es: self.total.es - without.es })
    }

    /// All that a holding contributes. `without` is memory to work in.
    ///
    /// # Errors
    /// A figure is beyond what a double holds.
    pub fn contribution(&self, place: usize, without: &mut Vec<f64>) -> Result<Contribution, SampleError> {
        Ok(Contribution {
            component: self.component(place)?,
            marginal: self.marginal(place),
            incremental: self.incremental(place, without)?,
        })
    }
}

fn known(figures: TailRisk) -> Result<TailRisk, SampleError> {
    Ok(TailRisk { var: finite(figures.var, "a contribution")?, es: finite(figures.es, "a contribution")? })
}

/// The scenarios as far as both figures look at them, the worst first; behind them the others.
fn worst_first(profits: &[f64], tail: Tail, convention: ShortfallConvention) -> Vec<usize> {
    let mut order: Vec<usize> = (0..profits.len()).collect();
    let worse = |a: &usize, b: &usize| profits[*a].total_cmp(&profits[*b]).then(a.cmp(b));
    match worst_looked_at(profits.len(), tail, convention) {
        Some(last) => order.select_nth_unstable_by(last, worse).0.sort_unstable_by(worse),
        None => order.sort_unstable_by(worse),
    }
    order
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

    struct Contributions {
        total: TailRisk,
        parts: Vec<Contribution>,
    }

    fn exposed(book: &[(f64, Vec<f64>)]) -> Vec<Exposed<'_>> {
        book.iter().map(|(value, returns)| Exposed { value: *value, returns }).collect()
    }

    fn of(book: &[(f64, Vec<f64>)], alpha: f64, convention: ShortfallConvention) -> Contributions {
        let all = Decomposition::new(exposed(book), Tail::new(alpha).unwrap(), convention).unwrap();
        let mut without = Vec::new();
        let parts = (0..book.len()).map(|place| all.contribution(place, &mut without).unwrap()).collect();
        Contributions { total: all.total(), parts }
    }

    #[test]
    fn a_hedge_contributes_less_than_nothing() {
        let book = [(100.0, vec![-0.10, 0.02, 0.03, -0.05]), (-50.0, vec![-0.08, 0.01, 0.02, -0.04])];
        let found = of(&book, 0.25, ShortfallConvention::AcerbiTasche);
        assert!((found.total.es + 6.0).abs() < 1e-12, "{:?}", found.total);
        assert!((found.parts[0].component.es + 10.0).abs() < 1e-12);
        assert!((found.parts[1].component.es - 4.0).abs() < 1e-12, "it earns when the other loses");
        assert!((found.parts[1].marginal.es + 0.08).abs() < 1e-12, "per unit of money held");
        assert!((found.parts[1].incremental.es - 4.0).abs() < 1e-12, "without it the loss is 10");
    }

    #[test]
    fn nothing_to_go_by_is_refused() {
        let held = [Exposed { value: 1.0, returns: &[] }];
        let tail = Tail::new(0.05).unwrap();
        let found = Decomposition::new(held.to_vec(), tail, ShortfallConvention::Empyrical);
        assert!(matches!(found, Err(SampleError::TooFew { .. })));
    }

    /// Instants at which one has no return are no scenarios, for the others neither.
    #[test]
    fn gaps_are_left_out_for_all() {
        let gap = f64::NAN;
        let whole = [(100.0, vec![-0.10, 0.02, -0.05]), (-50.0, vec![-0.08, 0.01, -0.04])];
        let gaps = [(100.0, vec![0.5, -0.10, -0.3, 0.02, -0.05]), (-50.0, vec![-0.08, gap, 0.01, -0.04])];
        let (whole, gaps) = (
            of(&whole, 0.4, ShortfallConvention::AcerbiTasche),
            of(&gaps, 0.4, ShortfallConvention::AcerbiTasche),
        );
        assert_eq!((whole.total, whole.parts), (gaps.total, gaps.parts));
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

        /// Both figures are those of all profits sorted, and an incremental is the difference to a book without the holding.
        #[test]
        fn it_is_what_revaluations_say(book in books(), alpha in 0.005..0.6_f64, convention in conventions()) {
            let tail = Tail::new(alpha).unwrap();
            let revalued = |book: &[(f64, Vec<f64>)]| {
                let mut pnl = Vec::new();
                revalue(&exposed(book), &mut pnl).unwrap();
                pnl.sort_unstable_by(f64::total_cmp);
                sorted_tail(&pnl, tail, convention).unwrap()
            };
            let found = of(&book, alpha, convention);
            prop_assert_eq!(found.total, revalued(&book));
            let gross: f64 = book.iter().map(|(value, _)| value.abs()).sum();
            for (place, part) in found.parts.iter().enumerate() {
                let mut others = book.clone();
                others[place].0 = 0.0;
                let without = revalued(&others);
                prop_assert!((part.incremental.var - (found.total.var - without.var)).abs() <= 1e-12 * gross);
                prop_assert!((part.incremental.es - (found.total.es - without.es)).abs() <= 1e-12 * gross);
            }
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
