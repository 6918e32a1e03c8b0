//! Drawdown: the loss from the highest point so far.

use serde::{Deserialize, Serialize};

use super::sample::{Sample, SampleError, finite};

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
            // At its peak it stays there, to the last bit.
            Some(peak) if before > 0.0 && after > 0.0 && peak == before => Some(after),
            // From a peak beyond what a double holds all but nothing is left, as from the largest one.
            Some(peak) if before > 0.0 && after > 0.0 => Some((peak * (after / before)).min(f64::MAX)),
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
    /// How many values at the end lie below the peak before them: 0 at a new high.
    pub under_water: usize,
    /// The most values in a row that did.
    pub longest_under_water: usize,
    /// The ulcer index: the root of the mean of the squared losses (Martin and McCann, "The Investor's Guide
    /// to Fidelity Funds", 1989), as a fraction; over the values after the first, which has none to have.
    pub ulcer: f64,
}

/// The drawdowns of a series of wealth or equity, in order of time.
///
/// # Errors
/// A loss is beyond what a double holds.
pub fn drawdown_profile(values: Sample<'_>) -> Result<DrawdownProfile, SampleError> {
    let values = values.values();
    let mut running = Drawdown::default();
    let (mut best, mut peak, mut trough, mut squares) = (0, 0, 0, 0.0);
    let (mut under_water, mut longest_under_water) = (0, 0);
    for (place, value) in values.iter().enumerate() {
        let (before, largest) = (running.peak, running.largest);
        running.push(*value);
        if running.peak != before {
            best = place;
        }
        if running.largest > largest {
            (peak, trough) = (best, place);
        }
        under_water = if running.current > 0.0 { under_water + 1 } else { 0 };
        longest_under_water = longest_under_water.max(under_water);
        squares += running.current * running.current;
    }
    let height = values[peak];
    Ok(DrawdownProfile {
        largest: finite(running.largest, "the drawdown")?,
        peak,
        trough,
        recovery: (trough + 1..values.len()).find(|place| values[*place] >= height),
        current: finite(running.current, "the drawdown")?,
        under_water,
        longest_under_water,
        ulcer: finite(libm::sqrt(squares / (values.len() - 1).max(1) as f64), "the ulcer index")?,
    })
}

/// The largest drawdown within the last `window` values (all, if there are fewer): what came before them is
/// forgotten, their highest values too.
///
/// # Errors
/// The window is empty, or a loss beyond what a double holds.
pub fn trailing_drawdown(values: Sample<'_>, window: usize) -> Result<f64, SampleError> {
    if window == 0 {
        return Err(SampleError::Parameter { name: "window", value: 0.0, expected: "at least 1 value" });
    }
    let last = &values.values()[values.len().saturating_sub(window)..];
    Ok(drawdown_profile(Sample::new(last)?)?.largest)
}

/// What 1 becomes at these simple returns, compounded: one value more than there are returns, 1 the first.
///
/// # Errors
/// A return is below −1, which is more than there is to lose, or the wealth beyond what a double holds.
pub fn wealth(returns: Sample<'_>) -> Result<Vec<f64>, SampleError> {
    let mut values = Vec::with_capacity(returns.len() + 1);
    let mut value = 1.0;
    values.push(value);
    for (place, r) in returns.values().iter().enumerate() {
        if *r < -1.0 {
            let expected = "−1 or more: nothing is left to compound after that";
            return Err(SampleError::Value { what: "return", place: place + 1, value: *r, expected });
        }
        value = finite(value * (1.0 + r), "the wealth")?;
        values.push(value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deposit_at_the_peak_leaves_it_there_to_the_last_bit() {
        let mut drawdown = Drawdown::default();
        drawdown.push(168_976.80);
        drawdown.flow(168_976.80, 199_778.92);
        drawdown.push(199_778.92);
        assert_eq!(drawdown.current(), 0.0);
    }

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
    fn a_peak_beyond_what_a_double_holds_is_the_largest_one() {
        let mut drawdown = Drawdown::default();
        drawdown.push(1e300);
        drawdown.push(1e-6);
        for _ in 0..2 {
            drawdown.flow(1e-6, 1e9);
            drawdown.push(1e9);
            assert_eq!(drawdown.current(), 1.0);
            drawdown.push(1e-6);
        }
        drawdown.flow(1e-300, 1e300);
        drawdown.push(1e200);
        assert_eq!((drawdown.current(), drawdown.peak()), (1.0, Some(f64::MAX)));
    }

    #[test]
    fn a_series_is_profiled() {
        let of = |values: &[f64]| drawdown_profile(Sample::new(values).unwrap()).unwrap();
        let expected = DrawdownProfile {
            largest: 0.5,
            peak: 1,
            trough: 2,
            recovery: Some(3),
            current: 0.25,
            under_water: 1,
            longest_under_water: 1,
            ulcer: libm::sqrt((0.25 + 0.0625) / 4.0),
        };
        assert_eq!(of(&[1.0, 2.0, 1.0, 2.0, 1.5]), expected);
        assert_eq!(of(&[3.0, 4.0]).recovery, Some(1));
        let long = of(&[4.0, 3.0, 2.0, 3.0, 4.0, 3.0, 3.5]);
        assert_eq!((long.under_water, long.longest_under_water), (2, 3));
    }

    #[test]
    fn a_window_forgets_what_was_before_it() {
        let values = [10.0, 5.0, 8.0, 6.0];
        let of = |window| trailing_drawdown(Sample::new(&values).unwrap(), window);
        assert_eq!((of(4), of(99), of(2), of(1)), (Ok(0.5), Ok(0.5), Ok(0.25), Ok(0.0)));
        assert!(of(0).is_err());
    }

    #[test]
    fn returns_compound_and_no_more_than_all_is_lost() {
        assert_eq!(wealth(Sample::new(&[1.0, -0.5, -1.0]).unwrap()).unwrap(), [1.0, 2.0, 1.0, 0.0]);
        let refused = wealth(Sample::new(&[0.0, -1.5]).unwrap());
        assert!(matches!(refused, Err(SampleError::Value { place: 2, .. })), "{refused:?}");
        assert!(matches!(wealth(Sample::new(&[1e300, 1e300]).unwrap()), Err(SampleError::Overflow { .. })));
    }

    #[test]
    fn more_than_everything_can_be_lost() {
        let mut drawdown = Drawdown::default();
        drawdown.push(100.0);
        drawdown.push(-10.0);
        assert_eq!(drawdown.current(), 1.1);
    }
}
