//! A person gives up what stands before an open breaker: it is journalled as skipped on purpose, and the breaker
//! closes behind it.

use std::sync::Arc;
use std::time::Duration;

use tapewatch_eventlog::TopicPartition;

use super::{Worker, WorkerError};
use crate::feed::{Feed, FeedError};
use crate::task::{PART, Passed};

/// Why a skip ended early. The worker goes on, unless it is the worker's own error.
#[derive(Debug, thiserror::Error)]
pub enum SkipError {
    /// The records cannot be read: their digests would be missing in the journal.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// It would end before it begins.
    #[error("{at}: the task stands at offset {position} already, which is not below {to}")]
    Passed {
        /// The source.
        at: TopicPartition,
        /// Where the task stands.
        position: i64,
        /// Where the skip was to end.
        to: i64,
    },
    /// It would end behind the end: nobody can give up what is not there yet.
    #[error("{at}: it ends at offset {end}, which is before {to}: nothing that is yet to come is given up")]
    Beyond {
        /// The source.
        at: TopicPartition,
        /// One past its last record.
        end: i64,
        /// Where the skip was to end.
        to: i64,
    },
    /// The task is another instance's now, or was stopped.
    #[error("{at}: its task left this instance after {skipped} records were skipped: ask where it runs now")]
    Left {
        /// The source.
        at: TopicPartition,
        /// How many were skipped, and journalled so.
        skipped: i64,
    },
    /// The worker's own.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

impl Worker {
    /// Passes over everything that stands before `to` (the partition's present end if none) in every task that has
    /// a breaker open on `at`, then closes it. Gives how many records were skipped; none if none has it open.
    ///
    /// Part after part is journalled and committed: whatever stops it, what was passed over is, and the breaker is
    /// open on the rest.
    ///
    /// # Errors
    /// See [`SkipError`].
    pub fn skip_breaker(
        &mut self,
        at: &TopicPartition,
        to: Option<i64>,
        who: &str,
        why: &str,
    ) -> Result<Option<i64>, SkipError> {
        let open = |task: &&crate::task::Task| task.core.breaker(at).open_since().is_some();
        let tasks: Vec<i32> = self.tasks.values().filter(open).map(|task| task.core.partition()).collect();
        if tasks.is_empty() {
            return Ok(None);
        }
        let bounds = self.log.bounds(at).map_err(WorkerError::from)?;
        let end = to.unwrap_or(bounds.end);
        if end > bounds.end {
            return Err(SkipError::Beyond { at: at.clone(), end: bounds.end, to: end });
        }
        let mut feed =
            Feed::new(Arc::clone(&self.log), self.plan.inspector.clone()).map_err(WorkerError::from)?;
        let mut skipped = 0;
        for number in tasks {
            // No probe may close it meanwhile, and have what is left be read again.
            self.hold_probes(number, Some(at));
            let done =
                self.skip_in(number, at, (bounds.earliest, end, to), (who, why), &mut feed, &mut skipped);
            self.hold_probes(number, None);
            done?;
        }
        self.resume_breaker(at, who, why);
        Ok(Some(skipped))
    }

    fn hold_probes(&mut self, number: i32, of: Option<&TopicPartition>) {
        if let Some(task) = self.tasks.get_mut(&number) {
            task.hold_probes(of);
        }
    }

    fn skip_in(
        &mut self,
        number: i32,
        at: &TopicPartition,
        (earliest, end, asked): (i64, i64, Option<i64>),
        (who, why): (&str, &str),
        feed: &mut Feed,
        skipped: &mut i64,
    ) -> Result<(), SkipError> {
        loop {
            let found = self.tasks.get_mut(&number).and_then(|task| Some((task.lane_of(at)?, task)));
            let Some((lane, task)) = found.filter(|(lane, task)| task.merge.lanes[*lane].down) else {
                return Err(SkipError::Left { at: at.clone(), skipped: *skipped });
            };
            let from = task.merge.lanes[lane].position;
            if let Some(to) = asked.filter(|to| *to < from) {
                return Err(SkipError::Passed { at: at.clone(), position: from, to });
            }
            if from >= end {
                return Ok(());
            }
            let to = end.min(from.saturating_add(PART));
            // What retention has removed meanwhile is given up, too.
            let records = feed.range(at, from.max(earliest).min(to), to)?;
            let through = task.pass_over(lane, from, &records);
            task.stand_behind(&Passed { lane, from, to, who, why }, through);
            *skipped += records.len() as i64;
            self.flush()?;
            // The membership is kept, and the other tasks go on.
            self.turn(Duration::ZERO)?;
            if let Some(why) = self.fenced.clone() {
                return Err(WorkerError::Fenced { worker: self.plan.worker.to_string(), why }.into());
            }
        }
    }
}
