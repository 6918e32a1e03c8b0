//! What a task writes: outputs encoded, addressed, and folded into a digest as they are made.

use std::collections::BTreeMap;

use bytes::Bytes;
use tapewatch_eventlog::{OutRecord, TopicPartition};
use tapewatch_schemas::catalogue::ALERTS;
use tapewatch_schemas::partition::Partitioner;
use tapewatch_schemas::{Codec, Digest, Time, TopicName};

/// The header that says which task, step and index made a record: `risk/3/512/0`.
pub const FROM: &str = "tapewatch.from";
/// The header that says on the wall's clock when an alert was made: RFC 3339. It is set as the round is sealed,
/// and no digest and no replay looks at it.
pub const DETECTED: &str = "tapewatch.detected";
/// The W3C trace header.
pub const TRACEPARENT: &str = "traceparent";

/// Where outputs go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// How keys are spread.
    pub partitioner: Partitioner,
    /// How many partitions each output topic has.
    pub partitions: BTreeMap<TopicName, u32>,
}

impl Routing {
    /// The partition of `key` in `topic`.
    pub fn target(&self, topic: &str, key: &[u8]) -> TopicPartition {
        let partitions = self.partitions.get(topic).copied().unwrap_or(1);
        TopicPartition::new(topic, self.partitioner.assign(key, partitions) as i32)
    }
}

/// Outputs of one task since its last journal record.
#[derive(Debug, Default)]
pub struct Outbox {
    /// The records with their event times, in the order in which they were made.
    pub records: Vec<(Time, OutRecord)>,
    /// Bytes of keys, values and headers.
    pub bytes: usize,
    hasher: blake3::Hasher,
}

impl Outbox {
    /// Adds an output and folds it into the digest: not as its value is framed, but by its schema and body.
    pub fn push(&mut self, event_time: Time, record: OutRecord, codec: &Codec) {
        let value = record.value.as_deref().unwrap_or_default();
        fold(&mut self.hasher, &record, codec.unframed(record.target.topic.as_str(), value));
        self.bytes += size(&record);
        self.records.push((event_time, record));
    }

    /// How many outputs.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// True without outputs.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The digest over all outputs so far, in order.
    pub fn digest(&self) -> Digest {
        self.hasher.finalize().into()
    }
}

fn fold(hasher: &mut blake3::Hasher, record: &OutRecord, (fingerprint, body): ([u8; 8], &[u8])) {
    let add = |hasher: &mut blake3::Hasher, part: &[u8]| {
        hasher.update(&(part.len() as u32).to_le_bytes());
        hasher.update(part);
    };
    add(hasher, record.target.topic.as_str().as_bytes());
    add(hasher, &record.target.partition.to_le_bytes());
    add(hasher, record.key.as_deref().unwrap_or_default());
    hasher.update(&((fingerprint.len() + body.len()) as u32).to_le_bytes());
    hasher.update(&fingerprint);
    hasher.update(body);
    for (name, value) in &record.headers {
        add(hasher, name.as_bytes());
        add(hasher, value);
    }
}

/// Says when an alert was made. After the digest is done: it is all that differs between two runs.
pub fn stamp(record: &mut OutRecord, now: Time) {
    if record.target.topic.as_str() == ALERTS {
        record.headers.push((DETECTED.to_owned(), Bytes::from(now.to_string())));
    }
}

/// Bytes that a record counts for against a bound.
pub fn size(record: &OutRecord) -> usize {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    record.key.as_ref().map_or(0, Bytes::len) + record.value.as_ref().map_or(0, Bytes::len) + headers
}
