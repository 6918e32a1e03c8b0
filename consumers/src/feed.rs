//! Reads ranges of input partitions again, in the order in which journals ask for them.
//!
//! One feed may serve several tasks: what every one of them reads is then read and decoded once, and kept
//! until the last has it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tapewatch_eventlog::registry::RegistryError;
use tapewatch_eventlog::{Batch, Log, LogError, Polled, Reader, TopicPartition};
use tapewatch_schemas::{Time, TopicName};

use crate::inspect::{Fetched, Inspector};
use crate::registry;

/// So many records are read ahead, over all partitions together; and at least [`LEAST`] of each.
pub const AHEAD: usize = 20_000;
/// So many of one partition may be read ahead however many partitions there are.
const LEAST: usize = 1_000;
/// Of a partition that several tasks read, at most so many are kept for those that are behind. A task that
/// is further behind has them read again.
pub const KEPT: usize = 20_000;

/// Reads input ranges.
pub struct Feed {
    log: Arc<dyn Log>,
    reader: Box<dyn Reader>,
    inspector: Inspector,
    lanes: BTreeMap<TopicPartition, FeedLane>,
    shared: Vec<TopicName>,
    patience: Duration,
}

#[derive(Default)]
struct FeedLane {
    /// Everything from here to `read_to` is held.
    begin: i64,
    segments: VecDeque<Arc<Fetched>>,
    held: usize,
    /// The furthest that was asked for.
    asked: i64,
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
    /// A schema that a record names could not be found out.
    #[error("{at}: {source}")]
    Registry {
        /// The partition.
        at: TopicPartition,
        /// What the registry said.
        source: RegistryError,
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
    /// A feed from a log, for one task after another.
    pub fn new(log: Arc<dyn Log>, inspector: Inspector) -> Result<Self, LogError> {
        Self::shared(log, inspector, Vec::new())
    }

    /// A feed for several tasks side by side, all of which read these topics. What was taken of them is
    /// kept until [`Feed::release`], at most [`KEPT`] records of a partition.
    pub fn shared(log: Arc<dyn Log>, inspector: Inspector, shared: Vec<TopicName>) -> Result<Self, LogError> {
        let reader = log.reader()?;
        let patience = Duration::from_secs(30);
        Ok(Self { log, reader, inspector, lanes: BTreeMap::new(), shared, patience })
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
                    self.resolve(&batch, deadline)?;
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

    /// Nobody asks for what is before `floor` again.
    pub fn release(&mut self, at: &TopicPartition, floor: i64) {
        if let Some(lane) = self.lanes.get_mut(at) {
            lane.drop_below(floor);
        }
    }

    /// Waits until the registry, if there is one, has said what the batch's schemas are.
    fn resolve(&self, batch: &Batch, deadline: Instant) -> Result<(), FeedError> {
        let Some(registry) = &self.inspector.registry else { return Ok(()) };
        while let Err(source) = registry::resolve(registry, &self.inspector.codec, batch) {
            if !source.passes() || Instant::now() > deadline {
                return Err(FeedError::Registry { at: batch.source().clone(), source });
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Makes sure that the partition is being read from `from`.
    fn aim(&mut self, at: &TopicPartition, from: i64, to: i64) -> Result<(), FeedError> {
        if self.lanes.get(at).is_some_and(|lane| lane.begin <= from) {
            return Ok(());
        }
        let bounds = self.log.bounds(at)?;
        if bounds.earliest > from {
            return Err(FeedError::Gone { at: at.clone(), from, to, earliest: bounds.earliest });
        }
        self.not_short(at, from, to)?;
        let fresh = FeedLane { begin: from, asked: from, read_to: from, ..FeedLane::default() };
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
        let high = (AHEAD / self.lanes.len().max(1)).max(LEAST);
        let Some(lane) = self.lanes.get_mut(&at) else { return Ok(()) };
        let Some(last) = fetched.batch.len().checked_sub(1) else { return Ok(()) };
        lane.read_to = fetched.batch.record(last).offset + 1;
        lane.held += fetched.batch.len();
        lane.segments.push_back(Arc::clone(fetched));
        if lane.ahead() > high && !lane.paused {
            lane.paused = true;
            self.reader.pause(&[at])?;
        }
        Ok(())
    }

    fn take(&mut self, at: &TopicPartition, from: i64, to: i64) -> Vec<Located> {
        let shared = self.shared.contains(&at.topic);
        let mut taken = Vec::new();
        let Some(lane) = self.lanes.get_mut(at) else { return taken };
        lane.asked = lane.asked.max(to);
        let first = lane.segments.partition_point(|fetched| end(fetched) <= from);
        for fetched in lane.segments.range(first..) {
            let (begin, stop) = (place(fetched, from), place(fetched, to));
            taken.extend((begin..stop).map(|index| (Arc::clone(fetched), index)));
            if end(fetched) >= to {
                break;
            }
        }
        if !shared {
            lane.drop_below(to);
        } else if lane.held > KEPT {
            lane.drop_below(from);
        }
        taken
    }
}

impl FeedLane {
    /// Records that are held and were not asked for yet.
    fn ahead(&self) -> usize {
        let old = self.segments.partition_point(|fetched| end(fetched) <= self.asked);
        self.segments.range(old..).map(|fetched| fetched.batch.len()).sum()
    }

    /// Lets go of whole batches before this.
    fn drop_below(&mut self, floor: i64) {
        self.begin = self.begin.max(floor);
        while let Some(fetched) = self.segments.front().filter(|fetched| end(fetched) <= floor) {
            self.held -= fetched.batch.len();
            self.segments.pop_front();
        }
    }
}

/// One past the last offset of a batch, which is not empty.
fn end(fetched: &Fetched) -> i64 {
    fetched.batch.record(fetched.batch.len() - 1).offset + 1
}

/// Index of the first record of a batch at or after an offset.
fn place(fetched: &Fetched, from: i64) -> usize {
    let (mut low, mut high) = (0, fetched.batch.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        if fetched.batch.record(middle).offset < from { low = middle + 1 } else { high = middle }
    }
    low
}
