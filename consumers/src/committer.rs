//! Commits rounds on a thread of its own, one at a time, while the next round is computed.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tapewatch_eventlog::{CommitError, Committed, Fence, Round, Writer};

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
    jobs: Option<SyncSender<Job>>,
    outcomes: Receiver<Outcome>,
    busy: bool,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread.
    pub fn start(writer: Box<dyn Writer>, name: &str) -> std::io::Result<Self> {
        let (jobs, inbox) = sync_channel::<Job>(1);
        let (outbox, outcomes) = sync_channel(1);
        let body = move || {
            let mut writer = writer;
            while let Ok(job) = inbox.recv() {
                let outcome = match job {
                    Job::Commit(round, fence) => {
                        let begun = Instant::now();
                        let result = writer.commit(&round, Some(&fence));
                        Outcome::Commit(result, begun.elapsed())
                    }
                    Job::Recover => Outcome::Recover(writer.recover()),
                };
                if outbox.send(outcome).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name(format!("commit-{name}")).spawn(body)?;
        Ok(Self { jobs: Some(jobs), outcomes, busy: false, thread: Some(thread) })
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
        let jobs = self.jobs.as_ref().expect("the thread lives as long as its handle");
        jobs.send(job).expect("the thread ends only with its handle");
        self.busy = true;
    }

    /// The outcome, if it is there.
    pub fn poll(&mut self) -> Option<Outcome> {
        match self.outcomes.try_recv() {
            Ok(outcome) => {
                self.busy = false;
                Some(outcome)
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => panic!("the committing thread died"),
        }
    }

    /// Waits for the outcome, at most so long.
    pub fn wait(&mut self, patience: Duration) -> Option<Outcome> {
        match self.outcomes.recv_timeout(patience) {
            Ok(outcome) => {
                self.busy = false;
                Some(outcome)
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the committing thread died"),
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.jobs = None;
        // An outcome that nobody takes must not keep the thread.
        if self.busy && self.wait(Duration::from_secs(30)).is_none() {
            return;
        }
        if let Some(thread) = self.thread.take() {
            // A panic there was reported where it happened.
            let _ = thread.join();
        }
    }
}
