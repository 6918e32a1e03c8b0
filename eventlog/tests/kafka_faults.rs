//! What goes wrong around Kafka: no broker, a wrong property, a full queue, a killed member.

#![allow(clippy::unwrap_used, reason = "test code, outside of functions that are marked as tests")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tapewatch_eventlog::{
    CommitError, GroupSpec, Log, LogError, Member, OpenOptions, OutRecord, Polled, Round, TopicPartition,
    TopicSpec, open,
};
use tapewatch_schemas::Time;

const ADDRESS: &str = "TAPEWATCH_TEST_KAFKA";
/// Tells the test's own child process whose names to use.
const TAG: &str = "TAPEWATCH_TEST_TAG";

fn cluster(options: &OpenOptions) -> Option<Arc<dyn Log>> {
    let Ok(address) = std::env::var(ADDRESS) else {
        eprintln!("skipped: no {ADDRESS}. scripts/kafka up starts one");
        return None;
    };
    Some(open(&address, options).expect("the cluster answers"))
}

fn with(properties: &[(&str, &str)]) -> OpenOptions {
    let kafka: BTreeMap<_, _> =
        properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    OpenOptions { kafka, ..OpenOptions::default() }
}

fn record(topic: &str, partition: i32, value: String) -> OutRecord {
    OutRecord {
        target: TopicPartition::new(topic, partition),
        timestamp: None,
        key: None,
        value: Some(Bytes::from(value)),
        headers: Vec::new(),
    }
}

fn create(log: &dyn Log, topic: &str, partitions: i32) {
    let replication = log.address().split(',').count().min(3) as i32;
    let spec = TopicSpec { name: topic.into(), partitions, replication, retention: None, compacted: false };
    log.create(&[spec]).unwrap();
}

#[test]
fn no_broker_is_an_error_within_seconds() {
    // A port that nobody listens on: bound, and let go.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let started = Instant::now();
    match open(&format!("kafka:127.0.0.1:{port}"), &OpenOptions::default()) {
        Err(LogError::Unreachable { why, .. }) => assert!(why.contains("refused"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn a_silent_broker_is_an_error_within_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let started = Instant::now();
    match open(&format!("kafka:{}", listener.local_addr().unwrap()), &OpenOptions::default()) {
        Err(LogError::Unreachable { .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn an_address_without_a_port_is_refused() {
    for address in ["kafka:localhost", "kafka:localhost:", "kafka::9092", "kafka:a:1,b", "kafka:a:70000"] {
        match open(address, &OpenOptions::default()) {
            Err(LogError::Address { why, .. }) => assert!(why.contains("HOST:PORT"), "{why}"),
            other => panic!("{address}: {other:?}"),
        }
    }
}

#[test]
fn a_wrong_property_is_named() {
    for (key, value) in
        [("no.such.property", "1"), ("socket.timeout.ms", "soon"), ("security.protocol", "carrier_pigeon")]
    {
        let error = open("kafka:127.0.0.1:1", &with(&[(key, value)])).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn a_feature_that_is_not_built_in_is_named() {
    let asked = [
        (cfg!(feature = "tls"), "tls", with(&[("security.protocol", "ssl")])),
        (
            cfg!(feature = "tls"),
            "tls",
            with(&[
                ("security.protocol", "sasl_plaintext"),
                ("sasl.mechanism", "SCRAM-SHA-256"),
                ("sasl.username", "u"),
                ("sasl.password", "p"),
            ]),
        ),
        (
            cfg!(feature = "oidc"),
            "oidc",
            with(&[
                ("security.protocol", "sasl_plaintext"),
                ("sasl.mechanism", "OAUTHBEARER"),
                ("sasl.oauthbearer.method", "oidc"),
            ]),
        ),
    ];
    for (built_in, feature, options) in asked {
        if built_in {
            eprintln!("skipped: {feature} is built in");
            continue;
        }
        let error = open("kafka:127.0.0.1:1", &options).unwrap_err();
        assert!(matches!(error, LogError::Backend { .. }), "{error:?}");
        assert!(error.to_string().contains(&format!("--features {feature}")), "{error}");
    }
}

#[test]
fn a_full_queue_refuses_and_loses_nothing() {
    let options = OpenOptions { queue_bytes: 2 << 20, ..with(&[("producer.linger.ms", "2000")]) };
    let Some(log) = cluster(&options) else { return };
    let topic = format!("full-{}", std::process::id());
    create(log.as_ref(), &topic, 1);
    let mut publisher = log.publisher().unwrap();
    let mut sent = 0;
    let refused = loop {
        match publisher.send(record(&topic, 0, format!("{sent:0>10000}"))) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 1_000_000, "the queue has no bound");
    };
    assert!(matches!(refused, LogError::Full { .. }), "{refused:?}");
    publisher.flush(Duration::from_secs(30)).unwrap();
    publisher.send(record(&topic, 0, "after".to_owned())).expect("there is room again");
    publisher.flush(Duration::from_secs(30)).unwrap();
    let end = log.bounds(&TopicPartition::new(topic.as_str(), 0)).unwrap().end;
    assert_eq!(end, sent + 1, "what was refused was not queued, and nothing else was lost");
}

#[test]
fn a_topic_that_is_not_there_is_named() {
    let Some(log) = cluster(&OpenOptions::default()) else { return };
    let missing = TopicPartition::new("no-such-topic", 0);
    let of_it = |outcome: Result<(), LogError>| match outcome {
        Err(LogError::NoTopic { topic, .. }) => assert!(topic.starts_with("no-such-topic"), "{topic}"),
        other => panic!("{other:?}"),
    };
    let started = Instant::now();
    of_it(log.reader().unwrap().assign(&[(missing.clone(), 0)]));
    of_it(log.member(&group("no-such-topic", "one")).map(drop));
    of_it(log.offset_at(&missing, Time::from_secs(0)).map(drop));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(log.group_offsets("no-such-group", &[missing]).unwrap(), [None]);
}

#[test]
fn a_record_from_the_future_is_refused_and_what_was_aborted_hides_no_end() {
    let Some(log) = cluster(&OpenOptions::default()) else { return };
    let topic = format!("future-{}", std::process::id());
    create(log.as_ref(), &topic, 2);
    let at = TopicPartition::new(topic.as_str(), 1);
    // A reader that is there already: it meets the aborted record and its marker at the end.
    let mut reader = log.reader().unwrap();
    reader.assign(&[(at.clone(), 0)]).unwrap();
    let mut writer = log.writer(&topic).unwrap();
    let ahead = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(3 * 3600);
    let future = OutRecord {
        timestamp: Some(Time::from_secs(ahead.as_secs() as i64)),
        ..record(&topic, 0, "future".to_owned())
    };
    let round = Round { records: vec![record(&topic, 1, "good".to_owned()), future], offsets: Vec::new() };
    match writer.commit(&round, None) {
        Err(CommitError::Refused(why)) => assert!(why.to_string().contains(&topic), "{why}"),
        other => panic!("{other:?}"),
    }
    let end = log.bounds(&at).unwrap().end;
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        assert!(Instant::now() < deadline, "the end at {end} was not told");
        match reader.poll(Duration::from_millis(100)).unwrap() {
            Polled::Batch(batch) => panic!("an aborted record was delivered: {batch:?}"),
            Polled::End { position, .. } if position >= end => break,
            _ => {}
        }
    }
    let round = Round { records: vec![record(&topic, 1, "after".to_owned())], offsets: Vec::new() };
    writer.commit(&round, None).expect("the writer goes on");
    assert_eq!(read(log.as_ref(), &topic, 1), ["after"]);
}

#[test]
fn recovery_leaves_a_writer_that_writes() {
    let Some(log) = cluster(&OpenOptions::default()) else { return };
    let topic = format!("recovery-{}", std::process::id());
    create(log.as_ref(), &topic, 1);
    let mut writer = log.writer(&topic).unwrap();
    for n in 0..3 {
        let round = Round { records: vec![record(&topic, 0, n.to_string())], offsets: Vec::new() };
        writer.commit(&round, None).unwrap();
        writer.recover().unwrap();
    }
    assert_eq!(read(log.as_ref(), &topic, 0), ["0", "1", "2"]);
}

#[test]
fn a_killed_member_is_taken_over_and_leaves_whole_rounds() {
    let Some(log) = cluster(&OpenOptions::default()) else { return };
    let tag = format!("killed-{}", std::process::id());
    let (input, output) = (format!("{tag}-in"), format!("{tag}-out"));
    create(log.as_ref(), &input, 2);
    create(log.as_ref(), &output, 2);
    let (mut child, mut lines) = spawn(&tag);
    // Kill it at full speed, in the midst of its rounds.
    for _ in 0..20 {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the child ended");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let started = Instant::now();
    let mut successor = log.member(&group(&tag, "successor")).unwrap();
    assigned(successor.as_mut(), 2);
    // The bar: a session of 6 s, and no more than 15 s in all.
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    // Taking over its id ends what it left open: readers of committed records need not wait.
    let mut writer = log.writer(&tag).unwrap();
    let fence = successor.fence().unwrap();
    let at: Vec<_> = (0..2).map(|p| TopicPartition::new(input.as_str(), p)).collect();
    let stood = log.group_offsets(&tag, &at).unwrap();
    let rounds = stood[0].unwrap();
    assert_eq!(stood, [Some(rounds), Some(rounds)], "positions move together");
    assert!(rounds >= 20, "{rounds}");
    let expected: Vec<_> = (1..=rounds).map(|n| n.to_string()).collect();
    for partition in 0..2 {
        assert_eq!(read(log.as_ref(), &output, partition), expected, "outputs and positions are one");
    }
    let offsets = at.iter().map(|at| (at.clone(), rounds)).collect();
    let round = Round { records: vec![record(&output, 0, "successor".to_owned())], offsets };
    writer.commit(&round, Some(&fence)).unwrap();
}

/// Not a test by itself: the process that the test above kills.
#[test]
fn child_that_is_killed() {
    let Ok(tag) = std::env::var(TAG) else { return };
    let log = cluster(&OpenOptions::default()).expect("the parent has one");
    let mut member = log.member(&group(&tag, "victim")).unwrap();
    assigned(member.as_mut(), 2);
    let fence = member.fence().unwrap();
    let mut writer = log.writer(&tag).unwrap();
    for n in 1.. {
        member.poll(Duration::ZERO).unwrap();
        let round = Round {
            records: (0..2).map(|p| record(&format!("{tag}-out"), p, n.to_string())).collect(),
            offsets: (0..2).map(|p| (TopicPartition::new(format!("{tag}-in"), p), n)).collect(),
        };
        writer.commit(&round, Some(&fence)).unwrap();
        writeln!(std::io::stderr(), "committed {n}").unwrap();
    }
}

fn spawn(tag: &str) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_is_killed", "--nocapture"])
        .env(TAG, tag)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap());
    (child, lines)
}

fn group(tag: &str, instance: &str) -> GroupSpec {
    GroupSpec {
        group: tag.to_owned(),
        instance: instance.to_owned(),
        topics: vec![format!("{tag}-in").into()],
        session: Duration::from_secs(6),
    }
}

fn assigned(member: &mut dyn Member, tasks: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < deadline, "nothing was assigned");
        match member.poll(Duration::from_millis(100)).unwrap() {
            Polled::Assigned(got) if got.len() == tasks => return,
            Polled::Revoked(_) | Polled::Lost(_) => member.release().unwrap(),
            _ => {}
        }
    }
}

fn read(log: &dyn Log, topic: &str, partition: i32) -> Vec<String> {
    let at = TopicPartition::new(topic, partition);
    let end = log.bounds(&at).unwrap().end;
    let mut reader = log.reader().unwrap();
    reader.assign(&[(at, 0)]).unwrap();
    let mut values = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        assert!(Instant::now() < deadline, "not read to {end} in time, {} records", values.len());
        match reader.poll(Duration::from_millis(100)).unwrap() {
            Polled::Batch(batch) => values.extend(
                batch.iter().map(|record| String::from_utf8_lossy(record.value.unwrap()).into_owned()),
            ),
            Polled::End { position, .. } if position >= end => return values,
            _ => {}
        }
    }
}
