//! The log is away, slow, or leaves its answer open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tapewatch_eventlog::Log;
use tapewatch_eventlog::edge::EdgeParameters;
use tapewatch_eventlog::faults::{Fault, FaultyLog, Op, Plan, Rates};
use tapewatch_producers::spool::{Courier, SpoolError, SpoolOptions, Taken};

use super::*;

fn faulty(inner: &Arc<dyn Log>, plan: &Arc<Plan>) -> Arc<dyn Log> {
    Arc::new(FaultyLog::new(Arc::clone(inner), Arc::clone(plan)))
}

#[test]
fn while_the_log_answers_nothing_goes_into_the_spool() {
    let (log, folder) = (log(), tempfile::tempdir().unwrap());
    let mut courier = courier(&log, folder.path());
    for number in 0..20 {
        assert_eq!(courier.write(&mut round(number), PATIENCE).unwrap(), Taken::Log);
    }
    assert_eq!(values(&*log), expected(0..20));
    let counts = courier.counts();
    assert_eq!((counts.direct, counts.spooled, counts.waiting), (80, 0, 0));
}

#[test]
fn while_the_log_is_away_the_spool_takes_everything_and_then_gives_it_back_in_order() {
    let (inner, folder, plan) = (log(), tempfile::tempdir().unwrap(), Arc::new(Plan::quiet()));
    let (heard, notify) = heard();
    let log = faulty(&inner, &plan);
    let mut courier = Courier::open(&log, &options(folder.path()), notify).unwrap();
    for number in 0..5 {
        assert_eq!(courier.write(&mut round(number), PATIENCE).unwrap(), Taken::Log);
    }
    // It goes away in the middle of a commit, which it has made.
    plan.inject(Op::Commit, Fault::CrashAfter);
    for number in 5..300 {
        assert_eq!(courier.write(&mut round(number), PATIENCE).unwrap(), Taken::Spool, "{number}");
    }
    assert_eq!(courier.counts().waiting, 295 * 4);
    assert_eq!(values(&*inner), expected(0..6));
    plan.revive();
    for number in 300..320 {
        courier.write(&mut round(number), PATIENCE).unwrap();
    }
    drained(&courier);
    assert_eq!(courier.write(&mut round(320), PATIENCE).unwrap(), Taken::Log, "the spool is empty again");
    assert_eq!(values(&*inner), expected(0..321));
    let heard = heard.lock().unwrap().clone();
    assert!(heard[0].starts_with("records go into the spool ") && heard[0].contains("p.spool"), "{heard:?}");
    assert!(heard.iter().any(|line| line.contains("is empty again: ")), "{heard:?}");
}

#[test]
fn what_waits_goes_first_after_a_restart() {
    let (inner, folder, plan) = (log(), tempfile::tempdir().unwrap(), Arc::new(Plan::quiet()));
    let away = faulty(&inner, &plan);
    plan.inject(Op::Commit, Fault::CrashAfter);
    let mut first = courier(&away, folder.path());
    for number in 0..50 {
        assert_eq!(first.write(&mut round(number), PATIENCE).unwrap(), Taken::Spool);
    }
    drop(first);
    // Still away: a second run adds to it.
    let (heard, notify) = heard();
    let mut second = Courier::open(&away, &options(folder.path()), notify).unwrap();
    assert_eq!(heard.lock().unwrap().len(), 1, "{heard:?}");
    assert!(heard.lock().unwrap()[0].starts_with("200 records of an earlier run"), "{heard:?}");
    assert_eq!(second.write(&mut round(50), PATIENCE).unwrap(), Taken::Spool);
    drop(second);
    let mut third = courier(&inner, folder.path());
    third.write(&mut round(51), PATIENCE).unwrap();
    drained(&third);
    assert_eq!(
        values(&*inner),
        expected(0..52),
        "the first was written before the log went away, and only then"
    );
}

#[test]
fn faults_neither_lose_nor_double_nor_reorder() {
    let rates = Rates { abort: 1500, unknown: 3000, error: 500, ..Rates::default() };
    let mut spooled = 0;
    for seed in 0..12 {
        let (inner, folder) = (log(), tempfile::tempdir().unwrap());
        let plan = Arc::new(Plan::seeded(seed, rates));
        let mut courier = courier(&faulty(&inner, &plan), folder.path());
        for number in 0..60 {
            courier.write(&mut round(number), PATIENCE).unwrap();
            if number % 7 == 0 {
                drained(&courier);
            }
        }
        drained(&courier);
        let counts = courier.counts();
        assert_eq!((counts.direct + counts.drained, counts.waiting), (240, 0), "seed {seed}");
        spooled += counts.spooled;
        assert!(values(&*inner) == expected(0..60), "seed {seed}");
    }
    assert!(spooled > 500, "{spooled}");
}

#[test]
fn a_log_that_is_slow_is_not_waited_for_and_has_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.db");
    let log = log_at(&format!("sqlite:{}", file.display()));
    let edge = EdgeParameters { slow_call: Duration::from_millis(100), ..options(folder.path()).edge };
    let options = SpoolOptions { edge, ..options(folder.path()) };
    let mut courier = Courier::open(&log, &options, Arc::new(|_| {})).unwrap();
    assert_eq!(courier.write(&mut round(0), PATIENCE).unwrap(), Taken::Log);
    // Another program holds the log's file, and commits wait for it.
    let holder = rusqlite::Connection::open(&file).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = Instant::now();
    for number in 1..10 {
        assert_eq!(courier.write(&mut round(number), PATIENCE).unwrap(), Taken::Spool);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "the log waits for five seconds: {:?}",
        begun.elapsed()
    );
    holder.execute_batch("ROLLBACK").unwrap();
    drained(&courier);
    assert_eq!(values(&*log), expected(0..10));
}

#[test]
fn what_the_log_refuses_is_not_spooled_and_a_newer_producer_ends_an_older_one() {
    let (log, folder) = (log(), tempfile::tempdir().unwrap());
    let named = |dir| SpoolOptions { id: Some("tapewatch.same".into()), ..options(dir) };
    let mut older = Courier::open(&log, &named(folder.path()), Arc::new(|_| {})).unwrap();
    older.write(&mut round(0), PATIENCE).unwrap();
    for (topic, partition) in [("t", 99), ("absent", 0)] {
        let mut misdirected = round(1);
        misdirected.records[0].target = TopicPartition::new(topic, partition);
        let refused = older.write(&mut misdirected, PATIENCE).unwrap_err();
        assert!(
            matches!(refused, SpoolError::Refused { records: 4, .. } | SpoolError::NoPartition { .. }),
            "{refused}"
        );
        assert!(refused.to_string().contains(topic), "{refused}");
    }
    let mut large = round(1);
    large.records[2].value = Some(vec![0; 1 << 20].into());
    let refused = older.write(&mut large, PATIENCE).unwrap_err();
    assert!(matches!(refused, SpoolError::TooLarge { .. }), "{refused}");
    assert_eq!(older.counts().waiting, 0);
    older.write(&mut round(1), PATIENCE).unwrap();
    // Of the same id in another folder: another machine, say.
    let elsewhere = tempfile::tempdir().unwrap();
    let mut newer = Courier::open(&log, &named(elsewhere.path()), Arc::new(|_| {})).unwrap();
    newer.write(&mut round(2), PATIENCE).unwrap();
    for _ in 0..2 {
        let fenced = older.write(&mut round(3), PATIENCE).unwrap_err();
        assert!(fenced.to_string().contains("fenced"), "{fenced}");
    }
    assert_eq!(values(&*log), expected(0..3));
}

#[test]
fn a_spool_has_one_producer_at_a_time() {
    let (log, folder) = (log(), tempfile::tempdir().unwrap());
    let first = courier(&log, folder.path());
    let refused = Courier::open(&log, &options(folder.path()), Arc::new(|_| {})).unwrap_err();
    assert!(matches!(refused, SpoolError::InUse { .. }), "{refused}");
    assert!(refused.to_string().contains("p.spool is in use"), "{refused}");
    drop(first);
    drop(courier(&log, folder.path()));
    let named = SpoolOptions { name: "a/b".into(), ..options(folder.path()) };
    let refused = Courier::open(&log, &named, Arc::new(|_| {})).unwrap_err();
    assert!(refused.to_string().contains("`a/b` is no name"), "{refused}");
}
