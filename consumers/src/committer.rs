//! Commits rounds on a thread of its own, one at a time, while the next round is computed.
//!
//! Where one thread must do all, a commit is made within the turn that asks for it, and its answer held back
//! for some turns: what is computed meanwhile is the same.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tapewatch_eventlog::{CommitError, Committed, Fence, Round, Writer};

use crate::timing::Timing;

/// What the thread is asked to do.
enum Job {
    Commit(Arc<Round>, Fence),
    Recover,
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    /// A commit, and how long it took.
    Commit(Result<Committed, CommitError>, Duration),
    /// A recovery.
    Recover(Result<(), CommitError>),
}

/// A handle on the committing thread. Dropping it ends the thread after the present job.
pub struct Committer {
    place: Place,
    busy: bool,
}

/// Where commits are made.
enum Place {
    Thread { jobs: Option<SyncSender<Job>>, outcomes: Receiver<Outcome>, thread: Option<JoinHandle<()>> },
    Turn(InTurn),
}

/// Commits within the turn.
struct InTurn {
    writer: Box<dyn Writer>,
    time: Arc<dyn Timing>,
    outcome: Option<Outcome>,
    /// Looks for the outcome that find nothing, for each and left.
    looks: u32,
    left: u32,
}

impl Job {
    /// Does it; `clock` measures how long a commit takes.
    fn run(self, writer: &mut dyn Writer, clock: impl Fn() -> Duration) -> Outcome {
        match self {
            Self::Commit(round, fence) => {
                let begun = clock();
                let result = writer.commit(&round, Some(&fence));
                Outcome::Commit(result, clock().saturating_sub(begun))
            }
            Self::Recover => Outcome::Recover(writer.recover()),
        }
    }
}

impl Committer {
    /// Starts the thread.
    pub fn start(writer: Box<dyn Writer>, name: &str) -> std::io::Result<Self> {
        let (jobs, inbox) = sync_channel::<Job>(1);
        let (outbox, outcomes) = sync_channel(1);
        let body = move || {
            let mut writer = writer;
            let began = Instant::now();
            while let Ok(job) = inbox.recv() {
                if outbox.send(job.run(&mut *writer, || began.elapsed())).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name(format!("commit-{name}")).spawn(body)?;
        let place = Place::Thread { jobs: Some(jobs), outcomes, thread: Some(thread) };
        Ok(Self { place, busy: false })
    }

    /// Commits when it is asked to, and answers after so many looks.
    pub fn in_turn(writer: Box<dyn Writer>, time: Arc<dyn Timing>, looks: u32) -> Self {
        let place = Place::Turn(InTurn { writer, time, outcome: None, looks, left: 0 });
        Self { place, busy: false }
    }

    /// True while a job is under way.
    pub fn busy(&self) -> bool {
        self.busy
    }

    /// Begins a commit. Nothing may be under way.
    pub fn commit(&mut self, round: Arc<Round>, fence: Fence) {
        self.send(Job::Commit(round, fence));
    }

    /// Begins a recovery. Nothing may be under way.
    pub fn recover(&mut self) {
        self.send(Job::Recover);
    }

    fn send(&mut self, job: Job) {
        assert!(!self.busy, "one transaction at a time: the last one's outcome is not known yet");
        match &mut self.place {
            Place::Thread { jobs, .. } => {
                let jobs = jobs.as_ref().expect("the thread lives as long as its handle");
                jobs.send(job).expect("the thread ends only with its handle");
            }
            Place::Turn(turn) => {
                turn.outcome = Some(job.run(&mut *turn.writer, || turn.time.elapsed()));
                turn.left = turn.looks;
            }
        }
        self.busy = true;
    }

    /// The outcome, if it is there.
    pub fn poll(&mut self) -> Option<Outcome> {
        let outcome = match &mut self.place {
            Place::Thread { outcomes, .. } => match outcomes.try_recv() {
                Ok(outcome) => Some(outcome),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => panic!("the committing thread died"),
            },
            Place::Turn(turn) if turn.left > 0 => {
                turn.left -= 1;
                None
            }
            Place::Turn(turn) => turn.outcome.take(),
        };
        self.busy &= outcome.is_none();
        outcome
    }

    /// Waits for the outcome, at most so long.
    pub fn wait(&mut self, patience: Duration) -> Option<Outcome> {
        let outcome = match &mut self.place {
            Place::Thread { outcomes, .. } => match outcomes.recv_timeout(patience) {
                Ok(outcome) => Some(outcome),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => panic!("the committing thread died"),
            },
            Place::Turn(turn) => turn.outcome.take(),
        };
        self.busy &= outcome.is_none();
        outcome
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        if let Place::Thread { jobs, .. } = &mut self.place {
            *jobs = None;
        }
        // An outcome that nobody takes must not keep the thread.
        if self.busy && self.wait(Duration::from_secs(30)).is_none() {
            return;
        }
        if let Place::Thread { thread, .. } = &mut self.place
            && let Some(thread) = thread.take()
        {
            // A panic there was reported where it happened.
            let _ = thread.join();
        }
    }
}
