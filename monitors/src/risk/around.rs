//! What a portfolio is looked at with: parameters, marks, feeds and the clock; and what is unknown by it.

use tapewatch_schemas::events::Unknown;
use tapewatch_schemas::time::micros_of;
use tapewatch_schemas::{Amount, Currency, Time, catalogue};

use super::feeds::Feeds;
use super::history::History;
use super::liquidity::Liquidity;
use super::marks::{Mark, Marks, SymbolId};
use super::parameters::RiskParameters;
use super::portfolio::{Holding, Portfolio, Unknowns, worst};
use super::rates::Rates;
use super::sectors::Sectors;
use super::stress::Stress;
use crate::monitor::Ages;

/// Everything about a portfolio that is not its own.
pub(super) struct Around<'a> {
    pub(super) parameters: &'a RiskParameters,
    pub(super) marks: &'a Marks,
    pub(super) rates: &'a Rates,
    pub(super) history: &'a History,
    pub(super) stress: &'a Stress,
    pub(super) sectors: &'a Sectors,
    pub(super) liquidity: &'a Liquidity,
    pub(super) feeds: &'a Feeds,
    pub(super) partition: i32,
    pub(super) clock: Time,
}

/// Follows the earliest instant at which something now current is stale.
pub(super) struct Earliest {
    pub(super) clock: Time,
    pub(super) at: Option<Time>,
}

impl Earliest {
    /// Why an input that was current at `current` is stale, if its age is over the bound.
    pub(super) fn stale(&mut self, current: Time, bound: std::time::Duration) -> Option<Unknown> {
        let last = current + bound;
        if self.clock > last {
            return Some(Unknown::Stale);
        }
        if last != Time::MAX {
            self.look_at(Time(last.0 + 1));
        }
        None
    }

    /// At this instant, at the latest, it has to be looked at again.
    pub(super) fn look_at(&mut self, at: Time) {
        self.at = Some(self.at.map_or(at, |earlier| earlier.min(at)));
    }
}

impl Around<'_> {
    /// Finds out what is unknown about a portfolio, and until when what is current stays so.
    pub(super) fn assess(&self, portfolio: &Portfolio) -> (Unknowns, Option<Time>) {
        let mut earliest = Earliest { clock: self.clock, at: None };
        portfolio.drawdown.await_water(self.parameters.limits.iter(), &mut earliest);
        let unknowns = Unknowns {
            book: self.book(portfolio, &mut earliest),
            marks: portfolio
                .holdings
                .iter()
                .fold(None, |reason, h| worst(reason, self.mark(portfolio, h, &mut earliest))),
            account: self.account(portfolio, &mut earliest),
        };
        (unknowns, earliest.at)
    }

    /// True if a portfolio's book and marks were known and still are after a report on `symbol`, and nothing
    /// is stale before the portfolio's next check. Looks at what the report touches and at nothing else, so
    /// that a fill does not cost more in a larger book.
    pub(super) fn still_known(&self, portfolio: &Portfolio, symbol: SymbolId) -> bool {
        let mut earliest = Earliest { clock: self.clock, at: None };
        let known = portfolio.exposure_unknown().is_none()
            && self.book(portfolio, &mut earliest).is_none()
            && portfolio.holding(symbol).is_none_or(|h| self.mark(portfolio, h, &mut earliest).is_none());
        known
            && match (portfolio.check_at, earliest.at) {
                (None, None) => true,
                (None, Some(_)) => false,
                (Some(check), expires) => check > self.clock && expires.is_none_or(|at| at >= check),
            }
    }

    /// What is unknown about a portfolio, its marks as they were last looked at.
    pub(super) fn unknowns(&self, portfolio: &Portfolio) -> Unknowns {
        let mut earliest = Earliest { clock: self.clock, at: None };
        let book = self.book(portfolio, &mut earliest);
        Unknowns { book, account: self.account(portfolio, &mut earliest), marks: portfolio.unknowns.marks }
    }

    fn book(&self, portfolio: &Portfolio, earliest: &mut Earliest) -> Option<Unknown> {
        let opening = (!portfolio.opened).then_some(Unknown::NoOpening);
        worst(self.executions(portfolio, earliest), opening)
    }

    /// Why what rests on a portfolio's execution reports alone is unknown.
    pub(super) fn executions_unknown(&self, portfolio: &Portfolio) -> Option<Unknown> {
        self.executions(portfolio, &mut Earliest { clock: self.clock, at: None })
    }

    fn executions(&self, portfolio: &Portfolio, earliest: &mut Earliest) -> Option<Unknown> {
        let stale = portfolio.executed.and_then(|(feed, at)| {
            earliest.stale(self.feeds.current_at(feed, at), self.parameters.freshness.executions)
        });
        let down = self.feeds.is_down(catalogue::EXEC_REPORTS, self.partition);
        if down { Some(Unknown::SourceDown) } else { stale }
    }

    /// The price of a symbol in a currency, unless it is stale.
    pub(super) fn fresh_price(&self, symbol: SymbolId, currency: &Currency) -> Option<Amount> {
        let mark = self.marks.mark(symbol).filter(|mark| mark.currency == *currency)?;
        let current = self.feeds.current_at(mark.feed, mark.event_time);
        let fresh = self.clock <= current + self.parameters.freshness.marks;
        (fresh && !self.feeds.feed_is_down(mark.feed)).then_some(mark.price)
    }

    fn mark(&self, portfolio: &Portfolio, holding: &Holding, earliest: &mut Earliest) -> Option<Unknown> {
        let Some(mark) = self.marks.mark(holding.symbol) else { return Some(Unknown::Missing) };
        let stale = earliest
            .stale(self.feeds.current_at(mark.feed, mark.event_time), self.parameters.freshness.marks);
        if self.feeds.feed_is_down(mark.feed) {
            return Some(Unknown::SourceDown);
        }
        if mark.currency != holding.currency {
            return Some(Unknown::NoRate);
        }
        match &portfolio.currency {
            Some(_) if holding.value.is_none() => Some(Unknown::NoRate),
            Some(own) if *own != holding.currency => {
                let (way, bound) = ((&holding.currency, own), self.parameters.freshness.marks);
                worst(stale, self.rates.unknown(way, self.marks, self.feeds, bound, earliest))
            }
            _ => stale,
        }
    }

    fn account(&self, portfolio: &Portfolio, earliest: &mut Earliest) -> Option<Unknown> {
        let Some(account) = &portfolio.account else { return Some(Unknown::Missing) };
        let current = self.feeds.current_at(account.feed, account.event_time);
        let stale = earliest.stale(current, self.parameters.freshness.accounts);
        if let Some(settles) = portfolio.settles.filter(|at| self.clock <= *at && *at != Time::MAX) {
            earliest.look_at(Time(settles.0 + 1));
        }
        if self.feeds.is_down(catalogue::ACCOUNTS, self.partition) {
            Some(Unknown::SourceDown)
        } else {
            stale
        }
    }

    /// True while marks may still come, in time, that the account record in force knows of.
    pub(super) fn is_settling(&self, portfolio: &Portfolio) -> bool {
        portfolio.settles.is_some_and(|settles| self.clock <= settles)
    }

    /// Ages of all that the portfolio's figures rest on.
    pub(super) fn ages(&self, portfolio: &Portfolio) -> Ages {
        let marks = portfolio.holdings.iter().filter_map(|holding| self.marks.mark(holding.symbol));
        let marks = marks.chain(self.rate_marks(portfolio)).map(|mark| (mark.feed, mark.event_time));
        let account = portfolio.account.as_ref().map(|account| (account.feed, account.event_time));
        self.feeds.ages(self.clock, marks.chain(portfolio.executed).chain(account))
    }

    /// The marks that what is held is converted by.
    fn rate_marks(&self, portfolio: &Portfolio) -> impl Iterator<Item = &Mark> {
        let own = portfolio.currency.as_ref();
        let abroad =
            portfolio.holdings.iter().filter(move |holding| own.is_some_and(|c| *c != holding.currency));
        let legs = abroad.filter_map(move |holding| self.rates.route(&holding.currency, own?)).flatten();
        legs.filter_map(|leg| self.marks.mark(leg.symbol))
    }

    /// How long the portfolio has been known, seconds.
    pub(super) fn observed_for(&self, portfolio: &Portfolio) -> f64 {
        self.clock.since(portfolio.first_record) as f64 / 1e6
    }
}

/// The first boundary of an interval after `clock`, counted from the epoch.
pub(super) fn next_boundary(clock: Time, interval: std::time::Duration) -> Time {
    // An interval that is not at least a millisecond would make a deadline of every instant.
    let interval = interval.max(std::time::Duration::from_millis(1));
    debug_assert!(micros_of(interval) > 0);
    clock.floor_to(interval) + interval
}
