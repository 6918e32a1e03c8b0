//! Value at risk and expected shortfall over more than one step: from scratch, of the changes and prices that there were.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod drive;

use std::time::Duration;

use drive::{Driver, Level, account, fill, mark};
use proptest::prelude::*;
use tapewatch_monitors::kernels::{
    Aged, EwmaSeed, Filtered, Horizon, Moments, QuantileType, Sample, ShortfallConvention, Tail, TailRisk,
    cornish_fisher, ewma_volatilities, gaussian_tail, historical_tail,
};
use tapewatch_monitors::risk::firm::{FirmMonitor, FirmParameters, ScopeLimit, ScopeParameters};
use tapewatch_monitors::risk::{
    Basis, Bounded, Confidence, LimitParameters, Sampling, TailModel, WindowLength, WindowParameters,
};
use tapewatch_monitors::{Output, RiskParameters, TaskContext};
use tapewatch_schemas::events::{Holding, Holdings, LimitStatus, Provenance, RiskMetrics, Side, Unknown};
use tapewatch_schemas::{Event, RecordId, Time};

const MINUTE: Duration = Duration::from_secs(60);
const WINDOW: usize = 30;
const MINIMUM: usize = 6;
const LAMBDA: f64 = 0.9;
const AGE_LAMBDA: f64 = 0.95;
const ALPHA: f64 = 0.1;
const STEPS: u16 = 3;

fn horizons(steps: &[u16]) -> Vec<Horizon> {
    steps.iter().map(|steps| Horizon::new(*steps).unwrap()).collect()
}

fn parameters(over: &[u16]) -> RiskParameters {
    let mut parameters = RiskParameters { publish_interval: MINUTE, ..RiskParameters::default() };
    let window = &mut parameters.window;
    (window.sampling, window.basis) = (Sampling::Every(MINUTE), Basis::Book);
    (window.length, window.minimum, window.levels) =
        (WindowLength::Observations(WINDOW), MINIMUM, vec![Confidence(9000)]);
    (window.lambda, window.age_lambda) = (LAMBDA, AGE_LAMBDA);
    window.models = TailModel::ALL.to_vec();
    window.horizons = horizons(over);
    let history = &mut parameters.history;
    (history.interval, history.window, history.minimum) =
        (MINUTE, WindowLength::Observations(WINDOW), MINIMUM);
    parameters.limits.clear();
    parameters
}

fn driver(over: &[u16]) -> Driver {
    of(parameters(over))
}

fn of(parameters: RiskParameters) -> Driver {
    Driver::risk(parameters, TaskContext { partition: 0, opened_from_zero: true })
}

/// Ten of A from the beginning, marked each minute at these prices.
fn play(d: &mut Driver, prices: &[i64]) {
    d.see(-1, bought());
    go_on(d, 0, prices);
}

fn bought() -> Event {
    fill("p", "A", Side::Buy, "10", "100", "0")
}

fn go_on(d: &mut Driver, from: i64, prices: &[i64]) {
    for (minute, price) in (from..).zip(prices) {
        d.see(60 * minute + 10, mark("A", &price.to_string(), &price.to_string()));
    }
    d.run_to(60 * (from + prices.len() as i64) + 2);
}

fn last(d: &Driver) -> Level {
    let figures = d.outputs.iter().rev().find_map(|output| match &output.event {
        Event::RiskMetrics(metrics) => Some(metrics.clone()),
        _ => None,
    });
    Level(figures.unwrap())
}

fn historical(values: &[f64]) -> TailRisk {
    let (kind, shortfall) = (QuantileType::Linear, ShortfallConvention::AcerbiTasche);
    historical_tail(Sample::new(values).unwrap(), Tail::new(ALPHA).unwrap(), kind, shortfall).unwrap()
}

/// What a model says over so many steps of what this price did, from scratch: sums and products one after the other.
fn scratch(model: TailModel, prices: &[i64], steps: usize) -> TailRisk {
    let tail = Tail::new(ALPHA).unwrap();
    let late = prices.len().saturating_sub(WINDOW + 1);
    let prices: Vec<f64> = prices[late..].iter().map(|price| *price as f64).collect();
    let value = 10.0 * prices[prices.len() - 1];
    // Of each step, and of each stretch of so many.
    let (changes, sums): (Vec<f64>, Vec<f64>) = if model.of_changes() {
        let changes: Vec<f64> = prices.windows(2).map(|pair| 10.0 * (pair[1] - pair[0])).collect();
        let sums = changes.windows(steps).map(|some| some.iter().sum()).collect();
        (changes, sums)
    } else {
        let over = |steps: usize| {
            let ratio = |some: &[f64]| value * (some[steps] / some[0] - 1.0);
            prices.windows(steps + 1).map(ratio).collect()
        };
        (over(1), over(steps))
    };
    let moments = Moments::of(Sample::new(&changes).unwrap());
    let h = steps as f64;
    let moving = &changes[changes.iter().position(|change| *change != 0.0).unwrap_or(0)..];
    match model {
        TailModel::Historical | TailModel::Revalued => historical(&sums),
        TailModel::AgeWeighted | TailModel::RevaluedAgeWeighted => {
            Aged::new(Sample::new(&sums).unwrap(), AGE_LAMBDA).unwrap().tail(tail).unwrap()
        }
        TailModel::Gaussian | TailModel::RevaluedGaussian => {
            gaussian_tail(h * moments.mean(), h.sqrt() * moments.deviation(1).unwrap(), tail).unwrap()
        }
        TailModel::CornishFisher | TailModel::RevaluedCornishFisher => {
            let found = cornish_fisher(&moments, Horizon::new(steps as u16).unwrap(), tail).unwrap();
            TailRisk { var: found.var, es: found.es }
        }
        TailModel::Ewma | TailModel::RevaluedEwma => {
            let all = ewma_volatilities(Sample::new(moving).unwrap(), LAMBDA, EwmaSeed::FirstSquare).unwrap();
            gaussian_tail(0.0, h.sqrt() * all.last().unwrap(), tail).unwrap()
        }
        TailModel::Filtered | TailModel::RevaluedFiltered => {
            let filtered = Filtered::new(Sample::new(moving).unwrap(), LAMBDA).unwrap();
            let one = filtered.tail(Horizon::ONE, tail).unwrap();
            TailRisk { var: h.sqrt() * one.var, es: h.sqrt() * one.es }
        }
    }
}

fn names(model: TailModel, over: &str) -> (String, String) {
    let (level, one) = (Confidence(9000), Horizon::ONE);
    let (var, es) = (Bounded::ValueAtRisk(model, level, one), Bounded::ExpectedShortfall(model, level, one));
    (format!("{var}{over}"), format!("{es}{over}"))
}

fn near(got: Option<f64>, expected: f64) -> bool {
    got.is_some_and(|got| (got - (0.0 - expected)).abs() <= 1e-9 * expected.abs().max(1.0))
}

proptest! {
    /// Of the window, whatever came before it, with a restart somewhere; a shortfall is never milder.
    #[test]
    fn each_model_is_of_the_window_over_so_many_steps(
        prices in prop::collection::vec(60_i64..140, MINIMUM + 4..2 * WINDOW),
        restart in 0_usize..2 * WINDOW,
    ) {
        prop_assume!(prices.windows(2).any(|pair| pair[0] != pair[1]));
        let mut d = driver(&[1, STEPS]);
        let at = restart.min(prices.len());
        play(&mut d, &prices[..at]);
        d.restart();
        go_on(&mut d, at as i64, &prices[at..]);
        let level = last(&d);
        for model in TailModel::ALL {
            let (var, es) = names(model, "_h3");
            let begun = prices.windows(2).position(|pair| pair[0] != pair[1]).unwrap();
            let recursive = matches!(
                model,
                TailModel::Ewma | TailModel::Filtered | TailModel::RevaluedEwma | TailModel::RevaluedFiltered
            );
            let changes = (prices.len() - 1).min(WINDOW);
            if recursive && prices.len() - 1 - begun.max(prices.len() - 1 - changes) < MINIMUM {
                continue;
            }
            let flat = prices[prices.len() - 1 - changes..].windows(2).all(|pair| pair[0] == pair[1]);
            if flat {
                continue;
            }
            let expected = scratch(model, &prices, usize::from(STEPS));
            prop_assert!(near(level.value(&var), expected.var), "{var}: {:?} {expected:?}", level.value(&var));
            prop_assert!(near(level.value(&es), expected.es), "{es}: {:?} {expected:?}", level.value(&es));
            // A mean of equal losses may be a hair less than each.
            let hair = 1e-12 * level.value(&var).unwrap().abs();
            prop_assert!(level.value(&es).unwrap() >= level.value(&var).unwrap() - hair, "{es}");
        }
    }

    /// What is of one step is the same to the bit.
    #[test]
    fn one_step_does_not_know_of_more(prices in prop::collection::vec(60_i64..140, 1..2 * WINDOW)) {
        let (mut one, mut more) = (driver(&[1]), driver(&[1, STEPS, 5]));
        for d in [&mut one, &mut more] {
            play(d, &prices);
        }
        let levels = |d: &Driver| -> Vec<RiskMetrics> {
            let of = |output: &Output| match &output.event {
                Event::RiskMetrics(metrics) => Some(metrics.clone()),
                _ => None,
            };
            d.outputs.iter().filter_map(of).collect()
        };
        let (one, mut more) = (levels(&one), levels(&more).into_iter());
        for one in one {
            // There are more levels where a figure over more steps becomes known.
            let mut more = more.find(|more| more.event_time == one.event_time).unwrap();
            let all = more.measures.len();
            more.measures.retain(|measure| !measure.name.ends_with("_h3") && !measure.name.ends_with("_h5"));
            prop_assert_eq!(all, more.measures.len() + 2 * 2 * TailModel::ALL.len());
            prop_assert_eq!(one.measures, more.measures);
        }
    }

    /// To the byte: everything published after a restart is what would have been published without it.
    #[test]
    fn a_restart_changes_nothing(
        prices in prop::collection::vec(60_i64..140, 2..2 * WINDOW),
        at in 0_usize..2 * WINDOW,
    ) {
        let (mut through, mut restarted) = (driver(&[1, STEPS]), driver(&[1, STEPS]));
        let (at, bought) = (at.min(prices.len()), bought());
        for d in [&mut through, &mut restarted] {
            d.see(-1, bought.clone());
            go_on(d, 0, &prices[..at]);
        }
        restarted.restart();
        for d in [&mut through, &mut restarted] {
            go_on(d, at as i64, &prices[at..]);
        }
        prop_assert_eq!(&through.outputs, &restarted.outputs);
        prop_assert_eq!(through.save(), restarted.save());
    }
}

/// What always loses as much loses as many times as much over more steps.
#[test]
fn a_constant_loss_scales_with_the_steps() {
    let mut d = driver(&[1, 2, 4]);
    let prices: Vec<i64> = (0..20).map(|minute| 200 - 2 * minute).collect();
    play(&mut d, &prices);
    let level = last(&d);
    for model in
        [TailModel::Historical, TailModel::AgeWeighted, TailModel::Gaussian, TailModel::CornishFisher]
    {
        for (over, loss) in [("", 20.0), ("_h2", 40.0), ("_h4", 80.0)] {
            let (var, es) = names(model, over);
            assert_eq!((level.value(&var), level.value(&es)), (Some(loss), Some(loss)), "{var}");
        }
    }
    // An EWMA of equal losses has their size as its deviation.
    let (one, four) = (names(TailModel::Ewma, "").0, names(TailModel::Ewma, "_h4").0);
    assert_eq!(level.value(&four), level.value(&one).map(|var| 2.0 * var));
}

#[test]
fn too_few_stretches_are_warming_up_and_a_limit_on_them_is_unknown() {
    let mut parameters = parameters(&[1, STEPS]);
    let limit = |name: &str| LimitParameters::new(name, name.parse().unwrap(), None, Some(1.0));
    parameters.limits = vec![limit("var_90_h3"), limit("es_90_revalued_h3"), limit("var_90")];
    let mut d = of(parameters);
    // So many prices are one change less, and two stretches less than changes.
    let prices: Vec<i64> = (0..MINIMUM as i64 + 2).map(|minute| 100 + 3 * (minute % 4)).collect();
    play(&mut d, &prices);
    let warming = last(&d);
    for name in ["var_90_h3", "es_90_age_weighted_h3", "var_90_revalued_h3"] {
        assert_eq!(warming.unknown(name), Some(Unknown::WarmingUp), "{name}");
    }
    // What is of the moments of single changes has enough of these.
    assert!(warming.value("var_90_gaussian_h3").is_some() && warming.value("var_90_revalued").is_some());
    assert_eq!(warming.limit("var_90_h3").status, LimitStatus::Unknown);
    assert_eq!(warming.limit("var_90").status, LimitStatus::Breached);
    go_on(&mut d, prices.len() as i64, &[97]);
    let warm = last(&d);
    assert!(warm.value("var_90_h3").is_some() && warm.value("var_90_revalued_h3").is_some());
    assert_eq!(warm.limit("var_90_h3").status, LimitStatus::Breached);
    assert_eq!(warm.limit("es_90_revalued_h3").value, warm.value("es_90_revalued_h3"));
}

/// Three stretches end at or go over the instants that are missing.
#[test]
fn a_stretch_over_an_instant_without_a_return_is_none() {
    let mut parameters = parameters(&[1, STEPS]);
    (parameters.freshness.marks, parameters.history.minimum) = (Duration::from_secs(70), 2);
    let mut d = of(parameters);
    d.see(-1, fill("p", "A", Side::Buy, "10", "100", "0"));
    let prices = [100, 102, 101, 99, 103, 0, 99, 98, 97, 100, 104];
    for (minute, price) in (0..).zip(prices) {
        // Another symbol has a mark at each.
        d.see(60 * minute + 5, mark("B", "7", "7"));
        if price != 0 {
            d.see(60 * minute + 10, mark("A", &price.to_string(), &price.to_string()));
        }
    }
    d.run_to(60 * 11 + 2);
    let profit = |from: usize| 1040.0 * (f64::from(prices[from + 3]) / f64::from(prices[from]) - 1.0);
    let expected = historical(&[0, 1, 6, 7].map(profit));
    assert!(near(last(&d).value("var_90_revalued_h3"), expected.var), "{expected:?}");
}

#[test]
fn other_horizons_after_a_restart_leave_one_step_as_it_is() {
    let prices: Vec<i64> = (0..25).map(|minute| 100 + (minute * minute * 5) % 17).collect();
    let (mut d, mut through) = (driver(&[1, STEPS]), driver(&[1, 2, STEPS]));
    play(&mut d, &prices);
    play(&mut through, &prices);
    let mut other = driver(&[1, 2, STEPS]);
    other.restore(&d.save());
    for d in [&mut other, &mut through] {
        go_on(d, prices.len() as i64, &[103, 99, 104]);
    }
    assert_eq!(last(&other), last(&through));
    assert!(last(&other).value("var_90_revalued_observations").is_some_and(|count| count > 10.0));
}

fn book(quantity: &str) -> Event {
    Event::Holdings(Holdings {
        provenance: Provenance { worker: "risk".into(), ..Provenance::default() },
        id: RecordId::default(),
        event_time: Time(0),
        portfolio: "p".into(),
        opened: true,
        unknown: None,
        currency: "USD".into(),
        filled_at: None,
        account: None,
        account_unknown: None,
        profit: None,
        conduct: None,
        holdings: vec![Holding {
            symbol: "A".into(),
            quantity: quantity.parse().unwrap(),
            average_cost: None,
            multiplier: "1".parse().unwrap(),
            currency: "USD".into(),
        }],
    })
}

/// A scope above the portfolio has the figures of its net positions, and limits on them; after a restart, too.
#[test]
fn scopes_have_the_horizons_too() {
    let RiskParameters { history, .. } = parameters(&[1]);
    let limit = LimitParameters::new("far", "var_90_revalued_h3".parse().unwrap(), None, Some(1.0));
    let parameters = FirmParameters {
        publish_interval: MINUTE,
        scopes: vec![ScopeParameters { scope: "firm:all".into(), portfolios: Vec::new() }],
        limits: vec![ScopeLimit { scopes: Vec::new(), limit }],
        window: WindowParameters {
            levels: vec![Confidence(9000)],
            horizons: horizons(&[1, STEPS]),
            models: vec![TailModel::Revalued],
            ..WindowParameters::default()
        },
        history,
        books: Duration::from_secs(100_000),
        ..FirmParameters::default()
    };
    let prices: Vec<i64> = (0..20).map(|minute| 100 + (minute * minute * 5) % 17).collect();
    let mut d = Driver::new(move || Box::new(FirmMonitor::new(parameters.clone())));
    d.see(-1, book("10"));
    go_on(&mut d, 0, &prices[..12]);
    d.restart();
    go_on(&mut d, 12, &prices[12..]);
    let (level, expected) = (last(&d), scratch(TailModel::Revalued, &prices, 3));
    assert!(near(level.value("var_90_revalued_h3"), expected.var), "{expected:?}");
    assert!(near(level.value("es_90_revalued_h3"), expected.es), "{expected:?}");
    assert!(level.value("es_90_revalued_h3") > level.value("es_90_revalued"));
    assert_eq!(level.limit("far").value, level.value("var_90_revalued_h3"));
}

/// Equity is another series than the book's profit, over more steps, too: a withdrawal is no loss.
#[test]
fn a_withdrawal_is_no_loss_over_more_steps_either() {
    let mut parameters = parameters(&[1, STEPS]);
    parameters.window.basis = Basis::Equity;
    let mut d = of(parameters);
    d.see(-2, account("p", "1000000", "1000000"));
    let prices = [100, 101, 100, 101, 100, 101, 100, 101, 100, 101, 100, 101];
    play(&mut d, &prices[..6]);
    d.see(363, drive::account_with("p", "500010", "501020", "0", "500000"));
    go_on(&mut d, 6, &prices[6..]);
    assert_eq!(last(&d).value("es_90_h3"), Some(10.0));
}
