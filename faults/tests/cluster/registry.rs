//! A schema registry that is down, slow, silent, or answers nonsense, while records name schemas that only it knows:
//! their partitions wait, in order, and nothing of it is a dead letter. A schema that it knows and that cannot be read
//! through ours is one.

use std::time::Duration;

use apache_avro::Schema;
use bytes::Bytes;
use serde_json::{Value, json};
use tapewatch_eventlog::OutRecord;
use tapewatch_eventlog::edge::EdgeParameters;
use tapewatch_eventlog::registry::{Registry, RegistryOptions};
use tapewatch_schemas::EventKind;
use tapewatch_schemas::catalogue::{EXEC_REPORTS, RISK};

use crate::stage::feeder::publish;
use crate::stage::registry::{Mood, MoodyRegistry};
use crate::stage::tape::{tape, undisturbed};
use crate::stage::{PATIENCE, Stage, injected, until};

/// What a worker says whose records name a schema that it cannot ask for.
const WAITS: &str = "the partition waits for the schema registry";
/// How long a worker waits for an answer here.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Bars of the tape under one mood.
const STRETCH: usize = 40;

/// A registry's id of a schema of execution reports with other fields, as another program registers it.
fn registered(registry: &Registry, change: impl FnOnce(&mut Vec<Value>)) -> u32 {
    let mut text: Value =
        serde_json::from_str(EventKind::of_topic(EXEC_REPORTS).unwrap().schema_text()).unwrap();
    change(text["fields"].as_array_mut().unwrap());
    Schema::parse(&text).expect("a good schema");
    registry.register(&format!("{EXEC_REPORTS}-value"), &text.to_string()).unwrap()
}

/// A registry's id of a schema of execution reports that has a field more.
fn with_a_desk(registry: &Registry, name: &str) -> u32 {
    registered(registry, |fields| fields.push(json!({"name": name, "type": "string"})))
}

/// Asks the registry as another program does: patiently.
fn asking(moody: &MoodyRegistry) -> Registry {
    let options = RegistryOptions {
        url: moody.url(),
        login: None,
        trust: None,
        timeout: PATIENCE,
        breaker: EdgeParameters::default(),
    };
    Registry::new(&options).unwrap()
}

/// Every n-th execution report of these slices as a writer with that schema writes it.
fn rewrite(slices: &mut [Vec<OutRecord>], every: usize, id: u32) -> usize {
    let all = slices.iter_mut().flatten();
    let reports = all.filter(|record| record.target.topic.as_str() == EXEC_REPORTS);
    let rewritten = reports.step_by(every).map(|record| {
        let value = record.value.as_ref().expect("a report");
        record.value = Some(Bytes::from([&[0], &id.to_be_bytes()[..], &value[10..], b"\x08desk"].concat()));
    });
    rewritten.count()
}

#[test]
fn a_registry_that_is_down_slow_silent_or_talks_nonsense() {
    if std::env::var_os("TAPEWATCH_TEST_KAFKA").is_none() {
        eprintln!("skipped: no TAPEWATCH_TEST_KAFKA. scripts/faults starts brokers");
        return;
    }
    let moody = MoodyRegistry::start();
    let timeout = format!("{}ms", TIMEOUT.as_millis());
    let settings = [
        ("TAPEWATCH_REGISTRY__URL", moody.url()),
        ("TAPEWATCH_REGISTRY__TIMEOUT", timeout),
        ("TAPEWATCH_REGISTRY__BREAKER__SLOW_CALL", "400ms".to_owned()),
        ("TAPEWATCH_REGISTRY__BREAKER__WAIT", "300ms".to_owned()),
    ];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let Some(stage) = Stage::open_with("registry", &settings) else { return };
    let registry = asking(&moody);

    let moods = [
        ("closes every connection", Mood::Down),
        ("answers late", Mood::Slow(TIMEOUT / 2)),
        ("is silent", Mood::Slow(TIMEOUT * 3)),
        ("talks nonsense", Mood::Nonsense),
    ];
    let mut tape = tape(&*stage.log, STRETCH * (moods.len() + 1));
    let mut reports = 0;
    for (number, slices) in tape[STRETCH..STRETCH * (moods.len() + 1)].chunks_mut(STRETCH).enumerate() {
        reports += rewrite(slices, 1, with_a_desk(&registry, &format!("desk_{number}")));
    }
    let mut patient = stage.loaded();
    (patient.registry.timeout, patient.registry.breaker.slow_call) = (PATIENCE, PATIENCE);
    let expected = undisturbed(&patient, &tape);

    let mut publisher = stage.log.publisher().unwrap();
    let mut journals = stage.journals();
    let mut slices = tape.into_iter();
    let mut play = |slices: &mut dyn Iterator<Item = Vec<OutRecord>>| {
        slices.for_each(|slice| publish(&mut *publisher, slice));
    };
    let mut worker = stage.risk("one");
    play(&mut slices.by_ref().take(STRETCH));
    journals.all_go_on(&mut worker);
    for (what, mood) in moods {
        let (before, said) = (moody.be(mood), worker.heard(WAITS));
        play(&mut slices.by_ref().take(STRETCH));
        // What comes late is an answer all the same, and then it is asked once.
        let late = mood == Mood::Slow(TIMEOUT / 2);
        let often = if late { 1 } else { 6 };
        until(&format!("a registry that {what} to be asked"), || {
            worker.lives();
            moody.hurt() >= before + often
        });
        if !late {
            worker.hear(WAITS, said + 1);
        }
        if mood == Mood::Down {
            // Who begins meanwhile does not: its own schemas are to be known to the registry first.
            worker.kill();
            worker = stage.risk("one");
            let status = worker.end(PATIENCE);
            assert_eq!(status.code(), Some(4), "{}", worker.tail());
            assert!(worker.said().contains("does not answer"), "{}", worker.tail());
            moody.be(Mood::Well);
            worker = stage.risk("one");
        }
        if !late {
            moody.be(Mood::Well);
        }
        journals.all_go_on(&mut worker);
    }
    injected(&format!(
        "{reports} reports of 4 schemas that the registry alone knew; it was away, late, silent, or talked nonsense"
    ));
    play(&mut slices);
    journals.see_the_end(&mut worker);
    worker.stop();
    stage.judge_risk(&expected);
}

#[test]
fn a_schema_of_the_registry_that_cannot_be_read_begins_in_mid_stream() {
    if std::env::var_os("TAPEWATCH_TEST_KAFKA").is_none() {
        eprintln!("skipped: no TAPEWATCH_TEST_KAFKA. scripts/faults starts brokers");
        return;
    }
    let moody = MoodyRegistry::start();
    let settings = [("TAPEWATCH_REGISTRY__URL", &*moody.url())];
    let Some(stage) = Stage::open_with("registry-incompatible", &settings) else { return };
    let registry = asking(&moody);
    let mut tape = tape(&*stage.log, 4 * STRETCH);
    let read = rewrite(&mut tape[STRETCH..2 * STRETCH], 1, with_a_desk(&registry, "desk"));
    let without = registered(&registry, |fields| fields.retain(|field| field["name"] != "portfolio"));
    // Between good ones: a source of which nothing can be read is left alone.
    let refused = rewrite(&mut tape[2 * STRETCH..3 * STRETCH], 4, without);
    assert!(read > 0 && refused > 0, "{read} and {refused} reports");

    // What cannot be read fulfils no promise: there is no undisturbed run to compare with.
    let journals = stage.taken_with_a_kill(tape);
    stage.judge_dead(RISK, refused);
    let told: Vec<_> = journals.records.values().flatten().flat_map(|record| &record.dead_letters).collect();
    assert!(told.iter().all(|letters| letters.reason == "unknown_schema"), "{told:?}");
    injected(&format!("{refused} reports of a schema of the registry that cannot be read through ours"));
}
