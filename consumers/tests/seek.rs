//! A position that a person moves: journalled, counted, replayed, and never backwards.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::{Tape, dump, memory, worker_plan};
use tapewatch_consumers::audit::{Subject, audit};
use tapewatch_consumers::plan::WorkerPlan;
use tapewatch_consumers::replay::{Range, Verdict, Verifier};
use tapewatch_consumers::restore::RestoreError;
use tapewatch_consumers::seek::{Request, SeekError, Sought, Target, seek, seek_in_any_epoch};
use tapewatch_consumers::{Worker, WorkerError};
use tapewatch_eventlog::{GroupSpec, Log, Polled, Round, TopicPartition};
use tapewatch_schemas::catalogue as c;

fn plan(log: &Arc<dyn Log>) -> WorkerPlan {
    let mut plan = worker_plan(&**log, "a");
    plan.runtime.session = Duration::from_secs(2);
    plan
}

fn feed(log: &Arc<dyn Log>, tape: &mut Tape, seconds: usize) {
    let round = tape.slice(&**log, seconds);
    log.writer("tape").unwrap().commit(&round, None).unwrap();
}

/// Runs a worker until it has taken everything, and stops it.
fn work(log: &Arc<dyn Log>) {
    let mut worker = Worker::join(plan(log), Arc::clone(log)).unwrap();
    worker.run_to_end().unwrap();
    worker.stop().unwrap();
}

fn fills(partition: i32) -> TopicPartition {
    TopicPartition::new(c::EXEC_REPORTS, partition)
}

fn go(log: &Arc<dyn Log>, at: &TopicPartition, target: Target) -> Result<Sought, SeekError> {
    let request = Request { at: at.clone(), target, who: "ada".into(), why: "a bad deploy".into() };
    seek(&plan(log), log, &request)
}

/// A partition that has fills, with the end of it.
fn busiest(log: &Arc<dyn Log>) -> (TopicPartition, i64) {
    (0..2).map(|p| (fills(p), log.bounds(&fills(p)).unwrap().end)).max_by_key(|(_, end)| *end).unwrap()
}

fn position(log: &Arc<dyn Log>, at: &TopicPartition) -> i64 {
    log.group_offsets("tapewatch.risk", std::slice::from_ref(at)).unwrap()[0].unwrap()
}

/// Moves the group's offset without the journal's knowledge, as an offset tool does.
fn tamper(log: &Arc<dyn Log>, at: &TopicPartition, to: i64) {
    let plan = plan(log);
    let spec = GroupSpec {
        group: plan.group,
        instance: "tool".into(),
        topics: plan.own,
        session: plan.runtime.session,
    };
    let mut member = log.member(&spec).unwrap();
    while !matches!(member.poll(Duration::from_millis(20)).unwrap(), Polled::Assigned(_)) {}
    let round = Round { records: vec![], offsets: vec![(at.clone(), to)] };
    log.writer("tool").unwrap().commit(&round, Some(&member.fence().unwrap())).unwrap();
    member.leave().unwrap();
}

/// Law 1 holds; so many records of `at` are processed, and so many skipped because someone said so.
fn reconciles(log: &Arc<dyn Log>, at: &TopicPartition, processed: i64, skipped: i64) {
    let found = audit(log, &Subject::from(&plan(log)), &mut |_| {}).unwrap();
    assert!(found.holds(), "{found:#?}");
    let line =
        found.lines.iter().find(|line| line.topic == at.topic && line.partition == at.partition).unwrap();
    assert_eq!((line.processed, line.skipped(), line.lag), (processed, skipped, 0), "{line:#?}");
    assert!(line.skipped.iter().all(|(reason, _)| reason == "seek"), "{line:#?}");
    assert_eq!(line.group_offset, Some(line.position));
}

fn replays(log: &Arc<dyn Log>) {
    let plan = plan(log);
    let mut verifier = Verifier::new(&plan, Arc::clone(log), Range::default()).unwrap();
    for task in 0..verifier.tasks() {
        let report = verifier.verify(task, &mut |_, _| {}).unwrap();
        assert_eq!(report.verdict(), Verdict::Verified, "{report:#?}");
    }
}

#[test]
fn a_jump_is_counted_and_replayed_and_the_worker_goes_on_after_it() {
    let log = memory();
    let mut tape = Tape::new();
    feed(&log, &mut tape, 100);
    work(&log);
    let (at, before) = busiest(&log);
    feed(&log, &mut tape, 100);
    let to = busiest(&log).1 - 5;
    let written = dump(&log, c::RISK_METRICS).len();

    let sought = go(&log, &at, Target::Offset(to)).unwrap();
    assert_eq!((sought.from, sought.to, sought.skipped), (before, to, to - before));
    assert!(sought.reset.is_empty(), "{sought:?}");
    assert_eq!(position(&log, &at), to);
    assert_eq!(dump(&log, c::RISK_METRICS).len(), written, "what is skipped gives no outputs");

    work(&log);
    reconciles(&log, &at, before + 5, to - before);
    replays(&log);
    feed(&log, &mut tape, 20);
    work(&log);
    replays(&log);
}

#[test]
fn a_jump_before_the_first_round_is_a_beginning_too() {
    let log = memory();
    let mut tape = Tape::new();
    feed(&log, &mut tape, 50);
    let (at, end) = busiest(&log);
    assert_eq!(go(&log, &at, Target::Offset(end - 3)).unwrap().skipped, end - 3);
    work(&log);
    reconciles(&log, &at, 3, end - 3);
    replays(&log);
}

#[test]
fn a_second_jump_goes_on_from_the_first() {
    let log = memory();
    let mut tape = Tape::new();
    feed(&log, &mut tape, 60);
    work(&log);
    let (at, end) = busiest(&log);
    feed(&log, &mut tape, 60);
    go(&log, &at, Target::Offset(end + 4)).unwrap();
    let sought = go(&log, &at, Target::Offset(end + 6)).unwrap();
    assert_eq!((sought.from, sought.skipped), (end + 4, 2));
    work(&log);
    replays(&log);
}

#[test]
fn an_offset_moved_by_hand_is_refused_and_healed() {
    let log = memory();
    let mut tape = Tape::new();
    feed(&log, &mut tape, 60);
    work(&log);
    let (at, end) = busiest(&log);
    tamper(&log, &at, end - 7);
    let mut worker = Worker::join(plan(&log), Arc::clone(&log)).unwrap();
    let refused = worker.run_to_end().unwrap_err();
    assert!(
        matches!(refused, WorkerError::Restore(RestoreError::Moved { found, expected, .. })
        if (found, expected) == (end - 7, end)),
        "{refused}"
    );
    assert!(refused.to_string().contains("tapewatch seek"), "{refused}");
    drop(worker);

    let sought = go(&log, &at, Target::Offset(end)).unwrap();
    assert_eq!((sought.from, sought.to, sought.skipped), (end, end, 0));
    assert_eq!(sought.reset.iter().map(|reset| (reset.from, reset.to)).collect::<Vec<_>>(), [(end - 7, end)]);
    feed(&log, &mut tape, 10);
    work(&log);
    reconciles(&log, &at, busiest(&log).1, 0);
    replays(&log);
}

#[test]
fn what_was_taken_is_not_taken_again_and_what_is_not_there_is_not_skipped() {
    let log = memory();
    feed(&log, &mut Tape::new(), 60);
    work(&log);
    let (at, end) = busiest(&log);
    let records = dump(&log, "journal.risk.v1").len();
    let back = go(&log, &at, Target::Offset(end - 1)).unwrap_err();
    assert!(matches!(back, SeekError::Backwards { position, .. } if position == end), "{back}");
    let early = go(&log, &at, Target::Time(tapewatch_schemas::Time(0))).unwrap_err();
    assert!(matches!(early, SeekError::Backwards { to: 0, .. }), "{early}");
    let past = go(&log, &at, Target::Offset(end + 1)).unwrap_err();
    assert!(matches!(past, SeekError::Beyond { .. }), "{past}");
    let market = go(&log, &TopicPartition::new(c::MARKET_DATA, 0), Target::Offset(9)).unwrap_err();
    assert!(matches!(market, SeekError::Broadcast { .. }), "{market}");
    for at in [fills(2), TopicPartition::new(c::SIGNALS, 0)] {
        assert!(matches!(go(&log, &at, Target::Offset(9)), Err(SeekError::NoInput { .. })));
    }
    assert_eq!(dump(&log, "journal.risk.v1").len(), records, "a refusal writes nothing");
    assert_eq!(position(&log, &at), end);
}

#[test]
fn a_jump_opens_no_epoch_unless_a_person_says_so() {
    let log = memory();
    let mut tape = Tape::new();
    feed(&log, &mut tape, 60);
    work(&log);
    let (at, end) = busiest(&log);
    feed(&log, &mut tape, 60);
    let before = dump(&log, "journal.risk.v1").len();
    let mut other = plan(&log);
    other.epoch.configuration = "c1".into();
    let request = Request {
        at: at.clone(),
        target: Target::Offset(end + 1),
        who: "ada".into(),
        why: "a bad deploy".into(),
    };
    let refused = seek(&other, &log, &request).unwrap_err();
    assert!(matches!(refused, SeekError::Foreign { .. }), "{refused}");
    let own = plan(&log).epoch.configuration;
    for said in ["risk/", &format!("configuration {own}"), "configuration c1", "--new-epoch", "--env"] {
        assert!(refused.to_string().contains(said), "{said}: {refused}");
    }
    let mut newer = plan(&log);
    newer.epoch.code = "next".into();
    let refused = seek(&newer, &log, &request).unwrap_err();
    assert!(refused.to_string().contains("code version next"), "{refused}");
    assert_eq!(dump(&log, "journal.risk.v1").len(), before, "a refusal writes nothing");
    replays(&log);

    assert_eq!(seek_in_any_epoch(&other, &log, &request).unwrap().skipped, 1);
    assert_eq!(dump(&log, "journal.risk.v1").len(), before + 1);
    let refused = go(&log, &at, Target::Offset(end + 2)).unwrap_err();
    assert!(matches!(refused, SeekError::Foreign { .. }), "the last epoch counts: {refused}");
}

/// A task that has no journal yet begins with its worker's configuration, and no other.
#[test]
fn a_first_round_by_a_jump_is_of_the_workers_epoch() {
    let log = memory();
    let mut tape = Tape::new();
    feed(&log, &mut tape, 50);
    let (at, end) = busiest(&log);
    go(&log, &at, Target::Offset(end - 3)).unwrap();
    let mut other = plan(&log);
    other.epoch.configuration = "c1".into();
    let request = Request {
        at: fills(1 - at.partition),
        target: Target::Offset(0),
        who: "ada".into(),
        why: "a bad deploy".into(),
    };
    let refused = seek(&other, &log, &request).unwrap_err();
    assert!(matches!(refused, SeekError::Foreign { .. }), "{refused}");
    assert!(seek(&plan(&log), &log, &request).is_ok());
}

#[test]
fn a_worker_that_runs_is_not_moved() {
    let log = memory();
    let mut tape = Tape::new();
    feed(&log, &mut tape, 60);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let (ready, running) = std::sync::mpsc::channel();
    let theirs = Arc::clone(&log);
    let thread = std::thread::spawn(move || {
        let mut worker = Worker::join(plan(&theirs), Arc::clone(&theirs)).unwrap();
        worker.run_to_end().unwrap();
        ready.send(()).unwrap();
        while stopped.try_recv().is_err() {
            worker.turn(Duration::from_millis(5)).unwrap();
        }
        worker.stop().unwrap();
    });
    running.recv().unwrap();
    let (at, end) = busiest(&log);
    let refused = go(&log, &at, Target::Offset(end)).unwrap_err();
    assert!(matches!(refused, SeekError::Held { tasks: 2, .. }), "{refused}");
    assert!(refused.to_string().contains("tapewatch-risk"), "{refused}");
    stop.send(()).unwrap();
    thread.join().unwrap();
    go(&log, &at, Target::Offset(end)).unwrap();
    work(&log);
    replays(&log);
}
