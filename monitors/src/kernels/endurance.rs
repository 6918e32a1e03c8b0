//! Ten million updates of the kernels that keep something from one to the next.

use crate::endurance::{Kept, Past, Twofold, Update, endures, same};
use crate::kernels::{Ewma, SortedWindow};

const LAMBDA: f64 = 0.94;

/// Around a return of a usual size, too.
struct Volatility(Ewma);

impl Kept for Volatility {
    fn update(&mut self, one: Update) {
        self.0.push(one.value()).unwrap();
    }

    /// The weights of the last ten thousand: what is older weighs less than 1e-268.
    fn compare(&mut self, past: Past) {
        let returns: Vec<f64> = past.last(10_000).map(Update::value).collect();
        let (mut weight, mut scratch) = (1.0 - LAMBDA, Twofold::default());
        for r in returns.iter().rev() {
            scratch = scratch.plus(Twofold::of(weight).times(Twofold::of(r * r)));
            weight *= LAMBDA;
        }
        same("variance", self.0.variance(), scratch.value());
    }
}

#[test]
fn a_volatility_is_that_of_the_weights() {
    endures(Volatility(Ewma::new(LAMBDA, 0.0).unwrap()), 11);
}

struct Sorted(SortedWindow);

impl Kept for Sorted {
    fn update(&mut self, one: Update) {
        self.0.push(one.value());
        // Now and then the oldest leave by themselves, as they do by the clock.
        if one.chosen.is_multiple_of(1 << 17) {
            (0..100).for_each(|_| self.0.drop_oldest());
        }
    }

    fn compare(&mut self, past: Past) {
        let mut left = 0_u64;
        for one in past.all() {
            left = (left + 1).min(500);
            if one.chosen.is_multiple_of(1 << 17) {
                left = left.saturating_sub(100);
            }
        }
        let mut scratch: Vec<f64> = past.last(left).map(Update::value).collect();
        scratch.sort_by(f64::total_cmp);
        assert_eq!(self.0.sorted(), scratch);
    }
}

#[test]
fn a_sorted_window_is_the_last_values_sorted() {
    endures(Sorted(SortedWindow::new(500)), 12);
}
