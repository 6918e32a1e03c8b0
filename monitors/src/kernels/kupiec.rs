//! Were there as many exceptions as the level allows: the test of unconditional coverage.

use super::binomial::deviance;
use super::chi_square::chi_square_1_above;
use super::sample::{SampleError, Tail};

/// What a likelihood-ratio test says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LikelihoodRatio {
    /// The statistic, 0 or more.
    pub statistic: f64,
    /// The probability of a statistic as large if the model is right.
    pub p_value: f64,
}

/// So many exceptions in so many observations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceptions {
    observations: u64,
    exceptions: u64,
}

impl Exceptions {
    /// Looks at the counts.
    ///
    /// # Errors
    /// There is no observation, there are more than 2^53 (which a double counts exactly), or more exceptions than
    /// observations.
    pub fn new(observations: u64, exceptions: u64) -> Result<Self, SampleError> {
        if observations == 0 {
            return Err(SampleError::TooFew { have: 0, want: 1 });
        }
        if observations > 1 << 53 {
            let expected = "2^53 at most";
            return Err(SampleError::Parameter {
                name: "observations",
                value: observations as f64,
                expected,
            });
        }
        if exceptions > observations {
            let expected = "no more than there are observations";
            return Err(SampleError::Parameter { name: "exceptions", value: exceptions as f64, expected });
        }
        Ok(Self { observations, exceptions })
    }

    /// How many returns were observed.
    pub fn observations(self) -> u64 {
        self.observations
    }

    /// How many of them were worse than the value at risk.
    pub fn exceptions(self) -> u64 {
        self.exceptions
    }

    /// Exceptions per observation.
    pub fn rate(self) -> f64 {
        self.exceptions as f64 / self.observations as f64
    }

    /// Kupiec, "Techniques for verifying the accuracy of risk measurement models" (1995), proportion of
    /// failures: −2·ln of the likelihood under `tail` over that under the observed rate; χ² with one degree.
    ///
    /// Written as twice the deviances of both counts, which is the same sum and neither underflows nor cancels.
    pub fn kupiec(self, tail: Tail) -> LikelihoodRatio {
        let (n, x) = (self.observations as f64, self.exceptions as f64);
        let statistic = 2.0 * (deviance(x, n * tail.alpha()) + deviance(n - x, n * (1.0 - tail.alpha())));
        LikelihoodRatio { statistic, p_value: chi_square_1_above(statistic) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_allowed_is_no_evidence() {
        let test = Exceptions::new(1000, 50).unwrap().kupiec(Tail::new(0.05).unwrap());
        assert!(test.statistic < 1e-20 && test.p_value > 1.0 - 1e-9, "{test:?}");
    }

    /// With none the statistic is −2·n·ln(1 − α); long samples do not underflow.
    #[test]
    fn none_and_many_are_both_defined() {
        let tail = Tail::new(0.01).unwrap();
        let none = Exceptions::new(500, 0).unwrap().kupiec(tail);
        assert!((none.statistic + 1000.0 * libm::log1p(-0.01)).abs() < 1e-12, "{none:?}");
        let all = Exceptions::new(1 << 50, 1 << 50).unwrap().kupiec(tail);
        assert!(all.statistic.is_finite() && all.p_value == 0.0, "{all:?}");
    }

    #[test]
    fn impossible_counts_are_refused() {
        assert!(Exceptions::new(0, 0).is_err());
        assert!(Exceptions::new(5, 6).is_err());
        assert!(Exceptions::new(u64::MAX, 6).is_err());
    }
}
