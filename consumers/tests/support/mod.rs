//! A small worker on an embedded log: a monitor that counts fills, and a tape to feed it.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tapewatch_consumers::Worker;
use tapewatch_consumers::breaker::BreakerParameters;
use tapewatch_consumers::core::Blueprint;
use tapewatch_consumers::hold::HoldParameters;
use tapewatch_consumers::inspect::Inspector;
use tapewatch_consumers::letters::Letters;
use tapewatch_consumers::outbox::Routing;
use tapewatch_consumers::plan::{RuntimeParameters, StartAt, WorkerPlan};
use tapewatch_eventlog::{Log, OpenOptions, OutRecord, Round, TopicPartition, TopicSpec, open};
use tapewatch_monitors::{Ages, Monitor, Output, Refusal, Seen, SourceChange, StateError};
use tapewatch_schemas::catalogue::{self as c, plan};
use tapewatch_schemas::events::*;
use tapewatch_schemas::journal::Epoch;
use tapewatch_schemas::partition::Partitioner;
use tapewatch_schemas::{Amount, Checks, Codec, Event, RecordId, Time, TopicName};

pub const PARTITIONS: u32 = 2;
/// The text of a fill that is refused until three others of its portfolio were taken.
pub const TOO_SOON: &str = "too soon";
pub const MINUTE: Duration = Duration::from_secs(60);

/// Counts records per portfolio; publishes at every fill and once a minute of its clock.
#[derive(Default, Serialize, Deserialize)]
pub struct Counter {
    counts: BTreeMap<String, f64>,
    next: Option<Time>,
    down: Vec<String>,
}

impl Counter {
    fn publish(&self, portfolio: &str, clock: Time, out: &mut Vec<Output>) {
        let measure = Measure {
            symbols: Vec::new(),
            name: "count".into(),
            value: self.counts.get(portfolio).copied(),
            amount: None,
            unknown: None,
        };
        out.push(Output {
            event: Event::RiskMetrics(RiskMetrics {
                provenance: Provenance::default(),
                id: RecordId::default(),
                event_time: clock,
                scope: portfolio.into(),
                occasion: Occasion::Interval,
                currency: "USD".into(),
                measures: vec![measure],
                limits: vec![],
            }),
            ages: Ages::default(),
        });
    }
}

impl Monitor for Counter {
    fn observe(&mut self, seen: &Seen<'_>, out: &mut Vec<Output>) -> Result<(), Refusal> {
        if let Event::ExecReport(report) = seen.event {
            if report.text.as_deref() == Some("refuse me") {
                return Err(Refusal {
                    field: "text",
                    problem: "it asks for it".into(),
                    expected: "no such text",
                });
            }
            let count = self.counts.get(report.portfolio.as_str()).copied().unwrap_or(0.0);
            if report.text.as_deref() == Some(TOO_SOON) && count < 3.0 {
                return Err(Refusal {
                    field: "text",
                    problem: "it comes before the third".into(),
                    expected: "three others before it",
                });
            }
            *self.counts.entry(report.portfolio.to_string()).or_default() += 1.0;
            self.publish(report.portfolio.as_str(), seen.clock, out);
        }
        if self.next.is_none() {
            self.next = Some(seen.clock.floor_to(MINUTE) + MINUTE);
        }
        Ok(())
    }
    fn source(&mut self, change: &SourceChange, _out: &mut Vec<Output>) {
        let name = format!("{}/{}", change.topic, change.partition);
        self.down.retain(|other| *other != name);
        if change.down {
            self.down.push(name);
        }
    }
    fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        for portfolio in self.counts.keys() {
            self.publish(portfolio, now, out);
        }
        self.next = Some(now.floor_to(MINUTE) + MINUTE);
    }
    fn next_deadline(&self) -> Option<Time> {
        self.next
    }
    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("plain data")
    }
    fn restore(&mut self, state: &[u8]) -> Result<(), StateError> {
        *self = postcard::from_bytes(state).map_err(|e| StateError(e.to_string()))?;
        Ok(())
    }
}

pub fn memory() -> Arc<dyn Log> {
    let log = open("sqlite::memory:", &OpenOptions::default()).expect("a log in memory");
    create(&*log);
    log
}

pub fn create(log: &dyn Log) {
    let specs: Vec<TopicSpec> = plan(PARTITIONS, c::DEFAULT_RETENTION)
        .into_iter()
        .map(|topic| TopicSpec {
            name: topic.name,
            partitions: topic.partitions as i32,
            replication: 1,
            retention: topic.retention,
            compacted: topic.compacted,
        })
        .collect();
    log.create(&specs).expect("topics");
}

pub fn partitions(log: &dyn Log) -> BTreeMap<TopicName, u32> {
    let topics = log.topics().expect("topics");
    topics.into_iter().map(|topic| (topic.name, topic.partitions as u32)).collect()
}

fn with_redrive(topics: [&str; 2]) -> Vec<TopicName> {
    topics.into_iter().map(TopicName::from).chain(topics.map(c::redrive_topic)).collect()
}

/// The counting worker. It takes the place of risk.
pub fn worker_plan(log: &dyn Log, instance: &str) -> WorkerPlan {
    let codec = Arc::new(Codec::new(&[]).expect("the built-in schemas"));
    let all = partitions(log);
    let outputs = [c::RISK_METRICS, c::SYSTEM_HEALTH, c::HEARTBEATS];
    let routing = Routing {
        partitioner: Partitioner::Murmur2,
        partitions: outputs.iter().map(|t| (TopicName::from(*t), all[*t])).collect(),
    };
    let breaker = BreakerParameters {
        window: 10,
        minimum_calls: 5,
        failure_rate: 0.5,
        wait: Duration::from_secs(30),
        permitted: 3,
        probe_limit: 10_000,
    };
    let blueprint = Blueprint {
        worker: "risk".into(),
        configuration: "c0".into(),
        code: "test".into(),
        codec: Arc::clone(&codec),
        routing: Arc::new(routing),
        breaker: breaker.clone(),
        hold: HoldParameters::default(),
        heartbeat_every: Some(MINUTE / 2),
        progress: vec![c::RISK_METRICS.into()],
        spread: vec![c::SYSTEM_HEALTH.into()],
        monitor: Arc::new(|_, _| Box::new(Counter::default())),
    };
    let schemas = codec.fingerprints().map(|(topic, print)| (topic.to_owned(), format!("{print:02x?}")));
    WorkerPlan {
        worker: "risk".into(),
        group: "tapewatch.risk".into(),
        instance: instance.into(),
        own: with_redrive([c::EXEC_REPORTS, c::ACCOUNTS]),
        broadcast: with_redrive([c::MARKET_DATA, c::HEARTBEATS]),
        optional: vec![c::HEARTBEATS.into()],
        blueprint,
        inspector: Inspector {
            worker: "risk".into(),
            codec: Arc::clone(&codec),
            registry: None,
            checks: Checks { partitioner: Partitioner::Murmur2, max_skew: Duration::from_secs(5) },
            partitions: all,
            upstream: vec![],
        },
        letters: Letters {
            worker: "risk".into(),
            group: "tapewatch.risk".into(),
            breaker,
            max_bytes: 1_000_000,
        },
        epoch: Epoch {
            code: "test".into(),
            configuration: "c0".into(),
            schemas: schemas.collect(),
            numerics: "n0".into(),
        },
        configuration: "{}".into(),
        runtime: RuntimeParameters {
            tape_clock: true,
            max_records: 100,
            max_bytes: 1 << 20,
            linger: Duration::from_millis(1),
            linger_max: Duration::from_millis(50),
            max_wait: Duration::from_millis(5),
            max_idle: Duration::from_secs(10),
            max_carry: Duration::from_secs(1),
            start: StartAt::Earliest,
            snapshot_rounds: 3,
            snapshot_every: Duration::from_secs(60),
            anchor_every: Duration::from_secs(3600),
            session: Duration::from_secs(6),
            lane_records: 1000,
            admin: None,
        },
    }
}

/// Writes a tape: fills of some portfolios, marks, heartbeats.
pub struct Tape {
    codec: Codec,
    pub now: Time,
    sequence: i64,
    /// The last sequence number written, by source, topic and partition.
    written: RefCell<BTreeMap<(&'static str, &'static str, i32), i64>>,
}

impl Tape {
    pub fn new() -> Self {
        Self {
            codec: Codec::new(&[]).expect("schemas"),
            now: Time::from_secs(1_600_000_000),
            sequence: 0,
            written: RefCell::default(),
        }
    }

    pub fn record(&self, log: &dyn Log, event: &Event) -> OutRecord {
        let mut value = Vec::new();
        self.codec.encode(event, &mut value).expect("encodes");
        let count = partitions(log)[event.topic()];
        let partition = Partitioner::Murmur2.assign(event.key().as_bytes(), count) as i32;
        match event {
            Event::ExecReport(report) => {
                self.written.borrow_mut().insert(("sim", c::EXEC_REPORTS, partition), report.sequence);
            }
            Event::MarketData(mark) => {
                self.written.borrow_mut().insert(("tape", c::MARKET_DATA, partition), mark.sequence);
            }
            _ => {}
        }
        OutRecord {
            target: TopicPartition::new(event.topic(), partition),
            timestamp: None,
            key: Some(Bytes::copy_from_slice(event.key().as_bytes())),
            value: Some(Bytes::from(value)),
            headers: vec![],
        }
    }

    pub fn fill(&mut self, portfolio: &str) -> Event {
        self.sequence += 1;
        Event::ExecReport(ExecReport {
            source: "sim".into(),
            sequence: self.sequence,
            event_time: self.now,
            portfolio: portfolio.into(),
            strategy: "dip".into(),
            symbol: "BTC-USD".into(),
            order_id: format!("o{}", self.sequence).into(),
            execution_id: format!("e{}", self.sequence).into(),
            signal_id: None,
            reference_execution_id: None,
            exec_type: ExecType::Fill,
            order_status: OrderStatus::Filled,
            side: Side::Buy,
            order_type: OrderType::Limit,
            order_quantity: Amount::ONE,
            limit_price: None,
            last_quantity: Some(Amount::ONE),
            last_price: Some(Amount::from(100)),
            cumulative_quantity: Amount::ONE,
            leaves_quantity: Amount::ZERO,
            average_price: None,
            currency: "USD".into(),
            fee: None,
            fee_currency: None,
            liquidity: Liquidity::Taker,
            venue: None,
            arrival_price: None,
            decision_time: None,
            sent_time: None,
            acknowledged_time: None,
            text: None,
        })
    }

    pub fn mark(&mut self, symbol: &str) -> Event {
        self.sequence += 1;
        Event::MarketData(MarketData {
            source: "tape".into(),
            sequence: self.sequence,
            event_time: self.now,
            symbol: symbol.into(),
            currency: "USD".into(),
            bid: None,
            ask: None,
            last: Some(Amount::from(100)),
            bid_size: None,
            ask_size: None,
            volume: None,
            venue: None,
        })
    }

    /// Both sources' heartbeats: all they have written, and that nothing before now is to come; nothing at
    /// all, if `closed`.
    pub fn beats(&mut self, log: &dyn Log, closed: bool) -> Vec<OutRecord> {
        let own: &[_] = &[c::EXEC_REPORTS, c::ACCOUNTS, c::POSITIONS];
        let topics: [(_, &[_]); 2] = [("sim", own), ("tape", &[c::MARKET_DATA])];
        let mut beats = Vec::new();
        for (source, topics) in topics {
            let counts = partitions(log);
            let of = |topic: &'static str| (0..counts[topic] as i32).map(move |number| (topic, number));
            let progress = topics.iter().copied().flat_map(of).map(|(topic, partition)| Progress {
                topic: topic.into(),
                partition,
                last_sequence: self.written.borrow().get(&(source, topic, partition)).copied().unwrap_or(-1),
                complete_to: self.now,
                closed,
            });
            let progress = progress.collect();
            self.sequence += 1;
            let (source, sequence, event_time) = (source.into(), self.sequence, self.now);
            let beat = Event::Heartbeat(Heartbeat { source, sequence, event_time, progress });
            beats.push(self.record(log, &beat));
        }
        beats
    }

    /// A tape to its end: slices of a minute with heartbeats after each, the last of which close it.
    pub fn whole(&mut self, log: &dyn Log, minutes: usize) -> Vec<Round> {
        let mut rounds = Vec::new();
        for minute in 1..=minutes {
            let mut round = self.slice(log, 60);
            round.records.extend(self.beats(log, minute == minutes));
            rounds.push(round);
        }
        rounds
    }

    /// A slice: `count` seconds, each with a mark and fills of some portfolios.
    pub fn slice(&mut self, log: &dyn Log, count: usize) -> Round {
        let mut records = Vec::new();
        for index in 0..count {
            self.now = self.now + Duration::from_secs(1);
            let mark = self.mark(["BTC-USD", "ETH-USD", "SOL-USD"][index % 3]);
            records.push(self.record(log, &mark));
            // Two of them in one partition, three in the other.
            let fill = self.fill(&format!("p{}", 4 + index % 5));
            records.push(self.record(log, &fill));
        }
        Round { records, offsets: vec![] }
    }
}

/// Records: partition, key, value.
pub type Dump = Vec<(i32, Vec<u8>, Vec<u8>)>;

/// Every committed record of a topic.
pub fn dump(log: &Arc<dyn Log>, topic: &str) -> Dump {
    use tapewatch_consumers::scan::Scanner;
    use tapewatch_eventlog::LogError;
    let count = partitions(&**log)[topic];
    let mut scanner = Scanner::new(Arc::clone(log)).expect("reader");
    let mut found = Vec::new();
    for partition in 0..count as i32 {
        scanner
            .scan::<LogError>(&TopicPartition::new(topic, partition), 0, |record| {
                let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
                found.push((partition, key.to_vec(), value.to_vec()));
                Ok(())
            })
            .expect("scan");
    }
    found
}

/// What each task of the worker wrote to a topic, in order. How the records of
/// different tasks stand between each other in a partition depends on how rounds were cut.
pub fn by_task(log: &Arc<dyn Log>, topic: &str) -> Dump {
    use tapewatch_consumers::outbox::FROM;
    use tapewatch_consumers::scan::Scanner;
    use tapewatch_eventlog::LogError;
    let mut scanner = Scanner::new(Arc::clone(log)).expect("reader");
    let mut found: BTreeMap<String, Dump> = BTreeMap::new();
    for partition in 0..partitions(&**log)[topic] as i32 {
        scanner
            .scan::<LogError>(&TopicPartition::new(topic, partition), 0, |record| {
                if let Some(from) = record.headers.get(FROM) {
                    let from = std::str::from_utf8(from).expect("text");
                    let task = from.split('/').take(2).collect::<Vec<_>>().join("/");
                    let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
                    found.entry(task).or_default().push((partition, key.to_vec(), value.to_vec()));
                }
                Ok(())
            })
            .expect("scan");
    }
    found.into_values().flatten().collect()
}

/// Everything holds: law 1 by an independent count, nothing doubled, and replay gives every byte again.
pub fn all_holds(log: &Arc<dyn Log>) {
    holds(log, &worker_plan(&**log, "a"));
}

/// As [`all_holds`], of any worker.
pub fn holds(log: &Arc<dyn Log>, plan: &WorkerPlan) {
    use tapewatch_consumers::audit::{Subject, audit};
    use tapewatch_consumers::replay::{Range, Verdict, Verifier};
    let found = audit(log, &Subject::from(plan), &mut |_| {}).expect("an audit");
    assert!(found.holds(), "{found:#?}");
    let mut verifier = Verifier::new(plan, Arc::clone(log), Range::default()).expect("a replay");
    for task in 0..verifier.tasks() {
        let report = verifier.verify(task, &mut |_, _| {}).expect("a report");
        assert_eq!(report.verdict(), Verdict::Verified, "{report:#?}");
    }
}

/// Compares two dumps, and shows the first record that differs.
pub fn same(one: &[(i32, Vec<u8>, Vec<u8>)], other: &[(i32, Vec<u8>, Vec<u8>)]) {
    let codec = Codec::new(&[]).expect("schemas");
    let shown = |dump: &[(i32, Vec<u8>, Vec<u8>)], index: usize| match dump.get(index) {
        Some((partition, _, value)) => {
            let event = codec.decode_any(value).map(|event| codec.to_json(&event).to_string());
            format!("partition {partition}: {event:?}")
        }
        None => "nothing".to_owned(),
    };
    let first = (0..one.len().max(other.len())).find(|&index| one.get(index) != other.get(index));
    if let Some(index) = first {
        panic!("record {index}:\n  {}\n  {}", shown(one, index), shown(other, index));
    }
}

/// Turns until it is so.
pub(crate) fn turn_until(worker: &mut Worker, mut so: impl FnMut(&Worker) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !so(worker) {
        worker.turn(Duration::from_millis(2)).expect("a turn");
        assert!(Instant::now() < deadline, "it does not come to that");
    }
}
