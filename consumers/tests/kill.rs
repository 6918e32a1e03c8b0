//! kill -9 of a worker's process, again and again: what it had written stays, what it had not is computed again,
//! and nothing stands twice or is missing.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use support::{Tape, by_task, create, dump, holds, memory, same};
use tapewatch_config::Settings;
use tapewatch_consumers::plan::WorkerPlan;
use tapewatch_consumers::{Worker, workers};
use tapewatch_eventlog::{Log, OpenOptions, Round, TopicPartition, open};
use tapewatch_schemas::catalogue as c;
use tapewatch_schemas::journal::JournalRecord;

const MINUTES: usize = 28;
const KILLS: usize = 6;
const PATIENCE: Duration = Duration::from_secs(60);

/// Rounds are small, so that there are many moments between two of them.
const SETTINGS: [(&str, &str); 8] = [
    ("TAPEWATCH_TOPICS__PARTITIONS", "2"),
    ("TAPEWATCH_RUNTIME__CLOCK", "tape"),
    ("TAPEWATCH_RUNTIME__HEARTBEAT_EVERY", "30s"),
    ("TAPEWATCH_RUNTIME__MAX_RECORDS", "40"),
    ("TAPEWATCH_RUNTIME__LINGER", "1ms"),
    ("TAPEWATCH_RUNTIME__SNAPSHOT_ROUNDS", "20"),
    ("TAPEWATCH_RISK__VAR__SAMPLE", "5m"),
    ("TAPEWATCH_RISK__HISTORY__INTERVAL", "5m"),
];

fn plan(log: &Arc<dyn Log>) -> WorkerPlan {
    let variables = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = Settings::load(None, None, variables.into_iter()).unwrap();
    workers::plan(c::RISK, &settings, &**log, "victim").unwrap()
}

/// A worker's process; killed if the test fails.
struct Process(Child);

impl Process {
    fn start(folder: &Path, url: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapewatch-risk"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TAPEWATCH_")) {
            command.env_remove(name);
        }
        command.envs(SETTINGS).args(["--log", url, "--instance", "victim"]).current_dir(folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn kill(mut self) {
        assert!(self.0.try_wait().unwrap().is_none(), "it had ended by itself");
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// SIGTERM; it must end well.
    fn stop(mut self) {
        let sent = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
        until("the end of the process", || self.0.try_wait().unwrap().is_some());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already unless the test fails.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn journal(partition: i32) -> TopicPartition {
    TopicPartition::new("journal.risk.v1", partition)
}

/// Execution reports that the group has not taken.
fn lag(log: &Arc<dyn Log>) -> i64 {
    let own: Vec<_> = (0..2).map(|partition| TopicPartition::new(c::EXEC_REPORTS, partition)).collect();
    let positions = log.group_offsets("tapewatch.risk", &own).unwrap();
    own.iter().zip(positions).map(|(at, done)| log.bounds(at).unwrap().end - done.unwrap_or(0)).sum()
}

/// Journal records that are there.
fn rounds(log: &Arc<dyn Log>) -> i64 {
    (0..2).map(|partition| log.bounds(&journal(partition)).unwrap().end).sum()
}

fn closed(log: &Arc<dyn Log>) -> bool {
    let mut tasks = [false; 2];
    for (task, _, value) in dump(log, "journal.risk.v1") {
        let record = JournalRecord::open(&value).unwrap();
        tasks[task as usize] |= record.injected.iter().any(|event| event.kind == "closed");
    }
    tasks == [true; 2]
}

fn written(log: &Arc<dyn Log>, rounds: &[Round]) {
    let mut writer = log.writer("tape").unwrap();
    for round in rounds {
        writer.commit(round, None).unwrap();
    }
}

/// Law 2.
#[test]
fn a_process_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    // What it comes to when nobody is killed, in lock step.
    let whole = memory();
    let tape = Tape::new().whole(&*whole, MINUTES);
    written(&whole, &tape);
    let mut worker = Worker::join(plan(&whole), Arc::clone(&whole)).unwrap();
    worker.run_to_end().unwrap();
    worker.stop().unwrap();

    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("log.db").display());
    let log = open(&url, &OpenOptions::default()).unwrap();
    create(&*log);
    let (mut parts, mut midway) = (tape.chunks(MINUTES / (KILLS + 1)), 0);
    for kill in 0..KILLS {
        written(&log, parts.next().unwrap());
        let process = Process::start(folder.path(), &url);
        // From the first round on, each time a few rounds further into the part.
        let moment = rounds(&log) + 3 * kill as i64;
        until("the moment", || rounds(&log) > moment);
        process.kill();
        midway += usize::from(lag(&log) > 0);
    }
    assert!(midway > 0, "it was always done before it was killed: the kills prove nothing");
    parts.for_each(|part| written(&log, part));
    let process = Process::start(folder.path(), &url);
    until("the tape's end", || closed(&log));
    process.stop();

    for topic in [c::RISK_METRICS, c::HOLDINGS, c::HEARTBEATS, c::SYSTEM_HEALTH] {
        let alone = by_task(&whole, topic);
        assert!(!alone.is_empty() || topic == c::SYSTEM_HEALTH, "{topic}");
        same(&alone, &by_task(&log, topic));
    }
    holds(&log, &plan(&log));
}
