//! How what is held moves together, over the return history.

use tapewatch_schemas::events::{Measure, Unknown};

use super::around::Around;
use super::history::History;
use super::marks::SymbolId;
use super::measure::Bounded;
use super::pairs::{Pairs, is_still};
use super::portfolio::{Holding, Portfolio};
use super::publish::ratio;
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
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Correlated {
    /// Of the returns of each symbol held.
    deviations: Option<Result<Vec<f64>, Unknown>>,
    together: Option<Result<Together, Unknown>>,
    /// The same with exponential weights.
    weighted: Option<Result<Together, Unknown>>,
    bets: Option<Result<f64, Unknown>>,
}

impl Correlated {
    /// How these symbols move together.
    pub(super) fn together<I>(
        &mut self,
        history: &History,
        symbols: impl Fn() -> I,
    ) -> Result<Together, Unknown>
    where
        I: ExactSizeIterator<Item = SymbolId>,
    {
        *self.together.get_or_insert_with(|| history.together(symbols, None))
    }

    /// The same, the latest returns weighing most: with this weight of the past.
    pub(super) fn weighted<I>(
        &mut self,
        history: &History,
        symbols: impl Fn() -> I,
        lambda: f64,
    ) -> Result<Together, Unknown>
    where
        I: ExactSizeIterator<Item = SymbolId>,
    {
        *self.weighted.get_or_insert_with(|| history.together(symbols, Some(lambda)))
    }

    /// How many independent bets the symbols held are, equal amounts of each: the shrunk matrix's.
    pub(super) fn effective_bets(
        &mut self,
        history: &History,
        symbols: impl ExactSizeIterator<Item = SymbolId>,
    ) -> Result<f64, Unknown> {
        let bets = || history.moves(symbols, None).and_then(|moves| moves.effective_bets());
        *self.bets.get_or_insert_with(bets)
    }

    /// The value of a limit on one of them; none if it is on something else.
    pub(super) fn bounded<I>(
        &mut self,
        measure: Bounded,
        unknown: Option<Unknown>,
        history: &History,
        symbols: impl Fn() -> I,
        lambda: f64,
    ) -> Option<Result<f64, Unknown>>
    where
        I: ExactSizeIterator<Item = SymbolId>,
    {
        use Bounded::{AverageCorrelation, AverageCorrelationEwma, MaxCorrelation, MaxCorrelationEwma};
        let found = match (measure, unknown) {
            (
                MaxCorrelation | MaxCorrelationEwma | AverageCorrelation | AverageCorrelationEwma,
                Some(reason),
            ) => Err(reason),
            (MaxCorrelation | AverageCorrelation, None) => self.together(history, symbols),
            (MaxCorrelationEwma | AverageCorrelationEwma, None) => self.weighted(history, symbols, lambda),
            _ => return None,
        };
        let largest = matches!(measure, MaxCorrelation | MaxCorrelationEwma);
        Some(found.map(|together| if largest { together.largest } else { together.average }))
    }

    /// What is published of them.
    pub(super) fn measures<I>(
        &mut self,
        unknown: Option<Unknown>,
        history: &History,
        symbols: impl Fn() -> I,
        lambda: f64,
    ) -> [Measure; 5]
    where
        I: ExactSizeIterator<Item = SymbolId>,
    {
        let (together, weighted, bets) = match unknown {
            Some(reason) => (Err(reason), Err(reason), Err(reason)),
            None => (
                self.together(history, &symbols),
                self.weighted(history, &symbols, lambda),
                self.effective_bets(history, symbols()),
            ),
        };
        [
            ratio("max_correlation", together.map(|t| t.largest)),
            ratio("average_correlation", together.map(|t| t.average)),
            ratio("max_correlation_ewma", weighted.map(|t| t.largest)),
            ratio("average_correlation_ewma", weighted.map(|t| t.average)),
            ratio("effective_bets", bets),
        ]
    }
}

impl Portfolio {
    /// The value of a limit on how what is held moves together; none if it is on something else.
    pub(super) fn together(&mut self, measure: Bounded, around: &Around<'_>) -> Option<Result<f64, Unknown>> {
        let unknown = self.exposure_unknown();
        let symbols = || symbols_of(&self.holdings);
        self.correlated.bounded(measure, unknown, around.history, symbols, around.parameters.window.lambda)
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
}

/// The symbols held.
pub(super) fn symbols_of(holdings: &[Holding]) -> impl ExactSizeIterator<Item = SymbolId> {
    holdings.iter().map(|holding| holding.symbol)
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
