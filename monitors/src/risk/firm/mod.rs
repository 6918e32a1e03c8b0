//! The firm monitor: what strategies, desks and the firm hold and risk, from the books of all portfolios and the market.
//!
//! What the figures mean:
//!
//! - A *book* is the last record of `holdings.v1` of a portfolio. Its units are quantity × multiplier.
//! - A *mark* is that of the risk monitor: the middle of bid and ask, else the last trade.
//! - *Gross exposure*: the sizes of all positions of all portfolios. *Netted exposure*: the sizes of each symbol's net
//!   position, so that what one portfolio is long and another short cancels. *Net exposure*: the sum of all values.
//!   *Position* and *concentration* are of net positions.
//! - *Value at risk and expected shortfall*: of the net positions, at their marks now, revalued over the return history of
//!   the symbols, when a book changes and at each instant of the history.
//! - *Profits*: what books say that they realised, cost and paid in fees, each at the rate now.
//! - *Changes* of profit and loss are taken of the scope's own, as a portfolio's are, and the models and backtests of the
//!   risk monitor are of them.
//! - *Equity*: what accounts add to what is held, which each book says, and what is held at the marks. What a portfolio
//!   has when it comes is no profit.
//! - *Liquidity*: of the net positions, as of a portfolio.
//! - *Stress*: the net positions would lose so much if prices moved at once as a scenario says.
//! - All is in one currency. What is priced or accounted for in another is converted at the rate now.
//! - What rests on a book that is not open, is too old, or never came though its portfolio is named, is unknown; so is
//!   what rests on a mark or a rate that is missing or too old.
//!
//! All of a portfolio's figures are in its own task of the risk monitor; value at risk is not additive, so what is above a
//! portfolio is valued anew here, in one task.

mod books;
#[cfg(test)]
mod endurance;
mod equity;
mod intake;
mod orders;
mod parameters;
mod profits;
mod publish;
mod schedule;
mod scope;
mod state;
mod trades;

use std::collections::BTreeSet;

pub(crate) use self::trades::{LAST_FILL, LAST_GROWTH};
pub use parameters::{FirmBounds, FirmParameters, ScopeLimit, ScopeParameters};
use tapewatch_schemas::events::{Heartbeat, Occasion, Progress, Unknown};
use tapewatch_schemas::{Amount, Currency, Event, PortfolioId, SourceId, Time, catalogue};

use self::books::Books;
use self::scope::{ScopeState, Surroundings, stakes};
use super::feeds::{FeedId, Feeds};
use super::full;
use super::history::History;
use super::horizon::Tails;
use super::liquidity::Liquidity;
use super::marks::Marks;
use super::rates::Rates;
use super::sectors::Sectors;
use super::stress::Stress;
use crate::kernels::Swings;
use crate::monitor::{Monitor, Output, Refusal, Seen, SourceChange, SourceSkip, StateError};

/// The risk of every scope above the portfolio.
#[derive(Debug)]
pub struct FirmMonitor {
    parameters: FirmParameters,
    half: Amount,
    clock: Time,
    feeds: Feeds,
    /// The holders of a symbol are the places of scopes.
    marks: Marks,
    rates: Rates,
    books: Books,
    history: History,
    stress: Stress,
    sectors: Sectors,
    liquidity: Liquidity,
    scopes: Vec<ScopeState>,
    /// When levels, samples and a new day are due; none while nothing has changed.
    level_due: Option<Time>,
    sample_due: Option<Time>,
    day_due: Option<Time>,
    /// The latest tick.
    ticked: Option<Time>,
    /// When a schedule or an override of a limit begins or ends next.
    terms_due: Option<Time>,
    /// The scopes by the instant at which their freshness is to be looked at again.
    checks: BTreeSet<(Time, u32)>,
    /// Profits of a revaluation, kept only for its memory.
    pnl: Vec<f64>,
}

impl FirmMonitor {
    /// A monitor that has seen nothing.
    pub fn new(parameters: FirmParameters) -> Self {
        let clock = Time::MIN;
        let history = History::new(&parameters.history, &parameters.window.horizons);
        let stress = Stress::new(&parameters.stress, &parameters.history);
        let sectors = Sectors::new(&parameters.sectors);
        let liquidity = Liquidity::new(parameters.liquidity);
        let mut marks = Marks::default();
        let rates = Rates::new(&parameters.rates, &mut marks);
        let scopes =
            parameters.scopes.iter().map(|one| ScopeState::new(&one.scope, &parameters, clock)).collect();
        Self {
            parameters,
            half: "0.5".parse().expect("a constant that is a decimal number"),
            clock,
            feeds: Feeds::default(),
            marks,
            rates,
            books: Books::default(),
            history,
            stress,
            sectors,
            liquidity,
            scopes,
            level_due: None,
            sample_due: None,
            day_due: None,
            ticked: None,
            terms_due: None,
            checks: BTreeSet::new(),
            pnl: Vec::new(),
        }
    }

    /// What it was told.
    pub fn parameters(&self) -> &FirmParameters {
        &self.parameters
    }

    /// The place of a record's feed, or that there is room for it.
    fn feed(&self, source: &SourceId, seen: &Seen<'_>) -> Result<Option<FeedId>, Refusal> {
        let known = self.feeds.find(source, seen.topic, seen.partition);
        if known.is_none() && self.feeds.len() >= self.parameters.bounds.feeds {
            return Err(full("source", self.feeds.len(), "no more sources than the bound on feeds"));
        }
        Ok(known)
    }

    /// A scope and what it is looked at with.
    fn with(&mut self, place: usize) -> (&mut ScopeState, Surroundings<'_>) {
        self.stress.place(&self.marks, &self.rates);
        self.sectors.place(&self.parameters.sectors, &self.marks);
        let around = Surroundings {
            parameters: &self.parameters,
            stress: &self.stress,
            sectors: &self.sectors,
            history: &self.history,
            liquidity: &self.liquidity,
            members: &self.parameters.scopes[place],
            marks: &self.marks,
            rates: &self.rates,
            feeds: &self.feeds,
            books: &self.books,
            clock: self.clock,
        };
        (&mut self.scopes[place], around)
    }

    /// The clock has a time: every scope is looked at from here on.
    fn begin(&mut self, clock: Time) {
        let begun = self.clock != Time::MIN;
        self.clock = clock;
        if begun {
            return;
        }
        for scope in &mut self.scopes {
            *scope = ScopeState::new(&scope.scope, &self.parameters, clock);
        }
        self.terms_due = self.scopes.iter().filter_map(|scope| scope.limits.until()).min();
    }

    /// After something about a scope changed: finds out what is unknown if that may have changed too, and publishes
    /// what limits say if any says something new.
    fn settle(&mut self, place: usize, reassess: bool, out: &mut Vec<Output>) {
        let scope = &self.scopes[place];
        if reassess || scope.doubtful() || scope.check_at.is_some_and(|at| at <= self.clock) {
            self.reassess(place);
        }
        self.revalue(place);
        self.follow(place);
        let (scope, around) = self.with(place);
        if scope.evaluate(&around) {
            out.push(publish::risk_metrics(scope, &around, Occasion::Transition));
            self.level_is_due(place);
        }
    }

    /// Follows a scope's equity and profit.
    fn follow(&mut self, place: usize) {
        let (books, marks, rates, own) = (&self.books, &self.marks, &self.rates, &self.parameters.currency);
        let worth = |portfolio: &PortfolioId| books.get(portfolio)?.worth(marks, rates, own);
        let into_own = |from: &Currency, money| rates.money(money, from, own, marks);
        let gained = |portfolio: &PortfolioId| books.get(portfolio)?.gained(marks, rates, own);
        let scope = &mut self.scopes[place];
        let fell = scope.equity.drawdown.fell();
        scope.follow_equity(worth, into_own, self.clock);
        scope.follow_profit(gained, self.parameters.window.basis);
        if scope.day_moved() && self.day_due.is_none() {
            self.day_due = Some(self.parameters.day.due(self.clock, self.ticked));
        }
        if self.scopes[place].equity.drawdown.fell() != fell && self.parameters.bounds_water() {
            self.reassess(place);
        }
    }

    /// Takes a sample of a scope's profit and loss.
    fn sample(&mut self, place: usize) {
        // What was paid in meanwhile is no profit.
        self.follow(place);
        let FirmParameters { window, history, .. } = &self.parameters;
        let scope = &mut self.scopes[place];
        let now = scope.profit_by(window.basis).ok();
        scope.changes.sample(self.clock, now, window, history.interval);
        scope.revalue_due = true;
        self.level_is_due(place);
        self.revalue(place);
        let scope = &mut self.scopes[place];
        let known = !scope.revalue_due;
        scope.changes.forecast(known.then_some(&scope.tails), &self.parameters.window);
    }

    /// A scope is looked at once all that comes at this instant has come: as many books may as there are portfolios.
    fn look_soon(&mut self, place: usize) {
        let at = Time(self.clock.0.saturating_add(1));
        let scope = &mut self.scopes[place];
        if scope.check_at.is_none_or(|check| check > at) {
            scope.check_at.replace(at).map(|before| self.checks.remove(&(before, place as u32)));
            self.checks.insert((at, place as u32));
        }
    }

    fn reassess(&mut self, place: usize) {
        let (scope, around) = self.with(place);
        scope.first_record.get_or_insert(around.clock);
        let (before, unknown) = (scope.check_at, scope.unknown());
        let changed = scope.assess(&around);
        // Marks may have moved while they were not known to be current.
        scope.revalue_due |= unknown.is_some() && scope.unknown().is_none();
        let after = scope.check_at;
        if before != after {
            before.map(|at| self.checks.remove(&(at, place as u32)));
            after.map(|at| self.checks.insert((at, place as u32)));
        }
        if changed {
            self.level_is_due(place);
        }
    }

    /// Revalues what a scope holds, at its marks now, if it is due and known. What is not known yet stays due.
    fn revalue(&mut self, place: usize) {
        let scope = &mut self.scopes[place];
        if !scope.revalue_due || scope.unknown().is_some() {
            return;
        }
        scope.revalue_due = false;
        scope.valued.clear();
        if self.parameters.window.contributions().is_some() {
            scope.valued.extend(scope.held.iter().map(|held| held.value.to_f64()));
        }
        let (tails, swings) = self.revalued(place);
        let scope = &mut self.scopes[place];
        if (&tails, swings) != (&scope.tails, scope.swings) {
            (scope.tails, scope.swings) = (tails, swings);
            self.level_is_due(place);
        }
    }

    /// The tails of what a scope holds, and how it swings, as far as that is of use.
    fn revalued(&mut self, place: usize) -> (Tails, Result<Swings, Unknown>) {
        let scope = &self.scopes[place];
        let FirmParameters { window, currency, .. } = &self.parameters;
        let held = stakes(&scope.held, currency, &self.marks, &self.rates);
        let tails = self.history.tails(held.clone(), window, &mut self.pnl);
        if !self.stress.needs_swings() {
            return (tails, scope.swings);
        }
        if scope.held.is_empty() {
            return (tails, Ok(Swings::default()));
        }
        let deviations = self.history.deviations(held.clone().map(|one| (one.symbol, one.route)));
        let swings = deviations.and_then(|deviations| self.history.swings(held, &deviations, &mut self.pnl));
        (tails, swings)
    }

    /// Settles every scope about which something is unknown.
    fn settle_unknown(&mut self, out: &mut Vec<Output>) {
        for place in 0..self.scopes.len() {
            if self.scopes[place].is_unwell() {
                self.settle(place, true, out);
            }
        }
    }

    fn on_heartbeat(&mut self, beat: &Heartbeat, clock: Time, out: &mut Vec<Output>) -> Result<(), Refusal> {
        let ours = |progress: &&Progress| {
            let topic = progress.topic.as_str();
            (topic == catalogue::MARKET_DATA || topic == catalogue::HOLDINGS) && progress.last_sequence >= 0
        };
        let covers = || beat.progress.iter().filter(ours);
        let new = covers().filter(|p| self.feeds.find(&beat.source, &p.topic, p.partition).is_none()).count();
        if self.feeds.len() + new > self.parameters.bounds.feeds {
            return Err(full("progress", self.feeds.len(), "no more sources than the bound on feeds"));
        }
        self.begin(clock);
        for progress in covers() {
            let known = self.feeds.find(&beat.source, &progress.topic, progress.partition);
            let feed =
                known.unwrap_or_else(|| self.feeds.add(&beat.source, &progress.topic, progress.partition));
            self.feeds.beat(feed, progress, beat.event_time);
        }
        self.settle_unknown(out);
        Ok(())
    }
}

impl Monitor for FirmMonitor {
    fn observe(&mut self, seen: &Seen<'_>, out: &mut Vec<Output>) -> Result<(), Refusal> {
        let clock = self.clock.max(seen.clock);
        let first = self.clock == Time::MIN;
        match seen.event {
            Event::MarketData(data) => self.on_market_data(data, seen, clock, out),
            Event::Holdings(holdings) => self.on_holdings(holdings, seen, clock, out),
            Event::Heartbeat(beat) => self.on_heartbeat(beat, clock, out),
            other => Err(Refusal {
                field: "topic",
                problem: format!("a record of {}", other.topic()),
                expected: "holdings, market data or heartbeats",
            }),
        }?;
        if first {
            // What is named and never comes is missing from here on.
            for place in 0..self.scopes.len() {
                self.level_is_due(place);
                self.settle(place, true, out);
            }
        }
        Ok(())
    }

    fn source(&mut self, change: &SourceChange, out: &mut Vec<Output>) {
        self.begin(self.clock.max(change.clock));
        self.feeds.set_down(&change.topic, change.partition, change.down);
        for place in 0..self.scopes.len() {
            self.settle(place, true, out);
        }
    }

    /// Books that were skipped come again whole, at the next change or within a day: until then those of that partition
    /// are not known to be what they are.
    fn skipped(&mut self, skip: &SourceSkip, out: &mut Vec<Output>) {
        self.begin(self.clock.max(skip.clock));
        if skip.topic.as_str() != catalogue::HOLDINGS {
            return;
        }
        let of = |feed| self.feeds.is_of(feed, &skip.topic, skip.partition);
        for book in self.books.values_mut().filter(|book| of(book.feed)) {
            book.unknown = Some(Unknown::NoOpening);
        }
        for place in 0..self.scopes.len() {
            self.settle(place, true, out);
            // At once: the next book may come before the next level, and who holds a halt must know of the gap.
            let (scope, around) = self.with(place);
            if scope.books_unknown.is_some() {
                out.push(publish::risk_metrics(scope, &around, Occasion::Transition));
            }
        }
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        self.clock = self.clock.max(now);
        self.ticked = Some(self.clock);
        self.run_due(out);
    }

    fn next_deadline(&self) -> Option<Time> {
        let check = self.checks.first().map(|(at, _)| *at);
        let due = [check, self.level_due, self.sample_due, self.day_due, self.terms_due, self.history.due()];
        due.into_iter().flatten().min()
    }

    fn save(&self) -> Vec<u8> {
        self.to_bytes()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StateError> {
        self.put_back(state)
    }
}
