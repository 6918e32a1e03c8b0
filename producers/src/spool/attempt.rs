//! What the spool notes of an attempt to write to the log.

use serde::{Deserialize, Serialize};
use tapewatch_eventlog::TopicPartition;

/// An attempt: these records of the spool, and where on the log its mark would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempt {
    /// One past the last record of the spool that it is of. It begins at the position it is noted with.
    pub(super) until: i64,
    /// The value of the header [`super::MARK`] of its first record; no other attempt has it.
    pub(super) mark: String,
    topic: String,
    partition: i32,
    /// The first record stands at this offset or after it.
    pub(super) from: i64,
}

impl Attempt {
    pub(super) fn new(until: i64, mark: String, at: &TopicPartition, from: i64) -> Self {
        Self { until, mark, topic: at.topic.to_string(), partition: at.partition, from }
    }

    /// Where its first record goes.
    pub(super) fn at(&self) -> TopicPartition {
        TopicPartition::new(self.topic.as_str(), self.partition)
    }
}

/// How far the spool was carried, as its file has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Everything before this record of the spool is on the log.
    pub(super) next: i64,
    /// Whether what comes next is on the log too is to be found out.
    pub(super) attempt: Option<Attempt>,
    /// The transactional id under which it is carried; none in a spool that was just made.
    pub(super) id: Option<String>,
}
