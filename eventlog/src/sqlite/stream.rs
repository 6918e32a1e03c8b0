//! One partition as this process knows it: its head and its newest records in memory.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Batch, BatchBuilder, TopicPartition};

/// A partition, shared by the writer thread and the readers of the process.
#[derive(Debug)]
pub(super) struct Stream {
    /// Its row in `partitions`.
    pub(super) id: i64,
    pub(super) at: TopicPartition,
    pub(super) compacted: bool,
    head: AtomicI64,
    tail: Mutex<VecDeque<Arc<Batch>>>,
}

impl Stream {
    pub(super) fn new(id: i64, at: TopicPartition, compacted: bool, head: i64) -> Self {
        Self { id, at, compacted, head: AtomicI64::new(head), tail: Mutex::default() }
    }

    /// One past the last committed offset, as far as this process has seen.
    pub(super) fn head(&self) -> i64 {
        self.head.load(Ordering::Acquire)
    }

    /// Records are committed up to here; the head never goes back.
    pub(super) fn raise_head(&self, to: i64) -> bool {
        self.head.fetch_max(to, Ordering::AcqRel) < to
    }

    fn tail(&self) -> MutexGuard<'_, VecDeque<Arc<Batch>>> {
        lock(&self.tail)
    }

    /// Appends a committed batch to the tail. One that does not follow on (another process wrote in
    /// between) takes the place of what was there. Returns the bytes that left the tail.
    pub(super) fn push(&self, batch: Arc<Batch>) -> usize {
        let mut tail = self.tail();
        let mut dropped = 0;
        if end(tail.back()).is_some_and(|end| end != first(&batch)) {
            dropped = tail.drain(..).map(|old| old.bytes()).sum();
        }
        tail.push_back(batch);
        dropped
    }

    /// Forgets the oldest batch. Returns its bytes.
    pub(super) fn evict(&self) -> usize {
        self.tail().pop_front().map_or(0, |old| old.bytes())
    }

    /// The records from `position` on, if they are in the tail.
    pub(super) fn newest_from(&self, position: i64) -> Option<Arc<Batch>> {
        let tail = self.tail();
        if first(tail.front()?) > position {
            return None;
        }
        let index = tail.partition_point(|batch| end(Some(batch)).is_some_and(|end| end <= position));
        let batch = tail.get(index)?;
        if first(batch) == position {
            return Some(Arc::clone(batch));
        }
        let mut rest = BatchBuilder::new(self.at.clone());
        for record in batch.iter().filter(|record| record.offset >= position) {
            rest.push(record.offset, record.timestamp, record.key, record.value, |into| {
                into.extend_from_slice(record.headers.encoded());
            });
        }
        Some(Arc::new(rest.build()))
    }
}

fn first(batch: &Arc<Batch>) -> i64 {
    batch.record(0).offset
}

fn end(batch: Option<&Arc<Batch>>) -> Option<i64> {
    batch.map(|batch| batch.record(batch.len() - 1).offset + 1)
}

/// A panic while a lock was held left the data as it was between two statements, which is sound for all
/// that this crate guards.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
