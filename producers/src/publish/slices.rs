//! Slices of a tape, each in one transaction.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tapewatch_eventlog::{
    CommitError, Committed, Log, LogError, OutRecord, RecordRef, Round, TopicPartition, Writer,
};
use tapewatch_schemas::catalogue::{HEARTBEATS, MARKET_DATA};
use tapewatch_schemas::partition::Partitioner;
use tapewatch_schemas::{Codec, EncodeError, TopicName};

use super::lookup::is_there;
use crate::options::{Layout, TRADING};
use crate::slice::Slice;
use crate::spool::{Courier, SpoolError};

/// The transactional id of the player: a second player on the same log fences the first, whose sequence
/// numbers it would repeat.
pub const PLAYER_ID: &str = "tapewatch.play";

/// How often a slice that was definitely not written is sent again.
const TRIES: usize = 5;

/// Writes slices, each whole or not at all.
pub struct SliceWriter {
    codec: Arc<Codec>,
    way: Way,
}

enum Way {
    Log(Box<Slices>),
    Courier(Courier),
}

/// The way straight to a log.
struct Slices {
    log: Arc<dyn Log>,
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
    /// Neither the log nor the spool took the slice.
    #[error(transparent)]
    Spool(#[from] SpoolError),
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
        let slices = Slices { log: Arc::clone(log), writer, next: BTreeMap::new() };
        Ok(Self { codec, way: Way::Log(Box::new(slices)) })
    }

    /// A writer whose slices go through a spool while the log is away.
    pub fn through(courier: Courier, codec: Arc<Codec>) -> Self {
        Self { codec, way: Way::Courier(courier) }
    }

    /// The courier; none without a spool.
    pub fn courier(&self) -> Option<&Courier> {
        match &self.way {
            Way::Log(_) => None,
            Way::Courier(courier) => Some(courier),
        }
    }

    /// Writes a slice in one transaction; an empty one writes nothing. It is durable when this returns: on the log,
    /// or, if a courier has it, perhaps still in the spool.
    ///
    /// A transaction that was definitely aborted is sent again, the same bytes; of one whose outcome is
    /// unknown the log is asked first.
    pub fn write(&mut self, slice: Slice) -> Result<(), SliceError> {
        let mut round = slice.into_round(&self.codec)?;
        match &mut self.way {
            Way::Log(slices) => slices.write(&round),
            Way::Courier(courier) => Ok(courier.write(&mut round, Duration::MAX).map(drop)?),
        }
    }
}

impl Slices {
    fn write(&mut self, round: &Round) -> Result<(), SliceError> {
        let Some(first) = round.records.first() else { return Ok(()) };
        let from = self.position(&first.target)?;
        let records = round.records.len();
        let mut last = None;
        for _ in 0..TRIES {
            match self.writer.commit(round, None) {
                Ok(committed) => {
                    self.remember(round, &committed);
                    return Ok(());
                }
                Err(CommitError::Aborted(why)) => last = Some(CommitError::Aborted(why)),
                Err(CommitError::Unknown(why)) => {
                    self.settle().map_err(|source| SliceError::Commit { records, source })?;
                    if self.found(first, from)? {
                        self.next.clear();
                        return Ok(());
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
        is_there(self.log.as_ref(), &record.target, from, |found| is_same(found, record))
    }
}

fn is_same(found: &RecordRef<'_>, record: &OutRecord) -> bool {
    found.key == record.key.as_deref() && found.value == record.value.as_deref()
}

impl std::fmt::Debug for SliceWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("SliceWriter");
        match &self.way {
            Way::Log(slices) => shown.field("log", &slices.log.address()),
            Way::Courier(courier) => shown.field("courier", courier),
        };
        shown.finish_non_exhaustive()
    }
}
