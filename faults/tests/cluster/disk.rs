//! A full disk, a read-only folder and a slow disk under the embedded log: the worker stops with a clear error,
//! nothing is half written, and it goes on when there is space; on a slow one it goes on, slower.
//!
//! The small disk is a file system in memory, which only root may mount. The slow one is strace's doing: the kernel
//! answers each fsync of the worker late.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tapewatch_eventlog::{CommitError, LogError, Round};

use crate::stage::process::program;
use crate::stage::tape::{tape, undisturbed};
use crate::stage::{PATIENCE, Stage, injected};

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
    let done = Command::new("mount").args(["-o", "remount,ro"]).arg(&disk.0).status().unwrap();
    assert!(done.success());
    let mut worker = stage.worker("risk", "one", &format!("sqlite:{}", file.display()));
    let status = worker.end(PATIENCE);
    assert!(!status.success(), "{}", worker.tail());
    let said = worker.said();
    let error = said.lines().rfind(|line| line.starts_with("error: ")).expect("it says why");
    assert!(error.contains("tape.db"), "{error}");
    injected("a read-only folder under the embedded log");
}

#[test]
fn a_slow_disk_slows_a_worker_and_nothing_else() {
    if !Command::new("strace").arg("--version").output().is_ok_and(|done| done.status.success()) {
        eprintln!("skipped: strace is not on the PATH");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("tape.db").display());
    let Some(stage) = Stage::embedded("disk-slow", &url) else { return };
    let tape = tape(&*stage.log, 300);
    let expected = undisturbed(&stage.loaded(), &tape);
    let (slow, traced) = (stage.path("slow"), stage.path("traced"));
    let options = format!(
        "-D -f -qq -o {} -e trace=fdatasync,fsync -e inject=fdatasync,fsync:delay_exit={}",
        traced.display(),
        LATE.as_micros()
    );
    let script = format!("#!/bin/sh\nexec strace {options} {} \"$@\"\n", program("tapewatch-risk").display());
    fs::write(&slow, script).unwrap();
    fs::set_permissions(&slow, Permissions::from_mode(0o755)).unwrap();
    let mut worker = stage.program(&slow, "one");
    let mut journals = stage.journals();
    let mut writer = stage.log.writer("tape").unwrap();
    for records in tape {
        writer.commit(&Round { records, offsets: Vec::new() }, None).unwrap();
    }
    journals.see_the_end(&mut worker);
    assert_eq!(worker.heard("fenced"), 0, "{}", worker.tail());
    worker.stop();
    let late =
        fs::read_to_string(&traced).unwrap().lines().filter(|line| line.ends_with("(DELAYED)")).count();
    assert!(late >= 5, "only {late} writes were late");
    injected("a disk that takes half a second for each fsync");
    stage.judge_risk(&expected);
}
