//! kill -9 of `tapewatch dlq redrive`, and of the worker that takes what comes back, while live fills of the same
//! keys go on: every fill changes its portfolio's book once, in the order of its key; also where keys are held
//! behind their dead letters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tapewatch_consumers::audit::{Subject, audit};
use tapewatch_consumers::scan::Scanner;
use tapewatch_consumers::worker::wall;
use tapewatch_eventlog::dead_letter::Redriven;
use tapewatch_eventlog::{Log, LogError, OutRecord, Publisher, RecordRef, TopicPartition};
use tapewatch_faults::tape::{Fill, Tape};
use tapewatch_schemas::catalogue::{EXEC_REPORTS, HOLDINGS, RISK, dlq_topic, redrive_topic};
use tapewatch_schemas::{Codec, Event, Time};

use crate::stage::feeder::publish;
use crate::stage::process::{Process, command, program};
use crate::stage::{PATIENCE, Stage, TASKS, injected, until};

const KEYS: usize = 50;
/// What is a dead letter at first: its event time has not come.
const BAD: usize = 10_000;
const KILLS: usize = 10;
/// What is so far ahead of its publication is refused now, and may come back then.
const AHEAD: Duration = Duration::from_secs(20);

const SETTINGS: [(&str, &str); 7] = [
    ("TAPEWATCH_RUNTIME__CLOCK", "wall"),
    ("TAPEWATCH_RUNTIME__HEARTBEAT_EVERY", "10s"),
    ("TAPEWATCH_RUNTIME__MAX_SKEW", "0s"),
    ("TAPEWATCH_BREAKER__FAILURE_RATE", "1.0"),
    ("TAPEWATCH_BREAKER__WINDOW", "64"),
    ("TAPEWATCH_BREAKER__MINIMUM_CALLS", "64"),
    ("TAPEWATCH_RISK__PUBLISH_EVERY", "1h"),
];
const HOLD: (&str, &str) = ("TAPEWATCH_DEAD_LETTERS__ON_DEAD_LETTER", "hold_key");

#[test]
fn letters_come_back_through_kills_of_the_redrive_and_of_the_worker() {
    let Some(stage) = Stage::open_with("redriven", &SETTINGS) else { return };
    come_back(&stage, false);
}

#[test]
#[ignore = "a minute more: scripts/faults --all runs it"]
fn letters_of_held_keys_come_back_through_the_same_kills() {
    let Some(stage) = Stage::open_with("redriven-held", &held()) else { return };
    come_back(&stage, true);
}

#[test]
#[ignore = "a minute more: scripts/faults --all runs it"]
fn the_same_on_the_embedded_log() {
    for (name, settings, hold) in [("free", SETTINGS.to_vec(), false), ("held", held(), true)] {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("tape.db").display());
        let hazard = format!("redriven-embedded-{name}");
        let Some(stage) = Stage::embedded_with(&hazard, &url, &settings) else { return };
        come_back(&stage, hold);
    }
}

fn held() -> Vec<(&'static str, &'static str)> {
    SETTINGS.into_iter().chain([HOLD]).collect()
}

/// The whole of it.
fn come_back(stage: &Stage, hold: bool) {
    let mut desk = Desk::new(&stage.log);
    let mut risk = stage.risk("victim");
    desk.bad_and_good();
    let letters = || count(&stage.log, dlq_topic(EXEC_REPORTS).as_str());
    until("every bad one is a letter", || {
        risk.lives();
        thread::sleep(Duration::from_millis(200));
        letters() >= BAD && (!hold || lag(&stage.log) == 0)
    });
    assert!(hold || letters() == BAD, "{} letters of {BAD}", letters());
    until("its time has come", || wall() > desk.ahead);

    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // Ended also by what fails here, or the scope would wait for it.
        let ending = Ending(&over);
        let live = scope.spawn(|| desk.live(&over));
        kill_again_and_again(stage, &mut risk);
        let last = redrive(stage);
        assert!(last.is_some_and(|sent| sent > 0), "the last run had something left to send");
        drop(ending);
        live.join().expect("it writes");
    });
    until("all is taken", || {
        risk.lives();
        thread::sleep(Duration::from_millis(200));
        // What was lettered behind another of its key goes back too, until nothing is left.
        lag(&stage.log) == 0 && (!hold || (redrive(stage) == Some(0) && lag(&stage.log) == 0))
    });
    risk.stop();
    injected(&format!(
        "{KILLS} kills of dlq redrive{} with {BAD} letters of {KEYS} keys, and {} of the worker",
        if hold { " under hold_key" } else { "" },
        KILLS / 2
    ));
    assert!(hold || letters() == BAD, "{} letters of {BAD}: some failed again", letters());
    every_fill_counts_once_and_in_order(stage, &desk, hold);
    stage.judge(&[RISK]);
}

/// Kills the redrive at a moment of its own after so many were sent, and every other time the worker.
fn kill_again_and_again(stage: &Stage, risk: &mut Process) {
    let sent = || -> i64 { ends(&stage.log, redrive_topic(EXEC_REPORTS).as_str()).into_iter().sum() };
    for kill in 0..KILLS {
        let further = sent() + (scatter(kill as u64) % (BAD / 40) as u64) as i64;
        let mut sending = start(stage);
        let begun = Instant::now();
        while sent() <= further {
            assert!(begun.elapsed() < PATIENCE, "it sends nothing:\n{}", sending.tail());
            assert!(sending.ended().is_none(), "it was done before it was killed:\n{}", sending.tail());
            thread::sleep(Duration::from_micros(500));
        }
        thread::sleep(Duration::from_micros(scatter(100 + kill as u64) % 3_000));
        // Fails if it had ended by itself: then the kill would prove nothing.
        sending.kill();
        if kill % 2 == 1 {
            risk.signal("KILL");
            risk.end(PATIENCE);
            *risk = stage.risk("victim");
        }
    }
}

/// `tapewatch dlq redrive`, under way.
fn start(stage: &Stage) -> Process {
    let mut command = command(&program("tapewatch"), &stage.path(""), &stage.settings);
    command.env("TAPEWATCH_LOG", stage.log.address()).args(ARGUMENTS);
    Process::start(command, "redrive", stage.path("redrive.log"))
}

const ARGUMENTS: [&str; 8] =
    ["dlq", "redrive", EXEC_REPORTS, "--who", "ann", "--why", "the clock is right", "--json"];

/// Runs it to its end: how many it has sent; none if it failed.
fn redrive(stage: &Stage) -> Option<u64> {
    let done = stage.tapewatch(&ARGUMENTS);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let told: serde_json::Value = serde_json::from_slice(&done.stdout).expect("it is JSON");
    told["records"].as_u64()
}

struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Writes fills.
struct Desk {
    tape: Tape,
    publisher: Box<dyn Publisher>,
    /// When the bad ones are good.
    ahead: Time,
}

impl Desk {
    fn new(log: &Arc<dyn Log>) -> Self {
        let codec = Arc::new(Codec::new(&[]).unwrap());
        let tape = Tape::new(&**log, codec, wall()).unwrap();
        Self { tape, publisher: log.publisher().unwrap(), ahead: wall() + AHEAD }
    }

    fn fill(&mut self, portfolio: &str) -> OutRecord {
        self.tape.fill(Fill { portfolio, symbol: "BTC-USD", quantity: 1, price: 100 })
    }

    /// A bad one and a good one in turn, of all keys, and now and then one of keys that are never held: a source
    /// of which nothing is good is not read on.
    fn bad_and_good(&mut self) {
        let calm: Vec<String> = (0..TASKS)
            .map(|task| {
                let mut names = (0..).map(|number| format!("calm{number}"));
                names.find(|name| self.tape.partition(EXEC_REPORTS, name) == task).expect("there is one")
            })
            .collect();
        for start in (0..BAD).step_by(500) {
            let mut records = Vec::new();
            for index in start..start + 500 {
                self.tape.now = self.ahead;
                records.push(self.fill(&format!("P{}", index % KEYS)));
                self.tape.now = past();
                records.push(self.fill(&format!("P{}", index * 7 % KEYS)));
                if index % 20 == 0 {
                    records.extend(calm.iter().map(|name| self.fill(name)));
                }
            }
            publish(&mut *self.publisher, records);
        }
        assert!(wall() < self.ahead, "what was to be refused came too late for that: a slow machine");
    }

    /// Fills of every key until it is over.
    fn live(&mut self, over: &AtomicBool) {
        while !over.load(Ordering::SeqCst) {
            self.tape.now = past();
            let records = (0..KEYS).map(|key| self.fill(&format!("P{key}"))).collect();
            publish(&mut *self.publisher, records);
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Safely before a publication that is to come: Kafka's times are of milliseconds.
fn past() -> Time {
    Time(wall().0 - 1_000_000)
}

/// Where a fill was published: partition and offset.
type Place = (i32, i64);

/// Each fill that was published changed the book of its key once; what came back and what did not each in the order
/// in which it was published, and under `hold_key` all of a key is.
fn every_fill_counts_once_and_in_order(stage: &Stage, desk: &Desk, hold: bool) {
    let key = |record: &RecordRef<'_>| String::from_utf8_lossy(record.key.unwrap()).into_owned();
    let mut published: BTreeMap<String, Vec<Place>> = BTreeMap::new();
    for (key, place) in read(&stage.log, EXEC_REPORTS, |record| (key(record), at(record))) {
        published.entry(key).or_default().push(place);
    }
    let back: BTreeMap<Place, Place> = read(&stage.log, redrive_topic(EXEC_REPORTS).as_str(), |record| {
        let back = Redriven::read(record).expect("its headers say whose it is");
        (at(record), (back.source.partition, back.offset))
    })
    .into_iter()
    .collect();
    let mut taken: BTreeMap<String, Vec<(i64, bool, Place)>> = BTreeMap::new();
    let codec = Codec::new(&[]).unwrap();
    for event in read(&stage.log, HOLDINGS, |record| codec.decode_any(record.value.unwrap()).unwrap()) {
        let Event::Holdings(holdings) = event else { panic!("{event:?}") };
        let Some((topic, there)) = cause(&holdings.provenance.cause) else { continue };
        let was = topic != EXEC_REPORTS;
        let place = if was { back[&there] } else { there };
        let of_key = taken.entry(holdings.portfolio.to_string()).or_default();
        of_key.push((holdings.provenance.step, was, place));
    }
    for (key, mut published) in published {
        let mut taken = taken.remove(&key).unwrap_or_default();
        taken.sort_unstable();
        for (what, back) in [("live", false), ("sent back", true)] {
            let places: Vec<Place> =
                taken.iter().filter(|(_, was, _)| *was == back).map(|(.., place)| *place).collect();
            assert!(places.is_sorted(), "{key}: {what}, not in order: {places:?}");
        }
        let mut places: Vec<Place> = taken.into_iter().map(|(.., place)| place).collect();
        assert!(!hold || places.is_sorted(), "{key}: not in order: {places:?}");
        published.sort_unstable();
        places.sort_unstable();
        assert_eq!(places, published, "{key}: what was published, and what its book has");
    }
    assert!(taken.is_empty(), "{taken:?}");
    assert!(desk.ahead < wall());
}

/// The record that a cause names; none if it names something else, such as a tick.
fn cause(text: &str) -> Option<(&str, Place)> {
    let mut parts = text.rsplitn(3, '/');
    let (offset, partition) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((parts.next()?, (partition, offset)))
}

fn at(record: &RecordRef<'_>) -> Place {
    (record.partition, record.offset)
}

/// What every record of a topic gives.
fn read<T>(log: &Arc<dyn Log>, topic: &str, each: impl Fn(&RecordRef<'_>) -> T) -> Vec<T> {
    let mut scanner = Scanner::new(Arc::clone(log)).unwrap();
    let mut found = Vec::new();
    for partition in 0..TASKS {
        let at = TopicPartition::new(topic, partition);
        scanner
            .scan::<LogError>(&at, 0, |record| {
                found.push(each(record));
                Ok(())
            })
            .unwrap();
    }
    found
}

fn count(log: &Arc<dyn Log>, topic: &str) -> usize {
    read(log, topic, |_| ()).len()
}

fn ends(log: &Arc<dyn Log>, topic: &str) -> Vec<i64> {
    (0..TASKS).map(|partition| log.bounds(&TopicPartition::new(topic, partition)).unwrap().end).collect()
}

/// Readable fills that risk has not committed.
fn lag(log: &Arc<dyn Log>) -> i64 {
    let found = audit(log, &Subject::of(RISK), &mut |_| {}).unwrap();
    found.lines.iter().filter(|line| !line.broadcast).map(|line| line.lag).sum()
}

/// A number that looks like chance, and is the same in every run.
fn scatter(seed: u64) -> u64 {
    let mixed = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40
}
