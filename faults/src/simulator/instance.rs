//! One process of a worker: it runs, dies, comes back, and may have a double that does not know that it is
//! over.

use std::sync::Arc;
use std::time::Duration;

use tapewatch_consumers::plan::WorkerPlan;
use tapewatch_consumers::stage::StageCell;
use tapewatch_consumers::worker::{SkipError, Turn};
use tapewatch_consumers::{Hosting, Worker, WorkerError};
use tapewatch_eventlog::faults::{FaultyLog, Plan};
use tapewatch_eventlog::{Log, TopicPartition};

use super::finding::Finding;
use super::time::{Clockwork, Host};
use super::trace::Trace;

/// One process.
pub(super) struct Instance {
    pub(super) plan: WorkerPlan,
    /// Which worker, in the pipeline's order.
    pub(super) worker: usize,
    pub(super) faults: Arc<Plan>,
    pub(super) host: Arc<Host>,
    /// It gets no turn before this.
    pub(super) held_until: Duration,
    log: Arc<dyn Log>,
    answered_after: u32,
    running: Option<Worker>,
    /// A process of the same name that was thought to be dead.
    double: Option<Worker>,
    /// There was one, and it may have taken the name back.
    doubled: bool,
}

impl Instance {
    pub(super) fn new(
        (worker, plan): (usize, WorkerPlan),
        log: &Arc<dyn Log>,
        faults: Plan,
        clockwork: &Arc<Clockwork>,
        answered_after: u32,
    ) -> Self {
        let faults = Arc::new(faults);
        let log: Arc<dyn Log> = Arc::new(FaultyLog::new(Arc::clone(log), Arc::clone(&faults)));
        Self {
            plan,
            worker,
            faults,
            host: Arc::new(Host::new(clockwork)),
            held_until: Duration::ZERO,
            log,
            answered_after,
            running: None,
            double: None,
            doubled: false,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.running.is_some()
    }

    pub(super) fn worker(&self) -> Option<&Worker> {
        self.running.as_ref()
    }

    pub(super) fn worker_mut(&mut self) -> Option<&mut Worker> {
        self.running.as_mut()
    }

    /// Joins. Whoever has the name already goes on, not knowing.
    pub(super) fn start(&mut self, trace: &mut Trace) -> Option<Finding> {
        if self.faults.crashed() {
            self.faults.revive();
            self.double = None;
        }
        let time = Arc::clone(&self.host);
        let hosting = Hosting { time, answered_after: Some(self.answered_after) };
        match Worker::join_hosted(self.plan.clone(), Arc::clone(&self.log), StageCell::default(), hosting) {
            Ok(worker) => {
                trace.line(format_args!("{} joins", self.plan.instance));
                self.double = self.running.replace(worker).or(self.double.take());
                self.doubled = self.double.is_some();
                None
            }
            Err(error) => self.ended(&error, trace),
        }
    }

    /// Dies without a word, its double too: the machine went away.
    pub(super) fn kill(&mut self, trace: &mut Trace) {
        trace.line(format_args!("{} is killed", self.plan.instance));
        (self.running, self.double) = (None, None);
    }

    /// Stops as it is asked to.
    pub(super) fn stop(&mut self, trace: &mut Trace) -> Option<Finding> {
        self.double = None;
        let stopped = self.running.take()?.stop();
        trace.line(format_args!("{} stops", self.plan.instance));
        stopped.err().and_then(|error| self.ended(&error, trace))
    }

    /// A turn of the process, and one of its double.
    pub(super) fn turn(&mut self, trace: &mut Trace) -> (Turn, Option<Finding>) {
        let mut found = None;
        if let Some(mut double) = self.double.take() {
            match double.turn(Duration::ZERO) {
                Ok(_) if !double.is_fenced() => self.double = Some(double),
                Ok(_) => trace.line(format_args!("{}: its double is fenced", self.plan.instance)),
                Err(error) => found = self.ended(&error, trace),
            }
        }
        let Some(worker) = self.running.as_mut() else { return (Turn::Idle, found) };
        match worker.turn(Duration::ZERO) {
            Ok(turn) if worker.fenced_by().is_none() => {
                trace.line(format_args!("{} {turn:?}", self.plan.instance));
                (turn, found)
            }
            Ok(turn) => (turn, found.or(self.leave(trace))),
            Err(error) => {
                self.running = None;
                (Turn::Busy, found.or(self.ended(&error, trace)))
            }
        }
    }

    /// Someone skips what stands before an open breaker.
    pub(super) fn skip(&mut self, at: &TopicPartition, trace: &mut Trace) -> Option<Finding> {
        let worker = self.running.as_mut()?;
        let done = worker.skip_breaker(at, None, "operator", "it is junk");
        let fenced = worker.is_fenced();
        trace.line(format_args!("{}: someone skips what stands before {at}: {done:?}", self.plan.instance));
        match done {
            _ if fenced => self.leave(trace),
            Err(SkipError::Worker(error)) => {
                self.running = None;
                self.ended(&error, trace)
            }
            Err(SkipError::Feed(error)) if !error.to_string().contains("injected") => {
                let (instance, why) = (self.plan.instance.clone(), error.to_string());
                Some(Finding::Stopped { instance, why })
            }
            _ => None,
        }
    }

    /// Its name is another's: it leaves before anything of it is opened anew, as its process does.
    fn leave(&mut self, trace: &mut Trace) -> Option<Finding> {
        trace.line(format_args!("{} is fenced", self.plan.instance));
        let error = self.running.take().map(Worker::stop).and_then(Result::err);
        error.and_then(|error| self.ended(&error, trace))
    }

    /// A membership is over. A finding, unless it is for a reason that was made here.
    fn ended(&self, error: &WorkerError, trace: &mut Trace) -> Option<Finding> {
        let why = error.to_string();
        trace.line(format_args!("{} ends: {why}", self.plan.instance));
        let made = why.contains("injected") || (self.doubled && why.contains("has taken its place"));
        (!made).then(|| Finding::Stopped { instance: self.plan.instance.clone(), why })
    }
}
