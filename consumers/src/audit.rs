//! Law 1, counted by someone who trusts nobody: per worker, task and source partition, what the journal says
//! was consumed is compared with the readable records that are there and with the dead letters.
//!
//! The counts come from reading the source again, never from offsets: transactional sources leave gaps.
//! Memory is bounded by the runs of offsets that were not processed, never by records.

mod count;
mod outputs;
mod walk;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use tapewatch_eventlog::{Log, LogError, TopicPartition};
use tapewatch_schemas::catalogue::{self, is_redrive, journal_topic};
use tapewatch_schemas::{TopicName, WorkerName};

pub use self::outputs::Doubled;
pub use self::walk::{Head, OpenBreaker};

use self::count::Letters;
use self::walk::{Draft, Walk};
use crate::plan::{WorkerPlan, group_of};
use crate::scan::Scanner;
use crate::workers::NAMES;

/// A worker as an auditor knows it: what it reads and writes, nothing of how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The worker.
    pub worker: WorkerName,
    /// Its group.
    pub group: String,
    /// The co-partitioned inputs.
    pub own: Vec<TopicName>,
    /// The inputs that every task reads in full.
    pub broadcast: Vec<TopicName>,
    /// The outputs.
    pub outputs: Vec<TopicName>,
}

/// Law 1 for one worker, task and source partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The worker.
    pub worker: WorkerName,
    /// The task.
    pub task: i32,
    /// The source topic.
    pub topic: TopicName,
    /// The source partition.
    pub partition: i32,
    /// True if every task reads it.
    pub broadcast: bool,
    /// Where the counts begin: the task's first position, or the first journalled range that is still there.
    pub from: i64,
    /// The next offset to take.
    pub position: i64,
    /// What the group says it is; none for a broadcast input, or if the group never committed.
    pub group_offset: Option<i64>,
    /// Records consumed before `from`, that the log no longer has: not counted again.
    pub gone: i64,
    /// Records consumed, by the journal.
    pub consumed: i64,
    /// Of these, processed.
    pub processed: i64,
    /// Of these, dead-lettered.
    pub dead: i64,
    /// Of these, skipped on purpose, by reason.
    pub skipped: BTreeMap<String, i64>,
    /// Readable records from `from` to `position`, counted.
    pub counted: i64,
    /// Of these, how many stand in a dead letter or a range letter of this worker.
    pub letters: i64,
    /// Readable records behind `position`.
    pub lag: i64,
    /// What does not reconcile; empty if all does.
    pub problems: Vec<String>,
}

impl Line {
    /// True if consumed = processed + dead-lettered + skipped on purpose, and all of it is there.
    pub fn holds(&self) -> bool {
        self.problems.is_empty()
    }

    /// Records skipped on purpose.
    pub fn skipped(&self) -> i64 {
        self.skipped.values().sum()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{} {}/{}: {} consumed, {} counted; {} processed, {} dead ({} in letters), {} skipped",
            self.worker,
            self.task,
            self.topic,
            self.partition,
            self.consumed,
            self.counted,
            self.processed,
            self.dead,
            self.letters,
            self.skipped()
        )?;
        self.problems.iter().try_for_each(|problem| write!(f, "; {problem}"))
    }
}

/// What is known of one worker.
#[derive(Clone, Debug, Serialize)]
pub struct Audit {
    /// The worker.
    pub worker: WorkerName,
    /// The head of each task's journal; none for a task that has written nothing yet.
    pub heads: Vec<Head>,
    /// Law 1.
    pub lines: Vec<Line>,
    /// Outputs that stand more than once.
    pub doubled: Vec<Doubled>,
}

impl Audit {
    /// True if law 1 holds, no output is doubled, and every journal is whole.
    pub fn holds(&self) -> bool {
        self.lines.iter().all(Line::holds)
            && self.doubled.is_empty()
            && self.heads.iter().all(|head| head.problems.is_empty())
    }
}

/// Told what is being read.
pub type Progress<'a> = &'a mut dyn FnMut(&str);

impl Subject {
    /// A worker of this release.
    ///
    /// # Panics
    /// If the name is not one of [`NAMES`].
    pub fn of(name: &str) -> Self {
        let listed = catalogue::worker(name).expect("the catalogue lists every worker");
        Self {
            worker: name.into(),
            group: group_of(name),
            own: listed.own_inputs(),
            broadcast: listed.broadcast_inputs(),
            outputs: listed.outputs.iter().map(|topic| TopicName::from(*topic)).collect(),
        }
    }
}

impl From<&WorkerPlan> for Subject {
    fn from(plan: &WorkerPlan) -> Self {
        Self {
            worker: plan.worker.clone(),
            group: plan.group.clone(),
            own: plan.own.clone(),
            broadcast: plan.broadcast.clone(),
            outputs: plan.blueprint.routing.partitions.keys().cloned().collect(),
        }
    }
}

/// Law 1 for every worker of this release.
///
/// # Errors
/// The log's.
pub fn reconcile_all(log: &Arc<dyn Log>) -> Result<Vec<Line>, LogError> {
    let mut lines = Vec::new();
    for name in NAMES {
        lines.extend(audit(log, &Subject::of(name), &mut |_| {})?.lines);
    }
    Ok(lines)
}

/// Audits one worker, beside it if it runs: nothing is written, and no group is joined.
///
/// # Errors
/// The log's.
pub fn audit(log: &Arc<dyn Log>, subject: &Subject, progress: Progress<'_>) -> Result<Audit, LogError> {
    let tasks = partitions(log, &journal_topic(subject.worker.as_str()))?;
    let mut scanner = Scanner::new(Arc::clone(log))?;
    let mut heads = Vec::new();
    let mut drafts: BTreeMap<TopicPartition, Vec<Draft>> = BTreeMap::new();
    // Positions first: whatever they account for is in the log before them, so what is read later has it.
    for task in 0..tasks {
        progress(&format!("{}/{task}: journal", subject.worker));
        let walk = Walk::of(log, &mut scanner, subject, task)?;
        for draft in walk.drafts {
            drafts.entry(draft.at.clone()).or_default().push(draft);
        }
        heads.push(walk.head);
    }
    let mut lines = Vec::new();
    for (at, drafts) in drafts {
        // Where nothing ever came back there is nothing to say.
        if is_redrive(at.topic.as_str()) && !comes_back(log, &at, &drafts)? {
            continue;
        }
        progress(&format!("{}: {at}", subject.worker));
        let letters = Letters::of(&mut scanner, subject, &at)?;
        lines.extend(count::count(&mut scanner, &at, drafts, &letters, tasks)?);
    }
    let own: Vec<TopicPartition> = lines.iter().filter(|line| !line.broadcast).map(place).collect();
    let offsets = log.group_offsets(&subject.group, &own)?;
    for (line, offset) in lines.iter_mut().filter(|line| !line.broadcast).zip(offsets) {
        line.group_offset = offset;
    }
    lines.sort_by(|a, b| {
        (a.task, a.broadcast, &a.topic, a.partition).cmp(&(b.task, b.broadcast, &b.topic, b.partition))
    });
    progress(&format!("{}: outputs", subject.worker));
    let doubled = outputs::doubled(log, &mut scanner, subject)?;
    Ok(Audit { worker: subject.worker.clone(), heads, lines, doubled })
}

/// True if something was read there, or can be.
fn comes_back(log: &Arc<dyn Log>, at: &TopicPartition, drafts: &[Draft]) -> Result<bool, LogError> {
    let bounds = log.bounds(at)?;
    Ok(bounds.earliest < bounds.end || drafts.iter().any(|draft| draft.position > draft.from))
}

fn place(line: &Line) -> TopicPartition {
    TopicPartition::new(line.topic.clone(), line.partition)
}

/// How many partitions a topic has.
pub(crate) fn partitions(log: &Arc<dyn Log>, topic: &TopicName) -> Result<i32, LogError> {
    let found = log.topics()?.into_iter().find(|info| info.name == *topic);
    found
        .map(|info| info.partitions)
        .ok_or_else(|| LogError::NoTopic { topic: topic.to_string(), log: log.address().to_owned() })
}
