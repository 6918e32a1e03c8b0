//! Filtered historical simulation: past returns, each divided by the volatility of its day, times today's.

use super::ewma::{EwmaSeed, ewma_volatilities};
use super::historical::{ShortfallConvention, expected_shortfall};
use super::horizon::Horizon;
use super::quantile::quantile_type7;
use super::sample::{Sample, SampleError, Tail, TailRisk, finite};

/// A sample of returns, filtered.
#[derive(Clone, Debug, PartialEq)]
pub struct Filtered {
    /// Returns divided by the volatility that was forecast for them, ascending.
    standardised: Vec<f64>,
    /// The volatility forecast for the next return.
    next: f64,
}

impl Filtered {
    /// Filters with exponentially weighted volatility of a zero mean. The first return seeds the recursion and
    /// is no observation. Hull and White, "Incorporating volatility updating into the historical simulation
    /// method for value at risk" (1998).
    ///
    /// # Errors
    /// There are fewer than two returns, λ is not between 0 and 1, or a forecast volatility is zero (the
    /// first return is) or out of a double's range.
    pub fn new(returns: Sample<'_>, lambda: f64) -> Result<Self, SampleError> {
        let returns = returns.of_at_least(2)?;
        let volatilities = ewma_volatilities(returns, lambda, EwmaSeed::FirstSquare)?;
        let mut standardised = Vec::with_capacity(returns.len() - 1);
        for (place, r) in returns.values().iter().enumerate().skip(1) {
            let volatility = volatilities[place];
            if volatility == 0.0 {
                let expected =
                    "more than 0, so that the return can be divided by it: begin the returns later";
                return Err(SampleError::Value {
                    what: "the volatility forecast for return",
                    place: place + 1,
                    value: 0.0,
                    expected,
                });
            }
            standardised.push(finite(r / volatility, "a standardised return")?);
        }
        standardised.sort_unstable_by(f64::total_cmp);
        Ok(Self { standardised, next: volatilities[returns.len()] })
    }

    /// The type 7 quantile of the standardised returns.
    ///
    /// # Errors
    /// It is beyond what a double holds.
    pub fn quantile(&self, tail: Tail) -> Result<f64, SampleError> {
        let quantile = quantile_type7(&self.standardised, tail.alpha()).expect("there is a return at least");
        finite(quantile, "the quantile")
    }

    /// Value at risk and expected shortfall (Acerbi and Tasche's) of the next return, or of the sum of the next few: √h
    /// times as much. Hull and White's own figure over more steps is of paths in which each return moves the volatility of
    /// the next one; there are as many as returns to the power of steps, and a sample of them needs random numbers.
    ///
    /// # Errors
    /// One is beyond what a double holds.
    pub fn tail(&self, horizon: Horizon, tail: Tail) -> Result<TailRisk, SampleError> {
        let shortfall =
            expected_shortfall(&self.standardised, tail.alpha(), ShortfallConvention::AcerbiTasche)
                .expect("there is a return at least");
        horizon.rooted(TailRisk {
            var: finite(self.quantile(tail)? * self.next, "value at risk")?,
            es: finite(shortfall * self.next, "expected shortfall")?,
        })
    }

    /// The volatility forecast for the next return.
    pub fn next_volatility(&self) -> f64 {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calm_past_is_scaled_to_todays_volatility() {
        let calm: Vec<f64> = (0..200).map(|i| if i % 2 == 0 { 0.01 } else { -0.01 }).collect();
        let mut shaken = calm.clone();
        shaken.extend([0.1, -0.1, 0.1]);
        let tail = Tail::new(0.05).unwrap();
        let of = |returns: &[f64]| {
            Filtered::new(Sample::new(returns).unwrap(), 0.94).unwrap().tail(Horizon::ONE, tail).unwrap()
        };
        assert!((of(&calm).var + 0.01).abs() < 1e-12);
        assert!(of(&shaken).var < -0.03, "{:?}", of(&shaken));
    }

    #[test]
    fn a_first_return_of_zero_is_refused_by_its_place() {
        let refused = Filtered::new(Sample::new(&[0.0, 0.1, 0.2]).unwrap(), 0.94);
        assert!(matches!(refused, Err(SampleError::Value { place: 2, .. })), "{refused:?}");
        assert!(Filtered::new(Sample::new(&[0.1]).unwrap(), 0.94).is_err());
    }
}
