use std::collections::BTreeMap;

use tapewatch_schemas::Amount;
use tapewatch_schemas::events::{PositionLine, Side};

use crate::market::Instrument;
use crate::money::{self, Money};

/// What a portfolio owns.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    /// Cash, 10⁻⁸ of the currency.
    pub(crate) cash: Money,
    lines: BTreeMap<usize, Line>,
}

/// One symbol held.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    lots: i64,
    cost: Money,
}

impl Book {
    pub(crate) fn new(cash: Money) -> Self {
        Self { cash, lines: BTreeMap::new() }
    }

    /// Lots held of a symbol; the simulator never sells what it has not.
    pub(crate) fn lots(&self, symbol: usize) -> i64 {
        self.lines.get(&symbol).map_or(0, |line| line.lots)
    }

    /// Average cost of a symbol in ticks, if it is held.
    pub(crate) fn average_ticks(&self, symbol: usize) -> Option<f64> {
        self.lines.get(&symbol).map(|line| line.cost as f64 / line.lots as f64)
    }

    /// Books a fill at average cost. `ticks × lots` is money at once, see [`money::PLACES`].
    pub(crate) fn fill(&mut self, symbol: usize, side: Side, lots: i64, ticks: i64, fee: Money) {
        let value = Money::from(ticks) * Money::from(lots);
        let line = self.lines.entry(symbol).or_default();
        match side {
            Side::Buy => {
                line.lots += lots;
                line.cost += value;
                self.cash -= value + fee;
            }
            Side::Sell => {
                assert!(line.lots >= lots, "sold {lots} lots of {}", line.lots);
                line.cost -= line.cost * Money::from(lots) / Money::from(line.lots);
                line.lots -= lots;
                self.cash += value - fee;
            }
        }
        if line.lots == 0 {
            self.lines.remove(&symbol);
        }
    }

    /// The value of what is held at these prices (ticks).
    pub(crate) fn value(&self, price: impl Fn(usize) -> i64) -> Money {
        self.lines.iter().map(|(symbol, line)| Money::from(price(*symbol)) * Money::from(line.lots)).sum()
    }

    /// The lines of a complete position record, by symbol.
    pub(crate) fn lines(&self, instruments: &[Instrument]) -> Vec<PositionLine> {
        let mut lines: Vec<PositionLine> = self
            .lines
            .iter()
            .map(|(symbol, line)| {
                let instrument = &instruments[*symbol];
                let quantity = instrument.quantity(line.lots);
                PositionLine {
                    symbol: instrument.symbol.clone(),
                    quantity,
                    average_cost: average(line.cost, quantity),
                    currency: "USD".into(),
                }
            })
            .collect();
        lines.sort_by(|a, b| a.symbol.cmp(&b.symbol));
        lines
    }
}

/// Cost per unit, rounded half-even to 12 places.
pub(crate) fn average(cost: Money, quantity: Amount) -> Option<Amount> {
    money::money(cost).checked_div(quantity).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::instruments;

    #[test]
    fn cash_and_cost_follow_the_fills_exactly() {
        let all = instruments(2, 43_000.0);
        let mut book = Book::new(money::whole(1000));
        book.fill(0, Side::Buy, 2_000_000, 10_000, money::whole(1)); // 2 at 100
        book.fill(0, Side::Buy, 1_000_000, 13_000, 0); // 1 at 130
        assert_eq!(money::money(book.cash).to_string(), "669");
        let lines = book.lines(&all);
        assert_eq!((lines.len(), lines[0].quantity.to_string().as_str()), (1, "3"));
        assert_eq!(lines[0].average_cost.unwrap().to_string(), "110");
        book.fill(0, Side::Sell, 1_000_000, 12_000, 0);
        assert_eq!(book.lines(&all)[0].average_cost.unwrap().to_string(), "110");
        assert_eq!(book.value(|_| 12_000), money::whole(240));
        book.fill(0, Side::Sell, 2_000_000, 12_000, 0);
        assert!(book.lines(&all).is_empty());
        assert_eq!(book.cash, money::whole(1029));
    }
}
