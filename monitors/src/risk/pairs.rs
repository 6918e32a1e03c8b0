//! Correlations of pairs of symbols, which portfolios share: worked out once an instant of the history.

use super::history::History;
use super::marks::SymbolId;
use crate::kernels::{Sample, SymmetricMatrix, correlation, standardised, weighted};

/// More symbols than these are not kept.
const MOST: usize = 512;

/// What is known of the symbols and pairs of symbols that somebody asked for since the latest instant of the history. A
/// symbol is among them if it has a return at each of the history's instants. It is never saved: what is asked for again
/// is worked out again, to the same bits.
#[derive(Debug, Default)]
pub(in crate::risk) struct Pairs {
    /// How many instants there are.
    instants: usize,
    /// The weight of the past; none if all instants weigh the same.
    lambda: Option<f64>,
    /// By symbol's place: one more than its place here; 0 if nobody asked for it.
    places: Vec<u16>,
    columns: Vec<Column>,
    /// The correlations of each with those before it; NaN where nobody asked.
    rows: Vec<Vec<f64>>,
}

#[derive(Clone, Debug)]
enum Column {
    /// Its returns, standardised or weighted.
    Moving(Vec<f64>),
    /// It did not move.
    Still,
    /// It has no return at some of the instants, or no correlation can be worked out of those it has.
    Lacking,
}

impl Pairs {
    /// Nothing yet, of so many instants.
    pub(super) fn of(instants: usize, lambda: Option<f64>) -> Self {
        Self { instants, lambda, ..Self::default() }
    }

    /// How many instants they are of.
    pub(super) fn instants(&self) -> usize {
        self.instants
    }

    /// Those of these symbols that moved, by their places here, and which they are; none if one of them is not to be found
    /// here.
    pub(super) fn moving(
        &mut self,
        history: &History,
        symbols: impl Iterator<Item = SymbolId>,
    ) -> Option<(Vec<u16>, Vec<SymbolId>)> {
        let (mut moving, mut which) = (Vec::new(), Vec::new());
        for symbol in symbols {
            let place = self.place(history, symbol)?;
            match self.columns[usize::from(place)] {
                Column::Moving(_) => {
                    moving.push(place);
                    which.push(symbol);
                }
                Column::Still => {}
                Column::Lacking => return None,
            }
        }
        Some((moving, which))
    }

    /// The correlations of these, each at least once in the list.
    pub(super) fn matrix(&mut self, places: &[u16]) -> SymmetricMatrix {
        SymmetricMatrix::from_upper(places.len(), |row, column| {
            if row == column { 1.0 } else { self.pair(places[row], places[column]) }
        })
    }

    fn place(&mut self, history: &History, symbol: SymbolId) -> Option<u16> {
        let at = symbol as usize;
        if at >= self.places.len() {
            self.places.resize(at + 1, 0);
        }
        if self.places[at] == 0 {
            if self.columns.len() == MOST {
                return None;
            }
            self.columns.push(column(history.returns(symbol), self.instants, self.lambda));
            self.rows.push(vec![f64::NAN; self.columns.len() - 1]);
            self.places[at] = self.columns.len() as u16;
        }
        Some(self.places[at] - 1)
    }

    fn pair(&mut self, one: u16, other: u16) -> f64 {
        let (one, other) = (usize::from(one.max(other)), usize::from(one.min(other)));
        let known = &mut self.rows[one][other];
        if known.is_nan()
            && let (Column::Moving(left), Column::Moving(right)) = (&self.columns[one], &self.columns[other])
        {
            *known = correlation(left, right);
        }
        *known
    }
}

fn column(returns: &[f64], instants: usize, lambda: Option<f64>) -> Column {
    if returns.len() < instants || returns.iter().any(|r| r.is_nan()) {
        return Column::Lacking;
    }
    if is_still(returns, lambda) {
        return Column::Still;
    }
    let series = Sample::new(returns).and_then(|sample| match lambda {
        Some(lambda) => weighted(&sample, lambda).map(|(series, _)| series),
        None => standardised(&sample),
    });
    series.map_or(Column::Lacking, Column::Moving)
}

/// True if returns have no correlation with any: all equal, or, as weighted ones are about zero, all nothing.
pub(super) fn is_still(returns: &[f64], lambda: Option<f64>) -> bool {
    let still = if lambda.is_some() { 0.0 } else { returns.first().copied().unwrap_or(0.0) };
    returns.iter().all(|r| *r == still)
}
