//! Where inputs come from, how far each source has been read, and since when it is known to be alive.

use std::collections::BTreeSet;

use hashbrown::{Equivalent, HashMap};
use serde::{Deserialize, Serialize};
use tapewatch_schemas::events::Progress;
use tapewatch_schemas::{SourceId, Time, TopicName};

use crate::monitor::Ages;

/// Heartbeats of one feed that wait for records to be read. At the bound the last one is replaced, which
/// only makes an age larger than it could be.
const PENDING: usize = 4;

/// One source's records in one partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Feed {
    source: SourceId,
    topic: TopicName,
    partition: i32,
    /// The highest sequence number read.
    read: i64,
    /// Event time of the last heartbeat all of whose records were read.
    alive: Time,
    /// Heartbeats whose records were not all read yet: last sequence number, event time.
    pending: Vec<(i64, Time)>,
}

/// A key of the index that borrows; it hashes as the key does.
#[derive(Hash)]
struct FeedKey<'a>(&'a SourceId, &'a TopicName, i32);

impl Equivalent<(SourceId, TopicName, i32)> for FeedKey<'_> {
    fn equivalent(&self, (source, topic, partition): &(SourceId, TopicName, i32)) -> bool {
        self.2 == *partition && self.0 == source && self.1 == topic
    }
}

/// A feed's place in the table.
pub(super) type FeedId = u32;

/// All feeds that a task reads, and which partitions are down.
#[derive(Debug, Default)]
pub(super) struct Feeds {
    list: Vec<Feed>,
    index: HashMap<(SourceId, TopicName, i32), FeedId>,
    down: BTreeSet<(TopicName, i32)>,
}

impl Feeds {
    /// The feed, if it is known.
    pub(super) fn find(&self, source: &SourceId, topic: &TopicName, partition: i32) -> Option<FeedId> {
        self.index.get(&FeedKey(source, topic, partition)).copied()
    }

    /// True if `id` is this source's feed of this partition.
    pub(super) fn is(&self, id: FeedId, source: &SourceId, topic: &TopicName, partition: i32) -> bool {
        let is = |f: &Feed| f.partition == partition && f.source == *source && f.topic == *topic;
        self.list.get(id as usize).is_some_and(is)
    }

    /// How many feeds there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// A new feed.
    pub(super) fn add(&mut self, source: &SourceId, topic: &TopicName, partition: i32) -> FeedId {
        let id = self.list.len() as FeedId;
        let (source, topic) = (source.clone(), topic.clone());
        self.index.insert((source.clone(), topic.clone(), partition), id);
        self.list.push(Feed { source, topic, partition, read: -1, alive: Time::MIN, pending: Vec::new() });
        id
    }

    /// True if a record of the feed with this sequence, or a later one, was read.
    pub(super) fn has_read(&self, id: FeedId, sequence: i64) -> bool {
        self.list[id as usize].read >= sequence
    }

    /// A record of the feed was read; true if that makes a heartbeat count which had waited for it.
    pub(super) fn read(&mut self, id: FeedId, sequence: i64) -> bool {
        let feed = &mut self.list[id as usize];
        feed.read = feed.read.max(sequence);
        if feed.pending.is_empty() {
            return false;
        }
        let before = feed.alive;
        let (read, alive) = (feed.read, &mut feed.alive);
        feed.pending.retain(|(last, at)| {
            if *last <= read {
                *alive = (*alive).max(*at);
            }
            *last > read
        });
        feed.alive > before
    }

    /// A heartbeat of the feed was read.
    pub(super) fn beat(&mut self, id: FeedId, progress: &Progress, at: Time) {
        let feed = &mut self.list[id as usize];
        if progress.last_sequence <= feed.read {
            feed.alive = feed.alive.max(at);
        } else if feed.pending.len() < PENDING {
            feed.pending.push((progress.last_sequence, at));
        } else {
            feed.pending[PENDING - 1] = (progress.last_sequence, at);
        }
    }

    /// Since when something that came by the feed at `event_time` is known to be current.
    pub(super) fn current_at(&self, id: FeedId, event_time: Time) -> Time {
        event_time.max(self.list[id as usize].alive)
    }

    /// The ages at `clock` of what came by these feeds, each at an event time.
    pub(super) fn ages(&self, clock: Time, inputs: impl Iterator<Item = (FeedId, Time)>) -> Ages {
        inputs.fold(Ages::default(), |ages, (feed, event_time)| {
            let age = clock.since(self.current_at(feed, event_time)).max(0);
            Ages {
                freshest: Some(ages.freshest.map_or(age, |a| a.min(age))),
                stalest: Some(ages.stalest.map_or(age, |a| a.max(age))),
            }
        })
    }

    /// A partition went down or came up.
    pub(super) fn set_down(&mut self, topic: &TopicName, partition: i32, down: bool) {
        let key = (topic.clone(), partition);
        if down {
            self.down.insert(key);
        } else {
            self.down.remove(&key);
        }
    }

    /// True if this partition of the topic is down.
    pub(super) fn is_down(&self, topic: &str, partition: i32) -> bool {
        !self.down.is_empty() && self.down.iter().any(|(t, p)| t.as_str() == topic && *p == partition)
    }

    /// True if this is the feed's partition.
    pub(super) fn is_of(&self, id: FeedId, topic: &TopicName, partition: i32) -> bool {
        let feed = &self.list[id as usize];
        feed.partition == partition && feed.topic == *topic
    }

    /// True if the feed's partition is down.
    pub(super) fn feed_is_down(&self, id: FeedId) -> bool {
        let feed = &self.list[id as usize];
        self.is_down(feed.topic.as_str(), feed.partition)
    }
}

/// What of the feeds is saved.
#[derive(Serialize, Deserialize)]
pub(super) struct SavedFeeds(Vec<Feed>, BTreeSet<(TopicName, i32)>);

impl Feeds {
    /// What is saved.
    pub(super) fn save(&self) -> SavedFeeds {
        SavedFeeds(self.list.clone(), self.down.clone())
    }

    /// Puts back what was saved.
    pub(super) fn restore(SavedFeeds(list, down): SavedFeeds) -> Self {
        let key = |f: &Feed| (f.source.clone(), f.topic.clone(), f.partition);
        let index = list.iter().enumerate().map(|(id, f)| (key(f), id as FeedId)).collect();
        Self { list, index, down }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(last_sequence: i64) -> Progress {
        let topic = TopicName::from("market.data.v1");
        Progress { topic, partition: 0, last_sequence, complete_to: Time(0), closed: false }
    }

    #[test]
    fn a_heartbeat_counts_once_its_records_were_read() {
        let mut feeds = Feeds::default();
        let id = feeds.add(&"tape".into(), &"market.data.v1".into(), 0);
        assert!(!feeds.read(id, 4));
        feeds.beat(id, &beat(4), Time(100));
        assert_eq!(feeds.current_at(id, Time(40)), Time(100));
        feeds.beat(id, &beat(6), Time(200));
        assert!(!feeds.read(id, 5));
        assert_eq!(feeds.current_at(id, Time(40)), Time(100), "record 6 is still to come");
        assert!(feeds.read(id, 6));
        assert_eq!(feeds.current_at(id, Time(40)), Time(200));
    }

    #[test]
    fn waiting_heartbeats_are_bounded() {
        let mut feeds = Feeds::default();
        let id = feeds.add(&"tape".into(), &"market.data.v1".into(), 0);
        for n in 0..100 {
            feeds.beat(id, &beat(n), Time(n));
        }
        assert_eq!(feeds.list[0].pending.len(), PENDING);
        assert!(feeds.read(id, 99));
        assert_eq!(feeds.current_at(id, Time(0)), Time(99));
    }
}
