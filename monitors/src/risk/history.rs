//! The return history of symbols: a window of simple returns, the same instants for all.

use std::borrow::Cow;
use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tapewatch_schemas::events::Unknown;
use tapewatch_schemas::{Amount, Currency, Symbol, Time};

use super::around::next_boundary;
use super::feeds::Feeds;
use super::horizon::Compounded;
use super::marks::{Marks, SymbolId};
use super::money::Money;
use super::pairs::Pairs;
use super::parameters::HistoryParameters;
use super::rates::Leg;
use super::reference::ReferencePrices;
use super::terms::earlier;
use super::window::WindowLength;
use crate::kernels::{Exposed, Horizon, NO_RETURN, Swings, revalue, standard_deviation};

/// What is held of a symbol, in money, and the way from the currency of its price to that of the money.
#[derive(Clone, Copy, Debug)]
pub(in crate::risk) struct Stake<'a> {
    pub(in crate::risk) symbol: SymbolId,
    pub(in crate::risk) value: Money,
    pub(in crate::risk) route: &'a [Leg],
}

/// What is known of a symbol's price at an instant.
pub(in crate::risk) type Price<'a> = Option<(Amount, &'a Currency)>;

/// The latest returns of every symbol, a column each.
///
/// An instant is a boundary of the interval before which a mark came. Over a gap there is none, and the return
/// after it is over the gap, as a Monday's is. All columns end at the latest instant. Of
/// [`HistoryParameters::symbols`] symbols the returns of [`HistoryParameters::window`] are kept, with each instant those
/// that are in it then, and of a stretch of time no more than it has boundaries; what has a later place among the
/// symbols has no history, and what rests on it is warming up. Where the latest instant at which all that a figure is of has
/// a return is older than [`HistoryParameters::freshness`], the figure is stale.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::risk) struct History {
    interval: Duration,
    freshness: Duration,
    #[serde(skip)]
    window: WindowLength,
    #[serde(skip)]
    minimum: usize,
    #[serde(skip)]
    symbols: usize,
    /// Over how many instants, beside one.
    #[serde(skip)]
    further: Vec<Horizon>,
    /// The file that it began with, by its hash.
    reference: Option<[u8; 32]>,
    /// True once the first mark came.
    begun: bool,
    /// The next instant; none while no mark came since the last one.
    due: Option<Time>,
    /// When the returns are of, oldest first; of each symbol as many of the last as it has returns.
    instants: VecDeque<Time>,
    /// When their age was last looked at: when it began with a file, at each instant, and when the latest of them was too
    /// old.
    seen: Time,
    /// By symbol's place.
    columns: Vec<Column>,
    #[serde(skip)]
    pairs: RefCell<Pairs>,
    /// The same with the latest instants weighing most.
    #[serde(skip)]
    weighted: RefCell<Pairs>,
}

/// One symbol's returns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Column {
    /// At the latest instant.
    price: Option<(Amount, Currency)>,
    /// Oldest first, [`NO_RETURN`] where there is none; empty, or the first is one.
    returns: Vec<f64>,
    #[serde(skip)]
    compounded: Compounded,
}

impl Column {
    /// One return more; so many of the latest are then kept.
    fn push(&mut self, now: Price<'_>, kept: usize, further: &[Horizon]) {
        let before = self.price.as_ref().filter(|(_, currency)| now.is_some_and(|(_, c)| c == currency));
        let r = before.zip(now).and_then(|((before, _), (now, _))| simple_return(*before, now));
        self.returns.push(r.unwrap_or(NO_RETURN));
        self.compounded.push(&self.returns, further);
        self.trim(kept);
        match (&mut self.price, now) {
            (Some((price, currency)), Some((now, c))) if currency == c => *price = now,
            (price, now) => *price = now.map(|(now, currency)| (now, currency.clone())),
        }
    }

    /// Drops what is too old, and what came before the first return.
    fn trim(&mut self, kept: usize) {
        let old = self.returns.len().saturating_sub(kept);
        let gap = self.returns[old..].iter().take_while(|r| r.is_nan()).count();
        self.returns.drain(..old + gap);
        self.compounded.drop_oldest(old + gap);
    }
}

impl History {
    /// One without a return; `horizons` are over how many instants there are figures.
    pub(in crate::risk) fn new(parameters: &HistoryParameters, horizons: &[Horizon]) -> Self {
        let HistoryParameters { interval, freshness, window, minimum, symbols, ref reference } = *parameters;
        let reference = reference.as_ref().map(|prices| prices.hash());
        let (begun, due, instants, seen, columns) = (false, None, VecDeque::new(), Time::MIN, Vec::new());
        let (pairs, weighted) = (RefCell::default(), RefCell::default());
        let further = horizons.iter().copied().filter(|horizon| *horizon != Horizon::ONE).collect();
        Self {
            interval,
            freshness,
            window,
            minimum,
            symbols,
            further,
            reference,
            begun,
            due,
            instants,
            seen,
            columns,
            pairs,
            weighted,
        }
    }

    /// Goes on after it was put back from a saved state: the configuration may have another size than the one the
    /// state was saved under. With another interval or another file it begins anew.
    pub(in crate::risk) fn restored(self, parameters: &HistoryParameters, horizons: &[Horizon]) -> Self {
        let mut now = Self::new(parameters, horizons);
        if (self.interval, self.reference) == (now.interval, now.reference) {
            (now.begun, now.due) = (self.begun, self.due);
            (now.instants, now.columns) = (self.instants, self.columns);
            now.seen = self.seen;
            now.columns.truncate(now.symbols);
            if let Some(latest) = now.instants.back().copied() {
                now.leave(latest);
            }
            for column in &mut now.columns {
                column.trim(now.instants.len());
                column.compounded = Compounded::of(&column.returns, &now.further);
            }
        }
        now
    }

    /// A mark was taken: the next boundary is an instant. The first one begins the history with what the file knows, if
    /// there is one: of symbols that are known, and of others as long as there are not `most`. True if it did.
    pub(in crate::risk) fn follow(
        &mut self,
        parameters: &HistoryParameters,
        clock: Time,
        marks: &mut Marks,
        most: usize,
    ) -> bool {
        self.touched(clock);
        if !std::mem::replace(&mut self.begun, true)
            && let Some(reference) = &parameters.reference
        {
            self.begin(reference, clock, |symbol| {
                let known = marks.find(symbol);
                known.or_else(|| (marks.len() < most).then(|| marks.add(symbol)))
            });
            return true;
        }
        false
    }

    /// Takes what a file knows up to `clock`; later prices would be of the future. `place` is the symbol's. There is no
    /// return from the file's last price to the first mark: neither source knows the other's. What is too old at `clock`
    /// is left out.
    pub(in crate::risk) fn begin(
        &mut self,
        reference: &ReferencePrices,
        clock: Time,
        mut place: impl FnMut(&Symbol) -> Option<SymbolId>,
    ) {
        let known = reference.known_at(clock);
        self.instants = reference.instants(known).collect();
        self.seen = clock;
        self.leave(clock);
        for (symbol, returns) in reference.returns(known) {
            let Some(at) = place(symbol).map(|at| at as usize).filter(|at| *at < self.symbols) else {
                continue;
            };
            if at >= self.columns.len() {
                self.columns.resize_with(at + 1, Column::default);
            }
            self.columns[at].returns = returns.to_vec();
            self.columns[at].trim(self.instants.len());
            self.columns[at].compounded = Compounded::of(&self.columns[at].returns, &self.further);
        }
        self.forget_pairs();
    }

    /// A mark came at `clock`: the next boundary is an instant.
    pub(in crate::risk) fn touched(&mut self, clock: Time) {
        let interval = self.interval;
        self.due.get_or_insert_with(|| next_boundary(clock, interval));
    }

    /// When there is something to do: the next instant, or the latest one is too old.
    pub(in crate::risk) fn due(&self) -> Option<Time> {
        earlier(self.due, self.expires())
    }

    /// When the latest instant is too old, unless it was or there is none.
    fn expires(&self) -> Option<Time> {
        let at = *self.instants.back()? + self.freshness + Duration::from_micros(1);
        (self.seen < at).then_some(at)
    }

    /// True, once, when the latest instant is too old and none is due that would take its place: all that rests on the
    /// history is then to be looked at.
    pub(in crate::risk) fn take_expired(&mut self, clock: Time) -> bool {
        let expired = self.expires().is_some_and(|at| at <= clock) && self.due.is_none_or(|due| due > clock);
        if expired {
            self.seen = clock;
            self.forget_pairs();
        }
        expired
    }

    /// The fewest instants that figures are of.
    pub(in crate::risk) fn minimum(&self) -> usize {
        self.minimum
    }

    /// Why figures of so many instants are unknown, of which the latest is so many before the latest of all.
    ///
    /// # Errors
    /// It is too old (`stale`), or there are fewer than the minimum (`warming_up`).
    pub(in crate::risk) fn known_of(&self, instants: usize, before: usize) -> Result<(), Unknown> {
        let latest = self.instants.len().checked_sub(before + 1).map(|at| self.instants[at]);
        if latest.is_some_and(|at| self.seen > at + self.freshness) {
            return Err(Unknown::Stale);
        }
        if instants < self.minimum.max(1) { Err(Unknown::WarmingUp) } else { Ok(()) }
    }

    /// The next instant, once, if it is here: prices are then to be pushed.
    pub(in crate::risk) fn take_due(&mut self, clock: Time) -> Option<Time> {
        self.due.take_if(|at| *at <= clock)
    }

    /// The prices of all symbols at one instant more, by place, as [`fresh_prices`] gives them. A symbol has a return if
    /// it has a price at both ends, in one currency, and the first is above zero.
    pub(in crate::risk) fn push<'p>(&mut self, instant: Time, prices: impl IntoIterator<Item = Price<'p>>) {
        self.forget_pairs();
        self.instants.push_back(instant);
        self.seen = instant;
        self.leave(instant);
        let kept = self.instants.len();
        let mut named = 0;
        for price in prices.into_iter().take(self.symbols) {
            if named == self.columns.len() {
                self.columns.push(Column::default());
            }
            self.columns[named].push(price, kept, &self.further);
            named += 1;
        }
        for column in &mut self.columns[named..] {
            column.push(None, kept, &self.further);
        }
    }

    /// Forgets the instants that are no longer in the window.
    fn leave(&mut self, now: Time) {
        let excess = self.instants.len().saturating_sub(self.window.most(self.interval));
        self.instants.drain(..excess);
        if let Some(left) = self.window.left_by(now) {
            self.instants.drain(..self.instants.partition_point(|at| *at <= left));
        }
    }

    fn forget_pairs(&mut self) {
        self.pairs.take();
        self.weighted.take();
    }

    /// What all portfolios share, with this weight of the past, always the same, or with equal weights; none while there are
    /// fewer instants than the minimum, or they are too old.
    pub(in crate::risk) fn pairs(&self, lambda: Option<f64>) -> Option<RefMut<'_, Pairs>> {
        let pairs = if lambda.is_some() { &self.weighted } else { &self.pairs };
        let mut pairs = pairs.borrow_mut();
        if pairs.instants() == 0 {
            let instants = self.columns.iter().map(|column| column.returns.len()).max().unwrap_or(0);
            *pairs = Pairs::of(instants, lambda);
        }
        (pairs.instants() >= self.minimum.max(2) && self.known_of(pairs.instants(), 0).is_ok())
            .then_some(pairs)
    }

    /// Every symbol's return at the latest instant, by place; NaN where there is none.
    pub(in crate::risk) fn latest(&self) -> impl Iterator<Item = f64> {
        self.columns.iter().map(|column| column.returns.last().copied().unwrap_or(NO_RETURN))
    }

    /// A symbol's returns, oldest first, NaN where there is none; they end at the latest instant.
    pub(in crate::risk) fn returns(&self, symbol: SymbolId) -> &[f64] {
        self.columns.get(symbol as usize).map_or(&[], |column| &column.returns)
    }

    /// The same over one of the horizons, by its place: 0 is one instant.
    pub(in crate::risk) fn returns_over(&self, over: usize, symbol: SymbolId) -> &[f64] {
        let Some(further) = over.checked_sub(1) else { return self.returns(symbol) };
        self.columns.get(symbol as usize).map_or(&[], |column| column.compounded.over(further))
    }

    /// The returns of what a symbol is in another currency: its own, compounded with those of the rates on the way.
    pub(in crate::risk) fn returns_abroad(&self, symbol: SymbolId, route: &[Leg]) -> Cow<'_, [f64]> {
        self.returns_abroad_over(0, symbol, route)
    }

    /// The same over one of the horizons, by its place.
    fn returns_abroad_over(&self, over: usize, symbol: SymbolId, route: &[Leg]) -> Cow<'_, [f64]> {
        let own = self.returns_over(over, symbol);
        if route.is_empty() {
            return Cow::Borrowed(own);
        }
        let of_leg = |leg: &Leg| (self.returns_over(over, leg.symbol), leg.inverse);
        let legs: Vec<(&[f64], bool)> = route.iter().map(of_leg).collect();
        let shared = legs.iter().fold(own.len(), |least, (returns, _)| least.min(returns.len()));
        let at = |nth: usize| {
            let growth =
                legs.iter().fold(1.0 + own[own.len() - shared + nth], |growth, (returns, inverse)| {
                    let rate = 1.0 + returns[returns.len() - shared + nth];
                    // A rate that is nothing or less is none.
                    let rate = if rate > 0.0 { rate } else { NO_RETURN };
                    if *inverse { growth / rate } else { growth * rate }
                });
            if growth.is_finite() { growth - 1.0 } else { NO_RETURN }
        };
        Cow::Owned((0..shared).map(at).collect())
    }

    /// The returns of symbols at the instants at which all of them have one, a column each, oldest first.
    ///
    /// # Errors
    /// Those of [`History::known_of`]; or there are fewer such instants than two (`warming_up`).
    pub(in crate::risk) fn common_returns<'h>(
        &self,
        symbols: impl Iterator<Item = (SymbolId, &'h [Leg])>,
    ) -> Result<Vec<Vec<f64>>, Unknown> {
        let columns: Vec<Cow<'_, [f64]>> =
            symbols.map(|(symbol, route)| self.returns_abroad(symbol, route)).collect();
        let shared = columns.iter().map(|column| column.len()).min().unwrap_or(0);
        let before = since_common(columns.iter().map(|column| &**column));
        let latest = |column: &Cow<'_, [f64]>| column[column.len() - shared..].to_vec();
        let mut columns: Vec<Vec<f64>> = columns.iter().map(latest).collect();
        if columns.iter().flatten().any(|r| r.is_nan()) {
            let whole: Vec<bool> = (0..shared).map(|at| !columns.iter().any(|c| c[at].is_nan())).collect();
            for column in &mut columns {
                let mut whole = whole.iter();
                column.retain(|_| *whole.next().expect("there is one for each instant"));
            }
        }
        let common = columns.first().map_or(0, Vec::len);
        self.known_of(common, before)?;
        if common < 2 { Err(Unknown::WarmingUp) } else { Ok(columns) }
    }

    /// The deviation of each symbol's returns, by n − 1, over the instants at which all of them have one.
    ///
    /// # Errors
    /// Those of [`History::common_returns`], or a figure is no number (`missing`).
    pub(in crate::risk) fn deviations<'h>(
        &self,
        symbols: impl Iterator<Item = (SymbolId, &'h [Leg])>,
    ) -> Result<Vec<f64>, Unknown> {
        let columns = self.common_returns(symbols)?;
        columns.iter().map(|column| standard_deviation(column).map_err(|_| Unknown::Missing)).collect()
    }

    /// How these values swing together, with the deviations of their symbols. `pnl` is memory to work in.
    ///
    /// # Errors
    /// Those of [`History::revalue`].
    pub(in crate::risk) fn swings<'h>(
        &self,
        held: impl Iterator<Item = Stake<'h>> + Clone,
        deviations: &[f64],
        pnl: &mut Vec<f64>,
    ) -> Result<Swings, Unknown> {
        self.revalue(held.clone(), pnl)?;
        let values = held.map(|one| one.value.to_f64()).zip(deviations.iter().copied());
        Swings::new(pnl, values).map_err(|_| Unknown::Missing)
    }

    /// The profit and loss that these values would have made at each instant at which all of them have a return, oldest
    /// first. See [`revalue`].
    ///
    /// # Errors
    /// Those of [`History::known_of`], or a figure is no number (`missing`).
    pub(in crate::risk) fn revalue<'h>(
        &self,
        held: impl IntoIterator<Item = Stake<'h>>,
        pnl: &mut Vec<f64>,
    ) -> Result<(), Unknown> {
        self.revalue_over(0, held, pnl)
    }

    /// The same over the instants of one of the horizons, by its place.
    pub(in crate::risk) fn revalue_over<'h>(
        &self,
        over: usize,
        held: impl IntoIterator<Item = Stake<'h>>,
        pnl: &mut Vec<f64>,
    ) -> Result<(), Unknown> {
        let column =
            |one: Stake<'h>| (one.value.to_f64(), self.returns_abroad_over(over, one.symbol, one.route));
        let columns: Vec<(f64, Cow<'_, [f64]>)> = held.into_iter().map(column).collect();
        let held: Vec<Exposed<'_>> =
            columns.iter().map(|(value, returns)| Exposed { value: *value, returns }).collect();
        revalue(&held, pnl).map_err(|_| Unknown::Missing)?;
        self.known_of(pnl.len(), since_common(held.iter().map(|one| one.returns)))
    }
}

/// How many of the latest instants are after the last at which all of these series, which end together, have a return; all
/// that they share, if there is none.
fn since_common<'r>(columns: impl Iterator<Item = &'r [f64]> + Clone) -> usize {
    let shared = columns.clone().map(<[f64]>::len).min().unwrap_or(0);
    let lacks = |before: &usize| columns.clone().any(|column| column[column.len() - 1 - before].is_nan());
    (0..shared).take_while(lacks).count()
}

/// The prices of all symbols at `clock`, by place: none where there is no mark, the mark is older than the bound, or its
/// source is down.
pub(in crate::risk) fn fresh_prices<'a>(
    marks: &'a Marks,
    feeds: &'a Feeds,
    clock: Time,
    bound: Duration,
) -> impl Iterator<Item = Price<'a>> {
    marks.all().map(move |mark| {
        let mark = mark?;
        let fresh = clock <= feeds.current_at(mark.feed, mark.event_time) + bound;
        (fresh && !feeds.feed_is_down(mark.feed)).then_some((mark.price, &mark.currency))
    })
}

/// now / before − 1; the difference is exact before it is rounded. None from a price that is not above zero.
fn simple_return(before: Amount, now: Amount) -> Option<f64> {
    let change = now.unscaled() - before.unscaled();
    before.is_positive().then(|| change as f64 / before.unscaled() as f64)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use proptest::test_runner::TestCaseError;

    use super::*;
    use crate::kernels::{ShortfallConvention, SortedWindow, TailRisk};
    use crate::risk::measure::{Confidence, TailModel};
    use crate::risk::parameters::WindowParameters;
    use crate::risk::tails::take_tails;

    const WINDOW: usize = 6;

    fn parameters() -> HistoryParameters {
        let interval = Duration::from_secs(900);
        let window = WindowLength::Observations(WINDOW);
        let freshness = Duration::from_secs(86_400);
        HistoryParameters { interval, freshness, window, minimum: 2, symbols: 3, reference: None }
    }

    fn horizons() -> [Horizon; 2] {
        [1, 3].map(|steps| Horizon::new(steps).unwrap())
    }

    fn stake((symbol, value): (SymbolId, f64)) -> Stake<'static> {
        let units = (value * 1e6) as i128 * 1_000_000;
        Stake { symbol, value: Money::of(Amount::from_unscaled(units).unwrap()), route: &[] }
    }

    /// A row of prices at the nth boundary; 0 is no price, and a negative one is in another currency.
    fn push(history: &mut History, nth: i64, row: &[i64]) {
        let (usd, eur) = (Currency::from("USD"), Currency::from("EUR"));
        let price = |units: &i64| {
            let amount = Amount::from_unscaled(i128::from(units.abs()) * 10_i128.pow(12)).unwrap();
            (*units != 0).then_some((amount, if *units > 0 { &usd } else { &eur }))
        };
        history.push(Time::from_secs(900 * nth), row.iter().map(price));
    }

    /// Pushes a row for each instant.
    fn history(rows: &[Vec<i64>]) -> History {
        let mut history = History::new(&parameters(), &horizons());
        (1..).zip(rows).for_each(|(nth, row)| push(&mut history, nth, row));
        history
    }

    /// What may be lost of these values at 95 %, by the model that takes the quantile.
    fn tail(history: &History, held: &[(SymbolId, f64)]) -> Result<TailRisk, Unknown> {
        let models = vec![TailModel::Revalued];
        let window =
            WindowParameters { models, levels: vec![Confidence(9500)], ..WindowParameters::default() };
        let held = held.iter().copied().map(stake);
        let tails = history.tails(held, &window, &mut Vec::new());
        tails.of(TailModel::Revalued, Confidence(9500), Horizon::ONE, &window)
    }

    #[test]
    fn a_return_needs_a_price_at_both_ends() {
        let rows = [vec![100, 0], vec![110, 0], vec![0, 50], vec![121, 40], vec![133, 44]];
        let history = history(&rows);
        let first = history.returns(0);
        assert_eq!((first.len(), first[0], first[3]), (4, 0.1, 12.0 / 121.0));
        assert!(first[1].is_nan() && first[2].is_nan());
        assert_eq!(history.returns(1), [-0.2, 0.1], "it begins with its first return");
        assert!(history.returns(7).is_empty());
    }

    #[test]
    fn another_currency_is_no_change_of_price() {
        let history = history(&[vec![100], vec![-110], vec![-121], vec![100]]);
        let returns = history.returns(0);
        assert_eq!((returns.len(), returns[0]), (2, 0.1));
        assert!(returns[1].is_nan());
    }

    #[test]
    fn abroad_a_return_is_compounded_with_that_of_the_rate() {
        let history = history(&[vec![100, 50], vec![110, 40], vec![99, 0], vec![99, 44], vec![198, 55]]);
        let leg = |inverse| [Leg { pair: 0, symbol: 1, inverse }];
        let there = history.returns_abroad(0, &leg(false)).into_owned();
        assert!((there[0] - (1.1 * 0.8 - 1.0)).abs() < 1e-15 && (there[3] - 1.5).abs() < 1e-15);
        assert!(there[1].is_nan() && there[2].is_nan(), "a rate that is missing leaves none");
        let back = history.returns_abroad(0, &leg(true)).into_owned();
        assert!((back[0] - (1.1 / 0.8 - 1.0)).abs() < 1e-15);
        assert!(history.returns_abroad(0, &[Leg { pair: 0, symbol: 7, inverse: false }]).is_empty());
        assert_eq!(history.returns_abroad(0, &[]), history.returns(0));
    }

    #[test]
    fn window_and_symbols_are_bounded() {
        let rows: Vec<_> = (1..40).map(|n| vec![n, n, n, n]).collect();
        let history = history(&rows);
        assert_eq!((history.columns.len(), history.returns(2).len()), (3, WINDOW));
        assert_eq!(history.returns(2)[WINDOW - 1], 1.0 / 38.0);
        assert!(history.returns(3).is_empty());
    }

    #[test]
    fn a_symbol_that_is_gone_leaves_nothing() {
        let mut rows = vec![vec![100, 1], vec![110, 2]];
        rows.extend((0..WINDOW as i64).map(|n| vec![0, 3 + n]));
        let history = history(&rows);
        let gone = &history.columns[0];
        assert_eq!((&gone.price, gone.returns.len(), gone.compounded.over(0).len()), (&None, 0, 0));
    }

    #[test]
    fn too_few_instants_are_warming_up_and_nothing_held_is_no_risk() {
        let history = history(&[vec![100, 0], vec![110, 50], vec![99, 40]]);
        let tail = |held: &[(SymbolId, f64)]| tail(&history, held);
        assert_eq!(tail(&[(0, 1.0), (1, 1.0)]), Err(Unknown::WarmingUp), "they share one instant");
        assert_eq!(tail(&[(2, 1.0)]), Err(Unknown::WarmingUp), "it was never seen");
        assert_eq!(tail(&[]), Ok(TailRisk { var: 0.0, es: 0.0 }));
        let one = tail(&[(0, 1000.0)]).unwrap();
        assert!((one.es - 100.0).abs() < 1e-9 && one.var < one.es, "{one:?}");
    }

    #[test]
    fn it_is_due_once_at_the_boundary_after_a_mark() {
        let mut history = History::new(&parameters(), &[Horizon::ONE]);
        assert_eq!(history.due(), None);
        history.touched(Time(1));
        history.touched(Time(899_999_999));
        assert_eq!(history.due(), Some(Time(900_000_000)));
        assert_eq!(history.take_due(Time(899_999_999)), None);
        assert_eq!(history.take_due(Time(900_000_001)), Some(Time(900_000_000)));
        assert_eq!(history.take_due(Time(900_000_001)), None);
        history.touched(Time(900_000_000));
        assert_eq!(history.due(), Some(Time(1_800_000_000)));
    }

    #[test]
    fn what_is_too_old_is_stale_from_one_tick_past_the_bound_to_the_next_instant() {
        let mut history = history(&[vec![100], vec![110], vec![99]]);
        let es = |history: &History| tail(history, &[(0, 1000.0)]).map(|at| at.es);
        let last = Time::from_secs(900 * 3 + 86_400);
        assert!(es(&history).is_ok() && !history.take_expired(last) && es(&history).is_ok());
        assert_eq!(history.due(), Some(Time(last.0 + 1)));
        history.touched(last);
        assert!(!history.take_expired(Time::from_secs(900 * 100)), "an instant is due that takes its place");
        assert_eq!(history.take_due(Time::from_secs(900 * 100)), Some(Time::from_secs(900 * 100)));
        assert!(history.take_expired(Time(last.0 + 1)) && !history.take_expired(Time(last.0 + 1)), "once");
        assert_eq!((es(&history), history.due()), (Err(Unknown::Stale), None));
        assert_eq!(history.common_returns([(0, &[][..])].into_iter()), Err(Unknown::Stale));
        assert!(tail(&history, &[]).is_ok(), "nothing held is no risk");
        push(&mut history, 99, &[99]);
        push(&mut history, 100, &[99]);
        assert!(es(&history).is_ok());
    }

    /// An instant at which a symbol has no return is none of it, in a file and after it.
    #[test]
    fn what_went_on_without_a_symbol_is_stale_for_who_holds_it() {
        let mut history = history(&[vec![100, 50], vec![110, 40], vec![99, 44]]);
        let known = |history: &History, symbol| tail(history, &[(symbol, 1000.0)]).map(|_| ());
        for nth in 4..=4 + 96 {
            push(&mut history, nth, &[100 + nth % 2, 0]);
            assert_eq!(known(&history, 0), Ok(()));
            let stale = nth > 3 + 96;
            // It leaves the window long before.
            let gone = nth >= 3 + WINDOW as i64 - 1;
            assert_eq!(known(&history, 1).is_err(), stale || gone, "{nth}");
        }
        let wide = HistoryParameters { window: WindowLength::Observations(500), ..parameters() };
        let mut history = History::new(&wide, &horizons());
        for nth in 1..=103 {
            push(&mut history, nth, &[100 + nth % 2, if nth < 4 { 50 + nth } else { 0 }]);
            let expected = match nth {
                ..3 => Err(Unknown::WarmingUp),
                3..=99 => Ok(()),
                _ => Err(Unknown::Stale),
            };
            assert_eq!(known(&history, 1), expected, "{nth}");
        }
        assert_eq!(history.common_returns([(1, &[][..])].into_iter()), Err(Unknown::Stale));
        assert_eq!(known(&history, 0), Ok(()));
    }

    #[test]
    fn put_back_under_another_bound_it_is_looked_at_anew() {
        let mut history = history(&[vec![100], vec![110], vec![99]]);
        let clock = Time::from_secs(900 * 3 + 86_401);
        assert!(history.take_expired(clock));
        let wider = HistoryParameters { freshness: Duration::from_secs(86_402), ..parameters() };
        let mut history = history.restored(&wider, &horizons());
        assert!(history.known_of(2, 0).is_ok() && !history.take_expired(clock));
        let history = history.restored(&parameters(), &horizons());
        assert_eq!(history.known_of(2, 0), Err(Unknown::Stale));
    }

    #[test]
    fn a_file_that_ends_too_early_is_stale_from_the_first() {
        let after = |boundary: i64| {
            let parameters = HistoryParameters { reference: Some(file(&[1, 2, 4])), ..parameters() };
            let mut history = History::new(&parameters, &[Horizon::ONE]);
            history.follow(&parameters, Time::from_secs(900 * boundary), &mut Marks::default(), 1);
            history.known_of(2, 0)
        };
        assert_eq!((after(4 + 96), after(4 + 97)), (Ok(()), Err(Unknown::Stale)));
    }

    /// That a history has the latest returns of one with all of them, over each horizon, from the first that there is.
    fn same_latest(history: &History, all: &History, within: usize) -> Result<(), TestCaseError> {
        for symbol in 0..3 {
            let returns = all.returns(symbol);
            let latest = &returns[returns.len().saturating_sub(within)..];
            let gap = latest.iter().take_while(|r| r.is_nan()).count();
            let latest = &latest[gap..];
            prop_assert_eq!(format!("{:?}", history.returns(symbol)), format!("{:?}", latest));
            let three: Vec<f64> = latest.windows(3).map(Horizon::compound).collect();
            prop_assert_eq!(format!("{:?}", history.returns_over(1, symbol)), format!("{:?}", three));
        }
        Ok(())
    }

    /// A file with a price of one symbol at each of these boundaries.
    fn file(boundaries: &[i64]) -> Arc<ReferencePrices> {
        let instants = boundaries.iter().map(|nth| Time::from_secs(900 * nth)).collect();
        let prices = boundaries.iter().map(|nth| Some(*nth as f64)).collect();
        Arc::new(ReferencePrices::new([1; 32], instants, vec![("A".into(), prices)]))
    }

    #[test]
    fn of_a_file_what_is_older_than_the_stretch_is_left_out_and_leaves_it() {
        let window = WindowLength::Span(Duration::from_secs(900 * 10));
        let parameters =
            HistoryParameters { window, reference: Some(file(&[1, 2, 4, 5, 8, 16])), ..parameters() };
        let mut history = History::new(&parameters, &[Horizon::ONE]);
        history.follow(&parameters, Time::from_secs(900 * 12), &mut Marks::default(), 1);
        // What is of the second boundary is ten before the twelfth; the sixteenth is not known yet.
        assert_eq!(history.returns(0), [1.0, 0.25, 0.6]);
        push(&mut history, 13, &[10]);
        push(&mut history, 14, &[11]);
        assert_eq!(history.returns(0)[..2], [0.25, 0.6], "what is of the fourth left with the fourteenth");
        assert!(history.returns(0)[2].is_nan() && history.returns(0)[3] == 0.1);
        push(&mut history, 40, &[22]);
        assert_eq!(history.returns(0), [1.0], "a return over a gap is of its end");
    }

    #[test]
    fn lines_of_a_file_closer_than_the_interval_are_no_more_than_the_stretch_has_boundaries() {
        let window = WindowLength::Span(Duration::from_secs(900 * 3));
        let mut parameters = HistoryParameters { window, ..parameters() };
        parameters.reference = Some(file(&[1, 2, 3, 4, 5, 6]));
        parameters.interval = Duration::from_secs(1800);
        let mut history = History::new(&parameters, &[Horizon::ONE]);
        history.follow(&parameters, Time::from_secs(900 * 6), &mut Marks::default(), 1);
        assert_eq!(history.returns(0), [1.0 / 4.0, 1.0 / 5.0]);
    }

    proptest! {
        #[test]
        fn a_stretch_holds_what_came_within_it_and_goes_on_when_put_back(
            rows in prop::collection::vec((1_i64..5, prop::collection::vec(-3_i64..20, 0..4)), 1..30),
            (stretch, at, then) in (1_i64..12, 0_usize..30, 1_i64..12),
        ) {
            let span = |boundaries: i64| HistoryParameters {
                window: WindowLength::Span(Duration::from_secs(900 * boundaries as u64)),
                ..parameters()
            };
            let mut clock = 0;
            let rows: Vec<(i64, Vec<i64>)> = rows.into_iter().map(|(gap, row)| {
                clock += gap;
                (clock, row)
            }).collect();
            // All that there was, and of it what is of the last stretch, from its first return on.
            let all = HistoryParameters { window: WindowLength::Observations(100), ..parameters() };
            let mut whole = History::new(&all, &horizons());
            let mut history = History::new(&span(stretch), &horizons());
            for (nth, (boundary, row)) in rows.iter().enumerate() {
                if nth == at {
                    let bytes = postcard::to_allocvec(&history).unwrap();
                    let back: History = postcard::from_bytes(&bytes).unwrap();
                    history = back.restored(&span(stretch), &horizons());
                    prop_assert_eq!(postcard::to_allocvec(&history).unwrap(), bytes);
                }
                push(&mut whole, *boundary, row);
                push(&mut history, *boundary, row);
                let within = rows[..=nth].iter().filter(|(of, _)| *of > boundary - stretch).count();
                prop_assert!(within <= stretch as usize);
                same_latest(&history, &whole, within)?;
            }
            // Under another window it is what that would have been, as far as there was anything left.
            let last = rows.last().unwrap().0;
            let back = history.restored(&span(then), &horizons());
            let within = rows.iter().filter(|(of, _)| *of > last - then.min(stretch)).count();
            same_latest(&back, &whole, within)?;
            let back = whole.restored(&span(then), &horizons());
            let within = rows.iter().filter(|(of, _)| *of > last - then).count();
            let mut fresh = History::new(&all, &horizons());
            rows.iter().for_each(|(nth, row)| push(&mut fresh, *nth, row));
            same_latest(&back, &fresh, within)?;
        }

        #[test]
        fn saved_and_put_back_at_any_instant_it_goes_on_to_the_byte(
            rows in prop::collection::vec(prop::collection::vec(-3_i64..20, 0..5), 0..30),
            at in 0_usize..30,
        ) {
            let saved = |rows: &[Vec<i64>]| postcard::to_allocvec(&history(rows)).unwrap();
            let at = at.min(rows.len());
            let bytes = saved(&rows[..at]);
            let back: History = postcard::from_bytes(&bytes).unwrap();
            let mut back = back.restored(&parameters(), &horizons());
            prop_assert_eq!(postcard::to_allocvec(&back).unwrap(), bytes);
            (1..).zip(&rows).skip(at).for_each(|(nth, row)| push(&mut back, nth, row));
            prop_assert_eq!(postcard::to_allocvec(&back).unwrap(), saved(&rows));
            // What is not saved is what it would be, gaps among it.
            prop_assert_eq!(format!("{:?}", back.columns), format!("{:?}", history(&rows).columns));
            let bounded = |c: &Column| c.returns.len() <= WINDOW && c.returns.first().is_none_or(|r| !r.is_nan());
            prop_assert!(back.columns.iter().all(bounded));
        }

        #[test]
        fn tails_are_those_of_a_window_of_these_profits(
            rows in prop::collection::vec(prop::collection::vec(50_i64..150, 3), 4..30),
            values in prop::collection::vec(-1e6..1e6_f64, 3),
            nth in 0_usize..3,
        ) {
            let history = history(&rows);
            let shortfall = [
                ShortfallConvention::AcerbiTasche,
                ShortfallConvention::MeanBelowQuantile,
                ShortfallConvention::Empyrical,
            ][nth];
            let held = || (0..3).zip(values.iter().copied()).map(stake);
            let levels = vec![Confidence(9500), Confidence(9900), Confidence(6000)];
            let window = |model, over| WindowParameters {
                levels: levels.clone(),
                horizons: vec![over],
                models: vec![model],
                minimum: 2,
                shortfall,
                ..WindowParameters::default()
            };
            let all = TailModel::ALL.into_iter().filter(|model| !model.of_changes());
            let all = WindowParameters {
                models: all.collect(),
                horizons: horizons().to_vec(),
                ..window(TailModel::Revalued, Horizon::ONE)
            };
            let got = history.tails(held(), &all, &mut Vec::new());
            // Each is what the model of changes of the same shape makes of a window of these profits.
            let of_changes = TailModel::ALL.into_iter().filter(|model| model.of_changes());
            for ((model, alike), (nth, over)) in all.revalued().zip(of_changes)
                .flat_map(|pair| horizons().into_iter().enumerate().map(move |over| (pair, over)))
            {
                let stretches = model.shape().of_stretches();
                let mut pnl = Vec::new();
                let known = history.revalue_over(if stretches { nth } else { 0 }, held(), &mut pnl);
                let mut made = Vec::new();
                let parameters = window(alike, if stretches { Horizon::ONE } else { over });
                take_tails(&mut made, &mut SortedWindow::from_values(30, pnl.into_iter()), &parameters);
                for (level, made) in levels.iter().zip(0..).map(|(level, at)| (*level, made.get(at).copied().flatten())) {
                    let expected = known.and_then(|()| made.ok_or(Unknown::WarmingUp));
                    let got = got.of(model, level, over, &all);
                    // A series that begins with nothing may be too short for some.
                    prop_assert_eq!(got, expected, "{:?} {} {}", model, level, over);
                }
            }
        }
    }
}
