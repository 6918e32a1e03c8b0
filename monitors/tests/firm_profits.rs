//! What strategies, desks and the firm gained and lost, what models make of it, and how what they hold moves together.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod drive;

use std::collections::BTreeMap;
use std::time::Duration;

use drive::{Driver, Level, account_with, complete, fill, in_currency, mark};
use proptest::prelude::*;
use tapewatch_monitors::kernels::Horizon;
use tapewatch_monitors::risk::firm::{FirmMonitor, FirmParameters, ScopeLimit, ScopeParameters};
use tapewatch_monitors::risk::{
    Basis, Bounded, Confidence, HistoryParameters, LimitParameters, Pair, Sampling, TailModel, WindowLength,
    WindowParameters,
};
use tapewatch_monitors::{Output, RiskParameters, TaskContext};
use tapewatch_schemas::Event;
use tapewatch_schemas::events::{LimitStatus, Measure, Occasion, Side, Unknown};

const DESK: &str = "desk:one";
const FIRM: &str = "firm:all";
const LONG: Duration = Duration::from_secs(10_000_000);

/// The risk worker, and the firm's behind it.
struct House {
    risk: Driver,
    firm: Driver,
    /// The second of the latest record.
    now: i64,
}

fn books(out: Vec<Output>) -> impl Iterator<Item = Event> {
    out.into_iter().filter_map(|output| match output.event {
        Event::Holdings(mut book) => {
            book.provenance.worker = "risk".into();
            Some(Event::Holdings(book))
        }
        _ => None,
    })
}

/// The window and the history of both: a change and a return each minute.
fn window(basis: Basis, sampling: Sampling) -> WindowParameters {
    WindowParameters {
        sampling,
        basis,
        length: WindowLength::Observations(30),
        minimum: 5,
        levels: vec![Confidence(9000), Confidence(9500)],
        horizons: [1, 3].map(|steps| Horizon::new(steps).unwrap()).to_vec(),
        models: TailModel::ALL.to_vec(),
        backtest: 25,
        ..WindowParameters::default()
    }
}

impl House {
    fn new(window: WindowParameters) -> Self {
        Self::of_task(window, true)
    }

    fn of_task(window: WindowParameters, opened_from_zero: bool) -> Self {
        let history = HistoryParameters {
            interval: Duration::from_secs(60),
            window: WindowLength::Observations(20),
            minimum: 5,
            ..HistoryParameters::default()
        };
        let rates = vec![Pair { symbol: "EURUSD".into(), base: "EUR".into(), quote: "USD".into() }];
        let mut risk = RiskParameters {
            window: window.clone(),
            history: history.clone(),
            rates: rates.clone(),
            ..RiskParameters::default()
        };
        risk.freshness.marks = LONG;
        risk.freshness.accounts = LONG;
        risk.freshness.executions = LONG;
        let lost =
            [Bounded::RealisedLoss, Bounded::UnrealisedLoss, Bounded::Fees, Bounded::AverageCorrelation];
        let lost = lost.map(|measure| LimitParameters::new(&measure.to_string(), measure, None, Some(100.0)));
        risk.limits = lost.to_vec();
        let light = Bounded::Light(TailModel::Historical, Confidence(9000));
        let var = Bounded::ValueAtRisk(TailModel::Gaussian, Confidence(9500), Horizon::ONE);
        let limits = [
            LimitParameters::new("light", light, Some(0.0), Some(1.0)),
            LimitParameters::new("var", var, None, Some(1.0)),
            LimitParameters::new("together", Bounded::MaxCorrelation, Some(0.5), None),
            LimitParameters::new("lately", Bounded::MaxCorrelationEwma, Some(0.5), None),
        ];
        let on = |limit| ScopeLimit { scopes: Vec::new(), limit };
        let scope = |scope: &str, portfolios: &[&str]| ScopeParameters {
            scope: scope.into(),
            portfolios: portfolios.iter().map(|id| (*id).into()).collect(),
        };
        let firm = FirmParameters {
            scopes: vec![scope(DESK, &["p"]), scope(FIRM, &[])],
            limits: limits.into_iter().chain(lost).map(on).collect(),
            window,
            history,
            rates,
            marks: LONG,
            books: LONG,
            ..FirmParameters::default()
        };
        Self {
            risk: Driver::risk(risk, TaskContext { partition: 0, opened_from_zero }),
            firm: Driver::new(move || Box::new(FirmMonitor::new(firm.clone()))),
            now: 0,
        }
    }

    fn see(&mut self, second: i64, event: Event) {
        // What risk says between two records comes to the firm before what is due there later.
        for between in self.now + 1..=second {
            let out = self.risk.run_to(between);
            for book in books(out) {
                self.firm.see_derived(book);
            }
        }
        self.now = second;
        let out = self.risk.see(second, event.clone());
        if matches!(event, Event::MarketData(_)) {
            self.firm.see(second, event);
        }
        for book in books(out) {
            self.firm.see_at(second, book);
        }
    }

    fn restart(&mut self) {
        self.risk.restart();
        self.firm.restart();
    }

    /// The latest levels of both at one instant, if they published at the same.
    fn latest(&self, portfolio: &str, scope: &str) -> Option<[Level; 2]> {
        let last = |driver: &Driver, name: &str| {
            driver.outputs.iter().rev().find_map(|output| match &output.event {
                Event::RiskMetrics(metrics)
                    if metrics.scope.as_str() == name && metrics.occasion == Occasion::Interval =>
                {
                    Some(Level(metrics.clone()))
                }
                _ => None,
            })
        };
        let both = [last(&self.risk, portfolio)?, last(&self.firm, scope)?];
        (both[0].0.event_time == both[1].0.event_time).then_some(both)
    }
}

/// Of a portfolio alone, of the task alone, or from when either was first seen.
const OWN: [&str; 4] = ["cash", "daily_realised_pnl", "duplicate_executions", "observed_for"];

fn shared(level: Level) -> BTreeMap<String, Measure> {
    let measures = level.measures().into_iter().filter(|measure| !OWN.contains(&measure.name.as_str()));
    measures.map(|measure| (measure.name.clone(), measure)).collect()
}

/// Marks of three symbols, and what one portfolio trades of them.
#[derive(Clone, Debug)]
enum Step {
    Mark(usize, u32),
    Fill(usize, bool, u32),
    Pay(u32),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<(u32, Step)>> {
    let step = prop_oneof![
        12 => (0_usize..3, 50_u32..150).prop_map(|(symbol, price)| Step::Mark(symbol, price)),
        4 => (0_usize..3, any::<bool>(), 1_u32..9).prop_map(|(symbol, buy, size)| Step::Fill(symbol, buy, size)),
        1 => (1_u32..900).prop_map(Step::Pay),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec((1_u32..50, step), 150..250)
}

const SYMBOLS: [&str; 3] = ["A", "B", "C"];

/// Plays the steps with these portfolios taking turns, and looks at both after each.
fn play(
    mut house: House,
    portfolios: &[&str],
    steps: Vec<(u32, Step)>,
    mut look: impl FnMut(&House),
) -> House {
    for symbol in SYMBOLS {
        house.see(0, mark(symbol, "100", "100"));
    }
    for portfolio in portfolios {
        house.see(0, account_with(portfolio, "100000", "100000", "0", "0"));
    }
    let (mut second, mut turn, mut paid) = (1, 0, 0);
    for (after, step) in steps {
        second += i64::from(after);
        match step {
            Step::Mark(symbol, price) => {
                let price = price.to_string();
                house.see(second, mark(SYMBOLS[symbol], &price, &price));
            }
            Step::Fill(symbol, buy, size) => {
                let side = if buy { Side::Buy } else { Side::Sell };
                turn += 1;
                let portfolio = portfolios[turn % portfolios.len()];
                house.see(second, fill(portfolio, SYMBOLS[symbol], side, &size.to_string(), "100", "0.25"));
            }
            Step::Pay(much) => {
                // The account says the same as we do, and what was paid in.
                let now = house.risk.level(portfolios[0]).value("equity").unwrap();
                paid += much;
                let equity = (now + f64::from(much)).to_string();
                let account = account_with(portfolios[0], &equity, &equity, &paid.to_string(), "0");
                house.see(second, account);
            }
            Step::Restart => house.restart(),
        }
        look(&house);
    }
    house
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// A scope of one portfolio has the figures of that portfolio: every one of them, at every instant at which both
    /// publish.
    #[test]
    fn a_scope_of_one_portfolio_has_its_figures(
        steps in steps(),
        basis in prop_oneof![Just(Basis::Equity), Just(Basis::Book)],
        (every, stretch) in (any::<bool>(), any::<bool>()),
    ) {
        let sampling = if every { Sampling::Every(Duration::from_secs(60)) } else { Sampling::EachFill };
        let mut window = window(basis, sampling);
        if every && stretch {
            window.length = WindowLength::Span(Duration::from_secs(1_800));
        }
        let mut compared = 0;
        let house = House::new(window);
        play(house, &["p"], steps, |house| {
            let Some([portfolio, desk]) = house.latest("p", DESK) else { return };
            for limit in &portfolio.0.limits {
                let of_desk = desk.limit(&limit.limit);
                assert_eq!((limit.status, limit.unknown), (of_desk.status, of_desk.unknown), "{}", limit.limit);
                assert_eq!(limit.value, of_desk.value, "{}", limit.limit);
            }
            let of_desk = shared(desk);
            let of_p = shared(portfolio);
            assert_eq!(of_desk["samples"], of_p["samples"]);
            for (name, measure) in of_p {
                let desk = &of_desk[&name];
                assert_eq!((desk.amount, desk.unknown), (measure.amount, measure.unknown), "{name}");
                // What is paid in moves what was known before in proportion, which is rounded.
                let near = |a: f64, b: f64| (a - b).abs() <= 1e-12 * (1.0 + a.abs());
                let (here, there) = (measure.value.unwrap_or(0.0), desk.value.unwrap_or(0.0));
                assert!(near(here, there), "{name}: {here}, of the scope {there}");
                compared += usize::from(measure.value.is_some());
            }
        });
        prop_assert!(compared > 1_000, "{compared}");
    }

    /// What a scope realised, has not realised, and paid is the sum of what its portfolios did.
    #[test]
    fn what_a_scope_gained_is_the_sum_of_what_its_portfolios_did(steps in steps()) {
        let portfolios = ["p", "q", "r"];
        let house = House::new(window(Basis::Book, Sampling::Every(Duration::from_secs(60))));
        let mut house = play(house, &portfolios, steps, |_| ());
        let levels = portfolios.map(|portfolio| house.risk.level(portfolio));
        let firm = house.firm.level(FIRM);
        for name in ["realised_pnl", "unrealised_pnl", "fees"] {
            let amount = |level: &Level| {
                level.0.measures.iter().find(|one| one.name == name).unwrap().amount.unwrap().unscaled()
            };
            prop_assert_eq!(amount(&firm), levels.iter().map(amount).sum::<i128>(), "{}", name);
        }
    }
}

/// The example of docs/risk.md: one portfolio in dollars, one in euros.
#[test]
fn what_a_portfolio_abroad_gained_is_at_the_rate_now() {
    let mut house = House::new(window(Basis::Equity, Sampling::EachFill));
    house.see(0, mark("EURUSD", "1.25", "1.25"));
    house.see(0, mark("A", "100", "100"));
    house.see(0, in_currency(mark("SAP", "100", "100"), "EUR"));
    house.see(1, fill("p", "A", Side::Buy, "10", "100", "2"));
    house.see(2, in_currency(fill("q", "SAP", Side::Buy, "10", "100", "1"), "EUR"));
    house.see(3, mark("A", "110", "110"));
    house.see(4, fill("p", "A", Side::Sell, "4", "110", "0"));
    house.see(5, in_currency(mark("SAP", "108", "108"), "EUR"));
    house.see(6, in_currency(fill("q", "SAP", Side::Sell, "5", "108", "0"), "EUR"));
    let values = |house: &mut House| {
        let level = house.firm.level(FIRM);
        ["realised_pnl", "unrealised_pnl", "fees"].map(|name| level.value(name).unwrap())
    };
    assert_eq!(values(&mut house), [40.0 + 50.0, 60.0 + 50.0, 2.0 + 1.25]);
    house.see(7, mark("EURUSD", "1.5", "1.5"));
    house.restart();
    assert_eq!(values(&mut house), [40.0 + 60.0, 60.0 + 60.0, 2.0 + 1.5]);
    // Losses are bounded, gains are none.
    let bounded = |house: &mut House| {
        let level = house.firm.level(FIRM);
        ["realised_loss", "unrealised_loss", "fees"].map(|name| level.limit(name).value.unwrap())
    };
    assert_eq!(bounded(&mut house), [0.0, 0.0, 3.5]);
    house.see(8, mark("A", "50", "50"));
    house.see(9, fill("p", "A", Side::Sell, "3", "20", "0"));
    assert_eq!(bounded(&mut house), [-40.0 - 60.0 + 3.0 * 80.0, -60.0 + 3.0 * 50.0, 3.5]);
    assert_eq!(house.firm.level(FIRM).limit("realised_loss").status, LimitStatus::Breached);
}

#[test]
fn what_a_book_does_not_know_of_costs_is_unknown_above_it() {
    let mut house = House::of_task(window(Basis::Book, Sampling::EachFill), false);
    house.see(0, mark("A", "100", "100"));
    house.see(1, complete("p", &[("A", "5", None)]));
    house.see(1, complete("q", &[]));
    house.see(2, fill("q", "A", Side::Buy, "1", "100", "1"));
    let level = house.firm.level(FIRM);
    assert_eq!(level.unknown("unrealised_pnl"), Some(Unknown::NoOpening));
    assert_eq!((level.value("realised_pnl"), level.value("fees")), (Some(0.0), Some(1.0)));
    house.see(3, fill("p", "A", Side::Sell, "5", "100", "0"));
    let level = house.firm.level(FIRM);
    assert_eq!(level.unknown("realised_pnl"), Some(Unknown::NoOpening));
    assert_eq!(level.value("unrealised_pnl"), Some(0.0));
}

/// A book of a writer that says nothing of it.
#[test]
fn what_nobody_says_is_missing() {
    let mut house = House::new(window(Basis::Book, Sampling::EachFill));
    house.see(0, mark("A", "100", "100"));
    let out = house.risk.see(1, fill("p", "A", Side::Buy, "1", "100", "0"));
    for mut book in books(out) {
        if let Event::Holdings(book) = &mut book {
            book.profit = None;
        }
        house.firm.see_at(1, book);
    }
    let level = house.firm.level(DESK);
    for name in ["realised_pnl", "unrealised_pnl", "fees", "var_90", "daily_pnl"] {
        assert_eq!(level.unknown(name), Some(Unknown::Missing), "{name}");
    }
    assert_eq!(level.value("gross_exposure"), Some(100.0));
    // The next book says it.
    house.see(2, fill("p", "A", Side::Buy, "1", "100", "0"));
    assert_eq!(house.firm.level(DESK).value("unrealised_pnl"), Some(0.0));
}

/// A model whose light turns, a limit on a model of changes, and on how what is held moves together.
#[test]
fn limits_can_be_on_all_of_it() {
    let mut house = House::new(window(Basis::Book, Sampling::Every(Duration::from_secs(60))));
    for symbol in ["A", "B"] {
        house.see(0, mark(symbol, "100", "100"));
        house.see(1, fill("p", symbol, Side::Buy, "10", "100", "0"));
    }
    let mut price = 100.0;
    for minute in 1..60_i64 {
        // Calm, and then a fall that grows.
        let move_ = if minute % 2 == 0 { 0.5 } else { -0.5 };
        price += if minute < 30 { move_ } else { -0.2 * (minute - 28) as f64 / 4.0 };
        for symbol in ["A", "B"] {
            let text = format!("{price:.4}");
            house.see(minute * 60 + 30, mark(symbol, &text, &text));
        }
        if minute == 29 {
            let calm = house.firm.level(DESK);
            assert_eq!(calm.limit("light").status, LimitStatus::Ok);
        }
    }
    let level = house.firm.level(DESK);
    assert_eq!(
        (level.value("var_90_light"), level.limit("light").status),
        (Some(2.0), LimitStatus::Breached)
    );
    assert_eq!(
        (level.limit("var").status, level.limit("var").value),
        (LimitStatus::Breached, level.value("var_95_gaussian"))
    );
    for (limit, measure) in [("together", "max_correlation"), ("lately", "max_correlation_ewma")] {
        let value = level.value(measure).unwrap();
        assert!(value > 0.999, "{measure}: {value}");
        assert_eq!(
            (level.limit(limit).status, level.limit(limit).value),
            (LimitStatus::Warning, Some(value))
        );
        let pair = &level.0.measures.iter().find(|one| one.name == measure).unwrap().symbols;
        assert_eq!((pair.len(), pair), (2, &level.limit(limit).symbols));
    }
    assert_eq!(level.value("average_correlation"), level.value("max_correlation"));
}

/// What is opened anew is counted from there: no change, and no loss of the day.
#[test]
fn a_book_that_is_opened_anew_is_no_loss() {
    for basis in [Basis::Book, Basis::Equity] {
        let mut house = House::new(window(basis, Sampling::Every(Duration::from_secs(60))));
        house.see(0, mark("A", "100", "100"));
        house.see(0, account_with("p", "10000", "10000", "0", "0"));
        house.see(1, fill("p", "A", Side::Buy, "10", "100", "0"));
        house.see(30, mark("A", "200", "200"));
        house.see(61, mark("A", "200", "200"));
        house.see(62, mark("A", "210", "210"));
        for book in books(house.risk.skip("exec.reports.v1", Some(62))) {
            house.firm.see_at(62, book);
        }
        house.see(70, complete("p", &[("A", "10", Some("210"))]));
        house.see(125, mark("A", "210", "210"));
        house.see(185, mark("A", "211", "211"));
        house.see(241, mark("A", "211", "211"));
        let (p, desk) = (house.risk.level("p"), house.firm.level(DESK));
        assert_eq!((p.value("samples"), desk.value("samples")), (Some(3.0), Some(3.0)), "{basis:?}");
        if basis == Basis::Book {
            // A portfolio's day begins with what opened it, a scope's goes on: 1,100 until then.
            assert_eq!((p.value("daily_pnl"), desk.value("daily_pnl")), (Some(10.0), Some(1110.0)));
        }
    }
}

/// With profit of the books a portfolio that comes brings what it gained, and the day's loss stays.
#[test]
fn a_portfolio_that_comes_ends_no_loss_of_the_day() {
    let mut house = House::new(window(Basis::Book, Sampling::Every(Duration::from_secs(60))));
    house.see(0, mark("A", "100", "100"));
    house.see(0, in_currency(mark("SAP", "100", "100"), "EUR"));
    house.see(0, mark("EURUSD", "1.25", "1.25"));
    house.see(1, fill("p", "A", Side::Buy, "10", "100", "0"));
    house.see(2, mark("A", "50", "50"));
    let day = |house: &mut House| house.firm.level(FIRM).value("daily_pnl");
    assert_eq!(day(&mut house), Some(-500.0));
    // At a price far from the mark: what it gained by that is what it brings.
    house.see(3, fill("q", "A", Side::Buy, "1", "20", "0"));
    assert_eq!(day(&mut house), Some(-500.0));
    house.see(4, in_currency(fill("r", "SAP", Side::Buy, "1", "90", "0"), "EUR"));
    house.restart();
    assert_eq!(day(&mut house), Some(-500.0));
    house.see(5, mark("A", "51", "51"));
    assert_eq!(day(&mut house), Some(-489.0));
    // One without a mark: nobody knows, and then all is as it was.
    house.see(6, fill("s", "B", Side::Buy, "2", "10", "0"));
    assert_eq!(house.firm.level(FIRM).unknown("daily_pnl"), Some(Unknown::Missing));
    house.see(7, mark("B", "15", "15"));
    assert_eq!(day(&mut house), Some(-489.0));
    house.see(8, mark("B", "16", "16"));
    assert_eq!(day(&mut house), Some(-487.0));
    assert_eq!(house.firm.level(FIRM).value("unrealised_pnl"), Some(-490.0 + 31.0 + 12.5 + 12.0));
}

/// One that says nothing is not hidden by one that does not know.
#[test]
fn who_says_nothing_is_seen_beside_who_does_not_know() {
    let mut house = House::of_task(window(Basis::Book, Sampling::EachFill), false);
    house.see(0, mark("A", "100", "100"));
    house.see(1, complete("p", &[("A", "5", None)]));
    house.see(2, complete("q", &[]));
    house.see(3, fill("p", "A", Side::Sell, "5", "100", "0"));
    assert!(house.firm.level(FIRM).value("daily_pnl").is_some());
    for mut book in books(house.risk.see(4, fill("q", "A", Side::Buy, "10", "100", "0"))) {
        if let Event::Holdings(book) = &mut book {
            book.profit = None;
        }
        house.firm.see_at(4, book);
    }
    let level = house.firm.level(FIRM);
    assert_eq!(level.unknown("realised_pnl"), Some(Unknown::NoOpening));
    for name in ["daily_pnl", "var_90"] {
        assert_eq!(level.unknown(name), Some(Unknown::Missing), "{name}");
    }
}

/// A purchase whose price had no rate then, and a bust of it later, are neither profit nor loss.
#[test]
fn what_was_paid_without_a_rate_is_no_profit() {
    let mut house = House::new(window(Basis::Book, Sampling::Every(Duration::from_secs(60))));
    house.see(0, mark("A", "100", "100"));
    house.see(0, account_with("p", "10000", "10000", "0", "0"));
    house.see(1, fill("p", "A", Side::Buy, "1", "100", "0"));
    house.see(2, in_currency(mark("SAP", "100", "100"), "EUR"));
    let bought = drive::execution(in_currency(fill("p", "SAP", Side::Buy, "10", "100", "0"), "EUR"), 7);
    house.see(3, bought.clone());
    house.see(4, mark("EURUSD", "1.25", "1.25"));
    let day = |house: &mut House| house.firm.level(DESK).value("daily_pnl");
    assert_eq!(day(&mut house), Some(0.0));
    house.see(5, in_currency(mark("SAP", "101", "101"), "EUR"));
    assert_eq!(day(&mut house), Some(12.5));
    house.see(6, drive::bust(&bought));
    assert_eq!(day(&mut house), Some(12.5), "what the position gained meanwhile stays of the day");
}

/// Under another window limits are looked at before anything else.
#[test]
fn other_settings_are_seen_at_once() {
    let sampling = Sampling::Every(Duration::from_secs(60));
    let mut house = House::new(window(Basis::Book, sampling));
    house.see(0, mark("A", "100", "100"));
    house.see(1, fill("p", "A", Side::Buy, "10", "100", "0"));
    for minute in 1..12_i64 {
        let price = if minute % 2 == 0 { "100" } else { "101" };
        house.see(60 * minute + 5, mark("A", price, price));
    }
    assert_eq!(house.firm.level(DESK).limit("var").status, LimitStatus::Breached);
    let mut other = House::new(WindowParameters { minimum: 25, ..window(Basis::Book, sampling) });
    other.firm.restore(&house.firm.save());
    // At the instant that it was saved at, not with the next mark.
    other.firm.run_to(60 * 11 + 5);
    let limit = other.firm.level(DESK).limit("var").clone();
    assert_eq!((limit.status, limit.unknown), (LimitStatus::Unknown, Some(Unknown::WarmingUp)));
}
