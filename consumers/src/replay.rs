//! `replay --verify`: rebuilds a worker's outputs from its journal and compares every byte with the log.
//!
//! Journal, inputs, outputs and letters are read forward side by side; what is held at a time is bounded.

mod journal;
mod letters;
mod outputs;
mod run;
mod states;

use std::sync::Arc;

use serde::Serialize;
use tapewatch_eventlog::{Log, LogError, TopicPartition};
use tapewatch_schemas::catalogue::journal_topic;
use tapewatch_schemas::{Time, WorkerName};

use crate::audit::partitions;
use crate::plan::WorkerPlan;
use crate::scan::Scanner;

use self::run::Run;

/// Which part of a journal to verify.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Begin at the last anchor whose clock is at or before this.
    pub from: Option<Time>,
    /// End with the last round that began at or before this, by the task's clock.
    pub to: Option<Time>,
}

/// What was found about one task.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The worker.
    pub worker: WorkerName,
    /// The task.
    pub partition: i32,
    /// The first journal record that was run again; none if none was.
    pub first: Option<i64>,
    /// The last.
    pub last: Option<i64>,
    /// Journal records that were run again.
    pub records: u64,
    /// Input records that were run again.
    pub inputs: u64,
    /// Outputs that are byte for byte what is in the log.
    pub outputs: u64,
    /// Dead letters that hold what they should, those in range letters included.
    pub letters: u64,
    /// Snapshots and anchors whose state is the one that was reached.
    pub states: u64,
    /// What differs, the first first; at most [`MOST_FINDINGS`].
    pub differs: Vec<Finding>,
    /// What could not be verified, and why.
    pub unverifiable: Vec<String>,
}

/// So many differences of a task are told.
pub const MOST_FINDINGS: usize = 100;

/// How a task came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every byte is what it was.
    Verified,
    /// Something cannot be verified, and nothing differs.
    NotVerifiable,
    /// Something is not what it was.
    Differs,
}

impl Report {
    /// How it came out.
    pub fn verdict(&self) -> Verdict {
        if !self.differs.is_empty() {
            Verdict::Differs
        } else if !self.unverifiable.is_empty() {
            Verdict::NotVerifiable
        } else {
            Verdict::Verified
        }
    }

    fn differ(&mut self, sequence: impl Into<Option<i64>>, what: String) {
        if self.differs.len() < MOST_FINDINGS {
            self.differs.push(Finding { sequence: sequence.into(), what });
        }
    }
}

/// One difference, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The journal record's sequence number; none where it is not about one.
    pub sequence: Option<i64>,
    /// What is not as it was, with topic, partition and offset where there is one.
    pub what: String,
}

/// Verifies tasks of one worker.
pub struct Verifier<'a> {
    plan: &'a WorkerPlan,
    log: Arc<dyn Log>,
    scanner: Scanner,
    range: Range,
    tasks: i32,
}

impl<'a> Verifier<'a> {
    /// A verifier that reads a log and never writes to it.
    pub fn new(plan: &'a WorkerPlan, log: Arc<dyn Log>, range: Range) -> Result<Self, LogError> {
        let scanner = Scanner::new(Arc::clone(&log))?;
        let tasks = partitions(&log, &journal_topic(plan.worker.as_str()))?;
        Ok(Self { plan, log, scanner, range, tasks })
    }

    /// How many tasks the worker has.
    pub fn tasks(&self) -> i32 {
        self.tasks
    }

    /// Verifies the task `partition`. What has no journal record cannot be verified. `progress` is told after every journal record how many of how many
    /// are done.
    pub fn verify(&mut self, partition: i32, progress: &mut dyn FnMut(u64, u64)) -> Result<Report, LogError> {
        let mut report = Run::begin(self, partition)?.verify(progress)?;
        // A range after the last anchor may hold nothing; a whole journal without a record is another matter.
        let nothing = report.first.is_none() && report.verdict() == Verdict::Verified;
        if nothing && (self.range == Range::default() || self.is_empty(partition)?) {
            report.unverifiable.push(format!(
                "its journal is empty: {} has never run here, so there is nothing to verify",
                report.worker
            ));
        }
        Ok(report)
    }

    fn is_empty(&self, partition: i32) -> Result<bool, LogError> {
        let topic = journal_topic(self.plan.worker.as_str());
        let bounds = self.log.bounds(&TopicPartition::new(topic, partition))?;
        Ok(bounds.earliest >= bounds.end)
    }
}
