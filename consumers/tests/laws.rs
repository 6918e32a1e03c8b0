//! The laws, each with a test.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use support::{Tape, all_holds, by_task, create, dump, memory, same, worker_plan};
use tapewatch_consumers::Worker;
use tapewatch_consumers::audit::{Subject, audit};
use tapewatch_eventlog::dead_letter::Letter;
use tapewatch_eventlog::faults::{Fault, FaultyLog, Op, Plan};
use tapewatch_eventlog::{Log, OpenOptions, OutRecord, Round, TopicPartition, open};
use tapewatch_schemas::Reason;
use tapewatch_schemas::catalogue as c;

const SLICES: usize = 3;

fn play(log: &Arc<dyn Log>, max_records: usize, max_bytes: usize, slices: usize) {
    let mut tape = Tape::new();
    let mut writer = log.writer("tape").unwrap();
    let mut plan = worker_plan(&**log, "a");
    (plan.runtime.max_records, plan.runtime.max_bytes) = (max_records, max_bytes);
    // What only carries positions in broadcast topics need not wait: here every round may be its own.
    plan.runtime.max_carry = Duration::ZERO;
    let mut worker = Worker::join(plan, Arc::clone(log)).unwrap();
    for _ in 0..slices {
        writer.commit(&tape.slice(&**log, 60), None).unwrap();
        worker.run_to_end().unwrap();
    }
    worker.stop().unwrap();
}

/// A tape in rounds of so many records or bytes, delivered in batches of so many, gives what it gives whole.
fn cut(records: usize, bytes: usize, batch: usize) {
    let whole = memory();
    play(&whole, 1_000_000, usize::MAX, SLICES);
    let options = OpenOptions { batch_records: batch, ..OpenOptions::default() };
    let cut = open("sqlite::memory:", &options).unwrap();
    create(&*cut);
    play(&cut, records, bytes, SLICES);
    for topic in [c::RISK_METRICS, c::HEARTBEATS, c::SYSTEM_HEALTH] {
        same(&by_task(&whole, topic), &by_task(&cut, topic));
    }
    all_holds(&cut);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3))]

    /// Law 3.
    #[test]
    fn cuts_do_not_change_a_byte(records in 2_usize..200, bytes in 5_000_usize..100_000, batch in 1_usize..300) {
        cut(records, bytes, batch);
    }
}

/// Law 3: the most cuts that there can be.
#[test]
fn a_round_for_each_record_changes_no_byte() {
    cut(1, usize::MAX, 1);
}

/// Law 2. Each way in which a commit can fail to be acknowledged, at every one of the first commits.
#[test]
fn a_round_is_written_once_whatever_became_of_its_commit() {
    let clean = memory();
    play(&clean, 40, usize::MAX, SLICES);
    for fault in [Fault::Abort, Fault::UnknownNotWritten, Fault::UnknownWritten, Fault::UnknownWrittenLate] {
        for nth in [0, 1, 4] {
            let inner = memory();
            let script = tapewatch_eventlog::faults::Injected { op: Op::Commit, nth, fault };
            let faults = Arc::new(Plan::scripted([script]));
            let log: Arc<dyn Log> = Arc::new(FaultyLog::new(Arc::clone(&inner), Arc::clone(&faults)));
            let mut tape = Tape::new();
            let mut writer = inner.writer("tape").unwrap();
            let mut plan = worker_plan(&*log, "a");
            plan.runtime.max_records = 40;
            let mut worker = Worker::join(plan, log).unwrap();
            for _ in 0..SLICES {
                writer.commit(&tape.slice(&*inner, 60), None).unwrap();
                worker.run_to_end().unwrap();
            }
            worker.stop().unwrap();
            assert_eq!(faults.injected().len(), 1, "{fault:?} at commit {nth}");
            same(&dump(&clean, c::RISK_METRICS), &dump(&inner, c::RISK_METRICS));
            all_holds(&inner);
        }
    }
}

fn poison(partition: i32) -> OutRecord {
    OutRecord {
        target: TopicPartition::new(c::EXEC_REPORTS, partition),
        timestamp: None,
        key: Some(Bytes::from_static(b"p0")),
        value: Some(Bytes::from_static(b"\xc3\x01no such thing")),
        headers: vec![],
    }
}

/// Law 7, and law 1 through a burst.
#[test]
fn a_burst_of_poison_leaves_few_letters_and_the_source_comes_back() {
    let log = memory();
    let mut tape = Tape::new();
    let mut writer = log.writer("tape").unwrap();
    let plan = worker_plan(&*log, "a");
    let most = (plan.letters.breaker.window + plan.letters.breaker.permitted) as usize + 1;
    let mut worker = Worker::join(plan, Arc::clone(&log)).unwrap();
    writer.commit(&tape.slice(&*log, 60), None).unwrap();
    worker.run_to_end().unwrap();
    writer.commit(&Round { records: vec![poison(0); 500], offsets: vec![] }, None).unwrap();
    worker.run_to_end().unwrap();
    let open: usize = worker.tasks().map(|task| task.core.open_breakers().len()).sum();
    assert_eq!(open, 1, "the breaker is open");
    for _ in 0..3 {
        writer.commit(&tape.slice(&*log, 60), None).unwrap();
        worker.run_to_end().unwrap();
    }
    let open: usize = worker.tasks().map(|task| task.core.open_breakers().len()).sum();
    assert_eq!(open, 0, "it closed by itself");
    worker.stop().unwrap();
    let letters = dump(&log, "exec.reports.v1.dlq").len();
    assert!(letters > 1 && letters <= most, "{letters} letters, at most {most}");
    all_holds(&log);
    let found = audit(&log, &Subject::from(&worker_plan(&*log, "a")), &mut |_| {}).unwrap();
    assert_eq!(found.lines.iter().map(|line| line.dead).sum::<i64>(), 500);
}

/// A bad broadcast record is every task's to pass and one task's to letter.
#[test]
fn broadcast_poison_is_lettered_once() {
    let log = memory();
    let mut tape = Tape::new();
    let mut writer = log.writer("tape").unwrap();
    let mut worker = Worker::join(worker_plan(&*log, "a"), Arc::clone(&log)).unwrap();
    let mut slice = tape.slice(&*log, 60);
    for partition in 0..2 {
        let bad = OutRecord { target: TopicPartition::new(c::MARKET_DATA, partition), ..poison(0) };
        slice.records.insert(20, bad);
    }
    writer.commit(&slice, None).unwrap();
    worker.run_to_end().unwrap();
    worker.stop().unwrap();
    assert_eq!(dump(&log, "market.data.v1.dlq").len(), 2);
    all_holds(&log);
}

/// Keys in the wrong partition and events from the future are letters that say so.
#[test]
fn misrouted_keys_and_events_from_the_future_are_letters() {
    let log = memory();
    let mut tape = Tape::new();
    let mut writer = log.writer("tape").unwrap();
    let mut worker = Worker::join(worker_plan(&*log, "a"), Arc::clone(&log)).unwrap();
    let mut slice = tape.slice(&*log, 60);
    let fill = tape.fill("p1");
    let mut elsewhere = tape.record(&*log, &fill);
    elsewhere.target.partition = 1 - elsewhere.target.partition;
    slice.records.push(elsewhere);
    tape.now = tapewatch_schemas::Time::parse("2200-01-01T00:00:00Z").unwrap();
    let fill = tape.fill("p1");
    slice.records.push(tape.record(&*log, &fill));
    writer.commit(&slice, None).unwrap();
    worker.run_to_end().unwrap();
    worker.stop().unwrap();
    let mut reasons = Vec::new();
    let mut scanner = tapewatch_consumers::scan::Scanner::new(Arc::clone(&log)).unwrap();
    for partition in 0..2 {
        let at = TopicPartition::new("exec.reports.v1.dlq", partition);
        scanner
            .scan::<tapewatch_eventlog::LogError>(&at, 0, |record| {
                reasons.extend(Letter::read(record).map(|letter| letter.reason));
                Ok(())
            })
            .unwrap();
    }
    reasons.sort();
    let mut expected = [Reason::Misrouted, Reason::FromTheFuture];
    expected.sort();
    assert_eq!(reasons, expected);
    all_holds(&log);
}

/// Someone who moves the group's offsets is told how it is done.
#[test]
fn a_moved_group_is_refused() {
    use tapewatch_eventlog::{GroupSpec, Polled};
    let log = memory();
    play(&log, 100, usize::MAX, 2);
    let plan = worker_plan(&*log, "a");
    let spec = GroupSpec {
        group: plan.group.clone(),
        instance: "other".into(),
        topics: plan.own.clone(),
        session: plan.runtime.session,
    };
    let mut member = log.member(&spec).unwrap();
    while !matches!(member.poll(std::time::Duration::from_millis(10)).unwrap(), Polled::Assigned(_)) {}
    let round = Round { records: vec![], offsets: vec![(TopicPartition::new(c::EXEC_REPORTS, 0), 3)] };
    log.writer("other").unwrap().commit(&round, Some(&member.fence().unwrap())).unwrap();
    member.leave().unwrap();
    let mut worker = Worker::join(plan, Arc::clone(&log)).unwrap();
    let error = worker.run_to_end().unwrap_err().to_string();
    assert!(
        error.contains("stands at offset 3") && error.contains("tapewatch seek --worker risk"),
        "{error}"
    );
}
