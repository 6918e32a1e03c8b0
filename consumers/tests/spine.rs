//! A tape in, figures out; stopped, restored, replayed.

mod support;

use std::sync::Arc;

use support::{Tape, dump, memory, worker_plan};
use tapewatch_consumers::Worker;
use tapewatch_consumers::replay::{Range, Verifier};
use tapewatch_schemas::catalogue as c;

fn verify(log: &Arc<dyn tapewatch_eventlog::Log>) -> Vec<tapewatch_consumers::replay::Report> {
    let plan = worker_plan(&**log, "a");
    let mut verifier = Verifier::new(&plan, Arc::clone(log), Range::default()).expect("a reader");
    (0..2).map(|partition| verifier.verify(partition, &mut |_, _| {}).expect("a log")).collect()
}

#[test]
fn a_tape_comes_out_whole_and_replays_clean() {
    let log = memory();
    let mut tape = Tape::new();
    let mut writer = log.writer("tape").unwrap();
    let mut worker = Worker::join(worker_plan(&*log, "a"), Arc::clone(&log)).unwrap();
    for _ in 0..5 {
        writer.commit(&tape.slice(&*log, 200), None).unwrap();
        worker.run_to_end().unwrap();
    }
    worker.stop().unwrap();
    let figures = dump(&log, c::RISK_METRICS);
    assert!(figures.len() >= 1000, "a figure for each of 1000 fills, {} came", figures.len());
    for report in verify(&log) {
        assert!(report.differs.is_empty(), "{:?}", report.differs);
        assert!(report.unverifiable.is_empty(), "{:?}", report.unverifiable);
        assert!(report.records > 0 && report.outputs > 0 && report.states > 0, "{report:?}");
    }
}

#[test]
fn a_worker_that_is_dropped_midway_goes_on_where_it_was() {
    let once = memory();
    let twice = memory();
    for (log, restarts) in [(&once, false), (&twice, true)] {
        let mut tape = Tape::new();
        let mut writer = log.writer("tape").unwrap();
        let mut worker = Worker::join(worker_plan(&**log, "a"), Arc::clone(log)).unwrap();
        for _ in 0..8 {
            writer.commit(&tape.slice(&**log, 70), None).unwrap();
            worker.run_to_end().unwrap();
            if restarts {
                drop(worker);
                worker = Worker::join(worker_plan(&**log, "a"), Arc::clone(log)).unwrap();
            }
        }
        worker.stop().unwrap();
    }
    support::same(&dump(&once, c::RISK_METRICS), &dump(&twice, c::RISK_METRICS));
    for report in verify(&twice) {
        assert!(report.differs.is_empty(), "{:?}", report.differs);
    }
}
