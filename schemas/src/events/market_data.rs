use serde::{Deserialize, Serialize};

use crate::names::{Currency, SourceId, Symbol, Venue};
use crate::{Amount, Time};

/// A mark: the touch, the last trade and the volume of one symbol. Key: symbol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketData {
    /// Who wrote it.
    pub source: SourceId,
    /// Per source, topic and partition, rising by one.
    pub sequence: i64,
    /// When the market was so.
    pub event_time: Time,
    /// The symbol.
    pub symbol: Symbol,
    /// The currency of the prices.
    pub currency: Currency,
    /// Best bid, currency per unit.
    pub bid: Option<Amount>,
    /// Best ask, currency per unit.
    pub ask: Option<Amount>,
    /// Last traded price, currency per unit.
    pub last: Option<Amount>,
    /// Quantity at the best bid, units.
    pub bid_size: Option<Amount>,
    /// Quantity at the best ask, units.
    pub ask_size: Option<Amount>,
    /// Quantity traded since the previous mark of the symbol, units.
    pub volume: Option<Amount>,
    /// The venue, if the prices are of one.
    pub venue: Option<Venue>,
}
