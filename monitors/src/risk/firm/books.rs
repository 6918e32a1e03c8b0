//! The books of all portfolios, as risk publishes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tapewatch_schemas::events::{Conduct, Unknown};
use tapewatch_schemas::{Amount, Currency, PortfolioId, Time};

use super::profits::Profit;
use crate::risk::feeds::FeedId;
use crate::risk::marks::{Marks, SymbolId};
use crate::risk::money::Money;
use crate::risk::rates::{Quoted, Rates};

/// A portfolio's whole book.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Book {
    /// The risk task that wrote it.
    pub(super) feed: FeedId,
    pub(super) event_time: Time,
    /// The step of that task that made it: of two of one instant the later one is in force.
    pub(super) step: i64,
    /// Why its risk task does not know that this is the book.
    pub(super) unknown: Option<Unknown>,
    /// What the account adds, in its own currency.
    pub(super) standing: Option<Standing>,
    /// Why what rests on the account is unknown.
    pub(super) account_unknown: Option<Unknown>,
    /// What it gained and lost; none if it did not say.
    pub(super) profit: Option<Profit>,
    /// How orders were sent; none if it does not say.
    pub(super) conduct: Option<Conduct>,
    /// By symbol's place.
    pub(super) lines: Vec<BookLine>,
}

impl Book {
    /// True if anything is held, had or gained otherwise than here.
    pub(super) fn differs(&self, other: &Self) -> bool {
        let Self { lines, standing, profit, .. } = self;
        (lines, standing, profit) != (&other.lines, &other.standing, &other.profit)
    }

    /// True if as much is known of it.
    pub(super) fn is_as_known_as(&self, other: &Self) -> bool {
        (self.feed, self.unknown, self.account_unknown) == (other.feed, other.unknown, other.account_unknown)
    }

    /// True if this is counted on from what it says of profit.
    pub(super) fn is_followed_by(&self, profit: Option<&Profit>) -> bool {
        self.profit.as_ref().zip(profit).is_some_and(|(before, now)| now.follows(before))
    }

    /// True if that book, which comes after it, goes on counting what it gained, to something else: after a fill that was
    /// busted or corrected as well.
    pub(super) fn gains_on(&self, next: &Self) -> bool {
        let amounts = |book: &Self| book.profit.as_ref().map(|profit| profit.amounts);
        self.is_followed_by(next.profit.as_ref()) && amounts(self) != amounts(next)
    }

    /// What the portfolio is worth at the marks, in a currency; none if its account, a mark or a rate is missing.
    pub(super) fn worth(&self, marks: &Marks, rates: &Rates, into: &Currency) -> Option<Money> {
        let standing = self.standing.as_ref()?;
        Some(rates.money(standing.beside, &standing.currency, into, marks)? + self.held(marks, rates, into)?)
    }

    /// What the portfolio gained so far, at the marks, in a currency; none if the book does not say, or a mark or a rate
    /// is missing.
    pub(super) fn gained(&self, marks: &Marks, rates: &Rates, into: &Currency) -> Option<Money> {
        let profit = self.profit.as_ref()?;
        let beside = rates.money(profit.amounts.beside(), &profit.currency, into, marks)?;
        Some(beside + self.held(marks, rates, into)?)
    }

    /// What the lines are worth.
    fn held(&self, marks: &Marks, rates: &Rates, into: &Currency) -> Option<Money> {
        let value = |line: &BookLine| {
            let mark = marks.mark(line.symbol)?;
            let rate = Some(rates.rate(&mark.currency, into, marks)).filter(|rate| rate.is_known())?;
            Quoted { price: mark.price, rate }.value(line.units.amount()?, Amount::ONE).ok()
        };
        self.lines.iter().map(value).sum()
    }
}

/// What a portfolio's account adds to what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    /// Of the money here.
    pub(super) currency: Currency,
    /// Equity less what is held.
    pub(super) beside: Money,
    /// Deposits less withdrawals so far.
    pub(super) flows: Money,
}

/// One symbol of a book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BookLine {
    pub(super) symbol: SymbolId,
    /// What is held, as sizes and volumes of the market count it; shorts negative.
    pub(super) quantity: Money,
    /// Quantity × multiplier: units of what the mark prices.
    pub(super) units: Money,
    pub(super) currency: Currency,
}

impl BookLine {
    /// True if a mark in this currency does not price it.
    pub(super) fn is_foreign(&self, marked: Option<&Currency>) -> bool {
        marked.is_some_and(|currency| *currency != self.currency)
    }
}

/// All books, by portfolio.
pub(super) type Books = BTreeMap<PortfolioId, Book>;

/// What the portfolios of a scope hold of one symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) symbol: SymbolId,
    /// Longs less shorts, as the market counts it.
    pub(super) quantity: Money,
    /// Longs less shorts, units.
    pub(super) net: Money,
    /// Longs and shorts, units.
    pub(super) gross: Money,
    /// How many portfolios hold it,
    pub(super) holders: u32,
    /// and how many of them in another currency than the mark's.
    pub(super) foreign: u32,
    /// What `net` is worth at the mark, in the scope's currency; nothing without a mark or a rate.
    pub(super) value: Money,
    /// What `gross` is worth at the mark.
    pub(super) size: Money,
}

impl Held {
    /// Nothing of a symbol.
    pub(super) fn nothing(symbol: SymbolId) -> Self {
        Self { symbol, ..Self::default() }
    }

    /// With a portfolio's line more, where a mark in this currency is in force.
    pub(super) fn plus(self, line: &BookLine, marked: Option<&Currency>) -> Self {
        Self {
            quantity: self.quantity + line.quantity,
            net: self.net + line.units,
            gross: self.gross + line.units.abs(),
            holders: self.holders + 1,
            foreign: self.foreign + u32::from(line.is_foreign(marked)),
            ..self
        }
    }

    /// With a portfolio's line less.
    pub(super) fn less(self, line: &BookLine, marked: Option<&Currency>) -> Self {
        Self {
            quantity: self.quantity - line.quantity,
            net: self.net - line.units,
            gross: self.gross - line.units.abs(),
            holders: self.holders - 1,
            foreign: self.foreign - u32::from(line.is_foreign(marked)),
            ..self
        }
    }

    /// At this mark; worth nothing without one.
    ///
    /// # Errors
    /// A value that does not fit an amount.
    pub(super) fn at(self, price: Option<Quoted>) -> Result<Self, tapewatch_schemas::amount::AmountError> {
        let worth = |units: Money| match price {
            Some(price) => price.value(units.to_amount()?, Amount::ONE),
            None => Ok(Money::ZERO),
        };
        Ok(Self { value: worth(self.net)?, size: worth(self.gross)?, ..self })
    }
}
