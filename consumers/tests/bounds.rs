//! Law 7: what a worker holds and what a round takes has a bound, and at the bound nothing is lost.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use support::{Tape, all_holds, create, dump, memory, worker_plan};
use tapewatch_consumers::Worker;
use tapewatch_consumers::merge::Lane;
use tapewatch_eventlog::{OpenOptions, Round, TopicPartition, open};
use tapewatch_schemas::catalogue as c;
use tapewatch_schemas::journal::JournalRecord;

#[test]
fn a_round_of_a_task_closes_at_its_bound() {
    const MOST: i64 = 37;
    let log = memory();
    let mut plan = worker_plan(&*log, "a");
    plan.runtime.max_records = MOST as usize;
    let mut worker = Worker::join(plan, Arc::clone(&log)).unwrap();
    for round in Tape::new().whole(&*log, 4) {
        log.writer("tape").unwrap().commit(&round, None).unwrap();
        worker.run_to_end().unwrap();
    }
    worker.stop().unwrap();
    let journal = dump(&log, "journal.risk.v1");
    let sizes: Vec<i64> = journal
        .iter()
        .map(|(_, _, value)| {
            let record = JournalRecord::open(value).unwrap();
            let taken: i64 = record.inputs.iter().map(|range| range.count).sum();
            taken + record.injected.len() as i64
        })
        .collect();
    // The record before which a tick stands goes with it.
    assert!(sizes.iter().all(|size| *size <= MOST + 1), "{sizes:?}");
    assert!(sizes.iter().any(|size| *size >= MOST), "the bound was reached: {sizes:?}");
    all_holds(&log);
}

#[test]
fn a_source_that_waits_for_another_is_read_ahead_to_a_bound() {
    const BATCH: usize = 20;
    let options = OpenOptions { batch_records: BATCH, ..OpenOptions::default() };
    let log = open("sqlite::memory:", &options).unwrap();
    create(&*log);
    let mut tape = Tape::new();
    let mut writer = log.writer("tape").unwrap();
    let fills: Vec<_> = (0..4_000).map(|_| tape.fill("p4")).collect();
    let records: Vec<_> = fills.iter().map(|fill| tape.record(&*log, fill)).collect();
    let at: TopicPartition = records[0].target.clone();
    writer.commit(&Round { records, offsets: vec![] }, None).unwrap();

    // On the tape's clock the marks are waited for as long as it takes: nobody has promised anything.
    let mut worker = Worker::join(worker_plan(&*log, "a"), Arc::clone(&log)).unwrap();
    // The log gives up to sixteen batches before the worker looks at how much it holds.
    let most = worker.plan().runtime.lane_records + 16 * BATCH;
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut turns_since_paused = 0;
    while turns_since_paused < 50 {
        worker.turn(Duration::from_millis(1)).unwrap();
        let queued = worker.tasks().flat_map(|task| &task.merge.lanes).map(Lane::queued).max();
        assert!(queued <= Some(most), "{queued:?} records wait, at most {most} may");
        turns_since_paused += usize::from(worker.paused().any(|paused| *paused == at));
        assert!(Instant::now() < deadline, "it is never paused");
    }
    assert!(dump(&log, c::RISK_METRICS).is_empty(), "nothing was taken");

    // They come, and all of it is taken.
    let beats = tape.beats(&*log, true);
    writer.commit(&Round { records: beats, offsets: vec![] }, None).unwrap();
    while !worker.tasks().all(|task| task.core.is_closed()) {
        worker.turn(Duration::from_millis(1)).unwrap();
        assert!(Instant::now() < deadline, "it does not go on");
    }
    worker.stop().unwrap();
    assert_eq!(dump(&log, c::RISK_METRICS).len(), 4_000);
    all_holds(&log);
}
