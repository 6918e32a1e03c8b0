//! How far a book swings, and would under other volatilities and correlations.

use serde::{Deserialize, Serialize};

use super::moments::Moments;
use super::sample::{Sample, SampleError, finite};

/// The standard deviation of what is held, and what it would be if all symbols moved as one, or each alone. In money, by
/// n − 1. With values v and deviations σ of the symbols' returns:
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Swings {
    /// Of the profits Σ v·r.
    held: f64,
    /// |Σ v·σ|, as if every correlation were one.
    as_one: f64,
    /// √Σ (v·σ)², as if every correlation were zero.
    alone: f64,
}

impl Swings {
    /// Of the profits that what is held would have made, and of each symbol's value and the deviation of its returns at the
    /// same instants. Nothing held does not swing.
    ///
    /// # Errors
    /// There are fewer than two profits, or a figure is no number.
    pub fn new(profits: &[f64], held: impl IntoIterator<Item = (f64, f64)>) -> Result<Self, SampleError> {
        let (mut as_one, mut squares) = (0.0, 0.0);
        for (value, deviation) in held {
            as_one += value * deviation;
            squares += value * deviation * value * deviation;
        }
        Ok(Self {
            held: standard_deviation(profits)?,
            as_one: finite(libm::fabs(as_one), "the standard deviation")?,
            alone: finite(libm::sqrt(squares), "the standard deviation")?,
        })
    }

    /// The standard deviation if all volatilities were `volatility` times what they are, and the matrix of correlations C
    /// moved by the share k = |`correlation`| (of −1 to 1): above zero towards all ones, below towards none between any two,
    /// C′ = (1 − k)·C + k·11′ or (1 − k)·C + k·I. Both are mixtures of matrices of correlations, and so are such matrices.
    pub fn deviation(self, volatility: f64, correlation: f64) -> f64 {
        let share = libm::fabs(correlation);
        let target = if correlation > 0.0 { self.as_one } else { self.alone };
        volatility * libm::sqrt((1.0 - share) * self.held * self.held + share * target * target)
    }
}

/// By n − 1.
///
/// # Errors
/// There are fewer than two values, or one is no number.
pub fn standard_deviation(values: &[f64]) -> Result<f64, SampleError> {
    Moments::of(Sample::new(values)?).deviation(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two symbols of deviation 0.02 that always move against each other.
    fn hedge(first: f64, second: f64) -> Swings {
        let returns = [0.02, -0.02, 0.02, -0.02, 0.0];
        let profits = returns.map(|r| first * r - second * r);
        let deviation = standard_deviation(&returns).unwrap();
        Swings::new(&profits, [(first, deviation), (second, deviation)]).unwrap()
    }

    #[test]
    fn correlations_move_between_what_was_and_one_or_none() {
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        let swings = hedge(100.0, 100.0);
        near(swings.deviation(1.0, 0.0), 0.0);
        near(swings.deviation(1.0, 1.0), 4.0);
        near(swings.deviation(3.0, 0.25), 3.0 * 2.0);
        near(swings.deviation(1.0, -1.0), libm::sqrt(8.0));
        let short = hedge(100.0, -100.0);
        near(short.deviation(1.0, 0.0), 4.0);
        near(short.deviation(1.0, 1.0), 0.0);
        assert_eq!(hedge(-100.0, 100.0), short, "mirrored");
    }

    #[test]
    fn nothing_held_does_not_swing_and_what_is_no_number_is_refused() {
        assert_eq!(Swings::default().deviation(2.0, 0.5), 0.0);
        assert!(Swings::new(&[1.0], [(1.0, 0.1)]).is_err());
        assert!(Swings::new(&[1.0, 2.0], [(1e200, 0.1)]).is_err());
        assert!(Swings::new(&[1.0, f64::NAN], [(1.0, 0.1)]).is_err());
    }
}
