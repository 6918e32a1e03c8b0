//! How long a window is: so many observations, or a stretch of time.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tapewatch_schemas::Time;

use super::parameters::Sampling;

/// So many fills are kept of a stretch of time at most, in which there may be any number.
const FILLS: usize = 1_000_000;

/// How long a window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WindowLength {
    /// The last so many: the oldest leaves.
    Observations(usize),
    /// Those of the last stretch of time: at an instant, what is of that stretch before it, or older, leaves. So what is
    /// taken at each boundary of an interval is as often in it as the interval is in the stretch.
    Span(Duration),
}

impl WindowLength {
    /// How many it holds at most, where there is one at each boundary of an interval: a part of an interval may have one.
    pub(super) fn most(self, interval: Duration) -> usize {
        match self {
            Self::Observations(count) => count,
            Self::Span(span) => {
                usize::try_from(span.as_nanos().div_ceil(interval.as_nanos().max(1))).unwrap_or(usize::MAX)
            }
        }
    }

    /// The same of changes that are taken by this.
    pub(super) fn most_by(self, sampling: Sampling) -> usize {
        match (self, sampling) {
            (_, Sampling::Every(interval)) => self.most(interval),
            (Self::Observations(count), Sampling::EachFill) => count,
            (Self::Span(_), Sampling::EachFill) => FILLS,
        }
    }

    /// What is no later than this is no longer in it at `now`; none of a count.
    pub(super) fn left_by(self, now: Time) -> Option<Time> {
        match self {
            Self::Observations(_) => None,
            Self::Span(span) => Some(now - span),
        }
    }
}

impl Default for WindowLength {
    fn default() -> Self {
        Self::Observations(500)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_holds_as_many_boundaries_as_can_be_in_it() {
        let day = Duration::from_secs(86_400);
        let days = WindowLength::Span(day * 3);
        assert_eq!((days.most(day), days.most(day * 2), days.most(day * 4)), (3, 2, 1));
        assert_eq!(WindowLength::Observations(7).most(day), 7);
        let at = |day: i64| Time::from_secs(86_400 * day);
        assert_eq!(days.left_by(at(10)), Some(at(7)));
        assert_eq!(WindowLength::Observations(7).left_by(at(10)), None);
    }
}
