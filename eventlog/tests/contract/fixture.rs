//! A fresh corner of a log for one test.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tapewatch_eventlog::{
    Batch, GroupSpec, Log, Member, OutRecord, Polled, Reader, Round, TopicPartition, TopicSpec, Writer,
};

/// A log under test.
pub trait Backend {
    /// A further connection to the same log, as another process would have.
    fn open(&self) -> Arc<dyn Log>;

    /// Copies of each topic.
    fn replication(&self) -> i32 {
        1
    }

    /// How long a silent member keeps its partitions: short, but no shorter than the log permits.
    fn session(&self) -> Duration;

    /// How long to wait for what must come.
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }

    /// True if a compacted topic never shows a record that a newer one has replaced.
    fn compacts_at_once(&self) -> bool;
}

/// One test's log, with names that no other test has.
pub struct Fixture<'a> {
    pub backend: &'a dyn Backend,
    pub log: Arc<dyn Log>,
    tag: String,
}

/// A record in full, to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
}

impl<'a> Fixture<'a> {
    pub fn new(backend: &'a dyn Backend) -> Self {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let tag = format!("{}-{}-{serial}", nanos % 1_000_000_000_000, std::process::id());
        Self { backend, log: backend.open(), tag }
    }

    /// A name of this test's own.
    pub fn name(&self, name: &str) -> String {
        format!("{name}-{}", self.tag)
    }

    pub fn spec(&self, name: &str, partitions: i32) -> TopicSpec {
        TopicSpec {
            name: self.name(name).into(),
            partitions,
            replication: self.backend.replication(),
            retention: None,
            compacted: false,
        }
    }

    /// Creates a topic of this test's own. Returns its partitions.
    pub fn topic(&self, name: &str, partitions: i32) -> Vec<TopicPartition> {
        self.log.create(&[self.spec(name, partitions)]).expect("the topic is created");
        (0..partitions).map(|p| TopicPartition::new(self.name(name), p)).collect()
    }

    pub fn writer(&self, id: &str) -> Box<dyn Writer> {
        self.log.writer(&self.name(id)).expect("the writer opens")
    }

    pub fn group(&self, group: &str, instance: &str, topics: &[&str]) -> GroupSpec {
        GroupSpec {
            group: self.name(group),
            instance: instance.to_owned(),
            topics: topics.iter().map(|topic| self.name(topic).into()).collect(),
            session: self.backend.session(),
        }
    }

    pub fn join(&self, group: &str, instance: &str, topics: &[&str]) -> Box<dyn Member> {
        self.log.member(&self.group(group, instance, topics)).expect("the member joins")
    }

    /// Polls until every assigned partition of `at` was read to the end that [`Log::bounds`] shows now.
    /// Returns what came, by partition.
    pub fn drain(
        &self,
        reader: &mut dyn Reader,
        at: &[TopicPartition],
    ) -> BTreeMap<TopicPartition, Vec<Seen>> {
        let mut ends: BTreeMap<_, _> =
            at.iter().map(|at| (at.clone(), self.log.bounds(at).expect("bounds").end)).collect();
        let mut seen: BTreeMap<TopicPartition, Vec<Seen>> = BTreeMap::new();
        let deadline = Instant::now() + self.backend.patience();
        while !ends.is_empty() {
            assert!(Instant::now() < deadline, "not read to the end in time: {ends:?}, seen {seen:?}");
            match reader.poll(Duration::from_millis(100)).expect("poll") {
                Polled::Batch(batch) => {
                    seen.entry(batch.source().clone()).or_default().extend(unpack(&batch));
                    let last = batch.record(batch.len() - 1).offset;
                    if ends.get(batch.source()).is_some_and(|end| last + 1 >= *end) {
                        ends.remove(batch.source());
                    }
                }
                Polled::End { at, position } if ends.get(&at).is_some_and(|end| position >= *end) => {
                    ends.remove(&at);
                }
                _ => {}
            }
        }
        seen
    }

    /// All records of one partition, by a reader of its own.
    pub fn read_all(&self, at: &TopicPartition) -> Vec<Seen> {
        let mut reader = self.log.reader().expect("a reader");
        let earliest = self.log.bounds(at).expect("bounds").earliest;
        reader.assign(&[(at.clone(), earliest)]).expect("assign");
        self.drain(reader.as_mut(), std::slice::from_ref(at)).remove(at).unwrap_or_default()
    }
}

/// A batch's records.
pub fn unpack(batch: &Batch) -> Vec<Seen> {
    batch
        .iter()
        .map(|record| Seen {
            offset: record.offset,
            timestamp: record.timestamp.micros(),
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record.headers.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect(),
        })
        .collect()
}

/// The values as text.
pub fn values(seen: &[Seen]) -> Vec<String> {
    let text = |seen: &Seen| String::from_utf8_lossy(seen.value.as_deref().unwrap_or(b"-")).into_owned();
    seen.iter().map(text).collect()
}

/// A record with a key and a value.
pub fn record(at: &TopicPartition, key: &str, value: &str) -> OutRecord {
    OutRecord {
        target: at.clone(),
        timestamp: None,
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: Vec::new(),
    }
}

/// A round of records that consumes nothing.
pub fn round(records: Vec<OutRecord>) -> Round {
    Round { records, offsets: Vec::new() }
}
