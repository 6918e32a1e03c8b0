//! Law 2: two workers under one name on one log. The older writes nothing more, and says so.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use support::{Tape, all_holds, by_task, dump, memory, same, worker_plan};
use tapewatch_consumers::Worker;
use tapewatch_consumers::plan::WorkerPlan;
use tapewatch_eventlog::Log;
use tapewatch_schemas::catalogue as c;

fn tape(log: &Arc<dyn Log>) {
    let mut writer = log.writer("tape").unwrap();
    for round in Tape::new().whole(&**log, 2) {
        writer.commit(&round, None).unwrap();
    }
}

/// A worker whose rounds wait: it computes and does not write.
fn slow(log: &Arc<dyn Log>) -> WorkerPlan {
    let mut plan = worker_plan(&**log, "a");
    plan.runtime.max_records = 1_000_000;
    (plan.runtime.linger, plan.runtime.linger_max) = (Duration::from_secs(3600), Duration::from_secs(3600));
    plan
}

fn written(log: &Arc<dyn Log>) -> Vec<usize> {
    let topics = [c::RISK_METRICS, c::HEARTBEATS, c::SYSTEM_HEALTH, "journal.risk.v1", "state.risk.v1"];
    topics.iter().map(|topic| dump(log, topic).len()).collect()
}

#[test]
fn an_older_worker_of_the_same_name_writes_nothing_more_and_says_so() {
    let log = memory();
    tape(&log);
    let mut older = Worker::join(slow(&log), Arc::clone(&log)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while older.tasks().count() < 2 || older.tasks().any(|task| task.core.step() < 100) {
        older.turn(Duration::from_millis(2)).unwrap();
        assert!(Instant::now() < deadline, "it does not get to work");
    }
    // It has computed, and not written: then another process takes its place, and writes the same.
    assert!(dump(&log, c::RISK_METRICS).is_empty());
    let mut newer = Worker::join(worker_plan(&*log, "a"), Arc::clone(&log)).unwrap();
    newer.run_to_end().unwrap();
    let before = written(&log);
    assert!(before[0] > 120, "a figure for each fill: {before:?}");

    older.flush().unwrap();
    assert!(older.is_fenced(), "it is told");
    let why = older.fenced_by().unwrap().to_string();
    assert!(why.contains("newer writer has the id tapewatch.risk.a"), "{why}");
    assert_eq!(written(&log), before, "it writes nothing");
    for _ in 0..5 {
        // It may be told by the group too, in as many words.
        let _ = older.turn(Duration::ZERO);
        assert!(older.is_fenced());
    }
    assert!(older.run_to_end().is_err(), "in lock step it is an error");
    drop(older);
    assert_eq!(written(&log), before);

    // The newer goes on, and all is as if it had been alone.
    newer.stop().unwrap();
    let alone = memory();
    tape(&alone);
    let mut worker = Worker::join(worker_plan(&*alone, "a"), Arc::clone(&alone)).unwrap();
    worker.run_to_end().unwrap();
    worker.stop().unwrap();
    for topic in [c::RISK_METRICS, c::HEARTBEATS] {
        same(&by_task(&alone, topic), &by_task(&log, topic));
    }
    all_holds(&log);
}
