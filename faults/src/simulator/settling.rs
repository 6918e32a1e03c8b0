//! After all heals: the workers come to the end of their inputs, within a bound.

use std::collections::BTreeMap;
use std::time::Duration;

use tapewatch_consumers::Worker;
use tapewatch_consumers::redrive::{Filter, Request};
use tapewatch_eventlog::{LogError, TopicPartition};
use tapewatch_schemas::Reason;
use tapewatch_schemas::catalogue::{self, HEARTBEATS, Partitions};

use super::finding::Finding;
use super::world::{FIRST, World};

/// Turns of each process between two looks.
const TURNS: usize = 4;
/// So often all dead letters are sent back before what is wrong is given up each time; until then every other time.
const PATIENT: u64 = 8;
/// So often someone who sends letters back may be cut off at it.
const CUT_OFF: u64 = 40;
/// So much time may pass until all is taken: more than every session, wait and idle time together.
const PATIENCE: Duration = Duration::from_secs(60);

impl World<'_> {
    /// Faults end, and what is left of the input comes: first the whole input is taken by who reads it, then
    /// everything else.
    pub(super) fn settle(&mut self) -> Result<(), LogError> {
        self.heal();
        self.move_once();
        if self.scenario.tape {
            while self.supply.given < self.scenario.slices {
                let slice = self.supply.next(self.clockwork.wall());
                self.feed(slice)?;
            }
            let last = self.supply.good(self.clockwork.wall(), true);
            self.feed(last)?;
        } else {
            self.good_seconds(10)?;
            self.run_until_taken(FIRST, true)?;
            // Clocks that were ahead were right before their time: it comes.
            self.clockwork.pass(self.clockwork.behind() + Duration::from_secs(1));
            self.good_seconds(10)?;
        }
        for worker in 0..self.scenario.instances.len() {
            if self.scenario.returns > 0 && self.found.is_empty() {
                self.give_back(worker)?;
            }
            self.run_until_taken(worker, false)?;
            for index in 0..self.instances.len() {
                if self.instances[index].worker == worker && self.found.is_empty() {
                    self.stop(index);
                }
            }
        }
        Ok(())
    }

    /// In every seed partitions move: where none has yet, the process that has one dies and is gone for longer than its
    /// session.
    fn move_once(&mut self) {
        for _ in 0..100 {
            if self.tally.moved > 0 || !self.found.is_empty() {
                return;
            }
            let Some(owner) = self.owners.get(&(FIRST, 0)).copied() else {
                self.turns(TURNS);
                self.clockwork.pass(Duration::from_millis(100));
                continue;
            };
            self.kill(owner);
            self.clockwork.pass(self.instances[owner].plan.runtime.session);
            for _ in 0..20 {
                self.clockwork.pass(Duration::from_millis(100));
                (0..self.instances.len()).filter(|index| *index != owner).for_each(|index| {
                    self.turn(index);
                });
            }
        }
    }

    /// Every dead letter of a worker comes back, until none is left: as it is, and then given up for what is wrong with
    /// it. Behind each bad record of a key the rest of it waits for another time, so there are as many times as bad
    /// records.
    fn give_back(&mut self, worker: usize) -> Result<(), LogError> {
        let most = PATIENT + CUT_OFF + self.supply.spoilt.bad;
        for time in 0..most {
            self.run_until_taken(worker, false)?;
            // What is taken is written soon.
            for _ in 0..10 {
                self.turns(TURNS);
                self.clockwork.pass(Duration::from_millis(100));
            }
            let left = self.letters_left(worker)?;
            if left.is_empty() || !self.found.is_empty() {
                return self.nothing_is_held(worker);
            }
            let given_up = time >= PATIENT || time % 2 == 1;
            if given_up {
                self.release_skipped(worker)?;
            }
            for (all, reasons) in left {
                for reason in reasons.into_iter().filter(|reason| given_up && *reason != Reason::HeldBehind) {
                    let filter = Filter { reason: Some(reason), ..all.filter.clone() };
                    self.send_back(&Request { filter, discard: true, ..all.clone() });
                }
                self.send_back(&all);
            }
        }
        let text = format!("dead letters are left after all were sent back {most} times");
        self.found.push(Finding::Stuck(text));
        Ok(())
    }

    /// All letters have come back: none holds a key.
    fn nothing_is_held(&mut self, worker: usize) -> Result<(), LogError> {
        self.release_skipped(worker)?;
        let of = self.instances.iter().filter(|instance| instance.worker == worker);
        let running = of.filter_map(|instance| instance.worker());
        for task in running.flat_map(Worker::tasks) {
            let (held, number) = (task.core.held_keys(), task.core.partition());
            if held > 0 && self.found.is_empty() {
                let worker = task.core.worker();
                let text = format!("{worker}/{number} holds {held} keys, and no letter of them is left");
                self.found.push(Finding::Stuck(text));
            }
        }
        Ok(())
    }

    /// What came back and was skipped is waited for until someone gives it up.
    fn release_skipped(&mut self, worker: usize) -> Result<(), LogError> {
        if self.desk.skipped_back && worker == FIRST {
            for (topic, key) in self.desk.holdable() {
                self.run_until_taken(FIRST, false)?;
                self.release_key(topic, key);
            }
            self.run_until_taken(FIRST, false)?;
        }
        Ok(())
    }

    /// Some seconds with a good slice in each, so that breakers close.
    fn good_seconds(&mut self, seconds: u64) -> Result<(), LogError> {
        for _ in 0..seconds {
            let slice = self.supply.good(self.clockwork.wall(), false);
            self.feed(slice)?;
            for _ in 0..5 {
                self.turns(TURNS);
                self.clockwork.pass(Duration::from_millis(200));
            }
        }
        Ok(())
    }

    /// Turns until a worker has taken all that there is.
    fn run_until_taken(&mut self, worker: usize, first: bool) -> Result<(), LogError> {
        let deadline = self.clockwork.elapsed() + PATIENCE;
        while self.found.is_empty() {
            let busy = self.turns(TURNS);
            self.clockwork.pass(Duration::from_millis(if busy { 2 } else { 100 }));
            let Some(left) = self.left_to(worker, first)? else { return Ok(()) };
            // A breaker near the end of a quiet topic waits for more good records than there will be: a person
            // who looks at it closes it.
            if !first && self.clockwork.elapsed() + PATIENCE / 2 > deadline {
                (0..self.instances.len()).for_each(|index| self.resume_breaker(index));
            }
            if self.clockwork.elapsed() > deadline {
                let when = if first { "with the clocks as they are" } else { "at the end" };
                let text = format!("{when}, {PATIENCE:?} later: {left}");
                self.trace.line(format_args!("{text}"));
                self.found.push(Finding::Stuck(text));
            }
        }
        Ok(())
    }

    fn turns(&mut self, count: usize) -> bool {
        let mut busy = false;
        self.revive();
        for _ in 0..count {
            for index in 0..self.instances.len() {
                if self.found.is_empty() && self.instances[index].is_up() {
                    busy |= self.turn(index);
                }
            }
        }
        busy
    }

    /// What a worker has not taken yet; none if that is nothing.
    fn left_to(&self, worker: usize, first: bool) -> Result<Option<String>, LogError> {
        let of = self.instances.iter().find(|instance| instance.worker == worker);
        let name = of.map_or("", |instance| instance.plan.worker.as_str());
        let cut = catalogue::worker(name).map_or(Partitions::Own(0), catalogue::Worker::tasks);
        let running = self.instances.iter().filter(|instance| instance.worker == worker);
        let tasks: Vec<_> = running.filter_map(|one| one.worker()).flat_map(Worker::tasks).collect();
        let mut ends: BTreeMap<TopicPartition, i64> = BTreeMap::new();
        for number in 0..cut.count(self.scenario.partitions) as i32 {
            let Some(task) = tasks.iter().find(|task| task.core.partition() == number) else {
                return Ok(Some(format!("{name}/{number} runs nowhere")));
            };
            // As many keys are held as may be: nothing more of their topics is taken until letters come back.
            let full = self.scenario.returns > 0 && task.merge.lanes.iter().any(|lane| lane.full);
            for lane in &task.merge.lanes {
                if full && lane.full {
                    continue;
                }
                // Under the wall's clock heartbeats never end.
                if !self.scenario.tape && lane.at.topic.as_str() == HEARTBEATS {
                    continue;
                }
                let end = match ends.get(&lane.at) {
                    Some(end) => *end,
                    None => *ends.entry(lane.at.clone()).or_insert(self.log.bounds(&lane.at)?.end),
                };
                // A breaker waits on its task's clock, which stands where clocks were once ahead.
                if lane.position < end && !(first && lane.down) {
                    let empty = task.merge.lanes.iter().filter(|lane| lane.queued() == 0);
                    let empty: Vec<String> = empty.map(|lane| lane.at.to_string()).collect();
                    return Ok(Some(format!(
                        "{name}/{number} stands at offset {} of {}, which ends at {end} ({} wait; its breaker is {}); \
                         nothing is there of {}",
                        lane.position,
                        lane.at,
                        lane.queued(),
                        if lane.down { "open" } else { "closed" },
                        empty.join(", ")
                    )));
                }
            }
            if !task.pending.is_empty() && self.scenario.tape {
                return Ok(Some(format!("{name}/{number} has not written what it has taken")));
            }
            if self.scenario.tape && !task.core.is_closed() && !full {
                return Ok(Some(format!("{name}/{number} does not see that the tape has ended")));
            }
        }
        Ok(None)
    }
}
