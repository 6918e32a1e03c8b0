//! Reads a partition to its end, once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tapewatch_eventlog::{Log, LogError, Polled, Reader, RecordRef, TopicPartition};

/// Reads partitions to their ends, one after another, over one connection.
pub struct Scanner {
    log: Arc<dyn Log>,
    reader: Box<dyn Reader>,
    patience: Duration,
}

impl Scanner {
    /// A scanner of a log.
    pub fn new(log: Arc<dyn Log>) -> Result<Self, LogError> {
        let reader = log.reader()?;
        Ok(Self { log, reader, patience: Duration::from_secs(30) })
    }

    /// Shows every committed record from offset `from` (or from the earliest) to the partition's end as it
    /// is now, open transactions included: it waits until those are decided. Gives the end.
    ///
    /// # Errors
    /// The log's, or the closure's.
    pub fn scan<E: From<LogError>>(
        &mut self,
        at: &TopicPartition,
        from: i64,
        show: impl FnMut(&RecordRef<'_>) -> Result<(), E>,
    ) -> Result<i64, E> {
        self.span(at, from, i64::MAX, show)
    }

    /// As [`Scanner::scan`], of the records below offset `to` alone. Gives where it ended.
    ///
    /// # Errors
    /// The log's, or the closure's.
    pub fn span<E: From<LogError>>(
        &mut self,
        at: &TopicPartition,
        from: i64,
        to: i64,
        mut show: impl FnMut(&RecordRef<'_>) -> Result<(), E>,
    ) -> Result<i64, E> {
        let bounds = self.log.bounds(at)?;
        let (from, end) = (from.max(bounds.earliest), to.min(bounds.end));
        if from >= end {
            return Ok(end);
        }
        self.reader.assign(&[(at.clone(), from)])?;
        let mut position = from;
        let mut heard = Instant::now();
        while position < end {
            match self.reader.poll(Duration::from_millis(20))? {
                Polled::Batch(batch) if batch.source() == at => {
                    for record in batch.iter() {
                        position = record.offset;
                        if position >= end {
                            break;
                        }
                        show(&record)?;
                        position = record.offset + 1;
                    }
                    heard = Instant::now();
                }
                Polled::End { at: ended, position: last } if ended == *at => position = position.max(last),
                _ if heard.elapsed() > self.patience => {
                    return Err(LogError::Backend {
                        log: self.log.address().to_owned(),
                        doing: format!("reading {at} from offset {position} to {end}"),
                        why: format!("nothing came for {:?}", self.patience),
                    }
                    .into());
                }
                _ => {}
            }
        }
        self.reader.unassign(std::slice::from_ref(at))?;
        Ok(end)
    }
}
