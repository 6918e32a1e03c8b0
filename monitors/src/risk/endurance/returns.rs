//! The return history, what it makes of more than one instant, and how symbols move together in it.

use std::time::Duration;

use tapewatch_schemas::{Amount, Currency, Symbol, Time};

use crate::endurance::{Kept, Past, Twofold, Update, endures, same};
use crate::kernels::Horizon;
use crate::risk::correlation::Correlated;
use crate::risk::history::History;
use crate::risk::marks::Marks;
use crate::risk::parameters::HistoryParameters;
use crate::risk::window::WindowLength;

const SYMBOLS: usize = 5;
const WINDOW: usize = 200;
const OVER: usize = 10;
const LAMBDA: f64 = 0.94;

/// A price of every size; it says for all but the last symbol, which goes its own way, what is to become of it.
fn price(one: Update) -> i64 {
    one.units.abs().max(1)
}

/// Ten million prices, a row an instant.
struct Prices {
    history: History,
    marks: Marks,
    row: Vec<Amount>,
    rows: i64,
    currency: Currency,
}

impl Prices {
    fn new() -> Self {
        let window = WindowLength::Observations(WINDOW);
        let interval = Duration::from_secs(60);
        let parameters = HistoryParameters {
            interval,
            window,
            minimum: 2,
            symbols: SYMBOLS,
            ..HistoryParameters::default()
        };
        let horizons = [Horizon::ONE, Horizon::new(OVER as u16).unwrap()];
        let history = History::new(&parameters, &horizons);
        let mut marks = Marks::default();
        for symbol in 0..SYMBOLS {
            marks.add(&Symbol::from(format!("S{symbol}").as_str()));
        }
        Self { history, marks, row: Vec::new(), rows: 0, currency: Currency::from("USD") }
    }
}

impl Kept for Prices {
    fn update(&mut self, one: Update) {
        self.row.push(Amount::from_unscaled(i128::from(price(one)) * 1_000_000).unwrap());
        if self.row.len() == SYMBOLS {
            self.rows += 1;
            let currency = &self.currency;
            self.history
                .push(Time::from_secs(60 * self.rows), self.row.iter().map(|price| Some((*price, currency))));
            self.row.clear();
        }
    }

    fn compare(&mut self, past: Past) {
        let whole = past.shown - past.shown % SYMBOLS as u64;
        let behind = past.shown - whole;
        let rows = (WINDOW + 1).min(whole as usize / SYMBOLS);
        let prices: Vec<i64> =
            past.last(behind + (rows * SYMBOLS) as u64).take(rows * SYMBOLS).map(price).collect();
        let returns: Vec<Vec<f64>> = (0..SYMBOLS).map(|symbol| returns_of(&prices, symbol)).collect();
        for (symbol, scratch) in returns.iter().enumerate() {
            let kept = self.history.returns(symbol as u32);
            assert_eq!(kept.len(), scratch.len());
            kept.iter().zip(scratch).for_each(|(kept, scratch)| same(("return", symbol), *kept, *scratch));
            let over = self.history.returns_over(1, symbol as u32);
            assert_eq!(over.len(), kept.len() + 1 - OVER);
            for (over, stretch) in over.iter().zip(kept.windows(OVER)) {
                let one = Twofold::of(1.0);
                let growth = stretch.iter().fold(one, |growth, r| growth.times(one.plus(Twofold::of(*r))));
                // What was lost but for a billionth is known as a loss, not as what is left.
                let (kept, scratch) = (1.0 + over.max(0.0), growth.minus(one).value());
                same(("compounded", symbol), kept, kept - over + scratch);
            }
        }
        let (all, symbols) = (0..SYMBOLS as u32, || 0..SYMBOLS as u32);
        let mut correlated = Correlated::default();
        for lambda in [None, Some(LAMBDA)] {
            let kept = match lambda {
                None => correlated.together((&self.history, &self.marks), symbols),
                Some(lambda) => correlated.weighted((&self.history, &self.marks), symbols, lambda),
            };
            let pairs: Vec<f64> = all
                .clone()
                .flat_map(|left| (left + 1..SYMBOLS as u32).map(move |right| (left as usize, right as usize)))
                .map(|(left, right)| correlation(&returns[left], &returns[right], lambda))
                .collect();
            let largest = pairs.iter().fold(0.0_f64, |largest, pair| largest.max(pair.abs()));
            let kept = kept.unwrap();
            same(("largest", lambda), kept.largest, largest);
            same(("average", lambda), kept.average, pairs.iter().sum::<f64>() / pairs.len() as f64);
        }
    }
}

/// Of rows of prices, each symbol's in its column.
fn returns_of(prices: &[i64], symbol: usize) -> Vec<f64> {
    let of: Vec<i64> = prices.iter().skip(symbol).step_by(SYMBOLS).copied().collect();
    of.windows(2)
        .map(|pair| Twofold::of((pair[1] - pair[0]) as f64).over(Twofold::of(pair[0] as f64)).value())
        .collect()
}

/// Pearson's, or around zero with weights that fade, the first return's weight being what is left: in 32 digits.
fn correlation(left: &[f64], right: &[f64], lambda: Option<f64>) -> f64 {
    let of = |values: &[f64]| values.iter().map(|value| Twofold::of(*value)).collect::<Vec<_>>();
    let (mut left, mut right) = (of(left), of(right));
    let count = left.len();
    let mut weights = vec![Twofold::of(1.0); count];
    match lambda {
        Some(lambda) => {
            let mut weight = Twofold::of(1.0);
            for at in (1..count).rev() {
                weights[at] = weight.times(Twofold::of(1.0).minus(Twofold::of(lambda)));
                weight = weight.times(Twofold::of(lambda));
            }
            weights[0] = weight;
        }
        None => {
            for values in [&mut left, &mut right] {
                let mean = Twofold::sum_of(values.iter().copied()).over(Twofold::of(count as f64));
                values.iter_mut().for_each(|value| *value = value.minus(mean));
            }
        }
    }
    let product = |left: &[Twofold], right: &[Twofold]| {
        let terms = left.iter().zip(right).zip(&weights);
        Twofold::sum_of(terms.map(|((left, right), weight)| left.times(*right).times(*weight)))
    };
    product(&left, &right).value()
        / (product(&left, &left).value().sqrt() * product(&right, &right).value().sqrt())
}

#[test]
fn returns_and_correlations_are_those_of_the_prices() {
    endures(Prices::new(), 51);
}
