//! A log with its topics, and the settings of a measurement.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapewatch_config::Settings;
use tapewatch_consumers::workers;
use tapewatch_eventlog::{Batch, Log, OpenOptions, Polled, TopicPartition, open};
use tapewatch_producers::EventPublisher;
use tapewatch_schemas::{Codec, TopicName};

use crate::Failure;

/// A log that is ready for workers.
pub struct Stage {
    /// The log.
    pub log: Arc<dyn Log>,
    /// What the workers are told.
    pub settings: Settings,
    /// Knows the schemas.
    pub codec: Arc<Codec>,
}

/// Settings as shipped, over them `file` and `TAPEWATCH_…` variables.
pub fn settings(file: &Path, url: &str) -> Result<Settings, Failure> {
    let environment = url.starts_with("kafka:").then_some("kafka");
    let mut settings = Settings::load(Some(file), environment, std::env::vars())?;
    url.clone_into(&mut settings.log.url);
    Ok(settings)
}

/// The settings of reference workload R.
pub fn r_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("r.toml")
}

/// The settings of job E.
pub fn job_e_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("job-e.toml")
}

impl Stage {
    /// Opens the log and makes the topics that are not there.
    pub fn open(settings: Settings) -> Result<Self, Failure> {
        let options = OpenOptions {
            busy_timeout: settings.log.busy_timeout,
            kafka: settings.log.kafka.librdkafka(),
            ..OpenOptions::default()
        };
        let log = open(&settings.log.url, &options)?;
        log.create(&workers::topic_specs(&settings))?;
        Ok(Self {
            log,
            settings,
            codec: Arc::new(Codec::new(&[]).expect("the built-in schemas are tested to parse")),
        })
    }

    /// The tasks that each worker's group has.
    pub fn tasks(&self) -> std::ops::Range<i32> {
        0..self.settings.topics.partitions as i32
    }

    /// A publisher as producers use it.
    pub fn publisher(&self) -> Result<EventPublisher, Failure> {
        let partitioner = workers::partitioner(&self.settings);
        Ok(EventPublisher::open(&self.log, Arc::clone(&self.codec), partitioner)?)
    }

    /// Every partition of a topic.
    pub fn partitions(&self, topic: &str) -> Result<Vec<TopicPartition>, Failure> {
        let name = TopicName::from(topic);
        let topics = self.log.topics()?;
        let found = topics.iter().find(|info| info.name == name).ok_or("the topic is not there")?;
        Ok((0..found.partitions).map(|p| TopicPartition::new(name.clone(), p)).collect())
    }

    /// Where each partition of a topic ends.
    pub fn ends(&self, topic: &str) -> Result<Vec<(TopicPartition, i64)>, Failure> {
        let partitions = self.partitions(topic)?;
        partitions.into_iter().map(|at| Ok((at.clone(), self.log.bounds(&at)?.end))).collect()
    }

    /// Readable records and bytes (keys, values, headers) of a topic, counted by an independent reader.
    pub fn volume(&self, topic: &str) -> Result<(u64, u64), Failure> {
        let (mut records, mut bytes) = (0, 0);
        self.read(topic, |batch| {
            records += batch.len() as u64;
            bytes += batch.bytes() as u64;
            Ok(())
        })?;
        Ok((records, bytes))
    }

    /// Shows every readable record of a topic, partition by partition.
    pub fn read(
        &self,
        topic: &str,
        mut show: impl FnMut(&Batch) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut reader = self.log.reader()?;
        for (at, end) in self.ends(topic)? {
            let mut position = self.log.bounds(&at)?.earliest;
            reader.assign(&[(at.clone(), position)])?;
            while position < end {
                match reader.poll(std::time::Duration::from_secs(5))? {
                    Polled::Batch(batch) if *batch.source() == at => {
                        show(&batch)?;
                        position = batch.iter().last().map_or(position, |record| record.offset + 1);
                    }
                    Polled::End { at: of, position: to } if of == at => position = to,
                    Polled::Idle => break,
                    _ => {}
                }
            }
            reader.unassign(std::slice::from_ref(&at))?;
        }
        Ok(())
    }
}
