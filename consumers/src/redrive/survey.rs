//! Which dead letters of a partition are to be sent back, in which order, and which are not and why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tapewatch_eventlog::dead_letter::{Letter, RangeBody, Redriven};
use tapewatch_eventlog::{Log, RecordRef, TopicPartition};
use tapewatch_schemas::catalogue::is_redrive;
use tapewatch_schemas::{Digest, Reason, Time};

use super::ledger::Taken;
use super::{LetterId, RedriveError, Request, letters};
use crate::scan::Scanner;

/// So many records of a partition are looked at in one run; what is beyond is left to the next.
pub(super) const MOST_RECORDS: usize = 200_000;
/// So many keys are counted by name.
const MOST_KEYS: usize = 10_000;

/// A record that may go back.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Whose it is and where it was.
    pub(super) back: Redriven,
    /// Where its bytes are: none if in its letter.
    pub(super) behind: Option<(TopicPartition, i64)>,
    /// The digest of its value, if the letter tells it.
    pub(super) digest: Option<String>,
    /// True if its letter stands for a range.
    pub(super) range: bool,
    /// Its key.
    pub(super) key: Option<Vec<u8>>,
    /// Bytes of its value, about.
    pub(super) bytes: usize,
    state: State,
    written: Time,
}

impl Candidate {
    /// True if this is its record: of a letter that was cut, the one that was dead-lettered.
    pub(super) fn is(&self, record: &RecordRef<'_>) -> bool {
        let value = record.value.unwrap_or_default();
        self.digest.as_ref().is_none_or(|digest| *digest == Digest::of(value).to_string())
    }

    pub(super) fn id(&self) -> LetterId {
        let (partition, letter) = self.back.letter;
        LetterId { partition, letter, behind: self.behind_range() }
    }

    /// Of a record behind a range letter its offset where it is.
    pub(super) fn behind_range(&self) -> Option<i64> {
        self.behind.as_ref().filter(|_| self.range).map(|(_, offset)| *offset)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Chosen,
    /// The filter does not take it.
    Passed,
    /// It was tried too often.
    TooOften,
}

/// What is not sent, and why: numbers of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Sent back before.
    pub before: u64,
    /// Tried too often.
    pub too_often: u64,
    /// Held behind a letter of their key that is not sent.
    pub held_behind: u64,
    /// Their bytes are gone from the source.
    pub gone: u64,
    /// Letters that are not tapewatch's: nobody can say whose they are.
    pub foreign: u64,
    /// Beyond what one run looks at.
    pub beyond: u64,
}

impl Left {
    pub(super) fn add(&mut self, other: &Self) {
        self.before += other.before;
        self.too_often += other.too_often;
        self.held_behind += other.held_behind;
        self.gone += other.gone;
        self.foreign += other.foreign;
        self.beyond += other.beyond;
    }
}

/// What is chosen, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// By reason.
    pub reasons: BTreeMap<&'static str, u64>,
    /// By worker.
    pub workers: BTreeMap<String, u64>,
    /// By key; the first 10,000 keys that came up.
    pub keys: BTreeMap<Vec<u8>, u64>,
    /// Records of further keys, or without one.
    pub other_keys: u64,
    /// By the hour in which they were dead-lettered.
    pub hours: BTreeMap<Time, u64>,
}

impl Histogram {
    fn count(&mut self, one: &Candidate) {
        *self.reasons.entry(one.back.reason.as_str()).or_default() += 1;
        *self.workers.entry(one.back.worker.clone()).or_default() += 1;
        *self.hours.entry(one.written.floor_to(Duration::from_secs(3600))).or_default() += 1;
        self.count_key(one.key.as_deref(), 1);
    }

    fn count_key(&mut self, key: Option<&[u8]>, count: u64) {
        match key {
            Some(key) if self.keys.contains_key(key) || self.keys.len() < MOST_KEYS => {
                *self.keys.entry(key.to_owned()).or_default() += count;
            }
            _ => self.other_keys += count,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        other.reasons.iter().for_each(|(name, count)| *self.reasons.entry(name).or_default() += count);
        for (name, count) in &other.workers {
            *self.workers.entry(name.clone()).or_default() += count;
        }
        other.hours.iter().for_each(|(hour, count)| *self.hours.entry(*hour).or_default() += count);
        other.keys.iter().for_each(|(key, count)| self.count_key(Some(key), *count));
        self.other_keys += other.other_keys;
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

struct Range {
    letter: Letter,
    body: RangeBody,
    at: (i32, i64),
    written: Time,
}

impl Survey {
    pub(super) fn of(
        log: &Arc<dyn Log>,
        scanner: &mut Scanner,
        request: &Request,
        partition: i32,
        taken: &Taken,
    ) -> Result<Self, RedriveError> {
        let mut found =
            Found { request, taken, all: Vec::new(), left: Left::default(), known: BTreeSet::new() };
        let mut ranges = Vec::new();
        scanner.scan::<RedriveError>(&letters(&request.topic, partition), 0, |record| {
            found.letter(record, &mut ranges);
            Ok(())
        })?;
        for range in ranges {
            found.range(log, scanner, &range)?;
        }
        Ok(found.decide())
    }
}

struct Found<'a> {
    request: &'a Request,
    taken: &'a Taken,
    all: Vec<Candidate>,
    left: Left,
    known: BTreeSet<LetterId>,
}

impl Found<'_> {
    fn letter(&mut self, record: &RecordRef<'_>, ranges: &mut Vec<Range>) {
        let (at, written) = ((record.partition, record.offset), record.timestamp);
        let Some(letter) = Letter::read(record) else {
            self.left.foreign += 1;
            return;
        };
        if letter.range {
            match RangeBody::read(record.value.unwrap_or_default()) {
                Ok(body) => ranges.push(Range { letter, body, at, written }),
                Err(_) => self.left.foreign += 1,
            }
            return;
        }
        let cut = letter.cut.clone();
        self.add(Candidate {
            back: Redriven::of(&letter, at),
            behind: cut.is_some().then(|| letter.input()),
            range: false,
            key: record.key.map(<[u8]>::to_vec),
            bytes: cut.as_ref().map_or(record.value.map_or(0, <[u8]>::len), |(bytes, _)| *bytes),
            digest: cut.map(|(_, digest)| digest),
            state: State::Chosen,
            written,
        });
    }

    /// The records behind a range letter, as far as they are still there.
    fn range(
        &mut self,
        log: &Arc<dyn Log>,
        scanner: &mut Scanner,
        range: &Range,
    ) -> Result<(), RedriveError> {
        let place = TopicPartition::new(range.body.topic.as_str(), range.body.partition);
        if !self.request.in_order && !self.request.takes_letter(&range.letter.worker, range.written, range.at)
        {
            return Ok(());
        }
        let earliest = log.bounds(&place)?.earliest;
        for entry in &range.body.reasons {
            let Some(reason) = Reason::of(&entry.reason) else { continue };
            let mut seen = 0;
            for run in &entry.runs {
                scanner.span::<RedriveError>(&place, run.first.max(earliest), run.last + 1, |record| {
                    seen += 1;
                    self.add(behind(range, &place, reason, record));
                    Ok(())
                })?;
            }
            self.left.gone += entry.count.saturating_sub(seen);
        }
        Ok(())
    }

    fn add(&mut self, mut one: Candidate) {
        let id = one.id();
        let taken = self.request.takes_letter(&one.back.worker, one.written, one.back.letter)
            && self.request.takes_record(id, one.back.reason, one.key.as_deref());
        if let Some(repair) = self.request.repair(id) {
            self.known.insert(id);
            one.bytes = repair.value.as_ref().map_or(0, Bytes::len);
        }
        if self.taken.has(id.letter, id.behind) {
            self.left.before += u64::from(taken);
            return;
        }
        one.state = match taken {
            false => State::Passed,
            true if one.back.attempts >= self.request.max_attempts && !self.request.discard => {
                State::TooOften
            }
            true => State::Chosen,
        };
        self.left.too_often += u64::from(one.state == State::TooOften);
        // What is left out matters only to what may not overtake it.
        if one.state != State::Chosen && !self.request.in_order {
            return;
        }
        if self.all.len() >= MOST_RECORDS {
            self.left.beyond += u64::from(one.state == State::Chosen);
            return;
        }
        self.all.push(one);
    }

    fn decide(self) -> Survey {
        let Self { request, mut all, mut left, known, .. } = self;
        // As they were published first: a key's letters are in that order, whenever they were written.
        all.sort_by_key(order);
        if request.in_order {
            let mut waiting: BTreeSet<(String, i32, Vec<u8>)> = BTreeSet::new();
            all.retain(|one| {
                let Some(key) = &one.key else { return one.state == State::Chosen };
                let owner = (one.back.worker.clone(), one.back.task, key.clone());
                if one.state != State::Chosen {
                    waiting.insert(owner);
                    return false;
                }
                let held = waiting.contains(&owner);
                left.held_behind += u64::from(held);
                !held
            });
        }
        let mut histogram = Histogram::default();
        all.iter().for_each(|one| histogram.count(one));
        Survey { chosen: all, left, histogram, known }
    }
}

fn order(one: &Candidate) -> (i32, i64, i64) {
    (one.back.source.partition, one.back.offset, one.back.letter.1)
}

fn behind(range: &Range, place: &TopicPartition, reason: Reason, record: &RecordRef<'_>) -> Candidate {
    let first = if is_redrive(place.topic.as_str()) { Redriven::read(record) } else { None };
    let back = match first {
        // It had come back before: this was one more time.
        Some(first) => Redriven { attempts: first.attempts + 1, ..first },
        None => Redriven {
            source: place.clone(),
            offset: record.offset,
            timestamp: record.timestamp,
            ..Redriven::of(&range.letter, range.at)
        },
    };
    Candidate {
        back: Redriven { reason, letter: range.at, ..back },
        behind: Some((place.clone(), record.offset)),
        digest: None,
        range: true,
        key: record.key.map(<[u8]>::to_vec),
        bytes: record.value.map_or(0, <[u8]>::len),
        state: State::Chosen,
        written: range.written,
    }
}
