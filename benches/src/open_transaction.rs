//! Whether a transaction is open on a topic of a Kafka log.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tapewatch_eventlog::{Log, TopicPartition};

use crate::Failure;
use crate::stage::Stage;

/// How long a broker may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Looks at the partitions of a topic.
pub struct OpenTransactions {
    log: Arc<dyn Log>,
    /// A client that reads what is committed: the end that it is told is the last stable offset.
    committed: BaseConsumer,
    topic: String,
}

impl OpenTransactions {
    /// Looks at this topic.
    ///
    /// # Errors
    /// If the log is not Kafka: an embedded log's transaction ends with its process.
    pub fn of(stage: &Stage, url: &str, topic: &str) -> Result<Self, Failure> {
        let brokers =
            url.strip_prefix("kafka:").ok_or("only a log on Kafka has open transactions: --log kafka:…")?;
        let committed = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("isolation.level", "read_committed")
            .create()?;
        Ok(Self { log: Arc::clone(&stage.log), committed, topic: topic.to_owned() })
    }

    /// True if one of these partitions ends with what is not committed.
    pub fn any(&self, partitions: &[i32]) -> Result<bool, Failure> {
        for partition in partitions {
            let at = TopicPartition::new(self.topic.as_str(), *partition);
            let (_, stable) = self.committed.fetch_watermarks(&self.topic, *partition, ANSWER)?;
            if stable < self.log.bounds(&at)?.end {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
