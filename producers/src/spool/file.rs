//! The spool's file: an embedded log with the records in one partition, and in another how far they were carried.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tapewatch_eventlog::sqlite::SqliteLog;
use tapewatch_eventlog::{
    Clock, CommitError, Log, LogError, OpenOptions, OutRecord, Polled, RecordRef, Round, TopicPartition,
    TopicSpec, Writer,
};

use super::attempt::{Attempt, Position};
use super::{SpoolError, SpoolOptions};

/// The spool's topics, of one partition each.
const RECORDS: &str = "spool.records";
const POSITION: &str = "spool.position";
/// Headers that a record has in the file alone: where it goes, and that it is the last of its round.
const TO: &str = "tapewatch.to";
const LAST: &str = "tapewatch.last";
/// What a record counts beyond its key, value and headers.
const EACH: u64 = 64;
/// Records that were carried are deleted when there are so many of them, and when nothing waits.
const PRUNE_AT: i64 = 20_000;
/// An attempt takes whole rounds until it has so many records …
const CUT_RECORDS: usize = 5_000;
/// … or bytes.
const CUT_BYTES: u64 = 4 << 20;
/// How long a courier of this process may take to let go of the file.
const RELEASE: Duration = Duration::from_secs(5);

/// The file, which this process alone has.
pub(super) struct SpoolFile {
    pub(super) path: PathBuf,
    /// The transactional id on the target log.
    pub(super) id: String,
    log: SqliteLog,
    writer: Box<dyn Writer>,
    /// Everything before it is on the target log.
    pub(super) next: i64,
    /// One past the last record.
    pub(super) end: i64,
    /// Everything before it was deleted.
    pruned: i64,
    pub(super) bytes: u64,
    max_bytes: u64,
    /// An fsync failed: what the file holds is known only once it was opened again.
    lost: Option<LogError>,
    _lock: File,
}

/// Whole rounds from the spool's head.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) round: Round,
    pub(super) until: i64,
    pub(super) bytes: u64,
}

/// What a round counts against the bound.
pub(super) fn cost(round: &Round) -> u64 {
    round.records.iter().map(record_cost).sum()
}

fn record_cost(record: &OutRecord) -> u64 {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    let body = [&record.key, &record.value].into_iter().flatten().map(Bytes::len).sum::<usize>();
    (headers + body) as u64 + EACH
}

impl SpoolFile {
    /// Opens or makes the spool, and finds what an earlier run left.
    pub(super) fn open(
        options: &SpoolOptions,
        log: &OpenOptions,
    ) -> Result<(Self, Option<Attempt>), SpoolError> {
        let place = |why: String| SpoolError::Place { dir: options.dir.clone(), why };
        let good = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        if options.name.is_empty() || !options.name.chars().all(good) {
            return Err(place(format!("`{}` is no name for a file in it", options.name)));
        }
        fs::create_dir_all(&options.dir).map_err(|error| place(error.to_string()))?;
        let path = options.dir.join(format!("{}.spool", options.name));
        let lock = lock(&options.dir.join(format!("{}.lock", options.name)), &path, place)?;
        let failed = |source| SpoolError::File { file: path.clone(), refused: 0, source };
        let log = SqliteLog::open(&format!("sqlite:{}", path.display()), log).map_err(failed)?;
        let topic = |name: &str, compacted| TopicSpec {
            name: name.into(),
            partitions: 1,
            replication: 1,
            retention: None,
            compacted,
        };
        log.create(&[topic(RECORDS, false), topic(POSITION, true)]).map_err(failed)?;
        let writer = log.writer("spool").map_err(failed)?;
        let bounds = log.bounds(&records()).map_err(failed)?;
        let position = position(&log).map_err(failed)?;
        let (next, end) = (position.next.max(bounds.earliest), bounds.end);
        let max_bytes = options.max_bytes;
        let pruned = bounds.earliest;
        let kept = position.id.is_some();
        let id = position.id.or(options.id.clone()).unwrap_or_else(|| new_id(&options.name));
        let mut file = Self {
            path: path.clone(),
            id,
            log,
            writer,
            next,
            end,
            pruned,
            bytes: 0,
            max_bytes,
            lost: None,
            _lock: lock,
        };
        let failed = |source| SpoolError::File { file: path.clone(), refused: 0, source };
        if !kept {
            file.write(vec![file.noted(None)]).map_err(failed)?;
        }
        let mut bytes = 0;
        file.read(next, |record, _| {
            bytes += record_cost(&record);
            true
        })
        .map_err(failed)?;
        file.bytes = bytes;
        Ok((file, position.attempt.filter(|attempt| attempt.until > next && attempt.until <= end)))
    }

    /// Records that wait.
    pub(super) fn waiting(&self) -> u64 {
        (self.end - self.next) as u64
    }

    /// Takes a round, with the attempt to write it that may be under way. It is durable when this returns.
    pub(super) fn append(
        &mut self,
        round: &Round,
        attempt: Option<&Attempt>,
        log: &str,
    ) -> Result<(), SpoolError> {
        let (refused, cost) = (round.records.len(), cost(round));
        let (file, waiting, bytes) = (self.path.clone(), self.waiting(), self.bytes);
        if bytes + cost > self.max_bytes {
            let (log, max_bytes) = (log.to_owned(), self.max_bytes);
            return Err(SpoolError::Bound { file, log, waiting, bytes, max_bytes, refused });
        }
        let mut stored: Vec<_> = round.records.iter().map(into_file).collect();
        if let Some(last) = stored.last_mut() {
            last.headers.push((LAST.to_owned(), Bytes::new()));
        }
        stored.extend(attempt.map(|attempt| self.noted(Some(attempt))));
        self.write(stored).map_err(|source| SpoolError::File { file, refused, source })?;
        self.end += round.records.len() as i64;
        self.bytes += cost;
        Ok(())
    }

    /// Notes an attempt before it is made.
    pub(super) fn begin(&mut self, attempt: &Attempt) -> Result<(), LogError> {
        self.write(vec![self.noted(Some(attempt))])
    }

    /// What is to be carried next: whole rounds, one at least.
    pub(super) fn cut(&self) -> Result<Option<Cut>, LogError> {
        let mut cut = Cut { round: Round::default(), until: self.next, bytes: 0 };
        let (mut whole, mut bytes, mut offset) = (0, 0, self.next);
        self.read(self.next, |record, last| {
            bytes += record_cost(&record);
            offset += 1;
            cut.round.records.push(record);
            if last {
                whole = cut.round.records.len();
                (cut.until, cut.bytes) = (offset, bytes);
            }
            whole == 0 || (whole < CUT_RECORDS && bytes < CUT_BYTES)
        })?;
        cut.round.records.truncate(whole);
        Ok((whole > 0).then_some(cut))
    }

    /// What the records count that wait before `until`.
    pub(super) fn bytes_until(&self, until: i64) -> Result<u64, LogError> {
        let (mut bytes, mut offset) = (0, self.next);
        if offset < until {
            self.read(offset, |record, _| {
                bytes += record_cost(&record);
                offset += 1;
                offset < until
            })?;
        }
        Ok(bytes)
    }

    /// Everything before `until` is on the target log.
    pub(super) fn advance(&mut self, until: i64, bytes: u64) {
        self.next = until;
        self.bytes = self.bytes.saturating_sub(bytes);
        if (self.next == self.end || self.next - self.pruned >= PRUNE_AT)
            && let Err(error) = self.tidy()
        {
            // The note of the last attempt is in the file, and its mark is on the log: nothing hangs on this.
            self.lost = self
                .lost
                .take()
                .or_else(|| matches!(error, CommitError::Unknown(_)).then(|| error_of(error)));
        }
    }

    fn tidy(&mut self) -> Result<(), CommitError> {
        let round = Round { records: vec![self.noted(None)], offsets: Vec::new() };
        self.writer.commit(&round, None)?;
        self.log.prune(&records(), self.next).map_err(CommitError::Aborted)?;
        self.pruned = self.next;
        Ok(())
    }

    fn noted(&self, attempt: Option<&Attempt>) -> OutRecord {
        let position = Position { next: self.next, attempt: attempt.cloned(), id: Some(self.id.clone()) };
        let json = serde_json::to_vec(&position).expect("numbers and names are JSON");
        OutRecord {
            target: TopicPartition::new(POSITION, 0),
            timestamp: None,
            key: Some(Bytes::from_static(b"position")),
            value: Some(json.into()),
            headers: Vec::new(),
        }
    }

    fn write(&mut self, records: Vec<OutRecord>) -> Result<(), LogError> {
        if let Some(lost) = &self.lost {
            return Err(lost.clone());
        }
        let round = Round { records, offsets: Vec::new() };
        match self.writer.commit(&round, None) {
            Ok(_) => Ok(()),
            Err(CommitError::Unknown(error)) => {
                self.lost = Some(error.clone());
                Err(error)
            }
            Err(other) => Err(error_of(other)),
        }
    }

    /// Shows the records from an offset on, and whether each ends its round, until told to stop.
    fn read(&self, from: i64, mut show: impl FnMut(OutRecord, bool) -> bool) -> Result<(), LogError> {
        each(&self.log, &records(), from, self.end, |record| {
            let (record, last) = from_file(&record).ok_or_else(|| LogError::Unusable {
                log: self.log.address().to_owned(),
                why: format!("record {} of {RECORDS} does not say where it goes", record.offset),
                expected: "a spool that tapewatch made",
                advice: "Move the file away to begin with an empty spool".to_owned(),
            })?;
            Ok(show(record, last))
        })
    }
}

/// An id that no other spool has, on this machine or another.
fn new_id(name: &str) -> String {
    let now = Clock::system().now().micros();
    format!("tapewatch.spool.{name}.{now}.{}", std::process::id())
}

fn records() -> TopicPartition {
    TopicPartition::new(RECORDS, 0)
}

fn error_of(error: CommitError) -> LogError {
    match error {
        CommitError::Aborted(error)
        | CommitError::Unknown(error)
        | CommitError::Fenced(error)
        | CommitError::Refused(error) => error,
    }
}

/// Takes the lock for this process: the kernel lets go of it however the process ends.
fn lock(at: &Path, spool: &Path, place: impl Fn(String) -> SpoolError) -> Result<File, SpoolError> {
    let failed = |error: std::io::Error| place(format!("{}: {error}", at.display()));
    let file = File::options().create(true).truncate(false).write(true).open(at).map_err(failed)?;
    let until = Instant::now() + RELEASE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => return Err(SpoolError::InUse { file: spool.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

fn into_file(record: &OutRecord) -> OutRecord {
    let mut stored = record.clone();
    let to = format!("{}/{}", record.target.topic, record.target.partition);
    stored.target = records();
    stored.headers.push((TO.to_owned(), to.into()));
    stored
}

fn from_file(record: &RecordRef<'_>) -> Option<(OutRecord, bool)> {
    let owned = |(name, value): (&str, &[u8])| (name.to_owned(), Bytes::copy_from_slice(value));
    let mut headers: Vec<_> = record.headers.iter().map(owned).collect();
    let last = headers.pop_if(|(name, _)| name == LAST).is_some();
    let (_, to) = headers.pop_if(|(name, _)| name == TO)?;
    let (topic, partition) = std::str::from_utf8(&to).ok()?.rsplit_once('/')?;
    let record = OutRecord {
        target: TopicPartition::new(topic, partition.parse().ok()?),
        timestamp: Some(record.timestamp),
        key: record.key.map(Bytes::copy_from_slice),
        value: record.value.map(Bytes::copy_from_slice),
        headers,
    };
    Some((record, last))
}

fn position(log: &SqliteLog) -> Result<Position, LogError> {
    let at = TopicPartition::new(POSITION, 0);
    let mut found = Position::default();
    each(log, &at, 0, log.bounds(&at)?.end, |record| {
        found =
            serde_json::from_slice(record.value.unwrap_or_default()).map_err(|error| LogError::Unusable {
                log: log.address().to_owned(),
                why: format!("its position cannot be read: {error}"),
                expected: "a spool that this release, or an earlier one, made",
                advice: "Use the release that made it, or move the file away to begin with an empty spool"
                    .to_owned(),
            })?;
        Ok(true)
    })?;
    Ok(found)
}

/// Shows the records of a partition that is not being written to, until told to stop.
fn each(
    log: &SqliteLog,
    at: &TopicPartition,
    from: i64,
    end: i64,
    mut show: impl FnMut(RecordRef<'_>) -> Result<bool, LogError>,
) -> Result<(), LogError> {
    if from >= end {
        return Ok(());
    }
    let mut reader = log.reader()?;
    reader.assign(&[(at.clone(), from)])?;
    while let Polled::Batch(batch) = reader.poll(Duration::ZERO)? {
        for record in batch.iter() {
            if !show(record)? {
                return Ok(());
            }
        }
    }
    Ok(())
}
