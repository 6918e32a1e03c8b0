//! `replay --into`: a log built anew from another, offset for offset.
//!
//! What is copied was verified before: each output was computed again from the journal and compared with the
//! bytes that are copied here, and no record stands there that no journal accounts for. Journals name the
//! offsets of inputs and outputs, and chain over them: so every record keeps its offset, and where the source
//! has none (a transaction's marker, an aborted record) the copy has none either.
//!
//! Snapshots are left out: they are a cache of the journal. So are the positions of groups, which mirror it.

use std::sync::Arc;

use bytes::Bytes;
use tapewatch_eventlog::sqlite::SqliteLog;
use tapewatch_eventlog::{
    CommitError, Log, LogError, OutRecord, RecordRef, Round, TopicPartition, TopicSpec, Writer,
};
use tapewatch_schemas::Time;
use tapewatch_schemas::catalogue::{WORKERS, state_topic};

use crate::scan::Scanner;

/// So many bytes are written in one transaction, or a record more.
const ROUND_BYTES: usize = 1 << 20;

/// Why a log was not rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// A log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A transaction was not acknowledged.
    #[error("{at}: {why}")]
    Commit {
        /// The partition that was being written.
        at: TopicPartition,
        /// Why.
        why: CommitError,
    },
    /// There is something at the other address already.
    #[error("{log}: {at} has records already, and a rebuilt log begins empty: name another file")]
    NotEmpty {
        /// The log.
        log: String,
        /// The partition.
        at: TopicPartition,
    },
    /// Someone wrote meanwhile.
    #[error(
        "{at} of {log} went on from offset {from} to {to} while it was read: stop its workers, delete what was rebuilt, and begin again"
    )]
    Written {
        /// The log that was read.
        log: String,
        /// The partition.
        at: TopicPartition,
        /// Where it ended.
        from: i64,
        /// Where it ends now.
        to: i64,
    },
    /// Someone else writes to the other log.
    #[error("{at} offset {expected}: the record got offset {found}: someone else writes to the rebuilt log")]
    Moved {
        /// The partition.
        at: TopicPartition,
        /// The offset in the source.
        expected: i64,
        /// The offset that it got.
        found: i64,
    },
}

/// What is to be copied: every partition with its end, as it was before anything was verified.
pub struct Extent(Vec<(TopicPartition, i64)>);

/// Told how many offsets of how many are done.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

impl Extent {
    /// All topics of a log but snapshots, up to their ends as they are now.
    ///
    /// # Errors
    /// The log's.
    pub fn of(log: &Arc<dyn Log>) -> Result<Self, LogError> {
        let mut ends = Vec::new();
        for topic in log.topics()?.into_iter().filter(|topic| !is_state(topic.name.as_str())) {
            for number in 0..topic.partitions {
                let at = TopicPartition::new(topic.name.clone(), number);
                let end = log.bounds(&at)?.end;
                ends.push((at, end));
            }
        }
        Ok(Self(ends))
    }
}

fn is_state(topic: &str) -> bool {
    WORKERS.iter().any(|worker| state_topic(worker.name).as_str() == topic)
}

/// True for what workers write: it must not grow meanwhile. Users may go on writing inputs.
fn is_derived(topic: &str) -> bool {
    let input =
        |name: &str| tapewatch_schemas::catalogue::topic(name).is_some_and(|t| t.written_by == "user");
    !input(topic) && topic != tapewatch_schemas::catalogue::HEARTBEATS
}

/// Copies what was verified. `specs` says how topics are kept; one that it does not name is kept for ever.
/// Gives how many records were copied.
///
/// # Errors
/// [`RebuildError`]; what was copied so far is in the target then.
pub fn rebuild(
    source: &Arc<dyn Log>,
    target: &SqliteLog,
    extent: &Extent,
    specs: &[TopicSpec],
    progress: Progress<'_>,
) -> Result<u64, RebuildError> {
    create(source, target, specs)?;
    let total = extent.0.iter().map(|(_, end)| *end as u64).sum();
    let mut copy = Copy { target, writer: target.writer("rebuild")?, records: 0, done: 0, total };
    let mut scanner = Scanner::new(Arc::clone(source))?;
    for (at, end) in &extent.0 {
        copy.partition(&mut scanner, at, *end, progress)?;
    }
    for (at, end) in extent.0.iter().filter(|(at, _)| is_derived(at.topic.as_str())) {
        let now = source.bounds(at)?.end;
        if now != *end {
            let (log, at) = (source.address().to_owned(), at.clone());
            return Err(RebuildError::Written { log, at, from: *end, to: now });
        }
    }
    Ok(copy.records)
}

/// Makes the source's topics, all of which must be empty.
fn create(source: &Arc<dyn Log>, target: &SqliteLog, specs: &[TopicSpec]) -> Result<(), RebuildError> {
    let topics: Vec<TopicSpec> = source
        .topics()?
        .into_iter()
        .map(|topic| {
            let (name, partitions) = (topic.name, topic.partitions);
            match specs.iter().find(|spec| spec.name == name) {
                Some(spec) => TopicSpec { partitions, ..spec.clone() },
                None => TopicSpec { name, partitions, replication: 1, retention: None, compacted: false },
            }
        })
        .collect();
    check_empty(target)?;
    Ok(target.create(&topics)?)
}

/// A rebuilt log begins empty.
///
/// # Errors
/// [`RebuildError::NotEmpty`] if a record was ever written to it, or the log's.
pub fn check_empty(target: &SqliteLog) -> Result<(), RebuildError> {
    for topic in target.topics()? {
        for number in 0..topic.partitions {
            let at = TopicPartition::new(topic.name.clone(), number);
            if target.bounds(&at)?.end > 0 {
                return Err(RebuildError::NotEmpty { log: target.address().to_owned(), at });
            }
        }
    }
    Ok(())
}

/// A copy under way.
struct Copy<'a> {
    target: &'a SqliteLog,
    writer: Box<dyn Writer>,
    records: u64,
    done: u64,
    total: u64,
}

/// Records of one partition that are to be written together.
#[derive(Default)]
struct Part {
    round: Round,
    /// The offset of the first.
    first: i64,
    bytes: usize,
}

impl Copy<'_> {
    fn partition(
        &mut self,
        scanner: &mut Scanner,
        at: &TopicPartition,
        end: i64,
        progress: Progress<'_>,
    ) -> Result<(), RebuildError> {
        let mut part = Part::default();
        scanner.scan::<RebuildError>(at, 0, |record| {
            if record.offset >= end {
                return Ok(());
            }
            let next = part.first + part.round.records.len() as i64;
            if record.offset != next || part.bytes >= ROUND_BYTES {
                self.write(at, &mut part, progress)?;
                self.gap(at, record.offset)?;
                part.first = record.offset;
            }
            part.bytes += record.value.map_or(0, <[u8]>::len) + record.headers.encoded().len();
            part.round.records.push(copied(record));
            Ok(())
        })?;
        self.write(at, &mut part, progress)?;
        self.gap(at, end)?;
        Ok(())
    }

    fn write(
        &mut self,
        at: &TopicPartition,
        part: &mut Part,
        progress: Progress<'_>,
    ) -> Result<(), RebuildError> {
        let Part { round, first, .. } = std::mem::take(part);
        if round.records.is_empty() {
            return Ok(());
        }
        let committed =
            self.writer.commit(&round, None).map_err(|why| RebuildError::Commit { at: at.clone(), why })?;
        for (expected, found) in (first..).zip(committed.offsets) {
            if expected != found {
                return Err(RebuildError::Moved { at: at.clone(), expected, found });
            }
        }
        self.records += round.records.len() as u64;
        self.done += round.records.len() as u64;
        progress(self.done, self.total);
        Ok(())
    }

    /// No record stands before `to` that is not there yet.
    fn gap(&mut self, at: &TopicPartition, to: i64) -> Result<(), LogError> {
        let next = self.target.bounds(at)?.end;
        if next < to {
            self.target.leave_gap(at, to)?;
            self.done += (to - next) as u64;
        }
        Ok(())
    }
}

/// The record as it was published: its time, too.
fn copied(record: &RecordRef<'_>) -> OutRecord {
    let bytes = |part: Option<&[u8]>| part.map(Bytes::copy_from_slice);
    let header = |(name, value): (&str, &[u8])| (name.to_owned(), Bytes::copy_from_slice(value));
    let published: Time = record.timestamp;
    OutRecord {
        target: TopicPartition::new(record.topic.clone(), record.partition),
        timestamp: Some(published),
        key: bytes(record.key),
        value: bytes(record.value),
        headers: record.headers.iter().map(header).collect(),
    }
}
