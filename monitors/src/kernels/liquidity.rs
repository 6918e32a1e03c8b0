//! How fast, and at what cost, a position can be sold.

use super::moments::Moments;
use super::sample::{Sample, SampleError, finite};

/// Prices and the volume traded at them, one of each a day (or another period), in order of time. The first day
/// only gives the price that the second's return is reckoned from: the figures are of the days after it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traded<'a> {
    prices: Sample<'a>,
    volumes: Sample<'a>,
}

impl<'a> Traded<'a> {
    /// Looks at them.
    ///
    /// # Errors
    /// They are not equally many, a price is not more than 0, or a volume is less than 0.
    pub fn new(prices: Sample<'a>, volumes: Sample<'a>) -> Result<Self, SampleError> {
        if prices.len() != volumes.len() {
            return Err(SampleError::Lengths { left: prices.len(), right: volumes.len() });
        }
        let wrong = |what, place: usize, value, expected| SampleError::Value {
            what,
            place: place + 1,
            value,
            expected,
        };
        for (place, (price, volume)) in prices.values().iter().zip(volumes.values()).enumerate() {
            if *price <= 0.0 {
                return Err(wrong("price", place, *price, "more than 0"));
            }
            if *volume < 0.0 {
                return Err(wrong("volume", place, *volume, "0 or more"));
            }
        }
        Ok(Self { prices, volumes })
    }

    fn money(self) -> impl DoubleEndedIterator<Item = f64> + use<'a> {
        self.prices.values().iter().zip(self.volumes.values()).map(|(price, volume)| price * volume)
    }

    /// The mean of |return| over the money that changed hands on its day: Amihud, "Illiquidity and stock returns"
    /// (2002). Per unit of money; larger is less liquid. Days without trade are left out: they have no such share.
    ///
    /// # Errors
    /// There are fewer than two days, nothing was ever traded after the first, or the figure is beyond what a
    /// double holds.
    pub fn amihud(self) -> Result<f64, SampleError> {
        let prices = self.prices.of_at_least(2)?.values();
        let (mut sum, mut days) = (0.0, 0_usize);
        for (pair, money) in prices.windows(2).zip(self.money().skip(1)) {
            if money > 0.0 {
                sum += libm::fabs(pair[1] / pair[0] - 1.0) / money;
                days += 1;
            }
        }
        if days == 0 {
            let expected = "one at least";
            return Err(SampleError::Parameter {
                name: "the number of days with trade",
                value: 0.0,
                expected,
            });
        }
        finite(sum / days as f64, "Amihud's illiquidity")
    }

    /// How many days there were without trade, after the first.
    pub fn idle_days(self) -> usize {
        self.money().skip(1).filter(|money| *money <= 0.0).count()
    }

    /// The mean of the money that changed hands on the last `days`.
    ///
    /// # Errors
    /// There are fewer days, or the figure is beyond what a double holds.
    pub fn average_money(self, days: usize) -> Result<f64, SampleError> {
        let days = days.max(1);
        self.prices.of_at_least(days.saturating_add(1))?;
        finite(self.money().rev().take(days).sum::<f64>() / days as f64, "the average traded a day")
    }

    /// The effective spread that price changes imply, 2·√−cov(Δp, Δp₋₁), the covariance divided by n − 1; 0 if
    /// they do not bounce. In the prices' unit. Roll, "A simple implicit measure of the effective bid-ask spread
    /// in an efficient market" (1984).
    ///
    /// # Errors
    /// There are fewer than five prices, or the figure is beyond what a double holds.
    pub fn roll_spread(self) -> Result<f64, SampleError> {
        let prices = &self.prices.of_at_least(5)?.values()[1..];
        let changes: Vec<f64> = prices.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let (before, after) = (&changes[..changes.len() - 1], &changes[1..]);
        let (mean_before, mean_after) =
            (Moments::of(Sample::new(before)?).mean(), Moments::of(Sample::new(after)?).mean());
        let sum: f64 = before.iter().zip(after).map(|(b, a)| (b - mean_before) * (a - mean_after)).sum();
        let covariance = finite(sum / (before.len() - 1) as f64, "Roll's spread")?;
        Ok(if covariance < 0.0 { 2.0 * libm::sqrt(-covariance) } else { 0.0 })
    }
}

/// Days until a position is sold, at a share of what is traded a day: both in money, or both in units.
///
/// # Errors
/// The share is not more than 0 and at most 1, the average is not more than 0, the position is no number, or
/// the figure is beyond what a double holds.
pub fn days_to_liquidate(position: f64, average: f64, participation: f64) -> Result<f64, SampleError> {
    let wrong = |name, value, expected| SampleError::Parameter { name, value, expected };
    if !position.is_finite() {
        return Err(wrong("position_value", position, "a finite number"));
    }
    if !(participation > 0.0 && participation <= 1.0) {
        return Err(wrong("participation", participation, "a share of volume: more than 0 and at most 1"));
    }
    if !(average > 0.0 && average.is_finite()) {
        return Err(wrong("the average traded a day", average, "more than 0"));
    }
    finite(libm::fabs(position) / (participation * average), "the days to liquidate")
}

/// The best bid and ask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quote {
    bid: f64,
    ask: f64,
}

impl Quote {
    /// Looks at them.
    ///
    /// # Errors
    /// The bid is not more than 0, or the ask is below it; a number is none.
    pub fn new(bid: f64, ask: f64) -> Result<Self, SampleError> {
        let wrong = |name, value, expected| SampleError::Parameter { name, value, expected };
        if !(bid.is_finite() && bid > 0.0) {
            return Err(wrong("bid", bid, "more than 0"));
        }
        if !(ask.is_finite() && ask >= bid) {
            return Err(wrong("ask", ask, "no less than the bid"));
        }
        Ok(Self { bid, ask })
    }

    /// Halfway between bid and ask.
    pub fn mid(&self) -> f64 {
        self.bid + (self.ask - self.bid) / 2.0
    }

    /// (ask − bid) / mid: 0 to 2.
    pub fn relative_spread(&self) -> f64 {
        (self.ask - self.bid) / self.mid()
    }

    /// What closing a position of this quantity now costs against the mid: half the spread a unit. A lower bound if
    /// the touch does not take all of it.
    ///
    /// # Errors
    /// The quantity is no number, or the cost beyond what a double holds.
    pub fn cost(&self, quantity: f64) -> Result<f64, SampleError> {
        half_spread(quantity, "quantity", self.ask - self.bid)
    }

    /// The same of a position that is worth so much at the mid, in any currency: half the relative spread of it.
    ///
    /// # Errors
    /// Those of [`Quote::cost`].
    pub fn cost_of(&self, value: f64) -> Result<f64, SampleError> {
        half_spread(value, "value", self.relative_spread())
    }
}

fn half_spread(held: f64, name: &'static str, spread: f64) -> Result<f64, SampleError> {
    if !held.is_finite() {
        return Err(SampleError::Parameter { name, value: held, expected: "a finite number" });
    }
    finite(libm::fabs(held) * (spread / 2.0), "the cost to liquidate")
}

/// The share of a position that so much on the other side of the touch can take now, at most 1; 1 for an empty one.
pub fn share_taken(quantity: f64, size: f64) -> f64 {
    let wanted = libm::fabs(quantity);
    if wanted <= size { 1.0 } else { size / wanted }
}

/// The best bid and ask, and how much stands there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Touch {
    quote: Quote,
    bid_size: f64,
    ask_size: f64,
}

impl Touch {
    /// Looks at the sizes.
    ///
    /// # Errors
    /// One is less than 0, or no number.
    pub fn new(quote: Quote, bid_size: f64, ask_size: f64) -> Result<Self, SampleError> {
        for (name, size) in [("bid_size", bid_size), ("ask_size", ask_size)] {
            if !(size.is_finite() && size >= 0.0) {
                return Err(SampleError::Parameter { name, value: size, expected: "0 or more" });
            }
        }
        Ok(Self { quote, bid_size, ask_size })
    }

    /// What the side that a position would be closed against can take now, in money: bids for a long one.
    ///
    /// # Errors
    /// It is beyond what a double holds.
    pub fn depth(&self, quantity: f64) -> Result<f64, SampleError> {
        let price = if quantity < 0.0 { self.quote.ask } else { self.quote.bid };
        finite(price * self.size(quantity), "the depth")
    }

    /// The share of a position that the touch can take now, at most 1; 1 for an empty one.
    pub fn share_at_touch(&self, quantity: f64) -> f64 {
        share_taken(quantity, self.size(quantity))
    }

    fn size(&self, quantity: f64) -> f64 {
        if quantity < 0.0 { self.ask_size } else { self.bid_size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traded<'a>(prices: &'a [f64], volumes: &'a [f64]) -> Result<Traded<'a>, SampleError> {
        Traded::new(Sample::new(prices).unwrap(), Sample::new(volumes).unwrap())
    }

    #[test]
    fn figures_by_hand() {
        let it = traded(&[11.0, 10.0, 11.0, 10.0, 11.0], &[5.0, 10.0, 10.0, 10.0, 10.0]).unwrap();
        let expected = f64::midpoint(0.1 / 110.0, (1.0 / 11.0) / 100.0);
        assert!((it.amihud().unwrap() - expected).abs() < 1e-18);
        assert_eq!(it.average_money(2).unwrap(), 105.0);
        // Changes 1, −1, 1: two pairs, their covariance −2 and so a spread of 2·√2.
        assert!((it.roll_spread().unwrap() - 2.0 * 2.0_f64.sqrt()).abs() < 1e-15);
        assert_eq!(days_to_liquidate(-210.0, 105.0, 0.1).unwrap(), 20.0);
    }

    #[test]
    fn the_touch_by_hand() {
        let quote = Quote::new(99.0, 101.0).unwrap();
        let touch = Touch::new(quote, 10.0, 4.0).unwrap();
        assert_eq!((quote.mid(), quote.relative_spread()), (100.0, 0.02));
        assert_eq!((touch.depth(5.0), touch.depth(-5.0)), (Ok(990.0), Ok(404.0)));
        assert_eq!(
            (quote.cost(-8.0), quote.cost_of(-800.0), touch.share_at_touch(-8.0)),
            (Ok(8.0), Ok(8.0), 0.5)
        );
        assert_eq!((quote.cost(0.0), quote.cost_of(0.0), touch.share_at_touch(0.0)), (Ok(0.0), Ok(0.0), 1.0));
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(matches!(traded(&[1.0, 0.0], &[1.0, 1.0]), Err(SampleError::Value { place: 2, .. })));
        assert!(matches!(traded(&[1.0], &[-1.0]), Err(SampleError::Value { what: "volume", .. })));
        assert!(matches!(traded(&[1.0], &[1.0, 2.0]), Err(SampleError::Lengths { .. })));
        let idle = traded(&[1.0, 2.0, 3.0], &[0.0, 1.0, 0.0]).unwrap();
        assert_eq!((idle.amihud(), idle.idle_days()), (Ok(0.5), 1));
        assert!(traded(&[1.0, 2.0], &[1.0, 0.0]).unwrap().amihud().is_err());
        assert!(idle.average_money(3).is_err() && idle.roll_spread().is_err());
        for (position, average, share) in
            [(f64::NAN, 1.0, 0.1), (1.0, 0.0, 0.1), (1.0, 1.0, 0.0), (1.0, 1.0, 1.1)]
        {
            assert!(days_to_liquidate(position, average, share).is_err());
        }
        assert!(Quote::new(101.0, 99.0).is_err(), "a crossed book");
        assert!(Quote::new(0.0, 1.0).is_err());
        let quote = Quote::new(1.0, 2.0).unwrap();
        assert!(Touch::new(quote, f64::NAN, 1.0).is_err() && Touch::new(quote, 1.0, -1.0).is_err());
        assert!(quote.cost(f64::INFINITY).is_err() && quote.cost_of(f64::NAN).is_err());
    }
}
