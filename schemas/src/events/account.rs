use serde::{Deserialize, Serialize};

use crate::names::{Currency, PortfolioId, SourceId};
use crate::{Amount, Time};

/// A portfolio's money. Key: portfolio.
///
/// Deposits and withdrawals are totals since the account was opened, so that a lost record loses no flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Who wrote it.
    pub source: SourceId,
    /// Per source, topic and partition, rising by one.
    pub sequence: i64,
    /// When it was so.
    pub event_time: Time,
    /// The portfolio.
    pub portfolio: PortfolioId,
    /// The account's currency.
    pub currency: Currency,
    /// Cash, in the currency.
    pub cash: Amount,
    /// Cash and the value of the positions at the writer's marks, in the currency.
    pub equity: Amount,
    /// All deposits so far, in the currency.
    pub deposits: Amount,
    /// All withdrawals so far, in the currency; positive.
    pub withdrawals: Amount,
}
