//! Which dead letters of a partition are to be sent back, in which order, and which are not and why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use tapewatch_eventlog::Log;

use super::candidate::{Candidate, Letters, Order, Owner, Range};
use super::histogram::Histogram;
use super::ledger::Taken;
use super::{LetterId, RedriveError, Request};
use crate::scan::Scanner;

/// So many records of a partition are sent in one run, those that were published first; what is beyond is left to
/// the next. And so many keys have a letter that is not sent and that others may not overtake.
const MOST: usize = 200_000;

/// What is not sent, and why: numbers of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Sent back before.
    pub before: u64,
    /// Tried too often.
    pub too_often: u64,
    /// Held behind a letter of their key that is not sent.
    pub held_behind: u64,
    /// Listed in a range letter and yet to be read again by their worker; or behind a record of their key that was
    /// sent back before, and that its worker has not taken yet.
    pub under_way: u64,
    /// Their bytes are gone from the source.
    pub gone: u64,
    /// Letters that are not tapewatch's: nobody can say whose they are.
    pub foreign: u64,
    /// More than one run sends: what was published after all that it sends.
    pub beyond: u64,
}

impl Left {
    pub(super) fn add(&mut self, other: &Self) {
        self.before += other.before;
        self.too_often += other.too_often;
        self.held_behind += other.held_behind;
        self.under_way += other.under_way;
        self.gone += other.gone;
        self.foreign += other.foreign;
        self.beyond += other.beyond;
    }
}

/// The letters of one partition, looked at.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// What is to be sent, in the order in which it was published first.
    pub(super) chosen: Vec<Candidate>,
    pub(super) left: Left,
    pub(super) histogram: Histogram,
    /// Of what was repaired, the letters that there are.
    pub(super) known: BTreeSet<LetterId>,
}

impl Survey {
    /// Looks at the letters of a partition.
    ///
    /// # Errors
    /// The log's, or [`RedriveError::TooManyKeys`].
    pub(super) fn of(
        log: &Arc<dyn Log>,
        scanner: &mut Scanner,
        request: &Request,
        partition: i32,
        taken: &Taken,
    ) -> Result<Self, RedriveError> {
        let mut letters = Letters { log, scanner, topic: &request.topic, partition };
        Choice::new(request, taken, MOST).of(&mut letters)
    }
}

/// A choice that is being made.
struct Choice<'a> {
    request: &'a Request,
    taken: &'a Taken,
    most: usize,
    /// The first letter of a key that is not sent: what was published after it waits for it.
    unsent: BTreeMap<Owner, Order>,
    /// The first record of a key that came back and is not taken yet. It may fail again, and hold back others that
    /// came with it: what was published after it would overtake them.
    under_way: BTreeMap<Owner, Order>,
    chosen: BTreeMap<Order, Candidate>,
    left: Left,
    known: BTreeSet<LetterId>,
}

impl<'a> Choice<'a> {
    fn new(request: &'a Request, taken: &'a Taken, most: usize) -> Self {
        let (unsent, under_way, chosen, left, known) = Default::default();
        Self { request, taken, most, unsent, under_way, chosen, left, known }
    }

    fn of(mut self, letters: &mut Letters<'_>) -> Result<Survey, RedriveError> {
        let request = self.request;
        if request.in_order {
            // First what may not be overtaken, so that what waits for it uses up nothing of the bound.
            let partition = letters.partition;
            // And before that what is on its way: what it has led to once it is taken stands in the letters then.
            letters.under_way(
                |worker| request.concerns_worker(worker),
                |owner, order| note(&mut self.under_way, (owner, order), (request, partition, self.most)),
            )?;
            letters.each(
                |range| request.concerns_worker(&range.letter.worker),
                |one| self.pass(&one, partition),
            )?;
        }
        let wanted = |range: &Range| request.takes_letter(&range.letter.worker, range.written, range.at);
        let over = letters.each(wanted, |one| {
            self.choose(one);
            Ok(())
        })?;
        let left = Left { gone: over.gone, foreign: over.foreign, ..self.left };
        let chosen: Vec<Candidate> = self.chosen.into_values().collect();
        let mut histogram = Histogram::default();
        chosen.iter().for_each(|one| histogram.count(one));
        Ok(Survey { chosen, left, histogram, known: self.known })
    }

    /// Notes a letter that is not sent, if what is sent may be behind it.
    fn pass(&mut self, one: &Candidate, partition: i32) -> Result<(), RedriveError> {
        let request = self.request;
        let sent = request.takes(one) && !request.gives_up_on(one) && !one.ahead;
        if sent || self.is_taken(one) || !request.concerns(one) {
            return Ok(());
        }
        let Some(owner) = one.owner() else { return Ok(()) };
        note(&mut self.unsent, (owner, one.order()), (request, partition, self.most))
    }

    /// Keeps a letter that is sent.
    fn choose(&mut self, mut one: Candidate) {
        if !self.request.takes(&one) {
            return;
        }
        if let Some(repair) = self.request.repair(one.id()) {
            self.known.insert(one.id());
            one.bytes = repair.value.as_ref().map_or(0, Bytes::len);
        }
        if self.is_taken(&one) {
            self.left.before += 1;
        } else if self.request.gives_up_on(&one) {
            self.left.too_often += 1;
        } else if waits(&self.unsent, &one) {
            self.left.held_behind += 1;
        } else if one.ahead || waits(&self.under_way, &one) {
            self.left.under_way += 1;
        } else {
            self.chosen.insert(one.order(), one);
            self.left.beyond += u64::from(self.chosen.len() > self.most && self.chosen.pop_last().is_some());
        }
    }

    fn is_taken(&self, one: &Candidate) -> bool {
        self.taken.has(one.back.letter.1, one.behind_range())
    }
}

/// Notes what others of its key wait for: the first counts.
fn note(
    first: &mut BTreeMap<Owner, Order>,
    (owner, order): (Owner, Order),
    (request, partition, most): (&Request, i32, usize),
) -> Result<(), RedriveError> {
    if let Some(first) = first.get_mut(&owner) {
        *first = order.min(*first);
        return Ok(());
    }
    if first.len() >= most {
        return Err(RedriveError::TooManyKeys { topic: request.topic.clone(), partition, most });
    }
    first.insert(owner, order);
    Ok(())
}

fn waits(first: &BTreeMap<Owner, Order>, one: &Candidate) -> bool {
    let first = one.owner().and_then(|owner| first.get(&owner));
    first.is_some_and(|first| *first < one.order())
}

#[cfg(test)]
mod tests {
    use tapewatch_eventlog::dead_letter::DeadLetter;
    use tapewatch_eventlog::{BatchBuilder, OpenOptions, OutRecord, Round, TopicPartition, TopicSpec, open};
    use tapewatch_schemas::{Reason, Time, TopicName};

    use super::super::Filter;
    use super::*;

    const TOPIC: &str = "exec.reports.v1";
    const DLQ: &str = "exec.reports.v1.dlq";
    const REDRIVE: &str = "exec.reports.v1.redrive";

    /// A letter about the record of a key at an offset.
    fn letter(key: &str, offset: i64, attempts: u32) -> OutRecord {
        let mut batch = BatchBuilder::new(TopicPartition::new(TOPIC, 0));
        batch.push(offset, Time(1), Some(key.as_bytes()), Some(b"{no"), |_| ());
        let reason = if attempts == 0 { Reason::HeldBehind } else { Reason::BadJson };
        let why =
            DeadLetter { worker: "risk", group: "g", task: 0, own: false, reason, attempts, error: "no" };
        why.of(&batch.build().record(0), 1 << 20)
    }

    fn request(filter: Filter) -> Request {
        Request {
            topic: TOPIC.into(),
            filter,
            max_attempts: 3,
            discard: false,
            repairs: None,
            in_order: true,
            who: "ann".into(),
            why: "it is fixed".into(),
        }
    }

    /// What is chosen of these letters with such a bound: keys and offsets, and what is not.
    fn chosen(
        letters: Vec<OutRecord>,
        request: &Request,
        most: usize,
    ) -> Result<(Vec<String>, Left), RedriveError> {
        let log = open("sqlite::memory:", &OpenOptions::default()).expect("a log in memory");
        let topic = |name: &str| {
            let (name, partitions) = (TopicName::from(name), 1);
            TopicSpec { name, partitions, replication: 1, retention: None, compacted: false }
        };
        log.create(&[topic(DLQ), topic(REDRIVE)]).expect("they are new");
        let round = Round { records: letters, offsets: Vec::new() };
        log.writer("tape").expect("it opens").commit(&round, None).expect("it is written");
        let mut scanner = Scanner::new(Arc::clone(&log)).expect("it opens");
        let mut letters = Letters { log: &log, scanner: &mut scanner, topic: &request.topic, partition: 0 };
        let taken = Taken::default();
        let survey = Choice::new(request, &taken, most).of(&mut letters)?;
        let named = survey.chosen.iter().map(|one| {
            format!("{}@{}", String::from_utf8_lossy(one.key.as_deref().unwrap_or_default()), one.back.offset)
        });
        Ok((named.collect(), survey.left))
    }

    fn of_key(key: &str) -> Filter {
        Filter { key: Some(key.into()), ..Filter::default() }
    }

    #[test]
    fn letters_of_other_keys_use_up_nothing_of_the_bound() {
        let mut letters: Vec<OutRecord> = (0..50).map(|offset| letter("A", offset, 1)).collect();
        letters.extend([letter("K", 50, 1), letter("K", 51, 0)]);
        let (chosen, left) = chosen(letters, &request(of_key("K")), 10).expect("it fits");
        assert_eq!((chosen, left), (vec!["K@50".to_owned(), "K@51".to_owned()], Left::default()));
    }

    #[test]
    fn letters_that_wait_for_one_that_is_not_sent_use_up_nothing_of_the_bound() {
        // A's first was tried too often, and is lettered behind those that wait for it.
        let mut letters: Vec<OutRecord> = (1..50).map(|offset| letter("A", offset, 0)).collect();
        letters.extend([letter("K", 50, 1), letter("A", 0, 3)]);
        let (chosen, left) = chosen(letters, &request(Filter::default()), 10).expect("it fits");
        assert_eq!(chosen, ["K@50"]);
        assert_eq!(left, Left { too_often: 1, held_behind: 49, ..Left::default() });
    }

    #[test]
    fn of_more_than_the_bound_those_go_first_that_were_published_first() {
        // What failed again stands behind what was published after it.
        let mut letters: Vec<OutRecord> = (10..20).map(|offset| letter("A", offset, 0)).collect();
        letters.extend((0..5).map(|offset| letter("A", offset, 1)));
        let (chosen, left) = chosen(letters, &request(Filter::default()), 8).expect("it fits");
        let first = [0, 1, 2, 3, 4, 10, 11, 12].map(|offset| format!("A@{offset}"));
        assert_eq!((chosen, left.beyond), (first.to_vec(), 7));
    }

    #[test]
    fn more_keys_that_are_waited_for_than_may_be_are_refused_and_one_key_goes() {
        let letters = || (0..20).map(|key| letter(&format!("K{key}"), key, 3)).collect();
        let error = chosen(letters(), &request(Filter::default()), 10).expect_err("they are too many");
        assert!(error.to_string().contains("exec.reports.v1.dlq/0: more than 10 keys"), "{error}");
        let (none, left) = chosen(letters(), &request(of_key("K3")), 10).expect("it is one");
        assert_eq!((none.len(), left.too_often), (0, 1));
    }
}
