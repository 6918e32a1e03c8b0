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

/// When a worker's tasks had journalled a round with an input for the first time.
#[derive(Debug)]
pub struct Comeback {
    begun: Instant,
    tasks: BTreeSet<i32>,
    all: usize,
    /// When the first had.
    pub first: Option<Duration>,
    /// When every one had.
    pub last: Option<Duration>,
}

impl Comeback {
    /// Of so many tasks, counted from now.
    pub fn of(all: u32) -> Self {
        Self { begun: Instant::now(), tasks: BTreeSet::new(), all: all as usize, first: None, last: None }
    }

    /// Takes note of a journal record.
    pub fn note(&mut self, record: &JournalRecord) {
        if record.inputs.is_empty() {
            return;
        }
        let now = self.begun.elapsed();
        self.first.get_or_insert(now);
        self.tasks.insert(record.partition);
        if self.tasks.len() == self.all {
            self.last.get_or_insert(now);
        }
    }

    /// How long it is since it began.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}
