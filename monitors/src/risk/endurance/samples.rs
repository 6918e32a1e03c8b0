//! The window of changes, what models make of it, and the backtests of what they forecast.

use std::time::Duration;

use tapewatch_schemas::Time;
use tapewatch_schemas::events::Unknown;

use crate::endurance::{Kept, Past, Twofold, Update, endures, same};
use crate::kernels::{Horizon, Tail, TailRisk, christoffersen, normal_density, normal_quantile};
use crate::risk::backtest::Backtest;
use crate::risk::changes::{Changes, tail_by};
use crate::risk::horizon::Tails;
use crate::risk::measure::{Confidence, TailModel};
use crate::risk::money::Money;
use crate::risk::parameters::WindowParameters;
use crate::risk::window::WindowLength;

const WINDOW: usize = 250;
const LEVEL: Confidence = Confidence(9500);

fn parameters(models: &[TailModel], steps: u16) -> WindowParameters {
    WindowParameters {
        length: WindowLength::Observations(WINDOW),
        minimum: 20,
        levels: vec![LEVEL],
        horizons: if steps == 1 {
            vec![Horizon::ONE]
        } else {
            vec![Horizon::ONE, Horizon::new(steps).unwrap()]
        },
        models: models.to_vec(),
        backtest: 0,
        ..WindowParameters::default()
    }
}

/// Profit and loss wanders by the updates.
struct Sampled {
    parameters: WindowParameters,
    changes: Changes,
    profit: Money,
}

impl Kept for Sampled {
    fn update(&mut self, one: Update) {
        self.profit += Money::of_units(i128::from(one.units) * 1_000_000);
        self.changes.sample(
            Time(one.nth as i64),
            Some(self.profit),
            &self.parameters,
            Duration::from_secs(60),
        );
    }

    fn compare(&mut self, past: Past) {
        // The first sample is no change.
        let count = (WINDOW as u64).min(past.shown - 1);
        let changes: Vec<f64> = past.last(count).map(Update::value).collect();
        let models = [TailModel::Historical, TailModel::Gaussian, TailModel::CornishFisher, TailModel::Ewma];
        let all = parameters(&models, 10);
        let mut restored = self.changes.clone();
        restored.restored(&all, Duration::from_secs(60));
        let none = Tails::default();
        let of = |changes: &Changes, model, over, parameters| {
            let profit: Result<Money, Unknown> = Ok(self.profit);
            tail_by((model, LEVEL, over), (changes, profit), (&none, None), parameters).unwrap()
        };
        let is = |what: &str, kept: TailRisk, scratch: (f64, f64)| {
            same((what, "value at risk", past.shown), kept.var, scratch.0);
            same((what, "shortfall", past.shown), kept.es, scratch.1);
        };
        let kept = of(&self.changes, TailModel::Historical, Horizon::ONE, &self.parameters);
        is("historical", kept, worst(&changes));
        let ten = all.horizons[1];
        let sums: Vec<f64> = changes
            .windows(10)
            .map(|stretch| Twofold::sum_of(stretch.iter().map(|change| Twofold::of(*change))).value())
            .collect();
        is("over ten", of(&restored, TailModel::Historical, ten, &all), worst(&sums));
        let shape = Shape::of(&changes);
        let (z, alpha) = (normal_quantile(0.05), 0.05);
        let normal = |mean: f64, deviation: f64| {
            (-(mean + deviation * z), -(mean - deviation * normal_density(z) / alpha))
        };
        is(
            "gaussian",
            of(&restored, TailModel::Gaussian, Horizon::ONE, &all),
            normal(shape.mean, shape.sample),
        );
        let (s, k) = (shape.skewness, shape.kurtosis);
        let moved = z + (z * z - 1.0) * s / 6.0 + (z * z * z - 3.0 * z) * k / 24.0
            - (2.0 * z * z * z - 5.0 * z) * s * s / 36.0;
        let expanded = of(&restored, TailModel::CornishFisher, Horizon::ONE, &all);
        same(("cornish fisher", past.shown), expanded.var, -(shape.mean + shape.population * moved));
        let from = changes.iter().position(|change| *change != 0.0).unwrap();
        let mut variance = Twofold::of(changes[from]).times(Twofold::of(changes[from]));
        for change in &changes[from..] {
            let square = Twofold::of(*change).times(Twofold::of(*change));
            let new = Twofold::of(1.0).minus(Twofold::of(all.lambda)).times(square);
            variance = variance.times(Twofold::of(all.lambda)).plus(new);
        }
        let deviation = variance.value().sqrt();
        is("ewma", of(&restored, TailModel::Ewma, Horizon::ONE, &all), normal(0.0, deviation));
    }
}

/// The type 7 quantile and Acerbi and Tasche's shortfall at 95 %, losses positive.
fn worst(changes: &[f64]) -> (f64, f64) {
    let mut sorted = changes.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len() - 1) as f64 * 0.05;
    let (below, share) = (place as usize, Twofold::of(place.fract()));
    let step = Twofold::of(sorted[below + 1]).minus(Twofold::of(sorted[below]));
    let quantile = Twofold::of(sorted[below]).plus(share.times(step)).value();
    let weight = sorted.len() as f64 * 0.05;
    let whole = Twofold::sum_of(sorted[..weight as usize].iter().map(|change| Twofold::of(*change)));
    let part = Twofold::of(weight.fract()).times(Twofold::of(sorted[weight as usize]));
    (-quantile, -whole.plus(part).over(Twofold::of(weight)).value().min(quantile))
}

/// Moments in 32 digits.
struct Shape {
    mean: f64,
    sample: f64,
    population: f64,
    skewness: f64,
    kurtosis: f64,
}

impl Shape {
    fn of(values: &[f64]) -> Self {
        let n = Twofold::of(values.len() as f64);
        let mean = Twofold::sum_of(values.iter().map(|value| Twofold::of(*value))).over(n);
        let power = |power: usize| {
            let term = |value: &f64| {
                let apart = Twofold::of(*value).minus(mean);
                (1..power).fold(apart, |product, _| product.times(apart))
            };
            Twofold::sum_of(values.iter().map(term))
        };
        let (second, third, fourth) = (power(2), power(3), power(4));
        let variance = second.over(n).value();
        // What does not move has no shape.
        let shape = |of: f64| if variance > 0.0 { of } else { 0.0 };
        Self {
            mean: mean.value(),
            sample: second.over(n.minus(Twofold::of(1.0))).value().sqrt(),
            population: variance.sqrt(),
            skewness: shape(third.over(n).value() / (variance * variance.sqrt())),
            kurtosis: shape(fourth.over(n).value() / (variance * variance) - 3.0),
        }
    }
}

#[test]
fn tails_are_those_of_the_last_changes() {
    let parameters = parameters(&[TailModel::Historical], 1);
    let changes = Changes::new(&parameters);
    endures(Sampled { parameters, changes, profit: Money::ZERO }, 61);
}

struct Tried(Backtest);

const FORECAST: TailRisk = TailRisk { var: 2.0, es: 1e3 };

impl Kept for Tried {
    fn update(&mut self, one: Update) {
        self.0.observe(one.value(), FORECAST, WINDOW);
    }

    fn compare(&mut self, past: Past) {
        let losses: Vec<f64> = past.last(WINDOW as u64).map(|one| -one.value()).collect();
        let hits: Vec<bool> = losses.iter().map(|loss| *loss > FORECAST.var).collect();
        let verdict = self.0.verdict().unwrap();
        assert_eq!(verdict.coverage, christoffersen(&hits, Tail::new(0.05).unwrap()).unwrap());
        let beyond = losses.iter().filter(|loss| **loss > FORECAST.var);
        let depth = Twofold::sum_of(beyond.map(|loss| Twofold::of(*loss).over(Twofold::of(FORECAST.es))));
        let z2 = Twofold::of(1.0).minus(depth.over(Twofold::of(losses.len() as f64 * 0.05)));
        same(("z2", past.shown), verdict.z2.unwrap(), z2.value());
    }
}

#[test]
fn a_backtest_is_of_the_last_forecasts() {
    endures(Tried(Backtest::new(TailModel::Historical, LEVEL)), 62);
}
