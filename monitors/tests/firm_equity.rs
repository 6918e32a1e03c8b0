//! What strategies, desks and the firm are worth: the sum of what their portfolios are, and how that moves.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod drive;

use std::time::Duration;

use drive::{Driver, Level, account_with, fill, in_currency, mark};
use proptest::prelude::*;
use tapewatch_monitors::risk::firm::{FirmMonitor, FirmParameters, ScopeLimit, ScopeParameters};
use tapewatch_monitors::risk::{Bounded, LimitParameters};
use tapewatch_monitors::{Output, RiskParameters, TaskContext};
use tapewatch_schemas::Event;
use tapewatch_schemas::events::{LimitStatus, Side, Unknown};

const FIRM: &str = "firm:all";

/// The risk worker, and the firm's behind it.
struct House {
    risk: Driver,
    firm: Driver,
    /// The second of the latest record.
    now: i64,
}

impl House {
    fn new() -> Self {
        Self::with(LimitParameters::new("drawdown", Bounded::Drawdown, None, Some(0.2)), 300)
    }

    /// With a limit on the firm; accounts may be so many seconds old.
    fn with(limit: LimitParameters, accounts: u64) -> Self {
        let drawdown_window = Duration::from_secs(3_000);
        let mut risk = RiskParameters { drawdown_window, ..RiskParameters::default() };
        risk.freshness.marks = Duration::from_secs(7200);
        risk.freshness.accounts = Duration::from_secs(accounts);
        risk.freshness.executions = Duration::from_secs(360_000);
        risk.limits.clear();
        let firm = FirmParameters {
            scopes: vec![ScopeParameters { scope: FIRM.into(), portfolios: Vec::new() }],
            limits: vec![ScopeLimit { scopes: Vec::new(), limit }],
            drawdown_window,
            marks: Duration::from_secs(7200),
            books: Duration::from_secs(360_000),
            ..FirmParameters::default()
        };
        Self {
            risk: Driver::risk(risk, TaskContext { partition: 0, opened_from_zero: true }),
            firm: Driver::new(move || Box::new(FirmMonitor::new(firm.clone()))),
            now: 0,
        }
    }

    fn see(&mut self, second: i64, event: Event) {
        self.now = second;
        let out = self.risk.see(second, event.clone());
        self.pass(second, out);
        if matches!(event, Event::MarketData(_)) {
            self.firm.see(second, event);
        }
    }

    fn pass(&mut self, second: i64, out: Vec<Output>) {
        for output in out {
            if let Event::Holdings(mut book) = output.event {
                book.provenance.worker = "risk".into();
                self.firm.see_at(second, Event::Holdings(book));
            }
        }
    }

    fn run_to(&mut self, second: i64) {
        let out = self.risk.run_to(second);
        self.pass(second, out);
        self.firm.run_to(second);
    }

    fn account(&mut self, second: i64, portfolio: &str, equity: &str, deposits: &str, withdrawals: &str) {
        self.see(second, account_with(portfolio, equity, equity, deposits, withdrawals));
    }

    /// A second after the latest record, when the clock is past it.
    fn level(&mut self) -> Level {
        self.run_to(self.now + 1);
        self.firm.level(FIRM)
    }
}

/// The example of docs/risk.md: two portfolios of 1,000 each, of which p buys 10 A at 50.
fn example() -> House {
    play(House::new())
}

fn play(mut house: House) -> House {
    house.see(0, mark("A", "50", "50"));
    house.account(1, "p", "1000", "0", "0");
    house.account(2, "q", "1000", "0", "0");
    house.see(3, fill("p", "A", Side::Buy, "10", "50", "0"));
    house
}

#[test]
fn equity_is_the_sum_and_moves_with_the_marks() {
    let mut house = example();
    let level = house.level();
    assert_eq!((level.value("equity"), level.value("leverage")), (Some(2000.0), Some(0.25)));
    house.see(4, mark("A", "40", "40"));
    let level = house.level();
    let values = ["equity", "leverage", "drawdown", "daily_pnl", "daily_loss_share"];
    assert_eq!(values.map(|name| level.value(name).unwrap()), [1900.0, 400.0 / 1900.0, 0.05, -100.0, 0.05]);
    // What the account says beside our marks, such as interest, is profit, too.
    house.account(5, "q", "1010", "0", "0");
    assert_eq!(house.level().value("equity"), Some(1910.0));
    assert_eq!(house.level().value("max_drawdown"), Some(0.05));
}

/// The figures of how equity fell, of the firm and of a portfolio by itself.
fn falls(house: &mut House) -> [[f64; 4]; 2] {
    let names = ["drawdown", "max_drawdown", "trailing_drawdown", "under_water"];
    let levels = [house.level(), house.risk.level("p")];
    levels.map(|level| names.map(|name| (level.value(name).unwrap() * 1e12).round() / 1e12))
}

#[test]
fn a_firm_of_one_portfolio_falls_as_that_does() {
    let mut house =
        House::with(LimitParameters::new("l", Bounded::TrailingDrawdown, None, Some(0.15)), 9_000);
    house.see(0, mark("A", "50", "50"));
    house.account(1, "p", "1000", "0", "0");
    house.see(2, fill("p", "A", Side::Buy, "10", "50", "0"));
    let mut fallen = Vec::new();
    for (second, price) in
        [(600, "60"), (1_200, "40"), (1_800, "45"), (4_000, "45"), (5_000, "44"), (6_000, "61")]
    {
        house.see(second, mark("A", price, price));
        house.firm.restart();
        let [firm, portfolio] = falls(&mut house);
        assert_eq!(firm, portfolio, "{second}");
        fallen.push(firm);
    }
    let largest = 200.0 / 1100.0;
    assert!(
        (fallen[2][2] - largest).abs() < 1e-9 && (fallen[2][0] - 150.0 / 1100.0).abs() < 1e-9,
        "{fallen:?}"
    );
    // From 950 to 940 within the last 3,000 seconds; the fall to 900 is left behind.
    assert!(
        (fallen[4][2] - 10.0 / 950.0).abs() < 1e-9 && (fallen[4][1] - largest).abs() < 1e-9,
        "{fallen:?}"
    );
    assert_eq!((fallen[5][0], fallen[5][3]), (0.0, 0.0), "at its highest again");
    // Half of it is paid out, which is no fall; then a tenth of what is left is lost.
    house.account(6_100, "p", "555", "0", "555");
    house.see(6_200, mark("A", "55.45", "55.45"));
    let [firm, portfolio] = falls(&mut house);
    assert_eq!(firm, portfolio);
    assert!((firm[0] - 0.1).abs() < 1e-9, "{firm:?}");
    let limit = house.level().limit("l").clone();
    assert_eq!((limit.status, limit.value), (LimitStatus::Ok, house.level().value("trailing_drawdown")));
}

/// Time alone takes it over the bound: at that instant, though nothing comes.
#[test]
fn what_is_under_water_too_long_is_told_at_the_instant() {
    let mut house =
        play(House::with(LimitParameters::new("w", Bounded::UnderWater, Some(60.0), Some(3600.0)), 9_000));
    house.see(10, mark("A", "40", "40"));
    house.firm.restart();
    house.run_to(4_000);
    let turns = house.firm.outputs.iter().filter_map(|output| match &output.event {
        Event::RiskMetrics(metrics) => {
            let limit = &metrics.limits[0];
            limit
                .previous
                .filter(|_| limit.status > LimitStatus::Ok)
                .map(|_| (metrics.event_time, limit.status))
        }
        _ => None,
    });
    let turns: Vec<_> = turns.filter(|(at, _)| *at > drive::at(10)).collect();
    let after = |seconds: i64| tapewatch_schemas::Time(drive::at(10 + seconds).micros() + 1);
    assert_eq!(turns, [(after(60), LimitStatus::Warning), (after(3600), LimitStatus::Breached)]);
}

#[test]
fn a_limit_may_bound_a_share_of_what_the_scope_is_worth() {
    let gross = LimitParameters {
        of_equity: true,
        ..LimitParameters::new("g", Bounded::GrossExposure, None, Some(0.25))
    };
    let mut house = play(House::with(gross, 300));
    let stands = |house: &mut House| {
        let limit = house.level().limit("g").clone();
        assert!(limit.of_equity);
        (limit.value, limit.status, limit.unknown)
    };
    assert_eq!(stands(&mut house), (Some(0.25), LimitStatus::Ok, None), "500 of 2,000");
    house.see(4, mark("A", "60", "60"));
    assert_eq!(stands(&mut house), (Some(600.0 / 2100.0), LimitStatus::Breached, None));
    // What is held is known, what it is a share of is not.
    house.run_to(303);
    assert_eq!(stands(&mut house), (None, LimitStatus::Unknown, Some(Unknown::Stale)));
    // Without anything left it is over every bound.
    for portfolio in ["p", "q"] {
        house.account(304, portfolio, "0", "0", "0");
    }
    assert_eq!(stands(&mut house), (Some(f64::MAX), LimitStatus::Breached, None));
}

#[test]
fn what_is_paid_in_or_out_is_neither_profit_nor_loss() {
    let mut house = example();
    house.see(4, mark("A", "40", "40"));
    house.account(5, "q", "500", "0", "500");
    let level = house.level();
    assert_eq!(level.value("equity"), Some(1400.0));
    assert_eq!(level.value("daily_pnl"), Some(-100.0));
    let near = |level: &Level| (level.value("drawdown").unwrap() - 0.05).abs() < 1e-12;
    assert!(near(&level));
    house.account(6, "q", "4500", "4000", "500");
    assert_eq!(house.level().value("daily_pnl"), Some(-100.0));
    // A portfolio that comes brings what it has.
    house.account(7, "r", "9000", "9000", "0");
    let level = house.level();
    assert_eq!(level.value("equity"), Some(14_400.0));
    assert!(near(&level));
    assert_eq!(level.value("daily_pnl"), Some(-100.0));
}

#[test]
fn a_day_begins_with_what_was_there() {
    let mut house = example();
    house.see(4, mark("A", "40", "40"));
    // The test begins at midnight, UTC.
    let midnight = 24 * 3600;
    for second in [midnight - 10, midnight + 10] {
        house.see(second, mark("A", "40", "40"));
        for portfolio in ["p", "q"] {
            let equity = if portfolio == "p" { "900" } else { "1000" };
            house.account(second, portfolio, equity, "0", "0");
        }
        house.run_to(second + 1);
        let expected = if second < midnight { -100.0 } else { 0.0 };
        assert_eq!(house.level().value("daily_pnl"), Some(expected), "{second}");
    }
    assert_eq!(house.level().value("drawdown"), Some(0.05), "a drawdown is of no day");
}

#[test]
fn what_accounts_do_not_say_is_unknown() {
    let mut house = example();
    // Of p the account is stale; what is held is known.
    house.account(250, "q", "1000", "0", "0");
    house.run_to(302);
    let level = house.level();
    for name in ["equity", "leverage", "drawdown", "max_drawdown", "daily_pnl", "daily_loss_share"] {
        assert_eq!(level.unknown(name), Some(Unknown::Stale), "{name}");
    }
    assert_eq!(level.limit("drawdown").status, LimitStatus::Unknown);
    assert_eq!(level.value("gross_exposure"), Some(500.0));
    house.account(303, "p", "1000", "0", "0");
    assert_eq!(house.level().value("equity"), Some(2000.0));
    // A portfolio without an account.
    house.see(304, fill("s", "A", Side::Buy, "1", "50", "0"));
    assert_eq!(house.level().unknown("equity"), Some(Unknown::Missing));
    assert_eq!(house.level().value("gross_exposure"), Some(550.0));
    // And one in another currency.
    let Event::Account(mut foreign) = account_with("s", "10", "10", "0", "0") else { unreachable!() };
    foreign.currency = "EUR".into();
    house.see(305, Event::Account(foreign));
    assert_eq!(house.level().unknown("equity"), Some(Unknown::NoRate));
}

#[test]
fn a_position_that_the_account_knew_before_the_mark_came_is_missing_until_then() {
    let mut house = House::new();
    house.see(1, in_currency(fill("p", "A", Side::Buy, "10", "50", "0"), "USD"));
    house.account(2, "p", "1000", "0", "0");
    assert_eq!(house.level().unknown("equity"), Some(Unknown::Missing));
    house.see(3, mark("A", "60", "60"));
    assert_eq!(house.level().value("equity"), Some(1000.0));
    house.see(4, mark("A", "61", "61"));
    assert_eq!(house.level().value("equity"), Some(1010.0));
    assert_eq!(house.level().value("drawdown"), Some(0.0));
}

/// A portfolio whose account knows of what has no value yet comes with what it has once that is known.
#[test]
fn what_a_portfolio_brings_is_counted_once_though_risk_lacks_a_mark() {
    let mut house = House::new();
    house.account(1, "q", "1000", "0", "0");
    // The firm has the mark before risk has it.
    house.firm.see(2, mark("A", "60", "60"));
    house.see(3, fill("p", "A", Side::Buy, "10", "50", "0"));
    house.account(4, "p", "1000", "0", "0");
    assert_eq!(house.level().unknown("equity"), Some(Unknown::Missing));
    house.see(5, mark("A", "60", "60"));
    house.run_to(6);
    let level = house.level();
    assert_eq!(level.value("equity"), Some(2000.0));
    assert_eq!((level.value("drawdown"), level.value("daily_pnl")), (Some(0.0), Some(0.0)));
    house.see(7, mark("A", "50", "50"));
    assert_eq!(house.level().value("daily_pnl"), Some(-100.0));
}

/// What is paid in while equity is unknown is no share of what is not known.
#[test]
fn what_is_paid_in_meanwhile_waits_until_equity_is_known() {
    let mut house = example();
    house.see(4, mark("A", "40", "40"));
    house.see(5, fill("p", "B", Side::Buy, "9", "100", "0"));
    assert_eq!(house.level().unknown("equity"), Some(Unknown::Missing), "B has no mark");
    house.account(6, "q", "3000", "2000", "0");
    house.see(7, mark("B", "100", "100"));
    let level = house.level();
    assert_eq!((level.value("equity"), level.value("daily_pnl")), (Some(3900.0), Some(-100.0)));
    let drawdown = level.value("drawdown").unwrap();
    assert!((drawdown - 0.05).abs() < 1e-12, "{drawdown}");
}

/// Marks that an account record already knows of move nothing, and no book is published at each of them.
#[test]
fn an_account_whose_clock_is_ahead_is_taken_when_marks_have_come_so_far() {
    let mut house = example();
    house.run_to(4);
    let Event::Account(mut ahead) = account_with("p", "500", "850", "0", "0") else { unreachable!() };
    (ahead.event_time, ahead.sequence) = (drive::at(9), 0);
    let out = house.risk.see_at(5, Event::Account(ahead));
    house.pass(5, out);
    assert_eq!(house.level().value("equity"), Some(2000.0));
    let books =
        |house: &House| house.risk.outputs.iter().filter(|o| matches!(o.event, Event::Holdings(_))).count();
    let before = books(&house);
    for (second, price) in [(6, "45"), (7, "40"), (8, "35")] {
        house.see(second, mark("A", price, price));
    }
    assert_eq!(books(&house), before, "a book at a mark");
    house.run_to(10);
    let level = house.level();
    assert_eq!((level.value("equity"), level.value("daily_pnl")), (Some(1850.0), Some(-150.0)));
    assert_eq!(level.value("max_drawdown"), Some(0.075));
}

/// Each record ahead of the clock by two seconds: what they say is told all the same.
#[test]
fn an_account_whose_clock_is_always_ahead_is_told_of() {
    let mut house = example();
    for second in 5..30 {
        let Event::Account(mut ahead) = account_with("p", "500", &(1000 - second).to_string(), "0", "0")
        else {
            unreachable!()
        };
        ahead.event_time = drive::at(second + 2);
        house.now = second;
        let out = house.risk.see_at(second, Event::Account(ahead));
        house.pass(second, out);
    }
    let equity = house.level().value("equity").unwrap();
    assert!((1971.0..1980.0).contains(&equity), "{equity}");
}

/// A fill that comes late, of a symbol without a mark, is in the account record that came before it.
#[test]
fn a_late_fill_of_a_symbol_without_a_mark_is_no_profit_when_the_mark_comes() {
    let mut house = House::new();
    house.account(10, "p", "1000", "0", "0");
    let Event::ExecReport(mut late) = fill("p", "A", Side::Buy, "10", "50", "0") else { unreachable!() };
    late.event_time = drive::at(5);
    let out = house.risk.see_at(11, Event::ExecReport(late));
    house.pass(11, out);
    house.see(12, mark("A", "50", "50"));
    house.run_to(13);
    assert_eq!(house.risk.level("p").value("equity"), Some(1000.0));
    assert_eq!(house.level().value("equity"), Some(1000.0));
}

#[derive(Clone, Debug)]
enum Step {
    Mark(usize, i64),
    Fill(usize, usize, i64),
    Account(usize, i64, i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..3_usize, 1..100_i64).prop_map(|(symbol, price)| Step::Mark(symbol, price)),
        3 => (0..3_usize, 0..3_usize, -9..9_i64).prop_map(|(p, s, q)| Step::Fill(p, s, q)),
        1 => (0..3_usize, 1..5000_i64, 0..9_i64).prop_map(|(p, e, d)| Step::Account(p, e, d)),
    ];
    prop::collection::vec(step, 1..60)
}

fn show(house: &mut House, second: i64, step: &Step) {
    const PORTFOLIOS: [&str; 3] = ["p", "q", "r"];
    const SYMBOLS: [&str; 3] = ["A", "B", "C"];
    match step {
        Step::Mark(symbol, price) => {
            house.see(second, mark(SYMBOLS[*symbol], &price.to_string(), &price.to_string()));
        }
        Step::Fill(_, _, 0) => {}
        Step::Fill(portfolio, symbol, quantity) => {
            let side = if *quantity < 0 { Side::Sell } else { Side::Buy };
            let quantity = quantity.abs().to_string();
            house.see(second, fill(PORTFOLIOS[*portfolio], SYMBOLS[*symbol], side, &quantity, "50", "0.1"));
        }
        Step::Account(portfolio, equity, deposits) => {
            let (equity, deposits) = (equity.to_string(), deposits.to_string());
            house.account(second, PORTFOLIOS[*portfolio], &equity, &deposits, "0");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// To the last digit, whatever came in whatever order; and unknown when one of them is.
    #[test]
    fn equity_is_the_sum_of_the_portfolios(steps in steps(), restart in 0..60_usize) {
        let mut house = House::new();
        for (second, step) in (0..).zip(&steps) {
            if second as usize == restart {
                house.firm.restart();
            }
            show(&mut house, second, step);
        }
        let mut portfolios: Vec<&str> = Vec::new();
        for step in &steps {
            if let Step::Account(p, ..) | Step::Fill(p, _, -9..=-1 | 1..) = step {
                portfolios.push(["p", "q", "r"][*p]);
            }
        }
        portfolios.sort_unstable();
        portfolios.dedup();
        if !portfolios.is_empty() {
            let equity = |portfolio: &&str| house.risk.level(portfolio).value("equity");
            let sum: Option<f64> = portfolios.iter().map(equity).collect::<Vec<_>>().into_iter().sum();
            let said = house.level().value("equity");
            match (said, sum) {
                (Some(said), Some(sum)) => prop_assert!((said - sum).abs() <= 1e-9 * sum.abs().max(1.0), "{} {}", said, sum),
                (said, sum) => prop_assert_eq!(said, sum),
            }
        }
    }
}
