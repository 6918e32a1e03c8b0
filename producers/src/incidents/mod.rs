//! The incident book: what is made to go wrong, when, what should be found, and by when.

mod judge;
mod kind;
mod market;
mod plan;
mod poison;
mod scene;
mod silence;
mod witness;

use serde::Serialize;
use tapewatch_schemas::events::Unknown;
use tapewatch_schemas::{PortfolioId, Symbol, Time, TopicName};

pub use judge::{Found, FoundAlert, Verdict};
pub use kind::Kind;
pub use market::Untold;
pub(crate) use plan::{Plan, Stage};
pub use silence::{Silence, Stopped, Untimely};
pub use witness::{Feed, Witness};

/// Every incident of a tape, in order of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct IncidentBook {
    /// The incidents.
    pub incidents: Vec<Incident>,
}

/// One incident.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Incident {
    /// Its id: its number in the book and its kind.
    pub id: String,
    /// What goes wrong.
    pub kind: Kind,
    /// When it begins, event time.
    pub time: Time,
    /// When its effects are over, event time.
    pub until: Time,
    /// The portfolio it happens to, if it is one.
    pub portfolio: Option<PortfolioId>,
    /// The symbol it is about, if it is one.
    pub symbol: Option<Symbol>,
    /// The topic whose records are wrong.
    pub topic: TopicName,
    /// The partition of the topic.
    pub partition: i32,
    /// The worker whose task it is to find it; none: no monitor yet.
    pub monitor: Option<&'static str>,
    /// What happened, for people.
    pub what: String,
    /// What should be found, for people.
    pub should_find: String,
    /// What must be found, each of them; empty while there is no monitor.
    pub expected: Vec<Expectation>,
    /// What may be found beside it, and is no false alarm.
    pub also_expected: Vec<Expectation>,
}

/// An alert that should, or may, fire.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Expectation {
    /// What it is about.
    pub about: About,
    /// What it says.
    pub says: Says,
    /// Not before this, event time.
    pub from: Time,
    /// Not after this, event time.
    pub by: Time,
}

/// What an alert is about.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// A portfolio.
    Portfolio(PortfolioId),
    /// Any of these portfolios: those whose records are in the partition.
    AnyOf(Vec<PortfolioId>),
    /// What is above the portfolio: a desk, the firm.
    Above,
    /// A worker's reading of a partition: `WORKER/PARTITION` or `WORKER/PARTITION/TOPIC`.
    Component {
        /// The topic.
        topic: TopicName,
        /// The task, which has the partition's number (modulo the tasks, for a broadcast topic).
        partition: i32,
    },
}

/// What an alert says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// A limit (by its measure) is over its soft bound.
    Warning(&'static str),
    /// A limit (by its measure) is over its hard bound.
    Breached(&'static str),
    /// Any limit or measure is unknown, for this reason.
    Unknown(Unknown),
    /// This kind of health event: `dead_letters`, `breaker_opened`, `late`; or that trading is restricted,
    /// `trading_restricted`, that nobody has acknowledged that in time, `halt_unacknowledged`, or that it goes on,
    /// `halt_broken`.
    Health(&'static str),
}
