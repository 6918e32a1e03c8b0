//! The workers under `tapewatch up`, and the commands that people use beside them.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod run;

use bytes::Bytes;
use run::Folder;
use run::up::{Up, risk_status, sum, until};
use tapewatch_eventlog::{OpenOptions, OutRecord, Round, TopicPartition, open};

fn folder() -> Folder {
    let folder = Folder::new().with("TAPEWATCH_TOPICS__PARTITIONS", "2");
    assert_eq!(folder.run(&["topics", "create"]).code, 0);
    folder
}

fn accounts(sequences: std::ops::Range<u32>) -> String {
    let line = |n: u32| {
        format!(
            "{{\"source\":\"me\",\"sequence\":{n},\"event_time\":\"2026-05-02T12:00:00Z\",\"portfolio\":\"P{n}\",\
             \"currency\":\"USD\",\"cash\":\"1\",\"equity\":\"1\",\"deposits\":\"0\",\"withdrawals\":\"0\"}}\n"
        )
    };
    sequences.map(line).collect()
}

#[test]
fn up_takes_what_comes_ends_on_ctrl_c_and_goes_on_where_it_was() {
    let folder = folder();
    for (from, to) in [(0, 3), (3, 5)] {
        let up = Up::ready(&folder);
        assert_eq!(folder.run_with_input(&["produce", "accounts.v1"], &accounts(from..to)).code, 0);
        until("all is processed", || sum(&risk_status(&folder), "accounts.v1", "processed") == i64::from(to));
        assert_eq!(up.interrupt(&folder), Some(0), "it ends gracefully");
        let status = risk_status(&folder);
        assert_eq!(status["holds"], true, "{status:#}");
        assert_eq!(sum(&status, "accounts.v1", "lag"), 0);
    }
    let replayed = folder.run(&["replay", "--verify"]);
    assert_eq!(replayed.code, 0, "{}", replayed.out);
}

#[test]
fn a_breaker_is_resumed_by_a_named_person() {
    let folder = folder();
    let up = Up::ready(&folder);
    let url = format!("sqlite:{}", folder.path("tapewatch.db").display());
    let log = open(&url, &OpenOptions::default()).unwrap();
    let bad = OutRecord {
        target: TopicPartition::new("accounts.v1", 1),
        timestamp: None,
        key: Some(Bytes::from_static(b"P1")),
        value: Some(Bytes::from_static(b"no account")),
        headers: vec![],
    };
    let round = Round { records: vec![bad; 100], offsets: vec![] };
    log.writer("bad deploy").unwrap().commit(&round, None).unwrap();
    let open_breakers = || {
        let status = risk_status(&folder);
        let journals = status["workers"][0]["journals"].as_array().unwrap().clone();
        journals.iter().map(|head| head["breakers"].as_array().unwrap().len()).sum::<usize>()
    };
    until("the breaker is open", || open_breakers() == 1);

    let by = ["--who", "ada", "--why", "a bad deploy, rolled back"];
    let resume = |source| {
        let named = ["breaker", "resume", "risk", source, "--admin", up.risk.as_str()];
        folder.run(&[&named[..], &by].concat())
    };
    let other = resume("accounts.v1/0");
    assert_eq!(other.code, 1, "{}", other.out);
    assert_eq!(resume("accounts.v1").code, 2, "a source has a partition");
    let done = resume("accounts.v1/1");
    assert_eq!(done.code, 0, "{}", done.err);
    // What is bad still is bad: it opens again, and the law holds all the while.
    assert_eq!(up.interrupt(&folder), Some(0));
    let status = risk_status(&folder);
    assert_eq!(status["holds"], true, "{status:#}");
    let replayed = folder.run(&["replay", "--verify", "--worker", "risk"]);
    assert_eq!(replayed.code, 0, "{}", replayed.out);
}

#[test]
fn a_breaker_of_a_worker_that_is_not_there_is_said_so() {
    let by = ["--admin", "127.0.0.1:1", "--who", "ada", "--why", "why not"];
    let done = Folder::new().run(&[&["breaker", "resume", "risk", "accounts.v1/0"][..], &by].concat());
    assert_eq!(done.code, 4);
    assert!(done.err.contains("risk's admin endpoint 127.0.0.1:1 does not answer"), "{}", done.err);
    assert!(!done.err.contains("the log"), "{}", done.err);
    let nobody = Folder::new().run(&[&["breaker", "resume", "nobody", "accounts.v1/0"][..], &by].concat());
    assert_eq!(nobody.code, 2, "{}", nobody.err);
}

#[test]
fn a_tape_is_played_once() {
    let folder = Folder::new().with("TAPEWATCH_ENV", "demo");
    assert_eq!(folder.run(&["topics", "create"]).code, 0);
    let play = ["play", "--bars", "900", "--incidents", "--speed", "max"];
    let done = folder.run(&play);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.err.contains("900 bars played, "), "{}", done.err);
    let again = folder.run(&play);
    assert_eq!(again.code, 5, "{}", again.err);
    assert!(again.err.contains("fresh log"), "{}", again.err);
}
