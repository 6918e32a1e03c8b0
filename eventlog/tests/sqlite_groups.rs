//! Groups of the embedded log where time is set by hand.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tapewatch_eventlog::{Clock, GroupSpec, Log, Member, OpenOptions, Polled, TopicSpec, open};
use tapewatch_schemas::Time;

const SESSION: Duration = Duration::from_secs(6);
const SECOND: i64 = 1_000_000;

struct World {
    log: Arc<dyn Log>,
    now: Arc<AtomicI64>,
}

impl World {
    fn new() -> Self {
        let now = Arc::new(AtomicI64::new(1_700_000_000 * SECOND));
        let shown = Arc::clone(&now);
        let clock = Clock::new(move || Time(shown.load(Ordering::Relaxed)));
        let options = OpenOptions { clock, writer_thread: false, ..OpenOptions::default() };
        let log = open("sqlite::memory:", &options).unwrap();
        let (name, partitions, replication) = ("t".into(), 2, 1);
        log.create(&[TopicSpec { name, partitions, replication, retention: None, compacted: false }])
            .unwrap();
        Self { log, now }
    }

    fn join(&self, instance: &str) -> Box<dyn Member> {
        let (group, topics) = ("g".to_owned(), vec!["t".into()]);
        self.log.member(&GroupSpec { group, instance: instance.into(), topics, session: SESSION }).unwrap()
    }

    fn pass(&self, micros: i64) {
        self.now.fetch_add(micros, Ordering::Relaxed);
    }
}

/// What a member is told, as far as it is about tasks; what is to be given up is.
fn told(member: &mut dyn Member) -> Option<Polled> {
    let polled = member.poll(Duration::ZERO).unwrap();
    if matches!(polled, Polled::Revoked(_) | Polled::Lost(_)) {
        member.release().unwrap();
    }
    (!matches!(polled, Polled::Idle)).then_some(polled)
}

#[test]
fn the_dead_are_gone_after_their_session_though_the_clock_was_set_back() {
    let world = World::new();
    let mut dead = world.join("a");
    assert!(matches!(told(&mut *dead), Some(Polled::Assigned(tasks)) if tasks == [0, 1]));
    let mut heir = world.join("b");
    world.pass(-3_600 * SECOND);
    let taken_over = (0..20).position(|_| {
        world.pass(SECOND);
        matches!(told(&mut *heir), Some(Polled::Assigned(tasks)) if tasks == [0, 1])
    });
    assert!(taken_over.is_some_and(|seconds| seconds <= 10), "after {taken_over:?} seconds");
}

#[test]
fn the_living_keep_their_tasks_though_the_clock_was_set_back() {
    let world = World::new();
    let (mut one, mut other) = (world.join("a"), world.join("b"));
    for _ in 0..4 {
        told(&mut *one);
        told(&mut *other);
    }
    world.pass(-3_600 * SECOND);
    for second in 0..30 {
        world.pass(SECOND);
        let news = (told(&mut *one), told(&mut *other));
        assert!(matches!(news, (None, None)), "second {second}: {news:?}");
    }
}

#[test]
fn tasks_given_in_a_generation_that_nobody_saw_are_released_at_once() {
    let world = World::new();
    let mut one = world.join("a");
    // It was given both, and has not looked yet.
    let mut other = world.join("b");
    let (mut of_one, mut of_other) = (None, None);
    // No time passes: nobody's session ends.
    for _ in 0..5 {
        of_one = told(&mut *one).or(of_one);
        of_other = told(&mut *other).or(of_other);
    }
    assert!(matches!(of_one, Some(Polled::Assigned(tasks)) if tasks == [0]));
    assert!(matches!(of_other, Some(Polled::Assigned(tasks)) if tasks == [1]));
}
