//! What a check of journals finds.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use tapewatch_schemas::{Time, WorkerName};

/// A journal: worker and partition.
pub(crate) type Place = (WorkerName, i32);

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Records are missing before one that is there.
    Removed,
    /// A record is not the one that was written.
    Changed,
    /// A record stands behind one that came later.
    Reordered,
    /// A record stands twice.
    Doubled,
    /// Records are missing at the end, which a checkpoint knows of.
    CutOff,
    /// A checkpoint is not signed by the key that it names, or that key is not ours.
    NotSigned,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Reordered => "reordered",
            Self::Doubled => "doubled",
            Self::CutOff => "cut off",
            Self::NotSigned => "not signed",
        })
    }
}

/// One thing that is wrong, with its place.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    pub(crate) worker: WorkerName,
    /// None for what is about all of a worker's.
    pub(crate) partition: Option<i32>,
    /// The first sequence number that it is about.
    pub(crate) first: Option<i64>,
    /// The last.
    pub(crate) last: Option<i64>,
    /// What was found, and where.
    pub(crate) what: String,
}

/// What was found of one journal.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Journal {
    pub(crate) worker: WorkerName,
    pub(crate) partition: i32,
    /// Records that are there.
    pub(crate) records: u64,
    /// The first and the last of them.
    pub(crate) first: Option<i64>,
    pub(crate) last: Option<i64>,
    /// The last record's hash, hex.
    pub(crate) hash: String,
    /// Up to here a checkpoint vouches for it, and when that was signed.
    pub(crate) signed: Option<(i64, Time)>,
    /// Up to here a checkpoint says that it went, and when that was signed: farther than `signed` if what is there is
    /// not what was signed.
    pub(crate) named: Option<(i64, Time)>,
}

/// What a check came to.
pub(crate) struct Checked {
    pub(crate) journals: Vec<Journal>,
    pub(crate) findings: Vec<Finding>,
    /// Findings beyond those that are told.
    pub(crate) more: u64,
    /// Journals that no checkpoint by one of the keys covers; empty if no key was named.
    pub(crate) uncovered: Vec<Place>,
    /// Journals that checkpoints know of, and that the export says it leaves out.
    pub(crate) left_out: BTreeSet<Place>,
    /// The keys that signed.
    pub(crate) keys: BTreeSet<String>,
}

/// Which journals are looked at; all, as it is by default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// Of this worker alone.
    pub(crate) worker: Option<String>,
    /// Of these partitions alone; of all if there are none.
    pub(crate) partitions: Vec<i32>,
}

impl Selection {
    /// True if it is looked at.
    pub(crate) fn has(&self, worker: &str, partition: i32) -> bool {
        self.worker.as_deref().is_none_or(|only| only == worker)
            && (self.partitions.is_empty() || self.partitions.contains(&partition))
    }
}
