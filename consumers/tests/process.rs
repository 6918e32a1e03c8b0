//! A worker as a process: the admin endpoint, law 1's counts, the graceful end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use prometheus::Registry;
use support::{Tape, dump, memory};
use tapewatch_config::Settings;
use tapewatch_consumers::{Deps, Shutdown, WorkerError, exit, run};
use tapewatch_eventlog::{Log, Round};
use tapewatch_schemas::catalogue as c;

const PATIENCE: Duration = Duration::from_secs(60);

fn settings() -> Settings {
    let mut settings = Settings::defaults();
    settings.topics.partitions = support::PARTITIONS;
    settings.runtime.instance = Some("test".into());
    settings
}

/// A worker in this process.
struct Running {
    admin: SocketAddr,
    shutdown: Shutdown,
    thread: JoinHandle<Result<(), WorkerError>>,
}

impl Running {
    fn start(log: &Arc<dyn Log>, settings: Settings) -> Self {
        let shutdown = Shutdown::default();
        let (found, admin) = channel();
        let deps = Deps {
            worker: c::RISK,
            settings: Arc::new(settings),
            log: Arc::clone(log),
            registry: Registry::new(),
            create_topics: true,
            announce: Some(Box::new(move |address| found.send(address).unwrap())),
        };
        let asked = shutdown.clone();
        let thread = std::thread::spawn(move || run(deps, &asked));
        let admin = admin.recv_timeout(PATIENCE).expect("it listens");
        Self { admin, shutdown, thread }
    }

    fn stop(self) {
        self.shutdown.request();
        self.thread.join().unwrap().unwrap();
    }
}

/// One request: status code and body.
fn ask(admin: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(admin).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a response");
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The sum of a counter over the lines that hold all of `labels`.
fn counter(metrics: &str, name: &str, labels: &[&str]) -> u64 {
    let of = |line: &&str| line.starts_with(&format!("{name}{{")) && labels.iter().all(|l| line.contains(l));
    metrics.lines().filter(of).map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
}

/// A tape that ends about now: on the wall's clock an old one would have years to catch up with.
fn recent() -> Tape {
    let mut tape = Tape::new();
    tape.now = tapewatch_consumers::worker::wall() - Duration::from_secs(600);
    tape
}

#[test]
fn the_admin_endpoint_tells_what_the_worker_did_and_it_ends_gracefully() {
    let log = memory();
    let worker = Running::start(&log, settings());
    until("ready", || ask(worker.admin, "GET", "/readyz") == (200, "ready\n".into()));
    assert_eq!(ask(worker.admin, "GET", "/healthz"), (200, "ok\n".into()));
    assert_eq!(ask(worker.admin, "GET", "/nothing").0, 404);

    let mut tape = recent();
    let mut round = tape.slice(&*log, 300);
    let mut poison = round.records[1].clone();
    poison.value = Some(b"no event at all".as_slice().into());
    round.records.push(poison);
    let written =
        |topic: &str| round.records.iter().filter(|r| r.target.topic.as_str() == topic).count() as u64;
    let (fills, marks) = (written(c::EXEC_REPORTS), written(c::MARKET_DATA));
    log.writer("tape").unwrap().commit(&round, None).unwrap();

    // Every task takes all marks: they are counted for each.
    let marks = marks * u64::from(support::PARTITIONS);
    let metrics = || ask(worker.admin, "GET", "/metrics").1;
    let consumed = |text: &str, topic: &str| {
        counter(text, "tapewatch_records_consumed_total", &["worker=\"risk\"", &format!("topic=\"{topic}\"")])
    };
    until("all is counted", || {
        let text = metrics();
        consumed(&text, c::EXEC_REPORTS) == fills && consumed(&text, c::MARKET_DATA) == marks
    });
    let text = metrics();
    let of = [&format!("topic=\"{}\"", c::EXEC_REPORTS) as &str];
    assert_eq!(counter(&text, "tapewatch_records_processed_total", &of), fills - 1);
    assert_eq!(counter(&text, "tapewatch_records_dead_lettered_total", &[of[0], "reason=\"not_framed\""]), 1);
    assert_eq!(counter(&text, "tapewatch_records_skipped_total", &of), 0);
    assert!(counter(&text, "tapewatch_rounds_total", &[]) > 0, "{text}");
    assert!(counter(&text, "tapewatch_detection_seconds_count", &[]) > 0, "{text}");

    // What it shows is brought up to date a few times a second.
    until("shown", || !ask(worker.admin, "GET", "/status").1.contains("\"journal\":null"));
    let (code, body) = ask(worker.admin, "GET", "/status");
    let status: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((code, &status["worker"], &status["stage"]), (200, &"risk".into(), &"running".into()));
    assert_eq!(status["tasks"].as_array().unwrap().len(), support::PARTITIONS as usize);
    assert!(status["tasks"][0]["journal"]["sequence"].as_i64().unwrap() >= 0, "{body}");
    assert_eq!(status["instance"], "test");

    let resume = "/breaker/resume?topic=exec.reports.v1&partition=0&who=ann&why=fixed";
    assert_eq!(ask(worker.admin, "POST", resume).0, 404, "no breaker is open");
    assert_eq!(ask(worker.admin, "GET", resume).0, 405);
    assert_eq!(ask(worker.admin, "POST", "/breaker/resume?topic=exec.reports.v1&partition=0&who=ann").0, 400);
    // Where a skip ends is no word to one who wants all read again.
    assert_eq!(ask(worker.admin, "POST", &format!("{resume}&to=7")).0, 400);
    assert_eq!(ask(worker.admin, "POST", &resume.replace("ann", "")).0, 400);
    assert_eq!(ask(worker.admin, "POST", &format!("{resume}&worker=alerting")).0, 409);

    let admin = worker.admin;
    worker.stop();
    assert!(TcpStream::connect(admin).is_err(), "the endpoint ends with the worker");
    let anchors: usize = dump(&log, "anchors.risk.v1").len();
    assert!(
        anchors >= 2 * support::PARTITIONS as usize,
        "an anchor at the epoch and one at the stop: {anchors}"
    );
}

#[test]
fn an_open_breaker_is_seen_and_closed_by_hand() {
    let log = memory();
    let worker = Running::start(&log, settings());
    let mut tape = recent();
    let mut round = tape.slice(&*log, 30);
    let fill = round.records[1].clone();
    for _ in 0..20 {
        let mut poison = fill.clone();
        poison.value = Some(b"no event at all".as_slice().into());
        round.records.push(poison);
    }
    let partition = fill.target.partition;
    log.writer("tape").unwrap().commit(&round, None).unwrap();
    let partition_label = format!("partition=\"{partition}\"");
    let open = ["topic=\"exec.reports.v1\"", &partition_label];
    let gauge = || counter(&ask(worker.admin, "GET", "/metrics").1, "tapewatch_breaker_open", &open);
    until("open", || gauge() == 1);
    assert!(ask(worker.admin, "GET", "/status").1.contains("exec.reports.v1/"));
    let path = format!(
        "/breaker/resume?worker=risk&topic=exec.reports.v1&partition={partition}&who=ann&why=it+is+fixed"
    );
    let (code, body) = ask(worker.admin, "POST", &path);
    assert_eq!(code, 200, "{body}");
    let journal = dump(&log, "journal.risk.v1");
    let said = b"it is fixed";
    let found = journal.iter().any(|(_, _, value)| value.windows(said.len()).any(|window| window == said));
    assert!(found, "who and why are journalled before the answer");

    // Again, and what stands before it is given up.
    let poison = round.records.last().unwrap().clone();
    let bad = Round { records: vec![poison; 40], offsets: Vec::new() };
    log.writer("tape").unwrap().commit(&bad, None).unwrap();
    until("open again", || gauge() == 1);
    let path = path.replace("resume", "skip").replace("it+is+fixed", "nobody+wants+them");
    let (code, body) = ask(worker.admin, "POST", &path);
    assert!(code == 200 && body.contains("\"skipped\":"), "{code} {body}");
    assert_eq!(ask(worker.admin, "POST", &path).0, 404);
    worker.stop();
}

#[test]
fn topics_that_are_cut_otherwise_and_a_taken_address_are_clear_errors() {
    let log = memory();
    let refused = |settings: Settings| {
        let deps = Deps {
            worker: c::RISK,
            settings: Arc::new(settings),
            log: Arc::clone(&log),
            registry: Registry::new(),
            create_topics: true,
            announce: None,
        };
        run(deps, &Shutdown::default()).unwrap_err()
    };
    let mut other = settings();
    other.topics.partitions += 1;
    let error = refused(other);
    assert!(error.to_string().contains("has 2, not 3"), "{error}");
    assert_eq!(exit::of_worker(&error), exit::TOPICS);

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut busy = settings();
    busy.runtime.admin = taken.local_addr().unwrap().to_string();
    let error = refused(busy);
    assert!(error.to_string().contains(&taken.local_addr().unwrap().to_string()), "{error}");
    assert_eq!(exit::of_worker(&error), exit::CONFIGURATION);
}
