use serde::{Deserialize, Serialize};

use crate::names::{Currency, PortfolioId, SourceId, Symbol};
use crate::{Amount, Time};

/// What the trading system believes a portfolio holds. Key: portfolio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Who wrote it.
    pub source: SourceId,
    /// Per source, topic and partition, rising by one.
    pub sequence: i64,
    /// When it was so.
    pub event_time: Time,
    /// The portfolio.
    pub portfolio: PortfolioId,
    /// True if symbols that are not named are flat: the whole book, not a change.
    pub complete: bool,
    /// The positions.
    pub positions: Vec<PositionLine>,
}

/// One symbol of a [`Position`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PositionLine {
    /// The symbol.
    pub symbol: Symbol,
    /// Quantity held, units; negative if short.
    pub quantity: Amount,
    /// Average cost, currency per unit; none if not known.
    pub average_cost: Option<Amount>,
    /// The currency of the cost.
    pub currency: Currency,
}
