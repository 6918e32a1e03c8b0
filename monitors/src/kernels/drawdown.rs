//! Drawdown: the loss from the highest point so far.

use serde::{Deserialize, Serialize};

/// Current and largest drawdown of a series of values, incrementally.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drawdown {
    peak: Option<f64>,
    current: f64,
    largest: f64,
}

impl Drawdown {
    /// Takes the next value.
    pub fn push(&mut self, value: f64) {
        let peak = self.peak.map_or(value, |peak| if value > peak { value } else { peak });
        self.peak = Some(peak);
        // Without a positive peak there is nothing to lose a share of.
        self.current = if peak > 0.0 { (peak - value) / peak } else { 0.0 };
        if self.current > self.largest {
            self.largest = self.current;
        }
    }

    /// Money came in or went out: the value jumps from `before` to `after` and the drawdown must not.
    ///
    /// The peak moves in proportion, which is what a fund's price per unit does (the time-weighted
    /// return). If there was nothing before, or nothing is left, the count of the current drawdown starts
    /// anew; the largest stays.
    pub fn flow(&mut self, before: f64, after: f64) {
        self.peak = match self.peak {
            Some(peak) if before > 0.0 && after > 0.0 => Some(peak * (after / before)),
            _ => None,
        };
    }

    /// The loss from the peak as a share of it, 0 or more; over 1 if the value is below zero.
    pub fn current(&self) -> f64 {
        self.current
    }

    /// The largest of all [`Drawdown::current`].
    pub fn largest(&self) -> f64 {
        self.largest
    }

    /// The highest value so far, moved by flows; none before the first value.
    pub fn peak(&self) -> Option<f64> {
        self.peak
    }
}

/// What a whole series of values says about its drawdowns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DrawdownProfile {
    /// The largest loss from a peak as a share of it, 0 or more.
    pub largest: f64,
    /// Where the largest began: the first place of its peak.
    pub peak: usize,
    /// Where it was largest.
    pub trough: usize,
    /// The first place after the trough that is at its peak's height again, if there is one.
    pub recovery: Option<usize>,
    /// The loss at the end.
    pub current: f64,
    /// The ulcer index: the root of the mean of the squared losses (Martin and McCann, "The Investor's Guide
    /// to Fidelity Funds", 1989), as a fraction; over the values after the first, which has none to have.
    pub ulcer: f64,
}

/// The drawdowns of a series of wealth or equity. None if there is no value.
pub fn drawdown_profile(values: &[f64]) -> Option<DrawdownProfile> {
    let mut running = Drawdown::default();
    let (mut best, mut peak, mut trough, mut squares) = (0, 0, 0, 0.0);
    for (place, value) in values.iter().enumerate() {
        let (before, largest) = (running.peak, running.largest);
        running.push(*value);
        if running.peak != before {
            best = place;
        }
        if running.largest > largest {
            (peak, trough) = (best, place);
        }
        squares += running.current * running.current;
    }
    let height = *values.get(peak)?;
    Some(DrawdownProfile {
        largest: running.largest,
        peak,
        trough,
        recovery: (trough + 1..values.len()).find(|place| values[*place] >= height),
        current: running.current,
        ulcer: libm::sqrt(squares / (values.len() - 1).max(1) as f64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_withdrawal_is_no_drawdown() {
        let mut drawdown = Drawdown::default();
        drawdown.push(100.0);
        drawdown.push(90.0);
        assert_eq!(drawdown.current(), 0.1);
        drawdown.flow(90.0, 45.0);
        drawdown.push(45.0);
        assert!((drawdown.current() - 0.1).abs() < 1e-15);
        drawdown.flow(45.0, 450.0);
        drawdown.push(450.0);
        assert!((drawdown.current() - 0.1).abs() < 1e-15);
        assert!((drawdown.largest() - 0.1).abs() < 1e-15);
    }

    #[test]
    fn an_emptied_account_starts_anew() {
        let mut drawdown = Drawdown::default();
        drawdown.push(100.0);
        drawdown.flow(100.0, 0.0);
        drawdown.push(0.0);
        assert_eq!(drawdown.current(), 0.0);
        drawdown.flow(0.0, 50.0);
        drawdown.push(50.0);
        assert_eq!((drawdown.current(), drawdown.peak()), (0.0, Some(50.0)));
    }

    #[test]
    fn a_series_is_profiled() {
        let profile = drawdown_profile(&[1.0, 2.0, 1.0, 2.0, 1.5]).unwrap();
        let ulcer = libm::sqrt((0.25 + 0.0625) / 4.0);
        let expected =
            DrawdownProfile { largest: 0.5, peak: 1, trough: 2, recovery: Some(3), current: 0.25, ulcer };
        assert_eq!(profile, expected);
        assert_eq!(drawdown_profile(&[]), None);
        assert_eq!(drawdown_profile(&[3.0, 4.0]).unwrap().recovery, Some(1));
    }

    #[test]
    fn more_than_everything_can_be_lost() {
        let mut drawdown = Drawdown::default();
        drawdown.push(100.0);
        drawdown.push(-10.0);
        assert_eq!(drawdown.current(), 1.1);
    }
}
