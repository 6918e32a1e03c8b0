//! A breaker that closes after its source was paused: the source is read again, whole.

mod support;

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use bytes::Bytes;
use support::{Tape, memory, worker_plan};
use tapewatch_consumers::Worker;
use tapewatch_eventlog::{Log, OutRecord, Round, TopicPartition};
use tapewatch_schemas::catalogue as c;

fn write(log: &Arc<dyn Log>, records: Vec<OutRecord>) {
    let mut writer = log.writer("tape").expect("writer");
    writer.commit(&Round { records, offsets: vec![] }, None).expect("written");
}

/// Poison that opens the breaker, then more records than a lane holds, then time enough to close it.
fn poison_and_flood() -> u64 {
    let log = memory();
    let mut tape = Tape::new();
    let first = tape.fill("p0");
    let good = tape.record(&*log, &first);
    let at: TopicPartition = good.target.clone();
    let bad = || OutRecord { value: Some(Bytes::from_static(b"{no")), ..good.clone() };
    let mut worker = Worker::join(worker_plan(&*log, "a"), Arc::clone(&log)).expect("joins");

    write(&log, std::iter::once(good.clone()).chain((0..10).map(|_| bad())).collect());
    worker.run_to_end().expect("opens");
    assert!(worker.task_mut(at.partition).expect("task").core.breaker(&at).open_since().is_some());

    let held = worker.plan().runtime.lane_records;
    let fills: Vec<_> = (0..2 * held + 5).map(|_| tape.fill("p0")).collect();
    write(&log, fills.iter().map(|fill| tape.record(&*log, fill)).collect());
    worker.run_to_end().expect("holds");

    tape.now = tape.now + Duration::from_secs(3600);
    let mark = tape.mark("BTC-USD");
    write(&log, vec![tape.record(&*log, &mark)]);
    worker.run_to_end().expect("closes");
    // The deadline that opens the way to the probe may be passed only as the next records are taken.
    let mark = tape.mark("BTC-USD");
    write(&log, vec![tape.record(&*log, &mark)]);
    worker.run_to_end().expect("goes on");

    let end = log.bounds(&TopicPartition::new(c::EXEC_REPORTS, at.partition)).expect("bounds").end;
    let task = worker.task_mut(at.partition).expect("task");
    assert_eq!(task.merge.lane(&at).expect("lane").position, end, "all was taken");
    end as u64
}

#[test]
fn a_source_that_was_paused_behind_its_breaker_is_read_again_whole() {
    let (done, result) = channel();
    std::thread::spawn(move || done.send(poison_and_flood()));
    match result.recv_timeout(Duration::from_secs(60)) {
        Ok(taken) => assert_eq!(taken, 2016),
        Err(RecvTimeoutError::Timeout) => panic!("the source is not read on"),
        Err(RecvTimeoutError::Disconnected) => panic!("it did not come out whole: see above"),
    }
}
