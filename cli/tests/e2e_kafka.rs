//! End to end on real brokers: `TAPEWATCH_TEST_KAFKA=kafka:127.0.0.1:9092,…`, a cluster without topics, as
//! `scripts/kafka reset` and `scripts/kafka up --brokers 3 --fast` make it.
//!
//! A tape goes in, with its incident book; risk and alerting run as processes of their own; a second instance
//! of risk takes half of its tasks, the first is killed half way and started again, the second leaves. At the end all reconciles, nothing stands twice and nothing is missing, every
//! incident that has a monitor was found, and a replay gives every byte again.

mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use run::Folder;
use serde_json::Value;
use tapewatch_config::Settings;
use tapewatch_consumers::scan::Scanner;
use tapewatch_eventlog::{Log, LogError, OpenOptions, RecordRef, TopicPartition, open};
use tapewatch_producers::{Found, FoundAlert, Layout, Player, PlayerOptions, Tape, Witness};
use tapewatch_schemas::catalogue::{
    self, ALERTING, ALERTS, FIRM_RISK, HOLDINGS, MARKET_DATA, RISK, RISK_METRICS, journal_topic,
};
use tapewatch_schemas::events::AlertState;
use tapewatch_schemas::journal::JournalRecord;
use tapewatch_schemas::{Codec, Digest, Event};

const SEED: u64 = 7;
const BARS: usize = 1_500;
/// Seconds of the tape in a second: the tape lasts about a quarter of a minute, so that the kill falls into it.
const SPEED: usize = BARS * 900 / 15;
/// Bound of every wait.
const PATIENCE: Duration = Duration::from_secs(120);
/// The header that says which task, step and index made an output.
const FROM: &str = "tapewatch.from";

#[test]
fn a_tape_through_real_brokers_survives_a_kill() {
    let Ok(address) = std::env::var("TAPEWATCH_TEST_KAFKA") else {
        eprintln!("skipped: no TAPEWATCH_TEST_KAFKA. scripts/kafka up starts brokers");
        return;
    };
    let log = open(&address, &OpenOptions::default()).expect("the cluster answers");
    let taken =
        log.topics().expect("its topics").into_iter().any(|t| catalogue::topic(t.name.as_str()).is_some());
    assert!(!taken, "this test wants a cluster of its own: `scripts/kafka reset`, then up");
    let replication = address.split(',').count().min(3).to_string();
    let folder = Folder::new()
        .with("TAPEWATCH_LOG", &address)
        .with("TAPEWATCH_ENV", "demo")
        .with("TAPEWATCH_LOG__KAFKA__REPLICATION", &replication);
    let made = folder.run(&["topics", "create"]);
    assert_eq!(made.code, 0, "{}", made.err);

    let book = Expected::of(&*log);
    let alerting = Process::start(&folder, "tapewatch-alerting");
    let firm = Process::start(&folder, "tapewatch-firm-risk");
    let risk = Process::start(&folder, "tapewatch-risk");
    let speed = SPEED.to_string();
    let bars = BARS.to_string();
    let seed = SEED.to_string();
    let play = ["play", "--seed", &seed, "--bars", &bars, "--incidents", "--speed", &speed];
    let player = Process::with_arguments(&folder, Path::new(env!("CARGO_BIN_EXE_tapewatch")), &play);

    wait_for("a quarter of the tape", || position(&*log) >= book.own_inputs / 4);
    // Half of the running tasks move to another instance, and at the end back again.
    let second = Process::start_as(&folder, "tapewatch-risk", "tapewatch-risk-2");
    wait_for("half of the tape", || position(&*log) >= book.own_inputs / 2);
    risk.kill();
    firm.kill();
    let at_kill = position(&*log);
    assert!(at_kill < book.own_inputs, "risk was done before it was killed: the kill proves nothing");
    eprintln!("killed risk at {at_kill} of {} records", book.own_inputs);
    let risk = Process::start(&folder, "tapewatch-risk");
    let firm = Process::start(&folder, "tapewatch-firm-risk");
    wait_for("most of the tape", || position(&*log) >= book.own_inputs / 4 * 3);
    second.terminate();
    player.ends("the player");
    wait_for("the tape's end", || caught_up(&status(&folder)));
    risk.terminate();
    firm.terminate();
    alerting.terminate();

    let status = status(&folder);
    assert_eq!(status["holds"], true, "{status:#}");
    let own = lines(&status, RISK).into_iter().filter(|line| line["broadcast"] == false);
    let consumed: i64 = own.map(|line| line["consumed"].as_i64().expect("a number")).sum();
    assert_eq!(consumed, book.own_inputs, "{status:#}");
    let (first, second) = (tasks_of(&log, "tapewatch-risk"), tasks_of(&log, "tapewatch-risk-2"));
    assert!(!second.is_empty() && second.is_subset(&first), "no task moved and came back: {second:?}");
    for worker in [RISK, FIRM_RISK, ALERTING] {
        let journalled = journalled_outputs(&log, worker);
        assert!(journalled.values().sum::<i64>() > 0, "{worker} wrote nothing");
        assert_eq!(standing_outputs(&log, worker), journalled, "outputs of {worker} by task, journal right");
    }
    let replayed = folder.run(&["replay", "--verify", "--json"]);
    assert_eq!(replayed.code, 0, "{}\n{}", replayed.out, replayed.err);

    // What is above the portfolio stands behind the portfolios' figures in their partitions, as far as its worker was
    // behind after its kill: the book knows no time for what is unknown there.
    let mut alerts = alerts(&log);
    alerts.retain(|alert| !(alert.scope.contains(':') && matches!(alert.status, Found::Unknown(_))));
    let bound = Duration::from_secs(2 * 3600);
    let verdict = book.player.incidents().judge(&alerts, &witness(&log), bound);
    assert!(!verdict.found.is_empty(), "no incident of the book has a monitor");
    assert!(verdict.is_clean(), "{verdict:#?}");
    eprintln!("found {:?}; no monitor yet for {:?}", verdict.found, verdict.no_monitor);
}

/// What the player writes, made again here.
struct Expected {
    player: Player,
    /// Records in the co-partitioned inputs of risk.
    own_inputs: i64,
}

impl Expected {
    fn of(log: &dyn Log) -> Self {
        let layout =
            Layout::of(log, PlayerOptions::default().layout.partitioner).expect("the topics are there");
        let options = PlayerOptions {
            seed: SEED,
            incidents: true,
            bars: Some(BARS),
            layout,
            ..PlayerOptions::default()
        };
        let tape = Tape::built_in().expect("the tape is in the binary");
        let mut player = Player::new(options, &tape).expect("the options are good");
        let own = catalogue::worker(RISK).expect("a worker").inputs;
        let mut own_inputs = 0;
        for slice in player.by_ref() {
            own_inputs += slice.records.iter().filter(|record| own.contains(&record.topic)).count() as i64;
        }
        Self { player, own_inputs }
    }
}

/// A process that is killed if the test fails.
struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// A worker, from the folder in which this command was built.
    fn start(folder: &Folder, worker: &str) -> Self {
        Self::start_as(folder, worker, worker)
    }

    fn start_as(folder: &Folder, worker: &str, instance: &str) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_tapewatch")).with_file_name(worker);
        let build = "`cargo build -p tapewatch-consumers --bins` builds it";
        assert!(program.is_file(), "{} is not there: {build}", program.display());
        Self::with_arguments(folder, &program, &["--instance", instance])
    }

    fn with_arguments(folder: &Folder, program: &Path, arguments: &[&str]) -> Self {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let child = folder
            .command(program.to_str().expect("a UTF-8 path"))
            .args(arguments)
            .stdin(Stdio::null())
            // Into this test's own output, which nobody has to drain.
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { child, name }
    }

    /// kill -9.
    fn kill(mut self) {
        assert!(self.child.try_wait().expect("its state").is_none(), "{} had ended by itself", self.name);
        self.child.kill().expect("kill -9");
        self.child.wait().expect("it is gone");
    }

    /// SIGTERM; it must end well.
    fn terminate(self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().expect("kill runs");
        assert!(sent.success(), "{} had ended by itself", self.name);
        let name = self.name.clone();
        self.ends(&name);
    }

    fn ends(mut self, who: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("its state") {
                assert!(status.success(), "{who} ended with {status}");
                return;
            }
            assert!(Instant::now() < until, "{who} does not end");
            sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already unless the test fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !there() {
        assert!(Instant::now() < until, "waited {PATIENCE:?} for {what}");
        sleep(Duration::from_millis(100));
    }
}

/// The partitions of topics that are there.
fn partitions<'a>(log: &dyn Log, topics: impl IntoIterator<Item = &'a str>) -> Vec<TopicPartition> {
    let there: BTreeMap<_, _> =
        log.topics().expect("its topics").into_iter().map(|topic| (topic.name, topic.partitions)).collect();
    let all = topics.into_iter().flat_map(|topic| {
        (0..there.get(topic).copied().unwrap_or(0))
            .map(move |partition| TopicPartition::new(topic, partition))
    });
    all.collect()
}

/// Where risk's group stands in its own inputs, all partitions together: at least the records it has
/// committed, for the player's transactions take an offset each. Brokers that everything else on the machine keeps busy
/// may miss the time for one answer; they are asked again a few times, and then it is an error.
fn position(log: &dyn Log) -> i64 {
    let own = catalogue::worker(RISK).expect("a worker").inputs;
    let partitions = partitions(log, own.iter().copied());
    let mut asked = 0;
    loop {
        asked += 1;
        match log.group_offsets("tapewatch.risk", &partitions) {
            Ok(positions) => return positions.into_iter().flatten().sum(),
            Err(LogError::Unreachable { .. }) if asked < 5 => {}
            Err(error) => panic!("the group's positions: {error}"),
        }
    }
}

/// `tapewatch status --json`, whose reader counts for itself.
fn status(folder: &Folder) -> Value {
    let done = folder.run(&["status", "--json"]);
    serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", done.out, done.err))
}

fn lines<'a>(status: &'a Value, worker: &str) -> Vec<&'a Value> {
    let workers = status["workers"].as_array().expect("the workers");
    let of = workers.iter().filter(|one| one["worker"] == worker);
    of.flat_map(|one| one["law1"].as_array().expect("its lines")).collect()
}

/// True if no worker has anything left to read.
fn caught_up(status: &Value) -> bool {
    [RISK, ALERTING].iter().all(|worker| {
        let lines = lines(status, worker);
        !lines.is_empty() && lines.iter().all(|line| line["lag"] == 0)
    })
}

/// Reads what is committed, of every partition of the topics.
fn scan<'a>(
    log: &Arc<dyn Log>,
    topics: impl IntoIterator<Item = &'a str>,
    show: &mut dyn FnMut(&RecordRef<'_>),
) {
    let mut scanner = Scanner::new(Arc::clone(log)).expect("a reader");
    for at in partitions(&**log, topics) {
        let scanned = scanner.scan::<LogError>(&at, 0, |record| {
            show(record);
            Ok(())
        });
        scanned.expect("it can be read to its end");
    }
}

/// Outputs of a worker by task, as its journal has them. The journal is whole: no sequence is missing, and
/// each record names the hash of the one before.
fn journalled_outputs(log: &Arc<dyn Log>, worker: &str) -> BTreeMap<i32, i64> {
    let mut heads: BTreeMap<i32, (i64, Digest)> = BTreeMap::new();
    let mut outputs = BTreeMap::new();
    scan(log, [journal_topic(worker).as_str()], &mut |record| {
        let journalled = JournalRecord::open(record.value.expect("a value")).expect("a whole record");
        let task = record.partition;
        let (next, previous) = heads.get(&task).copied().unwrap_or((0, Digest::NONE));
        assert_eq!((journalled.partition, journalled.sequence), (task, next), "{worker}");
        assert_eq!(journalled.previous, previous, "{worker}, task {task}, sequence {next}");
        heads.insert(task, (next + 1, journalled.hash));
        if journalled.outputs > 0 {
            *outputs.entry(task).or_default() += journalled.outputs;
        }
    });
    outputs
}

/// The tasks of risk that an instance has written journal records of.
fn tasks_of(log: &Arc<dyn Log>, instance: &str) -> BTreeSet<i32> {
    let mut tasks = BTreeSet::new();
    scan(log, [journal_topic(RISK).as_str()], &mut |record| {
        let journalled = JournalRecord::open(record.value.expect("a value")).expect("a whole record");
        if journalled.instance == instance {
            tasks.insert(journalled.partition);
        }
    });
    tasks
}

/// Outputs of a worker by task, as a subscriber finds them. None stands twice.
fn standing_outputs(log: &Arc<dyn Log>, worker: &str) -> BTreeMap<i32, i64> {
    let mut seen = BTreeSet::new();
    let mut outputs = BTreeMap::new();
    let topics = catalogue::worker(worker).expect("a worker").outputs;
    scan(log, topics.iter().copied(), &mut |record| {
        let Some(from) = record.headers.get(FROM) else { return };
        let from = std::str::from_utf8(from).expect("text").to_owned();
        let Some(rest) = from.strip_prefix(&format!("{worker}/")) else { return };
        let task = rest.split('/').next().and_then(|task| task.parse().ok()).expect("a task");
        *outputs.entry(task).or_default() += 1;
        let (topic, partition, offset) = (record.topic, record.partition, record.offset);
        assert!(seen.insert(from.clone()), "{from} stands again at {topic}/{partition} offset {offset}");
    });
    outputs
}

/// The marks, the books, and where the limits of portfolios stood.
fn witness(log: &Arc<dyn Log>) -> Witness {
    let codec = Codec::new(&[]).expect("the shipped schemas are good");
    let settings = Settings::load(None, Some("demo"), std::iter::empty()).expect("the shipped settings");
    let mut witness = tapewatch::demo::witness(&settings);
    scan(log, [MARKET_DATA, HOLDINGS, RISK_METRICS], &mut |record| {
        let event = codec.decode_any(record.value.expect("a value")).expect("a good event");
        let above = matches!(&event, Event::RiskMetrics(metrics) if metrics.scope.as_str().contains(':'));
        if !above {
            witness.see(record.partition, &event);
        }
    });
    witness
}

/// The alerts that fired, as the incident book's judge takes them.
fn alerts(log: &Arc<dyn Log>) -> Vec<FoundAlert> {
    let codec = Codec::new(&[]).expect("the shipped schemas are good");
    let mut fired = Vec::new();
    scan(log, [ALERTS], &mut |record| {
        let event = codec.decode(record.topic.as_str(), record.value.expect("a value"));
        let Event::Alert(alert) = event.expect("an alert") else { panic!("no alert in {ALERTS}") };
        if alert.state == AlertState::Firing {
            fired.push(FoundAlert::from(&alert));
        }
    });
    fired
}
