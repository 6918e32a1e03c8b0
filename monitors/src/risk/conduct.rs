//! How orders are sent: how many, how many for a trade, the same one twice, against one's own, refused, far from the
//! market.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tapewatch_schemas::events::{
    Conduct as Said, ExecReport, ExecType, OrderStatus, OrderType, Side, Unknown,
};
use tapewatch_schemas::time::micros_of;
use tapewatch_schemas::{Amount, OrderId, Symbol, Time};

use super::RiskMonitor;
use super::around::Around;
use super::measure::Bounded;
use super::portfolio::Portfolio;
use crate::monitor::Output;

/// A window moves on by one of so many parts.
const PARTS: i64 = 60;

/// How orders are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConductParameters {
    /// What is counted is of the last so long, to a sixtieth of it.
    pub window: Duration,
    /// An order with the terms of another that was sent so little before or after it is a duplicate.
    pub duplicates_within: Duration,
    /// Open orders of a portfolio that are followed at once, and orders sent in the window that are remembered: of those
    /// beyond them nobody can say whether they were crossed or sent twice.
    pub orders: usize,
}

/// A portfolio's orders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Conduct {
    /// The window that `parts` are of, microseconds.
    window: i64,
    /// Those in which something came, oldest first.
    parts: VecDeque<Part>,
    /// What came before this was not seen, or not all of it.
    known_from: Time,
    /// Orders that may be filled.
    open: BTreeMap<(Symbol, OrderId), Terms>,
    /// Those sent in the window, in the order they came.
    sent: VecDeque<Sent>,
    /// What whoever adds portfolios up was told last.
    told: Option<Said>,
    #[serde(skip)]
    counts: Counts,
    /// The most messages in one part.
    #[serde(skip)]
    peak: u64,
}

/// A sixtieth of the window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Part {
    /// Its place, counted from the epoch.
    place: i64,
    counts: Counts,
}

/// What came in a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Counts {
    /// Orders accepted and rejected, replaced and cancelled.
    messages: u64,
    /// Orders accepted and rejected.
    orders: u64,
    rejected: u64,
    fills: u64,
    duplicates: u64,
    crossings: u64,
    /// Open orders that there was no room to follow.
    unfollowed: u64,
    /// Orders of lately that there was no room to remember.
    forgotten: u64,
    /// Limit prices for which there was no mark to compare them with.
    unpriced: u64,
    /// |price / mark − 1| of the limit price furthest from the market.
    furthest: f64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.orders += other.orders;
        self.rejected += other.rejected;
        self.fills += other.fills;
        self.duplicates += other.duplicates;
        self.crossings += other.crossings;
        self.unfollowed += other.unfollowed;
        self.forgotten += other.forgotten;
        self.unpriced += other.unpriced;
        self.furthest = self.furthest.max(other.furthest);
    }

    /// Takes note of how far a limit price is from the mark.
    fn compare(&mut self, limit: Option<Amount>, mark: Option<Amount>) {
        match (limit, mark.filter(|mark| mark.is_positive())) {
            (Some(limit), Some(mark)) => {
                let apart = (limit.unscaled() - mark.unscaled()).unsigned_abs();
                self.furthest = apart as f64 / mark.unscaled() as f64;
            }
            (Some(_), None) => self.unpriced = 1,
            (None, _) => {}
        }
    }
}

/// What an order asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Terms {
    side: Side,
    order_type: OrderType,
    quantity: Amount,
    limit: Option<Amount>,
}

impl Terms {
    fn of(report: &ExecReport) -> Self {
        let ExecReport { side, order_type, order_quantity: quantity, limit_price: limit, .. } = *report;
        Self { side, order_type, quantity, limit }
    }

    /// True if it waits for a price, and so can neither be filled nor cross anything before that.
    fn waits(&self) -> bool {
        matches!(self.order_type, OrderType::Stop | OrderType::StopLimit)
    }

    /// True if the two could be filled against each other.
    fn crosses(&self, other: &Self) -> bool {
        let (buy, sell) = match (self.side, other.side) {
            (Side::Buy, Side::Sell) => (self, other),
            (Side::Sell, Side::Buy) => (other, self),
            _ => return false,
        };
        // At the market is at any price.
        match (buy.limit, sell.limit) {
            (Some(buy), Some(sell)) => buy >= sell,
            _ => true,
        }
    }
}

/// An order that was sent lately.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sent {
    at: Time,
    rejected: bool,
    order: OrderId,
    symbol: Symbol,
    terms: Terms,
}

impl Conduct {
    /// Of a portfolio all of whose orders are seen.
    pub(super) fn new(parameters: &ConductParameters) -> Self {
        Self {
            window: micros_of(parameters.window),
            known_from: Time::MIN,
            parts: VecDeque::new(),
            open: BTreeMap::new(),
            sent: VecDeque::new(),
            told: None,
            counts: Counts::default(),
            peak: 0,
        }
    }

    /// Of a portfolio whose orders were not seen, or not all of them, until now.
    pub(super) fn begun_at(clock: Time, parameters: &ConductParameters) -> Self {
        Self { known_from: clock + parameters.window, ..Self::new(parameters) }
    }

    /// Itself, as it goes on under these parameters: counts of another window are no counts of this one.
    pub(super) fn restored(mut self, clock: Time, parameters: &ConductParameters) -> Self {
        if self.window != micros_of(parameters.window) {
            return Self { open: self.open, ..Self::begun_at(clock, parameters) };
        }
        self.count();
        self
    }

    /// True if somebody was told of it, under this window.
    pub(super) fn was_told(&self) -> bool {
        self.told.is_some()
    }

    /// True while there is something in the window, or nothing is known of it yet.
    fn goes_on(&self, clock: Time) -> bool {
        !self.parts.is_empty() || clock < self.known_from
    }

    fn place_of(&self, at: Time) -> i64 {
        // A window below a millisecond is none.
        at.micros().div_euclid((self.window / PARTS).max(1))
    }

    /// Takes a report; `mark` is the symbol's price, if there is one to compare with.
    pub(super) fn take(
        &mut self,
        report: &ExecReport,
        mark: Option<Amount>,
        clock: Time,
        parameters: &ConductParameters,
    ) {
        // Clocks of sources may be ahead of the task's; what comes late counts when it happened.
        let at = report.event_time.min(clock);
        let mut counts = Counts::default();
        // A stop's price is far from the market on purpose.
        let priced = report.limit_price.filter(|_| !Terms::of(report).waits());
        self.roll(clock);
        match report.exec_type {
            ExecType::New => {
                if self.send(report, at, &mut counts, parameters) {
                    counts.compare(priced, mark);
                    self.opened(report, &mut counts, parameters);
                }
            }
            ExecType::Rejected => {
                if self.send(report, at, &mut counts, parameters) {
                    counts.compare(priced, mark);
                }
                counts.rejected = u64::from(self.rejects(report));
                // One that was sent before the window is one of those that may be rejected in it.
                counts.orders = counts.orders.max(counts.rejected * u64::from(!self.remembers(report)));
                self.ended(report);
            }
            ExecType::Replaced => {
                counts.messages = 1;
                counts.compare(priced, mark);
                self.opened(report, &mut counts, parameters);
            }
            ExecType::Canceled => {
                counts.messages = 1;
                self.ended(report);
            }
            ExecType::Expired => self.ended(report),
            ExecType::Fill => {
                counts.fills = 1;
                if report.order_status != OrderStatus::PartiallyFilled {
                    self.ended(report);
                }
            }
            ExecType::Bust | ExecType::Correct => {}
        }
        self.add(at, &counts);
        self.roll(clock);
        self.count();
    }

    /// Takes note of an order sent; false if it is told of a second time.
    fn send(
        &mut self,
        report: &ExecReport,
        at: Time,
        counts: &mut Counts,
        parameters: &ConductParameters,
    ) -> bool {
        let terms = Terms::of(report);
        let key = (report.symbol.clone(), report.order_id.clone());
        // Ids may come again on another day.
        if self.remembers(report) || self.open.get(&key) == Some(&terms) {
            return false;
        }
        let within = micros_of(parameters.duplicates_within);
        let same = |sent: &Sent| {
            sent.terms == terms && sent.symbol == report.symbol && at.since(sent.at).abs() <= within
        };
        counts.messages = 1;
        counts.orders = 1;
        counts.duplicates = u64::from(self.sent.iter().any(same));
        let full = self.sent.len() >= parameters.orders;
        let oldest = if full { self.sent.pop_front() } else { None };
        // One that is older could have no duplicate any more.
        counts.forgotten = u64::from(oldest.is_some_and(|oldest| at.since(oldest.at) <= within));
        let (symbol, order) = key;
        self.sent.push_back(Sent { at, rejected: false, order, symbol, terms });
        true
    }

    fn remembers(&self, report: &ExecReport) -> bool {
        self.sent.iter().any(|sent| sent.order == report.order_id)
    }

    /// True if this is the first to say that the order is rejected.
    fn rejects(&mut self, report: &ExecReport) -> bool {
        match self.sent.iter_mut().find(|sent| sent.order == report.order_id) {
            Some(sent) => !std::mem::replace(&mut sent.rejected, true),
            None => true,
        }
    }

    /// An order has these terms from now on.
    fn opened(&mut self, report: &ExecReport, counts: &mut Counts, parameters: &ConductParameters) {
        let terms = Terms::of(report);
        if terms.waits() {
            self.ended(report);
            return;
        }
        let key = (report.symbol.clone(), report.order_id.clone());
        let first = (report.symbol.clone(), OrderId::default());
        let others = self.open.range(first..).take_while(|((symbol, _), _)| *symbol == report.symbol);
        let mut others = others.filter(|((_, order), _)| *order != report.order_id);
        counts.crossings = u64::from(others.any(|(_, other)| terms.crosses(other)));
        if self.open.len() < parameters.orders || self.open.contains_key(&key) {
            self.open.insert(key, terms);
        } else {
            counts.unfollowed += 1;
        }
    }

    fn ended(&mut self, report: &ExecReport) {
        self.open.remove(&(report.symbol.clone(), report.order_id.clone()));
    }

    fn add(&mut self, at: Time, counts: &Counts) {
        let place = self.place_of(at);
        match self.parts.binary_search_by_key(&place, |part| part.place) {
            Ok(there) => self.parts[there].counts.add(counts),
            Err(there) if *counts != Counts::default() => {
                self.parts.insert(there, Part { place, counts: *counts });
            }
            Err(_) => {}
        }
    }

    /// Forgets what is no longer in the window; true if there was any.
    pub(super) fn roll(&mut self, clock: Time) -> bool {
        let oldest = self.place_of(clock) - PARTS;
        let before = self.parts.len();
        while self.parts.front().is_some_and(|part| part.place <= oldest) {
            self.parts.pop_front();
        }
        let window = self.window;
        while self.sent.front().is_some_and(|sent| clock.since(sent.at) > window) {
            self.sent.pop_front();
        }
        before != self.parts.len()
    }

    /// Counts what is in the window.
    pub(super) fn count(&mut self) {
        self.counts = Counts::default();
        for part in &self.parts {
            self.counts.add(&part.counts);
        }
        self.peak = self.parts.iter().map(|part| part.counts.messages).max().unwrap_or(0);
    }

    /// What it says; `unknown` by the portfolio's execution reports.
    pub(super) fn says(&self, unknown: Option<Unknown>, clock: Time) -> Said {
        let unseen = (clock < self.known_from).then_some(Unknown::WarmingUp);
        let Counts { messages, orders, rejected, fills, duplicates, crossings, .. } = self.counts;
        let if_any = |lacking: u64| (lacking > 0).then_some(Unknown::Missing);
        Said {
            window: self.window,
            unknown: unknown.or(unseen),
            messages: messages as i64,
            peak_messages: self.peak as i64,
            orders: orders as i64,
            rejected: rejected as i64,
            fills: fills as i64,
            duplicates: duplicates as i64,
            duplicates_unknown: if_any(self.counts.forgotten),
            crossings: crossings as i64,
            crossings_unknown: if_any(self.counts.unfollowed),
            price_away: self.counts.furthest,
            price_away_unknown: if_any(self.counts.unpriced),
        }
    }
}

/// The value of one of the measures of what was said of orders.
pub(super) fn measure_of(said: &Said, measure: Bounded) -> Result<f64, Unknown> {
    said.unknown.map_or(Ok(()), Err)?;
    let unless = |unknown: Option<Unknown>, value: f64| unknown.map_or(Ok(value), Err);
    let seconds = said.window as f64 / 1e6;
    let messages = said.messages as f64;
    match measure {
        Bounded::MessageRate => Ok(messages / seconds),
        Bounded::PeakMessageRate => Ok(said.peak_messages as f64 / (seconds / PARTS as f64)),
        // Commission Delegated Regulation (EU) 2017/566, article 3: orders over transactions, less one.
        Bounded::OrderToTrade => Ok((messages / said.fills.max(1) as f64 - 1.0).max(0.0)),
        Bounded::RejectedShare if said.orders == 0 => Ok(0.0),
        Bounded::RejectedShare => Ok(said.rejected as f64 / said.orders as f64),
        Bounded::DuplicateOrders => unless(said.duplicates_unknown, said.duplicates as f64),
        Bounded::SelfCrossings => unless(said.crossings_unknown, said.crossings as f64),
        Bounded::PriceAway => unless(said.price_away_unknown, said.price_away),
        _ => Err(Unknown::Missing),
    }
}

impl Portfolio {
    /// The value of a measure of its orders; `missing` if they are not looked at.
    pub(super) fn conduct(&self, measure: Bounded, around: &Around<'_>) -> Result<f64, Unknown> {
        self.says_of_orders(around).map_or(Err(Unknown::Missing), |said| measure_of(&said, measure))
    }

    /// What is known of its orders; none if they are not looked at.
    fn says_of_orders(&self, around: &Around<'_>) -> Option<Said> {
        let conduct = self.conduct.as_ref()?;
        Some(conduct.says(around.executions_unknown(self), around.clock))
    }

    /// The same, to be told to whoever adds portfolios up.
    pub(super) fn tell_of_orders(&mut self, around: &Around<'_>) -> Option<Said> {
        let said = self.says_of_orders(around)?;
        self.conduct.as_mut()?.told = Some(said);
        Some(said)
    }

    /// True if something else is known of its orders than was told last.
    pub(super) fn has_news_of_orders(&self, around: &Around<'_>) -> bool {
        let told = self.conduct.as_ref().and_then(|conduct| conduct.told);
        self.says_of_orders(around) != told
    }
}

impl RiskMonitor {
    /// An execution report, seen as what became of an order.
    pub(super) fn take_conduct(&mut self, place: u32, report: &ExecReport) {
        let Some(parameters) = self.parameters.conduct else { return };
        let symbol = self.marks.find(&report.symbol);
        let (portfolio, around) = self.with(place);
        let mark = symbol.and_then(|symbol| around.fresh_price(symbol, &report.currency));
        let Some(conduct) = &mut portfolio.conduct else { return };
        conduct.take(report, mark, around.clock, &parameters);
        self.level_is_due(place);
    }

    /// Moves the windows of those portfolios on that have a level to publish.
    pub(super) fn roll_conduct(&mut self, out: &mut Vec<Output>) {
        if self.parameters.conduct.is_none() {
            return;
        }
        for place in 0..self.portfolios.len() as u32 {
            let portfolio = &mut self.portfolios[place as usize];
            let Some(conduct) = portfolio.conduct.as_mut().filter(|_| portfolio.level_due) else { continue };
            if conduct.roll(self.clock) {
                conduct.count();
            }
            // It may be known from now on, too.
            self.settle(place, false, out);
        }
    }

    /// What is still in a portfolio's window leaves it, and then there is something to say again.
    pub(super) fn conduct_goes_on(&mut self, place: u32) {
        let conduct = self.portfolios[place as usize].conduct.as_ref();
        if conduct.is_some_and(|conduct| conduct.goes_on(self.clock)) {
            self.level_is_due(place);
        }
    }
}
