//! The clocks of a time zone: a table of how far they are ahead of UTC.

use tapewatch_schemas::Time;

/// Microseconds of a day by clocks that are not changed in it.
pub(super) const DAY: i64 = 86_400_000_000;

/// How far a zone's clocks are ahead of UTC, in seconds, from each instant on; rising. Before the first, and if there is
/// none, they show UTC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks<'a>(pub(super) &'a [(Time, i32)]);

impl Clocks<'_> {
    /// What they show, microseconds since their 1970-01-01T00:00.
    pub(super) fn show(self, at: Time) -> i64 {
        at.micros().saturating_add(self.ahead(self.span_of(at)))
    }

    /// The first instant at which they show this or, where they are put forward over it, something later.
    pub(super) fn first(self, shown: i64) -> Time {
        // Clocks are put forward and back by less than a day, so two spans before are early enough.
        let first = self.span_of(Time(shown)).saturating_sub(2);
        let in_span = |span: usize| {
            let begins = if span == 0 { Time::MIN } else { self.0[span - 1].0 };
            let at = Time(shown.saturating_sub(self.ahead(span))).max(begins);
            self.0.get(span).is_none_or(|(ends, _)| at < *ends).then_some(at)
        };
        (first..=self.0.len()).find_map(in_span).unwrap_or(Time::MAX)
    }

    /// The span between two changes of the clocks that holds an instant: 0 is before the first.
    fn span_of(self, at: Time) -> usize {
        self.0.partition_point(|(from, _)| *from <= at)
    }

    /// How far they are ahead of UTC in a span, microseconds.
    fn ahead(self, span: usize) -> i64 {
        span.checked_sub(1).map_or(0, |at| i64::from(self.0[at].1) * 1_000_000)
    }
}
