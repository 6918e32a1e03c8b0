//! `replay --verify`: rebuilds a worker's outputs from its journal and compares every byte with the log.
//!
//! Journals, inputs, outputs and letters are read forward side by side, for all tasks of a worker together:
//! what they share is read and decoded once. Of the inputs at most [`crate::feed::AHEAD`] records are held that
//! no task has taken yet, and of each shared partition [`crate::feed::KEPT`] that the task which is furthest
//! behind has not; the task that is furthest behind goes on first, so that the distance is about a journal
//! record. Of the outputs a digest each is held for as long as that distance. Beside these stand what every
//! task's state takes, and a digest of each of its dead letters and anchors.

mod journal;
mod letters;
mod outputs;
pub mod rebuild;
mod rows;
mod run;
mod states;
pub mod what_if;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tapewatch_eventlog::{Log, LogError, TopicPartition};
use tapewatch_schemas::catalogue::journal_topic;
use tapewatch_schemas::{Time, WorkerName};

use crate::audit::partitions;
use crate::plan::WorkerPlan;

use self::run::{Run, Shared};

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
    pub unverifiable: Vec<Gap>,
}

/// A run of journal records that cannot be verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The first record's sequence number; none if there is no record.
    pub first: Option<i64>,
    /// The last one's; none if it goes on to the end.
    pub last: Option<i64>,
    /// Why not.
    pub why: String,
}

impl Gap {
    fn after(first: i64, why: String) -> Self {
        Self { first: Some(first), last: None, why }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (Some(first), Some(last)) => write!(f, "sequence {first} to {last}"),
            (Some(first), None) => write!(f, "from sequence {first}"),
            (None, _) => write!(f, "all of it"),
        }
    }
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
    range: Range,
    tasks: i32,
}

/// Told after every journal record how many of how many are done.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

impl<'a> Verifier<'a> {
    /// A verifier that reads a log and never writes to it.
    pub fn new(plan: &'a WorkerPlan, log: Arc<dyn Log>, range: Range) -> Result<Self, LogError> {
        let tasks = partitions(&log, &journal_topic(plan.worker.as_str()))?;
        Ok(Self { plan, log, range, tasks })
    }

    /// How many tasks the worker has.
    pub fn tasks(&self) -> i32 {
        self.tasks
    }

    /// Verifies the task `partition`. What has no journal record cannot be verified.
    pub fn verify(&mut self, partition: i32, progress: Progress<'_>) -> Result<Report, LogError> {
        let reports = self.verify_all(&[partition], progress)?;
        Ok(reports.into_iter().next().expect("there is a report for each task"))
    }

    /// Verifies these tasks side by side, and reports on each in their order. The task that has read least
    /// of what they share goes on first.
    pub fn verify_all(&mut self, of: &[i32], progress: Progress<'_>) -> Result<Vec<Report>, LogError> {
        let mut shared = Shared::open(self.plan, &self.log, self.range, (of, self.tasks))?;
        let mut runs = Vec::with_capacity(of.len());
        for task in of {
            runs.push(Run::begin(&mut shared, *task)?);
        }
        // How far each has read; none once it is done.
        let mut at: Vec<Option<i64>> = runs.iter().map(|run| Some(run.progress(self.plan))).collect();
        let mut turns = 0_u32;
        while let Some(next) = least(&at) {
            let goes_on = runs[next].step(&mut shared)?;
            at[next] = goes_on.then(|| runs[next].progress(self.plan));
            let (done, total) = shared.journals.progress();
            progress(done, total);
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(8) {
                let left = runs.iter().zip(&at).filter(|(_, at)| at.is_some()).map(|(run, _)| run);
                release(&mut shared, &left.collect::<Vec<_>>());
            }
        }
        runs.into_iter().map(|run| self.concluded(run.into_report())).collect()
    }

    fn concluded(&self, mut report: Report) -> Result<Report, LogError> {
        // A range after the last anchor may hold nothing; a whole journal without a record is another matter.
        let nothing = report.first.is_none() && report.verdict() == Verdict::Verified;
        if nothing && (self.range == Range::default() || self.is_empty(report.partition)?) {
            let worker = &report.worker;
            let why =
                format!("its journal is empty: {worker} has never run here, so there is nothing to verify");
            report.unverifiable.push(Gap { first: None, last: None, why });
        }
        Ok(report)
    }

    fn is_empty(&self, partition: i32) -> Result<bool, LogError> {
        let topic = journal_topic(self.plan.worker.as_str());
        let bounds = self.log.bounds(&TopicPartition::new(topic, partition))?;
        Ok(bounds.earliest >= bounds.end)
    }
}

/// Verifies these tasks of a worker on so many threads, and reports on each in their order. Each thread has
/// the bounds of this module's head to itself. `progress` is told how many journal records of how many are
/// done, over all threads.
///
/// # Errors
/// The log's.
pub fn verify_on_threads(
    plan: &WorkerPlan,
    log: &Arc<dyn Log>,
    range: Range,
    (of, threads): (&[i32], usize),
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Vec<Report>, LogError> {
    let threads = threads.clamp(1, of.len().max(1));
    let shares: Vec<Vec<i32>> =
        (0..threads).map(|first| of.iter().copied().skip(first).step_by(threads).collect()).collect();
    let told = Mutex::new(vec![(0, 0); threads]);
    let verify = |index: usize| {
        let mut tell = |done, total| {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            told[index] = (done, total);
            progress(told.iter().map(|(done, _)| done).sum(), told.iter().map(|(_, total)| total).sum());
        };
        Verifier::new(plan, Arc::clone(log), range)?.verify_all(&shares[index], &mut tell)
    };
    let mut reports = Vec::with_capacity(of.len());
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|index| {
                scope.spawn({
                    let verify = &verify;
                    move || verify(index)
                })
            })
            .collect();
        for one in running {
            reports.extend(one.join().expect("a panic in a thread is one here")?);
        }
        Ok::<_, LogError>(())
    })?;
    reports.sort_by_key(|report: &Report| of.iter().position(|task| *task == report.partition));
    Ok(reports)
}

/// The one that is furthest behind; none once all are done.
fn least(at: &[Option<i64>]) -> Option<usize> {
    let left = at.iter().enumerate().filter_map(|(index, at)| Some((index, (*at)?)));
    left.min_by_key(|(_, at)| *at).map(|(index, _)| index)
}

/// Lets go of what every one of these tasks has read.
fn release(shared: &mut Shared<'_>, left: &[&Run]) {
    let inputs = left.iter().map(|run| run.shared_inputs(shared.plan)).find(|inputs| !inputs.is_empty());
    for at in inputs.unwrap_or_default() {
        let floor = left.iter().filter_map(|run| run.position(&at)).min();
        shared.feed.release(&at, floor.unwrap_or(0));
    }
}
