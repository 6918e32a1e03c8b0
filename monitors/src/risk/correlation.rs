//! How what is held moves together, over the return history.

use tapewatch_schemas::events::Unknown;

use super::around::Around;
use super::history::History;
use super::marks::SymbolId;
use super::pairs::{Pairs, is_still};
use super::portfolio::Portfolio;
use super::rates::Rates;
use crate::kernels::{Panel, Sample, SampleError, Swings, SymmetricMatrix};

/// More symbols than these are not compared in pairs, of which there would be too many.
const MOST: usize = 200;

/// How the symbols of a book move together. Who is long and who is short does not matter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Together {
    /// Pearson's correlation of the pair furthest from 0, without its sign.
    pub(super) largest: f64,
    /// The mean of all pairs, with their signs.
    pub(super) average: f64,
}

impl Together {
    fn of(matrix: &SymmetricMatrix) -> Result<Self, Unknown> {
        let (_, _, largest) = matrix.largest_pair().ok_or(Unknown::Missing)?;
        let average = matrix.mean_off_diagonal().ok_or(Unknown::Missing)?;
        Ok(Self { largest: libm::fabs(largest), average })
    }
}

/// What a portfolio's symbols make of the history as it is; worked out when somebody asks, and forgotten when what is held
/// or the history changes. It is never saved.
#[derive(Clone, Debug, Default)]
pub(super) struct Correlated {
    /// Of the returns of each symbol held.
    deviations: Option<Result<Vec<f64>, Unknown>>,
    together: Option<Result<Together, Unknown>>,
    /// The same with exponential weights.
    weighted: Option<Result<Together, Unknown>>,
    bets: Option<Result<f64, Unknown>>,
}

impl Portfolio {
    /// Why correlations are unknown, or how what is held moves together.
    pub(super) fn together(&mut self, around: &Around<'_>) -> Result<Together, Unknown> {
        self.exposure_unknown().map_or(Ok(()), Err)?;
        if self.correlated.together.is_none() {
            self.correlated.together = Some(around.history.together(|| self.symbols(), None));
        }
        self.correlated.together.unwrap_or(Err(Unknown::Missing))
    }

    /// The same, the latest returns weighing most.
    pub(super) fn weighted_together(&mut self, around: &Around<'_>) -> Result<Together, Unknown> {
        self.exposure_unknown().map_or(Ok(()), Err)?;
        if self.correlated.weighted.is_none() {
            let lambda = around.parameters.window.lambda;
            self.correlated.weighted = Some(around.history.together(|| self.symbols(), Some(lambda)));
        }
        self.correlated.weighted.unwrap_or(Err(Unknown::Missing))
    }

    /// How many independent bets the symbols held are, equal amounts of each: the shrunk matrix's.
    pub(super) fn effective_bets(&mut self, around: &Around<'_>) -> Result<f64, Unknown> {
        self.exposure_unknown().map_or(Ok(()), Err)?;
        if let Some(known) = self.correlated.bets {
            return known;
        }
        let bets = around.history.moves(self.symbols(), None).and_then(|moves| moves.effective_bets());
        self.correlated.bets = Some(bets);
        bets
    }

    /// How what is held swings, at its marks now, which are known. `pnl` is memory to work in.
    pub(super) fn swings(
        &mut self,
        history: &History,
        rates: &Rates,
        pnl: &mut Vec<f64>,
    ) -> Result<Swings, Unknown> {
        if self.holdings.is_empty() {
            return Ok(Swings::default());
        }
        if self.correlated.deviations.is_none() {
            let moving = self.held(rates).map(|one| (one.symbol, one.route));
            self.correlated.deviations = Some(history.deviations(moving));
        }
        let deviations = match &self.correlated.deviations {
            Some(Ok(deviations)) => deviations,
            Some(Err(unknown)) => return Err(*unknown),
            None => return Err(Unknown::Missing),
        };
        history.swings(self.held(rates), deviations, pnl)
    }

    fn symbols(&self) -> impl ExactSizeIterator<Item = SymbolId> {
        self.holdings.iter().map(|holding| holding.symbol)
    }
}

impl Pairs {
    /// How these symbols move together, if it is of what all portfolios share.
    fn together(
        &mut self,
        history: &History,
        symbols: impl ExactSizeIterator<Item = SymbolId>,
    ) -> Option<Result<Together, Unknown>> {
        if !(2..=MOST).contains(&symbols.len()) {
            return None;
        }
        let moving = self.moving(history, symbols)?;
        if moving.len() < 2 {
            return Some(Ok(Together { largest: 0.0, average: 0.0 }));
        }
        Some(Together::of(&self.matrix(&moving)))
    }
}

/// The returns of some symbols at the instants at which all of them have one. Those that did not move are left out.
struct Moves(Vec<Vec<f64>>);

impl History {
    /// How symbols move together; with this weight of the past, or with equal weights.
    fn together<I>(&self, symbols: impl Fn() -> I, lambda: Option<f64>) -> Result<Together, Unknown>
    where
        I: ExactSizeIterator<Item = SymbolId>,
    {
        let shared = self.pairs(lambda).and_then(|mut pairs| pairs.together(self, symbols()));
        shared.unwrap_or_else(|| self.moves(symbols(), lambda).and_then(|moves| moves.together(lambda)))
    }

    fn moves(
        &self,
        symbols: impl ExactSizeIterator<Item = SymbolId>,
        lambda: Option<f64>,
    ) -> Result<Moves, Unknown> {
        let held = symbols.len();
        if held > MOST {
            return Err(Unknown::Missing);
        }
        // One symbol moves with nothing else, known or not.
        if held < 2 {
            return Ok(Moves(vec![Vec::new(); held]));
        }
        let mut columns = self.common_returns(symbols.map(|symbol| (symbol, &[][..])))?;
        columns.retain(|column| !is_still(column, lambda));
        Ok(Moves(columns))
    }
}

impl Moves {
    fn panel(&self) -> Result<Panel<'_>, SampleError> {
        Panel::new(self.0.iter().map(|column| Sample::new(column)).collect::<Result<_, _>>()?)
    }

    fn together(&self, lambda: Option<f64>) -> Result<Together, Unknown> {
        if self.0.len() < 2 {
            return Ok(Together { largest: 0.0, average: 0.0 });
        }
        let matrix = self.panel().and_then(|panel| match lambda {
            Some(lambda) => panel.ewma(lambda).map(|(matrix, _)| matrix),
            None => panel.pearson(),
        });
        Together::of(&matrix.map_err(|_| Unknown::Missing)?)
    }

    fn effective_bets(&self) -> Result<f64, Unknown> {
        if self.0.len() < 2 {
            return Ok(self.0.len() as f64);
        }
        let shrunk = self.panel().and_then(|panel| panel.shrunk()).map_err(|_| Unknown::Missing)?;
        Ok(shrunk.effective_bets())
    }
}
