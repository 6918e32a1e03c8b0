//! Which partitions there are to write to: asked once a topic, and again when one is missing.

use std::collections::HashMap;
use std::sync::Arc;

use tapewatch_schemas::TopicName;

use crate::{LogError, OutRecord};

use super::deliveries::wire_bytes;
use super::topics::Topics;

/// The partition counts of the topics that a writer has met.
pub(super) struct Targets {
    topics: Arc<Topics>,
    counts: HashMap<TopicName, i32>,
}

impl Targets {
    pub(super) fn new(topics: Arc<Topics>) -> Self {
        Self { topics, counts: HashMap::new() }
    }

    /// Refuses a record that can never be written as it is.
    pub(super) fn check(&mut self, record: &OutRecord) -> Result<(), LogError> {
        let settings = &self.topics.settings;
        let (bytes, most) = (wire_bytes(record), settings.max_record_bytes);
        if bytes > most {
            return Err(settings.failed(
                format!("writing to {}", record.target),
                format!("the record takes {bytes} B, at most {most} B may be written"),
            ));
        }
        let target = &record.target;
        let mut count = self.counts.get(&target.topic).copied().unwrap_or(0);
        if target.partition >= count {
            count = self.topics.partitions(&target.topic)?;
            self.counts.insert(target.topic.clone(), count);
        }
        if !(0..count).contains(&target.partition) {
            return Err(self.topics.settings.failed(
                format!("writing to {target}"),
                format!("{} has {count} partitions, from 0", target.topic),
            ));
        }
        Ok(())
    }
}
