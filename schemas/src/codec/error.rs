//! What can be wrong with a record, a value or a schema.

use std::fmt;

use super::registered::RegistryId;
use crate::checks::Reason;

/// How a record names the schema that it was written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchemaId {
    /// Single-object encoding: the CRC-64-AVRO fingerprint, as it stands on the wire.
    Fingerprint([u8; 8]),
    /// What a registry calls it.
    Registry(RegistryId),
}

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fingerprint(bytes) => write!(f, "fingerprint {:016x}", u64::from_le_bytes(*bytes)),
            Self::Registry(id) => id.fmt(f),
        }
    }
}

/// Why a record's bytes are no event. Positions are in bytes from the start of the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The first bytes are of no format that is read.
    NotFramed {
        /// The first bytes, in hex; empty if there are none.
        found: String,
    },
    /// The writer's schema is not known.
    UnknownSchema {
        /// How the record names it.
        id: SchemaId,
    },
    /// The registry has the writer's schema, and no event can be read by it.
    Unreadable {
        /// What the registry calls it.
        id: RegistryId,
        /// Why not.
        problem: String,
    },
    /// The schema is known, but of another topic; or the topic carries no events.
    WrongTopic {
        /// The topic that it came from.
        topic: String,
        /// The topic whose schema it has, if any.
        belongs_to: Option<&'static str>,
    },
    /// The bytes end before the record does.
    Truncated {
        /// Where they end.
        position: usize,
        /// The field that is cut.
        path: String,
    },
    /// Bytes follow the record.
    TrailingBytes {
        /// Where the record ends.
        position: usize,
        /// How many follow.
        count: usize,
    },
    /// A value that cannot be.
    BadValue {
        /// Where it begins.
        position: usize,
        /// The field.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// JSON that is no event.
    BadJson {
        /// All that is wrong with it, as far as it was listed.
        fields: Vec<FieldError>,
    },
}

impl DecodeError {
    /// Where in the value the wrong thing begins, if the error says.
    pub const fn position(&self) -> Option<usize> {
        match self {
            Self::Truncated { position, .. }
            | Self::TrailingBytes { position, .. }
            | Self::BadValue { position, .. } => Some(*position),
            _ => None,
        }
    }

    /// The dead letter's reason.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::NotFramed { .. } => Reason::NotFramed,
            Self::UnknownSchema { .. } | Self::Unreadable { .. } => Reason::UnknownSchema,
            Self::WrongTopic { .. } => Reason::WrongTopic,
            Self::Truncated { .. } => Reason::Truncated,
            Self::TrailingBytes { .. } => Reason::TrailingBytes,
            Self::BadValue { .. } => Reason::BadValue,
            Self::BadJson { .. } => Reason::BadJson,
        }
    }
}

/// How many of a JSON record's errors a message names.
const NAMED: usize = 3;

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFramed { found } if found.is_empty() => f.write_str("the value is empty"),
            Self::NotFramed { found } => write!(
                f,
                "the value begins with {found}; expected Avro single-object encoding (c3 01), Confluent \
                 framing (00) or JSON ({{)"
            ),
            Self::UnknownSchema { id: id @ SchemaId::Fingerprint(_) } => {
                write!(f, "the writer's schema ({id}) is not among the released ones nor in schemas_dir")
            }
            Self::UnknownSchema { id: id @ SchemaId::Registry(_) } => {
                write!(f, "the writer's schema ({id}) is not in the registry, or no registry is configured")
            }
            Self::Unreadable { id, problem } => {
                write!(f, "the writer's schema ({id}) cannot be used: {problem}")
            }
            Self::WrongTopic { topic, belongs_to: Some(other) } => {
                write!(f, "a record of `{other}` in `{topic}`")
            }
            Self::WrongTopic { topic, belongs_to: None } => write!(f, "`{topic}` carries no events"),
            Self::Truncated { position, path } => {
                write!(f, "the value ends at byte {position}, within {}", Field(path))
            }
            Self::TrailingBytes { position, count } => {
                write!(f, "the record ends at byte {position}, {count} more follow")
            }
            Self::BadValue { position, path, problem } => {
                write!(f, "{} at byte {position}: {problem}", Field(path))
            }
            Self::BadJson { fields } => {
                for (index, field) in fields.iter().take(NAMED).enumerate() {
                    write!(f, "{}{field}", if index > 0 { "; " } else { "" })?;
                }
                match fields.len().saturating_sub(NAMED) {
                    0 => Ok(()),
                    more => write!(f, "; and {more} more"),
                }
            }
        }
    }
}

impl std::error::Error for DecodeError {}

struct Field<'a>(&'a str);

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("the record") } else { write!(f, "`{}`", self.0) }
    }
}

/// One thing that is wrong with a JSON record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field, from the outside in: `positions[2].quantity`. Empty for the record itself.
    pub path: String,
    /// What is there.
    pub found: String,
    /// What should be.
    pub expected: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: found {}, expected {}", Field(&self.path), self.found, self.expected)
    }
}

impl std::error::Error for FieldError {}

/// An event that its own schema cannot carry: a fault in the program, never in the data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event for `{topic}` does not fit its schema: {problem}")]
pub struct EncodeError {
    /// The event's topic.
    pub topic: &'static str,
    /// What does not fit.
    pub problem: String,
}

/// A schema text that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct SchemaError {
    /// What the text was called: its file.
    pub name: String,
    /// What is wrong with it.
    pub problem: String,
}
