//! Failures of one round in a row: how long to wait before it is tried again, and when that is no use.

use std::time::Duration;

use tapewatch_eventlog::CommitError;

/// What has gone wrong with a round so far.
#[derive(Debug, Default)]
pub(super) struct Failures {
    last: String,
    equal: u32,
    all: u32,
}

impl Failures {
    /// So many equal failures in a row will not pass by waiting.
    const EQUAL: u32 = 3;
    /// Nor will so many different ones: about 80 seconds of them.
    const ALL: u32 = 20;
    /// The least wait; twice as long each time.
    const FIRST: Duration = Duration::from_millis(20);
    /// The longest.
    const LONGEST: Duration = Duration::from_secs(5);

    /// One more. How long to wait before the round is tried again; none if it is given up, at once if the
    /// worker is stopping and they are too many for that.
    pub(super) fn note(&mut self, error: &CommitError, stopping: bool) -> Option<Duration> {
        let text = error.to_string();
        self.equal = if text == self.last { self.equal + 1 } else { 1 };
        self.all += 1;
        self.last = text;
        let most = if stopping { Self::EQUAL } else { Self::ALL };
        if self.equal >= Self::EQUAL || self.all >= most {
            return None;
        }
        Some(Self::FIRST.saturating_mul(1 << (self.all - 1).min(16)).min(Self::LONGEST))
    }

    /// How often it failed: in the same way, or at all if the ways differ.
    pub(super) fn times(&self) -> u32 {
        if self.equal >= Self::EQUAL { self.equal } else { self.all }
    }
}

#[cfg(test)]
mod tests {
    use tapewatch_eventlog::LogError;

    use super::*;

    fn failure(why: &str) -> CommitError {
        CommitError::Aborted(LogError::Unreachable { log: "kafka:x".into(), why: why.into() })
    }

    #[test]
    fn the_third_equal_failure_is_the_last() {
        let mut failures = Failures::default();
        let waits = ["a", "b", "b", "b"].map(|why| failures.note(&failure(why), false));
        let ms = |ms| Some(Duration::from_millis(ms));
        assert_eq!(waits, [ms(20), ms(40), ms(80), None]);
        assert_eq!(failures.times(), 3);
    }

    #[test]
    fn different_failures_wait_longer_up_to_a_bound_and_end() {
        let mut failures = Failures::default();
        let waits: Vec<_> = (0..30).map_while(|n| failures.note(&failure(&n.to_string()), false)).collect();
        assert_eq!(waits.len(), 19);
        assert_eq!(waits.last(), Some(&Duration::from_secs(5)));
        assert!(waits.is_sorted() && waits.iter().sum::<Duration>() < Duration::from_secs(90));
        assert_eq!(failures.times(), 20);
    }

    #[test]
    fn a_worker_that_stops_does_not_wait_for_long() {
        let mut failures = Failures::default();
        let waits: Vec<_> = (0..30).map_while(|n| failures.note(&failure(&n.to_string()), true)).collect();
        assert_eq!(waits.len(), 2);
    }
}
