//! A task as it would have gone under another configuration.
//!
//! Records come in the journalled order. Ticks are the one thing that is derived anew: which deadlines there
//! are is the configuration's affair. Before a record whatever is due before its merge time, as it was live;
//! and where a tick was journalled, time had come so far.

use std::collections::BTreeMap;

use tapewatch_eventlog::dead_letter::Redriven;
use tapewatch_eventlog::{RecordRef, TopicPartition};
use tapewatch_schemas::catalogue::{is_redrive, source_of};
use tapewatch_schemas::journal::JournalRecord;
use tapewatch_schemas::{Digest, Event, Time, TopicName};

use crate::core::{Blueprint, Core, Incoming};
use crate::feed::Feed;
use crate::injected::Injected;
use crate::outbox::Outbox;
use crate::rerun::{Difference, Fate, RerunError, Scripted, script};

/// A task under another configuration.
pub(super) struct Imagined {
    blueprint: Blueprint,
    partition: i32,
    core: Option<Core>,
    /// Position and last merge time of each input.
    lanes: BTreeMap<TopicPartition, (i64, Time)>,
    sequence: i64,
    previous: Digest,
}

impl Imagined {
    /// Before its first journal record.
    pub(super) fn new(blueprint: Blueprint, partition: i32) -> Self {
        let (lanes, previous) = (BTreeMap::new(), Digest::NONE);
        Self { blueprint, partition, core: None, lanes, sequence: 0, previous }
    }

    /// Every input's position and last merge time.
    pub(super) fn lanes(&self) -> &BTreeMap<TopicPartition, (i64, Time)> {
        &self.lanes
    }

    /// Sequence number of the next journal record.
    pub(super) fn sequence(&self) -> i64 {
        self.sequence
    }

    /// Reads a journalled round, whose inputs must be what they were.
    pub(super) fn read(
        &mut self,
        record: &JournalRecord,
        feed: &mut Feed,
    ) -> Result<Vec<Scripted>, RerunError> {
        if record.sequence != self.sequence {
            let (found, expected) = (record.sequence, self.sequence);
            return Err(Difference::Sequence { found, expected }.into());
        }
        if record.previous != self.previous {
            let (said, found) = (record.previous, self.previous);
            return Err(Difference::Chain { said, found }.into());
        }
        let steps = script(record, &self.lanes, feed)?;
        for range in &record.inputs {
            let at = TopicPartition::new(range.topic.clone(), range.partition);
            self.lanes.entry(at).or_insert((range.from, Time::MIN)).0 = range.to;
        }
        self.sequence += 1;
        self.previous = record.hash;
        Ok(steps)
    }

    /// The merge time that a record of this event time would have.
    pub(super) fn merge_time(&self, at: &TopicPartition, time: Option<Time>) -> Time {
        let before = self.lanes.get(at).map_or(Time::MIN, |(_, before)| *before);
        time.map_or(before, |time| time.max(before))
    }

    /// Injects what is due before a record with this merge time.
    pub(super) fn tick_before(&mut self, time: Time, outbox: &mut Outbox) {
        self.tick_to(Time(time.0.saturating_sub(1)), outbox);
    }

    fn tick_to(&mut self, target: Time, outbox: &mut Outbox) {
        let Some(core) = self.core.as_mut() else { return };
        let mut before = None;
        while let Some(due) = core.next_tick(target) {
            assert!(before < Some(due), "a tick must move its deadline, or the task would tick for ever");
            core.inject(&Injected::Tick(due), outbox);
            before = Some(due);
        }
    }

    /// Takes an injected event of the journal.
    pub(super) fn inject(&mut self, event: &Injected, outbox: &mut Outbox) {
        match event {
            Injected::Tick(time) => return self.tick_to(*time, outbox),
            Injected::Start(start) if self.core.is_none() => {
                self.core = Some(Core::new(self.blueprint.clone(), self.partition, start.clone()));
                for (topic, partition, position) in &start.positions {
                    let at = TopicPartition::new(topic.clone(), *partition);
                    self.lanes.entry(at).or_insert((*position, Time::MIN));
                }
            }
            _ => {}
        }
        if let Some(core) = self.core.as_mut() {
            core.inject(event, outbox);
        }
    }

    /// Shows a record to the monitor. What it refuses now takes its step as a dead letter would.
    pub(super) fn take(
        &mut self,
        at: &TopicPartition,
        record: &RecordRef<'_>,
        event: &Event,
        outbox: &mut Outbox,
    ) {
        let time = self.merge_time(at, Some(event.event_time()));
        self.tick_before(time, outbox);
        let Some(core) = self.core.as_mut() else { return };
        let (topic, redriven) = origin(record);
        let one = Incoming { record, topic: &topic, redriven: redriven.as_ref() };
        if core.observe(&one, event, outbox).is_err() {
            core.fail(&one, true);
        } else {
            self.lanes.entry(at.clone()).or_insert((record.offset, time)).1 = time;
        }
    }

    /// Takes the step of a record that the monitor is not shown.
    pub(super) fn pass(
        &mut self,
        at: &TopicPartition,
        record: &RecordRef<'_>,
        fate: Fate,
        outbox: &mut Outbox,
    ) {
        self.tick_before(self.merge_time(at, None), outbox);
        let Some(core) = self.core.as_mut() else { return };
        let (topic, redriven) = origin(record);
        let one = Incoming { record, topic: &topic, redriven: redriven.as_ref() };
        match fate {
            Fate::Discarded => core.discard(&one),
            Fate::Held => core.hold_back(&one),
            Fate::DeadElsewhere => drop(core.fail(&one, false)),
            // Taken then, and cannot be decoded now.
            Fate::Dead | Fate::Taken => drop(core.fail(&one, true)),
        }
    }
}

/// Where a record was published first.
fn origin(record: &RecordRef<'_>) -> (TopicName, Option<Redriven>) {
    let read = record.topic.as_str();
    (TopicName::from(source_of(read)), if is_redrive(read) { Redriven::read(record) } else { None })
}
