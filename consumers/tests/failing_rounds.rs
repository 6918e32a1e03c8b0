//! Commits of one round that fail again and again: in the same way, and in different ones.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use support::{Tape, dump, memory, worker_plan};
use tapewatch_consumers::audit::{Subject, audit};
use tapewatch_consumers::{Worker, WorkerError};
use tapewatch_eventlog::Log;
use tapewatch_eventlog::faults::{Fault, FaultyLog, Op, Plan};
use tapewatch_schemas::catalogue as c;

/// A worker whose next commits fail so, once it has its tasks.
fn failing(faults: &[Fault]) -> (Arc<dyn Log>, Worker, Tape) {
    let inner = memory();
    let plan = Arc::new(Plan::quiet());
    let log: Arc<dyn Log> = Arc::new(FaultyLog::new(Arc::clone(&inner), Arc::clone(&plan)));
    let mut tape = Tape::new();
    inner.writer("tape").unwrap().commit(&tape.slice(&*inner, 60), None).unwrap();
    let mut worker = Worker::join(worker_plan(&*inner, "a"), log).unwrap();
    worker.run_to_end().unwrap();
    faults.iter().for_each(|fault| plan.inject(Op::Commit, *fault));
    (inner, worker, tape)
}

#[test]
fn different_failures_of_a_round_are_waited_out() {
    use Fault::{Abort, UnknownNotWritten};
    let faults = [Abort, UnknownNotWritten, Abort, Abort, UnknownNotWritten, Abort];
    let (log, mut worker, mut tape) = failing(&faults);
    let before = dump(&log, c::RISK_METRICS).len();
    log.writer("tape").unwrap().commit(&tape.slice(&*log, 60), None).unwrap();
    let began = Instant::now();
    worker.run_to_end().unwrap();
    let waited = began.elapsed();
    assert!(
        waited >= Duration::from_millis(20 + 40 + 80 + 160 + 320 + 640),
        "{waited:?}: it hammers the log"
    );
    worker.stop().unwrap();
    assert!(dump(&log, c::RISK_METRICS).len() >= before + 60);
    let found = audit(&log, &Subject::from(&worker_plan(&*log, "a")), &mut |_| {}).unwrap();
    assert!(found.holds(), "{found:#?}");
}

#[test]
fn the_third_equal_failure_of_a_round_stops_the_worker_and_says_where() {
    let (log, mut worker, mut tape) = failing(&[Fault::Abort; 3]);
    log.writer("tape").unwrap().commit(&tape.slice(&*log, 60), None).unwrap();
    let error = worker.run_to_end().unwrap_err();
    assert!(matches!(error, WorkerError::Failing { times: 3, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("failed 3 times in a row (heartbeats.v1/0 offset "), "{text}");
}

#[test]
fn a_refused_round_says_where() {
    let (log, mut worker, mut tape) = failing(&[Fault::Full]);
    log.writer("tape").unwrap().commit(&tape.slice(&*log, 60), None).unwrap();
    let error = worker.run_to_end().unwrap_err();
    assert!(matches!(error, WorkerError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("(heartbeats.v1/0 offset "), "{error}");
}
