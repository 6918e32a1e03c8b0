//! Drawdowns of equity with money coming in and going out, and the time under water.

use std::time::Duration;

use tapewatch_schemas::Time;

use crate::endurance::{Kept, Past, Twofold, Update, endures};
use crate::risk::depth::Depth;

const WINDOW: i64 = 30_000_000;
const DAY: Duration = Duration::from_micros(WINDOW as u64);
/// Microseconds from one update to the next.
const STEP: i64 = 300;

/// Equity as it moves, and the price of a unit of it, as a fund has it: money that comes in buys units, and moves no price.
#[derive(Clone, Copy)]
struct Fund {
    /// True if it moves by all that there is, and false if by a hundredth at most.
    wild: bool,
    equity: f64,
    units: Twofold,
}

impl Fund {
    /// The value before and after money moved, if any did; where it does, nothing else moves.
    fn follow(&mut self, one: Update) -> Option<(f64, f64)> {
        let before = self.equity;
        // No two ratios are alike, and many are next to one.
        let size = if one.chosen & 1 == 0 { 1e-9 } else { 2.0 };
        let share = 1.0 + (one.chosen >> 32) as f64 / 4_294_967_296.0 * size;
        let after = if self.units.value() < 1.0 { before * share } else { before / share };
        if before > 0.0 && (one.chosen >> 2).is_multiple_of(8) && (1e-6..1e9).contains(&after) {
            self.equity = after;
            self.units = self.units.times(Twofold::of(after)).over(Twofold::of(before));
            return Some((before, after));
        }
        self.equity = if self.wild {
            one.value().abs().max(1e-6)
        } else {
            100_000.0 + one.units.signum() as f64 * (one.units.abs() as f64).sqrt() * 3e-5
        };
        None
    }

    fn price(&self) -> Twofold {
        Twofold::of(self.equity).over(self.units)
    }
}

struct Equity {
    depth: Depth,
    fund: Fund,
}

impl Equity {
    fn new(wild: bool) -> Self {
        Self { depth: Depth::new(DAY), fund: Fund { wild, equity: 0.0, units: Twofold::of(1.0) } }
    }
}

/// By how much a price is below another, as a share of that.
fn below(peak: Twofold, price: Twofold) -> f64 {
    if peak.value() > 0.0 { peak.minus(price).over(peak).value() } else { 0.0 }
}

/// Relative 1e-9; of what is below a thousandth, of a thousandth: the peak has no more digits than a double.
#[track_caller]
fn near(what: &str, past: Past, kept: f64, scratch: f64) {
    assert!((kept - scratch).abs() <= 1e-9 * scratch.max(1e-3), "{what} of {past:?}: {kept:e} {scratch:e}");
}

impl Kept for Equity {
    fn update(&mut self, one: Update) {
        if let Some((before, after)) = self.fund.follow(one) {
            self.depth.flow(before, after);
        }
        self.depth.push(self.fund.equity, Time(one.nth as i64 * STEP));
    }

    fn compare(&mut self, past: Past) {
        let now = (past.shown as i64 - 1) * STEP;
        let begins = (now.div_euclid(WINDOW / 30) - 30) * (WINDOW / 30);
        let mut fund = Self::new(self.fund.wild).fund;
        let (mut peak, mut fell, mut current, mut largest) = (Twofold::default(), None, 0.0, 0.0_f64);
        let (mut within, mut trailing) = (Twofold::default(), 0.0_f64);
        for one in past.all() {
            fund.follow(one);
            let price = fund.price();
            // Both have the digits of a product of a million ratios.
            current = below(peak, price);
            if current < 1e-20 {
                (peak, fell) = (if current < -1e-20 || fell.is_none() { price } else { peak }, None);
                current = 0.0;
            } else {
                fell.get_or_insert(one.nth as i64 * STEP);
            }
            largest = largest.max(current);
            if one.nth as i64 * STEP < begins || below(within, price) <= 0.0 {
                // In force when the window begins, or the highest since.
                within = price;
            }
            trailing = trailing.max(if one.nth as i64 * STEP < begins { 0.0 } else { below(within, price) });
        }
        let (depth, now) = (&self.depth, Time(now));
        near("current", past, depth.current(), current);
        near("largest", past, depth.largest(), largest);
        near("trailing", past, depth.trailing(now), trailing);
        assert_eq!(depth.under_water(now), fell.map_or(0.0, |fell| (now.micros() - fell) as f64 / 1e6));
    }
}

#[test]
fn a_drawdown_is_that_of_the_price_of_a_unit() {
    endures(Equity::new(false), 31);
}

#[test]
fn a_drawdown_of_all_there_is_is_that_of_the_price_of_a_unit() {
    endures(Equity::new(true), 32);
}
