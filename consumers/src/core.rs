//! The deterministic part of a task: one step after another, live, restored or replayed, all the same.

mod health;
mod held;
mod outgoing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tapewatch_eventlog::{RecordRef, TopicPartition};
use tapewatch_monitors::{Monitor, Output, Refusal, Seen, SourceChange, SourceSkip};
use tapewatch_schemas::catalogue::{is_by_hand, source_of};
use tapewatch_schemas::codec::Codec;
use tapewatch_schemas::events::{Cause, HealthKind, HealthStatus};
use tapewatch_schemas::{Event, Time, TopicName, WorkerName};

use crate::breaker::{Breaker, BreakerParameters};
use crate::hold::{HeldKeys, HoldParameters};
use crate::injected::{Injected, Seek, Start};
use crate::outbox::{Outbox, Routing, TRACEPARENT};

pub use self::held::Incoming;

/// Makes a task's monitor. It is told whether books are open from their first event.
pub type MonitorFactory = Arc<dyn Fn(&Start, i32) -> Box<dyn Monitor> + Send + Sync>;

/// What a core is and is made of; the same for all tasks of a worker.
#[derive(Clone)]
pub struct Blueprint {
    /// The worker.
    pub worker: WorkerName,
    /// Configuration version as it stands in provenance: the first 16 digits.
    pub configuration: String,
    /// Code version.
    pub code: String,
    /// Knows the schemas.
    pub codec: Arc<Codec>,
    /// Where outputs go.
    pub routing: Arc<Routing>,
    /// When breakers open and close.
    pub breaker: BreakerParameters,
    /// Which topics hold keys behind dead letters.
    pub hold: HoldParameters,
    /// How often a task says that it is alive, on its own clock; never if none.
    pub heartbeat_every: Option<Duration>,
    /// The topics whose progress heartbeats report: those that the task's own partition is written to.
    pub progress: Vec<TopicName>,
    /// And those of which it may write to any partition.
    pub spread: Vec<TopicName>,
    /// Makes the monitor.
    pub monitor: MonitorFactory,
}

/// The deterministic part of one task.
pub struct Core {
    blueprint: Blueprint,
    monitor: Box<dyn Monitor>,
    state: CoreState,
    outputs: Vec<Output>,
}

/// What a core is besides its monitor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CoreState {
    partition: i32,
    start: Start,
    step: u64,
    clock: Time,
    breakers: BTreeMap<(TopicName, i32), Breaker>,
    next_beat: Option<Time>,
    beats: i64,
    last_written: BTreeMap<(TopicName, i32), i64>,
    counts: Counts,
    reported: Counts,
    /// Whether the last report told of dead letters, and of late records.
    degraded: (bool, bool),
    closed: bool,
    held: HeldKeys,
    /// How many keys the last report said are held.
    held_said: u64,
    /// Tasks of the same worker of which this one has said that they stopped; as many as there are tasks at most.
    stopped: BTreeSet<i32>,
}

/// Counts since the task began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records processed.
    pub processed: u64,
    /// Records dead-lettered.
    pub dead: u64,
    /// Records that came behind the clock.
    pub late: u64,
}

/// A core's state that cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the saved state cannot be read: {0}")]
pub struct SavedStateError(String);

#[derive(Serialize, Deserialize)]
struct Saved {
    core: CoreState,
    monitor: Vec<u8>,
}

impl Core {
    /// A core at its first step.
    pub fn new(blueprint: Blueprint, partition: i32, start: Start) -> Self {
        let monitor = (blueprint.monitor)(&start, partition);
        let state = CoreState {
            partition,
            start,
            step: 0,
            clock: Time::MIN,
            breakers: BTreeMap::new(),
            next_beat: None,
            beats: 0,
            last_written: BTreeMap::new(),
            counts: Counts::default(),
            reported: Counts::default(),
            degraded: (false, false),
            closed: false,
            held: HeldKeys::default(),
            held_said: 0,
            stopped: BTreeSet::new(),
        };
        Self { blueprint, monitor, state, outputs: Vec::new() }
    }

    /// The whole state as canonical bytes.
    pub fn save(&self) -> Vec<u8> {
        let saved = Saved { core: self.state.clone(), monitor: self.monitor.save() };
        postcard::to_stdvec(&saved).expect("a core's state is plain data")
    }

    /// A core as it was saved.
    ///
    /// # Errors
    /// If the bytes are not what [`Core::save`] of this release gives.
    pub fn restore(blueprint: Blueprint, bytes: &[u8]) -> Result<Self, SavedStateError> {
        let saved: Saved = postcard::from_bytes(bytes).map_err(|e| SavedStateError(e.to_string()))?;
        let mut core = Self::new(blueprint, saved.core.partition, saved.core.start.clone());
        core.monitor.restore(&saved.monitor).map_err(|e| SavedStateError(e.to_string()))?;
        core.state = saved.core;
        Ok(core)
    }

    /// The task.
    pub fn partition(&self) -> i32 {
        self.state.partition
    }

    /// The worker.
    pub fn worker(&self) -> &WorkerName {
        &self.blueprint.worker
    }

    /// The next step's ordinal.
    pub fn step(&self) -> u64 {
        self.state.step
    }

    /// The task's clock.
    pub fn clock(&self) -> Time {
        self.state.clock
    }

    /// Counts since the task began.
    pub fn counts(&self) -> Counts {
        self.state.counts
    }

    /// True once every input has said that nothing more comes.
    pub fn is_closed(&self) -> bool {
        self.state.closed
    }

    /// The breaker of a source; a closed one if it never failed.
    pub fn breaker(&self, at: &TopicPartition) -> Breaker {
        self.state.breakers.get(&(at.topic.clone(), at.partition)).cloned().unwrap_or_default()
    }

    /// Every breaker that is open, with its source.
    pub fn open_breakers(&self) -> Vec<TopicPartition> {
        let open = self.state.breakers.iter().filter(|(_, breaker)| breaker.open_since().is_some());
        open.map(|((topic, partition), _)| TopicPartition::new(topic.clone(), *partition)).collect()
    }

    /// The next tick that is due at or before `target`: the monitor's next deadline, or the last boundary at
    /// which the task says that it is alive. Over a gap that is due once, at its last boundary. A task that
    /// has seen nothing has nothing to say.
    pub fn next_tick(&self, target: Time) -> Option<Time> {
        let monitor = self.monitor.next_deadline().unwrap_or(Time::MAX);
        let due = match (self.state.next_beat, self.blueprint.heartbeat_every) {
            (Some(beat), Some(every)) if beat < monitor && beat <= target => {
                target.min(monitor).floor_to(every).max(beat)
            }
            // No good record has told the time yet, and there is something to report: the clock begins here.
            (None, Some(every)) if self.state.counts.dead > 0 && target > Time(0) => {
                target.min(monitor).floor_to(every)
            }
            _ => monitor,
        };
        (due <= target && due < Time::MAX).then(|| due.max(self.state.clock))
    }

    /// Shows one good record to the monitor. If it came back, its key waits for it no more.
    ///
    /// # Errors
    /// The monitor's refusal: the caller dead-letters the record with [`Core::fail`], which takes the step.
    pub fn observe(&mut self, one: &Incoming<'_>, event: &Event, outbox: &mut Outbox) -> Result<(), Refusal> {
        let Incoming { record, topic, .. } = *one;
        let before = self.state.clock;
        let late = event.event_time() < before;
        let cause = match event.record_id() {
            Some(id) => Cause::Derived(id),
            None => Cause::Record {
                topic: record.topic.clone(),
                partition: record.partition,
                offset: record.offset,
            },
        };
        let clock = before.max(event.event_time());
        let seen = Seen { event, topic, partition: record.partition, cause: &cause, clock };
        self.monitor.observe(&seen, &mut self.outputs)?;
        self.advance_clock(clock);
        self.state.counts.processed += 1;
        // Whoever said that nothing more comes has begun again.
        self.state.closed = false;
        self.state.counts.late += u64::from(late);
        self.succeed(record);
        self.publish(&cause, record.headers.get(TRACEPARENT), outbox);
        self.settle(one);
        Ok(())
    }

    /// Counts a good record for its breaker, if the source ever failed.
    fn succeed(&mut self, record: &RecordRef<'_>) {
        if self.state.breakers.is_empty() {
            return;
        }
        if let Some(breaker) = self.state.breakers.get_mut(&(record.topic.clone(), record.partition)) {
            breaker.count(false, record.offset, &self.blueprint.breaker);
        }
    }

    /// Takes the step of a record that is a dead letter, the task's `own` or another's: its own hold the key. True if
    /// the source's breaker must open now.
    pub fn fail(&mut self, one: &Incoming<'_>, own: bool) -> bool {
        if own {
            self.hold(one);
        }
        self.outputs.clear();
        self.state.step += 1;
        self.state.counts.dead += u64::from(own);
        let Incoming { record, .. } = one;
        if is_by_hand(record.topic.as_str()) {
            return false;
        }
        let key = (record.topic.clone(), record.partition);
        self.state.breakers.entry(key).or_default().count(true, record.offset, &self.blueprint.breaker)
    }

    /// Other tasks of which this one has said that they stopped, and not yet that they run again.
    pub fn said_stopped(&self) -> Vec<i32> {
        self.state.stopped.iter().copied().collect()
    }

    /// Takes an injected event.
    pub fn inject(&mut self, event: &Injected, outbox: &mut Outbox) {
        let clock = self.state.clock.max(event.time());
        self.advance_clock(clock);
        match event {
            Injected::Start(_) => {}
            Injected::Seek(body) => self.skip(body),
            Injected::Tick(now) => self.tick(*now),
            Injected::SourceDown(body) => {
                self.state.breakers.entry((body.topic.clone(), body.partition)).or_default().open(clock);
                self.change_source(event, &body.at(), true);
                let message = format!(
                    "{} of the last {} records of {} could not be taken: its breaker is open from offset {}",
                    body.failures,
                    body.calls,
                    body.at(),
                    body.offset
                );
                let kind = HealthKind::BreakerOpened;
                self.report(
                    kind,
                    HealthStatus::Failed,
                    &body.at(),
                    body.offset,
                    body.failures.into(),
                    message,
                );
            }
            Injected::SourceUp(body) => {
                self.state.breakers.entry((body.topic.clone(), body.partition)).or_default().close(body.to);
                self.change_source(event, &body.at(), false);
                let message = format!(
                    "{} is read again from offset {}: {} bad records below {} are in a range letter",
                    body.at(),
                    body.from,
                    body.bad,
                    body.to
                );
                let kind = HealthKind::BreakerClosed;
                self.report(kind, HealthStatus::Ok, &body.at(), body.from, body.bad, message);
            }
            Injected::Neighbour(body) => self.report_neighbour(body),
            Injected::Closed(_) => {
                self.state.closed = true;
                if self.blueprint.heartbeat_every.is_some() {
                    self.beat(true);
                }
            }
        }
        self.publish(&event.cause(), None, outbox);
    }

    fn tick(&mut self, now: Time) {
        if self.state.next_beat.is_some_and(|due| due <= now) {
            self.beat(false);
        }
        if self.monitor.next_deadline().is_some_and(|due| due <= now) {
            self.monitor.tick(self.state.clock, &mut self.outputs);
        }
    }

    fn advance_clock(&mut self, clock: Time) {
        self.state.clock = clock;
        if self.state.next_beat.is_none()
            && clock > Time::MIN
            && let Some(every) = self.blueprint.heartbeat_every
        {
            self.state.next_beat = Some(clock.floor_to(every) + every);
        }
    }

    fn change_source(&mut self, event: &Injected, at: &TopicPartition, down: bool) {
        let change = SourceChange {
            topic: at.topic.clone(),
            partition: at.partition,
            down,
            clock: self.state.clock,
            cause: event.cause(),
        };
        self.monitor.source(&change, &mut self.outputs);
    }

    /// Tells the monitor of records that it will not see; a jump to where the task stands skips none.
    fn skip(&mut self, body: &Seek) {
        if body.from < body.to {
            // Events that came back are missed as much as they would have been at their source.
            let topic = TopicName::from(source_of(body.topic.as_str()));
            let (partition, through, clock) = (body.partition, body.through, self.state.clock);
            let skip = SourceSkip { topic, partition, through, clock };
            self.monitor.skipped(&skip, &mut self.outputs);
        }
    }
}
