//! The log on Kafka, by librdkafka.
//!
//! A task's inputs are partitions of a classic group with the range assignor and static members; positions
//! are the worker's own, the group's only mirror them. A round is one transaction, written by two
//! transactional ids in turn.

mod context;
mod deliveries;
mod member;
mod offsets;
mod outcome;
mod publisher;
mod reader;
mod rebalance;
mod settings;
mod source;
mod targets;
mod topics;
mod writer;

use std::fmt;
use std::sync::Arc;

use tapewatch_schemas::{Time, TopicName};

use crate::{
    Bounds, GroupSpec, Log, LogError, Member, OpenOptions, Publisher, Reader, TopicInfo, TopicPartition,
    TopicSpec, Writer,
};

use member::KafkaMember;
use publisher::KafkaPublisher;
use reader::KafkaReader;
use settings::Settings;
use topics::Topics;
use writer::KafkaWriter;

/// A Kafka cluster as a log.
pub(crate) struct KafkaLog {
    settings: Arc<Settings>,
    topics: Arc<Topics>,
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KafkaLog").field(&self.settings.address).finish()
    }
}

impl KafkaLog {
    /// Connects to `kafka:HOST:PORT,…`; an error within seconds if no broker answers.
    pub(crate) fn open(url: &str, options: &OpenOptions) -> Result<Self, LogError> {
        let settings = Arc::new(Settings::new(url, options)?);
        let topics = Arc::new(Topics::new(&settings)?);
        topics.list()?;
        Ok(Self { settings, topics })
    }

    /// Range gives partition p of every topic to one member only if all have equal counts.
    fn equal_counts(&self, group: &GroupSpec) -> Result<(), LogError> {
        let mut first: Option<(&TopicName, i32)> = None;
        for topic in &group.topics {
            let count = self.topics.partitions(topic)?;
            let (other, expected) = *first.get_or_insert((topic, count));
            if count != expected {
                return Err(self.settings.failed(
                    format!("joining {}", group.group),
                    format!(
                        "{other} has {expected} partitions and {topic} has {count}: what one task reads must be cut \
                         alike"
                    ),
                ));
            }
        }
        Ok(())
    }
}

impl Log for KafkaLog {
    fn address(&self) -> &str {
        &self.settings.address
    }

    fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        self.topics.list()
    }

    fn create(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        self.topics.create(topics)
    }

    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        self.topics.bounds(at)
    }

    fn offset_at(&self, at: &TopicPartition, time: Time) -> Result<i64, LogError> {
        self.topics.offset_at(at, time)
    }

    fn group_offsets(&self, group: &str, of: &[TopicPartition]) -> Result<Vec<Option<i64>>, LogError> {
        self.topics.group_offsets(group, of)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(KafkaReader::new(&self.settings)?))
    }

    fn member(&self, group: &GroupSpec) -> Result<Box<dyn Member>, LogError> {
        self.equal_counts(group)?;
        Ok(Box::new(KafkaMember::new(&self.settings, group)?))
    }

    fn writer(&self, id: &str) -> Result<Box<dyn Writer>, LogError> {
        Ok(Box::new(KafkaWriter::new(&self.topics, id)?))
    }

    fn publisher(&self) -> Result<Box<dyn Publisher>, LogError> {
        Ok(Box::new(KafkaPublisher::new(&self.topics)?))
    }
}
