//! The risk monitor: positions from fills, marks, exposures, drawdown, historical VaR and ES, limits.
//!
//! What the figures mean:
//!
//! - *Mark*: the middle of bid and ask, else the last trade. A record with neither is no mark; one older
//!   than the mark in force is late and changes nothing.
//! - *Value* of a position: quantity × mark × multiplier. *Profit and loss*: realised (by average cost,
//!   first in first out, or last in first out) and unrealised, less fees, since the book was opened.
//! - *Equity* between account records: that of the last record, and the change of profit and loss since,
//!   at our marks. Fills and marks with an event time up to the record's are in it already. *Cash*: that of
//!   the record, less price × quantity × multiplier and fees of the fills since. The next record replaces
//!   both, so what only the account knows (interest, funding) is picked up there.
//! - *Drawdown*: of equity, with deposits and withdrawals taken out as a fund's price per unit does; since the beginning,
//!   and within a trailing window. *Under water*: how long equity is below its peak.
//! - *Daily profit and loss*: the change since the day began of what VaR is of (equity less flows, or the book's
//!   profit and loss). A day begins with what was last known before it, or first known in it.
//! - *VaR and ES*: historical, over the last samples of the change of equity less flows (or of the book's
//!   profit and loss), in account currency, a loss positive; type 7 quantile, and the configured shortfall.
//!   Revalued: the same of what is held now, at its marks, over the return history of the symbols.
//! - *Stress*: what is held now would lose so much if prices moved at once as a scenario says.
//! - *Liquidity*: how wide the spread of what is held is, how much of it the touch does not take, how many days of a share
//!   of the volume its slowest position needs, what half the spread costs.
//! - A duplicate of a remembered execution (same order and execution id) is counted and not booked.
//! - All money is in the account's currency. What is priced in another is converted at the marks of configured pairs
//!   of currencies: a fill and its fee at the rate of its moment, what is held at the rate now. Where there is no rate, what
//!   rests on it is `no_rate`; a fill without one is booked, of unknown cost, and equity is unknown until an account
//!   record after it.
//!
//! Levels, samples and the daily book are due at the first boundary after something changed: a quiet
//! portfolio publishes nothing, and over a gap each is due once.

mod abroad;
mod account;
mod around;
mod backtest;
mod calendar;
mod changes;
mod conduct;
mod contributing;
mod correlation;
mod currencies;
mod day;
mod depth;
#[cfg(test)]
mod endurance;
mod executions;
mod exposures;
mod feeds;
mod fills;
pub mod firm;
mod history;
mod horizon;
mod limits;
mod line;
mod liquidity;
mod lots;
mod market;
mod marks;
mod measure;
mod money;
mod opening;
mod pairs;
mod parameters;
mod past;
mod portfolio;
mod publish;
mod rates;
mod redo;
mod reference;
mod revalued;
mod scenario;
mod schedule;
mod sectors;
mod state;
mod stress;
mod tails;
mod terms;
mod track;
mod window;
mod zone;

use std::collections::BTreeSet;

pub use calendar::{Calendar, Schedule};
pub use conduct::ConductParameters;
pub use day::DayParameters;
use hashbrown::HashMap;
pub use liquidity::LiquidityParameters;
pub use measure::{Bounded, Confidence, TailModel};
pub use parameters::{
    Basis, Bounds, Freshness, HistoryParameters, Instrument, LimitParameters, PnlMethod, RiskParameters,
    Sampling, WindowParameters, default_limits,
};
pub use rates::Pair;
pub use reference::ReferencePrices;
pub use scenario::{Moves, Range, Scenario, ScenarioName, Shock, ShockedMarket};
pub use stress::stressed_loss;
use tapewatch_schemas::events::{Heartbeat, Occasion};
use tapewatch_schemas::{Amount, Event, PortfolioId, SourceId, Symbol, Time, catalogue};
pub use terms::Override;
pub use window::WindowLength;

use crate::monitor::{Monitor, Output, Refusal, Seen, SourceChange, SourceSkip, StateError};
use abroad::Worth;
use around::Around;
use conduct::Conduct;
use feeds::{FeedId, Feeds};
use history::History;
use liquidity::Liquidity;
use lots::Costing;
use marks::Marks;
use portfolio::Portfolio;
use rates::Rates;
use sectors::Sectors;
use stress::Stress;
use terms::earlier;

/// What the runtime knows about the task that a monitor serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskContext {
    /// The task: the partition number of its co-partitioned inputs.
    pub partition: i32,
    /// True if the partition of `exec.reports.v1` was read from its offset 0: every book is then open from
    /// its first event. A restored state brings its own answer.
    pub opened_from_zero: bool,
}

/// The risk of every portfolio of one task.
#[derive(Debug)]
pub struct RiskMonitor {
    parameters: RiskParameters,
    task: TaskContext,
    half: Amount,
    clock: Time,
    /// Positions as they were before this open no book: executions up to here were never seen.
    open_from: Time,
    feeds: Feeds,
    marks: Marks,
    rates: Rates,
    /// The portfolios that may hold something that is priced in another currency than theirs.
    abroad: BTreeSet<u32>,
    history: History,
    stress: Stress,
    sectors: Sectors,
    liquidity: Liquidity,
    portfolios: Vec<Portfolio>,
    by_id: HashMap<PortfolioId, u32>,
    /// When levels, samples, whole books and a new day are due; none while nothing has changed.
    level_due: Option<Time>,
    sample_due: Option<Time>,
    book_due: Option<Time>,
    day_due: Option<Time>,
    /// The latest tick.
    ticked: Option<Time>,
    /// When a schedule or an override of a limit begins or ends next.
    terms_due: Option<Time>,
    /// The portfolios by the instant at which their freshness is to be looked at again.
    checks: BTreeSet<(Time, u32)>,
    /// The portfolios about which something is unknown.
    unwell: BTreeSet<u32>,
    /// True within a step that made a heartbeat count which had waited for its record.
    revived: bool,
    /// New values of a mark's holders, kept only for its memory.
    values: Vec<Worth>,
    /// Profits of a revaluation, kept only for its memory.
    pnl: Vec<f64>,
}

impl RiskMonitor {
    /// A monitor that has seen nothing.
    pub fn new(parameters: RiskParameters, task: TaskContext) -> Self {
        let mut marks = Marks::default();
        Self {
            history: History::new(&parameters.history, parameters.compounded()),
            stress: Stress::new(&parameters.stress, &parameters.history),
            sectors: Sectors::new(&parameters.sectors),
            rates: Rates::new(&parameters.rates, &mut marks),
            liquidity: Liquidity::new(parameters.liquidity),
            parameters,
            task,
            half: "0.5".parse().expect("a constant that is a decimal number"),
            clock: Time::MIN,
            open_from: Time::MIN,
            feeds: Feeds::default(),
            marks,
            abroad: BTreeSet::new(),
            portfolios: Vec::new(),
            by_id: HashMap::new(),
            level_due: None,
            sample_due: None,
            book_due: None,
            day_due: None,
            ticked: None,
            terms_due: None,
            checks: BTreeSet::new(),
            unwell: BTreeSet::new(),
            revived: false,
            values: Vec::new(),
            pnl: Vec::new(),
        }
    }

    /// What it was told.
    pub fn parameters(&self) -> &RiskParameters {
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

    /// Notes that a record of a feed was read; to be called once nothing can be refused any more.
    fn read(&mut self, known: Option<FeedId>, source: &SourceId, sequence: i64, seen: &Seen<'_>) -> FeedId {
        let feed = known.unwrap_or_else(|| self.feeds.add(source, seen.topic, seen.partition));
        self.revived |= self.feeds.read(feed, sequence);
        feed
    }

    /// The place of a portfolio, or that there is room for it.
    fn portfolio(&self, id: &PortfolioId) -> Result<Option<u32>, Refusal> {
        let known = self.by_id.get(id).copied();
        if known.is_none() && self.portfolios.len() >= self.parameters.bounds.portfolios {
            return Err(full("portfolio", self.portfolios.len(), "no more portfolios than the bound"));
        }
        Ok(known)
    }

    /// The place of a portfolio, which is made if it is new.
    fn portfolio_or_new(&mut self, known: Option<u32>, id: &PortfolioId) -> u32 {
        known.unwrap_or_else(|| {
            let place = self.portfolios.len() as u32;
            let limits = limits::limits_of(&self.parameters, id, self.clock);
            self.terms_due = earlier(self.terms_due, limits.until());
            let opened = self.task.opened_from_zero;
            let mut portfolio = Portfolio::new(id.clone(), self.clock, opened, &self.parameters, limits);
            portfolio.conduct = self.parameters.conduct.as_ref().map(|parameters| {
                if opened { Conduct::new(parameters) } else { Conduct::begun_at(self.clock, parameters) }
            });
            self.portfolios.push(portfolio);
            self.by_id.insert(id.clone(), place);
            place
        })
    }

    /// That there is room for `more` new symbols.
    fn room_for_symbols(&self, more: usize) -> Result<(), Refusal> {
        if self.marks.len() + more > self.parameters.bounds.symbols {
            return Err(full("symbol", self.marks.len(), "no more symbols than the bound"));
        }
        Ok(())
    }

    /// By which order lots are closed.
    fn costing(&self) -> Costing {
        self.parameters.costing()
    }

    fn multiplier(&self, symbol: &Symbol) -> Amount {
        self.parameters.instruments.get(symbol).map_or(Amount::ONE, |i| i.multiplier)
    }

    /// A portfolio and what it is looked at with.
    fn with(&mut self, place: u32) -> (&mut Portfolio, Around<'_>) {
        self.stress.place(&self.marks, &self.rates);
        self.sectors.place(&self.parameters.sectors, &self.marks);
        let around = Around {
            parameters: &self.parameters,
            marks: &self.marks,
            rates: &self.rates,
            history: &self.history,
            stress: &self.stress,
            sectors: &self.sectors,
            liquidity: &self.liquidity,
            feeds: &self.feeds,
            partition: self.task.partition,
            clock: self.clock,
        };
        (&mut self.portfolios[place as usize], around)
    }

    /// After something about a portfolio changed: finds out what is unknown if that may have changed too,
    /// follows the equity, and publishes what limits say if any says something new.
    fn settle(&mut self, place: u32, reassess: bool, out: &mut Vec<Output>) {
        let portfolio = &self.portfolios[place as usize];
        // Marks and fills may end what is unknown about book and marks; about the account they cannot.
        let doubtful = portfolio.exposure_unknown().is_some();
        if reassess || doubtful || portfolio.check_at.is_some_and(|at| at <= self.clock) {
            self.reassess(place);
        }
        self.follow_day(place);
        self.revalue(place);
        let (portfolio, around) = self.with(place);
        // Whoever adds books up is told of a new portfolio, of what its account says, and of what is not to be relied on.
        let says = portfolio.says(portfolio.unknowns, around.is_settling(portfolio));
        // While marks move what an account record already knows, what it says is not told by itself: not at each of them.
        let (settling, at_change) = (around.is_settling(portfolio), around.parameters.holdings_at_change);
        let told = portfolio.said.is_some_and(|said| {
            let same = said.book == says.book;
            said == says || same && (!at_change || settling && said.account == says.account)
        });
        if !told {
            out.push(publish::holdings(portfolio, &around));
        }
        let fell = portfolio.drawdown.fell();
        if portfolio.equity_unknown().is_none() {
            portfolio.drawdown.push(portfolio.equity().to_f64(), around.clock);
        }
        if portfolio.drawdown.fell() != fell && self.parameters.bounds_water() {
            self.reassess(place);
        }
        let (portfolio, around) = self.with(place);
        if portfolio.evaluate(&around) {
            out.push(publish::risk_metrics(portfolio, &around, Occasion::Transition));
            self.level_is_due(place);
        }
    }

    fn reassess(&mut self, place: u32) {
        let (portfolio, around) = self.with(place);
        let (unknowns, check_at) = around.assess(portfolio);
        let before = std::mem::replace(&mut portfolio.check_at, check_at);
        let doubtful = portfolio.exposure_unknown().is_some();
        let changed = std::mem::replace(&mut portfolio.unknowns, unknowns) != unknowns;
        // Marks may have moved while they were not known to be current.
        portfolio.revalued.due |= doubtful && portfolio.exposure_unknown().is_none();
        let unwell = portfolio.unwell();
        if before != check_at {
            before.map(|at| self.checks.remove(&(at, place)));
            check_at.map(|at| self.checks.insert((at, place)));
        }
        if unwell {
            self.unwell.insert(place);
        } else {
            self.unwell.remove(&place);
        }
        if changed {
            self.level_is_due(place);
        }
    }

    fn on_heartbeat(&mut self, beat: &Heartbeat, clock: Time, out: &mut Vec<Output>) -> Result<(), Refusal> {
        let partition = self.task.partition;
        let ours = |topic: &str, of: i32| match topic {
            catalogue::MARKET_DATA => true,
            catalogue::EXEC_REPORTS | catalogue::ACCOUNTS => of == partition,
            _ => false,
        };
        // A source that wrote nothing to a feed has nothing there whose age could matter.
        let covers =
            || beat.progress.iter().filter(|p| ours(p.topic.as_str(), p.partition) && p.last_sequence >= 0);
        let unknown = |p: &&_| {
            let p: &tapewatch_schemas::events::Progress = p;
            self.feeds.find(&beat.source, &p.topic, p.partition).is_none()
        };
        let new = covers().filter(unknown).count();
        if self.feeds.len() + new > self.parameters.bounds.feeds {
            return Err(full("progress", self.feeds.len(), "no more sources than the bound on feeds"));
        }
        self.clock = clock;
        for progress in covers() {
            let (topic, partition) = (&progress.topic, progress.partition);
            let known = self.feeds.find(&beat.source, topic, partition);
            let feed = known.unwrap_or_else(|| self.feeds.add(&beat.source, topic, partition));
            self.feeds.beat(feed, progress, beat.event_time);
        }
        self.settle_unwell(out);
        Ok(())
    }

    fn settle_unwell(&mut self, out: &mut Vec<Output>) {
        for place in self.unwell.iter().copied().collect::<Vec<_>>() {
            self.settle(place, true, out);
        }
    }
}

impl Monitor for RiskMonitor {
    fn observe(&mut self, seen: &Seen<'_>, out: &mut Vec<Output>) -> Result<(), Refusal> {
        let clock = self.clock.max(seen.clock);
        match seen.event {
            Event::MarketData(data) => self.on_market_data(data, seen, clock, out),
            Event::ExecReport(report) => self.on_exec_report(report, seen, clock, out),
            Event::Position(position) => self.on_position(position, seen, clock, out),
            Event::Account(account) => self.on_account(account, seen, clock, out),
            Event::Heartbeat(beat) => self.on_heartbeat(beat, clock, out),
            // Accepted, and of no use to risk yet.
            Event::Signal(_) => {
                self.clock = clock;
                Ok(())
            }
            other => Err(Refusal {
                field: "topic",
                problem: format!("a record of {}", other.topic()),
                expected: "market data, signals, execution reports, positions, accounts or heartbeats",
            }),
        }?;
        if std::mem::take(&mut self.revived) {
            self.settle_unwell(out);
        }
        Ok(())
    }

    fn source(&mut self, change: &SourceChange, out: &mut Vec<Output>) {
        self.clock = self.clock.max(change.clock);
        self.feeds.set_down(&change.topic, change.partition, change.down);
        for place in 0..self.portfolios.len() as u32 {
            self.settle(place, true, out);
        }
    }

    fn skipped(&mut self, skip: &SourceSkip, out: &mut Vec<Output>) {
        self.close_books(skip, out);
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        self.clock = self.clock.max(now);
        self.ticked = Some(self.clock);
        self.run_due(out);
    }

    fn next_deadline(&self) -> Option<Time> {
        let check = self.checks.first().map(|(at, _)| *at);
        let history = self.history.due();
        let due =
            [check, self.level_due, self.sample_due, self.book_due, self.day_due, self.terms_due, history];
        due.into_iter().flatten().min()
    }

    fn save(&self) -> Vec<u8> {
        self.to_bytes()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StateError> {
        self.put_back(state)
    }
}

/// A refusal for want of room.
fn full(field: &'static str, have: usize, expected: &'static str) -> Refusal {
    Refusal { field, problem: format!("there are {have} already and this is another"), expected }
}

/// A refusal because a figure does not fit `decimal(28,12)`.
fn overflow(field: &'static str) -> impl Fn(tapewatch_schemas::amount::AmountError) -> Refusal {
    move |error| Refusal {
        field,
        problem: error.to_string(),
        expected: "figures whose products and sums have at most 16 digits before the point",
    }
}
