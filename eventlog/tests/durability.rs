//! What was acknowledged is on the disk, and nothing is half there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tapewatch_eventlog::{
    CommitError, Log, LogError, OpenOptions, OutRecord, Polled, Round, TopicPartition, TopicSpec, open,
};

/// Set for the processes that these tests start: the folder of the log.
const CHILD: &str = "TAPEWATCH_TEST_DURABILITY_CHILD";

/// Set beside it: one writer alone commits so many rounds, then the process ends.
const ROUNDS: &str = "TAPEWATCH_TEST_DURABILITY_ROUNDS";

/// Set beside it: that writer's name.
const NAME: &str = "TAPEWATCH_TEST_DURABILITY_NAME";

const PARTITIONS: i32 = 3;
const COPIES: usize = 40;

fn log(folder: &Path) -> Arc<dyn Log> {
    let url = format!("sqlite:{}", folder.join("log.db").display());
    let log = open(&url, &OpenOptions::default()).expect("the log opens");
    let spec = TopicSpec {
        name: "t".into(),
        partitions: PARTITIONS,
        replication: 1,
        retention: None,
        compacted: false,
    };
    log.create(&[spec]).expect("the topic is created");
    log
}

/// A round that is only whole with `COPIES` records in each partition.
fn round(writer: &str, number: u64) -> Round {
    let value = Bytes::from(format!("{writer} {number} {}", "x".repeat(250)));
    let record = |p| OutRecord {
        target: TopicPartition::new("t", p),
        timestamp: None,
        key: None,
        value: Some(value.clone()),
        headers: Vec::new(),
    };
    Round { records: (0..PARTITIONS).flat_map(|p| vec![record(p); COPIES]).collect(), offsets: Vec::new() }
}

/// Not a test: the program that the tests start. Two writers commit until the process is killed, and say
/// so after each acknowledgement.
#[test]
fn child() {
    let Ok(folder) = std::env::var(CHILD) else { return };
    let rounds = std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse::<u64>().ok());
    let log = log(Path::new(&folder));
    let run = |name: String| {
        let mut writer = log.writer(&name).expect("a writer");
        move || {
            for number in 0..rounds.unwrap_or(u64::MAX) {
                let said = match writer.commit(&round(&name, number), None) {
                    Ok(_) => format!("ack {name} {number}\n"),
                    Err(CommitError::Refused(LogError::Full { .. })) => format!("full {name} {number}\n"),
                    Err(error) => panic!("{error}"),
                };
                let mut out = std::io::stdout().lock();
                out.write_all(said.as_bytes()).expect("the parent listens");
                out.flush().expect("the parent listens");
                if said.starts_with("full") {
                    return;
                }
            }
        }
    };
    let names = std::env::var(NAME).map_or_else(|_| vec!["a".to_owned(), "b".to_owned()], |name| vec![name]);
    let threads: Vec<_> = names.into_iter().map(|name| std::thread::spawn(run(name))).collect();
    for thread in threads {
        thread.join().expect("the writer's thread");
    }
}

fn start(folder: &Path, through: &[&str]) -> Child {
    command(folder, through).spawn().expect("the child starts")
}

fn command(folder: &Path, through: &[&str]) -> Command {
    let this = std::env::current_exe().expect("this binary");
    let mut command = match through {
        [] => Command::new(&this),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(&this);
            command
        }
    };
    command.args(["--exact", "child", "--nocapture", "--test-threads=1"]);
    command.env(CHILD, folder).stdout(Stdio::piped());
    command
}

/// The acknowledged rounds in what the child said: for each writer one past the last.
fn acknowledged(said: impl Iterator<Item = String>) -> BTreeMap<String, u64> {
    let mut acknowledged = BTreeMap::new();
    for line in said {
        if let ["ack", writer, number] = line.split(' ').collect::<Vec<_>>()[..] {
            acknowledged.insert(writer.to_owned(), number.parse::<u64>().expect("a number") + 1);
        }
    }
    acknowledged
}

/// Every round in the file is whole, and each writer's are consecutive. Returns how many each has, since
/// `from` (which was counted before).
fn counted(folder: &Path) -> BTreeMap<(String, u64), usize> {
    let log = log(folder);
    let mut reader = log.reader().expect("a reader");
    let mut open_partitions = PARTITIONS;
    let starts: Vec<_> = (0..PARTITIONS).map(|p| (TopicPartition::new("t", p), 0)).collect();
    reader.assign(&starts).expect("assign");
    let mut found = BTreeMap::new();
    while open_partitions > 0 {
        match reader.poll(Duration::from_secs(5)).expect("poll") {
            Polled::Batch(batch) => {
                for record in batch.iter() {
                    let text = std::str::from_utf8(record.value.expect("a value")).expect("text");
                    let mut parts = text.split(' ');
                    let writer = parts.next().expect("a writer").to_owned();
                    let number = parts.next().and_then(|n| n.parse().ok()).expect("a number");
                    *found.entry((writer, number)).or_default() += 1;
                }
            }
            Polled::End { .. } => open_partitions -= 1,
            other => panic!("{other:?}"),
        }
    }
    found
}

fn assert_whole(folder: &Path, acknowledged: &BTreeMap<String, u64>) {
    let found = counted(folder);
    for (round, count) in &found {
        assert_eq!(*count, COPIES * PARTITIONS as usize, "round {round:?} is half there");
    }
    for (writer, rounds) in acknowledged {
        let there = found.keys().filter(|(of, _)| of == writer).count() as u64;
        assert!(there >= *rounds, "{writer}: {rounds} rounds were acknowledged, {there} are there");
        assert!(there <= rounds + 1, "{writer}: more than the one in flight was not acknowledged");
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    for after in [1, 7, 30, 120] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = start(folder.path(), &[]);
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut said = Vec::new();
        while said.len() < after {
            let line = lines.next().expect("the child goes on").expect("text");
            if line.starts_with("ack ") {
                said.push(line);
            }
        }
        // In the middle of whatever it is doing.
        child.kill().expect("kill -9");
        child.wait().expect("it is gone");
        said.extend(lines.map_while(Result::ok));
        assert_whole(folder.path(), &acknowledged(said.into_iter()));
    }
}

#[test]
fn a_file_size_limit_refuses_the_round_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    // The limit counts blocks of 512 B or 1 KiB, as the shell has it; the signal must be ignored, as our
    // programs do, so that the write fails instead.
    let limited = ["sh", "-c", "trap '' XFSZ; ulimit -f 2000; exec \"$@\"", "sh"];
    let child = start(folder.path(), &limited);
    let output = child.wait_with_output().expect("it ends by itself");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("full ").count(), 2, "{said}");
    assert_whole(folder.path(), &acknowledged(said.lines().map(str::to_owned)));
}

#[test]
fn a_full_file_refuses_the_round_and_stays_readable() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(log(folder.path()));
    let url = format!("sqlite:{}", folder.path().join("log.db").display());
    let options = OpenOptions { max_pages: Some(100), ..OpenOptions::default() };
    let full = open(&url, &options).expect("the log opens");
    let mut writer = full.writer("a").expect("a writer");
    let mut written = 0;
    let error = loop {
        match writer.commit(&round("a", written), None) {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, CommitError::Refused(LogError::Full { .. })), "{error}");
    assert!(error.to_string().contains("free space"), "{error}");
    assert!(written > 2);
    assert_whole(folder.path(), &BTreeMap::from([("a".to_owned(), written)]));
    assert_eq!(counted(folder.path()).len() as u64, written, "nothing of the refused round is there");
    // With room again, the same round goes through.
    drop((writer, full));
    let log = open(&url, &OpenOptions::default()).expect("the log opens");
    log.writer("a").expect("a writer").commit(&round("a", written), None).expect("there is room");
}

#[test]
fn several_processes_write_one_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let children = ["p", "q", "r"].map(|name| {
        command(folder.path(), &[]).env(NAME, name).env(ROUNDS, "40").spawn().expect("the child starts")
    });
    for child in children {
        let output = child.wait_with_output().expect("it ends by itself");
        assert!(output.status.success(), "{output:?}");
    }
    let rounds = BTreeMap::from(["p", "q", "r"].map(|name| (name.to_owned(), 40)));
    assert_whole(folder.path(), &rounds);
    assert_eq!(counted(folder.path()).len(), 120);
}

/// Under strace every acknowledgement must follow an fsync that followed the last write to the
/// write-ahead log.
#[test]
fn the_acknowledgement_follows_the_fsync() {
    let folder = tempfile::tempdir().expect("a folder");
    let trace = folder.path().join("trace");
    let Some(mut command) = traced(folder.path(), &trace) else { return };
    let output = command.env(ROUNDS, "40").env(NAME, "a").output().expect("the child runs");
    assert!(output.status.success(), "{output:?}");
    let trace = std::fs::read_to_string(&trace).expect("the trace");
    let checked = check_order(&trace);
    assert_eq!(checked, 40, "only {checked} acknowledgements are in the trace");
}

fn traced(folder: &Path, trace: &Path) -> Option<Command> {
    let probe = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        eprintln!(
            "SKIPPED: strace is not here or may not trace; the order of fsync and answer is not tested"
        );
        return None;
    }
    let trace = trace.to_str().expect("a UTF-8 path");
    let calls = "trace=pwrite64,pwritev,write,fsync,fdatasync";
    Some(command(folder, &["strace", "-f", "-y", "-e", calls, "-o", trace]))
}

/// Walks through the trace. Returns how many acknowledgements came after their fsync; panics at one that
/// did not.
fn check_order(trace: &str) -> usize {
    let mut synced = false;
    let mut syncing = BTreeSet::new();
    let mut checked = 0;
    for line in trace.lines() {
        let Some((pid, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let sync = call.starts_with("fsync(") || call.starts_with("fdatasync(");
        if call.starts_with("pwrite") && call.contains("log.db-wal>") {
            synced = false;
            // A sync that began before this write does not cover it.
            syncing.clear();
        } else if sync && call.contains("log.db-wal>") {
            if call.ends_with("= 0") {
                synced = true;
            } else {
                syncing.insert(pid.to_owned());
            }
        } else if call.contains("sync resumed>") && call.ends_with("= 0") && syncing.remove(pid) {
            synced = true;
        } else if call.starts_with("write(1<") && call.contains("\"ack ") {
            assert!(synced, "acknowledged before the fsync: {line}");
            checked += 1;
        }
    }
    checked
}
