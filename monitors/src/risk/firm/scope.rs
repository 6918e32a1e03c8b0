//! One scope above the portfolio: what its portfolios hold together, what is unknown about it, where its limits stand.

use serde::{Deserialize, Serialize};
use tapewatch_schemas::events::{Measure, Unknown};
use tapewatch_schemas::{Currency, PortfolioId, Scope, Time};

use super::books::{Book, Books, Held};
use super::equity::Equity;
use super::orders::Orders;
use super::parameters::{FirmParameters, ScopeParameters};
use super::profits::{Profits, Reasons};
use super::trades::Trades;
use crate::kernels::{Concentration, Horizon, Swings, TailRisk, concentration};
use crate::monitor::Ages;
use crate::risk::around::Earliest;
use crate::risk::changes::{Changes, tail_by};
use crate::risk::correlation::Correlated;
use crate::risk::currencies;
use crate::risk::feeds::Feeds;
use crate::risk::history::{History, Stake};
use crate::risk::horizon::Tails;
use crate::risk::limits::{loss, of_equity};
use crate::risk::liquidity::{Liquidity, Sale};
use crate::risk::marks::{Marks, SymbolId};
use crate::risk::measure::{Bounded, CONDUCT, Confidence, TailModel};
use crate::risk::money::Money;
use crate::risk::portfolio::worst;
use crate::risk::rates::Rates;
use crate::risk::sectors::Sectors;
use crate::risk::stress::{Stress, Stressable};
use crate::risk::terms::Limits;
use crate::risk::{LimitParameters, WindowParameters};

/// One scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ScopeState {
    pub(super) scope: Scope,
    /// The clock when it was first looked at; none before the first record.
    pub(super) first_record: Option<Time>,
    pub(super) limits: Limits,
    /// Why what rests on the books is unknown, and on the marks.
    pub(super) books_unknown: Option<Unknown>,
    pub(super) marks_unknown: Option<Unknown>,
    pub(super) trades: Trades,
    /// What it is worth.
    pub(super) equity: Equity,
    /// What its books gained and lost.
    pub(super) profits: Profits,
    /// Of its profit and loss.
    pub(super) changes: Changes,
    /// How its portfolios send orders.
    pub(super) orders: Orders,
    /// Value at risk and expected shortfall of what is held, revalued.
    pub(super) tails: Tails,
    /// The values that the tails are of, in the order of what is held; empty if nobody asks what they contribute.
    pub(super) valued: Vec<f64>,
    /// How what is held swings; of use to scenarios alone.
    pub(super) swings: Result<Swings, Unknown>,
    /// True if what is held, or the history, changed since they were made.
    pub(super) revalue_due: bool,
    /// Nothing that is current now is stale before this.
    pub(super) check_at: Option<Time>,
    /// Something has changed since the last level, the last sample.
    pub(super) level_due: bool,
    pub(super) sample_due: bool,
    #[serde(skip)]
    pub(super) correlated: Correlated,
    /// By symbol's place.
    #[serde(skip)]
    pub(super) held: Vec<Held>,
    #[serde(skip)]
    pub(super) sums: Sums,
}

/// Sums over what is held. Exact, so adding and taking away is as good as summing anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Of the sizes of all positions: a long of one portfolio and a short of another add up.
    pub(super) gross: Money,
    /// Of their values.
    pub(super) net: Money,
    /// Of the sizes of each symbol's net position: these two cancel.
    pub(super) netted: Money,
}

/// Everything about a scope that is not its own.
pub(super) struct Surroundings<'a> {
    pub(super) parameters: &'a FirmParameters,
    pub(super) stress: &'a Stress,
    pub(super) sectors: &'a Sectors,
    pub(super) history: &'a History,
    pub(super) liquidity: &'a Liquidity,
    pub(super) members: &'a ScopeParameters,
    pub(super) marks: &'a Marks,
    pub(super) rates: &'a Rates,
    pub(super) feeds: &'a Feeds,
    pub(super) books: &'a Books,
    pub(super) clock: Time,
}

impl ScopeParameters {
    /// True if a portfolio is in it.
    pub(super) fn has(&self, portfolio: &PortfolioId) -> bool {
        self.portfolios.is_empty() || self.portfolios.contains(portfolio)
    }
}

impl ScopeState {
    /// A scope that nothing is known of.
    pub(super) fn new(scope: &Scope, parameters: &FirmParameters, clock: Time) -> Self {
        Self {
            scope: scope.clone(),
            first_record: None,
            limits: limits_of(scope, parameters, clock),
            books_unknown: None,
            marks_unknown: None,
            trades: Trades::default(),
            equity: Equity::new(parameters.drawdown_window),
            profits: Profits::default(),
            changes: Changes::new(&parameters.window),
            orders: Orders::none(parameters),
            tails: Tails::default(),
            valued: Vec::new(),
            swings: Err(Unknown::WarmingUp),
            revalue_due: true,
            check_at: None,
            level_due: false,
            sample_due: false,
            correlated: Correlated::default(),
            held: Vec::new(),
            sums: Sums::default(),
        }
    }

    /// What is held of a symbol.
    pub(super) fn of(&self, symbol: SymbolId) -> Held {
        let at = self.held.binary_search_by_key(&symbol, |held| held.symbol);
        at.map_or_else(|_| Held::nothing(symbol), |at| self.held[at])
    }

    /// Puts what is held of a symbol in its place; true if any portfolio holds it.
    pub(super) fn put(&mut self, held: Held) -> bool {
        let at = self.held.binary_search_by_key(&held.symbol, |held| held.symbol);
        if let Ok(at) = at {
            let old = self.held[at];
            self.sums.gross -= old.size;
            self.sums.net -= old.value;
            self.sums.netted -= old.value.abs();
        }
        self.sums.gross += held.size;
        self.sums.net += held.value;
        self.sums.netted += held.value.abs();
        let holds = held.holders > 0;
        match at {
            Ok(at) if holds => self.held[at] = held,
            Ok(at) => {
                self.correlated = Correlated::default();
                self.held.remove(at);
            }
            Err(at) if holds => {
                self.correlated = Correlated::default();
                self.held.insert(at, held);
            }
            Err(_) => {}
        }
        holds
    }

    /// Why exposures are unknown.
    pub(super) fn unknown(&self) -> Option<Unknown> {
        worst(self.books_unknown, self.marks_unknown)
    }

    /// True if anything it rests on is unknown.
    pub(super) fn is_unwell(&self) -> bool {
        // What books say of profits only other books can end.
        self.reasons().0 != [None; 4]
    }

    /// True if a mark may end what is unknown about it.
    pub(super) fn doubtful(&self) -> bool {
        self.marks_unknown.is_some() || self.equity.unknown.is_some() || self.profits.rates_unknown.is_some()
    }

    /// Finds out what is unknown, and until when what is current stays so; true if that is not what it was.
    pub(super) fn assess(&mut self, around: &Surroundings<'_>) -> bool {
        let mut earliest = Earliest { clock: around.clock, at: None };
        let before = self.reasons();
        let (books, accounts, profits, orders) = around.books(&mut earliest);
        let news = orders != self.orders;
        (self.books_unknown, self.equity.unknown, self.profits.unknown) = (books, accounts, profits);
        self.orders = orders;
        let accounts = self.equity.currencies();
        let rates = accounts.fold(None, |reason, of| worst(reason, around.rate(of, &mut earliest)));
        self.equity.unknown = worst(self.equity.unknown, rates);
        let books = self.profits.currencies();
        self.profits.rates_unknown =
            books.fold(None, |reason, of| worst(reason, around.rate(of, &mut earliest)));
        self.marks_unknown =
            self.held.iter().fold(None, |reason, held| worst(reason, around.mark(held, &mut earliest)));
        self.equity.drawdown.await_water(around.parameters.bounds(), &mut earliest);
        self.check_at = earliest.at;
        news || before != self.reasons()
    }

    fn reasons(&self) -> ([Option<Unknown>; 4], Reasons) {
        let Self { books_unknown, marks_unknown, equity, profits, .. } = self;
        ([*books_unknown, *marks_unknown, equity.unknown, profits.rates_unknown], profits.unknown)
    }

    /// Evaluates every limit; true if any changed its status, the reason it is unknown, or its terms.
    pub(super) fn evaluate(&mut self, around: &Surroundings<'_>) -> bool {
        let mut tracks = std::mem::take(&mut self.limits.tracks);
        let mut changed = false;
        for track in &mut tracks {
            let limit = &around.parameters.limits[track.place()].limit;
            if track.is_off() {
                changed |= track.leave(around.clock);
                continue;
            }
            let (unknown, lambda) = (self.unknown(), around.parameters.window.lambda);
            let symbols = || symbols_of(&self.held);
            let correlated = &mut self.correlated;
            let history = (around.history, around.marks);
            let together = correlated.bounded(limit.measure, unknown, history, symbols, lambda);
            let (mut value, deciding) = together.unwrap_or_else(|| {
                let (value, symbol) = self.bounded(limit, around);
                (value, symbol.into())
            });
            if limit.of_equity {
                value = of_equity(value, self.equity_unknown(), self.equity());
            }
            changed |= track.take(limit, value, deciding, around.clock);
        }
        self.limits.tracks = tracks;
        changed
    }

    /// The value that a limit bounds, and the symbol that decides it.
    fn bounded(
        &self,
        limit: &LimitParameters,
        around: &Surroundings<'_>,
    ) -> (Result<f64, Unknown>, Option<SymbolId>) {
        let window = &around.parameters.window;
        if let Some(value) = self.of_equity(limit.measure, window.basis, around.clock) {
            return (value, None);
        }
        match limit.measure {
            Bounded::ValueAtRisk(model, level, over) => {
                return (self.tail(model, level, over, window).map(|tail| tail.var), None);
            }
            Bounded::ExpectedShortfall(model, level, over) => {
                return (self.tail(model, level, over, window).map(|tail| tail.es), None);
            }
            // It says what was, so that no stale input makes it unknown.
            Bounded::Light(model, level) => return (self.changes.light(model, level, window), None),
            Bounded::RealisedLoss => return (self.realised_profit().map(loss), None),
            Bounded::UnrealisedLoss => return (self.unrealised_profit().map(loss), None),
            Bounded::Fees => return (self.fees_paid().map(Money::to_f64), None),
            // What is held has no say in it.
            of_orders if CONDUCT.contains(&of_orders) => return (self.orders.measure(of_orders), None),
            _ => {}
        }
        if let Some(reason) = self.unknown() {
            return (Err(reason), None);
        }
        let value = match limit.measure {
            Bounded::GrossExposure => self.sums.gross.to_f64(),
            Bounded::NettedExposure => self.sums.netted.to_f64(),
            Bounded::NetExposure => self.sums.net.abs().to_f64(),
            Bounded::LargestShare => self.concentration().largest,
            Bounded::Top5Share => self.concentration().top5,
            Bounded::Herfindahl => self.concentration().herfindahl,
            Bounded::Position => {
                let of = |held: &Held| &around.marks.entry(held.symbol).symbol;
                let applies = |held: &&Held| limit.symbols.is_empty() || limit.symbols.contains(of(held));
                let sizes = self.held.iter().filter(applies).map(|held| (held.value.abs(), held.symbol));
                // Of equal ones the first.
                let largest =
                    sizes.filter(|(size, _)| *size > Money::ZERO).rev().max_by_key(|(size, _)| *size);
                let (size, symbol) = largest.unzip();
                return (Ok(size.unwrap_or_default().to_f64()), symbol);
            }
            Bounded::SectorGross | Bounded::SectorNet | Bounded::SectorShare => {
                let (value, symbol) = around.sectors.bounded(limit.measure, self.sums.netted, self.values());
                return (Ok(value), symbol);
            }
            Bounded::CurrencyGross | Bounded::CurrencyNet | Bounded::CurrencyShare => {
                let netted = self.sums.netted;
                let (value, symbol) = currencies::bounded(limit.measure, netted, around.marks, self.values());
                return (Ok(value), symbol);
            }
            of_liquidity if of_liquidity.is_of_liquidity() => {
                return around.liquidity.figure(of_liquidity, self.sales());
            }
            Bounded::Stress(_) | Bounded::StressWorst => {
                return (around.stress.bounded(limit.measure, &self.stressable(around)), None);
            }
            _ => return (Err(Unknown::Missing), None),
        };
        (Ok(value), None)
    }

    /// Value at risk and expected shortfall over so many steps at a level by a model, losses positive.
    pub(super) fn tail(
        &self,
        model: TailModel,
        level: Confidence,
        over: Horizon,
        window: &WindowParameters,
    ) -> Result<TailRisk, Unknown> {
        let changes = (&self.changes, self.profit_by(window.basis));
        tail_by((model, level, over), changes, (&self.tails, self.unknown()), window)
    }

    /// What each net position contributes to the figures in force, if that is wanted.
    pub(super) fn contributions(&self, around: &Surroundings<'_>) -> Vec<Measure> {
        let Some(wanted) = around.parameters.window.contributions() else { return Vec::new() };
        let unknown = self.unknown().or(self.tails.unknown(&around.parameters.window));
        let unknown = unknown.or(self.revalue_due.then_some(Unknown::WarmingUp));
        let valued = unknown.map_or(Ok(self.valued.as_slice()), Err);
        let held = stakes(&self.held, &around.parameters.currency, around.marks, around.rates);
        wanted.measures(around.history, around.marks, held, valued)
    }

    /// What is held net, in money, by symbol's place.
    pub(super) fn values(&self) -> impl Iterator<Item = (SymbolId, Money)> + Clone {
        self.held.iter().map(|held| (held.symbol, held.value))
    }

    /// What would have to be sold, by symbol's place: net positions.
    pub(super) fn sales(&self) -> impl Iterator<Item = Sale> + Clone {
        let sale = |held: &Held| Sale {
            symbol: held.symbol,
            quantity: held.quantity.to_f64(),
            value: held.value.to_f64(),
        };
        self.held.iter().map(sale)
    }

    /// What is held net, as scenarios need it.
    pub(super) fn stressable<'a>(
        &'a self,
        around: &Surroundings<'a>,
    ) -> Stressable<impl Iterator<Item = Stake<'a>> + Clone> {
        let own = &around.parameters.currency;
        Stressable { held: stakes(&self.held, own, around.marks, around.rates), swings: self.swings }
    }

    /// How concentrated the scope's net positions are.
    pub(super) fn concentration(&self) -> Concentration {
        concentration(self.held.iter().map(|held| held.value.to_f64()))
    }
}

/// The symbols that any of the portfolios holds.
pub(super) fn symbols_of(held: &[Held]) -> impl ExactSizeIterator<Item = SymbolId> {
    held.iter().map(|held| held.symbol)
}

/// What is held net, and how it is converted.
pub(super) fn stakes<'a>(
    held: &'a [Held],
    own: &'a Currency,
    marks: &'a Marks,
    rates: &'a Rates,
) -> impl Iterator<Item = Stake<'a>> + Clone {
    held.iter().map(move |held| {
        let priced = marks.mark(held.symbol).map_or(own, |mark| &mark.currency);
        let route = rates.route(priced, own).unwrap_or_default();
        Stake { symbol: held.symbol, value: held.value, route }
    })
}

/// The limits of a scope that came to be at `clock`: unknown until they are first evaluated.
pub(super) fn limits_of(scope: &Scope, parameters: &FirmParameters, clock: Time) -> Limits {
    let limits = parameters.limits.iter().enumerate().filter(|(_, limit)| limit.is_on(scope));
    Limits::new(limits.map(|(place, limit)| (place, &limit.limit)), scope.as_str(), clock)
}

impl Surroundings<'_> {
    /// Why what rests on the books of the scope's portfolios is unknown, why what rests on their accounts is, and why what
    /// they gained and lost is; and how they sent orders.
    fn books(&self, earliest: &mut Earliest) -> (Option<Unknown>, Option<Unknown>, Reasons, Orders) {
        let mut reasons = (None, None, Reasons::default(), Orders::none(self.parameters));
        let mut look_at = |book: Option<&Book>| {
            let Some(book) = book else {
                let missing = Some(Unknown::Missing);
                reasons.0 = worst(reasons.0, missing);
                reasons.1 = worst(reasons.1, missing);
                reasons.2 = reasons.2.worst(Reasons::MISSING);
                reasons.3.add(None, missing);
                return;
            };
            let late = self.not_current(book, earliest);
            let profit = book.profit.as_ref().map_or(Reasons::MISSING, |profit| profit.unknown);
            reasons.0 = worst(reasons.0, worst(book.unknown, late));
            reasons.1 = worst(reasons.1, book.account_unknown);
            reasons.2 = reasons.2.worst(profit);
            reasons.3.add(book.conduct.as_ref(), late);
        };
        if self.books.is_empty() {
            look_at(None);
        } else if self.members.portfolios.is_empty() {
            self.books.values().for_each(|book| look_at(Some(book)));
        } else {
            self.members.portfolios.iter().for_each(|portfolio| look_at(self.books.get(portfolio)));
        }
        reasons
    }

    /// Why a book may not be the latest.
    fn not_current(&self, book: &Book, earliest: &mut Earliest) -> Option<Unknown> {
        let current = self.feeds.current_at(book.feed, book.event_time);
        let stale = earliest.stale(current, self.parameters.books);
        if self.feeds.feed_is_down(book.feed) { Some(Unknown::SourceDown) } else { stale }
    }

    fn mark(&self, held: &Held, earliest: &mut Earliest) -> Option<Unknown> {
        let Some(mark) = self.marks.mark(held.symbol) else { return Some(Unknown::Missing) };
        let current = self.feeds.current_at(mark.feed, mark.event_time);
        let stale = earliest.stale(current, self.parameters.marks);
        if self.feeds.feed_is_down(mark.feed) {
            Some(Unknown::SourceDown)
        } else if held.foreign > 0 {
            Some(Unknown::NoRate)
        } else {
            worst(stale, self.rate(&mark.currency, earliest))
        }
    }

    /// Why money of a currency cannot be converted.
    fn rate(&self, from: &Currency, earliest: &mut Earliest) -> Option<Unknown> {
        let way = (from, &self.parameters.currency);
        self.rates.unknown(way, self.marks, self.feeds, self.parameters.marks, earliest)
    }

    /// Ages of all that the scope's figures rest on.
    pub(super) fn ages(&self, state: &ScopeState) -> Ages {
        let marks = state.held.iter().filter_map(|held| self.marks.mark(held.symbol));
        let priced = marks.clone().map(|mark| &mark.currency).chain(state.equity.currencies());
        let priced = priced.chain(state.profits.currencies());
        let abroad = priced.filter(|currency| **currency != self.parameters.currency);
        let legs = abroad.filter_map(|from| self.rates.route(from, &self.parameters.currency)).flatten();
        let rates = legs.filter_map(|leg| self.marks.mark(leg.symbol));
        let marks = marks.chain(rates).map(|mark| (mark.feed, mark.event_time));
        let books = self.books.iter().filter(|(portfolio, _)| self.members.has(portfolio));
        self.feeds.ages(self.clock, marks.chain(books.map(|(_, book)| (book.feed, book.event_time))))
    }
}
