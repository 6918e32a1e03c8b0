//! The records of a partition of dead letters, one after another.

use std::sync::Arc;

use tapewatch_eventlog::dead_letter::{Letter, RangeBody, Redriven};
use tapewatch_eventlog::{Log, RecordRef, TopicPartition};
use tapewatch_schemas::catalogue::{is_redrive, redrive_topic, worker};
use tapewatch_schemas::{Digest, Reason, Time, TopicName};

use super::{LetterId, RedriveError, letters};
use crate::plan::group_of;
use crate::scan::Scanner;
use crate::workers::NAMES;

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
    /// When it was dead-lettered.
    pub(super) written: Time,
    /// True if its worker has yet to come to it: a range letter is written before what it lists is read again.
    pub(super) ahead: bool,
}

/// Where a record stands among those of a partition of letters: by its first publication.
pub(super) type Order = (i32, i64, i64, Option<i64>);
/// Whose order it is in: worker, task and key.
pub(super) type Owner = (String, i32, Vec<u8>);

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

    /// As they were published first: a key's letters are in that order, whenever they were written.
    pub(super) fn order(&self) -> Order {
        (self.back.source.partition, self.back.offset, self.back.letter.1, self.behind_range())
    }

    /// Whose order it is in; none without a key.
    pub(super) fn owner(&self) -> Option<Owner> {
        self.key.clone().map(|key| (self.back.worker.clone(), self.back.task, key))
    }
}

/// A letter that stands for a range.
pub(super) struct Range {
    pub(super) letter: Letter,
    body: RangeBody,
    pub(super) at: (i32, i64),
    pub(super) written: Time,
}

/// What was passed over: numbers of records.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PassedOver {
    /// Their bytes are gone from the source.
    pub(super) gone: u64,
    /// Letters that are not tapewatch's.
    pub(super) foreign: u64,
}

/// The letters of a partition.
pub(super) struct Letters<'a> {
    pub(super) log: &'a Arc<dyn Log>,
    pub(super) scanner: &'a mut Scanner,
    pub(super) topic: &'a TopicName,
    pub(super) partition: i32,
}

impl Letters<'_> {
    /// Shows each letter's record, and what is still there of the records behind each range letter that is `wanted`.
    pub(super) fn each(
        &mut self,
        wanted: impl Fn(&Range) -> bool,
        mut show: impl FnMut(Candidate) -> Result<(), RedriveError>,
    ) -> Result<PassedOver, RedriveError> {
        let mut over = PassedOver::default();
        let mut ranges = Vec::new();
        self.scanner.scan::<RedriveError>(&letters(self.topic, self.partition), 0, |record| {
            let Some(letter) = Letter::read(record) else {
                over.foreign += 1;
                return Ok(());
            };
            if !letter.range {
                return show(single(&letter, record));
            }
            match RangeBody::read(record.value.unwrap_or_default()) {
                Ok(body) => {
                    let (at, written) = ((record.partition, record.offset), record.timestamp);
                    ranges.extend(Some(Range { letter, body, at, written }).filter(&wanted));
                }
                Err(_) => over.foreign += 1,
            }
            Ok(())
        })?;
        for range in ranges {
            over.gone += self.behind(&range, &mut show)?;
        }
        Ok(over)
    }

    /// Shows whose order a record is in that was sent back before, and where it stands there, if its worker has not
    /// taken it yet. A letter about the same record, which it becomes if it fails again, stands before that.
    pub(super) fn under_way(
        &mut self,
        wanted: impl Fn(&str) -> bool,
        mut show: impl FnMut(Owner, Order) -> Result<(), RedriveError>,
    ) -> Result<(), RedriveError> {
        let at = TopicPartition::new(redrive_topic(self.topic.as_str()), self.partition);
        let reads =
            |name: &str| worker(name).is_some_and(|listed| listed.inputs.contains(&self.topic.as_str()));
        for name in NAMES.into_iter().filter(|name| reads(name) && wanted(name)) {
            let positions = self.log.group_offsets(&group_of(name), std::slice::from_ref(&at))?;
            let position = positions.first().copied().flatten().unwrap_or(0);
            self.scanner.span::<RedriveError>(&at, position, i64::MAX, |record| {
                // What was given up cannot fail again; what was repaired and belongs to another partition now
                // stands in no order here.
                let back = Redriven::read(record).filter(|back| {
                    back.worker == name && !back.discarded && back.source.partition == at.partition
                });
                let Some((back, key)) = back.zip(record.key) else { return Ok(()) };
                show(
                    (back.worker, back.task, key.to_vec()),
                    (back.source.partition, back.offset, i64::MAX, None),
                )
            })?;
        }
        Ok(())
    }

    /// Shows the records behind a range letter. Gives how many are gone.
    fn behind(
        &mut self,
        range: &Range,
        show: &mut impl FnMut(Candidate) -> Result<(), RedriveError>,
    ) -> Result<u64, RedriveError> {
        let place = TopicPartition::new(range.body.topic.as_str(), range.body.partition);
        let earliest = self.log.bounds(&place)?.earliest;
        // Positions of what every task reads in full are in journals alone.
        let group = group_of(&range.letter.worker);
        let position = self.log.group_offsets(&group, std::slice::from_ref(&place))?;
        let position = position.first().copied().flatten().unwrap_or(i64::MAX);
        let mut gone = 0;
        for entry in &range.body.reasons {
            let Some(reason) = Reason::of(&entry.reason) else { continue };
            let mut seen = 0;
            for run in &entry.runs {
                self.scanner.span::<RedriveError>(
                    &place,
                    run.first.max(earliest),
                    run.last + 1,
                    |record| {
                        seen += 1;
                        let ahead = record.offset >= position;
                        show(Candidate { ahead, ..behind(range, &place, reason, record) })
                    },
                )?;
            }
            gone += entry.count.saturating_sub(seen);
        }
        Ok(gone)
    }
}

/// The record of a letter of its own.
fn single(letter: &Letter, record: &RecordRef<'_>) -> Candidate {
    let cut = letter.cut.clone();
    Candidate {
        back: Redriven::of(letter, (record.partition, record.offset)),
        behind: cut.is_some().then(|| letter.input()),
        range: false,
        key: record.key.map(<[u8]>::to_vec),
        bytes: cut.as_ref().map_or(record.value.map_or(0, <[u8]>::len), |(bytes, _)| *bytes),
        digest: cut.map(|(_, digest)| digest),
        written: record.timestamp,
        ahead: false,
    }
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
        written: range.written,
        ahead: false,
    }
}
