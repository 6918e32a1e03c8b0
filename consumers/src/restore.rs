//! Brings a task back: the newest valid snapshot, then the journalled rounds after it, then live.

use std::collections::BTreeMap;
use std::sync::Arc;

use tapewatch_eventlog::{Log, LogError, TopicPartition};
use tapewatch_schemas::catalogue::{anchors_topic, is_redrive, journal_topic, state_topic};
use tapewatch_schemas::journal::{JournalError, JournalRecord};
use tapewatch_schemas::{Digest, Time, TopicName};

use crate::feed::{Feed, FeedError};
use crate::injected::{Injected, Start};
use crate::merge::{Lane, Merge};
use crate::plan::{StartAt, WorkerPlan};
use crate::rerun::{Rerun, RerunError};
use crate::scan::Scanner;
use crate::snapshot::{Collector, Manifest, SavedTask};
use crate::task::Task;

/// Why a task cannot be brought back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A journal record was changed.
    #[error(
        "{worker}/{partition}: journal offset {offset}: {why}. The journal is the truth of positions: restore the log from a copy, or see what changed it"
    )]
    Journal {
        /// The worker.
        worker: String,
        /// The task.
        partition: i32,
        /// Where in the journal's partition.
        offset: i64,
        /// What is wrong with it.
        why: JournalError,
    },
    /// A journalled round does not come out as it did.
    #[error(
        "{worker}/{partition}: journal sequence {sequence} does not come out as it did: {why}. The inputs or the code were changed: run `tapewatch replay --verify --worker {worker}`"
    )]
    Differs {
        /// The worker.
        worker: String,
        /// The task.
        partition: i32,
        /// The record.
        sequence: i64,
        /// What differs.
        why: RerunError,
    },
    /// Someone moved the group's offsets.
    #[error(
        "{at}: the group `{group}` stands at offset {found}, the journal at {expected}. Offsets are moved with `tapewatch seek --worker {worker} {at} OFFSET`, which journals the jump; to undo the reset, seek to {expected}"
    )]
    Moved {
        /// The worker.
        worker: String,
        /// The group.
        group: String,
        /// The partition.
        at: TopicPartition,
        /// The group's offset.
        found: i64,
        /// The journal's position.
        expected: i64,
    },
    /// An input was cut differently since.
    #[error(
        "{worker}/{partition}: the journal knows {known} input partitions, the worker now reads {found}: neither partition counts nor a worker's inputs can change under a journal. Begin on a new log, or run the version that wrote it"
    )]
    Cut {
        /// The worker.
        worker: String,
        /// The task.
        partition: i32,
        /// In the journal.
        known: usize,
        /// On the log.
        found: usize,
    },
}

/// Restores tasks of one worker.
pub struct Restorer<'a> {
    plan: &'a WorkerPlan,
    log: Arc<dyn Log>,
    scanner: Scanner,
    feed: Feed,
    /// All partitions of the broadcast inputs.
    broadcast: Vec<TopicPartition>,
    tasks: i32,
    compare_group: bool,
}

impl<'a> Restorer<'a> {
    /// A restorer. `tasks` is the partition count of the co-partitioned inputs.
    pub fn new(
        plan: &'a WorkerPlan,
        log: Arc<dyn Log>,
        broadcast: Vec<TopicPartition>,
        tasks: i32,
    ) -> Result<Self, LogError> {
        let scanner = Scanner::new(Arc::clone(&log))?;
        let feed = Feed::new(Arc::clone(&log), plan.inspector.clone())?;
        Ok(Self { plan, log, scanner, feed, broadcast, tasks, compare_group: true })
    }

    /// Does not ask where the group stands: for who sets its offsets to the journal's positions.
    pub fn whatever_the_group_says(self) -> Self {
        Self { compare_group: false, ..self }
    }

    /// Brings back the task `partition`. `keep_alive` is called every few rounds.
    pub fn restore(
        &mut self,
        partition: i32,
        keep_alive: &mut dyn FnMut() -> Result<(), LogError>,
    ) -> Result<Task, RestoreError> {
        let worker = self.plan.worker.as_str();
        let (mut rerun, from, mut epoch) = self.newest_snapshot(partition)?;
        let journal = TopicPartition::new(journal_topic(worker), partition);
        let mut records: Vec<(i64, JournalRecord)> = Vec::new();
        let first = rerun.sequence;
        self.scanner.scan::<RestoreError>(&journal, from, |record| {
            let offset = record.offset;
            let opened = JournalRecord::open(record.value.unwrap_or_default())
                .map_err(|why| RestoreError::Journal { worker: worker.to_owned(), partition, offset, why })?;
            if opened.sequence >= first {
                records.push((offset, opened));
            }
            Ok(())
        })?;
        let own = self.plan.epoch.digest();
        let mut journal_offset = from;
        for (offset, record) in &records {
            keep_alive()?;
            rerun.run(record, &mut self.feed, record.epoch == own).map_err(|why| match why {
                // A log that does not answer says nothing of what is on it.
                RerunError::Feed(FeedError::Log(error)) => RestoreError::Log(error),
                why => RestoreError::Differs {
                    worker: worker.to_owned(),
                    partition,
                    sequence: record.sequence,
                    why,
                },
            })?;
            journal_offset = *offset;
            epoch = Some(record.epoch);
        }
        if rerun.core().is_none() {
            return self.begin(partition);
        }
        let mut task = self.resume(rerun, journal_offset, epoch)?;
        if !records.is_empty() {
            task.snapshot_soon(self.plan.runtime.snapshot_rounds);
        }
        Ok(task)
    }

    fn states(&mut self, topic: TopicName, partition: i32) -> Result<Collector, LogError> {
        let at = TopicPartition::new(topic, partition);
        let mut states = Collector::default();
        self.scanner.scan::<LogError>(&at, 0, |record| {
            // A record that is no part of a state is no reason to stop: the journal holds all.
            if let (Some(key), Some(value)) = (record.key, record.value)
                && let Err(error) = states.add(key, value)
            {
                tracing::warn!(topic = %at.topic, partition, offset = record.offset, %error, "unusable state record");
            }
            Ok(())
        })?;
        Ok(states)
    }

    /// A rerun from the newest state that can be used (the snapshot, else the newest anchor, else the
    /// journal's beginning), where to read the journal from, and the epoch in force there.
    fn newest_snapshot(&mut self, partition: i32) -> Result<(Rerun, i64, Option<Digest>), RestoreError> {
        let worker = self.plan.worker.to_string();
        for topic in [state_topic(&worker), anchors_topic(&worker)] {
            let states = self.states(topic.clone(), partition)?;
            for (prefix, manifest) in states.manifests().rev() {
                match self.usable(&states, prefix, manifest) {
                    Ok(rerun) => {
                        return Ok((rerun, manifest.journal_offset, digest_of(&manifest.epoch).ok()));
                    }
                    Err(error) => {
                        tracing::warn!(worker, partition, %topic, prefix, error, "a saved state is passed over");
                    }
                }
            }
        }
        Ok((Rerun::from_genesis(self.plan.blueprint.clone(), partition), 0, None))
    }

    fn usable(&self, states: &Collector, prefix: &str, manifest: &Manifest) -> Result<Rerun, String> {
        let bytes = states.state(prefix, manifest).map_err(|error| error.to_string())?;
        let saved = SavedTask::decode(&bytes).map_err(|error| error.to_string())?;
        let hash = digest_of(&manifest.hash)?;
        Rerun::from_saved(self.plan.blueprint.clone(), &saved, manifest.sequence, hash)
            .map_err(|error| error.to_string())
    }

    /// A task without a journal: its first step says where it starts.
    fn begin(&self, partition: i32) -> Result<Task, RestoreError> {
        let own = self.plan.own.iter().map(|topic| TopicPartition::new(topic.clone(), partition));
        let mut positions = BTreeMap::new();
        let mut from_zero = true;
        for (at, is_own) in
            own.map(|at| (at, true)).chain(self.broadcast.iter().cloned().map(|at| (at, false)))
        {
            let bounds = self.log.bounds(&at)?;
            let position = match self.plan.runtime.start {
                StartAt::Earliest => bounds.earliest,
                StartAt::Latest => bounds.end,
                StartAt::Time(time) => self.log.offset_at(&at, time)?,
            };
            from_zero &= !is_own || is_redrive(at.topic.as_str()) || position == 0;
            positions.insert(at, (position, Time::MIN));
        }
        let listed = positions.iter().map(|(at, (position, _))| (at.topic.clone(), at.partition, *position));
        let start = Start { positions: listed.collect(), from_zero };
        let core = crate::core::Core::new(self.plan.blueprint.clone(), partition, start.clone());
        let mut task = Task::new(core, self.merge(&positions), self.tasks);
        task.epoch = self.plan.epoch.digest();
        task.opens = Some(self.plan.epoch.clone());
        task.inject(Injected::Start(start));
        Ok(task)
    }

    fn resume(&self, rerun: Rerun, journal_offset: i64, epoch: Option<Digest>) -> Result<Task, RestoreError> {
        let (sequence, previous) = (rerun.sequence, rerun.previous);
        let (core, lanes) = rerun.into_parts();
        let core = core.expect("a task with a journal has begun");
        let partition = core.partition();
        let expected = self.plan.own.len() + self.broadcast.len();
        if lanes.len() != expected {
            let worker = self.plan.worker.to_string();
            return Err(RestoreError::Cut { worker, partition, known: lanes.len(), found: expected });
        }
        if self.compare_group {
            self.check_group(&lanes)?;
        }
        let mut task = Task::new(core, self.merge(&lanes), self.tasks);
        task.sequence = sequence;
        task.previous = previous;
        task.journal_offset = journal_offset;
        task.epoch = self.plan.epoch.digest();
        if epoch != Some(task.epoch) {
            task.opens = Some(self.plan.epoch.clone());
            task.pending.due = true;
        }
        Ok(task)
    }

    /// The group's offsets must be the journal's positions: they are written in one transaction.
    fn check_group(&self, lanes: &BTreeMap<TopicPartition, (i64, Time)>) -> Result<(), RestoreError> {
        let own: Vec<TopicPartition> =
            lanes.keys().filter(|at| self.plan.own.contains(&at.topic)).cloned().collect();
        let found = self.log.group_offsets(&self.plan.group, &own)?;
        for (at, found) in own.into_iter().zip(found) {
            let expected = lanes[&at].0;
            if let Some(found) = found.filter(|found| *found != expected) {
                let (worker, group) = (self.plan.worker.to_string(), self.plan.group.clone());
                return Err(RestoreError::Moved { worker, group, at, found, expected });
            }
        }
        Ok(())
    }

    fn merge(&self, lanes: &BTreeMap<TopicPartition, (i64, Time)>) -> Merge {
        let lane = |(at, (position, merge_time)): (&TopicPartition, &(i64, Time))| {
            let broadcast = !self.plan.own.contains(&at.topic);
            let optional = self.plan.optional.contains(&at.topic);
            Lane::new(at.clone(), broadcast, optional, *position, *merge_time)
        };
        Merge::new(lanes.iter().map(lane).collect())
    }
}

/// Reads a digest from hex.
pub(crate) fn digest_of(hex: &str) -> Result<Digest, String> {
    let bad = || format!("`{hex}` is not a digest");
    if hex.len() != 64 {
        return Err(bad());
    }
    let mut digest = [0; 32];
    for (index, byte) in digest.iter_mut().enumerate() {
        let pair = hex.get(2 * index..2 * index + 2).ok_or_else(bad)?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
    }
    Ok(Digest(digest))
}
