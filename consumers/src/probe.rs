//! The half-open state of a breaker: looks ahead at a source that is down, holding nothing.
//!
//! What it looked at is forgotten; once enough good records follow each other the source is read again
//! from where it stopped. The bad ones on the way are listed, as runs of offsets, in one range letter.

use tapewatch_eventlog::RecordRef;
use tapewatch_schemas::Reason;
use tapewatch_schemas::journal::OffsetRun;

use crate::inspect::{Inspected, Verdict};

/// So many runs are listed at most: a probe that meets more waits for a person.
pub const MAX_RUNS: usize = 10_000;

/// How far a probe has looked.
#[derive(Debug, Default)]
pub struct Probe {
    /// Runs of bad records per reason, by first offset.
    pub runs: Vec<(Reason, OffsetRun)>,
    /// How many bad ones.
    pub bad: i64,
    /// The first bad record's bytes, its head only.
    pub first: Option<Vec<u8>>,
    /// Over the bytes of the bad ones.
    pub hasher: blake3::Hasher,
    /// One past the last offset looked at.
    pub to: i64,
    good_in_a_row: u32,
    looked: u64,
    last_was_bad: bool,
}

/// The head of a record that a range letter shows.
const HEAD_BYTES: usize = 1024;

impl Probe {
    /// Looks at one record. True once enough good ones follow each other.
    pub fn look(&mut self, record: &RecordRef<'_>, inspected: &Inspected, permitted: u32) -> bool {
        self.looked += 1;
        self.to = record.offset + 1;
        let Verdict::Bad(fault) = &inspected.verdict else {
            self.good_in_a_row += 1;
            self.last_was_bad = false;
            return self.good_in_a_row >= permitted;
        };
        self.good_in_a_row = 0;
        self.bad += 1;
        let bytes = record.value.unwrap_or_default();
        self.hasher.update(&(bytes.len() as u64).to_le_bytes());
        self.hasher.update(bytes);
        self.first.get_or_insert_with(|| bytes[..bytes.len().min(HEAD_BYTES)].to_vec());
        match self.runs.last_mut() {
            Some((reason, run)) if self.last_was_bad && *reason == fault.reason => run.last = record.offset,
            _ => self.runs.push((fault.reason, OffsetRun { first: record.offset, last: record.offset })),
        }
        self.last_was_bad = true;
        false
    }

    /// True if it has looked as far as it may.
    pub fn exhausted(&self, limit: u64) -> bool {
        self.looked >= limit || self.runs.len() >= MAX_RUNS
    }
}
