use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Side;
use crate::names::{PortfolioId, SignalId, SourceId, StrategyId, Symbol};
use crate::{Amount, Time};

/// What a strategy wanted. Key: portfolio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// Who wrote it.
    pub source: SourceId,
    /// Per source, topic and partition, rising by one.
    pub sequence: i64,
    /// When the decision was made.
    pub event_time: Time,
    /// The portfolio.
    pub portfolio: PortfolioId,
    /// The strategy.
    pub strategy: StrategyId,
    /// The signal's id: orders name it.
    pub signal_id: SignalId,
    /// The symbol.
    pub symbol: Symbol,
    /// Which way to trade.
    pub side: Side,
    /// The position wanted after the trade, units, signed.
    pub target_quantity: Amount,
    /// The price that the decision rests on, currency per unit.
    pub reference_price: Amount,
    /// The bar boundary that the decision belongs to; none if the strategy does not trade bars.
    pub bar_boundary: Option<Time>,
    /// What the strategy looked at, by name.
    pub features: BTreeMap<String, f64>,
}
