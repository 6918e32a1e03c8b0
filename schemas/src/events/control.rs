use serde::{Deserialize, Serialize};

use super::Provenance;
use crate::names::{Scope, SourceId};
use crate::{RecordId, Time};

/// What trading is allowed to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TradingLevel {
    /// Everything.
    #[default]
    Normal,
    /// Only what makes a position smaller.
    ReduceOnly,
    /// Nothing.
    Halt,
}

impl TradingLevel {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::ReduceOnly => "reduce_only",
            Self::Halt => "halt",
        }
    }
}

/// What trading in one scope is allowed to do, and why. Key: scope.
///
/// A subscriber reads the topic in full and obeys the `level` of the last record of every scope it is under.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Where it came from.
    pub provenance: Provenance,
    /// Its id.
    pub id: RecordId,
    /// The writer's clock at the step that made it.
    pub event_time: Time,
    /// What it is about.
    pub scope: Scope,
    /// What happened.
    pub action: ControlAction,
    /// What is in force from now on.
    pub level: TradingLevel,
    /// What was in force before.
    pub previous: TradingLevel,
    /// The halt that acknowledgements and resumes name; none if there is none.
    pub halt: Option<RecordId>,
    /// When `level` came into force.
    pub since: Time,
    /// The person or system that asked for the level in force; none if a limit called for it.
    pub who: Option<String>,
    /// The limit that called for it; none if someone asked for it.
    pub limit: Option<String>,
    /// Why the level is in force.
    pub reason: String,
    /// Who acknowledged the halt; none if nobody has.
    pub acknowledged_by: Option<String>,
    /// Whose request was refused; none unless one was.
    pub refused: Option<String>,
    /// Why it was refused; none unless one was.
    pub problem: Option<String>,
}

/// What happened to a scope's level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlAction {
    /// Less is allowed.
    Raised,
    /// More is allowed.
    Lowered,
    /// A trading system has said that it obeys.
    Acknowledged,
    /// A request was not met: nothing changed.
    Refused,
}

/// Someone asks for a level, or says that it obeys one. Key: scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlRequest {
    /// Who wrote it.
    pub source: SourceId,
    /// Per source, topic and partition, rising by one.
    pub sequence: i64,
    /// When it was asked.
    pub event_time: Time,
    /// What it is about.
    pub scope: Scope,
    /// What is asked.
    pub request: RequestKind,
    /// The halt that is meant: an acknowledgement must name it; another request that names it is refused if it is no
    /// longer the one in force.
    pub halt: Option<RecordId>,
    /// The person or system that asks.
    pub who: String,
    /// Why.
    pub reason: String,
    /// True if it is known, and accepted, that a limit still calls for the level that is to be left.
    pub despite_breach: bool,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// To allow nothing.
    Halt,
    /// To allow only what makes a position smaller, no more than that.
    ReduceOnly,
    /// To allow what makes a position smaller, after a halt.
    ResumeReduceOnly,
    /// To allow everything.
    Resume,
    /// Nothing: a trading system says that it obeys.
    Acknowledge,
}
