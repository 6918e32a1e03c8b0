//! The embedded log: one SQLite file.
//!
//! # The file
//! SQLite in write-ahead mode, `application_id` 0x74617065 ("tape"), `user_version` = [`FORMAT`]. Any SQL
//! tool can read it while it is being written:
//!
//! - `records (topic, partition, offset, timestamp, key, value, headers)`: a view of every record.
//!   Timestamps are microseconds since 1970 UTC; headers are JSON, `[[name, value], …]`, a value with a zero
//!   byte in it as `hex:…`.
//! - `topics`, `partitions`: what exists; `next` is the offset that the next record gets, `max_timestamp`
//!   the largest publication time so far.
//! - `entries`: the records, by the `id` of their row in `partitions`. `headers` is (length, name, length,
//!   value)*, lengths as little-endian u32; NULL without headers.
//! - `time_marks`: every 1024th offset with the largest publication time before it, so that a seek by time
//!   reads a short piece.
//! - `compacted_keys`: in compacted topics, the one offset that each key has. A record of a key deletes the
//!   older one in its own transaction; a tombstone stays as the key's last record.
//! - `groups`, `members`, `group_offsets`: who reads what, and up to where.
//! - `writers`: the epoch of each transactional id; an older epoch is fenced.

mod failure;
mod group;
mod job;
mod member;
mod pending;
mod prune;
mod publisher;
mod reader;
mod schema;
mod shared;
mod store;
mod stream;
mod tail;
mod topics;
mod writer;

use std::sync::Arc;

use rusqlite::{OptionalExtension, params};
use tapewatch_schemas::Time;

use self::job::Handle;
use self::member::SqliteMember;
use self::publisher::SqlitePublisher;
use self::reader::SqliteReader;
use self::schema::Place;
pub use self::schema::{APPLICATION_ID, FORMAT};
use self::shared::Shared;
use self::store::Failed;
use self::writer::SqliteWriter;
use crate::{
    Bounds, GroupSpec, Log, LogError, Member, OpenOptions, Publisher, Reader, TopicInfo, TopicPartition,
    TopicSpec, Writer,
};

/// The embedded log, open.
#[derive(Debug)]
pub struct SqliteLog {
    handle: Arc<Handle>,
}

impl SqliteLog {
    /// Opens the file of `sqlite:PATH`, or a fresh database for `sqlite::memory:`.
    pub fn open(url: &str, options: &OpenOptions) -> Result<Self, LogError> {
        let shared = Arc::new(Shared::new(Place::of(url), options.clone()));
        Ok(Self { handle: Arc::new(Handle::start(shared)?) })
    }

    /// Deletes the partition's records below `before`; they are gone for every reader. Nothing calls this
    /// by itself: retention is enforced only where someone asks for it ([`SqliteLog::prune_expired`]).
    /// Returns how many records were deleted. The space is used again; the file does not shrink.
    pub fn prune(&self, at: &TopicPartition, before: i64) -> Result<u64, LogError> {
        let stream = self.shared().stream(at)?;
        prune::below(&self.handle, stream.id, before)
    }

    /// Deletes what is older than its topic's retention: in each partition, the records before the first
    /// that is young enough. Returns how many records were deleted.
    pub fn prune_expired(&self) -> Result<u64, LogError> {
        let now = self.shared().now();
        let mut deleted = 0;
        for (at, retention) in self.shared().read("reading the retentions", prune::retentions)? {
            let young = self.offset_at(&at, Time(now.micros().saturating_sub(retention)))?;
            deleted += self.prune(&at, young)?;
        }
        Ok(deleted)
    }

    /// The partition's next record gets the offset `to`: none is between. For copies of logs whose offsets have
    /// gaps. Does nothing if the partition is there already, or further.
    pub fn leave_gap(&self, at: &TopicPartition, to: i64) -> Result<(), LogError> {
        let stream = self.shared().stream(at)?;
        self.handle.run(move |store| store.leave_gap(&stream, to))?.map_err(Failed::into_error)
    }

    fn shared(&self) -> &Shared {
        &self.handle.shared
    }
}

/// The partition's bounds, from the file.
fn bounds(shared: &Shared, at: &TopicPartition) -> Result<Bounds, LogError> {
    let stream = shared.stream(at)?;
    shared.read(&format!("reading the bounds of {at}"), |conn| {
        conn.prepare_cached("SELECT earliest, next FROM partitions WHERE id = ?1")?
            .query_row([stream.id], |row| Ok(Bounds { earliest: row.get(0)?, end: row.get(1)? }))
    })
}

impl Log for SqliteLog {
    fn address(&self) -> &str {
        &self.shared().place.address
    }

    fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        self.shared().read("listing the topics", topics::list)
    }

    fn create(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        let topics = topics.to_vec();
        self.handle.run(move |store| topics::create(store, &topics))?
    }

    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        bounds(self.shared(), at)
    }

    fn offset_at(&self, at: &TopicPartition, time: Time) -> Result<i64, LogError> {
        let stream = self.shared().stream(at)?;
        let found = self.shared().read(&format!("seeking in {at}"), |conn| {
            let from: i64 = conn.query_row(
                "SELECT coalesce(max(offset), 0) FROM time_marks
                 WHERE partition_id = ?1 AND max_timestamp < ?2",
                params![stream.id, time.micros()],
                |row| row.get(0),
            )?;
            conn.query_row(
                "SELECT offset FROM entries WHERE partition_id = ?1 AND offset >= ?2 AND timestamp >= ?3
                 ORDER BY offset LIMIT 1",
                params![stream.id, from, time.micros()],
                |row| row.get(0),
            )
            .optional()
        })?;
        found.map_or_else(|| Ok(self.bounds(at)?.end), Ok)
    }

    fn group_offsets(&self, group: &str, of: &[TopicPartition]) -> Result<Vec<Option<i64>>, LogError> {
        of.iter()
            .map(|at| {
                let stream = self.shared().stream(at)?;
                self.shared().read(&format!("reading the position of {group} in {at}"), |conn| {
                    conn.prepare_cached(
                        "SELECT offset FROM group_offsets WHERE group_id = ?1 AND partition_id = ?2",
                    )?
                    .query_row(params![group, stream.id], |row| row.get(0))
                    .optional()
                })
            })
            .collect()
    }

    fn reader(&self) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(SqliteReader::new(Arc::clone(&self.handle))))
    }

    fn member(&self, group: &GroupSpec) -> Result<Box<dyn Member>, LogError> {
        Ok(Box::new(SqliteMember::join(Arc::clone(&self.handle), group)?))
    }

    fn writer(&self, id: &str) -> Result<Box<dyn Writer>, LogError> {
        Ok(Box::new(SqliteWriter::open(Arc::clone(&self.handle), id)?))
    }

    fn publisher(&self) -> Result<Box<dyn Publisher>, LogError> {
        Ok(Box::new(SqlitePublisher::new(Arc::clone(&self.handle))))
    }
}
