//! Ids that tapewatch makes: UUIDv8 of what caused them, so that a replay makes the same ones.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// The id of a derived record: a UUID (version 8), written as hyphenated text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RecordId(pub Uuid);

impl RecordId {
    /// The id of the output `index` of `step` of a worker's task.
    pub fn of_step(worker: &str, partition: i32, step: u64, index: u32) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"tapewatch.record.v1");
        framed(&mut hasher, worker.as_bytes());
        hasher.update(&partition.to_le_bytes());
        hasher.update(&step.to_le_bytes());
        hasher.update(&index.to_le_bytes());
        Self::finish(&hasher)
    }

    /// The id of an alert: of its rule, its fingerprint and what caused it.
    pub fn of_alert(rule: &str, fingerprint: &str, cause: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"tapewatch.alert.v1");
        for part in [rule, fingerprint, cause] {
            framed(&mut hasher, part.as_bytes());
        }
        Self::finish(&hasher)
    }

    /// The id of a halt: of its scope and what caused it.
    pub fn of_halt(scope: &str, cause: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"tapewatch.halt.v1");
        for part in [scope, cause] {
            framed(&mut hasher, part.as_bytes());
        }
        Self::finish(&hasher)
    }

    fn finish(hasher: &blake3::Hasher) -> Self {
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        Self(Uuid::new_v8(bytes))
    }
}

/// Lengths in front keep ("ab", "c") and ("a", "bc") apart.
fn framed(hasher: &mut blake3::Hasher, part: &[u8]) {
    hasher.update(&(part.len() as u64).to_le_bytes());
    hasher.update(part);
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for RecordId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

impl Serialize for RecordId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = Uuid::encode_buffer();
        serializer.serialize_str(self.0.hyphenated().encode_lower(&mut buffer))
    }
}

impl<'de> Deserialize<'de> for RecordId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = RecordId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a UUID as text")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<RecordId, E> {
                text.parse().map_err(|_| E::custom(format!("`{text}` is not a UUID")))
            }
        }
        deserializer.deserialize_str(Text)
    }
}
