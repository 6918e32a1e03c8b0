//! How what is held moves together, over the return history.

use tapewatch_schemas::events::{Measure, Unknown};

use super::around::Around;
use super::history::History;
use super::marks::{Marks, SymbolId};
use super::measure::Bounded;
use super::pairs::{Pairs, is_still};
use super::portfolio::{Holding, Portfolio};
use super::publish::ratio;
use super::rates::Rates;
use super::track::Deciding;
use crate::kernels::{Panel, Sample, SampleError, Swings, SymmetricMatrix};

/// More symbols than these are not compared in pairs, of which there would be too many.
const MOST: usize = 200;

/// How the symbols of a book move together. Who is long and who is short does not matter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Together {
    /// Pearson's correlation of the pair furthest from 0, without its sign.
    pub(super) largest: f64,
    /// The pair, the first by name first; of those that are as far from 0 the first by their names. None if nothing moves
    /// with anything else.
    pub(super) pair: Option<(SymbolId, SymbolId)>,
    /// The mean of all pairs, with their signs.
    pub(super) average: f64,
}

impl Together {
    /// Nothing moves with anything else.
    const NONE: Self = Self { largest: 0.0, pair: None, average: 0.0 };

    /// Of the correlations of these symbols.
    fn of(matrix: &SymmetricMatrix, symbols: &[SymbolId], marks: &Marks) -> Result<Self, Unknown> {
        let (_, _, largest) = matrix.largest_pair().ok_or(Unknown::Missing)?;
        let average = matrix.mean_off_diagonal().ok_or(Unknown::Missing)?;
        let largest = libm::fabs(largest);
        let name = |symbol: SymbolId| &marks.entry(symbol).symbol;
        let by_name = |(row, column, _): (usize, usize, f64)| {
            let (one, other) = (symbols[row], symbols[column]);
            if name(one) <= name(other) { (one, other) } else { (other, one) }
        };
        let as_far = matrix.pairs().filter(|(.., value)| libm::fabs(*value) >= largest).map(by_name);
        let pair = as_far.min_by_key(|(one, other)| (name(*one), name(*other)));
        Ok(Self { largest, pair, average })
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
        (history, marks): (&History, &Marks),
        symbols: impl Fn() -> I,
    ) -> Result<Together, Unknown>
    where
        I: ExactSizeIterator<Item = SymbolId>,
    {
        *self.together.get_or_insert_with(|| history.together(symbols, None, marks))
    }

    /// The same, the latest returns weighing most: with this weight of the past.
    pub(super) fn weighted<I>(
        &mut self,
        (history, marks): (&History, &Marks),
        symbols: impl Fn() -> I,
        lambda: f64,
    ) -> Result<Together, Unknown>
    where
        I: ExactSizeIterator<Item = SymbolId>,
    {
        *self.weighted.get_or_insert_with(|| history.together(symbols, Some(lambda), marks))
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

    /// The value of a limit on one of them, and what decides it; none if it is on something else.
    pub(super) fn bounded<I>(
        &mut self,
        measure: Bounded,
        unknown: Option<Unknown>,
        history: (&History, &Marks),
        symbols: impl Fn() -> I,
        lambda: f64,
    ) -> Option<(Result<f64, Unknown>, Deciding)>
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
        if matches!(measure, AverageCorrelation | AverageCorrelationEwma) {
            return Some((found.map(|together| together.average), Deciding::All));
        }
        let pair = found.ok().and_then(|together| together.pair);
        let deciding = pair.map_or(Deciding::All, |(one, other)| Deciding::Pair(one, other));
        Some((found.map(|together| together.largest), deciding))
    }

    /// What is published of them.
    pub(super) fn measures<I>(
        &mut self,
        unknown: Option<Unknown>,
        (history, marks): (&History, &Marks),
        symbols: impl Fn() -> I,
        lambda: f64,
    ) -> [Measure; 5]
    where
        I: ExactSizeIterator<Item = SymbolId>,
    {
        let (together, weighted, bets) = match unknown {
            Some(reason) => (Err(reason), Err(reason), Err(reason)),
            None => (
                self.together((history, marks), &symbols),
                self.weighted((history, marks), &symbols, lambda),
                self.effective_bets(history, symbols()),
            ),
        };
        let largest = |name: &str, found: Result<Together, Unknown>| Measure {
            symbols: found
                .ok()
                .and_then(|t| t.pair)
                .map_or(Vec::new(), |(one, other)| marks.names([one, other])),
            ..ratio(name, found.map(|t| t.largest))
        };
        [
            largest("max_correlation", together),
            ratio("average_correlation", together.map(|t| t.average)),
            largest("max_correlation_ewma", weighted),
            ratio("average_correlation_ewma", weighted.map(|t| t.average)),
            ratio("effective_bets", bets),
        ]
    }
}

impl Portfolio {
    /// The value of a limit on how what is held moves together, and what decides it; none if it is on something else.
    pub(super) fn together(
        &mut self,
        measure: Bounded,
        around: &Around<'_>,
    ) -> Option<(Result<f64, Unknown>, Deciding)> {
        let (unknown, history) = (self.exposure_unknown(), (around.history, around.marks));
        let symbols = || symbols_of(&self.holdings);
        self.correlated.bounded(measure, unknown, history, symbols, around.parameters.window.lambda)
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
        marks: &Marks,
    ) -> Option<Result<Together, Unknown>> {
        if !(2..=MOST).contains(&symbols.len()) {
            return None;
        }
        let (moving, symbols) = self.moving(history, symbols)?;
        if moving.len() < 2 {
            return Some(Ok(Together::NONE));
        }
        Some(Together::of(&self.matrix(&moving), &symbols, marks))
    }
}

/// The returns of some symbols at the instants at which all of them have one. Those that did not move are left out.
struct Moves {
    symbols: Vec<SymbolId>,
    returns: Vec<Vec<f64>>,
}

impl History {
    /// How symbols move together; with this weight of the past, or with equal weights.
    fn together<I>(
        &self,
        symbols: impl Fn() -> I,
        lambda: Option<f64>,
        marks: &Marks,
    ) -> Result<Together, Unknown>
    where
        I: ExactSizeIterator<Item = SymbolId>,
    {
        let shared = self.pairs(lambda).and_then(|mut pairs| pairs.together(self, symbols(), marks));
        shared
            .unwrap_or_else(|| self.moves(symbols(), lambda).and_then(|moves| moves.together(lambda, marks)))
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
        let mut symbols: Vec<SymbolId> = symbols.collect();
        // One symbol moves with nothing else, known or not.
        if held < 2 {
            return Ok(Moves { symbols, returns: vec![Vec::new(); held] });
        }
        let mut returns = self.common_returns(symbols.iter().map(|symbol| (*symbol, &[][..])))?;
        let mut columns = returns.iter();
        symbols.retain(|_| columns.next().is_some_and(|column| !is_still(column, lambda)));
        returns.retain(|column| !is_still(column, lambda));
        Ok(Moves { symbols, returns })
    }
}

impl Moves {
    fn panel(&self) -> Result<Panel<'_>, SampleError> {
        Panel::new(self.returns.iter().map(|column| Sample::new(column)).collect::<Result<_, _>>()?)
    }

    fn together(&self, lambda: Option<f64>, marks: &Marks) -> Result<Together, Unknown> {
        if self.returns.len() < 2 {
            return Ok(Together::NONE);
        }
        let matrix = self.panel().and_then(|panel| match lambda {
            Some(lambda) => panel.ewma(lambda).map(|(matrix, _)| matrix),
            None => panel.pearson(),
        });
        Together::of(&matrix.map_err(|_| Unknown::Missing)?, &self.symbols, marks)
    }

    fn effective_bets(&self) -> Result<f64, Unknown> {
        if self.returns.len() < 2 {
            return Ok(self.returns.len() as f64);
        }
        let shrunk = self.panel().and_then(|panel| panel.shrunk()).map_err(|_| Unknown::Missing)?;
        Ok(shrunk.effective_bets())
    }
}
