//! What the journals of a worker say that it did.

use std::sync::Arc;

use tapewatch_consumers::injected::Injected;
use tapewatch_consumers::scan::Scanner;
use tapewatch_eventlog::{Log, LogError, TopicPartition};
use tapewatch_schemas::catalogue::journal_topic;
use tapewatch_schemas::journal::JournalRecord;
use tapewatch_schemas::{Time, WorkerName};

use super::Watched;

/// The journals of all tasks of a worker.
pub(super) struct Journals {
    pub(super) worker: WorkerName,
    /// By task.
    pub(super) tasks: Vec<Vec<Entry>>,
}

/// What is kept of a journal record.
pub(super) struct Entry {
    pub(super) sequence: i64,
    pub(super) first_step: u64,
    /// One past the last step.
    pub(super) end_step: u64,
    pub(super) outputs: u64,
    /// The instants of its ticks, in order.
    pub(super) ticks: Vec<Time>,
}

impl Journals {
    /// Reads them. A record that cannot be read is passed over: the account of the journal tells of it.
    pub(super) fn read(
        log: &Arc<dyn Log>,
        scanner: &mut Scanner,
        watched: &Watched,
    ) -> Result<Self, LogError> {
        let worker = watched.plan.worker.clone();
        let topic = journal_topic(worker.as_str());
        let count = log.topics()?.iter().find(|info| info.name == topic).map_or(0, |info| info.partitions);
        let mut tasks = Vec::new();
        for task in 0..count {
            let mut entries = Vec::new();
            scanner.scan::<LogError>(&TopicPartition::new(topic.clone(), task), 0, |record| {
                entries.extend(JournalRecord::open(record.value.unwrap_or_default()).ok().map(Entry::from));
                Ok(())
            })?;
            tasks.push(entries);
        }
        Ok(Self { worker, tasks })
    }
}

impl From<JournalRecord> for Entry {
    fn from(record: JournalRecord) -> Self {
        let ticks = record.injected.iter().filter_map(|event| match Injected::from_journal(event) {
            Ok(Injected::Tick(time)) => Some(time),
            _ => None,
        });
        Self {
            ticks: ticks.collect(),
            sequence: record.sequence,
            first_step: record.first_step as u64,
            end_step: (record.first_step + record.steps) as u64,
            outputs: record.outputs as u64,
        }
    }
}
