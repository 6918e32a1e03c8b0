//! A worker's journal as it grows: who has written what.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tapewatch_eventlog::{Log, Polled, Reader, TopicPartition};
use tapewatch_schemas::catalogue::journal_topic;
use tapewatch_schemas::journal::JournalRecord;

use super::process::Process;
use super::until;

/// Follows the journal of a worker from its beginning.
pub(crate) struct Journals {
    reader: Box<dyn Reader>,
    /// All of it so far, by task.
    pub(crate) records: BTreeMap<i32, Vec<JournalRecord>>,
    tasks: i32,
}

impl Journals {
    pub(crate) fn follow(log: &Arc<dyn Log>, worker: &str, tasks: i32) -> Self {
        let mut reader = log.reader().unwrap();
        let starts: Vec<_> =
            (0..tasks).map(|task| (TopicPartition::new(journal_topic(worker), task), 0)).collect();
        reader.assign(&starts).unwrap();
        Self { reader, records: BTreeMap::new(), tasks }
    }

    /// Takes what can be read now.
    pub(crate) fn look(&mut self) {
        loop {
            match self.reader.poll(Duration::from_millis(5)).unwrap() {
                Polled::Batch(batch) => {
                    for record in batch.iter() {
                        let opened = JournalRecord::open(record.value.unwrap()).unwrap();
                        self.records.entry(opened.partition).or_default().push(opened);
                    }
                }
                Polled::Idle => return,
                _ => {}
            }
        }
    }

    /// Waits until every task has had a round with an input since now, while this worker lives.
    pub(crate) fn all_go_on(&mut self, worker: &mut Process) {
        self.look();
        let before: BTreeMap<i32, usize> =
            self.records.iter().map(|(task, records)| (*task, records.len())).collect();
        let tasks = self.tasks;
        until("a round of every task", || {
            self.look();
            worker.lives();
            (0..tasks).all(|task| {
                let from = before.get(&task).copied().unwrap_or(0);
                let records = self.records.get(&task).map_or(&[][..], |records| &records[from..]);
                records.iter().any(|record| !record.inputs.is_empty())
            })
        });
    }

    /// Waits until every task has taken the whole of a tape that is closed.
    pub(crate) fn see_the_end(&mut self, worker: &mut Process) {
        until("the tape's end", || {
            worker.lives();
            self.closed()
        });
    }

    /// True once every task has taken the whole of a tape that is closed.
    pub(crate) fn closed(&mut self) -> bool {
        self.look();
        let closed = |record: &JournalRecord| record.injected.iter().any(|event| event.kind == "closed");
        self.records.len() == self.tasks as usize
            && self.records.values().all(|records| records.iter().any(closed))
    }

    /// The instance that wrote each task's last record.
    pub(crate) fn owners(&mut self) -> BTreeMap<i32, String> {
        self.look();
        let last =
            |(task, records): (&i32, &Vec<JournalRecord>)| Some((*task, records.last()?.instance.clone()));
        self.records.iter().filter_map(last).collect()
    }
}
