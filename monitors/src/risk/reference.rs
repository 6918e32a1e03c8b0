//! Prices of the past, from a file: what the return history begins with.

use tapewatch_schemas::{Symbol, Time};

use crate::kernels::NO_RETURN;

/// Prices of symbols at the same instants, as returns.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferencePrices {
    hash: [u8; 32],
    /// When each row was known; rising.
    instants: Vec<Time>,
    /// Each symbol's returns: one fewer than there are instants, [`NO_RETURN`] where there is none.
    columns: Vec<(Symbol, Vec<f64>)>,
}

impl ReferencePrices {
    /// From rising instants, and a column for each symbol with a price at each of them, or none. There is no return from
    /// a price that is not above zero. `hash` is the file's: a history that began with another one begins anew.
    pub fn new(hash: [u8; 32], instants: Vec<Time>, columns: Vec<(Symbol, Vec<Option<f64>>)>) -> Self {
        let one = |pair: &[Option<f64>]| {
            let (before, now) = pair[0].zip(pair[1]).filter(|(before, _)| *before > 0.0)?;
            Some((now - before) / before).filter(|r| r.is_finite())
        };
        let returns =
            |prices: &[Option<f64>]| prices.windows(2).map(|pair| one(pair).unwrap_or(NO_RETURN)).collect();
        let columns = columns.iter().map(|(symbol, prices)| (symbol.clone(), returns(prices))).collect();
        Self { hash, instants, columns }
    }

    /// The file's.
    pub(super) fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Each symbol, and its returns that were known at `clock`.
    pub(super) fn returns_until(&self, clock: Time) -> impl Iterator<Item = (&Symbol, &[f64])> {
        let known = self.instants.partition_point(|at| *at <= clock).saturating_sub(1);
        self.columns.iter().map(move |(symbol, returns)| (symbol, &returns[..known.min(returns.len())]))
    }
}
