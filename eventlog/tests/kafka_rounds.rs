//! How long a round takes on Kafka: ten records of 200 B and the positions of four partitions. A number to
//! read, never a bar, for the machine decides:
//! `cargo test --release -p tapewatch-eventlog --test kafka_rounds -- --ignored --nocapture`

use std::time::{Duration, Instant};

use bytes::Bytes;
use tapewatch_eventlog::{
    Fence, GroupSpec, Log, OpenOptions, OutRecord, Polled, Round, TopicPartition, TopicSpec, open,
};

const ADDRESS: &str = "TAPEWATCH_TEST_KAFKA";
const PARTITIONS: i32 = 4;
const ROUNDS: i64 = 500;

#[test]
#[ignore = "a measurement"]
fn how_long_a_round_takes() {
    let address = std::env::var(ADDRESS).expect("TAPEWATCH_TEST_KAFKA says where the brokers are");
    let log = open(&address, &OpenOptions::default()).expect("the cluster answers");
    let tag = format!("rounds-{}", std::process::id());
    let output = format!("{tag}-out");
    let began = Instant::now();
    let mut member = log.member(&group(log.as_ref(), &tag)).expect("the member joins");
    while !matches!(member.poll(Duration::from_secs(1)).expect("poll"), Polled::Assigned(_)) {}
    println!("assigned after {:?}", began.elapsed());
    let began = Instant::now();
    let mut writer = log.writer(&tag).expect("the writer opens");
    println!("writer open after {:?}", began.elapsed());
    let fence: Fence = member.fence().expect("the member has tasks");
    let mut took: Vec<Duration> = (0..ROUNDS)
        .map(|n| {
            let round = round(&tag, &output, n);
            let began = Instant::now();
            writer.commit(&round, Some(&fence)).expect("the round commits");
            let took = began.elapsed();
            member.poll(Duration::ZERO).expect("poll");
            took
        })
        .collect();
    took.sort();
    let at = |share: usize| took[took.len() * share / 100];
    println!("round: median {:?}, p90 {:?}, p99 {:?}", at(50), at(90), at(99));
}

fn group(log: &dyn Log, tag: &str) -> GroupSpec {
    let names = [format!("{tag}-in"), format!("{tag}-out")];
    let specs = names.clone().map(|name| TopicSpec {
        name: name.into(),
        partitions: PARTITIONS,
        replication: log.address().split(',').count().min(3) as i32,
        retention: None,
        compacted: false,
    });
    log.create(&specs).expect("the topics are created");
    let [input, _] = names;
    GroupSpec {
        group: tag.to_owned(),
        instance: "one".to_owned(),
        topics: vec![input.into()],
        session: Duration::from_secs(6),
    }
}

fn round(tag: &str, output: &str, n: i64) -> Round {
    let record = |i| OutRecord {
        target: TopicPartition::new(output, i % PARTITIONS),
        timestamp: None,
        key: Some(Bytes::from_static(b"portfolio")),
        value: Some(Bytes::from(vec![7; 200])),
        headers: Vec::new(),
    };
    Round {
        records: (0..10).map(record).collect(),
        offsets: (0..PARTITIONS).map(|p| (TopicPartition::new(format!("{tag}-in"), p), n)).collect(),
    }
}
