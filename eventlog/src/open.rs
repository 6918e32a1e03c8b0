//! Opening a log by its address.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tapewatch_schemas::{Time, time::micros_of};

use crate::kafka::KafkaLog;
use crate::sqlite::SqliteLog;
use crate::{Log, LogError};

/// Where a log takes publication times and leases from: the wall, or a test's own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Time + Send + Sync>);

impl Clock {
    /// The machine's wall clock.
    pub fn system() -> Self {
        Self::new(|| {
            let span = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Time(micros_of(span))
        })
    }

    /// A clock of one's own.
    pub fn new(now: impl Fn() -> Time + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now.
    pub fn now(&self) -> Time {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// How a log is opened: its bounds, and what a connection needs. [`Default`] suits the shipped programs.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// (embedded) How long another process may hold the file before [`LogError::Busy`]; 5 s.
    pub busy_timeout: Duration,
    /// (embedded) Above this size the write-ahead log is copied into the file and cut; 16 MiB. One
    /// transaction that is larger, or a foreign reader that stays in one, can exceed it meanwhile.
    pub wal_bytes: u64,
    /// (embedded) Bytes of newest records kept in memory for followers; 16 MiB.
    pub tail_bytes: usize,
    /// Bytes that one publisher queues before it answers [`LogError::Full`]; 32 MiB.
    pub queue_bytes: usize,
    /// Records in one batch that a reader delivers, at most; 1024: decoded, they fit a core's cache.
    pub batch_records: usize,
    /// Bytes in one batch that a reader delivers, at most, if it has more than one record; 1 MiB.
    pub batch_bytes: usize,
    /// Largest record (key, value and headers); 1,048,588 B, what an Apache Kafka broker takes by default.
    pub max_record_bytes: usize,
    /// (embedded) Most pages the file may have (`PRAGMA max_page_count`); as many as SQLite can, if none.
    pub max_pages: Option<u32>,
    /// (embedded) How often the commits of other processes are looked for; 5 ms.
    pub foreign_poll: Duration,
    /// (embedded) Where publication times and leases come from.
    pub clock: Clock,
    /// (embedded) True: one thread a process writes, and commits what is ready together. False: whoever
    /// writes does it on his own thread, alone, so that one thread that calls in the same order gets the same
    /// answers; what other processes commit is seen at the next write.
    pub writer_thread: bool,
    /// (Kafka) librdkafka properties, over the ones we ship; `consumer.` or `producer.` before one gives it to
    /// these clients only.
    pub kafka: BTreeMap<String, String>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            busy_timeout: Duration::from_secs(5),
            wal_bytes: 16 << 20,
            tail_bytes: 16 << 20,
            queue_bytes: 32 << 20,
            batch_records: 1024,
            batch_bytes: 1 << 20,
            max_record_bytes: 1_048_588,
            max_pages: None,
            foreign_poll: Duration::from_millis(5),
            clock: Clock::system(),
            writer_thread: true,
            kafka: BTreeMap::new(),
        }
    }
}

/// Opens the log at `url`: `sqlite:PATH` (made if it is not there), `sqlite::memory:` (a fresh one that
/// lives as long as what is opened of it) or `kafka:HOST:PORT[,HOST:PORT…]`.
pub fn open(url: &str, options: &OpenOptions) -> Result<Arc<dyn Log>, LogError> {
    let address = |why: &str| LogError::Address { url: url.to_owned(), why: why.to_owned() };
    match url.split_once(':') {
        Some(("sqlite", "")) => Err(address("the path is missing")),
        Some(("sqlite", _)) => Ok(Arc::new(SqliteLog::open(url, options)?)),
        Some(("kafka", "")) => Err(address("the brokers are missing")),
        Some(("kafka", _)) => Ok(Arc::new(KafkaLog::open(url, options)?)),
        _ => Err(address("it begins neither with `sqlite:` nor with `kafka:`")),
    }
}
