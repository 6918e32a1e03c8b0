//! A simulated world: one log, one time, and processes that come and go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tapewatch_consumers::Worker;
use tapewatch_consumers::seek::{self, Request, SeekError, Target};
use tapewatch_consumers::worker::Turn;
use tapewatch_eventlog::faults::{Fault, Op, Plan, Rates};
use tapewatch_eventlog::{Log, LogError, OpenOptions, Round, TopicPartition, Writer, open};
use tapewatch_schemas::catalogue::EXEC_REPORTS;

use super::desk::Desk;
use super::finding::Finding;
use super::instance::Instance;
use super::outcome::Tally;
use super::random::Random;
use super::scenario::Scenario;
use super::stock::Variant;
use super::supply::Supply;
use super::time::Clockwork;
use super::trace::Trace;

/// The first worker of the pipeline; the others read what it writes.
pub(super) const FIRST: usize = 0;
const HOUR: i64 = 3_600_000_000;

/// A simulated world.
pub(super) struct World<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) log: Arc<dyn Log>,
    pub(super) clockwork: Arc<Clockwork>,
    pub(super) instances: Vec<Instance>,
    pub(super) supply: Supply,
    pub(super) trace: Trace,
    pub(super) tally: Tally,
    pub(super) found: Vec<Finding>,
    pub(super) desk: Desk,
    feeder: Box<dyn Writer>,
    random: Random,
    /// Which instance had a task last, by worker and task.
    pub(super) owners: BTreeMap<(usize, i32), usize>,
}

/// A log in memory on which one thread does all.
pub(super) fn fresh_log(
    scenario: &Scenario,
    variant: &Variant,
    clockwork: &Arc<Clockwork>,
) -> Result<Arc<dyn Log>, LogError> {
    let options = OpenOptions {
        clock: clockwork.log_clock(),
        writer_thread: false,
        batch_records: scenario.batch_records,
        ..OpenOptions::default()
    };
    let log = open("sqlite::memory:", &options)?;
    log.create(&variant.topics)?;
    Ok(log)
}

impl<'a> World<'a> {
    /// A world at its beginning: nothing runs.
    pub(super) fn new(scenario: &'a Scenario, variant: &Variant, trace: Trace) -> Result<Self, LogError> {
        let clockwork = Arc::new(Clockwork::default());
        let log = fresh_log(scenario, variant, &clockwork)?;
        let mut random = Random::of(scenario.seed, "world");
        let mut instances = Vec::new();
        for (worker, count) in scenario.instances.into_iter().enumerate() {
            for number in 0..count {
                let name = &variant.worker(worker).worker;
                let plan = variant.plan(worker, &format!("{name}-{number}"), scenario);
                let faults = Plan::seeded(random.next(), scenario.rates);
                let after = scenario.answered_after;
                instances.push(Instance::new((worker, plan), &log, faults, &clockwork, after));
            }
        }
        let codec = &variant.worker(FIRST).inspector.codec;
        let supply = Supply::new(scenario, &*log, codec)?;
        let feeder = log.writer("supply")?;
        let (tally, found) = (Tally::default(), Vec::new());
        let desk = Desk::new(scenario, &log, &variant.worker(FIRST).blueprint.hold.topics);
        let owners = BTreeMap::new();
        Ok(Self {
            scenario,
            log,
            clockwork,
            instances,
            supply,
            trace,
            tally,
            found,
            desk,
            feeder,
            random,
            owners,
        })
    }

    /// Everything that happens before all heals.
    pub(super) fn live(&mut self) -> Result<(), LogError> {
        let steps = self.scenario.steps;
        for step in 0..steps {
            self.pass_time();
            if self.supply.given * steps < step * self.scenario.slices {
                let slice = self.supply.next(self.clockwork.wall());
                self.feed(slice)?;
            }
            self.happen(step)?;
            if !self.found.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Writes a slice.
    pub(super) fn feed(&mut self, slice: Round) -> Result<(), LogError> {
        self.trace.line(format_args!("{} records come", slice.records.len()));
        self.tally.records += slice.records.len() as u64;
        self.feeder.commit(&slice, None).map(drop).map_err(|error| LogError::Backend {
            log: self.log.address().to_owned(),
            doing: "writing a slice".to_owned(),
            why: error.to_string(),
        })
    }

    fn pass_time(&mut self) {
        let millis = match self.random.below(1_000) {
            0..850 => self.random.below(15),
            850..985 => self.random.within(15, 200),
            985..998 => self.random.within(500, 3_000),
            _ => self.random.within(6_500, 20_000),
        };
        self.clockwork.pass(Duration::from_millis(millis));
    }

    /// One thing happens. What every seed must have has its step.
    fn happen(&mut self, step: u64) -> Result<(), LogError> {
        let at = |part: u64| self.scenario.steps * part / 100;
        let index = self.random.below(self.instances.len() as u64) as usize;
        if step == 0 {
            self.each_worker_starts();
            return Ok(());
        }
        if step == at(20) {
            // Another joins: partitions move.
            self.start(1);
        } else if step == at(30) || step == at(60) {
            let fault = *self.random.pick(&[
                Fault::UnknownWritten,
                Fault::UnknownNotWritten,
                Fault::UnknownWrittenLate,
            ]);
            self.instances.iter().for_each(|instance| instance.faults.inject(Op::Commit, fault));
        } else if step == at(40) {
            // One that runs: in every seed there is a crash.
            let running = self.instances.iter().position(|one| one.worker == FIRST && one.is_up());
            if running.is_none() {
                self.start(FIRST);
            }
            self.kill(running.unwrap_or(FIRST));
        } else if step == at(50) {
            self.stop(1);
        } else if step == at(70) && !self.scenario.no_seek {
            self.seek()?;
        } else if self.desk.chance(self.scenario.returns) {
            if self.desk.chance(2_000) { self.skip_breaker(index) } else { self.send_some_back() }
        } else if self.random.chance(self.scenario.deaths) {
            self.kill(index);
        } else if self.random.chance(self.scenario.stops) {
            self.stop(index);
        } else if self.random.chance(self.scenario.holds) {
            self.hold(index);
        } else if self.random.chance(self.scenario.doubles) && self.instances[index].is_up() {
            self.tally.doubles += 1;
            self.start(index);
        } else if self.scenario.jumps && self.random.chance(60) {
            self.jump(index);
        } else if self.random.chance(40) {
            self.resume_breaker(index);
        } else if !self.instances[index].is_up() {
            if self.random.chance(1_500) {
                self.start(index);
            }
        } else {
            self.turn(index);
        }
        Ok(())
    }

    fn each_worker_starts(&mut self) {
        for index in 0..self.instances.len() {
            let first = index == 0 || self.instances[index].worker != self.instances[index - 1].worker;
            if first {
                self.start(index);
            }
        }
    }

    pub(super) fn start(&mut self, index: usize) {
        self.tally.joins += 1;
        let found = self.instances[index].start(&mut self.trace);
        self.found.extend(found);
    }

    pub(super) fn kill(&mut self, index: usize) {
        self.tally.deaths += u64::from(self.instances[index].is_up());
        self.instances[index].kill(&mut self.trace);
    }

    pub(super) fn stop(&mut self, index: usize) {
        let found = self.instances[index].stop(&mut self.trace);
        self.found.extend(found);
    }

    /// A turn of a process, unless it is held. True if it did something.
    pub(super) fn turn(&mut self, index: usize) -> bool {
        let instance = &mut self.instances[index];
        if self.clockwork.elapsed() < instance.held_until {
            return false;
        }
        let (turn, found) = instance.turn(&mut self.trace);
        self.found.extend(found);
        let (worker, running) = (instance.worker, instance.worker());
        for task in running.into_iter().flat_map(Worker::tasks) {
            let before = self.owners.insert((worker, task.core.partition()), index);
            self.tally.moved += u64::from(before.is_some_and(|before| before != index));
        }
        turn == Turn::Busy
    }

    /// It gets no turns for a while, which may be longer than its session.
    fn hold(&mut self, index: usize) {
        let span = Duration::from_millis(self.random.within(100, 15_000));
        self.instances[index].held_until = self.clockwork.elapsed() + span;
        self.tally.holds += 1;
        self.trace.line(format_args!("{} is held for {span:?}", self.instances[index].plan.instance));
    }

    /// Clocks jump by up to an hour: that of one host, until it is set right, or all of them.
    fn jump(&mut self, index: usize) {
        let by = self.random.below(2 * HOUR as u64) as i64 - HOUR;
        self.tally.jumps += 1;
        let by = match self.random.below(4) {
            0 => {
                self.clockwork.set_all(by);
                self.trace.line(format_args!("every clock is set by {by} us"));
                return;
            }
            1 | 2 => 0,
            _ => by,
        };
        self.instances[index].host.set_off(by);
        self.trace.line(format_args!("the clock of {} is {by} us off", self.instances[index].plan.instance));
    }

    pub(super) fn resume_breaker(&mut self, index: usize) {
        let Some(worker) = self.instances[index].worker_mut() else { return };
        let Some(at) = worker.tasks().flat_map(|task| task.core.open_breakers()).next() else { return };
        worker.resume_breaker(&at, "operator", "it looks well");
        self.tally.resumed += 1;
        self.trace.line(format_args!("someone closes the breaker of {at}"));
    }

    /// All of the first worker's processes are stopped, and someone moves a position.
    fn seek(&mut self) -> Result<(), LogError> {
        for index in 0..self.instances.len() {
            if self.instances[index].worker == FIRST {
                self.kill(index);
            }
        }
        let plan = self.instances[FIRST].plan.clone();
        self.clockwork.pass(plan.runtime.session * 2);
        let partition = self.random.below(self.scenario.partitions.into()) as i32;
        let at = TopicPartition::new(EXEC_REPORTS, partition);
        let end = self.log.bounds(&at)?.end;
        let to = self.random.below(end as u64 + 1) as i64;
        let request =
            Request { at, target: Target::Offset(to), who: "operator".into(), why: "a test".into() };
        let done = seek::seek(&plan, &self.log, &request);
        self.tally.seeks += 1;
        self.trace.line(format_args!("seek to {to}: {done:?}"));
        match done {
            Ok(_) | Err(SeekError::Backwards { .. }) => {}
            // Whose beats are from a time to come is waited for, and while a tool waits no time passes here.
            Err(SeekError::Held { .. }) if self.scenario.jumps => {}
            Err(error) => self.found.push(Finding::Failed(format!("seek to {to}: {error}"))),
        }
        Ok(())
    }

    /// No fault any more, every process runs, and every clock is as the others are.
    pub(super) fn heal(&mut self) {
        self.trace.line(format_args!("all heals"));
        for index in 0..self.instances.len() {
            let instance = &mut self.instances[index];
            instance.faults.set_rates(Rates::default());
            instance.held_until = Duration::ZERO;
            instance.host.set_off(0);
            if !instance.is_up() {
                self.start(index);
            }
        }
    }

    /// A process that ended for what was still to happen to it comes again.
    pub(super) fn revive(&mut self) {
        for index in 0..self.instances.len() {
            if !self.instances[index].is_up() {
                self.start(index);
            }
        }
    }
}
