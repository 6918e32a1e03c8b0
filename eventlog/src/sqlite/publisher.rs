//! Records published on their own: queued here, written by the writer thread as many at a time as wait.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::job::{Handle, Job};
use super::pending::{Pending, size_of};
use super::stream::lock;
use crate::{CommitError, LogError, OutRecord, Publisher};

/// One publisher's records that are not acknowledged.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    settled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Pending,
    /// True while a job that will take what waits is queued.
    called: bool,
    /// Bytes that wait or are being written.
    bytes: usize,
    /// Bytes of each take that is being written.
    taken: Vec<usize>,
    failed: usize,
    first_failure: Option<CommitError>,
    unsettled: usize,
}

impl Queue {
    /// What waits, for the writer thread.
    pub(super) fn take(&self) -> Pending {
        let mut state = lock(&self.state);
        state.called = false;
        let taken = std::mem::take(&mut state.waiting);
        state.taken.push(taken.bytes);
        taken
    }

    /// The oldest take was written, or not.
    pub(super) fn settle(&self, failure: Option<CommitError>, records: usize) {
        let mut state = lock(&self.state);
        if !state.taken.is_empty() {
            let bytes = state.taken.remove(0);
            state.bytes -= bytes;
        }
        state.unsettled -= records;
        if let Some(failure) = failure {
            state.failed += records;
            state.first_failure.get_or_insert(failure);
        }
        self.settled.notify_all();
    }
}

/// The [`Publisher`] of the embedded log.
pub(super) struct SqlitePublisher {
    handle: Arc<Handle>,
    queue: Arc<Queue>,
}

impl SqlitePublisher {
    pub(super) fn new(handle: Arc<Handle>) -> Self {
        Self { handle, queue: Arc::default() }
    }
}

impl Publisher for SqlitePublisher {
    fn send(&mut self, record: OutRecord) -> Result<(), LogError> {
        let shared = &self.handle.shared;
        let mut state = lock(&self.queue.state);
        let size = size_of(&record);
        if state.bytes + size > shared.options.queue_bytes && state.unsettled > 0 {
            return Err(LogError::Full {
                log: shared.place.address.clone(),
                why: format!("{} B wait to be written, which is this publisher's bound", state.bytes),
            });
        }
        state.waiting.push(shared, &record)?;
        state.bytes += size;
        state.unsettled += 1;
        if !std::mem::replace(&mut state.called, true) {
            drop(state);
            self.handle.submit(Job::Publish(Arc::clone(&self.queue)))?;
        }
        Ok(())
    }

    fn flush(&mut self, wait: Duration) -> Result<(), LogError> {
        let deadline = Instant::now() + wait;
        let shared = &self.handle.shared;
        let mut state = lock(&self.queue.state);
        while state.unsettled > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let why = format!("{} records are not acknowledged after {wait:?}", state.unsettled);
                return Err(shared.backend("flushing a publisher", why));
            }
            state = self.queue.settled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let failed = std::mem::take(&mut state.failed);
        match state.first_failure.take() {
            Some(CommitError::Refused(full @ LogError::Full { .. })) => Err(full),
            Some(first) => {
                let why = format!("{failed} records were not written; the first: {first}");
                Err(shared.backend("flushing a publisher", why))
            }
            None => Ok(()),
        }
    }
}
