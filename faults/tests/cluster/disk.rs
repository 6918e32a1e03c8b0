//! A full disk, a read-only folder and a slow disk under the embedded log: the worker stops with a clear error,
//! nothing is half written, and it goes on when there is space; on a slow one it goes on, slower. Under a producer's
//! spool: what is refused is said, and what was taken comes to the log.
//!
//! The small disk is a file system in memory, which only root may mount. The slow one is a library loaded into the
//! worker before libc: each fsync answers late.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use tapewatch_consumers::scan::Scanner;
use tapewatch_eventlog::edge::EdgeParameters;
use tapewatch_eventlog::faults::{Fault, FaultyLog, Op, Plan};
use tapewatch_eventlog::{
    CommitError, Log, LogError, OpenOptions, OutRecord, Round, TopicPartition, TopicSpec, open,
};
use tapewatch_producers::spool::{Courier, SpoolOptions, Taken};

use crate::stage::process::program;
use crate::stage::tape::{tape, undisturbed};
use crate::stage::{PATIENCE, Stage, injected, until};

/// What the slow disk adds to each fsync.
const LATE: Duration = Duration::from_millis(500);

/// A small disk; unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    /// None, and it says so, where that is not possible.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"]).arg(at).output();
        if !done.is_ok_and(|done| done.status.success()) {
            eprintln!("skipped: a small disk can be mounted by root alone");
            return None;
        }
        Some(Self(at.to_owned()))
    }

    fn make_read_only(&self) {
        let done = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.0).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The folder is the test's own and goes away with it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Fills a file system to its last byte; the file that does.
fn fill(disk: &Path) -> PathBuf {
    let ballast = disk.join("ballast");
    let mut file = File::create(&ballast).unwrap();
    for size in [1 << 20, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    ballast
}

#[test]
fn a_full_disk_stops_a_worker_and_nothing_is_half_written() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&folder.path().join("disk")) else { return };
    let url = format!("sqlite:{}", disk.0.join("tape.db").display());
    let Some(stage) = Stage::embedded("disk-full", &url) else { return };
    let tape = tape(&*stage.log, 300);
    let expected = undisturbed(&stage.loaded(), &tape);
    let mut slices = tape.into_iter().map(|records| Round { records, offsets: Vec::new() });
    let mut writer = stage.log.writer("tape").unwrap();
    let mut journals = stage.journals();
    slices.by_ref().take(60).for_each(|slice| drop(writer.commit(&slice, None).unwrap()));
    let mut worker = stage.risk("one");
    crate::stage::until("rounds of every task", || {
        worker.lives();
        journals.look();
        journals.records.len() == 4
    });
    worker.signal("STOP");
    slices.by_ref().take(60).for_each(|slice| drop(writer.commit(&slice, None).unwrap()));
    let ballast = fill(&disk.0);
    // Whoever writes is told; a slice that was refused is written later, the same.
    let refused = slices.by_ref().find(|slice| match writer.commit(slice, None) {
        Ok(_) => false,
        Err(CommitError::Aborted(LogError::Full { .. }) | CommitError::Refused(LogError::Full { .. })) => {
            true
        }
        Err(other) => panic!("{other}"),
    });
    worker.signal("CONT");
    let status = worker.end(PATIENCE);
    assert_eq!(status.code(), Some(6), "{}", worker.tail());
    assert!(worker.said().contains("no space left"), "{}", worker.tail());
    injected("a full disk under the embedded log");
    fs::remove_file(ballast).unwrap();
    let mut worker = stage.risk("one");
    let rest = refused.into_iter().chain(slices);
    rest.for_each(|slice| drop(writer.commit(&slice, None).unwrap()));
    journals.see_the_end(&mut worker);
    worker.stop();
    stage.judge_risk(&expected);
}

#[test]
fn a_read_only_folder_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&folder.path().join("disk")) else { return };
    let file = disk.0.join("tape.db");
    let Some(stage) =
        Stage::embedded("disk-read-only", &format!("sqlite:{}", folder.path().join("tape.db").display()))
    else {
        return;
    };
    drop(stage.log.topics().unwrap());
    fs::copy(folder.path().join("tape.db"), &file).unwrap();
    disk.make_read_only();
    let before = fs::read(&file).unwrap();
    let mut worker = stage.worker("risk", "one", &format!("sqlite:{}", file.display()));
    let status = worker.end(PATIENCE);
    assert!(!status.success(), "{}", worker.tail());
    let said = worker.said();
    let error = said.lines().rfind(|line| line.starts_with("error: ")).expect("it says why");
    assert!(error.contains("tape.db"), "{error}");
    assert!(before == fs::read(&file).unwrap(), "it wrote nevertheless");
    injected("a read-only folder under the embedded log");
}

#[test]
fn a_slow_disk_slows_a_worker_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("tape.db").display());
    let Some(stage) = Stage::embedded("disk-slow", &url) else { return };
    let tape = tape(&*stage.log, 300);
    let expected = undisturbed(&stage.loaded(), &tape);
    let (slow, library, notes) = (stage.path("slow"), stage.path("slow_fsync.so"), stage.path("notes"));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/stage/slow_fsync.c");
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status().unwrap();
    assert!(built.success(), "cc could not build {source}");
    let script = format!(
        "#!/bin/sh\nexec env LD_PRELOAD={} SLOW_FSYNC_MS={} SLOW_FSYNC_NOTES={} {} \"$@\"\n",
        library.display(),
        LATE.as_millis(),
        notes.display(),
        program("tapewatch-risk").display()
    );
    fs::write(&slow, script).unwrap();
    fs::set_permissions(&slow, Permissions::from_mode(0o755)).unwrap();
    let mut worker = stage.program(&slow, "one");
    let mut journals = stage.journals();
    let mut writer = stage.log.writer("tape").unwrap();
    for records in tape {
        let round = Round { records, offsets: Vec::new() };
        // Four tasks hold the log's lock for half a second each, one after the other: whoever waits longer than
        // the log lets it has written nothing, and tries again.
        until("the log to take a round", || match writer.commit(&round, None) {
            Ok(_) => true,
            Err(CommitError::Aborted(LogError::Busy { .. })) => false,
            Err(error) => panic!("{error}"),
        });
    }
    journals.see_the_end(&mut worker);
    assert_eq!(worker.heard("fenced"), 0, "{}", worker.tail());
    worker.stop();
    let late = fs::read(&notes).unwrap().len();
    assert!(late >= 5, "only {late} writes were late");
    injected("a disk that takes half a second for each fsync");
    stage.judge_risk(&expected);
}

/// Rounds of a producer whose log goes away at once, into a spool on this disk.
fn spooling(disk: &Disk) -> (Arc<dyn Log>, Arc<Plan>, Arc<dyn Log>, SpoolOptions) {
    let inner = open("sqlite::memory:", &OpenOptions::default()).unwrap();
    let topic =
        TopicSpec { name: "t".into(), partitions: 1, replication: 1, retention: None, compacted: false };
    inner.create(&[topic]).unwrap();
    let plan = Arc::new(Plan::quiet());
    plan.inject(Op::Commit, Fault::CrashBefore);
    let log: Arc<dyn Log> = Arc::new(FaultyLog::new(Arc::clone(&inner), Arc::clone(&plan)));
    // A breaker that opens at once and closes soon.
    let edge = EdgeParameters {
        minimum_calls: 1,
        wait: Duration::from_millis(2),
        permitted: 1,
        ..EdgeParameters::default()
    };
    let options = SpoolOptions { dir: disk.0.clone(), name: "p".into(), id: None, max_bytes: 1 << 30, edge };
    (inner, plan, log, options)
}

fn numbered(number: usize) -> Round {
    let value = format!("{number} {}", "x".repeat(50_000));
    let record = OutRecord {
        target: TopicPartition::new("t", 0),
        timestamp: None,
        key: Some(Bytes::from_static(b"k")),
        value: Some(Bytes::from(value)),
        headers: Vec::new(),
    };
    Round { records: vec![record], offsets: Vec::new() }
}

#[test]
fn a_full_disk_under_a_spool_refuses_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&folder.path().join("disk")) else { return };
    let (inner, plan, log, options) = spooling(&disk);
    let mut courier = Courier::open(&log, &options, Arc::new(|_| {})).unwrap();
    let mut taken = 0;
    let mut write = |courier: &mut Courier| {
        let done = courier.write(&mut numbered(taken), PATIENCE)?;
        taken += 1;
        Ok::<_, tapewatch_producers::spool::SpoolError>(done)
    };
    for _ in 0..20 {
        assert_eq!(write(&mut courier).unwrap(), Taken::Spool);
    }
    let ballast = fill(&disk.0);
    let refused = (0..10_000).find_map(|_| write(&mut courier).err()).expect("the disk is full");
    assert!(matches!(refused.log_error(), Some(LogError::Full { .. })), "{refused}");
    assert!(refused.to_string().contains("p.spool"), "{refused}");
    injected("a full disk under a producer's spool");
    fs::remove_file(ballast).unwrap();
    // What was refused is taken when there is space, and all of it comes to the log when that is back.
    write(&mut courier).unwrap();
    plan.revive();
    assert!(courier.drain(PATIENCE, &AtomicBool::new(false)), "{:?}", courier.counts());
    let mut found = Vec::new();
    let mut scanner = Scanner::new(inner).unwrap();
    let scanned = scanner.scan::<LogError>(&TopicPartition::new("t", 0), 0, |record| {
        let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
        found.push(value.split(' ').next().unwrap().parse::<usize>().unwrap());
        Ok(())
    });
    scanned.unwrap();
    assert_eq!(found, (0..taken).collect::<Vec<_>>());
}

#[test]
fn a_read_only_folder_for_a_spool_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&folder.path().join("disk")) else { return };
    let (_, _, log, options) = spooling(&disk);
    disk.make_read_only();
    let Err(error) = Courier::open(&log, &options, Arc::new(|_| {})) else { panic!("it opened") };
    let (text, place) = (error.to_string(), disk.0.display().to_string());
    assert!(text.contains(&place) && text.contains("Read-only"), "{text}");
    injected("a read-only folder for a producer's spool");
}
