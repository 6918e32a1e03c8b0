//! Profit and loss by the day: what a day begins with, when the next one does, and the limit on its loss.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod drive;

use std::time::Duration;

use drive::{Driver, account, account_with, at, execution, fill, mark};
use proptest::prelude::*;
use tapewatch_monitors::risk::{Basis, Bounded, DayParameters, LimitParameters};
use tapewatch_monitors::{RiskParameters, TaskContext};
use tapewatch_schemas::events::{LimitStatus, Side, Unknown};
use tapewatch_schemas::{Amount, Event};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn parameters(day: DayParameters, basis: Basis) -> RiskParameters {
    let mut parameters = RiskParameters { day, ..RiskParameters::default() };
    parameters.window.basis = basis;
    for bound in [
        &mut parameters.freshness.marks,
        &mut parameters.freshness.executions,
        &mut parameters.freshness.accounts,
    ] {
        // Longer than all that can happen below.
        *bound = Duration::from_secs(60 * DAY as u64);
    }
    parameters.limits = vec![
        LimitParameters::new("loss", Bounded::DailyLoss, Some(50.0), Some(100.0)),
        LimitParameters::new("share", Bounded::DailyLossShare, None, Some(0.015)),
    ];
    parameters
}

fn driver_of(parameters: RiskParameters) -> Driver {
    Driver::risk(parameters, TaskContext { partition: 0, opened_from_zero: true })
}

fn driver() -> Driver {
    driver_of(parameters(DayParameters::default(), Basis::Equity))
}

/// Ten units bought at 100 for an account of 10,000 at two in the morning.
fn begun(mut d: Driver) -> Driver {
    d.see(2 * HOUR, account("p", "10000", "10000"));
    d.see(2 * HOUR, mark("A", "100", "100"));
    d.see(2 * HOUR + 1, fill("p", "A", Side::Buy, "10", "100", "1"));
    d
}

fn figures(d: &mut Driver) -> [Option<f64>; 3] {
    let level = d.level("p");
    ["daily_pnl", "daily_realised_pnl", "daily_loss_share"].map(|name| level.value(name))
}

/// Whether or not anything else happened that day, here or in another portfolio.
#[test]
fn what_happens_as_a_day_ends_is_of_that_day() {
    for stirred in [None, Some("p"), Some("q")] {
        let mut d = driver();
        for portfolio in ["p", "q"] {
            d.see(2 * HOUR, account(portfolio, "10000", "10000"));
        }
        if let Some(portfolio) = stirred {
            d.see(3 * HOUR, account(portfolio, "9000", "9000"));
        }
        d.see_first(DAY, account("p", "10250", "10250"));
        d.see(DAY + HOUR, account("p", "10200", "10200"));
        assert_eq!(figures(&mut d)[0], Some(-50.0), "{stirred:?}");
    }
}

/// A record may be late, and come after the tick of the instant that is the task's clock: no instant ticks twice.
#[test]
fn what_comes_after_the_tick_that_ended_a_day_is_of_the_next() {
    let mut d = driver();
    d.see(2 * HOUR, account("p", "10000", "10000"));
    d.see(3 * HOUR, account("p", "9000", "9000"));
    d.run_to(DAY);
    d.restart();
    d.see_at(DAY, account("p", "8500", "8500"));
    assert!(d.deadline().is_some_and(|due| due > at(DAY)));
    d.see(DAY + HOUR, account("p", "8400", "8400"));
    assert_eq!(figures(&mut d)[0], Some(-600.0));
}

#[test]
fn a_day_counts_from_what_was_last_known_before_it() {
    let mut d = begun(driver());
    d.see(12 * HOUR, mark("A", "105", "105"));
    d.see(13 * HOUR, fill("p", "A", Side::Sell, "4", "106", "1"));
    assert_eq!(figures(&mut d), [Some(52.0), Some(24.0), Some(0.0)]);
    // The first record of the next day is a loss of that day.
    d.restart();
    d.see(DAY + HOUR, mark("A", "95", "95"));
    let share = 60.0 / 10_052.0;
    assert_eq!(figures(&mut d), [Some(-60.0), Some(0.0), Some(share)]);
    // A withdrawal is no loss.
    d.see(DAY + 2 * HOUR, account_with("p", "4000", "4992", "0", "5000"));
    assert_eq!(figures(&mut d)[0], Some(-60.0));
    // Three days later nothing has happened but the last day's loss.
    d.see(4 * DAY + HOUR, mark("A", "96", "96"));
    assert_eq!(figures(&mut d)[0], Some(6.0));
}

#[test]
fn a_limit_on_the_loss_of_a_day_is_broken_at_the_mark_and_kept_again_with_the_day() {
    let mut d = begun(driver());
    let status = |d: &mut Driver, name: &str| d.level("p").limit(name).status;
    d.see(3 * HOUR, mark("A", "94", "94"));
    assert_eq!(status(&mut d, "loss"), LimitStatus::Warning);
    let published = d.see(4 * HOUR, mark("A", "80", "80"));
    let breached = |output: &tapewatch_monitors::Output| match &output.event {
        Event::RiskMetrics(m) => m.limits.iter().all(|limit| limit.status == LimitStatus::Breached),
        _ => false,
    };
    assert!(published.iter().any(breached), "at the mark that caused it");
    d.restart();
    // It is the day that ends it, not a record.
    assert!(!d.run_to(DAY - 1).iter().any(|o| !breached(o) && matches!(&o.event, Event::RiskMetrics(_))));
    let released = d.run_to(DAY);
    let mut at_midnight = released.iter().filter_map(|o| match &o.event {
        Event::RiskMetrics(m) if m.event_time == at(DAY) => Some(m.limits[0].status),
        _ => None,
    });
    assert_eq!(at_midnight.next_back(), Some(LimitStatus::Ok));
    assert_eq!((status(&mut d, "loss"), figures(&mut d)[0]), (LimitStatus::Ok, Some(0.0)));
}

#[test]
fn a_day_begins_by_the_clocks_of_its_zone() {
    // Five in the afternoon where clocks are five hours behind: 22:00 UTC.
    let day = DayParameters { starts: Duration::from_secs(17 * 3600), offsets: vec![(at(-DAY), -5 * 3600)] };
    let mut d = begun(driver_of(parameters(day, Basis::Equity)));
    d.see(22 * HOUR - 120, mark("A", "101", "101"));
    assert_eq!(figures(&mut d)[0], Some(9.0));
    d.see(22 * HOUR + 60, mark("A", "103", "103"));
    assert_eq!(figures(&mut d)[0], Some(20.0));
    d.see(DAY + 60, mark("A", "104", "104"));
    assert_eq!(figures(&mut d)[0], Some(30.0));
}

#[test]
fn without_an_account_the_loss_of_the_day_is_the_books() {
    let mut d = driver_of(parameters(DayParameters::default(), Basis::Book));
    d.see(0, mark("A", "100", "100"));
    d.see(1, fill("p", "A", Side::Buy, "10", "100", "1"));
    d.see(2, mark("A", "98", "98"));
    assert_eq!(d.level("p").value("daily_pnl"), Some(-20.0));
    assert_eq!(d.level("p").unknown("daily_loss_share"), Some(Unknown::Missing));
    let mut d = driver();
    d.see(0, mark("A", "100", "100"));
    d.see(1, fill("p", "A", Side::Buy, "10", "100", "1"));
    assert_eq!(d.level("p").unknown("daily_pnl"), Some(Unknown::Missing));
    assert_eq!(d.level("p").limit("loss").status, LimitStatus::Unknown);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens when, the days sum to the whole, and a restart changes nothing.
    #[test]
    fn days_sum_to_all_of_it(
        happenings in prop::collection::vec((0..40 * HOUR, -9_i64..10, 80_i64..120), 1..30), restart in 0..30_usize,
    ) {
        let mut d = begun(driver());
        let amount = |d: &mut Driver, name: &str| -> Amount {
            d.level("p").0.measures.iter().find(|m| m.name == name).unwrap().amount.unwrap()
        };
        let equity = amount(&mut d, "equity");
        let (mut total, mut realised) = (amount(&mut d, "daily_pnl"), Amount::ZERO);
        let began = equity.checked_sub(total).unwrap();
        let (mut second, mut today) = (2 * HOUR + 1, 0);
        let (mut daily, mut daily_realised) = (total, Amount::ZERO);
        total = Amount::ZERO;
        for (n, (after, units, price)) in happenings.iter().enumerate() {
            second += after;
            // A level is looked at a minute later, and that must not be the next day's.
            second += if second % DAY > DAY - 120 { 120 } else { 0 };
            if second / DAY != today {
                today = second / DAY;
                total = total.checked_add(daily).unwrap();
                realised = realised.checked_add(daily_realised).unwrap();
            }
            let price = price.to_string();
            if *units == 0 {
                d.see(second, mark("A", &price, &price));
            } else {
                let side = if *units < 0 { Side::Sell } else { Side::Buy };
                d.see(second, execution(fill("p", "A", side, &units.abs().to_string(), &price, "0.5"), n as i64));
            }
            if n == restart {
                d.restart();
            }
            daily = amount(&mut d, "daily_pnl");
            daily_realised = amount(&mut d, "daily_realised_pnl");
        }
        let now = amount(&mut d, "equity");
        prop_assert_eq!(now.checked_sub(began).unwrap(), total.checked_add(daily).unwrap());
        let all = amount(&mut d, "realised_pnl");
        prop_assert_eq!(all, realised.checked_add(daily_realised).unwrap());
    }
}
