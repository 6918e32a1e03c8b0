//! What the readers, the writers and the writer thread of one open log share.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use rusqlite::Connection;
use tapewatch_schemas::Time;

use super::failure::failure;
use super::group::GroupView;
use super::schema::Place;
use super::stream::{Stream, lock};
use crate::{LogError, OpenOptions, TopicPartition};

/// Shared by everything that one [`crate::open`] gave.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) place: Place,
    pub(super) options: OpenOptions,
    pub(super) news: News,
    streams: RwLock<HashMap<TopicPartition, Arc<Stream>>>,
    groups: RwLock<HashMap<String, Arc<GroupView>>>,
    idle_readers: Mutex<Vec<Connection>>,
    /// In memory there is no write-ahead log, so a reader and the writer exclude each other.
    gate: RwLock<()>,
}

/// Wakes those that wait for something new.
#[derive(Debug, Default)]
pub(super) struct News {
    version: Mutex<u64>,
    changed: Condvar,
}

impl News {
    pub(super) fn version(&self) -> u64 {
        *lock(&self.version)
    }

    pub(super) fn publish(&self) {
        *lock(&self.version) += 1;
        self.changed.notify_all();
    }

    /// Waits for news after `seen`. False if there was none before the deadline.
    pub(super) fn wait(&self, seen: u64, deadline: Instant) -> bool {
        let mut version = lock(&self.version);
        while *version == seen {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            version = self.changed.wait_timeout(version, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Shared {
    pub(super) fn new(place: Place, options: OpenOptions) -> Self {
        Self {
            place,
            options,
            news: News::default(),
            streams: RwLock::default(),
            groups: RwLock::default(),
            idle_readers: Mutex::default(),
            gate: RwLock::default(),
        }
    }

    pub(super) fn now(&self) -> Time {
        self.options.clock.now()
    }

    pub(super) fn failure(&self, doing: &str, error: &rusqlite::Error) -> LogError {
        failure(&self.place.address, doing, error, self.options.busy_timeout)
    }

    pub(super) fn backend(&self, doing: &str, why: impl Into<String>) -> LogError {
        LogError::Backend { log: self.place.address.clone(), doing: doing.to_owned(), why: why.into() }
    }

    /// Held by the writer thread during a transaction in memory.
    pub(super) fn close_gate(&self) -> Option<RwLockWriteGuard<'_, ()>> {
        self.place.in_memory().then(|| self.gate.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn pass_gate(&self) -> Option<RwLockReadGuard<'_, ()>> {
        self.place.in_memory().then(|| self.gate.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs a query on a reading connection. No transaction is left open behind it.
    pub(super) fn read<T>(
        &self,
        doing: &str,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LogError> {
        let idle = lock(&self.idle_readers).pop();
        let conn = match idle {
            Some(conn) => conn,
            None => self.place.reading(&self.options)?,
        };
        let _gate = self.pass_gate();
        let result = query(&conn).map_err(|error| self.failure(doing, &error));
        if result.is_ok() {
            lock(&self.idle_readers).push(conn);
        }
        result
    }

    /// The partition, looked up in the file if it is not known: another process may have created it.
    pub(super) fn stream(&self, at: &TopicPartition) -> Result<Arc<Stream>, LogError> {
        if let Some(stream) = self.known(at) {
            return Ok(stream);
        }
        self.learn()?;
        self.known(at).ok_or_else(|| {
            if self.known(&TopicPartition::new(at.topic.clone(), 0)).is_some() {
                return self.backend(&format!("looking up {at}"), "the topic has fewer partitions");
            }
            LogError::NoTopic { topic: at.topic.to_string(), log: self.place.address.clone() }
        })
    }

    fn known(&self, at: &TopicPartition) -> Option<Arc<Stream>> {
        self.streams.read().unwrap_or_else(PoisonError::into_inner).get(at).cloned()
    }

    /// Reads all partitions and their heads from the file.
    pub(super) fn learn(&self) -> Result<(), LogError> {
        let rows = self.read("reading the partitions", partitions)?;
        self.adopt(rows);
        Ok(())
    }

    /// Takes over what [`partitions`] found. True if a head rose.
    pub(super) fn adopt(&self, rows: Vec<PartitionRow>) -> bool {
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        let mut rose = false;
        for row in rows {
            let stream = streams
                .entry(row.at.clone())
                .or_insert_with(|| Arc::new(Stream::new(row.id, row.at, row.compacted, row.next)));
            rose |= stream.raise_head(row.next);
        }
        rose
    }

    pub(super) fn group(&self, group: &str) -> Option<Arc<GroupView>> {
        self.groups.read().unwrap_or_else(PoisonError::into_inner).get(group).cloned()
    }

    pub(super) fn set_groups(&self, groups: HashMap<String, Arc<GroupView>>) {
        *self.groups.write().unwrap_or_else(PoisonError::into_inner) = groups;
    }
}

/// A row of `partitions` with its topic.
#[derive(Debug)]
pub(super) struct PartitionRow {
    pub(super) id: i64,
    pub(super) at: TopicPartition,
    pub(super) compacted: bool,
    pub(super) next: i64,
}

/// All partitions in the file.
pub(super) fn partitions(conn: &Connection) -> rusqlite::Result<Vec<PartitionRow>> {
    let mut statement = conn.prepare_cached(
        "SELECT p.id, t.name, p.partition, t.compacted, p.next
         FROM partitions p JOIN topics t ON t.id = p.topic_id",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(PartitionRow {
            id: row.get(0)?,
            at: TopicPartition::new(row.get::<_, String>(1)?, row.get(2)?),
            compacted: row.get(3)?,
            next: row.get(4)?,
        })
    })?;
    rows.collect()
}
