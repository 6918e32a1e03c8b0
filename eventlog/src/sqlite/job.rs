//! The writer thread: takes what is ready, commits it together, answers.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::group::SqliteFence;
use super::pending::{AT_COMMIT, Pending};
use super::publisher::Queue;
use super::shared::Shared;
use super::store::{Failed, Store, Written};
use super::stream::{Stream, lock};
use super::tail::Tail;
use crate::{CommitError, Committed, LogError};

/// Jobs that wait at most; a sender then waits too.
const QUEUED_JOBS: usize = 1024;

/// A transaction takes no further round above this many bytes.
const GROUP_BYTES: usize = 8 << 20;

/// What the writer thread is asked for.
pub(super) enum Job {
    /// A round.
    Write(Box<WriteJob>),
    /// What a publisher has queued by the time this is taken.
    Publish(Arc<Queue>),
    /// Anything else that writes.
    Run(Box<dyn FnOnce(&mut Store) + Send>),
}

/// A round with what it must prove.
pub(super) struct WriteJob {
    pub(super) pending: Pending,
    pub(super) offsets: Vec<(Arc<Stream>, i64)>,
    /// The writer's id and epoch.
    pub(super) writer: Option<(String, i64)>,
    pub(super) fence: Option<Arc<SqliteFence>>,
    pub(super) answer: Answer,
}

/// Who waits for the outcome.
pub(super) enum Answer {
    Writer(SyncSender<Result<Committed, CommitError>>),
    Publisher(Arc<Queue>),
}

/// Everything that one `open` gave holds this; the last to go ends the thread.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) shared: Arc<Shared>,
    writing: Writing,
}

/// Who writes.
#[derive(Debug)]
enum Writing {
    /// The writer thread.
    Thread { jobs: Option<SyncSender<Job>>, thread: Mutex<Option<JoinHandle<()>>> },
    /// Whoever asks for it.
    Caller(Mutex<Box<Desk>>),
}

/// Where jobs are done.
struct Desk {
    store: Store,
    tail: Tail,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
}

impl Handle {
    /// Opens the file, and starts the thread if there is to be one.
    pub(super) fn start(shared: Arc<Shared>) -> Result<Self, LogError> {
        let store = Store::open(Arc::clone(&shared))?;
        let mut desk = Box::new(Desk { tail: Tail::new(shared.options.tail_bytes), store });
        if !shared.options.writer_thread {
            return Ok(Self { shared, writing: Writing::Caller(Mutex::new(desk)) });
        }
        let (jobs, queue) = sync_channel(QUEUED_JOBS);
        let thread = std::thread::Builder::new()
            .name("log-writer".into())
            .spawn(move || desk.serve(&queue))
            .map_err(|error| shared.backend("starting the writer thread", error.to_string()))?;
        let writing = Writing::Thread { jobs: Some(jobs), thread: Mutex::new(Some(thread)) };
        Ok(Self { shared, writing })
    }

    /// Hands a job in. With a thread it may be done later, without one it is done when this returns.
    pub(super) fn submit(&self, job: Job) -> Result<(), LogError> {
        match &self.writing {
            Writing::Thread { jobs: Some(jobs), .. } => jobs.send(job).map_err(|_| self.stopped()),
            Writing::Thread { jobs: None, .. } => Err(self.stopped()),
            Writing::Caller(desk) => {
                let (_closed, nothing_more) = sync_channel(0);
                lock(desk).work(job, &nothing_more);
                Ok(())
            }
        }
    }

    /// Why nothing is answered any more.
    pub(super) fn stopped(&self) -> LogError {
        self.shared.backend("writing", "the writer thread has stopped")
    }

    /// Runs `work` on the writer thread and waits for what it returns.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> Result<T, LogError> {
        let (reply, answer) = sync_channel(1);
        self.submit(Job::Run(Box::new(move |store| {
            // The one who asked may have gone.
            let _ = reply.send(work(store));
        })))?;
        answer.recv().map_err(|_| self.stopped())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let Writing::Thread { jobs, thread } = &mut self.writing else { return };
        *jobs = None;
        if let Some(thread) = lock(thread).take()
            && thread.join().is_err()
        {
            tracing::error!(log = %self.shared.place.address, "the writer thread panicked");
        }
    }
}

impl Desk {
    fn serve(&mut self, jobs: &Receiver<Job>) {
        let pause = self.store.shared.options.foreign_poll;
        let alone = self.store.shared.place.in_memory();
        while let Some(first) = wait(&mut self.store, jobs, pause, alone) {
            self.work(first, jobs);
        }
    }

    /// Does a job, and those that are ready with it.
    fn work(&mut self, first: Job, jobs: &Receiver<Job>) {
        let Self { store, tail } = self;
        let mut next = Some(first);
        while let Some(job) = next.take() {
            let (group, after) = gather(job, jobs);
            if !group.is_empty() {
                commit(store, tail, group);
                store.checkpoint();
            }
            match after {
                Some(Job::Run(work)) => work(store),
                other => next = other,
            }
        }
    }
}

/// The next job; none when everyone has gone. Meanwhile other processes' commits are shown.
fn wait(store: &mut Store, jobs: &Receiver<Job>, pause: Duration, alone: bool) -> Option<Job> {
    if alone {
        return jobs.recv().ok();
    }
    loop {
        match jobs.recv_timeout(pause) {
            Ok(job) => return Some(job),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {
                if let Err(error) = store.notice() {
                    tracing::debug!(%error, "looking for other processes' commits failed");
                }
            }
        }
    }
}

/// The rounds that are ready, and the job that stopped the gathering.
fn gather(first: Job, jobs: &Receiver<Job>) -> (Vec<WriteJob>, Option<Job>) {
    let mut group = Vec::new();
    let mut bytes = 0;
    let mut next = first;
    loop {
        match next {
            Job::Write(job) => {
                bytes += job.pending.bytes;
                group.push(*job);
            }
            Job::Publish(queue) => {
                let pending = queue.take();
                bytes += pending.bytes;
                group.push(WriteJob {
                    pending,
                    offsets: Vec::new(),
                    writer: None,
                    fence: None,
                    answer: Answer::Publisher(queue),
                });
            }
            other @ Job::Run(_) => return (group, Some(other)),
        }
        if bytes >= GROUP_BYTES {
            return (group, None);
        }
        next = match jobs.try_recv() {
            Ok(job) => job,
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => return (group, None),
        };
    }
}

/// Commits the rounds together; if that fails as a whole, each on its own, so that the one that cannot be
/// written (no room for it, say) is the only one that is refused.
fn commit(store: &mut Store, tail: &mut Tail, mut group: Vec<WriteJob>) {
    match store.write(&group) {
        Ok(written) => publish(store, tail, group, written),
        Err(Failed::Definite(_)) if group.len() > 1 => {
            for job in group {
                commit(store, tail, vec![job]);
            }
        }
        Err(failed) => {
            let error = CommitError::from(failed);
            for job in group.drain(..) {
                job.answer.give(Err(error.clone()), job.pending.slots.len());
            }
        }
    }
}

/// Shows what was committed to the readers, then answers the writers.
fn publish(store: &Store, tail: &mut Tail, group: Vec<WriteJob>, written: Written) {
    let mut answers = Vec::with_capacity(group.len());
    for ((job, bases), answer) in group.into_iter().zip(written.bases).zip(written.answers) {
        answers.push((job.answer, answer, job.pending.slots.len()));
        for (mut part, base) in job.pending.parts.into_iter().zip(bases) {
            let head = base + part.batch.len() as i64;
            if !part.stream.compacted {
                part.batch.rebase(base, AT_COMMIT, written.now);
                tail.push(&part.stream, Arc::new(part.batch.build()));
            }
            part.stream.raise_head(head);
        }
    }
    store.shared.news.publish();
    for (to, answer, records) in answers {
        to.give(answer, records);
    }
}

impl Answer {
    fn give(self, outcome: Result<Committed, CommitError>, records: usize) {
        match self {
            // The writer may have gone.
            Self::Writer(reply) => drop(reply.send(outcome)),
            Self::Publisher(queue) => queue.settle(outcome.err(), records),
        }
    }
}
