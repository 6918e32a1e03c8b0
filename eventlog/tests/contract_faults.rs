//! The contract under the fault-injecting decorator, and what its faults promise.

mod contract;

use std::sync::Arc;
use std::time::Duration;

use contract::fixture::{record, round, values};
use contract::{Backend, Fixture};
use tapewatch_eventlog::faults::{Fault, FaultyLog, Injected, Op, Plan, Rates};
use tapewatch_eventlog::{CommitError, Log, OpenOptions, Polled, TopicPartition, Writer, open};

/// The embedded log in memory, under a plan.
struct Faulty {
    inner: Arc<dyn Log>,
    plan: Arc<Plan>,
}

impl Faulty {
    fn under(plan: Plan) -> Self {
        let inner = open("sqlite::memory:", &OpenOptions::default()).expect("the log opens");
        Self { inner, plan: Arc::new(plan) }
    }
}

impl Backend for Faulty {
    fn open(&self) -> Arc<dyn Log> {
        Arc::new(FaultyLog::new(Arc::clone(&self.inner), Arc::clone(&self.plan)))
    }

    fn session(&self) -> Duration {
        Duration::from_millis(600)
    }

    fn compacts_at_once(&self) -> bool {
        true
    }
}

contract::suite!(Some(Faulty::under(Plan::quiet())));

/// A log that is often silent is slow, and nothing else.
mod silent {
    use super::*;

    contract::suite!(Some(Faulty::under(Plan::seeded(7, Rates { silence: 3000, ..Rates::default() }))));
}

/// A partition with one round in it, and its writer.
fn begun(f: &Fixture) -> (TopicPartition, Box<dyn Writer>) {
    let at = f.topic("t", 1).remove(0);
    let mut writer = f.writer("w");
    writer.commit(&round(vec![record(&at, "k", "0")]), None).expect("nothing fails yet");
    (at, writer)
}

#[test]
fn an_aborted_round_leaves_nothing_and_may_be_sent_again() {
    let backend = Faulty::under(Plan::scripted([Injected { op: Op::Commit, nth: 1, fault: Fault::Abort }]));
    let f = Fixture::new(&backend);
    let (at, mut writer) = begun(&f);
    let next = round(vec![record(&at, "k", "1")]);
    assert!(matches!(writer.commit(&next, None), Err(CommitError::Aborted(_))));
    assert_eq!(values(&f.read_all(&at)), ["0"]);
    writer.commit(&next, None).unwrap();
    assert_eq!(values(&f.read_all(&at)), ["0", "1"]);
}

#[test]
fn a_fenced_round_leaves_nothing() {
    let backend = Faulty::under(Plan::scripted([Injected { op: Op::Commit, nth: 1, fault: Fault::Fenced }]));
    let f = Fixture::new(&backend);
    let (at, mut writer) = begun(&f);
    let next = round(vec![record(&at, "k", "1")]);
    assert!(matches!(writer.commit(&next, None), Err(CommitError::Fenced(_))));
    assert_eq!(values(&f.read_all(&at)), ["0"]);
}

#[test]
fn an_unknown_outcome_is_decided_after_recovery() {
    for (fault, written) in
        [(Fault::UnknownNotWritten, false), (Fault::UnknownWritten, true), (Fault::UnknownWrittenLate, true)]
    {
        let backend = Faulty::under(Plan::quiet());
        let f = Fixture::new(&backend);
        let (at, mut writer) = begun(&f);
        backend.plan.inject(Op::Commit, fault);
        let next = round(vec![record(&at, "k", "1")]);
        assert!(matches!(writer.commit(&next, None), Err(CommitError::Unknown(_))));
        assert!(
            matches!(writer.commit(&next, None), Err(CommitError::Refused(_))),
            "nothing begins before the outcome is decided"
        );
        writer.recover().unwrap();
        let expected: &[&str] = if written { &["0", "1"] } else { &["0"] };
        assert_eq!(values(&f.read_all(&at)), expected, "{fault:?}");
        writer.commit(&round(vec![record(&at, "k", "2")]), None).unwrap();
    }
}

#[test]
fn a_crash_ends_everything_that_was_open() {
    for (fault, expected) in [(Fault::CrashBefore, &["0"][..]), (Fault::CrashAfter, &["0", "1"])] {
        let backend = Faulty::under(Plan::quiet());
        let f = Fixture::new(&backend);
        let (at, mut writer) = begun(&f);
        let mut reader = f.log.reader().unwrap();
        backend.plan.inject(Op::Commit, fault);
        let next = round(vec![record(&at, "k", "1")]);
        assert!(matches!(writer.commit(&next, None), Err(CommitError::Unknown(_))));
        assert!(f.log.bounds(&at).is_err() && reader.poll(Duration::ZERO).is_err());
        backend.plan.revive();
        assert!(writer.commit(&next, None).is_err(), "what was open stays dead");
        assert!(reader.poll(Duration::ZERO).is_err());
        assert_eq!(values(&f.read_all(&at)), expected);
    }
}

#[test]
fn a_failed_poll_loses_nothing() {
    let backend = Faulty::under(Plan::quiet());
    let f = Fixture::new(&backend);
    let (at, _writer) = begun(&f);
    let mut reader = f.log.reader().unwrap();
    reader.assign(&[(at.clone(), 0)]).unwrap();
    backend.plan.inject(Op::Poll, Fault::Abort);
    backend.plan.inject(Op::Poll, Fault::Silence);
    assert!(reader.poll(Duration::ZERO).is_err());
    assert!(matches!(reader.poll(Duration::ZERO).unwrap(), Polled::Idle));
    assert!(matches!(reader.poll(Duration::ZERO).unwrap(), Polled::Batch(_)));
}

/// A writer that does what the trait demands writes every round once, whatever happens.
#[test]
fn every_round_is_written_once_under_random_faults() {
    for seed in 0..40 {
        let rates = Rates { abort: 1000, unknown: 1500, error: 500, crash: 300, ..Rates::default() };
        let backend = Faulty::under(Plan::quiet());
        let f = Fixture::new(&backend);
        let at = f.topic("t", 1).remove(0);
        backend.plan.set_rates(Rates::default());
        let plan = Arc::new(Plan::seeded(seed, rates));
        let log: Arc<dyn Log> = Arc::new(FaultyLog::new(Arc::clone(&backend.inner), Arc::clone(&plan)));
        let written = || f.read_all(&at).len();
        for n in 0..50 {
            'round: loop {
                // Begun anew after each crash: what is there decides whether this round is still to write.
                if plan.crashed() {
                    plan.revive();
                }
                let Ok(mut writer) = log.writer(&f.name("w")) else { continue };
                if written() > n {
                    break;
                }
                loop {
                    match writer.commit(&round(vec![record(&at, "k", &n.to_string())]), None) {
                        Ok(_) => break 'round,
                        Err(CommitError::Aborted(_)) => {}
                        Err(CommitError::Unknown(_)) => match writer.recover() {
                            Ok(()) if written() > n => break 'round,
                            Ok(()) => {}
                            Err(_) => continue 'round,
                        },
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }
        let expected: Vec<_> = (0..50).map(|n| n.to_string()).collect();
        assert_eq!(values(&f.read_all(&at)), expected, "seed {seed}");
        assert!(plan.injected().len() > 3, "seed {seed} injected little");
    }
}

#[test]
fn the_same_seed_gives_the_same_faults() {
    let run = |seed| {
        let backend = Faulty::under(Plan::seeded(seed, Rates { abort: 3000, ..Rates::default() }));
        let f = Fixture::new(&backend);
        let at = f.topic("t", 1).remove(0);
        let mut writer = f.writer("w");
        for _ in 0..50 {
            let _ = writer.commit(&round(vec![record(&at, "k", "v")]), None);
        }
        backend.plan.injected()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
