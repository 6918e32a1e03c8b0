//! How orders are sent, as docs/risk.md has it.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod drive;

use std::time::Duration;

use drive::{Driver, Level, at, fill, mark};
use proptest::prelude::*;
use tapewatch_monitors::risk::firm::{FirmMonitor, FirmParameters, ScopeLimit, ScopeParameters};
use tapewatch_monitors::risk::{Bounded, ConductParameters, LimitParameters};
use tapewatch_monitors::{RiskParameters, TaskContext};
use tapewatch_schemas::Event;
use tapewatch_schemas::catalogue::EXEC_REPORTS;
use tapewatch_schemas::events::{Conduct, ExecType, LimitStatus, OrderStatus, OrderType, Side, Unknown};

const CONDUCT: ConductParameters = ConductParameters {
    window: Duration::from_secs(60),
    duplicates_within: Duration::from_secs(1),
    orders: 100,
};

const NAMES: [&str; 7] = [
    "message_rate",
    "peak_message_rate",
    "order_to_trade",
    "rejected_share",
    "duplicate_orders",
    "self_crossings",
    "price_away",
];

fn driver(conduct: ConductParameters) -> Driver {
    let mut parameters = RiskParameters { conduct: Some(conduct), ..RiskParameters::default() };
    parameters.limits = vec![LimitParameters::new("rate", Bounded::MessageRate, None, Some(0.05))];
    parameters.freshness.executions = Duration::from_secs(300);
    parameters.freshness.marks = Duration::from_secs(300);
    let mut d = Driver::risk(parameters, TaskContext { partition: 0, opened_from_zero: true });
    d.see(0, mark("A", "100", "100"));
    d
}

/// What became of an order; without a price it is at the market.
fn order(exec_type: ExecType, id: &str, side: Side, quantity: &str, price: Option<&str>) -> Event {
    let Event::ExecReport(mut report) = fill("p", "A", side, quantity, price.unwrap_or("100"), "0") else {
        unreachable!("it is an execution report")
    };
    report.order_id = id.into();
    report.exec_type = exec_type;
    report.order_quantity = quantity.parse().unwrap();
    report.limit_price = price.map(|price| price.parse().unwrap());
    report.order_type = if price.is_some() { OrderType::Limit } else { OrderType::Market };
    report.order_status = match exec_type {
        ExecType::Fill => OrderStatus::Filled,
        ExecType::Canceled => OrderStatus::Canceled,
        ExecType::Rejected => OrderStatus::Rejected,
        _ => OrderStatus::New,
    };
    if exec_type != ExecType::Fill {
        (report.last_quantity, report.last_price) = (None, None);
    }
    Event::ExecReport(report)
}

fn sent(id: &str, side: Side, quantity: &str, price: &str) -> Event {
    order(ExecType::New, id, side, quantity, Some(price))
}

fn figures(level: &Level) -> [Option<f64>; 7] {
    NAMES.map(|name| level.value(name))
}

/// The example of docs/risk.md.
fn example(d: &mut Driver) {
    d.see(1, sent("o1", Side::Buy, "10", "99"));
    d.see(2, sent("o2", Side::Sell, "10", "103"));
    d.see(3, sent("o3", Side::Buy, "5", "103"));
    d.see(3, sent("o4", Side::Buy, "5", "103"));
    d.see(4, order(ExecType::Canceled, "o3", Side::Buy, "5", Some("103")));
    d.see(5, order(ExecType::Fill, "o4", Side::Buy, "5", Some("103")));
    d.see(6, order(ExecType::Rejected, "o5", Side::Sell, "1", Some("150")));
}

#[test]
fn the_example_of_the_documentation() {
    let mut d = driver(CONDUCT);
    example(&mut d);
    // Six messages in a minute, two of them in one second; one fill; one of five orders rejected.
    let expected = [0.1, 2.0, 5.0, 0.2, 1.0, 2.0, 0.5];
    assert_eq!(figures(&d.level("p")), expected.map(Some));
    let doc = include_str!("../../docs/risk.md");
    for (name, value) in NAMES.iter().zip(expected) {
        assert!(doc.contains(&format!("| `{name}` | {value} |")), "{name} {value}");
    }
}

#[test]
fn the_window_moves_on_although_nothing_comes() {
    let mut d = driver(CONDUCT);
    example(&mut d);
    assert_eq!(d.level("p").limit("rate").status, LimitStatus::Breached);
    d.restart();
    d.run_to(120);
    let level = d.level("p");
    assert_eq!(figures(&level), [Some(0.0); 7]);
    assert_eq!(level.limit("rate").status, LimitStatus::Ok);
    let levels = d.outputs.len();
    d.run_to(299);
    assert_eq!(d.outputs.len(), levels, "an empty window has nothing to say");
}

#[test]
fn an_order_crosses_what_is_open_on_the_other_side() {
    let crossed = |events: &[Event]| {
        let mut d = driver(CONDUCT);
        for (second, event) in (1..).zip(events) {
            d.see(2 * second, event.clone());
        }
        d.level("p").value("self_crossings").unwrap()
    };
    let (buy, sell) = (sent("b", Side::Buy, "1", "101"), sent("s", Side::Sell, "1", "101"));
    let cancelled = order(ExecType::Canceled, "b", Side::Buy, "1", Some("101"));
    assert_eq!(crossed(&[buy.clone(), sell.clone()]), 1.0);
    assert_eq!(crossed(&[sell.clone(), buy.clone()]), 1.0);
    assert_eq!(crossed(&[buy.clone(), sent("s", Side::Sell, "1", "101.01")]), 0.0);
    assert_eq!(crossed(&[buy.clone(), cancelled, sell.clone()]), 0.0);
    let filled = order(ExecType::Fill, "b", Side::Buy, "1", Some("101"));
    assert_eq!(crossed(&[buy.clone(), filled, sell.clone()]), 0.0);
    assert_eq!(
        crossed(&[buy.clone(), order(ExecType::New, "s", Side::Sell, "1", None)]),
        1.0,
        "at the market"
    );
    assert_eq!(crossed(&[buy.clone(), sent("b2", Side::Buy, "1", "101")]), 0.0, "the same side");
    let replaced = |price| order(ExecType::Replaced, "s", Side::Sell, "1", Some(price));
    assert_eq!(crossed(&[buy.clone(), sent("s", Side::Sell, "1", "105"), replaced("100")]), 1.0);
    assert_eq!(crossed(&[buy.clone(), sent("s", Side::Sell, "1", "105"), replaced("104")]), 0.0);
    let stop = |mut event: Event| {
        if let Event::ExecReport(report) = &mut event {
            report.order_type = OrderType::StopLimit;
        }
        event
    };
    assert_eq!(crossed(&[buy, stop(sell)]), 0.0, "one that waits for its price");
}

#[test]
fn the_same_order_twice_is_a_duplicate_only_shortly_after() {
    let duplicates = |second: i64, change: fn(&mut tapewatch_schemas::events::ExecReport)| {
        let mut d = driver(CONDUCT);
        d.see(1, sent("o1", Side::Buy, "1", "99"));
        let mut event = sent("o2", Side::Buy, "1", "99");
        if let Event::ExecReport(report) = &mut event {
            change(report);
        }
        d.see(second, event);
        let level = d.level("p");
        (level.value("duplicate_orders").unwrap(), level.value("message_rate").unwrap())
    };
    assert_eq!(duplicates(2, |_| {}), (1.0, 2.0 / 60.0));
    assert_eq!(duplicates(3, |_| {}), (0.0, 2.0 / 60.0));
    assert_eq!(duplicates(2, |r| r.side = Side::Sell).0, 0.0);
    assert_eq!(duplicates(2, |r| r.order_quantity = "2".parse().unwrap()).0, 0.0);
    assert_eq!(duplicates(2, |r| r.limit_price = Some("98".parse().unwrap())).0, 0.0);
    assert_eq!(duplicates(2, |r| r.symbol = "B".into()).0, 0.0);
    // Told of twice is no order sent twice.
    assert_eq!(duplicates(2, |r| r.order_id = "o1".into()), (0.0, 1.0 / 60.0));
}

#[test]
fn what_cannot_be_told_is_unknown() {
    // No mark to compare with, or a stale one.
    let mut d = driver(CONDUCT);
    d.see(301, sent("o1", Side::Buy, "1", "99"));
    let level = d.level("p");
    assert_eq!(level.unknown("price_away"), Some(Unknown::Missing));
    assert_eq!(level.value("message_rate"), Some(1.0 / 60.0));
    // The source says nothing any more.
    d.run_to(700);
    for name in NAMES {
        assert_eq!(d.level("p").unknown(name), Some(Unknown::Stale), "{name}");
    }
    assert_eq!(d.level("p").limit("rate").status, LimitStatus::Unknown);
    d.source("exec.reports.v1", true);
    assert_eq!(d.level("p").unknown("message_rate"), Some(Unknown::SourceDown));

    // More orders than there is room for.
    let mut d = driver(ConductParameters { orders: 2, ..CONDUCT });
    for (second, id) in [(1, "o1"), (1, "o2"), (2, "o3")] {
        d.see(second, sent(id, Side::Buy, "1", "99"));
    }
    let level = d.level("p");
    assert_eq!(level.unknown("self_crossings"), Some(Unknown::Missing));
    assert_eq!(level.unknown("duplicate_orders"), Some(Unknown::Missing));
    assert_eq!(level.value("message_rate"), Some(3.0 / 60.0));
    // What came before the task's first record was not seen: not within a window.
    let mut parameters = RiskParameters { conduct: Some(CONDUCT), ..RiskParameters::default() };
    parameters.limits.clear();
    let mut d = Driver::risk(parameters, TaskContext { partition: 0, opened_from_zero: false });
    d.see(1, order(ExecType::New, "o1", Side::Buy, "1", None));
    assert_eq!(d.level("p").unknown("gross_exposure"), Some(Unknown::NoOpening));
    assert_eq!(d.level("p").unknown("message_rate"), Some(Unknown::WarmingUp));
    d.see(62, order(ExecType::New, "o2", Side::Buy, "1", None));
    assert_eq!(d.level("p").value("message_rate"), Some(1.0 / 60.0));
    assert_eq!(
        d.level("p").unknown("gross_exposure"),
        Some(Unknown::NoOpening),
        "an unopened book is no hindrance"
    );
    // Nor what was skipped.
    d.skip("exec.reports.v1", Some(62));
    assert_eq!(d.level("p").unknown("message_rate"), Some(Unknown::WarmingUp));
    d.run_to(300);
    assert_eq!(d.level("p").value("message_rate"), Some(0.0));
}

#[test]
fn a_rejection_counts_once_whether_the_order_was_accepted_before_or_not() {
    let rejected = |id| order(ExecType::Rejected, id, Side::Buy, "1", Some("99"));
    let mut d = driver(CONDUCT);
    d.see(1, sent("o1", Side::Buy, "1", "99"));
    d.see(4, rejected("o1"));
    d.see(7, rejected("o1"));
    d.see(10, rejected("o2"));
    d.see(13, sent("o3", Side::Buy, "1", "99"));
    // A report that comes again, long after the first.
    d.see(40, sent("o3", Side::Buy, "1", "99"));
    let level = d.level("p");
    assert_eq!(level.value("rejected_share"), Some(2.0 / 3.0));
    assert_eq!(level.value("message_rate"), Some(3.0 / 60.0));
}

#[test]
fn a_share_is_one_though_the_orders_came_before_the_window_and_an_id_may_come_again() {
    let mut d = driver(CONDUCT);
    d.see(1, sent("o1", Side::Buy, "1", "99"));
    d.see(100, order(ExecType::Rejected, "o1", Side::Buy, "1", Some("99")));
    assert_eq!(d.level("p").value("rejected_share"), Some(1.0));
    let mut d = driver(CONDUCT);
    d.see(1, sent("o1", Side::Buy, "1", "99"));
    // Its end was never told of.
    d.see(100, sent("o1", Side::Sell, "2", "98"));
    let level = d.level("p");
    assert_eq!(level.value("message_rate"), Some(1.0 / 60.0));
    d.see(101, sent("o2", Side::Buy, "2", "98"));
    assert_eq!(d.level("p").value("self_crossings"), Some(1.0), "of what it is now");
}

#[test]
fn without_the_setting_there_is_nothing_of_it() {
    let parameters = RiskParameters::default();
    let mut d = Driver::risk(parameters, TaskContext { partition: 0, opened_from_zero: true });
    d.see(0, mark("A", "100", "100"));
    d.see(1, fill("p", "A", Side::Buy, "1", "100", "0"));
    let level = d.level("p");
    assert!(level.measures().iter().all(|measure| !NAMES.contains(&measure.name.as_str())));
}

proptest! {
    /// Counted from scratch over the reports of the last minute, whatever came before, in whatever order.
    #[test]
    fn it_is_of_the_last_minute(
        reports in prop::collection::vec((0_i64..400, 0_u8..4), 1..80),
        restart in 0_usize..80,
    ) {
        let mut d = driver(CONDUCT);
        let mut reports = reports;
        reports.sort_unstable();
        for (number, (second, kind)) in reports.iter().enumerate() {
            if number == restart {
                d.restart();
            }
            let id = format!("o{number}");
            let exec_type = match kind {
                0 => ExecType::New,
                1 => ExecType::Rejected,
                2 => ExecType::Canceled,
                _ => ExecType::Fill,
            };
            d.see(*second, order(exec_type, &id, Side::Buy, "1", None));
        }
        let last = reports.last().unwrap().0;
        // The level comes at the next minute; the second of the boundary is a part of its own.
        let level = (at(last).floor_to(Duration::from_secs(60)).micros() - at(0).micros()) / 1_000_000 + 60;
        d.run_to(level);
        let of = |kinds: &[u8]| {
            reports.iter().filter(|(second, kind)| *second > level - 60 && kinds.contains(kind)).count() as f64
        };
        let (messages, orders) = (of(&[0, 1, 2]), of(&[0, 1]));
        let said = d.outputs.iter().rev().find_map(|output| match &output.event {
            Event::RiskMetrics(metrics) => Some(Level(metrics.clone())),
            _ => None,
        });
        let said = said.unwrap();
        prop_assert_eq!(said.value("message_rate"), Some(messages / 60.0));
        prop_assert_eq!(said.value("order_to_trade"), Some((messages / of(&[3]).max(1.0) - 1.0).max(0.0)));
        prop_assert_eq!(said.value("rejected_share"), Some(if orders == 0.0 { 0.0 } else { of(&[1]) / orders }));
    }
}

/// The risk worker, and the firm's behind it.
struct House {
    risk: Driver,
    firm: Driver,
    /// How many of risk's outputs the firm knows of.
    passed: usize,
}

impl House {
    fn new() -> Self {
        let limit = LimitParameters::new("rate", Bounded::MessageRate, None, Some(0.15));
        let firm = FirmParameters {
            scopes: vec![ScopeParameters { scope: FIRM.into(), portfolios: Vec::new() }],
            limits: vec![ScopeLimit { scopes: Vec::new(), limit }],
            conduct: Some(CONDUCT.window),
            books: Duration::from_secs(3_600),
            ..FirmParameters::default()
        };
        let firm = Driver::new(move || Box::new(FirmMonitor::new(firm.clone())));
        Self { risk: driver(CONDUCT), firm, passed: 0 }
    }

    fn run_to(&mut self, second: i64) {
        self.risk.run_to(second);
        self.pass(second);
    }

    /// The firm is told what risk has published meanwhile.
    fn pass(&mut self, second: i64) {
        for output in self.risk.outputs.split_off(self.passed) {
            if let Event::Holdings(mut book) = output.event.clone() {
                book.provenance.worker = "risk".into();
                self.firm.see_at(second, Event::Holdings(book));
            }
            self.risk.outputs.push(output);
        }
        self.passed = self.risk.outputs.len();
    }
}

const FIRM: &str = "firm:all";

fn of(portfolio: &str, event: Event) -> Event {
    let Event::ExecReport(mut report) = event else { unreachable!("it is an execution report") };
    report.portfolio = portfolio.into();
    Event::ExecReport(report)
}

/// The example, and beside it a portfolio with three messages in one second, one of them a rejection, and two fills.
fn two() -> House {
    let mut house = House::new();
    example(&mut house.risk);
    house.risk.see(7, of("q", sent("o1", Side::Buy, "1", "102")));
    house.risk.see(7, of("q", sent("o2", Side::Buy, "1", "70")));
    house.risk.see(7, of("q", order(ExecType::Rejected, "o3", Side::Sell, "2", Some("120"))));
    house.risk.see(8, of("q", order(ExecType::Fill, "o1", Side::Buy, "1", Some("102"))));
    house.risk.see(9, of("q", order(ExecType::Fill, "o2", Side::Buy, "1", Some("70"))));
    house
}

/// Sums, and of the distance from the market the largest.
#[test]
fn a_scope_has_what_its_portfolios_sent() {
    let mut house = two();
    house.run_to(60);
    house.firm.restart();
    let expected = [9.0 / 60.0, 2.0 + 3.0, 9.0 / 3.0 - 1.0, 2.0 / 8.0, 1.0, 2.0, 0.5];
    let level = house.firm.level(FIRM);
    for (name, (found, expected)) in NAMES.iter().zip(figures(&level).into_iter().zip(expected)) {
        assert_eq!(found, Some(expected), "{name}");
    }
    assert_eq!(level.limit("rate").status, LimitStatus::Ok, "at its bound");
    // One more is over it, and told at the next level.
    house.risk.see(61, of("q", sent("o4", Side::Buy, "1", "99")));
    house.risk.see(61, of("q", sent("o5", Side::Buy, "2", "99")));
    house.run_to(119);
    assert_eq!(house.firm.level(FIRM).limit("rate").status, LimitStatus::Ok);
    house.run_to(120);
    assert_eq!(house.firm.level(FIRM).value("message_rate"), Some(2.0 / 60.0));
    house.run_to(180);
    assert_eq!(figures(&house.firm.level(FIRM)), [0.0; 7].map(Some), "nothing is sent any more");
    assert_eq!(house.risk.level("p").value("message_rate"), Some(0.0));
}

#[test]
fn a_scope_over_its_bound_is_told() {
    let mut house = two();
    house.risk.see(10, of("r", sent("o1", Side::Buy, "1", "99")));
    house.run_to(60);
    let level = house.firm.level(FIRM);
    assert_eq!(
        (level.limit("rate").status, level.limit("rate").value),
        (LimitStatus::Breached, Some(10.0 / 60.0))
    );
}

#[test]
fn what_one_portfolio_does_not_know_is_unknown_above_it() {
    let mut house = two();
    house.run_to(60);
    house.risk.source(EXEC_REPORTS, true);
    house.pass(61);
    let level = house.firm.level(FIRM);
    assert!(NAMES.iter().all(|name| level.unknown(name) == Some(Unknown::SourceDown)), "{level:?}");
    assert_eq!(level.limit("rate").status, LimitStatus::Unknown);
    house.risk.source(EXEC_REPORTS, false);
    house.pass(62);
    assert_eq!(house.firm.level(FIRM).value("self_crossings"), Some(2.0));
    // A book of a writer that does not look at orders, or over another window.
    for conduct in [None, Some(90_000_000)] {
        let out = house.risk.see(63, of("q", order(ExecType::Fill, "o9", Side::Buy, "1", Some("70"))));
        for output in out {
            if let Event::Holdings(mut book) = output.event {
                book.provenance.worker = "risk".into();
                book.conduct =
                    book.conduct.and_then(|said| Some(Box::new(Conduct { window: conduct?, ..*said })));
                house.firm.see_at(63, Event::Holdings(book));
            }
        }
        assert_eq!(house.firm.level(FIRM).unknown("message_rate"), Some(Unknown::Missing), "{conduct:?}");
    }
}
