//! Why dead letters were not sent back.

use tapewatch_eventlog::{CommitError, LogError, TopicPartition};
use tapewatch_schemas::TopicName;

use crate::count::counted;

/// Why a run ended.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// There is no such partition.
    #[error("{topic}.dlq has no partition {partition}: they are 0 to {}", count - 1)]
    NoPartition {
        /// The source topic.
        topic: TopicName,
        /// What was asked for.
        partition: i32,
        /// How many there are.
        count: i32,
    },
    /// More keys have letters that are not sent than can be kept in mind.
    #[error(
        "{topic}.dlq/{partition}: more than {most} keys have letters that are not sent and that the rest of their keys \
         wait for: name a key (--key), or choose those letters too (a wider filter, more --max-attempts)"
    )]
    TooManyKeys {
        /// The source topic.
        topic: TopicName,
        /// The letters' partition.
        partition: i32,
        /// How many may be.
        most: usize,
    },
    /// The audit journal is not as it was written.
    #[error(
        "{at} offset {offset}: {why}. What was sent back before cannot be told without it: restore the log from a copy, or see what changed it"
    )]
    Ledger {
        /// Where.
        at: TopicPartition,
        /// The record.
        offset: i64,
        /// What is wrong with it.
        why: String,
    },
    /// The worker has not taken what was sent back before.
    #[error(
        "{worker} has not taken {} of {at} yet, and what they lead to is not known: run this again \
         once it has (`tapewatch status` shows where it stands)",
        counted(*records, "record")
    )]
    UnderWay {
        /// Where they wait.
        at: TopicPartition,
        /// How many.
        records: u64,
        /// The worker.
        worker: String,
    },
    /// A transaction was not acknowledged.
    #[error(
        "{} for {topic}.redrive/{partition}: {source}. What was sent before stands; run the same again",
        counted(*records as u64, "record")
    )]
    Commit {
        /// The source topic.
        topic: TopicName,
        /// The partition.
        partition: i32,
        /// How many records it had.
        records: usize,
        /// What the log says.
        source: CommitError,
    },
}
