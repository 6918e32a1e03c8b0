//! Commits of one round that fail again and again: in the same way, and in different ones.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use support::{Tape, dump, memory, worker_plan};
use tapewatch_consumers::audit::{Subject, audit};
use tapewatch_consumers::plan::WorkerPlan;
use tapewatch_consumers::{Worker, WorkerError};
use tapewatch_eventlog::faults::{Fault, FaultyLog, Op, Plan};
use tapewatch_eventlog::{Log, OpenOptions, open};
use tapewatch_schemas::catalogue as c;
use tapewatch_schemas::events::{HealthKind, HealthStatus};
use tapewatch_schemas::{Codec, Event};

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

/// Three for the round, and three for each of its two parts.
#[test]
fn a_round_that_fails_whole_and_in_parts_stops_the_worker_and_says_where() {
    let (log, mut worker, mut tape) = failing(&[Fault::Abort; 9]);
    log.writer("tape").unwrap().commit(&tape.slice(&*log, 60), None).unwrap();
    let error = worker.run_to_end().unwrap_err();
    assert!(matches!(error, WorkerError::Failing { times: 3, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("failed 3 times in a row (heartbeats.v1/0 offset "), "{text}");
}

#[test]
fn a_round_that_fails_whole_is_written_in_parts() {
    let (log, mut worker, mut tape) = failing(&[Fault::Abort; 3]);
    log.writer("tape").unwrap().commit(&tape.slice(&*log, 60), None).unwrap();
    worker.run_to_end().unwrap();
    assert_eq!((worker.tasks().count(), worker.stopped().count()), (2, 0));
    worker.stop().unwrap();
    support::all_holds(&log);
}

/// What was said of stopped tasks: who said it, of whom, whether that one runs again, and why not.
fn told(log: &Arc<dyn Log>) -> Vec<(i32, String, HealthStatus, String)> {
    let codec = Codec::new(&[]).unwrap();
    let health = dump(log, c::SYSTEM_HEALTH).into_iter();
    let found = health.filter_map(|(_, _, value)| match codec.decode(c::SYSTEM_HEALTH, &value) {
        Ok(Event::SystemHealth(it)) if it.kind == HealthKind::TaskStopped => {
            Some((it.provenance.partition, it.component, it.status, it.message))
        }
        _ => None,
    });
    found.collect()
}

fn turn_until(worker: &mut Worker, reached: impl Fn(&Worker) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !reached(worker) {
        assert!(Instant::now() < deadline, "it takes too long");
        worker.turn(Duration::from_millis(5)).unwrap();
    }
}

/// A file that takes no more of the journals of these tasks.
fn refuse(path: &Path, tasks: &str) -> rusqlite::Connection {
    let file = rusqlite::Connection::open(path).unwrap();
    file.busy_timeout(Duration::from_secs(10)).unwrap();
    file.execute_batch(&format!(
        "CREATE TRIGGER no BEFORE INSERT ON entries WHEN NEW.partition_id IN (SELECT partitions.id FROM partitions
         JOIN topics ON topics.id = topic_id WHERE name = 'journal.risk.v1' AND partition IN ({tasks}))
         BEGIN SELECT RAISE(ABORT, 'no more of this journal'); END"
    ))
    .unwrap();
    file
}

/// A log whose tasks have both worked, and which takes no more of the second's journal although it has more to do.
fn culprit(
    plan: impl Fn(&dyn Log) -> WorkerPlan,
) -> (tempfile::TempDir, Arc<dyn Log>, rusqlite::Connection, Worker) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let log = open(&format!("sqlite:{}", path.display()), &OpenOptions::default()).unwrap();
    support::create(&*log);
    let mut tape = Tape::new();
    log.writer("tape").unwrap().commit(&tape.slice(&*log, 60), None).unwrap();
    let mut worker = Worker::join(plan(&*log), Arc::clone(&log)).unwrap();
    worker.run_to_end().unwrap();
    let file = refuse(&path, "1");
    let mut round = tape.slice(&*log, 60);
    round
        .records
        .retain(|record| record.target.topic.as_str() == c::EXEC_REPORTS && record.target.partition == 1);
    log.writer("tape").unwrap().commit(&round, None).unwrap();
    (folder, log, file, worker)
}

/// Its round alone stops the culprit alone, too.
#[test]
fn a_task_that_fails_alone_stops_alone() {
    let (_folder, log, file, mut worker) = culprit(|log| worker_plan(log, "a"));
    turn_until(&mut worker, |worker| worker.stopped().count() == 1);
    assert_eq!(worker.tasks().map(|task| task.core.partition()).collect::<Vec<_>>(), [0]);
    worker.flush().unwrap();
    assert_eq!(told(&log).len(), 1);
    let why = worker.stop().unwrap_err();
    assert!(why.to_string().contains("no more of this journal"), "{why}");

    file.execute_batch("DROP TRIGGER no").unwrap();
    let mut worker = Worker::join(worker_plan(&*log, "a"), Arc::clone(&log)).unwrap();
    taken_back(&mut worker, &log);
    worker.stop().unwrap();
    support::all_holds(&log);
}

/// What is saved at a stop is what is journalled, also if a task stops in the last round.
#[test]
fn a_task_that_stops_at_the_end_leaves_nothing_unwritten() {
    let (_folder, log, file, mut worker) = culprit(|log| {
        let mut plan = worker_plan(log, "a");
        (plan.runtime.linger, plan.runtime.linger_max) = (Duration::from_secs(600), Duration::from_secs(600));
        plan
    });
    turn_until(&mut worker, |worker| {
        worker.tasks().any(|task| task.core.partition() == 1 && !task.pending.is_empty())
    });
    let why = worker.stop().unwrap_err();
    assert!(why.to_string().contains("no more of this journal"), "{why}");
    assert!(told(&log).is_empty(), "it is said when it happens again");

    file.execute_batch("DROP TRIGGER no").unwrap();
    let mut worker = Worker::join(worker_plan(&*log, "a"), Arc::clone(&log)).unwrap();
    worker.run_to_end().unwrap();
    worker.stop().unwrap();
    support::all_holds(&log);
}

/// What was said of a stopped task is taken back once it has written, and not because somebody has it.
fn taken_back(worker: &mut Worker, log: &Arc<dyn Log>) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while told(log).len() < 2 {
        assert!(Instant::now() < deadline, "it is not taken back");
        worker.run_to_end().unwrap();
    }
}

/// The embedded file refuses the journal of one task: that task stops, the other goes on, and once the file takes
/// it again the next member finishes its work.
#[test]
fn only_the_task_whose_part_cannot_be_written_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let options = OpenOptions::default();
    let log = open(&format!("sqlite:{}", path.display()), &options).unwrap();
    support::create(&*log);
    let mut tape = Tape::new();
    let write = |tape: &mut Tape| log.writer("tape").unwrap().commit(&tape.slice(&*log, 60), None).unwrap();
    write(&mut tape);
    let mut worker = Worker::join(worker_plan(&*log, "a"), Arc::clone(&log)).unwrap();
    worker.run_to_end().unwrap();

    let file = refuse(&path, "1");
    write(&mut tape);
    worker.run_to_end().unwrap();
    let stopped: Vec<_> = worker.stopped().map(|(partition, why)| (partition, why.to_string())).collect();
    assert!(matches!(&stopped[..], [(1, why)] if why.contains("no more of this journal")), "{stopped:?}");
    assert_eq!(worker.tasks().map(|task| task.core.partition()).collect::<Vec<_>>(), [0]);
    // It can write nothing itself, so the other says it.
    let said = told(&log);
    assert!(
        matches!(&said[..], [(0, of, HealthStatus::Failed, why)]
            if of == "risk/1" && why.contains("no more of this journal")),
        "{said:?}"
    );
    write(&mut tape);
    worker.run_to_end().unwrap();
    let why = worker.stop().unwrap_err();
    assert!(why.to_string().contains("no more of this journal"), "{why}");
    let lines = |log: &Arc<dyn Log>| {
        let found = audit(log, &Subject::from(&worker_plan(&**log, "a")), &mut |_| {}).unwrap();
        assert!(found.holds(), "{found:#?}");
        let own = found.lines.into_iter().filter(|line| !line.broadcast);
        own.fold([0, 0], |mut lag, line| {
            lag[line.task as usize] += line.lag;
            lag
        })
    };
    let [first, second] = lines(&log);
    assert!(first == 0 && second > 0, "lag {first} and {second}");

    file.execute_batch("DROP TRIGGER no").unwrap();
    let mut worker = Worker::join(worker_plan(&*log, "b"), Arc::clone(&log)).unwrap();
    taken_back(&mut worker, &log);
    worker.stop().unwrap();
    assert_eq!(lines(&log), [0, 0]);
    let said = told(&log);
    assert!(matches!(&said[..], [_, (0, of, HealthStatus::Ok, _)] if of == "risk/1"), "{said:?}");
    support::all_holds(&log);
}

#[test]
fn a_refused_round_says_where() {
    let (log, mut worker, mut tape) = failing(&[Fault::Full]);
    log.writer("tape").unwrap().commit(&tape.slice(&*log, 60), None).unwrap();
    let error = worker.run_to_end().unwrap_err();
    assert!(matches!(error, WorkerError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("(heartbeats.v1/0 offset "), "{error}");
}
