//! A publisher of events: checked, encoded, sent to their key's partition, acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tapewatch_eventlog::{Log, LogError, OutRecord, Publisher, TopicPartition};
use tapewatch_schemas::partition::Partitioner;
use tapewatch_schemas::{Codec, EncodeError, Event};

/// Publishes events, each on its own, in order per partition.
///
/// The log's publisher under it is idempotent and bounded: when its queue is full [`EventPublisher::send`]
/// says so and has queued nothing, and nothing counts as written before [`EventPublisher::flush`] says so.
pub struct EventPublisher {
    log: Arc<dyn Log>,
    publisher: Box<dyn Publisher>,
    codec: Arc<Codec>,
    partitioner: Partitioner,
    /// Partitions per topic, as the log has them.
    topics: BTreeMap<String, u32>,
    queued: u64,
}

/// Why an event was not queued, or not written.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The event does not fit its topic's schema.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The publisher's queue is full: nothing was queued. Flush, then send again.
    #[error("{topic}: the queue is full: {source}. Nothing was queued; flush, then send the record again")]
    Full {
        /// The event's topic.
        topic: String,
        /// What the log says of the bound.
        source: LogError,
    },
    /// Anything else that the log says.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl EventPublisher {
    /// A publisher to a log. Reads how many partitions each topic has.
    pub fn open(
        log: &Arc<dyn Log>,
        codec: Arc<Codec>,
        partitioner: Partitioner,
    ) -> Result<Self, PublishError> {
        let topics = log.topics()?;
        let topics =
            topics.into_iter().map(|topic| (topic.name.to_string(), topic.partitions as u32)).collect();
        let publisher = log.publisher()?;
        Ok(Self { log: Arc::clone(log), publisher, codec, partitioner, topics, queued: 0 })
    }

    /// Queues an event for its topic, under its key.
    ///
    /// # Errors
    /// Nothing was queued then: see [`PublishError`].
    pub fn send(&mut self, event: &Event) -> Result<TopicPartition, PublishError> {
        let (topic, key) = (event.topic(), event.key());
        let count = self.topics.get(topic).copied().ok_or_else(|| LogError::NoTopic {
            topic: topic.to_owned(),
            log: self.log.address().to_owned(),
        })?;
        let mut value = Vec::with_capacity(256);
        self.codec.encode(event, &mut value)?;
        let target = TopicPartition::new(topic, self.partitioner.assign(key.as_bytes(), count) as i32);
        let record = OutRecord {
            target: target.clone(),
            timestamp: None,
            key: Some(Bytes::copy_from_slice(key.as_bytes())),
            value: Some(Bytes::from(value)),
            headers: Vec::new(),
        };
        self.publisher.send(record).map_err(|error| match error {
            full @ LogError::Full { .. } => PublishError::Full { topic: topic.to_owned(), source: full },
            other => PublishError::Log(other),
        })?;
        self.queued += 1;
        Ok(target)
    }

    /// Waits until everything queued is acknowledged, and says how many records that were.
    ///
    /// # Errors
    /// Says how many were not, and why the first was not.
    pub fn flush(&mut self, wait: Duration) -> Result<u64, PublishError> {
        self.publisher.flush(wait)?;
        Ok(std::mem::take(&mut self.queued))
    }
}

impl std::fmt::Debug for EventPublisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventPublisher").field("log", &self.log.address()).finish_non_exhaustive()
    }
}
