use smol_str::format_smolstr;
use tapewatch_schemas::{Amount, Symbol};

use crate::money::{self, PLACES};

/// A traded symbol and how it follows the real bars.
#[derive(Clone, Debug)]
pub(crate) struct Instrument {
    pub(crate) symbol: Symbol,
    /// Its move per unit of the real bars' log-return.
    pub(crate) beta: f64,
    /// Standard deviation of its own log-return per bar; 0 for the real bars themselves.
    pub(crate) noise: f64,
    /// Its first price over the real one's.
    pub(crate) scale: f64,
    /// Digits behind the point of its prices; quantities have the rest of [`PLACES`].
    pub(crate) price_places: u32,
    /// Ask less bid, in units of 10⁻⁶ of the price.
    pub(crate) spread: i64,
    /// Marks published per bar: 4 (open, both extremes, close) or 3 (without the open).
    pub(crate) marks: usize,
}

impl Instrument {
    /// A price in ticks as an amount.
    pub(crate) fn price(&self, ticks: i64) -> Amount {
        money::amount(i128::from(ticks), self.price_places)
    }

    /// A quantity in lots as an amount.
    pub(crate) fn quantity(&self, lots: i64) -> Amount {
        money::amount(i128::from(lots), PLACES - self.price_places)
    }

    /// A price in currency as ticks, at least one.
    pub(crate) fn ticks(&self, price: f64) -> i64 {
        (libm::round(price * power(self.price_places)) as i64).max(1)
    }

    /// A price in ticks as a double.
    pub(crate) fn value(&self, ticks: i64) -> f64 {
        ticks as f64 / power(self.price_places)
    }

    /// How many lots a sum of money (currency units) buys at a price, rounded down to three digits.
    pub(crate) fn lots(&self, sum: f64, ticks: i64) -> i64 {
        let lots = (sum / self.value(ticks) * power(PLACES - self.price_places)) as i64;
        let mut step = 1;
        while lots / step >= 1000 {
            step *= 10;
        }
        lots / step * step
    }
}

fn power(places: u32) -> f64 {
    10_i64.pow(places) as f64
}

/// Name, beta, noise per bar, price where the tape starts, digits of the price.
///
/// The first is the tape itself. The others are invented: no real market is claimed for them.
const TABLE: [(&str, f64, f64, f64, u32); 8] = [
    ("BTC-USD", 1.0, 0.0, 0.0, 2),
    ("ARC-USD", 1.15, 0.0016, 3_100.0, 2),
    ("BAY-USD", 0.85, 0.0018, 160.0, 3),
    ("COVE-USD", 0.95, 0.0022, 24.0, 4),
    ("DUNE-USD", 0.75, 0.0020, 2.2, 5),
    ("ELM-USD", 1.05, 0.0024, 0.62, 6),
    ("FIR-USD", 0.65, 0.0014, 410.0, 2),
    ("GLEN-USD", 0.55, 0.0017, 18.5, 4),
];

/// The first `count` instruments; past the table they repeat it under numbered names.
pub(crate) fn instruments(count: usize, first_price: f64) -> Vec<Instrument> {
    (0..count)
        .map(|index| {
            let real = index == 0;
            // Past the table the real tape is left out: it exists once.
            let row = if index < TABLE.len() { index } else { 1 + (index - 1) % (TABLE.len() - 1) };
            let (name, beta, noise, price, price_places) = TABLE[row];
            let symbol = if index < TABLE.len() {
                Symbol::from(name)
            } else {
                Symbol(format_smolstr!("{}{index}-USD", name.trim_end_matches("-USD")))
            };
            Instrument {
                symbol,
                beta,
                noise,
                scale: if real { 1.0 } else { price / first_price },
                price_places,
                spread: if real { 100 } else { 300 },
                marks: if real { 4 } else { 3 },
            }
        })
        .collect()
}
