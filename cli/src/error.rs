//! What ends a command early.

use std::io;

use tapewatch_config::ConfigErrors;
use tapewatch_consumers::WorkerError;
use tapewatch_consumers::redrive::RedriveError;
use tapewatch_consumers::replay::rebuild::RebuildError;
use tapewatch_consumers::replay::what_if::WhatIfError;
use tapewatch_consumers::seek::SeekError;
use tapewatch_eventlog::{CommitError, LogError};

use tapewatch_producers::SliceError;
use tapewatch_producers::spool::SpoolError;

use crate::exit;

/// Why a command did not do its work. Shown as one paragraph.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line is wrong in a way that the parser cannot see.
    #[error("{0}")]
    Usage(String),
    /// The settings are wrong.
    #[error("the configuration is wrong:\n{0}")]
    Config(#[from] ConfigErrors),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A worker.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// A position was not moved.
    #[error(transparent)]
    Seek(#[from] SeekError),
    /// A tape was not replayed under another configuration.
    #[error(transparent)]
    WhatIf(WhatIfError),
    /// A log was not rebuilt.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// Dead letters were not sent back.
    #[error(transparent)]
    Redrive(#[from] RedriveError),
    /// A transaction was not acknowledged.
    #[error("{doing}: {source}")]
    Commit {
        /// What was being written, and how much of it was acknowledged before.
        doing: String,
        /// Why.
        source: CommitError,
    },
    /// Neither the log nor the spool took records.
    #[error("{doing}{source}")]
    Spool {
        /// How much was taken before; nothing, or a sentence's beginning.
        doing: String,
        /// Why.
        source: SpoolError,
    },
    /// A worker's admin endpoint does not answer.
    #[error("{0}")]
    Away(String),
    /// What came in is wrong.
    #[error("{0}")]
    Input(String),
    /// The log's topics are not as they should be.
    #[error("{0}")]
    Topics(String),
    /// What was checked is not as it should be.
    #[error("{0}")]
    Failed(String),
    /// What was to be verified cannot be.
    #[error("{0}")]
    NotVerifiable(String),
    /// Ctrl-C.
    #[error("interrupted: {0}")]
    Interrupted(String),
    /// The temporary file in which records wait for the last to be checked.
    #[error(
        "the temporary file for checked records: {0}. Nothing of it is in the log; TMPDIR names another place"
    )]
    Temporary(io::Error),
    /// Standard output, or another stream of our own.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl From<SliceError> for CliError {
    fn from(error: SliceError) -> Self {
        match error {
            SliceError::Log(error) => Self::Log(error),
            SliceError::Commit { records, source } => {
                Self::Commit { doing: format!("a slice of {records} records"), source }
            }
            SliceError::Spool(source) => source.into(),
            SliceError::Encode(_) => Self::Failed(error.to_string()),
        }
    }
}

impl From<SpoolError> for CliError {
    fn from(source: SpoolError) -> Self {
        Self::Spool { doing: String::new(), source }
    }
}

impl From<WhatIfError> for CliError {
    fn from(error: WhatIfError) -> Self {
        match error {
            WhatIfError::Log(error) => Self::Log(error),
            gone if gone.is_gone() => Self::NotVerifiable(gone.to_string()),
            other => Self::WhatIf(other),
        }
    }
}

impl CliError {
    /// The exit code.
    pub fn exit(&self) -> u8 {
        match self {
            Self::Usage(_) => exit::USAGE,
            Self::Config(_) => exit::CONFIGURATION,
            Self::Log(error) | Self::Rebuild(RebuildError::Log(error)) => exit::of_log(error),
            Self::Worker(error) => exit::of_worker(error),
            Self::Seek(error) => exit::of_seek(error),
            Self::Redrive(error) => exit::of_redrive(error),
            Self::Commit { source, .. } => exit::of_commit(source),
            Self::Spool { source, .. } => of_spool(source),
            Self::Rebuild(RebuildError::Commit { why, .. }) => exit::of_commit(why),
            Self::Input(_) | Self::Rebuild(RebuildError::NotEmpty { .. }) => exit::INPUT,
            Self::Rebuild(RebuildError::Written { .. } | RebuildError::Moved { .. }) | Self::Away(_) => {
                exit::LOG
            }
            Self::Topics(_) => exit::TOPICS,
            Self::NotVerifiable(_) => exit::NOT_VERIFIABLE,
            Self::Interrupted(_) => exit::INTERRUPTED,
            // A reader that has seen enough (`tapewatch tail … | head`) is no failure.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::OK,
            Self::Output(error) | Self::Temporary(error) if is_full(error) => exit::FULL,
            Self::Output(_) | Self::Temporary(_) | Self::Failed(_) | Self::WhatIf(_) => exit::FAILED,
        }
    }

    /// What to say; nothing if a reader went away.
    pub fn paragraph(&self) -> Option<String> {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            other => Some(other.to_string()),
        }
    }
}

fn of_spool(error: &SpoolError) -> u8 {
    match error {
        SpoolError::Bound { .. } => exit::FULL,
        SpoolError::File { source, .. } => exit::of_log(source),
        SpoolError::Place { .. } | SpoolError::InUse { .. } | SpoolError::Unknown { .. } => exit::LOG,
        SpoolError::TooLarge { .. } => exit::INPUT,
        SpoolError::NoPartition { .. } => exit::TOPICS,
        SpoolError::Refused { source, .. } => exit::of_commit(source),
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge | io::ErrorKind::QuotaExceeded
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_is_told_from_one_that_does_not_answer() {
        let full = || LogError::Full { log: "l".into(), why: "w".into() };
        let commit = |source| CliError::Commit { doing: "d".into(), source }.exit();
        assert_eq!(CliError::from(full()).exit(), exit::FULL);
        assert_eq!(commit(CommitError::Refused(full())), exit::FULL);
        let away = LogError::Unreachable { log: "l".into(), why: "w".into() };
        assert_eq!(commit(CommitError::Unknown(away)), exit::LOG);
    }

    #[test]
    fn a_reader_that_went_away_is_not_spoken_of() {
        let gone = CliError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((gone.exit(), gone.paragraph()), (exit::OK, None));
        let full = CliError::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.exit(), exit::FULL);
    }
}
