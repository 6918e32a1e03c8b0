//! Snapshots and anchors: a task's whole state in chunks, with a manifest that vouches for them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tapewatch_eventlog::{OutRecord, TopicPartition};
use tapewatch_schemas::{Digest, Time, TopicName};

/// The format that this release writes.
pub const STATE_FORMAT: u32 = 1;
/// The largest chunk, bytes.
pub const CHUNK_BYTES: usize = 512 * 1024;
/// The slot that snapshots go to; slot 1 is reserved for spreading them over rounds.
const SLOT: u32 = 0;

/// A task's whole state after a journal record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedTask {
    /// What [`crate::core::Core::save`] gave.
    pub core: Vec<u8>,
    /// Every input's position.
    pub lanes: Vec<LanePosition>,
}

/// Where an input stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanePosition {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: i32,
    /// The next offset to take.
    pub position: i64,
    /// Merge time of the last record taken.
    pub merge_time: Time,
}

/// What vouches for a state's chunks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`STATE_FORMAT`].
    pub format: u32,
    /// The journal record after which the state stands.
    pub sequence: i64,
    /// That record's hash, hex.
    pub hash: String,
    /// An offset in the journal's partition at or before the record after that one.
    pub journal_offset: i64,
    /// Digest of the epoch in force, hex.
    pub epoch: String,
    /// The task's clock, microseconds.
    pub clock: i64,
    /// How many chunks.
    pub chunks: u32,
    /// Bytes of all chunks.
    pub bytes: u64,
    /// Digest of all chunks together, hex.
    pub digest: String,
    /// Why an anchor was dropped: `epoch`, `daily`, `stop`; empty for a snapshot.
    #[serde(default)]
    pub why: String,
    /// The semantic configuration, for anchors: what a replay from here needs.
    #[serde(default)]
    pub configuration: String,
}

impl Manifest {
    /// Its bytes: JSON, then a line with the digest of that, so that no byte of it changes unseen.
    fn seal(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("a manifest is plain data");
        let digest = Digest::of(&bytes);
        bytes.extend_from_slice(format!("\n{digest}").as_bytes());
        bytes
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// If a byte of it is not the one that was written.
    pub fn read(value: &[u8]) -> Result<Self, SnapshotError> {
        let unreadable = |why: String| SnapshotError::Unreadable(format!("manifest: {why}"));
        let split = value.len().saturating_sub(65);
        let (json, digest) = value.split_at(split);
        if digest != format!("\n{}", Digest::of(json)).as_bytes() {
            return Err(unreadable("its digest is not that of its bytes".to_owned()));
        }
        serde_json::from_slice(json).map_err(|error| unreadable(error.to_string()))
    }
}

/// A state that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// A record of it is missing.
    #[error("chunk {0} is missing")]
    Missing(u32),
    /// The chunks are not what the manifest vouches for.
    #[error("the chunks' digest is {found}, the manifest says {said}")]
    Digest {
        /// Of the chunks.
        found: String,
        /// In the manifest.
        said: String,
    },
    /// Not what this release writes.
    #[error("unreadable: {0}")]
    Unreadable(String),
}

impl SavedTask {
    /// Canonical bytes: equal states give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a task's state is plain data")
    }

    /// From [`SavedTask::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        postcard::from_bytes(bytes).map_err(|error| SnapshotError::Unreadable(error.to_string()))
    }
}

/// The records that hold a state: chunks, then the manifest. The manifest's chunk count, size and digest
/// are filled in.
pub fn records(
    target: &TopicPartition,
    prefix: &str,
    state: &[u8],
    mut manifest: Manifest,
) -> Vec<OutRecord> {
    let chunks: Vec<&[u8]> = state.chunks(CHUNK_BYTES).collect();
    manifest.format = STATE_FORMAT;
    manifest.chunks = chunks.len() as u32;
    manifest.bytes = state.len() as u64;
    manifest.digest = Digest::of(state).to_string();
    let record = |name: String, value: Vec<u8>| OutRecord {
        target: target.clone(),
        timestamp: None,
        key: Some(Bytes::from(name)),
        value: Some(Bytes::from(value)),
        headers: Vec::new(),
    };
    let mut records: Vec<OutRecord> = chunks
        .iter()
        .enumerate()
        .map(|(index, chunk)| record(format!("{prefix}/{index:04}"), chunk.to_vec()))
        .collect();
    records.push(record(format!("{prefix}/manifest"), manifest.seal()));
    records
}

/// The key prefix of snapshots.
pub fn snapshot_prefix() -> String {
    SLOT.to_string()
}

/// The key prefix of the anchor after a journal record.
pub fn anchor_prefix(sequence: i64) -> String {
    format!("{sequence:020}")
}

/// Which part of a state a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The chunk of this number.
    Chunk(u32),
    /// The manifest, after its chunks.
    Manifest,
}

/// Reads the key of a state's record: prefix and part.
pub(crate) fn part_of(key: &[u8]) -> Result<(&str, Part), SnapshotError> {
    let unreadable =
        || SnapshotError::Unreadable(format!("the key `{}` is not slot/chunk", String::from_utf8_lossy(key)));
    let text = std::str::from_utf8(key).map_err(|_| unreadable())?;
    let (prefix, name) = text.split_once('/').ok_or_else(unreadable)?;
    if name == "manifest" {
        return Ok((prefix, Part::Manifest));
    }
    let index = name.parse().map_err(|_| unreadable())?;
    Ok((prefix, Part::Chunk(index)))
}

/// Collects the records of states as they are read back, in offset order.
#[derive(Debug, Default)]
pub struct Collector {
    chunks: std::collections::BTreeMap<(String, u32), Vec<u8>>,
    manifests: std::collections::BTreeMap<String, Manifest>,
}

impl Collector {
    /// Takes one record. Later ones of a key take the place of earlier ones.
    pub fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), SnapshotError> {
        let (prefix, part) = part_of(key)?;
        let Part::Chunk(index) = part else {
            let manifest = Manifest::read(value)?;
            self.manifests.insert(prefix.to_owned(), manifest);
            return Ok(());
        };
        self.chunks.insert((prefix.to_owned(), index), value.to_vec());
        Ok(())
    }

    /// Every manifest with its key prefix, by prefix.
    pub fn manifests(&self) -> impl DoubleEndedIterator<Item = (&str, &Manifest)> {
        self.manifests.iter().map(|(prefix, manifest)| (prefix.as_str(), manifest))
    }

    /// The bytes that a manifest vouches for.
    pub fn state(&self, prefix: &str, manifest: &Manifest) -> Result<Vec<u8>, SnapshotError> {
        let mut state = Vec::with_capacity(manifest.bytes as usize % (1 << 30));
        for index in 0..manifest.chunks {
            let chunk = self.chunks.get(&(prefix.to_owned(), index));
            state.extend_from_slice(chunk.ok_or(SnapshotError::Missing(index))?);
        }
        let found = Digest::of(&state).to_string();
        if found != manifest.digest {
            return Err(SnapshotError::Digest { found, said: manifest.digest.clone() });
        }
        Ok(state)
    }
}
