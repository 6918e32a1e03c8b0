//! `replay --what-if`: the recorded merge order under another configuration's limits and rules.
//!
//! The workers that the alerting one reads (the *leaders*) run over their journalled inputs again; alerting over its
//! own, with the leaders' *new* outputs in the place of the recorded ones. An output of a step that had one in the
//! same partition takes its place. Any other goes where the merge would have put it: among what was published between
//! the same two commits of alerting, by merge time, then topic and partition. So the same configuration gives the
//! recorded order, and a run in lock step the order that it would have had.
//!
//! What is not the configuration's to say stays as it was: dead letters, breakers and seeks are followed as
//! the journals have them, and so is what alerting wrote to topics that it reads itself. A leader that reads what another
//! one writes (whole books, which no limit has a part in) takes that as it was recorded, too.
//!
//! Nothing is written to the log, and no group is joined. New outputs wait in a scratch log. Held in memory
//! are what a journal record takes, every alert, and eight bytes for each commit of alerting.

mod alerts;
mod follow;
mod imagined;
mod lead;
mod scratch;

use std::sync::Arc;

use tapewatch_eventlog::{Log, LogError, TopicPartition};
use tapewatch_schemas::catalogue::{ALERTS, journal_topic};
use tapewatch_schemas::journal::JournalError;
use tapewatch_schemas::{Event, Time, TopicName, WorkerName};

pub use self::alerts::{Change, Episode, Moved};

use self::alerts::Book;
use self::follow::Follower;
use self::lead::Leader;
use self::scratch::{Scratch, unreadable};
use super::Range;
use super::outputs::written_by;
use crate::audit::partitions;
use crate::plan::WorkerPlan;
use crate::rerun::RerunError;
use crate::scan::Scanner;

/// The workers under the other configuration.
#[derive(Clone, Copy)]
pub struct Pipeline<'a> {
    /// Those that write what the other reads.
    pub leaders: &'a [WorkerPlan],
    /// The one that alerts.
    pub alerting: &'a WorkerPlan,
}

/// What would have been otherwise.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Alerts that stood within the range.
    pub recorded: usize,
    /// Alerts that would have.
    pub then: usize,
    /// Every one of either that would be another, by when.
    pub moved: Vec<Moved>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WhatIfError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The beginning is gone.
    #[error(
        "{at} begins at offset {earliest}: what came before is gone, and a what-if needs a tape from its first record"
    )]
    Begun {
        /// The journal's partition.
        at: TopicPartition,
        /// Its first offset that is there.
        earliest: i64,
    },
    /// A journal record was changed.
    #[error("{at} offset {offset}: {why}. `tapewatch replay --verify` says what else is not as it was")]
    Journal {
        /// The journal's partition.
        at: TopicPartition,
        /// The record.
        offset: i64,
        /// What is wrong with it.
        why: JournalError,
    },
    /// A journalled round cannot be followed.
    #[error("{worker}/{partition}: journal sequence {sequence}: {why}")]
    Round {
        /// The worker.
        worker: WorkerName,
        /// The task.
        partition: i32,
        /// The record.
        sequence: i64,
        /// Why not.
        why: RerunError,
    },
}

impl WhatIfError {
    /// True if what is needed is not there, rather than changed.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Begun { .. } | Self::Round { why: RerunError::Feed(_), .. })
    }
}

/// Told how many journal records of how many are done.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Asks about the alerts that stand within `range`, as they were or as they would be; all of the tape is run.
/// `scratch` is an empty log that takes the leaders' new outputs; the tape's log is only read.
///
/// # Errors
/// [`WhatIfError`].
pub fn what_if(
    log: &Arc<dyn Log>,
    pipeline: Pipeline<'_>,
    scratch: &Arc<dyn Log>,
    range: &Range,
    progress: Progress<'_>,
) -> Result<Answer, WhatIfError> {
    let Pipeline { leaders, alerting } = pipeline;
    let mut writers = Vec::new();
    for leader in leaders {
        writers.push((leader.worker.clone(), partitions(log, &journal_topic(leader.worker.as_str()))?));
    }
    let writes = |topic: &&TopicName| {
        leaders.iter().any(|leader| leader.blueprint.routing.partitions.contains_key(*topic))
    };
    let mut between: Vec<(TopicName, i32)> = Vec::new();
    for topic in alerting.own.iter().chain(&alerting.broadcast).filter(writes) {
        between.push((topic.clone(), partitions(log, topic)?));
    }
    let mut scratch = Scratch::create(scratch, &between, writers)?;
    for leader in leaders {
        Leader::open(log, leader, &scratch, &between)?.run(&mut scratch, progress)?;
    }

    let mut then = Book::default();
    Follower::open(log, alerting, &scratch)?.run(&mut then, progress)?;
    let was = recorded(log, alerting)?;
    let count = |book: &Book| book.episodes().filter(|episode| episode.stood_within(range)).count();
    let mut moved = was.compare(&then);
    moved.retain(|moved| moved.recorded.iter().chain(&moved.then).any(|one| one.stood_within(range)));
    Ok(Answer { recorded: count(&was), then: count(&then), moved })
}

/// The alerts that the worker published.
fn recorded(log: &Arc<dyn Log>, plan: &WorkerPlan) -> Result<Book, LogError> {
    let mut book = Book::default();
    let mut scanner = Scanner::new(Arc::clone(log))?;
    for partition in 0..partitions(log, &ALERTS.into())? {
        let at = TopicPartition::new(ALERTS, partition);
        scanner.scan::<LogError>(&at, 0, |record| {
            if written_by(record).is_none_or(|(worker, ..)| worker != plan.worker.as_str()) {
                return Ok(());
            }
            let event = plan.inspector.codec.decode(ALERTS, record.value.unwrap_or_default());
            if let Event::Alert(alert) = event.map_err(|why| unreadable(&at, record.offset, &why))? {
                book.add(alert);
            }
            Ok(())
        })?;
    }
    Ok(book)
}

/// When each commit of a worker was published, in order.
fn commits(log: &Arc<dyn Log>, worker: &str) -> Result<Vec<Time>, LogError> {
    let topic = journal_topic(worker);
    let mut scanner = Scanner::new(Arc::clone(log))?;
    let mut commits = Vec::new();
    for partition in 0..partitions(log, &topic)? {
        scanner.scan::<LogError>(&TopicPartition::new(topic.clone(), partition), 0, |record| {
            commits.push(record.timestamp);
            Ok(())
        })?;
        // All tasks of a round are published together.
        commits.sort_unstable();
        commits.dedup();
    }
    Ok(commits)
}
