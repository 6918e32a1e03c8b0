//! kill -9 of a worker at each stage of a round, again and again.

use crate::stage::proxy::{Api, Moment};
use crate::stage::{PATIENCE, Stage, everything, injected};

/// A round's way, and what has happened to it when the worker dies.
const MOMENTS: [(&str, Moment); 8] = [
    ("nothing sent", Moment::Before(Api::AddPartitions)),
    ("partitions added", Moment::Before(Api::Produce)),
    ("records written, not known", Moment::After(Api::Produce)),
    ("records written", Moment::Before(Api::TxnOffsetCommit)),
    ("positions written, not known", Moment::After(Api::TxnOffsetCommit)),
    ("all written", Moment::Before(Api::EndTxn)),
    ("committed, not known", Moment::After(Api::EndTxn)),
    ("committed, the next begun", Moment::After(Api::AddPartitions)),
];

#[test]
fn a_worker_killed_at_any_stage_of_a_round_loses_and_doubles_nothing() {
    let Some(stage) = Stage::open("worker-killed") else { return };
    let (feeder, expected) = stage.load(600);
    let proxy = stage.proxy();
    let mut journals = stage.journals();
    let times = if everything() { 5 } else { 1 };
    for _ in 0..times {
        for (what, moment) in MOMENTS {
            let mut worker = stage.risk_behind(&proxy, "victim");
            journals.all_go_on(&mut worker);
            let held = proxy.catch(moment).wait(PATIENCE);
            let held = held.unwrap_or_else(|| panic!("{what}: it never came so far"));
            worker.kill();
            held.cut();
        }
    }
    injected(&format!("kill -9 at {} stages of a round, {times} of each", MOMENTS.len()));
    let worker = stage.risk_behind(&proxy, "victim");
    stage.finish(feeder, &mut journals, worker, &expected);
}
