//! What symbols did over a range of the past, as the tape passes through it.

use tapewatch_schemas::Time;

use crate::endurance::{Kept, Past as Updates, Twofold, Update, endures, same};
use crate::risk::parameters::HistoryParameters;
use crate::risk::past::Past;
use crate::risk::scenario::Range;

/// Returns of an instant: always the same, of any size up to a thousandth either way, and none.
fn returns(one: Update) -> [f64; 3] {
    let size = [1e-3, 1e-5, 1e-7, 1e-12][(one.chosen >> 7) as usize % 4];
    [1e-7, one.value() / 1e9 * size, 0.0]
}

struct Passed(Past);

impl Kept for Passed {
    fn update(&mut self, one: Update) {
        self.0.pass(Time(one.nth as i64 + 1), returns(one).into_iter());
    }

    fn compare(&mut self, past: Updates) {
        let mut over = self.0.clone();
        over.pass(Time(i64::MAX), [].into_iter());
        let one = Twofold::of(1.0);
        let mut growth = [one; 3];
        for update in past.all() {
            for (growth, r) in growth.iter_mut().zip(returns(update)) {
                *growth = growth.times(one.plus(Twofold::of(r)));
            }
        }
        for (symbol, growth) in growth.into_iter().enumerate() {
            same((symbol, past.shown), over.of(symbol as u32).unwrap(), growth.minus(one).value());
        }
    }
}

#[test]
fn a_range_is_the_product_of_its_returns() {
    let range = Range { from: Time(0), until: Time(i64::MAX - 1) };
    let mut past = Past::new(range, &HistoryParameters::default());
    past.pass(Time(0), [].into_iter());
    endures(Passed(past), 41);
}
