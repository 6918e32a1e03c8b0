//! Events and tapes through a spool.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tapewatch_eventlog::faults::{Fault, FaultyLog, Op, Plan, Rates};
use tapewatch_eventlog::{Log, OpenOptions, Polled, TopicPartition, TopicSpec, open};
use tapewatch_producers::{
    EventPublisher, Layout, Pace, Player, PlayerOptions, PublishError, Tape, play, play_through,
};
use tapewatch_schemas::catalogue::{self, ACCOUNTS};
use tapewatch_schemas::events::{Account, Event};
use tapewatch_schemas::partition::Partitioner;
use tapewatch_schemas::{Amount, Codec, Time};

use super::*;

fn inputs() -> Arc<dyn Log> {
    let log = open("sqlite::memory:", &OpenOptions::default()).unwrap();
    let topics: Vec<TopicSpec> = catalogue::plan(4, catalogue::DEFAULT_RETENTION)
        .into_iter()
        .map(|topic| TopicSpec {
            name: topic.name,
            partitions: topic.partitions as i32,
            replication: 1,
            retention: topic.retention,
            compacted: topic.compacted,
        })
        .collect();
    log.create(&topics).unwrap();
    log
}

fn codec() -> Arc<Codec> {
    Arc::new(Codec::new(&[]).unwrap())
}

fn account(sequence: i64) -> Event {
    Event::Account(Account {
        source: "test".into(),
        sequence,
        event_time: Time(sequence),
        portfolio: format!("p{}", sequence % 7).into(),
        currency: "USD".into(),
        cash: Amount::ONE,
        equity: Amount::ONE,
        deposits: Amount::ONE,
        withdrawals: Amount::ZERO,
    })
}

/// Every record of a log: its partition, key and value, in order.
fn everything(log: &dyn Log) -> Vec<(TopicPartition, Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    for topic in log.topics().unwrap() {
        for partition in 0..topic.partitions {
            let at = TopicPartition::new(topic.name.clone(), partition);
            let (end, mut next) = (log.bounds(&at).unwrap().end, 0);
            let mut reader = log.reader().unwrap();
            reader.assign(&[(at.clone(), 0)]).unwrap();
            while next < end {
                let Polled::Batch(batch) = reader.poll(PATIENCE).unwrap() else { continue };
                for record in batch.iter() {
                    found.push((at.clone(), record.key.unwrap().to_vec(), record.value.unwrap().to_vec()));
                    next = record.offset + 1;
                }
            }
        }
    }
    found
}

#[test]
fn events_are_where_they_would_be_without_a_spool() {
    let (plain, inner, folder) = (inputs(), inputs(), tempfile::tempdir().unwrap());
    let plan = Arc::new(Plan::quiet());
    let log: Arc<dyn Log> = Arc::new(FaultyLog::new(Arc::clone(&inner), Arc::clone(&plan)));
    let mut straight = EventPublisher::open(&plain, codec(), Partitioner::Murmur2).unwrap();
    let courier = courier(&log, folder.path());
    let mut spooled = EventPublisher::through(courier, &log, codec(), Partitioner::Murmur2).unwrap();
    let before = tapewatch_eventlog::Clock::system().now();
    for sequence in 0..500 {
        if sequence == 100 {
            plan.inject(Op::Commit, Fault::CrashAfter);
        }
        for publisher in [&mut straight, &mut spooled] {
            publisher.send(&account(sequence)).unwrap();
            if sequence % 10 == 9 {
                assert_eq!(publisher.flush(PATIENCE).unwrap(), 10);
            }
        }
    }
    let counts = spooled.spool().unwrap();
    assert_eq!((counts.direct, counts.spooled), (100, 400), "{counts:?}");
    let sent = tapewatch_eventlog::Clock::system().now();
    plan.revive();
    drained(spooled.courier().unwrap());
    assert_eq!(everything(&*inner), everything(&*plain));
    // Publication times are those at which events were sent.
    let mut reader = inner.reader().unwrap();
    reader.assign(&[(TopicPartition::new(ACCOUNTS, 0), 0)]).unwrap();
    let Polled::Batch(batch) = reader.poll(PATIENCE).unwrap() else { panic!("there are records") };
    assert!(batch.iter().all(|record| before <= record.timestamp && record.timestamp <= sent));
}

#[test]
fn at_the_bound_events_stay_with_the_publisher() {
    let (inner, folder) = (inputs(), tempfile::tempdir().unwrap());
    let plan = Arc::new(Plan::quiet());
    let log: Arc<dyn Log> = Arc::new(FaultyLog::new(Arc::clone(&inner), Arc::clone(&plan)));
    let options = SpoolOptions { max_bytes: 10_000, ..options(folder.path()) };
    let courier = Courier::open(&log, &options, Arc::new(|_| {})).unwrap();
    let mut publisher = EventPublisher::through(courier, &log, codec(), Partitioner::Murmur2).unwrap();
    plan.inject(Op::Commit, Fault::CrashBefore);
    let mut sent = 0;
    let refused = loop {
        publisher.send(&account(sent)).unwrap();
        sent += 1;
        if let Err(error) = publisher.flush(PATIENCE) {
            break error;
        }
    };
    assert!(matches!(refused, PublishError::Spool(_)), "{refused}");
    plan.revive();
    drained(publisher.courier().unwrap());
    assert_eq!(publisher.flush(PATIENCE).unwrap(), 1, "the one that was refused");
    drained(publisher.courier().unwrap());
    assert_eq!(everything(&*inner).len(), sent as usize);
}

#[test]
fn a_tape_through_a_spool_is_the_tape() {
    let tape = |log: &Arc<dyn Log>| {
        let layout = Layout::of(&**log, Partitioner::Murmur2).unwrap();
        let options =
            PlayerOptions { bars: Some(200), layout, bars_per_slice: 4, ..PlayerOptions::default() };
        Player::new(options, &Tape::built_in().unwrap()).unwrap()
    };
    let never = AtomicBool::new(false);
    let plain = inputs();
    play(&plain, codec(), tape(&plain), Pace::Max, |_| {}, &never).unwrap();
    let (inner, folder) = (inputs(), tempfile::tempdir().unwrap());
    let rates = Rates { abort: 3000, unknown: 3000, ..Rates::default() };
    let log: Arc<dyn Log> = Arc::new(FaultyLog::new(Arc::clone(&inner), Arc::new(Plan::seeded(3, rates))));
    let courier = courier(&log, folder.path());
    let played = play_through(courier, &log, codec(), tape(&log), Pace::Max, |_| {}, &never).unwrap();
    assert_eq!((played.finished, played.waiting), (true, 0));
    assert_eq!(everything(&*inner), everything(&*plain));
}
