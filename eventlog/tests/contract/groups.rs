//! Groups: assignment, revocation, fencing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tapewatch_eventlog::{CommitError, Fence, Member, Polled, Round, TopicPartition};

use super::fixture::{Fixture, record, round, values};

/// A member that does what it is told: reads what it is assigned, gives up what is revoked.
struct Actor<'a> {
    f: &'a Fixture<'a>,
    group: &'a str,
    topics: Vec<&'a str>,
    member: Box<dyn Member>,
    held: BTreeSet<i32>,
    /// Topic and partition of each record that came.
    seen: Vec<TopicPartition>,
}

impl<'a> Actor<'a> {
    fn join(f: &'a Fixture<'a>, group: &'a str, instance: &str, topics: &[&'a str]) -> Self {
        let member = f.join(group, instance, topics);
        Self { f, group, topics: topics.to_vec(), member, held: BTreeSet::new(), seen: Vec::new() }
    }

    fn step(&mut self) {
        match self.member.poll(Duration::from_millis(20)).expect("poll") {
            Polled::Assigned(tasks) => {
                assert!(self.held.is_empty(), "assigned {tasks:?} while holding {:?}", self.held);
                self.held = tasks.iter().copied().collect();
                self.read();
            }
            Polled::Revoked(tasks) | Polled::Lost(tasks) => {
                assert_eq!(tasks.into_iter().collect::<BTreeSet<_>>(), self.held, "all of it is revoked");
                // As a worker does: what is given up is no longer read, and then let go.
                self.member.unassign(&self.partitions()).expect("unassign what is given up");
                self.held.clear();
                self.member.release().expect("release");
            }
            Polled::Batch(batch) => {
                assert!(self.held.contains(&batch.source().partition), "{} is not ours", batch.source());
                self.seen.extend(batch.iter().map(|_| batch.source().clone()));
            }
            Polled::End { .. } | Polled::Idle => {}
        }
    }

    /// The partitions of the tasks held.
    fn partitions(&self) -> Vec<TopicPartition> {
        let of = |topic: &&str| {
            let name = self.f.name(topic);
            self.held.iter().map(move |p| TopicPartition::new(name.clone(), *p))
        };
        self.topics.iter().flat_map(of).collect()
    }

    fn read(&mut self) {
        let partitions = self.partitions();
        let at = self.f.log.group_offsets(&self.f.name(self.group), &partitions).expect("positions");
        let starts: Vec<_> =
            partitions.into_iter().zip(at).map(|(partition, at)| (partition, at.unwrap_or(0))).collect();
        self.member.assign(&starts).expect("assign");
    }
}

/// Polls all in turn until `done`.
fn until(f: &Fixture, actors: &mut [&mut Actor], what: &str, done: impl Fn(&[&mut Actor]) -> bool) {
    let deadline = Instant::now() + f.backend.patience();
    while !done(actors) {
        let held: Vec<_> = actors.iter().map(|actor| &actor.held).collect();
        assert!(Instant::now() < deadline, "{what} did not come about: {held:?}");
        for actor in actors.iter_mut() {
            actor.step();
        }
    }
}

/// True if the actors share `tasks` tasks, each having some.
fn shared(actors: &[&mut Actor], tasks: i32) -> bool {
    let total: usize = actors.iter().map(|actor| actor.held.len()).sum();
    let all: BTreeSet<i32> = actors.iter().flat_map(|actor| actor.held.iter().copied()).collect();
    actors.iter().all(|actor| !actor.held.is_empty()) && total == all.len() && all == (0..tasks).collect()
}

fn holding(f: &Fixture, actor: &mut Actor, tasks: i32) {
    until(f, &mut [actor], "the assignment", |actors| shared(actors, tasks));
}

fn positions(at: &[TopicPartition], offset: i64) -> Vec<(TopicPartition, i64)> {
    at.iter().map(|at| (at.clone(), offset)).collect()
}

fn assert_fenced(outcome: Result<tapewatch_eventlog::Committed, CommitError>) {
    match outcome {
        Err(CommitError::Fenced(_)) => {}
        other => panic!("not fenced: {other:?}"),
    }
}

pub fn one_member_gets_everything(f: &Fixture) {
    let at = f.topic("a", 3);
    f.writer("w").commit(&round(at.iter().map(|at| record(at, "k", "v")).collect()), None).unwrap();
    let mut actor = Actor::join(f, "g", "one", &["a"]);
    until(f, &mut [&mut actor], "all records", |actors| actors[0].seen.len() == 3);
    assert_eq!(actor.held, (0..3).collect());
}

pub fn two_members_keep_co_partitioned_topics_together(f: &Fixture) {
    let (a, b) = (f.topic("a", 7), f.topic("b", 7));
    let records = a.iter().chain(&b).map(|at| record(at, "k", "v")).collect();
    f.writer("w").commit(&round(records), None).unwrap();
    let mut one = Actor::join(f, "g", "one", &["a", "b"]);
    let mut two = Actor::join(f, "g", "two", &["a", "b"]);
    until(f, &mut [&mut one, &mut two], "a shared assignment", |actors| shared(actors, 7));
    // What was seen before the last rebalance may have been the other's.
    for actor in [&mut one, &mut two] {
        actor.seen.clear();
        actor.read();
    }
    until(f, &mut [&mut one, &mut two], "every record", |actors| {
        actors.iter().map(|actor| actor.seen.len()).sum::<usize>() >= 14
    });
    for actor in [&one, &two] {
        let of = |topic: &TopicPartition| {
            actor
                .seen
                .iter()
                .filter(|at| at.topic == topic.topic)
                .map(|at| at.partition)
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(of(&a[0]), actor.held);
        assert_eq!(of(&b[0]), actor.held);
    }
}

pub fn a_third_member_joins_and_leaves(f: &Fixture) {
    f.topic("a", 6);
    let mut one = Actor::join(f, "g", "one", &["a"]);
    let mut two = Actor::join(f, "g", "two", &["a"]);
    until(f, &mut [&mut one, &mut two], "two sharing", |actors| shared(actors, 6));
    let mut three = Actor::join(f, "g", "three", &["a"]);
    until(f, &mut [&mut one, &mut two, &mut three], "three sharing", |actors| shared(actors, 6));
    three.member.leave().unwrap();
    drop(three);
    until(f, &mut [&mut one, &mut two], "two sharing again", |actors| shared(actors, 6));
}

pub fn a_silent_member_is_replaced(f: &Fixture) {
    f.topic("a", 4);
    let mut silent = Actor::join(f, "g", "silent", &["a"]);
    holding(f, &mut silent, 4);
    let mut next = Actor::join(f, "g", "next", &["a"]);
    holding(f, &mut next, 4);
    // The silent one wakes up: it learns that it lost everything, and may join again.
    until(f, &mut [&mut silent, &mut next], "sharing", |actors| shared(actors, 4));
}

pub fn outputs_and_positions_commit_together(f: &Fixture) {
    let (a, out) = (f.topic("a", 2), f.topic("out", 1));
    let group = f.name("g");
    assert_eq!(f.log.group_offsets(&group, &a).unwrap(), [None, None]);
    let records = a.iter().flat_map(|at| (0..5).map(|n| record(at, "k", &n.to_string()))).collect();
    f.writer("in").commit(&round(records), None).unwrap();
    let mut actor = Actor::join(f, "g", "one", &["a"]);
    holding(f, &mut actor, 2);
    let mut writer = f.writer("w");
    let fence = actor.member.fence().unwrap();
    let first = Round { records: vec![record(&out[0], "k", "1")], offsets: positions(&a, 3) };
    writer.commit(&first, Some(&fence)).unwrap();
    assert_eq!(f.log.group_offsets(&group, &a).unwrap(), [Some(3), Some(3)]);
    // Again with one that did not move.
    let offsets = vec![(a[0].clone(), 5), (a[1].clone(), 3)];
    writer.commit(&Round { records: vec![record(&out[0], "k", "2")], offsets }, Some(&fence)).unwrap();
    assert_eq!(f.log.group_offsets(&group, &a).unwrap(), [Some(5), Some(3)]);
    assert_eq!(values(&f.read_all(&out[0])), ["1", "2"]);
}

pub fn positions_need_a_fence(f: &Fixture) {
    let (a, out) = (f.topic("a", 1), f.topic("out", 1));
    let with = Round { records: vec![record(&out[0], "k", "v")], offsets: positions(&a, 0) };
    match f.writer("w").commit(&with, None) {
        Err(CommitError::Refused(_)) => {}
        other => panic!("{other:?}"),
    }
    assert!(f.read_all(&out[0]).is_empty());
}

/// A member that was replaced while it was silent, its fence, and its successor.
fn replaced<'a>(f: &'a Fixture<'a>) -> (Actor<'a>, Fence, Actor<'a>) {
    let mut zombie = Actor::join(f, "g", "zombie", &["a"]);
    holding(f, &mut zombie, 2);
    let fence = zombie.member.fence().unwrap();
    let mut next = Actor::join(f, "g", "next", &["a"]);
    holding(f, &mut next, 2);
    (zombie, fence, next)
}

pub fn a_zombie_is_fenced(f: &Fixture) {
    let (a, out) = (f.topic("a", 2), f.topic("out", 1));
    let (_zombie, stale, next) = replaced(f);
    let with = |value: &str, offset| Round {
        records: vec![record(&out[0], "k", value)],
        offsets: positions(&a, offset),
    };
    assert_fenced(f.writer("zombie").commit(&with("zombie", 7), Some(&stale)));
    f.writer("next").commit(&with("next", 0), Some(&next.member.fence().unwrap())).unwrap();
    assert_fenced(f.writer("zombie again").commit(&with("zombie", 9), Some(&stale)));
    assert_eq!(values(&f.read_all(&out[0])), ["next"]);
    assert_eq!(f.log.group_offsets(&f.name("g"), &a).unwrap(), [Some(0), Some(0)]);
}

pub fn a_zombie_is_fenced_with_unchanged_positions(f: &Fixture) {
    let (a, out) = (f.topic("a", 2), f.topic("out", 1));
    let mut zombie = Actor::join(f, "g", "zombie", &["a"]);
    holding(f, &mut zombie, 2);
    let stale = zombie.member.fence().unwrap();
    let unchanged =
        |value: &str| Round { records: vec![record(&out[0], "k", value)], offsets: positions(&a, 0) };
    let mut writer = f.writer("zombie");
    writer.commit(&unchanged("alive"), Some(&stale)).unwrap();
    let mut next = Actor::join(f, "g", "next", &["a"]);
    holding(f, &mut next, 2);
    assert_fenced(writer.commit(&unchanged("zombie"), Some(&stale)));
    assert_eq!(values(&f.read_all(&out[0])), ["alive"]);
}

pub fn a_foreign_partition_is_fenced(f: &Fixture) {
    let (a, out) = (f.topic("a", 2), f.topic("out", 1));
    let mut one = Actor::join(f, "g", "one", &["a"]);
    let mut two = Actor::join(f, "g", "two", &["a"]);
    until(f, &mut [&mut one, &mut two], "sharing", |actors| shared(actors, 2));
    let foreign: Vec<_> = a.iter().filter(|at| two.held.contains(&at.partition)).cloned().collect();
    let with = Round { records: vec![record(&out[0], "k", "v")], offsets: positions(&foreign, 0) };
    assert_fenced(f.writer("w").commit(&with, Some(&one.member.fence().unwrap())));
    assert!(f.read_all(&out[0]).is_empty());
}

pub fn the_same_instance_takes_over(f: &Fixture) {
    let (a, out) = (f.topic("a", 2), f.topic("out", 1));
    let mut old = Actor::join(f, "g", "same", &["a"]);
    holding(f, &mut old, 2);
    let stale = old.member.fence().unwrap();
    let mut new = Actor::join(f, "g", "same", &["a"]);
    holding(f, &mut new, 2);
    let with = |value: &str| Round { records: vec![record(&out[0], "k", value)], offsets: positions(&a, 0) };
    assert_fenced(f.writer("old").commit(&with("old"), Some(&stale)));
    f.writer("new").commit(&with("new"), Some(&new.member.fence().unwrap())).unwrap();
    assert_eq!(values(&f.read_all(&out[0])), ["new"]);
    // The old one is told, and does not fight for its name.
    let deadline = Instant::now() + f.backend.patience();
    loop {
        assert!(Instant::now() < deadline, "the old member was not told");
        match old.member.poll(Duration::from_millis(50)) {
            Ok(Polled::Lost(_) | Polled::Revoked(_)) => old.member.release().unwrap(),
            Ok(Polled::Assigned(tasks)) => panic!("assigned {tasks:?} again"),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    assert_eq!(new.held, (0..2).collect());
}

pub fn unequal_partition_counts_are_an_error(f: &Fixture) {
    f.topic("a", 2);
    f.topic("b", 3);
    let deadline = Instant::now() + f.backend.patience();
    let mut outcome = f.log.member(&f.group("g", "one", &["a", "b"])).map(Some);
    while let Ok(Some(member)) = &mut outcome {
        assert!(Instant::now() < deadline, "no error came");
        if let Err(error) = member.poll(Duration::from_millis(100)) {
            outcome = Err(error);
        }
    }
    let error = outcome.map(|_| ()).unwrap_err().to_string();
    for part in [f.name("a"), f.name("b"), "2".into(), "3".into()] {
        assert!(error.contains(&part), "{error}");
    }
}
