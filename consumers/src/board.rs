//! What a worker shows of itself to other threads, and what they ask of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tapewatch_eventlog::TopicPartition;
use tapewatch_schemas::{Digest, Time};
use tokio::sync::oneshot;

use crate::metrics::Metrics;
use crate::stage::{Stage, StageCell};
use crate::task::Task;
use crate::worker::{Acknowledged, Worker, wall};

/// Requests that wait at most; more are refused.
const REQUESTS: usize = 8;
/// A running loop that has not turned for so long is not healthy.
const STUCK: Duration = Duration::from_secs(120);

/// The state of a worker as `/status` gives it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// The worker.
    pub worker: String,
    /// Its stable name.
    pub instance: String,
    /// Its group.
    pub group: String,
    /// The configuration version.
    pub configuration: String,
    /// The code version.
    pub code: String,
    /// `wall` or `tape`.
    pub clock: &'static str,
    /// Where it stands in its group.
    pub stage: &'static str,
    /// When this was noted.
    pub noted: Option<Time>,
    /// What it committed since the process started.
    pub rounds: Rounds,
    /// How many tasks its group has in all.
    pub tasks_in_group: i32,
    /// Its own tasks.
    pub tasks: Vec<TaskStatus>,
    /// Input partitions that are not fetched for now, because enough of them waits.
    pub paused: Vec<String>,
    /// Input partitions that are not taken for now, because no more keys can be held behind dead letters.
    pub paused_by_held_keys: Vec<String>,
    /// Tasks that were stopped because what they write cannot be written.
    pub stopped: Vec<StoppedTask>,
}

/// A task that was stopped.
#[derive(Clone, Debug, Serialize)]
pub struct StoppedTask {
    /// Its partition number.
    pub partition: i32,
    /// Why.
    pub why: String,
}

/// What was committed since the process started.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Rounds {
    /// Rounds, each one transaction.
    pub count: u64,
    /// Journal records.
    pub journal_records: u64,
    /// Bytes of journal records.
    pub journal_bytes: u64,
    /// Input records.
    pub inputs: u64,
    /// Outputs.
    pub outputs: u64,
    /// How long the last commit took, milliseconds.
    pub last_commit_ms: f64,
}

/// One task.
#[derive(Clone, Debug, Serialize)]
pub struct TaskStatus {
    /// Its partition number.
    pub partition: i32,
    /// The next step's ordinal.
    pub step: u64,
    /// Its clock; none before its first record.
    pub clock: Option<Time>,
    /// The last acknowledged journal record; none before the first.
    pub journal: Option<Head>,
    /// Records processed since its first step.
    pub processed: u64,
    /// Records dead-lettered since its first step.
    pub dead_lettered: u64,
    /// Records that came behind its clock since its first step.
    pub late: u64,
    /// Records and injected events taken and not yet journalled.
    pub pending: usize,
    /// True once every input has said that nothing more comes.
    pub closed: bool,
    /// Its place in each input partition.
    pub positions: Vec<Place>,
    /// Keys that are held behind dead letters.
    pub held_keys: usize,
    /// Sources whose breaker is open.
    pub open_breakers: Vec<String>,
}

/// A journal record by its place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Head {
    /// Its sequence number.
    pub sequence: i64,
    /// Its hash.
    pub hash: Digest,
}

/// A task's place in one input partition.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset to take.
    pub position: i64,
    /// Records fetched and not yet taken.
    pub queued: usize,
}

/// What a person asks of a running worker: to close a breaker.
#[derive(Debug)]
pub struct BreakerRequest {
    /// The source whose breaker is to be closed.
    pub at: TopicPartition,
    /// What becomes of what stands before it.
    pub before: Before,
    /// Who asks.
    pub who: String,
    /// Why.
    pub why: String,
    /// What came of it.
    pub done: oneshot::Sender<Closed>,
}

/// How many records were skipped, once the breaker is closed and that is journalled; none if it was not open; or
/// what kept the worker from reading what is to be skipped.
pub type Closed = Result<Option<i64>, String>;

/// What becomes of the records that stand before a breaker which a person closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// They are read again.
    ReadAgain,
    /// Those below this offset, or all that there are, are skipped.
    Skipped(Option<i64>),
}

/// The worker's notice board. The loop notes, the admin endpoint reads and asks.
#[derive(Debug)]
pub struct Board {
    /// Where the worker stands.
    pub stage: StageCell,
    status: Mutex<Status>,
    committed: Mutex<Committed>,
    requests: SyncSender<BreakerRequest>,
    began: Instant,
    turned_ms: AtomicU64,
}

#[derive(Debug, Default)]
struct Committed {
    rounds: Rounds,
    heads: BTreeMap<i32, Head>,
}

impl Board {
    /// A board with what is known from the beginning, and the loop's end of the requests.
    pub fn new(known: Status) -> (Self, Receiver<BreakerRequest>) {
        let (requests, inbox) = sync_channel(REQUESTS);
        let board = Self {
            stage: StageCell::default(),
            status: Mutex::new(known),
            committed: Mutex::default(),
            requests,
            began: Instant::now(),
            turned_ms: AtomicU64::new(0),
        };
        (board, inbox)
    }

    /// The loop has turned.
    pub fn turned(&self) {
        self.turned_ms.store(self.began.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// How long ago the loop turned.
    pub fn since_turn(&self) -> Duration {
        let turned = Duration::from_millis(self.turned_ms.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(turned)
    }

    /// Why the worker is not healthy, if it is not: a running loop must turn. A restore takes as long as
    /// the journal is.
    pub fn ailment(&self) -> Option<String> {
        let since = self.since_turn();
        let stuck = self.stage.get() == Stage::Running && since > STUCK;
        stuck.then(|| format!("the loop has not turned for {} s", since.as_secs()))
    }

    /// Why the worker is not ready, if it is not.
    pub fn unready(&self) -> Option<String> {
        let text = match self.stage.get() {
            Stage::Running => return self.with_stopped_tasks(),
            Stage::Joining => "joining: not in its group yet",
            Stage::Waiting => "waiting: in its group, and no partition is assigned to it yet",
            Stage::Restoring => "restoring: bringing its tasks back from their journals",
            Stage::Draining => "draining: finishing its round and giving its partitions up",
        };
        Some(text.to_owned())
    }

    fn with_stopped_tasks(&self) -> Option<String> {
        let status = held(&self.status);
        let lines =
            status.stopped.iter().map(|task| format!("task {} is stopped: {}", task.partition, task.why));
        Some(lines.collect::<Vec<_>>().join("\n")).filter(|text| !text.is_empty())
    }

    /// Notes an acknowledged record.
    pub fn acknowledged(&self, acknowledged: &Acknowledged<'_>) {
        let mut committed = held(&self.committed);
        let (record, rounds) = (acknowledged.record, &mut committed.rounds);
        rounds.count += u64::from(acknowledged.first);
        rounds.journal_records += 1;
        rounds.journal_bytes += acknowledged.bytes as u64;
        rounds.inputs += record.inputs.iter().map(|range| range.count as u64).sum::<u64>();
        rounds.outputs += record.outputs as u64;
        rounds.last_commit_ms = acknowledged.commit.as_secs_f64() * 1e3;
        committed.heads.insert(record.partition, Head { sequence: record.sequence, hash: record.hash });
    }

    /// Notes how the worker stands, here and in its gauges.
    pub fn note(&self, worker: &Worker, metrics: &Metrics, tape_clock: bool) {
        let now = wall();
        let mut committed = held(&self.committed);
        committed.heads.retain(|partition, _| worker.tasks().any(|task| task.core.partition() == *partition));
        let tasks: Vec<TaskStatus> = worker.tasks().map(|task| status_of(task, &committed.heads)).collect();
        gauge(worker, &tasks, metrics, now, tape_clock);
        let mut status = held(&self.status);
        status.noted = Some(now);
        status.rounds = committed.rounds.clone();
        status.tasks_in_group = worker.task_count();
        status.tasks = tasks;
        status.paused = worker.paused().map(ToString::to_string).collect();
        let stopped =
            worker.stopped().map(|(partition, why)| StoppedTask { partition, why: why.to_string() });
        status.stopped = stopped.collect();
        metrics.tasks_stopped.set(status.stopped.len() as i64);
        let lanes = worker.tasks().flat_map(|task| &task.merge.lanes);
        status.paused_by_held_keys = lanes.filter(|lane| lane.full).map(|lane| lane.at.to_string()).collect();
    }

    /// Forgets the tasks: the worker is out of its group.
    pub fn forget(&self, metrics: &Metrics) {
        held(&self.committed).heads.clear();
        let mut status = held(&self.status);
        status.tasks.clear();
        status.stopped.clear();
        drop(status);
        clear(metrics);
    }

    /// How the worker stands.
    pub fn status(&self) -> Status {
        let mut status = held(&self.status).clone();
        status.stage = self.stage.get().as_str();
        status
    }

    /// Asks the loop; none if too many requests wait, or the worker has ended.
    pub fn ask(
        &self,
        at: TopicPartition,
        before: Before,
        (who, why): (String, String),
    ) -> Option<oneshot::Receiver<Closed>> {
        let (done, outcome) = oneshot::channel();
        self.requests.try_send(BreakerRequest { at, before, who, why, done }).ok()?;
        Some(outcome)
    }
}

/// What is behind a lock is plain data, whole after every statement: a panic elsewhere spoils nothing.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

fn status_of(task: &Task, heads: &BTreeMap<i32, Head>) -> TaskStatus {
    let partition = task.core.partition();
    let restored = (task.sequence > 0).then(|| Head { sequence: task.sequence - 1, hash: task.previous });
    let counts = task.core.counts();
    let place = |lane: &crate::merge::Lane| Place {
        topic: lane.at.topic.to_string(),
        partition: lane.at.partition,
        position: lane.position,
        queued: lane.queued(),
    };
    TaskStatus {
        partition,
        step: task.core.step(),
        clock: Some(task.core.clock()).filter(|clock| *clock > Time::MIN),
        journal: heads.get(&partition).copied().or(restored),
        processed: counts.processed,
        dead_lettered: counts.dead,
        late: counts.late,
        pending: task.pending.len(),
        closed: task.core.is_closed(),
        positions: task.merge.lanes.iter().map(place).collect(),
        held_keys: task.core.held_keys(),
        open_breakers: task.core.open_breakers().iter().map(ToString::to_string).collect(),
    }
}

fn clear(metrics: &Metrics) {
    metrics.tasks.set(0);
    metrics.tasks_stopped.set(0);
    for gauges in [
        &metrics.task_clock,
        &metrics.task_lag,
        &metrics.task_late,
        &metrics.task_queued,
        &metrics.task_held,
        &metrics.breaker_open,
    ] {
        gauges.reset();
    }
}

fn gauge(worker: &Worker, tasks: &[TaskStatus], metrics: &Metrics, now: Time, tape_clock: bool) {
    clear(metrics);
    metrics.tasks.set(tasks.len() as i64);
    for task in tasks {
        let partition = task.partition.to_string();
        let label = [partition.as_str()];
        metrics.task_late.with_label_values(&label).set(task.late as i64);
        let queued: usize = task.positions.iter().map(|place| place.queued).sum();
        metrics.task_queued.with_label_values(&label).set(queued as i64);
        metrics.task_held.with_label_values(&label).set(task.held_keys as i64);
        if let Some(clock) = task.clock {
            metrics.task_clock.with_label_values(&label).set(clock.micros().div_euclid(1_000_000));
            if !tape_clock {
                metrics.task_lag.with_label_values(&label).set(now.since(clock).div_euclid(1_000_000));
            }
        }
    }
    for task in worker.tasks() {
        for lane in &task.merge.lanes {
            let partition = lane.at.partition.to_string();
            let gauge = metrics.breaker_open.with_label_values(&[lane.at.topic.as_str(), &partition]);
            // Of a broadcast source each task has a breaker: the gauge is 1 if one is open.
            gauge.set(gauge.get().max(i64::from(lane.down)));
        }
    }
}
