use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::{TopicName, WorkerName};
use crate::{RecordId, Time};

/// Where a derived record came from. The first field of every derived schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The worker that made it.
    pub worker: WorkerName,
    /// The worker's task: the partition number of its co-partitioned inputs.
    pub partition: i32,
    /// The step in the task's merged sequence; the journal record that holds it has all input ranges.
    pub step: i64,
    /// The output's ordinal within its step.
    pub index: i32,
    /// What caused it: `topic/partition/offset` of a user's record, the id of a derived record, or
    /// `kind@time` of an injected event.
    pub cause: String,
    /// The configuration in force (BLAKE3, hex, first 16 digits).
    pub configuration: String,
    /// The code that made it.
    pub code: String,
    /// Age of the freshest input it rests on, microseconds; none if it rests on no input.
    pub freshest_age: Option<i64>,
    /// Age of the stalest input it rests on, microseconds; none if it rests on no input.
    pub stalest_age: Option<i64>,
}

/// What made a step happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A record that a user wrote.
    Record {
        /// Topic.
        topic: TopicName,
        /// Partition.
        partition: i32,
        /// Offset.
        offset: i64,
    },
    /// A record that another worker derived; its offset varies with the cut, its id does not.
    Derived(RecordId),
    /// An injected event.
    Injected {
        /// `tick`, `source_down`, `source_up`, `configuration`, …
        kind: &'static str,
        /// The instant it is stamped with.
        time: Time,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record { topic, partition, offset } => write!(f, "{topic}/{partition}/{offset}"),
            Self::Derived(id) => id.fmt(f),
            Self::Injected { kind, time } => write!(f, "{kind}@{}", time.micros()),
        }
    }
}
