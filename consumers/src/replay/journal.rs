//! A journal read one record at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tapewatch_eventlog::{Batch, Log, LogError, Polled, Reader, TopicPartition};
use tapewatch_schemas::journal::{JournalError, JournalRecord};

/// A journal's partition, read from somewhere to its end as it was when last asked.
pub(super) struct Journal {
    log: Arc<dyn Log>,
    reader: Box<dyn Reader>,
    pub(super) at: TopicPartition,
    /// The first offset that is there.
    pub(super) earliest: i64,
    position: i64,
    end: i64,
    batch: Option<(Arc<Batch>, usize)>,
}

/// A record with its offset.
pub(super) type Entry = (i64, Result<JournalRecord, JournalError>);

impl Journal {
    /// Opens it. It begins at `from`, or at the first offset that is there.
    pub(super) fn open(log: &Arc<dyn Log>, at: TopicPartition, from: i64) -> Result<Self, LogError> {
        let mut reader = log.reader()?;
        let bounds = log.bounds(&at)?;
        let position = from.max(bounds.earliest);
        reader.assign(&[(at.clone(), position.min(bounds.end))])?;
        let (earliest, end) = (bounds.earliest, bounds.end);
        Ok(Self { log: Arc::clone(log), reader, at, earliest, position, end, batch: None })
    }

    /// Looks where it ends now. True if there is more than there was.
    pub(super) fn refresh(&mut self) -> Result<bool, LogError> {
        let end = self.log.bounds(&self.at)?.end;
        Ok(std::mem::replace(&mut self.end, end) < end)
    }

    /// How many offsets there are, and how many were read.
    pub(super) fn progress(&self) -> (u64, u64) {
        let span = |to: i64| u64::try_from(to - self.earliest).unwrap_or(0);
        (span(self.position), span(self.end))
    }

    /// The next record; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, LogError> {
        let heard = Instant::now();
        loop {
            if let Some((batch, index)) = self.batch.as_mut()
                && *index < batch.len()
            {
                let record = batch.record(*index);
                *index += 1;
                self.position = record.offset + 1;
                return Ok(Some((record.offset, JournalRecord::open(record.value.unwrap_or_default()))));
            }
            if self.position >= self.end {
                return Ok(None);
            }
            match self.reader.poll(Duration::from_millis(20))? {
                Polled::Batch(batch) => self.batch = Some((batch, 0)),
                Polled::End { position, .. } => self.position = self.position.max(position),
                _ if heard.elapsed() > Duration::from_secs(30) => {
                    return Err(LogError::Backend {
                        log: self.log.address().to_owned(),
                        doing: format!("reading {} from offset {}", self.at, self.position),
                        why: "nothing came for 30 s".into(),
                    });
                }
                _ => {}
            }
        }
    }
}
