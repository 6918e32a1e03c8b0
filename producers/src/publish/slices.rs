//! Slices of a tape, each in one transaction.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tapewatch_eventlog::{
    CommitError, Committed, Log, LogError, OutRecord, Polled, RecordRef, Round, TopicPartition, Writer,
};
use tapewatch_schemas::catalogue::{HEARTBEATS, MARKET_DATA};
use tapewatch_schemas::partition::Partitioner;
use tapewatch_schemas::{Codec, EncodeError, TopicName};

use crate::options::{Layout, TRADING};
use crate::slice::Slice;

/// The transactional id of the player: a second player on the same log fences the first, whose sequence
/// numbers it would repeat.
pub const PLAYER_ID: &str = "tapewatch.play";

/// How often a slice that was definitely not written is sent again.
const TRIES: usize = 5;
/// How long a partition is read for a slice whose outcome is unknown.
const LOOK: Duration = Duration::from_secs(30);

/// Writes slices, each whole or not at all.
pub struct SliceWriter {
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    writer: Box<dyn Writer>,
    /// The next offset in each partition, as far as this writer knows: where to look for a slice whose
    /// outcome is unknown.
    next: BTreeMap<TopicPartition, i64>,
}

/// Why a slice was not written.
#[derive(Debug, thiserror::Error)]
pub enum SliceError {
    /// An event does not fit its schema.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The log cannot be read or opened.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The transaction failed for good; nothing of the slice was written.
    #[error("a slice of {records} records was not written: {source}")]
    Commit {
        /// How many records it had.
        records: usize,
        /// The last failure.
        source: CommitError,
    },
}

impl Layout {
    /// How the topics of a log are cut.
    ///
    /// # Errors
    /// [`LogError::NoTopic`] if one that is played to is not there; [`LogError::Backend`] if the topics
    /// that are cut by portfolio differ in their partitions.
    pub fn of(log: &dyn Log, partitioner: Partitioner) -> Result<Self, LogError> {
        let topics: BTreeMap<TopicName, u32> =
            log.topics()?.into_iter().map(|topic| (topic.name, topic.partitions as u32)).collect();
        let count = |name: &str| {
            topics
                .get(name)
                .copied()
                .ok_or_else(|| LogError::NoTopic { topic: name.to_owned(), log: log.address().to_owned() })
        };
        let partitions = count(TRADING[0])?;
        for name in TRADING {
            let other = count(name)?;
            if other != partitions {
                return Err(LogError::Backend {
                    log: log.address().to_owned(),
                    doing: "reading the topics".to_owned(),
                    why: format!(
                        "{name} has {other} partitions and {} has {partitions}: they must be equal",
                        TRADING[0]
                    ),
                });
            }
        }
        Ok(Self {
            partitions,
            market_partitions: count(MARKET_DATA)?,
            heartbeat_partitions: count(HEARTBEATS)?,
            partitioner,
        })
    }
}

impl SliceWriter {
    /// A writer to a log. Fences an earlier player.
    pub fn open(log: &Arc<dyn Log>, codec: Arc<Codec>) -> Result<Self, SliceError> {
        let writer = log.writer(PLAYER_ID)?;
        Ok(Self { log: Arc::clone(log), codec, writer, next: BTreeMap::new() })
    }

    /// Writes a slice in one transaction; an empty one writes nothing. It is durable when this returns.
    ///
    /// A transaction that was definitely aborted is sent again, the same bytes; of one whose outcome is
    /// unknown the log is asked first.
    pub fn write(&mut self, slice: Slice) -> Result<Committed, SliceError> {
        let round = slice.into_round(&self.codec)?;
        let Some(first) = round.records.first() else { return Ok(Committed::default()) };
        let from = self.position(&first.target)?;
        let records = round.records.len();
        let mut last = None;
        for _ in 0..TRIES {
            match self.writer.commit(&round, None) {
                Ok(committed) => {
                    self.remember(&round, &committed);
                    return Ok(committed);
                }
                Err(CommitError::Aborted(why)) => last = Some(CommitError::Aborted(why)),
                Err(CommitError::Unknown(why)) => {
                    self.settle().map_err(|source| SliceError::Commit { records, source })?;
                    if self.found(first, from)? {
                        self.next.clear();
                        return Ok(Committed::default());
                    }
                    last = Some(CommitError::Unknown(why));
                }
                Err(source) => return Err(SliceError::Commit { records, source }),
            }
        }
        let source = last.expect("every try but a success leaves its failure");
        Err(SliceError::Commit { records, source })
    }

    /// After an unknown outcome: makes sure that nothing of the transaction can still be written.
    fn settle(&mut self) -> Result<(), CommitError> {
        for _ in 1..TRIES {
            match self.writer.recover() {
                Err(CommitError::Unknown(_) | CommitError::Aborted(_)) => {}
                settled => return settled,
            }
        }
        self.writer.recover()
    }

    /// Where the partition's next record will be, or a place before it.
    fn position(&mut self, at: &TopicPartition) -> Result<i64, LogError> {
        if let Some(next) = self.next.get(at) {
            return Ok(*next);
        }
        Ok(self.log.bounds(at)?.end)
    }

    fn remember(&mut self, round: &Round, committed: &Committed) {
        for (record, offset) in round.records.iter().zip(&committed.offsets) {
            self.next.insert(record.target.clone(), offset + 1);
        }
    }

    /// True if the record stands at or after the offset. The transaction was settled, so what is not there
    /// now will not come.
    fn found(&self, record: &OutRecord, from: i64) -> Result<bool, LogError> {
        for _ in 1..TRIES {
            if let Ok(found) = self.look(record, from) {
                return Ok(found);
            }
        }
        self.look(record, from)
    }

    fn look(&self, record: &OutRecord, from: i64) -> Result<bool, LogError> {
        let end = self.log.bounds(&record.target)?.end;
        let mut reader = self.log.reader()?;
        reader.assign(&[(record.target.clone(), from)])?;
        let (mut read, until) = (from, Instant::now() + LOOK);
        while read < end {
            match reader.poll(Duration::from_millis(100))? {
                Polled::Batch(batch) => {
                    if batch.iter().any(|found| is_same(&found, record)) {
                        return Ok(true);
                    }
                    read = batch.iter().last().map_or(read, |found| found.offset + 1);
                }
                Polled::End { position, .. } => read = read.max(position),
                Polled::Idle | Polled::Assigned(_) | Polled::Revoked(_) | Polled::Lost(_) => {
                    if Instant::now() > until {
                        return Err(LogError::Backend {
                            log: self.log.address().to_owned(),
                            doing: format!("reading {} from {from} to {end}", record.target),
                            why: format!("nothing came after offset {read} for {LOOK:?}"),
                        });
                    }
                }
            }
        }
        Ok(false)
    }
}

fn is_same(found: &RecordRef<'_>, record: &OutRecord) -> bool {
    found.key == record.key.as_deref() && found.value == record.value.as_deref()
}

impl std::fmt::Debug for SliceWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SliceWriter").field("log", &self.log.address()).finish_non_exhaustive()
    }
}
