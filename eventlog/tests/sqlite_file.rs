//! The embedded log as a file: other programs, other processes, bad files, bounds.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rusqlite::Connection;
use tapewatch_eventlog::{
    Clock, CommitError, GroupSpec, Log, LogError, OpenOptions, OutRecord, Polled, Round, TopicPartition,
    TopicSpec, open, sqlite::SqliteLog,
};
use tapewatch_schemas::Time;

fn url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("log.db").display())
}

fn raw(folder: &Path) -> Connection {
    Connection::open(folder.join("log.db")).expect("the file opens")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn opened(folder: &Path, options: &OpenOptions) -> Arc<dyn Log> {
    let log = open(&url(folder), options).expect("the log opens");
    let spec =
        TopicSpec { name: "t".into(), partitions: 2, replication: 1, retention: None, compacted: false };
    log.create(&[spec]).expect("the topic is created");
    log
}

fn round(partition: i32, value: &str) -> Round {
    let record = OutRecord {
        target: TopicPartition::new("t", partition),
        timestamp: Some(Time(1_700_000_000_000_000)),
        key: Some(Bytes::from_static(b"k")),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: vec![("h".into(), Bytes::from_static(b"1")), ("bin".into(), Bytes::from_static(&[0, 7]))],
    };
    Round { records: vec![record], offsets: Vec::new() }
}

#[test]
fn any_sql_tool_reads_the_records() {
    let folder = folder();
    let log = opened(folder.path(), &OpenOptions::default());
    let mut writer = log.writer("w").unwrap();
    writer.commit(&round(1, "one"), None).unwrap();
    // While the log is open and being written.
    let read = || {
        raw(folder.path())
            .query_row("SELECT * FROM records", [], |row| {
                Ok((
                    (row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?),
                    (row.get::<_, i64>(3)?, row.get::<_, Vec<u8>>(4)?, row.get::<_, Vec<u8>>(5)?),
                    row.get::<_, String>(6)?,
                ))
            })
            .unwrap()
    };
    let expected = (
        ("t".to_owned(), 1, 0),
        (1_700_000_000_000_000, b"k".to_vec(), b"one".to_vec()),
        r#"[["h","1"],["bin","hex:0007"]]"#.to_owned(),
    );
    assert_eq!(read(), expected);
    drop((log, writer));
    assert_eq!(read(), expected);
}

#[test]
fn a_newer_file_is_refused() {
    let folder = folder();
    drop(opened(folder.path(), &OpenOptions::default()));
    raw(folder.path()).pragma_update(None, "user_version", 99).unwrap();
    match open(&url(folder.path()), &OpenOptions::default()) {
        Err(LogError::Newer { found: 99, known: 1, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn another_programs_file_is_refused_and_left_alone() {
    let folder = folder();
    raw(folder.path()).execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = std::fs::read(folder.path().join("log.db")).unwrap();
    match open(&url(folder.path()), &OpenOptions::default()) {
        Err(LogError::Unusable { why, .. }) => assert!(why.contains("another program"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(std::fs::read(folder.path().join("log.db")).unwrap(), before);
    std::fs::write(folder.path().join("log.db"), "this is text, and long enough to be looked at").unwrap();
    match open(&url(folder.path()), &OpenOptions::default()) {
        Err(LogError::Unusable { why, .. }) => assert!(why.contains("no SQLite"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bad_path_is_a_clear_error() {
    let folder = folder();
    for (path, wanted) in
        [("missing/log.db", "mkdir -p"), (".", "is a folder"), ("/proc/log.db", "may not be written")]
    {
        if path.starts_with("/proc") && !cfg!(target_os = "linux") {
            continue;
        }
        let url = format!("sqlite:{}", folder.path().join(path).display());
        let error = open(&url, &OpenOptions::default()).unwrap_err();
        assert!(matches!(error, LogError::Unusable { .. }), "{error:?}");
        assert!(error.to_string().contains(wanted), "{error}");
        assert!(error.to_string().contains(&url), "{error}");
    }
    for url in ["sqlite:", "postgres:x", "log.db", ""] {
        let error = open(url, &OpenOptions::default()).unwrap_err();
        assert!(matches!(error, LogError::Address { .. }), "{url}: {error:?}");
    }
}

#[test]
fn a_busy_file_is_waited_for_then_told() {
    let folder = folder();
    let options = OpenOptions { busy_timeout: Duration::from_millis(50), ..OpenOptions::default() };
    let log = opened(folder.path(), &options);
    let mut writer = log.writer("w").unwrap();
    let other = raw(folder.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    match writer.commit(&round(0, "busy"), None) {
        Err(CommitError::Aborted(LogError::Busy { waited_ms: 50, .. })) => {}
        other => panic!("{other:?}"),
    }
    // Who opens the file waits as long, and says so.
    let opening = open(&url(folder.path()), &options).unwrap_err();
    assert!(matches!(opening, LogError::Busy { waited_ms: 50, .. }), "{opening:?}");
    other.execute_batch("ROLLBACK").unwrap();
    writer.commit(&round(0, "free"), None).unwrap();
}

/// A second connection is to the file what another process is: it shares nothing in memory.
#[test]
fn processes_follow_and_fence_each_other() {
    let folder = folder();
    let (here, there) =
        (opened(folder.path(), &OpenOptions::default()), opened(folder.path(), &OpenOptions::default()));
    let mut reader = here.reader().unwrap();
    reader.assign(&[(TopicPartition::new("t", 0), 0)]).unwrap();
    let threads = [Arc::clone(&here), there].map(|log| {
        std::thread::spawn(move || {
            let mut writer = log.writer(&format!("{log:p}")).unwrap();
            for n in 0..100 {
                writer.commit(&round(0, &n.to_string()), None).unwrap();
            }
        })
    });
    let mut seen = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(30);
    while seen.len() < 200 {
        assert!(Instant::now() < deadline, "only {} came", seen.len());
        if let Polled::Batch(batch) = reader.poll(Duration::from_millis(100)).unwrap() {
            for record in batch.iter() {
                assert_eq!(record.offset, seen.len() as i64, "no gap, nothing twice");
                seen.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
            }
        }
    }
    for thread in threads {
        thread.join().unwrap();
    }
    for n in 0..100 {
        assert_eq!(seen.iter().filter(|value| **value == n.to_string()).count(), 2);
    }
}

#[test]
fn the_write_ahead_log_has_a_bound() {
    let folder = folder();
    let options = OpenOptions { wal_bytes: 1 << 20, ..OpenOptions::default() };
    let log = opened(folder.path(), &options);
    let mut writer = log.writer("w").unwrap();
    let mut reader = log.reader().unwrap();
    reader.assign(&[(TopicPartition::new("t", 0), 0)]).unwrap();
    let mut most = 0;
    for _ in 0..300 {
        let mut round = round(0, &"x".repeat(1000));
        round.records = vec![round.records[0].clone(); 50];
        writer.commit(&round, None).unwrap();
        while !matches!(reader.poll(Duration::ZERO).unwrap(), Polled::End { .. } | Polled::Idle) {}
        most = most.max(std::fs::metadata(folder.path().join("log.db-wal")).unwrap().len());
    }
    let written = std::fs::metadata(folder.path().join("log.db")).unwrap().len();
    assert!(written > 10 << 20, "{written}");
    assert!(most < 2 << 20, "the write-ahead log grew to {most} B");
}

#[test]
fn a_lease_runs_out_on_the_logs_clock() {
    let folder = folder();
    let now = Arc::new(AtomicI64::new(1_700_000_000_000_000));
    let clock = Clock::new({
        let now = Arc::clone(&now);
        move || Time(now.load(Ordering::SeqCst))
    });
    let log = opened(folder.path(), &OpenOptions { clock, ..OpenOptions::default() });
    let spec = |instance: &str| GroupSpec {
        group: "g".into(),
        instance: instance.into(),
        topics: vec!["t".into()],
        session: Duration::from_secs(6),
    };
    let mut one = log.member(&spec("one")).unwrap();
    assert!(matches!(one.poll(Duration::ZERO).unwrap(), Polled::Assigned(tasks) if tasks == [0, 1]));
    let fence = one.fence().unwrap();
    let mut two = log.member(&spec("two")).unwrap();
    assert!(matches!(two.poll(Duration::ZERO).unwrap(), Polled::Idle), "one still holds everything");
    now.fetch_add(6_100_000, Ordering::SeqCst);
    // Its own heartbeat ends the lease of the silent one.
    let deadline = Instant::now() + Duration::from_secs(10);
    let tasks = loop {
        assert!(Instant::now() < deadline);
        if let Polled::Assigned(tasks) = two.poll(Duration::from_millis(20)).unwrap() {
            break tasks;
        }
    };
    assert_eq!(tasks, [0, 1]);
    let zombie = Round { offsets: vec![(TopicPartition::new("t", 0), 0)], ..round(0, "zombie") };
    match log.writer("w").unwrap().commit(&zombie, Some(&fence)) {
        Err(CommitError::Fenced(_)) => {}
        other => panic!("{other:?}"),
    }
    assert!(matches!(one.poll(Duration::ZERO).unwrap(), Polled::Lost(tasks) if tasks == [0, 1]));
    assert_eq!(log.bounds(&TopicPartition::new("t", 0)).unwrap().end, 0);
}

#[test]
fn a_full_publisher_says_so_and_loses_nothing_it_took() {
    let folder = folder();
    let options = OpenOptions { queue_bytes: 10_000, ..OpenOptions::default() };
    let log = opened(folder.path(), &options);
    let mut publisher = log.publisher().unwrap();
    let record = round(0, &"x".repeat(3000)).records.remove(0);
    let mut taken = 0;
    // The writer thread takes records out meanwhile, so fill it faster than it can.
    let blocker = raw(folder.path());
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = loop {
        match publisher.send(record.clone()) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, LogError::Full { .. }), "{error:?}");
    blocker.execute_batch("ROLLBACK").unwrap();
    publisher.flush(Duration::from_secs(10)).unwrap();
    assert_eq!(log.bounds(&TopicPartition::new("t", 0)).unwrap().end, taken);
}

#[test]
fn what_has_expired_is_pruned_when_asked() {
    let folder = folder();
    let now = Time(1_700_000_000_000_000);
    let options = OpenOptions { clock: Clock::new(move || now), ..OpenOptions::default() };
    let log = SqliteLog::open(&url(folder.path()), &options).unwrap();
    let retention = Some(Duration::from_secs(3600));
    let spec = TopicSpec { name: "t".into(), partitions: 2, replication: 1, retention, compacted: false };
    log.create(&[spec]).unwrap();
    let at = TopicPartition::new("t", 0);
    let mut reader = log.reader().unwrap();
    reader.assign(&[(at.clone(), 0)]).unwrap();
    // Thirty thousand records, one a second up to now: more than one step and many marks.
    let records = (0..30_000)
        .map(|n| OutRecord {
            timestamp: Some(now - Duration::from_secs(30_000 - n)),
            ..round(0, "v").records.remove(0)
        })
        .collect();
    log.writer("w").unwrap().commit(&Round { records, offsets: Vec::new() }, None).unwrap();
    assert_eq!(log.prune_expired().unwrap(), 26_400);
    let bounds = log.bounds(&at).unwrap();
    assert_eq!((bounds.earliest, bounds.end), (26_400, 30_000));
    assert_eq!(log.offset_at(&at, Time(0)).unwrap(), 26_400);
    assert_eq!(log.offset_at(&at, now - Duration::from_secs(1000)).unwrap(), 29_000);
    assert_eq!(log.prune_expired().unwrap(), 0);
    // One that had not read them is told, in a process that no longer has them in memory.
    let other = SqliteLog::open(&url(folder.path()), &options).unwrap();
    match other.reader().unwrap().assign(&[(at.clone(), 0)]) {
        Err(LogError::OutOfRange { earliest: 26_400, .. }) => {}
        outcome => panic!("{outcome:?}"),
    }
    let mut behind = other.reader().unwrap();
    behind.assign(&[(at.clone(), 26_400)]).unwrap();
    other.prune(&at, 27_000).unwrap();
    match behind.poll(Duration::from_secs(1)) {
        Err(LogError::OutOfRange { offset: 26_400, earliest: 27_000, .. }) => {}
        outcome => panic!("{outcome:?}"),
    }
}

#[test]
fn a_gap_is_left_where_one_is_wanted() {
    let folder = folder();
    let log = SqliteLog::open(&url(folder.path()), &OpenOptions::default()).unwrap();
    let spec =
        TopicSpec { name: "t".into(), partitions: 2, replication: 1, retention: None, compacted: false };
    log.create(&[spec]).unwrap();
    let at = TopicPartition::new("t", 0);
    let mut writer = log.writer("w").unwrap();
    let mut write = |value: &str| writer.commit(&round(0, value), None).unwrap().offsets[0];
    log.leave_gap(&at, 3).unwrap();
    assert_eq!(write("a"), 3);
    assert_eq!(write("b"), 4);
    log.leave_gap(&at, 1_500).unwrap();
    log.leave_gap(&at, 7).unwrap();
    assert_eq!(write("c"), 1_500);
    log.leave_gap(&at, 2_000).unwrap();
    // In this process, and in one that has only the file.
    for log in [log, SqliteLog::open(&url(folder.path()), &OpenOptions::default()).unwrap()] {
        assert_eq!(log.bounds(&at).unwrap().end, 2_000);
        let mut reader = log.reader().unwrap();
        reader.assign(&[(at.clone(), 0)]).unwrap();
        let mut offsets = Vec::new();
        loop {
            match reader.poll(Duration::from_secs(1)).unwrap() {
                Polled::Batch(batch) => offsets.extend(batch.iter().map(|record| record.offset)),
                Polled::End { position, .. } => break assert_eq!(position, 2_000),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(offsets, [3, 4, 1_500]);
    }
}
