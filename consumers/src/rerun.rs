//! Runs journalled rounds again: the one path that restore, `replay --verify` and snapshots' checks share.
//!
//! The journal's order is followed, never merged again; its dead letters are followed, never derived again.

use std::collections::BTreeMap;

use tapewatch_eventlog::{OutRecord, TopicPartition};
use tapewatch_schemas::journal::{Excluded, JournalRecord, OffsetRun, Run};
use tapewatch_schemas::{Digest, Time};

use crate::core::{Blueprint, Core};
use crate::feed::{Feed, FeedError, Located};
use crate::injected::Injected;
use crate::inspect::{PASSED, Verdict};
use crate::outbox::Outbox;
use crate::pending::SOUGHT;
use crate::snapshot::{LanePosition, SavedTask};

/// So many offsets of a range are looked at together.
const PART: i64 = 10_000;

/// A task being run again.
pub struct Rerun {
    blueprint: Blueprint,
    partition: i32,
    core: Option<Core>,
    lanes: BTreeMap<TopicPartition, (i64, Time)>,
    /// Sequence number of the next journal record.
    pub sequence: i64,
    /// Hash of the last journal record.
    pub previous: Digest,
    dead: Vec<DeadRecord>,
}

/// A record that the last journal record says was dead-lettered by this task.
#[derive(Clone, Debug)]
pub struct DeadRecord {
    /// Why.
    pub reason: String,
    /// The record.
    pub located: Located,
}

/// What differs between the journal and what the log gives now.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Difference {
    /// A journal record is missing, doubled or out of order.
    #[error("journal sequence {found} stands where {expected} was expected")]
    Sequence {
        /// In the record.
        found: i64,
        /// One after the record before.
        expected: i64,
    },
    /// The chain is broken.
    #[error("the record says that the one before has hash {said}, it has {found}")]
    Chain {
        /// In the record.
        said: Digest,
        /// Of the record before.
        found: Digest,
    },
    /// A position does not follow from the record before.
    #[error("{at}: the record begins at offset {found}, the one before ended at {expected}")]
    Position {
        /// The input partition.
        at: TopicPartition,
        /// In the record.
        found: i64,
        /// At the end of the record before.
        expected: i64,
    },
    /// Inputs are not what they were.
    #[error(
        "{at}: offsets {from} to {to} have {count} records with digest {found}; journalled were {said_count} with {said}"
    )]
    Input {
        /// The input partition.
        at: TopicPartition,
        /// From this offset.
        from: i64,
        /// To before this offset.
        to: i64,
        /// Records now.
        count: i64,
        /// Records then.
        said_count: i64,
        /// Digest now.
        found: Digest,
        /// Digest then.
        said: Digest,
    },
    /// A record that was processed then cannot be processed now.
    #[error("{at} offset {offset}: was processed, and now is not: {why}")]
    Fate {
        /// The input partition.
        at: TopicPartition,
        /// The record.
        offset: i64,
        /// Why not.
        why: String,
    },
    /// The outputs are not what they were.
    #[error("{count} outputs with digest {found}; journalled were {said_count} with {said}")]
    Outputs {
        /// Outputs now.
        count: i64,
        /// Outputs then.
        said_count: i64,
        /// Digest now.
        found: Digest,
        /// Digest then.
        said: Digest,
    },
    /// The record contradicts itself.
    #[error("the record is inconsistent: {0}")]
    Inconsistent(String),
}

/// Why a rerun stopped.
#[derive(Debug, thiserror::Error)]
pub enum RerunError {
    /// Something is not as it was.
    #[error("{0}")]
    Differs(Box<Difference>),
    /// Something that is needed is not there.
    #[error(transparent)]
    Feed(#[from] FeedError),
}

impl From<Difference> for RerunError {
    fn from(difference: Difference) -> Self {
        Self::Differs(Box::new(difference))
    }
}

impl Rerun {
    /// A task before its first journal record.
    pub fn from_genesis(blueprint: Blueprint, partition: i32) -> Self {
        let (sequence, previous) = (0, Digest::NONE);
        let lanes = BTreeMap::new();
        Self { blueprint, partition, core: None, lanes, sequence, previous, dead: Vec::new() }
    }

    /// A task after the journal record `sequence`, whose hash is `hash`.
    pub fn from_saved(
        blueprint: Blueprint,
        saved: &SavedTask,
        sequence: i64,
        hash: Digest,
    ) -> Result<Self, crate::core::SavedStateError> {
        let core = Core::restore(blueprint.clone(), &saved.core)?;
        let lanes = saved.lanes.iter().map(|lane| {
            (TopicPartition::new(lane.topic.clone(), lane.partition), (lane.position, lane.merge_time))
        });
        Ok(Self {
            blueprint,
            partition: core.partition(),
            core: Some(core),
            lanes: lanes.collect(),
            sequence: sequence + 1,
            previous: hash,
            dead: Vec::new(),
        })
    }

    /// The core, once the first journal record was run.
    pub fn core(&self) -> Option<&Core> {
        self.core.as_ref()
    }

    /// The records that the last journal record dead-lettered, in offset order per partition.
    pub fn dead(&self) -> &[DeadRecord] {
        &self.dead
    }

    /// Every input's position and last merge time.
    pub fn lanes(&self) -> &BTreeMap<TopicPartition, (i64, Time)> {
        &self.lanes
    }

    /// The core and the inputs' positions, to go on live.
    pub fn into_parts(self) -> (Option<Core>, BTreeMap<TopicPartition, (i64, Time)>) {
        (self.core, self.lanes)
    }

    /// The state as a snapshot after the last record would hold it.
    pub fn save(&self) -> Option<SavedTask> {
        let lanes = self.lanes.iter().map(|(at, (position, merge_time))| LanePosition {
            topic: at.topic.clone(),
            partition: at.partition,
            position: *position,
            merge_time: *merge_time,
        });
        Some(SavedTask { core: self.core.as_ref()?.save(), lanes: lanes.collect() })
    }

    /// Checks that a record continues the chain.
    pub fn check_link(&self, record: &JournalRecord) -> Result<(), Difference> {
        if record.sequence != self.sequence {
            return Err(Difference::Sequence { found: record.sequence, expected: self.sequence });
        }
        if record.previous != self.previous {
            return Err(Difference::Chain { said: record.previous, found: self.previous });
        }
        Ok(())
    }

    /// Runs one journalled round again, and gives its outputs.
    ///
    /// # Errors
    /// The first difference. With `compare` false (another code version wrote the record) outputs may
    /// differ, and records may be refused that were processed then.
    pub fn run(
        &mut self,
        record: &JournalRecord,
        feed: &mut Feed,
        compare: bool,
    ) -> Result<Vec<OutRecord>, RerunError> {
        self.check_link(record)?;
        let injected = injected(record)?;
        if let (None, Some(Injected::Start(start))) = (&self.core, injected.first()) {
            self.core = Some(Core::new(self.blueprint.clone(), self.partition, start.clone()));
            for (topic, partition, position) in &start.positions {
                let at = TopicPartition::new(topic.clone(), *partition);
                self.lanes.insert(at, (*position, Time::MIN));
            }
        }
        let inputs = inputs(record, &self.lanes, feed)?;
        let outbox = self.follow(record, injected, &inputs, compare)?;
        for (range, taken) in record.inputs.iter().zip(&inputs) {
            let at = TopicPartition::new(range.topic.clone(), range.partition);
            let lane = self.lanes.entry(at).or_insert((range.from, Time::MIN));
            lane.0 = range.to;
            lane.1 = lane.1.max(taken.merge_time);
        }
        self.dead = record.dead_letters.iter().flat_map(|excluded| dead_of(excluded, &inputs)).collect();
        self.dead.sort_by_key(|dead| dead.located.0.batch.record(dead.located.1).offset);
        let (count, found) = (outbox.len() as i64, outbox.digest());
        if compare && (count != record.outputs || found != record.outputs_digest) {
            let (said_count, said) = (record.outputs, record.outputs_digest);
            return Err(Difference::Outputs { count, said_count, found, said }.into());
        }
        self.sequence += 1;
        self.previous = record.hash;
        Ok(outbox.records.into_iter().map(|(_, record)| record).collect())
    }

    /// Follows the record's order.
    fn follow(
        &mut self,
        record: &JournalRecord,
        injected: Vec<Injected>,
        inputs: &[Intake],
        compare: bool,
    ) -> Result<Outbox, RerunError> {
        let Some(core) = self.core.as_mut() else {
            return Err(Difference::Inconsistent("the journal does not begin with a start".into()).into());
        };
        if core.step() as i64 != record.first_step {
            let text = format!("its first step is {}, expected {}", record.first_step, core.step());
            return Err(Difference::Inconsistent(text).into());
        }
        let mut outbox = Outbox::default();
        let mut next = vec![0; inputs.len()];
        let mut events = injected.into_iter();
        for run in &record.order {
            for _ in 0..run.count {
                if run.input == Run::INJECTED {
                    let event = events.next().ok_or_else(|| inconsistent("injected events"))?;
                    core.inject(&event, &mut outbox);
                    continue;
                }
                let index = run.input as usize;
                let intake = inputs.get(index).ok_or_else(|| inconsistent("inputs"))?;
                let located = intake.steps.get(next[index]).ok_or_else(|| inconsistent("records"))?;
                next[index] += 1;
                intake.step(core, located, &mut outbox, compare)?;
            }
        }
        let complete = events.next().is_none() && inputs.iter().zip(&next).all(|(i, n)| i.steps.len() == *n);
        if complete { Ok(outbox) } else { Err(inconsistent("steps").into()) }
    }
}

/// A step of a journalled round.
pub(crate) enum Scripted {
    /// An injected event.
    Injected(Injected),
    /// A record, and what became of it.
    Record {
        /// The record.
        located: Located,
        /// What became of it.
        fate: Fate,
    },
}

/// What became of a record that took a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The monitor took it.
    Taken,
    /// It is a dead letter of the task's own.
    Dead,
    /// It is a dead letter of another task.
    DeadElsewhere,
}

/// A journalled round step by step, in the merge's order; its inputs must be what they were.
pub(crate) fn script(
    record: &JournalRecord,
    lanes: &BTreeMap<TopicPartition, (i64, Time)>,
    feed: &mut Feed,
) -> Result<Vec<Scripted>, RerunError> {
    let mut events = injected(record)?.into_iter();
    let inputs = inputs(record, lanes, feed)?;
    let mut next: Vec<_> = inputs.iter().map(|intake| intake.steps.iter()).collect();
    let mut steps = Vec::with_capacity(record.steps as usize);
    for run in &record.order {
        for _ in 0..run.count {
            if run.input == Run::INJECTED {
                steps.push(Scripted::Injected(events.next().ok_or_else(|| inconsistent("injected events"))?));
                continue;
            }
            let index = run.input as usize;
            let intake = inputs.get(index).ok_or_else(|| inconsistent("inputs"))?;
            let located = next[index].next().ok_or_else(|| inconsistent("records"))?;
            let offset = located.0.batch.record(located.1).offset;
            let fate = match (covers(&intake.dead, offset), covers(&intake.elsewhere, offset)) {
                (true, _) => Fate::Dead,
                (false, true) => Fate::DeadElsewhere,
                (false, false) => Fate::Taken,
            };
            steps.push(Scripted::Record { located: located.clone(), fate });
        }
    }
    let complete = events.next().is_none() && next.iter_mut().all(|steps| steps.next().is_none());
    if complete { Ok(steps) } else { Err(inconsistent("steps").into()) }
}

/// Reads the record's input ranges and compares their digests.
fn inputs(
    record: &JournalRecord,
    lanes: &BTreeMap<TopicPartition, (i64, Time)>,
    feed: &mut Feed,
) -> Result<Vec<Intake>, RerunError> {
    let mut inputs = Vec::with_capacity(record.inputs.len());
    for range in &record.inputs {
        let at = TopicPartition::new(range.topic.clone(), range.partition);
        if let Some((expected, _)) = lanes.get(&at)
            && *expected != range.from
        {
            return Err(Difference::Position { at, found: range.from, expected: *expected }.into());
        }
        let excluded = |list: &[Excluded], stepless: bool| -> Vec<OffsetRun> {
            let of_range = list.iter().filter(|e| {
                e.topic == range.topic
                    && e.partition == range.partition
                    && takes_no_step(&e.reason) == stepless
            });
            let mut runs: Vec<OffsetRun> = of_range.flat_map(|e| e.runs.iter().copied()).collect();
            runs.sort_by_key(|run| run.first);
            runs
        };
        let passed = excluded(&record.skipped, true);
        let mut hasher = blake3::Hasher::new();
        let mut count = 0;
        let mut records = Vec::new();
        // In parts: what was skipped on purpose may be more than fits.
        let mut from = range.from;
        while from < range.to {
            let to = range.to.min(from.saturating_add(PART));
            let part = feed.range(&at, from, to)?;
            count += part.len() as i64;
            part.iter().for_each(|(fetched, index)| {
                hasher.update(&fetched.verdicts[*index].digest.0);
            });
            let keep = |(fetched, index): &Located| !covers(&passed, fetched.batch.record(*index).offset);
            match (passed.is_empty(), records.is_empty()) {
                (true, true) => records = part,
                (true, false) => records.extend(part),
                (false, _) => records.extend(part.into_iter().filter(keep)),
            }
            from = to;
        }
        let found = Digest::from(hasher.finalize());
        if count != range.count || found != range.digest {
            let (said_count, said, from, to) = (range.count, range.digest, range.from, range.to);
            return Err(Difference::Input { at, from, to, count, said_count, found, said }.into());
        }
        let dead = excluded(&record.dead_letters, false);
        let elsewhere = excluded(&record.skipped, false);
        inputs.push(Intake { at, dead, elsewhere, steps: records, merge_time: Time::MIN });
    }
    for intake in &mut inputs {
        let good = intake.steps.iter().filter_map(|(fetched, index)| {
            let offset = fetched.batch.record(*index).offset;
            if intake.is_dead(offset) { None } else { fetched.verdicts[*index].event_time() }
        });
        intake.merge_time = good.max().unwrap_or(Time::MIN);
    }
    Ok(inputs)
}

/// One input range, ready to be followed.
struct Intake {
    at: TopicPartition,
    /// Dead letters of the task's own, and those that another task writes.
    dead: Vec<OffsetRun>,
    elsewhere: Vec<OffsetRun>,
    steps: Vec<Located>,
    merge_time: Time,
}

impl Intake {
    fn is_dead(&self, offset: i64) -> bool {
        covers(&self.dead, offset) || covers(&self.elsewhere, offset)
    }

    fn step(
        &self,
        core: &mut Core,
        (fetched, index): &Located,
        outbox: &mut Outbox,
        compare: bool,
    ) -> Result<(), Difference> {
        let record = fetched.batch.record(*index);
        if self.is_dead(record.offset) {
            core.fail(&self.at, record.offset, covers(&self.dead, record.offset));
            return Ok(());
        }
        let why = match &fetched.verdicts[*index].verdict {
            Verdict::Take(event) => match core.observe(&record, event, outbox) {
                Ok(()) => return Ok(()),
                Err(refusal) => refusal.to_string(),
            },
            Verdict::Bad(fault) => fault.text.clone(),
            Verdict::Pass => "it is of no concern to this worker".to_owned(),
        };
        if compare {
            return Err(Difference::Fate { at: self.at.clone(), offset: record.offset, why });
        }
        core.fail(&self.at, record.offset, true);
        Ok(())
    }
}

fn injected(record: &JournalRecord) -> Result<Vec<Injected>, Difference> {
    let events = record.injected.iter().map(Injected::from_journal).collect::<Result<Vec<_>, _>>();
    events.map_err(Difference::Inconsistent)
}

fn dead_of(excluded: &Excluded, inputs: &[Intake]) -> Vec<DeadRecord> {
    let of =
        |intake: &&Intake| intake.at.topic == excluded.topic && intake.at.partition == excluded.partition;
    let located = inputs.iter().filter(of).flat_map(|intake| &intake.steps);
    let dead = located.filter(|(fetched, index)| covers(&excluded.runs, fetched.batch.record(*index).offset));
    dead.map(|located| DeadRecord { reason: excluded.reason.clone(), located: located.clone() }).collect()
}

fn inconsistent(what: &str) -> Difference {
    Difference::Inconsistent(format!("its order and its {what} do not add up"))
}

/// True if records that are excluded for this reason take no step.
fn takes_no_step(reason: &str) -> bool {
    reason == PASSED || reason == SOUGHT
}

/// True if a run covers the offset; runs are sorted and do not overlap.
fn covers(runs: &[OffsetRun], offset: i64) -> bool {
    let after = runs.partition_point(|run| run.first <= offset);
    after > 0 && runs[after - 1].last >= offset
}
