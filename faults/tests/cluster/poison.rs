//! Poison in every input, one at a time and in a burst: each bad record is a dead letter or stands in a range
//! letter, an open breaker closes again, and nothing else is touched.

use bytes::Bytes;
use tapewatch_eventlog::{Log, OutRecord, TopicPartition};
use tapewatch_schemas::catalogue::{ALERTING, EXEC_REPORTS, RISK, worker};

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

/// Puts every kind of bad record into each of the topics that a worker reads: how many.
fn spread(log: &dyn Log, tape: &mut [Vec<OutRecord>], name: &str) -> usize {
    let listed = worker(name).expect("a worker");
    let there = log.topics().unwrap();
    let topics: Vec<_> = listed.inputs.iter().chain(listed.broadcast).collect();
    for (at, topic) in topics.iter().enumerate() {
        let found = there.iter().find(|info| info.name.as_str() == **topic).expect("it is there");
        for number in 0..BAD.len() {
            let partition = number as i32 % found.partitions;
            tape[20 + 10 * at + 3 * number].push(bad(topic, partition, number));
        }
    }
    topics.len() * BAD.len()
}

#[test]
fn poison_in_every_topic_and_a_burst_of_it() {
    let Some(stage) = Stage::open("poison") else { return };
    let mut tape = tape(&*stage.log, 300);
    let single = spread(&*stage.log, &mut tape, RISK);
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
    stage.judge_dead(RISK, single + burst * TASKS as usize);
}

#[test]
fn poison_in_every_topic_that_alerting_reads() {
    let Some(stage) = Stage::open("poison-alerting") else { return };
    let mut tape = tape(&*stage.log, 300);
    let single = spread(&*stage.log, &mut tape, ALERTING);
    let feeder = stage.feed(tape);
    let mut risk = stage.risk("one");
    let mut journals = stage.journals_of(ALERTING);
    let mut alerting = stage.worker(ALERTING, "one", stage.log.address());
    for _ in 0..3 {
        journals.all_go_on(&mut alerting);
        alerting.kill();
        alerting = stage.worker(ALERTING, "one", stage.log.address());
    }
    injected(&format!("{single} bad records in every input of alerting, 3 kills meanwhile"));
    feeder.finish();
    stage.journals().see_the_end(&mut risk);
    risk.stop();
    journals.see_the_end(&mut alerting);
    alerting.stop();
    // Heartbeats are not among them: users write them, too, and nobody is a stranger there.
    for name in [RISK, ALERTING] {
        let written = worker(name).expect("a worker").outputs;
        let inputs = worker(ALERTING).expect("a worker").inputs.iter();
        let poisoned = inputs.filter(|topic| written.contains(topic));
        stage.judge_beside_strangers(&[name], poisoned.count() * BAD.len());
    }
    // It reads its own words about itself: of the last of them something is always left to take.
    let dead = stage.audited(ALERTING).iter().map(|line| line.dead).sum::<i64>();
    assert_eq!(dead, single as i64, "dead letters");
}
