//! The journal: one record a task and round, chained by hashes. The truth of positions and of order.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::names::{TopicName, WorkerName};
use crate::time::Time;

/// The format that this release writes.
pub const FORMAT: i32 = 1;

/// No journal record is larger; an announced length beyond it is an error, not an allocation.
const MAX_BYTES: usize = 64 << 20;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    apache_avro::util::max_allocation_bytes(MAX_BYTES);
    Schema::parse_str(include_str!("../avsc/journal.avsc")).expect("the journal's schema is tested to parse")
});

/// One round of one task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Journal")]
pub struct JournalRecord {
    /// [`FORMAT`].
    pub format: i32,
    /// The worker.
    pub worker: WorkerName,
    /// The task.
    pub partition: i32,
    /// From 0, rising by one.
    pub sequence: i64,
    /// Hash of the record before; [`Digest::NONE`] for the first.
    pub previous: Digest,
    /// The step of the first record or injected event.
    pub first_step: i64,
    /// How many steps.
    pub steps: i64,
    /// Digest of the epoch in force.
    pub epoch: Digest,
    /// The epoch that begins with this record, if one does.
    pub opens: Option<Epoch>,
    /// What was taken from each input partition.
    pub inputs: Vec<InputRange>,
    /// The injected events, in order.
    pub injected: Vec<InjectedEvent>,
    /// The merge's order, in run lengths.
    pub order: Vec<Run>,
    /// Records that were dead-lettered.
    pub dead_letters: Vec<Excluded>,
    /// Records that were passed over on purpose.
    pub skipped: Vec<Excluded>,
    /// How many outputs.
    pub outputs: i64,
    /// Digest over the outputs, in order.
    pub outputs_digest: Digest,
    /// Who wrote it.
    pub instance: String,
    /// BLAKE3 of every byte of the encoded record before this field's bytes.
    pub hash: Digest,
}

/// What must be the same for a replay to give the same bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// Code version.
    pub code: String,
    /// Configuration version.
    pub configuration: String,
    /// Schema fingerprint by topic, hex.
    pub schemas: BTreeMap<String, String>,
    /// Hash of a fixed numerical probe, hex.
    pub numerics: String,
}

impl Epoch {
    /// The digest that every record of the epoch carries.
    pub fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        let mut add = |part: &str| {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        };
        add(&self.code);
        add(&self.configuration);
        add(&self.numerics);
        for (topic, fingerprint) in &self.schemas {
            add(topic);
            add(fingerprint);
        }
        hasher.finalize().into()
    }
}

/// A range of one input partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRange {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: i32,
    /// Position before.
    pub from: i64,
    /// Position after: one past the last offset taken.
    pub to: i64,
    /// Readable records taken.
    pub count: i64,
    /// Of these, processed.
    pub processed: i64,
    /// Digest over the records' digests.
    pub digest: Digest,
}

/// An injected event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectedEvent {
    /// `tick`, `source_down`, `source_up`, `start`, `seek`, …
    pub kind: String,
    /// The instant it is stamped with.
    pub time: Time,
    /// JSON; empty for a tick.
    pub body: String,
}

/// So many steps in a row from one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Index into the record's inputs, or [`Run::INJECTED`].
    pub input: i32,
    /// How many.
    pub count: i64,
}

impl Run {
    /// The `input` of a run of injected events.
    pub const INJECTED: i32 = -1;
}

/// Records that were taken but not processed, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excluded {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: i32,
    /// Why.
    pub reason: String,
    /// Which.
    pub runs: Vec<OffsetRun>,
}

/// Every readable record from `first` to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffsetRun {
    /// The first offset.
    pub first: i64,
    /// The last offset, inclusive.
    pub last: i64,
}

/// A journal record that cannot be what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The bytes are not a journal record.
    #[error("not a journal record: {0}")]
    Unreadable(String),
    /// The hash is not that of the bytes.
    #[error("the record says its hash is {said}, its bytes give {found}")]
    Hash {
        /// In the record.
        said: Digest,
        /// Of the bytes.
        found: Digest,
    },
    /// Written by a newer release.
    #[error("format {0} is newer than this release reads ({FORMAT})")]
    Newer(i32),
}

impl JournalRecord {
    /// Encodes the record and fills in its hash.
    pub fn seal(&mut self) -> Vec<u8> {
        self.hash = Digest::NONE;
        let writer = GenericDatumWriter::builder(&SCHEMA).build().expect("the journal's schema is valid");
        let mut bytes = writer.write_ser_to_vec(self).expect("the journal's type fits its schema");
        let split = bytes.len() - 32;
        self.hash = Digest::of(&bytes[..split]);
        bytes[split..].copy_from_slice(&self.hash.0);
        bytes
    }

    /// Decodes a record and checks its hash.
    ///
    /// # Errors
    /// [`JournalError`] if a byte of it was changed.
    pub fn open(bytes: &[u8]) -> Result<Self, JournalError> {
        let reader = GenericDatumReader::builder(&SCHEMA).build().expect("the journal's schema is valid");
        let mut rest = bytes;
        let record: Self =
            reader.read_deser(&mut rest).map_err(|error| JournalError::Unreadable(brief(&error)))?;
        if !rest.is_empty() {
            return Err(JournalError::Unreadable(format!("{} bytes too many", rest.len())));
        }
        if record.format > FORMAT {
            return Err(JournalError::Newer(record.format));
        }
        let found = Digest::of(&bytes[..bytes.len() - 32]);
        if found != record.hash {
            return Err(JournalError::Hash { said: record.hash, found });
        }
        Ok(record)
    }
}

/// The library's message without the whole schema in it.
fn brief(error: &apache_avro::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(": ").map_or(text.as_str(), |(_, last)| last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> JournalRecord {
        JournalRecord {
            format: FORMAT,
            worker: "risk".into(),
            partition: 3,
            sequence: 7,
            first_step: 100,
            steps: 4,
            opens: Some(Epoch { code: "c".into(), ..Epoch::default() }),
            inputs: vec![InputRange {
                topic: "exec.reports.v1".into(),
                partition: 3,
                from: 10,
                to: 13,
                count: 3,
                processed: 2,
                digest: Digest::of(b"x"),
            }],
            injected: vec![InjectedEvent { kind: "tick".into(), time: Time(5), body: String::new() }],
            order: vec![Run { input: 0, count: 3 }, Run { input: Run::INJECTED, count: 1 }],
            dead_letters: vec![Excluded {
                topic: "exec.reports.v1".into(),
                partition: 3,
                reason: "truncated".into(),
                runs: vec![OffsetRun { first: 11, last: 11 }],
            }],
            outputs: 2,
            instance: "here".into(),
            ..JournalRecord::default()
        }
    }

    #[test]
    fn a_sealed_record_opens_as_it_was() {
        let mut written = record();
        let bytes = written.seal();
        assert_eq!(JournalRecord::open(&bytes).unwrap(), written);
    }

    #[test]
    fn any_changed_byte_is_found() {
        let bytes = record().seal();
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert!(JournalRecord::open(&changed).is_err(), "byte {index}");
        }
    }
}
