//! Prices of the past, from a file: what the return history begins with.

use tapewatch_schemas::{Symbol, Time};

use super::scenario::Range;
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

    /// Each symbol that has a return at every instant of a range that the file covers, and these compounded.
    pub(super) fn returns_over(&self, range: Range) -> impl Iterator<Item = (&Symbol, f64)> {
        let by = |at: Time| self.instants.partition_point(|instant| *instant <= at);
        let covered = self.instants.last().is_some_and(|last| *last >= range.until);
        // The first return is that from the last instant by `from`.
        let (first, last) =
            (by(range.from).checked_sub(1).filter(|_| covered), by(range.until).saturating_sub(1));
        let over = move |returns: &[f64]| {
            let within = returns.get(first?..last).filter(|within| !within.is_empty())?;
            let growth = within.iter().fold(1.0, |growth, r| growth * (1.0 + r));
            Some(growth - 1.0).filter(|r| r.is_finite())
        };
        self.columns.iter().filter_map(move |(symbol, returns)| Some((symbol, over(returns)?)))
    }

    /// How many returns were known at `clock`.
    pub(super) fn known_at(&self, clock: Time) -> usize {
        self.instants.partition_point(|at| *at <= clock).saturating_sub(1)
    }

    /// When the first so many returns are of: each when the later of its prices was known.
    pub(super) fn instants(&self, known: usize) -> impl Iterator<Item = Time> {
        self.instants.iter().copied().skip(1).take(known)
    }

    /// Each symbol, and the first so many of its returns.
    pub(super) fn returns(&self, known: usize) -> impl Iterator<Item = (&Symbol, &[f64])> {
        self.columns.iter().map(move |(symbol, returns)| (symbol, &returns[..known.min(returns.len())]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_compounded_where_the_file_covers_it_without_a_gap() {
        let prices = |list: [i32; 4]| list.map(|p| (p != 0).then_some(f64::from(p))).to_vec();
        let columns = vec![("A".into(), prices([100, 110, 88, 99])), ("B".into(), prices([50, 0, 50, 60]))];
        let file = ReferencePrices::new([0; 32], [10, 20, 30, 40].map(Time).to_vec(), columns);
        let over = |from, until| {
            let range = Range { from: Time(from), until: Time(until) };
            file.returns_over(range)
                .map(|(symbol, r)| (symbol.to_string(), (r * 1e9).round() / 1e9))
                .collect::<Vec<_>>()
        };
        assert_eq!(over(10, 30), [("A".to_owned(), -0.12)]);
        assert_eq!(
            over(35, 40),
            [("A".to_owned(), 0.125), ("B".to_owned(), 0.2)],
            "from the last price before it"
        );
        assert_eq!(over(9, 30), [], "its beginning is before the file's");
        assert_eq!(over(20, 41), [], "its end is after the file's");
        assert_eq!(over(31, 39), [], "there is no instant in it");
    }
}
