//! Why a position was not moved.

use std::time::Duration;

use tapewatch_eventlog::{CommitError, LogError, TopicPartition};

use crate::feed::FeedError;
use crate::restore::RestoreError;

/// Why a position was not moved. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum SeekError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A task cannot be brought back.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// What is to be skipped cannot be read, so it cannot be counted.
    #[error("what is to be skipped must be counted, and cannot be read: {0}")]
    Feed(#[from] FeedError),
    /// It reads no such partition.
    #[error("{worker} has no input {at}: its inputs are {inputs}, each with {tasks} partitions from 0")]
    NoInput {
        /// The worker.
        worker: String,
        /// What was asked for.
        at: TopicPartition,
        /// What it reads, by task.
        inputs: String,
        /// The number of tasks.
        tasks: i32,
    },
    /// Every task has a position of its own there.
    #[error(
        "{at} is read in full by every task of {worker}, each from a position of its own: it cannot be moved with seek, only the inputs that the tasks share out can"
    )]
    Broadcast {
        /// The worker.
        worker: String,
        /// What was asked for.
        at: TopicPartition,
    },
    /// Nothing that replay verifies with the worker's configuration may hang on another one.
    #[error(
        "{worker}/{partition}: the journal was last written under {theirs}, and here it is {own}: a jump would open a new epoch in it, which does not verify with the worker's. Seek with the settings and the release that the worker runs with (--config FILE, --env NAME; `tapewatch config version` tells settings apart), or say --new-epoch if it goes on with these"
    )]
    Foreign {
        /// The worker.
        worker: String,
        /// The task.
        partition: i32,
        /// What the journal was written under.
        theirs: String,
        /// What is at hand.
        own: String,
    },
    /// Outputs would be doubled.
    #[error(
        "{at}: {worker} stands at offset {position}, and {to} is before it: what was taken already would be taken twice and its outputs doubled. Give an offset from {position} on; {position} itself moves nothing and sets the group's offsets to the journal's positions"
    )]
    Backwards {
        /// The worker.
        worker: String,
        /// The partition.
        at: TopicPartition,
        /// The journal's position.
        position: i64,
        /// What was asked for.
        to: i64,
    },
    /// There is nothing yet.
    #[error("{at}: offset {to} is past the partition's end {end}: what is not written yet cannot be skipped")]
    Beyond {
        /// The partition.
        at: TopicPartition,
        /// What was asked for.
        to: i64,
        /// One past the last offset.
        end: i64,
    },
    /// Others are in the group.
    #[error(
        "the group `{group}` gave {owned} of its {tasks} tasks within {waited:?}: another member holds the rest. Stop every {worker} worker (`tapewatch up` and `tapewatch-{worker}` processes) on this log and try again; one that was killed keeps its tasks for its session of {session:?}"
    )]
    Held {
        /// The worker.
        worker: String,
        /// The group.
        group: String,
        /// Tasks that came.
        owned: usize,
        /// All tasks.
        tasks: i32,
        /// How long it was waited for.
        waited: Duration,
        /// How long a silent member keeps its tasks.
        session: Duration,
    },
    /// Someone joined the group meanwhile.
    #[error(
        "another member joined the group `{group}` meanwhile: stop every {worker} worker, then try again"
    )]
    Joined {
        /// The worker.
        worker: String,
        /// The group.
        group: String,
    },
    /// The transaction was not acknowledged.
    #[error("{at}: the jump was not written: {why}")]
    Commit {
        /// The partition.
        at: TopicPartition,
        /// Why.
        why: CommitError,
    },
}
