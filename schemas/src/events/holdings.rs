use serde::{Deserialize, Serialize};

use super::{Provenance, Unknown};
use crate::names::{Currency, PortfolioId, Symbol};
use crate::{Amount, RecordId, Time};

/// A portfolio's whole book, at each change of it or of what its account says, when it becomes unknown
/// or known, and once a day of event time. Key: portfolio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holdings {
    /// Where it came from.
    pub provenance: Provenance,
    /// Its id.
    pub id: RecordId,
    /// The writer's clock at the step that made it.
    pub event_time: Time,
    /// The portfolio.
    pub portfolio: PortfolioId,
    /// The currency of costs and of what the account adds: the account's, and before its first record that of the book.
    pub currency: Currency,
    /// False until the book's opening is known: then the lines are changes only.
    pub opened: bool,
    /// Why it is not known that this is the book; none if it is known.
    pub unknown: Option<Unknown>,
    /// The event time of the latest fill since the book before this one; none if there was no fill: what changed, if
    /// anything did, is a fill undone or corrected, or what positions say.
    pub filled_at: Option<Time>,
    /// What the account adds to the lines; none before its first record.
    pub account: Option<Standing>,
    /// Why what rests on the account is unknown; none if it is known.
    pub account_unknown: Option<Unknown>,
    /// What the book gained and lost since it was opened; none from a writer that did not say.
    pub profit: Option<Box<Profit>>,
    /// How orders were sent in the window of `risk.conduct` up to the event time; none where that is not looked at.
    pub conduct: Option<Box<Conduct>>,
    /// Every symbol held, by symbol; flat ones are left out.
    pub holdings: Vec<Holding>,
}

/// What an account adds to what is held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Equity less what the lines are worth: with the lines at any marks it is the equity at those marks.
    pub beside: Amount,
    /// Deposits less withdrawals so far.
    pub flows: Amount,
}

/// What a book gained and lost, in its currency. What is unknown of it stands here as it is counted from where it was known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profit {
    /// How often what is counted here began anew: amounts of two series are not to be compared.
    pub series: i64,
    /// What was closed less what that cost, by `risk.pnl_method`; fees are not in it.
    pub realised: Amount,
    /// Why it is not known what was realised; none if it is known.
    pub realised_unknown: Option<Unknown>,
    /// What the lines cost, shorts negative: their value less this is the unrealised profit.
    pub cost: Amount,
    /// Why it is not known what the lines cost; none if it is known.
    pub cost_unknown: Option<Unknown>,
    /// Fees paid so far.
    pub fees: Amount,
    /// Why it is not known what fees were; none if it is known.
    pub fees_unknown: Option<Unknown>,
}

/// What a portfolio's execution reports say of its orders. Counts of what is unknown are of what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conduct {
    /// How long the window is, microseconds.
    pub window: i64,
    /// Why it is not known what orders were sent; none if it is known.
    pub unknown: Option<Unknown>,
    /// Orders accepted, rejected, replaced and cancelled.
    pub messages: i64,
    /// The most of them in a sixtieth of the window.
    pub peak_messages: i64,
    /// Orders accepted and rejected.
    pub orders: i64,
    /// Orders rejected.
    pub rejected: i64,
    /// Fills.
    pub fills: i64,
    /// Orders with the terms of another that was sent just before or after.
    pub duplicates: i64,
    /// Why it is not known how many; none if it is known.
    pub duplicates_unknown: Option<Unknown>,
    /// Orders that could be filled against another of the portfolio.
    pub crossings: i64,
    /// Why it is not known how many; none if it is known.
    pub crossings_unknown: Option<Unknown>,
    /// How far a limit price was from the mark, as a share of it; the furthest.
    pub price_away: f64,
    /// Why it is not known how far; none if it is known.
    pub price_away_unknown: Option<Unknown>,
}

/// One symbol of a book.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holding {
    /// The symbol.
    pub symbol: Symbol,
    /// Quantity, units; negative if short.
    pub quantity: Amount,
    /// Average cost per unit, in the portfolio's currency at the rates of the fills; none if not known.
    pub average_cost: Option<Amount>,
    /// Units of the underlying per unit held.
    pub multiplier: Amount,
    /// The currency that it is priced in.
    pub currency: Currency,
}
