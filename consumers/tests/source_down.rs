//! A source that goes down, through a whole worker: what rests on it is unknown meanwhile, an open breaker is
//! restored open, and who closes it by hand is in the journal.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use support::{Tape, all_holds, dump, holds, memory, turn_until, worker_plan};
use tapewatch_config::Settings;
use tapewatch_consumers::injected::Injected;
use tapewatch_consumers::plan::WorkerPlan;
use tapewatch_consumers::timing::wall;
use tapewatch_consumers::{Worker, workers};
use tapewatch_eventlog::{Log, OutRecord, Round, TopicPartition};
use tapewatch_schemas::events::{LimitStatus, Unknown};
use tapewatch_schemas::journal::JournalRecord;
use tapewatch_schemas::{Codec, Event, Time, catalogue as c};

fn write(log: &Arc<dyn Log>, records: Vec<OutRecord>) {
    log.writer("tape").unwrap().commit(&Round { records, offsets: vec![] }, None).unwrap();
}

fn run(log: &Arc<dyn Log>, worker: &mut Worker, records: Vec<OutRecord>) {
    write(log, records);
    worker.run_to_end().unwrap();
}

/// The real risk worker on the tape's clock.
fn risk(log: &Arc<dyn Log>) -> WorkerPlan {
    let variables = [
        ("TAPEWATCH_TOPICS__PARTITIONS", "2"),
        ("TAPEWATCH_RUNTIME__CLOCK", "tape"),
        ("TAPEWATCH_RUNTIME__HEARTBEAT_EVERY", "30s"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = Settings::load(None, None, variables.into_iter()).unwrap();
    workers::plan(c::RISK, &settings, &**log, "a").unwrap()
}

/// Where the limit `position` of the portfolio stood, each time it was said: with what it was before.
fn standings(log: &Arc<dyn Log>, portfolio: &str) -> Vec<(Time, LimitStatus, Option<Unknown>)> {
    let codec = Codec::new(&[]).unwrap();
    let mut found = Vec::new();
    for (_, key, value) in dump(log, c::RISK_METRICS) {
        let Ok(Event::RiskMetrics(metrics)) = codec.decode(c::RISK_METRICS, &value) else {
            panic!("figures")
        };
        if key == portfolio.as_bytes() {
            let limit = metrics.limits.iter().find(|limit| limit.limit == "position").unwrap();
            found.push((metrics.event_time, limit.status, limit.unknown));
        }
    }
    found
}

/// Law 5.
#[test]
fn what_rests_on_a_source_is_unknown_while_its_breaker_is_open() {
    let log = memory();
    let mut tape = Tape::new();
    let mut worker = Worker::join(risk(&log), Arc::clone(&log)).unwrap();
    let first = tape.slice(&*log, 60).records;
    let good = first.iter().find(|record| record.key.as_deref() == Some(b"p4")).unwrap().clone();
    run(&log, &mut worker, first);
    let before = *standings(&log, "p4").last().unwrap();
    assert_eq!((before.1, before.2), (LimitStatus::Ok, None), "it is known before");

    let poison = OutRecord { value: Some(Bytes::from_static(b"{no")), ..good.clone() };
    run(&log, &mut worker, vec![poison; 40]);
    let down = *standings(&log, "p4").last().unwrap();
    assert_eq!((down.1, down.2), (LimitStatus::Unknown, Some(Unknown::SourceDown)));
    // It stays so while time goes by: a level says so again and again, and never anything else.
    let told = standings(&log, "p4").len();
    let other = |record: &OutRecord| record.target != good.target;
    let marks: Vec<_> = tape.slice(&*log, 25).records.into_iter().filter(other).collect();
    run(&log, &mut worker, marks);
    assert!(standings(&log, "p4")[told..].iter().all(|said| said.2 == Some(Unknown::SourceDown)));

    // Good records come again, and the time to wait is over.
    for _ in 0..3 {
        let slice = tape.slice(&*log, 60).records;
        run(&log, &mut worker, slice);
    }
    let after = *standings(&log, "p4").last().unwrap();
    assert_eq!((after.1, after.2), (LimitStatus::Ok, None), "it is known again");
    let p7 = standings(&log, "p7");
    assert!(!p7.is_empty() && p7.iter().all(|said| said.2 != Some(Unknown::SourceDown)), "another partition");
    worker.stop().unwrap();
    holds(&log, &risk(&log));
}

/// A worker of which one source is down: four good records, then bad ones, of which the fourth opens the breaker.
fn broken(log: &Arc<dyn Log>, tape: &mut Tape) -> (Worker, TopicPartition) {
    let mut worker = Worker::join(worker_plan(&**log, "a"), Arc::clone(log)).unwrap();
    let mut records = tape.slice(&**log, 10).records;
    let good = records[1].clone();
    records.extend(vec![OutRecord { value: Some(Bytes::from_static(b"{no")), ..good.clone() }; 6]);
    run(log, &mut worker, records);
    assert_eq!(open(&worker), std::slice::from_ref(&good.target));
    (worker, good.target)
}

fn open(worker: &Worker) -> Vec<TopicPartition> {
    worker.tasks().flat_map(|task| task.core.open_breakers()).collect()
}

/// Law 6, for what latches today.
#[test]
fn an_open_breaker_is_restored_open() {
    let log = memory();
    let mut tape = Tape::new();
    let (mut worker, at) = broken(&log, &mut tape);
    let position =
        |worker: &mut Worker| worker.task_mut(at.partition).unwrap().merge.lane(&at).unwrap().position;
    let stopped = position(&mut worker);
    // From the journal alone, and from a snapshot.
    for graceful in [false, true, false] {
        if graceful {
            worker.stop().unwrap();
        } else {
            drop(worker);
        }
        worker = Worker::join(worker_plan(&*log, "a"), Arc::clone(&log)).unwrap();
        // Good records come, but the time to wait is not over.
        let slice = tape.slice(&*log, 5).records;
        run(&log, &mut worker, slice);
        assert_eq!(open(&worker), std::slice::from_ref(&at));
        assert_eq!(position(&mut worker), stopped, "nothing is taken of a source that is down");
    }
    worker.stop().unwrap();
    all_holds(&log);
}

/// Law 6: a named person closes it, and the journal says who and why.
#[test]
fn who_closes_a_breaker_by_hand_is_journalled_with_the_reason() {
    let log = memory();
    let mut tape = Tape::new();
    let (mut worker, at) = broken(&log, &mut tape);
    let slice = tape.slice(&*log, 5).records;
    run(&log, &mut worker, slice);
    assert!(!worker.resume_breaker(&TopicPartition::new(c::ACCOUNTS, 0), "ann", "no"), "it is not open");
    assert!(worker.resume_breaker(&at, "ann", "the deploy is undone"));
    worker.flush().unwrap();
    assert!(open(&worker).is_empty());
    let slice = tape.slice(&*log, 5).records;
    run(&log, &mut worker, slice);
    let end = log.bounds(&at).unwrap().end;
    assert_eq!(worker.task_mut(at.partition).unwrap().merge.lane(&at).unwrap().position, end, "all is taken");
    worker.stop().unwrap();

    let mut closed = Vec::new();
    for (task, _, value) in dump(&log, "journal.risk.v1") {
        for event in JournalRecord::open(&value).unwrap().injected {
            if let Injected::SourceUp(up) = Injected::from_journal(&event).unwrap() {
                closed.push((task, up.at(), up.by));
            }
        }
    }
    let by = Some(("ann".to_owned(), "the deploy is undone".to_owned()));
    assert_eq!(closed, [(at.partition, at.clone(), by)]);
    all_holds(&log);
}

#[test]
fn what_one_task_holds_before_its_breaker_keeps_no_other_from_reading_on() {
    const BOUND: usize = 8;
    let log = memory();
    let mut plan = worker_plan(&*log, "a");
    plan.runtime.tape_clock = false;
    plan.runtime.lane_records = BOUND;
    plan.blueprint.breaker.wait = Duration::from_secs(3_600);
    plan.letters.breaker.wait = plan.blueprint.breaker.wait;
    let letters = plan.letters.clone();
    let mut worker = Worker::join(plan, Arc::clone(&log)).unwrap();
    let mut tape = Tape::new();
    let mut marks = |count: usize| -> Vec<OutRecord> {
        tape.now = wall();
        let marks: Vec<Event> = (0..count).map(|_| tape.mark("BTC-USD")).collect();
        marks.iter().map(|mark| tape.record(&*log, mark)).collect()
    };
    let good = marks(4);
    let at = good[0].target.clone();
    let bad = OutRecord { value: Some(Bytes::from_static(b"{no")), ..good[0].clone() };
    write(&log, good);
    write(&log, vec![bad; 6]);
    turn_until(&mut worker, |worker| open(worker) == [at.clone(), at.clone()]);
    // One task reads on, the other stays before its breaker.
    let by = |who: &str| Some((who.to_owned(), "it looks well".to_owned()));
    worker.task_mut(0).unwrap().close_breaker(&at, by("ann"), &letters);
    let end = || log.bounds(&at).unwrap().end;
    let position = |worker: &Worker, task: usize| {
        let lanes = &worker.tasks().nth(task).unwrap().merge;
        lanes.lane(&at).map(|lane| (lane.position, lane.queued())).unwrap()
    };
    for _ in 0..10 {
        write(&log, marks(6));
        turn_until(&mut worker, |worker| position(worker, 0).0 == end());
        let (stands, held) = position(&worker, 1);
        assert!(stands <= 10 && held < 2 * BOUND, "at offset {stands} with {held} records held");
    }
    worker.task_mut(1).unwrap().close_breaker(&at, by("ben"), &letters);
    turn_until(&mut worker, |worker| position(worker, 1).0 == end());
    worker.stop().unwrap();
    all_holds(&log);
}
