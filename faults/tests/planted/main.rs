//! Each invariant is seen to fail where it is broken on purpose, and to hold where nothing is.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod bugs;
mod lost_tick;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bugs::{Bug, BuggyLog};
use rusqlite::Connection;
use tapewatch_config::Settings;
use tapewatch_consumers::redrive::{Filter, LetterId, Repair, Repairs, Request, redrive};
use tapewatch_consumers::{Worker, workers};
use tapewatch_eventlog::{Log, OpenOptions, OutRecord, Round, TopicPartition, open};
use tapewatch_faults::invariants::{Invariant, Terms, Violation, Watched, check_all};
use tapewatch_faults::tape::{Fill, Tape, poison};
use tapewatch_schemas::catalogue::{ALERTING, EXEC_REPORTS, MARKET_DATA, RISK};
use tapewatch_schemas::{Codec, Time};

fn settings() -> Settings {
    let set = [
        ("TAPEWATCH_TOPICS__PARTITIONS", "2"),
        ("TAPEWATCH_RUNTIME__CLOCK", "tape"),
        ("TAPEWATCH_RUNTIME__HEARTBEAT_EVERY", "20s"),
        ("TAPEWATCH_RISK__PUBLISH_EVERY", "1m"),
        ("TAPEWATCH_RISK__VAR__SAMPLE", "1m"),
        ("TAPEWATCH_RISK__HISTORY__INTERVAL", "1m"),
    ];
    let vars = set.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Settings::load(None, None, vars).unwrap()
}

/// A log with a tape on it that no worker has seen.
fn taped(url: &str, settings: &Settings) -> Arc<dyn Log> {
    // Few records a batch, so that there are many to do wrong.
    let options = OpenOptions { batch_records: 20, ..OpenOptions::default() };
    let log = open(url, &options).unwrap();
    log.create(&workers::topic_specs(settings)).unwrap();
    let codec = Arc::new(Codec::new(&[]).unwrap());
    let mut tape = Tape::new(&*log, codec, Time::from_secs(1_700_000_000)).unwrap();
    let mut round = Round::default();
    for second in 0..900 {
        tape.now = tape.now + Duration::from_secs(1);
        let portfolio = format!("p{}", second % 7);
        match second % 10 {
            0 => round.records.extend(tape.beats(second == 899)),
            1 | 6 => round
                .records
                .push(tape.mark(["BTC-USD", "ETH-USD"][second / 5 % 2], 100 + second as i64 % 17)),
            3 => round.records.push(tape.account(&portfolio, 900_000, 1_000_000 + second as i64)),
            5 if second % 300 == 155 => {
                round.records.push(poison(TopicPartition::new(EXEC_REPORTS, 1)));
                round.records.push(poison(TopicPartition::new(MARKET_DATA, 0)));
            }
            _ => {
                let (symbol, quantity) = ("BTC-USD", [5, -3, 2][second % 3]);
                round.records.push(tape.fill(Fill { portfolio: &portfolio, symbol, quantity, price: 101 }));
            }
        }
    }
    round.records.extend(tape.beats(true));
    log.writer("tape").unwrap().commit(&round, None).unwrap();
    log
}

/// Both workers take it to its end, in rounds of 40 records.
fn work(log: &Arc<dyn Log>, settings: &Settings, tick_lost: bool) {
    for name in workers::wanted(settings) {
        let mut plan = workers::plan(name, settings, &**log, "a").unwrap();
        plan.runtime.max_records = 40;
        if tick_lost && name == RISK {
            plan.blueprint.monitor = lost_tick::losing(&plan.blueprint.monitor, 3);
        }
        let mut worker = Worker::join(plan, Arc::clone(log)).unwrap();
        worker.run_to_end().unwrap();
        worker.stop().unwrap();
    }
}

fn check(log: &Arc<dyn Log>, settings: &Settings) -> Vec<Violation> {
    let watched = Watched::all(settings, &**log).unwrap();
    let terms = Terms { settled_within: Duration::from_millis(200), ..Terms::default() };
    check_all(log, &watched, &terms).unwrap()
}

fn broken(violations: &[Violation]) -> BTreeSet<Invariant> {
    violations.iter().map(|violation| violation.invariant).collect()
}

/// The violations that a bug leads to, when its chance comes for the `nth` time.
fn planted(bug: Bug, nth: u32) -> Vec<Violation> {
    let settings = settings();
    let log = taped("sqlite::memory:", &settings);
    let buggy: Arc<dyn Log> = Arc::new(BuggyLog::new(Arc::clone(&log), bug, nth));
    work(&buggy, &settings, false);
    check(if bug == Bug::OpenTransaction { &buggy } else { &log }, &settings)
}

/// Demands that an invariant is broken, in so many words.
fn demand(violations: &[Violation], invariant: Invariant, words: &str) {
    let of =
        |violation: &&Violation| violation.invariant == invariant && violation.to_string().contains(words);
    assert!(violations.iter().any(|violation| of(&violation)), "{invariant:?} {words:?}: {violations:#?}");
}

#[test]
fn nothing_is_broken_where_nothing_was_done() {
    let settings = settings();
    let log = taped("sqlite::memory:", &settings);
    work(&log, &settings, false);
    let found = check(&log, &settings);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_commit_without_its_offsets() {
    let settings = settings();
    let log = taped("sqlite::memory:", &settings);
    work(&log, &settings, false);
    let mut writer = log.writer("tape").unwrap();
    let codec = Arc::new(Codec::new(&[]).unwrap());
    let mut tape = Tape::new(&*log, codec, Time::from_secs(1_700_001_000)).unwrap();
    let fill = tape.fill(Fill { portfolio: "p1", symbol: "BTC-USD", quantity: 1, price: 100 });
    writer.commit(&Round { records: vec![fill], offsets: vec![] }, None).unwrap();
    let buggy: Arc<dyn Log> = Arc::new(BuggyLog::new(Arc::clone(&log), Bug::NoOffsets, 1));
    let plan = workers::plan(RISK, &settings, &*log, "a").unwrap();
    Worker::join(plan, buggy).unwrap().run_to_end().unwrap();
    let found = check(&log, &settings);
    demand(&found, Invariant::Accounted, "the group stands at offset");
}

#[test]
fn a_skipped_record() {
    demand(&planted(Bug::SkippedRecord, 5), Invariant::Accounted, "were consumed");
}

#[test]
fn a_doubled_output() {
    let found = planted(Bug::DoubledOutput, 7);
    demand(&found, Invariant::Once, "of the step again");
}

#[test]
fn a_missing_output() {
    let found = planted(Bug::MissingOutput, 7);
    demand(&found, Invariant::Once, "as journal sequence");
    assert_eq!(broken(&found), BTreeSet::from([Invariant::Once, Invariant::Replayed]), "{found:#?}");
}

#[test]
fn outputs_of_a_key_in_the_wrong_order() {
    let found = planted(Bug::SwappedOutputs, 7);
    demand(&found, Invariant::Ordered, "stands behind step");
    assert!(!broken(&found).contains(&Invariant::Once), "{found:#?}");
}

#[test]
fn records_of_a_key_in_the_wrong_order() {
    demand(&planted(Bug::SwappedRecords, 3), Invariant::Ordered, "after step");
}

/// A letter about a fill of the second partition comes back, repaired, over a log with a bug, and is taken.
fn sent_back(bug: Option<Bug>) -> Vec<Violation> {
    let settings = settings();
    let log = taped("sqlite::memory:", &settings);
    work(&log, &settings, false);
    let codec = Arc::new(Codec::new(&[]).unwrap());
    let mut tape = Tape::new(&*log, codec, Time::from_secs(1_700_000_400)).unwrap();
    let portfolio =
        (0..7).map(|number| format!("p{number}")).find(|key| tape.partition(EXEC_REPORTS, key) == 1);
    let fill = Fill { portfolio: portfolio.as_deref().unwrap(), symbol: "BTC-USD", quantity: 1, price: 100 };
    let OutRecord { key, value, .. } = tape.fill(fill);
    let letters =
        [(LetterId { partition: 1, letter: 0, behind: None }, Repair { line: 1, target: 1, key, value })]
            .into();
    let request = Request {
        topic: EXEC_REPORTS.into(),
        filter: Filter::default(),
        max_attempts: 10,
        discard: false,
        repairs: Some(Repairs { file: "test".into(), letters }),
        in_order: false,
        who: "ann".into(),
        why: "it is repaired".into(),
    };
    let desk: Arc<dyn Log> = match bug {
        Some(bug) => Arc::new(BuggyLog::new(Arc::clone(&log), bug, 1)),
        None => Arc::clone(&log),
    };
    assert_eq!(redrive(&desk, &request, &mut |_| true).unwrap().sent, 1);
    work(&log, &settings, false);
    check(&log, &settings)
}

#[test]
fn a_letter_that_comes_back_breaks_nothing() {
    let found = sent_back(None);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_letter_sent_back_twice() {
    let found = sent_back(Some(Bug::DoubledReturn));
    demand(&found, Invariant::Returned, "was sent back again");
    demand(&found, Invariant::Once, "was processed by step");
}

#[test]
fn a_letter_named_as_sent_back_that_is_not() {
    let found = sent_back(Some(Bug::MissingReturn));
    demand(&found, Invariant::Returned, "0 of its records were sent back");
    assert_eq!(broken(&found), BTreeSet::from([Invariant::Returned]), "{found:#?}");
}

#[test]
fn a_transaction_left_open() {
    let found = planted(Bug::OpenTransaction, 1);
    demand(&found, Invariant::Settled, "alerts.v1/0");
    assert_eq!(broken(&found).len(), 1, "what cannot be read to its end is not judged: {found:#?}");
}

#[test]
fn a_lost_tick() {
    let settings = settings();
    let log = taped("sqlite::memory:", &settings);
    work(&log, &settings, true);
    let found = check(&log, &settings);
    demand(&found, Invariant::Ticked, "and no level at");
    demand(&found, Invariant::Replayed, "");
}

/// A beat that is gone: deleted on the file, behind the log's back.
#[test]
fn a_beat_too_few() {
    let settings = settings();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tape.db");
    let url = format!("sqlite:{}", path.display());
    let log = taped(&url, &settings);
    work(&log, &settings, false);
    drop(log);
    delete_a_beat(&path);
    let log = open(&url, &OpenOptions::default()).unwrap();
    let found = check(&log, &settings);
    demand(&found, Invariant::Ticked, "expected beat");
    demand(&found, Invariant::Once, "as journal sequence");
}

fn delete_a_beat(path: &Path) {
    let conn = Connection::open(path).unwrap();
    let deleted = conn
        .execute(
            "DELETE FROM entries WHERE (partition_id, offset) = (
                SELECT e.partition_id, e.offset FROM entries e
                JOIN partitions p ON p.id = e.partition_id JOIN topics t ON t.id = p.topic_id
                WHERE t.name = 'heartbeats.v1' AND e.headers IS NOT NULL
                ORDER BY e.offset LIMIT 1 OFFSET 20)",
            [],
        )
        .unwrap();
    assert_eq!(deleted, 1);
}

#[test]
fn a_moved_group() {
    let settings = settings();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tape.db");
    let url = format!("sqlite:{}", path.display());
    let log = taped(&url, &settings);
    work(&log, &settings, false);
    let conn = Connection::open(&path).unwrap();
    conn.execute(
        "UPDATE group_offsets SET offset = offset - 1 WHERE group_id = ?1 AND offset > 0",
        [format!("tapewatch.{ALERTING}")],
    )
    .unwrap();
    drop(conn);
    let found = check(&log, &settings);
    demand(&found, Invariant::Accounted, "alerting/");
    assert_eq!(broken(&found), BTreeSet::from([Invariant::Accounted]), "{found:#?}");
}
