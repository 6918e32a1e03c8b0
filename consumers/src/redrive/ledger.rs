//! The audit journal: who sent which letters back and why, a record a transaction, chained by hashes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tapewatch_eventlog::{RecordRef, TopicPartition};
use tapewatch_schemas::catalogue::REDRIVES;
use tapewatch_schemas::journal::OffsetRun;
use tapewatch_schemas::{Digest, TopicName};

use super::RedriveError;
use crate::rerun::covers;
use crate::scan::Scanner;

/// The format that this release writes.
const FORMAT: u32 = 1;

/// What was done with letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// They were sent back as they were.
    Redrive,
    /// They were given up.
    Discard,
    /// They were sent back repaired.
    Import,
    /// What retention has removed of a held key was given up.
    Release,
}

/// One transaction, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// 1.
    pub format: u32,
    /// From 0, rising by one.
    pub sequence: u64,
    /// BLAKE3 of the record before, hex; zeros for the first.
    pub previous: String,
    /// What was done.
    pub kind: Kind,
    /// The topic whose letters they are.
    pub topic: TopicName,
    /// The letters' partition.
    pub partition: i32,
    /// Who did it.
    pub who: String,
    /// Why.
    pub why: String,
    /// What was asked for.
    pub filter: Value,
    /// How many records were sent.
    pub records: u64,
    /// Offsets of letters about one record each.
    pub letters: Vec<OffsetRun>,
    /// Records behind range letters.
    pub behind: Vec<Behind>,
}

/// Records behind one range letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behind {
    /// The range letter's offset.
    pub letter: i64,
    /// The records' offsets where they are.
    pub records: Vec<OffsetRun>,
}

/// What was taken of the letters of one partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Taken {
    letters: Vec<OffsetRun>,
    behind: BTreeMap<i64, Vec<OffsetRun>>,
}

impl Taken {
    /// True if the letter at `letter` was sent back; of a range letter, the record at `behind` that it stands
    /// for.
    pub(super) fn has(&self, letter: i64, behind: Option<i64>) -> bool {
        match behind {
            None => covers(&self.letters, letter),
            Some(offset) => self.behind.get(&letter).is_some_and(|runs| covers(runs, offset)),
        }
    }
}

/// All that the audit journal says.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    taken: BTreeMap<(TopicName, i32), Taken>,
    /// The next entry's sequence number.
    sequence: u64,
    /// Hash of the last entry.
    last: Digest,
}

/// Where the audit journal is.
pub(super) fn place() -> TopicPartition {
    TopicPartition::new(REDRIVES, 0)
}

impl Ledger {
    /// Reads it whole, and checks its chain.
    pub(super) fn read(scanner: &mut Scanner) -> Result<Self, RedriveError> {
        let mut ledger = Self { last: Digest::NONE, ..Self::default() };
        let mut begun = false;
        scanner.scan::<RedriveError>(&place(), 0, |record| {
            let entry = ledger.check(record, begun).map_err(|why| RedriveError::Ledger {
                at: place(),
                offset: record.offset,
                why,
            })?;
            begun = true;
            ledger.note(&entry, Digest::of(record.value.unwrap_or_default()));
            Ok(())
        })?;
        for taken in ledger.taken.values_mut() {
            settle(&mut taken.letters);
            taken.behind.values_mut().for_each(settle);
        }
        Ok(ledger)
    }

    fn check(&self, record: &RecordRef<'_>, begun: bool) -> Result<Entry, String> {
        let entry: Entry = serde_json::from_slice(record.value.unwrap_or_default())
            .map_err(|error| format!("not an entry of the audit journal: {error}"))?;
        if entry.format > FORMAT {
            return Err(format!("format {} is newer than this release reads ({FORMAT})", entry.format));
        }
        // What stood before the first that is there may be gone by retention.
        if begun && (entry.sequence, &entry.previous) != (self.sequence, &self.last.to_string()) {
            return Err(format!(
                "it says that it is entry {} after {}, expected is {} after {}",
                entry.sequence, entry.previous, self.sequence, self.last
            ));
        }
        Ok(entry)
    }

    /// Takes an entry in, whose bytes have this hash.
    pub(super) fn note(&mut self, entry: &Entry, hash: Digest) {
        let taken = self.taken.entry((entry.topic.clone(), entry.partition)).or_default();
        taken.letters.extend_from_slice(&entry.letters);
        for behind in &entry.behind {
            taken.behind.entry(behind.letter).or_default().extend_from_slice(&behind.records);
        }
        self.sequence = entry.sequence + 1;
        self.last = hash;
    }

    /// What was taken of a partition.
    pub(super) fn of(&self, topic: &TopicName, partition: i32) -> Taken {
        self.taken.get(&(topic.clone(), partition)).cloned().unwrap_or_default()
    }

    /// The next entry: its place in the chain is filled in.
    pub(super) fn link(&self, entry: Entry) -> Entry {
        Entry { format: FORMAT, sequence: self.sequence, previous: self.last.to_string(), ..entry }
    }
}

/// The runs of these offsets.
pub(super) fn runs(mut offsets: Vec<i64>) -> Vec<OffsetRun> {
    offsets.sort_unstable();
    let mut runs: Vec<OffsetRun> = Vec::new();
    for offset in offsets {
        match runs.last_mut() {
            Some(run) if run.last + 1 >= offset => run.last = offset,
            _ => runs.push(OffsetRun { first: offset, last: offset }),
        }
    }
    runs
}

/// Puts runs in order and makes one of those that touch.
fn settle(runs: &mut Vec<OffsetRun>) {
    runs.sort_unstable_by_key(|run| run.first);
    runs.dedup_by(|next, run| {
        let touches = next.first <= run.last + 1;
        if touches {
            run.last = run.last.max(next.last);
        }
        touches
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_become_runs_and_runs_that_touch_one() {
        let run = |first, last| OffsetRun { first, last };
        assert_eq!(runs(vec![5, 1, 2, 3, 9]), [run(1, 3), run(5, 5), run(9, 9)]);
        let mut many = vec![run(8, 9), run(1, 3), run(4, 4)];
        settle(&mut many);
        assert_eq!(many, [run(1, 4), run(8, 9)]);
        assert!(covers(&many, 4) && !covers(&many, 5) && covers(&many, 9) && !covers(&many, 0));
    }
}
