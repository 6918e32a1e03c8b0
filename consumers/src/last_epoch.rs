//! Under which code and configuration a worker's journal was last written.

use std::sync::Arc;

use tapewatch_eventlog::{Log, LogError, TopicPartition};
use tapewatch_schemas::catalogue::journal_topic;
use tapewatch_schemas::journal::{Epoch, JournalRecord};
use tapewatch_schemas::{Digest, Time};

use crate::scan::Scanner;

/// The epoch of a journal's last record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastEpoch {
    /// Its digest, as every record of it carries it.
    pub digest: Digest,
    /// What it is; none if the record that opens it is gone from the log.
    pub epoch: Option<Epoch>,
    /// When that last record was published.
    pub published: Time,
}

impl LastEpoch {
    /// The epoch of the last record of a task's journal; none if there is no record that can be read. `own` is
    /// known without a look at the record that opens it, which may be years before.
    ///
    /// # Errors
    /// The log's.
    pub fn of(
        log: &Arc<dyn Log>,
        worker: &str,
        partition: i32,
        own: &Epoch,
    ) -> Result<Option<Self>, LogError> {
        let at = TopicPartition::new(journal_topic(worker), partition);
        let mut scanner = Scanner::new(Arc::clone(log))?;
        let Some((digest, published)) = last_record(log, &mut scanner, &at)? else { return Ok(None) };
        let mut epoch = (digest == own.digest()).then(|| own.clone());
        if epoch.is_none() {
            scanner.scan::<LogError>(&at, 0, |record| {
                let opened = record.value.and_then(|value| JournalRecord::open(value).ok());
                if let Some(found) = opened.filter(|found| found.epoch == digest) {
                    epoch = found.opens.or(epoch.take());
                }
                Ok(())
            })?;
        }
        Ok(Some(Self { digest, epoch, published }))
    }

    /// The newest epoch of all of a worker's journals; none if it has never run here.
    ///
    /// # Errors
    /// The log's.
    pub fn newest(
        log: &Arc<dyn Log>,
        worker: &str,
        tasks: i32,
        own: &Epoch,
    ) -> Result<Option<Self>, LogError> {
        let mut newest: Option<Self> = None;
        for partition in 0..tasks {
            let found = Self::of(log, worker, partition, own)?;
            newest = newest.into_iter().chain(found).max_by_key(|one| one.published);
        }
        Ok(newest)
    }
}

/// Epoch and time of the last record. What stands last on Kafka may be a transaction's mark, so it looks further
/// and further back.
fn last_record(
    log: &Arc<dyn Log>,
    scanner: &mut Scanner,
    at: &TopicPartition,
) -> Result<Option<(Digest, Time)>, LogError> {
    let bounds = log.bounds(at)?;
    let mut back = 16;
    loop {
        let from = bounds.end.saturating_sub(back).max(bounds.earliest);
        let mut last = None;
        scanner.span::<LogError>(at, from, bounds.end, |record| {
            let opened = record.value.and_then(|value| JournalRecord::open(value).ok());
            last = opened.map(|found| (found.epoch, record.timestamp)).or(last);
            Ok(())
        })?;
        if last.is_some() || from <= bounds.earliest {
            return Ok(last);
        }
        back = back.saturating_mul(4);
    }
}
