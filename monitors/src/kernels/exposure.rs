//! What a book is exposed to.

use super::concentration::{Concentration, concentration};
use super::sample::{Sample, SampleError, finite};

/// Sums over the values of positions, and how they are shared out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exposure {
    /// The sum of the positive values, 0 or more.
    pub long: f64,
    /// The sum of the negative ones, 0 or less.
    pub short: f64,
    /// long − short.
    pub gross: f64,
    /// long + short.
    pub net: f64,
    /// Shares of the gross exposure.
    pub concentration: Concentration,
}

impl Exposure {
    /// Of positions with these values, short ones negative.
    ///
    /// # Errors
    /// A sum is beyond what a double holds.
    pub fn of(values: Sample<'_>) -> Result<Self, SampleError> {
        let (mut long, mut short) = (0.0, 0.0);
        for value in values.values() {
            if *value > 0.0 { long += value } else { short += value }
        }
        let gross = finite(long - short, "the gross exposure")?;
        // Shares do not depend on size, and squares of scaled values stay in range.
        let (scaled, _) = values.scaled();
        let shares = concentration(scaled.iter().copied());
        Ok(Self { long, short, gross, net: long + short, concentration: Concentration { gross, ..shares } })
    }

    /// As many equal positions would be as concentrated: 1 / Herfindahl; 0 for an empty book.
    pub fn effective_positions(&self) -> f64 {
        let herfindahl = self.concentration.herfindahl;
        if herfindahl > 0.0 { 1.0 / herfindahl } else { 0.0 }
    }

    /// Gross and net exposure as multiples of the equity.
    ///
    /// # Errors
    /// The equity is not more than zero, or a multiple beyond what a double holds.
    pub fn leverage(&self, equity: f64) -> Result<(f64, f64), SampleError> {
        if !(equity.is_finite() && equity > 0.0) {
            return Err(SampleError::Parameter { name: "equity", value: equity, expected: "more than 0" });
        }
        Ok((finite(self.gross / equity, "leverage")?, finite(self.net / equity, "leverage")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_are_told_apart() {
        let exposure = Exposure::of(Sample::new(&[30.0, -10.0, 0.0]).unwrap()).unwrap();
        assert_eq!((exposure.long, exposure.short, exposure.gross, exposure.net), (30.0, -10.0, 40.0, 20.0));
        assert_eq!(exposure.leverage(80.0).unwrap(), (0.5, 0.25));
        assert_eq!(exposure.concentration.largest, 0.75);
        for equity in [0.0, -1.0, f64::NAN] {
            assert!(exposure.leverage(equity).is_err(), "{equity}");
        }
    }

    #[test]
    fn an_empty_book_and_a_huge_one() {
        let empty = Exposure::of(Sample::new(&[0.0]).unwrap()).unwrap();
        assert_eq!((empty.gross, empty.effective_positions()), (0.0, 0.0));
        let huge = Exposure::of(Sample::new(&[1e307, -1e307]).unwrap()).unwrap();
        assert_eq!((huge.concentration.herfindahl, huge.effective_positions()), (0.5, 2.0));
        assert!(Exposure::of(Sample::new(&[f64::MAX, -f64::MAX]).unwrap()).is_err());
    }
}
