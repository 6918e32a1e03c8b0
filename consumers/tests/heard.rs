//! Heartbeats are heard beyond what is held of them: what an input waits for may be said behind a full lane.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use support::{Tape, all_holds, by_task, create, same, worker_plan};
use tapewatch_consumers::Worker;
use tapewatch_consumers::merge::Lane;
use tapewatch_eventlog::{Log, OpenOptions, OutRecord, Round, open};
use tapewatch_schemas::catalogue as c;

/// A tape whose one source says all that it has to say before the other says more than its first.
fn taped() -> Arc<dyn Log> {
    let options = OpenOptions { batch_records: 1, ..OpenOptions::default() };
    let log = open("sqlite::memory:", &options).unwrap();
    create(&*log);
    let rounds = Tape::new().whole(&*log, 8);
    let records: Vec<OutRecord> = rounds.into_iter().flat_map(|round| round.records).collect();
    let says = |record: &OutRecord, source: &str| {
        record.target.topic.as_str() == c::HEARTBEATS && record.key.as_deref() == Some(source.as_bytes())
    };
    let mut first = true;
    let (late, rest): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| says(record, "tape") && !std::mem::take(&mut first));
    let records = rest.into_iter().chain(late).collect();
    log.writer("tape").unwrap().commit(&Round { records, offsets: vec![] }, None).unwrap();
    log
}

fn work(log: &Arc<dyn Log>, lane_records: usize) {
    let mut plan = worker_plan(&**log, "a");
    plan.runtime.lane_records = lane_records;
    let mut worker = Worker::join(plan, Arc::clone(log)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while worker.tasks().count() < 2 || worker.tasks().any(|task| !task.core.is_closed()) {
        worker.turn(Duration::from_millis(2)).unwrap();
        assert!(Instant::now() < deadline, "it waits for what it does not read");
        let lanes = worker.tasks().flat_map(|task| &task.merge.lanes);
        let beats = lanes.filter(|lane| lane.at.topic.as_str() == c::HEARTBEATS);
        let held = beats.map(Lane::queued).max();
        assert!(held <= Some(lane_records), "{held:?} heartbeats are held");
    }
    worker.stop().unwrap();
    all_holds(log);
}

#[test]
fn heartbeats_are_heard_beyond_what_is_held() {
    let (few, many) = (taped(), taped());
    work(&many, 1_000);
    // Of eight heartbeats of the first source, two.
    work(&few, 2);
    for topic in [c::RISK_METRICS, c::SYSTEM_HEALTH] {
        same(&by_task(&many, topic), &by_task(&few, topic));
    }
}
