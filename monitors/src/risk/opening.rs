//! Opening a book that was not read from its beginning, or whose fills were skipped: from the first complete
//! record of positions since.

use tapewatch_schemas::catalogue::EXEC_REPORTS;
use tapewatch_schemas::events::{Position, PositionLine};
use tapewatch_schemas::{Amount, Currency, Time};

use super::conduct::Conduct;
use super::correlation::Correlated;
use super::day::Day;
use super::executions::Execution;
use super::line::Line;
use super::lots::Position as Held;
use super::marks::SymbolId;
use super::money::Money;
use super::portfolio::{Holding, Portfolio};
use super::rates::Quoted;
use super::{RiskMonitor, full, overflow, publish};
use crate::monitor::{Output, Refusal, Seen, SourceSkip};

impl RiskMonitor {
    /// Positions open a book that is not open. Afterwards they change nothing here: whether they agree
    /// with the fills is for consistency to say.
    pub(super) fn on_position(
        &mut self,
        record: &Position,
        seen: &Seen<'_>,
        clock: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let known_feed = self.feed(&record.source, seen)?;
        let known = self.portfolio(&record.portfolio)?;
        let opened = known.map_or(self.task.opened_from_zero, |p| self.portfolios[p as usize].opened);
        let opens = record.complete && !opened && record.event_time >= self.open_from;
        if opens {
            self.check_opening(record)?;
        }
        // The book as it will be, before anything is changed: the lines named, then the fills after them.
        let plan = if opens { Some(self.plan_opening(known, record, clock)?) } else { None };

        // Nothing is refused from here on.
        self.clock = clock;
        self.read(known_feed, &record.source, record.sequence, seen);
        let place = self.portfolio_or_new(known, &record.portfolio);
        let Some(plan) = plan else {
            self.settle(place, true, out);
            return Ok(());
        };
        self.open(place, record, plan);
        self.touched(place);
        let (portfolio, around) = self.with(place);
        out.push(publish::holdings(portfolio, &around));
        self.settle(place, true, out);
        Ok(())
    }

    /// Executions were skipped: what any portfolio holds is not known until its next complete positions, as
    /// they were after all that was skipped. That holds for portfolios still to come, too.
    pub(super) fn close_books(&mut self, skip: &SourceSkip, out: &mut Vec<Output>) {
        self.clock = self.clock.max(skip.clock);
        if skip.topic.as_str() != EXEC_REPORTS || skip.partition != self.task.partition {
            return;
        }
        self.task.opened_from_zero = false;
        // What cannot be decoded is not known to be older than the clock.
        self.open_from = self.open_from.max(skip.clock).max(skip.through.unwrap_or(Time::MIN));
        for place in 0..self.portfolios.len() as u32 {
            let portfolio = &mut self.portfolios[place as usize];
            portfolio.opened = false;
            // The change over the gap is no sample, and nobody knows what became of orders in it.
            portfolio.interrupt_series();
            let conduct = self.parameters.conduct.as_ref();
            portfolio.conduct = conduct.map(|parameters| Conduct::begun_at(self.clock, parameters));
            self.touched(place);
            let (portfolio, around) = self.with(place);
            out.push(publish::holdings(portfolio, &around));
            self.settle(place, true, out);
        }
    }

    fn check_opening(&self, record: &Position) -> Result<(), Refusal> {
        let mut named: Vec<_> = record.positions.iter().map(|line| &line.symbol).collect();
        named.sort_unstable();
        if let Some([twice, _]) = named.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Refusal {
                field: "positions",
                problem: format!("{twice} is named twice"),
                expected: "each symbol once",
            });
        }
        if named.len() > self.parameters.bounds.holdings {
            return Err(full("positions", named.len(), "no more holdings than the bound"));
        }
        self.room_for_symbols(named.iter().filter(|s| self.marks.find(s).is_none()).count())
    }

    fn plan_opening(&self, known: Option<u32>, record: &Position, clock: Time) -> Result<Opening, Refusal> {
        let mut plan = Opening::default();
        let held = || record.positions.iter().filter(|line| !line.quantity.is_zero());
        let own = known.and_then(|place| self.portfolios[place as usize].currency.as_ref());
        plan.currency = own.or_else(|| held().next().map(|line| &line.currency)).cloned();
        for line in held() {
            let into = plan.currency.as_ref().unwrap_or(&line.currency);
            let opened = self.opening_line(line, into, clock)?;
            plan.lines.push((line.clone(), opened));
        }
        let Some(portfolio) = known.map(|place| &self.portfolios[place as usize]) else { return Ok(plan) };
        for (at, execution) in portfolio.executions.iter().enumerate() {
            if execution.event_time > record.event_time && execution.counts() {
                plan.fill(self, portfolio, at, execution)?;
            }
        }
        Ok(plan)
    }

    /// What a line cost, in a currency, at the rate now: profit and loss count from here.
    fn opening_line(&self, line: &PositionLine, into: &Currency, clock: Time) -> Result<Line, Refusal> {
        let multiplier = self.multiplier(&line.symbol);
        let rate = self.rate_at(&line.currency, into, clock);
        let cost = line.average_cost.filter(|_| rate.is_known());
        let cost = cost.map(|price| Quoted { price, rate }.value(line.quantity, multiplier));
        let cost = cost.transpose().map_err(overflow("average_cost"))?;
        if let Some(symbol) = self.marks.find(&line.symbol) {
            let worth = self.worth(symbol, line.quantity, multiplier, (&line.currency, into));
            worth.map_err(overflow("quantity"))?;
        }
        Ok(Line { quantity: line.quantity, cost: cost.unwrap_or_default(), cost_known: cost.is_some() })
    }

    fn open(&mut self, place: u32, record: &Position, plan: Opening) {
        let former: Vec<Holding> = std::mem::take(&mut self.portfolios[place as usize].holdings);
        for holding in &former {
            self.marks.set_holder(holding.symbol, place, false);
        }
        let mut holdings: Vec<Holding> = Vec::with_capacity(plan.lines.len() + plan.later.len());
        let costing = self.costing();
        let own = plan.currency.clone().unwrap_or_else(|| self.parameters.default_currency.clone());
        for (named, line) in plan.lines {
            let held = Held::of(line, costing);
            let symbol = self.marks.find(&named.symbol).unwrap_or_else(|| self.marks.add(&named.symbol));
            let multiplier = self.multiplier(&named.symbol);
            holdings.push(self.holding(symbol, held, multiplier, (named.currency, &own)));
        }
        for (symbol, currency, held) in plan.later {
            match holdings.iter().position(|h| h.symbol == symbol) {
                Some(at) if held.line.quantity.is_zero() => drop(holdings.remove(at)),
                Some(at) => {
                    let (multiplier, currency) = (holdings[at].multiplier, holdings[at].currency.clone());
                    holdings[at] = self.holding(symbol, held, multiplier, (currency, &own));
                }
                None if held.line.quantity.is_zero() => {}
                None => {
                    let multiplier = self.multiplier(&self.marks.entry(symbol).symbol);
                    holdings.push(self.holding(symbol, held, multiplier, (currency, &own)));
                }
            }
        }
        holdings.sort_unstable_by_key(|h| h.symbol);
        for holding in &holdings {
            self.marks.set_holder(holding.symbol, place, true);
        }
        let portfolio = &mut self.portfolios[place as usize];
        portfolio.opened_with(record.event_time, plan.currency, holdings, plan.executions);
        self.follow_all_rates(place);
    }

    fn holding(
        &self,
        symbol: SymbolId,
        Held { line, lots }: Held,
        multiplier: Amount,
        (currency, own): (Currency, &Currency),
    ) -> Holding {
        // Both the opening line and every fill after it were checked to fit at this mark.
        let value = self.worth(symbol, line.quantity, multiplier, (&currency, own)).ok().flatten();
        Holding { symbol, line, lots, multiplier, currency, value, anchored: Money::ZERO }
    }
}

/// A book about to be opened.
#[derive(Default)]
struct Opening {
    /// What costs are in.
    currency: Option<Currency>,
    lines: Vec<(PositionLine, Line)>,
    /// Symbols that were filled after the record, as they stand.
    later: Vec<(SymbolId, Currency, Held)>,
    /// Those fills, booked anew.
    executions: Vec<(usize, Execution)>,
}

impl Opening {
    fn fill(
        &mut self,
        monitor: &RiskMonitor,
        portfolio: &Portfolio,
        at: usize,
        execution: &Execution,
    ) -> Result<(), Refusal> {
        let symbol = &monitor.marks.entry(execution.symbol).symbol;
        let costing = monitor.costing();
        let at_symbol = self.later.iter().position(|(s, ..)| *s == execution.symbol).unwrap_or_else(|| {
            let named = self.lines.iter().find(|(line, _)| line.symbol == *symbol);
            let line = named.map_or(Line::FLAT, |(_, line)| *line);
            let currency = execution.currency.clone();
            self.later.push((execution.symbol, currency, Held::of(line, costing)));
            self.later.len() - 1
        });
        let held = &mut self.later[at_symbol].2;
        let before = held.line;
        let multiplier =
            portfolio.holding(execution.symbol).map_or_else(|| monitor.multiplier(symbol), |h| h.multiplier);
        let filled = held
            .fill(execution.quantity, execution.price, multiplier, costing)
            .map_err(overflow("positions"))?;
        let own = self.currency.as_ref().unwrap_or(&execution.currency);
        let way = (&execution.currency, own);
        let worth = monitor.worth(execution.symbol, held.line.quantity, multiplier, way);
        worth.map_err(overflow("positions"))?;
        self.executions.push((at, execution.booked(before, filled)));
        Ok(())
    }
}

impl Portfolio {
    /// Replaces the book. Profit and loss count from here; equity stays the account record's until marks,
    /// fills or the next record move it.
    fn opened_with(
        &mut self,
        at: Time,
        currency: Option<Currency>,
        holdings: Vec<Holding>,
        later: Vec<(usize, Execution)>,
    ) {
        self.opened = true;
        self.opened_at = Some(at);
        self.executions.cover(at);
        self.realised = later.iter().map(|(_, e)| e.realised).sum();
        self.realised_unknown = later.iter().filter(|(_, e)| !e.realised_known).count() as u64;
        self.fees = later.iter().map(|(_, e)| e.fee).sum();
        for (place, execution) in later {
            self.executions.replace(place, execution);
        }
        self.currency = currency;
        self.holdings = holdings;
        self.revalued.due = true;
        self.correlated = Correlated::default();
        self.day = Day::begun(Money::ZERO, 0);
        self.series += 1;
        self.sum_anew();
        let profit = self.profit();
        for holding in &mut self.holdings {
            let unpriced = self.account.is_some() && holding.value.is_none();
            holding.anchored = if unpriced { Money::of(holding.line.quantity) } else { Money::ZERO };
        }
        if let Some(account) = &mut self.account {
            account.anchor = profit;
        }
    }
}
