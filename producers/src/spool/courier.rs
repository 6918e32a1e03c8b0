//! The courier: takes rounds, and sees to it that they come to the log.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tapewatch_eventlog::{Clock, CommitError, Log, LogError, OpenOptions, OutRecord, Round, TopicInfo};

use super::carrier::Carrier;
use super::file::SpoolFile;
use super::notice::{Notice, Notify};
use super::state::{Direct, Shared, State};
use super::{SpoolCounts, SpoolError, SpoolOptions};

/// Bytes of a record beside its key, value and headers, at most, on any log: what Kafka's framing takes, the mark,
/// and where the record goes.
const FRAMING: usize = 512;
/// So few records in the spool are its last: it is worth waiting for them to go.
const LAST: u64 = 1_000;
/// A wait looks for the shutdown so often.
const GLANCE: Duration = Duration::from_millis(50);

/// Where a round went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is on the log.
    Log,
    /// It is in the spool, durable, and goes to the log in its turn.
    Spool,
}

/// Takes rounds of records, of one producer.
///
/// Dropped, it stops after the attempt it is at; what waits stays in the spool for the next one.
pub struct Courier {
    shared: Arc<Shared>,
    patience: Duration,
    most: usize,
    /// The partitions of the log's topics when it was opened, if it answered.
    topics: Vec<TopicInfo>,
}

impl Courier {
    /// Opens or makes the spool. What an earlier run left there goes to the log first.
    ///
    /// # Errors
    /// [`SpoolError::Place`], [`SpoolError::InUse`], or [`SpoolError::File`] if what is there is no spool.
    pub fn open(log: &Arc<dyn Log>, options: &SpoolOptions, notify: Notify) -> Result<Self, SpoolError> {
        Self::open_as(log, options, notify, &OpenOptions::default())
    }

    /// As [`Courier::open`]; the spool's file is opened as these options say.
    pub fn open_as(
        log: &Arc<dyn Log>,
        options: &SpoolOptions,
        notify: Notify,
        file: &OpenOptions,
    ) -> Result<Self, SpoolError> {
        let most = file.max_record_bytes;
        // A record counts more bytes in the file than on the log: where it goes is a header there.
        let opening = OpenOptions { max_record_bytes: most + FRAMING, tail_bytes: 1 << 20, ..file.clone() };
        let (file, doubt) = SpoolFile::open(options, &opening)?;
        let (path, id, records) = (file.path.clone(), file.id.clone(), file.waiting());
        let edge = options.edge.clone();
        let shared = Arc::new(Shared::new(file, doubt, edge, notify, log.address().to_owned()));
        shared.tell((records > 0).then_some(Notice::Left { file: path, records }));
        let (carrier, served) = (Carrier::new(Arc::clone(log), id), Arc::clone(&shared));
        thread::Builder::new().name("courier".into()).spawn(move || served.serve(carrier)).map_err(
            |error| SpoolError::Place {
                dir: options.dir.clone(),
                why: format!("no thread for the courier: {error}"),
            },
        )?;
        let topics = log.topics().unwrap_or_default();
        Ok(Self { shared, patience: options.edge.slow_call, most, topics })
    }

    /// Takes a round: all of it or nothing. It is durable when this returns, on the log or in the spool, and all
    /// of it comes to the log in one transaction, after everything that was taken before. Records without a
    /// timestamp get the time now.
    ///
    /// Waits at most `wait`, and never longer than the breaker's `slow_call`, for the log before the spool takes it.
    ///
    /// # Errors
    /// See [`SpoolError`]: the round is still the caller's.
    pub fn write(&mut self, round: &mut Round, wait: Duration) -> Result<Taken, SpoolError> {
        if round.records.is_empty() {
            return Ok(Taken::Log);
        }
        let now = Clock::system().now();
        for record in &mut round.records {
            self.fits(record)?;
            record.timestamp.get_or_insert(now);
        }
        let (result, notice) = self.take(round, wait.min(self.patience));
        if result.is_err() {
            self.shared.lock().counts.refused += round.records.len() as u64;
        }
        self.shared.tell(notice);
        result
    }

    /// How many records went which way.
    pub fn counts(&self) -> SpoolCounts {
        let state = self.shared.lock();
        SpoolCounts { waiting: state.file.waiting(), waiting_bytes: state.file.bytes, ..state.counts }
    }

    /// Waits until nothing waits in the spool. False if something still does after `wait`, when `stop` is set, or
    /// when nothing more is carried.
    pub fn drain(&self, wait: Duration, stop: &AtomicBool) -> bool {
        let until = Instant::now().checked_add(wait);
        let mut state = self.shared.lock();
        loop {
            if state.file.waiting() == 0 {
                return true;
            }
            let over = until.is_some_and(|until| Instant::now() >= until);
            if over || stop.load(Ordering::Relaxed) || state.dead.is_some() {
                return false;
            }
            state = self.shared.changed.wait_timeout(state, GLANCE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Refuses what the log would refuse later, when it is in everything else's way.
    fn fits(&self, record: &OutRecord) -> Result<(), SpoolError> {
        let target = &record.target;
        if let Some(topic) = self.topics.iter().find(|topic| topic.name == target.topic)
            && !(0..topic.partitions).contains(&target.partition)
        {
            return Err(SpoolError::NoPartition { at: target.clone(), partitions: topic.partitions });
        }
        let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len() + 10).sum();
        let body: usize = [&record.key, &record.value].into_iter().flatten().map(Bytes::len).sum();
        let bytes = headers + body + FRAMING;
        if bytes <= self.most {
            return Ok(());
        }
        Err(SpoolError::TooLarge { at: record.target.clone(), bytes, most: self.most })
    }

    fn take(&self, round: &Round, patience: Duration) -> (Result<Taken, SpoolError>, Option<Notice>) {
        let records = round.records.len();
        let state = self.shared.lock();
        if let Some(dead) = &state.dead {
            return (Err(self.refused(records, dead.clone())), None);
        }
        let mut state = self.catch_up(state, patience);
        if state.file.waiting() > 0 || state.edge.permit(self.shared.now()).is_err() {
            let why = state.why.clone();
            return self.spool(&mut state, round, false, why);
        }
        let until = state.file.end + records as i64;
        state.begun = None;
        state.direct = Some(Direct { round: Some(round.clone()), until, outcome: None });
        self.shared.changed.notify_all();
        let (mut state, outcome) = self.outcome(state, Some(patience));
        let Some(outcome) = outcome else {
            return self.take_over(state, round, patience);
        };
        state.direct = None;
        match outcome {
            Ok(()) => {
                state.counts.direct += records as u64;
                (Ok(Taken::Log), None)
            }
            Err(CommitError::Aborted(why)) => self.spool(&mut state, round, false, why.to_string()),
            Err(CommitError::Unknown(why)) => {
                let (taken, notice) = self.spool(&mut state, round, true, why.to_string());
                match taken {
                    Ok(_) => state.doubt = state.begun.take(),
                    Err(spool) => {
                        return (Err(self.unknown(records, CommitError::Unknown(why), spool)), None);
                    }
                }
                (taken, notice)
            }
            Err(refused) => (Err(self.refused(records, refused)), None),
        }
    }

    /// Waits for the last of what is in the spool to come to the log, if that goes well: whoever writes more often than
    /// a transaction takes would never go straight again. Once in vain is enough.
    fn catch_up<'a>(&self, mut state: MutexGuard<'a, State>, patience: Duration) -> MutexGuard<'a, State> {
        let until = Instant::now() + patience;
        while state.keeping_up && (1..=LAST).contains(&state.file.waiting()) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.keeping_up = false;
                break;
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }

    /// The log takes too long over a round: the spool takes it, with the attempt that is under way.
    fn take_over(
        &self,
        mut state: MutexGuard<'_, State>,
        round: &Round,
        patience: Duration,
    ) -> (Result<Taken, SpoolError>, Option<Notice>) {
        let records = round.records.len();
        let why = format!("no answer from {} within {patience:?}", self.shared.log);
        state.why.clone_from(&why);
        state.keeping_up = false;
        let (taken, notice) = self.spool(&mut state, round, true, why);
        let Err(spool) = taken else {
            let untaken = state.direct.take().is_some_and(|direct| direct.round.is_some());
            if untaken {
                // The call that the breaker permitted was never made.
                state.edge.note(self.shared.now(), Duration::ZERO, false);
            }
            return (taken, notice);
        };
        // There is no room for it: then the log's answer is worth waiting for.
        let (mut state, outcome) = self.outcome(state, None);
        state.direct = None;
        let result = match outcome.expect("it was waited for") {
            Ok(()) => {
                state.counts.direct += records as u64;
                Ok(Taken::Log)
            }
            Err(CommitError::Aborted(_)) => Err(spool),
            Err(why @ CommitError::Unknown(_)) => Err(self.unknown(records, why, spool)),
            Err(refused) => Err(self.refused(records, refused)),
        };
        (result, None)
    }

    /// Waits for what becomes of the round that goes straight to the log.
    fn outcome<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        patience: Option<Duration>,
    ) -> (MutexGuard<'a, State>, Option<Result<(), CommitError>>) {
        let until = patience.map(|patience| Instant::now() + patience);
        loop {
            if let Some(outcome) = state.direct.as_mut().and_then(|direct| direct.outcome.take()) {
                return (state, Some(outcome));
            }
            let left = until.map_or(GLANCE, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return (state, None);
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn spool(
        &self,
        state: &mut State,
        round: &Round,
        under_way: bool,
        why: String,
    ) -> (Result<Taken, SpoolError>, Option<Notice>) {
        let attempt = state.begun.clone().filter(|_| under_way);
        match state.spool(round, attempt.as_ref(), (&self.shared.log, why, self.shared.now())) {
            Ok(notice) => {
                self.shared.changed.notify_all();
                (Ok(Taken::Spool), notice)
            }
            Err(error) => (Err(error), None),
        }
    }

    fn refused(&self, records: usize, source: CommitError) -> SpoolError {
        SpoolError::Refused { log: self.shared.log.clone(), records, source }
    }

    fn unknown(&self, records: usize, source: CommitError, spool: SpoolError) -> SpoolError {
        SpoolError::Unknown { log: self.shared.log.clone(), records, source, spool: Box::new(spool) }
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_all();
    }
}

impl std::fmt::Debug for Courier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Courier")
            .field("log", &self.shared.log)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

impl SpoolError {
    /// The log's error behind it, if there is one.
    pub fn log_error(&self) -> Option<&LogError> {
        match self {
            Self::File { source, .. } => Some(source),
            _ => None,
        }
    }
}
