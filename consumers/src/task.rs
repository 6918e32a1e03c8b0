//! A task, live: one partition number of the worker's inputs, with its merge, core and journal chain.

mod breaker;
mod skip;

pub use skip::{PART, Passed};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tapewatch_eventlog::{OutRecord, TopicPartition};
use tapewatch_schemas::catalogue::HEARTBEATS;
use tapewatch_schemas::events::Heartbeat;
use tapewatch_schemas::journal::{Epoch, JournalRecord};
use tapewatch_schemas::{Digest, Event, Reason, Time};

use crate::core::{Core, Incoming};
use crate::injected::Injected;
use crate::inspect::{Fault, Fetched, Verdict};
use crate::letters::Letters;
use crate::merge::{Choice, Merge, Patience};
use crate::outbox::size;
use crate::pending::{Fate, Link, Pending};
use crate::probe::Probe;
use crate::snapshot::{LanePosition, SavedTask};

/// A running task.
pub struct Task {
    /// The deterministic part.
    pub core: Core,
    /// The inputs.
    pub merge: Merge,
    /// What was taken since the last journal record.
    pub pending: Pending,
    /// Sequence number of the next journal record.
    pub sequence: i64,
    /// Hash of the last journal record.
    pub previous: Digest,
    /// Offset of a journal record at or before the last one, where a restore may begin to read.
    pub journal_offset: i64,
    since_snapshot: u32,
    /// Dead letters since the last journal record.
    pub letters: Vec<OutRecord>,
    /// The epoch, until the record that opens it is sealed.
    pub opens: Option<Epoch>,
    /// Digest of the epoch in force.
    pub epoch: Digest,
    /// Number of tasks: broadcast partition p is the letter-writing business of task p modulo this.
    tasks: i32,
    probes: BTreeMap<TopicPartition, Probe>,
    /// No probe looks at this source now.
    unprobed: Option<TopicPartition>,
    refetch: Vec<TopicPartition>,
    /// Up to where heartbeats were heard, by partition.
    heard: BTreeMap<TopicPartition, i64>,
    letter_bytes: usize,
    carried_since: Option<Time>,
    oldest: Option<Time>,
    anchored: Time,
    snapshot_at: Option<Time>,
}

/// What bounds an advance.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Records and injected events in one round of one task.
    pub records: usize,
    /// Bytes of outputs in one round of one task.
    pub bytes: usize,
}

/// Why an advance stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The round is full.
    Full,
    /// Until then at most, another source may deliver something that goes first.
    Waiting(Option<Time>),
    /// Everything fetched was taken.
    Drained,
}

impl Task {
    /// A task that continues from a restored core.
    pub fn new(core: Core, merge: Merge, tasks: i32) -> Self {
        let pending = Pending::new(core.step());
        // Where a restored task stands its anchors were dropped: the next boundary after it is due.
        let anchored = core.clock();
        let mut task = Self {
            core,
            merge,
            pending,
            sequence: 0,
            previous: Digest::NONE,
            journal_offset: 0,
            since_snapshot: 0,
            letters: Vec::new(),
            opens: None,
            epoch: Digest::NONE,
            tasks,
            probes: BTreeMap::new(),
            unprobed: None,
            refetch: Vec::new(),
            heard: BTreeMap::new(),
            letter_bytes: 0,
            carried_since: None,
            oldest: None,
            anchored,
            snapshot_at: None,
        };
        for at in task.core.open_breakers() {
            if let Some(lane) = task.merge.lane_mut(&at) {
                lane.down = true;
            }
        }
        task.pause_full(true);
        task
    }

    /// Takes in what was fetched, and what heartbeats in it promise about the other inputs. At `bound` records
    /// that wait heartbeats are heard and not held: what other inputs wait for may be said behind them. Nor is more
    /// held of a source that all tasks read and that is down for this one: others may read on.
    pub fn push(&mut self, fetched: &Arc<Fetched>, now: Time, bound: usize) {
        let source = fetched.batch.source();
        if source.topic.as_str() != HEARTBEATS {
            self.merge.push(fetched, now, bound);
            return;
        }
        let Some(lane) = self.merge.lane_mut(source) else { return };
        let held = lane.push_within(fetched, now, bound);
        let heard_to = *self.heard.get(source).unwrap_or(&0);
        for (record, inspected) in fetched.batch.iter().zip(&fetched.verdicts) {
            let Verdict::Take(Event::Heartbeat(beat)) = &inspected.verdict else { continue };
            if held {
                self.expect_no_earlier(source, beat);
            }
            // What is fetched again was heard before: what has been said since then holds.
            if record.offset >= heard_to {
                self.heed(beat);
                self.heard.insert(source.clone(), record.offset + 1);
            }
        }
    }

    /// A source that is alive promises how far it has written each partition.
    fn heed(&mut self, beat: &Heartbeat) {
        for progress in &beat.progress {
            let at = TopicPartition::new(progress.topic.clone(), progress.partition);
            if let Some(lane) = self.merge.lane_mut(&at) {
                lane.promise(&beat.source, progress.last_sequence, progress.complete_to, progress.closed);
            }
        }
    }

    /// The next heartbeat of a source, in the partition of this one, comes no earlier than this one.
    fn expect_no_earlier(&mut self, held: &TopicPartition, beat: &Heartbeat) {
        let closed = !beat.progress.is_empty() && beat.progress.iter().all(|progress| progress.closed);
        if let Some(lane) = self.merge.lane_mut(held) {
            lane.promise(&beat.source, i64::MIN, beat.event_time, closed);
        }
    }

    /// Takes as many records and injected events as may be taken now.
    pub fn advance(&mut self, patience: Patience, budget: Budget, letters: &Letters) -> Stopped {
        loop {
            self.probe(patience, letters);
            if self.is_full(budget) {
                return Stopped::Full;
            }
            let (lane, limit) = match self.merge.choose(patience) {
                Choice::Take { lane, limit } => (lane, limit),
                Choice::Wait { until } => return Stopped::Waiting(until),
                Choice::Empty if self.idle(patience, budget) => return Stopped::Drained,
                Choice::Empty => return Stopped::Full,
            };
            while let Some(time) = self.merge.lanes[lane].head_time()
                && (time, lane) < limit
                && !self.is_full(budget)
                && !self.merge.lanes[lane].is_out()
            {
                if !self.tick_to(Time(time.0.saturating_sub(1)), budget) {
                    return Stopped::Full;
                }
                self.take(lane, time, letters, patience);
            }
        }
    }

    /// True if the round may take no more.
    pub fn is_full(&self, budget: Budget) -> bool {
        self.pending.len() >= budget.records || self.pending.outbox.bytes + self.letter_bytes >= budget.bytes
    }

    /// Nothing is left to take: what time alone brings. False if the round is full before it is done.
    fn idle(&mut self, patience: Patience, budget: Budget) -> bool {
        match patience {
            Patience::Wall { now, .. } => !self.merge.caught_up() || self.tick_to(now, budget),
            Patience::Tape | Patience::LockStep => {
                if self.merge.closed() && !self.core.is_closed() {
                    self.inject(Injected::Closed(self.core.clock()));
                }
                true
            }
        }
    }

    /// Injects every tick that is due at or before `target`, in order. False if the round is full before
    /// that.
    fn tick_to(&mut self, target: Time, budget: Budget) -> bool {
        let mut before = None;
        while let Some(due) = self.core.next_tick(target) {
            assert!(before < Some(due), "a tick must move its deadline, or the task would tick for ever");
            if self.is_full(budget) {
                return false;
            }
            self.inject(Injected::Tick(due));
            before = Some(due);
        }
        true
    }

    /// Takes an injected event, live.
    pub fn inject(&mut self, event: Injected) {
        self.core.inject(&event, &mut self.pending.outbox);
        self.pending.inject(event);
    }

    fn take(&mut self, lane: usize, time: Time, letters: &Letters, patience: Patience) {
        let Some((fetched, index)) = self.merge.lanes[lane].head_shared() else { return };
        let record = fetched.batch.record(index);
        let inspected = &fetched.verdicts[index];
        self.oldest = Some(self.oldest.map_or(record.timestamp, |oldest| oldest.min(record.timestamp)));
        let broadcast = self.merge.lanes[lane].broadcast;
        let before = self.merge.lanes[lane].position;
        let one =
            Incoming { record: &record, topic: &fetched.topic, redriven: inspected.redriven.as_deref() };
        let holds = self.core.holds(one.topic);
        let refusal;
        let (fate, fault) = match &inspected.verdict {
            Verdict::Pass => (Fate::Passed, None),
            _ if one.redriven.is_some_and(|back| !back.is_for(self.core.partition(), broadcast)) => {
                (Fate::Passed, None)
            }
            _ if one.redriven.is_some_and(|back| back.discarded) => {
                self.core.discard(&one);
                (Fate::Discarded, None)
            }
            Verdict::Bad(fault) => {
                let elsewhere = broadcast
                    && !inspected.is_own(fault)
                    && record.partition.rem_euclid(self.tasks) != self.core.partition();
                // Where all tasks find the same one letter says it.
                let fate = if elsewhere { Fate::DeadElsewhere } else { Fate::Dead(fault.reason.as_str()) };
                (fate, Some(fault))
            }
            Verdict::Take(event) => match self.observe(&one, event) {
                Ok(()) => (Fate::Processed, None),
                Err(fault) => {
                    refusal = fault;
                    // What one task's monitor refuses another's may take: each answers for its own refusals.
                    (Fate::Dead(refusal.reason.as_str()), Some(&refusal))
                }
            },
        };
        let at = self.merge.lanes[lane].at.clone();
        self.pending.take(lane, &at, before, record.offset, &inspected.digest, fate);
        self.pending.due |= !broadcast || !self.pending.outbox.is_empty();
        let taken = &mut self.merge.lanes[lane];
        // What took no step, or was not shown to the monitor, moves no merge: a replay does not see its time either.
        let merge_time = if fate == Fate::Processed { time } else { taken.merge_time };
        taken.pop(merge_time);
        let Some(fault) = fault else { return self.pause_full(holds) };
        // A range letter lists what cannot be decoded; what a monitor refuses has a letter of its own, and so
        // has what may have been good when the probe looked at it.
        let excused = inspected.is_bad_for_good() && self.core.breaker(&at).excuses(record.offset);
        if matches!(fate, Fate::Dead(_)) && !excused {
            let letter = letters.letter(self.core.partition(), &record, fault, one.redriven);
            self.letter_bytes += size(&letter);
            self.letters.push(letter);
            self.pending.due = true;
        }
        if fault.reason == Reason::HeldBehind {
            self.core.hold_back(&one);
            return;
        }
        let opens = self.core.fail(&one, matches!(fate, Fate::Dead(_)));
        self.pause_full(holds);
        if opens {
            // Before a good record has told the time it is that of a bad one's publication; but on the tape's
            // clock, which knows of no publication, the earliest that there is.
            let earliest = if matches!(patience, Patience::Wall { .. }) { record.timestamp } else { Time(0) };
            self.open_breaker(lane, record.offset + 1, earliest);
        }
    }

    /// Shows a good record to the monitor, unless its key is held.
    fn observe(&mut self, one: &Incoming<'_>, event: &Event) -> Result<(), Fault> {
        if let Some(behind) = self.core.blocks(one) {
            return Err(held(behind));
        }
        let observed = self.core.observe(one, event, &mut self.pending.outbox);
        observed.map_err(|error| Fault { reason: Reason::Refused, text: error.to_string(), passing: false })
    }

    /// Takes nothing more of the topics that hold keys while no more can be held.
    fn pause_full(&mut self, may_have_changed: bool) {
        if !may_have_changed {
            return;
        }
        for lane in self.merge.lanes.iter_mut().filter(|lane| !lane.redrive) {
            lane.full = self.core.holds_no_more(&lane.at.topic);
        }
    }

    /// Partitions that must be fetched again from where their lane has them to. `bound` is that of
    /// [`Task::push`].
    pub fn take_refetch(&mut self, bound: usize) -> Vec<TopicPartition> {
        let mut again = std::mem::take(&mut self.refetch);
        for lane in &mut self.merge.lanes {
            if lane.has_room_again(bound) {
                again.push(lane.at.clone());
            }
        }
        again
    }

    /// True if a journal record is due: for a record of its own, an output, a deadline, because there is room
    /// for no more, or because what it carries has waited for `max_carry`.
    pub fn is_due(&mut self, now: Time, max_carry: Duration, budget: Budget) -> bool {
        if self.opens.is_some() {
            return true;
        }
        if self.pending.is_empty() {
            self.carried_since = None;
            return false;
        }
        let since = *self.carried_since.get_or_insert(now);
        self.pending.due || self.is_full(budget) || now >= since + max_carry
    }

    /// Seals the journal record of what is pending.
    pub fn seal(&mut self, instance: &str) -> Sealed {
        let worker = self.core.worker().clone();
        let link = Link {
            worker: &worker,
            partition: self.core.partition(),
            sequence: self.sequence,
            previous: self.previous,
            epoch: self.epoch,
            opens: self.opens.take(),
            instance,
        };
        let (record, bytes, outbox) = self.pending.seal(link);
        self.sequence += 1;
        self.previous = record.hash;
        self.since_snapshot += 1;
        self.carried_since = None;
        let letters = std::mem::take(&mut self.letters);
        self.letter_bytes = 0;
        let oldest = self.oldest.take();
        Sealed { record, journal: bytes, outputs: outbox.records, letters, oldest }
    }

    /// Why an anchor is due, if one is: the task's clock has crossed a multiple of `every` since the last.
    pub fn anchor_due(&mut self, every: Duration) -> &'static str {
        let clock = self.core.clock();
        let before = std::mem::replace(&mut self.anchored, clock);
        if before != Time::MIN && clock.floor_to(every) > before.floor_to(every) { "daily" } else { "" }
    }

    /// A task that was brought back by running records again saves its state within its next rounds, or one that dies
    /// again and again would have more to run each time. Not in the first round, which is waited for, and not all
    /// tasks in one. `rounds` is that of [`Task::snapshot_due`].
    pub fn snapshot_soon(&mut self, rounds: u32) {
        let within = 2 + self.core.partition().unsigned_abs() % 8;
        self.since_snapshot = self.since_snapshot.max(rounds.saturating_sub(within));
    }

    /// True if a snapshot is due: after so many journal records, or so long after the last.
    pub fn snapshot_due(&mut self, now: Time, rounds: u32, every: Duration) -> bool {
        let since = *self.snapshot_at.get_or_insert(now);
        let due = self.since_snapshot >= rounds || now >= since + every;
        if due {
            self.snapshot_at = Some(now);
            self.since_snapshot = 0;
        }
        due
    }

    /// The whole state after the last sealed record. Nothing may be pending.
    pub fn save(&self) -> SavedTask {
        assert!(self.pending.is_empty(), "a snapshot stands between two rounds");
        let lanes = self.merge.lanes.iter().map(|lane| LanePosition {
            topic: lane.at.topic.clone(),
            partition: lane.at.partition,
            position: lane.position,
            merge_time: lane.merge_time,
        });
        // As a replay has them: by topic and partition alone.
        let mut lanes: Vec<LanePosition> = lanes.collect();
        lanes.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        SavedTask { core: self.core.save(), lanes }
    }

    /// The group's positions: a line for each co-partitioned input.
    pub fn offsets(&self) -> impl Iterator<Item = (TopicPartition, i64)> + '_ {
        let own = self.merge.lanes.iter().filter(|lane| !lane.broadcast);
        own.map(|lane| (lane.at.clone(), lane.position))
    }

    /// Of the group's positions those that a round must write: of inputs, always, since they fence it, too; of what
    /// comes back, which is rare, if they moved.
    pub fn moved(&mut self) -> impl Iterator<Item = (TopicPartition, i64)> + '_ {
        let own = self.merge.lanes.iter_mut().filter(|lane| !lane.broadcast);
        own.filter_map(|lane| {
            let before = lane.written.replace(lane.position);
            (!lane.redrive || before != Some(lane.position)).then(|| (lane.at.clone(), lane.position))
        })
    }
}

/// A good record is not taken before the dead letter of its key.
fn held(behind: i64) -> Fault {
    let text = format!("its key is held behind the dead letter of offset {behind}: it comes back after that");
    Fault { reason: Reason::HeldBehind, text, passing: false }
}

/// A sealed round of one task.
#[derive(Debug)]
pub struct Sealed {
    /// The journal record.
    pub record: JournalRecord,
    /// The journal record's bytes.
    pub journal: Vec<u8>,
    /// The outputs with their event times, which never decrease.
    pub outputs: Vec<(Time, OutRecord)>,
    /// The dead letters.
    pub letters: Vec<OutRecord>,
    /// Publication time of the oldest record taken, if one was.
    pub oldest: Option<Time>,
}
