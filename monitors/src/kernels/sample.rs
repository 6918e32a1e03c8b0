//! Samples that were looked at before anything is computed of them, and why one is refused.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Why a figure is not computed. Nothing that is no number, and no figure that is none, gets further.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SampleError {
    /// Fewer values than the figure needs.
    #[error("there are {have} values; at least {want} are needed")]
    TooFew {
        /// How many there are.
        have: usize,
        /// How many it takes.
        want: usize,
    },
    /// NaN or an infinity.
    #[error("value {place} is {value}; every value must be a finite number")]
    NotFinite {
        /// Which one, counted from 1.
        place: usize,
        /// What it is.
        value: f64,
    },
    /// A value that is finite and still makes no sense there.
    #[error("{what} {place} is {value}; expected {expected}")]
    Value {
        /// What it is one of, in the singular.
        what: &'static str,
        /// Which one, counted from 1.
        place: usize,
        /// What it is.
        value: f64,
        /// What would do.
        expected: &'static str,
    },
    /// A parameter out of its bounds.
    #[error("{name} is {value}; expected {expected}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// What it is.
        value: f64,
        /// What would do.
        expected: &'static str,
    },
    /// Series that belong together and differ in length.
    #[error("series that belong together have {left} and {right} values; they must be equally many")]
    Lengths {
        /// Of the one.
        left: usize,
        /// Of the other.
        right: usize,
    },
    /// There is no variation where the figure divides by it.
    #[error("{figure} is not defined where all values are equal")]
    Constant {
        /// The figure.
        figure: &'static str,
    },
    /// The figure is larger than a double can be.
    #[error("{figure} is beyond what a double holds")]
    Overflow {
        /// The figure.
        figure: &'static str,
    },
}

/// One value or more, all of them finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a>(&'a [f64]);

impl<'a> Sample<'a> {
    /// Looks at the values.
    ///
    /// # Errors
    /// There are none, or one is NaN or infinite.
    pub fn new(values: &'a [f64]) -> Result<Self, SampleError> {
        if let Some(place) = values.iter().position(|value| !value.is_finite()) {
            return Err(SampleError::NotFinite { place: place + 1, value: values[place] });
        }
        Self(values).of_at_least(1)
    }

    /// The same, if there are so many.
    ///
    /// # Errors
    /// There are fewer.
    pub fn of_at_least(self, want: usize) -> Result<Self, SampleError> {
        let have = self.0.len();
        if have < want { Err(SampleError::TooFew { have, want }) } else { Ok(self) }
    }

    /// The values, in the order they came in.
    pub fn values(self) -> &'a [f64] {
        self.0
    }

    /// How many there are; never zero.
    #[allow(clippy::len_without_is_empty, reason = "a sample is never empty")]
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// The values, ascending.
    pub fn sorted(self) -> Vec<f64> {
        let mut sorted = self.0.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted
    }

    /// True if all values are equal.
    pub fn is_constant(self) -> bool {
        self.0.iter().all(|value| *value == self.0[0])
    }

    /// The values × 2^−exponent, so that their squares neither overflow nor vanish. Of values of a usual size
    /// the exponent is 0 and they are what they are.
    pub(super) fn scaled(self) -> (Cow<'a, [f64]>, i32) {
        let largest = self.0.iter().fold(0.0_f64, |most, value| most.max(libm::fabs(*value)));
        if largest == 0.0 || (1e-60..1e60).contains(&largest) {
            return (Cow::Borrowed(self.0), 0);
        }
        let exponent = libm::frexp(largest).1;
        (Cow::Owned(self.0.iter().map(|value| shift(*value, -exponent)).collect()), exponent)
    }
}

/// `value` × 2^`exponent`, exact unless it leaves a double's range.
pub(super) fn shift(value: f64, exponent: i32) -> f64 {
    libm::ldexp(value, exponent)
}

/// The figure, if it is a number.
pub(super) fn finite(value: f64, figure: &'static str) -> Result<f64, SampleError> {
    if value.is_finite() { Ok(value) } else { Err(SampleError::Overflow { figure }) }
}

/// The probability of a tail: more than 0 and less than 1, such as 0.05 for a level of 95 %.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Tail(f64);

impl Tail {
    /// Looks at the probability.
    ///
    /// # Errors
    /// It is not between 0 and 1.
    pub fn new(alpha: f64) -> Result<Self, SampleError> {
        if alpha > 0.0 && alpha < 1.0 {
            Ok(Self(alpha))
        } else {
            let expected = "a tail's probability: more than 0 and less than 1, such as 0.05";
            Err(SampleError::Parameter { name: "alpha", value: alpha, expected })
        }
    }

    /// The probability.
    pub fn alpha(self) -> f64 {
        self.0
    }
}

/// Value at risk and expected shortfall of one tail, as returns: losses are negative, so the shortfall is the
/// lower one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TailRisk {
    /// The quantile of returns.
    pub var: f64,
    /// The mean of returns beyond it.
    pub es: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_refused_by_its_place() {
        assert!(matches!(Sample::new(&[1.0, f64::NAN]), Err(SampleError::NotFinite { place: 2, .. })));
        assert!(matches!(Sample::new(&[f64::NEG_INFINITY]), Err(SampleError::NotFinite { place: 1, .. })));
        assert_eq!(Sample::new(&[]), Err(SampleError::TooFew { have: 0, want: 1 }));
    }

    #[test]
    fn huge_and_tiny_values_are_brought_near_one_exactly() {
        for value in [f64::MAX, 5e-324, 1e-200, -1e300] {
            let values = [value, value / 2.0];
            let (scaled, exponent) = Sample::new(&values).unwrap().scaled();
            assert!((0.5..1.0).contains(&scaled[0].abs()), "{value}: {scaled:?}");
            assert_eq!(shift(scaled[0], exponent), value);
        }
        assert_eq!(Sample::new(&[0.0, 3.0]).unwrap().scaled().1, 0);
    }

    #[test]
    fn a_tail_is_a_probability() {
        for alpha in [0.0, 1.0, -0.1, f64::NAN, f64::INFINITY] {
            assert!(Tail::new(alpha).is_err(), "{alpha}");
        }
        assert_eq!(Tail::new(0.05).unwrap().alpha(), 0.05);
    }
}
