//! What the caller and the courier's thread share: the file, the breaker, and what is under way.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tapewatch_eventlog::edge::{EdgeBreaker, EdgeParameters};
use tapewatch_eventlog::{CommitError, LogError, Round};

use super::attempt::Attempt;
use super::carrier::Carrier;
use super::file::{SpoolFile, cost};
use super::notice::{Notice, Notify};
use super::{SpoolCounts, SpoolError};

/// After a failed attempt the next one waits at least so long, or as long as the breaker stays open if that is less.
const PAUSE: Duration = Duration::from_millis(200);
/// How often people are told that the spool is still in use.
const TELL: Duration = Duration::from_secs(10);

/// Shared by the caller and the thread.
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) changed: Condvar,
    began: Instant,
    notify: Notify,
    /// The target log's address.
    pub(super) log: String,
}

pub(super) struct State {
    pub(super) file: SpoolFile,
    pub(super) edge: EdgeBreaker,
    /// A round that goes straight to the log, and is not in the spool.
    pub(super) direct: Option<Direct>,
    /// The last attempt that was begun.
    pub(super) begun: Option<Attempt>,
    /// An attempt on the spool's head whose outcome is unknown.
    pub(super) doubt: Option<Attempt>,
    pub(super) counts: SpoolCounts,
    /// Why nothing is carried any more.
    pub(super) dead: Option<CommitError>,
    pub(super) stop: bool,
    /// What the last failed attempt came to.
    pub(super) why: String,
    /// True while attempts succeed, and nobody waited for one in vain.
    pub(super) keeping_up: bool,
    pause: Duration,
    not_before: Duration,
    told: Duration,
    /// Records carried since the spool was last empty.
    carried: u64,
}

pub(super) struct Direct {
    /// Until the thread takes it.
    pub(super) round: Option<Round>,
    /// Where the spool's end would be if it took the round.
    pub(super) until: i64,
    /// Once it is known.
    pub(super) outcome: Option<Result<(), CommitError>>,
}

/// What the thread is to do next.
enum Job {
    Look(Attempt),
    Write { round: Round, until: i64, bytes: u64, direct: bool },
}

impl Shared {
    pub(super) fn new(
        file: SpoolFile,
        doubt: Option<Attempt>,
        edge: EdgeParameters,
        notify: Notify,
        log: String,
    ) -> Self {
        let (pause, edge) = (edge.wait.min(PAUSE), EdgeBreaker::new(edge));
        let state = State {
            file,
            edge,
            direct: None,
            begun: None,
            doubt,
            counts: SpoolCounts::default(),
            dead: None,
            stop: false,
            why: "nothing was tried yet".to_owned(),
            keeping_up: false,
            pause,
            not_before: Duration::ZERO,
            told: Duration::ZERO,
            carried: 0,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), began: Instant::now(), notify, log }
    }

    /// A panic while it was held left the state as it was between two statements, and the file in one piece.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Tells people; the state must not be locked.
    pub(super) fn tell(&self, notice: Option<Notice>) {
        if let Some(notice) = notice {
            (self.notify)(&notice);
        }
    }

    /// The thread's work, until the courier is closed.
    pub(super) fn serve(&self, mut carrier: Carrier) {
        // The first time takes Kafka seconds. If it fails, so does the first attempt, which says why.
        let _ = carrier.writer();
        while let Some(mut job) = self.next() {
            let began = Instant::now();
            let result = match &mut job {
                Job::Look(attempt) => carrier.look(attempt),
                Job::Write { round, until, direct, .. } => {
                    let direct = *direct;
                    carrier.write(round, *until, |attempt| self.begin(attempt, direct)).map(|()| true)
                }
            };
            let notice = self.settle(job, result, began.elapsed());
            self.changed.notify_all();
            self.tell(notice);
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.stop || state.dead.is_some() {
                return None;
            }
            let wait = match state.next(self.now()) {
                Ok(job) => return Some(job),
                Err(wait) => wait,
            };
            state = match wait {
                Some(wait) => {
                    self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Notes an attempt: in the file if its records are there, else for whoever may put them there.
    fn begin(&self, attempt: Attempt, direct: bool) -> Result<(), LogError> {
        let mut state = self.lock();
        state.begun = Some(attempt.clone());
        if direct && state.direct.is_some() { Ok(()) } else { state.file.begin(&attempt) }
    }

    fn settle(&self, job: Job, result: Result<bool, CommitError>, took: Duration) -> Option<Notice> {
        let now = self.now();
        let mut state = self.lock();
        let away = matches!(result, Err(CommitError::Aborted(_) | CommitError::Unknown(_)));
        state.edge.note(now, took, away);
        state.keeping_up = result.is_ok();
        if let Err(error) = &result {
            state.why = error.to_string();
            state.not_before = now + state.pause;
            if let CommitError::Fenced(_) = error {
                state.dead = Some(error.clone());
            }
        }
        let (until, bytes) = match job {
            Job::Write { direct: true, .. } if state.direct.is_some() => {
                let direct = state.direct.as_mut().expect("looked at above");
                direct.outcome = Some(result.map(|_| ()));
                return None;
            }
            Job::Write { until, bytes, .. } => (until, bytes),
            Job::Look(attempt) => {
                if result.is_ok() {
                    state.doubt = None;
                }
                (attempt.until, state.bytes_until(attempt.until))
            }
        };
        match result {
            Ok(true) => state.carried(until, bytes, now),
            Err(CommitError::Unknown(_)) => {
                state.doubt = state.begun.take();
                state.waiting(now)
            }
            Ok(false) | Err(_) => state.waiting(now),
        }
    }
}

impl State {
    /// The next job, or how long there is none; until something changes if nothing is said.
    fn next(&mut self, now: Duration) -> Result<Job, Option<Duration>> {
        if let Some(direct) = &mut self.direct
            && let Some(round) = direct.round.take()
        {
            let (until, bytes) = (direct.until, cost(&round));
            return Ok(Job::Write { round, until, bytes, direct: true });
        }
        if self.file.waiting() == 0 || self.direct.is_some() {
            return Err(None);
        }
        if now < self.not_before {
            return Err(Some(self.not_before.saturating_sub(now)));
        }
        self.edge.permit(now).map_err(Some)?;
        if let Some(attempt) = &self.doubt {
            return Ok(Job::Look(attempt.clone()));
        }
        match self.file.cut() {
            Ok(Some(cut)) => {
                Ok(Job::Write { round: cut.round, until: cut.until, bytes: cut.bytes, direct: false })
            }
            unreadable => {
                self.why = match unreadable {
                    Err(error) => error.to_string(),
                    _ => "its last round has no end".to_owned(),
                };
                self.edge.note(now, Duration::ZERO, true);
                self.not_before = now + TELL;
                Err(Some(TELL))
            }
        }
    }

    fn carried(&mut self, until: i64, bytes: u64, now: Duration) -> Option<Notice> {
        let records = (until - self.file.next) as u64;
        self.file.advance(until, bytes);
        self.counts.drained += records;
        self.carried += records;
        if self.file.waiting() > 0 {
            return self.waiting(now);
        }
        let records = std::mem::take(&mut self.carried);
        Some(Notice::Drained { file: self.file.path.clone(), records })
    }

    /// What the records before `until` count; all that wait if they cannot be read.
    fn bytes_until(&self, until: i64) -> u64 {
        self.file.bytes_until(until).unwrap_or(self.file.bytes)
    }

    fn waiting(&mut self, now: Duration) -> Option<Notice> {
        if now.saturating_sub(self.told) < TELL {
            return None;
        }
        self.told = now;
        let (file, records, bytes) = (self.file.path.clone(), self.file.waiting(), self.file.bytes);
        Some(Notice::Waiting { file, records, bytes, why: self.why.clone() })
    }

    /// Puts a round into the spool. If it is the first that waits, what people are to be told.
    pub(super) fn spool(
        &mut self,
        round: &Round,
        attempt: Option<&Attempt>,
        (log, why, now): (&str, String, Duration),
    ) -> Result<Option<Notice>, SpoolError> {
        let first = self.file.waiting() == 0;
        self.file.append(round, attempt, log)?;
        self.counts.spooled += round.records.len() as u64;
        if !first {
            return Ok(None);
        }
        self.told = now;
        Ok(Some(Notice::Began { file: self.file.path.clone(), why }))
    }
}
