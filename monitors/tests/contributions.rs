//! What each position contributes, as it is published: of the figures in force, at intervals, the largest by name.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod drive;

use std::time::Duration;

use drive::{Driver, Level, fill, mark};
use proptest::prelude::*;
use tapewatch_monitors::kernels::{Decomposition, Exposed, ShortfallConvention, Tail};
use tapewatch_monitors::risk::firm::{FirmMonitor, FirmParameters, ScopeParameters};
use tapewatch_monitors::risk::{
    Basis, Confidence, LimitParameters, Sampling, TailModel, WindowLength, WindowParameters,
};
use tapewatch_monitors::{RiskParameters, TaskContext};
use tapewatch_schemas::events::{Holding, Holdings, Occasion, Provenance, RiskMetrics, Side, Unknown};
use tapewatch_schemas::{Event, RecordId, Time};

const MINUTE: Duration = Duration::from_secs(60);
const MINIMUM: usize = 4;
const SYMBOLS: [&str; 4] = ["A", "B", "C", "other"];

fn parameters(most: usize) -> RiskParameters {
    let mut parameters = RiskParameters { publish_interval: MINUTE, ..RiskParameters::default() };
    let window = &mut parameters.window;
    (window.sampling, window.basis, window.contributions) = (Sampling::Every(MINUTE), Basis::Book, most);
    (window.models, window.levels) = (vec![TailModel::Revalued], vec![Confidence(8000), Confidence(9000)]);
    let history = &mut parameters.history;
    (history.interval, history.window, history.minimum) = (MINUTE, WindowLength::Observations(20), MINIMUM);
    parameters.limits =
        vec![LimitParameters::new("gross", "gross_exposure".parse().unwrap(), None, Some(1e3))];
    parameters
}

fn driver(most: usize) -> Driver {
    Driver::risk(parameters(most), TaskContext { partition: 0, opened_from_zero: true })
}

fn buy(d: &mut Driver, second: i64, symbol: &str, quantity: i64) {
    if quantity != 0 {
        let side = if quantity < 0 { Side::Sell } else { Side::Buy };
        d.see(second, fill("p", symbol, side, &quantity.abs().to_string(), "100", "0"));
    }
}

/// Prices of each symbol, ten seconds into each minute.
fn marks(d: &mut Driver, from: i64, rows: &[[i64; 4]]) {
    for (minute, row) in (from..).zip(rows) {
        for (symbol, price) in SYMBOLS.iter().zip(row) {
            d.see(60 * minute + 10, mark(symbol, &price.to_string(), &price.to_string()));
        }
    }
    d.run_to(60 * (from + rows.len() as i64) + 2);
}

fn published(d: &Driver) -> Vec<RiskMetrics> {
    let of = |event: &Event| match event {
        Event::RiskMetrics(metrics) => Some(metrics.clone()),
        _ => None,
    };
    d.outputs.iter().filter_map(|output| of(&output.event)).collect()
}

fn last(d: &Driver) -> Level {
    let mut levels = published(d);
    levels.retain(|metrics| metrics.occasion == Occasion::Interval);
    Level(levels.pop().unwrap())
}

/// The symbols named with a figure, in their order, and the figures.
fn named(level: &Level, figure: &str) -> Vec<(String, f64)> {
    let of = level.0.measures.iter().filter_map(|measure| {
        let (name, symbol) = measure.name.split_once(':')?;
        (name == figure).then(|| (symbol.to_owned(), measure.value.unwrap()))
    });
    of.collect()
}

/// What the kernel makes of returns of these rows and these values: components, marginals, incrementals, as pairs of value at
/// risk and shortfall, losses positive.
fn scratch(rows: &[[i64; 4]], values: &[(usize, f64)]) -> Vec<[[f64; 2]; 3]> {
    let column = |symbol: usize| -> Vec<f64> {
        let ratio = |pair: &[[i64; 4]]| (pair[1][symbol] - pair[0][symbol]) as f64 / pair[0][symbol] as f64;
        rows.windows(2).map(ratio).collect()
    };
    let columns: Vec<(f64, Vec<f64>)> = values.iter().map(|(at, value)| (*value, column(*at))).collect();
    let held = columns.iter().map(|(value, returns)| Exposed { value: *value, returns }).collect();
    let tail = Tail::new(Confidence(9000).tail()).unwrap();
    let whole = Decomposition::new(held, tail, ShortfallConvention::AcerbiTasche).unwrap();
    let of = |place: usize| {
        let one = whole.contribution(place, &mut Vec::new()).unwrap();
        [one.component, one.marginal, one.incremental].map(|risk| [0.0 - risk.var, 0.0 - risk.es])
    };
    (0..values.len()).map(of).collect()
}

fn prices() -> impl Strategy<Value = Vec<[i64; 4]>> {
    prop::collection::vec([50_i64..150, 50_i64..150, 50_i64..150, 50_i64..150], MINIMUM + 2..18)
}

proptest! {
    /// Named or not, all components are the figure; a marginal is the component of one unit of what was held then.
    #[test]
    fn components_are_the_figure(
        rows in prices(),
        quantities in [-9_i64..9, -9_i64..9, -9_i64..9, -9_i64..9],
        most in 1_usize..6,
    ) {
        let mut d = driver(most);
        for (symbol, quantity) in SYMBOLS.iter().zip(quantities) {
            buy(&mut d, -1, symbol, quantity);
        }
        marks(&mut d, 0, &rows);
        let level = last(&d);
        let held = quantities.iter().filter(|quantity| **quantity != 0).count();
        let scale = level.value("gross_exposure").unwrap().max(1.0);
        for kind in ["var", "es"] {
            let components = named(&level, &format!("{kind}_90_revalued_component"));
            prop_assert_eq!(components.len(), held.min(most));
            let other = level.value(&format!("{kind}_90_revalued_component_other")).unwrap();
            let sum: f64 = components.iter().map(|(_, value)| value).sum::<f64>() + other;
            let figure = level.value(&format!("{kind}_90_revalued")).unwrap();
            prop_assert!((sum - figure).abs() <= 1e-12 * scale, "{sum} {figure}");
            prop_assert!(held > most || other == 0.0, "{other}");
        }
        let sizes: Vec<f64> = named(&level, "es_90_revalued_component").iter().map(|one| one.1.abs()).collect();
        prop_assert!(sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
        let now = rows[rows.len() - 1];
        let values: Vec<(usize, f64)> = (0..4)
            .filter(|at| quantities[*at] != 0)
            .map(|at| (at, (quantities[at] * now[at]) as f64))
            .collect();
        let expected = scratch(&rows, &values);
        for (nth, (at, value)) in values.iter().enumerate() {
            let symbol = SYMBOLS[*at];
            let positions = named(&level, "position");
            let Some((_, says)) = positions.iter().find(|(name, _)| name == symbol) else { continue };
            prop_assert_eq!(says, value);
            for (what, expected) in ["component", "marginal", "incremental"].iter().zip(expected[nth]) {
                let said = ["var", "es"].map(|kind| level.value(&format!("{kind}_90_revalued_{what}:{symbol}")));
                prop_assert_eq!(said, expected.map(Some), "{} of {}", what, symbol);
            }
        }
    }

    /// To the byte, also where marks have moved since the figures were made.
    #[test]
    fn a_restart_changes_nothing(rows in prices(), moved in 50_i64..150, most in 0_usize..3) {
        let (mut through, mut restarted) = (driver(most), driver(most));
        let fills = [("A", 5), ("B", -3)].map(|(symbol, quantity): (&str, i64)| {
            let side = if quantity < 0 { Side::Sell } else { Side::Buy };
            fill("p", symbol, side, &quantity.abs().to_string(), "100", "0")
        });
        let end = 60 * rows.len() as i64;
        for d in [&mut through, &mut restarted] {
            fills.iter().for_each(|fill| drop(d.see(-1, fill.clone())));
            marks(d, 0, &rows);
            d.see(end + 10, mark("A", &moved.to_string(), &moved.to_string()));
        }
        restarted.restart();
        for d in [&mut through, &mut restarted] {
            d.run_to(end + 130);
        }
        prop_assert_eq!(published(&through), published(&restarted));
        prop_assert_eq!(through.save(), restarted.save());
    }
}

fn rows() -> Vec<[i64; 4]> {
    (0..8).map(|n| [100 + (n * n * 5) % 17, 100 - (n * 7) % 11, 80 + (n * 5) % 13, 90 + n % 3]).collect()
}

#[test]
fn they_are_of_intervals_alone_and_of_the_highest_level() {
    let mut d = driver(2);
    buy(&mut d, -1, "A", 10);
    buy(&mut d, -1, "B", -5);
    buy(&mut d, -1, "C", 1);
    marks(&mut d, 0, &rows());
    let said = published(&d);
    let names = |metrics: &RiskMetrics| {
        let of = |name: &str| name.contains("component") || name.contains(':');
        metrics.measures.iter().filter(|measure| of(&measure.name)).count()
    };
    assert!(said.iter().any(|one| one.occasion == Occasion::Transition));
    for one in &said {
        let (interval, at_once) = (one.occasion == Occasion::Interval, names(one));
        assert!(interval || at_once == 0, "{one:?}");
    }
    assert_eq!(names(said.last().unwrap()), 2 * 7 + 2);
    assert!(!said.last().unwrap().measures.iter().any(|measure| measure.name.contains("80_revalued_comp")));

    let mut none = driver(0);
    buy(&mut none, -1, "A", 10);
    marks(&mut none, 0, &rows());
    assert!(published(&none).iter().all(|one| names(one) == 0));
}

/// They are parts of the figure that is published, which is of the marks at the level, as the position's value is.
#[test]
fn marks_that_moved_before_a_level_move_all_of_it() {
    let mut parameters = parameters(5);
    // A level before the next instant of the history.
    parameters.publish_interval = Duration::from_secs(20);
    let mut d = Driver::risk(parameters, TaskContext { partition: 0, opened_from_zero: true });
    buy(&mut d, -1, "A", 10);
    buy(&mut d, -1, "B", -5);
    marks(&mut d, 0, &rows());
    d.run_to(502);
    let before = last(&d);
    d.see(510, mark("A", "200", "200"));
    d.run_to(522);
    let after = last(&d);
    assert_ne!(before.0.event_time, after.0.event_time);
    for name in ["var_90_revalued", "es_90_revalued_component:A", "var_90_revalued_incremental:A"] {
        assert_ne!(before.value(name), after.value(name), "{name}");
    }
    assert_eq!(after.value("position:A"), Some(2000.0));
    let component = 2000.0 * after.value("var_90_revalued_marginal:A").unwrap();
    assert!((after.value("var_90_revalued_component:A").unwrap() - component).abs() < 1e-9);
    assert_ne!(before.value("position:A"), after.value("position:A"));
}

#[test]
fn they_are_unknown_as_the_figure_is_and_then_nothing_is_named() {
    let mut d = driver(5);
    buy(&mut d, -1, "A", 10);
    marks(&mut d, 0, &rows()[..3]);
    let young = last(&d);
    assert_eq!(young.unknown("es_90_revalued"), Some(Unknown::WarmingUp));
    assert_eq!(young.unknown("es_90_revalued_component_other"), Some(Unknown::WarmingUp));
    assert_eq!(named(&young, "position"), []);
    marks(&mut d, 3, &rows()[3..]);
    buy(&mut d, 485, "Z", 1);
    d.run_to(542);
    let missing = last(&d);
    assert_eq!(missing.unknown("var_90_revalued_component_other"), Some(Unknown::Missing));
    assert_eq!(named(&missing, "position"), []);
    buy(&mut d, 545, "Z", -1);
    buy(&mut d, 545, "A", -10);
    d.run_to(602);
    let flat = last(&d);
    assert_eq!(flat.value("var_90_revalued_component_other"), Some(0.0));
    assert_eq!(named(&flat, "position"), []);
}

/// At intervals alone, and none while exposure is unknown; what contributions name too is named once.
#[test]
fn the_largest_positions_are_named_with_their_values() {
    let mut all = parameters(0);
    all.positions = 2;
    let mut d = Driver::risk(all.clone(), TaskContext { partition: 0, opened_from_zero: true });
    for (symbol, quantity) in [("C", 2), ("B", -3), ("A", 2), ("other", 1)] {
        buy(&mut d, -1, symbol, quantity);
    }
    marks(&mut d, 0, &[[100; 4], [100; 4]]);
    let said = |d: &Driver| named(&last(d), "position");
    let expected = [("B".to_owned(), -300.0), ("A".to_owned(), 200.0)];
    assert_eq!(said(&d), expected, "of equal ones the first by name");
    let others = published(&d).into_iter().filter(|metrics| metrics.occasion != Occasion::Interval);
    let others: Vec<Level> = others.map(Level).collect();
    assert!(!others.is_empty() && others.iter().all(|level| named(level, "position").is_empty()));
    buy(&mut d, 125, "Z", 1);
    d.run_to(182);
    assert_eq!(last(&d).unknown("gross_exposure"), Some(Unknown::Missing));
    assert_eq!(said(&d), []);

    all.window.contributions = 1;
    let mut d = Driver::risk(all, TaskContext { partition: 0, opened_from_zero: true });
    buy(&mut d, -1, "A", 10);
    buy(&mut d, -1, "B", 9);
    marks(&mut d, 0, &rows());
    let both = said(&d);
    assert_eq!(both.len(), 2, "{both:?}");
    assert_eq!(named(&last(&d), "es_90_revalued_component").len(), 1);
}

/// Put back under a configuration that wants them, they are there with the next figures.
#[test]
fn they_can_be_wanted_later() {
    let mut d = driver(0);
    buy(&mut d, -1, "A", 10);
    marks(&mut d, 0, &rows());
    let mut wanted = driver(1);
    wanted.restore(&d.save());
    wanted.see(490, mark("B", "99", "99"));
    wanted.see(490, mark("A", "99", "99"));
    wanted.run_to(542);
    let level = last(&wanted);
    let component = named(&level, "var_90_revalued_component")[0].1;
    assert!((component - level.value("var_90_revalued").unwrap()).abs() < 1e-9);
}

fn book(portfolio: &str, lines: &[(&str, &str)]) -> Event {
    let line = |(symbol, quantity): &(&str, &str)| Holding {
        symbol: (*symbol).into(),
        quantity: quantity.parse().unwrap(),
        average_cost: None,
        multiplier: "1".parse().unwrap(),
        currency: "USD".into(),
    };
    Event::Holdings(Holdings {
        provenance: Provenance { worker: "risk".into(), ..Provenance::default() },
        id: RecordId::default(),
        event_time: Time(0),
        portfolio: portfolio.into(),
        opened: true,
        unknown: None,
        currency: "USD".into(),
        filled_at: None,
        account: None,
        account_unknown: None,
        profit: None,
        conduct: None,
        holdings: lines.iter().map(line).collect(),
    })
}

/// Of a scope's net positions: what one portfolio is long and another short contributes nothing.
#[test]
fn scopes_have_those_of_their_net_positions() {
    let parameters = FirmParameters {
        publish_interval: MINUTE,
        positions: 1,
        scopes: vec![ScopeParameters { scope: "firm:all".into(), portfolios: Vec::new() }],
        window: WindowParameters {
            levels: vec![Confidence(8000), Confidence(9000)],
            models: vec![TailModel::Revalued],
            contributions: 2,
            ..WindowParameters::default()
        },
        history: parameters(0).history,
        books: Duration::from_secs(100_000),
        ..FirmParameters::default()
    };
    let mut d = Driver::new(move || Box::new(FirmMonitor::new(parameters.clone())));
    d.see(-1, book("p", &[("A", "10"), ("B", "7"), ("C", "4")]));
    d.see(-1, book("q", &[("B", "-7"), ("C", "-9")]));
    marks(&mut d, 0, &rows());
    d.restart();
    d.see(490, mark("A", "100", "100"));
    d.run_to(542);
    let level = last(&d);
    let components = named(&level, "es_90_revalued_component");
    let mut symbols: Vec<&str> = components.iter().map(|(symbol, _)| symbol.as_str()).collect();
    symbols.sort_unstable();
    assert_eq!(symbols, ["A", "C"], "B is none");
    assert_eq!(level.value("es_90_revalued_component_other"), Some(0.0));
    assert_eq!(named(&level, "position").len(), 2, "once each");
    let sum: f64 = components.iter().map(|(_, value)| value).sum();
    assert!((sum - level.value("es_90_revalued").unwrap()).abs() < 1e-9);
    assert_eq!(level.value("position:C"), Some(-5.0 * rows()[7][2] as f64));
}
