//! SQLite's error codes in this crate's words.

use std::path::Path;
use std::time::Duration;

use rusqlite::ErrorCode;
use rusqlite::ffi;

use crate::LogError;

/// What a failed statement means for the log at `log`. `waited` is how long others were waited for.
pub(super) fn failure(log: &str, doing: &str, error: &rusqlite::Error, waited: Duration) -> LogError {
    let log = log.to_owned();
    let why = error.to_string();
    if is_full(error) {
        return LogError::Full { log, why };
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            LogError::Busy { log, waited_ms: waited.as_millis() as u64 }
        }
        Some(ErrorCode::NotADatabase) => foreign(log, "the file is no SQLite database"),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            LogError::Unreachable { log, why: format!("{doing}: {why}") }
        }
        _ => LogError::Backend { log, doing: doing.to_owned(), why },
    }
}

/// A file that is there and not ours: it is left alone.
pub(super) fn foreign(log: String, why: &str) -> LogError {
    LogError::Unusable {
        log,
        why: why.to_owned(),
        expected: "a file that tapewatch made, or none, to make one",
        advice: "Name another path, or move that file away".to_owned(),
    }
}

/// What keeps SQLite from opening or writing the file at `path`.
pub(super) fn closed_to_us(
    log: &str,
    path: &Path,
    doing: &str,
    error: &rusqlite::Error,
    waited: Duration,
) -> LogError {
    let refused = matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
    );
    if !refused {
        return failure(log, doing, error, waited);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (why, advice) = if path.is_dir() {
        let inside = path.join("tapewatch.db");
        (format!("{} is a folder", path.display()), format!("Name a file in it: sqlite:{}", inside.display()))
    } else if !folder.is_dir() {
        let why = format!("there is no folder {}", folder.display());
        (why, format!("Make it (mkdir -p {}), or name another path", folder.display()))
    } else {
        let why = format!("{} may not be written here ({error})", path.display());
        (
            why,
            format!(
                "Give this user the right to write {} and its folder, or name another path",
                path.display()
            ),
        )
    };
    LogError::Unusable {
        log: log.to_owned(),
        why,
        expected: "the path of a file, in a folder in which files can be made (it has two others beside it)",
        advice,
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
