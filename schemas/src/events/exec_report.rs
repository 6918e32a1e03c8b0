use serde::{Deserialize, Serialize};

use crate::names::{
    Currency, ExecutionId, OrderId, PortfolioId, SignalId, SourceId, StrategyId, Symbol, Venue,
};
use crate::{Amount, Time};

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// To buy.
    Buy,
    /// To sell.
    Sell,
}

/// What an execution report reports (FIX ExecType).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecType {
    /// The order was accepted.
    New,
    /// A fill, partial or whole (FIX `Trade`).
    Fill,
    /// The order was cancelled.
    Canceled,
    /// The order was replaced.
    Replaced,
    /// The order was rejected.
    Rejected,
    /// The order expired.
    Expired,
    /// A fill is undone (FIX `TradeCancel`); `reference_execution_id` names it.
    Bust,
    /// A fill is corrected (FIX `TradeCorrect`); `reference_execution_id` names it.
    Correct,
}

/// Where the order stands after the report (FIX OrdStatus).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Accepted, nothing filled.
    New,
    /// Filled in part.
    PartiallyFilled,
    /// Filled whole.
    Filled,
    /// Cancelled.
    Canceled,
    /// Rejected.
    Rejected,
    /// Expired.
    Expired,
}

/// How the order was priced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderType {
    /// At the market.
    Market,
    /// With a limit price.
    Limit,
    /// At the market once a stop is reached.
    Stop,
    /// With a limit price once a stop is reached.
    StopLimit,
}

/// Whose quote the fill met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Liquidity {
    /// Our resting order was hit.
    Maker,
    /// We took a resting order.
    Taker,
    /// In an auction.
    Auction,
    /// Not said.
    Unknown,
}

/// An order or fill report. Key: portfolio. Ids chain it to its order and signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecReport {
    /// Who wrote it.
    pub source: SourceId,
    /// Per source, topic and partition, rising by one.
    pub sequence: i64,
    /// When it happened at the venue (FIX TransactTime).
    pub event_time: Time,
    /// The portfolio.
    pub portfolio: PortfolioId,
    /// The strategy.
    pub strategy: StrategyId,
    /// The symbol.
    pub symbol: Symbol,
    /// The order.
    pub order_id: OrderId,
    /// The execution; unique per order.
    pub execution_id: ExecutionId,
    /// The signal behind the order.
    pub signal_id: Option<SignalId>,
    /// The execution that a bust or a correction is about.
    pub reference_execution_id: Option<ExecutionId>,
    /// What is reported.
    pub exec_type: ExecType,
    /// Where the order stands.
    pub order_status: OrderStatus,
    /// Which way.
    pub side: Side,
    /// How the order was priced.
    pub order_type: OrderType,
    /// The order's quantity, units.
    pub order_quantity: Amount,
    /// The limit price, currency per unit.
    pub limit_price: Option<Amount>,
    /// Quantity of this fill, units; none unless a fill, bust or correction.
    pub last_quantity: Option<Amount>,
    /// Price of this fill, currency per unit; none unless a fill, bust or correction.
    pub last_price: Option<Amount>,
    /// Quantity filled so far, units.
    pub cumulative_quantity: Amount,
    /// Quantity still open, units.
    pub leaves_quantity: Amount,
    /// Average price of the fills so far, currency per unit.
    pub average_price: Option<Amount>,
    /// The currency of the prices.
    pub currency: Currency,
    /// Fee of this fill, in `fee_currency`; a rebate is negative.
    pub fee: Option<Amount>,
    /// The fee's currency; the price's if none.
    pub fee_currency: Option<Currency>,
    /// Whose quote the fill met.
    pub liquidity: Liquidity,
    /// The venue.
    pub venue: Option<Venue>,
    /// Mid price when the order arrived, currency per unit.
    pub arrival_price: Option<Amount>,
    /// When the strategy decided.
    pub decision_time: Option<Time>,
    /// When the order left us.
    pub sent_time: Option<Time>,
    /// When the venue acknowledged it.
    pub acknowledged_time: Option<Time>,
    /// Free text, such as the reason of a reject.
    pub text: Option<String>,
}
