//! A schema registry that is down, slow, silent, or answers nonsense, while records name schemas that only it knows:
//! their partitions wait, in order, and nothing of it is a dead letter.

use std::time::Duration;

use apache_avro::Schema;
use bytes::Bytes;
use serde_json::{Value, json};
use tapewatch_eventlog::OutRecord;
use tapewatch_eventlog::edge::EdgeParameters;
use tapewatch_eventlog::registry::{Registry, RegistryOptions};
use tapewatch_schemas::EventKind;
use tapewatch_schemas::catalogue::EXEC_REPORTS;

use crate::stage::feeder::publish;
use crate::stage::registry::{Mood, MoodyRegistry};
use crate::stage::tape::{tape, undisturbed};
use crate::stage::{PATIENCE, Stage, injected, until};

/// What a worker says whose records name a schema that it cannot ask for.
const WAITS: &str = "the partition waits for the schema registry";
/// How long a worker waits for an answer here.
const TIMEOUT: Duration = Duration::from_millis(400);
/// Bars of the tape under one mood.
const STRETCH: usize = 40;

/// A registry's id of a schema of execution reports that has a field more, as another program registers it.
fn registered(registry: &Registry, name: &str) -> u32 {
    let mut text: Value =
        serde_json::from_str(EventKind::of_topic(EXEC_REPORTS).unwrap().schema_text()).unwrap();
    text["fields"].as_array_mut().unwrap().push(json!({"name": name, "type": "string"}));
    Schema::parse(&text).expect("a good schema");
    registry.register(&format!("{EXEC_REPORTS}-value"), &text.to_string()).unwrap()
}

/// The execution reports of these slices as a writer with that schema writes them.
fn rewrite(slices: &mut [Vec<OutRecord>], id: u32) -> usize {
    let all = slices.iter_mut().flatten();
    let reports = all.filter(|record| record.target.topic.as_str() == EXEC_REPORTS);
    let rewritten = reports.map(|record| {
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
        ("TAPEWATCH_REGISTRY__BREAKER__SLOW_CALL", "100ms".to_owned()),
        ("TAPEWATCH_REGISTRY__BREAKER__WAIT", "300ms".to_owned()),
    ];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let Some(stage) = Stage::open_with("registry", &settings) else { return };
    let options = RegistryOptions {
        url: moody.url(),
        login: None,
        trust: None,
        timeout: PATIENCE,
        breaker: EdgeParameters::default(),
    };
    let registry = Registry::new(&options).unwrap();

    let moods = [
        ("closes every connection", Mood::Down),
        ("answers late", Mood::Slow(TIMEOUT / 2)),
        ("is silent", Mood::Slow(TIMEOUT * 3)),
        ("talks nonsense", Mood::Nonsense),
    ];
    let mut tape = tape(&*stage.log, STRETCH * (moods.len() + 1));
    let mut reports = 0;
    for (number, slices) in tape[STRETCH..STRETCH * (moods.len() + 1)].chunks_mut(STRETCH).enumerate() {
        reports += rewrite(slices, registered(&registry, &format!("desk_{number}")));
    }
    let expected = undisturbed(&stage.loaded(), &tape);

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
