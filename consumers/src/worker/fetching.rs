//! What a worker reads: batches to the tasks that take them, pauses where enough of them waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tapewatch_eventlog::{Batch, Polled, Reader, TopicPartition};
use tapewatch_schemas::catalogue::HEARTBEATS;

use super::{Worker, WorkerError};
use crate::inspect::Fetched;
use crate::merge::Lane;
use crate::stage::Stage;
use crate::task::Task;

impl Worker {
    /// Fetches what is there. True if something came.
    pub(super) fn fetch(&mut self, wait: Duration) -> Result<bool, WorkerError> {
        let mut came = false;
        // First of all: what a rewound lane is given must begin where it stands.
        self.refetch()?;
        self.ask_again()?;
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

    pub(super) fn take_in(&mut self, polled: Polled) -> Result<bool, WorkerError> {
        match polled {
            Polled::Batch(batch) => {
                let at = batch.source().clone();
                if let Some(Polled::Batch(batch)) = self.unresolved.keep(&at, Polled::Batch(batch)) {
                    self.receive(batch)?;
                }
            }
            Polled::End { at, position } => {
                if self.unresolved.keep(&at, Polled::End { at: at.clone(), position }).is_some() {
                    self.ended(&at, position);
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
            Polled::Lost(partitions) => {
                tracing::warn!(
                    worker = %self.plan.worker,
                    ?partitions,
                    "fenced: silent for longer than its session, and its tasks are others' now; what was not committed is given up"
                );
                self.stage.set(Stage::Draining);
                self.abandon();
                self.drop_tasks()?;
                self.member.release()?;
            }
            Polled::Idle => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn ended(&mut self, at: &TopicPartition, position: i64) {
        for task in self.tasks.values_mut() {
            if let Some(lane) = task.merge.lane_mut(at) {
                lane.signal_end(position);
            }
        }
    }

    pub(super) fn deliver(&mut self, batch: Arc<Batch>) {
        let (now, bound) = (self.time.wall(), self.plan.runtime.lane_records);
        let fetched: Arc<Fetched> = Arc::new(self.plan.inspector.inspect(batch, now));
        let at = fetched.batch.source();
        if self.plan.own.contains(&at.topic) {
            if let Some(task) = self.tasks.get_mut(&at.partition) {
                task.push(&fetched, now, bound);
            }
        } else {
            for task in self.tasks.values_mut() {
                task.push(&fetched, now, bound);
            }
        }
    }

    pub(super) fn refetch(&mut self) -> Result<(), WorkerError> {
        let bound = self.plan.runtime.lane_records;
        let tasks = self.tasks.values_mut();
        let again: BTreeSet<TopicPartition> = tasks.flat_map(|task| task.take_refetch(bound)).collect();
        for at in again {
            // A broadcast partition is read once for all tasks: from where the one furthest behind needs it.
            let lanes = self.tasks.values().filter_map(|task| task.merge.lane(&at));
            let Some((from, broadcast)) = lanes.map(|lane| (lane.fetched_to(), lane.broadcast)).min() else {
                continue;
            };
            let reader: &mut dyn Reader = if broadcast { &mut *self.reader } else { &mut *self.member };
            reader.assign(&[(at.clone(), from)])?;
            let held = self.unresolved.holds(&at);
            self.unresolved.forget(|gone| *gone == at);
            // A move does not end a pause.
            if self.paused.remove(&at) || held {
                reader.resume(std::slice::from_ref(&at))?;
            }
        }
        Ok(())
    }

    /// Pauses what is held in plenty, resumes what is not. Heartbeats are heard on and not held: a task may
    /// wait for what one behind those that wait promises. What stands before one task's open breaker keeps no other
    /// from reading on.
    pub(super) fn throttle(&mut self) -> Result<(), WorkerError> {
        let high = self.plan.runtime.lane_records;
        let mut held: BTreeMap<&TopicPartition, (usize, bool)> = BTreeMap::new();
        let lanes = self.tasks.values().flat_map(|task| &task.merge.lanes);
        for lane in lanes.filter(|lane| lane.at.topic.as_str() != HEARTBEATS && !self.is_left_behind(lane)) {
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
            } else if queued < high / 2 && paused && !self.unresolved.holds(at) {
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

    /// True of a source that is down for one task, and is read by another.
    fn is_left_behind(&self, lane: &Lane) -> bool {
        let reads = |task: &Task| task.merge.lane(&lane.at).is_some_and(|other| !other.down);
        lane.broadcast && lane.down && self.tasks.values().any(reads)
    }
}
