//! Where partitions begin and end, and where groups stand.

use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tapewatch_schemas::Time;

use crate::{Bounds, LogError, TopicPartition};

use super::settings::{ANSWER, patiently};
use super::topics::Topics;

impl Topics {
    /// Earliest and end, as an uncommitted reader sees them: a committed one would be told the last stable
    /// offset.
    pub(super) fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        self.must_be_there(at)?;
        let (earliest, end) =
            patiently(|| self.asker.fetch_watermarks(at.topic.as_str(), at.partition, ANSWER)).map_err(
                |error| {
                    self.settings.error(
                        format!("asking for the bounds of {at}"),
                        &error,
                        &self.asker.context().voice,
                    )
                },
            )?;
        Ok(Bounds { earliest, end })
    }

    /// The first offset published at or after the time. Kafka's clock has milliseconds.
    pub(super) fn offset_at(&self, at: &TopicPartition, time: Time) -> Result<i64, LogError> {
        self.must_be_there(at)?;
        let doing = || format!("asking for the offset of a time in {at}");
        let micros = time.micros();
        let millis = micros.div_euclid(1000) + i64::from(micros.rem_euclid(1000) > 0);
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(at.topic.as_str(), at.partition, Offset::Offset(millis.max(0)))
            .map_err(|error| self.settings.failed(doing(), error.to_string()))?;
        let found = patiently(|| self.asker.offsets_for_times(list.clone(), ANSWER))
            .map_err(|error| self.settings.error(doing(), &error, &self.asker.context().voice))?;
        match found.find_partition(at.topic.as_str(), at.partition).map(|found| found.offset()) {
            Some(Offset::Offset(offset)) => Ok(offset),
            _ => Ok(self.bounds(at)?.end),
        }
    }

    /// The group's committed positions. A transaction that is still open on one is waited for.
    pub(super) fn group_offsets(
        &self,
        group: &str,
        of: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, LogError> {
        if of.is_empty() {
            return Ok(Vec::new());
        }
        let doing = || format!("asking for the positions of {group}");
        let asker = self.group_asker(group)?;
        let mut list = TopicPartitionList::with_capacity(of.len());
        for at in of {
            list.add_partition(at.topic.as_str(), at.partition);
        }
        let found = patiently(|| asker.committed_offsets(list.clone(), ANSWER))
            .map_err(|error| self.settings.error(doing(), &error, &asker.context().voice))?;
        of.iter()
            .map(|at| {
                let Some(found) = found.find_partition(at.topic.as_str(), at.partition) else {
                    return Ok(None);
                };
                found.error().map_err(|error| {
                    self.settings.failed(format!("{} in {at}", doing()), error.to_string())
                })?;
                Ok(if let Offset::Offset(offset) = found.offset() { Some(offset) } else { None })
            })
            .collect()
    }

    /// A clear error for a partition that is not there: librdkafka would wait for it to appear.
    fn must_be_there(&self, at: &TopicPartition) -> Result<(), LogError> {
        let count = self.partitions(&at.topic)?;
        if (0..count).contains(&at.partition) {
            return Ok(());
        }
        let words = RDKafkaErrorCode::UnknownPartition;
        Err(self.settings.failed(format!("asking about {at}"), format!("{words}: {} has {count}", at.topic)))
    }
}
