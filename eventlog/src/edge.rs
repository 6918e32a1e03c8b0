//! A breaker on an outgoing edge: a service that fails or dawdles is left alone for a while.
//!
//! resilience4j's vocabulary: a time-based window of whole seconds, a failure rate, a rate of slow calls, a wait
//! while open, and permitted calls while half open. Pure: the time is an argument.

use std::time::Duration;

/// When an edge is left alone.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeParameters {
    /// How far back calls count: whole seconds, at least one.
    pub window: Duration,
    /// Fewer calls than this within the window open nothing.
    pub minimum_calls: u32,
    /// Opens at this share of failed calls, 0 to 1.
    pub failure_rate: f64,
    /// A call that took at least so long is slow.
    pub slow_call: Duration,
    /// Opens at this share of slow calls, 0 to 1.
    pub slow_rate: f64,
    /// How long it stays open.
    pub wait: Duration,
    /// How many calls it then lets through to find out.
    pub permitted: u32,
}

impl Default for EdgeParameters {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(30),
            minimum_calls: 3,
            failure_rate: 0.5,
            slow_call: Duration::from_secs(1),
            slow_rate: 0.8,
            wait: Duration::from_secs(5),
            permitted: 2,
        }
    }
}

/// What happened to some calls.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    calls: u32,
    failed: u32,
    slow: u32,
}

impl Tally {
    fn add(&mut self, failed: bool, slow: bool) {
        self.calls += 1;
        self.failed += u32::from(failed);
        self.slow += u32::from(slow);
    }

    fn too_bad(&self, parameters: &EdgeParameters) -> bool {
        let share = |part: u32| f64::from(part) / f64::from(self.calls.max(1));
        share(self.failed) >= parameters.failure_rate || share(self.slow) >= parameters.slow_rate
    }
}

#[derive(Debug)]
enum State {
    Closed,
    /// No call before this.
    Open(Duration),
    /// What the permitted calls found, and how many were let through.
    HalfOpen(Tally, u32),
}

/// The state of one edge. Times count from any fixed instant and never go back.
#[derive(Debug)]
pub struct EdgeBreaker {
    parameters: EdgeParameters,
    /// A tally a second, each with the second that it is of: as many as the window has.
    seconds: Vec<(u64, Tally)>,
    state: State,
}

impl EdgeBreaker {
    /// A closed breaker.
    pub fn new(parameters: EdgeParameters) -> Self {
        let seconds = usize::try_from(parameters.window.as_secs()).unwrap_or(usize::MAX).clamp(1, 3600);
        Self { parameters, seconds: vec![(0, Tally::default()); seconds], state: State::Closed }
    }

    /// Whether a call may be made now; if not, how long to leave the edge alone.
    ///
    /// # Errors
    /// The time left until a call is permitted.
    pub fn permit(&mut self, now: Duration) -> Result<(), Duration> {
        match &mut self.state {
            State::Closed => Ok(()),
            State::Open(until) if now < *until => Err(until.saturating_sub(now)),
            State::Open(_) => {
                self.state = State::HalfOpen(Tally::default(), 1);
                Ok(())
            }
            State::HalfOpen(_, let_through) if *let_through < self.parameters.permitted => {
                *let_through += 1;
                Ok(())
            }
            State::HalfOpen(..) => Err(self.parameters.slow_call),
        }
    }

    /// Notes how a permitted call ended, and when. True if that opened or closed the breaker.
    pub fn note(&mut self, now: Duration, took: Duration, failed: bool) -> bool {
        let slow = took >= self.parameters.slow_call;
        match &mut self.state {
            State::Open(_) => false,
            State::Closed => {
                let second = now.as_secs();
                let count = self.seconds.len() as u64;
                let slot = &mut self.seconds[(second % count) as usize];
                if slot.0 != second {
                    *slot = (second, Tally::default());
                }
                slot.1.add(failed, slow);
                let recent = self.within(second);
                if recent.calls < self.parameters.minimum_calls || !recent.too_bad(&self.parameters) {
                    return false;
                }
                self.state = State::Open(now + self.parameters.wait);
                true
            }
            State::HalfOpen(tally, _) => {
                tally.add(failed, slow);
                if tally.calls < self.parameters.permitted {
                    return false;
                }
                if tally.too_bad(&self.parameters) {
                    self.state = State::Open(now + self.parameters.wait);
                } else {
                    self.state = State::Closed;
                    self.seconds.fill((0, Tally::default()));
                }
                true
            }
        }
    }

    /// True while calls are refused, or let through to find out.
    pub fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed)
    }

    fn within(&self, second: u64) -> Tally {
        let first = second.saturating_sub(self.seconds.len() as u64 - 1);
        let recent = self.seconds.iter().filter(|(of, _)| (first..=second).contains(of));
        recent.fold(Tally::default(), |all, (_, tally)| Tally {
            calls: all.calls + tally.calls,
            failed: all.failed + tally.failed,
            slow: all.slow + tally.slow,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn breaker() -> EdgeBreaker {
        EdgeBreaker::new(EdgeParameters { window: ms(10_000), minimum_calls: 4, ..EdgeParameters::default() })
    }

    #[test]
    fn it_opens_at_the_rate_and_not_before_the_minimum() {
        let mut edge = breaker();
        for at in 0..3 {
            assert!(!edge.note(ms(at * 100), ms(1), true));
            assert_eq!(edge.permit(ms(at * 100)), Ok(()));
        }
        assert!(edge.note(ms(400), ms(1), false), "three of four failed");
        assert_eq!(edge.permit(ms(400)), Err(ms(5_000)));
        assert_eq!(edge.permit(ms(5_399)), Err(ms(1)));
        assert!(edge.is_open());
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let mut edge = breaker();
        for _ in 0..3 {
            edge.note(ms(500), ms(1), true);
        }
        assert!(!edge.note(ms(10_500), ms(1), true), "ten seconds later the three are forgotten");
        assert!(!edge.note(ms(10_600), ms(1), true));
        assert!(!edge.note(ms(10_700), ms(1), true));
        assert!(edge.note(ms(10_800), ms(1), true));
    }

    #[test]
    fn slow_calls_open_it_though_they_succeed() {
        let mut edge = breaker();
        for at in 0..3 {
            assert!(!edge.note(ms(at), ms(1_000), false));
        }
        assert!(edge.note(ms(4), ms(1_000), false));
    }

    #[test]
    fn half_open_lets_a_few_through_and_they_decide() {
        for (failed, open) in [(true, true), (false, false)] {
            let mut edge = breaker();
            for at in 0..4 {
                edge.note(ms(at), ms(1), true);
            }
            assert_eq!(edge.permit(ms(6_000)), Ok(()));
            assert_eq!(edge.permit(ms(6_000)), Ok(()));
            assert!(edge.permit(ms(6_000)).is_err(), "two are permitted");
            assert!(!edge.note(ms(6_001), ms(1), failed));
            assert!(edge.note(ms(6_002), ms(1), failed));
            assert_eq!(edge.is_open(), open);
            assert_eq!(edge.permit(ms(6_003)).is_err(), open);
        }
    }
}
