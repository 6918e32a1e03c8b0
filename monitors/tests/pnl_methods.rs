//! Profit and loss by each method: what closes what, and what must be the same whatever does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod drive;

use std::collections::VecDeque;

use drive::{Driver, account, bust, complete, correct, execution, fill, mark};
use proptest::prelude::*;
use tapewatch_monitors::risk::{PnlMethod, Sampling};
use tapewatch_monitors::{RiskParameters, TaskContext};
use tapewatch_schemas::events::{LimitState, Measure, Side, Unknown};
use tapewatch_schemas::{Amount, Event};

const METHODS: [PnlMethod; 3] = [PnlMethod::AverageCost, PnlMethod::Fifo, PnlMethod::Lifo];

fn parameters(method: PnlMethod, lots: usize) -> RiskParameters {
    let mut parameters = RiskParameters { pnl_method: method, ..RiskParameters::default() };
    parameters.bounds.lots = lots;
    parameters.window.sampling = Sampling::EachFill;
    parameters.window.minimum = 2;
    parameters
}

fn driver(method: PnlMethod, lots: usize) -> Driver {
    let task = TaskContext { partition: 0, opened_from_zero: true };
    Driver::risk(parameters(method, lots), task)
}

/// A fill: in which of two symbols, units (negative: sold), the price.
#[derive(Clone, Copy, Debug)]
struct Trade {
    symbol: usize,
    units: i64,
    price: i64,
}

const SYMBOLS: [&str; 2] = ["A", "B"];

impl Trade {
    fn event(self, nth: usize) -> Event {
        execution(self.of("p"), nth as i64)
    }

    fn of(self, portfolio: &str) -> Event {
        let side = if self.units < 0 { Side::Sell } else { Side::Buy };
        let (units, price) = (self.units.abs().to_string(), self.price.to_string());
        fill(portfolio, SYMBOLS[self.symbol], side, &units, &price, "0.25")
    }
}

fn trades(most: usize) -> impl Strategy<Value = Vec<Trade>> {
    let units = prop_oneof![-200_i64..0, 1_i64..200];
    let one =
        (0..2_usize, units, 50_i64..150).prop_map(|(symbol, units, price)| Trade { symbol, units, price });
    prop::collection::vec(one, 1..most)
}

fn begun(method: PnlMethod, lots: usize) -> Driver {
    let mut d = driver(method, lots);
    d.see(0, account("p", "100000", "100000"));
    d.see(0, mark("A", "100", "100"));
    d.see(0, mark("B", "100", "100"));
    d
}

fn amount(d: &mut Driver, name: &str) -> Amount {
    let level = d.level("p");
    level.0.measures.iter().find(|m| m.name == name).unwrap().amount.unwrap()
}

/// The figures, but for what tells how it came to them.
fn figures(d: &mut Driver) -> Vec<Measure> {
    const WAY: [&str; 5] = ["drawdown", "max_drawdown", "trailing_drawdown", "under_water", "observed_for"];
    WAY.into_iter().fold(d.level("p"), drive::Level::without).measures()
}

/// What trades realise, from scratch: units of one lot are closed one after another.
fn realised_from_scratch(trades: &[Trade], method: PnlMethod) -> i64 {
    let mut realised = 0;
    for symbol in 0..2 {
        let mut units: VecDeque<(i64, i64)> = VecDeque::new();
        for trade in trades.iter().filter(|trade| trade.symbol == symbol) {
            let sign = trade.units.signum();
            for _ in 0..trade.units.abs() {
                let closes = units.front().is_some_and(|(side, _)| *side != sign);
                let closed = match (closes, method) {
                    (false, _) => None,
                    (true, PnlMethod::Lifo) => units.pop_back(),
                    (true, _) => units.pop_front(),
                };
                match closed {
                    Some((side, price)) => realised += side * (trade.price - price),
                    None => units.push_back((sign, trade.price)),
                }
            }
        }
    }
    realised
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Busts in any order, corrections, a restart anywhere, few lots or many: the book is that of the trades that
    /// stand, to the last digit, and equity does not depend on the method.
    #[test]
    fn what_stands_is_all_that_counts(
        trades in trades(24),
        fates in prop::collection::vec((0..4_u8, -150_i64..150, 50_i64..150), 24),
        order in any::<prop::sample::Index>(), restart in 0..24_usize, lots in prop_oneof![1_usize..4, Just(100)],
    ) {
        let mut equities = Vec::new();
        for method in METHODS {
            let mut d = begun(method, lots);
            let mut changes = Vec::new();
            let mut stand = Vec::new();
            for (n, trade) in trades.iter().enumerate() {
                d.see(1 + n as i64, trade.event(n));
                if n == restart {
                    d.restart();
                }
                let (fate, units, price) = fates[n];
                match fate {
                    0 => changes.push(bust(&trade.event(n))),
                    1 if units != 0 && (units < 0) == (trade.units < 0) => {
                        stand.push((n, Trade { units, price, ..*trade }));
                        changes.push(correct(&trade.event(n), &units.abs().to_string(), &price.to_string(), "0.25"));
                    }
                    _ => stand.push((n, *trade)),
                }
            }
            let from = if changes.is_empty() { 0 } else { order.index(changes.len()) };
            changes.rotate_left(from);
            for change in changes {
                d.see(30, change);
            }
            d.see(31, mark("A", "103", "103"));
            let mut clean = begun(method, lots);
            for (n, trade) in &stand {
                clean.see(1 + *n as i64, trade.event(*n));
            }
            clean.see(31, mark("A", "103", "103"));
            let strip = |figures: Vec<Measure>| -> Vec<Measure> {
                // The window holds the changes as they came.
                let way = |m: &Measure| m.name != "samples" && !m.name.starts_with("var") && !m.name.starts_with("es_");
                figures.into_iter().filter(way).collect()
            };
            prop_assert_eq!(strip(figures(&mut d)), strip(figures(&mut clean)), "{:?}", method);
            let stand: Vec<Trade> = stand.into_iter().map(|(_, trade)| trade).collect();
            if !stand.is_empty() && lots == 100 && method != PnlMethod::AverageCost {
                let expected = Amount::from(realised_from_scratch(&stand, method));
                prop_assert_eq!(amount(&mut d, "realised_pnl"), expected, "{:?}", method);
            }
            equities.push(amount(&mut d, "equity"));
        }
        prop_assert!(equities.windows(2).all(|pair| pair[0] == pair[1]), "{:?}", equities);
    }

    #[test]
    fn a_fill_in_two_parts_is_the_fill_in_one(before in trades(12), last in 2_i64..300, cut in 1_i64..299, price in 50_i64..150, sell in any::<bool>()) {
        let first = cut.min(last - 1);
        for method in METHODS {
            let run = |parts: &[i64]| {
                let mut d = begun(method, 100);
                for (n, trade) in before.iter().enumerate() {
                    d.see(1 + n as i64, trade.event(n));
                }
                for (n, part) in parts.iter().enumerate() {
                    let units = if sell { -part } else { *part };
                    let trade = Trade { symbol: 0, units, price };
                    // The fee is that of the whole, once.
                    let fee = if n == 0 { "0.25" } else { "0" };
                    d.see(20, drive::terms(trade.event(100 + n), &part.to_string(), &price.to_string(), fee));
                }
                ["equity", "realised_pnl", "unrealised_pnl", "gross_exposure"].map(|name| amount(&mut d, name))
            };
            let (one, two) = (run(&[last]), run(&[first, last - first]));
            // Averages are rounded to 12 digits once a part.
            let bound = if method == PnlMethod::AverageCost { "0.00000000001" } else { "0" };
            for (a, b) in one.iter().zip(&two) {
                prop_assert!(a.checked_sub(*b).unwrap().abs() <= bound.parse().unwrap(), "{:?}: {} {}", method, a, b);
            }
        }
    }

    /// With every side turned round and no fees, exposure and profit and loss are mirrored, whatever the method.
    #[test]
    fn the_other_side_of_every_trade_has_the_other_profit(trades in trades(24), lots in 1_usize..8) {
        for method in METHODS {
            let run = |sign: i64| {
                let mut d = begun(method, lots);
                for (n, trade) in trades.iter().enumerate() {
                    let turned = Trade { units: sign * trade.units, ..*trade };
                    let (units, price) = (trade.units.abs().to_string(), trade.price.to_string());
                    d.see(1 + n as i64, drive::terms(turned.event(n), &units, &price, "0"));
                }
                ["gross_exposure", "net_exposure", "realised_pnl", "unrealised_pnl"].map(|name| amount(&mut d, name))
            };
            let (one, other) = (run(1), run(-1));
            prop_assert_eq!(one[0], other[0]);
            for at in 1..4 {
                prop_assert_eq!(one[at], -other[at]);
            }
        }
    }

    /// Portfolios that share nothing but marks: in whatever order their trades of an instant come, each publishes what it
    /// publishes alone.
    #[test]
    fn portfolios_do_not_touch_each_other(
        trades in prop::collection::vec(trades(10), 3), order in Just(vec![0_usize, 1, 2]).prop_shuffle(),
    ) {
        const NAMES: [&str; 3] = ["p", "q", "r"];
        for method in METHODS {
            let run = |owners: &[usize]| {
                let mut d = driver(method, 4);
                for owner in owners {
                    d.see(0, account(NAMES[*owner], "100000", "100000"));
                }
                for second in 1..10_i64 {
                    d.see(second, mark("A", &(95 + second).to_string(), &(95 + second).to_string()));
                    d.see(second, mark("B", &(105 - second).to_string(), &(105 - second).to_string()));
                    for owner in owners {
                        if let Some(trade) = trades[*owner].get(second as usize - 1) {
                            d.see(second, execution(trade.of(NAMES[*owner]), second));
                        }
                    }
                }
                d.run_to(1000);
                d.outputs
            };
            let of = |outputs: &[tapewatch_monitors::Output], owner: usize| -> Vec<(Vec<Measure>, Vec<LimitState>)> {
                let said = outputs.iter().filter_map(|output| match &output.event {
                    Event::RiskMetrics(m) if m.scope.as_str() == NAMES[owner] => Some((m.measures.clone(), m.limits.clone())),
                    _ => None,
                });
                said.collect()
            };
            let together = run(&order);
            for owner in 0..3 {
                prop_assert_eq!(of(&together, owner), of(&run(&[owner]), owner));
            }
        }
    }
}

#[test]
fn a_restored_book_goes_on_by_the_method_that_is_set() {
    let saved = |method| {
        let mut d = begun(method, 100);
        for (n, (units, price)) in [(10, 100), (10, 110), (-5, 120)].into_iter().enumerate() {
            d.see(1 + n as i64, Trade { symbol: 0, units, price }.event(n));
        }
        d
    };
    for (from, realised_so_far) in METHODS.into_iter().zip([75, 100, 50]) {
        let mut before = saved(from);
        assert_eq!(amount(&mut before, "realised_pnl"), Amount::from(realised_so_far));
        for to in METHODS {
            let mut d = driver(to, 1);
            d.restore(&before.save());
            d.see(9, mark("A", "120", "120"));
            assert_eq!(amount(&mut d, "realised_pnl"), Amount::from(realised_so_far), "{from:?} to {to:?}");
            d.restart();
            // A bust of what the other method had booked, and a sale of all that is left.
            d.see(10, bust(&Trade { symbol: 0, units: -5, price: 120 }.event(2)));
            d.see(11, Trade { symbol: 0, units: -20, price: 100 }.event(9));
            assert_eq!(amount(&mut d, "realised_pnl"), Amount::from(-100), "{from:?} to {to:?}");
            assert_eq!(amount(&mut d, "unrealised_pnl"), Amount::ZERO);
        }
    }
}

#[test]
fn what_was_closed_at_an_unknown_cost_makes_the_realised_unknown_until_it_is_undone() {
    for method in METHODS {
        let task = TaskContext { partition: 0, opened_from_zero: false };
        let mut d = Driver::risk(parameters(method, 100), task);
        d.see(0, account("p", "100000", "100000"));
        d.see(0, mark("A", "100", "100"));
        d.see(1, complete("p", &[("A", "10", None)]));
        assert_eq!(d.level("p").value("realised_pnl"), Some(0.0));
        assert_eq!(d.level("p").unknown("unrealised_pnl"), Some(Unknown::NoOpening));
        let sale = Trade { symbol: 0, units: -4, price: 120 }.event(1);
        d.see(2, sale.clone());
        assert_eq!(d.level("p").unknown("realised_pnl"), Some(Unknown::NoOpening), "{method:?}");
        d.restart();
        d.see(3, bust(&sale));
        assert_eq!(d.level("p").value("realised_pnl"), Some(0.0), "{method:?}");
        // What is sold and bought back is known again with what comes after it, once all of the opening is gone.
        d.see(4, Trade { symbol: 0, units: -10, price: 120 }.event(2));
        d.see(5, complete("p", &[]));
        assert_eq!(d.level("p").unknown("realised_pnl"), Some(Unknown::NoOpening), "{method:?}");
        assert_eq!(d.level("p").value("unrealised_pnl"), Some(0.0));
    }
}

/// The worked example of docs/risk.md, whose rows are fills and what was realised after each, by method.
fn example(document: &str) -> Result<usize, String> {
    let (_, table) =
        document.split_once("| | `average_cost` | `fifo` | `lifo` |\n").ok_or("there is no table")?;
    let rows: Vec<Vec<&str>> = table
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    for (column, method) in (1..).zip(METHODS) {
        let mut d = begun(method, 100);
        let mut fills: Vec<(&str, Event)> = Vec::new();
        for (n, row) in rows.iter().enumerate() {
            let words: Vec<_> = row[0].split(' ').collect();
            let event = match words[..] {
                ["bust", ..] => bust(&fills.iter().find(|(said, _)| row[0].ends_with(said)).unwrap().1),
                [side, units, "at", price] => {
                    let sign = if side == "sell" { -1 } else { 1 };
                    let (units, price) = (units.parse::<i64>().unwrap(), price.parse().unwrap());
                    let event = Trade { symbol: 0, units: sign * units, price }.event(n);
                    fills.push((row[0], event.clone()));
                    event
                }
                _ => return Err(format!("`{}` is neither a fill nor a bust", row[0])),
            };
            d.see(1 + n as i64, event);
            let realised = amount(&mut d, "realised_pnl").to_string();
            if realised != row[column] {
                return Err(format!("{method:?}: after `{}` it is {realised}, not {}", row[0], row[column]));
            }
        }
    }
    Ok(rows.len())
}

#[test]
fn the_worked_example_is_what_the_monitor_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/risk.md");
    let document = std::fs::read_to_string(path).unwrap();
    assert_eq!(example(&document), Ok(6));
    let wrong = document.replace("| 225 | 325 | 175 |", "| 225 | 325 | 174 |");
    assert!(example(&wrong).unwrap_err().contains("not 174"));
}
