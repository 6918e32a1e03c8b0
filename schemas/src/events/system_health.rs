use serde::{Deserialize, Serialize};

use super::Provenance;
use crate::names::TopicName;
use crate::{RecordId, Time};

/// How a component of the pipeline is. Key: component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemHealth {
    /// Where it came from.
    pub provenance: Provenance,
    /// Its id.
    pub id: RecordId,
    /// The writer's clock at the step that made it.
    pub event_time: Time,
    /// What it is about: `risk/3`, `risk/3/exec.reports.v1`, …
    pub component: String,
    /// What happened.
    pub kind: HealthKind,
    /// How the component is after it.
    pub status: HealthStatus,
    /// 0 (dead) to 100 (well); none where no score is kept.
    pub score: Option<f64>,
    /// The input topic it is about.
    pub topic: Option<TopicName>,
    /// The input partition it is about.
    pub input_partition: Option<i32>,
    /// The first offset it is about.
    pub offset: Option<i64>,
    /// How many records it is about.
    pub count: Option<i64>,
    /// For people.
    pub message: String,
}

/// What happened to a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthKind {
    /// A circuit breaker opened: its source is down.
    BreakerOpened,
    /// A circuit breaker closed again.
    BreakerClosed,
    /// A task stopped.
    TaskStopped,
    /// Records were dead-lettered.
    DeadLetters,
    /// Records came behind the frontier.
    Late,
    /// A periodic score.
    Score,
    /// Keys are held behind dead letters.
    HeldKeys,
}

/// How a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// Well.
    Ok,
    /// Works in part.
    Degraded,
    /// Does not work.
    Failed,
}
