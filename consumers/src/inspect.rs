//! Decoding and checking: once per record and worker, before the merge.

use std::collections::BTreeMap;
use std::sync::Arc;

use tapewatch_eventlog::dead_letter::Redriven;
use tapewatch_eventlog::registry::Registry;
use tapewatch_eventlog::{Batch, RecordRef};
use tapewatch_schemas::catalogue::{is_redrive, source_of as source_topic};
use tapewatch_schemas::checks::Arrival;
use tapewatch_schemas::codec::{Codec, GUID_HEADER};
use tapewatch_schemas::{Checks, Digest, Event, Reason, Time, TopicName, WorkerName};

/// A batch with a verdict on each of its records, shared by every task that reads it.
#[derive(Debug)]
pub struct Fetched {
    /// The records.
    pub batch: Arc<Batch>,
    /// The topic whose events they are: of redriven records that in which they were published first.
    pub topic: TopicName,
    /// A verdict each, in the batch's order.
    pub verdicts: Vec<Inspected>,
}

/// What was found out about one record.
#[derive(Debug)]
pub struct Inspected {
    /// What to do with it.
    pub verdict: Verdict,
    /// Over offset, key, value and headers.
    pub digest: Digest,
    /// What a redriven record says of itself; none of any other.
    pub redriven: Option<Box<Redriven>>,
}

/// What to do with a record.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every record is taken: a box would be an allocation each"
)]
pub enum Verdict {
    /// Show it to the monitor.
    Take(Event),
    /// It is a dead letter.
    Bad(Fault),
    /// Pass over it: it is of no concern to this worker and takes no step.
    Pass,
}

/// Why a record cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A closed set, for headers and metrics.
    pub reason: Reason,
    /// For people: where and what was expected.
    pub text: String,
    /// True if it is so now and may not be so later: the wall's clock alone puts the event in the future.
    pub passing: bool,
}

impl Fault {
    /// True if another task may find nothing wrong with the same record: its monitor has another state, its process
    /// another clock.
    pub fn is_own(&self) -> bool {
        self.passing || self.reason == Reason::Refused
    }
}

impl Inspected {
    /// True if it is bad whenever it is read, and for all tasks: only then may a range letter list it, which is written
    /// before the record is read again and taken.
    pub fn is_bad_for_good(&self) -> bool {
        matches!(&self.verdict, Verdict::Bad(fault) if !self.is_own(fault))
    }

    /// True if another task may find nothing wrong with it, or has found nothing wrong when it was read first.
    pub fn is_own(&self, fault: &Fault) -> bool {
        fault.is_own() || self.redriven.as_ref().is_some_and(|back| back.own)
    }

    /// The record's own event time, if it will be taken.
    pub fn event_time(&self) -> Option<Time> {
        match &self.verdict {
            Verdict::Take(event) => Some(event.event_time()),
            Verdict::Bad(_) | Verdict::Pass => None,
        }
    }
}

/// Why a record was passed over, in the journal.
pub const PASSED: &str = "not_concerned";

/// Decodes and checks.
#[derive(Clone, Debug)]
pub struct Inspector {
    /// The worker: it passes over redriven records that are for others.
    pub worker: WorkerName,
    /// Knows the schemas.
    pub codec: Arc<Codec>,
    /// Where schemas are asked for that the codec does not know, if anywhere.
    pub registry: Option<Arc<Registry>>,
    /// What every event must satisfy.
    pub checks: Checks,
    /// How many partitions each input has.
    pub partitions: BTreeMap<TopicName, u32>,
    /// The workers whose heartbeats this worker heeds; those of other workers are passed over, so that
    /// no worker's own beats are among its inputs.
    pub upstream: Vec<String>,
}

impl Inspector {
    /// Inspects every record of a batch. `now` is the wall time at fetch.
    pub fn inspect(&self, batch: Arc<Batch>, now: Time) -> Fetched {
        let read = &batch.source().topic;
        let partitions = self.partitions.get(read).copied().unwrap_or(1);
        let verdicts;
        let topic;
        if is_redrive(read.as_str()) {
            topic = TopicName::from(source_topic(read.as_str()));
            verdicts =
                batch.iter().map(|record| self.returned(&record, topic.as_str(), partitions, now)).collect();
        } else {
            topic = read.clone();
            let inspected = |record: RecordRef<'_>| Inspected {
                verdict: self.verdict(&record, topic.as_str(), partitions, now),
                digest: digest(&record),
                redriven: None,
            };
            verdicts = batch.iter().map(inspected).collect();
        }
        Fetched { batch, topic, verdicts }
    }

    /// A record of a redrive topic: it says whose it is.
    fn returned(&self, record: &RecordRef<'_>, topic: &str, partitions: u32, now: Time) -> Inspected {
        let redriven = Redriven::read(record);
        let verdict = match &redriven {
            Some(redriven) if redriven.worker != self.worker.as_str() => Verdict::Pass,
            Some(_) => self.verdict(record, topic, partitions, now),
            None => Verdict::Bad(Fault {
                reason: Reason::Misrouted,
                text: "its headers do not say which worker it is for: records come here by `tapewatch dlq redrive` \
                       or `import`"
                    .to_owned(),
                passing: false,
            }),
        };
        Inspected { verdict, digest: digest(record), redriven: redriven.map(Box::new) }
    }

    fn verdict(&self, record: &RecordRef<'_>, topic: &str, partitions: u32, now: Time) -> Verdict {
        let value = record.value.unwrap_or_default();
        // Only a registry knows the schema that a header may name.
        let decoded = match &self.registry {
            None => self.codec.decode_unasked(topic, value, || record.headers.get(GUID_HEADER)),
            Some(_) => self.codec.decode_with(topic, value, record.headers.get(GUID_HEADER)),
        };
        let event = match decoded {
            Ok(event) => event,
            Err(error) => {
                return Verdict::Bad(Fault {
                    reason: error.reason(),
                    text: error.to_string(),
                    passing: false,
                });
            }
        };
        let arrival = Arrival {
            key: record.key,
            partition: record.partition as u32,
            partitions,
            timestamp: record.timestamp,
            fetched: now,
        };
        match self.checks.check(&event, &arrival) {
            Err(error) => {
                let published = record.timestamp + self.checks.max_skew;
                let passing = error.reason() == Reason::FromTheFuture && event.event_time() <= published;
                Verdict::Bad(Fault { reason: error.reason(), text: error.to_string(), passing })
            }
            Ok(()) if self.concerns(&event) => Verdict::Take(event),
            Ok(()) => Verdict::Pass,
        }
    }

    fn concerns(&self, event: &Event) -> bool {
        let Event::Heartbeat(beat) = event else { return true };
        match worker_of(beat.source.as_str()) {
            Some(worker) => self.upstream.iter().any(|name| name == worker),
            None => true,
        }
    }
}

/// The worker behind a source name, if it is one of ours: it reads what [`tapewatch_schemas::worker_source`] writes.
pub fn worker_of(source: &str) -> Option<&str> {
    source.strip_prefix("tapewatch.")?.rsplit_once('.').map(|(worker, _)| worker)
}

/// BLAKE3 over offset, key, value and headers, each framed by its length.
pub fn digest(record: &RecordRef<'_>) -> Digest {
    let mut hasher = blake3::Hasher::new();
    let length = |part: Option<&[u8]>| part.map_or(u32::MAX, |bytes| bytes.len() as u32).to_le_bytes();
    let mut frame = [0; 16];
    frame[..8].copy_from_slice(&record.offset.to_le_bytes());
    frame[8..12].copy_from_slice(&length(record.key));
    frame[12..].copy_from_slice(&length(record.value));
    hasher.update(&frame);
    hasher.update(record.key.unwrap_or_default());
    hasher.update(record.value.unwrap_or_default());
    hasher.update(record.headers.encoded());
    hasher.finalize().into()
}
