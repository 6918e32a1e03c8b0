//! A person gives up what stands before an open breaker: it is journalled as skipped on purpose, and the breaker
//! closes behind it.

use std::sync::Arc;
use std::time::Duration;

use tapewatch_eventlog::TopicPartition;

use super::{Worker, WorkerError};
use crate::feed::Feed;
use crate::task::Passed;

/// So many offsets are read, journalled and committed together: what is skipped is streamed, never held.
const PART: i64 = 10_000;

impl Worker {
    /// Passes over everything that stands before `to` (the partition's present end if none) in every task that has
    /// a breaker open on `at`, then closes it. Gives how many records were skipped; none if none has it open.
    ///
    /// Part after part is journalled and committed: whatever stops it, what was passed over is, and the breaker is
    /// open on the rest.
    ///
    /// # Errors
    /// As [`Worker::turn`]; [`WorkerError::Fenced`] if another instance takes over meanwhile.
    pub fn skip_breaker(
        &mut self,
        at: &TopicPartition,
        to: Option<i64>,
        who: &str,
        why: &str,
    ) -> Result<Option<i64>, WorkerError> {
        let end = self.log.bounds(at)?.end;
        let end = to.map_or(end, |to| to.min(end));
        let mut feed = Feed::new(Arc::clone(&self.log), self.plan.inspector.clone())?;
        let mut skipped = None;
        while let Some((number, lane, from)) = self.before_a_breaker(at, end) {
            let to = end.min(from.saturating_add(PART));
            let part = Passed { lane, from, to, who, why };
            let records = feed.range(at, from, to)?;
            let task = self.tasks.get_mut(&number).expect("it was just found");
            let through = task.pass_over(lane, from, &records);
            task.stand_behind(&part, through);
            skipped = Some(skipped.unwrap_or(0) + records.len() as i64);
            self.flush()?;
            if let Some(why) = self.fenced.clone() {
                return Err(WorkerError::Fenced { worker: self.plan.worker.to_string(), why });
            }
            // The membership is kept, and the other tasks go on.
            self.turn(Duration::ZERO)?;
        }
        let closed = self.resume_breaker(at, who, why);
        Ok(skipped.or(closed.then_some(0)))
    }

    /// A task that stands before `end` at an open breaker: its number, its lane's index, where it stands.
    fn before_a_breaker(&self, at: &TopicPartition, end: i64) -> Option<(i32, usize, i64)> {
        self.tasks.values().find_map(|task| {
            let index = task.lane_of(at)?;
            let lane = &task.merge.lanes[index];
            (lane.down && lane.position < end).then(|| (task.core.partition(), index, lane.position))
        })
    }
}
