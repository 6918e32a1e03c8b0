//! SQLite's error codes in this crate's words.

use rusqlite::ErrorCode;
use rusqlite::ffi;

use crate::LogError;

/// What a failed statement means for the log at `log`.
pub(super) fn failure(log: &str, doing: &str, error: &rusqlite::Error) -> LogError {
    let log = log.to_owned();
    let why = error.to_string();
    if is_full(error) {
        return LogError::Full { log, why };
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => LogError::Busy { log, waited_ms: 0 },
        Some(ErrorCode::NotADatabase) => {
            LogError::Address { url: log, why: "the file is there and is no SQLite database".into() }
        }
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            LogError::Unreachable { log, why: format!("{doing}: {why}") }
        }
        _ => LogError::Backend { log, doing: doing.to_owned(), why },
    }
}

/// True if there was no room: on the disk, in a quota, below a file size limit or `max_page_count`.
///
/// SQLite says `FULL` for ENOSPC and `IOERR_WRITE` for EDQUOT and EFBIG. A write that failed is definite:
/// the frame that commits a transaction is the last one written.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|inner| {
        inner.code == ErrorCode::DiskFull
            || matches!(inner.extended_code, ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_SHMSIZE)
    })
}

/// True if another connection holds the file.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
