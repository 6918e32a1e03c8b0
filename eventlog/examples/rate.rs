//! How fast the embedded log is here: `cargo run --release -p tapewatch-eventlog --example rate [FOLDER]`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tapewatch_eventlog::{Log, OpenOptions, OutRecord, Polled, Round, TopicPartition, TopicSpec, open};

const RECORDS: usize = 1_000_000;
const PARTITIONS: i32 = 12;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir_in(std::env::args().nth(1).unwrap_or_else(|| ".".into()))?;
    let url = format!("sqlite:{}", folder.path().join("rate.db").display());
    let log = open(&url, &OpenOptions::default())?;
    let names = ["large", "small", "published"];
    let spec = |name: &str| TopicSpec {
        name: name.into(),
        partitions: PARTITIONS,
        replication: 1,
        retention: None,
        compacted: false,
    };
    log.create(&names.map(spec))?;
    rounds(log.as_ref(), "large", 10_000, RECORDS)?;
    rounds(log.as_ref(), "small", 100, 100_000)?;
    publish(log.as_ref())?;
    followers(&log)?;
    drop(log);
    let begun = Instant::now();
    let log = open(&url, &OpenOptions::default())?;
    println!("opening again: {:?}", begun.elapsed());
    catch_up(log.as_ref())?;
    latency(log.as_ref())
}

fn record(topic: &str, n: usize) -> OutRecord {
    OutRecord {
        target: TopicPartition::new(topic, n as i32 % PARTITIONS),
        timestamp: None,
        key: Some(Bytes::from(format!("portfolio-{:03}", n % 100))),
        value: Some(Bytes::from(vec![n as u8; 237])),
        headers: Vec::new(),
    }
}

fn told(what: &str, records: usize, begun: Instant) {
    let rate = records as f64 / begun.elapsed().as_secs_f64();
    println!("{what}: {rate:.0} records/s");
}

fn rounds(log: &dyn Log, topic: &str, size: usize, total: usize) -> Result<(), Box<dyn std::error::Error>> {
    let mut writer = log.writer("rate")?;
    let round = Round { records: (0..size).map(|n| record(topic, n)).collect(), offsets: Vec::new() };
    let begun = Instant::now();
    for _ in 0..total / size {
        writer.commit(&round, None)?;
    }
    told(&format!("one writer, rounds of {size}"), total, begun);
    Ok(())
}

fn publish(log: &dyn Log) -> Result<(), Box<dyn std::error::Error>> {
    let mut publisher = log.publisher()?;
    let records: Vec<_> = (0..1200).map(|n| record("published", n)).collect();
    let begun = Instant::now();
    for n in 0..RECORDS {
        while publisher.send(records[n % records.len()].clone()).is_err() {
            publisher.flush(Duration::from_secs(60))?;
        }
    }
    publisher.flush(Duration::from_secs(60))?;
    told("one publisher", RECORDS, begun);
    Ok(())
}

/// Six followers at the head while one publisher writes.
fn followers(log: &Arc<dyn Log>) -> Result<(), Box<dyn std::error::Error>> {
    let mut threads = Vec::new();
    for _ in 0..6 {
        let mut reader = log.reader()?;
        for p in 0..PARTITIONS {
            let at = TopicPartition::new("large", p);
            let end = log.bounds(&at)?.end;
            reader.assign(&[(at, end)])?;
        }
        threads.push(std::thread::spawn(move || {
            let mut seen = 0;
            while seen < RECORDS {
                if let Ok(Polled::Batch(batch)) = reader.poll(Duration::from_secs(1)) {
                    seen += batch.len();
                }
            }
        }));
    }
    let begun = Instant::now();
    rounds(log.as_ref(), "large", 2_000, RECORDS)?;
    for thread in threads {
        thread.join().map_err(|_| "a follower failed")?;
    }
    told("the same with six followers, until the last has it", RECORDS, begun);
    Ok(())
}

fn catch_up(log: &dyn Log) -> Result<(), Box<dyn std::error::Error>> {
    let mut reader = log.reader()?;
    let starts: Vec<_> = (0..PARTITIONS).map(|p| (TopicPartition::new("large", p), 0)).collect();
    reader.assign(&starts)?;
    let begun = Instant::now();
    let mut seen = 0;
    while seen < 2 * RECORDS {
        if let Polled::Batch(batch) = reader.poll(Duration::from_secs(1))? {
            seen += batch.len();
        }
    }
    told("reading from the file", seen, begun);
    Ok(())
}

/// 1,000 rounds of 10 records, one after the other, at 100 a second.
fn latency(log: &dyn Log) -> Result<(), Box<dyn std::error::Error>> {
    let mut writer = log.writer("latency")?;
    let round = Round { records: (0..10).map(|n| record("small", n)).collect(), offsets: Vec::new() };
    let mut took: Vec<_> = (0..1000)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(5));
            let begun = Instant::now();
            writer.commit(&round, None).map(|_| begun.elapsed())
        })
        .collect::<Result<_, _>>()?;
    took.sort();
    println!("a commit of 10 records: p50 {:?}, p99 {:?}, most {:?}", took[500], took[990], took[999]);
    Ok(())
}
