//! One round through a log's writer: outputs and positions in one transaction.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tapewatch_eventlog::{GroupSpec, Member, OutRecord, Polled, Round, TopicPartition};
use tapewatch_schemas::TopicName;
use tapewatch_schemas::catalogue as c;

use crate::Failure;
use crate::progress::Progress;
use crate::readings::{median, millis, percentile};
use crate::report::Report;
use crate::stage::{Stage, r_file, settings};

/// The group and the writer's id: no worker's.
const GROUP: &str = "tapewatch.bench.transaction";
/// Rounds before the first that counts: connections, and the group's first commit.
const WARM_UP: u32 = 20;
/// Bytes of each record's value.
const VALUE: usize = 300;

/// Writes `rounds` rounds of `records` records each, with the positions of every task, one after another.
pub fn run(url: &str, rounds: u32, records: u32) -> Result<Report, Failure> {
    let stage = Stage::open(settings(&r_file(), url)?)?;
    let inputs = c::worker(c::RISK).ok_or("the catalogue lists the risk worker")?.inputs;
    let mut member = stage.log.member(&GroupSpec {
        group: GROUP.into(),
        instance: "bench".into(),
        topics: inputs.iter().map(|topic| TopicName::from(*topic)).collect(),
        session: stage.settings.runtime.session,
    })?;
    let tasks = assigned(&mut *member)?;
    let fence = member.fence()?;
    let mut writer = stage.log.writer(&format!("{GROUP}.bench"))?;
    let value = Bytes::from(vec![b'x'; VALUE]);
    let record = |number: u32| OutRecord {
        target: TopicPartition::new(c::RISK_METRICS, tasks[number as usize % tasks.len()]),
        timestamp: None,
        key: Some(Bytes::from_static(b"bench")),
        value: Some(value.clone()),
        headers: Vec::new(),
    };
    let position = |topic: &'static str| tasks.iter().map(move |p| (TopicPartition::new(topic, *p), 0));
    let round = Round {
        records: (0..records).map(record).collect(),
        offsets: inputs.iter().copied().flat_map(position).collect(),
    };
    let (mut took, mut progress) = (Vec::new(), Progress::new());
    for number in 0..rounds + WARM_UP {
        progress.say(|| format!("round {number} of {}", rounds + WARM_UP));
        let begun = Instant::now();
        writer.commit(&round, Some(&fence))?;
        if number >= WARM_UP {
            took.push(millis(begun.elapsed()));
        }
        member.poll(Duration::ZERO)?;
    }
    drop(progress);
    member.leave()?;
    let mut report = Report::default();
    report.row("a round, median", median(&took), "ms", "20, Kafka, one broker");
    report.row("a round, p99", percentile(&took, 0.99), "ms", "");
    report.row("a round, most", percentile(&took, 1.0), "ms", "");
    report.row("records in it", f64::from(records), "", "");
    report.row("positions in it", round.offsets.len() as f64, "", "");
    Ok(report)
}

/// The tasks that the group gives its only member: all of them.
fn assigned(member: &mut dyn Member) -> Result<Vec<i32>, Failure> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        if let Polled::Assigned(tasks) = member.poll(Duration::from_millis(10))? {
            return Ok(tasks);
        }
    }
    Err("no task was assigned within a minute".into())
}
