//! What a task has taken since its last journal record.

use std::collections::BTreeMap;

use tapewatch_eventlog::TopicPartition;
use tapewatch_schemas::journal::{Epoch, Excluded, FORMAT, InputRange, JournalRecord, OffsetRun, Run};
use tapewatch_schemas::{Digest, WorkerName};

use crate::injected::Injected;
use crate::outbox::Outbox;

/// The journal record in the making, with the outputs that it accounts for.
#[derive(Debug, Default)]
pub struct Pending {
    /// The outputs.
    pub outbox: Outbox,
    /// True if the record is due whatever else: a record of the task's own was taken, or a deadline.
    pub due: bool,
    first_step: u64,
    steps: u64,
    inputs: Vec<Intake>,
    by_lane: BTreeMap<usize, usize>,
    injected: Vec<Injected>,
    order: Vec<Run>,
    dead: BTreeMap<(usize, &'static str), Vec<OffsetRun>>,
    skipped: BTreeMap<(usize, &'static str), Vec<OffsetRun>>,
}

#[derive(Debug)]
struct Intake {
    at: TopicPartition,
    from: i64,
    to: i64,
    count: i64,
    processed: i64,
    hasher: blake3::Hasher,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The monitor took it.
    Processed,
    /// It is a dead letter for this reason, and the task's own.
    Dead(&'static str),
    /// It is a dead letter of another task.
    DeadElsewhere,
    /// It takes no step: it is of no concern.
    Passed,
    /// It takes no step: a person moved the position past it.
    Sought,
    /// It came back to be settled, not to be processed: a person has given it up.
    Discarded,
}

/// The reason under which the journal lists bad broadcast records whose letter another task writes.
pub const ELSEWHERE: &str = "dead_lettered_elsewhere";

/// The reason under which the journal lists records that a person skipped.
pub const SOUGHT: &str = "seek";

/// The reason under which the journal lists dead letters that a person has given up.
pub const DISCARDED: &str = "discarded";

impl Pending {
    /// Nothing yet; the next step is `first_step`.
    pub fn new(first_step: u64) -> Self {
        Self { first_step, ..Self::default() }
    }

    /// True if nothing was taken.
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty() && self.injected.is_empty()
    }

    /// Records and injected events so far.
    pub fn len(&self) -> usize {
        let taken: i64 = self.inputs.iter().map(|input| input.count).sum();
        taken as usize + self.injected.len()
    }

    /// Notes a record of lane `lane`, at `offset`, taken from position `before`.
    pub fn take(
        &mut self,
        lane: usize,
        at: &TopicPartition,
        before: i64,
        offset: i64,
        digest: &Digest,
        fate: Fate,
    ) {
        let index = self.intake(lane, at, before);
        let previous = self.inputs[index].to;
        let intake = &mut self.inputs[index];
        intake.to = offset + 1;
        intake.count += 1;
        intake.hasher.update(&digest.0);
        let list = match fate {
            Fate::Processed => {
                intake.processed += 1;
                None
            }
            Fate::Dead(reason) => Some((&mut self.dead, reason)),
            Fate::DeadElsewhere => Some((&mut self.skipped, ELSEWHERE)),
            Fate::Passed => Some((&mut self.skipped, crate::inspect::PASSED)),
            Fate::Sought => Some((&mut self.skipped, SOUGHT)),
            Fate::Discarded => Some((&mut self.skipped, DISCARDED)),
        };
        if let Some((list, reason)) = list {
            extend(list.entry((index, reason)).or_default(), previous, offset);
        }
        if !matches!(fate, Fate::Passed | Fate::Sought) {
            self.step(index as i32);
        }
    }

    /// The position of a lane moves on to `to`, past what is no record.
    pub fn reach(&mut self, lane: usize, at: &TopicPartition, before: i64, to: i64) {
        let index = self.intake(lane, at, before);
        let intake = &mut self.inputs[index];
        intake.to = intake.to.max(to);
    }

    fn intake(&mut self, lane: usize, at: &TopicPartition, before: i64) -> usize {
        *self.by_lane.entry(lane).or_insert_with(|| {
            self.inputs.push(Intake {
                at: at.clone(),
                from: before,
                to: before,
                count: 0,
                processed: 0,
                hasher: blake3::Hasher::new(),
            });
            self.inputs.len() - 1
        })
    }

    /// Notes an injected event.
    pub fn inject(&mut self, event: Injected) {
        self.injected.push(event);
        self.step(Run::INJECTED);
        self.due = true;
    }

    fn step(&mut self, input: i32) {
        self.steps += 1;
        match self.order.last_mut() {
            Some(run) if run.input == input => run.count += 1,
            _ => self.order.push(Run { input, count: 1 }),
        }
    }

    /// Seals the record that accounts for all of it, and gives the outputs. Begins anew after it.
    pub fn seal(&mut self, link: Link<'_>) -> (JournalRecord, Vec<u8>, Outbox) {
        let next = Self::new(self.first_step + self.steps);
        let done = std::mem::replace(self, next);
        let list = |excluded: BTreeMap<(usize, &'static str), Vec<OffsetRun>>, inputs: &[Intake]| {
            let one = |((input, reason), runs): ((usize, &str), Vec<OffsetRun>)| Excluded {
                topic: inputs[input].at.topic.clone(),
                partition: inputs[input].at.partition,
                reason: reason.to_owned(),
                runs,
            };
            excluded.into_iter().map(one).collect()
        };
        let mut record = JournalRecord {
            format: FORMAT,
            worker: link.worker.clone(),
            partition: link.partition,
            sequence: link.sequence,
            previous: link.previous,
            first_step: done.first_step as i64,
            steps: done.steps as i64,
            epoch: link.epoch,
            opens: link.opens,
            dead_letters: list(done.dead, &done.inputs),
            skipped: list(done.skipped, &done.inputs),
            inputs: done.inputs.into_iter().map(Intake::range).collect(),
            injected: done.injected.iter().map(Injected::to_journal).collect(),
            order: done.order,
            outputs: done.outbox.len() as i64,
            outputs_digest: done.outbox.digest(),
            instance: link.instance.to_owned(),
            hash: Digest::NONE,
        };
        let bytes = record.seal();
        (record, bytes, done.outbox)
    }
}

/// What ties a record to the chain.
#[derive(Debug)]
pub struct Link<'a> {
    /// The worker.
    pub worker: &'a WorkerName,
    /// The task.
    pub partition: i32,
    /// The record's sequence number.
    pub sequence: i64,
    /// Hash of the record before.
    pub previous: Digest,
    /// The epoch in force.
    pub epoch: Digest,
    /// The epoch, if it begins here.
    pub opens: Option<Epoch>,
    /// Who writes it.
    pub instance: &'a str,
}

impl Intake {
    fn range(self) -> InputRange {
        InputRange {
            topic: self.at.topic,
            partition: self.at.partition,
            from: self.from,
            to: self.to,
            count: self.count,
            processed: self.processed,
            digest: self.hasher.finalize().into(),
        }
    }
}

/// Adds an offset to the last run if no record was taken between them.
fn extend(runs: &mut Vec<OffsetRun>, previous_to: i64, offset: i64) {
    match runs.last_mut() {
        Some(run) if run.last + 1 == previous_to => run.last = offset,
        _ => runs.push(OffsetRun { first: offset, last: offset }),
    }
}
