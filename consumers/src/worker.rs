//! A worker over a log: joins its group, runs its tasks, commits their rounds.
//!
//! assigned → restoring → running → draining. What the tasks have computed beyond the last acknowledged
//! round is thrown away whenever the worker cannot go on; the journal says where it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tapewatch_eventlog::{
    Batch, CommitError, Committed, GroupSpec, Log, LogError, Member, OutRecord, Polled, Reader, Round,
    TopicPartition,
};
use tapewatch_schemas::catalogue::{HEARTBEATS, anchors_topic, journal_topic, state_topic};
use tapewatch_schemas::journal::JournalRecord;
use tapewatch_schemas::{Time, TopicName, time::micros_of};

use crate::committer::{Committer, Outcome};
use crate::inspect::Fetched;
use crate::merge::{Lane, Patience};
use crate::plan::WorkerPlan;
use crate::restore::{RestoreError, Restorer};
use crate::scan::Scanner;
use crate::snapshot::{Manifest, anchor_prefix, records as state_records, snapshot_prefix};
use crate::stage::{Stage, StageCell};
use crate::task::{Budget, Stopped, Task};
use crate::topics::TopicsError;

/// Why a worker stopped.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A task cannot be brought back.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// A round can never be written as it is.
    #[error("{worker}: a round cannot be written: {why}")]
    Refused {
        /// The worker.
        worker: String,
        /// What the log says.
        why: CommitError,
    },
    /// A round failed three times in the same way.
    #[error("{worker}: a round failed {times} times in a row ({first}): {why}")]
    Failing {
        /// The worker.
        worker: String,
        /// How often.
        times: u32,
        /// The first input of the round: topic, partition, offset.
        first: String,
        /// The last failure.
        why: CommitError,
    },
    /// Another instance took over and did not let go.
    #[error("{worker}: fenced: {why}")]
    Fenced {
        /// The worker.
        worker: String,
        /// What the log says.
        why: CommitError,
    },
    /// The log's topics are not as they must be.
    #[error(transparent)]
    Topics(#[from] TopicsError),
    /// The admin endpoint cannot listen.
    #[error(
        "{worker}: the admin endpoint cannot listen on {address}: {why}. Set runtime.admin to another address; port 0 takes a free one"
    )]
    Admin {
        /// The worker.
        worker: String,
        /// The address.
        address: String,
        /// The system's words.
        why: std::io::Error,
    },
    /// The system refuses a thread.
    #[error("{worker}: cannot start a thread: {why}")]
    Thread {
        /// The worker.
        worker: String,
        /// The system's words.
        why: std::io::Error,
    },
}

/// What a turn did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Something moved.
    Busy,
    /// Nothing to do.
    Idle,
}

/// A round that was computed and is not acknowledged yet.
struct InFlight {
    round: Arc<Round>,
    sealed: Vec<Summary>,
    failures: u32,
    recovering: bool,
}

/// What is kept of a sealed round until it is acknowledged.
struct Summary {
    record: JournalRecord,
    /// Bytes of the journal record.
    bytes: usize,
    /// Publication time of the oldest input.
    oldest: Option<Time>,
    /// Index of the journal record in the round.
    at: usize,
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
    in_flight: Option<InFlight>,
    due_since: Option<Instant>,
    commit_time: Duration,
    ends_asked: Instant,
    observers: Vec<Observer>,
    fenced: Option<CommitError>,
    stage: StageCell,
}

impl Worker {
    /// Joins the worker's group. Its tasks come with the assignment, in later turns.
    pub fn join(plan: WorkerPlan, log: Arc<dyn Log>) -> Result<Self, WorkerError> {
        Self::join_seen(plan, log, StageCell::default())
    }

    /// Joins as [`Worker::join`] does, and says in `stage` where it stands.
    pub fn join_seen(plan: WorkerPlan, log: Arc<dyn Log>, stage: StageCell) -> Result<Self, WorkerError> {
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
        let committer = Committer::start(writer, plan.worker.as_str())
            .map_err(|why| WorkerError::Thread { worker: plan.worker.to_string(), why })?;
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
            in_flight: None,
            due_since: None,
            commit_time: Duration::ZERO,
            ends_asked: Instant::now(),
            observers: Vec::new(),
            fenced: None,
            stage,
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
        let fetched = self.fetch(wait)?;
        let patience = self.patience();
        let advanced = self.advance(patience)?;
        self.settle(Duration::ZERO)?;
        self.submit_if_due()?;
        Ok(if fetched || advanced { Turn::Busy } else { Turn::Idle })
    }

    fn patience(&self) -> Patience {
        if self.plan.runtime.tape_clock {
            Patience::Tape
        } else {
            let (max_wait, max_idle) = (self.plan.runtime.max_wait, self.plan.runtime.max_idle);
            Patience::Wall { now: wall(), max_wait, max_idle }
        }
    }

    /// Takes everything that the log has up to its present end, and commits it: for lock step.
    ///
    /// # Errors
    /// As [`Worker::turn`]; a fenced worker gives [`WorkerError::Fenced`].
    pub fn run_to_end(&mut self) -> Result<(), WorkerError> {
        while (self.tasks.len() as i32) < self.task_count {
            self.fetch(Duration::from_millis(5))?;
        }
        loop {
            let ends = self.know_ends()?;
            while !self.fetched_to_ends() {
                self.fetch(Duration::from_millis(5))?;
            }
            loop {
                let advanced = self.advance(Patience::LockStep)?;
                while !self.fetched_to_ends() {
                    self.fetch(Duration::from_millis(5))?;
                }
                // One round for all that the slice brings, unless it is larger than a round may be.
                let full = self.any_full();
                if advanced && !full {
                    continue;
                }
                self.submit(false)?;
                self.answered()?;
                if let Some(why) = self.fenced.clone() {
                    return Err(WorkerError::Fenced { worker: self.plan.worker.to_string(), why });
                }
                if !full {
                    break;
                }
            }
            if self.know_ends()? == ends {
                // The ends may have fulfilled a last promise: that nothing more comes.
                self.advance(Patience::LockStep)?;
                self.submit(false)?;
                return self.answered();
            }
        }
    }

    fn know_ends(&mut self) -> Result<Vec<i64>, WorkerError> {
        let mut ends = BTreeMap::new();
        for task in self.tasks.values_mut() {
            for lane in &mut task.merge.lanes {
                let end = match ends.get(&lane.at) {
                    Some(end) => *end,
                    None => *ends.entry(lane.at.clone()).or_insert(self.log.bounds(&lane.at)?.end),
                };
                lane.know_end(end);
            }
        }
        Ok(ends.into_values().collect())
    }

    fn fetched_to_ends(&self) -> bool {
        let high = self.plan.runtime.lane_records;
        self.tasks
            .values()
            .all(|task| task.merge.lanes.iter().all(|lane| lane.at_known_end() || lane.queued() >= high))
    }

    /// Fetches what is there. True if something came.
    fn fetch(&mut self, wait: Duration) -> Result<bool, WorkerError> {
        let mut came = false;
        // First of all: what a rewound lane is given must begin where it stands.
        self.refetch()?;
        // Each side is asked several times without waiting before the other has its turn.
        for asked in 0..16 {
            let patience = if asked == 0 { wait / 2 } else { Duration::ZERO };
            match self.member.poll(patience)? {
                Polled::Idle => break,
                polled => came |= self.take_in(polled)?,
            }
        }
        for asked in 0..16 {
            let patience = if asked == 0 && !came { wait / 2 } else { Duration::ZERO };
            match self.reader.poll(patience)? {
                Polled::Idle => break,
                polled => came |= self.take_in(polled)?,
            }
        }
        self.refetch()?;
        self.throttle()?;
        Ok(came)
    }

    fn take_in(&mut self, polled: Polled) -> Result<bool, WorkerError> {
        match polled {
            Polled::Batch(batch) => self.deliver(batch),
            Polled::End { at, position } => {
                for task in self.tasks.values_mut() {
                    if let Some(lane) = task.merge.lane_mut(&at) {
                        lane.signal_end(position);
                    }
                }
            }
            Polled::Assigned(partitions) => {
                self.stage.set(Stage::Restoring);
                self.assigned(&partitions)?;
            }
            Polled::Revoked(_) => {
                self.stage.set(Stage::Draining);
                self.flush()?;
                self.drop_tasks()?;
                self.member.release()?;
            }
            Polled::Lost(_) => {
                self.stage.set(Stage::Draining);
                self.abandon();
                self.drop_tasks()?;
                self.member.release()?;
            }
            Polled::Idle => return Ok(false),
        }
        Ok(true)
    }

    fn deliver(&mut self, batch: Arc<Batch>) {
        let now = wall();
        let fetched: Arc<Fetched> = Arc::new(self.plan.inspector.inspect(batch, now));
        let at = fetched.batch.source();
        if self.plan.own.contains(&at.topic) {
            if let Some(task) = self.tasks.get_mut(&at.partition) {
                task.push(&fetched, now);
            }
        } else {
            for task in self.tasks.values_mut() {
                task.push(&fetched, now);
            }
        }
    }

    fn assigned(&mut self, partitions: &[i32]) -> Result<(), WorkerError> {
        let log = Arc::clone(&self.log);
        let mut restorer = Restorer::new(&self.plan, log, self.broadcast.clone(), self.task_count)?;
        let mut revoked = None;
        let mut starts = Vec::new();
        for &partition in partitions {
            if self.tasks.contains_key(&partition) {
                continue;
            }
            let member = &mut self.member;
            let mut keep_alive = || match member.poll(Duration::ZERO)? {
                change @ (Polled::Revoked(_) | Polled::Lost(_)) => {
                    revoked = Some(change);
                    Ok(())
                }
                _ => Ok(()),
            };
            let task = restorer.restore(partition, &mut keep_alive)?;
            tracing::info!(worker = %self.plan.worker, partition, sequence = task.sequence, step = task.core.step(), "task restored");
            starts.extend(task.offsets());
            self.tasks.insert(partition, task);
            if revoked.is_some() {
                break;
            }
        }
        if let Some(change) = revoked {
            self.take_in(change)?;
            return Ok(());
        }
        // Not before all are restored: what a keep-alive polls meanwhile must not be a batch.
        self.member.assign(&starts)?;
        self.assign_broadcast()?;
        self.stage.set(Stage::Running);
        Ok(())
    }

    /// Reads each broadcast partition from the least position that a task needs.
    fn assign_broadcast(&mut self) -> Result<(), WorkerError> {
        let mut starts = Vec::new();
        for at in &self.broadcast {
            let lanes = self.tasks.values().filter_map(|task| task.merge.lane(at));
            let needed = lanes.map(Lane::fetched_to);
            let Some(mut from) = needed.min() else { continue };
            if at.topic.as_str() == HEARTBEATS {
                // What was promised before the position still holds: it is heard again, not taken again.
                from = (from - HEARD_AGAIN).max(self.log.bounds(at)?.earliest);
            }
            starts.push((at.clone(), from));
        }
        self.reader.assign(&starts)?;
        Ok(())
    }

    fn refetch(&mut self) -> Result<(), WorkerError> {
        let again: BTreeSet<TopicPartition> = self.tasks.values_mut().flat_map(Task::take_refetch).collect();
        for at in again {
            // A broadcast partition is read once for all tasks: from where the one furthest behind needs it.
            let lanes = self.tasks.values().filter_map(|task| task.merge.lane(&at));
            let Some((from, broadcast)) = lanes.map(|lane| (lane.fetched_to(), lane.broadcast)).min() else {
                continue;
            };
            let reader: &mut dyn Reader = if broadcast { &mut *self.reader } else { &mut *self.member };
            reader.assign(&[(at.clone(), from)])?;
            // A move does not end a pause.
            if self.paused.remove(&at) {
                reader.resume(std::slice::from_ref(&at))?;
            }
        }
        Ok(())
    }

    /// Pauses what is held in plenty, resumes what is not.
    fn throttle(&mut self) -> Result<(), WorkerError> {
        let high = self.plan.runtime.lane_records;
        let mut held: BTreeMap<&TopicPartition, (usize, bool)> = BTreeMap::new();
        for lane in self.tasks.values().flat_map(|task| &task.merge.lanes) {
            if lane.queued() >= high || self.paused.contains(&lane.at) {
                let most = held.entry(&lane.at).or_insert((0, lane.broadcast));
                most.0 = most.0.max(lane.queued());
            }
        }
        let mut changes = Vec::new();
        for (at, (queued, broadcast)) in held {
            let paused = self.paused.contains(at);
            if queued >= high && !paused {
                changes.push((at.clone(), broadcast, true));
            } else if queued < high / 2 && paused {
                changes.push((at.clone(), broadcast, false));
            }
        }
        for (at, broadcast, pause) in changes {
            let reader: &mut dyn Reader = if broadcast { &mut *self.reader } else { &mut *self.member };
            if pause {
                reader.pause(std::slice::from_ref(&at))?;
                self.paused.insert(at);
            } else {
                reader.resume(std::slice::from_ref(&at))?;
                self.paused.remove(&at);
            }
        }
        Ok(())
    }

    /// Advances every task. True if one moved.
    fn advance(&mut self, patience: Patience) -> Result<bool, WorkerError> {
        let budget = self.budget();
        let mut moved = false;
        let mut stuck = false;
        for task in self.tasks.values_mut() {
            let before = task.pending.len();
            let stopped = task.advance(patience, budget, &self.plan.letters);
            moved |= task.pending.len() > before;
            stuck |= stopped == Stopped::Waiting(None)
                || stopped == Stopped::Drained && task.merge.lanes.iter().any(Lane::waits_for_promised);
        }
        // On the tape's clock a promise may rest on records that no sequence number can tell of: then the
        // log's own end says that they are here.
        if stuck && patience == Patience::Tape && self.ends_asked.elapsed() > Duration::from_millis(250) {
            self.know_ends()?;
            self.ends_asked = Instant::now();
        }
        self.refetch()?;
        Ok(moved)
    }

    fn submit_if_due(&mut self) -> Result<(), WorkerError> {
        if self.in_flight.is_some() || self.fenced.is_some() {
            return Ok(());
        }
        let (now, carry) = (wall(), self.plan.runtime.max_carry);
        // Every task is asked: the question starts its carrying time.
        let mut due = false;
        for task in self.tasks.values_mut() {
            due |= task.is_due(now, carry);
        }
        if !due {
            self.due_since = None;
            return Ok(());
        }
        let since = *self.due_since.get_or_insert_with(Instant::now);
        let runtime = &self.plan.runtime;
        let linger = self.commit_time.clamp(runtime.linger, runtime.linger_max);
        if self.any_full() || since.elapsed() >= linger {
            self.submit(false)?;
        }
        Ok(())
    }

    fn budget(&self) -> Budget {
        Budget { records: self.plan.runtime.max_records, bytes: self.plan.runtime.max_bytes }
    }

    fn any_full(&self) -> bool {
        let budget = self.budget();
        self.tasks.values().any(|task| task.is_full(budget))
    }

    /// Seals what is due (everything that is pending, if `all`) and begins the commit.
    fn submit(&mut self, all: bool) -> Result<(), WorkerError> {
        let (now, carry) = (wall(), self.plan.runtime.max_carry);
        let mut round = Round::default();
        let mut sealed = Vec::new();
        let mut outputs = Vec::new();
        let mut journals = Vec::new();
        for task in self.tasks.values_mut() {
            if !(task.is_due(now, carry) || all && !task.pending.is_empty()) {
                continue;
            }
            let first_of_epoch = task.opens.is_some();
            let sealed_task = task.seal(&self.plan.instance);
            outputs.extend(sealed_task.outputs);
            round.records.extend(sealed_task.letters);
            journals.push((sealed_task.record, sealed_task.journal, sealed_task.oldest));
            let why = if first_of_epoch { "epoch" } else { task.anchor_due(self.plan.runtime.anchor_every) };
            if !why.is_empty() {
                add_anchor(&mut round, task, &self.plan, why);
            }
            let runtime = &self.plan.runtime;
            if task.snapshot_due(now, runtime.snapshot_rounds, runtime.snapshot_every) {
                add_snapshot(&mut round, task, &self.plan);
            }
            round.offsets.extend(task.offsets());
        }
        self.due_since = None;
        if journals.is_empty() {
            return Ok(());
        }
        // Tasks share output partitions: by event time no task's records make another's late. Stable, so
        // that each task's own order stays.
        outputs.sort_by_key(|(time, _)| *time);
        round.records.extend(outputs.into_iter().map(|(_, record)| record));
        for (record, bytes, oldest) in journals {
            let partition = record.partition;
            sealed.push(Summary { record, bytes: bytes.len(), oldest, at: round.records.len() });
            round.records.push(journal_record(self.plan.worker.as_str(), partition, bytes));
        }
        let round = Arc::new(round);
        let fence = self.member.fence()?;
        self.committer.commit(Arc::clone(&round), fence);
        self.in_flight = Some(InFlight { round, sealed, failures: 0, recovering: false });
        Ok(())
    }

    /// Takes the outcome of the commit under way, waiting at most `patience` for it.
    fn settle(&mut self, patience: Duration) -> Result<(), WorkerError> {
        let deadline = Instant::now() + patience;
        while self.in_flight.is_some() && self.fenced.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            let outcome = if left.is_zero() { self.committer.poll() } else { self.committer.wait(left) };
            match outcome {
                None => return Ok(()),
                Some(Outcome::Commit(Ok(committed), took)) => self.acknowledge(&committed, took),
                Some(Outcome::Commit(Err(error), _)) => self.failed(error)?,
                Some(Outcome::Recover(result)) => self.recovered(result)?,
            }
        }
        Ok(())
    }

    fn acknowledge(&mut self, committed: &Committed, took: Duration) {
        let Some(done) = self.in_flight.take() else { return };
        self.commit_time = (self.commit_time * 7 + took) / 8;
        for (index, summary) in done.sealed.iter().enumerate() {
            if let (Some(task), Some(offset)) =
                (self.tasks.get_mut(&summary.record.partition), committed.offsets.get(summary.at))
            {
                task.journal_offset = *offset;
            }
            let Summary { record, bytes, oldest, .. } = summary;
            let (bytes, oldest) = (*bytes, *oldest);
            let acknowledged = Acknowledged { record, bytes, oldest, first: index == 0, commit: took };
            self.observers.iter_mut().for_each(|observer| observer(&acknowledged));
        }
    }

    fn failed(&mut self, error: CommitError) -> Result<(), WorkerError> {
        let worker = self.plan.worker.to_string();
        let Some(pending) = self.in_flight.as_mut() else { return Ok(()) };
        tracing::warn!(%worker, %error, "a round was not acknowledged");
        match error {
            CommitError::Aborted(_) => {
                pending.failures += 1;
                if pending.failures >= 3 {
                    let first = first_input(&pending.sealed);
                    return Err(WorkerError::Failing { worker, times: pending.failures, first, why: error });
                }
                // A computed round is immutable: the same bytes again.
                let round = Arc::clone(&pending.round);
                let fence = self.member.fence()?;
                self.committer.commit(round, fence);
            }
            CommitError::Unknown(_) => {
                pending.recovering = true;
                self.committer.recover();
            }
            CommitError::Fenced(_) => self.fenced = Some(error),
            CommitError::Refused(_) => return Err(WorkerError::Refused { worker, why: error }),
        }
        Ok(())
    }

    /// After an unknown outcome and a recovery: the journal says what happened.
    fn recovered(&mut self, result: Result<(), CommitError>) -> Result<(), WorkerError> {
        if let Err(error) = result {
            return self.failed(error);
        }
        let Some(pending) = self.in_flight.as_ref() else { return Ok(()) };
        let Some(first) = pending.sealed.first() else { return Ok(()) };
        let (partition, sequence, hash) = (first.record.partition, first.record.sequence, first.record.hash);
        let from = self.tasks.get(&partition).map_or(0, |task| task.journal_offset);
        let journal = TopicPartition::new(journal_topic(self.plan.worker.as_str()), partition);
        let mut written = false;
        Scanner::new(Arc::clone(&self.log))?.scan::<LogError>(&journal, from, |record| {
            let opened = record.value.and_then(|value| JournalRecord::open(value).ok());
            written |= opened.is_some_and(|found| found.sequence == sequence && found.hash == hash);
            Ok(())
        })?;
        tracing::info!(worker = %self.plan.worker, partition, sequence, written, "an unknown outcome was decided");
        if written {
            self.acknowledge(&Committed::default(), Duration::ZERO);
        } else if let Some(pending) = self.in_flight.as_ref() {
            let round = Arc::clone(&pending.round);
            let fence = self.member.fence()?;
            self.committer.commit(round, fence);
        }
        Ok(())
    }

    /// Commits everything that is pending, and waits for it.
    pub fn flush(&mut self) -> Result<(), WorkerError> {
        self.answered()?;
        if self.fenced.is_none() {
            self.submit(true)?;
            self.answered()?;
        }
        Ok(())
    }

    /// Waits for the commit under way. One that is not answered in time ends the membership: only another
    /// one, with a writer that fences this one, may go on.
    fn answered(&mut self) -> Result<(), WorkerError> {
        self.settle(ANSWER_WITHIN)?;
        if self.in_flight.is_some() && self.fenced.is_none() {
            return Err(WorkerError::Log(self.unanswered()));
        }
        Ok(())
    }

    fn unanswered(&self) -> LogError {
        let why = format!("a commit was not answered within {ANSWER_WITHIN:?}");
        LogError::Unreachable { log: self.log.address().to_owned(), why }
    }

    /// Forgets what is under way: its partitions are lost, and whoever owns them now reads the journal. But
    /// if its outcome is not known this membership is over: nothing may begin on its writer.
    fn abandon(&mut self) {
        if self.committer.busy() {
            self.fenced = match self.committer.wait(ANSWER_WITHIN) {
                None => Some(CommitError::Unknown(self.unanswered())),
                Some(
                    Outcome::Commit(Err(error @ (CommitError::Unknown(_) | CommitError::Fenced(_))), _)
                    | Outcome::Recover(Err(error)),
                ) => Some(error),
                Some(_) => self.fenced.take(),
            };
        }
        self.in_flight = None;
    }

    fn drop_tasks(&mut self) -> Result<(), WorkerError> {
        let own: Vec<TopicPartition> = self
            .tasks
            .values()
            .flat_map(|task| task.offsets().map(|(at, _)| at).collect::<Vec<_>>())
            .collect();
        self.member.unassign(&own)?;
        self.reader.unassign(&self.broadcast)?;
        self.tasks.clear();
        self.paused.clear();
        self.in_flight = None;
        self.stage.set(Stage::Waiting);
        Ok(())
    }

    /// Finishes the round under way, drops an anchor, commits and leaves the group.
    pub fn stop(mut self) -> Result<(), WorkerError> {
        self.stage.set(Stage::Draining);
        if self.fenced.is_none() {
            self.flush()?;
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
        Ok(())
    }
}

/// The wall time.
pub fn wall() -> Time {
    let span = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(micros_of(span))
}

fn first_input(sealed: &[Summary]) -> String {
    let inputs = sealed.iter().flat_map(|summary| &summary.record.inputs);
    inputs
        .map(|range| format!("{}/{} offset {}", range.topic, range.partition, range.from))
        .next()
        .unwrap_or_else(|| "no input".to_owned())
}

pub(crate) fn journal_record(worker: &str, partition: i32, bytes: Vec<u8>) -> OutRecord {
    OutRecord {
        target: TopicPartition::new(journal_topic(worker), partition),
        timestamp: None,
        key: None,
        value: Some(Bytes::from(bytes)),
        headers: Vec::new(),
    }
}

/// So many heartbeats before a task's position are heard again when it comes back.
const HEARD_AGAIN: i64 = 2_000;

/// How long a commit may go unanswered before the membership ends.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// State above this size is kept in anchors only.
const MAX_SNAPSHOT_BYTES: usize = 32 << 20;

pub(crate) fn add_snapshot(round: &mut Round, task: &Task, plan: &WorkerPlan) {
    let state = task.save().encode();
    if state.len() > MAX_SNAPSHOT_BYTES {
        tracing::warn!(worker = %plan.worker, partition = task.core.partition(), bytes = state.len(), "the state is above 32 MiB: kept in anchors only");
        return;
    }
    let target = TopicPartition::new(state_topic(plan.worker.as_str()), task.core.partition());
    round.records.extend(state_records(&target, &snapshot_prefix(), &state, manifest(task, "", "")));
}

pub(crate) fn add_anchor(round: &mut Round, task: &Task, plan: &WorkerPlan, why: &str) {
    let target = TopicPartition::new(anchors_topic(plan.worker.as_str()), task.core.partition());
    let prefix = anchor_prefix(task.sequence - 1);
    let state = task.save().encode();
    round.records.extend(state_records(&target, &prefix, &state, manifest(task, why, &plan.configuration)));
}

fn manifest(task: &Task, why: &str, configuration: &str) -> Manifest {
    Manifest {
        format: 0,
        sequence: task.sequence - 1,
        hash: task.previous.to_string(),
        journal_offset: task.journal_offset,
        epoch: task.epoch.to_string(),
        clock: task.core.clock().micros(),
        chunks: 0,
        bytes: 0,
        digest: String::new(),
        why: why.to_owned(),
        configuration: configuration.to_owned(),
    }
}
