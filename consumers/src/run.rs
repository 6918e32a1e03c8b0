//! A worker as a process runs it: the only entry point of every worker program.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use prometheus::Registry;
use tapewatch_config::Settings;
use tapewatch_eventlog::{CommitError, Log, LogError};
use tapewatch_schemas::catalogue;

use crate::admin::Admin;
use crate::board::{Before, Board, BreakerRequest, Status};
use crate::metrics::{Metrics, Tally};
use crate::occurrences::{AdminListens, BreakerResumed, Interrupted, Joined, ShortRetention, Started};
use crate::plan::WorkerPlan;
use crate::restore::RestoreError;
use crate::shutdown::Shutdown;
use crate::stage::Stage;
use crate::topic_watch::TopicWatch;
use crate::worker::{SkipError, Turn, Worker, WorkerError, wall};
use crate::{topics, workers};

/// How often the board and the gauges are brought up to date.
const NOTE_EVERY: Duration = Duration::from_millis(200);
/// How often partition counts are looked at.
const TOPICS_EVERY: Duration = Duration::from_secs(10);
/// A turn with nothing to do waits at most so long.
const WAIT: Duration = Duration::from_millis(5);

/// What a worker is given.
pub struct Deps {
    /// Its name, one of [`workers::NAMES`].
    pub worker: &'static str,
    /// The settings.
    pub settings: Arc<Settings>,
    /// The log.
    pub log: Arc<dyn Log>,
    /// Where its metrics are registered; a registry takes each worker once.
    pub registry: Registry,
    /// Whether topics that are missing may be made.
    pub create_topics: bool,
    /// Told where the admin endpoint listens.
    pub announce: Option<Announce>,
}

/// Told where the admin endpoint listens.
pub type Announce = Box<dyn FnOnce(SocketAddr) + Send>;

/// Runs a worker until `shutdown` is requested; it then finishes its round, commits and leaves its group.
/// Blocks the calling thread.
///
/// A worker that was fenced, or that lost a log it once had, leaves its group and joins it again, a bounded
/// number of times in a row.
///
/// # Errors
/// What stopped the worker. What it had computed and not committed is computed again at the next start.
///
/// # Panics
/// If the registry has the metrics of this worker already.
pub fn run(deps: Deps, shutdown: &Shutdown) -> Result<(), WorkerError> {
    let began = Instant::now();
    let Deps { worker, settings, log, registry, create_topics, announce } = deps;
    let metrics = Metrics::register(&registry, worker).expect("a registry takes each worker once");
    if workers::wanted(&settings).all(|wanted| wanted != worker) {
        tracing::warn!(worker, "nothing to do: the settings have no [[firm.scopes]]");
    }
    topics::prepare(&settings, &*log, create_topics)?;
    let counts = topics::of_worker(worker, &*log)?;
    warn_of_short_retention(worker, &settings);
    let instance = workers::instance(&settings, worker);
    let plan = workers::plan(worker, &settings, &*log, &instance)?;
    let (board, requests) = Board::new(known(&plan));
    let board = Arc::new(board);
    let exposed = settings.telemetry.metrics.then_some(registry);
    let _admin = match &plan.runtime.admin {
        Some(address) => Some(listen(address, &plan, &board, exposed, announce)?),
        None => None,
    };
    let watch = TopicWatch::start(Arc::clone(&log), counts, TOPICS_EVERY)
        .map_err(|why| WorkerError::Thread { worker: worker.to_owned(), why })?;
    let mut process =
        Process { plan, log, metrics, board, requests, watch, began, started: false, wrote: Arc::default() };
    process.serve(shutdown)
}

fn known(plan: &WorkerPlan) -> Status {
    Status {
        worker: plan.worker.to_string(),
        instance: plan.instance.clone(),
        group: plan.group.clone(),
        configuration: plan.epoch.configuration.clone(),
        code: plan.epoch.code.clone(),
        clock: if plan.runtime.tape_clock { "tape" } else { "wall" },
        ..Status::default()
    }
}

fn listen(
    address: &str,
    plan: &WorkerPlan,
    board: &Arc<Board>,
    registry: Option<Registry>,
    announce: Option<Announce>,
) -> Result<Admin, WorkerError> {
    let admin = Admin::listen(address, Arc::clone(board), registry).map_err(|why| {
        let (worker, address) = (plan.worker.to_string(), address.to_owned());
        WorkerError::Admin { worker, address, why }
    })?;
    AdminListens { worker: plan.worker.as_str(), address: admin.address() }.emit();
    if let Some(announce) = announce {
        announce(admin.address());
    }
    Ok(admin)
}

fn warn_of_short_retention(worker: &str, settings: &Settings) {
    let listed = catalogue::worker(worker).expect("the catalogue lists every worker");
    let anchors = settings.runtime.anchor_every;
    for spec in workers::topic_specs(settings) {
        let topic = spec.name.as_str();
        if let Some(kept) = spec.retention.filter(|kept| *kept < anchors)
            && listed.reads().any(|input| input == topic)
        {
            ShortRetention { worker, topic, kept, anchors }.emit();
        }
    }
}

/// Why a membership ended without a failure of the worker.
enum Ended {
    /// It was asked to.
    Asked,
    /// Another instance, or a newer membership, took over.
    Fenced(CommitError),
}

/// A worker's process, across its memberships.
struct Process {
    plan: WorkerPlan,
    log: Arc<dyn Log>,
    metrics: Metrics,
    board: Arc<Board>,
    requests: Receiver<BreakerRequest>,
    watch: TopicWatch,
    began: Instant,
    started: bool,
    /// Whether the present membership has written a round.
    wrote: Arc<AtomicBool>,
}

impl Process {
    fn serve(&mut self, shutdown: &Shutdown) -> Result<(), WorkerError> {
        let mut again = Again::default();
        loop {
            let joined = Instant::now();
            let ended = self.membership(shutdown);
            self.board.stage.set(Stage::Joining);
            self.board.forget(&self.metrics);
            let error = match ended {
                Ok(()) => return Ok(()),
                Err(error) if shutdown.is_requested() || !self.is_passing(&error) => return Err(error),
                Err(error) => error,
            };
            let good = self.wrote.swap(false, Ordering::SeqCst);
            let Some(again_in) = again.after(joined.elapsed(), good) else { return Err(error) };
            Interrupted { worker: self.plan.worker.as_str(), why: &error, again_in }.emit(&self.metrics);
            let until = Instant::now() + again_in;
            while Instant::now() < until {
                if shutdown.is_requested() {
                    return Ok(());
                }
                thread::sleep(WAIT);
            }
        }
    }

    /// One membership: joins, turns, leaves.
    fn membership(&mut self, shutdown: &Shutdown) -> Result<(), WorkerError> {
        let stage = self.board.stage.clone();
        let mut worker = Worker::join_seen(self.plan.clone(), Arc::clone(&self.log), stage)?;
        let (name, instance, group) = (self.plan.worker.as_str(), &self.plan.instance, &self.plan.group);
        Joined { worker: name, instance, group }.emit(&self.metrics);
        let (board, mut tally) = (Arc::clone(&self.board), Tally::new(self.metrics.clone()));
        let wrote = Arc::clone(&self.wrote);
        worker.observe(Box::new(move |acknowledged| {
            wrote.store(true, Ordering::SeqCst);
            tally.count(acknowledged, wall());
            board.acknowledged(acknowledged);
        }));
        match self.turns(&mut worker, shutdown)? {
            Ended::Asked => worker.stop(),
            Ended::Fenced(why) => {
                // It leaves before anything of it is opened anew: a fenced writer must not come back by
                // fencing the one that fenced it.
                worker.stop()?;
                Err(WorkerError::Fenced { worker: self.plan.worker.to_string(), why })
            }
        }
    }

    fn turns(&mut self, worker: &mut Worker, shutdown: &Shutdown) -> Result<Ended, WorkerError> {
        let mut noted = Instant::now();
        let mut wait = Duration::ZERO;
        while !shutdown.is_requested() {
            if let Some(why) = worker.fenced_by() {
                return Ok(Ended::Fenced(why.clone()));
            }
            if let Some(problem) = self.watch.problem() {
                return Err(problem.into());
            }
            wait = match worker.turn(wait)? {
                Turn::Busy => Duration::ZERO,
                Turn::Idle => WAIT,
            };
            self.board.turned();
            self.heed(worker)?;
            let first = !self.started && self.board.stage.get() == Stage::Running;
            if first || noted.elapsed() >= NOTE_EVERY {
                noted = Instant::now();
                self.board.note(worker, &self.metrics, self.plan.runtime.tape_clock);
            }
            if first {
                self.started = true;
                let (name, tasks) = (self.plan.worker.as_str(), worker.tasks().count());
                Started { worker: name, tasks, took: self.began.elapsed() }.emit(&self.metrics);
            }
        }
        Ok(Ended::Asked)
    }

    /// Does what people have asked for. It answers once that is journalled.
    fn heed(&mut self, worker: &mut Worker) -> Result<(), WorkerError> {
        while let Ok(asked) = self.requests.try_recv() {
            let BreakerRequest { at, before, who, why, done } = asked;
            let skipped = match before {
                Before::ReadAgain => worker.resume_breaker(&at, &who, &why).then_some(0),
                Before::Skipped(to) => match worker.skip_breaker(&at, to, &who, &why) {
                    Ok(skipped) => skipped,
                    Err(SkipError::Worker(error)) => return Err(error),
                    // The worker goes on: its breaker is open on what could not be read.
                    Err(error) => {
                        let _ = done.send(Err(error.to_string()));
                        continue;
                    }
                },
            };
            let name = self.plan.worker.as_str();
            BreakerResumed { worker: name, at: &at, who: &who, why: &why, skipped }.emit(&self.metrics);
            if skipped.is_some() {
                worker.flush()?;
                if let Some(why) = worker.fenced_by() {
                    let _ =
                        done.send(Err(format!("it is not journalled, another instance took over: {why}")));
                    continue;
                }
            }
            // Whoever asked may have gone.
            let _ = done.send(Ok(skipped));
        }
        Ok(())
    }

    /// True for what may be over soon: a fence, or a log that was there and does not answer now. At the
    /// first start a log that is not there is an error.
    fn is_passing(&self, error: &WorkerError) -> bool {
        let away = |error: &LogError| {
            self.started && matches!(error, LogError::Unreachable { .. } | LogError::Busy { .. })
        };
        match error {
            WorkerError::Fenced { .. } | WorkerError::Log(LogError::Orphaned { .. }) => true,
            WorkerError::Log(error)
            | WorkerError::Restore(RestoreError::Log(error))
            | WorkerError::Failing {
                why: CommitError::Aborted(error) | CommitError::Unknown(error), ..
            } => away(error),
            _ => false,
        }
    }
}

/// How long to wait before joining again: 100 ms, twice as long each time, 10 s at most, ten times in a row.
#[derive(Debug, Default)]
struct Again {
    tries: u32,
}

impl Again {
    const TRIES: u32 = 10;
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(10);
    /// A membership that lasted so long, or that has written, was a good one: the count begins anew. Brokers that go
    /// and come, one after another, are no reason to give up.
    const GOOD: Duration = Duration::from_secs(60);

    fn after(&mut self, lasted: Duration, wrote: bool) -> Option<Duration> {
        if lasted >= Self::GOOD || wrote {
            self.tries = 0;
        }
        let wait = Self::FIRST.saturating_mul(1 << self.tries.min(16)).min(Self::LONGEST);
        self.tries += 1;
        (self.tries <= Self::TRIES).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_again_is_bounded_and_begins_anew_after_a_good_while() {
        let mut again = Again::default();
        let waits: Vec<_> = std::iter::from_fn(|| again.after(Duration::ZERO, false)).take(100).collect();
        assert_eq!(waits.len(), 10);
        assert_eq!((waits[0], waits[9]), (Duration::from_millis(100), Duration::from_secs(10)));
        assert_eq!(again.after(Duration::from_secs(61), false), Some(Duration::from_millis(100)));
        assert_eq!(again.after(Duration::ZERO, false), Some(Duration::from_millis(200)));
        assert_eq!(again.after(Duration::ZERO, true), Some(Duration::from_millis(100)));
    }
}
