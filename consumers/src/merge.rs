//! The k-way merge of a task's inputs: pure, and told the time.
//!
//! A record's merge time is max(its event time, the previous merge time of its partition); one that cannot
//! be decoded takes the previous. The least (merge time, topic, partition) goes first, once no other
//! partition can still deliver something before it, or need not be waited for. Dead letters that come back
//! are merged in the same way, and never waited for: behind the frontier as they are, they go at once.

mod promise;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tapewatch_eventlog::{RecordRef, TopicPartition};
use tapewatch_schemas::catalogue::is_redrive;
use tapewatch_schemas::{SourceId, Time, worker_source};

use promise::{Promise, Said};

use crate::inspect::{Fetched, Inspected};

/// The most sources whose promises are kept for one partition.
pub const MAX_WRITERS: usize = 1024;

/// What the merge waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Wall time: a partition without a head is waited for so long.
    Wall {
        /// The wall time.
        now: Time,
        /// For a partition that is caught up.
        max_wait: Duration,
        /// For any other.
        max_idle: Duration,
    },
    /// Only what the sources promise releases a partition, never timing.
    Tape,
    /// As [`Patience::Tape`], and a partition that was read to its known end is not waited for.
    LockStep,
}

/// One input partition of a task.
#[derive(Debug)]
pub struct Lane {
    /// The partition.
    pub at: TopicPartition,
    /// True if it is read outside the group and shared by all tasks.
    pub broadcast: bool,
    /// The next offset to take.
    pub position: i64,
    /// Merge time of the last record taken.
    pub merge_time: Time,
    /// True while its breaker is open.
    pub down: bool,
    /// True while nothing is taken because no more keys can be held.
    pub full: bool,
    /// True if nothing is known about who writes here, it need not be waited for on the tape's clock.
    pub optional: bool,
    /// True if dead letters come back here: nobody says when, so it is never waited for.
    pub redrive: bool,
    /// The position that the last round of this membership wrote for the group.
    pub written: Option<i64>,
    queue: VecDeque<Segment>,
    queued: usize,
    fetched_to: i64,
    end: Option<i64>,
    signalled_end: bool,
    fresh: bool,
    headless_since: Time,
    writers: BTreeMap<SourceId, Promise>,
    /// True once something was not held for want of room: from `fetched_to` on it must be fetched again.
    cut: bool,
}

/// A run of records in a shared batch.
#[derive(Debug)]
struct Segment {
    fetched: Arc<Fetched>,
    next: usize,
}

impl Lane {
    /// A lane that continues at `position`.
    pub fn new(at: TopicPartition, broadcast: bool, optional: bool, position: i64, merge_time: Time) -> Self {
        Self {
            redrive: is_redrive(at.topic.as_str()),
            at,
            broadcast,
            position,
            merge_time,
            down: false,
            full: false,
            written: None,
            optional,
            queue: VecDeque::new(),
            queued: 0,
            fetched_to: position,
            end: None,
            signalled_end: false,
            fresh: false,
            headless_since: Time::MIN,
            writers: BTreeMap::new(),
            cut: false,
        }
    }

    /// Takes in what was fetched, unless so many records wait already: then that, and all after it, must be
    /// fetched again once there is room. True if it was taken in.
    pub fn push_within(&mut self, fetched: &Arc<Fetched>, now: Time, bound: usize) -> bool {
        self.cut |= self.queued >= bound;
        if !self.cut {
            self.push(fetched, now);
        }
        !self.cut
    }

    /// True if there is room again for what was not held: it is to be fetched from [`Lane::fetched_to`].
    pub fn has_room_again(&mut self, bound: usize) -> bool {
        self.cut && self.queued < bound.div_ceil(2) && {
            self.cut = false;
            true
        }
    }

    /// Takes in what was fetched; records that are here already are left out.
    pub fn push(&mut self, fetched: &Arc<Fetched>, now: Time) {
        let batch = &fetched.batch;
        let Some(last) = batch.len().checked_sub(1) else { return };
        let first = (0..batch.len()).find(|&index| batch.record(index).offset >= self.fetched_to);
        let Some(first) = first else { return };
        for index in first..batch.len() {
            self.note_sequence(&fetched.verdicts[index]);
        }
        let newest = batch.record(last);
        self.fetched_to = newest.offset + 1;
        self.signalled_end = false;
        self.fresh = now.since(newest.timestamp) < 1_000_000;
        self.queued += batch.len() - first;
        self.queue.push_back(Segment { fetched: Arc::clone(fetched), next: first });
        self.settle();
    }

    fn note_sequence(&mut self, inspected: &Inspected) {
        use crate::inspect::Verdict;
        let Verdict::Take(event) = &inspected.verdict else { return };
        let Some((source, sequence)) = sequence_of(event) else { return };
        if self.writers.is_empty() {
            return;
        }
        if let Some(promise) = self.writers.get_mut(source.as_str()) {
            promise.fetched = promise.fetched.max(sequence);
        }
    }

    /// A source has said how far it has written here.
    ///
    /// At most [`MAX_WRITERS`] sources are heeded per partition: records of further ones may come late.
    pub fn promise(&mut self, source: &SourceId, last_sequence: i64, complete_to: Time, closed: bool) {
        if self.writers.len() >= MAX_WRITERS && !self.writers.contains_key(source.as_str()) {
            return;
        }
        let said = Said { last_sequence, complete_to, closed, below: None };
        let promise = self.writers.entry(source.clone()).or_insert_with(|| Promise::new(said));
        promise.said = said;
        promise.fulfil(self.fetched_to);
    }

    /// The partition ends at `end`, as was asked just now: all that was promised so far is below it.
    pub fn know_end(&mut self, end: i64) {
        self.end = Some(end);
        for promise in self.writers.values_mut() {
            promise.said.below = Some(end);
        }
        self.settle();
    }

    /// The partition was read to its end, which is `position`.
    pub fn signal_end(&mut self, position: i64) {
        if position >= self.fetched_to && !self.cut {
            self.fetched_to = position;
            self.signalled_end = true;
        }
        self.settle();
    }

    fn settle(&mut self) {
        for promise in self.writers.values_mut() {
            promise.fulfil(self.fetched_to);
        }
    }

    /// True if a source has promised something that is not known to be fetched yet.
    pub fn waits_for_promised(&self) -> bool {
        self.writers.values().any(|promise| !promise.is_fulfilled(self.fetched_to))
    }

    /// True if everything up to the last known end was fetched.
    pub fn at_known_end(&self) -> bool {
        self.end.is_some_and(|end| self.fetched_to >= end)
    }

    /// True if nothing is taken from it for now, and it is not waited for.
    pub fn is_out(&self) -> bool {
        self.down || self.full
    }

    /// The next offset to fetch.
    pub fn fetched_to(&self) -> i64 {
        self.fetched_to
    }

    /// Records that wait.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Forgets what was fetched: the next record to come is the one at `position`.
    pub fn rewind(&mut self) {
        self.queue.clear();
        self.queued = 0;
        self.fetched_to = self.position;
        self.signalled_end = false;
        self.cut = false;
        self.writers.values_mut().for_each(Promise::doubt);
    }

    /// The record at the head, with its verdict.
    pub fn head(&self) -> Option<(RecordRef<'_>, &Inspected)> {
        let segment = self.queue.front()?;
        Some((segment.fetched.batch.record(segment.next), &segment.fetched.verdicts[segment.next]))
    }

    /// The batch at the head and the record's index in it, to be read while the lane moves on.
    pub fn head_shared(&self) -> Option<(Arc<Fetched>, usize)> {
        self.queue.front().map(|segment| (Arc::clone(&segment.fetched), segment.next))
    }

    /// The merge time of the head.
    pub fn head_time(&self) -> Option<Time> {
        let (_, inspected) = self.head()?;
        Some(inspected.event_time().map_or(self.merge_time, |time| time.max(self.merge_time)))
    }

    /// Moves past the head: it was taken with this merge time.
    pub fn pop(&mut self, merge_time: Time) {
        let Some(segment) = self.queue.front_mut() else { return };
        self.position = segment.fetched.batch.record(segment.next).offset + 1;
        self.merge_time = merge_time;
        self.queued -= 1;
        segment.next += 1;
        if segment.next == segment.fetched.batch.len() {
            self.queue.pop_front();
        }
    }

    /// Moves past the head without taking it: the position stays, [`Lane::rewind`] comes back to it.
    pub fn pass_over(&mut self) {
        let Some(segment) = self.queue.front_mut() else { return };
        self.queued -= 1;
        segment.next += 1;
        if segment.next == segment.fetched.batch.len() {
            self.queue.pop_front();
        }
    }

    /// No record to come has a merge time before this.
    fn bound(&self) -> Time {
        let promised = self.writers.values().map(|p| p.complete_to).min().unwrap_or(Time::MIN);
        promised.max(self.merge_time)
    }

    /// True if every source that is known to write here has said that nothing more comes.
    pub fn closed(&self) -> bool {
        !self.cut && !self.writers.is_empty() && self.writers.values().all(|promise| promise.closed)
    }

    /// True if what comes is known to be young: it is at its end, or near it.
    pub fn caught_up(&self) -> bool {
        self.signalled_end || self.fresh
    }

    /// Until when a lane without a head is waited for; none if for as long as it takes.
    fn released_at(&self, patience: Patience) -> Option<Time> {
        if self.closed() {
            return Some(Time::MIN);
        }
        match patience {
            Patience::LockStep => self.at_known_end().then_some(Time::MIN),
            Patience::Tape => (self.optional && self.writers.is_empty()).then_some(Time::MIN),
            Patience::Wall { max_wait, max_idle, .. } => Some(match (self.signalled_end, self.fresh) {
                (true, _) => Time::MIN,
                (false, true) => self.headless_since + max_wait,
                (false, false) => self.headless_since + max_idle,
            }),
        }
    }
}

/// Source and sequence of a record: a derived one counts in steps of its writer.
fn sequence_of(event: &tapewatch_schemas::Event) -> Option<(SourceId, i64)> {
    use tapewatch_schemas::Event;
    if let Some((source, sequence)) = event.origin() {
        return Some((source.clone(), sequence));
    }
    let provenance = match event {
        Event::RiskMetrics(e) => &e.provenance,
        Event::Holdings(e) => &e.provenance,
        Event::SystemHealth(e) => &e.provenance,
        Event::Alert(e) => &e.provenance,
        Event::Control(e) => &e.provenance,
        _ => return None,
    };
    Some((worker_source(provenance.worker.as_str(), provenance.partition), provenance.step))
}

/// All inputs of a task, by topic and partition.
#[derive(Debug, Default)]
pub struct Merge {
    /// The lanes, sorted by topic and partition, those of redriven records behind all others.
    pub lanes: Vec<Lane>,
    /// How many of them are not of redriven records.
    ordinary: usize,
    /// True if one of the others may have something to take, or is down: mostly there is nothing to look for.
    redriven: bool,
}

/// What the merge says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Take the head of this lane, and further ones of it while their key is below the limit.
    Take {
        /// Index of the lane.
        lane: usize,
        /// The least key that another lane may have.
        limit: (Time, usize),
    },
    /// There are heads, but another lane may still deliver something before them.
    Wait {
        /// Until then at most; none if only news can end it.
        until: Option<Time>,
    },
    /// No lane has a head.
    Empty,
}

impl Merge {
    /// The lanes, put in order.
    pub fn new(mut lanes: Vec<Lane>) -> Self {
        lanes.sort_by(|a, b| (a.redrive, &a.at).cmp(&(b.redrive, &b.at)));
        let ordinary = lanes.partition_point(|lane| !lane.redrive);
        Self { lanes, ordinary, redriven: true }
    }

    fn index(&self, at: &TopicPartition) -> Option<usize> {
        let redrive = is_redrive(at.topic.as_str());
        self.lanes.binary_search_by(|lane| (lane.redrive, &lane.at).cmp(&(redrive, at))).ok()
    }

    /// The lane of a partition.
    pub fn lane_mut(&mut self, at: &TopicPartition) -> Option<&mut Lane> {
        self.index(at).map(|index| &mut self.lanes[index])
    }

    /// The lane of a partition.
    pub fn lane(&self, at: &TopicPartition) -> Option<&Lane> {
        self.index(at).map(|index| &self.lanes[index])
    }

    /// Takes in what was fetched, if it is of one of the lanes; at most about `bound` records of a source that all tasks
    /// read and that is down for this one.
    pub fn push(&mut self, fetched: &Arc<Fetched>, now: Time, bound: usize) {
        let Some(index) = self.index(fetched.batch.source()) else { return };
        let lane = &mut self.lanes[index];
        if lane.broadcast && lane.down {
            lane.push_within(fetched, now, bound);
        } else {
            lane.push(fetched, now);
        }
        self.redriven |= index >= self.ordinary;
    }

    /// So many lanes, from the first, may have something to take or be down.
    pub fn active(&self) -> usize {
        if self.redriven { self.lanes.len() } else { self.ordinary }
    }

    /// Which record goes next.
    pub fn choose(&mut self, patience: Patience) -> Choice {
        if self.redriven {
            self.redriven = self.lanes[self.ordinary..].iter().any(|lane| lane.queued > 0 || lane.down);
        }
        let mut best: Option<(Time, usize)> = None;
        let mut limit = (Time::MAX, usize::MAX);
        let active = &self.lanes[..self.active()];
        for (index, lane) in active.iter().enumerate().filter(|(_, lane)| !lane.is_out()) {
            let Some(time) = lane.head_time() else { continue };
            let key = (time, index);
            match best {
                Some(least) if least < key => limit = limit.min(key),
                previous => {
                    if let Some(previous) = previous {
                        limit = limit.min(previous);
                    }
                    best = Some(key);
                }
            }
        }
        if let Patience::Wall { now, .. } = patience {
            for lane in &mut self.lanes[..self.ordinary] {
                let headless = !lane.is_out() && lane.queued == 0;
                if !headless {
                    lane.headless_since = Time::MIN;
                } else if lane.headless_since == Time::MIN {
                    lane.headless_since = now;
                }
            }
        }
        let Some(best) = best else { return Choice::Empty };
        let mut until = Some(Time::MIN);
        for (index, lane) in self.lanes[..self.ordinary].iter().enumerate() {
            if lane.is_out() || lane.queued > 0 {
                continue;
            }
            let bound = (lane.bound(), index);
            let released = lane.released_at(patience);
            let over = match (released, patience) {
                (Some(at), Patience::Wall { now, .. }) => at <= now,
                (Some(_), _) => true,
                (None, _) => false,
            };
            if over {
                continue;
            }
            if bound > best {
                limit = limit.min(bound);
            } else {
                until = match (until, released) {
                    (Some(a), Some(b)) => Some(a.max(b)),
                    _ => None,
                };
                if until.is_none() {
                    return Choice::Wait { until: None };
                }
            }
        }
        match until {
            Some(Time::MIN) => Choice::Take { lane: best.1, limit },
            until => Choice::Wait { until },
        }
    }

    /// True if every lane has been told that nothing more comes, and is empty.
    pub fn closed(&self) -> bool {
        self.are_closed(|_| true)
    }

    /// As [`Merge::closed`], of the lanes that are up alone.
    pub fn others_closed(&self) -> bool {
        self.are_closed(|lane| !lane.is_out())
    }

    fn are_closed(&self, of: impl Fn(&Lane) -> bool) -> bool {
        let told = |lane: &Lane| lane.redrive || lane.closed() || (lane.optional && lane.writers.is_empty());
        self.lanes.iter().any(Lane::closed)
            && self.lanes.iter().filter(|lane| of(lane)).all(|lane| told(lane) && lane.queued == 0)
    }

    /// True if every lane that is up is at its end or near it.
    pub fn caught_up(&self) -> bool {
        self.lanes[..self.ordinary].iter().all(|lane| lane.is_out() || lane.caught_up())
    }
}
