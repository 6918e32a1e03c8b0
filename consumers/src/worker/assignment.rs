//! The tasks of an assignment: restored when they come, dropped when they go.

use std::sync::Arc;
use std::time::Duration;

use tapewatch_eventlog::{Polled, TopicPartition};
use tapewatch_schemas::catalogue::HEARTBEATS;

use super::{Worker, WorkerError};
use crate::merge::Lane;
use crate::restore::Restorer;
use crate::stage::Stage;

/// So many heartbeats before a task's position are heard again when it comes back.
const HEARD_AGAIN: i64 = 2_000;

impl Worker {
    pub(super) fn assigned(&mut self, partitions: &[i32]) -> Result<(), WorkerError> {
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
            self.stopped.remove(&partition);
            if revoked.is_some() {
                break;
            }
        }
        if let Some(change) = revoked {
            self.take_in(change)?;
            return Ok(());
        }
        for (at, from) in &mut starts {
            *from = self.heard_from(at, *from)?;
        }
        // Not before all are restored: what a keep-alive polls meanwhile must not be a batch.
        self.member.assign(&starts)?;
        self.assign_broadcast()?;
        // Before anything of them moves.
        self.stopped_looked = None;
        self.stage.set(Stage::Running);
        Ok(())
    }

    /// Reads each broadcast partition from the least position that a task needs.
    pub(super) fn assign_broadcast(&mut self) -> Result<(), WorkerError> {
        let mut starts = Vec::new();
        for at in &self.broadcast {
            let lanes = self.tasks.values().filter_map(|task| task.merge.lane(at));
            let needed = lanes.map(Lane::fetched_to);
            let Some(from) = needed.min() else { continue };
            starts.push((at.clone(), self.heard_from(at, from)?));
        }
        self.reader.assign(&starts)?;
        // What waited for the registry is read again.
        let held: Vec<_> = self.broadcast.iter().filter(|at| self.unresolved.holds(at)).cloned().collect();
        self.unresolved.forget(|at| held.contains(at));
        self.reader.resume(&held)?;
        Ok(())
    }

    /// Where to read a partition from that is taken from `from` on. What heartbeats promised before still holds: they are
    /// heard again, not taken again.
    fn heard_from(&self, at: &TopicPartition, from: i64) -> Result<i64, WorkerError> {
        if at.topic.as_str() != HEARTBEATS {
            return Ok(from);
        }
        Ok((from - HEARD_AGAIN).max(self.log.bounds(at)?.earliest))
    }

    pub(super) fn drop_tasks(&mut self) -> Result<(), WorkerError> {
        let own: Vec<TopicPartition> = self
            .tasks
            .values()
            .flat_map(|task| task.offsets().map(|(at, _)| at).collect::<Vec<_>>())
            .collect();
        self.member.unassign(&own)?;
        self.reader.unassign(&self.broadcast)?;
        self.tasks.clear();
        self.paused.clear();
        self.unresolved.forget(|_| true);
        self.in_flight = None;
        self.parts = None;
        self.stopped.clear();
        self.stage.set(Stage::Waiting);
        Ok(())
    }
}
