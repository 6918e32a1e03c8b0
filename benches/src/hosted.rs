//! A worker on a thread of its own, watched through its acknowledged journal records.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tapewatch_consumers::stage::StageCell;
use tapewatch_consumers::worker::Turn;
use tapewatch_consumers::{Worker, workers};
use tapewatch_eventlog::TopicPartition;

use crate::Failure;
use crate::readings::millis;
use crate::stage::Stage;

/// The stable name of every instance that the harness starts: of a worker, one runs at a time.
pub const INSTANCE: &str = "bench";

/// A running worker.
pub struct Hosted {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    thread: JoinHandle<Result<(), String>>,
}

/// What a worker has acknowledged.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Records taken, by topic, over all tasks.
    pub taken: BTreeMap<String, u64>,
    /// The position after the last record taken of each partition that some task owns.
    pub positions: BTreeMap<TopicPartition, i64>,
    /// How long each commit took, milliseconds; a round counts once a task.
    pub commits: Vec<f64>,
    /// Journal records.
    pub journal: u64,
    /// Outputs that they account for.
    pub outputs: u64,
    /// When all tasks were there.
    pub ready: Option<Instant>,
    /// When the first round with an input was acknowledged.
    pub first: Option<Instant>,
    /// When the last round was acknowledged.
    pub last: Option<Instant>,
}

impl Hosted {
    /// Starts a worker.
    pub fn start(stage: &Stage, name: &'static str) -> Result<Self, Failure> {
        Self::start_seen(stage, name, StageCell::default())
    }

    /// Starts a worker that says in `standing` where it stands in its group.
    pub fn start_seen(stage: &Stage, name: &'static str, standing: StageCell) -> Result<Self, Failure> {
        let plan = workers::plan(name, &stage.settings, &*stage.log, INSTANCE)?;
        let log = Arc::clone(&stage.log);
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let (stopped, watched) = (Arc::clone(&stop), Arc::clone(&seen));
        let run = move || -> Result<(), String> {
            let mut worker = Worker::join_seen(plan, log, standing).map_err(|error| error.to_string())?;
            let observed = Arc::clone(&watched);
            worker.observe(Box::new(move |acknowledged| {
                let mut seen = observed.lock().unwrap_or_else(PoisonError::into_inner);
                seen.take(acknowledged);
            }));
            let mut ready = false;
            while !stopped.load(Ordering::Relaxed) {
                let turn = worker.turn(Duration::from_millis(2)).map_err(|error| error.to_string())?;
                if !ready && worker.tasks().count() as i32 == worker.task_count() {
                    ready = true;
                    watched.lock().unwrap_or_else(PoisonError::into_inner).ready = Some(Instant::now());
                }
                if turn == Turn::Idle {
                    std::thread::yield_now();
                }
            }
            worker.stop().map_err(|error| error.to_string())
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self { stop, seen, thread })
    }

    /// What it has acknowledged so far.
    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until what it has acknowledged satisfies `enough`.
    ///
    /// # Errors
    /// If the worker stopped by itself, or nothing was acknowledged for `patience`.
    pub fn wait(&self, patience: Duration, mut enough: impl FnMut(&Seen) -> bool) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if enough(&seen) {
                return Ok(());
            }
            let silent = seen.last.unwrap_or(begun).max(begun).elapsed();
            let taken = format!("{:?}", seen.taken);
            drop(seen);
            if self.thread.is_finished() {
                return Err("the worker stopped by itself".into());
            }
            if silent > patience {
                return Err(format!("the worker acknowledged nothing for {silent:?}: {taken}").into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Stops it as a shutdown does.
    pub fn stop(self) -> Result<Seen, Failure> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the worker panicked")??;
        Ok(self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Seen {
    fn take(&mut self, acknowledged: &tapewatch_consumers::worker::Acknowledged<'_>) {
        let now = Instant::now();
        self.journal += 1;
        self.outputs += acknowledged.record.outputs as u64;
        self.last = Some(now);
        self.commits.push(millis(acknowledged.commit));
        for range in &acknowledged.record.inputs {
            self.first.get_or_insert(now);
            *self.taken.entry(range.topic.to_string()).or_default() += range.count as u64;
            let at = TopicPartition::new(range.topic.clone(), range.partition);
            let position = self.positions.entry(at).or_default();
            *position = (*position).max(range.to);
        }
    }

    /// Records taken of a topic, over all tasks.
    pub fn of(&self, topic: &str) -> u64 {
        self.taken.get(topic).copied().unwrap_or(0)
    }

    /// True if every one of these partitions was read to its end; a transaction's marker may stand last.
    pub fn reached(&self, ends: &[(TopicPartition, i64)]) -> bool {
        ends.iter().all(|(at, end)| end - self.positions.get(at).copied().unwrap_or(0) <= 1)
    }
}
