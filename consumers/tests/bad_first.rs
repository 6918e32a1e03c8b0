//! The first thing that a new log brings is bad: whoever should know is told, and when.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use support::{dump, memory};
use tapewatch_config::Settings;
use tapewatch_consumers::audit::{Subject, audit};
use tapewatch_consumers::replay::{Range, Verdict, Verifier};
use tapewatch_consumers::worker::wall;
use tapewatch_consumers::{Worker, workers};
use tapewatch_eventlog::{Log, OutRecord, Round, TopicPartition};
use tapewatch_schemas::events::{HealthKind, SystemHealth};
use tapewatch_schemas::{Codec, Event, catalogue as c};

/// What the workers say of their health.
fn health(log: &Arc<dyn Log>) -> Vec<SystemHealth> {
    let codec = Codec::new(&[]).unwrap();
    let decode = |value: &[u8]| match codec.decode(c::SYSTEM_HEALTH, value) {
        Ok(Event::SystemHealth(health)) => health,
        other => panic!("{other:?}"),
    };
    dump(log, c::SYSTEM_HEALTH).iter().map(|(_, _, value)| decode(value)).collect()
}

/// Runs the risk worker on the wall's clock over `bad` records of a topic and nothing else, until it has said
/// something of this kind. All that it said.
fn told(topic: &str, bad: usize, kind: HealthKind) -> Vec<SystemHealth> {
    let log = memory();
    let one = OutRecord {
        target: TopicPartition::new(topic, 0),
        timestamp: None,
        key: None,
        value: Some(Bytes::from_static(b"{")),
        headers: Vec::new(),
    };
    log.writer("tape").unwrap().commit(&Round { records: vec![one; bad], offsets: vec![] }, None).unwrap();
    let variables = [("TAPEWATCH_TOPICS__PARTITIONS", "2"), ("TAPEWATCH_RUNTIME__HEARTBEAT_EVERY", "100ms")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = Settings::load(None, None, variables.into_iter()).unwrap();
    let plan = workers::plan(c::RISK, &settings, &*log, "a").unwrap();
    let mut worker = Worker::join(plan.clone(), Arc::clone(&log)).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while health(&log).iter().all(|health| health.kind != kind) {
        assert!(Instant::now() < until, "nobody was told of {bad} bad records of {topic}");
        worker.turn(Duration::from_millis(5)).unwrap();
    }
    worker.stop().unwrap();

    let found = audit(&log, &Subject::from(&plan), &mut |_| {}).unwrap();
    assert!(found.holds(), "{:#?}", found.lines);
    let mut verifier = Verifier::new(&plan, Arc::clone(&log), Range::default()).unwrap();
    for task in 0..verifier.tasks() {
        let report = verifier.verify(task, &mut |_, _| {}).unwrap();
        assert_eq!(report.verdict(), Verdict::Verified, "{report:#?}");
    }
    health(&log)
}

#[test]
fn a_breaker_that_opens_before_a_good_record_says_when() {
    let now = wall();
    for health in told(c::ACCOUNTS, 30, HealthKind::BreakerOpened) {
        let age = health.event_time.since(now).abs();
        assert!(age < 60_000_000, "{:?} at {}", health.kind, health.event_time.micros());
    }
}

#[test]
fn a_dead_letter_before_a_good_record_is_told_by_the_task_that_wrote_it() {
    let told = told(c::HEARTBEATS, 1, HealthKind::DeadLetters);
    let dead: Vec<_> = told.iter().filter(|health| health.kind == HealthKind::DeadLetters).collect();
    assert!(dead.iter().all(|health| health.component == "risk/0"), "{dead:#?}");
    assert_eq!(dead[0].count, Some(1));
}
