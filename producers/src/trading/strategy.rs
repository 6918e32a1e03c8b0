use crate::random::Random;

/// Bars that the average looks back.
const SPAN: f64 = 48.0;

/// What the strategy knows of a symbol: exponential averages of its log price and of its squared returns.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Indicator {
    seen: u32,
    last: f64,
    mean: f64,
    variance: f64,
}

impl Indicator {
    /// Takes the close of a bar.
    pub(crate) fn close(&mut self, price: f64) {
        let log = libm::log(price);
        let weight = 2.0 / (SPAN + 1.0);
        if self.seen == 0 {
            self.mean = log;
        } else {
            let move_ = log - self.last;
            let weight = weight.max(1.0 / f64::from(self.seen));
            self.variance += weight * (move_ * move_ - self.variance);
            self.mean += weight * (log - self.mean);
        }
        self.last = log;
        self.seen = self.seen.saturating_add(1);
    }

    /// Standard deviation of a bar's return; none before eight bars.
    pub(crate) fn volatility(&self) -> Option<f64> {
        (self.seen >= 8 && self.variance > 0.0).then(|| self.variance.sqrt())
    }

    /// How far the price is from its average, in standard deviations of half the span's move.
    pub(crate) fn distance(&self) -> Option<f64> {
        self.volatility().map(|sigma| (self.last - self.mean) / (sigma * (SPAN / 4.0).sqrt()))
    }
}

/// One portfolio's way of buying dips.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strategy {
    /// Buys when the price is so far below its average.
    pub(crate) threshold: f64,
    /// How far below the last close it bids, in standard deviations of a bar.
    pub(crate) depth: f64,
    /// What one order is worth, currency units.
    pub(crate) layer: f64,
    /// What a symbol may be worth after an order, currency units.
    pub(crate) cap: f64,
    /// Sells when the price is so far above the average cost.
    pub(crate) profit: f64,
    /// Sells when the price is so far below the average cost.
    pub(crate) stop: f64,
    /// Sells after so many bars.
    pub(crate) patience: u32,
}

/// Equity lost from the peak at which a portfolio bets nothing any more.
const STAND_DOWN: f64 = 0.08;

/// What the strategy decides for one symbol at a bar's boundary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Decision {
    /// Bid for `worth` (currency units), `below` (a fraction) under the last close.
    Bid {
        /// Currency units.
        worth: f64,
        /// Fraction of the last close.
        below: f64,
    },
    /// Sell all at the market.
    Exit,
}

/// What a decision looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// Value of the symbol held, currency units.
    pub(crate) held: f64,
    /// Last close over average cost, less 1; none if flat.
    pub(crate) gain: Option<f64>,
    /// Bars since the first fill of what is held.
    pub(crate) age: u32,
    /// Equity lost from its peak, as a fraction.
    pub(crate) drawdown: f64,
    /// Bars since a stop; orders are held back for a while.
    pub(crate) since_stop: u32,
}

impl Strategy {
    /// A seeded variation, bounded so that no mix of them comes near a limit.
    pub(crate) fn seeded(random: &mut Random) -> Self {
        Self {
            threshold: random.between(0.25, 0.55),
            depth: random.between(0.6, 1.2),
            layer: 500.0 * random.whole(16, 24) as f64,
            cap: 1000.0 * random.whole(36, 44) as f64,
            profit: random.between(0.012, 0.02),
            stop: random.between(0.03, 0.045),
            patience: random.whole(192, 384) as u32,
        }
    }

    /// What to do at a boundary.
    pub(crate) fn decide(&self, indicator: &Indicator, view: View) -> Option<Decision> {
        let (sigma, distance) = (indicator.volatility()?, indicator.distance()?);
        if let Some(gain) = view.gain
            && (gain >= self.profit || gain <= -self.stop || view.age >= self.patience)
        {
            return Some(Decision::Exit);
        }
        let size = self.layer * (1.0 - view.drawdown / STAND_DOWN).clamp(0.0, 1.0);
        let room = view.held + size <= self.cap && size >= 1000.0;
        (distance < -self.threshold && room && view.since_stop >= 32)
            .then_some(Decision::Bid { worth: size, below: (self.depth * sigma).min(0.03) })
    }

    /// True if an exit at this gain is a stop.
    pub(crate) fn is_stop(&self, gain: f64) -> bool {
        gain <= -self.stop
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    /// Closes that swing by 0.2 % and then fall by `fall`.
    fn indicator(fall: f64) -> Indicator {
        let mut indicator = Indicator::default();
        for bar in 0..100 {
            indicator.close(if bar % 2 == 0 { 100.0 } else { 100.2 });
        }
        indicator.close(100.0 * (1.0 - fall));
        indicator
    }

    const FLAT: View = View { held: 0.0, gain: None, age: 0, drawdown: 0.0, since_stop: u32::MAX };

    #[test]
    fn dips_are_bought_within_the_cap_and_nothing_else() {
        let strategy = Strategy::seeded(&mut Random::new(1, Purpose::Portfolio(0)));
        let (dip, calm) = (indicator(0.03), indicator(0.0));
        assert!(matches!(strategy.decide(&dip, FLAT), Some(Decision::Bid { .. })));
        assert_eq!(strategy.decide(&calm, FLAT), None);
        assert_eq!(strategy.decide(&dip, View { held: strategy.cap, ..FLAT }), None);
        assert_eq!(strategy.decide(&dip, View { since_stop: 3, ..FLAT }), None);
        assert_eq!(strategy.decide(&dip, View { drawdown: STAND_DOWN, ..FLAT }), None);
        assert_eq!(strategy.decide(&Indicator::default(), FLAT), None);
    }

    #[test]
    fn profit_stop_and_patience_end_a_position() {
        let strategy = Strategy::seeded(&mut Random::new(1, Purpose::Portfolio(0)));
        let held = View { held: 20_000.0, gain: Some(0.0), age: 5, ..FLAT };
        let calm = indicator(0.0);
        assert_eq!(strategy.decide(&calm, held), None);
        for view in [
            View { gain: Some(strategy.profit), ..held },
            View { gain: Some(-strategy.stop), ..held },
            View { age: strategy.patience, ..held },
        ] {
            assert_eq!(strategy.decide(&calm, view), Some(Decision::Exit));
        }
        assert!(strategy.is_stop(-strategy.stop) && !strategy.is_stop(strategy.profit));
    }
}
