//! How what is held moves together, over the return history: the kernels' figures, of the prices that the marks had.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod drive;

use std::time::Duration;

use drive::{Driver, Level, fill, mark};
use proptest::prelude::*;
use tapewatch_monitors::kernels::{Panel, Sample};
use tapewatch_monitors::risk::{Bounded, LimitParameters, WindowLength};
use tapewatch_monitors::{RiskParameters, TaskContext};
use tapewatch_schemas::events::{LimitStatus, Side, Unknown};

const WINDOW: usize = 12;
const MINIMUM: usize = 4;
const SYMBOLS: [&str; 3] = ["A", "B", "C"];

fn driver() -> Driver {
    driver_over(WINDOW, 0.94)
}

fn driver_over(window: usize, lambda: f64) -> Driver {
    let mut parameters = RiskParameters::default();
    parameters.window.lambda = lambda;
    let history = &mut parameters.history;
    (history.interval, history.window, history.minimum) =
        (Duration::from_secs(60), WindowLength::Observations(window), MINIMUM);
    parameters.freshness.marks = Duration::from_secs(130);
    let limit = LimitParameters::new("pairs", Bounded::MaxCorrelation, Some(0.8), Some(0.95));
    let weighted = LimitParameters::new("weighted", Bounded::MaxCorrelationEwma, Some(0.8), Some(0.95));
    parameters.limits = vec![limit, weighted];
    Driver::risk(parameters, TaskContext { partition: 0, opened_from_zero: true })
}

fn trade(d: &mut Driver, second: i64, symbol: &str, quantity: i64) {
    let side = if quantity < 0 { Side::Sell } else { Side::Buy };
    d.see(second, fill("p", symbol, side, &quantity.abs().to_string(), "100", "0"));
}

/// Marks ten seconds into each minute, and the clock at the end of the last one.
fn play(d: &mut Driver, rows: &[[i64; 3]]) {
    for (minute, row) in (0..).zip(rows) {
        for (symbol, price) in SYMBOLS.iter().zip(row) {
            d.see(60 * minute + 10, mark(symbol, &price.to_string(), &price.to_string()));
        }
    }
    d.run_to(60 * rows.len() as i64);
}

const NAMES: [&str; 5] = [
    "max_correlation",
    "average_correlation",
    "effective_bets",
    "max_correlation_ewma",
    "average_correlation_ewma",
];

fn figures(level: &Level) -> [Option<f64>; 5] {
    NAMES.map(|name| level.value(name))
}

fn close(one: [Option<f64>; 5], other: [Option<f64>; 5]) -> bool {
    one.iter().zip(other).all(|(a, b)| a.zip(b).is_some_and(|(a, b)| (a - b).abs() <= 1e-12))
}

/// From scratch, of these columns of prices.
fn scratch(columns: &[Vec<i64>]) -> [Option<f64>; 5] {
    let returns = |prices: &Vec<i64>| -> Vec<f64> {
        let all: Vec<f64> = prices.windows(2).map(|p| (p[1] - p[0]) as f64 / p[0] as f64).collect();
        all[all.len().saturating_sub(WINDOW)..].to_vec()
    };
    let moving: Vec<Vec<f64>> =
        columns.iter().map(returns).filter(|r| r.iter().any(|one| *one != r[0])).collect();
    if moving.len() < 2 {
        return [Some(0.0), Some(0.0), Some(moving.len() as f64), Some(0.0), Some(0.0)];
    }
    let panel = Panel::new(moving.iter().map(|r| Sample::new(r).unwrap()).collect()).unwrap();
    let [equal, weighted] = [panel.pearson().unwrap(), panel.ewma(0.94).unwrap().0].map(|matrix| {
        let largest = matrix.pairs().map(|(.., value)| value.abs()).fold(0.0, f64::max);
        let average = matrix.pairs().map(|(.., value)| value).sum::<f64>() / matrix.pairs().count() as f64;
        (Some(largest), Some(average))
    });
    [equal.0, equal.1, Some(panel.shrunk().unwrap().effective_bets()), weighted.0, weighted.1]
}

proptest! {
    /// Of the symbols held, whatever their sides, in whatever order they were bought.
    #[test]
    fn it_is_of_the_symbols_held(
        rows in prop::collection::vec(prop::array::uniform3(90_i64..110), MINIMUM + 2..30),
        sides in prop::array::uniform3(prop_oneof![Just(1_i64), Just(-1)]),
        turned in any::<bool>(),
    ) {
        let mut d = driver();
        let mut order = [0, 1, 2];
        if turned {
            order.reverse();
        }
        for at in order {
            trade(&mut d, -30, SYMBOLS[at], sides[at]);
        }
        play(&mut d, &rows);
        let end = 60 * rows.len() as i64;
        let columns: Vec<Vec<i64>> = (0..3).map(|at| rows.iter().map(|row| row[at]).collect()).collect();
        let all = d.level("p");
        prop_assert!(close(figures(&all), scratch(&columns)), "{:?} {:?}", figures(&all), scratch(&columns));

        // One of them is sold: it is of the two that are left, at once. A restart changes nothing.
        trade(&mut d, end + 1, "C", -sides[2]);
        let two = d.level("p");
        prop_assert!(close(figures(&two), scratch(&columns[..2])));
        let limits = ["pairs", "weighted"].map(|name| two.limit(name).clone());
        prop_assert_eq!(limits[1].value, two.value("max_correlation_ewma"));
        d.restart();
        let restored = d.level("p");
        prop_assert_eq!(figures(&restored), figures(&two));
        prop_assert_eq!(["pairs", "weighted"].map(|name| restored.limit(name).clone()), limits);
    }
}

#[test]
fn what_moves_as_one_is_over_the_limit_and_a_hedge_is_too() {
    let mut d = driver();
    trade(&mut d, -30, "A", 1);
    trade(&mut d, -30, "B", -1);
    trade(&mut d, -30, "C", 1);
    let rows: Vec<[i64; 3]> = (0..10).map(|n| [100 + n * n % 7, 200 + 2 * (n * n % 7), 100]).collect();
    play(&mut d, &rows);
    let level = d.level("p");
    let [largest, average, bets, weighted, _] = figures(&level).map(Option::unwrap);
    assert!((largest - 1.0).abs() < 1e-12 && (average - 1.0).abs() < 1e-12, "what stands still is left out");
    assert!((1.0..2.0).contains(&bets), "{bets}");
    assert_eq!(level.limit("pairs").status, LimitStatus::Breached);
    assert!((weighted - 1.0).abs() < 1e-12);
    assert_eq!(level.limit("weighted").status, LimitStatus::Breached);

    trade(&mut d, 601, "B", 1);
    let level = d.level("p");
    assert_eq!(figures(&level), [0.0, 0.0, 1.0, 0.0, 0.0].map(Some), "one moves alone");
    assert_eq!(level.limit("pairs").status, LimitStatus::Ok);
}

#[test]
fn too_few_returns_are_warming_up_and_a_stale_mark_is_stale() {
    let mut d = driver();
    trade(&mut d, -30, "A", 1);
    trade(&mut d, -30, "B", 1);
    play(&mut d, &[[100, 100, 100], [101, 102, 100], [100, 99, 100], [103, 101, 100]]);
    let level = d.level("p");
    assert_eq!(level.unknown("max_correlation"), Some(Unknown::WarmingUp));
    assert_eq!(level.unknown("average_correlation_ewma"), Some(Unknown::WarmingUp));
    assert_eq!(level.limit("pairs").unknown, Some(Unknown::WarmingUp));
    d.run_to(330);
    assert_eq!(d.level("p").unknown("effective_bets"), Some(Unknown::Stale));
    for name in ["pairs", "weighted"] {
        assert_eq!(d.level("p").limit(name).unknown, Some(Unknown::Stale));
    }
}

/// Of twenty returns, the first ten of which went together and the last against each other.
#[test]
fn the_latest_returns_weigh_most() {
    let mut d = driver_over(20, 0.5);
    trade(&mut d, -30, "A", 1);
    trade(&mut d, -30, "B", 1);
    let turn = |n: i64| if n % 2 == 0 { 100 } else { 110 };
    let rows: Vec<[i64; 3]> = (0..21)
        .map(|n| if n <= 10 { [turn(n), turn(n), 100] } else { [turn(n), turn(n + 1), 100] })
        .collect();
    play(&mut d, &rows);
    let level = d.level("p");
    let average = |name: &str| level.value(name).unwrap();
    assert!(average("average_correlation").abs() < 0.1, "{}", average("average_correlation"));
    assert!(average("average_correlation_ewma") < -0.99, "{}", average("average_correlation_ewma"));
    assert_eq!(level.limit("weighted").status, LimitStatus::Breached, "without its sign");
    assert_eq!(level.limit("pairs").status, LimitStatus::Ok);
}

/// The example of docs/risk.md.
#[test]
fn weights_turn_what_equal_weights_say() {
    let of = |lambda: f64| {
        let mut d = driver_over(WINDOW, lambda);
        trade(&mut d, -30, "A", 100);
        trade(&mut d, -30, "B", -50);
        play(&mut d, &[[100, 50, 1], [102, 49, 1], [101, 51, 1], [99, 50, 1], [101, 52, 1]]);
        let level = d.level("p");
        let names = ["average_correlation", "average_correlation_ewma", "max_correlation_ewma"];
        names.map(|name| (level.value(name).unwrap() * 1e4).round() / 1e4)
    };
    assert_eq!(of(0.5), [0.1338, 0.6187, 0.6187]);
    assert_eq!(of(0.94), [0.1338, -0.6227, 0.6227]);
}

fn pair(level: &Level, measure: &str) -> Vec<String> {
    level.0.measures.iter().find(|one| one.name == measure).unwrap().symbols.clone()
}

/// By their names, in whatever order they appeared.
#[test]
fn the_largest_pair_is_named() {
    // C follows B exactly; A goes its own way.
    let rows: Vec<[i64; 3]> =
        (0..10).map(|n| [100 + n % 2 * 3, 100 + n * n % 7, 2 * (100 + n * n % 7)]).collect();
    for order in [["A", "B", "C"], ["C", "A", "B"]] {
        let mut d = driver();
        order.iter().for_each(|symbol| trade(&mut d, -30, symbol, 1));
        play(&mut d, &rows);
        let level = d.level("p");
        for (measure, limit) in [("max_correlation", "pairs"), ("max_correlation_ewma", "weighted")] {
            assert_eq!(pair(&level, measure), ["B", "C"]);
            assert_eq!(
                (&level.limit(limit).symbols[..], &level.limit(limit).symbol),
                (&["B".into(), "C".into()][..], &None)
            );
            assert_eq!(level.limit(limit).status, LimitStatus::Breached);
        }
        assert!(pair(&level, "average_correlation").is_empty());
        d.restart();
        assert_eq!(d.level("p"), level);
        trade(&mut d, 601, "C", -1);
        assert_eq!(pair(&d.level("p"), "max_correlation"), ["A", "B"], "it is of those that are left");
        trade(&mut d, 602, "B", -1);
        let alone = d.level("p");
        assert!(pair(&alone, "max_correlation").is_empty() && alone.limit("pairs").symbols.is_empty());
    }
}

/// All three go together, so that every pair is as large.
#[test]
fn of_equal_pairs_the_first_by_name_is_named() {
    for order in [["A", "B", "C"], ["C", "B", "A"], ["B", "C", "A"]] {
        let mut d = driver();
        order.iter().for_each(|symbol| trade(&mut d, -30, symbol, 1));
        let rows: Vec<[i64; 3]> = (0..10).map(|n| [100 + n * n % 7; 3]).collect();
        play(&mut d, &rows);
        let level = d.level("p");
        assert_eq!(pair(&level, "max_correlation"), ["A", "B"], "{order:?}");
        assert_eq!(level.limit("pairs").symbols, ["A", "B"], "{order:?}");
    }
}

#[test]
fn nothing_held_is_no_pair() {
    let mut d = driver();
    trade(&mut d, -30, "A", 1);
    trade(&mut d, -29, "A", -1);
    assert_eq!(figures(&d.level("p")), [Some(0.0); 5]);
}

/// What portfolios share is of the history as it is now, though somebody asked before it went on; a restart forgets it.
#[test]
fn pairs_that_were_asked_for_follow_the_history() {
    let said = |restarts: bool| {
        let mut d = driver();
        for minute in 0..16_i64 {
            for (n, symbol) in (2..).zip(SYMBOLS) {
                let price = (100 + minute * minute * n % 17).to_string();
                d.see(60 * minute + 10, mark(symbol, &price, &price));
            }
            if minute == 8 {
                trade(&mut d, 60 * minute + 20, "A", 1);
                trade(&mut d, 60 * minute + 20, "B", 1);
            }
            if restarts {
                d.restart();
            }
        }
        d.run_to(60 * 16);
        d.outputs
    };
    assert_eq!(said(false), said(true));
}
