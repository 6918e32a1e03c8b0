//! Do exceptions come in clusters: the tests of independence and of conditional coverage.

use super::binomial::deviance;
use super::chi_square::{chi_square_1_above, chi_square_2_above};
use super::kupiec::{Exceptions, LikelihoodRatio};
use super::sample::{SampleError, Tail};

/// How often each of the two states (exception or not) followed each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transitions {
    /// No exception after none.
    pub n00: u64,
    /// An exception after none.
    pub n01: u64,
    /// No exception after one.
    pub n10: u64,
    /// An exception after one.
    pub n11: u64,
}

impl Transitions {
    /// Counts them: one fewer than there are observations.
    pub fn of(hits: &[bool]) -> Self {
        let mut counts = Self::default();
        for pair in hits.windows(2) {
            match (pair[0], pair[1]) {
                (false, false) => counts.n00 += 1,
                (false, true) => counts.n01 += 1,
                (true, false) => counts.n10 += 1,
                (true, true) => counts.n11 += 1,
            }
        }
        counts
    }

    /// Christoffersen, "Evaluating interval forecasts" (1998), independence: two probabilities of an exception,
    /// after one and after none, against a single one; χ² with one degree.
    ///
    /// The statistic is the G of the two by two table, twice the deviances of its cells from what independence
    /// expects: the same sum as that of logarithms, and it neither underflows nor cancels. Where a state never
    /// occurs there is nothing to depend on, and it is 0.
    pub fn independence(self) -> LikelihoodRatio {
        let cells = [[self.n00 as f64, self.n01 as f64], [self.n10 as f64, self.n11 as f64]];
        let total: f64 = cells.iter().flatten().sum();
        let mut statistic = 0.0;
        for row in cells {
            for column in 0..2 {
                let expected = (row[0] + row[1]) * (cells[0][column] + cells[1][column]) / total;
                if expected > 0.0 {
                    statistic += 2.0 * deviance(row[column], expected);
                }
            }
        }
        LikelihoodRatio { statistic, p_value: chi_square_1_above(statistic) }
    }
}

/// All that the exceptions of a backtest say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Christoffersen {
    /// How many there are.
    pub exceptions: Exceptions,
    /// How they follow each other.
    pub transitions: Transitions,
    /// Kupiec's test, over all observations.
    pub coverage: LikelihoodRatio,
    /// The test of independence, over the transitions.
    pub independence: LikelihoodRatio,
    /// Both at once: the sum of the statistics; χ² with two degrees.
    pub conditional: LikelihoodRatio,
}

/// Of a sequence of exceptions (true) in order of time.
///
/// # Errors
/// There is no observation.
pub fn christoffersen(hits: &[bool], tail: Tail) -> Result<Christoffersen, SampleError> {
    let count = hits.iter().filter(|hit| **hit).count() as u64;
    let exceptions = Exceptions::new(hits.len() as u64, count)?;
    let transitions = Transitions::of(hits);
    let (coverage, independence) = (exceptions.kupiec(tail), transitions.independence());
    let statistic = coverage.statistic + independence.statistic;
    let conditional = LikelihoodRatio { statistic, p_value: chi_square_2_above(statistic) };
    Ok(Christoffersen { exceptions, transitions, coverage, independence, conditional })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transitions_are_counted() {
        let hits = [false, true, true, false, false, true];
        assert_eq!(Transitions::of(&hits), Transitions { n00: 1, n01: 2, n10: 1, n11: 1 });
    }

    /// Against the logarithms written out.
    #[test]
    fn it_is_the_ratio_of_likelihoods() {
        let xlogy = |x: f64, y: f64| if x == 0.0 { 0.0 } else { x * libm::log(y) };
        for counts in [[4622, 76, 76, 5], [2170, 39, 39, 1], [200, 1, 1, 0], [0, 3, 4, 5], [10, 2, 0, 0]] {
            let [n00, n01, n10, n11] = counts.map(f64::from);
            let share = |x: f64, rest: f64| if x == 0.0 { 0.0 } else { x / (x + rest) };
            let one =
                xlogy(n00 + n10, share(n00 + n10, n01 + n11)) + xlogy(n01 + n11, share(n01 + n11, n00 + n10));
            let two = xlogy(n00, share(n00, n01))
                + xlogy(n01, share(n01, n00))
                + xlogy(n10, share(n10, n11))
                + xlogy(n11, share(n11, n10));
            let [n00, n01, n10, n11] = counts.map(|count| count as u64);
            let got = Transitions { n00, n01, n10, n11 }.independence().statistic;
            assert!((got - 2.0 * (two - one)).abs() < 1e-9, "{counts:?}: {got}, {}", 2.0 * (two - one));
        }
    }

    #[test]
    fn a_state_that_never_occurs_depends_on_nothing() {
        let tail = Tail::new(0.05).unwrap();
        for hits in [vec![false; 50], vec![true; 50], vec![true]] {
            let got = christoffersen(&hits, tail).unwrap();
            assert_eq!((got.independence.statistic, got.independence.p_value), (0.0, 1.0));
            assert_eq!(got.conditional.statistic, got.coverage.statistic);
        }
        assert!(christoffersen(&[], tail).is_err());
    }
}
