//! A worker over a log: joins its group, runs its tasks, commits their rounds.
//!
//! assigned → restoring → running → draining. What the tasks have computed beyond the last acknowledged
//! round is thrown away whenever the worker cannot go on; the journal says where it stands.

mod assignment;
mod error;
mod failures;
mod fetching;
mod lock_step;
mod parts;
mod rounds;
mod skip;
mod states;
mod stopped;
mod unresolved;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tapewatch_eventlog::{CommitError, GroupSpec, Log, LogError, Member, Reader, Round, TopicPartition};
use tapewatch_schemas::journal::JournalRecord;
use tapewatch_schemas::{Time, TopicName};

pub use crate::timing::wall;
pub use error::WorkerError;
pub(crate) use rounds::journal_record;
pub use skip::SkipError;
pub(crate) use states::{add_anchor, add_snapshot};

use parts::Parts;
use rounds::InFlight;
use stopped::StoppedTask;
use unresolved::Unresolved;

use crate::committer::{Committer, Outcome};
use crate::merge::{Lane, Patience};
use crate::plan::WorkerPlan;
use crate::stage::{Stage, StageCell};
use crate::task::{Budget, Stopped, Task};
use crate::timing::{Machine, Timing};

/// What a turn did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Something moved.
    Busy,
    /// Nothing to do.
    Idle,
}

/// Told of every acknowledged journal record.
pub type Observer = Box<dyn FnMut(&Acknowledged<'_>) + Send>;

/// An acknowledged journal record.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged<'a> {
    /// The record.
    pub record: &'a JournalRecord,
    /// Its bytes in the journal.
    pub bytes: usize,
    /// Publication time of the oldest record that it took, if it took one.
    pub oldest: Option<Time>,
    /// True for the first record of its round: a round has one for each task that had something to write.
    pub first: bool,
    /// How long the commit took; zero where the journal said that an unknown outcome was a success.
    pub commit: Duration,
}

/// A worker in one group membership.
pub struct Worker {
    plan: WorkerPlan,
    log: Arc<dyn Log>,
    member: Box<dyn Member>,
    reader: Box<dyn Reader>,
    committer: Committer,
    tasks: BTreeMap<i32, Task>,
    task_count: i32,
    broadcast: Vec<TopicPartition>,
    paused: BTreeSet<TopicPartition>,
    /// What waits for the schema registry.
    unresolved: Unresolved,
    in_flight: Option<InFlight>,
    /// What is left of a round that is written task by task.
    parts: Option<Parts>,
    /// Tasks that were stopped because their rounds cannot be written.
    stopped: BTreeMap<i32, StoppedTask>,
    /// The group's positions of tasks that were said to be stopped, as they were when that was first seen.
    stopped_at: BTreeMap<i32, Vec<Option<i64>>>,
    /// When that was last looked at; none if it is to be looked at anew.
    stopped_looked: Option<Duration>,
    /// True once it is asked to stop: what fails now is not waited for at length.
    stopping: bool,
    /// On the host's steady clock, as all durations without a date here.
    due_since: Option<Duration>,
    commit_time: Duration,
    /// The last turn left something for the next.
    behind: bool,
    /// The last turn took something.
    moved: bool,
    ends_asked: Duration,
    observers: Vec<Observer>,
    fenced: Option<CommitError>,
    stage: StageCell,
    time: Arc<dyn Timing>,
}

/// Where a worker runs: what it takes the time from, and who commits.
pub struct Hosting {
    /// The time.
    pub time: Arc<dyn Timing>,
    /// Commits on a thread of its own if none; else within the turn that submits the round, and answers after
    /// so many further looks: then one thread does all, in the same order each time.
    pub answered_after: Option<u32>,
}

impl Default for Hosting {
    /// The machine's time, and a thread that commits.
    fn default() -> Self {
        Self { time: Arc::new(Machine::new()), answered_after: None }
    }
}

impl Worker {
    /// Joins the worker's group. Its tasks come with the assignment, in later turns.
    pub fn join(plan: WorkerPlan, log: Arc<dyn Log>) -> Result<Self, WorkerError> {
        Self::join_seen(plan, log, StageCell::default())
    }

    /// Joins as [`Worker::join`] does, and says in `stage` where it stands.
    pub fn join_seen(plan: WorkerPlan, log: Arc<dyn Log>, stage: StageCell) -> Result<Self, WorkerError> {
        Self::join_hosted(plan, log, stage, Hosting::default())
    }

    /// Joins as [`Worker::join_seen`] does, somewhere else than on this machine in its own time.
    pub fn join_hosted(
        plan: WorkerPlan,
        log: Arc<dyn Log>,
        stage: StageCell,
        hosting: Hosting,
    ) -> Result<Self, WorkerError> {
        let Hosting { time, answered_after } = hosting;
        let topics = log.topics()?;
        let partitions = |name: &TopicName| {
            let found = topics.iter().find(|topic| topic.name == *name).map(|topic| topic.partitions);
            found.ok_or_else(|| LogError::NoTopic { topic: name.to_string(), log: log.address().to_owned() })
        };
        let task_count = plan.own.first().map_or(Ok(1), &partitions)?;
        let mut broadcast = Vec::new();
        for topic in &plan.broadcast {
            let count = partitions(topic)?;
            broadcast.extend((0..count).map(|partition| TopicPartition::new(topic.clone(), partition)));
        }
        let writer = log.writer(&format!("{}.{}", plan.group, plan.instance)).map_err(WorkerError::Log)?;
        let committer = match answered_after {
            Some(looks) => Committer::in_turn(writer, Arc::clone(&time), looks),
            None => Committer::start(writer, plan.worker.as_str())
                .map_err(|why| WorkerError::Thread { worker: plan.worker.to_string(), why })?,
        };
        let member = log.member(&GroupSpec {
            group: plan.group.clone(),
            instance: plan.instance.clone(),
            topics: plan.own.clone(),
            session: plan.runtime.session,
        })?;
        let reader = log.reader()?;
        stage.set(Stage::Waiting);
        Ok(Self {
            plan,
            log,
            member,
            reader,
            committer,
            tasks: BTreeMap::new(),
            task_count,
            broadcast,
            paused: BTreeSet::new(),
            unresolved: Unresolved::default(),
            in_flight: None,
            parts: None,
            stopped: BTreeMap::new(),
            stopped_at: BTreeMap::new(),
            stopped_looked: None,
            stopping: false,
            due_since: None,
            commit_time: Duration::ZERO,
            behind: false,
            moved: false,
            ends_asked: time.elapsed(),
            observers: Vec::new(),
            fenced: None,
            stage,
            time,
        })
    }

    /// Tells `observer` of every journal record once it is acknowledged.
    pub fn observe(&mut self, observer: Observer) {
        self.observers.push(observer);
    }

    /// The running tasks.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values()
    }

    /// A running task.
    pub fn task_mut(&mut self, partition: i32) -> Option<&mut Task> {
        self.tasks.get_mut(&partition)
    }

    /// How many tasks the group has in all.
    pub fn task_count(&self) -> i32 {
        self.task_count
    }

    /// What it is made of.
    pub fn plan(&self) -> &WorkerPlan {
        &self.plan
    }

    /// The input partitions that are not fetched for now: enough of them waits.
    pub fn paused(&self) -> impl Iterator<Item = &TopicPartition> {
        self.paused.iter()
    }

    /// Tasks that were stopped because what they write cannot be written, and why. They are tried again after a while,
    /// and with the next assignment.
    pub fn stopped(&self) -> impl Iterator<Item = (i32, &WorkerError)> {
        self.stopped.iter().map(|(partition, one)| (*partition, &one.why))
    }

    /// What fenced this membership, once something has: it is over.
    pub fn fenced_by(&self) -> Option<&CommitError> {
        self.fenced.as_ref()
    }

    /// True once another instance has taken over: this membership is over.
    pub fn is_fenced(&self) -> bool {
        self.fenced.is_some()
    }

    /// Closes a breaker by hand: in every task that has it open.
    pub fn resume_breaker(&mut self, at: &TopicPartition, who: &str, why: &str) -> bool {
        let mut found = false;
        for task in self.tasks.values_mut() {
            if task.core.breaker(at).open_since().is_some() {
                task.close_breaker(at, Some((who.to_owned(), why.to_owned())), &self.plan.letters);
                found = true;
            }
        }
        found
    }

    /// One turn: fetch, advance, commit. Waits at most `wait` if there is nothing to do.
    pub fn turn(&mut self, wait: Duration) -> Result<Turn, WorkerError> {
        // Tasks that go on taking do not wait for more to come; those with a full round wait for its commit.
        let fetched = self.fetch(if self.behind && self.moved { Duration::ZERO } else { wait })?;
        let patience = self.patience();
        let advanced = self.advance(patience)?;
        self.settle(Duration::ZERO)?;
        self.look_after_stopped()?;
        self.submit_if_due()?;
        Ok(if fetched || advanced { Turn::Busy } else { Turn::Idle })
    }

    fn patience(&self) -> Patience {
        if self.plan.runtime.tape_clock {
            Patience::Tape
        } else {
            let (max_wait, max_idle) = (self.plan.runtime.max_wait, self.plan.runtime.max_idle);
            Patience::Wall { now: self.time.wall(), max_wait, max_idle }
        }
    }

    /// Advances every task. True if one moved.
    fn advance(&mut self, patience: Patience) -> Result<bool, WorkerError> {
        let round = self.budget();
        let mut moved = false;
        let mut stuck = false;
        let mut behind = false;
        for task in self.tasks.values_mut() {
            let before = task.pending.len();
            let records = if patience == Patience::LockStep { round.records } else { before + SLICE };
            let budget = Budget { records: records.min(round.records), ..round };
            let stopped = task.advance(patience, budget, &self.plan.letters);
            moved |= task.pending.len() > before;
            behind |= stopped == Stopped::Full;
            stuck |= stopped == Stopped::Waiting(None)
                || stopped == Stopped::Drained && task.merge.lanes.iter().any(Lane::waits_for_promised);
        }
        (self.behind, self.moved) = (behind, moved);
        // On the tape's clock a promise may rest on records that no sequence number can tell of: then the
        // log's own end says that they are here.
        let now = self.time.elapsed();
        if stuck
            && patience == Patience::Tape
            && now.saturating_sub(self.ends_asked) > Duration::from_millis(250)
        {
            self.know_ends()?;
            self.ends_asked = now;
        }
        self.refetch()?;
        Ok(moved)
    }

    /// Finishes the round under way, drops an anchor, commits and leaves the group.
    ///
    /// # Errors
    /// The worker's. Why a task was stopped, if one is and nobody has fenced this worker; the others are done then.
    pub fn stop(mut self) -> Result<(), WorkerError> {
        self.stage.set(Stage::Draining);
        self.stopping = true;
        self.hurry();
        if self.fenced.is_none() {
            self.flush()?;
        }
        // What a fenced worker has computed beyond its last round is no state that anyone may go on from.
        if self.fenced.is_none() {
            let mut round = Round::default();
            for task in self.tasks.values() {
                add_snapshot(&mut round, task, &self.plan);
                add_anchor(&mut round, task, &self.plan, "stop");
                round.offsets.extend(task.offsets());
            }
            if self.in_flight.is_none() && !round.records.is_empty() {
                let fence = self.member.fence()?;
                self.committer.commit(Arc::new(round), fence);
                // A failure here loses nothing: the journal holds all.
                if let Some(Outcome::Commit(Err(error), _)) = self.committer.wait(Duration::from_secs(30)) {
                    tracing::warn!(worker = %self.plan.worker, %error, "no anchor at the stop");
                }
            }
        }
        self.member.leave()?;
        self.stage.set(Stage::Joining);
        match self.stopped.pop_first() {
            Some((_, stopped)) if self.fenced.is_none() => Err(stopped.why),
            _ => Ok(()),
        }
    }
}

/// So many records a task takes at most in a turn: a commit that was answered meanwhile waits no longer than
/// they take, and neither does the next.
const SLICE: usize = 1024;
