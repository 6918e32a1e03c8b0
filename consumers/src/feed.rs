//! Reads ranges of input partitions again, in the order in which a journal asks for them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tapewatch_eventlog::{Log, LogError, Polled, Reader, TopicPartition};
use tapewatch_schemas::Time;

use crate::inspect::{Fetched, Inspector};

/// How many records of one partition are held before its reading pauses.
const HIGH: usize = 20_000;

/// Reads input ranges.
pub struct Feed {
    log: Arc<dyn Log>,
    reader: Box<dyn Reader>,
    inspector: Inspector,
    lanes: BTreeMap<TopicPartition, FeedLane>,
    patience: Duration,
}

#[derive(Default)]
struct FeedLane {
    /// Everything from here to `read_to` is held.
    next: i64,
    segments: VecDeque<(Arc<Fetched>, usize)>,
    held: usize,
    read_to: i64,
    paused: bool,
}

/// A record of a range: the batch that holds it, and its index there.
pub type Located = (Arc<Fetched>, usize);

/// Why a range cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FeedError {
    /// The log does not give it.
    #[error(transparent)]
    Log(#[from] LogError),
    /// It is no longer there.
    #[error("{at}: offsets {from} to {to} are gone, the log begins at {earliest}")]
    Gone {
        /// The partition.
        at: TopicPartition,
        /// From this.
        from: i64,
        /// To before this.
        to: i64,
        /// The first that is there.
        earliest: i64,
    },
    /// The log ends before it.
    #[error("{at}: offsets {from} to {to} were journalled, but the log ends at {end}")]
    Short {
        /// The partition.
        at: TopicPartition,
        /// From this.
        from: i64,
        /// To before this.
        to: i64,
        /// One past the last that is there.
        end: i64,
    },
    /// The log stopped answering.
    #[error("{at}: offset {to} was not delivered within {waited:?}")]
    Silent {
        /// The partition.
        at: TopicPartition,
        /// One past the range.
        to: i64,
        /// How long it was waited for.
        waited: Duration,
    },
}

impl Feed {
    /// A feed from a log.
    pub fn new(log: Arc<dyn Log>, inspector: Inspector) -> Result<Self, LogError> {
        let reader = log.reader()?;
        Ok(Self { log, reader, inspector, lanes: BTreeMap::new(), patience: Duration::from_secs(30) })
    }

    /// Every readable record with `from` ≤ offset < `to`, in offset order.
    pub fn range(&mut self, at: &TopicPartition, from: i64, to: i64) -> Result<Vec<Located>, FeedError> {
        if from >= to {
            return Ok(Vec::new());
        }
        self.aim(at, from, to)?;
        let deadline = Instant::now() + self.patience;
        while self.lanes[at].read_to < to {
            self.resume(at)?;
            match self.reader.poll(Duration::from_millis(50))? {
                Polled::Batch(batch) => {
                    let fetched = Arc::new(self.inspector.inspect(batch, Time::MAX));
                    self.hold(&fetched)?;
                }
                Polled::End { at: ended, position } => {
                    if let Some(lane) = self.lanes.get_mut(&ended) {
                        lane.read_to = lane.read_to.max(position);
                    }
                    if ended == *at && position < to {
                        self.not_short(at, from, to)?;
                    }
                }
                _ if Instant::now() > deadline => {
                    return Err(FeedError::Silent { at: at.clone(), to, waited: self.patience });
                }
                _ => {}
            }
        }
        Ok(self.take(at, from, to))
    }

    /// Makes sure that the partition is being read from `from`.
    fn aim(&mut self, at: &TopicPartition, from: i64, to: i64) -> Result<(), FeedError> {
        if self.lanes.get(at).is_some_and(|lane| lane.next <= from) {
            return Ok(());
        }
        let bounds = self.log.bounds(at)?;
        if bounds.earliest > from {
            return Err(FeedError::Gone { at: at.clone(), from, to, earliest: bounds.earliest });
        }
        self.not_short(at, from, to)?;
        let fresh = FeedLane { next: from, read_to: from, ..FeedLane::default() };
        let before = self.lanes.insert(at.clone(), fresh);
        self.reader.assign(&[(at.clone(), from)])?;
        if before.is_some_and(|lane| lane.paused) {
            self.reader.resume(std::slice::from_ref(at))?;
        }
        Ok(())
    }

    fn not_short(&self, at: &TopicPartition, from: i64, to: i64) -> Result<(), FeedError> {
        let end = self.log.bounds(at)?.end;
        if end < to { Err(FeedError::Short { at: at.clone(), from, to, end }) } else { Ok(()) }
    }

    fn resume(&mut self, at: &TopicPartition) -> Result<(), FeedError> {
        if let Some(lane) = self.lanes.get_mut(at).filter(|lane| lane.paused) {
            lane.paused = false;
            self.reader.resume(std::slice::from_ref(at))?;
        }
        Ok(())
    }

    fn hold(&mut self, fetched: &Arc<Fetched>) -> Result<(), FeedError> {
        let at = fetched.batch.source().clone();
        let Some(lane) = self.lanes.get_mut(&at) else { return Ok(()) };
        let Some(last) = fetched.batch.len().checked_sub(1) else { return Ok(()) };
        lane.read_to = fetched.batch.record(last).offset + 1;
        lane.held += fetched.batch.len();
        lane.segments.push_back((Arc::clone(fetched), 0));
        if lane.held > HIGH && !lane.paused {
            lane.paused = true;
            self.reader.pause(&[at])?;
        }
        Ok(())
    }

    fn take(&mut self, at: &TopicPartition, from: i64, to: i64) -> Vec<Located> {
        let mut taken = Vec::new();
        let Some(lane) = self.lanes.get_mut(at) else { return taken };
        lane.next = to;
        while let Some((fetched, index)) = lane.segments.front_mut() {
            let offset = fetched.batch.record(*index).offset;
            if offset >= to {
                break;
            }
            if offset >= from {
                taken.push((Arc::clone(fetched), *index));
            }
            *index += 1;
            lane.held -= 1;
            if *index == fetched.batch.len() {
                lane.segments.pop_front();
            }
        }
        taken
    }
}
