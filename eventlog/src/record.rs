//! What is addressed and what is written.

use std::fmt;

use bytes::Bytes;
use tapewatch_schemas::{Time, TopicName};

/// One partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicName,
    /// The partition's number.
    pub partition: i32,
}

impl TopicPartition {
    /// Partition `partition` of `topic`.
    pub fn new(topic: impl Into<TopicName>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// A record to be written. The partition is always given: a key's partition is the writer's to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutRecord {
    /// Where it goes.
    pub target: TopicPartition,
    /// Publication time; the log's own clock if none.
    pub timestamp: Option<Time>,
    /// The key's bytes.
    pub key: Option<Bytes>,
    /// The value's bytes; none is a tombstone in a compacted topic.
    pub value: Option<Bytes>,
    /// Headers, in order; names may repeat.
    pub headers: Vec<(String, Bytes)>,
}

/// What one transaction writes: all of it or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Records, in the order in which they are to stand in their partitions.
    pub records: Vec<OutRecord>,
    /// The group's positions after this round: the next offset to read, a line for every partition of
    /// every task that the round writes for, also where it did not move. Empty only for writers that
    /// consume nothing.
    pub offsets: Vec<(TopicPartition, i64)>,
}
