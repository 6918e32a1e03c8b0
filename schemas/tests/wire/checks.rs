//! Key, partition, ids and time.

use std::time::Duration;

use tapewatch_schemas::checks::{Arrival, CheckError};
use tapewatch_schemas::partition::Partitioner;
use tapewatch_schemas::{Checks, Event, Reason, Time};

use crate::sample::fill;

const CHECKS: Checks = Checks { partitioner: Partitioner::Murmur2, max_skew: Duration::from_secs(5) };

fn arrival(event: &Event, partitions: u32) -> Arrival<'_> {
    Arrival {
        key: Some(event.key().as_bytes()),
        partition: Partitioner::Murmur2.expected(event.key().as_bytes(), partitions).unwrap(),
        partitions,
        timestamp: event.event_time(),
        fetched: Time::MAX,
    }
}

#[test]
fn a_record_in_its_place_passes() {
    let event = Event::ExecReport(fill());
    assert_eq!(CHECKS.check(&event, &arrival(&event, 12)), Ok(()));
}

#[test]
fn a_wrong_key_or_partition_is_misrouted() {
    let event = Event::ExecReport(fill());
    let good = arrival(&event, 12);
    for key in [None, Some(&b"book-18"[..]), Some(b"book-17 ")] {
        let error = CHECKS.check(&event, &Arrival { key, ..good }).unwrap_err();
        assert_eq!(error.reason(), Reason::Misrouted, "{error}");
    }
    let wrong = (good.partition + 1) % 12;
    let error = CHECKS.check(&event, &Arrival { partition: wrong, ..good }).unwrap_err();
    assert_eq!(error.reason(), Reason::Misrouted);
    assert!(error.to_string().contains(&format!("belongs to partition {} of 12", good.partition)), "{error}");
    let unchecked = Checks { partitioner: Partitioner::Unchecked, ..CHECKS };
    assert_eq!(unchecked.check(&event, &Arrival { partition: wrong, ..good }), Ok(()));
}

#[test]
fn an_id_holds_no_colon_and_is_not_empty() {
    for portfolio in ["desk:7", ":", ""] {
        let mut report = fill();
        report.portfolio = portfolio.into();
        let event = Event::ExecReport(report);
        let error = CHECKS.check(&event, &arrival(&event, 12)).unwrap_err();
        assert!(matches!(error, CheckError::Id { field: "portfolio", .. }), "{error}");
        assert_eq!(error.reason(), Reason::BadId);
    }
}

#[test]
fn the_future_begins_after_the_skew() {
    let event = Event::ExecReport(fill());
    let good = arrival(&event, 12);
    let second = Duration::from_secs(1);
    for (timestamp, fetched, future) in [
        (event.event_time() - second * 5, Time::MAX, false),
        (event.event_time() - second * 5 - Duration::from_micros(1), Time::MAX, true),
        (Time::MAX, event.event_time() - second * 5, false),
        (Time::MAX, event.event_time() - second * 6, true),
        (event.event_time() - second * 6, event.event_time(), true),
    ] {
        let checked = CHECKS.check(&event, &Arrival { timestamp, fetched, ..good });
        assert_eq!(
            checked.map_err(|error| error.reason()),
            if future { Err(Reason::FromTheFuture) } else { Ok(()) }
        );
    }
}

#[test]
fn reasons_are_distinct_and_read_back() {
    for reason in Reason::ALL {
        assert_eq!(Reason::of(reason.as_str()), Some(reason));
    }
    assert_eq!(Reason::of("other"), None);
}

#[test]
fn all_that_is_wrong_is_listed() {
    let mut report = fill();
    report.portfolio = "desk:7".into();
    let event = Event::ExecReport(report);
    let good = arrival(&event, 12);
    let elsewhere = Arrival {
        key: None,
        partition: (good.partition + 1) % 12,
        timestamp: event.event_time() - Duration::from_secs(6),
        ..good
    };
    let reasons: Vec<_> = CHECKS.all(&event, &elsewhere).iter().map(CheckError::reason).collect();
    assert_eq!(reasons, [Reason::BadId, Reason::Misrouted, Reason::Misrouted, Reason::FromTheFuture]);
    let event = Event::ExecReport(fill());
    assert_eq!(CHECKS.all(&event, &arrival(&event, 12)), []);
}
