//! What became of the records that were handed to a producer.

use std::sync::{Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, ProducerContext};

use crate::{OutRecord, TopicPartition};

use super::context::Voice;

/// A record that was not written.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) at: TopicPartition,
    pub(super) code: RDKafkaErrorCode,
}

/// What delivery reports have said since the last [`Deliveries::take`].
#[derive(Debug, Default)]
pub(super) struct Report {
    /// By the record's number: its offset, −1 while unknown.
    pub(super) offsets: Vec<i64>,
    /// How many failed.
    pub(super) failed: u64,
    /// The first that failed.
    pub(super) first: Option<Failure>,
}

/// A producer's context: collects delivery reports.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    pub(super) voice: Voice,
    report: Mutex<Report>,
}

impl Deliveries {
    /// Begins a report of this many numbered records; zero if their offsets are not wanted.
    pub(super) fn begin(&self, records: usize) {
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) =
            Report { offsets: vec![-1; records], ..Report::default() };
    }

    /// The report so far, which begins anew.
    pub(super) fn take(&self) -> Report {
        std::mem::take(&mut *self.report.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// True if a record has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).first.is_some()
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, words: &str) {
        self.voice.hear_log(level, facility, words);
    }

    fn error(&self, error: KafkaError, words: &str) {
        self.voice.hear_error(&error, words);
    }
}

impl ProducerContext<NoCustomPartitioner> for Deliveries {
    /// The record's number in its round.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(message) => {
                if let Some(offset) = report.offsets.get_mut(number) {
                    *offset = message.offset();
                }
            }
            Err((error, message)) => {
                report.failed += 1;
                if report.first.is_none() {
                    report.first = Some(Failure {
                        at: TopicPartition::new(message.topic(), message.partition()),
                        code: error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail),
                    });
                }
            }
        }
    }
}

/// The record as librdkafka takes it. It copies the bytes.
pub(super) fn record(out: &OutRecord, number: usize) -> BaseRecord<'_, [u8], [u8], usize> {
    let mut record =
        BaseRecord::with_opaque_to(out.target.topic.as_str(), number).partition(out.target.partition);
    if let Some(key) = &out.key {
        record = record.key(&key[..]);
    }
    if let Some(value) = &out.value {
        record = record.payload(&value[..]);
    }
    if let Some(timestamp) = out.timestamp {
        record = record.timestamp(timestamp.millis());
    }
    if !out.headers.is_empty() {
        let mut headers = OwnedHeaders::new_with_capacity(out.headers.len());
        for (name, value) in &out.headers {
            headers = headers.insert(rdkafka::message::Header { key: name, value: Some(&value[..]) });
        }
        record = record.headers(headers);
    }
    record
}

/// Most bytes that a record takes in a produce request of its own: the batch's head (61), the lengths and
/// deltas of a record (36), those of a header (10). Kafka's bound on a message is on this.
pub(super) fn wire_bytes(out: &OutRecord) -> usize {
    let bytes = |part: &Option<bytes::Bytes>| part.as_ref().map_or(0, bytes::Bytes::len);
    let headers: usize = out.headers.iter().map(|(name, value)| 10 + name.len() + value.len()).sum();
    61 + 36 + bytes(&out.key) + bytes(&out.value) + headers
}
