//! Reads assigned partitions: from the shared tail at the head, from the file behind it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use tapewatch_schemas::Time;

use super::job::Handle;
use super::stream::Stream;
use crate::{Batch, BatchBuilder, LogError, Polled, Reader, TopicPartition};

/// The [`Reader`] of the embedded log.
pub(super) struct SqliteReader {
    pub(super) handle: Arc<Handle>,
    assigned: Vec<Assigned>,
    /// Where the next look begins, so that a busy partition does not starve the others.
    turn: usize,
}

struct Assigned {
    stream: Arc<Stream>,
    position: i64,
    paused: bool,
    end_told: bool,
}

impl SqliteReader {
    pub(super) fn new(handle: Arc<Handle>) -> Self {
        Self { handle, assigned: Vec::new(), turn: 0 }
    }

    /// What is there now, without waiting.
    pub(super) fn next(&mut self) -> Result<Option<Polled>, LogError> {
        let count = self.assigned.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            if let Some(polled) = self.next_of(index)? {
                self.turn = index + 1;
                return Ok(Some(polled));
            }
        }
        Ok(None)
    }

    fn next_of(&mut self, index: usize) -> Result<Option<Polled>, LogError> {
        let this = &self.assigned[index];
        if this.paused {
            return Ok(None);
        }
        let head = this.stream.head();
        let batch = if this.position < head { self.fetch(this)? } else { None };
        let this = &mut self.assigned[index];
        if let Some(batch) = batch {
            this.position = batch.record(batch.len() - 1).offset + 1;
            this.end_told = false;
            return Ok(Some(Polled::Batch(batch)));
        }
        this.position = this.position.max(head);
        if std::mem::replace(&mut this.end_told, true) {
            return Ok(None);
        }
        Ok(Some(Polled::End { at: this.stream.at.clone(), position: this.position }))
    }

    fn fetch(&self, this: &Assigned) -> Result<Option<Arc<Batch>>, LogError> {
        if let Some(batch) = this.stream.newest_from(this.position) {
            return Ok(Some(batch));
        }
        let shared = &self.handle.shared;
        let doing = "reading records";
        let batch = shared.read(doing, |conn| {
            let bounds = (shared.options.batch_records, shared.options.batch_bytes);
            records(conn, &this.stream, this.position, bounds)
        })?;
        let follows = !batch.is_empty() && batch.record(0).offset == this.position;
        if !follows && !this.stream.compacted {
            self.not_pruned(this)?;
        }
        Ok((!batch.is_empty()).then(|| Arc::new(batch)))
    }

    /// Offsets have no gaps here, except where compaction or [`super::SqliteLog::prune`] took records out.
    fn not_pruned(&self, this: &Assigned) -> Result<(), LogError> {
        let bounds = super::bounds(&self.handle.shared, &this.stream.at)?;
        if this.position >= bounds.earliest {
            return Ok(());
        }
        let (at, earliest, end) = (this.stream.at.clone(), bounds.earliest, bounds.end);
        Err(LogError::OutOfRange { at, offset: this.position, earliest, end })
    }

    fn each(&mut self, partitions: &[TopicPartition], mut change: impl FnMut(&mut Assigned)) {
        for this in &mut self.assigned {
            if partitions.contains(&this.stream.at) {
                change(this);
            }
        }
    }

    /// Drops the partitions that `gone` is true of.
    pub(super) fn drop_if(&mut self, gone: impl Fn(&TopicPartition) -> bool) {
        self.assigned.retain(|this| !gone(&this.stream.at));
    }
}

impl Reader for SqliteReader {
    fn poll(&mut self, wait: Duration) -> Result<Polled, LogError> {
        let deadline = Instant::now() + wait;
        let handle = Arc::clone(&self.handle);
        loop {
            let seen = handle.shared.news.version();
            if let Some(polled) = self.next()? {
                return Ok(polled);
            }
            if !handle.shared.news.wait(seen, deadline) {
                return Ok(Polled::Idle);
            }
        }
    }

    fn assign(&mut self, starts: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        for (at, offset) in starts {
            let bounds = super::bounds(&self.handle.shared, at)?;
            if !(bounds.earliest..=bounds.end).contains(offset) {
                let (earliest, end) = (bounds.earliest, bounds.end);
                return Err(LogError::OutOfRange { at: at.clone(), offset: *offset, earliest, end });
            }
            let stream = self.handle.shared.stream(at)?;
            // What the file says may be newer than what the writer thread has noticed.
            stream.raise_head(bounds.end);
            let fresh = Assigned { stream, position: *offset, paused: false, end_told: false };
            match self.assigned.iter_mut().find(|this| this.stream.at == *at) {
                Some(this) => *this = Assigned { paused: this.paused, ..fresh },
                None => self.assigned.push(fresh),
            }
        }
        Ok(())
    }

    fn unassign(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.drop_if(|at| partitions.contains(at));
        Ok(())
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.each(partitions, |this| this.paused = true);
        Ok(())
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.each(partitions, |this| this.paused = false);
        Ok(())
    }
}

fn records(
    conn: &Connection,
    stream: &Stream,
    from: i64,
    (most, bytes): (usize, usize),
) -> rusqlite::Result<Batch> {
    let mut statement = conn.prepare_cached(
        "SELECT offset, timestamp, key, value, headers FROM entries
         WHERE partition_id = ?1 AND offset >= ?2 ORDER BY offset LIMIT ?3",
    )?;
    let mut rows = statement.query(params![stream.id, from, most as i64])?;
    let mut batch = BatchBuilder::new(stream.at.clone());
    while batch.bytes() < bytes
        && let Some(row) = rows.next()?
    {
        let blob = |column| row.get_ref(column).map(|value| value.as_blob_or_null().ok().flatten());
        let headers = blob(4)?.unwrap_or_default();
        batch.push(row.get(0)?, Time(row.get(1)?), blob(2)?, blob(3)?, |into| {
            into.extend_from_slice(headers);
        });
    }
    Ok(batch.build())
}
