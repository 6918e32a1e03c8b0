//! Tasks that are stopped because what they write cannot be written: others say so for them, they are tried again
//! after a while, and what was said is taken back once they have written.

use std::collections::BTreeSet;
use std::time::Duration;

use tapewatch_eventlog::TopicPartition;
use tapewatch_schemas::Time;

use super::{Worker, WorkerError};
use crate::injected::{Injected, Neighbour};

/// A stopped task is restored, and so tried again, after so long.
const RETRY: Duration = Duration::from_secs(30);
/// How often it is looked whether one is due, or has written.
const LOOK: Duration = Duration::from_secs(1);

/// A task that is stopped.
pub(super) struct StoppedTask {
    pub(super) why: WorkerError,
    /// On the host's steady clock.
    since: Duration,
}

impl Worker {
    /// These tasks write no more and read no more. Their partitions stay with this worker.
    pub(super) fn stop_tasks(&mut self, refused: Vec<(i32, WorkerError)>) -> Result<(), WorkerError> {
        let mut stopped = Vec::new();
        for (partition, why) in refused {
            let Some(task) = self.tasks.remove(&partition) else { continue };
            tracing::error!(worker = %self.plan.worker, partition, error = %why, "a task is stopped, the others go on");
            let own: Vec<_> = task.offsets().map(|(at, _)| at).collect();
            self.member.unassign(&own)?;
            self.paused.retain(|at| !own.contains(at));
            self.unresolved.forget(|at| own.contains(at));
            stopped.push((partition, why));
        }
        // None of them may be the one that tells of another, and at the end nobody is: nothing follows that would
        // journal it, and it is said when it happens again.
        for (partition, why) in stopped {
            if !self.stopping {
                self.tell_stopped(partition, &why);
            }
            self.stopped.insert(partition, StoppedTask { why, since: self.time.elapsed() });
        }
        self.assign_broadcast()
    }

    /// The task that is furthest on says it for the one that can write no more, unless it was said already.
    fn tell_stopped(&mut self, partition: i32, why: &WorkerError) {
        if self.told_stopped().contains(&partition) {
            return;
        }
        let Some(teller) = self.tasks.values_mut().max_by_key(|task| task.core.clock()) else { return };
        let time = teller.core.clock().max(Time(0));
        teller.inject(Injected::Neighbour(Neighbour { partition, stopped: Some(why.to_string()), time }));
    }

    /// Of whom the tasks here have said that they are stopped.
    fn told_stopped(&self) -> BTreeSet<i32> {
        self.tasks.values().flat_map(|task| task.core.said_stopped()).collect()
    }

    /// Now and then: takes back what was said of tasks that have written since, here or in another instance, and
    /// tries those again that were stopped here.
    pub(super) fn look_after_stopped(&mut self) -> Result<(), WorkerError> {
        let now = self.time.elapsed();
        if self.stopped_looked.is_some_and(|before| now.saturating_sub(before) < LOOK) {
            return Ok(());
        }
        self.stopped_looked = Some(now);
        let told = self.told_stopped();
        self.stopped_at.retain(|partition, _| told.contains(partition));
        for partition in told {
            let own = self.plan.own.iter().map(|topic| TopicPartition::new(topic.clone(), partition));
            // Positions move in transactions that were committed, and nowhere else.
            let found = self.log.group_offsets(&self.plan.group, &own.collect::<Vec<_>>());
            let Ok(positions) = found else { continue };
            let before = self.stopped_at.entry(partition).or_insert_with(|| positions.clone());
            if *before != positions {
                self.stopped_at.remove(&partition);
                self.tell_restored(partition);
            }
        }
        let due = |stopped: &StoppedTask| now.saturating_sub(stopped.since) >= RETRY;
        let again: Vec<i32> =
            self.stopped.iter().filter(|(_, one)| due(one)).map(|(partition, _)| *partition).collect();
        if again.is_empty() || self.in_flight.is_some() {
            return Ok(());
        }
        tracing::info!(worker = %self.plan.worker, partitions = ?again, "stopped tasks are tried again");
        self.assigned(&again)
    }

    fn tell_restored(&mut self, partition: i32) {
        for task in self.tasks.values_mut().filter(|task| task.core.said_stopped().contains(&partition)) {
            let time = task.core.clock();
            task.inject(Injected::Neighbour(Neighbour { partition, stopped: None, time }));
        }
    }
}
