//! A member of a group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::groups::{GroupInfo, GroupMemberInfo};
use rdkafka::topic_partition_list::TopicPartitionList;
use tapewatch_schemas::TopicName;

use crate::{Fence, GroupSpec, LogError, Member, Polled, Reader, TopicPartition};

use super::reader::Reading;
use super::rebalance::{Context, Rebalance};
use super::settings::{ANSWER, Settings, patiently};

/// A broker looks for silent members a little after their session has ended.
const LEEWAY: Duration = Duration::from_secs(2);

/// What a fence holds: a member's proof, and what it is a member for.
pub(super) struct Proof {
    /// What the broker checks: the member and its generation.
    pub(super) metadata: Arc<ConsumerGroupMetadata>,
    topics: Vec<TopicName>,
    tasks: Vec<i32>,
}

impl Proof {
    /// True if the partition was the member's. The broker asks for the generation only: it lets a member
    /// commit another's positions.
    pub(super) fn covers(&self, at: &TopicPartition) -> bool {
        self.tasks.contains(&at.partition) && self.topics.contains(&at.topic)
    }
}

/// Where a member stands.
enum Standing {
    /// Not yet given anything, or has given it back.
    Joining,
    /// These tasks are ours, and here is the proof.
    Holding(Vec<i32>, Option<Arc<Proof>>),
    /// The tasks are to be given up, or were taken; the worker has not said that it has let go. Until it
    /// does, the proof is good for what is open, unless they were taken.
    Releasing(Option<Arc<Proof>>),
    /// Left the group.
    Left,
}

/// Reads the partitions that its group gives it.
pub(super) struct KafkaMember {
    reading: Reading,
    standing: Standing,
    group: GroupSpec,
    settings: Arc<Settings>,
    /// Why its place is another's, once it is.
    evicted: Option<LogError>,
}

impl KafkaMember {
    /// Joins. The topics' partition counts are equal, by the caller.
    pub(super) fn new(settings: &Arc<Settings>, group: &GroupSpec) -> Result<Self, LogError> {
        let reading = Reading::new(settings, &settings.joining(group))?;
        let topics: Vec<&str> = group.topics.iter().map(TopicName::as_str).collect();
        reading.consumer.subscribe(&topics).map_err(|error| {
            settings.failed(format!("subscribing to {}", topics.join(", ")), error.to_string())
        })?;
        Ok(Self {
            reading,
            standing: Standing::Joining,
            group: group.clone(),
            settings: Arc::clone(settings),
            evicted: None,
        })
    }

    fn rebalanced(&mut self, rebalance: Rebalance) -> Result<Option<Polled>, LogError> {
        match rebalance {
            Rebalance::Assigned(partitions, metadata) => {
                let tasks = self.tasks(&partitions)?;
                self.reading.sources.clear();
                // The join is complete with this, so that the next rebalance is heard of while the worker
                // restores; where to read from is said later.
                self.answer(Some(&TopicPartitionList::new()))?;
                let proof = metadata.map(|metadata| {
                    Arc::new(Proof { metadata, topics: self.group.topics.clone(), tasks: tasks.clone() })
                });
                self.standing = Standing::Holding(tasks.clone(), proof);
                Ok(Some(Polled::Assigned(tasks)))
            }
            Rebalance::Revoked | Rebalance::Lost => {
                let Standing::Holding(tasks, proof) =
                    std::mem::replace(&mut self.standing, Standing::Joining)
                else {
                    self.answer(None)?;
                    return Ok(None);
                };
                if tasks.is_empty() {
                    self.answer(None)?;
                    return Ok(None);
                }
                let lost = matches!(rebalance, Rebalance::Lost);
                self.standing = Standing::Releasing(proof.filter(|_| !lost));
                Ok(Some(if lost { Polled::Lost(tasks) } else { Polled::Revoked(tasks) }))
            }
        }
    }

    /// The numbers whose partition of every topic of the group is ours.
    fn tasks(&self, partitions: &[(String, i32)]) -> Result<Vec<i32>, LogError> {
        let mut topics: BTreeMap<i32, BTreeSet<&str>> = BTreeMap::new();
        for (topic, partition) in partitions {
            topics.entry(*partition).or_default().insert(topic);
        }
        for (partition, got) in &topics {
            let missing = self.group.topics.iter().find(|topic| !got.contains(topic.as_str()));
            if let Some(missing) = missing {
                return Err(self.settings.failed(
                    format!("joining {}", self.group.group),
                    format!(
                        "partition {partition} of {missing} went elsewhere than partition {partition} of {}: \
                         the topics of a group need equal partition counts, and its members equal topics",
                        got.iter().next().expect("an entry is made with its first topic"),
                    ),
                ));
            }
        }
        Ok(topics.into_keys().collect())
    }

    fn answer(&self, list: Option<&TopicPartitionList>) -> Result<(), LogError> {
        let consumer = &self.reading.consumer;
        list.map_or_else(|| consumer.unassign(), |list| consumer.assign(list))
            .map_err(|error| self.settings.failed("answering a rebalance", error.to_string()))
    }

    fn holding(&self) -> Result<(), LogError> {
        match self.standing {
            Standing::Holding(..) => Ok(()),
            _ => Err(self.settings.failed(
                format!("reading as a member of {}", self.group.group),
                "the partitions are not ours now",
            )),
        }
    }
}

impl KafkaMember {
    fn polled(&mut self, wait: Duration) -> Result<Polled, LogError> {
        let until = Instant::now() + wait;
        loop {
            self.reading.serve()?;
            while let Some(rebalance) = self.reading.consumer.context().next_rebalance() {
                if let Some(polled) = self.rebalanced(rebalance)? {
                    return Ok(polled);
                }
            }
            if matches!(self.standing, Standing::Holding(..))
                && let Some(polled) = self.reading.sources.next()?
            {
                return Ok(polled);
            }
            if !self.reading.wait(until) {
                return Ok(Polled::Idle);
            }
        }
    }

    /// Who has taken this member's place. A request to join whose answer was lost is a member, too, and the next
    /// request of the same name is refused for it: such a ghost says nothing more, and is gone after a session.
    fn whose_place(&self, log: String, why: String) -> LogError {
        tracing::warn!(group = %self.group.group, instance = %self.group.instance, %why, "evicted; looking by whom");
        std::thread::sleep(self.group.session + LEEWAY);
        // Where nobody can tell, the next try to join will.
        if self.is_taken().unwrap_or(false) {
            LogError::Evicted { log, why }
        } else {
            LogError::Orphaned { log, why }
        }
    }

    /// True if the group has a member of this one's name.
    fn is_taken(&self) -> Result<bool, LogError> {
        let asker: BaseConsumer<Context> =
            self.settings.client(&self.settings.asking(), Context::default())?;
        let group = self.group.group.as_str();
        let groups = patiently(|| asker.fetch_group_list(Some(group), ANSWER)).map_err(|error| {
            let voice = &asker.context().voice;
            self.settings.error(format!("asking for the members of {group}"), &error, voice)
        })?;
        let members = groups.groups().iter().flat_map(GroupInfo::members);
        Ok(members.map(GroupMemberInfo::id).any(|id| is_of(id, &self.group.instance)))
    }
}

/// True if a static member's id is of an instance: its name, and a UUID.
fn is_of(id: &str, instance: &str) -> bool {
    let rest = id.strip_prefix(instance).and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|uuid| uuid::Uuid::try_parse(uuid).is_ok())
}

impl Reader for KafkaMember {
    fn poll(&mut self, wait: Duration) -> Result<Polled, LogError> {
        if let Some(error) = &self.evicted {
            return Err(error.clone());
        }
        match self.polled(wait) {
            Err(LogError::Evicted { log, why }) => {
                let error = self.whose_place(log, why);
                self.evicted = Some(error.clone());
                Err(error)
            }
            other => other,
        }
    }

    fn assign(&mut self, starts: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        self.holding()?;
        self.reading.sources.assign(starts)
    }

    fn unassign(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        match self.standing {
            Standing::Holding(..) => self.reading.sources.unassign(partitions),
            // Nothing is delivered while they are given up, and their release forgets them all.
            _ => Ok(()),
        }
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.reading.sources.pause(partitions, true);
        Ok(())
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.reading.sources.pause(partitions, false);
        Ok(())
    }
}

impl Member for KafkaMember {
    fn fence(&self) -> Result<Fence, LogError> {
        match &self.standing {
            Standing::Holding(_, Some(proof)) | Standing::Releasing(Some(proof)) => {
                Ok(Fence { group: self.group.group.clone(), token: Arc::clone(proof) as _ })
            }
            _ => Err(self.settings.failed(
                format!("proving the membership in {}", self.group.group),
                "no partitions are ours now",
            )),
        }
    }

    fn release(&mut self) -> Result<(), LogError> {
        if !matches!(self.standing, Standing::Releasing(..)) {
            return Ok(());
        }
        self.reading.sources.clear();
        self.answer(None)?;
        self.standing = Standing::Joining;
        Ok(())
    }

    fn leave(&mut self) -> Result<(), LogError> {
        // A static member says nothing to its broker: the partitions wait for it, or for the session's end.
        self.reading.sources.clear();
        self.standing = Standing::Left;
        self.reading.consumer.context().close();
        self.reading.consumer.unsubscribe();
        self.reading.serve()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_members_id_is_its_instances_name_and_a_uuid() {
        let id = "risk-1-0e3ab09c-6d3f-4f3e-9a62-5f2c5ad0e5a1";
        assert!(is_of(id, "risk-1"));
        assert!(!is_of(id, "risk") && !is_of(id, "risk-10") && !is_of("risk-1", "risk-1"));
    }
}
