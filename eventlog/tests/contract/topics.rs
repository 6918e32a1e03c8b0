//! Topics and bounds.

use tapewatch_eventlog::{LogError, TopicPartition};

use super::fixture::{Fixture, record, round};

pub fn creating_again_changes_nothing(f: &Fixture) {
    let at = f.topic("t", 2);
    f.writer("w").commit(&round(vec![record(&at[1], "k", "v")]), None).unwrap();
    f.log.create(&[f.spec("t", 2)]).unwrap();
    assert_eq!(f.read_all(&at[1]).len(), 1);
    let found = f.log.topics().unwrap();
    let mine: Vec<_> = found.iter().filter(|topic| topic.name == at[0].topic).collect();
    assert_eq!(mine.len(), 1);
    assert_eq!(mine[0].partitions, 2);
}

pub fn another_partition_count_is_an_error(f: &Fixture) {
    f.topic("t", 2);
    let error = f.log.create(&[f.spec("t", 3)]).unwrap_err().to_string();
    assert!(error.contains(&f.name("t")) && error.contains('2') && error.contains('3'), "{error}");
}

pub fn a_missing_topic_is_named(f: &Fixture) {
    let missing = TopicPartition::new(f.name("missing"), 0);
    match f.log.bounds(&missing) {
        Err(LogError::NoTopic { topic, .. }) => assert_eq!(topic, missing.topic.as_str()),
        other => panic!("{other:?}"),
    }
}

pub fn bounds_follow_what_is_written(f: &Fixture) {
    let at = f.topic("t", 2);
    let bounds = f.log.bounds(&at[0]).unwrap();
    assert_eq!((bounds.earliest, bounds.end), (0, 0));
    f.writer("w").commit(&round(vec![record(&at[0], "k", "a"), record(&at[0], "k", "b")]), None).unwrap();
    let bounds = f.log.bounds(&at[0]).unwrap();
    assert_eq!(bounds.earliest, 0);
    // A transaction's marker takes an offset on some logs.
    assert!((2..=3).contains(&bounds.end), "{bounds:?}");
    assert_eq!(f.log.bounds(&at[1]).unwrap().end, 0);
}
