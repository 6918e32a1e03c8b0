//! Topics that are named after a worker or after another topic.

use super::{Key, Partitions, Retention, Topic, Worker, named, topic, worker};
use crate::TopicName;

/// `journal.<worker>.v1`: one record a task and round, hash-chained. Task p writes to partition p.
pub fn journal_topic(worker: &str) -> TopicName {
    named(format!("journal.{worker}.v1"))
}

/// `anchors.<worker>.v1`: full states that a replay can start from.
pub fn anchors_topic(worker: &str) -> TopicName {
    named(format!("anchors.{worker}.v1"))
}

/// `state.<worker>.v1`: compacted snapshots, a cache of the journal.
pub fn state_topic(worker: &str) -> TopicName {
    named(format!("state.{worker}.v1"))
}

/// `<topic>.dlq`: dead letters, original bytes, same partition number as the source. What comes back and
/// fails again goes where it came from.
pub fn dlq_topic(topic: &str) -> TopicName {
    named(format!("{}.dlq", source_of(topic)))
}

/// True of what people write one by one: bad records there must not keep a good one, a halt or its end, from being
/// read, so no breaker opens.
pub fn is_by_hand(topic: &str) -> bool {
    source_of(topic) == super::CONTROL_REQUESTS
}

/// `<topic>.redrive`: dead letters sent back, read by the worker that their header names.
pub fn redrive_topic(topic: &str) -> TopicName {
    named(format!("{}{REDRIVE}", source_of(topic)))
}

const REDRIVE: &str = ".redrive";

/// True of `<topic>.redrive`.
pub fn is_redrive(topic: &str) -> bool {
    topic.ends_with(REDRIVE)
}

/// `<topic>` of `<topic>.redrive`; any other name is its own.
pub fn source_of(topic: &str) -> &str {
    topic.strip_suffix(REDRIVE).unwrap_or(topic)
}

/// What a topic's name says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern<'a> {
    /// A topic with a fixed name.
    Fixed(&'static Topic),
    /// A worker's journal.
    Journal(&'a str),
    /// A worker's anchors.
    Anchors(&'a str),
    /// A worker's snapshots.
    State(&'a str),
    /// The dead letters of a topic.
    DeadLetters(&'static Topic),
    /// The redriven dead letters of a topic.
    Redrive(&'static Topic),
}

impl<'a> Pattern<'a> {
    /// Reads a topic's name; none if it is not in the catalogue.
    pub fn of(name: &'a str) -> Option<Self> {
        if let Some(found) = topic(name) {
            return Some(Self::Fixed(found));
        }
        if let Some(source) = name.strip_suffix(".dlq") {
            return topic(source).map(Self::DeadLetters);
        }
        if let Some(source) = name.strip_suffix(REDRIVE) {
            return topic(source).map(Self::Redrive);
        }
        let (family, worker) = name.strip_suffix(".v1")?.split_once('.')?;
        if worker.is_empty() || worker.contains('.') {
            return None;
        }
        match family {
            "journal" => Some(Self::Journal(worker)),
            "anchors" => Some(Self::Anchors(worker)),
            "state" => Some(Self::State(worker)),
            _ => None,
        }
    }

    /// What its keys are.
    pub const fn key(&self) -> Key {
        match self {
            Self::Fixed(topic) => topic.key,
            Self::Journal(_) | Self::Anchors(_) => Key::None,
            Self::State(_) => Key::SlotChunk,
            Self::DeadLetters(_) | Self::Redrive(_) => Key::AsSource,
        }
    }

    /// How many partitions it has.
    pub fn partitions(&self) -> Partitions {
        match self {
            Self::Fixed(topic) | Self::DeadLetters(topic) | Self::Redrive(topic) => topic.partitions,
            Self::Journal(name) | Self::Anchors(name) | Self::State(name) => {
                worker(name).map_or(Partitions::AsInputs, Worker::tasks)
            }
        }
    }

    /// How long its records are kept.
    pub const fn retention(&self) -> Retention {
        match self {
            Self::Fixed(topic) => topic.retention,
            Self::Journal(_) | Self::Anchors(_) => Retention::FiveYears,
            Self::State(_) => Retention::Forever,
            Self::DeadLetters(_) | Self::Redrive(_) => Retention::Configured,
        }
    }

    /// True if only the last record of each key is kept.
    pub const fn compacted(&self) -> bool {
        match self {
            Self::Fixed(topic) => topic.compacted,
            Self::State(_) => true,
            _ => false,
        }
    }
}
