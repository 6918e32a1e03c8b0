//! A wall clock that is wrong and is set right: what only it had put into the future is taken after all.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use support::{Tape, all_holds, dump, memory, worker_plan};
use tapewatch_consumers::audit::{Subject, audit};
use tapewatch_consumers::stage::StageCell;
use tapewatch_consumers::timing::{Timing, wall};
use tapewatch_consumers::{Hosting, Worker};
use tapewatch_schemas::{Time, catalogue as c};

/// A machine whose wall clock is behind.
struct Behind {
    began: Instant,
    by: AtomicI64,
}

impl Timing for Behind {
    fn wall(&self) -> Time {
        Time(wall().0 - self.by.load(Ordering::Relaxed))
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn sleep(&self, span: Duration) {
        std::thread::sleep(span);
    }
}

/// Turns until it is so.
fn turn_until(worker: &mut Worker, mut so: impl FnMut(&Worker) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !so(worker) {
        worker.turn(Duration::from_millis(2)).unwrap();
        assert!(Instant::now() < deadline, "it does not come to that");
    }
}

#[test]
fn what_only_a_wrong_clock_refused_is_not_listed_as_bad_and_is_taken_later() {
    let log = memory();
    let mut plan = worker_plan(&*log, "a");
    plan.runtime.tape_clock = false;
    plan.letters.breaker.wait = Duration::ZERO;
    plan.blueprint.breaker.wait = Duration::ZERO;
    let time = Arc::new(Behind { began: Instant::now(), by: AtomicI64::new(3_600_000_000) });
    let hosting = Hosting { time: Arc::<Behind>::clone(&time), answered_after: None };
    let mut worker = Worker::join_hosted(plan, Arc::clone(&log), StageCell::default(), hosting).unwrap();
    let mut tape = Tape::new();
    tape.now = Time(wall().0 - 130_000_000);
    let mut writer = log.writer("tape").unwrap();
    writer.commit(&tape.slice(&*log, 60), None).unwrap();
    turn_until(&mut worker, |worker| worker.tasks().flat_map(|task| task.core.open_breakers()).count() > 2);
    // The probe looks at all of it, and finds nothing good.
    for _ in 0..20 {
        worker.turn(Duration::from_millis(2)).unwrap();
    }
    time.by.store(0, Ordering::Relaxed);
    writer.commit(&tape.slice(&*log, 60), None).unwrap();
    turn_until(&mut worker, |worker| {
        let mut lanes = worker.tasks().flat_map(|task| &task.merge.lanes);
        worker.tasks().all(|task| task.core.open_breakers().is_empty())
            && lanes.all(|lane| lane.position == log.bounds(&lane.at).unwrap().end || lane.optional)
    });
    worker.stop().unwrap();
    all_holds(&log);
    let found = audit(&log, &Subject::from(&worker_plan(&*log, "a")), &mut |_| {}).unwrap();
    let fills = found.lines.iter().filter(|line| line.topic.as_str() == c::EXEC_REPORTS);
    let processed: i64 = fills.clone().map(|line| line.processed).sum();
    assert!(processed >= 100, "nearly all of 120: {processed}");
    assert_eq!(fills.map(|line| line.processed + line.dead).sum::<i64>(), 120);
    assert!(dump(&log, "exec.reports.v1.dlq").len() <= 20, "a breaker's worth of letters");
}
