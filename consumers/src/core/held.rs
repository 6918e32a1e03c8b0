//! Keys that are held behind dead letters: what a task's steps hold and settle.

use tapewatch_eventlog::RecordRef;
use tapewatch_eventlog::dead_letter::Redriven;
use tapewatch_schemas::TopicName;

use super::Core;
use crate::hold::{HoldParameters, Holding};

/// A record on its way into a task.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The record, as it was read.
    pub record: &'a RecordRef<'a>,
    /// The topic in which it was published first.
    pub topic: &'a TopicName,
    /// What it says of itself, if it came back.
    pub redriven: Option<&'a Redriven>,
}

impl Core {
    /// The offset of the dead letter behind which a record is held, if it is.
    pub fn blocks(&self, one: &Incoming<'_>) -> Option<i64> {
        self.state.held.blocks(&self.holding(one)?)
    }

    /// Takes the step of a good record whose key is held: it is a dead letter, and no failure of its source.
    pub fn hold_back(&mut self, one: &Incoming<'_>) {
        self.outputs.clear();
        self.state.step += 1;
        self.state.counts.dead += 1;
        self.hold(one);
    }

    /// Takes the step of a dead letter that a person has given up: its key waits for it no more.
    pub fn discard(&mut self, one: &Incoming<'_>) {
        self.state.step += 1;
        self.settle(one);
    }

    /// A dead letter holds its key.
    pub(super) fn hold(&mut self, one: &Incoming<'_>) {
        if let Some(one) = self.holding(one) {
            self.state.held.letter(&one, self.blueprint.hold.most);
        }
    }

    /// What came back was taken, or given up.
    pub(super) fn settle(&mut self, one: &Incoming<'_>) {
        if let Some(one) = self.holding(one) {
            self.state.held.settle(&one);
        }
    }

    fn holding<'a>(&self, one: &Incoming<'a>) -> Option<Holding<'a>> {
        self.blueprint.hold.holding(one.topic, one.record, one.redriven)
    }

    /// How many keys are held.
    pub fn held_keys(&self) -> usize {
        self.state.held.len()
    }

    /// True if keys of a topic are held behind its dead letters.
    pub fn holds(&self, topic: &TopicName) -> bool {
        self.blueprint.hold.topics.contains(topic)
    }

    /// True if nothing more of a topic may be taken: it might have to hold a key, and no more can be held.
    pub fn holds_no_more(&self, topic: &TopicName) -> bool {
        let HoldParameters { topics, most } = &self.blueprint.hold;
        !topics.is_empty() && self.state.held.len() >= *most && topics.contains(topic)
    }
}
