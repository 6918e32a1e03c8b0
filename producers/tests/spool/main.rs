//! A producer's spool: what is handed over while the log is away comes to it once, whole and in order.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod bound;
mod courier;
mod killed;
mod publishing;

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tapewatch_eventlog::edge::EdgeParameters;
use tapewatch_eventlog::{Log, OpenOptions, OutRecord, Polled, Round, TopicPartition, TopicSpec, open};
use tapewatch_producers::spool::{Courier, Notify, SpoolOptions};
use tapewatch_schemas::Time;

/// Partitions of the topic that is written to.
const PARTITIONS: i32 = 3;
/// No wait in these tests takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// When the producer is run at.
const LONG_AGO: i64 = 1_700_000_000_000_000;

fn log_at(url: &str) -> Arc<dyn Log> {
    let log = open(url, &OpenOptions::default()).unwrap();
    let topic = TopicSpec {
        name: "t".into(),
        partitions: PARTITIONS,
        replication: 1,
        retention: None,
        compacted: false,
    };
    log.create(&[topic]).unwrap();
    log
}

fn log() -> Arc<dyn Log> {
    log_at("sqlite::memory:")
}

/// A breaker that opens at once and closes soon.
fn options(dir: &Path) -> SpoolOptions {
    let edge = EdgeParameters {
        minimum_calls: 1,
        slow_call: Duration::from_secs(5),
        wait: Duration::from_millis(2),
        permitted: 1,
        ..EdgeParameters::default()
    };
    SpoolOptions { dir: dir.to_owned(), name: "p".into(), id: None, max_bytes: 64 << 20, edge }
}

fn courier(log: &Arc<dyn Log>, dir: &Path) -> Courier {
    Courier::open(log, &options(dir), Arc::new(|_| {})).unwrap()
}

/// What people would have been told.
fn heard() -> (Arc<Mutex<Vec<String>>>, Notify) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&heard);
    (heard, Arc::new(move |notice| into.lock().unwrap().push(notice.to_string())))
}

/// Round `number`: a record for each partition, and one more for the first.
fn round(number: u64) -> Round {
    let record = |place: i32| OutRecord {
        target: TopicPartition::new("t", place % PARTITIONS),
        timestamp: Some(Time(LONG_AGO + number as i64)),
        key: Some(Bytes::from(format!("k{}", place % PARTITIONS))),
        value: Some(Bytes::from(format!("{number}.{place}"))),
        headers: vec![("h".to_owned(), Bytes::from_static(b"v"))],
    };
    Round { records: (0..=PARTITIONS).map(record).collect(), offsets: Vec::new() }
}

/// What is in each partition, in order: values, once keys, headers and timestamps are found to be as they were.
fn values(log: &dyn Log) -> Vec<Vec<String>> {
    (0..PARTITIONS).map(|partition| values_of(log, partition)).collect()
}

fn values_of(log: &dyn Log, partition: i32) -> Vec<String> {
    let at = TopicPartition::new("t", partition);
    let end = log.bounds(&at).unwrap().end;
    let mut reader = log.reader().unwrap();
    reader.assign(&[(at, 0)]).unwrap();
    let (mut found, mut next) = (Vec::new(), 0);
    while next < end {
        match reader.poll(Duration::from_secs(5)).unwrap() {
            Polled::Batch(batch) => {
                for record in batch.iter() {
                    let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                    let number: i64 = value.split('.').next().unwrap().parse().unwrap();
                    assert_eq!(record.timestamp, Time(LONG_AGO + number), "{value}");
                    assert_eq!(record.key, Some(format!("k{partition}").as_bytes()));
                    assert_eq!(record.headers.iter().next(), Some(("h", &b"v"[..])));
                    found.push(value);
                    next = record.offset + 1;
                }
            }
            Polled::End { position, .. } => next = position,
            other => panic!("{other:?}"),
        }
    }
    found
}

/// What must be there after these rounds.
fn expected(rounds: impl Iterator<Item = u64> + Clone) -> Vec<Vec<String>> {
    let places = |partition: i32| (0..=PARTITIONS).filter(move |place| place % PARTITIONS == partition);
    (0..PARTITIONS)
        .map(|partition| {
            rounds
                .clone()
                .flat_map(|number| places(partition).map(move |place| format!("{number}.{place}")))
                .collect()
        })
        .collect()
}

fn drained(courier: &Courier) {
    assert!(courier.drain(PATIENCE, &AtomicBool::new(false)), "{:?}", courier.counts());
}
