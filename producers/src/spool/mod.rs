//! A bounded spool on disk: what a producer hands over while the log is away waits in a file, in order.
//!
//! A [`Courier`] takes rounds. While the log answers and nothing waits, a round goes straight to the log, in one
//! transaction. When that fails or takes too long, and for as long as anything waits, rounds go into the spool: a
//! small embedded log in one file, fsynced before the call returns. A thread carries what waits to the log, in order,
//! several rounds to a transaction; only when the spool is empty does anything new go straight again. Records keep
//! their partition and the time at which they were handed over.
//!
//! Nothing is written twice. Before each attempt the spool notes which records it is of, where the first of them
//! will stand at the earliest, and a mark that it carries as a header ([`MARK`]). If its outcome is unknown, because
//! nobody answered or because the producer was killed, the transactional id is taken over, which ends whatever was
//! still open, and then the mark is looked for: it is there with all of the attempt, or nothing of it is.

mod attempt;
mod carrier;
mod courier;
mod file;
mod notice;
mod state;

use std::path::PathBuf;
use std::time::Duration;

use tapewatch_eventlog::edge::EdgeParameters;
use tapewatch_eventlog::{CommitError, LogError, TopicPartition};

pub use courier::{Courier, Taken};
pub use notice::{Notice, Notify};

/// The header of the first record of each attempt that a [`Courier`] makes.
pub const MARK: &str = "tapewatch.spool";

/// Where the spool is, how much it holds, and when the log is left alone.
#[derive(Clone, Debug, PartialEq)]
pub struct SpoolOptions {
    /// The folder; made if it is not there.
    pub dir: PathBuf,
    /// The producer's stable name, of `A–Z a–z 0–9 . _ -`: the file's name. One producer at a time has it.
    pub name: String,
    /// The transactional id on the log, where a newer producer of the same id ends an older one; if none, one of the
    /// spool's own. It is kept in the file from the beginning.
    pub id: Option<String>,
    /// Bytes of records that wait, at most: keys, values, headers, and 64 each.
    pub max_bytes: u64,
    /// The breaker between the producer and the log. No round waits longer than its `slow_call` for the log
    /// before the spool takes it.
    pub edge: EdgeParameters,
}

impl SpoolOptions {
    /// A spool of 256 MiB, with a breaker that suits Kafka.
    pub fn new(dir: impl Into<PathBuf>, name: &str) -> Self {
        let edge = EdgeParameters {
            window: Duration::from_secs(30),
            minimum_calls: 2,
            failure_rate: 0.5,
            slow_call: Duration::from_secs(2),
            slow_rate: 0.8,
            wait: Duration::from_secs(2),
            permitted: 1,
        };
        Self { dir: dir.into(), name: name.to_owned(), id: None, max_bytes: 256 << 20, edge }
    }
}

/// How many records went which way, since the courier was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolCounts {
    /// Records that wait in the spool now, those of earlier runs too.
    pub waiting: u64,
    /// Their bytes, as [`SpoolOptions::max_bytes`] counts them.
    pub waiting_bytes: u64,
    /// Records that went straight to the log.
    pub direct: u64,
    /// Records that the spool took.
    pub spooled: u64,
    /// Records that went from the spool to the log.
    pub drained: u64,
    /// Records that were refused: they are still the caller's.
    pub refused: u64,
}

/// Why records were refused. Nothing of them is in the spool then, nor on the log unless it says so.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SpoolError {
    /// It holds as much as it may.
    #[error(
        "the spool {file} is at its bound: {waiting} records wait in it for {log} ({bytes} of {max_bytes} B), and \
         {refused} more were refused, none of them taken. Bring the log back, or set producer.spool.max_bytes \
         higher, and send them again"
    )]
    Bound {
        /// The spool's file.
        file: PathBuf,
        /// The log that is away.
        log: String,
        /// Records in it.
        waiting: u64,
        /// Their bytes.
        bytes: u64,
        /// The bound.
        max_bytes: u64,
        /// Records that were refused.
        refused: usize,
    },
    /// The file cannot be written or read: a full disk, for one.
    #[error("the spool {file} took none of {refused} records: {source}. What it holds already stays in it")]
    File {
        /// The spool's file.
        file: PathBuf,
        /// Records that were refused.
        refused: usize,
        /// What the embedded log in it says.
        source: LogError,
    },
    /// The folder or the name will not do.
    #[error("no spool can be kept in {dir}: {why}")]
    Place {
        /// The folder.
        dir: PathBuf,
        /// Why not.
        why: String,
    },
    /// Another producer has it.
    #[error(
        "the spool {file} is in use by another producer: give each its own folder (producer.spool.dir), or wait \
         until that one has ended"
    )]
    InUse {
        /// The spool's file.
        file: PathBuf,
    },
    /// A record that no log of ours takes.
    #[error(
        "{at}: a record of {bytes} B; at most {most} B are taken, header and framing included. Make it smaller"
    )]
    TooLarge {
        /// Where it was to go.
        at: TopicPartition,
        /// Its size.
        bytes: usize,
        /// The bound.
        most: usize,
    },
    /// A record for a partition that is not there.
    #[error("there is no partition {at}: they are 0 to {}", partitions - 1)]
    NoPartition {
        /// Where it was to go.
        at: TopicPartition,
        /// How many there are.
        partitions: i32,
    },
    /// The log answered, and will not have the records, or nothing more of this producer.
    #[error("{log}: {records} records were not written: {source}")]
    Refused {
        /// The log's address.
        log: String,
        /// How many.
        records: usize,
        /// What it said.
        source: CommitError,
    },
    /// The log did not answer, and the spool could not take the records, so that nobody knows.
    #[error(
        "{log}: whether {records} records were written is unknown ({source}), and the spool could not take them: \
         {spool}. Read the log before sending them again"
    )]
    Unknown {
        /// The log's address.
        log: String,
        /// How many.
        records: usize,
        /// What happened on the way to the log.
        source: CommitError,
        /// Why the spool could not.
        spool: Box<SpoolError>,
    },
}
