//! The day that daily profit and loss is of: when it begins, and what it began with.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tapewatch_schemas::Time;
use tapewatch_schemas::events::Unknown;
use tapewatch_schemas::time::micros_of;

use super::money::Money;
use super::parameters::Basis;
use super::portfolio::Portfolio;
use super::zone::{Clocks, DAY};

/// When a day begins: at a time of day by the clocks of a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayParameters {
    /// The time of day, below 24 hours.
    pub starts: Duration,
    /// How far the zone's clocks are ahead of UTC, in seconds, from each instant on; rising. Before the first, and
    /// if there is none, they show UTC.
    pub offsets: Vec<(Time, i32)>,
}

impl Default for DayParameters {
    /// Midnight, UTC.
    fn default() -> Self {
        Self { starts: Duration::ZERO, offsets: Vec::new() }
    }
}

impl DayParameters {
    /// The first beginning of a day after `clock`.
    pub fn next(&self, clock: Time) -> Time {
        let clocks = Clocks(&self.offsets);
        let starts = micros_of(self.starts);
        let today = clocks.show(clock).div_euclid(DAY).saturating_sub(1);
        (today..=today.saturating_add(3))
            .map(|day| clocks.first(day.saturating_mul(DAY).saturating_add(starts)))
            .find(|at| *at > clock)
            .unwrap_or(Time::MAX)
    }

    /// The end of the day that what happens at `clock` is of: at the instant at which a day ends it is of that day.
    pub fn ends(&self, clock: Time) -> Time {
        self.next(Time(clock.0.saturating_sub(1)))
    }

    /// When the day ends that what happens at `clock` is of, if `ticked` was the latest tick: what comes after the tick at which
    /// a day ended, at the same instant, is of the next one, since no instant ticks twice.
    pub(super) fn due(&self, clock: Time, ticked: Option<Time>) -> Time {
        if ticked == Some(clock) { self.next(clock) } else { self.ends(clock) }
    }

    /// When a day ends that was to end at `due` under whatever was configured then: what is due and was not done yet
    /// stays due.
    pub(super) fn still(&self, due: Time, clock: Time) -> Time {
        if self.ends(due) == due { due } else { self.next(clock) }
    }
}

/// What a portfolio's day began with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Day {
    /// The profit and loss at its beginning, or the first known one since; none before.
    began: Option<Money>,
    /// The last known one.
    last: Option<Money>,
    /// What was realised by its beginning, and how many fills had realised something unknown.
    realised: Money,
    unknown: u64,
}

impl Day {
    /// A day that begins now, and in which nothing is known yet.
    pub(super) fn begun(realised: Money, unknown: u64) -> Self {
        Self { realised, unknown, ..Self::default() }
    }

    /// Profit and loss is known.
    pub(super) fn follow(&mut self, profit: Money) {
        self.began.get_or_insert(profit);
        self.last = Some(profit);
    }

    /// What came from elsewhere, or went, is neither gained nor lost.
    pub(super) fn shift(&mut self, by: Money) {
        (self.began, self.last) = (self.began.map(|began| began + by), self.last.map(|last| last + by));
    }

    /// True if a new day would say something else.
    pub(super) fn moved(&self, realised: Money, unknown: u64) -> bool {
        self.last != self.began || self.realised != realised || self.unknown != unknown
    }

    /// A new day begins.
    pub(super) fn roll(&mut self, realised: Money, unknown: u64) {
        *self = Self { began: self.last, last: self.last, realised, unknown };
    }

    /// The profit and loss of the day so far.
    pub(super) fn profit(&self, now: Money) -> Option<Money> {
        self.began.map(|began| now - began)
    }

    /// What was realised in it; none if something unknown was.
    pub(super) fn realised(&self, realised: Money, unknown: u64) -> Option<Money> {
        (self.unknown == unknown).then_some(realised - self.realised)
    }
}

impl Portfolio {
    /// The profit and loss of the day so far.
    pub(super) fn daily_profit(&self, basis: Basis) -> Result<Money, Unknown> {
        self.day.profit(self.profit_by(basis)?).ok_or(Unknown::Missing)
    }

    /// What was lost since the day began, 0 or more.
    pub(super) fn daily_loss(&self, basis: Basis) -> Result<f64, Unknown> {
        Ok((-self.daily_profit(basis)?).max(Money::ZERO).to_f64())
    }

    /// The same as a share of the equity that the day began with, and of what was paid in since. Without any, a
    /// loss is more than every bound: the largest double.
    pub(super) fn daily_loss_share(&self, basis: Basis) -> Result<f64, Unknown> {
        if let Some(reason) = self.equity_unknown() {
            return Err(reason);
        }
        Ok(loss_share(self.daily_profit(basis)?, self.equity()))
    }
}

/// What was lost, as a share of the equity without that loss: 0 or more, the largest double where there was none.
pub(super) fn loss_share(profit: Money, equity: Money) -> f64 {
    let (loss, began) = ((-profit).max(Money::ZERO), equity - profit);
    if loss == Money::ZERO {
        0.0
    } else if began > Money::ZERO {
        loss.to_f64() / began.to_f64()
    } else {
        f64::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        Time::parse_rfc3339(text).unwrap()
    }

    /// New York in 2021: clocks were put forward on 14 March at 07:00 UTC, back on 7 November at 06:00 UTC.
    fn new_york(starts: u64) -> DayParameters {
        let offsets = vec![
            (time("2020-11-01T06:00:00Z"), -5 * 3600),
            (time("2021-03-14T07:00:00Z"), -4 * 3600),
            (time("2021-11-07T06:00:00Z"), -5 * 3600),
        ];
        DayParameters { starts: Duration::from_secs(starts * 60), offsets }
    }

    #[test]
    fn a_day_begins_at_a_time_of_day() {
        let utc = DayParameters::default();
        assert_eq!(utc.next(time("2021-10-16T12:00:00Z")), time("2021-10-17T00:00:00Z"));
        assert_eq!(utc.next(time("2021-10-17T00:00:00Z")), time("2021-10-18T00:00:00Z"));
        let five = new_york(17 * 60);
        assert_eq!(five.next(time("2021-07-01T20:59:59Z")), time("2021-07-01T21:00:00Z"));
        assert_eq!(five.next(time("2021-07-01T21:00:00Z")), time("2021-07-02T21:00:00Z"));
        assert_eq!(five.next(time("2021-12-01T21:00:00Z")), time("2021-12-01T22:00:00Z"));
    }

    #[test]
    fn a_day_in_which_clocks_are_changed_is_longer_or_shorter() {
        let midnight = new_york(0);
        assert_eq!(midnight.next(time("2021-03-14T05:00:00Z")), time("2021-03-15T04:00:00Z"));
        assert_eq!(midnight.next(time("2021-11-07T04:00:00Z")), time("2021-11-08T05:00:00Z"));
    }

    #[test]
    fn a_time_that_clocks_skip_is_when_they_do_and_one_they_show_twice_is_the_first() {
        let half_past_two = new_york(150);
        assert_eq!(half_past_two.next(time("2021-03-14T05:00:00Z")), time("2021-03-14T07:00:00Z"));
        let half_past_one = new_york(90);
        assert_eq!(half_past_one.next(time("2021-11-07T04:00:00Z")), time("2021-11-07T05:30:00Z"));
        assert_eq!(half_past_one.next(time("2021-11-07T05:30:00Z")), time("2021-11-08T06:30:00Z"));
    }

    #[test]
    fn every_day_has_one_beginning() {
        for starts in [0, 1, 90, 150, 1439] {
            let day = new_york(starts);
            let mut at = time("2020-12-01T00:00:00Z");
            for _ in 0..600 {
                let next = day.next(at);
                let hours = next.since(at) / 3_600_000_000;
                assert!(next > at && hours <= 25, "{at}: {next}");
                assert_eq!((day.ends(next), day.ends(Time(next.0 - 1))), (next, next));
                at = next;
            }
        }
        assert_eq!(DayParameters::default().next(Time::MAX), Time::MAX);
        assert!(DayParameters::default().next(Time::MIN) > Time::MIN);
    }

    #[test]
    fn what_was_last_known_is_what_the_next_day_begins_with() {
        let money = |units: i64| Money::of(units.into());
        let mut day = Day::default();
        assert_eq!(day.profit(money(5)), None);
        day.follow(money(100));
        day.follow(money(90));
        assert_eq!(day.profit(money(90)), Some(money(-10)));
        assert!(day.moved(Money::ZERO, 0));
        day.roll(money(7), 1);
        assert!(!day.moved(money(7), 1));
        assert_eq!((day.profit(money(95)), day.realised(money(9), 1)), (Some(money(5)), Some(money(2))));
        assert_eq!(day.realised(money(9), 2), None);
    }
}
