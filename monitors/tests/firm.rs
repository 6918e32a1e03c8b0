//! What strategies, desks and the firm hold: netting, what is unknown, limits, restarts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod drive;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drive::{Driver, at, beat_of, mark};
use proptest::prelude::*;
use tapewatch_monitors::Output;
use tapewatch_monitors::kernels::Horizon;
use tapewatch_monitors::risk::firm::{FirmBounds, FirmMonitor, FirmParameters, ScopeLimit, ScopeParameters};
use tapewatch_monitors::risk::{
    Bounded, Calendar, Confidence, HistoryParameters, LimitParameters, LiquidityParameters, Moves, Override,
    Scenario, Schedule, Shock, TailModel,
};
use tapewatch_schemas::events::{Holding, Holdings, LimitStatus, Provenance, TradingLevel, Unknown};
use tapewatch_schemas::{Amount, Event, RecordId, Time};

const DESK: &str = "desk:one";
const FIRM: &str = "firm:all";

fn parameters() -> FirmParameters {
    let scope = |scope: &str, portfolios: &[&str]| ScopeParameters {
        scope: scope.into(),
        portfolios: portfolios.iter().map(|id| (*id).into()).collect(),
    };
    let gross = LimitParameters {
        on_hard: TradingLevel::Halt,
        ..LimitParameters::new("gross", Bounded::GrossExposure, Some(900.0), Some(1_000.0))
    };
    let symbol = LimitParameters::new("symbol", Bounded::Position, None, Some(500.0));
    FirmParameters {
        scopes: vec![scope(DESK, &["p", "q"]), scope(FIRM, &[])],
        limits: vec![
            ScopeLimit { scopes: Vec::new(), limit: gross },
            ScopeLimit { scopes: vec![FIRM.into()], limit: symbol },
        ],
        marks: Duration::from_secs(600),
        books: Duration::from_secs(600),
        ..FirmParameters::default()
    }
}

/// As a portfolio's: from one tick past the bound to the next instant.
#[test]
fn a_history_that_ages_is_stale_for_scopes() {
    let days = Duration::from_secs(864_000);
    let mut aging = parameters();
    let minute = Duration::from_secs(60);
    let level = Confidence(9000);
    let tail = Bounded::ValueAtRisk(TailModel::Revalued, level, Horizon::ONE);
    aging.limits =
        vec![ScopeLimit { scopes: Vec::new(), limit: LimitParameters::new("tail", tail, None, Some(1e9)) }];
    (aging.marks, aging.books, aging.window.levels) = (days, days, vec![level]);
    aging.history = HistoryParameters {
        interval: minute,
        minimum: 4,
        freshness: 5 * minute,
        ..HistoryParameters::default()
    };
    let states = |out: &[Output]| -> Vec<(Time, Option<Unknown>)> {
        let of = |output: &Output| match &output.event {
            Event::RiskMetrics(metrics) if metrics.scope.as_str() == DESK => {
                Some((metrics.event_time, metrics.limits[0].unknown))
            }
            _ => None,
        };
        out.iter().filter_map(of).collect()
    };
    for restarts in [false, true] {
        let mut d = firm(aging.clone());
        d.see(-1, book("p", &[("A", "10")]));
        d.see(-1, book("q", &[("A", "1")]));
        for nth in 0..8 {
            let price = (100 + nth % 3).to_string();
            d.see(60 * nth + 10, mark("A", &price, &price));
        }
        assert_eq!(states(&d.run_to(780)).last().map(|one| one.1), Some(None));
        if restarts {
            d.restart();
        }
        assert_eq!(states(&d.run_to(781)), [(Time(at(780).0 + 1), Some(Unknown::Stale))]);
        d.see(1_210, mark("A", "103", "103"));
        assert_eq!(states(&d.run_to(1_262)).last().map(|one| one.1), Some(None));
    }
}

fn firm(parameters: FirmParameters) -> Driver {
    Driver::new(move || Box::new(FirmMonitor::new(parameters.clone())))
}

/// A book of a portfolio, by risk's task 0.
fn book(portfolio: &str, lines: &[(&str, &str)]) -> Event {
    Event::Holdings(Holdings {
        provenance: Provenance { worker: "risk".into(), ..Provenance::default() },
        id: RecordId::default(),
        event_time: Time(0),
        portfolio: portfolio.into(),
        currency: "USD".into(),
        opened: true,
        unknown: None,
        filled_at: None,
        account: None,
        account_unknown: None,
        profit: None,
        conduct: None,
        holdings: lines.iter().map(|(symbol, quantity)| line(symbol, quantity, "1")).collect(),
    })
}

fn line(symbol: &str, quantity: &str, multiplier: &str) -> Holding {
    let amount = |text: &str| text.parse::<Amount>().unwrap();
    Holding {
        symbol: symbol.into(),
        quantity: amount(quantity),
        average_cost: None,
        multiplier: amount(multiplier),
        currency: "USD".into(),
    }
}

fn with(mut event: Event, change: impl FnOnce(&mut Holdings)) -> Event {
    let Event::Holdings(holdings) = &mut event else { panic!("no book") };
    change(holdings);
    event
}

/// Two portfolios of the desk and one beside it; A is worth 10, B is worth 20.
fn stage() -> Driver {
    let mut d = firm(parameters());
    d.see(0, mark("A", "9", "11"));
    d.see(0, mark("B", "20", "20"));
    d.see(1, book("p", &[("A", "10"), ("B", "5")]));
    d.see(2, book("q", &[("A", "-4")]));
    d.see(3, book("r", &[("B", "-20")]));
    d
}

#[test]
fn longs_and_shorts_add_up_and_cancel() {
    let mut d = stage();
    let desk = d.level(DESK);
    let values = |names: [&str; 3]| names.map(|name| desk.value(name).unwrap());
    assert_eq!(values(["gross_exposure", "netted_exposure", "net_exposure"]), [240.0, 160.0, 160.0]);
    assert_eq!((desk.value("largest_share"), desk.value("portfolios")), (Some(100.0 / 160.0), Some(2.0)));
    let firm = d.level(FIRM);
    assert_eq!(firm.value("gross_exposure"), Some(640.0));
    assert_eq!(firm.value("netted_exposure"), Some(60.0 + 300.0));
    assert_eq!(firm.value("net_exposure"), Some(60.0 - 300.0));
    let symbol = firm.limit("symbol");
    assert_eq!((symbol.value, symbol.symbol.as_deref()), (Some(300.0), Some("B")));

    // A new book replaces the old one whole; a new mark values all of them.
    d.see(4, book("p", &[("B", "1")]));
    d.see(5, mark("B", "30", "30"));
    assert_eq!(d.level(DESK).value("gross_exposure"), Some(40.0 + 30.0));
    assert_eq!(d.level(FIRM).value("gross_exposure"), Some(40.0 + 30.0 + 600.0));
}

#[test]
fn stress_is_of_net_positions() {
    let shock = |symbols: &[&str], millionths| Shock {
        symbols: symbols.iter().map(|symbol| (*symbol).into()).collect(),
        millionths,
    };
    let crash = Moves::Shocks(vec![shock(&["A"], -200_000), shock(&[], -500_000)]);
    let mut parameters = parameters();
    parameters.stress = vec![Scenario { name: "crash".parse().unwrap(), moves: crash, market: None }];
    let worst = LimitParameters::new("worst", Bounded::StressWorst, None, Some(60.0));
    parameters.limits = vec![ScopeLimit { scopes: Vec::new(), limit: worst }];
    let mut d = firm(parameters);
    d.see(0, mark("A", "9", "11"));
    d.see(0, mark("B", "20", "20"));
    d.see(1, book("p", &[("A", "10"), ("B", "5")]));
    d.see(2, book("q", &[("A", "-4")]));
    d.restart();
    d.see(3, book("r", &[("B", "-20")]));
    let desk = d.level(DESK);
    assert_eq!(desk.value("stress_crash"), Some(0.2 * 60.0 + 0.5 * 100.0));
    assert_eq!(desk.limit("worst").status, LimitStatus::Breached);
    let firm = d.level(FIRM);
    assert_eq!(firm.value("stress_crash"), Some(0.2 * 60.0 - 0.5 * 300.0), "it gains");
    assert_eq!(firm.limit("worst").status, LimitStatus::Ok);
    d.run_to(700);
    assert_eq!(d.level(FIRM).unknown("stress_worst"), Some(Unknown::Stale));
}

/// What p is long and q short need not be sold; a contract is one of what stands at the touch, whatever its multiplier.
#[test]
fn liquidity_is_of_net_positions() {
    let day = 86_400;
    let touch = |symbol: &str, volume: &str| {
        let Event::MarketData(mut data) = mark(symbol, "9", "11") else { panic!("no mark") };
        (data.bid_size, data.ask_size) = (Some(Amount::from(4)), Some(Amount::from(1)));
        data.volume = Some(volume.parse().unwrap());
        Event::MarketData(data)
    };
    let mut parameters = parameters();
    parameters.liquidity = Some(LiquidityParameters { participation: 0.5, days: 3, minimum: 1 });
    let days = LimitParameters::new("days", Bounded::DaysToLiquidate, None, Some(1.0));
    parameters.limits = vec![ScopeLimit { scopes: Vec::new(), limit: days }];
    let mut d = firm(parameters);
    for (at, volume) in [(0, "99"), (day, "4"), (2 * day, "4")] {
        d.see(at, touch("A", volume));
        d.see(at, touch("B", volume));
    }
    let of = |quantity| vec![line("A", quantity, "5"), line("B", "2", "1")];
    d.see(2 * day + 1, with(book("p", &[]), |p| p.holdings = of("10")));
    d.see(
        2 * day + 1,
        with(book("q", &[]), |q| q.holdings = vec![line("A", "-2", "5"), line("B", "-2", "1")]),
    );
    d.restart();
    let desk = d.level(DESK);
    let figures = ["relative_spread", "beyond_touch", "days_to_liquidate", "liquidation_cost"];
    // 8 A of 50 each: the bid takes 4; 8 / (0.5 × 4) days; half the spread is a tenth.
    assert_eq!(figures.map(|name| desk.value(name)), [0.2, 0.5, 4.0, 40.0].map(Some));
    let limit = desk.limit("days");
    assert_eq!((limit.status, limit.symbol.as_deref()), (LimitStatus::Breached, Some("A")));
    d.see(2 * day + 2, with(book("r", &[]), |r| r.holdings = vec![line("A", "-10", "5")]));
    let firm = d.level(FIRM);
    // 2 A short: the offer takes one of them.
    assert_eq!(figures.map(|name| firm.value(name)), [0.2, 0.5, 1.0, 10.0].map(Some));
    assert_eq!(firm.limit("days").status, LimitStatus::Ok);
    d.run_to(2 * day + 1_000);
    assert_eq!(d.level(FIRM).unknown("liquidation_cost"), Some(Unknown::Stale));
}

#[test]
fn multipliers_are_those_of_each_book() {
    let mut d = stage();
    d.see(4, with(book("q", &[]), |q| q.holdings = vec![line("A", "-2", "5")]));
    assert_eq!(d.level(DESK).value("netted_exposure"), Some(100.0));
    assert_eq!(d.level(DESK).value("gross_exposure"), Some(100.0 + 100.0 + 100.0));
}

#[test]
fn a_limit_of_a_scope_calls_for_a_halt_at_the_book_that_breaks_it() {
    let mut d = stage();
    let out = d.see(4, book("r", &[("B", "-40")]));
    let said = out.iter().filter_map(|o| match &o.event {
        Event::RiskMetrics(m) => Some((m.scope.as_str(), m.limits[0].status, m.limits[0].calls_for)),
        _ => None,
    });
    let said: Vec<_> = said.collect();
    assert_eq!(said, [(FIRM, LimitStatus::Breached, TradingLevel::Halt)], "its desk is not concerned");
    let out = d.see(5, mark("B", "15", "15"));
    assert!(out.iter().any(|o| matches!(&o.event, Event::RiskMetrics(m) if m.scope.as_str() == FIRM
        && m.limits[0].status == LimitStatus::Ok)));
}

#[test]
fn limits_of_scopes_have_schedules_and_overrides_too() {
    let hours = |from: u64, to: u64| Calendar {
        days: [true; 7],
        from: Duration::from_secs(from),
        to: Duration::from_secs(to),
        ..Calendar::default()
    };
    let mut told = parameters();
    let calendar = Arc::new(hours(100, 300));
    told.limits[1].limit.schedule = Some(Schedule { calendar, outside: false });
    told.limits[0].limit.overrides = vec![Override {
        scopes: vec![FIRM.into()],
        soft: Some(100.0),
        hard: Some(600.0),
        from: at(50),
        until: at(200),
        who: "ada".into(),
        why: "a reason".into(),
    }];
    let mut d = firm(told);
    d.see(0, mark("A", "9", "11"));
    d.see(0, mark("B", "20", "20"));
    d.see(1, book("p", &[("A", "10"), ("B", "5")]));
    d.see(2, book("q", &[("A", "-4")]));
    d.see(3, book("r", &[("B", "-20")]));
    let expected = [
        (49, LimitStatus::Ok, 1_000.0, false, LimitStatus::NotInForce),
        (50, LimitStatus::Breached, 600.0, true, LimitStatus::NotInForce),
        (100, LimitStatus::Breached, 600.0, true, LimitStatus::Ok),
        (200, LimitStatus::Ok, 1_000.0, false, LimitStatus::Ok),
        (300, LimitStatus::Ok, 1_000.0, false, LimitStatus::NotInForce),
    ];
    for (second, status, hard, overridden, symbol) in expected {
        d.restart();
        d.run_to(second);
        let boundary = |o: &Output| match &o.event {
            Event::RiskMetrics(m) if m.scope.as_str() == FIRM && m.event_time == at(second) => Some((
                m.limits[0].status,
                m.limits[0].hard,
                m.limits[0].overridden.is_some(),
                m.limits[1].status,
            )),
            _ => None,
        };
        let said = d.outputs.iter().rev().find_map(boundary);
        let now = (status, Some(hard), overridden, symbol);
        assert_eq!(said.unwrap_or(now), now, "at {second}");
        assert_eq!(said.is_some(), second != 49, "a boundary is told at its step");
    }
    assert_eq!(d.level(DESK).limit("gross").overridden, None);
}

#[test]
fn a_named_portfolio_without_a_book_and_a_mark_that_never_came_are_missing() {
    let mut d = firm(parameters());
    d.see(0, mark("A", "10", "10"));
    d.see(0, beat_of("tapewatch.risk.0", "holdings.v1", 0, -1));
    d.see(1, book("p", &[("A", "10")]));
    assert_eq!(d.level(DESK).unknown("gross_exposure"), Some(Unknown::Missing), "q has no book");
    assert_eq!(d.level(FIRM).value("gross_exposure"), Some(100.0), "it is of those that there are");
    d.see(2, book("q", &[("B", "1")]));
    assert_eq!(d.level(DESK).unknown("gross_exposure"), Some(Unknown::Missing), "B has no mark");
    d.see(3, mark("B", "20", "20"));
    assert_eq!(d.level(DESK).value("gross_exposure"), Some(120.0));
}

#[test]
fn what_risk_does_not_know_is_unknown_above_it() {
    for reason in [Unknown::SourceDown, Unknown::NoOpening, Unknown::Stale] {
        let mut d = stage();
        d.see(4, with(book("q", &[("A", "-4")]), |q| q.unknown = Some(reason)));
        for scope in [DESK, FIRM] {
            assert_eq!(d.level(scope).unknown("net_exposure"), Some(reason));
            assert_eq!(d.level(scope).limit("gross").unknown, Some(reason));
        }
        d.see(5, book("q", &[("A", "-4")]));
        assert_eq!(d.level(DESK).unknown("net_exposure"), None);
    }
}

#[test]
fn books_and_marks_that_are_too_old_are_stale_to_the_microsecond() {
    let mut d = stage();
    for second in [300, 590] {
        d.see(second, mark("A", "10", "10"));
        d.see(second, mark("B", "20", "20"));
    }
    let out = d.run_to(602);
    let turned = out.iter().find_map(|o| match &o.event {
        Event::RiskMetrics(m) if m.limits[0].unknown.is_some() => Some((m.event_time, m.limits[0].unknown)),
        _ => None,
    });
    assert_eq!(
        turned,
        Some((Time(at(601).micros() + 1), Some(Unknown::Stale))),
        "the book of p is of second 1"
    );
}

#[test]
fn a_heartbeat_of_risk_says_that_books_are_still_the_same() {
    let mut d = stage();
    d.see(590, mark("A", "10", "10"));
    d.see(590, mark("B", "20", "20"));
    // Step 0 is the last that the books in it were made at.
    d.see(591, beat_of("tapewatch.risk.0", "holdings.v1", 0, 0));
    d.run_to(1_100);
    assert_eq!(d.level(DESK).unknown("gross_exposure"), None);
    d.see(1_150, mark("A", "10", "10"));
    d.see(1_150, mark("B", "20", "20"));
    d.run_to(1_192);
    assert_eq!(d.level(DESK).unknown("gross_exposure"), Some(Unknown::Stale));
}

#[test]
fn a_source_that_is_down_and_books_that_were_skipped_are_unknown() {
    let mut d = stage();
    d.source("holdings.v1", true);
    assert_eq!(d.level(FIRM).unknown("gross_exposure"), Some(Unknown::SourceDown));
    d.source("holdings.v1", false);
    assert_eq!(d.level(FIRM).unknown("gross_exposure"), None);
    d.skip("holdings.v1", Some(3));
    assert_eq!(d.level(FIRM).unknown("gross_exposure"), Some(Unknown::NoOpening));
    for (second, again) in [("p", &[("A", "10")][..]), ("q", &[]), ("r", &[])].into_iter().enumerate() {
        d.see(4 + second as i64, book(again.0, again.1));
    }
    assert_eq!(d.level(FIRM).value("gross_exposure"), Some(100.0));
}

#[test]
fn another_currency_has_no_rate() {
    let mut d = stage();
    d.see(4, with(book("q", &[("A", "1")]), |q| q.holdings[0].currency = "EUR".into()));
    assert_eq!(d.level(DESK).unknown("gross_exposure"), Some(Unknown::NoRate));
    d.see(5, book("q", &[]));
    assert_eq!(d.level(DESK).unknown("gross_exposure"), None);
}

#[test]
fn an_older_book_changes_nothing() {
    let mut d = stage();
    let old = drive::stamped(book("p", &[("A", "1000")]), at(0));
    d.see_at(4, old);
    assert_eq!(d.level(DESK).value("gross_exposure"), Some(240.0));
}

#[test]
fn what_is_beyond_a_bound_is_refused_whole() {
    let bounds = FirmBounds { portfolios: 3, symbols: 3, holdings: 2, feeds: 8 };
    let mut d = firm(FirmParameters { bounds, ..parameters() });
    d.see(0, mark("A", "10", "10"));
    for portfolio in ["p", "q", "r"] {
        d.see(1, book(portfolio, &[("A", "1")]));
    }
    assert_eq!(d.refused(2, book("s", &[])).field, "portfolio");
    assert_eq!(d.refused(2, book("p", &[("A", "1"), ("B", "1"), ("C", "1")])).field, "holdings");
    d.see(3, book("p", &[("B", "1"), ("C", "1")]));
    assert_eq!(d.refused(4, book("q", &[("D", "1")])).field, "symbol");
    assert_eq!(d.refused(4, mark("D", "1", "1")).field, "symbol");
    assert_eq!(d.refused(4, book("q", &[("A", "1"), ("A", "1")])).field, "holdings");
    let large = "9000000000000000";
    assert_eq!(
        d.refused(4, with(book("q", &[]), |q| q.holdings = vec![line("A", large, large)])).field,
        "quantity"
    );
}

#[test]
fn scopes_of_another_configuration_are_those_of_the_books() {
    let d = stage();
    let other = FirmParameters {
        scopes: vec![ScopeParameters { scope: "strategy:new".into(), portfolios: vec!["r".into()] }],
        ..parameters()
    };
    let mut after = firm(other);
    after.restore(&d.save());
    after.see(5, mark("B", "10", "10"));
    assert_eq!(after.level("strategy:new").value("gross_exposure"), Some(200.0));
}

/// Nobody has looked at what is new yet, so nothing about it is known.
#[test]
fn under_another_configuration_nothing_is_known_before_it_is_looked_at() {
    let d = stage();
    for (portfolios, reason) in [(vec!["p", "z"], Unknown::Missing), (vec!["p", "q"], Unknown::Stale)] {
        let portfolios = portfolios.into_iter().map(Into::into).collect();
        let other = FirmParameters {
            scopes: vec![ScopeParameters { scope: DESK.into(), portfolios }],
            books: Duration::from_secs(1),
            ..parameters()
        };
        let mut after = firm(other);
        after.restore(&d.save());
        let out = after.see(4, mark("A", "10", "10"));
        let known = |o: &&tapewatch_monitors::Output| matches!(&o.event, Event::RiskMetrics(m) if m.limits[0].status != LimitStatus::Unknown);
        assert_eq!(out.iter().find(known), None);
        assert_eq!(after.level(DESK).limit("gross").unknown, Some(reason));
    }
}

#[test]
fn of_two_books_of_one_instant_the_later_step_is_in_force() {
    let mut d = stage();
    let made = |quantity: &str, step| with(book("p", &[("A", quantity)]), |p| p.provenance.step = step);
    d.see(4, made("2", 8));
    d.see_at(5, drive::stamped(made("1", 7), at(4)));
    assert_eq!(d.level(DESK).value("gross_exposure"), Some(20.0 + 40.0));
}

#[derive(Clone, Debug)]
enum Step {
    Mark(usize, u32),
    Book(usize, Vec<(usize, i32)>, Option<Unknown>),
    Beat(i64),
    Wait,
}

const SYMBOLS: [&str; 4] = ["A", "B", "C", "D"];
const PORTFOLIOS: [&str; 4] = ["p", "q", "r", "s"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let unknown = prop_oneof![5 => Just(None), 1 => Just(Some(Unknown::SourceDown))];
    let lines = prop::collection::btree_map(0..4_usize, -50..50_i32, 0..4);
    let step = prop_oneof![
        4 => (0..4_usize, 1..100_u32).prop_map(|(symbol, price)| Step::Mark(symbol, price)),
        4 => (0..4_usize, lines, unknown)
            .prop_map(|(portfolio, lines, unknown)| Step::Book(portfolio, lines.into_iter().collect(), unknown)),
        1 => (-1..40_i64).prop_map(Step::Beat),
        1 => Just(Step::Wait),
    ];
    prop::collection::vec(step, 1..60)
}

fn show(d: &mut Driver, second: i64, step: &Step) {
    match step {
        Step::Mark(symbol, price) => {
            d.see(second, mark(SYMBOLS[*symbol], &price.to_string(), &price.to_string()));
        }
        Step::Book(portfolio, lines, unknown) => {
            let lines: Vec<_> = lines.iter().filter(|(_, quantity)| *quantity != 0).collect();
            let texts: Vec<_> =
                lines.iter().map(|(s, quantity)| (SYMBOLS[*s], quantity.to_string())).collect();
            let lines: Vec<_> = texts.iter().map(|(symbol, quantity)| (*symbol, quantity.as_str())).collect();
            d.see(second, with(book(PORTFOLIOS[*portfolio], &lines), |book| book.unknown = *unknown));
        }
        Step::Beat(last) => {
            d.see(second, beat_of("tapewatch.risk.0", "holdings.v1", 0, *last));
        }
        Step::Wait => {
            d.run_to(second);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// What was added and taken away is what the last books and marks give.
    #[test]
    fn sums_are_those_from_scratch(steps in steps()) {
        let mut d = firm(parameters());
        let (mut marks, mut books) = (BTreeMap::new(), BTreeMap::new());
        for (nth, step) in steps.iter().enumerate() {
            show(&mut d, nth as i64, step);
            match step {
                Step::Mark(symbol, price) => drop(marks.insert(*symbol, *price)),
                Step::Book(portfolio, lines, unknown) => drop(books.insert(*portfolio, (lines.clone(), *unknown))),
                _ => {}
            }
        }
        d.see(60, mark("Z", "1", "1"));
        let (mut gross, mut net) = (0_i64, [0_i64; 4]);
        let mut unknown = books.is_empty();
        for (lines, why) in books.values() {
            unknown |= why.is_some();
            for (symbol, quantity) in lines.iter().filter(|(_, quantity)| *quantity != 0) {
                let price = marks.get(symbol).copied();
                unknown |= price.is_none();
                let value = i64::from(*quantity) * i64::from(price.unwrap_or(0));
                gross += value.abs();
                net[*symbol] += value;
            }
        }
        let level = d.level(FIRM);
        let known = |value: i64| (!unknown).then_some(value as f64);
        prop_assert_eq!(level.value("gross_exposure"), known(gross));
        prop_assert_eq!(level.value("netted_exposure"), known(net.iter().map(|value| value.abs()).sum()));
        prop_assert_eq!(level.value("net_exposure"), known(net.iter().sum()));
    }

    /// A monitor that was put back at any step goes on to the byte.
    #[test]
    fn a_restart_changes_nothing(steps in steps(), at in 0..60_usize) {
        let (mut whole, mut cut) = (firm(parameters()), firm(parameters()));
        for (nth, step) in steps.iter().enumerate() {
            // Far enough apart that books become stale between them.
            let second = nth as i64 * 97;
            show(&mut whole, second, step);
            if nth == at {
                cut.restart();
            }
            show(&mut cut, second, step);
        }
        prop_assert_eq!(&whole.outputs, &cut.outputs);
        prop_assert_eq!((whole.save(), whole.deadline()), (cut.save(), cut.deadline()));
    }
}
