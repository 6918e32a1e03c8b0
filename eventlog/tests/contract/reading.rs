//! Readers outside a group.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tapewatch_eventlog::{LogError, OutRecord, Polled, TopicSpec};
use tapewatch_schemas::Time;

use super::fixture::{Fixture, record, round, unpack, values};

pub fn the_end_is_told_once_each_time(f: &Fixture) {
    let at = f.topic("t", 1);
    let mut writer = f.writer("w");
    let mut reader = f.log.reader().unwrap();
    reader.assign(&[(at[0].clone(), 0)]).unwrap();
    for n in 0..3 {
        let mut ends = 0;
        let mut records = 0;
        let deadline = Instant::now() + f.backend.patience();
        while ends == 0 {
            assert!(Instant::now() < deadline, "the end was not told");
            match reader.poll(Duration::from_millis(200)).unwrap() {
                Polled::End { at: of, position } => {
                    assert_eq!(of, at[0]);
                    assert!(position >= n, "{position} after {n} records");
                    ends += 1;
                }
                Polled::Batch(batch) => records += batch.len(),
                Polled::Idle => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(records, usize::from(n > 0), "what was written came before the end");
        assert!(matches!(reader.poll(Duration::from_millis(50)).unwrap(), Polled::Idle), "told once");
        writer.commit(&round(vec![record(&at[0], "k", "v")]), None).unwrap();
    }
}

pub fn seeking_by_offset_and_by_time(f: &Fixture) {
    let at = f.topic("t", 1);
    let start = Time::from_secs(1_700_000_000);
    let records: Vec<_> = (0..3000)
        .map(|n| OutRecord {
            timestamp: Some(start + Duration::from_secs(n)),
            ..record(&at[0], "k", &n.to_string())
        })
        .collect();
    let offsets = f.writer("w").commit(&round(records), None).unwrap().offsets;
    let mut reader = f.log.reader().unwrap();
    for from in [0, 1, 1024, 2999] {
        reader.assign(&[(at[0].clone(), offsets[from])]).unwrap();
        let seen = f.drain(reader.as_mut(), &at).remove(&at[0]).unwrap();
        assert_eq!(seen.len(), 3000 - from);
        assert_eq!(values(&seen)[0], from.to_string());
    }
    let seek = |time| f.log.offset_at(&at[0], time).unwrap();
    assert_eq!(seek(Time::MIN + Duration::from_secs(1)), offsets[0]);
    assert_eq!(seek(start), offsets[0]);
    for n in [1, 1023, 1024, 1025, 2048, 2999] {
        let exact = start + Duration::from_secs(n);
        assert_eq!(seek(exact), offsets[n as usize]);
        assert_eq!(seek(exact - Duration::from_millis(500)), offsets[n as usize], "between two records");
    }
    let end = f.log.bounds(&at[0]).unwrap().end;
    // Behind the last record; a transaction's marker has an offset and a time of its own on some logs.
    let behind = seek(start + Duration::from_secs(3000));
    assert!((offsets[2999] + 1..=end).contains(&behind), "{behind}");
}

pub fn pausing_loses_nothing_and_delivers_nothing(f: &Fixture) {
    let at = f.topic("t", 2);
    let mut writer = f.writer("w");
    let write = |writer: &mut dyn tapewatch_eventlog::Writer, value: &str| {
        writer.commit(&round(at.iter().map(|at| record(at, "k", value)).collect()), None).unwrap();
    };
    let mut reader = f.log.reader().unwrap();
    reader.assign(&[(at[0].clone(), 0), (at[1].clone(), 0)]).unwrap();
    write(writer.as_mut(), "1");
    let mut seen = f.drain(reader.as_mut(), &at);
    reader.pause(&at[..1]).unwrap();
    write(writer.as_mut(), "2");
    write(writer.as_mut(), "3");
    for (of, records) in f.drain(reader.as_mut(), &at[1..]) {
        assert_ne!(of, at[0], "a paused partition delivers nothing");
        seen.entry(of).or_default().extend(records);
    }
    let until = Instant::now() + Duration::from_millis(200);
    while Instant::now() < until {
        if let Polled::Batch(batch) = reader.poll(Duration::from_millis(50)).unwrap() {
            assert_ne!(*batch.source(), at[0], "a paused partition delivers nothing");
        }
    }
    reader.resume(&at[..1]).unwrap();
    for (of, records) in f.drain(reader.as_mut(), &at[..1]) {
        seen.entry(of).or_default().extend(records);
    }
    for at in &at {
        assert_eq!(values(&seen[at]), ["1", "2", "3"], "{at}");
    }
}

pub fn unassigned_partitions_are_silent(f: &Fixture) {
    let at = f.topic("t", 2);
    let mut writer = f.writer("w");
    let mut reader = f.log.reader().unwrap();
    reader.assign(&[(at[0].clone(), 0), (at[1].clone(), 0)]).unwrap();
    writer.commit(&round(at.iter().map(|at| record(at, "k", "1")).collect()), None).unwrap();
    reader.unassign(&at[..1]).unwrap();
    let seen = f.drain(reader.as_mut(), &at[1..]);
    assert_eq!(seen.keys().collect::<Vec<_>>(), [&at[1]]);
    reader.assign(&[(at[0].clone(), 0)]).unwrap();
    let seen = f.drain(reader.as_mut(), &at[..1]);
    assert_eq!(values(&seen[&at[0]]), ["1"]);
}

pub fn a_reader_waits_for_news(f: &Fixture) {
    let at = f.topic("t", 1);
    let mut reader = f.log.reader().unwrap();
    reader.assign(&[(at[0].clone(), 0)]).unwrap();
    f.drain(reader.as_mut(), &at);
    let mut writer = f.writer("w");
    let (ready, go) = std::sync::mpsc::channel();
    let writing = std::thread::spawn({
        let round = round(vec![record(&at[0], "k", "news")]);
        move || {
            go.recv().unwrap();
            writer.commit(&round, None).unwrap();
        }
    });
    ready.send(()).unwrap();
    let deadline = Instant::now() + f.backend.patience();
    let batch = loop {
        assert!(Instant::now() < deadline, "the news did not come");
        if let Polled::Batch(batch) = reader.poll(Duration::from_secs(1)).unwrap() {
            break batch;
        }
    };
    assert_eq!(values(&unpack(&batch)), ["news"]);
    writing.join().unwrap();
}

pub fn out_of_range_is_an_error(f: &Fixture) {
    let at = f.topic("t", 1);
    let mut reader = f.log.reader().unwrap();
    let deadline = Instant::now() + f.backend.patience();
    let mut outcome = reader.assign(&[(at[0].clone(), 99)]);
    while outcome.is_ok() {
        assert!(Instant::now() < deadline, "no error came");
        outcome = reader.poll(Duration::from_millis(100)).map(|polled| {
            assert!(matches!(polled, Polled::Idle), "{polled:?}");
        });
    }
    match outcome {
        Err(LogError::OutOfRange { at: of, offset: 99, .. }) => assert_eq!(of, at[0]),
        other => panic!("{other:?}"),
    }
}

pub fn a_compacted_topic_folds_to_its_last_values(f: &Fixture) {
    let spec = TopicSpec { compacted: true, ..f.spec("t", 1) };
    let at = tapewatch_eventlog::TopicPartition::new(spec.name.clone(), 0);
    f.log.create(&[spec]).unwrap();
    let mut writer = f.writer("w");
    for n in 0..10 {
        let records = ["a", "b", "c"].map(|key| record(&at, key, &n.to_string()));
        writer.commit(&round(records.into()), None).unwrap();
    }
    let tombstone = OutRecord { value: None, ..record(&at, "b", "") };
    writer.commit(&round(vec![tombstone]), None).unwrap();
    let seen = f.read_all(&at);
    if f.backend.compacts_at_once() {
        assert_eq!(seen.len(), 3, "{seen:?}");
    }
    let mut folded = BTreeMap::new();
    for record in seen {
        match record.value {
            Some(value) => folded.insert(record.key, value),
            None => folded.remove(&record.key),
        };
    }
    let expected = [(Some(b"a".to_vec()), b"9".to_vec()), (Some(b"c".to_vec()), b"9".to_vec())];
    assert_eq!(folded, BTreeMap::from(expected));
}
