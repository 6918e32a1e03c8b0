//! The writing connection: one transaction for all the rounds that are ready.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, params};
use tapewatch_schemas::Time;

use super::failure::{is_busy, is_full};
use super::group;
use super::job::WriteJob;
use super::pending::{AT_COMMIT, Part};
use super::shared::{Shared, partitions};
use super::stream::Stream;
use crate::{CommitError, Committed, LogError};

/// A mark in `time_marks` stands every so many offsets.
pub(super) const MARK_EVERY: i64 = 1024;

/// Owned by the writer thread.
pub(super) struct Store {
    pub(super) shared: Arc<Shared>,
    conn: Connection,
    heads: HashMap<i64, Head>,
    /// `PRAGMA data_version` when the heads were read: it changes when another connection commits.
    data_version: i64,
    /// The write-ahead log, if there is one.
    wal: Option<PathBuf>,
}

#[derive(Clone, Copy)]
struct Head {
    next: i64,
    max_timestamp: i64,
    changed: bool,
}

/// Why a transaction was not committed as a whole.
pub(super) enum Failed {
    /// Nothing of it is in the file.
    Definite(LogError),
    /// It may be there after a crash.
    Unknown(LogError),
}

impl From<Failed> for CommitError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Definite(error @ LogError::Full { .. }) => Self::Refused(error),
            Failed::Definite(error) => Self::Aborted(error),
            Failed::Unknown(error) => Self::Unknown(error),
        }
    }
}

impl Failed {
    /// What the log said.
    pub(super) fn into_error(self) -> LogError {
        match self {
            Self::Definite(error) | Self::Unknown(error) => error,
        }
    }
}

/// What a transaction came to: the answer to each round and the first offset of each of its parts.
pub(super) struct Written {
    pub(super) answers: Vec<Result<Committed, CommitError>>,
    pub(super) bases: Vec<Vec<i64>>,
    pub(super) now: Time,
}

impl Store {
    pub(super) fn open(shared: Arc<Shared>) -> Result<Self, LogError> {
        let conn = shared.place.writing(&shared.options)?;
        let wal = shared.place.wal();
        let mut store = Self { shared, conn, heads: HashMap::new(), data_version: -1, wal };
        store.notice()?;
        Ok(store)
    }

    /// Looks for what other processes have committed, and tells the readers.
    pub(super) fn notice(&mut self) -> Result<(), LogError> {
        let doing = "looking for news";
        let version = self.version().map_err(|e| self.shared.failure(doing, &e))?;
        if version == self.data_version {
            return Ok(());
        }
        let rows = partitions(&self.conn).map_err(|e| self.shared.failure(doing, &e))?;
        let groups = group::views(&self.conn).map_err(|e| self.shared.failure(doing, &e))?;
        self.heads.clear();
        self.data_version = version;
        self.shared.adopt(rows);
        self.shared.set_groups(groups);
        self.shared.news.publish();
        Ok(())
    }

    /// Reads the partitions again after topics were created.
    pub(super) fn learn(&mut self) -> Result<(), LogError> {
        let rows = partitions(&self.conn).map_err(|e| self.shared.failure("reading the partitions", &e))?;
        self.shared.adopt(rows);
        Ok(())
    }

    fn version(&self) -> rusqlite::Result<i64> {
        self.conn.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
    }

    /// Takes the write lock, waiting for other processes up to the busy timeout and showing their
    /// commits meanwhile.
    fn begin(&mut self) -> Result<(), LogError> {
        let deadline = Instant::now() + self.shared.options.busy_timeout;
        loop {
            let begun = self.conn.prepare_cached("BEGIN IMMEDIATE").and_then(|mut s| s.raw_execute());
            match begun {
                Ok(_) => return self.notice().inspect_err(|_| self.roll_back()),
                Err(error) if is_busy(&error) && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(1));
                    self.notice()?;
                }
                Err(error) => return Err(self.shared.failure("beginning a transaction", &error)),
            }
        }
    }

    fn roll_back(&mut self) {
        // SQLite has already rolled back after some errors; then there is nothing to do.
        if !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch("ROLLBACK")
        {
            tracing::warn!(log = %self.shared.place.address, %error, "rolling back failed");
        }
        self.heads.clear();
    }

    /// Commits: in the file and fsynced when this returns.
    fn finish(&mut self) -> Result<(), Failed> {
        let committed = self.conn.prepare_cached("COMMIT").and_then(|mut s| s.raw_execute());
        let Err(error) = committed else { return Ok(()) };
        let failure = self.shared.failure("committing", &error);
        self.roll_back();
        if is_full(&error) || is_busy(&error) { Err(Failed::Definite(failure)) } else { self.lose(failure) }
    }

    /// The fsync failed: what the kernel has dropped, nobody knows. A connection that saw it is not used
    /// again.
    fn lose(&mut self, failure: LogError) -> Result<(), Failed> {
        match self.shared.place.writing(&self.shared.options) {
            Ok(conn) => self.conn = conn,
            Err(error) => tracing::error!(%error, "the log cannot be opened again"),
        }
        self.data_version = -1;
        Err(Failed::Unknown(failure))
    }

    /// Runs `work` in a transaction of its own.
    pub(super) fn transact<T>(
        &mut self,
        doing: &str,
        work: impl FnOnce(&Connection, Time) -> Result<T, LogError>,
    ) -> Result<T, Failed> {
        let shared = Arc::clone(&self.shared);
        let _gate = shared.close_gate();
        self.begin().map_err(Failed::Definite)?;
        match work(&self.conn, shared.now()) {
            Ok(done) => {
                self.finish()?;
                Ok(done)
            }
            Err(error) => {
                tracing::debug!(log = %shared.place.address, doing, %error, "rolled back");
                self.roll_back();
                Err(Failed::Definite(error))
            }
        }
    }

    /// Moves on to where a partition's next record is to stand.
    pub(super) fn leave_gap(&mut self, stream: &Stream, to: i64) -> Result<(), Failed> {
        let shared = Arc::clone(&self.shared);
        let doing = "leaving a gap";
        self.transact(doing, |conn, _| {
            let sql = "UPDATE partitions SET next = ?2 WHERE id = ?1 AND next < ?2";
            conn.execute(sql, [stream.id, to]).map_err(|error| shared.failure(doing, &error))
        })?;
        self.heads.clear();
        stream.raise_head(to);
        self.shared.news.publish();
        Ok(())
    }

    /// Reads the groups again after a change of our own, and tells the members.
    pub(super) fn show_groups(&mut self) {
        match group::views(&self.conn) {
            Ok(groups) => {
                self.shared.set_groups(groups);
                self.shared.news.publish();
            }
            Err(error) => {
                tracing::warn!(log = %self.shared.place.address, %error, "reading the groups failed");
            }
        }
    }

    /// Writes all rounds in one transaction. A round that is refused does not keep the others back: what
    /// can be wrong with it is checked before its first row is written.
    pub(super) fn write(&mut self, jobs: &[WriteJob]) -> Result<Written, Failed> {
        let shared = Arc::clone(&self.shared);
        let _gate = shared.close_gate();
        self.begin().map_err(Failed::Definite)?;
        let now = shared.now();
        let mut written = Written { answers: Vec::new(), bases: Vec::new(), now };
        for job in jobs {
            match self.write_round(job, now) {
                Ok((answer, bases)) => {
                    written.answers.push(answer);
                    written.bases.push(bases);
                }
                Err(error) => return Err(self.spoilt(&error)),
            }
        }
        if let Err(error) = self.save_heads() {
            return Err(self.spoilt(&error));
        }
        self.finish()?;
        Ok(written)
    }

    fn spoilt(&mut self, error: &rusqlite::Error) -> Failed {
        let failure = self.shared.failure("writing a round", error);
        self.roll_back();
        Failed::Definite(failure)
    }

    #[allow(clippy::type_complexity, reason = "the pair is taken apart by its one caller")]
    fn write_round(
        &mut self,
        job: &WriteJob,
        now: Time,
    ) -> rusqlite::Result<(Result<Committed, CommitError>, Vec<i64>)> {
        if let Some(why) = self.fenced(job)? {
            let error = self.shared.backend("committing a round", why);
            return Ok((Err(CommitError::Fenced(error)), Vec::new()));
        }
        let mut bases = Vec::with_capacity(job.pending.parts.len());
        for part in &job.pending.parts {
            bases.push(self.append(part, now)?);
        }
        if let Some(fence) = &job.fence {
            let mut save = self.conn.prepare_cached(
                "INSERT INTO group_offsets (group_id, partition_id, offset) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET offset = excluded.offset WHERE offset <> excluded.offset",
            )?;
            for (stream, offset) in &job.offsets {
                save.execute(params![fence.group, stream.id, offset])?;
            }
        }
        let slots = job.pending.slots.iter();
        let offsets = slots.map(|(part, place)| bases[*part as usize] + i64::from(*place)).collect();
        Ok((Ok(Committed { offsets }), bases))
    }

    fn fenced(&self, job: &WriteJob) -> rusqlite::Result<Option<String>> {
        if let Some((id, epoch)) = &job.writer {
            let now: Option<i64> = self
                .conn
                .prepare_cached("SELECT epoch FROM writers WHERE id = ?1")?
                .query_row([id], |row| row.get(0))
                .optional()?;
            if now != Some(*epoch) {
                return Ok(Some(format!("a newer writer has the id {id}")));
            }
        }
        match &job.fence {
            Some(fence) => group::fenced(&self.conn, fence, &job.offsets),
            None => Ok(None),
        }
    }

    /// Appends the records of one part. Returns the offset of the first.
    fn append(&mut self, part: &Part, now: Time) -> rusqlite::Result<i64> {
        let id = part.stream.id;
        let mut head = self.head(id)?;
        let base = head.next;
        {
            let mut insert = self.conn.prepare_cached(
                "INSERT INTO entries (partition_id, offset, timestamp, key, value, headers)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            insert.raw_bind_parameter(1, id)?;
            for place in 0..part.batch.len() {
                let record = part.batch.record(place);
                let at = if record.timestamp == AT_COMMIT { now } else { record.timestamp };
                if head.next % MARK_EVERY == 0 && head.next > 0 {
                    self.mark(id, &head)?;
                }
                let headers = record.headers.encoded();
                insert.raw_bind_parameter(2, head.next)?;
                insert.raw_bind_parameter(3, at.micros())?;
                insert.raw_bind_parameter(4, record.key)?;
                insert.raw_bind_parameter(5, record.value)?;
                insert.raw_bind_parameter(6, (!headers.is_empty()).then_some(headers))?;
                insert.raw_execute()?;
                if let Some(key) = record.key.filter(|_| part.stream.compacted) {
                    self.compact(id, key, head.next)?;
                }
                head.max_timestamp = head.max_timestamp.max(at.micros());
                head.next += 1;
            }
        }
        head.changed = true;
        self.heads.insert(id, head);
        Ok(base)
    }

    fn head(&self, id: i64) -> rusqlite::Result<Head> {
        if let Some(head) = self.heads.get(&id) {
            return Ok(*head);
        }
        self.conn
            .prepare_cached("SELECT next, max_timestamp FROM partitions WHERE id = ?1")?
            .query_row([id], |row| Ok(Head { next: row.get(0)?, max_timestamp: row.get(1)?, changed: false }))
    }

    fn mark(&self, id: i64, head: &Head) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached(
                "INSERT INTO time_marks (partition_id, offset, max_timestamp) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![id, head.next, head.max_timestamp])?;
        Ok(())
    }

    /// Deletes the older record of the key.
    fn compact(&self, id: i64, key: &[u8], offset: i64) -> rusqlite::Result<()> {
        let older: Option<i64> = self
            .conn
            .prepare_cached("SELECT offset FROM compacted_keys WHERE partition_id = ?1 AND key = ?2")?
            .query_row(params![id, key], |row| row.get(0))
            .optional()?;
        if let Some(older) = older {
            self.conn
                .prepare_cached("DELETE FROM entries WHERE partition_id = ?1 AND offset = ?2")?
                .execute([id, older])?;
        }
        self.conn
            .prepare_cached(
                "INSERT INTO compacted_keys (partition_id, key, offset) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET offset = excluded.offset",
            )?
            .execute(params![id, key, offset])?;
        Ok(())
    }

    fn save_heads(&mut self) -> rusqlite::Result<()> {
        let mut save =
            self.conn.prepare_cached("UPDATE partitions SET next = ?2, max_timestamp = ?3 WHERE id = ?1")?;
        for (id, head) in self.heads.iter_mut().filter(|(_, head)| head.changed) {
            save.execute([*id, head.next, head.max_timestamp])?;
            head.changed = false;
        }
        Ok(())
    }

    /// Keeps the write-ahead log below its bound.
    pub(super) fn checkpoint(&mut self) {
        let Some(wal) = &self.wal else { return };
        let size = std::fs::metadata(wal).map_or(0, |found| found.len());
        if size > self.shared.options.wal_bytes {
            // A reader of another program may be in the way; then the next commit tries again.
            let done = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
            if let Err(error) = done {
                tracing::debug!(log = %self.shared.place.address, %error, "the checkpoint failed");
            }
        }
    }
}
