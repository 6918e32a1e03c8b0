//! A worker's journal as an independent reader sees it: a round is done once its records can be read.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tapewatch_eventlog::{Polled, Reader};
use tapewatch_schemas::catalogue::journal_topic;
use tapewatch_schemas::journal::JournalRecord;

use crate::Failure;
use crate::stage::Stage;

/// Follows a worker's journal from its present end.
pub struct Journals {
    reader: Box<dyn Reader>,
}

impl Journals {
    /// What is journalled from now on. What stands in an open transaction is left out.
    pub fn follow(stage: &Stage, worker: &str) -> Result<Self, Failure> {
        let mut reader = stage.log.reader()?;
        reader.assign(&stage.ends(journal_topic(worker).as_str())?)?;
        Ok(Self { reader })
    }

    /// The records that can be read now; waits at most `wait` for the first.
    pub fn next(&mut self, wait: Duration) -> Result<Vec<JournalRecord>, Failure> {
        let Polled::Batch(batch) = self.reader.poll(wait)? else { return Ok(Vec::new()) };
        batch.iter().map(|record| Ok(JournalRecord::open(record.value.unwrap_or_default())?)).collect()
    }
}

/// When tasks had journalled a round with an input for the first time since.
#[derive(Debug)]
pub struct Comeback {
    begun: Instant,
    missing: BTreeSet<i32>,
    /// When the first had.
    pub first: Option<Duration>,
    /// When every one had.
    pub last: Option<Duration>,
}

impl Comeback {
    /// Of these tasks, counted from now.
    pub fn of(tasks: impl IntoIterator<Item = i32>) -> Self {
        Self { begun: Instant::now(), missing: tasks.into_iter().collect(), first: None, last: None }
    }

    /// Takes note of a journal record.
    pub fn note(&mut self, record: &JournalRecord) {
        if record.inputs.is_empty() || !self.missing.remove(&record.partition) {
            return;
        }
        let now = self.begun.elapsed();
        self.first.get_or_insert(now);
        if self.missing.is_empty() {
            self.last = Some(now);
        }
    }

    /// How long it is since it began.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use tapewatch_schemas::Digest;
    use tapewatch_schemas::journal::InputRange;

    use super::*;

    fn round(partition: i32, inputs: usize) -> JournalRecord {
        let range = InputRange {
            topic: "exec.reports.v1".into(),
            partition,
            from: 0,
            to: 1,
            count: 1,
            processed: 1,
            digest: Digest::NONE,
        };
        JournalRecord { partition, inputs: vec![range; inputs], ..JournalRecord::default() }
    }

    #[test]
    fn every_task_must_have_taken_something() {
        let mut comeback = Comeback::of([1, 4]);
        comeback.note(&round(2, 1));
        comeback.note(&round(4, 0));
        assert_eq!((comeback.first, comeback.last), (None, None));
        comeback.note(&round(4, 2));
        comeback.note(&round(4, 1));
        assert!(comeback.first.is_some() && comeback.last.is_none());
        comeback.note(&round(1, 1));
        assert!(comeback.last > comeback.first);
    }
}
