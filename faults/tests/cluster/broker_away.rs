//! Every broker is away while producers produce: a spool takes it, and then gives it back in order and once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tapewatch_consumers::scan::Scanner;
use tapewatch_eventlog::{Log, LogError, OutRecord, Round, TopicPartition, TopicSpec};
use tapewatch_producers::spool::{Courier, Notice, SpoolError, SpoolOptions, Taken};
use tapewatch_producers::{Layout, Player, PlayerOptions, Tape};
use tapewatch_schemas::Codec;
use tapewatch_schemas::catalogue::RISK;

use crate::stage::process::{Process, command, program};
use crate::stage::tape::tape;
use crate::stage::{PATIENCE, Stage, TASKS, brokers, everything, injected, until};

/// A slice of the tape is produced so often.
const EVERY: Duration = Duration::from_millis(50);
/// A topic beside the tape's.
const OTHER: &str = "away.v1";

/// Of each partition, in order: publication time in milliseconds, key and value.
type Written = BTreeMap<TopicPartition, Vec<(i64, Bytes, Bytes)>>;

/// How all three brokers are made to go away, and to come back.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// SIGSTOP: what is on its way to them they take when they come back.
    Paused,
    /// SIGKILL: connections are cut, and refused.
    Killed,
}

impl Way {
    fn leave(self) {
        all(match self {
            Self::Paused => "pause",
            Self::Killed => "kill",
        });
    }

    fn come_back(self) {
        all(match self {
            Self::Paused => "continue",
            Self::Killed => "start",
        });
    }
}

/// At once: one alone has no quorum, and would not answer.
fn all(what: &'static str) {
    let each = ["1", "2", "3"].map(|broker| thread::spawn(move || brokers::told(&[what, broker])));
    for broker in each {
        broker.join().expect("scripts/kafka did it");
    }
}

fn courier(stage: &Stage, name: &str, max_bytes: u64) -> Courier {
    let options = SpoolOptions { max_bytes, ..SpoolOptions::new(stage.path("spool"), name) };
    let begun = Instant::now();
    let told =
        Arc::new(move |notice: &Notice| eprintln!("{:6.1} s: {notice}", begun.elapsed().as_secs_f64()));
    Courier::open(&stage.log, &options, told).expect("a spool")
}

fn note(written: &mut Written, records: Vec<OutRecord>) {
    for record in records {
        let time = record.timestamp.expect("it was taken").micros() / 1000;
        let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
        written.entry(record.target).or_default().push((time, key, value));
    }
}

/// What is in a partition, as a subscriber finds it.
fn found(log: &Arc<dyn Log>, at: &TopicPartition) -> Vec<(i64, Bytes, Bytes)> {
    let mut found = Vec::new();
    let scanned = Scanner::new(Arc::clone(log)).unwrap().scan::<LogError>(at, 0, |record| {
        let part = |part: Option<&[u8]>| Bytes::copy_from_slice(part.unwrap_or_default());
        found.push((record.timestamp.micros() / 1000, part(record.key), part(record.value)));
        Ok(())
    });
    scanned.expect("it can be read to its end");
    found
}

/// A producer of numbers, whose spool is small: it produces until it is refused. How many were taken.
fn until_refused(small: &mut Courier) -> u64 {
    for number in 1.. {
        match small.write(&mut numbered(number), PATIENCE) {
            Ok(taken) => assert_eq!(taken, Taken::Spool, "nobody is there to take it"),
            Err(SpoolError::Bound { waiting, refused: 1, .. }) => {
                assert_eq!(waiting, number - 1);
                return number;
            }
            Err(other) => panic!("{other}"),
        }
    }
    unreachable!("the bound is met long before")
}

fn numbered(number: u64) -> Round {
    let value = Bytes::from(format!("{number:0>1000}"));
    let target = TopicPartition::new(OTHER, 0);
    let record = OutRecord { target, timestamp: None, key: None, value: Some(value), headers: Vec::new() };
    Round { records: vec![record], offsets: Vec::new() }
}

#[test]
fn what_is_produced_while_every_broker_is_away_comes_once_and_in_order() {
    let ways: &[(Way, u64)] =
        if everything() { &[(Way::Killed, 120), (Way::Paused, 60)] } else { &[(Way::Paused, 20)] };
    for (way, seconds) in ways {
        be_away(*way, Duration::from_secs(*seconds));
    }
}

fn be_away(way: Way, outage: Duration) {
    let Some(stage) = Stage::with_brokers("broker-away") else { return };
    let other =
        TopicSpec { name: OTHER.into(), partitions: 1, replication: 3, retention: None, compacted: false };
    stage.log.create(&[other]).unwrap();
    let tape = tape(&*stage.log, 600 + (outage.as_millis() / EVERY.as_millis()) as usize);
    let mut journals = stage.journals();
    let mut worker = stage.risk("one");
    let mut producer = courier(&stage, "tape", 256 << 20);
    let mut small = courier(&stage, "small", 100_000);
    let (mut written, mut longest) = (Written::new(), Duration::ZERO);
    let mut slices = tape.into_iter();
    let mut produce = |producer: &mut Courier, pause: Duration| {
        let Some(records) = slices.next() else { return false };
        let (mut round, begun) = (Round { records, offsets: Vec::new() }, Instant::now());
        producer.write(&mut round, PATIENCE).expect("the log or the spool takes it");
        longest = longest.max(begun.elapsed());
        note(&mut written, round.records);
        sleep(pause.saturating_sub(begun.elapsed()));
        true
    };
    // Fresh topics of a busy cluster may be slow at first.
    until("records to go straight to the brokers, and every task to take some", || {
        let before = producer.counts().direct;
        assert!(produce(&mut producer, EVERY), "the tape is longer");
        worker.lives();
        journals.look();
        producer.counts().direct > before && journals.records.len() == TASKS as usize
    });
    small.write(&mut numbered(0), PATIENCE).unwrap();
    assert!(small.drain(PATIENCE, &AtomicBool::new(false)), "{:?}", small.counts());
    let before = producer.counts();
    way.leave();
    let gone = Instant::now();
    let refusing = thread::spawn(move || {
        let taken = until_refused(&mut small);
        (small, taken)
    });
    while gone.elapsed() < outage {
        if !produce(&mut producer, EVERY) {
            sleep(EVERY);
        }
    }
    let (mut small, refused) = refusing.join().expect("it was refused");
    let waited = producer.counts();
    assert!(waited.waiting > 100 && waited.spooled > before.spooled, "{waited:?}");
    way.come_back();
    while produce(&mut producer, Duration::ZERO) {}
    let never = AtomicBool::new(false);
    assert!(producer.drain(PATIENCE, &never), "{:?}", producer.counts());
    assert!(small.drain(PATIENCE, &never), "{:?}", small.counts());
    // Brokers that have just come back may miss the time for one round: then it goes by way of the spool.
    small.write(&mut numbered(refused), PATIENCE).expect("there is room again");
    assert!(small.drain(PATIENCE, &never), "{:?}", small.counts());
    assert!(longest < Duration::from_secs(6), "a producer had to wait {longest:?}");
    let counts = producer.counts();
    assert_eq!((counts.refused, small.counts().refused), (0, 1));
    injected(&format!(
        "every broker {way:?} for {} s; {} records waited in the spool, {} at its bound",
        outage.as_secs(),
        counts.spooled - before.spooled,
        refused - 1
    ));
    for (at, wanted) in &written {
        // A worker's own heartbeats are among the others.
        let keys: BTreeSet<&Bytes> = wanted.iter().map(|(_, key, _)| key).collect();
        let found: Vec<_> =
            found(&stage.log, at).into_iter().filter(|(_, key, _)| keys.contains(key)).collect();
        let first = (0..found.len().max(wanted.len())).find(|&place| found.get(place) != wanted.get(place));
        let (there, all) = (found.len(), wanted.len());
        assert_eq!(first, None, "{at} is another than what was produced: {there} records, not {all}");
    }
    let numbers: Vec<_> = found(&stage.log, &TopicPartition::new(OTHER, 0))
        .iter()
        .map(|(_, _, value)| String::from_utf8_lossy(value).parse::<u64>().unwrap())
        .collect();
    assert_eq!(numbers, (0..=refused).collect::<Vec<_>>());
    // A worker that gave up on the brokers is started again, as whoever runs it would.
    until("the tape's end", || {
        if worker.ended().is_some() {
            worker = stage.risk("one");
        }
        journals.closed()
    });
    worker.stop();
    // What comes out is not that of a tape without gaps: outputs name the offsets of their causes, and among the
    // records of transactions there are markers.
    stage.judge_dead(RISK, 0);
}

#[test]
#[ignore = "scripts/faults --all: it takes a minute"]
fn a_player_that_is_killed_with_records_in_its_spool_leaves_them_to_the_next() {
    let Some(stage) = Stage::with_brokers("broker-away-killed") else { return };
    let play = |name: &str| {
        let mut play = command(&program("tapewatch"), &stage.path(""), &stage.settings);
        play.args(["play", "--bars", "3000", "--speed", "9000", "--spool", "spool"]);
        play.env("TAPEWATCH_LOG", stage.log.address());
        Process::start(play, name, stage.path(&format!("{name}.log")))
    };
    let mut first = play("first");
    let at = TopicPartition::new("market.data.v1", 0);
    until("the tape to be on its way", || stage.log.bounds(&at).unwrap().end > 100);
    Way::Paused.leave();
    first.hear("records go into the spool", 1);
    // Long enough for attempts to fail in every way they can.
    first.hear("wait in the spool", 2);
    first.kill();
    Way::Paused.come_back();
    let before = stage.log.bounds(&at).unwrap().end;
    let mut second = play("second");
    let status = second.end(PATIENCE);
    assert_eq!(status.code(), Some(5), "a log on which a tape was played is used:\n{}", second.tail());
    assert_eq!((second.heard("of an earlier run wait"), second.heard("is empty again")), (1, 1));
    let (mut all, mut there) = (Written::new(), 0);
    let codec = Codec::new(&[]).unwrap();
    let layout = Layout::of(&*stage.log, PlayerOptions::default().layout.partitioner).unwrap();
    let options = PlayerOptions { bars: Some(3000), layout, ..PlayerOptions::default() };
    for slice in Player::new(options, &Tape::built_in().unwrap()).unwrap() {
        for record in slice.records {
            let mut record = record.into_record(&codec).unwrap();
            record.timestamp = Some(tapewatch_schemas::Time(0));
            note(&mut all, vec![record]);
        }
    }
    for (at, wanted) in &all {
        let found = found(&stage.log, at);
        let same = |((_, key, value), (_, wanted_key, wanted)): (&(_, Bytes, Bytes), &(_, Bytes, Bytes))| {
            key == wanted_key && value == wanted
        };
        assert!(found.len() <= wanted.len() && found.iter().zip(wanted).all(same), "{at} is no beginning");
        there += found.len();
    }
    assert!(stage.log.bounds(&at).unwrap().end > before, "what was in the spool came to the log");
    injected(&format!(
        "every broker Paused and a player killed; {there} records came, the spool's among them"
    ));
    let mut worker = stage.risk("one");
    until("the worker to take it", || {
        worker.lives();
        stage.ends().iter().all(|(at, end)| {
            let taken = stage.log.group_offsets("tapewatch.risk", std::slice::from_ref(at)).unwrap();
            *end == 0 || taken[0].is_some_and(|taken| taken + 100 > *end)
        })
    });
    worker.stop();
    stage.judge(&[RISK]);
}
