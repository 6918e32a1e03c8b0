//! `hold_key`: what follows of a dead letter's key waits for it, and comes back in order; through restarts, and
//! in replay.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, params};
use support::{MINUTE, TOO_SOON, Tape, by_task, create, dump, holds, memory, worker_plan};
use tapewatch_consumers::Worker;
use tapewatch_consumers::hold::HoldParameters;
use tapewatch_consumers::plan::WorkerPlan;
use tapewatch_consumers::redrive::{
    Filter, LetterId, Outcome, RedriveError, Release, Released, Repair, Repairs, Request, redrive, release,
};
use tapewatch_consumers::scan::Scanner;
use tapewatch_eventlog::dead_letter::Letter;
use tapewatch_eventlog::{Log, LogError, OpenOptions, OutRecord, Round, TopicPartition, open};
use tapewatch_schemas::catalogue as c;
use tapewatch_schemas::events::{HealthKind, HealthStatus};
use tapewatch_schemas::partition::Partitioner;
use tapewatch_schemas::{Codec, Event, Reason};

const DLQ: &str = "exec.reports.v1.dlq";

struct Desk {
    log: Arc<dyn Log>,
    tape: Tape,
    most: usize,
}

impl Desk {
    fn new() -> Self {
        Self { log: memory(), tape: Tape::new(), most: 100 }
    }

    fn plan(&self) -> WorkerPlan {
        let mut plan = worker_plan(&*self.log, "a");
        plan.blueprint.hold = HoldParameters { topics: vec![c::EXEC_REPORTS.into()], most: self.most };
        // Breakers have tests of their own.
        plan.blueprint.breaker.failure_rate = 2.0;
        plan.letters.breaker.failure_rate = 2.0;
        plan
    }

    fn write(&self, records: Vec<OutRecord>) {
        self.log.writer("tape").unwrap().commit(&Round { records, offsets: vec![] }, None).unwrap();
    }

    fn fill(&mut self, portfolio: &str, text: Option<&str>) -> OutRecord {
        let Event::ExecReport(mut report) = self.tape.fill(portfolio) else { unreachable!() };
        report.text = text.map(Into::into);
        self.tape.record(&*self.log, &Event::ExecReport(report))
    }

    fn junk(&mut self, portfolio: &str) -> OutRecord {
        OutRecord { value: Some(Bytes::from_static(b"{no")), ..self.fill(portfolio, None) }
    }

    /// Good ones of a portfolio.
    fn good(&mut self, portfolio: &str, count: usize) -> Vec<OutRecord> {
        (0..count).map(|_| self.fill(portfolio, None)).collect()
    }

    /// Takes all that is there, in a membership of its own: each is a restart.
    fn run(&self) {
        let mut worker = Worker::join(self.plan(), Arc::clone(&self.log)).unwrap();
        worker.run_to_end().unwrap();
        worker.stop().unwrap();
    }

    fn all() -> Request {
        Request {
            topic: c::EXEC_REPORTS.into(),
            filter: Filter::default(),
            max_attempts: 10,
            discard: false,
            repairs: None,
            in_order: true,
            who: "ann".into(),
            why: "it is fixed".into(),
        }
    }

    fn redrive(&self, request: &Request) -> Outcome {
        redrive(&self.log, request, &mut |_| true).unwrap()
    }

    /// Sends the letter at an offset with other bytes.
    fn repair(&mut self, letter: &(Letter, i64), by: OutRecord) -> Outcome {
        let id = LetterId { partition: letter.0.source.partition, letter: letter.1, behind: None };
        let repair = Repair { line: 1, target: by.target.partition, key: by.key, value: by.value };
        let repairs = Repairs { file: "test".into(), letters: [(id, repair)].into() };
        self.redrive(&Request { repairs: Some(repairs), ..Self::all() })
    }

    fn release(&self, portfolio: &str) -> Result<Released, RedriveError> {
        let wanted = Release {
            topic: c::EXEC_REPORTS.into(),
            partition: Partitioner::Murmur2.assign(portfolio.as_bytes(), 2) as i32,
            key: portfolio.into(),
            worker: "risk".into(),
            group: "tapewatch.risk".into(),
            who: "ann".into(),
            why: "too old".into(),
        };
        release(&self.log, &wanted)
    }

    fn letters(&self) -> Vec<(Letter, i64)> {
        let mut scanner = Scanner::new(Arc::clone(&self.log)).unwrap();
        let mut found = Vec::new();
        for partition in 0..2 {
            let at = TopicPartition::new(DLQ, partition);
            scanner
                .scan::<LogError>(&at, 0, |record| {
                    found.push((Letter::read(record).unwrap(), record.offset));
                    Ok(())
                })
                .unwrap();
        }
        found
    }

    /// Fills of a portfolio that were taken: the last that was published of it.
    fn count(&self, portfolio: &str) -> usize {
        let codec = Codec::new(&[]).unwrap();
        let mut last = 0;
        for (_, _, value) in dump(&self.log, c::RISK_METRICS) {
            if let Event::RiskMetrics(metrics) = codec.decode_any(&value).unwrap()
                && metrics.scope.as_str() == portfolio
                && let Some(count) = metrics.measures.first().and_then(|measure| measure.value)
            {
                last = count as usize;
            }
        }
        last
    }

    fn health(&self) -> Vec<(HealthStatus, Option<i64>)> {
        let codec = Codec::new(&[]).unwrap();
        let all = by_task(&self.log, c::SYSTEM_HEALTH);
        let events = all.iter().map(|(_, _, value)| codec.decode_any(value).unwrap());
        let held = events.filter_map(|event| match event {
            Event::SystemHealth(health) if health.kind == HealthKind::HeldKeys => {
                Some((health.status, health.count))
            }
            _ => None,
        });
        held.collect()
    }

    /// Time goes by, so that the task says how it is.
    fn later(&mut self) {
        self.tape.now = self.tape.now + MINUTE * 2;
        let mark = self.tape.mark("BTC-USD");
        self.write(vec![self.tape.record(&*self.log, &mark)]);
    }
}

fn reasons(letters: &[(Letter, i64)]) -> Vec<Reason> {
    letters.iter().map(|(letter, _)| letter.reason).collect()
}

#[test]
fn what_follows_of_the_key_waits_and_comes_back_in_order() {
    let mut desk = Desk::new();
    let mut records = desk.good("p4", 1);
    records.push(desk.junk("p4"));
    records.extend(desk.good("p4", 2));
    records.extend(desk.good("p6", 3));
    desk.write(records);
    desk.run();
    assert_eq!((desk.count("p4"), desk.count("p6")), (1, 3), "another key goes on");
    let letters = desk.letters();
    assert_eq!(reasons(&letters), [Reason::BadJson, Reason::HeldBehind, Reason::HeldBehind]);
    assert_eq!(letters.iter().map(|(letter, _)| letter.attempts).collect::<Vec<_>>(), [1, 0, 0]);

    // Junk stays junk: those behind it are held again, and are no attempt further.
    assert_eq!(desk.redrive(&Desk::all()).sent, 3);
    desk.run();
    let letters = desk.letters().split_off(3);
    assert_eq!(reasons(&letters), [Reason::BadJson, Reason::HeldBehind, Reason::HeldBehind]);
    assert_eq!(letters.iter().map(|(letter, _)| letter.attempts).collect::<Vec<_>>(), [2, 0, 0]);
    assert_eq!(desk.count("p4"), 1);

    // What is held does not go before what it is held behind.
    let held = Filter { reason: Some(Reason::HeldBehind), ..Filter::default() };
    let sent = desk.redrive(&Request { filter: held, ..Desk::all() });
    assert_eq!((sent.sent, sent.left.held_behind), (0, 2));

    // Repaired it is taken; a live one is held all the same, until the rest came back.
    let good = desk.fill("p4", None);
    assert_eq!(desk.repair(&letters[0], good).sent, 1);
    desk.run();
    assert_eq!(desk.count("p4"), 2);
    let live = desk.good("p4", 1);
    desk.write(live);
    desk.run();
    assert_eq!((desk.count("p4"), desk.letters().len()), (2, 7));
    assert_eq!(desk.redrive(&Desk::all()).sent, 3);
    // Between the sending and the taking another comes: it keeps the key held.
    let live = desk.good("p4", 1);
    desk.write(live);
    desk.run();
    let taken = desk.count("p4");
    let rest = desk.redrive(&Desk::all()).sent as usize;
    assert_eq!(taken + rest, 6, "taken or held, as the merge had it");
    desk.run();
    assert_eq!(desk.count("p4"), 6);
    let live = desk.good("p4", 1);
    desk.write(live);
    desk.run();
    assert_eq!(desk.count("p4"), 7, "it is released");
    assert_eq!(desk.redrive(&Desk::all()).sent, 0);
    holds(&desk.log, &desk.plan());
}

#[test]
fn what_is_behind_a_record_on_its_way_waits_until_that_is_taken() {
    let mut desk = Desk::new();
    let mut records = vec![desk.junk("p4")];
    records.extend(desk.good("p4", 3));
    desk.write(records);
    desk.run();
    let first = Filter { offsets: Some((0, 2)), ..Filter::default() };
    assert_eq!(desk.redrive(&Request { filter: first, ..Desk::all() }).sent, 3);
    // The first of them fails again, and the two behind it are lettered again: the last one would overtake them.
    let early = desk.redrive(&Desk::all());
    assert_eq!((early.sent, early.left.under_way), (0, 1));
    desk.run();
    let letters = desk.letters();
    assert_eq!(letters.len(), 7);
    let good = desk.fill("p4", None);
    assert_eq!(desk.repair(&letters[4], good).sent, 1);
    desk.run();
    assert_eq!(desk.redrive(&Desk::all()).sent, 3);
    desk.run();
    assert_eq!((desk.count("p4"), desk.letters().len()), (4, 7));
    holds(&desk.log, &desk.plan());
}

#[test]
fn what_is_refused_holds_its_key_too_and_given_up_it_lets_go() {
    let mut desk = Desk::new();
    let mut records = vec![desk.fill("p4", Some(TOO_SOON))];
    records.extend(desk.good("p4", 3));
    desk.write(records);
    desk.run();
    assert_eq!(reasons(&desk.letters())[0], Reason::Refused);
    assert_eq!((desk.count("p4"), desk.letters().len()), (0, 4));
    let refused = Filter { reason: Some(Reason::Refused), ..Filter::default() };
    assert_eq!(desk.redrive(&Request { filter: refused, discard: true, ..Desk::all() }).sent, 1);
    desk.run();
    assert_eq!(desk.redrive(&Desk::all()).sent, 3);
    desk.run();
    assert_eq!(desk.count("p4"), 3);
    let live = desk.good("p4", 1);
    desk.write(live);
    desk.run();
    assert_eq!((desk.count("p4"), desk.letters().len()), (4, 4));
    holds(&desk.log, &desk.plan());
}

#[test]
fn as_many_keys_as_may_be_and_the_partition_waits() {
    let mut desk = Desk { most: 1, ..Desk::new() };
    let first = desk.junk("p4");
    let partition = first.target.partition;
    let same: Vec<String> = (0..40)
        .map(|number| format!("q{number}"))
        .filter(|name| desk.fill(name, None).target.partition == partition)
        .take(1)
        .collect();
    desk.write(vec![first]);
    desk.run();
    let others = desk.good(&same[0], 2);
    desk.write(others);
    // The first mark begins the task's clock, the second is when it says how it is.
    desk.later();
    desk.later();
    let mut worker = Worker::join(desk.plan(), Arc::clone(&desk.log)).unwrap();
    worker.run_to_end().unwrap();
    let full =
        |worker: &Worker| worker.tasks().flat_map(|task| &task.merge.lanes).filter(|lane| lane.full).count();
    assert_eq!((desk.count(&same[0]), full(&worker)), (0, 1), "nothing more of the topic is taken");
    worker.stop().unwrap();
    assert_eq!(desk.health().last(), Some(&(HealthStatus::Failed, Some(1))));

    assert_eq!(desk.redrive(&Request { discard: true, ..Desk::all() }).sent, 1);
    desk.later();
    let mut worker = Worker::join(desk.plan(), Arc::clone(&desk.log)).unwrap();
    worker.run_to_end().unwrap();
    worker.run_to_end().unwrap();
    assert_eq!((desk.count(&same[0]), full(&worker)), (2, 0));
    worker.stop().unwrap();
    desk.later();
    desk.run();
    assert_eq!(desk.health().last(), Some(&(HealthStatus::Ok, Some(0))));
    holds(&desk.log, &desk.plan());
}

/// As retention does: letters below an offset of both partitions are removed.
fn remove_letters(file: &std::path::Path, below: i64) {
    let conn = Connection::open(file).unwrap();
    let of_letters = "partition_id IN (SELECT p.id FROM partitions p JOIN topics t ON t.id = p.topic_id WHERE t.name = ?2)";
    conn.execute(&format!("DELETE FROM entries WHERE offset < ?1 AND {of_letters}"), params![below, DLQ])
        .unwrap();
    conn.execute(
        "UPDATE partitions SET earliest = min(next, ?1) WHERE topic_id = (SELECT id FROM topics WHERE name = ?2)",
        params![below, DLQ],
    )
    .unwrap();
}

#[test]
fn what_retention_has_removed_holds_nobody_once_it_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tape.db");
    let url = format!("sqlite:{}", file.display());
    let opened = || open(&url, &OpenOptions::default()).unwrap();
    let mut desk = Desk { log: opened(), ..Desk::new() };
    create(&*desk.log);
    let mut records = vec![desk.junk("p4")];
    records.extend(desk.good("p4", 3));
    desk.write(records);
    desk.run();
    assert_eq!(desk.letters().len(), 4);
    assert_eq!(desk.release("p4").unwrap(), Released { through: None, left: 4 }, "nothing is gone");
    desk.log = memory();
    remove_letters(&file, 2);
    desk.log = opened();

    // What is left is held behind what is gone, for ever.
    assert_eq!(desk.redrive(&Desk::all()).sent, 2);
    let early = desk.release("p4").unwrap_err().to_string();
    assert!(early.contains("risk has not taken 2 records of exec.reports.v1.redrive"), "{early}");
    desk.run();
    assert_eq!((desk.count("p4"), desk.letters().len()), (0, 4));
    assert_eq!(desk.release("p4").unwrap(), Released { through: Some(1), left: 2 });
    let live = desk.good("p4", 1);
    desk.write(live);
    desk.run();
    assert_eq!((desk.count("p4"), desk.letters().len()), (0, 5), "what is left goes first");
    assert_eq!(desk.redrive(&Desk::all()).sent, 3);
    desk.run();
    assert_eq!(desk.count("p4"), 3);
    let live = desk.good("p4", 1);
    desk.write(live);
    desk.run();
    assert_eq!((desk.count("p4"), desk.letters().len()), (4, 5), "it is released");

    // Everything of a key is gone, the newest too.
    let records = vec![desk.junk("p4"), desk.fill("p4", None)];
    desk.write(records);
    desk.run();
    desk.log = memory();
    remove_letters(&file, 100);
    desk.log = opened();
    let done = desk.release("p4").unwrap();
    assert_eq!((done.left, done.through.is_some()), (0, true));
    desk.run();
    let live = desk.good("p4", 1);
    desk.write(live);
    desk.run();
    assert_eq!(desk.count("p4"), 5);
}
