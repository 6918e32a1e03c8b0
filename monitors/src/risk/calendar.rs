//! Times of the week: when a limit is in force.

use std::sync::Arc;
use std::time::Duration;

use tapewatch_schemas::Time;
use tapewatch_schemas::time::micros_of;

use super::zone::{Clocks, DAY};

/// How far ahead changes are looked for, in days: more than a week, of which one day's time may be skipped.
const LOOKED_AHEAD: i64 = 16;

/// A time of the week, by the clocks of a zone. A time that they skip is when they do, one they show twice is the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// The days on which it begins, Monday first.
    pub days: [bool; 7],
    /// From this time of day on, below 24 hours.
    pub from: Duration,
    /// Until this one, which does not belong to it: of the next day unless it is later than `from`. At most 24 hours.
    pub to: Duration,
    /// How far the zone's clocks are ahead of UTC, in seconds, from each instant on; rising. Before the first, and
    /// if there is none, they show UTC.
    pub offsets: Vec<(Time, i32)>,
}

/// When a limit is in force: during a time of the week, or outside of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The time of the week.
    pub calendar: Arc<Calendar>,
    /// True if it is in force at all other times.
    pub outside: bool,
}

impl Schedule {
    /// True if it says that the limit is in force.
    pub fn holds(&self, at: Time) -> bool {
        self.calendar.holds(at) != self.outside
    }

    /// The first instant after `after` from which on it says something else; none if it never does.
    pub fn next(&self, after: Time) -> Option<Time> {
        self.calendar.next(after)
    }
}

impl Calendar {
    /// True if an instant belongs to it.
    pub fn holds(&self, at: Time) -> bool {
        self.windows(at, 1).any(|(begins, ends)| begins <= at && at < ends)
    }

    /// The first instant after `after` at which it begins or ends; none if it never does.
    pub fn next(&self, after: Time) -> Option<Time> {
        let mut windows = self.windows(after, LOOKED_AHEAD).filter(|(_, ends)| *ends > after);
        let (begins, mut ends) = windows.next()?;
        if begins > after {
            return Some(begins);
        }
        for (next, later) in windows {
            if next > ends {
                return Some(ends);
            }
            ends = later;
        }
        // The days that were looked at end here; what reaches over all of them has no end.
        let last = Clocks(&self.offsets).show(ends) - Clocks(&self.offsets).show(after);
        (last < (LOOKED_AHEAD - 2) * DAY).then_some(ends)
    }

    /// Its stretches from two days before an instant until some days after it, rising; those that the clocks skip are
    /// none.
    fn windows(&self, around: Time, days_after: i64) -> impl Iterator<Item = (Time, Time)> + '_ {
        let clocks = Clocks(&self.offsets);
        let today = clocks.show(around).div_euclid(DAY);
        let (from, to) = (micros_of(self.from), micros_of(self.to));
        let length = if to > from { to - from } else { to - from + DAY };
        // 1970-01-01 was a Thursday.
        let on = |day: &i64| self.days[day.saturating_add(3).rem_euclid(7) as usize];
        (today.saturating_sub(2)..=today.saturating_add(days_after)).filter(on).filter_map(move |day| {
            let begins = day.saturating_mul(DAY).saturating_add(from);
            let window = (clocks.first(begins), clocks.first(begins.saturating_add(length)));
            (window.0 < window.1).then_some(window)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEKDAYS: [bool; 7] = [true, true, true, true, true, false, false];
    const ALL: [bool; 7] = [true; 7];

    fn time(text: &str) -> Time {
        Time::parse_rfc3339(text).unwrap()
    }

    /// New York in 2021: clocks were put forward on 14 March at 07:00 UTC, back on 7 November at 06:00 UTC.
    fn new_york(days: [bool; 7], from: u64, to: u64) -> Calendar {
        let offsets = vec![
            (time("2020-11-01T06:00:00Z"), -5 * 3600),
            (time("2021-03-14T07:00:00Z"), -4 * 3600),
            (time("2021-11-07T06:00:00Z"), -5 * 3600),
        ];
        let [from, to] = [from, to].map(|minutes| Duration::from_secs(minutes * 60));
        Calendar { days, from, to, offsets }
    }

    /// The changes from an instant on.
    fn changes(calendar: &Calendar, from: &str, count: usize) -> Vec<String> {
        let next = |at: &Time| calendar.next(*at);
        std::iter::successors(Some(time(from)), next).skip(1).take(count).map(|at| at.to_string()).collect()
    }

    #[test]
    fn a_session_leaves_out_nights_and_the_weekend() {
        let session = new_york(WEEKDAYS, 570, 960);
        // From Friday to Monday, over the night in which clocks are put forward.
        let expected =
            ["2021-03-12T21:00:00Z", "2021-03-15T13:30:00Z", "2021-03-15T20:00:00Z", "2021-03-16T13:30:00Z"];
        assert_eq!(changes(&session, "2021-03-12T15:00:00Z", 4), expected);
        for (at, holds) in [
            ("2021-03-12T14:29:59Z", false),
            ("2021-03-12T14:30:00Z", true),
            ("2021-03-12T20:59:59.999999Z", true),
            ("2021-03-12T21:00:00Z", false),
            ("2021-03-13T16:00:00Z", false),
            ("2021-03-15T13:30:00Z", true),
        ] {
            assert_eq!(session.holds(time(at)), holds, "{at}");
        }
    }

    #[test]
    fn what_ends_no_later_than_it_begins_goes_over_midnight() {
        // From Friday at five in the afternoon until Saturday at nine.
        let night = new_york([false, false, false, false, true, false, false], 1020, 540);
        let expected = ["2021-07-02T21:00:00Z", "2021-07-03T13:00:00Z", "2021-07-09T21:00:00Z"];
        assert_eq!(changes(&night, "2021-06-28T00:00:00Z", 3), expected);
        assert!(night.holds(time("2021-07-03T12:59:59Z")));
    }

    #[test]
    fn days_that_follow_one_another_are_one_stretch() {
        // Saturday and Sunday, whole; clocks are put back in that night.
        let weekend = new_york([false, false, false, false, false, true, true], 0, 0);
        let expected = ["2021-11-06T04:00:00Z", "2021-11-08T05:00:00Z", "2021-11-13T05:00:00Z"];
        assert_eq!(changes(&weekend, "2021-11-03T00:00:00Z", 3), expected);
        // The same from nine to nine, without an end.
        for from in [0, 90, 150, 540] {
            let always = new_york(ALL, from, from);
            assert_eq!(changes(&always, "2021-11-03T00:00:00Z", 1), [""; 0]);
            assert!(always.holds(time("2021-03-14T07:00:00Z")) && always.holds(time("2021-11-07T05:45:00Z")));
        }
    }

    #[test]
    fn times_that_clocks_skip_are_when_they_do_and_those_shown_twice_the_first() {
        // Ten past two is not there on 14 March, and no time until ten to three.
        let skipped = new_york(ALL, 130, 170);
        let expected = ["2021-03-13T07:10:00Z", "2021-03-13T07:50:00Z", "2021-03-15T06:10:00Z"];
        assert_eq!(changes(&skipped, "2021-03-13T00:00:00Z", 3), expected);
        // From half past one until half past three: an hour, since the other one is skipped.
        let cut = new_york(ALL, 90, 210);
        let expected = ["2021-03-14T06:30:00Z", "2021-03-14T07:30:00Z"];
        assert_eq!(changes(&cut, "2021-03-14T00:00:00Z", 2), expected);
        // 01:30 comes twice on 7 November: the first begins, and the second is inside.
        let twice = new_york(ALL, 90, 120);
        let expected = ["2021-11-07T05:30:00Z", "2021-11-07T07:00:00Z"];
        assert_eq!(changes(&twice, "2021-11-07T00:00:00Z", 2), expected);
    }

    #[test]
    fn every_change_is_a_change_and_there_is_none_between() {
        for (days, from, to) in [(WEEKDAYS, 570, 960), (ALL, 1020, 540), (WEEKDAYS, 0, 0), (ALL, 130, 170)] {
            let calendar = new_york(days, from, to);
            let mut at = time("2020-12-01T00:00:00Z");
            for _ in 0..800 {
                let next = calendar.next(at).unwrap();
                assert!(next > at, "{at}");
                assert_ne!(calendar.holds(next), calendar.holds(Time(next.0 - 1)), "{next}");
                // Every quarter of an hour between them is as the first instant.
                let mut between = at;
                while between < next {
                    assert_eq!(calendar.holds(between), calendar.holds(at), "{between}");
                    between = between + Duration::from_secs(900);
                }
                at = next;
            }
        }
    }

    #[test]
    fn the_ends_of_time_and_no_days_at_all_are_answered() {
        let session = new_york(WEEKDAYS, 570, 960);
        assert_eq!(session.next(Time::MAX), None);
        assert!(session.next(Time::MIN).is_none_or(|next| next > Time::MIN));
        let never = new_york([false; 7], 0, 0);
        assert_eq!((never.next(Time(0)), never.holds(Time(0))), (None, false));
        let outside = Schedule { calendar: Arc::new(session), outside: true };
        assert!(outside.holds(time("2021-03-13T16:00:00Z")) && !outside.holds(time("2021-03-12T15:00:00Z")));
    }
}
