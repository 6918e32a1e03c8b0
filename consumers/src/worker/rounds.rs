//! Rounds: sealed from what the tasks have pending, committed one at a time, decided by the journal.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tapewatch_eventlog::{CommitError, Committed, LogError, OutRecord, Round, TopicPartition};
use tapewatch_schemas::Time;
use tapewatch_schemas::catalogue::journal_topic;
use tapewatch_schemas::journal::JournalRecord;

use super::failures::Failures;
use super::states::{add_anchor, add_snapshot};
use super::{Acknowledged, Worker, WorkerError};
use crate::committer::Outcome;
use crate::outbox::stamp;
use crate::scan::Scanner;
use crate::task::Budget;

/// How long a commit may go unanswered before the membership ends.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A round that was computed and is not acknowledged yet.
pub(super) struct InFlight {
    pub(super) round: Arc<Round>,
    pub(super) sealed: Vec<Summary>,
    failures: Failures,
    /// True while it is not known whether it is written: nothing may begin on the writer before a recovery.
    pub(super) in_doubt: bool,
    /// After a failure: when it is tried again.
    again_at: Option<Duration>,
}

/// What is kept of a sealed round until it is acknowledged.
pub(super) struct Summary {
    pub(super) record: JournalRecord,
    /// Bytes of the journal record.
    bytes: usize,
    /// Publication time of the oldest input.
    oldest: Option<Time>,
    /// Index of the journal record in the round.
    pub(super) at: usize,
}

impl Worker {
    pub(super) fn submit_if_due(&mut self) -> Result<(), WorkerError> {
        if self.fenced.is_some() {
            return Ok(());
        }
        let (now, carry, budget) = (self.time.wall(), self.plan.runtime.max_carry, self.budget());
        // Every task is asked: the question starts its carrying time.
        let mut due = false;
        for task in self.tasks.values_mut() {
            due |= task.is_due(now, carry, budget);
        }
        if !due {
            self.due_since = None;
            return Ok(());
        }
        // It lingers while the round before it is being committed, and not once more after that.
        let steady = self.time.elapsed();
        let since = *self.due_since.get_or_insert(steady);
        if self.in_flight.is_some() {
            return Ok(());
        }
        let runtime = &self.plan.runtime;
        // What is behind gains nothing by small rounds: each has its price.
        let linger = if self.behind {
            runtime.linger_max
        } else {
            self.commit_time.clamp(runtime.linger, runtime.linger_max)
        };
        if self.any_full() || steady.saturating_sub(since) >= linger {
            self.submit(false)?;
        }
        Ok(())
    }

    pub(super) fn budget(&self) -> Budget {
        Budget { records: self.plan.runtime.max_records, bytes: self.plan.runtime.max_bytes }
    }

    pub(super) fn any_full(&self) -> bool {
        let budget = self.budget();
        self.tasks.values().any(|task| task.is_full(budget))
    }

    /// Seals what is due (everything that is pending, if `all`) and begins the commit.
    pub(super) fn submit(&mut self, all: bool) -> Result<(), WorkerError> {
        let (now, carry, budget) = (self.time.wall(), self.plan.runtime.max_carry, self.budget());
        let mut round = Round::default();
        let mut sealed = Vec::new();
        let mut outputs = Vec::new();
        let mut journals = Vec::new();
        for task in self.tasks.values_mut() {
            if !(task.is_due(now, carry, budget) || all && !task.pending.is_empty()) {
                continue;
            }
            let first_of_epoch = task.opens.is_some();
            let sealed_task = task.seal(&self.plan.instance);
            outputs.extend(sealed_task.outputs);
            round.records.extend(sealed_task.letters);
            journals.push((sealed_task.record, sealed_task.journal, sealed_task.oldest));
            let daily = task.anchor_due(self.plan.runtime.anchor_every);
            let why = if first_of_epoch { "epoch" } else { daily };
            if !why.is_empty() {
                add_anchor(&mut round, task, &self.plan, why);
            }
            let runtime = &self.plan.runtime;
            if task.snapshot_due(now, runtime.snapshot_rounds, runtime.snapshot_every) {
                add_snapshot(&mut round, task, &self.plan);
            }
            round.offsets.extend(task.moved());
        }
        self.due_since = None;
        if journals.is_empty() {
            return Ok(());
        }
        // Tasks share output partitions: by event time no task's records make another's late. Stable, so
        // that each task's own order stays.
        outputs.sort_by_key(|(time, _)| *time);
        round.records.extend(outputs.into_iter().map(|(_, mut record)| {
            stamp(&mut record, now);
            record
        }));
        for (record, bytes, oldest) in journals {
            let partition = record.partition;
            sealed.push(Summary { record, bytes: bytes.len(), oldest, at: round.records.len() });
            round.records.push(journal_record(self.plan.worker.as_str(), partition, bytes));
        }
        self.commit(round, sealed)
    }

    /// Begins the commit of a round.
    pub(super) fn commit(&mut self, round: Round, sealed: Vec<Summary>) -> Result<(), WorkerError> {
        let round = Arc::new(round);
        let fence = self.member.fence()?;
        self.committer.commit(Arc::clone(&round), fence);
        self.in_flight =
            Some(InFlight { round, sealed, failures: Failures::default(), in_doubt: false, again_at: None });
        Ok(())
    }

    /// Takes the outcome of the commit under way, waiting at most `patience` for it.
    pub(super) fn settle(&mut self, patience: Duration) -> Result<(), WorkerError> {
        let deadline = self.time.elapsed() + patience;
        while self.in_flight.is_some() && self.fenced.is_none() {
            let now = self.time.elapsed();
            if let Some(at) = self.in_flight.as_ref().and_then(|pending| pending.again_at) {
                if at <= now {
                    self.again()?;
                } else if now < deadline {
                    self.time.sleep(at.min(deadline).saturating_sub(now));
                } else {
                    return Ok(());
                }
                continue;
            }
            let left = deadline.saturating_sub(now);
            let outcome = if left.is_zero() { self.committer.poll() } else { self.committer.wait(left) };
            match outcome {
                None => return Ok(()),
                Some(Outcome::Commit(Ok(committed), took)) => {
                    self.acknowledge(&committed, took);
                    self.part_written()?;
                }
                Some(Outcome::Commit(Err(error), _)) => self.failed(error)?,
                Some(Outcome::Recover(result)) => self.recovered(result)?,
            }
        }
        Ok(())
    }

    pub(super) fn acknowledge(&mut self, committed: &Committed, took: Duration) {
        let Some(done) = self.in_flight.take() else { return };
        self.commit_time = (self.commit_time * 7 + took) / 8;
        for (index, summary) in done.sealed.iter().enumerate() {
            if let (Some(task), Some(offset)) =
                (self.tasks.get_mut(&summary.record.partition), committed.offsets.get(summary.at))
            {
                task.journal_offset = *offset;
            }
            let Summary { record, bytes, oldest, .. } = summary;
            let (bytes, oldest) = (*bytes, *oldest);
            let acknowledged = Acknowledged { record, bytes, oldest, first: index == 0, commit: took };
            self.observers.iter_mut().for_each(|observer| observer(&acknowledged));
        }
    }

    pub(super) fn failed(&mut self, error: CommitError) -> Result<(), WorkerError> {
        let worker = self.plan.worker.to_string();
        let Some(pending) = self.in_flight.as_mut() else { return Ok(()) };
        tracing::warn!(%worker, %error, "a round was not acknowledged");
        match error {
            CommitError::Aborted(_) | CommitError::Unknown(_) => {
                pending.in_doubt |= matches!(error, CommitError::Unknown(_));
                let Some(wait) = pending.failures.note(&error, self.stopping) else {
                    let (times, first) = (pending.failures.times(), first_input(&pending.sealed));
                    return self.give_up(WorkerError::Failing { worker, times, first, why: error });
                };
                pending.again_at = Some(self.time.elapsed() + wait);
            }
            CommitError::Fenced(_) => self.fenced = Some(error),
            CommitError::Refused(_) => {
                let first = first_input(&pending.sealed);
                return self.give_up(WorkerError::Refused { worker, first, why: error });
            }
        }
        Ok(())
    }

    /// Ends the wait for the next try.
    pub(super) fn hurry(&mut self) {
        let now = self.time.elapsed();
        if let Some(at) = self.in_flight.as_mut().and_then(|pending| pending.again_at.as_mut()) {
            *at = now;
        }
    }

    /// Sends the round under way again, the same bytes: a computed round is immutable. After an unknown
    /// outcome not before that is decided.
    fn again(&mut self) -> Result<(), WorkerError> {
        let Some(pending) = self.in_flight.as_mut() else { return Ok(()) };
        pending.again_at = None;
        if pending.in_doubt {
            self.committer.recover();
        } else {
            let round = Arc::clone(&pending.round);
            let fence = self.member.fence()?;
            self.committer.commit(round, fence);
        }
        Ok(())
    }

    /// After an unknown outcome and a recovery: the journal says what happened.
    pub(super) fn recovered(&mut self, result: Result<(), CommitError>) -> Result<(), WorkerError> {
        if let Err(error) = result {
            return self.failed(error);
        }
        let Some(pending) = self.in_flight.as_ref() else { return Ok(()) };
        let Some(first) = pending.sealed.first() else { return Ok(()) };
        let (partition, sequence, hash) = (first.record.partition, first.record.sequence, first.record.hash);
        let from = self.tasks.get(&partition).map_or(0, |task| task.journal_offset);
        let journal = TopicPartition::new(journal_topic(self.plan.worker.as_str()), partition);
        let mut written = false;
        Scanner::new(Arc::clone(&self.log))?.scan::<LogError>(&journal, from, |record| {
            let opened = record.value.and_then(|value| JournalRecord::open(value).ok());
            written |= opened.is_some_and(|found| found.sequence == sequence && found.hash == hash);
            Ok(())
        })?;
        tracing::info!(worker = %self.plan.worker, partition, sequence, written, "an unknown outcome was decided");
        if written {
            self.acknowledge(&Committed::default(), Duration::ZERO);
            return self.part_written();
        }
        if let Some(pending) = self.in_flight.as_mut() {
            pending.in_doubt = false;
        }
        self.again()
    }

    /// Commits everything that is pending, and waits for it.
    pub fn flush(&mut self) -> Result<(), WorkerError> {
        self.answered()?;
        if self.fenced.is_none() {
            self.submit(true)?;
            self.answered()?;
        }
        Ok(())
    }

    /// Waits for the commit under way. One that is not answered in time ends the membership: only another
    /// one, with a writer that fences this one, may go on.
    pub(super) fn answered(&mut self) -> Result<(), WorkerError> {
        self.settle(ANSWER_WITHIN)?;
        if self.in_flight.is_some() && self.fenced.is_none() {
            return Err(WorkerError::Log(self.unanswered()));
        }
        Ok(())
    }

    pub(super) fn unanswered(&self) -> LogError {
        let why = format!("a commit was not answered within {ANSWER_WITHIN:?}");
        LogError::Unreachable { log: self.log.address().to_owned(), why }
    }

    /// Forgets what is under way: its partitions are lost, and whoever owns them now reads the journal. But
    /// if its outcome is not known this membership is over: nothing may begin on its writer.
    pub(super) fn abandon(&mut self) {
        if self.committer.busy() {
            self.fenced = match self.committer.wait(ANSWER_WITHIN) {
                None => Some(CommitError::Unknown(self.unanswered())),
                Some(
                    Outcome::Commit(Err(error @ (CommitError::Unknown(_) | CommitError::Fenced(_))), _)
                    | Outcome::Recover(Err(error)),
                ) => Some(error),
                Some(_) => self.fenced.take(),
            };
        } else if self.in_flight.as_ref().is_some_and(|pending| pending.in_doubt) {
            self.fenced = Some(CommitError::Unknown(self.unanswered()));
        }
        self.in_flight = None;
        self.parts = None;
    }
}

fn first_input(sealed: &[Summary]) -> String {
    let inputs = sealed.iter().flat_map(|summary| &summary.record.inputs);
    inputs
        .map(|range| format!("{}/{} offset {}", range.topic, range.partition, range.from))
        .next()
        .unwrap_or_else(|| "no input".to_owned())
}

pub(crate) fn journal_record(worker: &str, partition: i32, bytes: Vec<u8>) -> OutRecord {
    OutRecord {
        target: TopicPartition::new(journal_topic(worker), partition),
        timestamp: None,
        key: None,
        value: Some(Bytes::from(bytes)),
        headers: Vec::new(),
    }
}
