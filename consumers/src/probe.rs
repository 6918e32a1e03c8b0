//! The half-open state of a breaker: looks ahead at a source that is down, holding nothing.
//!
//! What it looked at is forgotten; once enough good records follow each other the source is read again
//! from where it stopped. The bad ones on the way are listed, as runs of offsets, in one range letter.

use tapewatch_eventlog::dead_letter::RangeLetter;
use tapewatch_eventlog::{RecordRef, TopicPartition};

use crate::inspect::{Inspected, Verdict};

/// How far a probe has looked.
#[derive(Debug)]
pub struct Probe {
    /// The bad ones.
    pub range: RangeLetter,
    /// One past the last offset looked at.
    pub to: i64,
    good_in_a_row: u32,
    looked: u64,
}

impl Probe {
    /// A probe that begins at an offset.
    pub fn new(at: TopicPartition, from: i64) -> Self {
        Self { range: RangeLetter::new(at), to: from, good_in_a_row: 0, looked: 0 }
    }

    /// Looks at one record. True once enough good ones follow each other.
    pub fn look(&mut self, record: &RecordRef<'_>, inspected: &Inspected, permitted: u32) -> bool {
        self.looked += 1;
        self.to = record.offset + 1;
        if inspected.redriven.as_ref().is_some_and(|back| back.discarded) {
            // It was given up, and says nothing of the others: whatever its bytes are, it will be settled.
            self.range.pass();
            return false;
        }
        if let Verdict::Bad(fault) = &inspected.verdict {
            self.good_in_a_row = 0;
            if inspected.is_bad_for_good() {
                self.range.add(record, fault.reason);
            } else {
                self.range.pass();
            }
            return false;
        }
        self.range.pass();
        self.good_in_a_row += 1;
        self.good_in_a_row >= permitted
    }

    /// True if it has looked as far as it may, or its letter holds no more runs: then a person decides.
    pub fn exhausted(&self, limit: u64) -> bool {
        self.looked >= limit || self.range.is_full()
    }
}
