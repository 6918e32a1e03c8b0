//! Age-weighted historical simulation: what is older weighs less.

use super::ewma::weight_of_the_past;
use super::sample::{Sample, SampleError, Tail, TailRisk, finite};

/// A sample of returns, each with the weight of its age.
#[derive(Clone, Debug, PartialEq)]
pub struct Aged {
    /// Returns, ascending (equal ones in order of time), each with its share of all weights.
    weighted: Vec<(f64, f64)>,
}

impl Aged {
    /// A return weighs λ times as much as the next one. Boudoukh, Richardson and Whitelaw, "The best of both worlds"
    /// (1998).
    ///
    /// # Errors
    /// There is no return, or λ is not between 0 and 1.
    pub fn new(returns: Sample<'_>, lambda: f64) -> Result<Self, SampleError> {
        let values = returns.of_at_least(1)?.values();
        weight_of_the_past(lambda)?;
        let mut weights = Vec::with_capacity(values.len());
        let (mut weight, mut total) = (1.0, 0.0);
        for _ in values {
            weights.push(weight);
            total += weight;
            weight *= lambda;
        }
        let shares = weights.into_iter().rev().map(|weight| weight / total);
        let mut weighted: Vec<(f64, f64)> = values.iter().copied().zip(shares).collect();
        weighted.sort_by(|a, b| a.0.total_cmp(&b.0));
        Ok(Self { weighted })
    }

    /// Value at risk: the first return at which the shares of it and of all worse ones reach α. Expected shortfall:
    /// Acerbi and Tasche's mean of the worst returns with shares of α in all, that one with the part that is left.
    ///
    /// # Errors
    /// The shortfall is beyond what a double holds.
    pub fn tail(&self, tail: Tail) -> Result<TailRisk, SampleError> {
        let alpha = tail.alpha();
        let (mut reached, mut sum) = (0.0, 0.0);
        let last = self.weighted.len() - 1;
        for (place, (value, share)) in self.weighted.iter().enumerate() {
            // The shares of all may be a hair less than one.
            if reached + share >= alpha || place == last {
                let es = finite((sum + (alpha - reached) * value) / alpha, "expected shortfall")?;
                return Ok(TailRisk { var: *value, es: es.min(*value) });
            }
            reached += share;
            sum += share * value;
        }
        unreachable!("there is a return at least")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(returns: &[f64], lambda: f64, alpha: f64) -> TailRisk {
        Aged::new(Sample::new(returns).unwrap(), lambda).unwrap().tail(Tail::new(alpha).unwrap()).unwrap()
    }

    #[test]
    fn shares_are_counted_from_the_worst() {
        // Weights 1/4, 1/2, 1 of 7/4: shares 1/7, 2/7, 4/7.
        let returns = [-0.03, 0.01, -0.02];
        assert_eq!(tail(&returns, 0.5, 0.1).var, -0.03);
        assert_eq!(tail(&returns, 0.5, 0.2).var, -0.02);
        let es = tail(&returns, 0.5, 0.2).es;
        assert!((es - (-0.03 / 7.0 - 0.02 * (0.2 - 1.0 / 7.0)) / 0.2).abs() < 1e-15, "{es}");
    }

    #[test]
    fn an_old_loss_fades() {
        let mut returns = vec![0.001; 300];
        returns[0] = -0.5;
        assert_eq!(tail(&returns, 0.99, 0.05).var, 0.001);
        returns.rotate_left(1);
        assert_eq!(tail(&returns, 0.94, 0.05).var, -0.5);
    }

    #[test]
    fn one_return_is_its_own_tail() {
        assert_eq!(tail(&[-0.25], 0.9, 0.01), TailRisk { var: -0.25, es: -0.25 });
        assert!(Aged::new(Sample::new(&[0.1]).unwrap(), 1.0).is_err());
    }
}
