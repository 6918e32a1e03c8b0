//! What goes into one transaction: the records' bytes, read again from their letters or their source.

use std::collections::BTreeMap;

use bytes::Bytes;
use tapewatch_eventlog::dead_letter::Redriven;
use tapewatch_eventlog::{LogError, OutRecord, RecordRef, TopicPartition};
use tapewatch_schemas::TopicName;
use tapewatch_schemas::codec::GUID_HEADER;
use tapewatch_schemas::journal::OffsetRun;

use super::candidate::Candidate;
use super::ledger::{Behind, runs};
use super::{RedriveError, Request, letters};
use crate::scan::Scanner;

/// A transaction holds at most so many records …
const MOST_RECORDS: usize = 200;
/// … and so many bytes of values, about.
const MOST_BYTES: usize = 4 << 20;

/// What is sent together, and which letters it settles.
#[derive(Debug, Default)]
pub(super) struct Parcel {
    pub(super) records: Vec<OutRecord>,
    /// How many letters' records they are.
    pub(super) count: u64,
    pub(super) letters: Vec<OffsetRun>,
    pub(super) behind: Vec<Behind>,
}

/// How many of these go into the next transaction: at least one.
pub(super) fn fits(rest: &[Candidate]) -> usize {
    let mut bytes = 0;
    let over = rest.iter().take(MOST_RECORDS).position(|one| {
        bytes += one.bytes;
        bytes > MOST_BYTES
    });
    over.unwrap_or(rest.len().min(MOST_RECORDS)).max(1)
}

/// Shows the record of each of these, by its index, where it is still there.
pub(super) fn gather(
    scanner: &mut Scanner,
    topic: &TopicName,
    partition: i32,
    chosen: &[Candidate],
    mut show: impl FnMut(usize, &RecordRef<'_>),
) -> Result<(), LogError> {
    let mut wanted: BTreeMap<TopicPartition, BTreeMap<i64, Vec<usize>>> = BTreeMap::new();
    for (index, one) in chosen.iter().enumerate() {
        let in_letter = || (letters(topic, partition), one.back.letter.1);
        let (at, offset) = one.behind.clone().unwrap_or_else(in_letter);
        wanted.entry(at).or_default().entry(offset).or_default().push(index);
    }
    for (at, offsets) in &wanted {
        let (Some((first, _)), Some((last, _))) = (offsets.first_key_value(), offsets.last_key_value())
        else {
            continue;
        };
        scanner.span::<LogError>(at, *first, last + 1, |record| {
            for &index in offsets.get(&record.offset).into_iter().flatten() {
                if chosen[index].is(record) {
                    show(index, record);
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Reads the bytes of these. Those that are not there any more are left out.
pub(super) fn pack(
    scanner: &mut Scanner,
    request: &Request,
    partition: i32,
    chosen: &[Candidate],
) -> Result<Parcel, RedriveError> {
    let mut found: Vec<Option<Vec<OutRecord>>> = vec![None; chosen.len()];
    gather(scanner, &request.topic, partition, chosen, |index, record| {
        found[index] = Some(sent(&chosen[index], record, partition, request));
    })?;
    if request.discard {
        // What is given up needs no bytes.
        for (one, records) in chosen.iter().zip(&mut found) {
            records.get_or_insert_with(|| vec![given_up(one, one.key.as_deref(), partition)]);
        }
    }
    let mut parcel = Parcel::default();
    let mut settled = Settled::default();
    for (one, record) in chosen.iter().zip(found) {
        let Some(records) = record else { continue };
        parcel.records.extend(records);
        parcel.count += 1;
        settled.add(one);
    }
    (parcel.letters, parcel.behind) = settled.lists();
    Ok(parcel)
}

/// Which letters are settled by what is sent.
#[derive(Debug, Default)]
pub(super) struct Settled {
    singles: Vec<i64>,
    behind: BTreeMap<i64, Vec<i64>>,
}

impl Settled {
    pub(super) fn add(&mut self, one: &Candidate) {
        match &one.behind {
            Some((_, offset)) if one.range => {
                self.behind.entry(one.back.letter.1).or_default().push(*offset);
            }
            _ => self.singles.push(one.back.letter.1),
        }
    }

    pub(super) fn lists(self) -> (Vec<OffsetRun>, Vec<Behind>) {
        let listed = |(letter, offsets)| Behind { letter, records: runs(offsets) };
        (runs(self.singles), self.behind.into_iter().map(listed).collect())
    }
}

/// The record as it goes back.
fn sent(one: &Candidate, record: &RecordRef<'_>, partition: i32, request: &Request) -> Vec<OutRecord> {
    let key = record.key.map(Bytes::copy_from_slice);
    if request.discard {
        return vec![given_up(one, record.key, partition)];
    }
    let Some(repair) = request.repair(one.id()) else {
        let value = record.value.map(Bytes::copy_from_slice);
        return vec![one.back.record(partition, key, value, record.headers.iter())];
    };
    let own = repair.key.clone().or_else(|| key.clone());
    let moved = own != key || repair.target != partition;
    // A value that was replaced says its schema itself: a header about the old one would misread it.
    let same = repair.value.as_deref() == record.value;
    let headers = record.headers.iter().filter(|(name, _)| same || *name != GUID_HEADER);
    let mut records = vec![one.back.record(repair.target, own, repair.value.clone(), headers)];
    // Under another key it settles nothing of its own, which is held: that is done beside it.
    if moved && request.in_order && key.is_some() {
        records.push(given_up(one, record.key, partition));
    }
    records
}

/// What says that it is settled, and is not processed.
fn given_up(one: &Candidate, key: Option<&[u8]>, partition: i32) -> OutRecord {
    let back = Redriven { discarded: true, ..one.back.clone() };
    back.record(partition, key.map(Bytes::copy_from_slice), None, std::iter::empty())
}
