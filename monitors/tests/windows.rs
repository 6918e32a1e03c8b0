//! Windows that are a stretch of time: what leaves them, and when; against a computation from scratch.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod drive;

use std::time::Duration;

use drive::{Driver, Level, fill, mark};
use proptest::prelude::*;
use tapewatch_monitors::kernels::{QuantileType, Sample, ShortfallConvention, Tail, historical_tail};
use tapewatch_monitors::risk::{Basis, Confidence, Sampling, TailModel, WindowLength};
use tapewatch_monitors::{RiskParameters, TaskContext};
use tapewatch_schemas::Event;
use tapewatch_schemas::events::{Side, Unknown};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const MINIMUM: usize = 3;
const TASK: TaskContext = TaskContext { partition: 0, opened_from_zero: true };

/// Value at risk at 80 % of a book's changes, and of what it holds revalued: both windows are so long.
fn parameters(interval: Duration, length: WindowLength) -> RiskParameters {
    let mut parameters = RiskParameters { publish_interval: interval, ..RiskParameters::default() };
    let window = &mut parameters.window;
    (window.sampling, window.basis) = (Sampling::Every(interval), Basis::Book);
    (window.length, window.minimum) = (length, MINIMUM);
    window.models = vec![TailModel::Historical, TailModel::Revalued];
    window.levels = vec![Confidence(8000)];
    let history = &mut parameters.history;
    (history.interval, history.window, history.minimum) = (interval, length, MINIMUM);
    parameters.freshness.marks = 30 * DAY;
    parameters.freshness.executions = 30 * DAY;
    parameters.limits = Vec::new();
    parameters
}

fn driver(interval: Duration, length: WindowLength) -> Driver {
    Driver::risk(parameters(interval, length), TASK)
}

fn see(d: &mut Driver, second: i64, price: i64) {
    d.see(second, mark("A", &price.to_string(), &price.to_string()));
}

/// Ten units at 100.
fn buy(d: &mut Driver, second: i64) {
    see(d, second, 100);
    d.see(second, fill("p", "A", Side::Buy, "10", "100", "0"));
}

/// Of the changes, and revalued.
fn said(d: &mut Driver) -> [Option<f64>; 3] {
    let level = d.level("p");
    ["samples", "var_80", "var_80_revalued"].map(|name| level.value(name))
}

fn scratch(values: &[f64]) -> Option<f64> {
    if values.len() < MINIMUM {
        return None;
    }
    let sample = Sample::new(values).unwrap();
    let convention = ShortfallConvention::AcerbiTasche;
    let risk = historical_tail(sample, Tail::new(0.2).unwrap(), QuantileType::Linear, convention).unwrap();
    Some(0.0 - risk.var)
}

/// A price at the end of each of these minutes, the first of which is that of the purchase.
struct Tape(Vec<(i64, i64)>);

impl Tape {
    fn new(steps: &[(i64, i64)]) -> Self {
        let mut minute = 0;
        let mut tape = vec![(0, 100)];
        for (gap, price) in steps {
            minute += gap;
            tape.push((minute, *price));
        }
        Self(tape)
    }

    /// What is to be said at the end of the nth of its minutes, of what came in the last so many.
    fn expected(&self, nth: usize, within: i64) -> [Option<f64>; 3] {
        let (minute, price) = self.0[nth];
        let pairs = self.0[..=nth].windows(2).filter(|pair| pair[1].0 > minute - within);
        let pairs: Vec<(f64, f64)> = pairs.map(|pair| (pair[0].1 as f64, pair[1].1 as f64)).collect();
        let changes: Vec<f64> = pairs.iter().map(|(before, now)| 10.0 * (now - before)).collect();
        let value = 10.0 * price as f64;
        let revalued: Vec<f64> =
            pairs.iter().map(|(before, now)| value * ((now - before) / before)).collect();
        [Some(changes.len() as f64), scratch(&changes), scratch(&revalued)]
    }
}

fn steps() -> impl Strategy<Value = Vec<(i64, i64)>> {
    prop::collection::vec((1_i64..5, 50_i64..150), 1..40)
}

proptest! {
    /// Quiet minutes make gaps between the samples. A restart changes nothing, whenever it is.
    #[test]
    fn a_stretch_holds_what_came_within_it(
        (steps, minutes, restarts) in (steps(), 3_i64..20, any::<bool>()),
    ) {
        let tape = Tape::new(&steps);
        let mut d = driver(MINUTE, WindowLength::Span(MINUTE * minutes as u32));
        buy(&mut d, 1);
        for (nth, (minute, price)) in tape.0.iter().enumerate().skip(1) {
            see(&mut d, 60 * minute + 30, *price);
            d.run_to(60 * (minute + 1));
            if restarts {
                d.restart();
            }
            prop_assert_eq!(said(&mut d), tape.expected(nth, minutes), "minute {}", minute);
        }
    }

    /// Under another window a restored monitor has what that would hold of what there was; of a count it is not known when
    /// changes came, and none is taken to be in a stretch. It goes on to the byte.
    #[test]
    fn another_window_begins_with_what_is_known_to_be_in_it(
        (steps, more) in (steps(), steps()),
        (minutes, then, count) in (3_i64..20, 3_i64..20, 1_usize..20),
    ) {
        let span = |minutes: i64| WindowLength::Span(MINUTE * minutes as u32);
        let tape = Tape::new(&[steps.clone(), more].concat());
        let last = steps.len();
        let play = |d: &mut Driver, from: usize, to: usize| {
            for (minute, price) in &tape.0[from..=to] {
                see(d, 60 * minute + 30, *price);
                d.run_to(60 * (minute + 1));
            }
        };
        let saved_under = |length: WindowLength| {
            let mut d = driver(MINUTE, length);
            buy(&mut d, 1);
            play(&mut d, 1, last);
            d.save()
        };
        let back = |state: &[u8], length: WindowLength| {
            let mut d = driver(MINUTE, length);
            d.restore(state);
            d.restart();
            d
        };
        let of_span = saved_under(span(minutes));
        let of_count = saved_under(WindowLength::Observations(count));
        // Before another change comes.
        let changes = |state: &[u8], length: WindowLength| {
            let mut parameters = parameters(MINUTE, length);
            parameters.publish_interval = Duration::from_secs(1);
            let mut d = Driver::risk(parameters, TASK);
            d.restore(state);
            see(&mut d, 60 * (tape.0[last].0 + 1) + 1, tape.0[last].1);
            let published = d.run_to(60 * (tape.0[last].0 + 1) + 3);
            let Some(Event::RiskMetrics(figures)) = published.last().map(|one| &one.event) else {
                panic!("nothing is published")
            };
            Level(figures.clone()).value("samples").unwrap()
        };
        let within = |nth: usize, minutes: i64| tape.expected(nth, minutes)[0].unwrap();
        prop_assert_eq!(changes(&of_span, span(then)), within(last, minutes.min(then)));
        let counted = changes(&of_span, WindowLength::Observations(count));
        prop_assert_eq!(counted, within(last, minutes).min(count as f64));
        prop_assert_eq!(changes(&of_count, span(then)), 0.0);

        let [mut other, mut anew] = [&of_span, &of_count].map(|state| back(state, span(then)));

        // From here on each is as if it had been so, once what came before has left.
        for nth in last + 1..tape.0.len() {
            play(&mut other, nth, nth);
            play(&mut anew, nth, nth);
            let since = tape.0[nth].0 - tape.0[last].0;
            if since >= then {
                prop_assert_eq!(said(&mut other), tape.expected(nth, then));
            }
            prop_assert_eq!(anew.level("p").value("samples"), Some(within(nth, then.min(since))));
        }
    }
}

/// The example of docs/risk.md.
#[test]
fn the_example_of_the_documentation() {
    // The first day of the tests is a Wednesday.
    let closes = [(0, "100"), (1, "90"), (2, "99"), (5, "94.05"), (6, "96.8715")];
    let play = |length: WindowLength| {
        let mut d = driver(DAY, length);
        for (day, price) in closes {
            d.see(86_400 * day + 72_000, mark("A", price, price));
            if day == 0 {
                d.see(72_001, fill("p", "A", Side::Buy, "100", price, "0"));
            }
            d.run_to(86_400 * (day + 1));
        }
        let cents = |value: Option<f64>| value.map(|value| (value * 100.0).round() / 100.0);
        said(&mut d).map(cents)
    };
    let five_days = play(WindowLength::Span(5 * DAY));
    assert_eq!(five_days, [Some(3.0), Some(184.14), Some(174.37)]);
    assert_eq!(play(WindowLength::Observations(4)), [Some(4.0), Some(697.0), Some(678.1)]);
    // Of three days there are two, Monday and Tuesday.
    let mut d = driver(DAY, WindowLength::Span(3 * DAY));
    buy(&mut d, 72_000);
    for day in [1, 2, 5, 6] {
        see(&mut d, 86_400 * day + 72_000, 100 + day);
    }
    d.run_to(86_400 * 7);
    let level = d.level("p");
    assert_eq!(level.value("samples"), Some(2.0));
    assert_eq!(level.unknown("var_80"), Some(Unknown::WarmingUp));
    assert_eq!(level.unknown("var_80_revalued"), Some(Unknown::WarmingUp));
}
