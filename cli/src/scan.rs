//! Reading partitions of the log, outside any group.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use tapewatch_eventlog::{Log, Polled, RecordRef, TopicPartition};

use crate::CliError;
use crate::interrupt::Interrupt;

/// How long one poll waits: as long as Ctrl-C may go unheard.
const POLL: Duration = Duration::from_millis(100);

/// After so many polls without anything the rest of a partition is an open transaction, or markers.
const SILENT_POLLS: u32 = 30;

/// Where a partition is read from, and up to which offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The partition.
    pub(crate) at: TopicPartition,
    /// The first offset wanted.
    pub(crate) from: i64,
    /// One past the last.
    pub(crate) to: i64,
}

/// Shows every committed record of the spans to `each`, in order per partition, until it breaks off or all is
/// read. True if it was all read.
pub(crate) fn read(
    log: &dyn Log,
    spans: &[Span],
    interrupt: &Interrupt,
    mut each: impl FnMut(&RecordRef<'_>) -> Result<ControlFlow<()>, CliError>,
) -> Result<bool, CliError> {
    let mut open: BTreeMap<TopicPartition, i64> =
        spans.iter().filter(|span| span.from < span.to).map(|span| (span.at.clone(), span.to)).collect();
    let starts: Vec<_> = spans
        .iter()
        .filter(|span| open.contains_key(&span.at))
        .map(|span| (span.at.clone(), span.from))
        .collect();
    let mut reader = log.reader()?;
    reader.assign(&starts)?;
    let mut silent = 0;
    while !open.is_empty() && silent < SILENT_POLLS {
        if interrupt.asked() {
            return Ok(false);
        }
        silent += 1;
        match reader.poll(POLL)? {
            Polled::Batch(batch) => {
                silent = 0;
                let Some(to) = open.get(batch.source()).copied() else { continue };
                for record in batch.iter().take_while(|record| record.offset < to) {
                    if each(&record)?.is_break() {
                        return Ok(false);
                    }
                }
                if batch.iter().last().is_some_and(|record| record.offset + 1 >= to) {
                    reader.unassign(std::slice::from_ref(batch.source()))?;
                    open.remove(batch.source());
                }
            }
            Polled::End { at, .. } => {
                open.remove(&at);
            }
            Polled::Assigned(_) | Polled::Revoked(_) | Polled::Lost(_) | Polled::Idle => {}
        }
    }
    Ok(true)
}

/// Shows every record from the starts on to `each`, as it comes, until Ctrl-C or until `each` breaks off.
/// `quiet` is called whenever nothing came for a moment.
pub(crate) fn follow(
    log: &dyn Log,
    starts: &[(TopicPartition, i64)],
    interrupt: &Interrupt,
    mut each: impl FnMut(&RecordRef<'_>) -> Result<ControlFlow<()>, CliError>,
    mut quiet: impl FnMut() -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut reader = log.reader()?;
    reader.assign(starts)?;
    while !interrupt.asked() {
        match reader.poll(POLL)? {
            Polled::Batch(batch) => {
                for record in batch.iter() {
                    if each(&record)?.is_break() {
                        return Ok(());
                    }
                }
            }
            _ => quiet()?,
        }
    }
    Ok(())
}

/// The whole of a topic's partitions, as it is now.
pub(crate) fn whole(log: &dyn Log, topic: &str, partitions: i32) -> Result<Vec<Span>, CliError> {
    (0..partitions)
        .map(|partition| {
            let at = TopicPartition::new(topic, partition);
            let bounds = log.bounds(&at)?;
            Ok(Span { at, from: bounds.earliest, to: bounds.end })
        })
        .collect()
}
