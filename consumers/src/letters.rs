//! A worker's dead letters.

use tapewatch_eventlog::dead_letter::{DeadLetter, RangeLetter};
use tapewatch_eventlog::{OutRecord, RecordRef};
use tapewatch_schemas::{Reason, WorkerName};

use crate::breaker::BreakerParameters;
use crate::inspect::Fault;

/// Writes dead letters.
#[derive(Clone, Debug)]
pub struct Letters {
    /// The worker that every letter names.
    pub worker: WorkerName,
    /// Its group.
    pub group: String,
    /// The bounds of the breakers, which decide what becomes a letter.
    pub breaker: BreakerParameters,
    /// A letter whose record is larger keeps its position, digest and head only.
    pub max_bytes: usize,
}

impl Letters {
    /// The letter of one record.
    pub fn letter(&self, record: &RecordRef<'_>, fault: &Fault) -> OutRecord {
        self.about(fault.reason, &fault.text).of(record, self.max_bytes)
    }

    /// The letter of a run of bad records behind an open breaker; none if there are none.
    pub fn range_letter(&self, range: &RangeLetter) -> Option<OutRecord> {
        let reason = range.excluded().first().and_then(|first| Reason::of(&first.reason))?;
        let text = format!("{} bad records behind an open breaker", range.count());
        range.build(&self.about(reason, &text))
    }

    fn about<'a>(&'a self, reason: Reason, error: &'a str) -> DeadLetter<'a> {
        DeadLetter { worker: self.worker.as_str(), group: &self.group, reason, attempts: 1, error }
    }
}
