//! The demo's halt that nobody acknowledges in time: the alert, the halt and its acknowledgement stand in the journal, and a
//! replay finds whoever changes or removes one of them.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod run;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use run::Folder;
use rusqlite::{Connection, params};
use serde_json::Value;
use tapewatch_consumers::scan::Scanner;
use tapewatch_eventlog::{LogError, OpenOptions, TopicPartition, open};
use tapewatch_schemas::catalogue::{ALERTING, ALERTS, CONTROL, CONTROL_REQUESTS, journal_topic};
use tapewatch_schemas::events::{
    Alert, AlertState, Control, ControlAction, ControlRequest, Provenance, RequestKind, Severity,
    TradingLevel,
};
use tapewatch_schemas::journal::JournalRecord;
use tapewatch_schemas::{Codec, Event, Time};

/// How long there is to acknowledge a halt, microseconds.
const IN_TIME: i64 = 30_000_000;

/// A record, and where it stands.
struct Placed<T> {
    at: TopicPartition,
    offset: i64,
    what: T,
}

/// A topic's records that are picked, and where they stand.
fn all<T>(url: &str, topic: &str, pick: impl Fn(&[u8]) -> Option<T>) -> Vec<Placed<T>> {
    let log = open(url, &OpenOptions::default()).unwrap();
    let mut scanner = Scanner::new(Arc::clone(&log)).unwrap();
    let topics = log.topics().unwrap();
    let partitions = topics.iter().find(|one| one.name.as_str() == topic).unwrap().partitions;
    let mut found = Vec::new();
    for at in (0..partitions).map(|partition| TopicPartition::new(topic, partition)) {
        let mut take = |offset: i64, value: &[u8]| {
            found.extend(pick(value).map(|what| Placed { at: at.clone(), offset, what }));
        };
        scanner
            .scan::<LogError>(&at, 0, |record| {
                take(record.offset, record.value.unwrap());
                Ok(())
            })
            .unwrap();
    }
    found
}

/// What the demo says of the halt.
struct Story {
    fired: Vec<Placed<Alert>>,
    resolved: Vec<Placed<Alert>>,
    halts: Vec<Placed<Control>>,
    answers: Vec<Placed<ControlRequest>>,
    journal: Vec<JournalRecord>,
}

fn story(url: &str) -> Story {
    let codec = Codec::new(&[]).unwrap();
    let event = |value: &[u8]| codec.decode_any(value).unwrap();
    let alerts = |state: AlertState| {
        all(url, ALERTS, |value| match event(value) {
            Event::Alert(alert) => {
                Some(alert).filter(|alert| alert.rule == "halt_unacknowledged" && alert.state == state)
            }
            _ => None,
        })
    };
    let control =
        |value: &[u8]| if let Event::Control(control) = event(value) { Some(control) } else { None };
    let request = |value: &[u8]| match event(value) {
        Event::ControlRequest(request) => Some(request),
        _ => None,
    };
    let journal = all(url, journal_topic(ALERTING).as_str(), |value| JournalRecord::open(value).ok());
    Story {
        fired: alerts(AlertState::Firing),
        resolved: alerts(AlertState::Resolved),
        halts: all(url, CONTROL, control),
        answers: all(url, CONTROL_REQUESTS, request),
        journal: journal.into_iter().map(|placed| placed.what).collect(),
    }
}

impl Story {
    /// The journal record of the round in which something was made.
    fn round(&self, made: &Provenance) -> &JournalRecord {
        assert_eq!(made.worker.as_str(), ALERTING);
        let holds = |one: &&JournalRecord| {
            one.partition == made.partition
                && (one.first_step..one.first_step + one.steps).contains(&made.step)
        };
        self.journal.iter().find(holds).unwrap()
    }
}

/// A copy of the log in which one thing is changed: what a replay says of it.
fn tampered(folder: &Folder, change: impl FnOnce(&Connection)) -> run::Done {
    let copy = folder.path("copy");
    let _ = fs::remove_dir_all(&copy);
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(folder.path("log")).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    change(&Connection::open(copy.join("tape.db")).unwrap());
    let url = format!("sqlite:{}", Path::new("copy").join("tape.db").display());
    folder.run(&["replay", "--verify", "--env", "demo", "--worker", ALERTING, "--log", &url])
}

/// The place of a partition's record in the file.
const PLACE: &str = "partition_id = (SELECT p.id FROM partitions p JOIN topics t ON t.id = p.topic_id
    WHERE t.name = ?1 AND p.partition = ?2) AND offset = ?3";

fn flip<T>(conn: &Connection, placed: &Placed<T>) {
    let place = params![placed.at.topic.as_str(), placed.at.partition, placed.offset];
    let select = format!("SELECT value FROM entries WHERE {PLACE}");
    let mut bytes: Vec<u8> = conn.query_row(&select, place, |row| row.get(0)).unwrap();
    // Within the words of it, not in what frames them.
    *bytes.last_mut().unwrap() ^= 1;
    let update = format!("UPDATE entries SET value = ?4 WHERE {PLACE}");
    let place = params![placed.at.topic.as_str(), placed.at.partition, placed.offset, bytes];
    assert_eq!(conn.execute(&update, place).unwrap(), 1);
}

fn remove<T>(conn: &Connection, placed: &Placed<T>) {
    let place = params![placed.at.topic.as_str(), placed.at.partition, placed.offset];
    assert_eq!(conn.execute(&format!("DELETE FROM entries WHERE {PLACE}"), place).unwrap(), 1);
}

#[test]
fn a_missing_acknowledgement_is_an_emergency_in_the_journal_and_in_a_replay() {
    let folder = Folder::new();
    let done = folder.run(&["demo", "--bars", "900", "--json", "--dir", "log"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let summary: Value = serde_json::from_str(&done.out).unwrap();
    let found = summary["found"].as_array().unwrap();
    assert!(found.iter().any(|id| id.as_str().unwrap().ends_with("drawdown")), "{found:?}");
    let url = format!("sqlite:{}", folder.path("log/tape.db").display());
    let story = story(&url);

    // A halt, a restriction before it, each untold of by whoever trades: an emergency, and over with the answer.
    let halt = &story.halts.iter().find(|one| one.what.level == TradingLevel::Halt).unwrap().what;
    assert_eq!((halt.action, halt.limit.as_deref()), (ControlAction::Raised, Some("drawdown")));
    let (fired, resolved) = (story.fired.last().unwrap(), story.resolved.last().unwrap());
    assert_eq!((story.fired.len(), story.resolved.len()), (2, 2), "of the restriction, and of the halt");
    assert_eq!((fired.what.severity, &*fired.what.scope), (Severity::Emergency, halt.scope.as_str()));
    assert_eq!(fired.what.event_time, Time(halt.event_time.micros() + IN_TIME));
    let answer = story.answers.last().unwrap();
    assert_eq!((answer.what.request, answer.what.halt), (RequestKind::Acknowledge, halt.halt));
    let told = &story.halts.last().unwrap().what;
    assert_eq!((told.action, told.level), (ControlAction::Acknowledged, TradingLevel::Halt));
    assert_eq!((told.halt, told.acknowledged_by.as_deref()), (halt.halt, Some("gate")));
    assert_eq!((told.event_time, resolved.what.event_time), (answer.what.event_time, answer.what.event_time));

    // All of it is in the journal: the deadline that passed, the acknowledgement that was read, and what was made of both.
    let round = story.round(&fired.what.provenance);
    let tick = |event: &&tapewatch_schemas::journal::InjectedEvent| {
        event.kind == "tick" && event.time == fired.what.event_time
    };
    assert!(round.injected.iter().any(|event| tick(&event)) && round.outputs > 0, "{round:?}");
    let round = story.round(&resolved.what.provenance);
    let read = round.inputs.iter().any(|range| {
        range.topic.as_str() == CONTROL_REQUESTS
            && range.partition == answer.at.partition
            && (range.from..range.to).contains(&answer.offset)
    });
    assert!(read && round.outputs >= 2, "{round:?}");

    let clean = tampered(&folder, |_| {});
    assert_eq!(clean.code, 0, "{}", clean.out);
    let named = |done: &run::Done, at: &TopicPartition, offset: i64| {
        let name = format!("{}/{} offset {offset}", at.topic, at.partition);
        assert!(done.code == 1 && done.out.contains(&name), "{name}: {}", done.out);
    };
    for one in [fired, resolved] {
        named(&tampered(&folder, |conn| flip(conn, one)), &one.at, one.offset);
        let gone = tampered(&folder, |conn| remove(conn, one));
        assert!(gone.code == 1 && gone.out.contains(ALERTS), "{}", gone.out);
    }
    let halted = story.halts.iter().find(|one| one.what.level == TradingLevel::Halt).unwrap();
    named(&tampered(&folder, |conn| flip(conn, halted)), &halted.at, halted.offset);
    for change in [flip::<ControlRequest>, remove::<ControlRequest>] {
        let unanswered = tampered(&folder, |conn| change(conn, answer));
        assert!(unanswered.code == 1 && unanswered.out.contains(CONTROL_REQUESTS), "{}", unanswered.out);
    }
}

#[test]
fn without_incidents_nobody_is_halted() {
    let folder = Folder::new();
    let done = folder.run(&["demo", "--bars", "900", "--no-incidents", "--json", "--dir", "log"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let story = story(&format!("sqlite:{}", folder.path("log/tape.db").display()));
    assert!(story.fired.is_empty() && story.halts.is_empty() && story.answers.is_empty());
}
