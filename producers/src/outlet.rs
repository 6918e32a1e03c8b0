//! What is about to be published: a queue in order of publication, and the sequence numbers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use smol_str::SmolStr;
use tapewatch_schemas::catalogue::MARKET_DATA;
use tapewatch_schemas::events::{Heartbeat, Progress};
use tapewatch_schemas::{Event, SourceId, Time};

use crate::options::{Layout, TAPE_SOURCE, TRADING};
use crate::slice::{Body, SliceRecord};

/// What is to be published.
#[derive(Debug)]
pub(crate) enum Pending {
    /// A record whose source and sequence number are given as it leaves.
    Event(Box<Event>),
    /// A record that never arrives: only its sequence number is used up.
    Lost(Box<Event>),
    /// Bytes of another writer, with no sequence number of ours.
    Bytes { topic: &'static str, key: SmolStr, bytes: Vec<u8> },
    /// A sign of life, filled in as it leaves.
    Heartbeat {
        source: &'static str,
        closed: bool,
        /// A partition of the market's topic that it says nothing about.
        silent: Option<i32>,
    },
}

#[derive(Debug)]
struct Queued {
    publish: Time,
    ordinal: u64,
    what: Pending,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Queued {}
impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.publish, self.ordinal).cmp(&(other.publish, other.ordinal))
    }
}

/// The queue. It holds a few bars at most: the player drains it after each slice.
#[derive(Debug)]
pub(crate) struct Outlet {
    layout: Layout,
    queue: BinaryHeap<Reverse<Queued>>,
    ordinal: u64,
    /// The last number given, per source, topic and partition.
    last: BTreeMap<(SourceId, &'static str, i32), i64>,
}

impl Outlet {
    pub(crate) fn new(layout: Layout) -> Self {
        Self { layout, queue: BinaryHeap::new(), ordinal: 0, last: BTreeMap::new() }
    }

    /// Queues; of equal instants the first queued leaves first.
    pub(crate) fn push(&mut self, publish: Time, what: Pending) {
        self.ordinal += 1;
        self.queue.push(Reverse(Queued { publish, ordinal: self.ordinal, what }));
    }

    /// Lets all leave that is published before `until`.
    pub(crate) fn drain(&mut self, until: Time) -> Vec<SliceRecord> {
        let mut records = Vec::new();
        while let Some(Reverse(first)) = self.queue.peek()
            && first.publish < until
            && let Some(Reverse(Queued { publish, what, .. })) = self.queue.pop()
        {
            records.extend(self.leave(publish, what));
        }
        records
    }

    fn leave(&mut self, publish: Time, what: Pending) -> Option<SliceRecord> {
        match what {
            Pending::Event(event) => Some(self.numbered(publish, *event)),
            Pending::Lost(event) => {
                self.numbered(publish, *event);
                None
            }
            Pending::Bytes { topic, key, bytes } => {
                let partition = self.layout.partition(topic, &key);
                Some(SliceRecord {
                    topic,
                    partition,
                    key,
                    event_time: publish,
                    published: publish,
                    body: Body::Bytes(bytes),
                })
            }
            Pending::Heartbeat { source, closed, silent } => {
                let progress = self.progress(source, publish, closed, silent);
                let heartbeat =
                    Heartbeat { source: source.into(), sequence: 0, event_time: publish, progress };
                Some(self.numbered(publish, Event::Heartbeat(heartbeat)))
            }
        }
    }

    fn numbered(&mut self, published: Time, mut event: Event) -> SliceRecord {
        let topic = event.topic();
        let key = SmolStr::new(event.key());
        let partition = self.layout.partition(topic, &key);
        let (source, sequence) = origin(&mut event);
        let last = self.last.entry((source.clone(), topic, partition)).or_insert(-1);
        *last += 1;
        *sequence = *last;
        let event_time = event.event_time();
        SliceRecord { topic, partition, key, event_time, published, body: Body::Event(Box::new(event)) }
    }

    /// How far a source has written everything it writes, empty partitions too.
    fn progress(&self, source: &str, complete_to: Time, closed: bool, silent: Option<i32>) -> Vec<Progress> {
        let topics: &[&'static str] = if source == TAPE_SOURCE { &[MARKET_DATA] } else { &TRADING };
        let mut progress = Vec::new();
        for &topic in topics {
            for partition in 0..self.layout.count(topic) as i32 {
                if topic == MARKET_DATA && silent == Some(partition) {
                    continue;
                }
                let last_sequence = self.last.get(&(source.into(), topic, partition)).copied().unwrap_or(-1);
                progress.push(Progress {
                    topic: topic.into(),
                    partition,
                    last_sequence,
                    complete_to,
                    closed,
                });
            }
        }
        progress
    }
}

/// Where an input event keeps its source and sequence number.
fn origin(event: &mut Event) -> (&SourceId, &mut i64) {
    match event {
        Event::MarketData(e) => (&e.source, &mut e.sequence),
        Event::Signal(e) => (&e.source, &mut e.sequence),
        Event::ExecReport(e) => (&e.source, &mut e.sequence),
        Event::Position(e) => (&e.source, &mut e.sequence),
        Event::Account(e) => (&e.source, &mut e.sequence),
        Event::Heartbeat(e) => (&e.source, &mut e.sequence),
        Event::ControlRequest(e) => (&e.source, &mut e.sequence),
        Event::RiskMetrics(_)
        | Event::Holdings(_)
        | Event::SystemHealth(_)
        | Event::Alert(_)
        | Event::Control(_) => unreachable!("the player writes inputs only"),
    }
}
