//! What people are told about a spool.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Who is told. Called on the courier's thread or the caller's; must not block.
pub type Notify = Arc<dyn Fn(&Notice) + Send + Sync>;

/// Something that happened. `Display` is a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// An earlier run left records.
    Left {
        /// The spool's file.
        file: PathBuf,
        /// How many.
        records: u64,
    },
    /// Records go into the spool from now on.
    Began {
        /// The spool's file.
        file: PathBuf,
        /// Why not to the log.
        why: String,
    },
    /// It is still in use.
    Waiting {
        /// The spool's file.
        file: PathBuf,
        /// Records that wait.
        records: u64,
        /// Their bytes.
        bytes: u64,
        /// What the last attempt to carry them came to.
        why: String,
    },
    /// The spool is empty again.
    Drained {
        /// The spool's file.
        file: PathBuf,
        /// Records that were carried since it was in use.
        records: u64,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left { file, records } => {
                write!(
                    f,
                    "{records} records of an earlier run wait in the spool {}: they go first",
                    file.display()
                )
            }
            Self::Began { file, why } => {
                write!(f, "records go into the spool {} for now: {why}", file.display())
            }
            Self::Waiting { file, records, bytes, why } => {
                write!(f, "{records} records ({bytes} B) wait in the spool {}: {why}", file.display())
            }
            Self::Drained { file, records } => {
                write!(f, "the spool {} is empty again: {records} records went to the log", file.display())
            }
        }
    }
}
