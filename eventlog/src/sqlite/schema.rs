//! The file: its tables, its format number and its connections.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::failure::{closed_to_us, failure, foreign, is_busy};
use crate::{LogError, OpenOptions};

/// `PRAGMA application_id`: "tape" in ASCII.
pub const APPLICATION_ID: i64 = 0x7461_7065;

/// `PRAGMA user_version`: the newest format that this release reads and the one it writes.
pub const FORMAT: i64 = 1;

const TABLES: &str = include_str!("schema.sql");

/// Where the database is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The address as it was given.
    pub(super) address: String,
    uri: String,
    /// None if it is in memory.
    pub(super) path: Option<PathBuf>,
}

impl Place {
    pub(super) fn of(url: &str) -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let rest = url.strip_prefix("sqlite:").unwrap_or(url);
        let address = url.to_owned();
        if rest == ":memory:" {
            // SQLite's memdb VFS shares a database whose name begins with a slash inside the process.
            let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
            return Self { address, uri: format!("file:/tapewatch-{serial}?vfs=memdb"), path: None };
        }
        Self { address, uri: rest.to_owned(), path: Some(Path::new(rest).to_path_buf()) }
    }

    /// True if it is in memory: no write-ahead log, no other process.
    pub(super) fn in_memory(&self) -> bool {
        self.path.is_none()
    }

    /// The write-ahead log of the file, which must be there: beside what a link points to.
    pub(super) fn wal(&self) -> Option<PathBuf> {
        let mut name = self.path.as_ref()?.canonicalize().ok()?.into_os_string();
        name.push("-wal");
        Some(name.into())
    }

    fn connect(&self, create: bool) -> rusqlite::Result<Connection> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, create || self.in_memory());
        flags.set(OpenFlags::SQLITE_OPEN_URI, self.in_memory());
        let conn = Connection::open_with_flags(&self.uri, flags)?;
        conn.set_prepared_statement_cache_capacity(64);
        Ok(conn)
    }

    /// The connection that writes: makes the file and its tables if they are not there.
    pub(super) fn writing(&self, options: &OpenOptions) -> Result<Connection, LogError> {
        let failed = |doing: &str, error| match &self.path {
            Some(path) => closed_to_us(&self.address, path, doing, &error, options.busy_timeout),
            None => failure(&self.address, doing, &error, options.busy_timeout),
        };
        let mut conn = self.connect(true).map_err(|e| failed("opening", e))?;
        conn.busy_timeout(options.busy_timeout).map_err(|e| failed("opening", e))?;
        self.check_format(&conn, options)?;
        self.prepare(&conn, options).map_err(|e| failed("opening", e))?;
        let tx = conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|e| failed("opening", e))?;
        // Another process may have made the tables since the first look.
        if self.check_format(&tx, options)? == 0 {
            tx.execute_batch(TABLES).map_err(|e| failed("making the tables", e))?;
            tx.execute_batch(&format!(
                "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT};"
            ))
            .map_err(|e| failed("making the tables", e))?;
        }
        tx.commit().map_err(|e| failed("making the tables", e))?;
        conn.busy_timeout(Duration::ZERO).map_err(|e| failed("opening", e))?;
        Ok(conn)
    }

    /// A connection that reads.
    pub(super) fn reading(&self, options: &OpenOptions) -> Result<Connection, LogError> {
        let failed = |error| failure(&self.address, "opening a reader", &error, options.busy_timeout);
        let conn = self.connect(false).map_err(failed)?;
        conn.busy_timeout(options.busy_timeout).map_err(failed)?;
        conn.execute_batch("PRAGMA query_only = 1; PRAGMA cache_size = -2000;").map_err(failed)?;
        Ok(conn)
    }

    fn prepare(&self, conn: &Connection, options: &OpenOptions) -> rusqlite::Result<()> {
        if let Some(pages) = options.max_pages {
            conn.pragma_update(None, "max_page_count", pages)?;
        }
        conn.execute_batch("PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000;")?;
        if self.in_memory() {
            return conn.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;");
        }
        write_ahead(conn, options)?;
        conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;")?;
        conn.pragma_update(None, "journal_size_limit", options.wal_bytes as i64)
    }

    /// The format of the file, 0 if it is new.
    fn check_format(&self, conn: &Connection, options: &OpenOptions) -> Result<i64, LogError> {
        let number = |sql: &str| {
            conn.query_row(sql, [], |row| row.get::<_, i64>(0))
                .map_err(|error| failure(&self.address, "reading the format", &error, options.busy_timeout))
        };
        let found = number("PRAGMA user_version")?;
        let application = number("PRAGMA application_id")?;
        if application == 0 && found == 0 && number("SELECT count(*) FROM sqlite_schema")? == 0 {
            return Ok(0);
        }
        if application != APPLICATION_ID {
            return Err(foreign(self.address.clone(), "the file is an SQLite database of another program"));
        }
        if found > FORMAT {
            return Err(LogError::Newer { log: self.address.clone(), found, known: FORMAT });
        }
        Ok(found)
    }
}

/// Changing the mode needs the file alone for a moment, and SQLite does not wait for that by itself.
fn write_ahead(conn: &Connection, options: &OpenOptions) -> rusqlite::Result<()> {
    let deadline = Instant::now() + options.busy_timeout;
    loop {
        match conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0)) {
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(2));
            }
            done => return done.map(|_| ()),
        }
    }
}
