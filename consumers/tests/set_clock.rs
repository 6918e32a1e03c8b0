//! A wall clock that is wrong and is set right: what only it had put into the future is taken after all.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use support::{Tape, all_holds, dump, memory, turn_until, worker_plan};
use tapewatch_consumers::audit::{Subject, audit};
use tapewatch_consumers::redrive::{Filter, Request, redrive};
use tapewatch_consumers::stage::StageCell;
use tapewatch_consumers::timing::{Timing, wall};
use tapewatch_consumers::{Hosting, Worker};
use tapewatch_eventlog::Round;
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

#[test]
fn a_mark_that_one_machines_clock_refused_comes_back_to_its_task_alone() {
    let log = memory();
    let mut workers: Vec<(Arc<Behind>, Worker)> = Vec::new();
    for (instance, by) in [("a", 0), ("b", 3_600_000_000)] {
        let mut plan = worker_plan(&*log, instance);
        plan.runtime.tape_clock = false;
        let time = Arc::new(Behind { began: Instant::now(), by: AtomicI64::new(by) });
        let hosting = Hosting { time: Arc::<Behind>::clone(&time), answered_after: None };
        let worker = Worker::join_hosted(plan, Arc::clone(&log), StageCell::default(), hosting).unwrap();
        workers.push((time, worker));
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    let turn_both = |workers: &mut Vec<(Arc<Behind>, Worker)>, so: &dyn Fn(&Worker) -> bool| {
        while !workers.iter().all(|(_, worker)| so(worker)) {
            for (_, worker) in workers.iter_mut() {
                worker.turn(Duration::from_millis(2)).unwrap();
            }
            assert!(Instant::now() < deadline, "it does not come to that");
        }
    };
    turn_both(&mut workers, &|worker| worker.tasks().count() == 1);
    let mut tape = Tape::new();
    tape.now = wall();
    let marks = ["BTC-USD", "ETH-USD"].map(|symbol| tape.mark(symbol));
    let records = marks.iter().map(|mark| tape.record(&*log, mark)).collect();
    log.writer("tape").unwrap().commit(&Round { records, offsets: vec![] }, None).unwrap();
    let taken = |topic: &'static str| {
        let log = Arc::clone(&log);
        move |worker: &Worker| {
            let mut lanes = worker.tasks().flat_map(|task| &task.merge.lanes);
            lanes.all(|lane| {
                lane.at.topic.as_str() != topic || lane.position == log.bounds(&lane.at).unwrap().end
            })
        }
    };
    turn_both(&mut workers, &taken(c::MARKET_DATA));
    workers.iter_mut().for_each(|(_, worker)| worker.flush().unwrap());
    turn_both(&mut workers, &|_| dump(&log, "market.data.v1.dlq").len() == 2);
    workers[1].0.by.store(0, Ordering::Relaxed);
    let request = Request {
        topic: c::MARKET_DATA.into(),
        filter: Filter::default(),
        max_attempts: 3,
        discard: false,
        repairs: None,
        in_order: false,
        who: "ann".into(),
        why: "its clock is right".into(),
    };
    assert_eq!(redrive(&log, &request, &mut |_| true).unwrap().sent, 2);
    turn_both(&mut workers, &taken("market.data.v1.redrive"));
    workers.into_iter().for_each(|(_, worker)| worker.stop().unwrap());
    let found = audit(&log, &Subject::from(&worker_plan(&*log, "a")), &mut |_| {}).unwrap();
    for task in 0..2 {
        let lines = found.lines.iter().filter(|line| line.task == task);
        let marks = lines.filter(|line| line.topic.as_str().starts_with(c::MARKET_DATA));
        assert_eq!(marks.map(|line| line.processed).sum::<i64>(), 2, "each mark once: {found:#?}");
    }
    all_holds(&log);
}
