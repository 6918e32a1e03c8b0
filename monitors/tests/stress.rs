//! What is held would lose in scenarios: by shocks, exactly; by what prices did in the past, once it is seen whole.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod drive;

use std::sync::Arc;
use std::time::Duration;

use drive::{Driver, Level, account, at, beat, bust, fill, mark};
use proptest::prelude::*;
use tapewatch_monitors::risk::{
    Bounded, Confidence, LimitParameters, Moves, Range, ReferencePrices, Scenario, Shock, ShockedMarket,
    WindowLength,
};
use tapewatch_monitors::{RiskParameters, TaskContext};
use tapewatch_schemas::events::{LimitStatus, Side, Unknown};

const MINUTE: Duration = Duration::from_secs(60);

fn scenario(name: &str, moves: Moves) -> Scenario {
    Scenario { name: name.parse().unwrap(), moves, market: None }
}

fn shocks(name: &str, list: &[(&[&str], i64)]) -> Scenario {
    let shock = |(symbols, millionths): &(&[&str], i64)| Shock {
        symbols: symbols.iter().map(|symbol| (*symbol).into()).collect(),
        millionths: *millionths,
    };
    scenario(name, Moves::Shocks(list.iter().map(shock).collect()))
}

/// What prices did between two minutes of the test.
fn past(name: &str, from: i64, until: i64) -> Scenario {
    scenario(name, Moves::Past(Range { from: at(60 * from), until: at(60 * until) }))
}

fn parameters(stress: Vec<Scenario>) -> RiskParameters {
    let mut parameters =
        RiskParameters { publish_interval: Duration::from_secs(1), stress, ..RiskParameters::default() };
    parameters.history.interval = MINUTE;
    (parameters.history.window, parameters.history.minimum) = (WindowLength::Observations(3), 2);
    parameters.limits.clear();
    parameters
}

fn driver(parameters: RiskParameters) -> Driver {
    Driver::risk(parameters, TaskContext { partition: 0, opened_from_zero: true })
}

fn trade(d: &mut Driver, second: i64, portfolio: &str, symbol: &str, quantity: i64, price: i64) {
    let side = if quantity < 0 { Side::Sell } else { Side::Buy };
    d.see(second, fill(portfolio, symbol, side, &quantity.abs().to_string(), &price.to_string(), "0"));
}

fn price(d: &mut Driver, second: i64, symbol: &str, price: i64) {
    d.see(second, mark(symbol, &price.to_string(), &price.to_string()));
}

fn exact(level: &Level, name: &str) -> String {
    let measure = level.0.measures.iter().find(|measure| measure.name == name).unwrap();
    measure.amount.unwrap().to_string()
}

/// The example of docs/risk.md.
#[test]
fn the_example_of_the_document() {
    let document = include_str!("../../docs/risk.md");
    let crash = shocks("crash", &[(&["A"], -200_000), (&[], -350_000)]);
    let squeeze = shocks("squeeze", &[(&["B"], 500_000)]);
    let mut storm = shocks("storm", &[]);
    storm.market = Some(ShockedMarket { volatility: 2.0, correlation: 0.5, level: Confidence(9900) });
    let mut parameters = parameters(vec![crash, squeeze, past("past", 1, 3), storm]);
    parameters.history.window = WindowLength::Observations(4);
    let mut d = driver(parameters);
    trade(&mut d, -60, "p", "A", 100, 100);
    trade(&mut d, -60, "p", "B", -50, 50);
    for (minute, (a, b)) in (0..).zip([(100, 50), (102, 49), (101, 51), (99, 50), (101, 52)]) {
        price(&mut d, 60 * minute - 10, "A", a);
        price(&mut d, 60 * minute - 10, "B", b);
    }
    d.run_to(300);
    let level = d.level("p");
    let said = ["stress_crash", "stress_squeeze", "stress_past", "stress_storm", "stress_worst"]
        .map(|name| format!("{:.2}", level.value(name).unwrap()));
    let [crash, squeeze, past, storm, worst] = said.each_ref().map(String::as_str);
    for text in [
        format!("`stress_crash` is 2,020 − 910 = {crash}"),
        format!("`stress_squeeze` is {squeeze}"),
        format!("`stress_past` is {past}"),
        format!("`stress_storm` is {storm}"),
        format!("`stress_worst` is {worst}"),
    ] {
        let text = text.replace("1110.00", "1,110").replace("1300.00", "1,300");
        assert!(document.contains(&text), "{text}: {said:?}");
    }
    assert_eq!(
        (exact(&level, "stress_crash"), exact(&level, "stress_worst")),
        ("1110".into(), "1300".into())
    );
}

#[test]
fn a_limit_follows_the_scenario_at_each_mark_and_fill() {
    let mut parameters = parameters(vec![shocks("crash", &[(&[], -100_000)])]);
    let measure: Bounded = "stress_crash".parse().unwrap();
    parameters.limits = vec![
        LimitParameters::new("crash", measure, Some(90.0), Some(110.0)),
        LimitParameters::new("worst", Bounded::StressWorst, None, Some(110.0)),
    ];
    parameters.freshness.marks = Duration::from_secs(100);
    let mut d = driver(parameters);
    price(&mut d, 0, "A", 100);
    trade(&mut d, 1, "p", "A", 9, 100);
    let stands = |d: &mut Driver| ["crash", "worst"].map(|name| d.level("p").limit(name).status);
    assert_eq!(stands(&mut d), [LimitStatus::Ok, LimitStatus::Ok]);
    trade(&mut d, 2, "p", "A", 1, 100);
    assert_eq!(stands(&mut d), [LimitStatus::Warning, LimitStatus::Ok]);
    price(&mut d, 3, "A", 120);
    assert_eq!(stands(&mut d), [LimitStatus::Breached, LimitStatus::Breached]);
    d.restart();
    assert_eq!(d.level("p").limit("crash").value, Some(120.0));
    trade(&mut d, 4, "p", "A", -20, 120);
    assert_eq!(d.level("p").value("stress_crash"), Some(-120.0), "a short gains");
    assert_eq!(stands(&mut d), [LimitStatus::Ok, LimitStatus::Ok]);

    d.run_to(110);
    assert_eq!(stands(&mut d), [LimitStatus::Unknown, LimitStatus::Unknown]);
    assert_eq!(d.level("p").unknown("stress_worst"), Some(Unknown::Stale));
    d.see(111, beat("market.data.v1", 0, 3));
    assert_eq!(stands(&mut d), [LimitStatus::Ok, LimitStatus::Ok]);
}

/// It is there from the end of the range on, also when the history has forgotten it; also after a restart within it.
#[test]
fn the_past_is_unknown_until_it_is_seen_whole_and_then_stays() {
    let mut d = driver(parameters(vec![past("dip", 2, 5)]));
    trade(&mut d, -70, "p", "A", 10, 100);
    d.see(-65, account("q", "1", "1"));
    let prices = [100, 100, 100, 90, 99, 80, 120, 121, 122, 123, 124];
    for (minute, now) in (0..).zip(prices) {
        price(&mut d, 60 * minute - 10, "A", now);
        d.run_to(60 * minute + 5);
        if minute == 3 || minute == 8 {
            d.restart();
        }
        let expected = if minute < 5 { None } else { Some(0.2 * 10.0 * now as f64) };
        let said = d.level("p").value("stress_dip");
        let same = said.zip(expected).is_none_or(|(a, b)| (a - b).abs() < 1e-9);
        assert!(said.is_some() == expected.is_some() && same, "minute {minute}: {said:?}, {expected:?}");
        if minute < 5 {
            assert_eq!(d.level("p").unknown("stress_worst"), Some(Unknown::WarmingUp));
        }
        assert_eq!(d.level("q").value("stress_dip"), Some(0.0), "nothing held loses nothing");
    }
    // What came later has no return over it.
    price(&mut d, 700, "B", 10);
    trade(&mut d, 701, "p", "B", 1, 10);
    assert_eq!(d.level("p").unknown("stress_dip"), Some(Unknown::Missing));
}

#[test]
fn the_past_of_a_file_is_there_on_the_first_day() {
    let mut parameters = parameters(vec![past("dip", -30, -10)]);
    let instants = [-40, -30, -20, -10, 0].map(|minute| at(60 * minute)).to_vec();
    let columns = vec![("A".into(), [50.0, 100.0, 120.0, 90.0, 95.0].map(Some).to_vec())];
    parameters.history.reference = Some(Arc::new(ReferencePrices::new([7; 32], instants, columns)));
    let mut d = driver(parameters);
    price(&mut d, 1, "A", 200);
    trade(&mut d, 2, "p", "A", -4, 200);
    let level = d.level("p");
    assert!((level.value("stress_dip").unwrap() + 80.0).abs() < 1e-9, "a short gains what prices fell");
    assert_eq!(level.value("stress_dip"), level.value("stress_worst"));
}

#[test]
fn without_scenarios_nothing_is_published() {
    let mut d = driver(parameters(Vec::new()));
    price(&mut d, 0, "A", 100);
    trade(&mut d, 1, "p", "A", 9, 100);
    assert!(!d.level("p").measures().iter().any(|measure| measure.name.starts_with("stress")));
}

/// Fills of portfolio, symbol, quantity; and the marks at the end.
type Trades = Vec<(usize, usize, i64)>;

const SYMBOLS: [&str; 3] = ["A", "B", "C"];
const MILLIONTHS: [i64; 3] = [-200_000, 123_457, -50_001];

/// The exact losses of two portfolios after trades; `names` are what the portfolios are called.
fn lost(trades: &Trades, prices: [i64; 3], names: [&str; 2], sign: i64, parts: i64) -> [String; 2] {
    let list: Vec<(&[&str], i64)> =
        vec![(&SYMBOLS[..1], MILLIONTHS[0]), (&SYMBOLS[1..2], MILLIONTHS[1]), (&[], MILLIONTHS[2])];
    let mut d = driver(parameters(vec![shocks("crash", &list)]));
    for name in names {
        d.see(0, account(name, "1000", "1000"));
    }
    for (symbol, now) in SYMBOLS.iter().zip([70, 80, 90]) {
        price(&mut d, 1, symbol, now);
    }
    for (portfolio, symbol, quantity) in trades.iter().filter(|(_, _, quantity)| *quantity != 0) {
        for _ in 0..parts {
            trade(&mut d, 2, names[*portfolio], SYMBOLS[*symbol], sign * quantity, 100);
        }
    }
    for (symbol, now) in SYMBOLS.iter().zip(prices) {
        price(&mut d, 3, symbol, now);
    }
    names.map(|name| exact(&d.level(name), "stress_crash"))
}

fn trades() -> impl Strategy<Value = Trades> {
    prop::collection::vec((0..2_usize, 0..3_usize, -500_i64..500), 1..20)
}

fn negated(amount: &str) -> String {
    match amount.strip_prefix('-') {
        Some(positive) => positive.to_owned(),
        None if amount == "0" => amount.to_owned(),
        None => format!("-{amount}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_the_sum_from_scratch_and_keeps_its_symmetries(
        trades in trades(), prices in prop::array::uniform3(1_i64..200),
    ) {
        let said = lost(&trades, prices, ["p", "q"], 1, 1);
        for (portfolio, said) in said.iter().enumerate() {
            let millionths: i128 = (0..3)
                .map(|symbol| {
                    let own = trades.iter().filter(|trade| (trade.0, trade.1) == (portfolio, symbol));
                    let held: i64 = own.map(|trade| trade.2).sum();
                    -i128::from(held * prices[symbol] * MILLIONTHS[symbol])
                })
                .sum();
            prop_assert_eq!(said.parse::<f64>().unwrap(), millionths as f64 / 1e6, "from scratch");
        }
        let mirrored = lost(&trades, prices, ["p", "q"], -1, 1);
        prop_assert_eq!(mirrored, said.each_ref().map(|loss| negated(loss)), "all signs flipped");
        let swapped = lost(&trades, prices, ["q", "p"], 1, 1);
        prop_assert_eq!(&swapped, &said, "other portfolios");
        let whole: Trades = trades.iter().map(|(p, s, quantity)| (*p, *s, 2 * quantity)).collect();
        prop_assert_eq!(lost(&whole, prices, ["p", "q"], 1, 1), lost(&trades, prices, ["p", "q"], 1, 2), "in halves");
    }
}

#[test]
fn a_bust_takes_its_loss_back() {
    let mut d = driver(parameters(vec![shocks("crash", &[(&[], -100_000)])]));
    price(&mut d, 0, "A", 100);
    trade(&mut d, 1, "p", "A", 9, 100);
    let before = exact(&d.level("p"), "stress_crash");
    let wrong = fill("p", "A", Side::Buy, "1000", "100", "0");
    d.see(2, wrong.clone());
    assert_eq!(exact(&d.level("p"), "stress_crash"), "10090");
    d.see(3, bust(&wrong));
    assert_eq!(exact(&d.level("p"), "stress_crash"), before);
}

/// Of what is held after the fill, over the history by then; unknown before there is enough of it, and as before after a
/// restart.
#[test]
fn another_market_needs_the_history() {
    let mut storm = shocks("storm", &[(&[], -100_000)]);
    storm.market = Some(ShockedMarket { volatility: 3.0, correlation: -1.0, level: Confidence(9500) });
    let mut d = driver(parameters(vec![storm]));
    trade(&mut d, -60, "p", "A", 10, 100);
    for (minute, now) in (0..).zip([100, 110, 99, 110]) {
        price(&mut d, 60 * minute - 10, "A", now);
        d.run_to(60 * minute + 5);
        let known = d.level("p").value("stress_storm").is_some();
        assert_eq!(known, minute >= 2, "two returns are enough: minute {minute}");
    }
    d.restart();
    // 0.1, −0.1 and 1/9: their deviation with n − 1, of 1,100.
    let returns = [0.1, -0.1, 1.0 / 9.0];
    let mean = returns.iter().sum::<f64>() / 3.0;
    let variance = returns.iter().map(|r| (r - mean) * (r - mean)).sum::<f64>() / 2.0;
    let tail = 1.644_853_626_951_472_7 * 3.0 * variance.sqrt();
    let near = |d: &mut Driver, value: f64| {
        let said = d.level("p").value("stress_storm").unwrap();
        assert!((said - value).abs() < 1e-9 * value.abs(), "{said} {value}");
    };
    near(&mut d, 110.0 + 1_100.0 * tail);
    trade(&mut d, 186, "p", "A", -20, 110);
    near(&mut d, -110.0 + 1_100.0 * tail);
    trade(&mut d, 187, "p", "A", 10, 110);
    assert_eq!(d.level("p").value("stress_storm"), Some(0.0), "nothing held");
}
