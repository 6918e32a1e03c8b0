//! Journals of several tasks, each read one record at a time.

use std::sync::Arc;

use tapewatch_eventlog::{Log, LogError, TopicPartition};
use tapewatch_schemas::Time;
use tapewatch_schemas::catalogue::journal_topic;
use tapewatch_schemas::journal::{JournalError, JournalRecord};

use super::rows::Rows;

/// The journals of a worker's tasks, from somewhere to their ends as they were when last asked.
pub(super) struct Journals {
    worker: String,
    rows: Rows,
}

/// A journal record as it stands in the log.
pub(super) struct Entry {
    /// Where.
    pub(super) offset: i64,
    /// When it was published.
    pub(super) published: Time,
    /// What it says.
    pub(super) record: Result<JournalRecord, JournalError>,
}

impl Journals {
    /// None opened yet.
    pub(super) fn new(log: &Arc<dyn Log>, worker: &str) -> Result<Self, LogError> {
        Ok(Self { worker: worker.to_owned(), rows: Rows::new(log)? })
    }

    /// The partition of a task's.
    pub(super) fn at(&self, task: i32) -> TopicPartition {
        TopicPartition::new(journal_topic(&self.worker), task)
    }

    /// Opens a task's, or opens it anew. It begins at `from`, or at the first offset that is there.
    pub(super) fn open(&mut self, task: i32, from: i64) -> Result<(), LogError> {
        self.rows.open(&self.at(task), from)
    }

    /// The first offset of a task's that is there.
    pub(super) fn earliest(&self, task: i32) -> i64 {
        self.rows.earliest(&self.at(task))
    }

    /// Looks where a task's ends now. True if there is more than there was.
    pub(super) fn refresh(&mut self, task: i32) -> Result<bool, LogError> {
        self.rows.refresh(&self.at(task))
    }

    /// How many offsets were read of all tasks', and how many there are.
    pub(super) fn progress(&self) -> (u64, u64) {
        self.rows.progress()
    }

    /// The next record of a task's; none at the end.
    pub(super) fn next(&mut self, task: i32) -> Result<Option<Entry>, LogError> {
        let at = self.at(task);
        let row = self.rows.next(&at)?;
        Ok(row.map(|row| {
            let record = row.record();
            let opened = JournalRecord::open(record.value.unwrap_or_default());
            Entry { offset: record.offset, published: record.timestamp, record: opened }
        }))
    }
}
