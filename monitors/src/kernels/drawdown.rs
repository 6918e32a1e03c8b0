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
    fn more_than_everything_can_be_lost() {
        let mut drawdown = Drawdown::default();
        drawdown.push(100.0);
        drawdown.push(-10.0);
        assert_eq!(drawdown.current(), 1.1);
    }
}
