//! Over how many steps a figure is, and how changes of one step are made into changes of more.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::sample::{SampleError, TailRisk, finite};

/// A number of steps, 1 to [`Horizon::MOST`]. A step is from one change of a series to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Horizon(u16);

impl Horizon {
    /// One step.
    pub const ONE: Self = Self(1);
    /// The most steps, about a year of days.
    pub const MOST: u16 = 250;

    /// So many steps; none if these are none, or more than the most.
    pub fn new(steps: u16) -> Option<Self> {
        (1..=Self::MOST).contains(&steps).then_some(Self(steps))
    }

    /// How many they are.
    pub fn steps(self) -> usize {
        usize::from(self.0)
    }

    /// How many overlapping stretches of it there are in so many steps.
    pub fn stretches(self, steps: usize) -> usize {
        (steps + 1).saturating_sub(self.steps())
    }

    /// The changes over each stretch, oldest first: sums of successive changes, overlapping. Of one step they are the
    /// changes themselves.
    ///
    /// A sum is made of sums of half its length, so a change that has left leaves nothing behind, as it would in a running
    /// sum. Costs O(log h) additions a change.
    pub fn sums(self, changes: &[f64]) -> Cow<'_, [f64]> {
        if self == Self::ONE {
            return Cow::Borrowed(changes);
        }
        let count = self.stretches(changes.len());
        let mut sums = vec![0.0; count];
        if count == 0 {
            return Cow::Owned(sums);
        }
        // Sums of 1, 2, 4, … changes; those that the horizon's binary digits name, one after the other.
        let (mut doubled, mut length, mut done) = (changes.to_vec(), 1, 0);
        loop {
            if self.steps() & length != 0 {
                sums.iter_mut().zip(&doubled[done..]).for_each(|(sum, part)| *sum += part);
                done += length;
            }
            if done == self.steps() {
                return Cow::Owned(sums);
            }
            for at in 0..doubled.len() - length {
                doubled[at] += doubled[at + length];
            }
            doubled.truncate(doubled.len() - length);
            length *= 2;
        }
    }

    /// The return over as many steps as there are returns, compounded: Π (1 + r) − 1. NaN if any of them is.
    pub fn compound(returns: &[f64]) -> f64 {
        returns.iter().fold(1.0, |wealth, r| wealth * (1.0 + r)) - 1.0
    }

    /// The mean of a sum of independent changes that have this one.
    pub fn mean(self, of_one: f64) -> f64 {
        f64::from(self.0) * of_one
    }

    /// The standard deviation of a sum of independent changes that have this one: √h times as much.
    pub fn deviation(self, of_one: f64) -> f64 {
        self.root() * of_one
    }

    /// The skewness of a sum of independent changes that have this one: their third cumulants add up, and so do variances.
    pub fn skewness(self, of_one: f64) -> f64 {
        of_one / self.root()
    }

    /// The excess kurtosis of a sum of independent changes that have this one.
    pub fn excess_kurtosis(self, of_one: f64) -> f64 {
        of_one / f64::from(self.0)
    }

    /// Both figures of one step, √h times as large.
    ///
    /// # Errors
    /// One is beyond what a double holds.
    pub fn rooted(self, of_one: TailRisk) -> Result<TailRisk, SampleError> {
        Ok(TailRisk {
            var: finite(self.deviation(of_one.var), "value at risk")?,
            es: finite(self.deviation(of_one.es), "expected shortfall")?,
        })
    }

    fn root(self) -> f64 {
        libm::sqrt(f64::from(self.0))
    }
}

impl fmt::Display for Horizon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sums_overlap_and_end_with_the_latest_change() {
        let changes = [1.0, -2.0, 4.0, 8.0, -16.0];
        let sums = |steps| Horizon::new(steps).unwrap().sums(&changes).into_owned();
        assert_eq!(sums(1), changes);
        assert_eq!(sums(2), [-1.0, 2.0, 12.0, -8.0]);
        assert_eq!(sums(3), [3.0, 10.0, -4.0]);
        assert_eq!(sums(5), [-5.0]);
        assert!(sums(6).is_empty());
        assert!(Horizon::new(2).unwrap().sums(&[]).is_empty());
    }

    #[test]
    fn returns_compound_and_a_gap_is_one() {
        assert_eq!(Horizon::compound(&[0.5, -0.5]), -0.25);
        assert!(Horizon::compound(&[0.5, f64::NAN, 0.1]).is_nan());
    }

    #[test]
    fn a_horizon_has_bounds() {
        assert_eq!(Horizon::new(1), Some(Horizon::ONE));
        assert_eq!(Horizon::new(250).map(Horizon::steps), Some(250));
        assert_eq!((Horizon::new(0), Horizon::new(251)), (None, None));
    }

    #[test]
    fn four_steps_by_hand() {
        let four = Horizon::new(4).unwrap();
        assert_eq!((four.mean(0.5), four.deviation(0.5)), (2.0, 1.0));
        assert_eq!((four.skewness(0.5), four.excess_kurtosis(2.0)), (0.25, 0.5));
        let huge = TailRisk { var: -f64::MAX, es: -f64::MAX };
        assert!(matches!(four.rooted(huge), Err(SampleError::Overflow { .. })));
        assert_eq!(Horizon::ONE.rooted(huge), Ok(huge));
    }

    proptest! {
        #[test]
        fn every_sum_is_that_of_its_changes(
            changes in prop::collection::vec(-1e6..1e6_f64, 0..80),
            steps in 1_u16..30,
        ) {
            let horizon = Horizon::new(steps).unwrap();
            let sums = horizon.sums(&changes);
            prop_assert_eq!(sums.len(), horizon.stretches(changes.len()));
            for (sum, stretch) in sums.iter().zip(changes.windows(horizon.steps())) {
                let plain: f64 = stretch.iter().sum();
                prop_assert!((sum - plain).abs() <= 1e-14 * 30.0 * 1e6, "{} {}", sum, plain);
            }
        }
    }
}
