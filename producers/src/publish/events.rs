//! A publisher of events: checked, encoded, sent to their key's partition, acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tapewatch_eventlog::{Clock, Log, LogError, OutRecord, Publisher, Round, TopicPartition};
use tapewatch_schemas::partition::Partitioner;
use tapewatch_schemas::{Codec, EncodeError, Event};

use crate::spool::{Courier, SpoolCounts, SpoolError};

/// A courier is given so many events at a time …
const ROUND_RECORDS: usize = 5_000;
/// … or bytes of them.
const ROUND_BYTES: usize = 4 << 20;

/// Publishes events, in order per partition.
///
/// Nothing counts as written before [`EventPublisher::flush`] says so. Without a spool the log's publisher under it
/// is idempotent and bounded: when its queue is full [`EventPublisher::send`] says so and has queued nothing. With
/// one, events are handed to the [`Courier`] at each flush, in one transaction, or when 5,000 or 4 MiB of them have
/// gathered; what was flushed is on the log or in the spool.
pub struct EventPublisher {
    log: Arc<dyn Log>,
    way: Way,
    codec: Arc<Codec>,
    partitioner: Partitioner,
    /// Partitions per topic, as the log has them.
    topics: BTreeMap<String, u32>,
    queued: u64,
}

enum Way {
    Publisher(Box<dyn Publisher>),
    Courier { courier: Courier, gathered: Round, bytes: usize },
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
    /// Neither the log nor the spool takes events. Those that were sent before are kept here; flush again.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

impl EventPublisher {
    /// A publisher to a log. Reads how many partitions each topic has.
    pub fn open(
        log: &Arc<dyn Log>,
        codec: Arc<Codec>,
        partitioner: Partitioner,
    ) -> Result<Self, PublishError> {
        let publisher = log.publisher()?;
        Self::on(log, codec, partitioner, Way::Publisher(publisher))
    }

    /// A publisher whose events go through a spool while the log is away. Reads how many partitions each topic has,
    /// for which the log must be there.
    pub fn through(
        courier: Courier,
        log: &Arc<dyn Log>,
        codec: Arc<Codec>,
        partitioner: Partitioner,
    ) -> Result<Self, PublishError> {
        Self::on(log, codec, partitioner, Way::Courier { courier, gathered: Round::default(), bytes: 0 })
    }

    fn on(
        log: &Arc<dyn Log>,
        codec: Arc<Codec>,
        partitioner: Partitioner,
        way: Way,
    ) -> Result<Self, PublishError> {
        let topics = log.topics()?;
        let topics =
            topics.into_iter().map(|topic| (topic.name.to_string(), topic.partitions as u32)).collect();
        Ok(Self { log: Arc::clone(log), way, codec, partitioner, topics, queued: 0 })
    }

    /// How many records went which way; none without a spool.
    pub fn spool(&self) -> Option<SpoolCounts> {
        match &self.way {
            Way::Publisher(_) => None,
            Way::Courier { courier, .. } => Some(courier.counts()),
        }
    }

    /// The courier; none without a spool.
    pub fn courier(&self) -> Option<&Courier> {
        match &self.way {
            Way::Publisher(_) => None,
            Way::Courier { courier, .. } => Some(courier),
        }
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
        match &mut self.way {
            Way::Publisher(publisher) => publisher.send(record).map_err(|error| match error {
                full @ LogError::Full { .. } => PublishError::Full { topic: topic.to_owned(), source: full },
                other => PublishError::Log(other),
            })?,
            Way::Courier { courier, gathered, bytes } => {
                if gathered.records.len() >= ROUND_RECORDS || *bytes >= ROUND_BYTES {
                    courier.write(gathered, Duration::MAX)?;
                    gathered.records.clear();
                    *bytes = 0;
                }
                *bytes += record.value.as_ref().map_or(0, Bytes::len);
                // The time at which it was sent, whenever it is written.
                gathered.records.push(OutRecord { timestamp: Some(Clock::system().now()), ..record });
            }
        }
        self.queued += 1;
        Ok(target)
    }

    /// Waits until everything queued is acknowledged, and says how many records that were since the last time. With
    /// a spool they are on the log or in it.
    ///
    /// # Errors
    /// Says how many were not, and why the first was not. With a spool they are still queued, in order.
    pub fn flush(&mut self, wait: Duration) -> Result<u64, PublishError> {
        match &mut self.way {
            Way::Publisher(publisher) => publisher.flush(wait)?,
            Way::Courier { courier, gathered, bytes } => {
                courier.write(gathered, wait)?;
                gathered.records.clear();
                *bytes = 0;
            }
        }
        Ok(std::mem::take(&mut self.queued))
    }
}

impl std::fmt::Debug for EventPublisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventPublisher").field("log", &self.log.address()).finish_non_exhaustive()
    }
}
