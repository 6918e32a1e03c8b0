//! Exit codes of every tapewatch program: what a script may rely on.

use std::io;

use tapewatch_eventlog::{CommitError, LogError};

use crate::WorkerError;
use crate::feed::FeedError;
use crate::redrive::RedriveError;
use crate::restore::RestoreError;
use crate::seek::SeekError;
use crate::topics::TopicsError;

/// All went well.
pub const OK: u8 = 0;
/// The command did its work, and what it checked is not as it should be.
pub const FAILED: u8 = 1;
/// The command line is wrong: an unknown flag, a bad value, an address that is no log's.
pub const USAGE: u8 = 2;
/// The configuration is wrong; every fault was listed.
pub const CONFIGURATION: u8 = 3;
/// The log is not there, does not answer, is busy, or is of a newer release; or the schema registry is of no use.
pub const LOG: u8 = 4;
/// What came in is wrong: a missing file, a record that does not fit its schema, a topic that there is not.
pub const INPUT: u8 = 5;
/// No space left; nothing of the last transaction was written.
pub const FULL: u8 = 6;
/// What was to be verified cannot be: the reason and the range were named.
pub const NOT_VERIFIABLE: u8 = 7;
/// The log's topics are not as they should be: one is missing or has another partition count.
pub const TOPICS: u8 = 8;
/// Ended by Ctrl-C (128 + SIGINT) before the work was done.
pub const INTERRUPTED: u8 = 130;

/// The table that `--help` ends with.
pub const TABLE: &str = "\
Exit codes:
  0  all went well                      5  bad input: a file, a record, a topic's name
  1  what was checked is not as it      6  no space left; nothing half written
     should be                          7  cannot be verified; the reason is named
  2  wrong command line                 8  a topic is missing on the log, or has
  3  wrong configuration                   another partition count
  4  the log, or the schema registry, 130  ended by Ctrl-C before it was done
     cannot be used";

/// The exit code of a failure of the log.
pub fn of_log(error: &LogError) -> u8 {
    match error {
        LogError::Address { .. } => USAGE,
        LogError::NoTopic { .. } => TOPICS,
        LogError::OutOfRange { .. } => INPUT,
        LogError::Full { .. } => FULL,
        LogError::Unreachable { .. }
        | LogError::Unusable { .. }
        | LogError::Newer { .. }
        | LogError::Busy { .. }
        | LogError::Registry { .. }
        | LogError::Evicted { .. }
        | LogError::Orphaned { .. }
        | LogError::Backend { .. } => LOG,
    }
}

/// The exit code of a redrive that ended early.
pub fn of_redrive(error: &RedriveError) -> u8 {
    match error {
        RedriveError::Log(error) => of_log(error),
        RedriveError::Commit { source, .. } => of_commit(source),
        RedriveError::NoPartition { .. }
        | RedriveError::UnderWay { .. }
        | RedriveError::TooManyKeys { .. } => INPUT,
        RedriveError::Ledger { .. } => FAILED,
    }
}

/// The exit code of a transaction that was not acknowledged.
pub fn of_commit(error: &CommitError) -> u8 {
    match error {
        CommitError::Aborted(error) | CommitError::Unknown(error) | CommitError::Refused(error) => {
            of_log(error)
        }
        CommitError::Fenced(_) => LOG,
    }
}

/// The exit code of topics that cannot be worked with.
pub fn of_topics(error: &TopicsError) -> u8 {
    match error {
        TopicsError::Log(error) => of_log(error),
        TopicsError::Counts { .. } | TopicsError::Unequal { .. } | TopicsError::Changed { .. } => TOPICS,
    }
}

/// The exit code of a failure to read or write a file or stream.
pub fn of_io(error: &io::Error) -> u8 {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge | io::ErrorKind::QuotaExceeded => FULL,
        _ => FAILED,
    }
}

/// The exit code of a worker that stopped.
pub fn of_worker(error: &WorkerError) -> u8 {
    match error {
        WorkerError::Log(error) | WorkerError::Restore(RestoreError::Log(error)) => of_log(error),
        WorkerError::Restore(RestoreError::Cut { .. }) => TOPICS,
        // Restore: the journal, or what it speaks of, was changed.
        WorkerError::Restore(_) | WorkerError::Thread { .. } => FAILED,
        WorkerError::Refused { why, .. }
        | WorkerError::Failing { why, .. }
        | WorkerError::Fenced { why, .. } => of_commit(why),
        WorkerError::Topics(error) => of_topics(error),
        WorkerError::Admin { .. } => CONFIGURATION,
    }
}

/// The exit code of a range that cannot be read again.
pub fn of_feed(error: &FeedError) -> u8 {
    match error {
        FeedError::Log(error) => of_log(error),
        FeedError::Gone { .. } | FeedError::Short { .. } => INPUT,
        FeedError::Silent { .. } | FeedError::Registry { .. } => LOG,
    }
}

/// The exit code of a position that was not moved.
pub fn of_seek(error: &SeekError) -> u8 {
    match error {
        SeekError::Log(error) | SeekError::Restore(RestoreError::Log(error)) => of_log(error),
        SeekError::Feed(error) => of_feed(error),
        SeekError::Restore(RestoreError::Cut { .. }) => TOPICS,
        SeekError::Restore(_) => FAILED,
        SeekError::Foreign { .. } => NOT_VERIFIABLE,
        SeekError::NoInput { .. }
        | SeekError::Broadcast { .. }
        | SeekError::Backwards { .. }
        | SeekError::Beyond { .. } => INPUT,
        SeekError::Held { .. } | SeekError::Joined { .. } => LOG,
        SeekError::Commit { why, .. } => of_commit(why),
    }
}
