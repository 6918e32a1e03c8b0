//! A worker that goes away at any point comes back as it was: no byte is lost, doubled or changed.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::{Tape, all_holds, by_task, create, same, worker_plan};
use tapewatch_consumers::Worker;
use tapewatch_consumers::plan::WorkerPlan;
use tapewatch_eventlog::{Log, OpenOptions, open};
use tapewatch_schemas::catalogue as c;

const PATIENCE: Duration = Duration::from_secs(20);

/// A log that delivers few records at a time, with a whole tape.
fn taped() -> Arc<dyn Log> {
    let options = OpenOptions { batch_records: 3, ..OpenOptions::default() };
    let log = open("sqlite::memory:", &options).unwrap();
    create(&*log);
    let mut writer = log.writer("tape").unwrap();
    for round in Tape::new().whole(&*log, 4) {
        writer.commit(&round, None).unwrap();
    }
    log
}

fn plan(log: &Arc<dyn Log>) -> WorkerPlan {
    let mut plan = worker_plan(&**log, "a");
    plan.runtime.max_records = 20;
    (plan.runtime.linger, plan.runtime.max_carry) = (Duration::ZERO, Duration::ZERO);
    plan
}

/// Turns until the tape has ended, or so many times. True if it has ended.
fn turn(worker: &mut Worker, times: usize) -> bool {
    let deadline = Instant::now() + PATIENCE;
    for _ in 0..times {
        worker.turn(Duration::from_millis(2)).unwrap();
        if worker.tasks().count() == 2 && worker.tasks().all(|task| task.core.is_closed()) {
            worker.flush().unwrap();
            return true;
        }
        assert!(Instant::now() < deadline, "the tape does not end");
    }
    false
}

fn compare(whole: &Arc<dyn Log>, other: &Arc<dyn Log>) {
    for topic in [c::RISK_METRICS, c::HEARTBEATS, c::SYSTEM_HEALTH] {
        same(&by_task(whole, topic), &by_task(other, topic));
    }
    all_holds(other);
}

/// Law 2: at every turn there is a worker that goes away there, without a word.
#[test]
fn a_drop_at_any_turn_changes_no_byte() {
    let whole = taped();
    assert!(turn(&mut Worker::join(plan(&whole), Arc::clone(&whole)).unwrap(), usize::MAX));
    assert!(by_task(&whole, c::RISK_METRICS).len() > 240, "a figure at each fill, and levels");
    let mut drops = 0;
    for at in 1.. {
        let log = taped();
        let mut worker = Worker::join(plan(&log), Arc::clone(&log)).unwrap();
        let ended = turn(&mut worker, at);
        drop(worker);
        let mut worker = Worker::join(plan(&log), Arc::clone(&log)).unwrap();
        assert!(turn(&mut worker, usize::MAX));
        drop(worker);
        compare(&whole, &log);
        if ended {
            break;
        }
        drops += 1;
    }
    assert!(drops > 10, "the tape took {drops} turns");
}

/// And one that never comes further than a few rounds.
#[test]
fn a_worker_that_is_dropped_again_and_again_gets_through() {
    let whole = taped();
    assert!(turn(&mut Worker::join(plan(&whole), Arc::clone(&whole)).unwrap(), usize::MAX));
    let log = taped();
    let mut drops = 0;
    while !three_rounds(&log) {
        drops += 1;
    }
    assert!(drops > 3, "it was dropped {drops} times");
    compare(&whole, &log);
}

/// Turns until three rounds are acknowledged. True if the tape has ended before that.
fn three_rounds(log: &Arc<dyn Log>) -> bool {
    let mut worker = Worker::join(plan(log), Arc::clone(log)).unwrap();
    let rounds = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&rounds);
    worker.observe(Box::new(move |acknowledged| {
        counted.fetch_add(usize::from(acknowledged.first), Ordering::Relaxed);
    }));
    while rounds.load(Ordering::Relaxed) < 3 {
        if turn(&mut worker, 1) {
            return true;
        }
    }
    false
}

/// A worker that dies again and again does not have more to run again each time.
#[test]
fn a_restored_task_saves_its_state_soon() {
    let log = support::memory();
    let mut tape = Tape::new();
    let mut life = || {
        let mut plan = worker_plan(&*log, "a");
        plan.runtime.snapshot_rounds = 1_000;
        let mut worker = Worker::join(plan, Arc::clone(&log)).unwrap();
        for _ in 0..12 {
            log.writer("tape").unwrap().commit(&tape.slice(&*log, 10), None).unwrap();
            worker.run_to_end().unwrap();
        }
        support::dump(&log, "state.risk.v1").len()
    };
    assert_eq!(life(), 0, "nothing is due in the first");
    assert!(life() >= 2, "each task saves its state in the second");
    all_holds(&log);
}
