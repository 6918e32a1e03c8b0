//! A worker's dead letters.

use tapewatch_eventlog::dead_letter::{DeadLetter, RangeLetter, Redriven};
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
    /// The letter of a task about one record; `redriven` if it had come back.
    pub fn letter(
        &self,
        task: i32,
        record: &RecordRef<'_>,
        fault: &Fault,
        redriven: Option<&Redriven>,
    ) -> OutRecord {
        let before = redriven.map_or(0, |redriven| redriven.attempts);
        let attempts = before + u32::from(fault.reason != Reason::HeldBehind);
        let own = fault.is_own() || redriven.is_some_and(|back| back.own);
        let about = self.about(task, fault.reason, &fault.text);
        DeadLetter { attempts, own, ..about }.of(record, self.max_bytes)
    }

    /// The letter of a task about a run of bad records behind an open breaker; none if there are none.
    pub fn range_letter(&self, task: i32, range: &RangeLetter) -> Option<OutRecord> {
        let reason = range.excluded().first().and_then(|first| Reason::of(&first.reason))?;
        let text = format!("{} bad records behind an open breaker", range.count());
        range.build(&self.about(task, reason, &text))
    }

    fn about<'a>(&'a self, task: i32, reason: Reason, error: &'a str) -> DeadLetter<'a> {
        let (worker, group) = (self.worker.as_str(), self.group.as_str());
        DeadLetter { worker, group, task, own: false, reason, attempts: 1, error }
    }
}
