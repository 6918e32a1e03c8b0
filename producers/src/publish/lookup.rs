//! Asking a log whether a record is on it.

use std::time::{Duration, Instant};

use tapewatch_eventlog::{Log, LogError, Polled, RecordRef, TopicPartition};

/// How long a partition is read without anything coming.
const LOOK: Duration = Duration::from_secs(30);

/// True if a committed record at or after the offset `from` is the one. Nothing that could still write it may be
/// open: what is not there now must not come.
pub(crate) fn is_there(
    log: &dyn Log,
    at: &TopicPartition,
    from: i64,
    is_it: impl Fn(&RecordRef<'_>) -> bool,
) -> Result<bool, LogError> {
    let bounds = log.bounds(at)?;
    let from = from.max(bounds.earliest);
    let mut reader = log.reader()?;
    reader.assign(&[(at.clone(), from)])?;
    let (mut read, mut until) = (from, Instant::now() + LOOK);
    while read < bounds.end {
        match reader.poll(Duration::from_millis(100))? {
            Polled::Batch(batch) => {
                if batch.iter().any(|found| is_it(&found)) {
                    return Ok(true);
                }
                read = batch.iter().last().map_or(read, |found| found.offset + 1);
                until = Instant::now() + LOOK;
            }
            Polled::End { position, .. } => read = read.max(position),
            Polled::Idle | Polled::Assigned(_) | Polled::Revoked(_) | Polled::Lost(_) => {
                if Instant::now() > until {
                    return Err(LogError::Backend {
                        log: log.address().to_owned(),
                        doing: format!("reading {at} from {from} to {}", bounds.end),
                        why: format!("nothing came after offset {read} for {LOOK:?}"),
                    });
                }
            }
        }
    }
    Ok(false)
}
