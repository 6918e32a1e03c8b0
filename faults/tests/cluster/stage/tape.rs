//! The inputs: the built-in tape as the player plays it, and what risk makes of it when nothing goes wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use tapewatch_config::Settings;
use tapewatch_consumers::outbox::FROM;
use tapewatch_consumers::scan::Scanner;
use tapewatch_consumers::{Worker, workers};
use tapewatch_eventlog::{Log, LogError, OpenOptions, OutRecord, TopicPartition, open};
use tapewatch_producers::{Layout, Player, PlayerOptions, Tape};
use tapewatch_schemas::Codec;
use tapewatch_schemas::catalogue::{self as c, RISK};

use super::feeder::publish;

/// What each task wrote to each topic, in order: key and value.
pub(crate) type Outputs = BTreeMap<(String, String), Vec<(Vec<u8>, Vec<u8>)>>;

/// The first `bars` bars of the tape, one a slice; the last slice closes it.
pub(crate) fn tape(log: &dyn Log, bars: usize) -> Vec<Vec<OutRecord>> {
    let layout = Layout::of(log, PlayerOptions::default().layout.partitioner).expect("the topics are there");
    let options = PlayerOptions {
        symbols: 4,
        symbols_per_portfolio: 2,
        bars: Some(bars),
        bars_per_slice: 1,
        layout,
        ..PlayerOptions::default()
    };
    let player = Player::new(options, &Tape::built_in().expect("it is in the binary")).expect("good options");
    let codec = Codec::new(&[]).expect("the shipped schemas");
    let into = |record: tapewatch_producers::SliceRecord| record.into_record(&codec).expect("good events");
    player.map(|slice| slice.records.into_iter().map(into).collect()).collect()
}

/// What comes out when nobody is hurt: a log in memory, one worker, in lock step.
pub(crate) fn undisturbed(settings: &Settings, tape: &[Vec<OutRecord>]) -> Outputs {
    let log = open("sqlite::memory:", &OpenOptions::default()).expect("a log in memory");
    log.create(&workers::topic_specs(settings)).expect("topics");
    let mut publisher = log.publisher().expect("a publisher");
    let plan = workers::plan(RISK, settings, &*log, "undisturbed").expect("a plan");
    let mut worker = Worker::join(plan, Arc::clone(&log)).expect("it joins");
    for slices in tape.chunks(64) {
        slices.iter().for_each(|slice| publish(&mut *publisher, slice.clone()));
        worker.run_to_end().expect("nothing is in its way");
    }
    worker.stop().expect("a good end");
    outputs(&log)
}

/// What risk has written, as a subscriber finds it.
pub(crate) fn outputs(log: &Arc<dyn Log>) -> Outputs {
    let mut scanner = Scanner::new(Arc::clone(log)).expect("a reader");
    let mut found = Outputs::new();
    let topics = log.topics().expect("its topics");
    for topic in topics
        .iter()
        .filter(|topic| c::worker(RISK).expect("a worker").outputs.contains(&topic.name.as_str()))
    {
        for partition in 0..topic.partitions {
            let scanned =
                scanner.scan::<LogError>(&TopicPartition::new(topic.name.clone(), partition), 0, |record| {
                    let from =
                        record.headers.get(FROM).map(|from| String::from_utf8_lossy(from).into_owned());
                    if let Some(from) = from.filter(|from| from.starts_with("risk/")) {
                        let task = from.split('/').nth(1).expect("a task").to_owned();
                        let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
                        let name = topic.name.to_string();
                        found.entry((name, task)).or_default().push((key.to_vec(), value.to_vec()));
                    }
                    Ok(())
                });
            scanned.expect("it can be read to its end");
        }
    }
    found
}
