//! Limits that are not always the same: schedules, overrides that end by themselves, shares of the equity.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod drive;

use std::sync::Arc;
use std::time::Duration;

use drive::{Driver, account, at, fill, mark};
use proptest::prelude::*;
use tapewatch_monitors::risk::{Bounded, Calendar, LimitParameters, Override, Schedule};
use tapewatch_monitors::{Output, RiskParameters, TaskContext};
use tapewatch_schemas::events::LimitStatus::{self, Breached, NotInForce, Ok as Kept, Unknown, Warning};
use tapewatch_schemas::events::{LimitOverride, LimitState, Occasion, Side, TradingLevel, Unknown as Why};
use tapewatch_schemas::{Event, Time};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// Half past nine in the morning and four in the afternoon of the first day, a Wednesday.
const OPEN: i64 = 9 * HOUR + 1800;
const CLOSE: i64 = 16 * HOUR;
const WEEKDAYS: [bool; 7] = [true, true, true, true, true, false, false];

fn parameters(limits: Vec<LimitParameters>) -> RiskParameters {
    let mut parameters = RiskParameters { limits, ..RiskParameters::default() };
    for bound in [
        &mut parameters.freshness.marks,
        &mut parameters.freshness.executions,
        &mut parameters.freshness.accounts,
    ] {
        // Longer than all that can happen below.
        *bound = Duration::from_secs(365 * DAY as u64);
    }
    parameters
}

fn driver(limits: Vec<LimitParameters>) -> Driver {
    Driver::risk(parameters(limits), TaskContext { partition: 0, opened_from_zero: true })
}

fn calendar(offsets: Vec<(Time, i32)>) -> Arc<Calendar> {
    let (from, to) = (Duration::from_secs(OPEN as u64), Duration::from_secs(CLOSE as u64));
    Arc::new(Calendar { days: WEEKDAYS, from, to, offsets })
}

fn during(calendar: &Arc<Calendar>) -> Schedule {
    Schedule { calendar: Arc::clone(calendar), outside: false }
}

fn outside(calendar: &Arc<Calendar>) -> Schedule {
    Schedule { calendar: Arc::clone(calendar), outside: true }
}

/// A position may be worth 1,000 in the session and 500 else.
fn day_and_night(offsets: Vec<(Time, i32)>) -> Vec<LimitParameters> {
    let calendar = calendar(offsets);
    let limit = |name: &str, hard, schedule| LimitParameters {
        schedule: Some(schedule),
        on_hard: TradingLevel::ReduceOnly,
        ..LimitParameters::new(name, Bounded::Position, None, Some(hard))
    };
    vec![limit("day", 1000.0, during(&calendar)), limit("night", 500.0, outside(&calendar))]
}

/// Six units worth 100 each, bought at three in the morning.
fn held(mut d: Driver) -> Driver {
    d.see(3 * HOUR, account("p", "10000", "10000"));
    d.see(3 * HOUR, mark("A", "100", "100"));
    d.see(3 * HOUR + 1, fill("p", "A", Side::Buy, "6", "100", "0"));
    d
}

/// Where limits came to stand: when, which, from where, where to.
fn transitions(outputs: &[Output]) -> Vec<(Time, String, LimitStatus, LimitStatus)> {
    let figures = outputs.iter().filter_map(|output| match &output.event {
        Event::RiskMetrics(figures) => Some(figures),
        _ => None,
    });
    let of = |limit: &LimitState, time| Some((time, limit.limit.clone(), limit.previous?, limit.status));
    figures.flat_map(|one| one.limits.iter().filter_map(move |limit| of(limit, one.event_time))).collect()
}

fn went(
    time: Time,
    name: &str,
    from: LimitStatus,
    to: LimitStatus,
) -> (Time, String, LimitStatus, LimitStatus) {
    (time, name.to_owned(), from, to)
}

#[test]
fn a_limit_stands_only_while_its_schedule_holds() {
    let mut d = held(driver(day_and_night(Vec::new())));
    let night = d.level("p").limit("night").clone();
    assert_eq!((night.status, night.calls_for), (Breached, TradingLevel::ReduceOnly));
    let day = d.level("p").limit("day").clone();
    assert_eq!((day.status, day.value, day.utilisation, day.unknown), (NotInForce, None, None, None));
    assert_eq!((day.hard, day.since), (Some(1000.0), at(3 * HOUR)));

    // It is the clock that begins and ends them, not a record; one record a step says both.
    let out = d.run_to(OPEN);
    assert_eq!(
        transitions(&out),
        [went(at(OPEN), "day", NotInForce, Kept), went(at(OPEN), "night", Breached, NotInForce)]
    );
    let Some(Event::RiskMetrics(said)) = out.last().map(|output| &output.event) else { panic!("no figures") };
    assert_eq!((said.occasion, said.event_time), (Occasion::Transition, at(OPEN)));
    assert_eq!((said.limits[0].utilisation, said.limits[0].since), (Some(0.6), at(OPEN)));
    assert_eq!(said.limits[1].calls_for, TradingLevel::Normal);
    let out = d.run_to(CLOSE);
    assert_eq!(
        transitions(&out),
        [went(at(CLOSE), "day", Kept, NotInForce), went(at(CLOSE), "night", NotInForce, Breached)]
    );
}

#[test]
fn a_week_has_ten_changes_and_the_weekend_none() {
    let mut d = held(driver(day_and_night(Vec::new())));
    let week = transitions(&d.run_to(3 * HOUR + 7 * DAY));
    let mut times: Vec<Time> = week.iter().map(|(time, ..)| *time).collect();
    times.dedup();
    // Wednesday, Thursday, Friday, Monday, Tuesday.
    let expected = [0, 1, 2, 5, 6].map(|day| [at(day * DAY + OPEN), at(day * DAY + CLOSE)]);
    assert_eq!(times, expected.concat());
    assert_eq!(d.level("p").limit("day").status, NotInForce);
}

#[test]
fn a_session_keeps_to_its_clocks_when_they_are_changed() {
    // Half past nine in New York is 14:30 UTC on Friday 10 March 2023 and 13:30 on Monday.
    let seconds = |text: &str| Time::parse(text).unwrap().since(at(0)) / 1_000_000;
    let offsets = vec![
        (Time::parse("2022-11-06T06:00:00Z").unwrap(), -5 * 3600),
        (Time::parse("2023-03-12T07:00:00Z").unwrap(), -4 * 3600),
    ];
    let mut d = driver(day_and_night(offsets));
    let friday = seconds("2023-03-10T14:00:00Z");
    d.see(friday, mark("A", "100", "100"));
    d.see(friday, fill("p", "A", Side::Buy, "6", "100", "0"));
    let expected =
        ["2023-03-10T14:30:00Z", "2023-03-10T21:00:00Z", "2023-03-13T13:30:00Z", "2023-03-13T20:00:00Z"];
    for boundary in expected {
        let due = transitions(&d.run_to(seconds(boundary) - 1));
        assert!(due.is_empty(), "{due:?}");
        assert_eq!(transitions(&d.run_to(seconds(boundary))).len(), 2, "{boundary}");
    }
}

#[test]
fn what_is_unknown_when_its_schedule_begins_is_unknown_and_not_kept() {
    let mut limits = day_and_night(Vec::new());
    limits.truncate(1);
    let mut parameters = parameters(limits);
    parameters.freshness.marks = Duration::from_secs(1200);
    let mut d = held(Driver::risk(parameters, TaskContext { partition: 0, opened_from_zero: true }));
    // The mark goes stale at night, when nobody is told.
    let out = d.run_to(OPEN);
    assert_eq!(transitions(&out), [went(at(OPEN), "day", NotInForce, Unknown)]);
    assert_eq!(d.level("p").limit("day").unknown, Some(Why::Stale));
    let out = d.see(OPEN + 1, mark("A", "200", "200"));
    assert_eq!(transitions(&out), [went(at(OPEN + 1), "day", Unknown, Breached)]);
}

#[test]
fn a_record_at_a_boundary_is_of_the_time_before_it_also_in_a_task_restored_between_them() {
    for restarts in [false, true] {
        let mut d = held(driver(day_and_night(Vec::new())));
        let out = d.see_first(OPEN, mark("A", "200", "200"));
        assert!(transitions(&out).is_empty(), "the limit of the night is over its bound as before: {out:?}");
        if restarts {
            d.restart();
        }
        assert_eq!(d.deadline(), Some(at(OPEN)));
        let out = d.run_to(OPEN);
        assert_eq!(
            transitions(&out),
            [went(at(OPEN), "day", NotInForce, Breached), went(at(OPEN), "night", Breached, NotInForce)]
        );
    }
}

#[test]
fn a_portfolio_that_begins_at_a_boundary_is_under_what_begins_there() {
    let mut d = held(driver(day_and_night(Vec::new())));
    let out = d.see_first(OPEN, fill("q", "A", Side::Buy, "7", "100", "0"));
    assert_eq!(transitions(&out), [went(at(OPEN), "day", Unknown, Kept)]);
    let out = d.run_to(OPEN);
    // Nothing new of q, and p comes under its own.
    assert_eq!(transitions(&out).len(), 2);
}

#[test]
fn a_limit_on_a_days_loss_that_begins_with_the_day_begins_without_one() {
    let thursday = [false, false, false, true, false, false, false];
    let calendar = Arc::new(Calendar { days: thursday, ..Calendar::default() });
    let mut loss = LimitParameters::new("loss", Bounded::DailyLoss, None, Some(50.0));
    loss.schedule = Some(during(&calendar));
    let mut d = held(driver(vec![loss]));
    d.see(4 * HOUR, mark("A", "80", "80"));
    let out = d.run_to(DAY);
    assert_eq!(transitions(&out), [went(at(DAY), "loss", NotInForce, Kept)]);
    d.see(DAY + 60, mark("A", "70", "70"));
    let out = d.run_to(2 * DAY);
    // The day ends with both: the loss is of the day that ended, and so is the limit.
    assert_eq!(
        transitions(&out),
        [went(at(2 * DAY), "loss", Breached, Kept), went(at(2 * DAY), "loss", Kept, NotInForce)]
    );
}

/// Hard 500 with hysteresis; for p 650 from five until seven in the morning.
fn overridden() -> Vec<LimitParameters> {
    let relief = Override {
        scopes: vec!["p".into()],
        soft: None,
        hard: Some(650.0),
        from: at(5 * HOUR),
        until: at(7 * HOUR),
        who: "ada".into(),
        why: "a hedge that is on its way".into(),
    };
    vec![LimitParameters {
        hysteresis: 0.1,
        on_hard: TradingLevel::Halt,
        overrides: vec![relief],
        ..LimitParameters::new("position", Bounded::Position, Some(400.0), Some(500.0))
    }]
}

#[test]
fn an_override_begins_and_ends_by_itself_while_the_limit_is_breached() {
    let mut d = held(driver(overridden()));
    d.see(3 * HOUR + 2, fill("q", "A", Side::Buy, "6", "100", "0"));
    let standing = |d: &mut Driver, portfolio: &str| d.level(portfolio).limit("position").clone();
    let before = standing(&mut d, "p");
    assert_eq!((before.status, before.calls_for, &before.overridden), (Breached, TradingLevel::Halt, &None));

    // Within 650 by less than the hysteresis: it is judged anew, by what is in force now.
    let out = d.run_to(5 * HOUR);
    assert_eq!(transitions(&out), [went(at(5 * HOUR), "position", Breached, Warning)]);
    let meanwhile = standing(&mut d, "p");
    assert_eq!(
        (meanwhile.soft, meanwhile.hard, meanwhile.calls_for),
        (Some(400.0), Some(650.0), TradingLevel::Normal)
    );
    assert_eq!((meanwhile.value, meanwhile.utilisation), (Some(600.0), Some(600.0 / 650.0)));
    let by =
        LimitOverride { who: "ada".into(), why: "a hedge that is on its way".into(), until: at(7 * HOUR) };
    assert_eq!(meanwhile.overridden, Some(by));
    let other = standing(&mut d, "q");
    assert_eq!((other.status, other.hard, other.overridden), (Breached, Some(500.0), None));

    d.restart();
    assert_eq!(d.deadline().map(|due| due.min(at(7 * HOUR))), d.deadline(), "the end is waited for");
    let out = d.run_to(7 * HOUR);
    assert_eq!(transitions(&out), [went(at(7 * HOUR), "position", Warning, Breached)]);
    let after = standing(&mut d, "p");
    assert_eq!((after.hard, after.calls_for, after.overridden), (Some(500.0), TradingLevel::Halt, None));
}

#[test]
fn an_override_that_changes_no_status_is_told_at_the_step_where_it_begins() {
    let mut d = driver(overridden());
    d.see(3 * HOUR, mark("A", "100", "100"));
    d.see(3 * HOUR + 1, fill("p", "A", Side::Buy, "1", "100", "0"));
    let out = d.run_to(5 * HOUR);
    assert_eq!(transitions(&out), [went(at(5 * HOUR), "position", Kept, Kept)]);
    let out = d.run_to(7 * HOUR);
    assert_eq!(transitions(&out), [went(at(7 * HOUR), "position", Kept, Kept)]);
    assert_eq!(d.level("p").limit("position").since, at(3 * HOUR + 1));
}

#[test]
fn without_a_schedule_or_an_override_no_tick_is_asked_for() {
    let mut limits = overridden();
    limits[0].portfolios = vec!["other".into()];
    let mut d = held(driver(limits));
    let mut plain = held(driver(Vec::new()));
    d.run_to(4 * HOUR);
    plain.run_to(4 * HOUR);
    assert_eq!(d.deadline(), plain.deadline(), "it is on no portfolio of the task");
}

#[test]
fn a_share_of_the_equity_is_unknown_without_equity_and_without_bound_over_none() {
    let mut limit = LimitParameters::new("share", Bounded::Position, Some(0.05), Some(0.08));
    limit.of_equity = true;
    let mut d = driver(vec![limit]);
    d.see(0, mark("A", "100", "100"));
    d.see(1, fill("p", "A", Side::Buy, "6", "100", "0"));
    let standing = |d: &mut Driver| d.level("p").limit("share").clone();
    assert_eq!((standing(&mut d).status, standing(&mut d).unknown), (Unknown, Some(Why::Missing)));
    d.see(2, account("p", "9400", "10000"));
    let known = standing(&mut d);
    assert_eq!((known.status, known.value, known.of_equity), (Warning, Some(0.06), true));
    assert_eq!((known.utilisation, known.symbol.as_deref()), (Some(0.06 / 0.08), Some("A")));
    // The position grows and the equity with it.
    d.see(3, mark("A", "150", "150"));
    assert_eq!(standing(&mut d).value, Some(900.0 / 10_300.0));
    assert_eq!(standing(&mut d).status, Breached);
    d.see(4, account("p", "-900", "0"));
    let without = standing(&mut d);
    assert_eq!((without.status, without.value), (Breached, Some(f64::MAX)));
    d.see(5, fill("p", "A", Side::Sell, "6", "150", "0"));
    assert_eq!(
        (standing(&mut d).status, standing(&mut d).value),
        (Kept, Some(0.0)),
        "nothing is no share of anything"
    );
}

#[test]
fn under_another_configuration_what_it_bounds_is_in_force_before_anything_else_happens() {
    let mut d = held(driver(day_and_night(Vec::new())));
    d.run_to(4 * HOUR);
    let state = d.save();
    // Without the schedules both are in force, and the time of the day is no matter.
    let always =
        day_and_night(Vec::new()).into_iter().map(|limit| LimitParameters { schedule: None, ..limit });
    let mut other = driver(always.collect());
    other.restore(&state);
    let out = other.run_to(4 * HOUR);
    assert_eq!(
        transitions(&out).iter().map(|(_, name, _, to)| (name.as_str(), *to)).collect::<Vec<_>>(),
        [("day", Kept)]
    );
    // An override that began before it was written down.
    let mut relieved = day_and_night(Vec::new());
    relieved[1].overrides =
        vec![Override { scopes: Vec::new(), from: Time::MIN, ..overridden()[0].overrides[0].clone() }];
    let mut other = driver(relieved);
    other.restore(&state);
    let out = other.run_to(4 * HOUR);
    assert_eq!(
        transitions(&out).iter().map(|(_, name, _, to)| (name.as_str(), *to)).collect::<Vec<_>>(),
        [("night", Kept)]
    );
    assert_eq!(other.level("p").limit("night").overridden.as_ref().unwrap().who, "ada");
    // The same configuration has nothing to say.
    d.restart();
    assert!(transitions(&d.run_to(4 * HOUR)).is_empty());
}

proptest! {
    /// A position of one unit at prices around both bounds, over a day: where a limit stands is a function of value and
    /// bound in force alone, utilisation goes through 1 at the bound, and restarts anywhere change nothing.
    #[test]
    fn utilisation_goes_through_the_bound_in_force(
        prices in proptest::collection::vec((1_u32..2_400, 45_000_u32..55_000), 1..40),
        restarts in proptest::collection::vec(any::<bool>(), 40),
    ) {
        let mut limits = day_and_night(Vec::new());
        limits[0].overrides =
            vec![Override { from: at(12 * HOUR), until: at(14 * HOUR), hard: Some(480.0), ..overridden()[0].overrides[0].clone() }];
        let run = |restarting: bool| {
            let mut d = driver(limits.clone());
            let mut now = 0;
            for ((step, price), restart) in prices.iter().zip(&restarts) {
                now += i64::from(*step);
                let price = format!("{}.{:02}", price / 100, price % 100);
                d.see(now, mark("A", &price, &price));
                if d.offset() == 1 {
                    d.see(now, fill("p", "A", Side::Buy, "1", &price, "0"));
                }
                if restarting && *restart {
                    d.restart();
                }
            }
            d.run_to(DAY);
            d.outputs
        };
        let outputs = run(false);
        let figures = outputs.iter().filter_map(|output| match &output.event {
            Event::RiskMetrics(figures) => Some(figures),
            _ => None,
        });
        for one in figures {
            let clock = one.event_time;
            let session = at(OPEN) <= clock && clock < at(CLOSE);
            for (limit, in_force) in one.limits.iter().zip([session, !session]) {
                // At a boundary the levels of the time before come first, and then what begins.
                let edge = [OPEN, CLOSE, 12 * HOUR, 14 * HOUR].map(at).contains(&clock);
                if !edge {
                    prop_assert_eq!(limit.status != NotInForce, in_force, "{} at {}", limit.limit, clock);
                    let relieved = limit.limit == "day" && at(12 * HOUR) <= clock && clock < at(14 * HOUR);
                    prop_assert_eq!(limit.overridden.is_some(), relieved);
                }
                if limit.status == NotInForce {
                    prop_assert_eq!((limit.value, limit.utilisation, limit.calls_for), (None, None, TradingLevel::Normal));
                    continue;
                }
                let (value, hard) = (limit.value.unwrap(), limit.hard.unwrap());
                prop_assert_eq!(limit.utilisation, Some(value / hard));
                prop_assert_eq!(limit.status, if value > hard { Breached } else { Kept });
                prop_assert_eq!(limit.status == Breached, limit.utilisation.unwrap() > 1.0);
            }
        }
        prop_assert_eq!(run(true), outputs);
    }
}
