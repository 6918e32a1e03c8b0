//! `dlq list` and `dlq show`, on letters as workers write them.

mod run;

use bytes::Bytes;
use run::Folder;
use tapewatch_eventlog::dead_letter::{DeadLetter, RangeLetter};
use tapewatch_eventlog::{BatchBuilder, OpenOptions, OutRecord, Round, TopicPartition, open};
use tapewatch_schemas::{Codec, Reason, Time};

const WHY: DeadLetter<'_> = DeadLetter {
    worker: "risk",
    group: "tapewatch.risk",
    task: 1,
    own: false,
    reason: Reason::Truncated,
    attempts: 1,
    error: "the value ends at byte 20, within `cash`",
};

/// A good account record in Avro.
fn account() -> Vec<u8> {
    let codec = Codec::new(&[]).expect("the shipped schemas are good");
    let text = br#"{"source":"me","sequence":7,"event_time":0,"portfolio":"P1","currency":"USD",
        "cash":"12.5","equity":"12.5","deposits":"0","withdrawals":"0"}"#;
    let event = codec.decode_json("accounts.v1", text).expect("it is an account");
    let mut value = Vec::new();
    codec.encode(&event, &mut value).expect("it fits");
    value
}

fn letters() -> Vec<OutRecord> {
    let source = TopicPartition::new("accounts.v1", 1);
    let mut batch = BatchBuilder::new(source.clone());
    let good = account();
    batch.push(40, Time(1_000_000), Some(b"P1"), Some(&good[..30]), |_| ());
    batch.push(41, Time(2_000_000), Some(b"P1"), Some(&good), |_| ());
    batch.push(42, Time(3_000_000), Some(b"P1"), Some(b"{\"portfolio\": 5}"), |_| ());
    let batch = batch.build();
    let mut range = RangeLetter::new(source);
    range.add(&batch.record(0), Reason::Truncated);
    range.pass();
    range.add(&batch.record(2), Reason::BadJson);
    vec![
        WHY.of(&batch.record(0), 1 << 20),
        DeadLetter { reason: Reason::Refused, error: "quantity: 0", ..WHY }.of(&batch.record(1), 1 << 20),
        DeadLetter { reason: Reason::BadJson, error: "bad", worker: "alerting", ..WHY }
            .of(&batch.record(2), 1 << 20),
        range.build(&WHY).expect("it holds two"),
        OutRecord {
            target: TopicPartition::new("accounts.v1.dlq", 1),
            timestamp: None,
            key: None,
            value: Some(Bytes::from_static(b"\x00\x01stranger")),
            headers: Vec::new(),
        },
    ]
}

fn with_letters() -> Folder {
    let folder = Folder::new();
    assert_eq!(folder.run(&["topics", "create", "--partitions", "2"]).code, 0);
    let url = format!("sqlite:{}", folder.path("tapewatch.db").display());
    let log = open(&url, &OpenOptions::default()).expect("it is there");
    let mut writer = log.writer("test").expect("it opens");
    let round = Round { records: letters(), offsets: Vec::new() };
    writer.commit(&round, None).expect("it is written");
    folder
}

#[test]
fn letters_are_counted_by_topic_worker_and_reason() {
    let folder = with_letters();
    let listed = folder.run(&["dlq", "list"]);
    assert_eq!(listed.code, 0, "{}", listed.err);
    for wanted in [
        "accounts.v1\n",
        "  truncated, by risk: 2, ",
        "  refused, by risk: 1, ",
        "  bad_json, by alerting: 1, ",
        "  bad_json, by risk: 1, ",
        "  foreign, by -: 1, ",
        "tapewatch dlq show accounts.v1 1 ",
    ] {
        assert!(listed.out.contains(wanted), "{wanted} in {}", listed.out);
    }
    let json = folder.run(&["dlq", "list", "accounts.v1", "--json"]);
    let lines: Vec<serde_json::Value> =
        json.out.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    assert_eq!(lines.len(), 5);
    let truncated = lines.iter().find(|line| line["reason"] == "truncated").expect("it is listed");
    assert_eq!((&truncated["records"], &truncated["letters"]), (&2.into(), &2.into()));
}

#[test]
fn a_log_without_letters_says_so() {
    let folder = Folder::new();
    folder.run(&["topics", "create"]);
    let done = folder.run(&["dlq", "list"]);
    assert_eq!((done.code, done.out.as_str()), (0, "no dead letters\n"));
    let wrong = folder.run(&["dlq", "list", "acounts.v1"]);
    assert_eq!(wrong.code, 5);
    assert!(wrong.err.contains("Did you mean accounts.v1"), "{}", wrong.err);
}

#[test]
fn a_letter_is_shown_with_why_headers_and_bytes() {
    let folder = with_letters();
    let show = |offset: &str| {
        let done = folder.run(&["dlq", "show", "accounts.v1", "1", offset]);
        assert_eq!(done.code, 0, "{}", done.err);
        done.out
    };
    let offsets: Vec<String> = folder
        .run(&["tail", "accounts.v1.dlq", "--json"])
        .out
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("a line is JSON")["offset"].to_string()
        })
        .collect();

    let truncated = show(&offsets[0]);
    for wanted in [
        "truncated: the value ends at byte 20, within `cash`",
        "comes from accounts.v1/1 offset 40, published 1970-01-01T00:00:01Z",
        "kafka_dlt-original-offset: 0x0000000000000028",
        "value: 30 bytes",
        "the value ends at byte 30",
        "  00000000  c3 01 ",
    ] {
        assert!(truncated.contains(wanted), "{wanted} in {truncated}");
    }

    let refused = show(&offsets[1]);
    assert!(refused.contains("\"cash\": \"12.5\"") && !refused.contains("00000000  c3"), "{refused}");

    let json = show(&offsets[2]);
    assert!(json.contains("`portfolio`: ") && json.contains("{\"portfolio\": 5}"), "{json}");

    let range = show(&offsets[3]);
    for wanted in [
        "2 records, whose bytes are still in the source",
        "truncated: 1 records, at offsets\n    40",
        "bad_json: 1 records, at offsets\n    42",
        "the first of them, at offset 40",
        "  key: P1",
    ] {
        assert!(range.contains(wanted), "{wanted} in {range}");
    }

    let foreign = show(&offsets[4]);
    assert!(foreign.contains("not those of a tapewatch dead letter"), "{foreign}");
    assert!(foreign.contains("|..stranger|"), "{foreign}");
}

#[test]
fn what_is_not_there_is_bad_input() {
    let folder = with_letters();
    for (partition, offset, wanted) in [("1", "99", "no record at offset 99"), ("7", "0", "no partition 7")] {
        let done = folder.run(&["dlq", "show", "accounts.v1.dlq", partition, offset]);
        assert_eq!(done.code, 5);
        assert!(done.err.contains(wanted), "{}", done.err);
    }
}
