//! Records that name their schema by a registry's id: read once the registry says what it is, held back in order
//! while it does not answer, dead letters only if it says that there is no such id.

#![allow(clippy::unwrap_used, reason = "a failing test panics")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use support::{Dump, Tape, by_task, dump, holds, memory, worker_plan};
use tapewatch_consumers::plan::WorkerPlan;
use tapewatch_consumers::worker::Worker;
use tapewatch_eventlog::edge::EdgeParameters;
use tapewatch_eventlog::registry::{Registry, RegistryOptions};
use tapewatch_eventlog::{Log, OutRecord, Round};
use tapewatch_schemas::catalogue as c;
use tapewatch_schemas::codec::GUID_HEADER;
use tapewatch_schemas::{Codec, Reason};

const GUID: [u8; 16] = [9; 16];

/// A registry that knows id 7 and a GUID; answers 503 while it is down.
struct StandIn {
    url: String,
    down: Arc<AtomicBool>,
    asked: Arc<AtomicU32>,
    schemas: Arc<Mutex<Vec<(String, String)>>>,
}

impl StandIn {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stand_in = Self { url, down: Arc::default(), asked: Arc::default(), schemas: Arc::default() };
        let (down, asked, schemas) =
            (Arc::clone(&stand_in.down), Arc::clone(&stand_in.asked), Arc::clone(&stand_in.schemas));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let Some(Ok(first)) = lines.next() else { continue };
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                asked.fetch_add(1, Ordering::SeqCst);
                let path = first.split(' ').nth(1).unwrap().to_owned();
                let found = schemas.lock().unwrap().iter().find(|(at, _)| *at == path).cloned();
                let (status, body) = match found {
                    _ if down.load(Ordering::SeqCst) => (503, "{}".to_owned()),
                    Some((_, text)) => (200, serde_json::json!({ "schema": text }).to_string()),
                    None => (404, r#"{"error_code":40403,"message":"Schema not found"}"#.to_owned()),
                };
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
            }
        });
        stand_in
    }

    fn plan(&self, log: &dyn Log) -> WorkerPlan {
        let mut plan = worker_plan(log, "a");
        let options = RegistryOptions {
            url: self.url.clone(),
            login: None,
            trust: None,
            timeout: Duration::from_secs(5),
            breaker: EdgeParameters { wait: Duration::from_millis(300), ..EdgeParameters::default() },
        };
        plan.inspector.registry = Some(Arc::new(Registry::new(&options).unwrap()));
        plan
    }
}

fn text_of(topic: &str) -> String {
    Codec::new(&[]).unwrap().schemas().find(|(of, ..)| *of == topic).unwrap().2.to_owned()
}

/// The body of a record in single-object encoding, framed by a registry's id.
fn by_id(record: &mut OutRecord, id: u32) {
    let value = record.value.take().unwrap();
    record.value = Some(Bytes::from([&[0], &id.to_be_bytes()[..], &value[10..]].concat()));
}

fn by_guid(record: &mut OutRecord) {
    record.value = Some(record.value.take().unwrap().slice(10..));
    record.headers.push((GUID_HEADER.to_owned(), Bytes::from([&[1], &GUID[..]].concat())));
}

fn write(log: &dyn Log, round: &Round) {
    log.writer("tape").unwrap().commit(round, None).unwrap();
}

/// Turns until nothing has moved for a while.
fn rest(worker: &mut Worker) {
    let mut quiet = Instant::now();
    while quiet.elapsed() < Duration::from_millis(600) {
        if worker.turn(Duration::from_millis(5)).unwrap() == tapewatch_consumers::worker::Turn::Busy {
            quiet = Instant::now();
        }
    }
}

fn finish(worker: &mut Worker) {
    worker.run_to_end().unwrap();
}

/// What the counting worker makes of a tape, each of whose fills was changed.
fn run(stand_in: &StandIn, change: impl Fn(usize, &mut OutRecord)) -> (Arc<dyn Log>, Dump) {
    let log = memory();
    let mut tape = Tape::new();
    let mut fills = 0;
    for mut round in tape.whole(&*log, 3) {
        for record in round.records.iter_mut().filter(|it| it.target.topic.as_str() == c::EXEC_REPORTS) {
            change(fills, record);
            fills += 1;
        }
        write(&*log, &round);
    }
    let mut worker = Worker::join(stand_in.plan(&*log), Arc::clone(&log)).unwrap();
    finish(&mut worker);
    drop(worker);
    holds(&log, &stand_in.plan(&*log));
    let outputs = by_task(&log, c::RISK_METRICS);
    (log, outputs)
}

#[test]
fn framing_by_id_or_guid_changes_nothing_and_each_id_is_asked_for_once() {
    let stand_in = StandIn::new();
    let text = text_of(c::EXEC_REPORTS);
    let guid = "/schemas/guids/09090909-0909-0909-0909-090909090909".to_owned();
    *stand_in.schemas.lock().unwrap() = vec![("/schemas/ids/7".to_owned(), text.clone()), (guid, text)];
    let (_, plain) = run(&stand_in, |_, _| {});
    assert_eq!(stand_in.asked.load(Ordering::SeqCst), 0);
    let (log, framed) = run(&stand_in, |n, record| match n % 3 {
        0 => by_id(record, 7),
        1 => by_guid(record),
        _ => {}
    });
    assert_eq!(dump(&log, "exec.reports.v1.dlq"), []);
    assert!(!plain.is_empty());
    support::same(&framed, &plain);
    // The worker, and the replay that has a codec of its own.
    assert_eq!(stand_in.asked.load(Ordering::SeqCst), 4);
}

#[test]
fn a_registry_that_is_down_holds_its_partition_back_and_loses_nothing() {
    let stand_in = StandIn::new();
    *stand_in.schemas.lock().unwrap() = vec![("/schemas/ids/7".to_owned(), text_of(c::EXEC_REPORTS))];
    stand_in.down.store(true, Ordering::SeqCst);
    let log = memory();
    let mut tape = Tape::new();
    for mut round in tape.whole(&*log, 2) {
        for record in round.records.iter_mut().filter(|it| it.target.topic.as_str() == c::EXEC_REPORTS) {
            by_id(record, 7);
        }
        write(&*log, &round);
    }
    let mut worker = Worker::join(stand_in.plan(&*log), Arc::clone(&log)).unwrap();
    rest(&mut worker);
    assert!(stand_in.asked.load(Ordering::SeqCst) > 0);
    assert_eq!(dump(&log, "exec.reports.v1.dlq"), [], "an environment failure is no dead letter");
    assert_eq!(dump(&log, c::RISK_METRICS), []);
    stand_in.down.store(false, Ordering::SeqCst);
    let outputs = || dump(&log, c::RISK_METRICS).len();
    let deadline = Instant::now() + Duration::from_secs(20);
    while outputs() < 120 {
        worker.turn(Duration::from_millis(5)).unwrap();
        assert!(Instant::now() < deadline, "{} of at least 120 outputs", outputs());
    }
    drop(worker);
    let mut worker = Worker::join(stand_in.plan(&*log), Arc::clone(&log)).unwrap();
    finish(&mut worker);
    drop(worker);
    assert_eq!(dump(&log, "exec.reports.v1.dlq"), []);
    holds(&log, &stand_in.plan(&*log));
}

#[test]
fn an_id_that_there_is_not_and_a_schema_that_does_not_fit_are_dead_letters() {
    let stand_in = StandIn::new();
    let other = r#"{"type":"record","name":"Order","fields":[{"name":"x","type":"int"}]}"#;
    *stand_in.schemas.lock().unwrap() = vec![
        ("/schemas/ids/7".to_owned(), text_of(c::EXEC_REPORTS)),
        ("/schemas/ids/9".to_owned(), other.into()),
    ];
    let (log, _) = run(&stand_in, |n, record| match n {
        3 => by_id(record, 8),
        5 => by_id(record, 9),
        _ => by_id(record, 7),
    });
    use tapewatch_consumers::scan::Scanner;
    let mut found = Vec::new();
    let mut scanner = Scanner::new(Arc::clone(&log)).unwrap();
    for partition in 0..support::PARTITIONS as i32 {
        let at = tapewatch_eventlog::TopicPartition::new("exec.reports.v1.dlq", partition);
        scanner
            .scan::<tapewatch_eventlog::LogError>(&at, 0, |record| {
                let text = |name| String::from_utf8(record.headers.get(name).unwrap().to_vec()).unwrap();
                found.push((text("tapewatch.reason"), text("__connect.errors.exception.message")));
                Ok(())
            })
            .unwrap();
    }
    found.sort();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|(reason, _)| reason == Reason::UnknownSchema.as_str()), "{found:?}");
    assert!(
        found.iter().any(|(_, text)| text.contains("registry id 8") && text.contains("not in the registry")),
        "{found:?}"
    );
    assert!(
        found.iter().any(|(_, text)| text.contains("registry id 9") && text.contains("cannot be used")),
        "{found:?}"
    );
}

#[test]
fn outputs_framed_by_a_registry_have_the_same_digests() {
    let digests = |framed: bool| {
        let log = memory();
        let mut tape = Tape::new();
        for round in tape.whole(&*log, 2) {
            write(&*log, &round);
        }
        let mut plan = worker_plan(&*log, "a");
        if framed {
            let mut codec = Codec::new(&[]).unwrap();
            codec.frame(c::RISK_METRICS, 300);
            let codec = Arc::new(codec);
            plan.blueprint.codec = Arc::clone(&codec);
            plan.inspector.codec = codec;
        }
        let mut worker = Worker::join(plan, Arc::clone(&log)).unwrap();
        finish(&mut worker);
        let metrics = dump(&log, c::RISK_METRICS);
        let marks = metrics.iter().map(|(_, _, value)| value[..5].to_vec()).collect::<Vec<_>>();
        assert!(marks.iter().all(|mark| (*mark == [0, 0, 0, 1, 44]) == framed), "{marks:?}");
        let journal = dump(&log, "journal.risk.v1");
        journal
            .iter()
            .map(|(_, _, value)| {
                let record = tapewatch_schemas::journal::JournalRecord::open(value).unwrap();
                (record.partition, record.sequence, record.outputs_digest)
            })
            .collect::<Vec<_>>()
    };
    let plain = digests(false);
    assert!(plain.len() > 2);
    assert_eq!(digests(true), plain);
}
