//! Law 1 by an independent count.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod support;

use std::sync::Arc;

use support::{Tape, memory, worker_plan};
use tapewatch_consumers::Worker;
use tapewatch_consumers::audit::{Subject, audit};

#[test]
fn what_was_consumed_is_what_is_there() {
    let log = memory();
    let mut tape = Tape::new();
    let mut writer = log.writer("tape").unwrap();
    let mut worker = Worker::join(worker_plan(&*log, "a"), Arc::clone(&log)).unwrap();
    for _ in 0..3 {
        writer.commit(&tape.slice(&*log, 100), None).unwrap();
        worker.run_to_end().unwrap();
        // Each round's positions are in its transaction, not only in the last.
        let found = audit(&log, &Subject::from(&worker_plan(&*log, "a")), &mut |_| {}).unwrap();
        let own = found.lines.iter().filter(|line| !line.broadcast);
        assert!(own.clone().all(|line| line.group_offset == Some(line.position)), "{found:#?}");
        assert_eq!(own.count(), 4, "two topics of two partitions each");
    }
    worker.stop().unwrap();
    writer.commit(&tape.slice(&*log, 10), None).unwrap();
    let found = audit(&log, &Subject::from(&worker_plan(&*log, "a")), &mut |_| {}).unwrap();
    assert!(found.holds(), "{found:#?}");
    let of = |topic: &'static str| found.lines.iter().filter(move |line| line.topic.as_str() == topic);
    assert_eq!(of("exec.reports.v1").map(|line| line.processed).sum::<i64>(), 300);
    assert_eq!(of("exec.reports.v1").map(|line| line.lag).sum::<i64>(), 10);
    assert!(of("exec.reports.v1").all(|line| line.group_offset == Some(line.position)));
    assert!(of("market.data.v1").all(|line| line.broadcast));
    assert_eq!(of("market.data.v1").map(|line| line.processed).sum::<i64>(), 600, "each task counts its own");
    assert_eq!(found.heads.len(), 2);
    assert!(found.heads.iter().all(|head| head.sequence.is_some() && head.breakers.is_empty()));
}
