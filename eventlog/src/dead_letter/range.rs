//! One letter for a whole range of bad records: which, why, how many; their bytes stay in the source.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tapewatch_schemas::catalogue::dlq_topic;
use tapewatch_schemas::journal::{Excluded, OffsetRun};
use tapewatch_schemas::{Digest, Reason, Time};

use super::{DeadLetter, HEAD_BYTES};
use crate::{BatchBuilder, OutRecord, RecordRef, TopicPartition};

/// The most runs of offsets in one letter, over all reasons.
pub const MAX_RUNS: usize = 5000;

/// Collects bad records of one partition, in offset order, one at a time; holds runs and a digest, never
/// their bytes.
#[derive(Debug)]
pub struct RangeLetter {
    source: TopicPartition,
    reasons: Vec<ReasonRuns>,
    count: u64,
    runs: usize,
    /// The reason of the record before this one, if that was a bad one.
    last: Option<Reason>,
    first: Option<First>,
    hasher: blake3::Hasher,
}

#[derive(Debug)]
struct First {
    offset: i64,
    timestamp: Time,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
}

/// The value of a range letter, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeBody {
    /// The source topic.
    pub topic: String,
    /// The source partition.
    pub partition: i32,
    /// How many records the letter stands for.
    pub count: u64,
    /// Which, by reason, in the order in which the reasons came up.
    pub reasons: Vec<ReasonRuns>,
    /// The first record's offset.
    pub first_offset: i64,
    /// The first record's publication time, microseconds since 1970 UTC.
    pub first_timestamp: i64,
    /// The first record's key, hex; none if it had none.
    pub first_key: Option<String>,
    /// The first record's value (of a long one the first 4096 bytes), hex; none if it had none.
    pub first_value: Option<String>,
    /// BLAKE3 (hex) over, for each record in order: offset (i64 LE), then key, value and encoded headers,
    /// each with its length in front (u32 LE; 0xFFFFFFFF and nothing where there is none).
    pub digest: String,
}

/// The records of one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonRuns {
    /// Why.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// Every readable record from the first to the last offset of each run.
    pub runs: Vec<OffsetRun>,
}

impl RangeLetter {
    /// An empty letter about a partition.
    pub fn new(source: TopicPartition) -> Self {
        Self {
            source,
            reasons: Vec::new(),
            count: 0,
            runs: 0,
            last: None,
            first: None,
            hasher: blake3::Hasher::new(),
        }
    }

    /// Adds the next bad record.
    pub fn add(&mut self, record: &RecordRef<'_>, reason: Reason) {
        if self.first.is_none() {
            let head = |bytes: &[u8]| bytes[..bytes.len().min(HEAD_BYTES)].to_vec();
            self.first = Some(First {
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key.map(head),
                value: record.value.map(head),
            });
        }
        self.count += 1;
        self.digest(record);
        let run = OffsetRun { first: record.offset, last: record.offset };
        let continues = self.last.replace(reason) == Some(reason);
        let index = self.index_of(reason);
        let entry = &mut self.reasons[index];
        entry.count += 1;
        match entry.runs.last_mut() {
            Some(open) if continues => open.last = record.offset,
            _ => {
                entry.runs.push(run);
                self.runs += 1;
            }
        }
    }

    fn index_of(&mut self, reason: Reason) -> usize {
        let found = self.reasons.iter().position(|entry| entry.reason == reason.as_str());
        found.unwrap_or_else(|| {
            self.reasons.push(ReasonRuns { reason: reason.to_string(), count: 0, runs: Vec::new() });
            self.reasons.len() - 1
        })
    }

    /// A good record was passed: the next bad one begins a new run.
    pub fn pass(&mut self) {
        self.last = None;
    }

    fn digest(&mut self, record: &RecordRef<'_>) {
        self.hasher.update(&record.offset.to_le_bytes());
        for part in [record.key, record.value, Some(record.headers.encoded())] {
            match part {
                Some(bytes) => {
                    self.hasher.update(&(bytes.len() as u32).to_le_bytes());
                    self.hasher.update(bytes);
                }
                None => {
                    self.hasher.update(&u32::MAX.to_le_bytes());
                }
            }
        }
    }

    /// How many records it stands for.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// True if no further run fits: write this letter and begin another.
    pub fn is_full(&self) -> bool {
        self.runs >= MAX_RUNS
    }

    /// What the journal says of these records.
    pub fn excluded(&self) -> Vec<Excluded> {
        let of = |entry: &ReasonRuns| Excluded {
            topic: self.source.topic.clone(),
            partition: self.source.partition,
            reason: entry.reason.clone(),
            runs: entry.runs.clone(),
        };
        self.reasons.iter().map(of).collect()
    }

    /// The record for the dead-letter topic; none if nothing was added. `why` names the worker; its reason
    /// is that of the first record.
    pub fn build(&self, why: &DeadLetter<'_>) -> Option<OutRecord> {
        let first = self.first.as_ref()?;
        let body = RangeBody {
            topic: self.source.topic.to_string(),
            partition: self.source.partition,
            count: self.count,
            reasons: self.reasons.clone(),
            first_offset: first.offset,
            first_timestamp: first.timestamp.micros(),
            first_key: first.key.as_deref().map(hex),
            first_value: first.value.as_deref().map(hex),
            digest: Digest::from(self.hasher.finalize()).to_string(),
        };
        let value = serde_json::to_vec(&body).expect("a body of text and numbers has a JSON form");
        let mut about = BatchBuilder::new(self.source.clone());
        about.push(first.offset, first.timestamp, None, None, |_| ());
        let mut headers = why.headers(&about.record(0), "range");
        headers.push(("tapewatch.count".into(), Bytes::from(self.count.to_string())));
        Some(OutRecord {
            target: TopicPartition::new(dlq_topic(self.source.topic.as_str()), self.source.partition),
            timestamp: None,
            key: first.key.clone().map(Bytes::from),
            value: Some(Bytes::from(value)),
            headers,
        })
    }
}

impl RangeBody {
    /// Reads the value of a range letter.
    ///
    /// # Errors
    /// Says what in it is not as it should be.
    pub fn read(value: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(value).map_err(|error| error.to_string())
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
