//! The binomial distribution, and the deviance that it shares with the likelihood-ratio tests.

/// x·ln(x/e) + e − x, the deviance of a count `x` from its expectation `e`, at least 0.
///
/// Near x = e the plain formula loses all digits, so there it is a series: Loader, "Fast and accurate
/// computation of binomial probabilities" (2000), `bd0`. 0·ln 0 is 0.
pub(super) fn deviance(x: f64, e: f64) -> f64 {
    if x == 0.0 {
        return e;
    }
    let difference = x - e;
    if libm::fabs(difference) >= 0.1 * (x + e) {
        return x * libm::log(x / e) - difference;
    }
    let ratio = difference / (x + e);
    let (mut sum, mut term) = (difference * ratio, 2.0 * x * ratio);
    // The ratio is below 0.1, so each term is below a hundredth of the one before.
    for order in 1..20 {
        term *= ratio * ratio;
        let next = sum + term / f64::from(2 * order + 1);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

/// ln(n!) less Stirling's formula √(2πn)·(n/e)ⁿ.
fn stirling_error(n: f64) -> f64 {
    if n < 16.0 {
        if n == 0.0 {
            return 0.0;
        }
        let factorial = (2..=n as u32).map(f64::from).product::<f64>();
        let stirling = 0.5 * libm::log(std::f64::consts::TAU * n) + n * libm::log(n) - n;
        return libm::log(factorial) - stirling;
    }
    let square = n * n;
    (1.0 / 12.0
        - (1.0 / 360.0 - (1.0 / 1260.0 - (1.0 / 1680.0 - 1.0 / 1188.0 / square) / square) / square) / square)
        / n
}

/// Trials that each succeed with the same probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Binomial {
    trials: u64,
    probability: f64,
}

impl Binomial {
    /// Of so many trials; a probability strictly between 0 and 1.
    pub(super) fn new(trials: u64, probability: f64) -> Self {
        debug_assert!(probability > 0.0 && probability < 1.0, "the caller has looked at it");
        Self { trials, probability }
    }

    /// The probability of exactly `successes`.
    pub fn exactly(&self, successes: u64) -> f64 {
        if successes > self.trials {
            return 0.0;
        }
        let (n, x, p) = (self.trials as f64, successes as f64, self.probability);
        if successes == 0 {
            return libm::exp(n * libm::log1p(-p));
        }
        if successes == self.trials {
            return libm::exp(n * libm::log(p));
        }
        let rest = n - x;
        let exponent = stirling_error(n)
            - stirling_error(x)
            - stirling_error(rest)
            - deviance(x, n * p)
            - deviance(rest, n * (1.0 - p));
        libm::sqrt(n / (std::f64::consts::TAU * x * rest)) * libm::exp(exponent)
    }

    /// The probability of at most `successes`.
    pub fn at_most(&self, successes: u64) -> f64 {
        if successes >= self.trials {
            return 1.0;
        }
        if (successes as f64) < self.mean() {
            self.down_from(successes)
        } else {
            1.0 - self.up_from(successes + 1)
        }
    }

    /// The probability of at least `successes`.
    pub fn at_least(&self, successes: u64) -> f64 {
        if successes == 0 {
            return 1.0;
        }
        if successes as f64 > self.mean() {
            self.up_from(successes)
        } else {
            1.0 - self.down_from(successes - 1)
        }
    }

    fn mean(&self) -> f64 {
        self.trials as f64 * self.probability
    }

    /// The sum of the probabilities of `from` and less, below the mean: each is smaller than the one before, so
    /// a few standard deviations of terms are all there is to add.
    fn down_from(&self, from: u64) -> f64 {
        let odds = (1.0 - self.probability) / self.probability;
        let mut term = self.exactly(from);
        let mut sum = term;
        for x in (1..=from).rev() {
            term *= x as f64 / (self.trials - x + 1) as f64 * odds;
            if sum + term == sum {
                break;
            }
            sum += term;
        }
        sum
    }

    /// The same of `from` and more, above the mean.
    fn up_from(&self, from: u64) -> f64 {
        let odds = self.probability / (1.0 - self.probability);
        let mut term = self.exactly(from);
        let mut sum = term;
        for x in from..self.trials {
            term *= (self.trials - x) as f64 / (x + 1) as f64 * odds;
            if sum + term == sum {
                break;
            }
            sum += term;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use statrs::distribution::{Discrete as _, DiscreteCDF as _};

    use super::*;

    #[test]
    fn another_implementation_agrees() {
        for (n, p) in [(1, 0.3), (10, 0.5), (250, 0.01), (250, 0.05), (1000, 0.99), (5000, 0.025)] {
            let (ours, theirs) = (Binomial::new(n, p), statrs::distribution::Binomial::new(p, n).unwrap());
            for x in (0..=n).step_by((n as usize / 50).max(1)) {
                assert!((ours.at_most(x) - theirs.cdf(x)).abs() < 1e-10, "{n} {p} {x}");
                assert!((ours.exactly(x) - theirs.pmf(x)).abs() < 1e-10, "{n} {p} {x}");
            }
        }
    }

    #[test]
    fn it_sums_to_one_and_its_tails_meet() {
        for (n, p) in [(1, 0.5), (17, 0.01), (250, 0.01), (100_000, 0.4)] {
            let it = Binomial::new(n, p);
            for x in [0, 1, n / 3, n / 2, n] {
                let both = it.at_most(x) + if x < n { it.at_least(x + 1) } else { 0.0 };
                assert!((both - 1.0).abs() < 1e-12, "{n} {p} {x}: {both}");
            }
        }
        let sum: f64 = (0..=250).map(|x| Binomial::new(250, 0.01).exactly(x)).sum();
        assert!((sum - 1.0).abs() < 1e-13);
        assert_eq!(Binomial::new(5, 0.5).exactly(6), 0.0);
        assert_eq!(Binomial::new(5, 0.5).exactly(5), 1.0 / 32.0);
    }

    #[test]
    fn the_deviance_is_smooth_where_the_formulas_meet() {
        let plain = |x: f64, e: f64| x * libm::log(x / e) + e - x;
        for (x, e) in [(110.0, 90.1), (110.0, 89.9), (90.1, 110.0), (89.9, 110.0), (3.0, 40.0)] {
            assert!((deviance(x, e) / plain(x, e) - 1.0).abs() < 1e-12, "{x} {e}");
        }
        assert_eq!((deviance(7.0, 7.0), deviance(0.0, 2.5)), (0.0, 2.5));
    }
}
