//! Dead letters that come back: to whom, in which order, how often; and that the laws hold for them as for any
//! other input.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use support::{TOO_SOON, Tape, all_holds, dump, memory, worker_plan};
use tapewatch_consumers::Worker;
use tapewatch_consumers::redrive::{Entry, Filter, Outcome, Request, redrive, survey};
use tapewatch_consumers::scan::Scanner;
use tapewatch_eventlog::dead_letter::{DeadLetter, Letter, Redriven};
use tapewatch_eventlog::{BatchBuilder, Log, LogError, OutRecord, Round, TopicPartition};
use tapewatch_schemas::catalogue as c;
use tapewatch_schemas::events::{Measure, RiskMetrics};
use tapewatch_schemas::{Codec, Event, Reason, Time};

const DLQ: &str = "exec.reports.v1.dlq";
const REDRIVE: &str = "exec.reports.v1.redrive";

/// A log with a tape, and the worker on it.
struct Desk {
    log: Arc<dyn Log>,
    tape: Tape,
    /// At which a breaker opens.
    failure_rate: f64,
}

impl Desk {
    fn new() -> Self {
        Self { log: memory(), tape: Tape::new(), failure_rate: 0.5 }
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

    fn worker(&self) -> Worker {
        let mut plan = worker_plan(&*self.log, "a");
        plan.blueprint.breaker.failure_rate = self.failure_rate;
        plan.letters.breaker.failure_rate = self.failure_rate;
        Worker::join(plan, Arc::clone(&self.log)).unwrap()
    }

    /// A minute goes by, open breakers look ahead, and a person closes them.
    fn later(&mut self, worker: &mut Worker) {
        self.tape.now = self.tape.now + support::MINUTE;
        let mark = self.tape.mark("BTC-USD");
        self.write(vec![self.tape.record(&*self.log, &mark)]);
        worker.run_to_end().unwrap();
        let open: Vec<TopicPartition> = worker.tasks().flat_map(|task| task.core.open_breakers()).collect();
        for at in open {
            worker.resume_breaker(&at, "ann", "go on");
        }
        worker.run_to_end().unwrap();
    }

    /// Takes all that is there, in a membership of its own.
    fn run(&self) {
        let mut worker = self.worker();
        worker.run_to_end().unwrap();
        worker.stop().unwrap();
    }

    fn request() -> Request {
        Request {
            topic: c::EXEC_REPORTS.into(),
            filter: Filter::default(),
            max_attempts: 3,
            discard: false,
            repairs: None,
            in_order: false,
            who: "ann".into(),
            why: "it is fixed".into(),
        }
    }

    fn redrive(&self, request: &Request) -> Outcome {
        redrive(&self.log, request, &mut |_| true).unwrap()
    }

    /// What every record of a topic gives that is read so.
    fn read<T>(&self, topic: &str, read: impl Fn(&tapewatch_eventlog::RecordRef<'_>) -> Option<T>) -> Vec<T> {
        let mut scanner = Scanner::new(Arc::clone(&self.log)).unwrap();
        let mut found = Vec::new();
        for partition in 0..support::partitions(&*self.log)[topic] as i32 {
            let at = TopicPartition::new(topic, partition);
            scanner
                .scan::<LogError>(&at, 0, |record| {
                    found.extend(read(record));
                    Ok(())
                })
                .unwrap();
        }
        found
    }

    fn letters(&self) -> Vec<Letter> {
        self.read(DLQ, Letter::read)
    }

    fn entries(&self) -> Vec<Entry> {
        self.read(c::REDRIVES, |record| Some(serde_json::from_slice(record.value.unwrap()).unwrap()))
    }

    /// The last count that was published of a portfolio.
    fn count(&self, portfolio: &str) -> Option<f64> {
        let codec = Codec::new(&[]).unwrap();
        let mut last = None;
        for (_, _, value) in dump(&self.log, c::RISK_METRICS) {
            let Event::RiskMetrics(RiskMetrics { scope, measures, .. }) = codec.decode_any(&value).unwrap()
            else {
                continue;
            };
            if scope.as_str() == portfolio {
                last = measures.first().and_then(|Measure { value, .. }| *value).or(last);
            }
        }
        last
    }
}

#[test]
fn a_refused_record_comes_back_once_and_is_taken() {
    let mut desk = Desk::new();
    let soon = desk.fill("p4", Some(TOO_SOON));
    let others: Vec<OutRecord> = (0..3).map(|_| desk.fill("p4", None)).collect();
    desk.write([vec![soon.clone()], others].concat());
    desk.run();
    assert_eq!((desk.count("p4"), desk.letters().len()), (Some(3.0), 1));

    let sent = desk.redrive(&Desk::request());
    assert_eq!((sent.sent, sent.transactions, sent.left.before), (1, 1, 0));
    let back = desk.read(REDRIVE, |record| {
        assert_eq!((record.key, record.value), (soon.key.as_deref(), soon.value.as_deref()));
        assert_eq!(record.partition, soon.target.partition);
        Redriven::read(record)
    });
    assert_eq!(back.len(), 1);
    assert_eq!((back[0].worker.as_str(), back[0].reason, back[0].attempts), ("risk", Reason::Refused, 1));
    assert_eq!((&back[0].source, back[0].offset), (&soon.target, 0));
    assert_eq!(back[0].letter, (soon.target.partition, 0));
    let entries = desk.entries();
    assert_eq!((entries[0].who.as_str(), entries[0].why.as_str()), ("ann", "it is fixed"));
    assert_eq!((entries[0].records, entries[0].letters.len()), (1, 1));

    desk.run();
    assert_eq!((desk.count("p4"), desk.letters().len()), (Some(4.0), 1));
    all_holds(&desk.log);
    // It is there for the task that begins anew, too.
    let mut worker = desk.worker();
    worker.run_to_end().unwrap();
    assert_eq!(worker.task_mut(soon.target.partition).unwrap().core.counts().processed, 4);
    worker.stop().unwrap();

    let again = desk.redrive(&Desk::request());
    assert_eq!((again.sent, again.transactions, again.left.before), (0, 0, 1));
    assert_eq!(desk.read(REDRIVE, Redriven::read).len(), 1, "each letter goes once");
    all_holds(&desk.log);
}

#[test]
fn filters_choose_and_a_dry_run_writes_nothing() {
    let mut desk = Desk::new();
    let mut records = Vec::new();
    for portfolio in ["p4", "p5", "p6", "p7", "p8"] {
        for _ in 0..6 {
            records.push(desk.fill(portfolio, None));
        }
        records.push(desk.fill(portfolio, Some("refuse me")));
    }
    records.push(desk.junk("p4"));
    desk.write(records);
    desk.run();
    let ends = || {
        let topics = desk.log.topics().unwrap();
        let places = topics.iter().flat_map(|topic| {
            (0..topic.partitions).map(|number| TopicPartition::new(topic.name.clone(), number))
        });
        places.map(|at| desk.log.bounds(&at).unwrap().end).collect::<Vec<_>>()
    };
    let before = ends();
    let chosen = |filter: Filter| {
        let outcome = survey(&desk.log, &Request { filter, ..Desk::request() }).unwrap();
        outcome.sent
    };
    let all = Filter::default();
    assert_eq!(chosen(all.clone()), 6);
    assert_eq!(chosen(Filter { reason: Some(Reason::BadJson), ..all.clone() }), 1);
    assert_eq!(chosen(Filter { key: Some(b"p4".to_vec()), ..all.clone() }), 2);
    assert_eq!(chosen(Filter { worker: Some("alerting".into()), ..all.clone() }), 0);
    let (zero, one) = (0..2)
        .map(|partition| chosen(Filter { partition: Some(partition), ..all.clone() }))
        .fold((0, 0), |(a, _), n| if a == 0 { (n, 0) } else { (a, n) });
    assert_eq!(zero + one, 6);
    assert_eq!(chosen(Filter { partition: Some(0), offsets: Some((0, 0)), ..all.clone() }), 1);
    let now = tapewatch_consumers::worker::wall();
    assert_eq!(chosen(Filter { from: Some(now), ..all.clone() }), 0);
    assert_eq!(chosen(Filter { to: Some(now + support::MINUTE), ..all.clone() }), 6);
    let histogram = survey(&desk.log, &Desk::request()).unwrap().histogram;
    assert_eq!(histogram.reasons, [("bad_json", 1), ("refused", 5)].into());
    assert_eq!((histogram.workers["risk"], histogram.keys[&b"p4"[..]], histogram.hours.len()), (6, 2, 1));
    assert_eq!(ends(), before, "nothing was written");
    assert!(
        survey(&desk.log, &Request { filter: Filter { partition: Some(9), ..all }, ..Desk::request() })
            .is_err()
    );
}

#[test]
fn what_comes_back_too_often_is_not_sent_again() {
    let mut desk = Desk::new();
    let bad = desk.fill("p4", Some("refuse me"));
    desk.write(vec![bad.clone()]);
    desk.run();
    for tried in 1..3 {
        let sent = desk.redrive(&Desk::request());
        assert_eq!((sent.sent, sent.left.before), (1, tried - 1));
        desk.run();
        let letters = desk.letters();
        let last = letters.last().unwrap();
        assert_eq!((last.attempts, &last.source, last.offset), (tried as u32 + 1, &bad.target, 0));
        assert_eq!(last.redriven, Some((bad.target.partition, tried as i64 - 1)));
        all_holds(&desk.log);
    }
    let sent = desk.redrive(&Desk::request());
    assert_eq!((sent.sent, sent.left.too_often, sent.left.before), (0, 1, 2));
    let given_up = desk.redrive(&Request { discard: true, ..Desk::request() });
    assert_eq!(given_up.sent, 1);
    desk.run();
    assert_eq!(desk.letters().len(), 3, "what was given up is no letter again");
    all_holds(&desk.log);
}

#[test]
fn order_is_that_of_the_first_publication_and_survives_a_failure_in_between() {
    let mut desk = Desk::new();
    desk.failure_rate = 2.0;
    for index in 0..40 {
        let portfolio = format!("p{}", 4 + index % 5);
        let (bad, good) = (desk.fill(&portfolio, Some("refuse me")), desk.fill(&portfolio, None));
        desk.write(vec![bad, good]);
    }
    desk.run();
    assert_eq!(desk.letters().len(), 40);
    // One key first: its new letters stand behind those of the others.
    let some = Filter { key: Some(b"p5".to_vec()), ..Filter::default() };
    assert_eq!(desk.redrive(&Request { filter: some, ..Desk::request() }).sent, 8);
    desk.run();
    let before = desk.read(REDRIVE, Redriven::read);
    let sent = desk.redrive(&Desk::request());
    assert_eq!((sent.sent, sent.left.before), (40, 8));
    let back = desk.read(REDRIVE, Redriven::read);
    for partition in 0..2 {
        let of = |back: &&Redriven| back.source.partition == partition;
        let first = before.iter().filter(of).count();
        let offsets: Vec<i64> = back.iter().filter(of).skip(first).map(|back| back.offset).collect();
        assert!(offsets.len() > 10 && offsets.is_sorted(), "{offsets:?}");
    }
    desk.run();
    all_holds(&desk.log);
}

#[test]
fn what_is_behind_a_range_letter_comes_back_from_the_source() {
    let mut desk = Desk::new();
    let mut records = vec![desk.fill("p4", None)];
    records.extend((0..30).map(|_| desk.junk("p4")));
    desk.write(records);
    let mut worker = desk.worker();
    worker.run_to_end().unwrap();
    desk.later(&mut worker);
    let single = desk.letters().iter().filter(|letter| !letter.range).count();
    let all = survey(&desk.log, &Desk::request()).unwrap();
    assert_eq!((all.sent, all.left.gone), (30, 0), "{single} of them have letters of their own");
    assert!((1..30).contains(&single));
    // Junk stays junk: round and round it goes until it was tried too often.
    for tried in 1..3 {
        let sent = desk.redrive(&Desk::request());
        assert_eq!((sent.sent, sent.left.before), (30, 30 * (tried - 1)));
        worker.run_to_end().unwrap();
        desk.later(&mut worker);
    }
    let last = desk.redrive(&Desk::request());
    assert_eq!((last.sent, last.left.too_often, last.left.before), (0, 30, 60));
    worker.stop().unwrap();
    let ranges: Vec<Letter> = desk.letters().into_iter().filter(|letter| letter.range).collect();
    assert!(ranges.iter().any(|letter| letter.source.topic.as_str() == REDRIVE), "{ranges:?}");
    all_holds(&desk.log);
    desk.run();
    all_holds(&desk.log);
}

#[test]
fn what_a_range_letter_lists_waits_until_its_worker_has_read_it_again() {
    let mut desk = Desk::new();
    let mut records = vec![desk.fill("p4", None)];
    records.extend((0..30).map(|_| desk.junk("p4")));
    let at = records[0].target.clone();
    desk.write(records);
    let mut worker = desk.worker();
    worker.run_to_end().unwrap();
    desk.tape.now = desk.tape.now + support::MINUTE;
    let mark = desk.tape.mark("BTC-USD");
    desk.write(vec![desk.tape.record(&*desk.log, &mark)]);
    // The probe looks at all of it; the letter is written, and none of it is read again yet.
    worker.run_to_end().unwrap();
    assert!(worker.resume_breaker(&at, "ann", "go on"));
    worker.flush().unwrap();
    let early = survey(&desk.log, &Desk::request()).unwrap();
    assert!(early.left.under_way > 0 && early.sent + early.left.under_way == 30, "{:?}", early.left);
    worker.run_to_end().unwrap();
    assert_eq!(survey(&desk.log, &Desk::request()).unwrap().sent, 30);
    worker.stop().unwrap();
}

#[test]
fn what_is_given_up_behind_an_open_breaker_is_in_no_range_letter() {
    let mut desk = Desk::new();
    let mut records = vec![desk.fill("p4", None)];
    records.extend((0..20).map(|_| desk.junk("p4")));
    desk.write(records);
    let mut worker = desk.worker();
    worker.run_to_end().unwrap();
    desk.later(&mut worker);
    // All of it fails again, and the breaker of what comes back opens; then it is given up.
    assert_eq!(desk.redrive(&Desk::request()).sent, 20);
    worker.run_to_end().unwrap();
    assert!(desk.redrive(&Request { discard: true, ..Desk::request() }).sent > 0);
    worker.run_to_end().unwrap();
    desk.later(&mut worker);
    worker.stop().unwrap();
    all_holds(&desk.log);
}

#[test]
fn what_is_for_another_worker_or_for_nobody_is_told_apart() {
    let mut desk = Desk::new();
    let good = desk.fill("p4", None);
    let partition = good.target.partition;
    let mut batch = BatchBuilder::new(good.target.clone());
    batch.push(0, Time(5), good.key.as_deref(), good.value.as_deref(), |_| ());
    let why = DeadLetter {
        worker: "consistency",
        group: "g",
        task: 0,
        own: true,
        reason: Reason::Refused,
        attempts: 1,
        error: "not mine",
    };
    let letter = why.of(&batch.build().record(0), 1 << 20);
    let nobodys = OutRecord { target: TopicPartition::new(REDRIVE, partition), ..good.clone() };
    desk.write(vec![good, letter, nobodys]);
    assert_eq!(desk.redrive(&Desk::request()).sent, 1);
    desk.run();
    assert_eq!(desk.count("p4"), Some(1.0), "it is for another worker, and the other for none");
    let own: Vec<Letter> = desk.letters().into_iter().filter(|letter| letter.worker == "risk").collect();
    assert_eq!(own.len(), 1);
    assert_eq!((own[0].reason, own[0].source.topic.as_str()), (Reason::Misrouted, REDRIVE));
    all_holds(&desk.log);
}

#[test]
fn a_broadcast_letter_comes_back_to_all_tasks_and_is_one_letter_again() {
    let mut desk = Desk::new();
    let mark = desk.tape.mark("BTC-USD");
    let good = desk.tape.record(&*desk.log, &mark);
    let junk = OutRecord { value: Some(Bytes::from_static(b"{no")), ..good.clone() };
    desk.write(vec![good, junk]);
    desk.run();
    let request = Request { topic: c::MARKET_DATA.into(), ..Desk::request() };
    assert_eq!(desk.redrive(&request).sent, 1);
    desk.run();
    let letters = desk.read("market.data.v1.dlq", Letter::read);
    assert_eq!(letters.iter().map(|letter| letter.attempts).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(letters[0].source, letters[1].source);
    all_holds(&desk.log);
}

#[test]
fn an_audit_journal_that_was_changed_is_named() {
    let mut desk = Desk::new();
    let bad = desk.fill("p4", Some("refuse me"));
    desk.write(vec![bad]);
    desk.run();
    desk.redrive(&Desk::request());
    let mut entry = desk.entries().remove(0);
    entry.sequence = 1;
    let value = Some(Bytes::from(serde_json::to_vec(&entry).unwrap()));
    let target = TopicPartition::new(c::REDRIVES, 0);
    desk.write(vec![OutRecord { target, timestamp: None, key: None, value, headers: vec![] }]);
    let error = survey(&desk.log, &Desk::request()).unwrap_err().to_string();
    assert!(error.contains("journal.redrive.v1/0 offset 1"), "{error}");
}
