//! The models of value at risk and expected shortfall that the risk monitor publishes: the kernels' figures, of the
//! changes that the book has really had.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod drive;

use drive::{Driver, account, fill, mark};
use tapewatch_monitors::kernels::{
    Aged, EwmaSeed, Filtered, Horizon, Moments, Sample, ShortfallConvention, Tail, TailRisk, acerbi_szekely,
    christoffersen, cornish_fisher, ewma_volatilities, expected_shortfall, gaussian_tail, traffic_light,
    value_at_risk,
};
use tapewatch_monitors::risk::{Basis, Bounded, LimitParameters, Sampling, TailModel, WindowLength};
use tapewatch_monitors::{RiskParameters, TaskContext};
use tapewatch_schemas::Event;
use tapewatch_schemas::events::{LimitStatus, Side, Unknown};

const WINDOW: usize = 40;
const MINIMUM: usize = 12;
const LAMBDA: f64 = 0.9;
const AGE_LAMBDA: f64 = 0.95;

/// The models of the window of changes.
const OF_CHANGES: [TailModel; 6] = [
    TailModel::Historical,
    TailModel::Gaussian,
    TailModel::CornishFisher,
    TailModel::Ewma,
    TailModel::Filtered,
    TailModel::AgeWeighted,
];

fn parameters() -> RiskParameters {
    let mut parameters = RiskParameters::default();
    let window = &mut parameters.window;
    (window.length, window.minimum, window.lambda) = (WindowLength::Observations(WINDOW), MINIMUM, LAMBDA);
    window.age_lambda = AGE_LAMBDA;
    (window.sampling, window.basis) = (Sampling::EachFill, Basis::Book);
    window.models = OF_CHANGES.to_vec();
    let measure: Bounded = "es_99_filtered".parse().unwrap();
    parameters.limits.push(LimitParameters::new("tail", measure, None, Some(1.0)));
    parameters
}

fn driver() -> Driver {
    Driver::risk(parameters(), TaskContext { partition: 0, opened_from_zero: true })
}

/// A book of about ten units whose mark goes these many ticks of a quarter up or down; a fill at each mark. Gives
/// the changes of its profit.
fn play(d: &mut Driver, from: i64, ticks: &[i64]) -> Vec<f64> {
    let (mut price, mut held, mut changes) = (100.0, 0.0, Vec::new());
    for (n, ticks) in (0..).zip(ticks) {
        let moved = *ticks as f64 * 0.25;
        price += moved;
        d.see(from + 2 * n, mark("A", &price.to_string(), &price.to_string()));
        let (side, quantity) = match n {
            0 => (Side::Buy, 10.0),
            _ if n % 2 == 0 => (Side::Buy, 1.0),
            _ => (Side::Sell, 1.0),
        };
        d.see(from + 2 * n + 1, fill("p", "A", side, &quantity.to_string(), &price.to_string(), "0"));
        changes.push(held * moved);
        held += if side == Side::Buy { quantity } else { -quantity };
    }
    changes
}

/// Ticks that look like a market's, the first two of them none.
fn ticks(count: usize) -> Vec<i64> {
    let mut seed = 7_u64;
    let mut next = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 59) as i64 - 16
    };
    let moves = (0..count).map(|n| {
        if n < 3 {
            0
        } else if n % 9 == 0 {
            2 * next()
        } else {
            next() / 4
        }
    });
    moves.collect()
}

/// What a model says of these changes, from scratch; losses negative.
fn scratch(model: TailModel, changes: &[f64], alpha: f64) -> TailRisk {
    let tail = Tail::new(alpha).unwrap();
    let sample = Sample::new(changes).unwrap();
    let moved = changes.iter().position(|change| *change != 0.0).unwrap();
    let moving = Sample::new(&changes[moved..]).unwrap();
    match model {
        TailModel::Historical => {
            let mut sorted = changes.to_vec();
            sorted.sort_by(f64::total_cmp);
            let es = expected_shortfall(&sorted, alpha, ShortfallConvention::AcerbiTasche);
            TailRisk { var: value_at_risk(&sorted, alpha).unwrap(), es: es.unwrap() }
        }
        TailModel::Gaussian => {
            let moments = Moments::of(sample);
            gaussian_tail(moments.mean(), moments.deviation(1).unwrap(), tail).unwrap()
        }
        TailModel::CornishFisher => {
            let found = cornish_fisher(&Moments::of(sample), Horizon::ONE, tail).unwrap();
            TailRisk { var: found.var, es: found.es }
        }
        TailModel::Ewma => {
            let all = ewma_volatilities(moving, LAMBDA, EwmaSeed::FirstSquare).unwrap();
            gaussian_tail(0.0, *all.last().unwrap(), tail).unwrap()
        }
        TailModel::Filtered => Filtered::new(moving, LAMBDA).unwrap().tail(Horizon::ONE, tail).unwrap(),
        TailModel::AgeWeighted => Aged::new(sample, AGE_LAMBDA).unwrap().tail(tail).unwrap(),
        _ => panic!("it is not of changes: see revaluation.rs and horizons.rs"),
    }
}

fn names(model: TailModel) -> [(String, String, f64); 2] {
    let suffix = match model {
        TailModel::Historical => "",
        TailModel::Gaussian => "_gaussian",
        TailModel::CornishFisher => "_cornish_fisher",
        TailModel::Ewma => "_ewma",
        TailModel::Filtered => "_filtered",
        TailModel::AgeWeighted => "_age_weighted",
        _ => panic!("it is not of changes"),
    };
    [(95, 0.05), (99, 0.01)]
        .map(|(level, alpha)| (format!("var_{level}{suffix}"), format!("es_{level}{suffix}"), alpha))
}

/// Before the window is full, when it is, and when it has moved on.
#[test]
fn each_model_is_of_the_window_alone() {
    for count in [MINIMUM + 4, WINDOW + 1, 3 * WINDOW] {
        let mut d = driver();
        let changes = play(&mut d, 0, &ticks(count));
        // The first fill begins the series.
        let window = &changes[1..][(count - 1).saturating_sub(WINDOW)..];
        let level = d.level("p");
        assert_eq!(level.value("samples"), Some(window.len() as f64));
        for model in OF_CHANGES {
            for (var, es, alpha) in names(model) {
                let expected = scratch(model, window, alpha);
                assert_eq!(level.value(&var), Some(0.0 - expected.var), "{var} of {count}");
                assert_eq!(level.value(&es), Some(0.0 - expected.es), "{es} of {count}");
                assert!(expected.es <= expected.var, "{es} is milder than {var}");
            }
        }
        assert_eq!(level.limit("tail").status, LimitStatus::Breached);
    }
}

#[test]
fn figures_are_the_same_after_a_restart() {
    let ticks = ticks(2 * WINDOW);
    let (mut through, mut restarted) = (driver(), driver());
    play(&mut through, 0, &ticks);
    let state = through.save();
    restarted.restore(&state);
    for d in [&mut through, &mut restarted] {
        d.see(10_000, mark("A", "98", "98"));
        d.see(10_001, fill("p", "A", Side::Sell, "1", "98", "0"));
    }
    let (one, other) = (through.level("p"), restarted.level("p"));
    for (var, es, _) in OF_CHANGES.into_iter().flat_map(names) {
        assert!(one.value(&var).is_some() && one.value(&es).is_some());
        assert_eq!((one.value(&var), one.value(&es)), (other.value(&var), other.value(&es)), "{var}");
    }
}

/// No change at all is no risk; one change among them is not enough for what begins with it.
#[test]
fn a_book_that_does_not_move_has_no_risk_and_one_that_begins_to_is_warming_up() {
    let mut d = driver();
    play(&mut d, 0, &[0; MINIMUM + 2]);
    let level = d.level("p");
    for (var, es, _) in OF_CHANGES.into_iter().flat_map(names) {
        assert_eq!((level.value(&var), level.value(&es)), (Some(0.0), Some(0.0)), "{var}");
    }
    assert_eq!(level.limit("tail").status, LimitStatus::Ok);

    let mut d = driver();
    let mut ticks = vec![0; MINIMUM + 1];
    ticks.extend([3, -2, 1]);
    play(&mut d, 0, &ticks);
    let level = d.level("p");
    for (var, es, _) in [TailModel::Ewma, TailModel::Filtered].into_iter().flat_map(names) {
        assert_eq!(level.unknown(&var), Some(Unknown::WarmingUp), "{var}");
        assert_eq!(level.unknown(&es), Some(Unknown::WarmingUp), "{es}");
    }
    assert_eq!(level.limit("tail").status, LimitStatus::Unknown);
    assert!(level.value("var_95_gaussian").is_some_and(|var| var > 0.0));
}

/// Each change that was forecast, and the forecast, from scratch.
fn forecast(model: TailModel, changes: &[f64], alpha: f64) -> (Vec<f64>, Vec<TailRisk>) {
    // What begins with the first change that is not zero counts from there.
    let begins = match model {
        TailModel::Ewma | TailModel::Filtered => changes.iter().position(|change| *change != 0.0).unwrap(),
        _ => 0,
    };
    let one = |at: usize| scratch(model, &changes[at.saturating_sub(WINDOW)..at], alpha);
    let known = begins + MINIMUM..changes.len();
    (changes[known.clone()].to_vec(), known.map(one).collect())
}

#[test]
fn each_forecast_is_held_against_the_change_that_came() {
    let mut d = driver();
    let changes = play(&mut d, 0, &ticks(5 * WINDOW));
    let changes = &changes[1..];
    let level = d.level("p");
    for model in OF_CHANGES {
        for (var, es, alpha) in names(model) {
            let tail = Tail::new(alpha).unwrap();
            let (came, forecasts) = forecast(model, changes, alpha);
            let pairs = came.iter().zip(&forecasts);
            let hits: Vec<bool> = pairs.map(|(change, forecast)| *change < forecast.var).collect();
            let expected = christoffersen(&hits, tail).unwrap();
            let said = |name: &str| level.value(&format!("{var}_{name}"));
            assert_eq!(said("observations"), Some(hits.len() as f64), "{var}");
            assert_eq!(said("exceptions"), Some(expected.exceptions.exceptions() as f64), "{var}");
            assert_eq!(said("kupiec_p"), Some(expected.coverage.p_value), "{var}");
            assert_eq!(said("independence_p"), Some(expected.independence.p_value), "{var}");
            assert_eq!(said("conditional_p"), Some(expected.conditional.p_value), "{var}");
            let zone = traffic_light(expected.exceptions, tail).zone as usize as f64;
            assert_eq!(said("light"), Some(zone), "{var}");
            let z2 = acerbi_szekely(Sample::new(&came).unwrap(), &forecasts, tail).unwrap().z2;
            let found = level.value(&format!("{es}_acerbi_z2")).unwrap();
            assert!((found - z2).abs() <= 1e-9 * z2.abs().max(1.0), "{es}: {found} {z2}");
        }
    }
}

/// A quiet market becomes a wild one: the model is wrong, and the light says so when it turns, as a limit's transition.
#[test]
fn a_light_that_turns_is_a_transition_of_its_limit() {
    let mut parameters = parameters();
    let light: Bounded = "var_95_light".parse().unwrap();
    parameters.limits = vec![LimitParameters::new("model", light, Some(0.0), Some(1.0))];
    let driver = || Driver::risk(parameters.clone(), TaskContext { partition: 0, opened_from_zero: true });
    let quiet = |count: usize| (0..count).map(|n| if n % 2 == 0 { 1 } else { -1 }).collect::<Vec<_>>();
    let mut d = driver();
    play(&mut d, 0, &quiet(MINIMUM + 2));
    assert_eq!(d.level("p").limit("model").unknown, Some(Unknown::WarmingUp));
    let mut d = driver();
    play(&mut d, 0, &quiet(MINIMUM + 22));
    assert_eq!(d.level("p").limit("model").status, LimitStatus::Ok);
    let mut stood = vec![];
    for n in 0..8 {
        // Each loss is larger than any before it.
        let price = (100 - (n + 1) * (n + 2)).to_string();
        d.see(2_000 + 2 * n, mark("A", &price, &price));
        let side = if n % 2 == 0 { Side::Sell } else { Side::Buy };
        for output in d.see(2_001 + 2 * n, fill("p", "A", side, "1", &price, "0")) {
            let Event::RiskMetrics(metrics) = output.event else { continue };
            stood.extend(metrics.limits.iter().filter(|limit| limit.previous.is_some()).map(|l| l.status));
        }
    }
    assert_eq!(stood, [LimitStatus::Warning, LimitStatus::Breached]);
    d.restart();
    assert_eq!(d.level("p").limit("model").status, LimitStatus::Breached);
}

/// After a restart under another basis nothing is compared with what was taken under the one before.
#[test]
fn another_basis_begins_anew() {
    let mut d = driver();
    play(&mut d, 0, &ticks(2 * WINDOW));
    assert!(d.level("p").value("var_95_observations").is_some());
    let state = d.save();
    let mut parameters = parameters();
    parameters.window.basis = Basis::Equity;
    let mut other = Driver::risk(parameters, TaskContext { partition: 0, opened_from_zero: true });
    other.restore(&state);
    other.see(1_000, account("p", "1000000", "1000000"));
    for n in 0..3 {
        other.see(1_001 + 2 * n, mark("A", "100", "100"));
        other.see(1_002 + 2 * n, fill("p", "A", Side::Buy, "1", "100", "0"));
    }
    let level = other.level("p");
    // The first fill begins the series.
    assert_eq!(level.value("samples"), Some(2.0));
    // Of the account alone, not the millions between it and the book.
    assert!(level.value("daily_pnl").is_some_and(|profit| profit.abs() < 1_000.0));
    assert_eq!(level.unknown("var_95_observations"), Some(Unknown::WarmingUp));
}
