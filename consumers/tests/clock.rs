//! A task's clock and the order of what it takes: ticks between records, what comes late, what is waited for.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use support::{Tape, all_holds, by_task, dump, memory, same, worker_plan};
use tapewatch_consumers::Worker;
use tapewatch_consumers::audit::{Subject, audit};
use tapewatch_eventlog::{Log, OutRecord, Round};
use tapewatch_schemas::events::{HealthKind, HealthStatus, RiskMetrics};
use tapewatch_schemas::{Codec, Event, Time, catalogue as c};

fn write(log: &Arc<dyn Log>, records: Vec<OutRecord>) {
    log.writer("tape").unwrap().commit(&Round { records, offsets: vec![] }, None).unwrap();
}

fn figures(log: &Arc<dyn Log>) -> Vec<RiskMetrics> {
    let codec = Codec::new(&[]).unwrap();
    let decode = |value: &[u8]| match codec.decode(c::RISK_METRICS, value) {
        Ok(Event::RiskMetrics(metrics)) => metrics,
        other => panic!("{other:?}"),
    };
    dump(log, c::RISK_METRICS).iter().map(|(_, _, value)| decode(value)).collect()
}

/// Law 3: a tick comes after all records with a merge time up to it, before the first later one.
#[test]
fn a_tick_stands_behind_what_is_due_with_it_and_before_what_is_later() {
    let log = memory();
    let mut tape = Tape::new();
    let mut worker = Worker::join(worker_plan(&*log, "a"), Arc::clone(&log)).unwrap();
    let minute = tape.now.floor_to(support::MINUTE) + support::MINUTE;
    let mut records = Vec::new();
    // Two of them at the very deadline, in two topics: both go first.
    for (offset, mark) in
        [(-1_000_000, false), (0, false), (0, true), (0, false), (1, false), (1_000_000, false)]
    {
        tape.now = Time(minute.micros() + offset);
        let event = if mark { tape.mark("BTC-USD") } else { tape.fill("p4") };
        records.push(tape.record(&*log, &event));
    }
    write(&log, records);
    worker.run_to_end().unwrap();
    worker.stop().unwrap();
    let said: Vec<(i64, Option<f64>, bool)> = figures(&log)
        .into_iter()
        .map(|said| {
            let tick = said.provenance.cause.starts_with("tick@");
            (said.event_time.since(minute), said.measures[0].value, tick)
        })
        .collect();
    let expected = [
        (-1_000_000, Some(1.0), false),
        (0, Some(2.0), false),
        (0, Some(3.0), false),
        (0, Some(3.0), true),
        (1, Some(4.0), false),
        (1_000_000, Some(5.0), false),
    ];
    assert_eq!(said, expected, "microseconds after the minute, fills so far, and whether it is a tick");
    all_holds(&log);
}

/// What comes behind the frontier is taken when it comes, counted, and told.
#[test]
fn what_comes_late_is_processed_and_counted_late() {
    let log = memory();
    let mut tape = Tape::new();
    let mut worker = Worker::join(worker_plan(&*log, "a"), Arc::clone(&log)).unwrap();
    write(&log, tape.slice(&*log, 40).records);
    worker.run_to_end().unwrap();
    let frontier = tape.now;
    let late: Vec<OutRecord> = (0..3)
        .map(|_| {
            tape.now = tape.now - Duration::from_secs(7);
            let fill = tape.fill("p4");
            tape.record(&*log, &fill)
        })
        .collect();
    let task = late[0].target.partition;
    let before = figures(&log).len();
    write(&log, late);
    worker.run_to_end().unwrap();
    assert_eq!(worker.tasks().map(|task| task.core.counts().late).sum::<u64>(), 3);
    assert_eq!(worker.task_mut(task).unwrap().core.counts().late, 3);
    let all = figures(&log);
    let codec = Codec::new(&[]).unwrap();
    let of_late: Vec<_> = all.iter().filter(|said| said.provenance.partition == task).rev().take(3).collect();
    assert_eq!(all.len(), before + 3, "each has its figure");
    assert!(
        of_late.iter().all(|said| said.event_time >= frontier - Duration::from_secs(2)),
        "no clock goes back"
    );

    // The next report says how many, the one after it that it is over.
    tape.now = frontier;
    for _ in 0..2 {
        write(&log, tape.slice(&*log, 40).records);
        worker.run_to_end().unwrap();
    }
    worker.stop().unwrap();
    let mut told = Vec::new();
    for (_, _, value) in dump(&log, c::SYSTEM_HEALTH) {
        let Ok(Event::SystemHealth(health)) = codec.decode(c::SYSTEM_HEALTH, &value) else {
            panic!("health")
        };
        if health.kind == HealthKind::Late {
            told.push((health.component, health.status, health.count));
        }
    }
    let component = format!("risk/{task}");
    let expected =
        [(component.clone(), HealthStatus::Degraded, Some(3)), (component, HealthStatus::Ok, Some(0))];
    assert_eq!(told, expected);
    all_holds(&log);
}

/// No worker's own heartbeats are among what it takes, nor what it waits for.
#[test]
fn a_worker_passes_over_its_own_heartbeats() {
    let log = memory();
    let mut tape = Tape::new();
    let mut worker = Worker::join(worker_plan(&*log, "a"), Arc::clone(&log)).unwrap();
    let mut beats = 0;
    for round in tape.whole(&*log, 4) {
        beats += 2;
        write(&log, round.records);
        worker.run_to_end().unwrap();
    }
    let lanes = worker.tasks().flat_map(|task| &task.merge.lanes);
    let waited: Vec<_> = lanes.filter(|lane| !lane.redrive && !lane.closed()).collect();
    assert!(waited.is_empty(), "only the tape's sources are waited for, and they have closed: {waited:?}");
    worker.stop().unwrap();
    let own = by_task(&log, c::HEARTBEATS).len() as i64;
    assert!(own > 8, "each task beats twice a minute: {own}");
    let found = audit(&log, &Subject::from(&worker_plan(&*log, "a")), &mut |_| {}).unwrap();
    let heard: Vec<_> = found.lines.iter().filter(|line| line.topic.as_str() == c::HEARTBEATS).collect();
    assert_eq!(heard.len(), 2, "a line for each task");
    for line in heard {
        assert_eq!(line.processed, beats, "{line}");
        assert_eq!(line.skipped(), line.consumed - beats, "{line}");
        assert!(line.skipped.keys().all(|reason| reason == "not_concerned"), "{line:?}");
        assert!(line.skipped() > 0, "{line}");
    }
    all_holds(&log);
}

/// On the tape's clock, without lock step, only promises release the merge: how the tape came makes no
/// difference.
#[test]
fn a_tape_in_one_go_or_bit_by_bit_gives_what_lock_step_gives() {
    let step = memory();
    let mut worker = Worker::join(worker_plan(&*step, "a"), Arc::clone(&step)).unwrap();
    for round in Tape::new().whole(&*step, 5) {
        write(&step, round.records);
        worker.run_to_end().unwrap();
    }
    worker.stop().unwrap();
    for at_once in [true, false] {
        let log = memory();
        let mut worker = Worker::join(worker_plan(&*log, "a"), Arc::clone(&log)).unwrap();
        for round in Tape::new().whole(&*log, 5) {
            // Bit by bit, a record of each topic may be there long before those that go first.
            let (marks, others): (Vec<_>, Vec<_>) =
                round.records.into_iter().partition(|record| record.target.topic.as_str() == c::MARKET_DATA);
            for records in [marks, others] {
                for some in records.chunks(if at_once { usize::MAX } else { 17 }) {
                    write(&log, some.to_vec());
                    if !at_once {
                        worker.turn(Duration::from_millis(1)).unwrap();
                    }
                }
            }
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        while worker.tasks().count() < 2 || !worker.tasks().all(|task| task.core.is_closed()) {
            worker.turn(Duration::from_millis(2)).unwrap();
            assert!(Instant::now() < deadline, "the tape does not end");
        }
        worker.stop().unwrap();
        for topic in [c::RISK_METRICS, c::HEARTBEATS, c::SYSTEM_HEALTH] {
            same(&by_task(&step, topic), &by_task(&log, topic));
        }
        all_holds(&log);
    }
}
