use serde::{Deserialize, Serialize};

use crate::Time;
use crate::names::{SourceId, TopicName};

/// A source is alive, and how far it has written. Key: source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// Whose.
    pub source: SourceId,
    /// Per source and partition of `heartbeats.v1`, rising by one.
    pub sequence: i64,
    /// When it was alive.
    pub event_time: Time,
    /// How far it has written, per topic and partition.
    pub progress: Vec<Progress>,
}

/// How far a source has written one partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: i32,
    /// The last sequence number it wrote there; −1 if it wrote none.
    pub last_sequence: i64,
    /// It writes nothing more there with an event time before this.
    pub complete_to: Time,
    /// It writes nothing more there at all: the end of a tape.
    pub closed: bool,
}
