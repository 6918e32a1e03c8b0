//! A breaker that opens shortly before its tape ends.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use support::{Tape, memory, partitions, worker_plan};
use tapewatch_consumers::Worker;
use tapewatch_consumers::audit::{Audit, Subject, audit};
use tapewatch_eventlog::{Log, OutRecord, Round, TopicPartition};
use tapewatch_schemas::Event;
use tapewatch_schemas::catalogue as c;
use tapewatch_schemas::events::{Heartbeat, Progress};

/// A source says that nothing more comes anywhere.
fn the_end(log: &dyn Log, tape: &Tape) -> Event {
    let topics = [c::EXEC_REPORTS, c::ACCOUNTS, c::MARKET_DATA, c::HEARTBEATS];
    let counts = partitions(log);
    let of = |topic| (0..counts[topic] as i32).map(move |partition| (topic, partition));
    let places = topics.into_iter().flat_map(of);
    let progress = places.map(|(topic, partition)| Progress {
        topic: topic.into(),
        partition,
        last_sequence: -1,
        complete_to: tape.now,
        closed: true,
    });
    Event::Heartbeat(Heartbeat {
        source: "sim".into(),
        sequence: 1,
        event_time: tape.now,
        progress: progress.collect(),
    })
}

/// Poison, so many good fills right behind it, and the end of the tape.
fn ends(good: usize) -> (Worker, Audit, TopicPartition) {
    let log = memory();
    let mut tape = Tape::new();
    let write = |records: Vec<OutRecord>| {
        log.writer("tape").unwrap().commit(&Round { records, offsets: vec![] }, None).unwrap();
    };
    let fill = tape.fill("p0");
    let first = tape.record(&*log, &fill);
    let at = first.target.clone();
    let bad = OutRecord { value: Some(Bytes::from_static(b"{no")), ..first.clone() };
    let fills: Vec<Event> = (0..good).map(|_| tape.fill("p0")).collect();
    write([vec![first], vec![bad; 30]].concat());
    let mut worker = Worker::join(worker_plan(&*log, "a"), Arc::clone(&log)).unwrap();
    worker.run_to_end().unwrap();
    assert!(worker.task_mut(at.partition).unwrap().core.breaker(&at).open_since().is_some());
    let end = the_end(&*log, &tape);
    write(fills.iter().chain([&end]).map(|event| tape.record(&*log, event)).collect());
    worker.run_to_end().unwrap();
    worker.run_to_end().unwrap();
    let found = audit(&log, &Subject::from(&worker_plan(&*log, "a")), &mut |_| {}).unwrap();
    assert!(found.holds(), "{found:#?}");
    (worker, found, at)
}

fn lag(found: &Audit, at: &TopicPartition) -> i64 {
    let own = found.lines.iter().filter(|line| line.topic == at.topic && line.partition == at.partition);
    own.map(|line| line.lag).sum()
}

#[test]
fn the_tapes_end_does_not_wait_for_the_probe() {
    let (mut worker, found, at) = ends(5);
    let task = worker.task_mut(at.partition).unwrap();
    assert!(task.core.breaker(&at).open_since().is_none(), "enough good records came");
    assert!(task.core.is_closed());
    assert_eq!(lag(&found, &at), 0);
}

#[test]
fn a_breaker_without_enough_good_records_stays_open_and_the_tape_ends_all_the_same() {
    let (mut worker, found, at) = ends(2);
    let task = worker.task_mut(at.partition).unwrap();
    assert!(task.core.breaker(&at).open_since().is_some());
    assert!(task.core.is_closed());
    assert!(lag(&found, &at) >= 22, "what is behind it is still there: {found:#?}");
}
