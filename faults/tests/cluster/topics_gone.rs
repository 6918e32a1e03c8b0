//! What a worker reads goes away: its topic is deleted, or retention passes its position while it is stopped or
//! sleeps.
//! It stops with a clear error, and never begins anew somewhere else.

use serde_json::json;
use tapewatch_eventlog::TopicPartition;
use tapewatch_schemas::catalogue::EXEC_REPORTS;

use crate::stage::brokers::told;
use crate::stage::journals::Journals;
use crate::stage::process::Process;
use crate::stage::{PATIENCE, Stage, injected, sweep, until};

/// It ends by itself, with a failure. What it says why.
fn refusal(mut worker: Process) -> String {
    let status = worker.end(PATIENCE);
    assert!(!status.success(), "it ended as if all were well");
    let said = worker.said();
    said.lines().rfind(|line| line.starts_with("error: ")).expect("it says why").to_owned()
}

#[test]
fn a_topic_that_is_deleted_stops_its_worker() {
    let Some(stage) = Stage::open("topic-deleted") else { return };
    let (feeder, _) = stage.load(400);
    let mut journals = stage.journals();
    let mut worker = stage.risk("one");
    journals.all_go_on(&mut worker);
    stage.taken(&mut worker);
    drop(feeder);
    sweep::delete_topics(stage.log.address(), &[EXEC_REPORTS]);
    let error = refusal(worker);
    assert!(error.contains(EXEC_REPORTS), "{error}");
    journals.look();
    let rounds: usize = journals.records.values().map(Vec::len).sum();
    // It may be made anew by whoever deleted it, or by the worker: its journal speaks of records that are gone.
    let again = refusal(stage.risk("one"));
    assert!(again.contains(EXEC_REPORTS), "{again}");
    journals.look();
    assert_eq!(journals.records.values().map(Vec::len).sum::<usize>(), rounds, "it went on over nothing");
    injected("a topic deleted under its worker");
}

/// What retention does at its next look.
fn delete_all(stage: &Stage, at: &TopicPartition) {
    let list = stage.path("delete.json");
    let partition = json!({"topic": at.topic.as_str(), "partition": at.partition, "offset": -1});
    std::fs::write(&list, json!({"partitions": [partition], "version": 1}).to_string()).unwrap();
    told(&["tool", "delete-records", "--offset-json-file", list.to_str().unwrap()]);
}

/// No round went past what was gone.
fn assert_nothing_skipped(journals: &mut Journals, at: &TopicPartition) {
    journals.look();
    let inputs = journals.records.values().flatten().flat_map(|record| &record.inputs);
    for input in inputs.filter(|input| input.topic == at.topic && input.partition == at.partition) {
        assert!(input.count > 0 || input.from == input.to, "it skipped what was gone: {input:?}");
    }
}

#[test]
fn retention_that_passes_a_worker_that_sleeps_stops_it() {
    // It sleeps within its session, however slow the tool is: past it, it would begin its task anew.
    let settings = [("TAPEWATCH_RUNTIME__SESSION", "60s")];
    let Some(stage) = Stage::with_brokers_and("retention-asleep", &settings) else { return };
    let (feeder, _) = stage.load(400);
    let mut journals = stage.journals();
    let mut worker = stage.risk("one");
    journals.all_go_on(&mut worker);
    let at = stage.taken(&mut worker);
    worker.signal("STOP");
    // It may have fetched what was there, and not what comes now.
    let end = |stage: &Stage| stage.log.bounds(&at).unwrap().end;
    let asleep = end(&stage);
    until("more than it can have fetched", || end(&stage) > asleep + 5);
    delete_all(&stage, &at);
    worker.signal("CONT");
    let error = refusal(worker);
    assert!(error.contains(&at.to_string()) && error.contains("out of range"), "{error}");
    assert_nothing_skipped(&mut journals, &at);
    injected("records before the position of a paused worker deleted, as retention does");
    drop(feeder);
}

#[test]
fn retention_that_passes_a_position_stops_the_worker() {
    let Some(stage) = Stage::with_brokers("retention") else { return };
    let (feeder, _) = stage.load(400);
    let mut journals = stage.journals();
    let mut worker = stage.risk("one");
    journals.all_go_on(&mut worker);
    let at = stage.taken(&mut worker);
    worker.stop();
    feeder.finish();
    delete_all(&stage, &at);
    let error = refusal(stage.risk("one"));
    assert!(error.contains(&at.to_string()) && error.contains("out of range"), "{error}");
    assert_nothing_skipped(&mut journals, &at);
    injected("records before a position deleted, as retention does");
    // A person decides that it goes on behind them.
    let earliest = stage.log.bounds(&at).unwrap().earliest.to_string();
    let (topic, partition) = (at.topic.to_string(), at.partition.to_string());
    let place = format!("{topic}/{partition}");
    let done = stage.tapewatch(&[
        "seek",
        "--worker",
        "risk",
        &place,
        &earliest,
        "--who",
        "ada",
        "--why",
        "retention was too short",
    ]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut worker = stage.risk("one");
    journals.all_go_on(&mut worker);
    worker.stop();
    let done = stage.tapewatch(&["status", "--worker", "risk"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}
