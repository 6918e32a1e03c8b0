//! One changed byte, one record too few or too many: replay finds it and names it.
//!
//! The tapes are on files, and the files are changed with SQL behind the log's back.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, params};
use support::{Tape, create, worker_plan};
use tapewatch_consumers::Worker;
use tapewatch_consumers::replay::{Range, Report, Verdict, Verifier};
use tapewatch_eventlog::{Log, OpenOptions, OutRecord, TopicPartition, open};
use tapewatch_schemas::catalogue as c;

fn at(path: &Path) -> Arc<dyn Log> {
    open(&format!("sqlite:{}", path.display()), &OpenOptions::default()).unwrap()
}

/// A log with a tape and what the worker made of it: anchors, snapshots, two dead letters a slice.
fn played(path: &Path) {
    let log = at(path);
    create(&*log);
    let mut tape = Tape::new();
    let mut writer = log.writer("tape").unwrap();
    let mut worker = Worker::join(worker_plan(&*log, "a"), Arc::clone(&log)).unwrap();
    for _ in 0..4 {
        let mut slice = tape.slice(&*log, 150);
        slice.records.insert(40, poison(0));
        slice.records.insert(90, poison(1));
        writer.commit(&slice, None).unwrap();
        worker.run_to_end().unwrap();
    }
    worker.stop().unwrap();
}

fn poison(partition: i32) -> OutRecord {
    OutRecord {
        target: TopicPartition::new(c::EXEC_REPORTS, partition),
        timestamp: None,
        key: Some(Bytes::from_static(b"p0")),
        value: Some(Bytes::from_static(b"\xc3\x01no such thing")),
        headers: vec![("mine".into(), Bytes::from_static(b"kept"))],
    }
}

fn verify(path: &Path, range: Range) -> Vec<Report> {
    let log = at(path);
    let plan = worker_plan(&*log, "a");
    let mut verifier = Verifier::new(&plan, Arc::clone(&log), range).unwrap();
    let of: Vec<i32> = (0..verifier.tasks()).collect();
    let reports = verifier.verify_all(&of, &mut |_, _| {}).unwrap();
    // Side by side or alone, the same.
    let alone = of.iter().map(|task| verifier.verify(*task, &mut |_, _| {}).unwrap());
    assert_eq!(format!("{reports:?}"), format!("{:?}", alone.collect::<Vec<_>>()));
    reports
}

/// What the tampering of a fresh copy makes replay say: task, sequence, text of the first difference.
fn found(tamper: impl FnOnce(&Connection)) -> (i32, Option<i64>, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tape.db");
    played(&path);
    tamper(&Connection::open(&path).unwrap());
    let reports = verify(&path, Range::default());
    let differing = reports.iter().find(|report| report.verdict() == Verdict::Differs);
    let report = differing.unwrap_or_else(|| panic!("nothing was found: {reports:#?}"));
    let first = &report.differs[0];
    (report.partition, first.sequence, first.what.clone())
}

/// Flips a bit of a byte of a column of the `nth` record of a partition, counted from the end if negative.
/// Gives its offset.
fn flip(conn: &Connection, topic: &str, partition: i32, nth: i64, column: &str, byte: usize) -> i64 {
    let (id, offset, mut bytes) = record(conn, topic, partition, nth, column);
    let last = bytes.len() - 1;
    bytes[byte.min(last)] ^= 1;
    let sql = format!("UPDATE entries SET {column} = ?3 WHERE partition_id = ?1 AND offset = ?2");
    assert_eq!(conn.execute(&sql, params![id, offset, bytes]).unwrap(), 1);
    offset
}

fn record(conn: &Connection, topic: &str, partition: i32, nth: i64, column: &str) -> (i64, i64, Vec<u8>) {
    let (order, skip) = if nth < 0 { ("DESC", -1 - nth) } else { ("ASC", nth) };
    let sql = format!(
        "SELECT e.partition_id, e.offset, e.{column} FROM entries e
         JOIN partitions p ON p.id = e.partition_id JOIN topics t ON t.id = p.topic_id
         WHERE t.name = ?1 AND p.partition = ?2 ORDER BY e.offset {order} LIMIT 1 OFFSET ?3"
    );
    conn.query_row(&sql, params![topic, partition, skip], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
}

/// The partition of a topic that holds most records.
fn busiest(conn: &Connection, topic: &str) -> i32 {
    conn.query_row(
        "SELECT partition FROM records WHERE topic = ?1 GROUP BY partition ORDER BY count(*) DESC LIMIT 1",
        [topic],
        |row| row.get(0),
    )
    .unwrap()
}

#[test]
fn an_untouched_log_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tape.db");
    played(&path);
    for report in verify(&path, Range::default()) {
        assert_eq!(report.verdict(), Verdict::Verified, "{report:#?}");
        assert!(report.records > 5 && report.outputs > 0, "{report:#?}");
        assert_eq!(report.letters, 4, "{report:#?}");
        assert!(report.states >= 3, "an anchor at the epoch, one at the stop, a snapshot: {report:#?}");
    }
}

#[test]
fn an_input_value() {
    let mut offset = 0;
    let (task, sequence, what) = found(|conn| offset = flip(conn, c::EXEC_REPORTS, 0, 20, "value", 30));
    assert_eq!(task, 0);
    assert!(sequence.is_some());
    assert!(
        what.contains("exec.reports.v1/0: offsets") && what.contains("digest"),
        "offset {offset}: {what}"
    );
}

#[test]
fn a_broadcast_input_value() {
    let mut partition = 0;
    let (task, sequence, what) = found(|conn| {
        partition = busiest(conn, c::MARKET_DATA);
        flip(conn, c::MARKET_DATA, partition, 5, "value", 30);
    });
    assert_eq!((task, sequence.is_some()), (0, true), "every task rests on it");
    assert!(what.contains(&format!("market.data.v1/{partition}: offsets")), "{what}");
}

#[test]
fn an_output_value() {
    let mut offset = 0;
    let (task, sequence, what) = found(|conn| offset = flip(conn, c::RISK_METRICS, 0, 33, "value", 40));
    assert_eq!((task, sequence.is_some()), (0, true));
    assert!(what.starts_with(&format!("risk.metrics.v1/0 offset {offset}: the output of step ")), "{what}");
}

#[test]
fn an_output_header() {
    let (_, _, what) = found(|conn| {
        flip(conn, c::RISK_METRICS, 0, 33, "headers", usize::MAX);
    });
    assert!(what.contains("risk.metrics.v1/0"), "{what}");
}

#[test]
fn a_journal_record() {
    let mut offset = 0;
    let (task, sequence, what) = found(|conn| offset = flip(conn, "journal.risk.v1", 1, 4, "value", 70));
    assert_eq!((task, sequence), (1, Some(4)));
    assert!(what.starts_with(&format!("journal.risk.v1/1 offset {offset}: journal record: ")), "{what}");
}

#[test]
fn every_byte_of_an_anchor_and_a_snapshot() {
    for topic in ["anchors.risk.v1", "state.risk.v1"] {
        for nth in [-1, -2] {
            for byte in [0, 9, 40, usize::MAX] {
                let mut offset = 0;
                let (task, _, what) = found(|conn| offset = flip(conn, topic, 0, nth, "value", byte));
                assert_eq!(task, 0);
                assert!(what.contains(topic), "record {nth} byte {byte} at offset {offset}: {what}");
            }
        }
    }
}

#[test]
fn a_dead_letter() {
    for (column, byte) in [("value", 5), ("key", 1), ("headers", usize::MAX), ("headers", 60)] {
        let (task, _, what) = found(|conn| {
            flip(conn, "exec.reports.v1.dlq", 1, 2, column, byte);
        });
        assert_eq!(task, 1);
        assert!(
            what.contains("exec.reports.v1.dlq/1 offset 2") || what.contains("no letter"),
            "{column}: {what}"
        );
    }
}

#[test]
fn a_removed_journal_record() {
    let (task, sequence, what) = found(|conn| {
        let (id, offset, _) = record(conn, "journal.risk.v1", 0, 3, "value");
        conn.execute("DELETE FROM entries WHERE partition_id = ?1 AND offset = ?2", [id, offset]).unwrap();
    });
    assert_eq!((task, sequence), (0, Some(4)));
    assert!(what.contains("journal sequence 4 stands where 3 was expected"), "{what}");
}

#[test]
fn journal_records_missing_at_the_end() {
    let (task, _, what) = found(|conn| {
        let (id, offset, _) = record(conn, "journal.risk.v1", 1, -1, "value");
        conn.execute("DELETE FROM entries WHERE partition_id = ?1 AND offset = ?2", [id, offset]).unwrap();
        conn.execute("UPDATE partitions SET next = ?2 WHERE id = ?1", [id, offset]).unwrap();
    });
    assert_eq!(task, 1);
    assert!(what.contains("records are missing at its end"), "{what}");
}

#[test]
fn a_removed_output() {
    let (task, sequence, what) = found(|conn| {
        let (id, offset, _) = record(conn, c::RISK_METRICS, 0, 50, "value");
        conn.execute("DELETE FROM entries WHERE partition_id = ?1 AND offset = ?2", [id, offset]).unwrap();
    });
    assert_eq!((task, sequence.is_some()), (0, true));
    assert!(what.contains("risk.metrics.v1/0: the output of step") && what.ends_with("is missing"), "{what}");
}

#[test]
fn an_added_output() {
    // Once as a copy of one that is there, once from nobody.
    for copy in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tape.db");
        played(&path);
        let conn = Connection::open(&path).unwrap();
        let (id, offset, value) = record(&conn, c::RISK_METRICS, 0, -1, "value");
        conn.execute(
            "INSERT INTO entries SELECT partition_id, offset + 1, timestamp, key, ?3, iif(?4, headers, NULL)
             FROM entries WHERE partition_id = ?1 AND offset = ?2",
            params![id, offset, value, copy],
        )
        .unwrap();
        conn.execute("UPDATE partitions SET next = ?2 WHERE id = ?1", [id, offset + 2]).unwrap();
        drop(conn);
        let reports = verify(&path, Range::default());
        let whats: Vec<&str> =
            reports.iter().flat_map(|report| &report.differs).map(|finding| finding.what.as_str()).collect();
        let place = format!("risk.metrics.v1/0 offset {}: ", offset + 1);
        assert!(matches!(whats[..], [what] if what.starts_with(&place)), "{whats:?}");
    }
}

#[test]
fn a_replay_from_an_anchor_verifies_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tape.db");
    played(&path);
    let whole = verify(&path, Range::default());
    let from = Range { from: Some(Tape::new().now + support::MINUTE * 60), to: None };
    for (part, whole) in verify(&path, from).iter().zip(&whole) {
        assert_eq!(part.verdict(), Verdict::Verified, "{part:#?}");
        assert!(part.first > Some(0) || part.first.is_none(), "{part:#?}");
        assert!(part.records < whole.records);
    }
}

#[test]
fn another_code_version_is_named_and_not_judged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tape.db");
    played(&path);
    let log = at(&path);
    let mut plan = worker_plan(&*log, "a");
    plan.epoch.code = "later".into();
    let mut verifier = Verifier::new(&plan, Arc::clone(&log), Range::default()).unwrap();
    let report = verifier.verify(0, &mut |_, _| {}).unwrap();
    assert_eq!(report.verdict(), Verdict::NotVerifiable, "{report:#?}");
    assert!(
        report.unverifiable[0].why.contains("written by code version test, this is later"),
        "{report:#?}"
    );

    // What the later version then writes is verified by it, from the anchor at its epoch on.
    let mut worker = Worker::join(plan.clone(), Arc::clone(&log)).unwrap();
    let mut tape = Tape::new();
    tape.now = tape.now + support::MINUTE * 60;
    log.writer("tape").unwrap().commit(&tape.slice(&*log, 50), None).unwrap();
    worker.run_to_end().unwrap();
    log.writer("tape").unwrap().commit(&tape.slice(&*log, 50), None).unwrap();
    worker.run_to_end().unwrap();
    worker.stop().unwrap();
    let report = verifier.verify(0, &mut |_, _| {}).unwrap();
    assert_eq!(report.verdict(), Verdict::NotVerifiable, "{report:#?}");
    assert!(report.records > 0 && report.outputs > 0, "{report:#?}");
}
