//! Moves the position of a stopped worker forward in one of its inputs: what lies between is journalled as
//! skipped on purpose, with who did it and why, and the group's offsets are the journal's positions again.

mod error;
mod jump;
mod membership;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tapewatch_eventlog::{Log, LogError, TopicPartition};
use tapewatch_schemas::journal::Epoch;
use tapewatch_schemas::{Time, TopicName};

pub use error::SeekError;

use jump::Jump;
use membership::Membership;

use crate::last_epoch::LastEpoch;
use crate::plan::WorkerPlan;
use crate::restore::Restorer;
use crate::task::Task;

/// The instance that seeks. Ranges go by name, so one that sorts last takes a lone task from nobody.
const INSTANCE: &str = "zz.seek";

/// Where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The next offset to take.
    Offset(i64),
    /// The first record published at or after this.
    Time(Time),
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The input partition.
    pub at: TopicPartition,
    /// Where to.
    pub target: Target,
    /// Who decides it.
    pub who: String,
    /// Why.
    pub why: String,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sought {
    /// The worker.
    pub worker: String,
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: i32,
    /// Position before.
    pub from: i64,
    /// Position after.
    pub to: i64,
    /// Readable records between, all journalled as skipped.
    pub skipped: i64,
    /// Sequence number of the journal record that says so.
    pub sequence: i64,
    /// Offsets of the group that were not the journal's positions, and are now.
    pub reset: Vec<Reset>,
}

/// An offset of the group that was set to the journal's position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reset {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: i32,
    /// The group's offset before.
    pub from: i64,
    /// The journal's position.
    pub to: i64,
}

/// Moves the worker's position, in the epoch that its journal is in. No worker of this name may run on the log.
///
/// # Errors
/// Every [`SeekError`] leaves the worker where it was, but for a [`SeekError::Commit`] whose outcome is
/// unknown.
pub fn seek(plan: &WorkerPlan, log: &Arc<dyn Log>, request: &Request) -> Result<Sought, SeekError> {
    let (tasks, _) = inputs(plan, &**log)?;
    check_input(plan, request, tasks)?;
    check_epoch(plan, log, request, tasks)?;
    seek_in_any_epoch(plan, log, request)
}

/// As [`seek`], even if the jump begins a new epoch of the journal: because a person says that the worker goes on
/// with this code and configuration.
///
/// # Errors
/// As [`seek`].
pub fn seek_in_any_epoch(
    plan: &WorkerPlan,
    log: &Arc<dyn Log>,
    request: &Request,
) -> Result<Sought, SeekError> {
    let plan = &WorkerPlan { instance: INSTANCE.to_owned(), ..plan.clone() };
    let (tasks, broadcast) = inputs(plan, &**log)?;
    check_input(plan, request, tasks)?;
    let mut membership = Membership::join(plan, &**log, tasks)?;
    let sought = attempt(plan, log, request, (tasks, broadcast), &mut membership);
    let left = membership.member.leave();
    let sought = sought?;
    if let Err(error) = left {
        tracing::warn!(worker = %plan.worker, %error, "the jump is written, but the group was not left: its session must end first");
    }
    Ok(sought)
}

fn attempt(
    plan: &WorkerPlan,
    log: &Arc<dyn Log>,
    request: &Request,
    (tasks, broadcast): (i32, Vec<TopicPartition>),
    membership: &mut Membership,
) -> Result<Sought, SeekError> {
    membership.own_all()?;
    let to = match request.target {
        Target::Offset(offset) => offset,
        Target::Time(time) => log.offset_at(&request.at, time)?,
    };
    let mut writer = log.writer(&format!("{}.{}", plan.group, plan.instance))?;
    let restorer = Restorer::new(plan, Arc::clone(log), broadcast, tasks)?;
    let restored = restore(restorer.whatever_the_group_says(), tasks, membership)?;
    let mut jump = Jump { plan, log, request, tasks: restored };
    let reset = jump.resets()?;
    let (from, skipped) = jump.take(to, membership)?;
    let sequence = jump.commit(&mut *writer, membership)?;
    let TopicPartition { topic, partition } = request.at.clone();
    let worker = plan.worker.to_string();
    Ok(Sought { worker, topic, partition, from, to, skipped, sequence, reset })
}

/// The number of tasks, and every broadcast partition.
fn inputs(plan: &WorkerPlan, log: &dyn Log) -> Result<(i32, Vec<TopicPartition>), LogError> {
    let topics = log.topics()?;
    let count = |name: &TopicName| {
        let found = topics.iter().find(|topic| topic.name == *name).map(|topic| topic.partitions);
        found.ok_or_else(|| LogError::NoTopic { topic: name.to_string(), log: log.address().to_owned() })
    };
    let tasks = plan.own.first().map_or(Ok(1), &count)?;
    let mut broadcast = Vec::new();
    for topic in &plan.broadcast {
        broadcast.extend((0..count(topic)?).map(|partition| TopicPartition::new(topic.clone(), partition)));
    }
    Ok((tasks, broadcast))
}

fn check_input(plan: &WorkerPlan, request: &Request, tasks: i32) -> Result<(), SeekError> {
    let (worker, at) = (plan.worker.to_string(), request.at.clone());
    if plan.broadcast.contains(&at.topic) {
        return Err(SeekError::Broadcast { worker, at });
    }
    if !plan.own.contains(&at.topic) || !(0..tasks).contains(&at.partition) {
        let inputs: Vec<&str> = plan.own.iter().map(TopicName::as_str).collect();
        return Err(SeekError::NoInput { worker, at, inputs: inputs.join(", "), tasks });
    }
    Ok(())
}

/// The jump goes on in the journal's last epoch: in its own partition's, else in the newest of the worker's.
fn check_epoch(
    plan: &WorkerPlan,
    log: &Arc<dyn Log>,
    request: &Request,
    tasks: i32,
) -> Result<(), SeekError> {
    let (worker, partition, own) = (plan.worker.as_str(), request.at.partition, &plan.epoch);
    let last = match LastEpoch::of(log, worker, partition, own)? {
        None => LastEpoch::newest(log, worker, tasks, own)?,
        found => found,
    };
    let Some(last) = last.filter(|last| last.digest != own.digest()) else { return Ok(()) };
    let (theirs, own) = told_apart(last.epoch.as_ref(), own);
    Err(SeekError::Foreign { worker: worker.to_owned(), partition, theirs, own })
}

/// What tells an epoch from our own, of each.
fn told_apart(theirs: Option<&Epoch>, own: &Epoch) -> (String, String) {
    let configuration = |epoch: &Epoch| format!("configuration {}", epoch.configuration);
    let code = |epoch: &Epoch| format!("code version {}", epoch.code);
    match theirs {
        None => ("an epoch whose beginning is gone from the log".to_owned(), configuration(own)),
        Some(epoch) if epoch.configuration != own.configuration => (configuration(epoch), configuration(own)),
        Some(epoch) if epoch.code != own.code => (code(epoch), code(own)),
        Some(_) => ("other schemas or numerics".to_owned(), "not those".to_owned()),
    }
}

fn restore(
    mut restorer: Restorer<'_>,
    tasks: i32,
    membership: &mut Membership,
) -> Result<BTreeMap<i32, Task>, SeekError> {
    let mut restored = BTreeMap::new();
    for partition in 0..tasks {
        let task = restorer.restore(partition, &mut || membership.poll(Duration::ZERO))?;
        membership.still_all()?;
        restored.insert(partition, task);
    }
    Ok(restored)
}
