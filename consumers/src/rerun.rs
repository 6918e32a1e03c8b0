//! Runs journalled rounds again: the one path that restore, `replay --verify` and snapshots' checks share.
//!
//! The journal's order is followed, never merged again; its dead letters are followed, never derived again.

mod intake;

use std::collections::BTreeMap;

use tapewatch_eventlog::{OutRecord, TopicPartition};
use tapewatch_schemas::journal::{JournalRecord, Run};
use tapewatch_schemas::{Digest, Time};

use crate::core::{Blueprint, Core};
use crate::feed::{Feed, FeedError, Located};
use crate::injected::Injected;
use crate::outbox::Outbox;
use crate::snapshot::{LanePosition, SavedTask};

pub(crate) use self::intake::{Fate, Scripted, covers, script};
use self::intake::{Intake, dead_of, inconsistent, injected, inputs};

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
