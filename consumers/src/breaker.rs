//! The circuit breaker of a source partition: a count-based window, in resilience4j's vocabulary.
//!
//! It is part of a task's state, so it is restored as it was. Only records move it, and the injected
//! events that say when it opened and closed; what happens in between (waiting, half-open probing) is the
//! live runtime's and leaves no trace but those events.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tapewatch_schemas::Time;

/// When a breaker opens and closes.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerParameters {
    /// How many of the last records are looked at; at most 64.
    pub window: u32,
    /// No verdict before this many.
    pub minimum_calls: u32,
    /// It opens at this share of failures, 0 to 1.
    pub failure_rate: f64,
    /// How long it stays open before it probes.
    pub wait: Duration,
    /// So many good records in a row close it.
    pub permitted: u32,
    /// A probe looks at most at so many records ahead.
    pub probe_limit: u64,
}

impl Default for BreakerParameters {
    fn default() -> Self {
        Self {
            window: 20,
            minimum_calls: 10,
            failure_rate: 0.5,
            wait: Duration::from_secs(30),
            permitted: 10,
            probe_limit: 1_000_000,
        }
    }
}

/// A breaker's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// The last records, a bit each: 1 is a failure; the youngest is bit 0.
    failures: u64,
    /// How many bits count.
    calls: u32,
    /// Set while it is open: when it opened.
    open_since: Option<Time>,
    /// Bad records below this offset are listed in a range letter already: they count no more.
    excused_to: i64,
}

impl Breaker {
    /// Counts a record. True if the breaker must open now.
    pub fn count(&mut self, failed: bool, offset: i64, parameters: &BreakerParameters) -> bool {
        if self.open_since.is_some() || offset < self.excused_to {
            return false;
        }
        let window = parameters.window.clamp(1, 64);
        let mask = if window == 64 { u64::MAX } else { (1 << window) - 1 };
        self.failures = ((self.failures << 1) | u64::from(failed)) & mask;
        self.calls = (self.calls + 1).min(window);
        failed
            && self.calls >= parameters.minimum_calls.min(window)
            && f64::from(self.failed()) >= parameters.failure_rate * f64::from(self.calls)
    }

    /// It opens.
    pub fn open(&mut self, since: Time) {
        self.open_since = Some(since);
    }

    /// It closes. Bad records below `excused_to` no longer count.
    pub fn close(&mut self, excused_to: i64) {
        *self = Self { excused_to, ..Self::default() };
    }

    /// When it opened; none while it is closed.
    pub fn open_since(&self) -> Option<Time> {
        self.open_since
    }

    /// True if a bad record at this offset stands in a range letter already.
    pub fn excuses(&self, offset: i64) -> bool {
        offset < self.excused_to
    }

    /// Failures in the window.
    pub fn failed(&self) -> u32 {
        self.failures.count_ones()
    }

    /// Records in the window.
    pub fn calls(&self) -> u32 {
        self.calls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> BreakerParameters {
        BreakerParameters { window: 8, minimum_calls: 4, failure_rate: 0.5, ..BreakerParameters::default() }
    }

    #[test]
    fn opens_at_the_rate_and_not_before_enough_calls() {
        let mut breaker = Breaker::default();
        let p = parameters();
        assert!(!breaker.count(true, 0, &p));
        assert!(!breaker.count(true, 1, &p));
        assert!(!breaker.count(true, 2, &p));
        assert!(breaker.count(true, 3, &p));
    }

    #[test]
    fn a_failure_now_and_then_never_opens_it() {
        let mut breaker = Breaker::default();
        let p = parameters();
        for offset in 0..1000 {
            assert!(!breaker.count(offset % 4 == 1, offset, &p), "offset {offset}");
        }
    }

    #[test]
    fn excused_records_do_not_count() {
        let mut breaker = Breaker::default();
        let p = parameters();
        breaker.open(Time(1));
        breaker.close(100);
        assert!((0..100).all(|offset| !breaker.count(true, offset, &p)));
        assert_eq!(breaker.calls(), 0);
        assert!((100..103).all(|offset| !breaker.count(true, offset, &p)));
        assert!(breaker.count(true, 103, &p));
    }
}
