//! A worker's dead letters.

use bytes::Bytes;
use tapewatch_eventlog::{OutRecord, RecordRef, TopicPartition};
use tapewatch_schemas::WorkerName;
use tapewatch_schemas::catalogue::dlq_topic;

use crate::breaker::BreakerParameters;
use crate::inspect::Fault;
use crate::probe::Probe;

/// Writes dead letters.
#[derive(Clone, Debug)]
pub struct Letters {
    /// The worker that every letter names.
    pub worker: WorkerName,
    /// The bounds of the breakers, which decide what becomes a letter.
    pub breaker: BreakerParameters,
    /// A letter whose record is larger keeps its position, digest and head only.
    pub max_bytes: usize,
}

impl Letters {
    /// The letter of one record.
    pub fn letter(&self, record: &RecordRef<'_>, fault: &Fault) -> OutRecord {
        OutRecord {
            target: TopicPartition::new(dlq_topic(record.topic.as_str()), record.partition),
            timestamp: None,
            key: record.key.map(Bytes::copy_from_slice),
            value: record.value.map(Bytes::copy_from_slice),
            headers: vec![
                ("tapewatch.worker".to_owned(), Bytes::copy_from_slice(self.worker.as_str().as_bytes())),
                ("tapewatch.reason".to_owned(), Bytes::from_static(fault.reason.as_str().as_bytes())),
                ("tapewatch.offset".to_owned(), Bytes::from(record.offset.to_string())),
            ],
        }
    }

    /// The letter of a run of bad records behind an open breaker.
    pub fn range_letter(&self, at: &TopicPartition, from: i64, probe: &Probe) -> OutRecord {
        let body = format!("{{\"from\":{from},\"to\":{},\"count\":{}}}", probe.to, probe.bad);
        OutRecord {
            target: TopicPartition::new(dlq_topic(at.topic.as_str()), at.partition),
            timestamp: None,
            key: None,
            value: Some(Bytes::from(body)),
            headers: vec![(
                "tapewatch.worker".to_owned(),
                Bytes::copy_from_slice(self.worker.as_str().as_bytes()),
            )],
        }
    }
}
