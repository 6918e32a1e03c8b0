//! A round of several tasks that cannot be written whole is taken apart: each task's part is tried alone, and
//! only a task whose own part cannot be written stops.

use std::sync::Arc;

use tapewatch_eventlog::{CommitError, LogError, OutRecord, Round};
use tapewatch_schemas::catalogue::{anchors_topic, journal_topic, state_topic};

use super::rounds::Summary;
use super::{Worker, WorkerError};
use crate::outbox::FROM;

/// The header of a dead letter that names its task.
const LETTER_TASK: &str = "tapewatch.task";

/// A round that is being written in parts.
#[derive(Default)]
pub(super) struct Parts {
    /// Not tried yet.
    rest: Vec<Part>,
    /// True once one was written: then it is not the log that refuses everything.
    written: bool,
    /// Tasks whose parts cannot be written, and why.
    refused: Vec<(i32, WorkerError)>,
}

/// What one task has in a round.
pub(super) struct Part {
    round: Round,
    summary: Summary,
}

impl Worker {
    /// The round under way can never be written. One of several tasks is taken apart; of a part it is known now
    /// whose it is.
    pub(super) fn give_up(&mut self, why: WorkerError) -> Result<(), WorkerError> {
        let Some(pending) = self.in_flight.take() else { return Err(why) };
        // Nothing may begin while it is not known whether it is written, and what ails the log ails each part.
        if pending.in_doubt || !is_of_the_records(&why) {
            self.in_flight = Some(pending);
            return Err(why);
        }
        if let Some(parts) = &mut self.parts {
            let partition = pending.sealed.first().map_or(-1, |summary| summary.record.partition);
            parts.refused.push((partition, why));
            return self.next_part();
        }
        if let [only] = &pending.sealed[..]
            && self.tasks.len() > 1
        {
            // Should it be the log that refuses all of them, the last one ends the worker.
            return self.stop_tasks(vec![(only.record.partition, why)]);
        }
        if pending.sealed.len() < 2 {
            return Err(why);
        }
        let round = Arc::try_unwrap(pending.round).unwrap_or_else(|shared| Round::clone(&shared));
        let Some(rest) = split(self.plan.worker.as_str(), round, pending.sealed) else { return Err(why) };
        tracing::warn!(worker = %self.plan.worker, error = %why, tasks = rest.len(), "a round is tried again task by task");
        self.parts = Some(Parts { rest, ..Parts::default() });
        self.next_part()
    }

    /// A round, or a part of one, was written.
    pub(super) fn part_written(&mut self) -> Result<(), WorkerError> {
        if let Some(parts) = &mut self.parts {
            parts.written = true;
            self.next_part()?;
        }
        Ok(())
    }

    fn next_part(&mut self) -> Result<(), WorkerError> {
        let Some(mut parts) = self.parts.take() else { return Ok(()) };
        if let Some(Part { round, summary }) = parts.rest.pop() {
            self.parts = Some(parts);
            return self.commit(round, vec![summary]);
        }
        if !parts.written
            && let Some((_, why)) = parts.refused.pop()
        {
            return Err(why);
        }
        if parts.refused.is_empty() {
            return Ok(());
        }
        self.stop_tasks(parts.refused)
    }
}

/// True of what may lie in the records of one task; false of what ails the whole log.
fn is_of_the_records(why: &WorkerError) -> bool {
    let (WorkerError::Refused { why, .. } | WorkerError::Failing { why, .. }) = why else { return false };
    let (CommitError::Refused(error) | CommitError::Aborted(error)) = why else { return false };
    !matches!(error, LogError::Full { .. } | LogError::Unreachable { .. } | LogError::Busy { .. })
}

/// Takes a round apart, a part for each task; none if a record says of no task that it wrote it.
fn split(worker: &str, round: Round, sealed: Vec<Summary>) -> Option<Vec<Part>> {
    let part = |summary| Part { round: Round::default(), summary };
    let mut parts: Vec<Part> = sealed.into_iter().map(part).collect();
    let own = [journal_topic(worker), anchors_topic(worker), state_topic(worker)];
    for (index, record) in round.records.into_iter().enumerate() {
        let task = if own.contains(&record.target.topic) {
            Some(record.target.partition)
        } else {
            task_of(worker, &record)
        };
        let part = parts.iter_mut().find(|part| Some(part.summary.record.partition) == task)?;
        if index == part.summary.at {
            part.summary.at = part.round.records.len();
        }
        part.round.records.push(record);
    }
    for (at, position) in round.offsets {
        let part = parts.iter_mut().find(|part| part.summary.record.partition == at.partition)?;
        part.round.offsets.push((at, position));
    }
    Some(parts)
}

/// The task that an output or a dead letter names.
fn task_of(worker: &str, record: &OutRecord) -> Option<i32> {
    let header = |name: &str| {
        let value = record.headers.iter().rev().find(|(given, _)| given == name);
        value.and_then(|(_, value)| std::str::from_utf8(value).ok())
    };
    match header(FROM) {
        Some(from) if record.headers.iter().all(|(name, _)| name != LETTER_TASK) => {
            from.strip_prefix(worker)?.strip_prefix('/')?.split('/').next()?.parse().ok()
        }
        _ => header(LETTER_TASK)?.parse().ok(),
    }
}
