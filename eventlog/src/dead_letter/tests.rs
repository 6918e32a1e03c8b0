use tapewatch_schemas::journal::OffsetRun;

use super::*;
use crate::{Batch, BatchBuilder, Headers};

/// Offset, key, value.
type Given<'a> = (i64, Option<&'a [u8]>, Option<&'a [u8]>);

fn batch(records: &[Given<'_>], headers: &[(&str, &[u8])]) -> Batch {
    let mut batch = BatchBuilder::new(TopicPartition::new("exec.reports.v1", 3));
    for (offset, key, value) in records {
        batch.push(*offset, Time(1_700_000_000_123_456), *key, *value, |into| {
            for (name, value) in headers {
                Headers::encode(into, name, value);
            }
        });
    }
    batch.build()
}

/// The letter as it is read back from a log.
fn read_back(letter: &OutRecord) -> Batch {
    let mut batch = BatchBuilder::new(letter.target.clone());
    batch.push(0, Time(0), letter.key.as_deref(), letter.value.as_deref(), |into| {
        for (name, value) in &letter.headers {
            Headers::encode(into, name, value);
        }
    });
    batch.build()
}

const WHY: DeadLetter<'_> = DeadLetter {
    worker: "risk",
    group: "tapewatch.risk",
    task: 3,
    own: false,
    reason: Reason::Misrouted,
    attempts: 1,
    error: "key `a` belongs to partition 2 of 12",
};

#[test]
fn a_letter_has_the_original_and_every_convention() {
    let source =
        batch(&[(42, Some(b"a"), Some(b"{}"))], &[("traceparent", b"00-1"), ("tapewatch.old", b"x")]);
    let letter = WHY.of(&source.record(0), 1 << 20);
    assert_eq!(letter.target, TopicPartition::new("exec.reports.v1.dlq", 3));
    assert_eq!((letter.key.as_deref(), letter.value.as_deref()), (Some(&b"a"[..]), Some(&b"{}"[..])));
    let batch = read_back(&letter);
    let headers = batch.record(0).headers;
    let expected: [(&str, &[u8]); 13] = [
        ("traceparent", b"00-1"),
        ("__connect.errors.topic", b"exec.reports.v1"),
        ("__connect.errors.partition", b"3"),
        ("__connect.errors.offset", b"42"),
        ("__connect.errors.stage", b"KEY_CONVERTER"),
        ("__connect.errors.exception.class.name", b"tapewatch.Misrouted"),
        ("__streams.errors.exception", b"tapewatch.Misrouted"),
        ("__streams.errors.offset", b"42"),
        ("kafka_dlt-original-topic", b"exec.reports.v1"),
        ("kafka_dlt-original-partition", &[0, 0, 0, 3]),
        ("kafka_dlt-original-offset", &[0, 0, 0, 0, 0, 0, 0, 42]),
        ("kafka_dlt-original-timestamp", &1_700_000_000_123_i64.to_be_bytes()),
        ("kafka_dlt-original-timestamp-type", b"CreateTime"),
    ];
    for (name, value) in expected {
        assert_eq!(headers.get(name), Some(value), "{name}");
    }
    assert_eq!(headers.get("tapewatch.old"), None, "an earlier dead letter's headers go");
    let read = Letter::read(&batch.record(0)).unwrap();
    assert_eq!(
        read,
        Letter {
            worker: "risk".into(),
            task: 3,
            own: false,
            reason: Reason::Misrouted,
            attempts: 1,
            error: WHY.error.into(),
            source: TopicPartition::new("exec.reports.v1", 3),
            offset: 42,
            timestamp: Time(1_700_000_000_123_456),
            redriven: None,
            cut: None,
            range: false,
        }
    );
}

/// Every header, by its whole name: Kafka Connect's, Kafka Streams' and Spring's tools look them up by these.
/// Connect and Streams read text, Spring numbers in 4 and 8 bytes. Where they have a stack trace, and parsers of theirs
/// want one, there is what was wrong and where.
#[test]
fn the_names_are_those_that_the_tools_of_the_field_look_up() {
    let source = batch(&[(42, Some(b"a"), Some(b"{}"))], &[]);
    let letter = WHY.of(&source.record(0), 1 << 20);
    let error = WHY.error.as_bytes();
    let trace: &[u8] = b"tapewatch.Misrouted: key `a` belongs to partition 2 of 12\n\
        \tat tapewatch.risk.task3(exec.reports.v1/3 offset 42)\n\tat tapewatch.risk(consumer group)\n";
    let expected: [(&str, &[u8]); 35] = [
        ("tapewatch.kind", b"record"),
        ("tapewatch.worker", b"risk"),
        ("tapewatch.task", b"3"),
        ("tapewatch.reason", b"misrouted"),
        ("tapewatch.attempts", b"1"),
        ("tapewatch.error", error),
        ("tapewatch.topic", b"exec.reports.v1"),
        ("tapewatch.partition", b"3"),
        ("tapewatch.offset", b"42"),
        ("tapewatch.timestamp", b"1700000000123456"),
        ("__connect.errors.topic", b"exec.reports.v1"),
        ("__connect.errors.partition", b"3"),
        ("__connect.errors.offset", b"42"),
        ("__connect.errors.connector.name", b"tapewatch.risk"),
        ("__connect.errors.task.id", b"3"),
        ("__connect.errors.stage", b"KEY_CONVERTER"),
        ("__connect.errors.class.name", b"tapewatch.risk"),
        ("__connect.errors.exception.class.name", b"tapewatch.Misrouted"),
        ("__connect.errors.exception.message", error),
        ("__connect.errors.exception.stacktrace", trace),
        ("__streams.errors.exception", b"tapewatch.Misrouted"),
        ("__streams.errors.message", error),
        ("__streams.errors.stacktrace", trace),
        ("__streams.errors.topic", b"exec.reports.v1"),
        ("__streams.errors.partition", b"3"),
        ("__streams.errors.offset", b"42"),
        ("kafka_dlt-exception-fqcn", b"tapewatch.Misrouted"),
        ("kafka_dlt-exception-message", error),
        ("kafka_dlt-exception-stacktrace", trace),
        ("kafka_dlt-original-topic", b"exec.reports.v1"),
        ("kafka_dlt-original-partition", &[0, 0, 0, 3]),
        ("kafka_dlt-original-offset", &[0, 0, 0, 0, 0, 0, 0, 42]),
        ("kafka_dlt-original-timestamp", &1_700_000_000_123_i64.to_be_bytes()),
        ("kafka_dlt-original-timestamp-type", b"CreateTime"),
        ("kafka_dlt-original-consumer-group", b"tapewatch.risk"),
    ];
    let found: Vec<(&str, &[u8])> =
        letter.headers.iter().map(|(name, value)| (name.as_str(), value.as_ref())).collect();
    assert_eq!(found, expected);
}

#[test]
fn what_comes_back_says_so_in_headers_of_our_own() {
    let source = batch(&[(42, Some(b"a"), Some(b"{}"))], &[("traceparent", b"00-1")]);
    let letter = read_back(&WHY.of(&source.record(0), 1 << 20));
    let back = Redriven::of(&Letter::read(&letter.record(0)).unwrap(), (3, 7));
    let key = Some(Bytes::from_static(b"a"));
    let sent = back.record(3, key, Some(Bytes::from_static(b"{}")), letter.record(0).headers.iter());
    let expected: [(&str, &[u8]); 12] = [
        ("traceparent", b"00-1"),
        ("tapewatch.kind", b"redriven"),
        ("tapewatch.worker", b"risk"),
        ("tapewatch.task", b"3"),
        ("tapewatch.reason", b"misrouted"),
        ("tapewatch.attempts", b"1"),
        ("tapewatch.topic", b"exec.reports.v1"),
        ("tapewatch.partition", b"3"),
        ("tapewatch.offset", b"42"),
        ("tapewatch.timestamp", b"1700000000123456"),
        ("tapewatch.letter.partition", b"3"),
        ("tapewatch.letter.offset", b"7"),
    ];
    let found: Vec<(&str, &[u8])> =
        sent.headers.iter().map(|(name, value)| (name.as_str(), value.as_ref())).collect();
    assert_eq!((sent.target.topic.as_str(), found.as_slice()), ("exec.reports.v1.redrive", &expected[..]));
    assert_eq!(Redriven::read(&read_back(&sent).record(0)), Some(back));
}

#[test]
fn what_does_not_fit_is_cut_and_says_so() {
    let value = vec![7; 100_000];
    let source = batch(&[(1, Some(b"k"), Some(&value))], &[("keep", b"1")]);
    let letter = WHY.of(&source.record(0), 50_000);
    assert!(size_of(&letter) <= 50_000);
    assert_eq!(letter.value.as_ref().unwrap().len(), HEAD_BYTES);
    assert_eq!(letter.key.as_deref(), Some(&b"k"[..]));
    let batch_read = read_back(&letter);
    let read = Letter::read(&batch_read.record(0)).unwrap();
    assert_eq!(read.cut, Some((100_000, Digest::of(&value).to_string())));
    let long = vec![1; 60_000];
    let source = batch(&[(1, Some(&long), None)], &[]);
    let letter = WHY.of(&source.record(0), 50_000);
    assert!(size_of(&letter) <= 50_000 && letter.key.is_none() && letter.value.is_none());
}

#[test]
fn a_long_error_is_cut_at_a_character() {
    let error = "é".repeat(MAX_ERROR_BYTES);
    let source = batch(&[(1, None, None)], &[]);
    let letter = DeadLetter { error: &error, ..WHY }.of(&source.record(0), 1 << 20);
    let batch = read_back(&letter);
    assert_eq!(Letter::read(&batch.record(0)).unwrap().error, "é".repeat(MAX_ERROR_BYTES / 2));
}

#[test]
fn a_range_letter_lists_runs_by_reason() {
    let values: Vec<_> = [1_i64, 2, 4, 5, 6, 9].map(|offset| (offset, None, Some(&b"bad"[..]))).into();
    let source = batch(&values, &[]);
    let mut range = RangeLetter::new(source.source().clone());
    let add = |range: &mut RangeLetter, index: usize, reason| range.add(&source.record(index), reason);
    add(&mut range, 0, Reason::Truncated);
    add(&mut range, 1, Reason::Truncated);
    add(&mut range, 2, Reason::Truncated); // offset 3 is a gap in the log, not a good record
    add(&mut range, 3, Reason::BadValue);
    range.pass();
    add(&mut range, 4, Reason::BadValue);
    add(&mut range, 5, Reason::Truncated);
    assert_eq!(range.count(), 6);
    let letter = range.build(&DeadLetter { reason: Reason::Truncated, ..WHY }).unwrap();
    let body = RangeBody::read(letter.value.as_ref().unwrap()).unwrap();
    let run = |first, last| OffsetRun { first, last };
    assert_eq!(body.reasons[0].runs, [run(1, 4), run(9, 9)]);
    assert_eq!(body.reasons[1].runs, [run(5, 5), run(6, 6)]);
    assert_eq!((body.reasons[0].count, body.reasons[1].count, body.count), (4, 2, 6));
    assert_eq!(body.first_value.as_deref(), Some("626164"));
    assert_eq!(range.excluded().len(), 2);
    let batch = read_back(&letter);
    let headers = batch.record(0).headers;
    for name in [
        "__connect.errors.exception.stacktrace",
        "__streams.errors.stacktrace",
        "kafka_dlt-exception-stacktrace",
    ] {
        let trace = String::from_utf8_lossy(headers.get(name).unwrap());
        assert!(
            trace.starts_with("tapewatch.Truncated: ") && trace.contains("3 offset 1)"),
            "{name}: {trace}"
        );
    }
    let read = Letter::read(&batch.record(0)).unwrap();
    assert!(read.range);
    assert_eq!(read.offset, 1);
}

#[test]
fn the_digest_sees_every_byte() {
    let digest = |value: &[u8]| {
        let source = batch(&[(1, Some(b"k"), Some(value))], &[("h", b"1")]);
        let mut range = RangeLetter::new(source.source().clone());
        range.add(&source.record(0), Reason::BadJson);
        RangeBody::read(&range.build(&WHY).unwrap().value.unwrap()).unwrap().digest
    };
    assert_eq!(digest(b"one"), digest(b"one"));
    assert_ne!(digest(b"one"), digest(b"onf"));
}

#[test]
fn what_comes_back_and_fails_again_keeps_where_it_was_first() {
    let source = batch(&[(42, Some(b"a"), Some(b"{}"))], &[("traceparent", b"00-1")]);
    let first = read_back(&WHY.of(&source.record(0), 1 << 20));
    let letter = Letter::read(&first.record(0)).unwrap();
    let back = Redriven::of(&letter, (3, 7));
    let record = first.record(0);
    let (key, value) = (record.key.map(Bytes::copy_from_slice), record.value.map(Bytes::copy_from_slice));
    let sent = back.record(3, key, value, record.headers.iter());
    assert_eq!(sent.target, TopicPartition::new("exec.reports.v1.redrive", 3));
    assert_eq!((sent.key.as_deref(), sent.value.as_deref()), (Some(&b"a"[..]), Some(&b"{}"[..])));
    let sent = read_back(&sent);
    assert_eq!(Redriven::read(&sent.record(0)), Some(back));
    assert_eq!(Letter::read(&sent.record(0)), None, "it is no letter");
    assert_eq!(sent.record(0).headers.get("traceparent"), Some(&b"00-1"[..]));
    assert!(sent.record(0).headers.iter().all(|(name, _)| !name.starts_with("kafka_dlt")));

    let again = DeadLetter { attempts: 2, ..WHY }.of(&sent.record(0), 1 << 20);
    assert_eq!(again.target, TopicPartition::new("exec.reports.v1.dlq", 3));
    let again = read_back(&again);
    let read = Letter::read(&again.record(0)).unwrap();
    assert_eq!((read.source, read.offset, read.timestamp), (letter.source, 42, letter.timestamp));
    assert_eq!((read.attempts, read.redriven), (2, Some((3, 0))));
    let headers = again.record(0).headers;
    assert_eq!(headers.get("__connect.errors.topic"), Some(&b"exec.reports.v1"[..]));
    assert_eq!(headers.get("kafka_dlt-original-offset"), Some(&42_i64.to_be_bytes()[..]));
    let trace = headers.get("__streams.errors.stacktrace").unwrap();
    assert!(
        String::from_utf8_lossy(trace).contains("(exec.reports.v1.redrive/3 offset 0)"),
        "where it was read this time: {trace:?}"
    );
    assert_eq!(headers.iter().filter(|(name, _)| *name == "tapewatch.attempts").count(), 1);
}
