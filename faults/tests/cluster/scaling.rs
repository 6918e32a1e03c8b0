//! Two, three and then one worker under load: tasks move, and co-partitioned topics stay together.

use std::collections::BTreeSet;

use crate::stage::journals::Journals;
use crate::stage::process::Process;
use crate::stage::{PATIENCE, Stage, everything, injected, until};

/// Waits until these and no others have written the last rounds of all tasks.
fn shared_by(journals: &mut Journals, workers: &mut [&mut Process]) {
    let wanted: BTreeSet<String> = workers.iter().map(|worker| worker.instance.clone()).collect();
    until(&format!("tasks of {wanted:?}"), || {
        workers.iter_mut().for_each(|worker| worker.lives());
        journals.owners().into_values().collect::<BTreeSet<_>>() == wanted
    });
}

#[test]
fn tasks_move_between_two_three_and_one_worker_under_load() {
    let Some(stage) = Stage::open("scaling") else { return };
    let (feeder, expected) = stage.load(400);
    let mut journals = stage.journals();
    let mut first = stage.risk("a");
    shared_by(&mut journals, &mut [&mut first]);
    let times = if everything() { 3 } else { 1 };
    for _ in 0..times {
        let mut second = stage.risk("b");
        shared_by(&mut journals, &mut [&mut first, &mut second]);
        let mut third = stage.risk("c");
        shared_by(&mut journals, &mut [&mut first, &mut second, &mut third]);
        // One leaves, and one is killed.
        second.stop();
        third.kill();
        shared_by(&mut journals, &mut [&mut first]);
    }
    injected(&format!("{times} times to two, three and one worker; one of them killed"));
    stage.finish(feeder, &mut journals, first, &expected);
}

/// Of two that run under one name one leaves, and says why; the other goes on.
#[test]
fn of_two_of_one_name_one_leaves() {
    let Some(stage) = Stage::open("double") else { return };
    let (feeder, expected) = stage.load(400);
    let mut journals = stage.journals();
    let mut elder = stage.risk("one");
    journals.all_go_on(&mut elder);
    let mut younger = stage.risk("one");
    until("one of two to leave", || elder.ended().or_else(|| younger.ended()).is_some());
    let (mut gone, mut left) = if elder.ended().is_some() { (elder, younger) } else { (younger, elder) };
    assert_eq!(gone.end(PATIENCE).code(), Some(4), "{}", gone.tail());
    assert!(gone.said().contains("--instance"), "{}", gone.tail());
    journals.all_go_on(&mut left);
    injected("two of one name");
    stage.finish(feeder, &mut journals, left, &expected);
}
