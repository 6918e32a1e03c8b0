//! Rounds and published records.

use std::time::Duration;

use bytes::Bytes;
use tapewatch_eventlog::{CommitError, OutRecord, TopicPartition};
use tapewatch_schemas::Time;

use super::fixture::{Fixture, record, round, values};

pub fn offsets_rise_in_each_partition(f: &Fixture) {
    let at = f.topic("t", 3);
    let mut writer = f.writer("w");
    let mut acknowledged = vec![Vec::new(); 3];
    for n in 0..20 {
        let records: Vec<_> = (0..3)
            .flat_map(|p| {
                let at = &at;
                (0..2).map(move |i| record(&at[p], "k", &format!("{n}.{i}")))
            })
            .collect();
        let committed = writer.commit(&round(records.clone()), None).unwrap();
        assert_eq!(committed.offsets.len(), records.len());
        for (record, offset) in records.iter().zip(committed.offsets) {
            acknowledged[record.target.partition as usize].push(offset);
        }
    }
    for (at, acknowledged) in at.iter().zip(acknowledged) {
        let seen = f.read_all(at);
        let expected: Vec<_> = (0..20).flat_map(|n| (0..2).map(move |i| format!("{n}.{i}"))).collect();
        assert_eq!(values(&seen), expected);
        let offsets: Vec<_> = seen.iter().map(|seen| seen.offset).collect();
        assert_eq!(offsets, acknowledged);
        assert!(offsets.is_sorted_by(|a, b| a < b));
    }
}

pub fn a_round_is_seen_whole(f: &Fixture) {
    let at = f.topic("t", 4);
    let mut writer = f.writer("w");
    for n in 0..10 {
        let records = at.iter().map(|at| record(at, "k", &n.to_string())).collect();
        writer.commit(&round(records), None).unwrap();
        for at in &at {
            assert_eq!(f.read_all(at).len(), n + 1, "a committed round is visible in every partition");
        }
    }
}

pub fn a_refused_round_leaves_nothing(f: &Fixture) {
    let at = f.topic("t", 1);
    let mut writer = f.writer("w");
    writer.commit(&round(vec![record(&at[0], "k", "before")]), None).unwrap();
    let missing = TopicPartition::new(f.name("missing"), 0);
    let bad = round(vec![record(&at[0], "k", "lost"), record(&missing, "k", "lost")]);
    match writer.commit(&bad, None) {
        Err(CommitError::Refused(_)) => {}
        other => panic!("{other:?}"),
    }
    writer.commit(&round(vec![record(&at[0], "k", "after")]), None).unwrap();
    assert_eq!(values(&f.read_all(&at[0])), ["before", "after"]);
}

pub fn nulls_headers_and_big_records_come_back(f: &Fixture) {
    let at = f.topic("t", 1);
    let big = vec![0xA5; 900_000];
    let header = |name: &str, value: &'static [u8]| (name.to_owned(), Bytes::from_static(value));
    let out = |key: Option<&[u8]>, value: Option<&[u8]>, headers| OutRecord {
        target: at[0].clone(),
        timestamp: None,
        key: key.map(Bytes::copy_from_slice),
        value: value.map(Bytes::copy_from_slice),
        headers,
    };
    let records = vec![
        out(None, Some(b"v"), vec![]),
        out(Some(b"k"), None, vec![]),
        out(Some(b""), Some(b""), vec![header("a", b"1"), header("", b""), header("a", &[0, 255])]),
        out(Some(b"big"), Some(&big), vec![]),
        out(None, None, vec![header("only", b"header")]),
    ];
    f.writer("w").commit(&round(records.clone()), None).unwrap();
    let seen = f.read_all(&at[0]);
    assert_eq!(seen.len(), records.len());
    for (seen, sent) in seen.iter().zip(&records) {
        assert_eq!(seen.key.as_deref(), sent.key.as_deref());
        assert_eq!(seen.value.as_deref(), sent.value.as_deref());
        let sent: Vec<_> = sent.headers.iter().map(|(name, value)| (name.clone(), value.to_vec())).collect();
        assert_eq!(seen.headers, sent);
    }
}

pub fn timestamps_are_kept_or_given(f: &Fixture) {
    let at = f.topic("t", 1);
    let given = Time::from_millis(1_700_000_000_123);
    let with = OutRecord { timestamp: Some(given), ..record(&at[0], "k", "given") };
    f.writer("w").commit(&round(vec![with, record(&at[0], "k", "now")]), None).unwrap();
    let seen = f.read_all(&at[0]);
    assert_eq!(seen[0].timestamp, given.micros());
    assert!(seen[1].timestamp > Time::from_secs(1_750_000_000).micros(), "{}", seen[1].timestamp);
}

pub fn a_newer_writer_fences_the_older(f: &Fixture) {
    let at = f.topic("t", 1);
    let mut old = f.writer("w");
    old.commit(&round(vec![record(&at[0], "k", "old")]), None).unwrap();
    let mut new = f.writer("w");
    match old.commit(&round(vec![record(&at[0], "k", "zombie")]), None) {
        Err(CommitError::Fenced(_)) => {}
        other => panic!("{other:?}"),
    }
    new.commit(&round(vec![record(&at[0], "k", "new")]), None).unwrap();
    assert_eq!(values(&f.read_all(&at[0])), ["old", "new"]);
}

pub fn recovery_keeps_what_was_acknowledged(f: &Fixture) {
    let at = f.topic("t", 1);
    let mut writer = f.writer("w");
    writer.commit(&round(vec![record(&at[0], "k", "before")]), None).unwrap();
    writer.recover().unwrap();
    assert_eq!(values(&f.read_all(&at[0])), ["before"]);
    writer.commit(&round(vec![record(&at[0], "k", "after")]), None).unwrap();
    assert_eq!(values(&f.read_all(&at[0])), ["before", "after"]);
}

pub fn published_records_keep_their_order(f: &Fixture) {
    let at = f.topic("t", 2);
    let mut publisher = f.log.publisher().unwrap();
    for n in 0..5000 {
        publisher.send(record(&at[n % 2], "k", &n.to_string())).unwrap();
    }
    publisher.flush(Duration::from_secs(20)).unwrap();
    for (p, at) in at.iter().enumerate() {
        let expected: Vec<_> = (0..5000).filter(|n| n % 2 == p).map(|n: usize| n.to_string()).collect();
        assert_eq!(values(&f.read_all(at)), expected);
    }
}
