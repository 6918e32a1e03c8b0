//! Poison in every input, one at a time and in a burst: each bad record is a dead letter or stands in a range
//! letter, an open breaker closes again, and nothing else is touched.

use bytes::Bytes;
use tapewatch_eventlog::{OutRecord, TopicPartition};
use tapewatch_schemas::catalogue::{EXEC_REPORTS, RISK, worker};

use crate::stage::tape::tape;
use crate::stage::{Stage, TASKS, injected};

/// What is no event: no framing, a schema that nobody knows (by fingerprint, by a registry's id), half an object
/// of JSON, nothing at all.
const BAD: [&[u8]; 5] =
    [b"no event at all", b"\xC3\x01unknown!body", b"\x00\x00\x00\xFF\xFFbody", b"{\"symbol\":", b""];

fn bad(topic: &str, partition: i32, number: usize) -> OutRecord {
    OutRecord {
        target: TopicPartition::new(topic, partition),
        timestamp: None,
        key: Some(Bytes::from_static(b"nobody")),
        value: Some(Bytes::from_static(BAD[number % BAD.len()])),
        headers: Vec::new(),
    }
}

#[test]
fn poison_in_every_topic_and_a_burst_of_it() {
    let Some(stage) = Stage::open("poison") else { return };
    let mut tape = tape(&*stage.log, 300);
    let listed = worker(RISK).expect("a worker");
    let mut single = 0;
    for (at, topic) in listed.inputs.iter().chain(listed.broadcast).enumerate() {
        let count = stage
            .log
            .topics()
            .unwrap()
            .into_iter()
            .find(|there| there.name.as_str() == *topic)
            .unwrap()
            .partitions;
        for number in 0..BAD.len() {
            tape[20 + 10 * at + 3 * number].push(bad(topic, number as i32 % count, number));
            single += 1;
        }
    }
    // Where there are many good ones after it, so that the breaker can close.
    let burst = 60;
    for task in 0..TASKS {
        tape[150].splice(0..0, (0..burst).map(|number| bad(EXEC_REPORTS, task, number)));
    }
    // Nothing promises a bad record: where it stands among the others depends on when it was there, and so do the
    // numbers of all steps after it. There is no undisturbed run to compare with.
    let feeder = stage.feed(tape);
    let mut journals = stage.journals();
    let mut worker = stage.risk("one");
    for _ in 0..3 {
        journals.all_go_on(&mut worker);
        worker.kill();
        worker = stage.risk("one");
    }
    injected(&format!(
        "{single} bad records in every input, a burst of {burst} in each task, 3 kills meanwhile"
    ));
    feeder.finish();
    journals.see_the_end(&mut worker);
    worker.stop();
    stage.judge_dead(single + burst * TASKS as usize);
}
