//! What is written to a real log.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tapewatch_eventlog::faults::{Fault, FaultyLog, Op, Plan, Rates};
use tapewatch_eventlog::{Log, LogError, OpenOptions, Polled, TopicPartition, TopicSpec, open};
use tapewatch_producers::{
    EventPublisher, Layout, Pace, PlayError, Player, PlayerOptions, PublishError, Slice, SliceWriter, Tape,
    play,
};
use tapewatch_schemas::catalogue::{
    self, ACCOUNTS, EXEC_REPORTS, HEARTBEATS, MARKET_DATA, POSITIONS, SIGNALS,
};
use tapewatch_schemas::events::{Account, Event};
use tapewatch_schemas::partition::Partitioner;
use tapewatch_schemas::{Amount, Codec, Time};

fn log_with(options: &OpenOptions) -> Arc<dyn Log> {
    let log = open("sqlite::memory:", options).unwrap();
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

fn log() -> Arc<dyn Log> {
    log_with(&OpenOptions::default())
}

fn codec() -> Arc<Codec> {
    Arc::new(Codec::new(&[]).unwrap())
}

fn player(log: &dyn Log, bars: usize) -> Player {
    let layout = Layout::of(log, Partitioner::Murmur2).unwrap();
    let incidents = bars >= 900;
    let options = PlayerOptions { bars: Some(bars), incidents, layout, ..PlayerOptions::default() };
    Player::new(options, &Tape::built_in().unwrap()).unwrap()
}

/// Keys and values.
type Records = Vec<(Vec<u8>, Vec<u8>)>;

fn read(log: &dyn Log, at: &TopicPartition) -> Records {
    let end = log.bounds(at).unwrap().end;
    let mut reader = log.reader().unwrap();
    reader.assign(&[(at.clone(), 0)]).unwrap();
    let (mut found, mut next) = (Vec::new(), 0);
    while next < end {
        match reader.poll(Duration::from_millis(100)).unwrap() {
            Polled::Batch(batch) => {
                for record in batch.iter() {
                    found.push((record.key.unwrap().to_vec(), record.value.unwrap().to_vec()));
                    next = record.offset + 1;
                }
            }
            Polled::End { position, .. } => next = position,
            other => panic!("{other:?}"),
        }
    }
    found
}

fn everything(log: &dyn Log) -> Vec<(TopicPartition, Records)> {
    let mut all = Vec::new();
    for topic in log.topics().unwrap() {
        for partition in 0..topic.partitions {
            let at = TopicPartition::new(topic.name.clone(), partition);
            let records = read(log, &at);
            all.push((at, records));
        }
    }
    all
}

#[test]
fn two_runs_write_the_same_bytes_and_all_but_poison_decodes() {
    let written = || {
        let log = log();
        let mut seen = 0;
        let player = player(log.as_ref(), 900);
        let played = play(&log, codec(), player, Pace::Max, |_| seen += 1, &AtomicBool::new(false)).unwrap();
        assert!(played.finished && played.bars == 900 && seen == 57, "{played:?} {seen}");
        (played.records, everything(log.as_ref()))
    };
    let (count, first) = written();
    assert_eq!(first, written().1);
    let (codec, mut poison, mut total) = (codec(), 0, 0);
    for (at, records) in &first {
        for (key, value) in records {
            total += 1;
            match codec.decode(at.topic.as_str(), value) {
                Ok(event) => assert_eq!(event.key().as_bytes(), key),
                Err(_) => poison += 1,
            }
        }
    }
    assert_eq!((total, poison), (count, 503));
    for topic in [MARKET_DATA, SIGNALS, EXEC_REPORTS, POSITIONS, ACCOUNTS, HEARTBEATS] {
        assert!(
            first.iter().any(|(at, records)| at.topic.as_str() == topic && !records.is_empty()),
            "{topic}"
        );
    }
}

#[test]
fn a_used_log_a_missing_topic_and_a_shutdown_stop_the_player() {
    let log = log();
    let stop = AtomicBool::new(false);
    let played = play(
        &log,
        codec(),
        player(log.as_ref(), 100),
        Pace::Max,
        |_| stop.store(true, Ordering::Relaxed),
        &stop,
    );
    let played = played.unwrap();
    assert_eq!((played.bars, played.finished), (16, false));
    let again = play(&log, codec(), player(log.as_ref(), 100), Pace::Max, |_| {}, &AtomicBool::new(false));
    assert!(matches!(again, Err(PlayError::Used { .. })), "{again:?}");
    let empty = open("sqlite::memory:", &OpenOptions::default()).unwrap();
    assert!(matches!(Layout::of(empty.as_ref(), Partitioner::Murmur2), Err(LogError::NoTopic { .. })));
}

#[test]
fn a_pace_is_kept() {
    let log = log();
    // Four bars are an hour of the tape: at 7,200 times, half a second.
    let began = Instant::now();
    let mut pieces = 0;
    let player = player(log.as_ref(), 4);
    let played =
        play(&log, codec(), player, Pace::Times(7200.0), |_| pieces += 1, &AtomicBool::new(false)).unwrap();
    assert!(played.finished && pieces >= 3, "{played:?} in {pieces}");
    assert!(began.elapsed() >= Duration::from_millis(490));
}

#[test]
fn a_split_slice_holds_the_same_records() {
    let log = log();
    let slices: Vec<Slice> = player(log.as_ref(), 40).collect();
    for slice in slices {
        let pieces = slice.clone().split(60_000_000);
        assert!(pieces.len() > 10);
        assert_eq!(pieces.last().unwrap().until, slice.until);
        for piece in &pieces {
            assert!(piece.records.iter().all(|record| record.published < piece.until));
        }
        let records: Vec<_> = pieces.into_iter().flat_map(|piece| piece.records).collect();
        assert_eq!(records, slice.records);
    }
}

#[test]
fn a_newer_player_fences_the_older() {
    let log = log();
    let mut slices = player(log.as_ref(), 40);
    let mut older = SliceWriter::open(&log, codec()).unwrap();
    older.write(slices.next().unwrap()).unwrap();
    let mut newer = SliceWriter::open(&log, codec()).unwrap();
    let refused = older.write(slices.next().unwrap()).unwrap_err();
    assert!(refused.to_string().contains("fenced"), "{refused}");
    newer.write(slices.next().unwrap()).unwrap();
}

fn account(sequence: i64) -> Event {
    Event::Account(Account {
        source: "test".into(),
        sequence,
        event_time: Time(sequence),
        portfolio: "alpha".into(),
        currency: "USD".into(),
        cash: Amount::ONE,
        equity: Amount::ONE,
        deposits: Amount::ONE,
        withdrawals: Amount::ZERO,
    })
}

#[test]
fn events_are_acknowledged_and_in_order() {
    let log = log();
    let mut publisher = EventPublisher::open(&log, codec(), Partitioner::Murmur2).unwrap();
    let mut at = None;
    for sequence in 0..1000 {
        at = Some(publisher.send(&account(sequence)).unwrap());
    }
    assert_eq!(publisher.flush(Duration::from_secs(10)).unwrap(), 1000);
    let found: Vec<i64> = read(log.as_ref(), &at.unwrap())
        .iter()
        .map(|(_, value)| codec().decode(ACCOUNTS, value).unwrap().origin().unwrap().1)
        .collect();
    assert_eq!(found, (0..1000).collect::<Vec<_>>());
}

#[test]
fn a_full_queue_and_a_missing_topic_are_refused() {
    let log = log_with(&OpenOptions { queue_bytes: 1, ..OpenOptions::default() });
    let mut publisher = EventPublisher::open(&log, codec(), Partitioner::Murmur2).unwrap();
    // One record is always taken; the next ones find it waiting sooner or later.
    let mut sent = 0;
    let refused = (0..100_000).find_map(|sequence| match publisher.send(&account(sequence)) {
        Ok(_) => {
            sent += 1;
            None
        }
        Err(error) => Some(error),
    });
    assert!(matches!(refused, Some(PublishError::Full { .. })), "{refused:?}");
    assert_eq!(publisher.flush(Duration::from_secs(10)).unwrap(), sent);
    let bare = open("sqlite::memory:", &OpenOptions::default()).unwrap();
    let mut publisher = EventPublisher::open(&bare, codec(), Partitioner::Murmur2).unwrap();
    assert!(matches!(publisher.send(&account(0)), Err(PublishError::Log(LogError::NoTopic { .. }))));
}

/// What is on the log after a player met these faults.
fn played_with(plan: Plan) -> Vec<(TopicPartition, Records)> {
    let inner = log();
    let faulty: Arc<dyn Log> = Arc::new(FaultyLog::new(Arc::clone(&inner), Arc::new(plan)));
    let player = player(inner.as_ref(), 128);
    let played = play(&faulty, codec(), player, Pace::Max, |_| {}, &AtomicBool::new(false)).unwrap();
    assert!(played.finished);
    everything(inner.as_ref())
}

#[test]
fn faults_neither_lose_a_slice_nor_write_it_twice() {
    let wanted = played_with(Plan::quiet());
    for fault in [Fault::Abort, Fault::UnknownNotWritten, Fault::UnknownWritten, Fault::UnknownWrittenLate] {
        let plan = Plan::quiet();
        plan.inject(Op::Commit, fault);
        plan.inject(Op::Recover, Fault::Abort);
        plan.inject(Op::Poll, Fault::Abort);
        assert!(wanted == played_with(plan), "{fault:?}");
    }
    let rates = Rates { abort: 1500, unknown: 2500, error: 500, ..Rates::default() };
    for seed in 0..5 {
        assert!(wanted == played_with(Plan::seeded(seed, rates)), "seed {seed}");
    }
}

#[test]
fn a_full_log_ends_the_player_with_the_slice_unwritten() {
    let inner = log();
    let plan = Arc::new(Plan::quiet());
    let faulty: Arc<dyn Log> = Arc::new(FaultyLog::new(Arc::clone(&inner), Arc::clone(&plan)));
    let mut player = player(inner.as_ref(), 64);
    let mut writer = SliceWriter::open(&faulty, codec()).unwrap();
    plan.inject(Op::Commit, Fault::Full);
    let refused = writer.write(player.next().unwrap()).unwrap_err();
    assert!(refused.to_string().contains("no space left"), "{refused}");
    assert!(everything(inner.as_ref()).iter().all(|(_, records)| records.is_empty()));
}
