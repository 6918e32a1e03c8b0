//! A publisher without transactions: idempotent, in order per partition, bounded.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{Producer, ThreadedProducer};

use crate::{LogError, OutRecord, Publisher};

use super::deliveries::{Deliveries, record};
use super::settings::Settings;
use super::targets::Targets;
use super::topics::Topics;

/// How often a flush looks whether all is acknowledged.
const GLANCE: Duration = Duration::from_micros(100);

/// Publishes records, each on its own.
pub(super) struct KafkaPublisher {
    producer: ThreadedProducer<Deliveries>,
    settings: Arc<Settings>,
    targets: Targets,
}

impl KafkaPublisher {
    pub(super) fn new(topics: &Arc<Topics>) -> Result<Self, LogError> {
        let settings = Arc::clone(&topics.settings);
        let producer = settings.client(&settings.publishing(), Deliveries::default())?;
        Ok(Self { producer, settings, targets: Targets::new(Arc::clone(topics)) })
    }
}

impl Publisher for KafkaPublisher {
    fn send(&mut self, out: OutRecord) -> Result<(), LogError> {
        self.targets.check(&out)?;
        let Err((error, _)) = self.producer.send(record(&out, 0)) else { return Ok(()) };
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) {
            let waiting = self.producer.in_flight_count();
            return Err(LogError::Full {
                log: self.settings.address.clone(),
                why: format!(
                    "the publisher's queue holds {waiting} records that the brokers have not acknowledged"
                ),
            });
        }
        let voice = &self.producer.context().voice;
        Err(self.settings.error(format!("publishing to {}", out.target), &error, voice))
    }

    fn flush(&mut self, wait: Duration) -> Result<(), LogError> {
        let until = Instant::now() + wait;
        // Its own thread collects the delivery reports. The client's own flush looks for them every 100 ms.
        while self.producer.in_flight_count() > 0 && Instant::now() < until {
            thread::sleep(GLANCE);
        }
        let flushed = self.producer.flush(Duration::ZERO);
        let report = self.producer.context().take();
        if let Some(first) = report.first {
            return Err(self.settings.failed(
                format!("publishing to {}", first.at),
                format!("{}; {} records were not written", first.code, report.failed),
            ));
        }
        flushed.map_err(|error| {
            let waiting = self.producer.in_flight_count();
            let doing = format!("waiting for the acknowledgement of {waiting} records");
            self.settings.error(doing, &error, &self.producer.context().voice)
        })
    }
}
