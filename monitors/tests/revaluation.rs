//! Value at risk of what is held now, over the return history of its symbols: from scratch, of the prices that the
//! marks had.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod drive;

use std::sync::Arc;
use std::time::Duration;

use drive::{Driver, Level, account, at, beat, fill, mark};
use proptest::prelude::*;
use tapewatch_monitors::kernels::{
    Horizon, QuantileType, Sample, ShortfallConvention, Tail, historical_tail,
};
use tapewatch_monitors::risk::{
    Basis, Bounded, Confidence, LimitParameters, ReferencePrices, Sampling, TailModel, WindowLength,
};
use tapewatch_monitors::{RiskParameters, TaskContext};
use tapewatch_schemas::events::{LimitStatus, Occasion, Side, Unknown};
use tapewatch_schemas::{Event, Time};

const MINUTE: Duration = Duration::from_secs(60);
const WINDOW: usize = 12;
const MINIMUM: usize = 4;

fn parameters() -> RiskParameters {
    let publish_interval = Duration::from_secs(1);
    let mut parameters = RiskParameters { publish_interval, ..RiskParameters::default() };
    let window = &mut parameters.window;
    (window.sampling, window.basis) = (Sampling::Every(MINUTE), Basis::Book);
    (window.models, window.levels) = (vec![TailModel::Revalued], vec![Confidence(9000)]);
    let history = &mut parameters.history;
    (history.interval, history.window, history.minimum) =
        (MINUTE, WindowLength::Observations(WINDOW), MINIMUM);
    let measure: Bounded = "var_90_revalued".parse().unwrap();
    parameters.limits = vec![LimitParameters::new("tail", measure, None, Some(10.0))];
    parameters
}

fn driver(parameters: RiskParameters) -> Driver {
    Driver::risk(parameters, TaskContext { partition: 0, opened_from_zero: true })
}

/// Marks of each symbol ten seconds into the minute; none where the price is 0.
fn marks(d: &mut Driver, minute: i64, prices: &[(&str, i64)]) {
    for (symbol, price) in prices.iter().filter(|(_, price)| *price != 0) {
        d.see(60 * minute + 10, mark(symbol, &price.to_string(), &price.to_string()));
    }
}

fn buy(d: &mut Driver, minute: i64, symbol: &str, quantity: i64, price: i64) {
    let side = if quantity < 0 { Side::Sell } else { Side::Buy };
    let (units, price) = (quantity.abs().to_string(), price.to_string());
    d.see(60 * minute + 20, fill("p", symbol, side, &units, &price, "0"));
}

/// Value at risk and expected shortfall at 90 % of holdings over columns of prices, an instant a row.
fn scratch(held: &[(f64, Vec<i64>)]) -> (f64, f64) {
    let returns = |prices: &[i64]| -> Vec<f64> {
        prices.windows(2).map(|p| (p[1] - p[0]) as f64 / p[0] as f64).collect()
    };
    let columns: Vec<(f64, Vec<f64>)> =
        held.iter().map(|(value, prices)| (*value, returns(prices))).collect();
    let instants = columns[0].1.len();
    let pnl: Vec<f64> = (instants.saturating_sub(WINDOW)..instants)
        .map(|t| columns.iter().fold(0.0, |sum, (value, returns)| sum + value * returns[t]))
        .collect();
    let tail = Tail::new(0.1).unwrap();
    let sample = Sample::new(&pnl).unwrap();
    let risk =
        historical_tail(sample, tail, QuantileType::Linear, ShortfallConvention::AcerbiTasche).unwrap();
    (0.0 - risk.var, 0.0 - risk.es)
}

/// The figures of the level at this second.
fn level(d: &mut Driver, second: i64) -> Level {
    d.run_to(second);
    let figures = d.outputs.iter().rev().find_map(|output| match &output.event {
        Event::RiskMetrics(metrics) => Some(metrics.clone()),
        _ => None,
    });
    Level(figures.unwrap())
}

fn said(level: &Level) -> (Option<f64>, Option<f64>) {
    (level.value("var_90_revalued"), level.value("es_90_revalued"))
}

fn known((var, es): (f64, f64)) -> (Option<f64>, Option<f64>) {
    (Some(var), Some(es))
}

proptest! {
    /// At a fill, of the holdings after it at their marks; whatever was held before. The minute's own prices are an
    /// instant at its end. A restart changes nothing.
    #[test]
    fn it_is_of_what_is_held_now_over_all_of_the_history(
        rows in prop::collection::vec((50_i64..150, 50_i64..150, -9_i64..9, any::<bool>()), MINIMUM + 2..40),
        restarts in any::<bool>(),
    ) {
        let mut d = driver(parameters());
        let (mut a, mut b, mut held) = (Vec::new(), Vec::new(), [1, 1]);
        buy(&mut d, -1, "A", 1, 100);
        buy(&mut d, -1, "B", 1, 100);
        for (minute, (at_a, at_b, quantity, other)) in (0..).zip(rows) {
            marks(&mut d, minute, &[("A", at_a), ("B", at_b)]);
            let symbol = usize::from(other);
            if quantity != 0 {
                buy(&mut d, minute, ["A", "B"][symbol], quantity, 100);
                held[symbol] += quantity;
            }
            if restarts {
                d.restart();
            }
            let book = |a: &[i64], b: &[i64]| -> (Option<f64>, Option<f64>) {
                let lines = [(held[0] * at_a, a.to_vec()), (held[1] * at_b, b.to_vec())];
                let held: Vec<_> =
                    lines.into_iter().filter(|l| l.0 != 0).map(|(v, prices)| (v as f64, prices)).collect();
                if held.is_empty() {
                    known((0.0, 0.0))
                } else if a.len() <= MINIMUM {
                    (None, None)
                } else {
                    known(scratch(&held))
                }
            };
            if quantity != 0 {
                prop_assert_eq!(said(&level(&mut d, 60 * minute + 22)), book(&a, &b), "a fill of minute {}", minute);
            }
            a.push(at_a);
            b.push(at_b);
            prop_assert_eq!(said(&level(&mut d, 60 * minute + 62)), book(&a, &b), "the end of minute {}", minute);
        }
    }
}

/// Ten prices of one symbol, a minute each, and of another that has none in minute 4 and is stale at its end.
#[test]
fn a_stale_mark_has_no_return_and_the_instants_that_all_share_are_what_counts() {
    let mut parameters = parameters();
    parameters.freshness.marks = Duration::from_secs(70);
    let mut d = driver(parameters);
    buy(&mut d, -1, "A", 10, 100);
    buy(&mut d, -1, "B", -5, 100);
    let a = [100, 102, 101, 99, 103, 104, 99, 98, 97, 100];
    let b = [50, 51, 49, 52, 0, 50, 48, 49, 53, 52];
    for minute in 0..10 {
        marks(&mut d, minute, &[("A", a[minute as usize]), ("B", b[minute as usize])]);
    }
    let level = level(&mut d, 602);
    // No return of B ends at minute 4 or 5.
    let day = |t: usize| {
        let r = |prices: &[i64]| (prices[t] - prices[t - 1]) as f64 / prices[t - 1] as f64;
        0.0 + 1000.0 * r(&a) - 260.0 * r(&b)
    };
    let pnl: Vec<f64> = [1, 2, 3, 6, 7, 8, 9].map(day).to_vec();
    let tail = Tail::new(0.1).unwrap();
    let (kind, shortfall) = (QuantileType::Linear, ShortfallConvention::AcerbiTasche);
    let risk = historical_tail(Sample::new(&pnl).unwrap(), tail, kind, shortfall).unwrap();
    let (var, es) = said(&level);
    assert!(
        (var.unwrap() + risk.var).abs() < 1e-9 && (es.unwrap() + risk.es).abs() < 1e-9,
        "{var:?} {risk:?}"
    );
}

#[test]
fn a_symbol_that_is_too_young_is_warming_up_until_it_has_enough() {
    let mut d = driver(parameters());
    buy(&mut d, -1, "A", 10, 100);
    for minute in 0..8 {
        marks(&mut d, minute, &[("A", 100 + minute), ("B", if minute < 5 { 0 } else { 40 + minute })]);
    }
    assert!(said(&level(&mut d, 479)).0.is_some());
    buy(&mut d, 8, "B", 1, 40);
    let warming = level(&mut d, 510);
    assert_eq!(warming.unknown("var_90_revalued"), Some(Unknown::WarmingUp));
    assert_eq!(warming.limit("tail").status, LimitStatus::Unknown);
    for minute in 9..11 {
        marks(&mut d, minute, &[("A", 100 + minute), ("B", 40 + minute)]);
    }
    assert!(said(&level(&mut d, 662)).0.is_some(), "four instants of both: minutes 6, 7, 9 and 10");
}

/// What is held of a symbol without a mark has no value; with its first mark the figure is there, at once.
#[test]
fn what_becomes_known_is_revalued_when_it_does() {
    let mut d = driver(parameters());
    buy(&mut d, -1, "A", 10, 100);
    for minute in 0..6 {
        marks(&mut d, minute, &[("A", 100 + minute % 3)]);
    }
    let fresh = said(&level(&mut d, 362));
    assert!(fresh.0.is_some_and(|var| var > 0.0));
    buy(&mut d, 6, "B", 1, 40);
    assert_eq!(level(&mut d, 382).unknown("var_90_revalued"), Some(Unknown::Missing));
    buy(&mut d, 6, "B", -1, 40);
    assert_eq!(said(&level(&mut d, 384)), fresh, "it is as if it had never been bought");
}

fn reference(days: i64) -> Arc<ReferencePrices> {
    let price = |n: i64| Some((100 + (n * 7) % 11) as f64);
    let instants = (0..days).map(|n| at(-60 * (days - n))).collect();
    let columns = vec![("A".into(), (0..days).map(price).collect())];
    Arc::new(ReferencePrices::new([1; 32], instants, columns))
}

#[test]
fn a_file_of_prices_is_there_on_the_first_day_and_the_tape_extends_it() {
    let with = |reference: &Arc<ReferencePrices>| {
        let mut parameters = parameters();
        parameters.history.reference = Some(reference.clone());
        parameters
    };
    let mut d = driver(with(&reference(10)));
    buy(&mut d, 0, "A", 10, 100);
    d.see(25, mark("A", "105", "105"));
    let prices: Vec<i64> = (0..10).map(|n| 100 + (n * 7) % 11).collect();
    let first = scratch(&[(1050.0, prices.clone())]);
    assert_eq!(said(&level(&mut d, 27)), known(first));
    // The first instant of the tape has no price before it; the next one has.
    d.see(70, mark("A", "110", "110"));
    let second = level(&mut d, 122);
    let returns =
        |prices: &[i64]| prices.windows(2).map(|p| (p[1] - p[0]) as f64 / p[0] as f64).collect::<Vec<_>>();
    let mut pnl: Vec<f64> = returns(&prices).into_iter().chain([5.0 / 105.0]).map(|r| 1100.0 * r).collect();
    pnl.sort_by(f64::total_cmp);
    assert_eq!(said(&second).1.map(|es| (es * 1e6).round()), Some((-pnl[0] * 1e6).round()));

    // Under another file it begins anew, and so does what was made of it.
    let state = d.save();
    let mut other = driver(with(&Arc::new(ReferencePrices::new([2; 32], Vec::new(), Vec::new()))));
    other.restore(&state);
    other.see(130, mark("A", "111", "111"));
    assert_eq!(level(&mut other, 132).unknown("var_90_revalued"), Some(Unknown::WarmingUp));
    let mut same = driver(with(&reference(10)));
    same.restore(&state);
    assert_eq!(same.save(), state);
}

/// A row that is later than the first mark was not known then.
#[test]
fn a_file_says_nothing_of_the_future() {
    let mut parameters = parameters();
    parameters.history.reference = Some(reference(10));
    let mut d = driver(parameters);
    d.see(-390, fill("p", "A", Side::Buy, "10", "100", "0"));
    d.see(-390, mark("A", "105", "105"));
    assert_eq!(level(&mut d, -380).unknown("var_90_revalued"), Some(Unknown::WarmingUp));
}

/// A change is held against what was forecast when the one before it was sampled, and not against what a fill in between
/// made of it.
#[test]
fn a_forecast_is_held_against_the_change_of_the_same_interval() {
    let mut parameters = parameters();
    parameters.window.models.push(TailModel::RevaluedEwma);
    let mut d = driver(parameters.clone());
    buy(&mut d, -1, "A", 100, 100);
    let prices: Vec<i64> = (0..30).map(|n| 100 + (n * n * 5) % 17).collect();
    let (mut hits, mut forecast) = ([0; 2], [None; 2]);
    for minute in 0..30 {
        let now = prices[minute as usize];
        marks(&mut d, minute, &[("A", now)]);
        // Out and in again: between the fills, nothing is at risk.
        buy(&mut d, minute, "A", -100, now);
        buy(&mut d, minute, "A", 100, now);
        let end = level(&mut d, 60 * minute + 62);
        for (hits, forecast) in hits.iter_mut().zip(forecast) {
            let change = (100 * (now - prices[minute.max(1) as usize - 1])) as f64;
            *hits += u32::from(forecast.is_some_and(|var| -change > var));
        }
        forecast = ["var_90_revalued", "var_90_revalued_ewma"].map(|name| end.value(name));
    }
    let end = level(&mut d, 1_802);
    assert_ne!(hits[0], hits[1], "each is held against its own");
    for (model, hits) in ["var_90_revalued", "var_90_revalued_ewma"].into_iter().zip(hits) {
        let observations = Some(f64::from(30 - 1 - MINIMUM as u32));
        assert_eq!(end.value(&format!("{model}_observations")), observations);
        assert_eq!(end.value(&format!("{model}_exceptions")), Some(f64::from(hits)));
    }

    let mut other = parameters;
    other.window.sampling = Sampling::EachFill;
    let mut d = driver(other);
    buy(&mut d, 0, "A", 100, 100);
    let names = level(&mut d, 30).measures().into_iter().map(|measure| measure.name).collect::<Vec<_>>();
    assert!(names.contains(&"var_90_revalued".to_owned()));
    assert!(
        !names.iter().any(|name| name.contains("exceptions")),
        "fills are no interval of the history: {names:?}"
    );
}

/// Stale holdings are unknown, and as before once their source is known to live.
#[test]
fn what_is_held_at_stale_marks_is_unknown() {
    let mut parameters = parameters();
    parameters.freshness.marks = Duration::from_secs(100);
    parameters.freshness.executions = Duration::from_secs(100_000);
    let mut d = driver(parameters);
    d.see(-60, account("p", "1000", "1000"));
    buy(&mut d, -1, "A", 10, 100);
    for minute in 0..6 {
        marks(&mut d, minute, &[("A", 100 + minute % 3)]);
    }
    let fresh = said(&level(&mut d, 362));
    let stale = level(&mut d, 420);
    assert_eq!(stale.unknown("var_90_revalued"), Some(Unknown::Stale));
    let last = d.offset() - 1;
    d.see(430, beat("market.data.v1", 0, last));
    assert_eq!(said(&level(&mut d, 432)), fresh);
}

/// The example of docs/risk.md: to the microsecond, and what holds nothing of the symbol is as it was.
#[test]
fn a_limit_is_unknown_a_microsecond_past_the_bound_of_a_mark() {
    let said = "the last one of a symbol held came at 10:29:50. Its portfolio's `position`, its desk's and the firm's are unknown from 12:29:50.000001 on";
    assert!(include_str!("../../docs/risk.md").contains(said));
    let mut parameters = parameters();
    let hours = |hours: u64| Duration::from_secs(3_600 * hours);
    let fresh = &mut parameters.freshness;
    (fresh.marks, fresh.executions, fresh.accounts) = (hours(2), hours(24), hours(24));
    parameters.limits = vec![LimitParameters::new("position", Bounded::Position, None, Some(1e9))];
    let mut d = driver(parameters);
    let clock = |hours: i64, minutes: i64, seconds: i64| 3_600 * hours + 60 * minutes + seconds;
    d.see(clock(10, 0, 0), fill("p", "A", Side::Buy, "1", "100", "0"));
    d.see(clock(10, 0, 0), fill("q", "B", Side::Buy, "1", "100", "0"));
    d.see(clock(10, 29, 50), mark("A", "100", "100"));
    d.see(clock(12, 0, 0), mark("B", "100", "100"));
    d.run_to(clock(12, 29, 50));
    assert_eq!(d.level("p").limit("position").status, LimitStatus::Ok);
    let out = d.run_to(clock(12, 29, 51));
    let turned: Vec<_> = out
        .iter()
        .filter_map(|output| match &output.event {
            Event::RiskMetrics(one) if one.occasion == Occasion::Transition => Some(one),
            _ => None,
        })
        .map(|one| (one.scope.as_str(), one.event_time, one.limits[0].unknown))
        .collect();
    assert_eq!(turned, [("p", Time(at(clock(12, 29, 50)).0 + 1), Some(Unknown::Stale))]);
    assert_eq!(d.level("q").limit("position").status, LimitStatus::Ok);
}

/// While no mark comes the history ages, though marks may be as old as they like here; with the next instant it is known.
#[test]
fn a_history_that_ages_is_stale_from_one_tick_past_its_bound() {
    // The example of docs/risk.md, in minutes after eight.
    assert!(
        include_str!("../../docs/risk.md")
            .contains("`freshness.history = \"5m\"`, the last instant is 08:08. At 08:13")
    );
    let days = Duration::from_secs(864_000);
    let mut parameters = parameters();
    let fresh = &mut parameters.freshness;
    (fresh.marks, fresh.executions, fresh.accounts) = (days, days, days);
    parameters.history.freshness = Duration::from_secs(300);
    for restarts in [false, true] {
        let mut d = driver(parameters.clone());
        buy(&mut d, -1, "A", 100, 100);
        for minute in 0..8 {
            marks(&mut d, minute, &[("A", 100 + minute % 3)]);
        }
        // The last instant is that of second 480.
        assert!(level(&mut d, 780).value("var_90_revalued").is_some());
        if restarts {
            d.restart();
        }
        let out = d.run_to(781);
        let due = Time(at(780).0 + 1);
        let turned = out.iter().find_map(|output| match &output.event {
            Event::RiskMetrics(metrics) if metrics.occasion == Occasion::Transition => Some(metrics),
            _ => None,
        });
        let turned = Level(turned.expect("the limit turns").clone());
        assert_eq!((turned.0.event_time, turned.limit("tail").unknown), (due, Some(Unknown::Stale)));
        let stale = level(&mut d, 790);
        assert_eq!(stale.unknown("var_90_revalued"), Some(Unknown::Stale));
        assert!(stale.value("gross_exposure").is_some());
        marks(&mut d, 20, &[("A", 103)]);
        assert!(level(&mut d, 1_262).value("var_90_revalued").is_some());
    }
}

/// The example of docs/risk.md.
#[test]
fn the_example_of_the_document() {
    let document = include_str!("../../docs/risk.md");
    let mut parameters = parameters();
    parameters.window.levels = vec![Confidence(8000)];
    parameters.window.models.push(TailModel::RevaluedGaussian);
    parameters.window.horizons = [1, 2].map(|steps| Horizon::new(steps).unwrap()).into();
    parameters.window.contributions = 2;
    // Three stretches of two instants are all there are.
    parameters.history.minimum = 3;
    parameters.limits.clear();
    let mut d = driver(parameters);
    buy(&mut d, -1, "A", 100, 100);
    buy(&mut d, -1, "B", -50, 50);
    for (minute, (a, b)) in (0..).zip([(100, 50), (102, 49), (101, 51), (99, 50), (101, 52)]) {
        marks(&mut d, minute, &[("A", a), ("B", b)]);
        assert!(document.contains(&format!("\n| {} | {a} | {b} | ", minute + 1)), "line {minute}");
    }
    let level = level(&mut d, 302);
    let said = ["var_80_revalued", "es_80_revalued"].map(|name| level.value(name).unwrap());
    let [var, es] = said.map(|value| format!("{value:.2}"));
    assert!(
        document.contains(&format!(
            "VaR is {var}. Four profits × 0.2 is less than one whole, so ES is the worst: {es}."
        )),
        "{said:?}"
    );
    let said = ["var_80_revalued_gaussian", "es_80_revalued_gaussian"].map(|name| level.value(name).unwrap());
    let [var, es] = said.map(|value| format!("{value:.2}"));
    assert!(document.contains(&format!("their deviation, 215.11: VaR is {var}, ES {es}.")), "{said:?}");
    let said = ["var_80_revalued_h2", "es_80_revalued_h2"].map(|name| level.value(name).unwrap());
    let [var, es] = said.map(|value| format!("{value:.2}"));
    assert!(document.contains(&format!("two worst: VaR is {var}, ES {es}.")), "{said:?}");
    let of = |kind: &str, what: &str, symbol: &str| {
        format!("{:.2}", level.value(&format!("{kind}_80_revalued_{what}:{symbol}")).unwrap())
    };
    let [first, second] = ["A", "B"].map(|symbol| of("var", "component", symbol));
    let [first_es, second_es] = ["A", "B"].map(|symbol| of("es", "component", symbol));
    let incremental = of("var", "incremental", "A");
    let words = document.split_whitespace().collect::<Vec<_>>().join(" ");
    for sentence in [
        format!("its component is {first}, and the second's {second}; they add up to 171.47."),
        format!("all line 3, they are {first_es} and {second_es}."),
        format!("so its incremental is {incremental}."),
    ] {
        assert!(words.contains(&sentence), "{sentence}");
    }
}

/// A limit on it follows the marks at each level, though nothing is traded and no instant of the history comes; and what
/// was unknown comes back at the marks now.
#[test]
fn it_follows_the_marks_between_instants() {
    let mut parameters =
        RiskParameters { publish_interval: Duration::from_secs(10), ..RiskParameters::default() };
    parameters.window.models = vec![TailModel::Revalued];
    let history = &mut parameters.history;
    (history.interval, history.minimum) = (Duration::from_secs(3_600), 4);
    parameters.freshness.marks = Duration::from_secs(5_000);
    parameters.freshness.executions = Duration::from_secs(50_000);
    let tail = Bounded::ValueAtRisk(TailModel::Revalued, Confidence(9500), Horizon::ONE);
    parameters.limits = vec![LimitParameters::new("var", tail, None, Some(25.0))];
    let mut d = Driver::risk(parameters, TaskContext { partition: 0, opened_from_zero: true });
    for hour in 0..9_i64 {
        let price = if hour % 2 == 0 { "100" } else { "99" };
        d.see(3_600 * hour + 100, mark("A", price, price));
    }
    let start = 3_600 * 8 + 200;
    d.see(start, fill("p", "A", Side::Buy, "10", "100", "0"));
    let last = |d: &Driver| {
        let metrics = d.outputs.iter().rev().find_map(|output| match &output.event {
            Event::RiskMetrics(metrics) => Some(metrics.clone()),
            _ => None,
        });
        drive::Level(metrics.unwrap())
    };
    let known = |d: &Driver| {
        let level = last(d);
        assert_eq!(level.limit("var").value, level.value("var_95_revalued"));
        let value = level.value("var_95_revalued");
        (value.unwrap_or_else(|| panic!("{:?}", level.unknown("var_95_revalued"))), level.limit("var").status)
    };
    d.run_to(start + 11);
    let (before, status) = known(&d);
    assert_eq!(status, LimitStatus::Ok, "{before}");
    d.see(start + 15, mark("A", "300", "300"));
    d.run_to(start + 21);
    let (after, status) = known(&d);
    assert_eq!(status, LimitStatus::Breached);
    assert!((after - 3.0 * before).abs() < 1e-9, "{before} {after}");

    // Until it is stale, and then at another price: not for a moment at the one before.
    d.run_to(start + 15 + 5_001);
    assert_eq!(last(&d).limit("var").unknown, Some(Unknown::Stale));
    let told = d.outputs.len();
    d.see(start + 15 + 5_002, mark("A", "100", "100"));
    let back = d.outputs[told..].iter().find_map(|output| match &output.event {
        Event::RiskMetrics(metrics) => metrics.limits[0].value,
        _ => None,
    });
    assert!((back.unwrap() - before).abs() < 0.5 * before, "{before} {back:?}");
}
