//! Why a worker stops.

use tapewatch_eventlog::{CommitError, LogError};

use crate::restore::RestoreError;
use crate::topics::TopicsError;

/// Why a worker stopped.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A task cannot be brought back.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// A round can never be written as it is.
    #[error("{worker}: a round cannot be written ({first}): {why}")]
    Refused {
        /// The worker.
        worker: String,
        /// The first input of the round: topic, partition, offset.
        first: String,
        /// What the log says.
        why: CommitError,
    },
    /// A round failed three times in a row in the same way, or many times in different ones.
    #[error("{worker}: a round failed {times} times in a row ({first}): {why}")]
    Failing {
        /// The worker.
        worker: String,
        /// How often.
        times: u32,
        /// The first input of the round: topic, partition, offset.
        first: String,
        /// The last failure.
        why: CommitError,
    },
    /// Another instance took over and did not let go.
    #[error("{worker}: fenced: {why}")]
    Fenced {
        /// The worker.
        worker: String,
        /// What the log says.
        why: CommitError,
    },
    /// The log's topics are not as they must be.
    #[error(transparent)]
    Topics(#[from] TopicsError),
    /// The admin endpoint cannot listen.
    #[error(
        "{worker}: the admin endpoint cannot listen on {address}: {why}. Set runtime.admin to another address; port 0 takes a free one"
    )]
    Admin {
        /// The worker.
        worker: String,
        /// The address.
        address: String,
        /// The system's words.
        why: std::io::Error,
    },
    /// The system refuses a thread.
    #[error("{worker}: cannot start a thread: {why}")]
    Thread {
        /// The worker.
        worker: String,
        /// The system's words.
        why: std::io::Error,
    },
}
