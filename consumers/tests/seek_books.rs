//! What the risk worker says about holdings after a person skipped execution reports.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use support::{Tape, dump, memory};
use tapewatch_config::{Clock, Settings};
use tapewatch_consumers::audit::{Subject, audit};
use tapewatch_consumers::plan::WorkerPlan;
use tapewatch_consumers::replay::{Range, Verdict, Verifier};
use tapewatch_consumers::seek::{Request, Target, seek};
use tapewatch_consumers::worker::SkipError;
use tapewatch_consumers::{Worker, workers};
use tapewatch_eventlog::{Log, OutRecord, Round, TopicPartition};
use tapewatch_schemas::catalogue as c;
use tapewatch_schemas::events::{Holdings, Position, PositionLine, RiskMetrics, Unknown};
use tapewatch_schemas::journal::JournalRecord;
use tapewatch_schemas::{Amount, Codec, Event};

fn plan(log: &Arc<dyn Log>) -> WorkerPlan {
    let mut settings = Settings::defaults();
    settings.topics.partitions = support::PARTITIONS;
    settings.runtime.clock = Clock::Tape;
    workers::plan(c::RISK, &settings, &**log, "a").unwrap()
}

fn write(log: &Arc<dyn Log>, tape: &Tape, events: &[Event]) {
    let records = events.iter().map(|event| tape.record(&**log, event)).collect();
    log.writer("tape").unwrap().commit(&Round { records, offsets: vec![] }, None).unwrap();
}

/// Restores, takes everything, and stops.
fn work(log: &Arc<dyn Log>) {
    let mut worker = Worker::join(plan(log), Arc::clone(log)).unwrap();
    worker.run_to_end().unwrap();
    worker.stop().unwrap();
}

/// A mark so much later that a level is due before it, and work up to it.
fn level(log: &Arc<dyn Log>, tape: &mut Tape) -> (RiskMetrics, Holdings) {
    tape.now = tape.now + Duration::from_secs(90);
    for _ in 0..2 {
        let mark = tape.mark("BTC-USD");
        write(log, tape, &[mark]);
        work(log);
        tape.now = tape.now + Duration::from_secs(1);
    }
    let codec = Codec::new(&[]).unwrap();
    let of = |topic: &str| -> Event {
        let last = dump(log, topic).pop().unwrap();
        codec.decode_any(&last.2).unwrap()
    };
    match (of(c::RISK_METRICS), of(c::HOLDINGS)) {
        (Event::RiskMetrics(metrics), Event::Holdings(holdings)) => (metrics, holdings),
        other => panic!("{other:?}"),
    }
}

/// A log with a mark and a fill; and a bad record for where that fill is.
fn begun() -> (Arc<dyn Log>, Tape, TopicPartition, OutRecord) {
    let log = memory();
    let mut tape = Tape::new();
    let (mark, fill) = (tape.mark("BTC-USD"), tape.fill("p0"));
    let good = tape.record(&*log, &fill);
    write(&log, &tape, &[mark, fill]);
    let at = good.target.clone();
    (log, tape, at, OutRecord { value: Some(Bytes::from_static(b"{no")), ..good })
}

fn gross(metrics: &RiskMetrics) -> (Option<f64>, Option<Unknown>) {
    let measure = metrics.measures.iter().find(|measure| measure.name == "gross_exposure").unwrap();
    (measure.value, measure.unknown)
}

/// A breaker that closed has listed in a range letter what it is about to read again; whoever seeks past that
/// skips it.
#[test]
fn records_of_a_range_letter_that_a_seek_passes_over_are_skipped_once() {
    let (log, mut tape, at, bad) = begun();
    let mut records = vec![bad; 25];
    tape.now = tape.now + Duration::from_secs(3600);
    let fills = [tape.fill("p0"), tape.fill("p0"), tape.mark("BTC-USD")];
    records.extend(fills.iter().map(|event| tape.record(&*log, event)));
    log.writer("tape").unwrap().commit(&Round { records, offsets: vec![] }, None).unwrap();

    let mut worker = Worker::join(plan(&log), Arc::clone(&log)).unwrap();
    worker.run_to_end().unwrap();
    assert!(worker.resume_breaker(&at, "ada", "the producer is well again"));
    worker.flush().unwrap();
    let stands = worker.task_mut(at.partition).unwrap().merge.lane(&at).unwrap().position;
    drop(worker);
    let end = log.bounds(&at).unwrap().end;
    assert!(stands < end - 2, "what the letter lists is not read again yet");
    let request = Request {
        at: at.clone(),
        target: Target::Offset(end),
        who: "ada".into(),
        why: "they are of no use".into(),
    };
    assert_eq!(seek(&plan(&log), &log, &request).unwrap().skipped, end - stands);

    level(&log, &mut tape);
    support::holds(&log, &plan(&log));
}

/// A person gives up what stands before an open breaker, while the worker runs: good fills too.
#[test]
fn what_stands_before_a_breaker_is_given_up() {
    let (log, mut tape, at, bad) = begun();
    let fills = [tape.fill("p0"), tape.fill("p0")];
    let last = fills.iter().map(|event| tape.record(&*log, event));
    let records: Vec<_> = vec![bad; 25].into_iter().chain(last).collect();
    log.writer("tape").unwrap().commit(&Round { records, offsets: vec![] }, None).unwrap();

    let mut worker = Worker::join(plan(&log), Arc::clone(&log)).unwrap();
    worker.run_to_end().unwrap();
    let stands =
        |worker: &mut Worker| worker.task_mut(at.partition).unwrap().merge.lane(&at).unwrap().position;
    let (before, end) = (stands(&mut worker), log.bounds(&at).unwrap().end);
    assert_eq!(end - before, 17, "the breaker is open behind its tenth failure");
    let elsewhere = TopicPartition::new(c::ACCOUNTS, at.partition);
    assert_eq!(worker.skip_breaker(&elsewhere, None, "ada", "a bad deploy").unwrap(), None);
    let beyond = worker.skip_breaker(&at, Some(end + 1), "ada", "a bad deploy").unwrap_err();
    assert!(matches!(beyond, SkipError::Beyond { .. }), "{beyond}");
    assert_eq!(worker.skip_breaker(&at, Some(end - 3), "ada", "a bad deploy").unwrap(), Some(14));
    assert_eq!(stands(&mut worker), end - 3);
    worker.flush().unwrap();
    worker.run_to_end().unwrap();
    worker.stop().unwrap();
    let found = audit(&log, &Subject::from(&plan(&log)), &mut |_| {}).unwrap();
    let line =
        found.lines.iter().find(|line| line.topic == at.topic && line.partition == at.partition).unwrap();
    assert_eq!((line.skipped["seek"], line.lag), (14, 0), "{line:#?}");
    assert_eq!((line.processed, line.dead), (3, 11), "{line:#?}");
    let (metrics, holdings) = level(&log, &mut tape);
    assert_eq!((gross(&metrics), holdings.opened), ((None, Some(Unknown::NoOpening)), false));
    support::holds(&log, &plan(&log));
}

/// Part after part, each journalled: of more than is held at once.
#[test]
fn a_long_way_is_given_up_part_by_part() {
    let (log, _, at, bad) = begun();
    let records = vec![bad; 25_000];
    log.writer("tape").unwrap().commit(&Round { records, offsets: vec![] }, None).unwrap();

    let mut worker = Worker::join(plan(&log), Arc::clone(&log)).unwrap();
    worker.run_to_end().unwrap();
    let stands = worker.task_mut(at.partition).unwrap().merge.lane(&at).unwrap().position;
    let end = log.bounds(&at).unwrap().end;
    assert_eq!(worker.skip_breaker(&at, None, "ada", "a bad deploy").unwrap(), Some(end - stands));
    worker.flush().unwrap();
    worker.run_to_end().unwrap();
    worker.stop().unwrap();
    let journal = dump(&log, "journal.risk.v1").into_iter();
    let mut records = journal.map(|(_, _, value)| JournalRecord::open(&value).unwrap());
    let seek = |record: &JournalRecord| record.injected.iter().filter(|event| event.kind == "seek").count();
    assert_eq!(records.by_ref().map(|record| seek(&record)).filter(|seeks| *seeks > 0).count(), 3);
    support::holds(&log, &plan(&log));
}

/// What every task reads for itself, each gives up for itself.
#[test]
fn a_broadcast_source_is_given_up_by_every_task() {
    let log = memory();
    let mut tape = Tape::new();
    let mark = tape.mark("BTC-USD");
    let good = tape.record(&*log, &mark);
    let at = good.target.clone();
    let fills = [tape.fill("p0"), tape.fill("p4"), tape.fill("p7")];
    write(&log, &tape, std::slice::from_ref(&mark));
    write(&log, &tape, &fills);
    let bad = OutRecord { value: Some(Bytes::from_static(b"{no")), ..good };
    let records = vec![bad; 40];
    log.writer("tape").unwrap().commit(&Round { records, offsets: vec![] }, None).unwrap();

    let mut worker = Worker::join(plan(&log), Arc::clone(&log)).unwrap();
    worker.run_to_end().unwrap();
    let end = log.bounds(&at).unwrap().end;
    let open =
        |worker: &Worker| worker.tasks().filter(|task| task.core.open_breakers().contains(&at)).count();
    assert_eq!(open(&worker), support::PARTITIONS as usize);
    let before: i64 = worker.tasks().map(|task| end - task.merge.lane(&at).unwrap().position).sum();
    assert!(before > 0);
    assert_eq!(worker.skip_breaker(&at, None, "ada", "a bad deploy").unwrap(), Some(before));
    worker.flush().unwrap();
    assert_eq!(open(&worker), 0);
    // It is read again from there.
    let mark = tape.mark("BTC-USD");
    write(&log, &tape, &[mark]);
    worker.run_to_end().unwrap();
    worker.stop().unwrap();
    let found = audit(&log, &Subject::from(&plan(&log)), &mut |_| {}).unwrap();
    let lines: Vec<_> = found.lines.iter().filter(|line| line.topic == at.topic).collect();
    assert!(lines.iter().all(|line| line.lag == 0), "{lines:#?}");
    assert_eq!(lines.iter().map(|line| line.processed).sum::<i64>(), 2 * i64::from(support::PARTITIONS));
    support::holds(&log, &plan(&log));
}

#[test]
fn holdings_are_unknown_after_skipped_fills_until_positions_say_them_and_replay_agrees() {
    let log = memory();
    let mut tape = Tape::new();
    let (mark, fill) = (tape.mark("BTC-USD"), tape.fill("p0"));
    let at = tape.record(&*log, &fill).target;
    write(&log, &tape, &[mark, fill]);
    work(&log);
    let (metrics, holdings) = level(&log, &mut tape);
    assert_eq!((gross(&metrics), holdings.opened), ((Some(100.0), None), true));

    let end = |log: &Arc<dyn Log>| log.bounds(&at).unwrap().end;
    let request = |to| Request {
        at: TopicPartition::new(c::EXEC_REPORTS, at.partition),
        target: Target::Offset(to),
        who: "ada".into(),
        why: "a bad deploy".into(),
    };
    // A jump to where it stands skips nothing, and the book stays open.
    assert_eq!(seek(&plan(&log), &log, &request(end(&log))).unwrap().skipped, 0);
    assert!(level(&log, &mut tape).1.opened);
    let fills: Vec<Event> = (0..3).map(|_| tape.fill("p0")).collect();
    write(&log, &tape, &fills);
    assert_eq!(seek(&plan(&log), &log, &request(end(&log))).unwrap().skipped, 3);
    let (metrics, holdings) = level(&log, &mut tape);
    assert_eq!((gross(&metrics), holdings.opened), ((None, Some(Unknown::NoOpening)), false));
    let later = tape.fill("p0");
    write(&log, &tape, &[later]);
    assert_eq!(gross(&level(&log, &mut tape).0), (None, Some(Unknown::NoOpening)));

    let positions = Event::Position(Position {
        source: "sim".into(),
        sequence: 1,
        event_time: tape.now,
        portfolio: "p0".into(),
        complete: true,
        positions: vec![PositionLine {
            symbol: "BTC-USD".into(),
            quantity: Amount::from(5),
            average_cost: None,
            currency: "USD".into(),
        }],
    });
    write(&log, &tape, &[positions]);
    let (metrics, holdings) = level(&log, &mut tape);
    assert_eq!((gross(&metrics), holdings.opened), ((Some(500.0), None), true));

    let plan = plan(&log);
    let mut verifier = Verifier::new(&plan, Arc::clone(&log), Range::default()).unwrap();
    for task in 0..verifier.tasks() {
        let report = verifier.verify(task, &mut |_, _| {}).unwrap();
        assert_eq!(report.verdict(), Verdict::Verified, "{report:#?}");
    }
}
