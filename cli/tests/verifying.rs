//! `demo`, and what `replay --verify` and `status` say of a log.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod run;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use run::Folder;
use tapewatch_consumers::scan::Scanner;
use tapewatch_eventlog::{Log, LogError, OpenOptions, OutRecord, Round, TopicPartition, open};

/// A short demo in `log/tape.db`, which is the folder's log.
fn demo() -> (Folder, Arc<dyn Log>) {
    let folder = Folder::new();
    let done = folder.run(&["demo", "--bars", "900", "--json", "--dir", "log"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let url = format!("sqlite:{}", folder.path("log/tape.db").display());
    let log = open(&url, &OpenOptions::default()).unwrap();
    (folder.with("TAPEWATCH_LOG", &url), log)
}

#[test]
fn a_replay_says_verified_differs_or_not_verifiable_by_its_exit_code() {
    let (folder, _) = demo();
    let verify = ["replay", "--verify", "--env", "demo"];
    let clean = folder.run(&verify);
    assert_eq!(clean.code, 0, "{}", clean.out);

    let elsewhere = folder.run(&["replay", "--verify"]);
    assert_eq!(elsewhere.code, 7, "{}", elsewhere.out);
    assert!(elsewhere.out.contains("written under configuration") && elsewhere.out.contains("--env NAME"));
    let advice = "the workers of this log had other settings than these: they ran with `--env demo`: run the same with `--env demo`\n";
    assert!(elsewhere.out.ends_with(advice), "{}", elsewhere.out);
    assert!(
        elsewhere.out.contains("risk/0: not verifiable: nothing of its journal was run again: "),
        "{}",
        elsewhere.out
    );
    assert!(!elsewhere.out.contains("no journal record"), "{}", elsewhere.out);
    let objects = folder.run(&["replay", "--verify", "--json"]);
    assert!(
        objects.err.ends_with(advice) && objects.out.lines().all(|line| line.starts_with('{')),
        "{}",
        objects.err
    );
    // Settings that nobody here knows by name.
    let unknown = folder.with("TAPEWATCH_RISK__PUBLISH_EVERY", "7h").run(&["replay", "--verify"]);
    assert!(
        unknown.code == 7 && unknown.out.contains("that of no environment known here"),
        "{}",
        unknown.out
    );
}

#[test]
fn what_was_forged_differs() {
    let (folder, log) = demo();
    let verify = ["replay", "--verify", "--env", "demo"];

    let forged = OutRecord {
        target: TopicPartition::new("risk.metrics.v1", 0),
        timestamp: None,
        key: None,
        value: Some(Bytes::from_static(b"all is well")),
        headers: vec![("tapewatch.from".into(), Bytes::from_static(b"risk/0/99999999/0"))],
    };
    let round = Round { records: vec![forged], offsets: vec![] };
    log.writer("forger").unwrap().commit(&round, None).unwrap();
    let differs = folder.run(&verify);
    assert_eq!(differs.code, 1, "{}", differs.out);
    assert!(differs.out.contains("risk.metrics.v1/0 offset "), "{}", differs.out);
}

#[test]
fn a_log_that_no_worker_ran_on_is_not_verifiable() {
    let folder = Folder::new();
    folder.run(&["topics", "create", "--partitions", "1"]);
    let done = folder.run(&["replay", "--verify"]);
    assert_eq!(done.code, 7, "{}", done.out);
    assert!(!done.out.contains(": verified"), "{}", done.out);
    assert!(done.out.contains("risk has never run here"), "{}", done.out);
}

#[test]
fn an_alert_is_a_cloud_event_and_says_when_it_was_detected() {
    let (_folder, log) = demo();
    let mut alerts: Vec<BTreeMap<String, String>> = Vec::new();
    let mut scanner = Scanner::new(Arc::clone(&log)).unwrap();
    let topics = log.topics().unwrap();
    let partitions = topics.iter().find(|topic| topic.name.as_str() == "alerts.v1").unwrap().partitions;
    for partition in 0..partitions {
        let at = TopicPartition::new("alerts.v1", partition);
        let mut take = |record: &tapewatch_eventlog::RecordRef<'_>| {
            let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
            alerts.push(record.headers.iter().map(|(name, value)| (name.to_owned(), text(value))).collect());
            Ok(())
        };
        scanner.scan::<LogError>(&at, 0, |record| take(record)).unwrap();
    }
    assert!(!alerts.is_empty());
    for alert in &alerts {
        assert_eq!(alert["ce_specversion"], "1.0");
        assert_eq!(alert["ce_id"].len(), 36, "{alert:?}");
        assert!(["tapewatch.alert.v1.firing", "tapewatch.alert.v1.resolved"].contains(&&*alert["ce_type"]));
        assert!(alert["ce_source"].starts_with("/tapewatch/alerting/"), "{alert:?}");
        assert!(alert["ce_time"].starts_with("2021-"), "the data's own time: {alert:?}");
        assert_eq!(
            (&*alert["content-type"], &*alert["ce_datacontenttype"]),
            ("application/avro", "application/avro")
        );
        assert!(*alert["tapewatch.detected"] > *"2026-", "the wall's: {alert:?}");
    }
    let mut ids: Vec<_> = alerts.iter().map(|alert| &alert["ce_id"]).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "an event's id is its own");
}

#[test]
fn a_demo_that_cannot_be_leaves_nothing_behind() {
    let folder = Folder::new();
    for bars in ["0", "5"] {
        let done = folder.run(&["demo", "--bars", bars, "--dir", "none"]);
        assert_eq!(done.code, 2, "{}", done.err);
        assert!(!folder.path("none").exists(), "--bars {bars}");
    }
}

#[test]
fn a_demo_without_room_has_its_own_exit_code() {
    let folder = Folder::new();
    let done = folder.shell("ulimit -f 200; \"$TAPEWATCH\" demo --bars 900 --json --dir log");
    assert_eq!(done.code, 6, "{}", done.err);
    assert!(done.err.contains("no space left for sqlite:log/tape.db"), "{}", done.err);
}

#[test]
fn what_is_no_log_is_named_with_what_to_do() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("folder")).unwrap();
    folder.write("notes.txt", &"these are notes and no database at all\n".repeat(20));
    for (log, wanted) in [
        ("sqlite:folder", "folder is a folder"),
        ("sqlite:notes.txt", "the file is no SQLite database"),
        ("sqlite:nowhere/a.db", "mkdir -p nowhere"),
    ] {
        let done = folder.run(&["topics", "create", "--log", log]);
        assert_eq!(done.code, 4, "{log}: {}", done.err);
        assert!(done.err.contains(wanted) && done.err.contains(log), "{}", done.err);
        assert!(done.err.contains("expected"), "{}", done.err);
        assert_eq!(done.err.trim_end().lines().count(), 1, "one paragraph: {}", done.err);
    }
}

#[test]
fn status_ends_at_once_on_ctrl_c() {
    // A broker that takes the connection and says nothing keeps it waiting.
    let broker = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("kafka:{}", broker.local_addr().unwrap());
    let folder = Folder::new();
    let mut child = folder
        .command(env!("CARGO_BIN_EXE_tapewatch"))
        .args(["status", "--log", &url])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _connection = broker.accept().unwrap();
    let begun = Instant::now();
    assert_eq!(folder.shell(&format!("kill -INT {}", child.id())).code, 0);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
