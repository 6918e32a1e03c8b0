//! A worker that is stopped with SIGSTOP past its session, while another takes over, and then goes on: it is
//! fenced, writes nothing, and says so.

use std::collections::BTreeMap;

use tapewatch_schemas::catalogue::RISK;

use crate::stage::feeder::publish;
use crate::stage::journals::Journals;
use crate::stage::process::Process;
use crate::stage::proxy::{Api, Moment};
use crate::stage::tape::tape;
use crate::stage::{PATIENCE, Stage, injected, until};

/// How many records of each task an instance has journalled.
fn written_by(journals: &mut Journals, instance: &str) -> BTreeMap<i32, usize> {
    journals.look();
    let own = |records: &Vec<_>| records.iter().filter(|record| is_of(record, instance)).count();
    journals.records.iter().map(|(task, records)| (*task, own(records))).collect()
}

fn is_of(record: &tapewatch_schemas::journal::JournalRecord, instance: &str) -> bool {
    record.instance == instance
}

/// It says that its membership is over, and takes a share again; until then it has not added to what it had written.
///
/// Mostly it is told that it is fenced. If what it asks first after its sleep has timed out meanwhile, it leaves before
/// it is told, and says that instead.
fn is_fenced(journals: &mut Journals, paused: &mut Process, before: &BTreeMap<i32, usize>) {
    let restored = paused.heard("task restored");
    paused.signal("CONT");
    until("the paused worker to say that its membership is over", || {
        paused.lives();
        paused.heard("fenced") + paused.heard("joining again") > 0
    });
    paused.hear("task restored", restored + 1);
    let instance = paused.instance.clone();
    journals.look();
    for (task, records) in &journals.records {
        let taken_over = records.iter().position(|record| !is_of(record, &instance));
        let own = records[..taken_over.expect("another has gone on")].len();
        assert_eq!(own, before[task], "task {task}: the paused worker wrote after it was stopped");
    }
}

#[test]
fn a_worker_with_fills_pending() {
    let Some(stage) = Stage::open("worker-paused") else { return };
    let (feeder, expected) = stage.load(400);
    let proxy = stage.proxy();
    let mut journals = stage.journals();
    let mut paused = stage.risk_behind(&proxy, "paused");
    journals.all_go_on(&mut paused);
    // All of its round is written, and the word to commit is on its way.
    let held = proxy.catch(Moment::Before(Api::EndTxn)).wait(PATIENCE).expect("rounds go on");
    paused.signal("STOP");
    let before = written_by(&mut journals, &paused.instance);
    let mut heir = stage.risk("heir");
    journals.all_go_on(&mut heir);
    held.forward();
    is_fenced(&mut journals, &mut paused, &before);
    injected("a worker stopped past its session with its commit on the way");
    heir.stop();
    stage.finish(feeder, &mut journals, paused, &expected);
}

#[test]
fn a_worker_with_nothing_but_ticks_pending() {
    let settings = [
        ("TAPEWATCH_RUNTIME__CLOCK", "wall"),
        ("TAPEWATCH_RUNTIME__HEARTBEAT_EVERY", "1s"),
        ("TAPEWATCH_RISK__PUBLISH_EVERY", "1s"),
    ];
    let Some(stage) = Stage::open_with("worker-paused-ticks", &settings) else { return };
    let mut publisher = stage.log.publisher().unwrap();
    tape(&*stage.log, 40).into_iter().for_each(|slice| publish(&mut *publisher, slice));
    let mut journals = stage.journals();
    let mut paused = stage.risk("paused");
    let ticks = |journals: &mut Journals, instance: &str, worker: &mut Process| {
        let before = written_by(journals, instance);
        until("ticks of every task", || {
            worker.lives();
            let now = written_by(journals, instance);
            now.len() == 4 && now.iter().all(|(task, count)| before.get(task).unwrap_or(&0) + 2 < *count)
        });
    };
    // The tape is taken, then the clock alone makes rounds.
    let instance = paused.instance.clone();
    ticks(&mut journals, &instance, &mut paused);
    ticks(&mut journals, &instance, &mut paused);
    paused.signal("STOP");
    let mut heir = stage.risk("heir");
    let taking_over = heir.instance.clone();
    ticks(&mut journals, &taking_over, &mut heir);
    let before = written_by(&mut journals, &instance);
    is_fenced(&mut journals, &mut paused, &before);
    injected("a worker stopped past its session with nothing but ticks pending");
    heir.stop();
    paused.stop();
    stage.judge(&[RISK]);
}
