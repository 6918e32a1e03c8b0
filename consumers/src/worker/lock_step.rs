//! Lock step: everything that the log has up to its present end, and no further.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Worker, WorkerError};
use crate::merge::{Lane, Patience};

impl Worker {
    /// Takes everything that the log has up to its present end, and commits it: for lock step.
    ///
    /// # Errors
    /// As [`Worker::turn`]; a fenced worker gives [`WorkerError::Fenced`].
    pub fn run_to_end(&mut self) -> Result<(), WorkerError> {
        while ((self.tasks.len() + self.stopped.len()) as i32) < self.task_count {
            self.fetch(Duration::from_millis(5))?;
        }
        self.look_after_stopped()?;
        // Nobody sends dead letters back within a step: it is enough to look once.
        self.know_ends_of(|lane| lane.redrive)?;
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

    /// Where the inputs end that are waited for.
    pub(super) fn know_ends(&mut self) -> Result<Vec<i64>, WorkerError> {
        self.know_ends_of(|lane| !lane.redrive)
    }

    fn know_ends_of(&mut self, which: fn(&Lane) -> bool) -> Result<Vec<i64>, WorkerError> {
        let mut ends = BTreeMap::new();
        for task in self.tasks.values_mut() {
            for lane in task.merge.lanes.iter_mut().filter(|lane| which(lane)) {
                let end = match ends.get(&lane.at) {
                    Some(end) => *end,
                    None => *ends.entry(lane.at.clone()).or_insert(self.log.bounds(&lane.at)?.end),
                };
                lane.know_end(end);
            }
        }
        Ok(ends.into_values().collect())
    }

    pub(super) fn fetched_to_ends(&self) -> bool {
        let high = self.plan.runtime.lane_records;
        self.tasks
            .values()
            .all(|task| task.merge.lanes.iter().all(|lane| lane.at_known_end() || lane.queued() >= high))
    }
}
