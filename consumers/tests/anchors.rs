//! Anchors stand at every boundary of the task's clock, whatever happened to the process there.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::sync::Arc;

use support::{Tape, dump, memory, worker_plan};
use tapewatch_consumers::Worker;
use tapewatch_consumers::snapshot::Manifest;
use tapewatch_eventlog::Log;
use tapewatch_schemas::Time;

/// Why the anchors of the log were dropped, sorted.
fn anchors(log: &Arc<dyn Log>) -> Vec<String> {
    let dumped = dump(log, "anchors.risk.v1");
    let mut why: Vec<String> =
        dumped.iter().filter_map(|(_, _, value)| Some(Manifest::read(value).ok()?.why)).collect();
    why.sort();
    why
}

#[test]
fn a_boundary_that_is_crossed_while_the_process_is_dead_has_its_anchor() {
    let log = memory();
    let mut tape = Tape::new();
    // A minute and a half before the hour.
    tape.now = Time::from_secs(1_600_002_000 - 90);
    let mut work = |seconds: usize| {
        log.writer("tape").unwrap().commit(&tape.slice(&*log, seconds), None).unwrap();
        let mut worker = Worker::join(worker_plan(&*log, "a"), Arc::clone(&log)).unwrap();
        worker.run_to_end().unwrap();
        // Dropped, not stopped: as a process that was killed.
    };
    work(60);
    assert_eq!(anchors(&log), ["epoch", "epoch"]);
    work(60);
    assert_eq!(anchors(&log), ["daily", "daily", "epoch", "epoch"]);
    work(60);
    assert_eq!(anchors(&log), ["daily", "daily", "epoch", "epoch"], "the same hour");
}
