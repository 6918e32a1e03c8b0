//! A reader outside any group.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::{LogError, Polled, Reader, TopicPartition};

use super::rebalance::Context;
use super::settings::Settings;
use super::source::{Bell, Sources, is_passing};

/// Shortest look at a consumer's own events while it waits.
const LOOK: Duration = Duration::from_millis(100);

/// A consumer and the partitions that it reads.
pub(super) struct Reading {
    pub(super) sources: Sources,
    pub(super) consumer: Arc<BaseConsumer<Context>>,
    bell: Arc<Bell>,
    settings: Arc<Settings>,
    /// Why this consumer is of no more use.
    ended: Option<LogError>,
}

impl Reading {
    pub(super) fn new(settings: &Arc<Settings>, config: &ClientConfig) -> Result<Self, LogError> {
        let mut consumer: BaseConsumer<Context> = settings.client(config, Context::default())?;
        let bell = Arc::new(Bell::default());
        let ringer = Arc::clone(&bell);
        consumer.set_nonempty_callback(move || ringer.ring());
        let consumer = Arc::new(consumer);
        let sources = Sources::new(Arc::clone(&consumer), Arc::clone(&bell), Arc::clone(settings));
        Ok(Self { sources, consumer, bell, settings: Arc::clone(settings), ended: None })
    }

    /// Serves the consumer's own events: rebalances, statistics, errors.
    pub(super) fn serve(&mut self) -> Result<(), LogError> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        // Messages never come this way: every partition has its own queue before it is assigned.
        while let Some(event) = self.consumer.poll(Duration::ZERO) {
            match event {
                Ok(message) => drop(message),
                Err(error @ KafkaError::MessageConsumptionFatal(_)) => {
                    let error = match self.consumer.client().fatal_error() {
                        Some((RDKafkaErrorCode::FencedInstanceId, why)) => {
                            LogError::Evicted { log: self.settings.address.clone(), why }
                        }
                        Some((_, words)) => self.settings.failed("reading", words),
                        None => self.settings.failed("reading", error.to_string()),
                    };
                    self.ended = Some(error.clone());
                    return Err(error);
                }
                Err(error) if error.rdkafka_error_code().is_some_and(is_passing) => {
                    tracing::debug!(%error, "the broker is away, trying again");
                }
                Err(error) => tracing::warn!(%error, "a consumer's event"),
            }
        }
        Ok(())
    }

    /// Waits until something may be there, at most until then. False if that time has come.
    pub(super) fn wait(&self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        self.bell.wait(left.min(LOOK));
        true
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.consumer.context().close();
    }
}

/// Reads assigned partitions, committed records only.
pub(super) struct KafkaReader(Reading);

impl KafkaReader {
    pub(super) fn new(settings: &Arc<Settings>) -> Result<Self, LogError> {
        Ok(Self(Reading::new(settings, &settings.reading())?))
    }
}

impl Reader for KafkaReader {
    fn poll(&mut self, wait: Duration) -> Result<Polled, LogError> {
        let until = Instant::now() + wait;
        loop {
            self.0.serve()?;
            if let Some(polled) = self.0.sources.next()? {
                return Ok(polled);
            }
            if !self.0.wait(until) {
                return Ok(Polled::Idle);
            }
        }
    }

    fn assign(&mut self, starts: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        self.0.sources.assign(starts)
    }

    fn unassign(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.0.sources.unassign(partitions)
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.0.sources.pause(partitions, true);
        Ok(())
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.0.sources.pause(partitions, false);
        Ok(())
    }
}
