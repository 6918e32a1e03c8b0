//! Books in other currencies than the account's: what is converted, by which rate, and what is unknown without one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod drive;

use std::time::Duration;

use drive::{Driver, account, at, bust, complete, correct, fill, in_currency, mark};
use proptest::prelude::*;
use tapewatch_monitors::kernels::Horizon;
use tapewatch_monitors::risk::firm::{FirmMonitor, FirmParameters, ScopeParameters};
use tapewatch_monitors::risk::{
    Basis, Bounded, Confidence, HistoryParameters, LimitParameters, Moves, Pair, Scenario, Shock,
    ShockedMarket, TailModel,
};
use tapewatch_monitors::{RiskParameters, TaskContext};
use tapewatch_schemas::events::{LimitStatus, Side, Unknown};
use tapewatch_schemas::{Amount, Event};

fn pair(base: &str, quote: &str) -> Pair {
    Pair { symbol: format!("{base}{quote}").as_str().into(), base: base.into(), quote: quote.into() }
}

fn parameters() -> RiskParameters {
    RiskParameters {
        rates: vec![pair("EUR", "USD"), pair("USD", "JPY")],
        limits: Vec::new(),
        ..RiskParameters::default()
    }
}

fn driver(parameters: RiskParameters) -> Driver {
    Driver::risk(parameters, TaskContext { partition: 0, opened_from_zero: true })
}

fn eur(event: Event) -> Event {
    in_currency(event, "EUR")
}

fn account_in(currency: &str, portfolio: &str, cash: &str, equity: &str) -> Event {
    let Event::Account(mut record) = account(portfolio, cash, equity) else { unreachable!() };
    record.currency = currency.into();
    Event::Account(record)
}

/// The example of docs/risk.md: an account in dollars buys 10 SAP at 100 euros, at 1.25.
fn example() -> Driver {
    let mut d = driver(parameters());
    d.see(0, account("p", "10000", "10000"));
    d.see(1, mark("EURUSD", "1.25", "1.25"));
    d.see(2, eur(mark("SAP", "100", "100")));
    d.see(3, eur(fill("p", "SAP", Side::Buy, "10", "100", "0")));
    d
}

fn values<const N: usize>(d: &mut Driver, names: [&str; N]) -> [f64; N] {
    let level = d.level("p");
    names.map(|name| level.value(name).unwrap_or_else(|| panic!("{name}: {:?}", level.unknown(name))))
}

/// Checks figures, and that a row of the document's table has them.
fn documented<const N: usize>(d: &mut Driver, row: &str, names: [&str; N], expected: [f64; N]) {
    assert_eq!(values(d, names), expected);
    let written = |value: f64| {
        let text = value.abs().to_string();
        let (whole, part) =
            text.split_once('.').map_or((text.as_str(), String::new()), |(w, p)| (w, format!(".{p}")));
        let (thousands, rest) = whole.split_at(whole.len().saturating_sub(3));
        let comma = if thousands.is_empty() { "" } else { "," };
        format!("{}{thousands}{comma}{rest}{part}", if value < 0.0 { "−" } else { "" })
    };
    let row = format!("| {row} | {} |", expected.map(written).join(" | "));
    assert!(include_str!("../../docs/risk.md").contains(&row), "{row}");
}

#[test]
fn what_is_paid_goes_by_the_rate_then_and_what_is_held_by_the_rate_now() {
    let mut d = example();
    let names = ["equity", "cash", "net_exposure", "unrealised_pnl", "realised_pnl", "fees"];
    documented(&mut d, "it buys 10 SAP at 100", names, [10_000.0, 8_750.0, 1_250.0, 0.0, 0.0, 0.0]);
    d.see(4, mark("EURUSD", "1.20", "1.20"));
    documented(&mut d, "EURUSD falls to 1.20", names, [9_950.0, 8_750.0, 1_200.0, -50.0, 0.0, 0.0]);
    d.see(5, eur(mark("SAP", "110", "110")));
    documented(&mut d, "SAP rises to 110", names, [10_070.0, 8_750.0, 1_320.0, 70.0, 0.0, 0.0]);
    d.see(6, eur(fill("p", "SAP", Side::Sell, "4", "110", "1")));
    let sold = [10_068.8, 9_276.8, 792.0, 42.0, 28.0, 1.2];
    documented(&mut d, "it sells 4 at 110, for a fee of 1 euro", names, sold);
    d.restart();
    assert_eq!(values(&mut d, names), [10_068.8, 9_276.8, 792.0, 42.0, 28.0, 1.2]);
    let of = ["currency_gross:EUR", "currency_net:EUR", "currency_share:EUR"];
    assert_eq!(values(&mut d, of), [792.0, 792.0, 1.0]);
}

#[test]
fn rates_go_each_way_and_over_other_pairs() {
    let mut d = driver(parameters());
    d.see(0, account_in("JPY", "p", "1000000", "1000000"));
    d.see(1, mark("EURUSD", "1.25", "1.25"));
    d.see(1, in_currency(mark("USDJPY", "160", "160"), "JPY"));
    d.see(2, eur(mark("SAP", "100", "100")));
    d.see(3, eur(fill("p", "SAP", Side::Buy, "2", "100", "0")));
    d.see(3, mark("A", "50", "50"));
    d.see(3, fill("p", "A", Side::Sell, "1", "50", "0"));
    assert_eq!(values(&mut d, ["net_exposure", "cash"]), [32_000.0, 968_000.0]);
    d.see(4, in_currency(mark("USDJPY", "150", "150"), "JPY"));
    let names = ["net_exposure", "gross_exposure", "equity", "currency_net:USD", "currency_net:EUR"];
    assert_eq!(values(&mut d, names), [30_000.0, 45_000.0, 998_000.0, -7_500.0, 37_500.0]);
    // From dollars to euros is one over the price.
    let mut d = driver(parameters());
    d.see(0, account_in("EUR", "p", "1000", "1000"));
    d.see(1, mark("EURUSD", "1.25", "1.25"));
    d.see(2, mark("A", "50", "50"));
    d.see(3, fill("p", "A", Side::Buy, "1", "50", "0"));
    assert_eq!(values(&mut d, ["net_exposure", "cash"]), [40.0, 960.0]);
}

#[test]
fn a_rate_that_is_missing_or_old_makes_unknown_what_rests_on_it() {
    let mut d = driver(parameters());
    d.see(0, account("p", "10000", "10000"));
    d.see(1, eur(mark("SAP", "100", "100")));
    d.see(2, eur(fill("p", "SAP", Side::Buy, "10", "100", "1")));
    let level = d.level("p");
    for name in ["gross_exposure", "equity", "cash", "fees"] {
        assert_eq!(level.unknown(name), Some(Unknown::NoRate), "{name}");
    }
    // With a rate exposure is known; what the fill cost is not, until an account says what is left.
    d.see(3, mark("EURUSD", "1.25", "1.25"));
    assert_eq!(d.level("p").value("gross_exposure"), Some(1_250.0));
    assert_eq!(d.level("p").unknown("equity"), Some(Unknown::NoRate));
    assert_eq!(d.level("p").unknown("unrealised_pnl"), Some(Unknown::NoOpening));
    d.restart();
    d.see(4, account("p", "8748", "9998"));
    d.see(5, mark("EURUSD", "1.30", "1.30"));
    assert_eq!(values(&mut d, ["equity", "cash"]), [10_048.0, 8_748.0]);
    // Within the bound and one tick a rate that does not come any more is stale.
    for second in (60..=1080).step_by(60) {
        d.see(second, eur(mark("SAP", "100", "100")));
        d.see(second, account("p", "8748", "10048"));
    }
    assert_eq!(d.level("p").unknown("gross_exposure"), None);
    d.run_to(1206);
    assert_eq!(d.level("p").unknown("gross_exposure"), Some(Unknown::Stale));
    d.see(1207, mark("EURUSD", "1.30", "1.30"));
    assert_eq!(d.level("p").unknown("gross_exposure"), None);
}

#[test]
fn a_pair_in_another_currency_than_its_quote_is_no_rate() {
    let mut d = example();
    d.see(4, in_currency(mark("EURUSD", "1.25", "1.25"), "CHF"));
    assert_eq!(d.level("p").unknown("net_exposure"), Some(Unknown::NoRate));
    d.restart();
    d.see(5, mark("EURUSD", "1.20", "1.20"));
    assert_eq!(values(&mut d, ["equity", "net_exposure"]), [9_950.0, 1_200.0]);
}

#[test]
fn a_bust_undoes_its_fill_and_a_correction_goes_by_its_rate() {
    let mut d = example();
    let bought = eur(fill("p", "SAP", Side::Buy, "10", "102", "2"));
    d.see(4, bought.clone());
    d.see(5, mark("EURUSD", "1.50", "1.50"));
    let names = ["equity", "cash", "unrealised_pnl", "fees"];
    assert_eq!(values(&mut d, names), [10_472.5, 7_472.5, 475.0, 2.5]);
    let mut corrected = driver(parameters());
    corrected.restore(&d.save());
    corrected.see(6, correct(&bought, "10", "100", "2"));
    assert_eq!(
        values(&mut corrected, names)[..3],
        [10_497.0, 7_497.0, 500.0],
        "its fee is paid anew, at 1.5"
    );
    d.see(6, bust(&bought));
    assert_eq!(values(&mut d, names), [10_250.0, 8_750.0, 250.0, 0.0]);
}

#[test]
fn a_book_goes_on_in_the_currency_of_its_account() {
    let mut d = driver(parameters());
    d.see(1, mark("EURUSD", "1.25", "1.25"));
    d.see(2, eur(mark("SAP", "100", "100")));
    let bought = eur(fill("p", "SAP", Side::Buy, "10", "100", "1"));
    d.see(3, bought.clone());
    d.see(4, eur(fill("p", "SAP", Side::Sell, "4", "110", "0")));
    assert_eq!(d.level("p").0.currency.as_str(), "EUR");
    assert_eq!(values(&mut d, ["realised_pnl", "unrealised_pnl", "fees"]), [40.0, 0.0, 1.0]);
    d.see(5, account("p", "9300", "10050"));
    assert_eq!(d.level("p").0.currency.as_str(), "USD");
    let names = ["equity", "realised_pnl", "unrealised_pnl", "fees", "net_exposure"];
    assert_eq!(values(&mut d, names), [10_050.0, 50.0, 0.0, 1.25, 750.0]);
    d.restart();
    d.see(6, mark("EURUSD", "1.20", "1.20"));
    assert_eq!(values(&mut d, names), [10_020.0, 50.0, -30.0, 1.25, 720.0]);
    d.see(7, bust(&bought));
    assert_eq!(values(&mut d, ["realised_pnl", "fees", "net_exposure"]), [0.0, 0.0, -480.0]);
    // Without a rate nobody knows what it cost.
    let mut d = driver(RiskParameters { rates: Vec::new(), ..parameters() });
    d.see(2, eur(mark("SAP", "100", "100")));
    d.see(3, eur(fill("p", "SAP", Side::Buy, "10", "100", "1")));
    d.see(4, account("p", "9300", "10050"));
    let level = d.level("p");
    assert_eq!(level.unknown("net_exposure"), Some(Unknown::NoRate));
    assert_eq!(level.unknown("fees"), Some(Unknown::NoRate));
}

/// How a book swings is of its currency: a task that is put back anywhere around the change finds the same.
#[test]
fn a_change_of_currency_is_the_same_over_a_restart() {
    let interval = Duration::from_secs(900);
    let figures = |restarts: [bool; 2]| {
        let mut parameters = parameters();
        parameters.history = HistoryParameters { interval, minimum: 2, ..HistoryParameters::default() };
        parameters.freshness.executions = 10 * interval;
        parameters.stress = vec![Scenario {
            name: "storm".parse().unwrap(),
            moves: Moves::Shocks(Vec::new()),
            market: Some(ShockedMarket { volatility: 2.0, correlation: 0.5, level: Confidence(9900) }),
        }];
        let mut d = driver(parameters);
        for (nth, (price, rate)) in (0_i64..).zip([(100, "1.25"), (110, "1.20"), (99, "1.26"), (104, "1.20")])
        {
            d.see(nth * 900 + 1, mark("EURUSD", rate, rate));
            for symbol in ["SAP", "BMW"] {
                let price = (price + nth * i64::from(symbol == "BMW")).to_string();
                d.see(nth * 900 + 2, eur(mark(symbol, &price, &price)));
                let bought = eur(fill("p", symbol, Side::Buy, "10", "100", "0"));
                let id = 2 * nth + i64::from(symbol == "BMW");
                d.see(nth * 900 + 3, drive::execution(bought, id));
            }
        }
        let restart = |d: &mut Driver, wanted: bool| {
            if wanted {
                d.restart();
            }
        };
        restart(&mut d, restarts[0]);
        d.see(2710, account("p", "10000", "10000"));
        restart(&mut d, restarts[1]);
        d.see(2720, eur(mark("SAP", "105", "105")));
        let [storm] = values(&mut d, ["stress_storm"]);
        assert!(storm > 0.0);
        (storm.to_bits(), d.save())
    };
    let whole = figures([false, false]);
    for restarts in [[true, false], [false, true], [true, true]] {
        assert!(figures(restarts) == whole, "{restarts:?}");
    }
}

#[test]
fn positions_open_a_book_at_the_rate_of_their_moment() {
    let mut d = Driver::risk(parameters(), TaskContext { partition: 0, opened_from_zero: false });
    d.see(0, account("p", "8750", "10000"));
    d.see(1, mark("EURUSD", "1.25", "1.25"));
    d.see(2, eur(mark("SAP", "100", "100")));
    d.see(3, eur(complete("p", &[("SAP", "10", Some("90"))])));
    assert_eq!(values(&mut d, ["unrealised_pnl", "net_exposure", "equity"]), [125.0, 1_250.0, 10_000.0]);
    d.see(4, mark("EURUSD", "1.20", "1.20"));
    assert_eq!(values(&mut d, ["unrealised_pnl", "net_exposure", "equity"]), [75.0, 1_200.0, 9_950.0]);
}

#[test]
fn limits_are_on_money_of_the_account() {
    let limit = |name: &str, measure, hard| LimitParameters::new(name, measure, None, Some(hard));
    let mut d = driver(RiskParameters {
        limits: vec![
            limit("position", Bounded::Position, 1_240.0),
            limit("currency", Bounded::CurrencyGross, 1_240.0),
            limit("share", Bounded::CurrencyShare, 0.9),
        ],
        ..parameters()
    });
    d.see(0, account("p", "10000", "10000"));
    d.see(1, mark("EURUSD", "1.20", "1.20"));
    d.see(2, eur(mark("SAP", "100", "100")));
    d.see(2, mark("A", "300", "300"));
    d.see(3, fill("p", "A", Side::Sell, "1", "300", "0"));
    d.see(3, eur(fill("p", "SAP", Side::Buy, "10", "100", "0")));
    assert_eq!(d.level("p").limit("position").status, LimitStatus::Ok);
    // The rate alone takes it over its bound, at the record that did.
    d.see(4, mark("EURUSD", "1.25", "1.25"));
    let level = d.level("p");
    let state = |name: &str| {
        let limit = level.limit(name);
        (limit.status, limit.value, limit.symbol.clone(), limit.since)
    };
    let breached = |value, symbol: &str| (LimitStatus::Breached, Some(value), Some(symbol.to_owned()), at(4));
    assert_eq!(state("position"), breached(1_250.0, "SAP"));
    assert_eq!(state("currency"), breached(1_250.0, "EUR"));
    assert_eq!(level.limit("share").value, Some(1_250.0 / 1_550.0));
}

#[test]
fn a_shock_moves_prices_and_the_rates_it_names() {
    let shock = |symbols: &[&str], millionths| Shock {
        symbols: symbols.iter().map(|symbol| (*symbol).into()).collect(),
        millionths,
    };
    let scenario = |name: &str, shocks| Scenario {
        name: name.parse().unwrap(),
        moves: Moves::Shocks(shocks),
        market: None,
    };
    let all = shock(&[], -200_000);
    let parameters = RiskParameters {
        stress: vec![
            scenario("all", vec![all.clone()]),
            scenario("both", vec![shock(&["EURUSD"], -100_000), all.clone()]),
        ],
        ..parameters()
    };
    let mut d = driver(parameters.clone());
    d.see(0, account("p", "10000", "10000"));
    d.see(1, mark("EURUSD", "1.25", "1.25"));
    d.see(2, eur(mark("SAP", "100", "100")));
    d.see(3, eur(fill("p", "SAP", Side::Buy, "10", "100", "0")));
    assert_eq!(values(&mut d, ["stress_all", "stress_both"]), [250.0, 350.0], "1,250 × 0.8 × 0.9 is 900");
    // And the other way: 1,000 dollars are 800 euros; a dollar is worth 1 / 0.9 as many.
    let mut d = driver(parameters);
    d.see(0, account_in("EUR", "p", "10000", "10000"));
    d.see(1, mark("EURUSD", "1.25", "1.25"));
    d.see(2, mark("A", "100", "100"));
    d.see(3, fill("p", "A", Side::Buy, "10", "100", "0"));
    let [all, both] = values(&mut d, ["stress_all", "stress_both"]);
    assert_eq!(all, 160.0);
    assert!((both - (800.0 - 640.0 / 0.9)).abs() < 1e-9, "{both}");
}

#[test]
fn revaluation_compounds_the_returns_of_price_and_rate() {
    let interval = Duration::from_secs(900);
    let mut parameters = parameters();
    parameters.history = HistoryParameters { interval, minimum: 2, ..HistoryParameters::default() };
    parameters.window.models = vec![TailModel::Revalued];
    parameters.window.horizons = [1, 2].map(|steps| Horizon::new(steps).unwrap()).into();
    parameters.window.contributions = 1;
    parameters.freshness.executions = 5 * interval;
    let mut d = driver(parameters);
    d.see(0, account("p", "10000", "10000"));
    let prices = [(100.0, 1.25), (110.0, 1.20), (99.0, 1.26), (104.0, 1.20)];
    for (nth, (price, rate)) in (0_i64..).zip(prices) {
        d.see(nth * 900 + 1, mark("EURUSD", &rate.to_string(), &rate.to_string()));
        d.see(nth * 900 + 2, eur(mark("SAP", &price.to_string(), &price.to_string())));
        if nth == 0 {
            d.see(3, eur(fill("p", "SAP", Side::Buy, "10", "100", "0")));
        }
    }
    d.run_to(3600);
    let worth: Vec<f64> = prices.iter().map(|(price, rate)| price * rate).collect();
    let mut pnl: Vec<f64> =
        worth.windows(2).map(|pair| 10.0 * worth[3] * (pair[1] / pair[0] - 1.0)).collect();
    pnl.sort_by(f64::total_cmp);
    // The type 7 quantile at 5 % of three is a tenth of the way from the first to the second.
    let expected = -(pnl[0] + 0.1 * (pnl[1] - pnl[0]));
    let [var] = values(&mut d, ["var_95_revalued"]);
    assert!((var / expected - 1.0).abs() < 1e-12, "{var} {expected}");
    // Over two instants both of the price and of the rate.
    let mut two: Vec<f64> =
        worth.windows(3).map(|some| 10.0 * worth[3] * (some[2] / some[0] - 1.0)).collect();
    two.sort_by(f64::total_cmp);
    let expected = -(two[0] + 0.05 * (two[1] - two[0]));
    let [var] = values(&mut d, ["var_95_revalued_h2"]);
    assert!((var / expected - 1.0).abs() < 1e-12, "{var} {expected}");
    // All that is held is all that contributes.
    let [whole, part, position] =
        values(&mut d, ["var_99_revalued", "var_99_revalued_component:SAP", "position:SAP"]);
    assert!((part / whole - 1.0).abs() < 1e-12 && whole != 0.0, "{part} {whole}");
    assert_eq!(position, 10.0 * 104.0 * 1.20);
}

/// The risk worker, and a firm in dollars behind it.
struct House {
    risk: Driver,
    firm: Driver,
}

impl House {
    fn new(marks: Duration) -> Self {
        let firm = FirmParameters {
            rates: parameters().rates,
            scopes: vec![ScopeParameters { scope: "firm:all".into(), portfolios: Vec::new() }],
            marks,
            books: Duration::from_secs(7200),
            ..FirmParameters::default()
        };
        Self {
            risk: driver(parameters()),
            firm: Driver::new(move || Box::new(FirmMonitor::new(firm.clone()))),
        }
    }

    fn see(&mut self, second: i64, event: Event) -> drive::Level {
        let mut out = self.risk.see(second, event.clone());
        if matches!(event, Event::MarketData(_)) {
            self.firm.see(second, event);
        }
        // What an account says is told a microsecond after its time.
        out.extend(self.risk.run_to(second + 1));
        for output in out {
            if let Event::Holdings(mut book) = output.event {
                book.provenance.worker = "risk".into();
                self.firm.see_at(second + 1, Event::Holdings(book));
            }
        }
        self.risk.restart();
        self.firm.restart();
        self.firm.level("firm:all")
    }
}

#[test]
fn what_rests_on_an_accounts_rate_is_known_again_with_it() {
    let mut house = House::new(Duration::from_secs(600));
    house.see(0, mark("EURUSD", "1.25", "1.25"));
    assert_eq!(house.see(10, account_in("EUR", "p", "1000", "1000")).value("equity"), Some(1_250.0));
    house.firm.run_to(602);
    assert_eq!(house.firm.level("firm:all").unknown("equity"), Some(Unknown::Stale));
    assert_eq!(house.see(610, mark("EURUSD", "1.20", "1.20")).value("equity"), Some(1_200.0));
    assert_eq!(house.see(620, mark("EURUSD", "0", "0")).unknown("equity"), Some(Unknown::NoRate));
    assert_eq!(house.see(630, mark("EURUSD", "1.20", "1.20")).value("equity"), Some(1_200.0));
    // The same figures in another currency are told, and are another account.
    let level = house.see(640, account_in("USD", "p", "1000", "1000"));
    assert_eq!((level.value("equity"), level.value("daily_pnl")), (Some(1_000.0), Some(-50.0)));
}

/// A scope in dollars: a portfolio of a euro account that holds SAP, and one of a dollar account.
#[test]
fn scopes_are_in_one_currency() {
    let mut house = House::new(Duration::from_secs(7200));
    let mut see = |second: i64, event: Event| house.see(second, event);
    see(0, mark("EURUSD", "1.25", "1.25"));
    see(10, account_in("EUR", "p", "1000", "1000"));
    see(20, eur(mark("SAP", "100", "100")));
    see(30, eur(fill("p", "SAP", Side::Buy, "5", "100", "0")));
    see(40, account("q", "1000", "1000"));
    let level = see(50, mark("A", "10", "10"));
    assert_eq!((level.value("equity"), level.value("net_exposure")), (Some(2_250.0), Some(625.0)));
    assert_eq!(level.value("daily_pnl"), Some(0.0));
    let level = see(60, mark("EURUSD", "1.20", "1.20"));
    assert_eq!((level.value("equity"), level.value("net_exposure")), (Some(2_200.0), Some(600.0)));
    assert_eq!(level.value("daily_pnl"), Some(-50.0));
    assert_eq!(
        (level.value("currency_net:EUR"), level.value("currency_share:EUR")),
        (Some(600.0), Some(1.0))
    );
    // What is paid into an account in euros is converted, and no profit.
    let Event::Account(mut paid) = account_in("EUR", "p", "600", "1100") else { unreachable!() };
    paid.deposits = "100".parse::<Amount>().unwrap();
    let level = see(70, Event::Account(paid));
    assert_eq!((level.value("equity"), level.value("daily_pnl")), (Some(2_320.0), Some(-50.0)));
    let level = see(80, in_currency(mark("EURUSD", "1.20", "1.20"), "CHF"));
    assert_eq!(level.unknown("equity"), Some(Unknown::NoRate));
    assert_eq!(level.unknown("gross_exposure"), Some(Unknown::NoRate));
    let level = see(90, mark("EURUSD", "1.20", "1.20"));
    assert_eq!((level.value("equity"), level.value("daily_pnl")), (Some(2_320.0), Some(-50.0)));
}

#[derive(Clone, Debug)]
enum Step {
    Rate(i64),
    Price(usize, i64),
    Fill(usize, i64),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (80_i64..160).prop_map(Step::Rate),
        (0_usize..2, 50_i64..150).prop_map(|(symbol, price)| Step::Price(symbol, price)),
        (0_usize..2, -20_i64..20).prop_map(|(symbol, quantity)| Step::Fill(symbol, quantity)),
        Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    /// At every step equity and exposure are what they are from scratch: money by the rates of the fills, and what is held
    /// at the marks and the rate now.
    #[test]
    fn figures_are_those_from_scratch(steps in steps(), basis in prop_oneof![Just(Basis::Equity), Just(Basis::Book)]) {
        let mut parameters = parameters();
        parameters.window.basis = basis;
        let mut d = driver(parameters);
        let (mut cash, mut rate) = (100_000.0, 1.25);
        let (mut held, mut prices) = ([0.0; 2], [100.0; 2]);
        let symbols = ["SAP", "A"];
        let marked = |symbol: usize, price: f64| {
            let event = mark(symbols[symbol], &price.to_string(), &price.to_string());
            if symbol == 0 { eur(event) } else { event }
        };
        d.see(0, account("p", "100000", "100000"));
        d.see(0, mark("EURUSD", "1.25", "1.25"));
        (0..2).for_each(|symbol| drop(d.see(0, marked(symbol, 100.0))));
        for (second, step) in (1_i64..).zip(&steps) {
            match *step {
                Step::Rate(cents) => {
                    rate = cents as f64 / 100.0;
                    d.see(second, mark("EURUSD", &rate.to_string(), &rate.to_string()));
                }
                Step::Price(symbol, price) => {
                    prices[symbol] = price as f64;
                    d.see(second, marked(symbol, prices[symbol]));
                }
                Step::Fill(_, 0) => {}
                Step::Fill(symbol, quantity) => {
                    let side = if quantity < 0 { Side::Sell } else { Side::Buy };
                    let event = fill("p", symbols[symbol], side, &quantity.abs().to_string(), &prices[symbol].to_string(), "0");
                    d.see(second, if symbol == 0 { eur(event) } else { event });
                    let by = if symbol == 0 { rate } else { 1.0 };
                    cash -= quantity as f64 * prices[symbol] * by;
                    held[symbol] += quantity as f64;
                }
                Step::Restart => d.restart(),
            }
            let worth = [held[0] * prices[0] * rate, held[1] * prices[1]];
            let names = ["cash", "equity", "gross_exposure", "net_exposure"];
            let expected = [cash, cash + worth[0] + worth[1], worth[0].abs() + worth[1].abs(), worth[0] + worth[1]];
            for (name, (got, expected)) in names.iter().zip(values(&mut d, names).into_iter().zip(expected)) {
                prop_assert!((got - expected).abs() < 1e-6, "{name}: {got}, {expected}");
            }
            let [realised, unrealised] = values(&mut d, ["realised_pnl", "unrealised_pnl"]);
            let profit = cash + worth[0] + worth[1] - 100_000.0;
            prop_assert!((realised + unrealised - profit).abs() < 1e-6, "{realised} {unrealised} {profit}");
        }
    }

    /// At a rate of two that does not move, a book in euros at half the prices is one in dollars.
    #[test]
    fn at_a_rate_that_stands_a_book_is_as_if_it_were_in_dollars(fills in prop::collection::vec((-20_i64..20, 2_i64..200), 1..30)) {
        let (mut there, mut here) = (driver(parameters()), driver(parameters()));
        for d in [&mut there, &mut here] {
            d.see(0, account("p", "100000", "100000"));
            d.see(0, mark("EURUSD", "2", "2"));
        }
        for (second, (quantity, price)) in (1_i64..).zip(fills).filter(|(_, (quantity, _))| *quantity != 0) {
            let side = if quantity < 0 { Side::Sell } else { Side::Buy };
            for (d, price, abroad) in [(&mut there, price as f64 / 2.0, true), (&mut here, price as f64, false)] {
                let price = price.to_string();
                let of = |event| if abroad { eur(event) } else { event };
                d.see(second, of(mark("X", &price, &price)));
                d.see(second, of(fill("p", "X", side, &quantity.abs().to_string(), &price, "0")));
            }
            let (there, here) = (there.level("p"), here.level("p"));
            let own = |level: drive::Level| -> Vec<_> {
                level.measures().into_iter().filter(|m| !m.name.starts_with("currency_")).collect()
            };
            prop_assert_eq!(own(there), own(here));
        }
    }
}

/// The same state under other parameters.
fn under(d: &Driver, parameters: RiskParameters) -> Driver {
    let mut other = driver(parameters);
    other.restore(&d.save());
    other.run_to(6);
    other
}

#[test]
fn a_rate_of_nothing_is_none_at_once() {
    let mut d = example();
    for (second, bad) in [(4, "0"), (14, "-1.25")] {
        d.see(second, mark("EURUSD", bad, bad));
        let level = d.level("p");
        for name in ["gross_exposure", "equity", "unrealised_pnl"] {
            assert_eq!(level.unknown(name), Some(Unknown::NoRate), "{name} at {bad}");
        }
        d.restart();
        // What else happens meanwhile finds the same.
        d.see(second + 1, mark("A", "10", "10"));
        d.see(second + 1, fill("p", "A", Side::Buy, "1", "10", "0"));
        assert_eq!(d.level("p").unknown("gross_exposure"), Some(Unknown::NoRate));
        d.see(second + 2, fill("p", "A", Side::Sell, "1", "10", "0"));
        d.see(second + 3, mark("EURUSD", "1.20", "1.20"));
        assert_eq!(values(&mut d, ["equity", "max_drawdown"]), [9_950.0, 0.005]);
    }
}

#[test]
fn an_old_rate_is_none_for_what_is_paid() {
    let mut d = example();
    let paid = |d: &mut Driver, second, id| {
        d.see(second, drive::execution(eur(fill("p", "SAP", Side::Buy, "1", "100", "0")), id));
        ["equity", "cash"].map(|name| d.level("p").unknown(name))
    };
    d.see(1100, eur(mark("SAP", "100", "100")));
    d.see(1100, account("p", "8750", "10000"));
    assert_eq!(paid(&mut d, 1101, 1), [None, None]);
    assert_eq!(paid(&mut d, 1202, 2), [Some(Unknown::NoRate); 2]);
    d.see(1203, mark("EURUSD", "1", "1"));
    assert_eq!(d.level("p").unknown("equity"), Some(Unknown::NoRate));
    d.see(1204, account("p", "8525", "9725"));
    assert_eq!(values(&mut d, ["equity", "cash"]), [9_725.0, 8_525.0]);
}

#[test]
fn a_bust_of_what_cost_nobody_knows_what_is_not_known_either() {
    let start = || {
        let mut d = driver(parameters());
        d.see(0, account("p", "10000", "10000"));
        d.see(1, eur(mark("SAP", "100", "100")));
        let bought = eur(fill("p", "SAP", Side::Buy, "10", "100", "0"));
        d.see(2, bought.clone());
        d.see(3, mark("EURUSD", "1.25", "1.25"));
        d.see(4, account("p", "8750", "10000"));
        assert_eq!(values(&mut d, ["equity"]), [10_000.0]);
        (d, bought)
    };
    for undo in [bust as fn(&Event) -> Event, |bought| correct(bought, "20", "100", "0")] {
        let (mut d, bought) = start();
        d.see(5, undo(&bought));
        assert_eq!(["equity", "cash"].map(|name| d.level("p").unknown(name)), [Some(Unknown::NoRate); 2]);
        d.restart();
        d.see(6, account("p", "10000", "10000"));
        assert_eq!(values(&mut d, ["equity", "cash"]), [10_000.0; 2]);
    }
}

#[test]
fn only_the_lot_that_was_bought_without_a_rate_is_of_unknown_cost() {
    let mut parameters = parameters();
    parameters.pnl_method = tapewatch_monitors::risk::PnlMethod::Fifo;
    let mut d = driver(parameters);
    d.see(0, account("p", "10000", "10000"));
    d.see(1, mark("EURUSD", "1.25", "1.25"));
    d.see(2, eur(mark("SAP", "100", "100")));
    d.see(3, eur(fill("p", "SAP", Side::Buy, "10", "100", "0")));
    d.see(4, mark("EURUSD", "0", "0"));
    let second = eur(fill("p", "SAP", Side::Buy, "5", "100", "0"));
    d.see(5, second.clone());
    d.see(6, mark("EURUSD", "1.25", "1.25"));
    assert_eq!(d.level("p").unknown("unrealised_pnl"), Some(Unknown::NoOpening));
    let mut undone = under(
        &d,
        RiskParameters { pnl_method: tapewatch_monitors::risk::PnlMethod::Fifo, ..self::parameters() },
    );
    undone.see(7, bust(&second));
    undone.see(8, eur(fill("p", "SAP", Side::Buy, "1", "100", "0")));
    assert_eq!(values(&mut undone, ["unrealised_pnl", "realised_pnl"]), [0.0, 0.0]);
    // What is sold first was paid at a rate.
    d.see(7, eur(fill("p", "SAP", Side::Sell, "4", "110", "0")));
    assert_eq!(values(&mut d, ["realised_pnl"]), [50.0]);
    d.see(8, eur(fill("p", "SAP", Side::Sell, "8", "110", "0")));
    assert_eq!(d.level("p").unknown("realised_pnl"), Some(Unknown::NoOpening));
}

#[test]
fn other_rates_at_a_restart_are_neither_profit_nor_loss() {
    let renamed = || {
        let mut parameters = parameters();
        parameters.rates[0].symbol = "EUR=".into();
        parameters
    };
    let mut d = example();
    let mut other = under(&d, renamed());
    assert_eq!(other.level("p").unknown("equity"), Some(Unknown::NoRate));
    other.see(10, mark("EUR=", "1.25", "1.25"));
    assert_eq!(values(&mut other, ["equity", "max_drawdown"]), [10_000.0, 0.0]);
    other.restart();
    // The other way round: a rate that was not known is, under another name.
    d.see(4, mark("EUR=", "1.20", "1.20"));
    d.see(5, in_currency(mark("EURUSD", "1.25", "1.25"), "CHF"));
    let mut other = under(&d, renamed());
    assert_eq!(values(&mut other, ["equity", "net_exposure"]), [9_950.0, 1_200.0]);
    // And without any.
    let mut other = under(&d, RiskParameters { rates: Vec::new(), ..parameters() });
    assert_eq!(other.level("p").unknown("equity"), Some(Unknown::NoRate));
}

#[test]
fn small_prices_keep_their_digits() {
    let mut d = driver(RiskParameters {
        rates: vec![pair("BTC", "USD")],
        limits: Vec::new(),
        ..RiskParameters::default()
    });
    d.see(0, account_in("BTC", "p", "100", "100"));
    d.see(1, mark("BTCUSD", "100000", "100000"));
    d.see(2, mark("DUST", "0.0000123456", "0.0000123456"));
    d.see(3, fill("p", "DUST", Side::Buy, "10000000000", "0.0000123456", "0"));
    assert_eq!(values(&mut d, ["net_exposure", "cash", "unrealised_pnl"]), [1.23456, 98.76544, 0.0]);
}

#[test]
fn a_book_without_its_record_keeps_its_currency() {
    let mut d = Driver::risk(parameters(), TaskContext { partition: 0, opened_from_zero: false });
    d.see(0, account("p", "10000", "10000"));
    d.see(1, mark("EURUSD", "1.25", "1.25"));
    d.see(2, eur(mark("SAP", "100", "100")));
    d.see(3, eur(fill("p", "SAP", Side::Buy, "10", "100", "0")));
    d.see(5, eur(fill("p", "SAP", Side::Sell, "10", "100", "0")));
    d.see_at(6, drive::stamped(complete("p", &[("B", "1", None)]), at(4)));
    d.see(7, mark("B", "10", "10"));
    assert_eq!(values(&mut d, ["net_exposure"]), [10.0 - 1_250.0]);
    d.see(8, eur(fill("p", "SAP", Side::Buy, "10", "100", "0")));
    assert_eq!(values(&mut d, ["net_exposure"]), [10.0]);
    // A bust in another currency than its fill is of something else.
    let mut d = example();
    let sold = eur(fill("p", "SAP", Side::Sell, "10", "100", "0"));
    d.see(4, sold.clone());
    let refusal = d.refused(5, in_currency(bust(&sold), "USD"));
    assert_eq!(refusal.field, "currency");
}

#[test]
fn what_was_realised_before_an_account_in_another_currency_stays_unknown() {
    let mut d = driver(RiskParameters { rates: Vec::new(), ..parameters() });
    for symbol in ["SAP", "BMW"] {
        d.see(1, eur(mark(symbol, "100", "100")));
    }
    d.see(2, eur(fill("p", "SAP", Side::Buy, "10", "100", "0")));
    d.see(3, eur(fill("p", "SAP", Side::Sell, "4", "110", "0")));
    let last = eur(fill("p", "BMW", Side::Buy, "5", "100", "0"));
    d.see(4, last.clone());
    d.see(5, account("p", "9000", "10000"));
    assert_eq!(d.level("p").unknown("realised_pnl"), Some(Unknown::NoOpening));
    d.see(6, bust(&last));
    assert_eq!(d.level("p").unknown("realised_pnl"), Some(Unknown::NoOpening));
    d.restart();
}

/// What a fill adds between an account record and the first mark is none of what the account knew.
#[test]
fn of_what_had_no_value_the_account_knows_its_own_units() {
    let mut d = driver(parameters());
    d.see(1, fill("p", "A", Side::Buy, "10", "50", "0"));
    d.see(2, account("p", "9500", "10000"));
    d.see(3, fill("p", "A", Side::Buy, "10", "50", "0"));
    d.see(4, mark("A", "50", "50"));
    assert_eq!(values(&mut d, ["equity", "cash"]), [10_000.0, 9_000.0]);
    d.see(5, mark("A", "51", "51"));
    assert_eq!(values(&mut d, ["equity"]), [10_020.0]);
    // All of it sold before any mark: nobody knows what it was worth then.
    let mut d = driver(parameters());
    d.see(1, fill("p", "A", Side::Buy, "10", "50", "0"));
    d.see(2, account("p", "9500", "10000"));
    d.see(3, fill("p", "A", Side::Sell, "10", "55", "0"));
    assert_eq!(d.level("p").unknown("equity"), Some(Unknown::NoRate));
    d.see(4, account("p", "10050", "10050"));
    assert_eq!(values(&mut d, ["equity"]), [10_050.0]);
}
