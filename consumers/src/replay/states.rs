//! Snapshots and anchors as they stand in the log: what each vouches for, without holding the states.

use std::collections::BTreeMap;

use tapewatch_eventlog::{LogError, TopicPartition};
use tapewatch_schemas::Digest;
use tapewatch_schemas::journal::JournalRecord;

use crate::rerun::Rerun;
use crate::restore::digest_of;
use crate::scan::Scanner;
use crate::snapshot::{
    Collector, Manifest, Part, SavedTask, SnapshotError, anchor_prefix, part_of, snapshot_prefix,
};

/// Snapshots or anchors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Each round's takes the place of the one before.
    Snapshot,
    /// Every one is kept.
    Anchor,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Anchor => "anchor",
        }
    }
}

/// A state that the log holds.
struct Held {
    offset: i64,
    manifest: Manifest,
    /// What is wrong with its chunks.
    problem: Option<String>,
}

/// All states of one kind of a task, by the journal record after which they stand.
pub(super) struct States {
    kind: Kind,
    at: TopicPartition,
    held: BTreeMap<i64, Held>,
    /// Records that are no part of a state.
    pub(super) unreadable: Vec<String>,
}

/// Chunks read so far of the state whose manifest comes after them.
#[derive(Default)]
struct Chunks {
    hasher: blake3::Hasher,
    next: u32,
    bytes: u64,
}

impl States {
    /// Reads them.
    pub(super) fn of(scanner: &mut Scanner, at: TopicPartition, kind: Kind) -> Result<Self, LogError> {
        let mut states = Self { kind, at: at.clone(), held: BTreeMap::new(), unreadable: Vec::new() };
        let mut chunks = Chunks::default();
        scanner.scan::<LogError>(&at, 0, |record| {
            let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
            if let Err(why) = states.add(&mut chunks, record.offset, key, value) {
                states.unreadable.push(format!("{at} offset {}: {why}", record.offset));
            }
            Ok(())
        })?;
        Ok(states)
    }

    fn add(
        &mut self,
        chunks: &mut Chunks,
        offset: i64,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), SnapshotError> {
        let (prefix, part) = part_of(key)?;
        if let Part::Chunk(index) = part {
            if index == 0 {
                *chunks = Chunks::default();
            }
            if index == chunks.next {
                chunks.next += 1;
            }
            chunks.bytes += value.len() as u64;
            chunks.hasher.update(value);
            return Ok(());
        }
        let manifest = Manifest::read(value)?;
        let chunks = std::mem::take(chunks);
        let expected = match self.kind {
            Kind::Snapshot => snapshot_prefix(),
            Kind::Anchor => anchor_prefix(manifest.sequence),
        };
        let found = Digest::from(chunks.hasher.finalize()).to_string();
        let problem = if prefix != expected {
            Some(format!("its key begins with {prefix}, expected {expected}"))
        } else if chunks.next != manifest.chunks || chunks.bytes != manifest.bytes {
            Some(format!(
                "{} chunks with {} bytes are there, the manifest names {} with {}",
                chunks.next, chunks.bytes, manifest.chunks, manifest.bytes
            ))
        } else if found != manifest.digest {
            Some(SnapshotError::Digest { found, said: manifest.digest.clone() }.to_string())
        } else {
            None
        };
        if self.kind == Kind::Snapshot {
            self.held.clear();
        }
        let manifest = Manifest { configuration: String::new(), ..manifest };
        self.held.insert(manifest.sequence, Held { offset, manifest, problem });
        Ok(())
    }

    /// The last one that `usable` accepts.
    pub(super) fn last(&self, usable: impl Fn(&Manifest) -> bool) -> Option<&Manifest> {
        self.held.values().rev().map(|held| &held.manifest).find(|manifest| usable(manifest))
    }

    /// The one after this journal record.
    pub(super) fn after(&self, sequence: i64) -> Option<&Manifest> {
        self.held.get(&sequence).map(|held| &held.manifest)
    }

    /// Reads the state that a manifest vouches for.
    pub(super) fn load(
        &self,
        scanner: &mut Scanner,
        manifest: &Manifest,
    ) -> Result<Result<(SavedTask, Digest), String>, LogError> {
        let wanted = anchor_prefix(manifest.sequence);
        let mut states = Collector::default();
        scanner.scan::<LogError>(&self.at, 0, |record| {
            let key = record.key.unwrap_or_default();
            if part_of(key).is_ok_and(|(prefix, _)| prefix == wanted) {
                // One that cannot be read is missed below.
                let _ = states.add(key, record.value.unwrap_or_default());
            }
            Ok(())
        })?;
        let state = states.state(&wanted, manifest).and_then(|bytes| SavedTask::decode(&bytes));
        Ok(state.map_err(|why| why.to_string()).and_then(|saved| Ok((saved, digest_of(&manifest.hash)?))))
    }

    /// Compares the state after this record with the one that was reached; none if there is none.
    pub(super) fn check(&self, rerun: &Rerun, record: &JournalRecord) -> Option<Result<(), String>> {
        let held = self.held.get(&record.sequence)?;
        let (kind, at, offset) = (self.kind.name(), &self.at, held.offset);
        let fault = Self::fault(held, rerun, record);
        Some(fault.map_or(Ok(()), |why| Err(format!("{at} offset {offset}: the {kind} after it: {why}"))))
    }

    fn fault(held: &Held, rerun: &Rerun, record: &JournalRecord) -> Option<String> {
        let manifest = &held.manifest;
        if held.problem.is_some() {
            return held.problem.clone();
        }
        if manifest.hash != record.hash.to_string() {
            let (said, has) = (&manifest.hash, record.hash);
            return Some(format!("its manifest names journal hash {said}, the record has {has}"));
        }
        if manifest.epoch != record.epoch.to_string() {
            return Some("its manifest names another epoch than the record".to_owned());
        }
        let clock = rerun.core().map(|core| core.clock().micros());
        if clock != Some(manifest.clock) {
            return Some("its manifest names another clock than the one that was reached".to_owned());
        }
        let state = rerun.save().map(|saved| Digest::of(&saved.encode()).to_string());
        (state.as_ref() != Some(&manifest.digest))
            .then(|| "its state is not the one that the journal gives".to_owned())
    }

    /// The states that stand after `sequence` or later: the journal does not reach them.
    pub(super) fn beyond(&self, sequence: i64) -> impl Iterator<Item = String> + '_ {
        self.held.range(sequence..).map(move |(after, held)| {
            format!(
                "{} offset {}: the {} stands after journal sequence {after}, but the journal ends before {sequence}: records are missing at its end",
                self.at,
                held.offset,
                self.kind.name()
            )
        })
    }
}
