//! The largest drawdown within a trailing stretch of time, in bounded memory.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// How many spans a window has.
const SPANS: i64 = 30;

/// The largest drawdown of a series of values within a window of time, incrementally: what came before is forgotten, its
/// highest values too, but for the value that was in force when the window began.
///
/// Time is cut into spans of a thirtieth of the window. A window reaches back to the beginning of a span: by its length at
/// least, and by a thirtieth more at most. Of that stretch the drawdown is exact, since of each span its highest and lowest value
/// and its own largest drawdown are known. At most 31 spans are kept; a value more costs O(1), the figure O(31).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrailingDrawdown {
    /// Of a span.
    width: i64,
    /// Those in which a value came, rising.
    spans: VecDeque<Span>,
    /// The value that was in force when the first of them began; none if there was none.
    before: Option<f64>,
}

/// The values that came in one span.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Span {
    /// Its beginning is so many widths after zero.
    index: i64,
    peak: f64,
    trough: f64,
    last: f64,
    /// The largest drawdown from a peak of its own.
    largest: f64,
}

/// The loss from a peak to a value as a share of the peak; nothing from one that is not above zero.
fn loss(peak: f64, value: f64) -> f64 {
    if peak > 0.0 { ((peak - value) / peak).max(0.0) } else { 0.0 }
}

impl TrailingDrawdown {
    /// Over a window of this length, in any unit of time; at least 30 of them.
    pub fn new(window: i64) -> Self {
        Self { width: (window / SPANS).max(1), spans: VecDeque::new(), before: None }
    }

    /// The same after this value was in force.
    pub fn after(window: i64, before: Option<f64>) -> Self {
        Self { before, ..Self::new(window) }
    }

    /// True if its window is of this length.
    pub fn is_over(&self, window: i64) -> bool {
        self.width == Self::new(window).width
    }

    /// The first span of the window that ends at `now`.
    fn first(&self, now: i64) -> i64 {
        now.div_euclid(self.width) - SPANS
    }

    /// Takes the value that is in force from `now` on, which is no earlier than the one before.
    pub fn push(&mut self, value: f64, now: i64) {
        let (index, first) = (now.div_euclid(self.width), self.first(now));
        while let Some(old) = self.spans.front().copied().filter(|span| span.index < first) {
            self.before = Some(old.last);
            self.spans.pop_front();
        }
        match self.spans.back_mut() {
            Some(span) if span.index >= index => {
                span.peak = span.peak.max(value);
                span.trough = span.trough.min(value);
                span.largest = span.largest.max(loss(span.peak, value));
                span.last = value;
            }
            _ => self.spans.push_back(Span { index, peak: value, trough: value, last: value, largest: 0.0 }),
        }
    }

    /// Money came in or went out: the value jumps from `before` to `after` and no drawdown must. All values known move in
    /// proportion; if there was nothing before, or nothing is left, they are forgotten.
    pub fn flow(&mut self, before: f64, after: f64) {
        let ratio = after / before;
        if !(before > 0.0 && after > 0.0 && ratio.is_finite()) {
            self.spans.clear();
            self.before = None;
            return;
        }
        // Beyond what a double holds is the largest one.
        let moved = |value: f64| (value * ratio).min(f64::MAX);
        self.before = self.before.map(moved);
        for span in &mut self.spans {
            (span.peak, span.trough, span.last) = (moved(span.peak), moved(span.trough), moved(span.last));
        }
    }

    /// The largest loss from an earlier value within the window that ends at `now`, as a share of that value, 0 or more.
    pub fn largest(&self, now: i64) -> f64 {
        let first = self.first(now);
        let (mut peak, mut largest) = (self.before, 0.0_f64);
        for span in &self.spans {
            if span.index < first {
                peak = Some(span.last);
                continue;
            }
            largest = largest.max(span.largest);
            // Without an earlier value its lowest may have come before its highest.
            if let Some(earlier) = peak {
                largest = largest.max(loss(earlier, span.trough));
            }
            peak = Some(peak.map_or(span.peak, |earlier| earlier.max(span.peak)));
        }
        largest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::{Sample, drawdown_profile};

    #[test]
    fn what_the_window_has_left_behind_is_forgotten() {
        let mut trailing = TrailingDrawdown::new(300);
        assert_eq!(trailing.largest(0), 0.0);
        for (now, value, expected) in [
            (0, 100.0, 0.0),
            (5, 80.0, 0.2),
            (100, 90.0, 0.2),
            (300, 90.0, 0.2),
            (309, 90.0, 0.2),
            (310, 90.0, 0.0),
            (320, 72.0, 0.2),
        ] {
            trailing.push(value, now);
            assert!((trailing.largest(now) - expected).abs() < 1e-15, "{now}");
        }
        // 90 was in force until 320; without a further value the fall is left behind with its span.
        assert!(trailing.largest(629) > 0.19);
        assert_eq!(trailing.largest(630), 0.0);
    }

    #[test]
    fn a_rise_within_the_first_span_is_no_drawdown() {
        let mut trailing = TrailingDrawdown::new(300);
        trailing.push(1.0, 0);
        trailing.push(2.0, 0);
        assert_eq!(trailing.largest(0), 0.0);
    }

    #[test]
    fn the_value_in_force_when_the_window_begins_counts() {
        let mut trailing = TrailingDrawdown::new(300);
        trailing.push(100.0, 0);
        trailing.push(75.0, 5_000);
        assert_eq!(trailing.largest(5_000), 0.25);
    }

    #[test]
    fn flows_are_no_drawdown_and_without_money_it_begins_anew() {
        let mut trailing = TrailingDrawdown::new(300);
        trailing.push(100.0, 0);
        trailing.push(90.0, 10);
        trailing.flow(90.0, 9.0);
        trailing.push(9.0, 20);
        assert!((trailing.largest(20) - 0.1).abs() < 1e-15);
        trailing.flow(9.0, 0.0);
        trailing.push(0.0, 30);
        assert_eq!(trailing.largest(30), 0.0);
    }

    #[test]
    fn a_peak_beyond_what_a_double_holds_is_the_largest_one() {
        let mut trailing = TrailingDrawdown::new(300);
        trailing.push(1e300, 0);
        trailing.push(1e-6, 1);
        trailing.flow(1e-6, 1e9);
        trailing.push(1e9, 2);
        assert_eq!(trailing.largest(2), 1.0);
        assert_eq!(trailing.spans[0].peak, f64::MAX);
    }

    proptest! {
        #[test]
        fn it_is_the_largest_of_the_stretch_from_scratch(
            steps in prop::collection::vec((0_i64..200, 1_i32..1000), 1..150), later in 0_i64..400,
        ) {
            let mut trailing = TrailingDrawdown::new(600);
            let (mut now, mut values) = (0, Vec::new());
            for (after, value) in steps {
                now += after;
                trailing.push(f64::from(value), now);
                values.push((now, f64::from(value)));
            }
            let now = now + later;
            let begins = (now.div_euclid(20) - 30) * 20;
            let early = values.iter().take_while(|(at, _)| *at < begins).count();
            let within: Vec<f64> = values[early.saturating_sub(1)..].iter().map(|(_, value)| *value).collect();
            let scratch = drawdown_profile(Sample::new(&within).unwrap()).unwrap().largest;
            prop_assert_eq!(trailing.largest(now), scratch);
            prop_assert!(trailing.spans.len() <= 31);
        }
    }
}
