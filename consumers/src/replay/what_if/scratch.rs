//! Outputs under another configuration, on their way from one worker to the next: in a log of their own.

use std::sync::Arc;

use bytes::Bytes;
use tapewatch_eventlog::{
    CommitError, Log, LogError, OutRecord, RecordRef, Round, TopicPartition, TopicSpec, Writer,
};
use tapewatch_schemas::codec::{Codec, DecodeError};
use tapewatch_schemas::{Event, Time, TopicName, WorkerName};

use crate::replay::rows::{Row, Rows};

/// Says where an output stands in the recorded run.
const PLACE: &str = "tapewatch.what_if";
/// So many are written together.
const ROUND: usize = 5_000;

/// Where an output stands in the recorded run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The recorded step that made it, or before which it was made.
    pub(super) step: i64,
    /// True if an output of that step was recorded in its partition: it takes that one's place.
    pub(super) recorded: bool,
    /// When the round that holds the step was published.
    pub(super) published: Time,
}

/// A task of a worker whose outputs are there: its place among the tasks of all of them.
pub(super) type Lead = i32;

/// Writes them. Each task's outputs of a partition have a partition of their own.
pub(super) struct Scratch {
    log: Arc<dyn Log>,
    writer: Box<dyn Writer>,
    /// The workers that write here, and how many tasks each has.
    writers: Vec<(WorkerName, i32)>,
    round: Round,
}

impl Scratch {
    /// Makes the topics, with so many partitions, for workers with so many tasks.
    pub(super) fn create(
        log: &Arc<dyn Log>,
        topics: &[(TopicName, i32)],
        writers: Vec<(WorkerName, i32)>,
    ) -> Result<Self, LogError> {
        let tasks: i32 = writers.iter().map(|(_, tasks)| tasks).sum();
        let spec = |(name, partitions): &(TopicName, i32)| TopicSpec {
            name: name.clone(),
            partitions: partitions * tasks,
            replication: 1,
            retention: None,
            compacted: false,
        };
        log.create(&topics.iter().map(spec).collect::<Vec<_>>())?;
        let writer = log.writer("what-if")?;
        Ok(Self { log: Arc::clone(log), writer, writers, round: Round::default() })
    }

    /// The workers that write here, and how many tasks each has.
    pub(super) fn writers(&self) -> &[(WorkerName, i32)] {
        &self.writers
    }

    /// A worker's task, if it is one that writes here.
    pub(super) fn lead(&self, worker: &str, task: i32) -> Option<Lead> {
        let at = self.writers.iter().position(|(name, _)| name.as_str() == worker)?;
        let before: i32 = self.writers[..at].iter().map(|(_, tasks)| tasks).sum();
        (0..self.writers[at].1).contains(&task).then_some(before + task)
    }

    fn tasks(&self) -> i32 {
        self.writers.iter().map(|(_, tasks)| tasks).sum()
    }

    /// Adds an output of a task.
    pub(super) fn push(&mut self, task: Lead, mut output: OutRecord, place: Place) -> Result<(), LogError> {
        let Place { step, recorded, published } = place;
        let text = format!("{step}/{}/{}", i32::from(recorded), published.micros());
        output.headers.push((PLACE.to_owned(), Bytes::from(text)));
        output.target.partition = output.target.partition * self.tasks() + task;
        self.round.records.push(output);
        if self.round.records.len() >= ROUND { self.flush() } else { Ok(()) }
    }

    /// Writes what is left.
    pub(super) fn flush(&mut self) -> Result<(), LogError> {
        let round = std::mem::take(&mut self.round);
        if round.records.is_empty() {
            return Ok(());
        }
        match self.writer.commit(&round, None) {
            Ok(_) => Ok(()),
            Err(CommitError::Aborted(why) | CommitError::Unknown(why) | CommitError::Refused(why)) => {
                Err(why)
            }
            Err(CommitError::Fenced(why)) => Err(why),
        }
    }

    /// What was written to these partitions.
    pub(super) fn streams(&self, of: &[TopicPartition], codec: &Arc<Codec>) -> Result<Streams, LogError> {
        let mut streams =
            Streams { rows: Rows::new(&self.log)?, codec: Arc::clone(codec), heads: Vec::new() };
        for lane in of {
            for task in 0..self.tasks() {
                let at = TopicPartition::new(lane.topic.clone(), lane.partition * self.tasks() + task);
                if self.log.bounds(&at)?.end > 0 {
                    streams.rows.open(&at, 0)?;
                    let head = Head { lane: lane.clone(), task, at, next: None };
                    streams.heads.push(head);
                    streams.advance(streams.heads.len() - 1)?;
                }
            }
        }
        Ok(streams)
    }
}

/// Each task's outputs of each partition, the next one of each at hand.
pub(super) struct Streams {
    rows: Rows,
    codec: Arc<Codec>,
    pub(super) heads: Vec<Head>,
}

/// One task's outputs of one partition.
pub(super) struct Head {
    /// The partition that they are of.
    pub(super) lane: TopicPartition,
    /// The task that made them.
    pub(super) task: Lead,
    at: TopicPartition,
    /// The next one; none at the end.
    pub(super) next: Option<Fresh>,
}

/// An output, read back.
pub(super) struct Fresh {
    /// Where it stands in the recorded run.
    pub(super) place: Place,
    /// What it says.
    pub(super) event: Event,
    row: Row,
}

impl Fresh {
    /// The record, as it would stand in its partition.
    pub(super) fn record(&self, lane: &TopicPartition, offset: Option<i64>) -> RecordRef<'_> {
        let record = self.row.record();
        RecordRef { partition: lane.partition, offset: offset.unwrap_or(record.offset), ..record }
    }
}

impl Streams {
    /// Takes the next output of a head.
    pub(super) fn pop(&mut self, index: usize) -> Result<Option<Fresh>, LogError> {
        let fresh = self.heads[index].next.take();
        self.advance(index)?;
        Ok(fresh)
    }

    /// The head of a task's outputs of a partition.
    pub(super) fn of(&self, lane: &TopicPartition, task: Lead) -> Option<usize> {
        self.heads.iter().position(|head| head.task == task && head.lane == *lane)
    }

    fn advance(&mut self, index: usize) -> Result<(), LogError> {
        let head = &mut self.heads[index];
        let Some(row) = self.rows.next(&head.at)? else { return Ok(()) };
        let record = row.record();
        let place = record.headers.get(PLACE).and_then(place).expect("the scratch writes its places");
        let event = self.codec.decode(record.topic.as_str(), record.value.unwrap_or_default());
        let event = event.map_err(|why| unreadable(&head.at, record.offset, &why))?;
        head.next = Some(Fresh { place, event, row });
        Ok(())
    }
}

fn place(bytes: &[u8]) -> Option<Place> {
    let mut parts = std::str::from_utf8(bytes).ok()?.split('/');
    let step = parts.next()?.parse().ok()?;
    let recorded = parts.next()? == "1";
    Some(Place { step, recorded, published: Time(parts.next()?.parse().ok()?) })
}

/// An output of ours that cannot be read: its schema is not known here.
pub(super) fn unreadable(at: &TopicPartition, offset: i64, why: &DecodeError) -> LogError {
    let doing = format!("reading {at} offset {offset}");
    LogError::Backend { log: "replay --what-if".to_owned(), doing, why: why.to_string() }
}
