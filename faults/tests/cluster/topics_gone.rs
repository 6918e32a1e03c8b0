//! What a worker reads goes away: its topic is deleted, or retention passes its position while it is stopped.
//! It stops with a clear error, and never begins anew somewhere else.

use tapewatch_schemas::catalogue::EXEC_REPORTS;

use crate::stage::brokers::told;
use crate::stage::process::Process;
use crate::stage::{PATIENCE, Stage, injected, sweep};

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
    // What retention does at its next look.
    let list = stage.path("delete.json");
    let partition = serde_json::json!({"topic": EXEC_REPORTS, "partition": at.partition, "offset": -1});
    std::fs::write(&list, serde_json::json!({"partitions": [partition], "version": 1}).to_string()).unwrap();
    told(&["tool", "delete-records", "--offset-json-file", list.to_str().unwrap()]);
    journals.look();
    let rounds: usize = journals.records.values().map(Vec::len).sum();
    let error = refusal(stage.risk("one"));
    assert!(error.contains(&at.to_string()) && error.contains("out of range"), "{error}");
    journals.look();
    let passed = |records: &[tapewatch_schemas::journal::JournalRecord]| {
        records.iter().flat_map(|record| &record.inputs).any(|input| {
            input.topic.as_str() == EXEC_REPORTS
                && input.partition == at.partition
                && input.count == 0
                && input.from < input.to
        })
    };
    assert!(!journals.records.values().any(|records| passed(records)), "it skipped what was gone ({rounds})");
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
