//! The outputs of a worker as a committed reader sees them.

use std::collections::HashMap;
use std::sync::Arc;

use tapewatch_consumers::outbox::FROM;
use tapewatch_consumers::scan::Scanner;
use tapewatch_eventlog::{Log, LogError, RecordRef, TopicPartition};
use tapewatch_schemas::catalogue::{is_redrive, source_of};
use tapewatch_schemas::events::Occasion;
use tapewatch_schemas::{Codec, Event, Time, WorkerName};

use super::Watched;

/// All outputs of a worker.
pub(super) struct Outputs {
    pub(super) worker: WorkerName,
    /// The partitions that they stand in.
    pub(super) places: Vec<TopicPartition>,
    /// In the order in which they stand in their partitions, the partitions one after another.
    pub(super) made: Vec<Made>,
    /// The source partitions that caused them.
    pub(super) sources: Vec<TopicPartition>,
}

/// One output.
pub(super) struct Made {
    /// Index into the places.
    pub(super) place: u32,
    pub(super) offset: i64,
    pub(super) task: i32,
    pub(super) step: u64,
    pub(super) index: u32,
    pub(super) key: Box<[u8]>,
    /// The task's clock when it was made.
    pub(super) clock: Time,
    pub(super) kind: Kind,
    /// The record that caused it, as an index into the sources and an offset; none if it was none.
    pub(super) cause: Option<(u32, i64)>,
}

/// What an output is, as far as deadlines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Figures because an interval has passed.
    Level,
    /// A whole book.
    Book,
    /// A task's heartbeat with its sequence number; `closed` if it says that nothing more comes.
    Beat { sequence: i64, closed: bool },
    /// Anything else.
    Other,
}

impl Outputs {
    /// Reads them. What cannot be decoded is passed over: replay compares every byte.
    pub(super) fn read(
        log: &Arc<dyn Log>,
        scanner: &mut Scanner,
        watched: &Watched,
    ) -> Result<Self, LogError> {
        let plan = &watched.plan;
        let codec = &plan.inspector.codec;
        let topics = log.topics()?;
        let worker = plan.worker.clone();
        let mut reading = Reading {
            codec,
            origins: origins(log, scanner, watched)?,
            known: HashMap::new(),
            outputs: Self { worker, places: Vec::new(), made: Vec::new(), sources: Vec::new() },
        };
        for topic in plan.blueprint.routing.partitions.keys() {
            let count = topics.iter().find(|info| info.name == *topic).map_or(0, |info| info.partitions);
            for partition in 0..count {
                let at = TopicPartition::new(topic.clone(), partition);
                reading.outputs.places.push(at.clone());
                scanner.scan::<LogError>(&at, 0, |record| {
                    reading.take(record);
                    Ok(())
                })?;
            }
        }
        Ok(reading.outputs)
    }

    /// Where an output stands.
    pub(super) fn place(&self, made: &Made) -> &TopicPartition {
        &self.places[made.place as usize]
    }
}

/// Where each derived input record of a worker stands, by its id; nowhere if it came back, and was not taken in its
/// turn.
fn origins(
    log: &Arc<dyn Log>,
    scanner: &mut Scanner,
    watched: &Watched,
) -> Result<HashMap<String, Option<(TopicPartition, i64)>>, LogError> {
    let (plan, codec) = (&watched.plan, &watched.plan.inspector.codec);
    let mut found = HashMap::new();
    if plan.inspector.upstream.is_empty() {
        return Ok(found);
    }
    for info in log.topics()?.iter().filter(|info| plan.own.contains(&info.name)) {
        for partition in 0..info.partitions {
            let at = TopicPartition::new(info.name.clone(), partition);
            scanner.scan::<LogError>(&at, 0, |record| {
                let event = codec.decode(source_of(at.topic.as_str()), record.value.unwrap_or_default());
                if let Some(id) = event.ok().and_then(|event| event.record_id()) {
                    let first = found.entry(id.to_string()).or_insert(Some((at.clone(), record.offset)));
                    if is_redrive(at.topic.as_str()) {
                        *first = None;
                    }
                }
                Ok(())
            })?;
        }
    }
    Ok(found)
}

/// Outputs in the making.
struct Reading<'a> {
    codec: &'a Codec,
    origins: HashMap<String, Option<(TopicPartition, i64)>>,
    known: HashMap<TopicPartition, u32>,
    outputs: Outputs,
}

impl Reading<'_> {
    fn take(&mut self, record: &RecordRef<'_>) {
        let Some((task, step, index)) = from(record, self.outputs.worker.as_str()) else { return };
        let value = record.value.unwrap_or_default();
        let Ok(mut event) = self.codec.decode(record.topic.as_str(), value) else { return };
        let cause = event.derived().map(|derived| derived.provenance.cause.clone());
        let cause = cause.and_then(|cause| self.source(&cause));
        self.outputs.made.push(Made {
            place: self.outputs.places.len() as u32 - 1,
            offset: record.offset,
            task,
            step,
            index,
            key: record.key.unwrap_or_default().into(),
            clock: event.event_time(),
            kind: kind(&event),
            cause,
        });
    }

    /// The record that a cause names, if it is one.
    fn source(&mut self, cause: &str) -> Option<(u32, i64)> {
        let (at, offset) = match self.origins.get(cause) {
            Some(first) => first.clone()?,
            None => named(cause)?,
        };
        let sources = &mut self.outputs.sources;
        let index = *self.known.entry(at.clone()).or_insert_with(|| {
            sources.push(at);
            sources.len() as u32 - 1
        });
        Some((index, offset))
    }
}

fn kind(event: &Event) -> Kind {
    match event {
        Event::RiskMetrics(figures) if figures.occasion == Occasion::Interval => Kind::Level,
        Event::Holdings(_) => Kind::Book,
        Event::Heartbeat(beat) => {
            let closed = !beat.progress.is_empty() && beat.progress.iter().all(|progress| progress.closed);
            Kind::Beat { sequence: beat.sequence, closed }
        }
        _ => Kind::Other,
    }
}

/// `topic/partition/offset`.
fn named(cause: &str) -> Option<(TopicPartition, i64)> {
    let mut parts = cause.rsplitn(3, '/');
    let offset = parts.next()?.parse().ok()?;
    let partition = parts.next()?.parse().ok()?;
    Some((TopicPartition::new(parts.next()?, partition), offset))
}

/// Task, step and index of an output of this worker.
pub(crate) fn from(record: &RecordRef<'_>, worker: &str) -> Option<(i32, u64, u32)> {
    let from = std::str::from_utf8(record.headers.get(FROM)?).ok()?;
    let mut parts = from.strip_prefix(worker)?.strip_prefix('/')?.split('/');
    let task = parts.next()?.parse().ok()?;
    Some((task, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
