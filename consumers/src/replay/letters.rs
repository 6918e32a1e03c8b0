//! One task's dead letters as they stand in the log: every journalled one must have its letter, and every
//! letter its journalled one.

use std::collections::BTreeMap;

use tapewatch_eventlog::dead_letter::{HEAD_BYTES, Letter, RangeBody};
use tapewatch_eventlog::{LogError, OutRecord, RecordRef, TopicPartition};
use tapewatch_schemas::catalogue::{dlq_topic, source_of};
use tapewatch_schemas::journal::{Excluded, OffsetRun};
use tapewatch_schemas::{Digest, Reason};

use crate::count::counted;
use crate::feed::{Feed, FeedError};
use crate::inspect::{Inspected, Verdict};
use crate::letters::Letters;
use crate::pending::SOUGHT;
use crate::rerun::{DeadRecord, covers};
use crate::scan::Scanner;

/// So many offsets that a seek passed over are read together.
const PART: i64 = 10_000;

/// Header prefixes that a letter has and its record has not.
const OURS: [&str; 4] = ["tapewatch.", "__connect.errors.", "__streams.errors.", "kafka_dlt-"];

/// All letters of a task.
#[derive(Default)]
pub(super) struct LetterBook {
    task: i32,
    shelves: BTreeMap<TopicPartition, Shelf>,
    /// Letters that cannot be read, or are about what another letter is about.
    pub(super) problems: Vec<String>,
}

#[derive(Default)]
struct Shelf {
    singles: BTreeMap<i64, Single>,
    ranges: Vec<RangeCheck>,
}

/// A letter about one record.
struct Single {
    offset: i64,
    reason: Reason,
    /// Over all of it.
    whole: Digest,
    /// Over what it took from the record.
    content: Digest,
    value: Digest,
    cut: Option<(usize, String)>,
}

/// A range letter, and what the records that it stands for gave so far.
struct RangeCheck {
    offset: i64,
    body: RangeBody,
    seen: u64,
    hasher: blake3::Hasher,
}

impl LetterBook {
    /// Reads a task's letters about these sources; each with whether the task tells of letters there that
    /// are nobody's.
    pub(super) fn of(
        scanner: &mut Scanner,
        (worker, task): (&str, i32),
        sources: impl Iterator<Item = (TopicPartition, bool)>,
    ) -> Result<Self, LogError> {
        let mut book = Self { task, ..Self::default() };
        for (source, tells) in sources {
            let at = TopicPartition::new(dlq_topic(source.topic.as_str()), source.partition);
            let mut shelf = Shelf::default();
            scanner.scan::<LogError>(&at, 0, |record| {
                match Letter::read(record) {
                    Some(letter) if letter.worker != worker || letter.task != task => {}
                    Some(letter) if letter.input().0 == source => {
                        if let Err(why) = shelf.add(letter, record) {
                            book.problems.push(format!("{at} offset {}: {why}", record.offset));
                        }
                    }
                    // One about what came back stands beside those about its source.
                    Some(letter) if is_beside(&letter.input().0, &source) => {}
                    _ if !tells => {}
                    _ => {
                        let text = "it is no dead letter of tapewatch's about this partition";
                        book.problems.push(format!("{at} offset {}: {text}", record.offset));
                    }
                }
                Ok(())
            })?;
            book.shelves.insert(source, shelf);
        }
        Ok(book)
    }

    /// Finds the letter of a record that was dead-lettered, and compares it.
    pub(super) fn check(&mut self, dead: &DeadRecord, letters: &Letters) -> Result<(), String> {
        let (fetched, index) = &dead.located;
        let record = fetched.batch.record(*index);
        let source = fetched.batch.source();
        let missing =
            || format!("{source} offset {}: was dead-lettered, and no letter is about it", record.offset);
        let shelf = self.shelves.get_mut(source).ok_or_else(missing)?;
        let at = dlq_topic(source.topic.as_str());
        if let Some(single) = shelf.singles.remove(&record.offset) {
            let inspected = &fetched.verdicts[*index];
            return single.check(dead, &record, inspected, (self.task, letters)).map_err(|why| {
                let (partition, offset) = (source.partition, single.offset);
                format!(
                    "{at}/{partition} offset {offset}: the letter about {source} offset {}: {why}",
                    record.offset
                )
            });
        }
        let range = shelf.ranges.iter_mut().find(|range| range.covers(record.offset, &dead.reason));
        range.ok_or_else(missing)?.fold(&record, source)
    }

    /// Follows range letters through what a seek passed over: they are written before what they list is read
    /// again, and a seek may come between the two. The outer error is the log's, the inner ones are findings.
    pub(super) fn pass_over(
        &mut self,
        skipped: &[Excluded],
        feed: &mut Feed,
    ) -> Result<Vec<String>, FeedError> {
        let mut found = Vec::new();
        for excluded in skipped.iter().filter(|excluded| excluded.reason == SOUGHT) {
            let source = TopicPartition::new(excluded.topic.clone(), excluded.partition);
            let Some(shelf) = self.shelves.get_mut(&source) else { continue };
            for range in shelf.ranges.iter_mut().filter(|range| range.seen < range.body.count) {
                let (Some(first), Some(last)) =
                    (range.runs().map(|run| run.first).min(), range.runs().map(|run| run.last).max())
                else {
                    continue;
                };
                for run in &excluded.runs {
                    let (mut from, end) = (run.first.max(first), run.last.min(last) + 1);
                    while from < end {
                        let to = end.min(from + PART);
                        for (fetched, index) in feed.range(&source, from, to)? {
                            let record = fetched.batch.record(index);
                            if range.lists(record.offset) {
                                found.extend(range.fold(&record, &source).err());
                            }
                        }
                        from = to;
                    }
                }
            }
        }
        Ok(found)
    }

    /// Letters about what no journal record says was dead-lettered, between these positions.
    pub(super) fn leftovers(
        &self,
        from: &BTreeMap<TopicPartition, i64>,
        to: &BTreeMap<TopicPartition, i64>,
    ) -> Vec<String> {
        let mut left = Vec::new();
        for (source, shelf) in &self.shelves {
            let at = dlq_topic(source.topic.as_str());
            let first = from.get(source).copied().unwrap_or(0);
            let end = to.get(source).copied().unwrap_or(0);
            for (offset, single) in shelf.singles.range(first..end.max(first)) {
                left.push(format!(
                    "{at}/{} offset {}: no journal record dead-lettered {source} offset {offset}",
                    source.partition, single.offset
                ));
            }
            let ended = |range: &&RangeCheck| {
                range.seen != range.body.count
                    && range.body.first_offset >= first
                    && range.runs().all(|run| run.last < end)
            };
            for range in shelf.ranges.iter().filter(ended) {
                left.push(format!(
                    "{at}/{} offset {}: the range letter is about {}, the journal dead-lettered or passed over {}",
                    source.partition, range.offset, counted(range.body.count, "record"), range.seen
                ));
            }
        }
        left
    }
}

impl Shelf {
    fn add(&mut self, letter: Letter, record: &RecordRef<'_>) -> Result<(), String> {
        let offset = record.offset;
        if letter.range {
            let body = RangeBody::read(record.value.unwrap_or_default())?;
            self.ranges.push(RangeCheck { offset, body, seen: 0, hasher: blake3::Hasher::new() });
            return Ok(());
        }
        let (_, read_at) = letter.input();
        let single = Single {
            offset,
            reason: letter.reason,
            whole: digest(record.key, record.value, record.headers.iter()),
            content: content(record),
            value: Digest::of(record.value.unwrap_or_default()),
            cut: letter.cut,
        };
        match self.singles.insert(read_at, single) {
            None => Ok(()),
            Some(_) => Err(format!("a second letter about offset {read_at}")),
        }
    }
}

impl Single {
    fn check(
        &self,
        dead: &DeadRecord,
        record: &RecordRef<'_>,
        inspected: &Inspected,
        (task, letters): (i32, &Letters),
    ) -> Result<(), String> {
        if self.reason.as_str() != dead.reason {
            return Err(format!("it says `{}`, the journal says `{}`", self.reason, dead.reason));
        }
        // What is wrong with a record's bytes is found again, and with it every byte of the letter. What
        // rested on the wall clock or on a monitor's state is not.
        let redriven = inspected.redriven.as_deref();
        if let Verdict::Bad(fault) = &inspected.verdict
            && fault.reason == self.reason
            && fault.reason != Reason::FromTheFuture
        {
            let expected = written(&letters.letter(task, record, fault, redriven));
            return if expected == self.whole {
                Ok(())
            } else {
                Err("its bytes are not what they were".into())
            };
        }
        let value = record.value.unwrap_or_default();
        let same = match &self.cut {
            None => self.content == content(record),
            Some((bytes, hex)) => {
                *bytes == value.len()
                    && *hex == Digest::of(value).to_string()
                    && self.value == Digest::of(&value[..value.len().min(HEAD_BYTES)])
            }
        };
        if same { Ok(()) } else { Err("it does not hold the record's bytes".into()) }
    }
}

impl RangeCheck {
    fn runs(&self) -> impl Iterator<Item = &OffsetRun> {
        self.body.reasons.iter().flat_map(|entry| &entry.runs)
    }

    fn covers(&self, offset: i64, reason: &str) -> bool {
        self.body.reasons.iter().any(|entry| entry.reason == reason && covers(&entry.runs, offset))
    }

    /// True if it lists the offset, whatever the reason.
    fn lists(&self, offset: i64) -> bool {
        self.body.reasons.iter().any(|entry| covers(&entry.runs, offset))
    }

    /// Takes the next record that it is about, in offset order; after the last its digest must be theirs.
    fn fold(&mut self, record: &RecordRef<'_>, source: &TopicPartition) -> Result<(), String> {
        self.add(record);
        if self.seen < self.body.count || self.agrees() {
            return Ok(());
        }
        let (at, partition, offset) = (dlq_topic(source.topic.as_str()), source.partition, self.offset);
        Err(format!(
            "{at}/{partition} offset {offset}: the range letter's digest is not that of the records it is about"
        ))
    }

    /// As [`RangeBody::digest`] says.
    fn add(&mut self, record: &RecordRef<'_>) {
        self.seen += 1;
        self.hasher.update(&record.offset.to_le_bytes());
        for part in [record.key, record.value, Some(record.headers.encoded())] {
            self.hasher.update(&part.map_or(u32::MAX, |bytes| bytes.len() as u32).to_le_bytes());
            self.hasher.update(part.unwrap_or_default());
        }
    }

    fn agrees(&self) -> bool {
        Digest::from(self.hasher.finalize()).to_string() == self.body.digest
    }
}

/// True of a source and what comes back to it: their letters are in one partition.
fn is_beside(one: &TopicPartition, other: &TopicPartition) -> bool {
    one.partition == other.partition && source_of(one.topic.as_str()) == source_of(other.topic.as_str())
}

/// Over key, value and the headers that are not ours.
fn content(record: &RecordRef<'_>) -> Digest {
    let own = |(name, _): &(&str, &[u8])| !OURS.iter().any(|prefix| name.starts_with(prefix));
    digest(record.key, record.value, record.headers.iter().filter(own))
}

fn written(letter: &OutRecord) -> Digest {
    let headers = letter.headers.iter().map(|(name, value)| (name.as_str(), value.as_ref()));
    digest(letter.key.as_deref(), letter.value.as_deref(), headers)
}

fn digest<'a>(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> Digest {
    let mut hasher = blake3::Hasher::new();
    let mut add = |part: Option<&[u8]>| {
        hasher.update(&part.map_or(u64::MAX, |bytes| bytes.len() as u64).to_le_bytes());
        hasher.update(part.unwrap_or_default());
    };
    add(key);
    add(value);
    for (name, value) in headers {
        add(Some(name.as_bytes()));
        add(Some(value));
    }
    hasher.finalize().into()
}
