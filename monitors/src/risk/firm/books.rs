//! The books of all portfolios, as risk publishes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tapewatch_schemas::events::Unknown;
use tapewatch_schemas::{Amount, Currency, PortfolioId, Time};

use crate::risk::feeds::FeedId;
use crate::risk::marks::{Marks, SymbolId};
use crate::risk::money::Money;

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
    /// What the account adds, in the scopes' currency.
    pub(super) standing: Option<Standing>,
    /// Why what rests on the account is unknown.
    pub(super) account_unknown: Option<Unknown>,
    /// By symbol's place.
    pub(super) lines: Vec<BookLine>,
}

impl Book {
    /// What the portfolio is worth at the marks; none if its account or a mark is missing.
    pub(super) fn worth(&self, marks: &Marks) -> Option<Money> {
        let value = |line: &BookLine| {
            let price = marks.mark(line.symbol)?.price;
            Money::value(line.units.amount()?, price, Amount::ONE).ok()
        };
        let held: Option<Money> = self.lines.iter().map(value).sum();
        Some(self.standing?.beside + held?)
    }
}

/// What a portfolio's account adds to what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    /// Equity less what is held.
    pub(super) beside: Money,
    /// Deposits less withdrawals so far.
    pub(super) flows: Money,
}

/// One symbol of a book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BookLine {
    pub(super) symbol: SymbolId,
    /// Quantity × multiplier: units of what the mark prices.
    pub(super) units: Money,
    pub(super) currency: Currency,
}

/// All books, by portfolio.
pub(super) type Books = BTreeMap<PortfolioId, Book>;

/// What the portfolios of a scope hold of one symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) symbol: SymbolId,
    /// Longs less shorts, units.
    pub(super) net: Money,
    /// Longs and shorts, units.
    pub(super) gross: Money,
    /// How many portfolios hold it,
    pub(super) holders: u32,
    /// and how many of them in another currency than the scope's.
    pub(super) foreign: u32,
    /// What `net` is worth at the mark; nothing without one.
    pub(super) value: Money,
    /// What `gross` is worth at the mark.
    pub(super) size: Money,
}

impl Held {
    /// Nothing of a symbol.
    pub(super) fn nothing(symbol: SymbolId) -> Self {
        Self { symbol, ..Self::default() }
    }

    /// With a portfolio's line more.
    pub(super) fn plus(self, line: &BookLine, currency: &Currency) -> Self {
        Self {
            net: self.net + line.units,
            gross: self.gross + line.units.abs(),
            holders: self.holders + 1,
            foreign: self.foreign + u32::from(line.currency != *currency),
            ..self
        }
    }

    /// With a portfolio's line less.
    pub(super) fn less(self, line: &BookLine, currency: &Currency) -> Self {
        Self {
            net: self.net - line.units,
            gross: self.gross - line.units.abs(),
            holders: self.holders - 1,
            foreign: self.foreign - u32::from(line.currency != *currency),
            ..self
        }
    }

    /// At this mark; worth nothing without one.
    ///
    /// # Errors
    /// A value that does not fit an amount.
    pub(super) fn at(self, price: Option<Amount>) -> Result<Self, tapewatch_schemas::amount::AmountError> {
        let worth = |units: Money| match price {
            Some(price) => Money::value(units.to_amount()?, price, Amount::ONE),
            None => Ok(Money::ZERO),
        };
        Ok(Self { value: worth(self.net)?, size: worth(self.gross)?, ..self })
    }
}
