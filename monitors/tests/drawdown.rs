//! Drawdown within a trailing window, and how long equity is below its peak.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod drive;

use std::time::Duration;

use drive::{Driver, Level, account, account_with, at};
use tapewatch_monitors::risk::{Bounded, LimitParameters};
use tapewatch_monitors::{RiskParameters, TaskContext};
use tapewatch_schemas::events::{LimitStatus, TradingLevel, Unknown};
use tapewatch_schemas::{Event, Time};

const DAY: i64 = 86_400;

fn parameters() -> RiskParameters {
    let mut parameters =
        RiskParameters { publish_interval: Duration::from_secs(1), ..RiskParameters::default() };
    parameters.limits = vec![
        LimitParameters::new("trailing", Bounded::TrailingDrawdown, None, Some(0.15)),
        LimitParameters::new("water", Bounded::UnderWater, None, Some(864_000.0)),
    ];
    parameters
}

fn driver() -> Driver {
    Driver::risk(parameters(), TaskContext { partition: 0, opened_from_zero: true })
}

/// The figures once the account says so at noon of a day.
fn noon(d: &mut Driver, day: i64, equity: &str) -> Level {
    d.see(day * DAY + DAY / 2, account("p", equity, equity));
    d.level("p")
}

fn said(level: &Level) -> [f64; 4] {
    ["drawdown", "max_drawdown", "trailing_drawdown", "under_water"].map(|name| {
        let value = level.value(name).unwrap();
        (value * 1e9).round() / 1e9
    })
}

/// The example of docs/risk.md: day 0 is 1 March.
#[test]
fn the_example_of_the_document() {
    let mut d = driver();
    assert_eq!(said(&noon(&mut d, 0, "100000")), [0.0; 4]);
    let fallen = noon(&mut d, 10, "80000");
    assert_eq!(said(&fallen)[..3], [0.2; 3]);
    // The level is up to a second after noon.
    assert!(said(&fallen)[3] <= 1.0);
    d.restart();
    let risen = said(&noon(&mut d, 20, "90000"));
    assert_eq!(risen[..3], [0.1, 0.2, 0.2]);
    assert!((864_000.0..=864_001.0).contains(&risen[3]), "{risen:?}");
    assert_eq!(said(&noon(&mut d, 40, "90000"))[..3], [0.1, 0.2, 0.2]);
    assert_eq!(said(&noon(&mut d, 41, "90000"))[..3], [0.1, 0.2, 0.0]);
    assert_eq!(said(&noon(&mut d, 42, "100000")), [0.0, 0.2, 0.0, 0.0], "at its peak again");
    let document = include_str!("../../docs/risk.md");
    for text in [
        "`drawdown` is 0.1,\n`trailing_drawdown` and `max_drawdown` are 0.2, and `under_water` is 864,000",
        "on 11 April it begins with 80,000, from which nothing was lost: it is 0, and `max_drawdown` still 0.2",
    ] {
        assert!(document.contains(text), "{text}");
    }
}

#[test]
fn limits_follow_and_what_is_stale_is_unknown() {
    let mut d = driver();
    noon(&mut d, 0, "100000");
    let low = noon(&mut d, 10, "80000");
    assert_eq!(low.limit("trailing").status, LimitStatus::Breached);
    assert_eq!(low.limit("water").status, LimitStatus::Ok);
    assert_eq!(noon(&mut d, 21, "99000").limit("water").status, LimitStatus::Breached);
    d.run_to(21 * DAY + DAY / 2 + 7_200);
    let stale = d.level("p");
    for name in ["trailing", "water"] {
        assert_eq!(stale.limit(name).unknown, Some(Unknown::Stale), "{name}");
    }
    assert_eq!(stale.unknown("trailing_drawdown"), Some(Unknown::Stale));
    assert_eq!(noon(&mut d, 50, "99000").limit("trailing").status, LimitStatus::Ok);
}

/// The example of docs/risk.md: what a limit calls for as equity falls and comes back.
#[test]
fn a_limit_calls_for_less_only_below_its_hysteresis() {
    let mut other = parameters();
    other.limits = vec![LimitParameters {
        hysteresis: 0.02,
        on_soft: TradingLevel::ReduceOnly,
        on_hard: TradingLevel::Halt,
        ..LimitParameters::new("drawdown", Bounded::Drawdown, Some(0.15), Some(0.20))
    }];
    let mut d = Driver::risk(other, TaskContext { partition: 0, opened_from_zero: true });
    let mut second = 0;
    let mut falls_to = |equity: &str| {
        second += 10;
        d.see(second, account("p", equity, equity));
        let level = d.level("p");
        let limit = level.limit("drawdown");
        (limit.status, limit.calls_for)
    };
    assert_eq!(falls_to("100000"), (LimitStatus::Ok, TradingLevel::Normal));
    assert_eq!(falls_to("84000"), (LimitStatus::Warning, TradingLevel::ReduceOnly));
    assert_eq!(falls_to("79000"), (LimitStatus::Breached, TradingLevel::Halt));
    assert_eq!(falls_to("80300"), (LimitStatus::Breached, TradingLevel::Halt));
    assert_eq!(falls_to("81000"), (LimitStatus::Warning, TradingLevel::ReduceOnly));
    let said = "0.16 reduce-only is in force; at 0.21 a halt; at 0.197 the limit is still breached (0.20 × 0.98 = 0.196); at 0.19 it warns";
    assert!(include_str!("../../docs/risk.md").contains(said));
}

#[test]
fn deposits_and_withdrawals_are_no_drawdown() {
    let mut d = driver();
    noon(&mut d, 0, "100000");
    noon(&mut d, 1, "90000");
    d.see(2 * DAY, account_with("p", "45000", "45000", "0", "45000"));
    let paid_out = said(&d.level("p"));
    assert_eq!(paid_out[..3], [0.1, 0.1, 0.1]);
    assert!((DAY / 2..=DAY / 2 + 1).contains(&(paid_out[3] as i64)), "{paid_out:?}");
}

/// Time alone takes it over the bound: at that instant, though nothing comes.
#[test]
fn what_is_under_water_too_long_is_told_at_the_instant() {
    let mut other = parameters();
    other.limits = vec![LimitParameters::new("water", Bounded::UnderWater, Some(60.0), Some(3600.0))];
    other.freshness.accounts = Duration::from_secs(10 * 86_400);
    let mut d = Driver::risk(other, TaskContext { partition: 0, opened_from_zero: true });
    d.see(0, account("p", "100000", "100000"));
    d.see(10, account("p", "90000", "90000"));
    d.restart();
    let out = d.run_to(4000);
    let turns: Vec<_> = out
        .iter()
        .filter_map(|output| match &output.event {
            Event::RiskMetrics(metrics) => {
                metrics.limits[0].previous.map(|_| (metrics.event_time, metrics.limits[0].status))
            }
            _ => None,
        })
        .collect();
    let after = |seconds: i64| Time(at(10 + seconds).micros() + 1);
    assert_eq!(turns, [(after(60), LimitStatus::Warning), (after(3600), LimitStatus::Breached)]);
}

#[test]
fn another_window_begins_anew_and_the_rest_goes_on() {
    let mut d = driver();
    noon(&mut d, 0, "100000");
    noon(&mut d, 1, "90000");
    let mut shorter = parameters();
    shorter.drawdown_window = Duration::from_secs(7 * 24 * 3600);
    let mut other = Driver::risk(shorter, TaskContext { partition: 0, opened_from_zero: true });
    other.restore(&d.save());
    other.see(2 * DAY, account("p", "90000", "90000"));
    // The highest equity so far is what the new window begins with.
    assert_eq!(said(&other.level("p"))[..3], [0.1, 0.1, 0.1]);
}

/// A bound whose microseconds are no whole double is gone over at the first instant that is over it, also where nothing
/// else happens.
#[test]
fn time_alone_takes_it_over_any_bound() {
    for bound in [4.1, 8.2, 32.3, 2.01, 1.005, 7.0] {
        let mut parameters = parameters();
        parameters.publish_interval = Duration::from_secs(3600);
        parameters.limits = vec![LimitParameters::new("water", Bounded::UnderWater, None, Some(bound))];
        let mut d = Driver::risk(parameters, TaskContext { partition: 0, opened_from_zero: true });
        d.see(0, account("p", "100", "100"));
        d.see(1, account("p", "90", "90"));
        let out = d.run_to(60);
        let breached = out.iter().find_map(|output| match &output.event {
            Event::RiskMetrics(metrics) => {
                let limit = &metrics.limits[0];
                (limit.status == LimitStatus::Breached).then_some((limit.since, limit.value.unwrap()))
            }
            _ => None,
        });
        let (since, value) = breached.unwrap_or_else(|| panic!("{bound} is never gone over"));
        assert!(value > bound && value - bound < 2e-6, "{bound}: {value}");
        assert_eq!(since.since(at(1)) as f64 / 1e6, value);
    }
}
