//! What can go wrong between us and a log.

use crate::TopicPartition;

/// A failure of the log, with the place it is about and what to do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// `--log` is not a log's address.
    #[error("`{url}` is not a log: {why}. Write sqlite:PATH or kafka:HOST:PORT[,HOST:PORT…]")]
    Address {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The log does not answer.
    #[error("the log {log} does not answer: {why}")]
    Unreachable {
        /// The log's address.
        log: String,
        /// What was tried and what came back.
        why: String,
    },
    /// What is at the address is no log, or none that can be used from here.
    #[error("{log} cannot be used: {why}; expected {expected}. {advice}")]
    Unusable {
        /// The log's address.
        log: String,
        /// What is there.
        why: String,
        /// What should be.
        expected: &'static str,
        /// What to do.
        advice: String,
    },
    /// A topic is not there.
    #[error("the topic {topic} is not on {log}: create it with `tapewatch topics create --log {log}`")]
    NoTopic {
        /// The topic.
        topic: String,
        /// The log's address.
        log: String,
    },
    /// A partition has no such offset any more, or not yet.
    #[error("{at}: offset {offset} is out of range, the log holds {earliest} to {end}")]
    OutOfRange {
        /// The partition.
        at: TopicPartition,
        /// The offset asked for.
        offset: i64,
        /// The first offset that is there.
        earliest: i64,
        /// One past the last.
        end: i64,
    },
    /// The disk, or a bound on the file, is full. Nothing of the transaction was written.
    #[error(
        "no space left for {log}: {why}. Nothing of the last transaction was written; free space and start again"
    )]
    Full {
        /// The log's address.
        log: String,
        /// Which bound was met.
        why: String,
    },
    /// The schema registry does not answer, or refuses our schemas.
    #[error("{why}")]
    Registry {
        /// Everything that it says or that happened.
        why: String,
    },
    /// The embedded file was written by a newer release.
    #[error("{log} has format {found}, this release reads up to {known}: use a newer tapewatch")]
    Newer {
        /// The log's address.
        log: String,
        /// Its format.
        found: i64,
        /// The newest that is known here.
        known: i64,
    },
    /// Another writer kept the file longer than the busy timeout.
    #[error(
        "{log} is busy: another process has been writing for {waited_ms} ms. Try again, or see who holds it"
    )]
    Busy {
        /// The log's address.
        log: String,
        /// How long it was waited for, milliseconds.
        waited_ms: u64,
    },
    /// The group has given this member's place to another membership of the same name, which is alive.
    #[error(
        "{log}: another membership has taken this one's place: {why}. Is another process running under the same name? \
         Give each its own: runtime.instance, or --instance"
    )]
    Evicted {
        /// The log's address.
        log: String,
        /// The group's words.
        why: String,
    },
    /// The group has given this member's place to a request of its own whose answer was lost; that one has run out.
    #[error("{log}: the membership was lost to a request to join that was never answered: {why}")]
    Orphaned {
        /// The log's address.
        log: String,
        /// The group's words.
        why: String,
    },
    /// Anything else the backend says.
    #[error("{log}: {doing} failed: {why}")]
    Backend {
        /// The log's address.
        log: String,
        /// What was being done, with the topic and partition where there is one.
        doing: String,
        /// The backend's words.
        why: String,
    },
}

/// Why a transaction was not acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// Nothing of it was written, and the same bytes may be sent again.
    #[error("the transaction was aborted: {0}")]
    Aborted(LogError),
    /// It may or may not have been written: re-initialise, then read the journal.
    #[error("the outcome of the transaction is unknown: {0}")]
    Unknown(LogError),
    /// Another member owns a partition, or another producer our id: this writer must not write again
    /// before the worker has left and rejoined its group.
    #[error("fenced: {0}")]
    Fenced(LogError),
    /// It can never be written as it is: a full disk, a record that is too large, a bad target.
    #[error("the transaction was refused: {0}")]
    Refused(LogError),
}
