//! Partitions that are read one record at a time, over one reader.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tapewatch_eventlog::{Batch, Log, LogError, Polled, Reader, RecordRef, TopicPartition};

/// So many batches of one partition are held before its reading pauses.
const HIGH: usize = 2;

/// Partitions, from somewhere to their ends as they were when last asked.
pub(super) struct Rows {
    log: Arc<dyn Log>,
    reader: Box<dyn Reader>,
    lanes: BTreeMap<TopicPartition, Lane>,
}

struct Lane {
    earliest: i64,
    begun: i64,
    position: i64,
    /// The reader has said that there is nothing between what was delivered and this.
    read_to: i64,
    end: i64,
    batches: VecDeque<(Arc<Batch>, usize)>,
    paused: bool,
}

/// One record, in the batch that holds it.
pub(super) struct Row {
    batch: Arc<Batch>,
    index: usize,
}

impl Row {
    /// The record.
    pub(super) fn record(&self) -> RecordRef<'_> {
        self.batch.record(self.index)
    }
}

impl Rows {
    /// None opened yet.
    pub(super) fn new(log: &Arc<dyn Log>) -> Result<Self, LogError> {
        Ok(Self { log: Arc::clone(log), reader: log.reader()?, lanes: BTreeMap::new() })
    }

    /// Opens a partition, or opens it anew. It begins at `from`, or at the first offset that is there.
    pub(super) fn open(&mut self, at: &TopicPartition, from: i64) -> Result<(), LogError> {
        let bounds = self.log.bounds(at)?;
        let position = from.max(bounds.earliest).min(bounds.end);
        self.reader.assign(&[(at.clone(), position)])?;
        self.reader.resume(std::slice::from_ref(at))?;
        let (earliest, end, begun) = (bounds.earliest, bounds.end, position);
        let read_to = position;
        let fresh = Lane { earliest, begun, position, read_to, end, batches: VecDeque::new(), paused: false };
        self.lanes.insert(at.clone(), fresh);
        Ok(())
    }

    fn lane(&self, at: &TopicPartition) -> &Lane {
        self.lanes.get(at).expect("a partition is opened before it is read")
    }

    /// The first offset of a partition that is there.
    pub(super) fn earliest(&self, at: &TopicPartition) -> i64 {
        self.lane(at).earliest
    }

    /// Looks where a partition ends now. True if there is more than there was.
    pub(super) fn refresh(&mut self, at: &TopicPartition) -> Result<bool, LogError> {
        let end = self.log.bounds(at)?.end;
        let lane = self.lanes.get_mut(at).expect("a partition is opened before it is read");
        Ok(std::mem::replace(&mut lane.end, end) < end)
    }

    /// How many offsets were read, and how many there are, of all partitions.
    pub(super) fn progress(&self) -> (u64, u64) {
        let span = |from: i64, to: i64| u64::try_from(to - from).unwrap_or(0);
        let done = self.lanes.values().map(|lane| span(lane.begun, lane.position)).sum();
        (done, self.lanes.values().map(|lane| span(lane.begun, lane.end)).sum())
    }

    /// The next record of a partition, and moves past it; none at the end.
    pub(super) fn next(&mut self, at: &TopicPartition) -> Result<Option<Row>, LogError> {
        let heard = Instant::now();
        loop {
            let lane = self.lanes.get_mut(at).expect("a partition is opened before it is read");
            if let Some((batch, index)) = lane.batches.front_mut() {
                let row = Row { batch: Arc::clone(batch), index: *index };
                lane.position = row.record().offset + 1;
                *index += 1;
                if *index == batch.len() {
                    lane.batches.pop_front();
                }
                return Ok(Some(row));
            }
            // Markers of transactions stand behind the last record.
            lane.position = lane.position.max(lane.read_to);
            if lane.position >= lane.end {
                return Ok(None);
            }
            if std::mem::take(&mut lane.paused) {
                self.reader.resume(std::slice::from_ref(at))?;
            }
            match self.reader.poll(Duration::from_millis(20))? {
                Polled::Batch(batch) => self.hold(batch)?,
                Polled::End { at, position } => {
                    if let Some(lane) = self.lanes.get_mut(&at) {
                        lane.read_to = lane.read_to.max(position);
                    }
                }
                _ if heard.elapsed() > Duration::from_secs(30) => {
                    return Err(LogError::Backend {
                        log: self.log.address().to_owned(),
                        doing: format!("reading {at} from offset {}", self.lane(at).position),
                        why: "nothing came for 30 s".into(),
                    });
                }
                _ => {}
            }
        }
    }

    fn hold(&mut self, batch: Arc<Batch>) -> Result<(), LogError> {
        let at = batch.source().clone();
        let Some(lane) = self.lanes.get_mut(&at) else { return Ok(()) };
        if batch.is_empty() {
            return Ok(());
        }
        lane.batches.push_back((batch, 0));
        if lane.batches.len() >= HIGH && !lane.paused {
            lane.paused = true;
            self.reader.pause(&[at])?;
        }
        Ok(())
    }
}
