//! What does not hold, and where.

use std::fmt;

use serde_json::{Value, json};
use tapewatch_eventlog::TopicPartition;
use tapewatch_schemas::WorkerName;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// Consumed = processed + dead-lettered + skipped, by an independent count; and the group stands where
    /// the journal does.
    Accounted,
    /// Every output that the journal counts is there for a committed reader, once; and no record is processed
    /// twice, whether or not it was a dead letter in between.
    Once,
    /// Replay gives every byte again.
    Replayed,
    /// Every partition can be read to its end: no transaction was left open.
    Settled,
    /// Outputs of a key stand in the order of their steps, and steps take each source in its order; where keys are
    /// held, a key's records are processed as they were published first.
    Ordered,
    /// Every dead letter that the audit journal names was sent back, once, and no other.
    Returned,
    /// Every deadline has been met, once.
    Ticked,
}

impl Invariant {
    /// As it is printed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accounted => "accounted",
            Self::Once => "once",
            Self::Replayed => "replayed",
            Self::Settled => "settled",
            Self::Ordered => "ordered",
            Self::Returned => "returned",
            Self::Ticked => "ticked",
        }
    }
}

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What should have held.
    pub invariant: Invariant,
    /// The worker and its task; none if it is about no worker.
    pub task: Option<(WorkerName, i32)>,
    /// The partition; none if it is about none.
    pub at: Option<TopicPartition>,
    /// The offset there.
    pub offset: Option<i64>,
    /// The task's step.
    pub step: Option<u64>,
    /// What is there.
    pub found: String,
    /// What should be.
    pub expected: String,
}

impl Violation {
    /// A violation of no place yet.
    pub(super) fn new(invariant: Invariant, found: impl Into<String>, expected: impl Into<String>) -> Self {
        let (found, expected) = (found.into(), expected.into());
        Self { invariant, task: None, at: None, offset: None, step: None, found, expected }
    }

    /// … of a worker's task.
    pub(super) fn of(self, worker: &WorkerName, task: i32) -> Self {
        Self { task: Some((worker.clone(), task)), ..self }
    }

    /// … in a partition.
    pub(super) fn at(self, at: &TopicPartition) -> Self {
        Self { at: Some(at.clone()), ..self }
    }

    /// … at an offset.
    pub(super) fn offset(self, offset: i64) -> Self {
        Self { offset: Some(offset), ..self }
    }

    /// … at a step.
    pub(super) fn step(self, step: u64) -> Self {
        Self { step: Some(step), ..self }
    }

    /// For a program to read.
    pub fn to_json(&self) -> Value {
        json!({
            "invariant": self.invariant.as_str(),
            "worker": self.task.as_ref().map(|(worker, _)| worker.as_str()),
            "task": self.task.as_ref().map(|(_, task)| task),
            "topic": self.at.as_ref().map(|at| at.topic.as_str()),
            "partition": self.at.as_ref().map(|at| at.partition),
            "offset": self.offset,
            "step": self.step,
            "found": self.found,
            "expected": self.expected,
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not {}:", self.invariant.as_str())?;
        if let Some((worker, task)) = &self.task {
            write!(f, " {worker}/{task}")?;
        }
        if let Some(at) = &self.at {
            write!(f, " {at}")?;
        }
        if let Some(offset) = self.offset {
            write!(f, " offset {offset}")?;
        }
        if let Some(step) = self.step {
            write!(f, " step {step}")?;
        }
        write!(f, ": {}; expected {}", self.found, self.expected)
    }
}
