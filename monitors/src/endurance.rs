//! Ten million updates of what is kept and not made anew, compared at several moments with what comes out from scratch.

use std::fmt::Debug;

/// So many updates there are.
const UPDATES: u64 = 10_000_000;
/// After so many of them the figures are compared.
const MOMENTS: [u64; 4] = [1_000, 100_003, 1_000_000, UPDATES];

/// A figure that follows updates.
pub(crate) trait Kept {
    fn update(&mut self, one: Update);
    /// Compares it with what all updates so far come to.
    fn compare(&mut self, past: Past);
}

/// Shows a figure all updates of a seed, and lets it be compared.
pub(crate) fn endures(mut kept: impl Kept, seed: u64) {
    let mut updates = Stream::of(seed);
    let mut shown = 0;
    for moment in MOMENTS {
        while shown < moment {
            kept.update(updates.next().expect("there are more"));
            shown += 1;
        }
        kept.compare(Past { seed, shown });
    }
}

/// Relative 1e-9.
#[track_caller]
pub(crate) fn same(what: impl Debug, kept: f64, scratch: f64) {
    let largest = kept.abs().max(scratch.abs());
    let apart = (kept - scratch).abs();
    assert!(
        apart <= 1e-9 * largest,
        "{what:?}: {kept:e} kept, {scratch:e} from scratch, {:e}",
        apart / largest
    );
}

/// One update.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Update {
    /// 0 is the first.
    pub(crate) nth: u64,
    /// Millionths, of any size from one of them to 10⁹ whole ones, and of both signs.
    pub(crate) units: i64,
    /// Any number, for what else there is to choose.
    pub(crate) chosen: u64,
}

impl Update {
    /// The units as a double.
    pub(crate) fn value(self) -> f64 {
        self.units as f64 / 1e6
    }
}

/// All updates so far, from their seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Past {
    seed: u64,
    pub(crate) shown: u64,
}

impl Past {
    /// From the first on.
    pub(crate) fn all(self) -> impl Iterator<Item = Update> {
        Stream::of(self.seed).take(self.shown as usize)
    }

    /// The last of them, oldest first.
    pub(crate) fn last(self, count: u64) -> impl Iterator<Item = Update> {
        self.all().skip(self.shown.saturating_sub(count) as usize)
    }
}

/// Long stretches of the same, of what cancels but for the last digit, of changing signs and sizes.
#[derive(Clone, Debug)]
struct Stream {
    state: u64,
    nth: u64,
    kind: u64,
    left: u64,
    size: i64,
    held: i64,
}

impl Stream {
    fn of(seed: u64) -> Self {
        Self { state: seed, nth: 0, kind: 0, left: 0, size: 1, held: 1 }
    }

    /// Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
    fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn within(bits: u64, size: i64) -> i64 {
        (bits % (2 * size as u64 + 1)) as i64 - size
    }

    fn begin(&mut self) {
        let bits = self.bits();
        self.kind = bits % 5;
        self.left = 1 + (bits >> 8) % 2_000;
        self.size = 10_i64.pow(((bits >> 32) % 16) as u32);
        self.held = Self::within(self.bits(), self.size);
    }
}

impl Iterator for Stream {
    type Item = Update;

    fn next(&mut self) -> Option<Update> {
        if self.left == 0 {
            self.begin();
        }
        self.left -= 1;
        let bits = self.bits();
        let units = match self.kind {
            0 => self.held,
            1 => {
                self.held = -self.held;
                self.held
            }
            2 => {
                self.held = -self.held + Self::within(bits, 1);
                self.held
            }
            3 => Self::within(bits, self.size),
            _ => Self::within(bits, 10_i64.pow((bits >> 60) as u32)),
        };
        let nth = self.nth;
        self.nth += 1;
        Some(Update { nth, units, chosen: bits.rotate_left(23) })
    }
}

/// A number as the sum of two doubles, the second no more than half the first's last digit: 32 digits. Dekker, "A
/// floating-point technique for extending the available precision" (1971).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Twofold(f64, f64);

impl Twofold {
    pub(crate) fn of(value: f64) -> Self {
        Self(value, 0.0)
    }

    /// The sum of two doubles.
    fn sum(a: f64, b: f64) -> Self {
        let sum = a + b;
        let from_b = sum - a;
        Self(sum, (a - (sum - from_b)) + (b - from_b))
    }

    /// Their product.
    fn product(a: f64, b: f64) -> Self {
        let split = |x: f64| {
            let high = x * 134_217_729.0 - (x * 134_217_729.0 - x);
            (high, x - high)
        };
        let ((a1, a2), (b1, b2), product) = (split(a), split(b), a * b);
        Self(product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2)
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        let Self(high, low) = Self::sum(self.0, other.0);
        let low = low + self.1 + other.1;
        Self::sum(high, low)
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        self.plus(Self(-other.0, -other.1))
    }

    pub(crate) fn times(self, other: Self) -> Self {
        let Self(high, low) = Self::product(self.0, other.0);
        let low = low + (self.0 * other.1 + self.1 * other.0);
        Self::sum(high, low)
    }

    pub(crate) fn over(self, other: Self) -> Self {
        let first = self.0 / other.0;
        let left = self.minus(other.times(Self::of(first)));
        let second = left.0 / other.0;
        let third = left.minus(other.times(Self::of(second))).0 / other.0;
        Self::sum(first, second).plus(Self::of(third))
    }

    pub(crate) fn value(self) -> f64 {
        self.0 + self.1
    }

    pub(crate) fn sum_of(values: impl Iterator<Item = Self>) -> Self {
        values.fold(Self::default(), Self::plus)
    }
}

#[test]
fn twofold_numbers_have_thirty_digits() {
    let third = Twofold::of(1.0).over(Twofold::of(3.0));
    let rest = third.times(Twofold::of(3.0)).minus(Twofold::of(1.0));
    assert!(rest.value().abs() < 1e-31, "{rest:?}");
    let huge = Twofold::of(1e20).plus(Twofold::of(1.0)).minus(Twofold::of(1e20));
    assert_eq!(huge.value(), 1.0);
}

/// What the updates are made of is there.
#[test]
fn updates_are_of_every_size() {
    let past = Past { seed: 1, shown: 1_000_000 };
    let (mut tiny, mut huge, mut same, mut turned, mut last) = (0, 0, 0, 0, 0);
    for one in past.all() {
        tiny += u32::from(one.units.abs() < 10);
        huge += u32::from(one.units.abs() > 10_i64.pow(14));
        same += u32::from(one.units == last);
        turned += u32::from((one.units + last).abs() <= 1 && one.units != 0);
        last = one.units;
    }
    assert!(
        tiny > 10_000 && huge > 10_000 && same > 100_000 && turned > 100_000,
        "{tiny} {huge} {same} {turned}"
    );
}
