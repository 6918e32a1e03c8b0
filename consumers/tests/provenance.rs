//! Law 4: every result says where it came from, and it is so.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use support::{Tape, memory};
use tapewatch_config::Settings;
use tapewatch_consumers::outbox::FROM;
use tapewatch_consumers::plan::WorkerPlan;
use tapewatch_consumers::scan::Scanner;
use tapewatch_consumers::{Worker, workers};
use tapewatch_eventlog::{Log, LogError, Round, TopicPartition};
use tapewatch_schemas::events::{Provenance, RiskMetrics};
use tapewatch_schemas::journal::JournalRecord;
use tapewatch_schemas::{Codec, Event, RecordId, catalogue as c};

/// The real risk worker on the tape's clock.
fn risk(log: &Arc<dyn Log>) -> WorkerPlan {
    let variables = [
        ("TAPEWATCH_TOPICS__PARTITIONS", "2"),
        ("TAPEWATCH_RUNTIME__CLOCK", "tape"),
        ("TAPEWATCH_RUNTIME__HEARTBEAT_EVERY", "30s"),
        ("TAPEWATCH_RUNTIME__MAX_RECORDS", "50"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = Settings::load(None, None, variables.into_iter()).unwrap();
    workers::plan(c::RISK, &settings, &**log, "a").unwrap()
}

/// Everything in a topic: place, header, event.
fn read(log: &Arc<dyn Log>, codec: &Codec, topic: &str) -> Vec<(i32, i64, String, Event)> {
    let mut found = Vec::new();
    let mut scanner = Scanner::new(Arc::clone(log)).unwrap();
    for partition in 0..support::partitions(&**log)[topic] as i32 {
        let at = TopicPartition::new(topic, partition);
        let scanned = scanner.scan::<LogError>(&at, 0, |record| {
            let from = String::from_utf8(record.headers.get(FROM).unwrap_or_default().to_vec()).unwrap();
            let event = codec.decode(topic, record.value.unwrap()).unwrap();
            found.push((partition, record.offset, from, event));
            Ok(())
        });
        scanned.unwrap();
    }
    found
}

fn journal(log: &Arc<dyn Log>) -> Vec<JournalRecord> {
    let records = support::dump(log, "journal.risk.v1");
    records.iter().map(|(_, _, value)| JournalRecord::open(value).unwrap()).collect()
}

/// A record's provenance and id.
fn of(event: &mut Event) -> (Provenance, RecordId) {
    let derived = event.derived().expect("a derived record");
    (derived.provenance.clone(), *derived.id)
}

#[test]
fn every_output_names_the_record_that_caused_it_and_the_step_that_made_it() {
    let log = memory();
    let plan = risk(&log);
    let mut tape = Tape::new();
    let mut worker = Worker::join(plan.clone(), Arc::clone(&log)).unwrap();
    for round in tape.whole(&*log, 3) {
        log.writer("tape").unwrap().commit(&round, None).unwrap();
        worker.run_to_end().unwrap();
    }
    worker.stop().unwrap();

    let codec = Codec::new(&[]).unwrap();
    let mut inputs: BTreeMap<String, Event> = BTreeMap::new();
    for topic in [c::EXEC_REPORTS, c::ACCOUNTS, c::MARKET_DATA, c::HEARTBEATS] {
        for (partition, offset, _, event) in read(&log, &codec, topic) {
            inputs.insert(format!("{topic}/{partition}/{offset}"), event);
        }
    }
    let journal = journal(&log);
    let (mut by_record, mut by_tick) = (0, 0);
    for topic in [c::RISK_METRICS, c::HOLDINGS] {
        for (partition, _, from, mut event) in read(&log, &codec, topic) {
            let (said, id) = of(&mut event);
            let (step, index) = (said.step as u64, said.index as u32);
            assert_eq!((said.worker.as_str(), said.partition), (c::RISK, partition));
            assert_eq!(from, format!("risk/{partition}/{step}/{index}"));
            assert_eq!(id, RecordId::of_step(c::RISK, partition, step, index));
            assert_eq!(said.code, plan.epoch.code);
            assert!(
                plan.epoch.configuration.starts_with(&said.configuration) && said.configuration.len() == 16
            );
            let holds = |record: &&JournalRecord| {
                record.partition == partition
                    && (record.first_step..record.first_step + record.steps).contains(&said.step)
            };
            let record = journal.iter().find(holds).expect("a journal record holds the step");
            if let Some(time) = said.cause.strip_prefix("tick@") {
                by_tick += 1;
                assert_eq!(time, event.event_time().micros().to_string());
                assert!(
                    record.injected.iter().any(|tick| tick.kind == "tick" && tick.time == event.event_time())
                );
                continue;
            }
            by_record += 1;
            let cause = inputs.get(&said.cause).unwrap_or_else(|| panic!("there is no {}", said.cause));
            assert_eq!(cause.event_time(), event.event_time(), "{said:?}");
            if let Event::ExecReport(fill) = cause {
                assert_eq!(fill.portfolio.as_str(), event.key(), "{said:?}");
            }
            let place: Vec<&str> = said.cause.rsplitn(3, '/').collect();
            let (offset, number) = (place[0].parse::<i64>().unwrap(), place[1].parse::<i32>().unwrap());
            let covers = record.inputs.iter().any(|range| {
                (range.topic.as_str(), range.partition) == (place[2], number)
                    && (range.from..range.to).contains(&offset)
            });
            assert!(covers, "the journal record of the step has its cause: {said:?}");
        }
    }
    assert!(by_record > 100 && by_tick > 10, "{by_record} caused by records, {by_tick} by ticks");
}

/// Ages are the clock less the event times of what a figure rests on.
#[test]
fn ages_are_those_of_the_inputs() {
    let log = memory();
    let mut tape = Tape::new();
    let mut worker = Worker::join(risk(&log), Arc::clone(&log)).unwrap();
    let begun = tape.now;
    let mut records = Vec::new();
    for (seconds, mark) in [(0, true), (7, false), (11, false)] {
        tape.now = begun + Duration::from_secs(seconds);
        let event = if mark { tape.mark("BTC-USD") } else { tape.fill("p4") };
        records.push(tape.record(&*log, &event));
    }
    log.writer("tape").unwrap().commit(&Round { records, offsets: vec![] }, None).unwrap();
    worker.run_to_end().unwrap();
    worker.stop().unwrap();
    let codec = Codec::new(&[]).unwrap();
    let ages = |(_, _, _, event): (i32, i64, String, Event)| match event {
        Event::RiskMetrics(RiskMetrics { event_time, provenance, .. }) => {
            (event_time.since(begun), provenance.freshest_age, provenance.stalest_age)
        }
        other => panic!("{other:?}"),
    };
    let found: Vec<_> = read(&log, &codec, c::RISK_METRICS).into_iter().map(ages).collect();
    let last = |seconds: i64| found.iter().rev().find(|said| said.0 == seconds * 1_000_000).unwrap();
    assert_eq!(*last(7), (7_000_000, Some(0), Some(7_000_000)), "{found:?}");
    assert!(found.iter().all(|said| said.1 <= said.2), "{found:?}");
}
