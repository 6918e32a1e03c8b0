//! Newtype identifiers: text from users, kept as it came, inline up to 23 bytes.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub SmolStr);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(SmolStr::new(text))
            }
        }
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(SmolStr::from(text))
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.0.as_str()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// What is traded, as the user names it.
    Symbol
);
name!(
    /// A portfolio's id; holds no colon.
    PortfolioId
);
name!(
    /// What a figure or a control is about: a portfolio's bare id, or `strategy:ID`, `desk:ID`, `firm:ID`.
    Scope
);
name!(
    /// A strategy's id.
    StrategyId
);
name!(
    /// Who wrote a record: sequence numbers count per source, topic and partition.
    SourceId
);
/// The source under whose name a task of a worker writes: its heartbeats, and what counts in steps of its sequence.
pub fn worker_source(worker: &str, partition: i32) -> SourceId {
    SourceId(smol_str::format_smolstr!("tapewatch.{worker}.{partition}"))
}

name!(
    /// An order's id, as the trading system gave it.
    OrderId
);
name!(
    /// An execution's id, unique per order.
    ExecutionId
);
name!(
    /// A signal's id.
    SignalId
);
name!(
    /// A currency's code (ISO 4217 or the venue's own, such as `USDT`).
    Currency
);
name!(
    /// A trading venue.
    Venue
);
name!(
    /// A topic's name.
    TopicName
);
name!(
    /// A worker's name: `risk`, `alerting`, …
    WorkerName
);
