//! `dlq redrive` beside `up`: what was refused goes back and is taken; and killed with SIGKILL again and again
//! while fills go on, it loses nothing, doubles nothing and keeps the order of every key.

mod run;

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use run::Folder;
use run::up::{Up, risk_status, sum, until};
use tapewatch_eventlog::dead_letter::{Letter, Redriven};
use tapewatch_eventlog::{Log, OpenOptions, OutRecord, Polled, RecordRef, Round, TopicPartition, open};
use tapewatch_schemas::partition::Partitioner;
use tapewatch_schemas::{Codec, Time};

const PARTITIONS: u32 = 4;
const KEYS: usize = 50;
const BAD: usize = 10_000;
const KILLS: usize = 10;
const SOURCE: &str = "exec.reports.v1";
const REDRIVE: &str = "exec.reports.v1.redrive";

fn folder() -> Folder {
    Folder::new()
        .with("TAPEWATCH_RUNTIME__ADMIN", "127.0.0.1:0")
        .with("TAPEWATCH_TOPICS__PARTITIONS", &PARTITIONS.to_string())
        // What is a second ahead of its publication is refused now, and may come back then.
        .with("TAPEWATCH_RUNTIME__MAX_SKEW", "0s")
        .with("TAPEWATCH_BREAKER__FAILURE_RATE", "1.0")
        .with("TAPEWATCH_BREAKER__WINDOW", "64")
        .with("TAPEWATCH_BREAKER__MINIMUM_CALLS", "64")
        .with("TAPEWATCH_RISK__HOLDINGS_AT_CHANGE", "false")
}

fn opened(folder: &Folder) -> Arc<dyn Log> {
    let url = format!("sqlite:{}", folder.path("tapewatch.db").display());
    open(&url, &OpenOptions::default()).expect("it is there")
}

fn now() -> Time {
    let span = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    Time(i64::try_from(span.as_micros()).expect("before the year 294000"))
}

/// Writes fills.
struct Desk {
    codec: Codec,
    sequence: i64,
}

impl Desk {
    fn fill(&mut self, key: usize, at: Time) -> OutRecord {
        self.sequence += 1;
        let (portfolio, number) = (format!("P{key}"), self.sequence);
        let text = serde_json::json!({
            "source": "desk", "sequence": number, "event_time": at.micros(), "portfolio": portfolio,
            "strategy": "s", "symbol": "BTC-USD", "order_id": format!("o{number}"),
            "execution_id": format!("e{number}"), "exec_type": "fill", "order_status": "filled", "side": "buy",
            "order_type": "limit", "order_quantity": "1", "last_quantity": "1", "last_price": "100",
            "cumulative_quantity": "1", "leaves_quantity": "0", "currency": "USD", "liquidity": "taker",
        });
        let event = self.codec.decode_json(SOURCE, text.to_string().as_bytes()).expect("it is a fill");
        let mut value = Vec::new();
        self.codec.encode(&event, &mut value).expect("it fits");
        let partition = Partitioner::Murmur2.assign(portfolio.as_bytes(), PARTITIONS) as i32;
        OutRecord {
            target: TopicPartition::new(SOURCE, partition),
            timestamp: None,
            key: Some(Bytes::from(portfolio.into_bytes())),
            value: Some(Bytes::from(value)),
            headers: Vec::new(),
        }
    }
}

fn write(log: &dyn Log, records: Vec<OutRecord>) {
    let mut writer = log.writer("desk").expect("it opens");
    writer.commit(&Round { records, offsets: Vec::new() }, None).expect("it is written");
}

/// Every record of a topic, partition by partition.
fn read<T>(log: &dyn Log, topic: &str, each: impl Fn(&RecordRef<'_>) -> Option<T>) -> Vec<T> {
    let mut found = Vec::new();
    for partition in 0..PARTITIONS as i32 {
        let at = TopicPartition::new(topic, partition);
        let (mut next, end) = (0, log.bounds(&at).expect("it is there").end);
        let mut reader = log.reader().expect("it opens");
        reader.assign(&[(at, 0)]).expect("it is there");
        while next < end {
            if let Polled::Batch(batch) = reader.poll(Duration::from_secs(1)).expect("it reads") {
                next = batch.record(batch.len() - 1).offset + 1;
                found.extend(batch.iter().filter_map(|record| each(&record)));
            }
        }
    }
    found
}

fn held(log: &dyn Log, topic: &str) -> i64 {
    (0..PARTITIONS as i32)
        .map(|partition| log.bounds(&TopicPartition::new(topic, partition)).expect("it is there").end)
        .sum()
}

/// `tapewatch dlq redrive`; killed if the test fails.
struct Sending(Child);

impl Sending {
    fn start(folder: &Folder) -> Self {
        let mut command = folder.command(env!("CARGO_BIN_EXE_tapewatch"));
        command.args(["dlq", "redrive", SOURCE, "--who", "ann", "--why", "the clock is right now"]);
        Self(
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("it starts"),
        )
    }

    fn ended(&mut self) -> bool {
        self.0.try_wait().expect("it is ours").is_some()
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        // SIGKILL. It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A number that looks like chance, and is the same in every run.
fn scatter(seed: u64) -> u64 {
    let mixed = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40
}

#[test]
fn ten_thousand_letters_of_fifty_keys_killed_ten_times_keep_their_order_beside_live_traffic() {
    let folder = folder();
    assert_eq!(folder.run(&["topics", "create"]).code, 0);
    let log = opened(&folder);
    let up = Up::ready(&folder);
    let mut desk = Desk { codec: Codec::new(&[]).expect("the shipped schemas are good"), sequence: 0 };
    // A good one between two bad ones, and bad ones of all keys between each other.
    let ahead = now() + Duration::from_secs(6);
    let mut good = 0;
    for start in (0..BAD).step_by(1000) {
        let mut records = Vec::new();
        for index in start..start + 1000 {
            records.push(desk.fill(index % KEYS, ahead));
            records.push(desk.fill((index * 7) % KEYS, now() + Duration::ZERO));
            good += 1;
        }
        write(&*log, records);
    }
    assert!(now() < ahead, "what was to be refused came too late for that: a slow machine");
    until("every bad one is a letter", || held(&*log, "exec.reports.v1.dlq") >= BAD as i64);
    assert_eq!(held(&*log, "exec.reports.v1.dlq"), BAD as i64);
    until("its time has come", || now() > ahead);

    // Live traffic of the same keys goes on all the while.
    let over = AtomicBool::new(false);
    let live = std::thread::scope(|scope| {
        let live = scope.spawn(|| {
            let mut written = 0;
            while !over.load(Ordering::Relaxed) {
                let records = (0..KEYS).map(|key| desk.fill(key, now())).collect();
                write(&*log, records);
                written += KEYS;
                std::thread::sleep(Duration::from_millis(20));
            }
            written
        });
        let mut midway = 0;
        for kill in 0..KILLS {
            // Each time somewhere further on: at a moment of its own after so many were sent.
            let before = held(&*log, REDRIVE);
            let most = (BAD / 40) as u64;
            let further = before + (scatter(kill as u64) % most) as i64;
            let mut sending = Sending::start(&folder);
            let begun = Instant::now();
            while held(&*log, REDRIVE) <= further && !sending.ended() {
                assert!(begun.elapsed() < Duration::from_secs(60), "it sends nothing");
                std::thread::sleep(Duration::from_micros(500));
            }
            std::thread::sleep(Duration::from_micros(scatter(100 + kill as u64) % 3_000));
            midway += usize::from(!sending.ended());
            drop(sending);
        }
        assert_eq!(midway, KILLS, "it was done before it was killed: the kills prove nothing");
        let last = folder.run(&["dlq", "redrive", SOURCE, "--who", "ann", "--why", "the rest", "--json"]);
        assert_eq!(last.code, 0, "{}", last.err);
        over.store(true, Ordering::Relaxed);
        live.join().expect("it writes")
    });

    // Nothing is lost, nothing doubled.
    let back: Vec<(Vec<u8>, Redriven)> = read(&*log, REDRIVE, |record| {
        Some((record.key?.to_vec(), Redriven::read(record).expect("its headers say whose it is")))
    });
    let mut letters: Vec<(i32, i64)> = back.iter().map(|(_, back)| back.letter).collect();
    letters.sort_unstable();
    letters.dedup();
    assert_eq!((back.len(), letters.len()), (BAD, BAD));
    // Each key in its order.
    let mut by_key: BTreeMap<&[u8], Vec<i64>> = BTreeMap::new();
    back.iter().for_each(|(key, back)| by_key.entry(key).or_default().push(back.offset));
    assert_eq!(by_key.len(), KEYS);
    for (key, offsets) in by_key {
        assert!(offsets.is_sorted(), "{}: {offsets:?}", String::from_utf8_lossy(key));
    }
    // The worker has taken all of it.
    let all = (BAD + good + live) as i64;
    until("all is taken", || {
        let status = risk_status(&folder);
        assert_eq!(status["holds"], true, "{status}");
        sum(&status, REDRIVE, "processed") + sum(&status, SOURCE, "processed") == all
    });
    assert_eq!(held(&*log, "exec.reports.v1.dlq"), BAD as i64, "none failed again");
    assert_eq!(up.interrupt(&folder), Some(0));
    let replay = folder.run(&["replay", "--verify", "--worker", "risk"]);
    assert_eq!(replay.code, 0, "{}{}", replay.out, replay.err);
    let again = folder.run(&["dlq", "redrive", SOURCE, "--dry-run", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&again.out).expect("it is JSON");
    assert_eq!((&told["records"], &told["left"]["before"]), (&0.into(), &BAD.into()));
    assert!(read(&*log, "exec.reports.v1.dlq", Letter::read).iter().all(|letter| letter.attempts == 1));
}

#[test]
fn what_is_to_be_sent_is_shown_first_and_who_and_why_are_kept() {
    let folder = folder();
    assert_eq!(folder.run(&["topics", "create"]).code, 0);
    let log = opened(&folder);
    let up = Up::ready(&folder);
    let mut desk = Desk { codec: Codec::new(&[]).expect("the shipped schemas are good"), sequence: 0 };
    let ahead = now() + Duration::from_secs(2);
    let records = (0..6).map(|index| desk.fill(index % 2, ahead)).collect();
    write(&*log, records);
    until("every one is a letter", || held(&*log, "exec.reports.v1.dlq") == 6);
    until("its time has come", || now() > ahead);

    let dry = folder.run(&["dlq", "redrive", "exec.reports.v1.dlq", "--dry-run"]);
    assert_eq!(dry.code, 0, "{}", dry.err);
    for wanted in
        ["6 records would be sent to exec.reports.v1.redrive", "from_the_future", "risk", "P0", "by hour"]
    {
        assert!(dry.out.contains(wanted), "{wanted} in {}", dry.out);
    }
    assert_eq!(held(&*log, REDRIVE), 0);
    let without = folder.run(&["dlq", "redrive", SOURCE]);
    assert_eq!((without.code, without.err.contains("--why")), (2, true), "{}", without.err);

    let some =
        folder.run(&["dlq", "redrive", SOURCE, "--key", "P1", "--who", "ann", "--why", "now it is time"]);
    assert_eq!(some.out, "3 records sent to exec.reports.v1.redrive in 1 transaction\n", "{}", some.err);
    let rest = folder.run(&["dlq", "redrive", SOURCE, "--who", "bob", "--why", "now it is time"]);
    assert!(rest.out.contains("not sent: 3 were sent back before"), "{}", rest.out);
    until("all is taken", || sum(&risk_status(&folder), REDRIVE, "processed") == 6);
    let audit = folder.run(&["tail", "journal.redrive.v1", "--json"]);
    let who: Vec<serde_json::Value> = audit
        .out
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("a line is JSON")["value"]["who"].clone()
        })
        .filter(|who| !who.is_null())
        .collect();
    assert_eq!((&who[0], who.last()), (&"ann".into(), Some(&"bob".into())), "{}", audit.out);
    assert_eq!(up.interrupt(&folder), Some(0));
}
