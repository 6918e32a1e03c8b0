//! Moves the position of a stopped worker forward in one of its inputs: what lies between is journalled as
//! skipped on purpose, with who did it and why, and the group's offsets are the journal's positions again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tapewatch_eventlog::{
    CommitError, GroupSpec, Log, LogError, Member, Polled, Round, TopicPartition, Writer,
};
use tapewatch_schemas::catalogue::journal_topic;
use tapewatch_schemas::journal::JournalRecord;
use tapewatch_schemas::{Digest, Time, TopicName};

use crate::feed::{Feed, FeedError};
use crate::injected::{Injected, Seek};
use crate::pending::Fate;
use crate::plan::WorkerPlan;
use crate::restore::{RestoreError, Restorer};
use crate::scan::Scanner;
use crate::task::Task;
use crate::worker::{add_anchor, add_snapshot, journal_record};

/// The instance that seeks. Ranges go by name, so one that sorts last takes a lone task from nobody.
const INSTANCE: &str = "zz.seek";
/// So many offsets are read together: what is skipped is streamed, never held.
const PART: i64 = 10_000;
/// A round that fails so often is given up.
const ATTEMPTS: u32 = 3;

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

/// Why a position was not moved. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum SeekError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A task cannot be brought back.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// What is to be skipped cannot be read, so it cannot be counted.
    #[error("what is to be skipped must be counted, and cannot be read: {0}")]
    Feed(#[from] FeedError),
    /// It reads no such partition.
    #[error("{worker} has no input {at}: its inputs are {inputs}, each with {tasks} partitions from 0")]
    NoInput {
        /// The worker.
        worker: String,
        /// What was asked for.
        at: TopicPartition,
        /// What it reads, by task.
        inputs: String,
        /// The number of tasks.
        tasks: i32,
    },
    /// Every task has a position of its own there.
    #[error(
        "{at} is read in full by every task of {worker}, each from a position of its own: it cannot be moved with seek, only the inputs that the tasks share out can"
    )]
    Broadcast {
        /// The worker.
        worker: String,
        /// What was asked for.
        at: TopicPartition,
    },
    /// Outputs would be doubled.
    #[error(
        "{at}: {worker} stands at offset {position}, and {to} is before it: what was taken already would be taken twice and its outputs doubled. Give an offset from {position} on; {position} itself moves nothing and sets the group's offsets to the journal's positions"
    )]
    Backwards {
        /// The worker.
        worker: String,
        /// The partition.
        at: TopicPartition,
        /// The journal's position.
        position: i64,
        /// What was asked for.
        to: i64,
    },
    /// There is nothing yet.
    #[error("{at}: offset {to} is past the partition's end {end}: what is not written yet cannot be skipped")]
    Beyond {
        /// The partition.
        at: TopicPartition,
        /// What was asked for.
        to: i64,
        /// One past the last offset.
        end: i64,
    },
    /// Others are in the group.
    #[error(
        "the group `{group}` gave {owned} of its {tasks} tasks within {waited:?}: another member holds the rest. Stop every {worker} worker (`tapewatch up` and `tapewatch-{worker}` processes) on this log and try again; one that was killed keeps its tasks for its session of {session:?}"
    )]
    Held {
        /// The worker.
        worker: String,
        /// The group.
        group: String,
        /// Tasks that came.
        owned: usize,
        /// All tasks.
        tasks: i32,
        /// How long it was waited for.
        waited: Duration,
        /// How long a silent member keeps its tasks.
        session: Duration,
    },
    /// Someone joined the group meanwhile.
    #[error(
        "another member joined the group `{group}` meanwhile: stop every {worker} worker, then try again"
    )]
    Joined {
        /// The worker.
        worker: String,
        /// The group.
        group: String,
    },
    /// The transaction was not acknowledged.
    #[error("{at}: the jump was not written: {why}")]
    Commit {
        /// The partition.
        at: TopicPartition,
        /// Why.
        why: CommitError,
    },
}

/// Moves the worker's position. No worker of this name may run on the log.
///
/// # Errors
/// Every [`SeekError`] leaves the worker where it was, but for a [`SeekError::Commit`] whose outcome is
/// unknown.
pub fn seek(plan: &WorkerPlan, log: &Arc<dyn Log>, request: &Request) -> Result<Sought, SeekError> {
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

/// The jump in the making.
struct Jump<'a> {
    plan: &'a WorkerPlan,
    log: &'a Arc<dyn Log>,
    request: &'a Request,
    tasks: BTreeMap<i32, Task>,
}

impl Jump<'_> {
    /// Takes what lies between as skipped, and moves the lane. Gives the position before, and the count.
    fn take(&mut self, to: i64, membership: &mut Membership) -> Result<(i64, i64), SeekError> {
        let (log, request, plan) = (self.log, self.request, self.plan);
        let at = &request.at;
        let task = self.tasks.get_mut(&self.request.at.partition).expect("every task was restored");
        let lane = task.merge.lanes.iter().position(|lane| lane.at == *at);
        let lane = lane.expect("every input of a restored task has a lane");
        let from = task.merge.lanes[lane].position;
        if to < from {
            let worker = plan.worker.to_string();
            return Err(SeekError::Backwards { worker, at: at.clone(), position: from, to });
        }
        let end = log.bounds(at)?.end;
        if to > end.max(from) {
            return Err(SeekError::Beyond { at: at.clone(), to, end });
        }
        let mut feed = Feed::new(Arc::clone(log), plan.inspector.clone())?;
        let (mut skipped, mut next) = (0, from);
        while next < to {
            let until = to.min(next.saturating_add(PART));
            for (fetched, index) in feed.range(at, next, until)? {
                let offset = fetched.batch.record(index).offset;
                let digest = &fetched.verdicts[index].digest;
                task.pending.take(lane, at, from, offset, digest, Fate::Sought);
                skipped += 1;
            }
            membership.poll(Duration::ZERO)?;
            membership.still_all()?;
            next = until;
        }
        if from < to {
            task.pending.reach(lane, at, from, to);
            let lane = &mut task.merge.lanes[lane];
            lane.position = to;
            lane.rewind();
        }
        task.inject(Injected::Seek(Seek {
            topic: at.topic.clone(),
            partition: at.partition,
            from,
            to,
            who: request.who.clone(),
            why: request.why.clone(),
            time: task.core.clock(),
        }));
        Ok((from, skipped))
    }

    /// The positions that the transaction writes: of every task that has a journal, or gets one now.
    fn offsets(&self) -> Vec<(TopicPartition, i64)> {
        let begun = |task: &&Task| task.sequence > 0 || task.core.partition() == self.request.at.partition;
        self.tasks.values().filter(begun).flat_map(Task::offsets).collect()
    }

    /// Where the group does not stand at the journal's position. Asked before anything is taken.
    fn resets(&self) -> Result<Vec<Reset>, LogError> {
        let offsets = self.offsets();
        let of: Vec<TopicPartition> = offsets.iter().map(|(at, _)| at.clone()).collect();
        let found = self.log.group_offsets(&self.plan.group, &of)?;
        let moved = offsets.into_iter().zip(found).filter_map(|((at, to), found)| {
            let from = found.filter(|from| *from != to)?;
            Some(Reset { topic: at.topic, partition: at.partition, from, to })
        });
        Ok(moved.collect())
    }

    /// Writes the journal record, a snapshot after it and every offset, in one transaction.
    fn commit(&mut self, writer: &mut dyn Writer, membership: &Membership) -> Result<i64, SeekError> {
        let plan = self.plan;
        let task = self.tasks.get_mut(&self.request.at.partition).expect("every task was restored");
        let opens = task.opens.is_some();
        let sealed = task.seal(&plan.instance);
        let journal_from = task.journal_offset;
        let mut round = Round::default();
        round.records.extend(sealed.outputs.into_iter().map(|(_, record)| record));
        round.records.push(journal_record(plan.worker.as_str(), sealed.record.partition, sealed.journal));
        if opens {
            add_anchor(&mut round, task, plan, "epoch");
        }
        // So that no restore has to read again what was skipped.
        add_snapshot(&mut round, task, plan);
        round.offsets = self.offsets();
        let (sequence, hash) = (sealed.record.sequence, sealed.record.hash);
        let mut failures = 0;
        loop {
            let fence = membership.member.fence()?;
            let Err(why) = writer.commit(&round, Some(&fence)) else { return Ok(sequence) };
            let decided = match why {
                // Nothing may be sent again before it is known that nothing of it was written.
                CommitError::Unknown(_) => writer.recover().map(|()| true),
                CommitError::Aborted(_) => Ok(false),
                CommitError::Fenced(_) | CommitError::Refused(_) => Err(why.clone()),
            };
            failures += 1;
            match decided {
                Ok(true) if self.is_written(journal_from, sequence, hash)? => return Ok(sequence),
                Ok(_) if failures < ATTEMPTS => {}
                Ok(_) => return Err(SeekError::Commit { at: self.request.at.clone(), why }),
                Err(why) => return Err(SeekError::Commit { at: self.request.at.clone(), why }),
            }
        }
    }

    fn is_written(&self, from: i64, sequence: i64, hash: Digest) -> Result<bool, LogError> {
        let topic = journal_topic(self.plan.worker.as_str());
        let journal = TopicPartition::new(topic, self.request.at.partition);
        let mut written = false;
        Scanner::new(Arc::clone(self.log))?.scan::<LogError>(&journal, from, |record| {
            let opened = record.value.and_then(|value| JournalRecord::open(value).ok());
            written |= opened.is_some_and(|found| found.sequence == sequence && found.hash == hash);
            Ok(())
        })?;
        Ok(written)
    }
}

/// A place in the worker's group.
struct Membership {
    member: Box<dyn Member>,
    worker: String,
    group: String,
    session: Duration,
    tasks: i32,
    owned: usize,
}

impl Membership {
    fn join(plan: &WorkerPlan, log: &dyn Log, tasks: i32) -> Result<Self, LogError> {
        let (group, session) = (plan.group.clone(), plan.runtime.session);
        let member = log.member(&GroupSpec {
            group: group.clone(),
            instance: plan.instance.clone(),
            topics: plan.own.clone(),
            session,
        })?;
        Ok(Self { member, worker: plan.worker.to_string(), group, session, tasks, owned: 0 })
    }

    fn poll(&mut self, wait: Duration) -> Result<(), LogError> {
        match self.member.poll(wait)? {
            Polled::Assigned(tasks) => self.owned = tasks.len(),
            Polled::Revoked(_) | Polled::Lost(_) => {
                self.owned = 0;
                self.member.release()?;
            }
            Polled::Batch(_) | Polled::End { .. } | Polled::Idle => {}
        }
        Ok(())
    }

    /// Waits until no one else is in the group: a member that was killed is gone after its session.
    fn own_all(&mut self) -> Result<(), SeekError> {
        let waited = self.session * 2 + Duration::from_secs(1);
        let deadline = Instant::now() + waited;
        // The most that was given at once: at the deadline a rebalance may be under way.
        let mut most = 0;
        while self.owned < self.tasks as usize {
            if Instant::now() > deadline {
                let (worker, group) = (self.worker.clone(), self.group.clone());
                let (tasks, session) = (self.tasks, self.session);
                return Err(SeekError::Held { worker, group, owned: most, tasks, waited, session });
            }
            self.poll(Duration::from_millis(50))?;
            most = most.max(self.owned);
        }
        Ok(())
    }

    fn still_all(&self) -> Result<(), SeekError> {
        if self.owned == self.tasks as usize {
            return Ok(());
        }
        Err(SeekError::Joined { worker: self.worker.clone(), group: self.group.clone() })
    }
}
