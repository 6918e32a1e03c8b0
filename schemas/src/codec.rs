//! From bytes to events and back: Avro in single-object encoding, plain JSON in.
//!
//! A record's schema is found by its fingerprint: the current one, a released one, or one that the user
//! gave. How an older or newer schema becomes the current type is settled once, when the codec is built
//! (Avro's schema resolution); a record then costs one walk over its bytes.

mod body;
mod default;
mod error;
mod json;
mod plan;
mod read;
mod shape;
mod topic;
mod write;

use serde::Serialize;

pub use error::{DecodeError, EncodeError, FieldError, SchemaError, SchemaId};

use crate::events::{Event, EventKind};
use crate::released::{RELEASED, Released};
use body::read;
use plan::resolve;
use shape::Shape;
pub use topic::can_read;
use topic::{Topic, parsed};
use write::Writer;

/// The first bytes of Avro's single-object encoding.
const SINGLE_OBJECT: [u8; 2] = [0xC3, 0x01];
/// How many bytes precede the body in single-object encoding: two marks and the fingerprint.
pub const FRAME: usize = 10;

/// A schema text to know beside the built-in ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaText {
    /// What to call it in errors: its file.
    pub name: String,
    /// The schema, as JSON.
    pub text: String,
}

/// Decodes and encodes the events of every topic. Built once, shared by all threads.
#[derive(Debug)]
pub struct Codec {
    topics: [Topic; EventKind::ALL.len()],
}

impl Codec {
    /// A codec that knows the current schemas, the released ones, and `texts`: `.avsc` files that the user
    /// keeps in `schemas_dir`, of any name.
    ///
    /// # Errors
    /// Every text that is no schema, or whose records could not be read as any topic's event.
    pub fn new(texts: &[SchemaText]) -> Result<Self, Vec<SchemaError>> {
        let mut codec = Self { topics: EventKind::ALL.map(Topic::current) };
        let mut errors = Vec::new();
        for Released { file, text, .. } in RELEASED {
            errors.extend(codec.learn(file, text).err());
        }
        for SchemaText { name, text } in texts {
            errors.extend(codec.learn(name, text).err());
        }
        if errors.is_empty() { Ok(codec) } else { Err(errors) }
    }

    fn learn(&mut self, name: &str, text: &str) -> Result<(), SchemaError> {
        let error = |problem: String| SchemaError { name: name.to_owned(), problem };
        let (shape, fingerprint) = parsed(text).map_err(error)?;
        let Shape::Record(record) = &shape else {
            return Err(error(format!("a record is expected, this is {}", shape.describe())));
        };
        let namesake = self
            .topics
            .iter()
            .position(|topic| matches!(&topic.shape, Shape::Record(r) if r.name == record.name));
        let mut nearest: Option<(EventKind, Vec<String>)> = None;
        let mut found = false;
        for (index, topic) in self.topics.iter_mut().enumerate() {
            if namesake.is_some_and(|namesake| namesake != index) {
                continue;
            }
            match resolve(&shape, &topic.shape) {
                Ok(resolved) => {
                    found = true;
                    topic.add(fingerprint, resolved.plan);
                }
                Err(problems) if nearest.as_ref().is_none_or(|(_, least)| problems.len() < least.len()) => {
                    nearest = Some((topic.kind, problems));
                }
                Err(_) => {}
            }
        }
        match nearest {
            Some((kind, problems)) if !found => Err(error(format!(
                "its records cannot be read as events of any topic; nearest is {}: {}",
                kind.topic(),
                problems.join("; ")
            ))),
            _ => Ok(()),
        }
    }

    /// Decodes a record of a topic.
    ///
    /// # Errors
    /// Says what is wrong and where. Never panics, and allocates no more than a small multiple of the
    /// value's own size.
    pub fn decode(&self, topic: &str, value: &[u8]) -> Result<Event, DecodeError> {
        let entry = self.topic(topic)?;
        match value {
            [0xC3, 0x01, rest @ ..] => {
                let Some((fingerprint, body)) = rest.split_first_chunk::<8>() else {
                    return Err(DecodeError::Truncated { position: value.len(), path: String::new() });
                };
                let plan = entry.plan(*fingerprint).ok_or_else(|| self.stranger(topic, *fingerprint))?;
                read(entry.kind, plan, body, FRAME)
            }
            [b'{', ..] => self.decode_json(topic, value).map_err(|fields| DecodeError::BadJson { fields }),
            [0x00, a, b, c, d, ..] => Err(DecodeError::UnknownSchema {
                id: SchemaId::Registry(u32::from_be_bytes([*a, *b, *c, *d])),
            }),
            other => Err(DecodeError::NotFramed { found: in_hex(&other[..other.len().min(4)]) }),
        }
    }

    /// Decodes a record whose topic is not at hand, by its fingerprint: one written with a current schema.
    ///
    /// # Errors
    /// As [`Codec::decode`]; JSON and schemas that are not current say [`DecodeError::UnknownSchema`] or
    /// [`DecodeError::NotFramed`].
    pub fn decode_any(&self, value: &[u8]) -> Result<Event, DecodeError> {
        let Some((fingerprint, body)) = split_frame(value) else {
            return Err(DecodeError::NotFramed { found: in_hex(&value[..value.len().min(4)]) });
        };
        match self.topics.iter().find(|topic| topic.fingerprint == fingerprint) {
            Some(topic) => read(topic.kind, &topic.current, body, FRAME),
            None => Err(DecodeError::UnknownSchema { id: SchemaId::Fingerprint(fingerprint) }),
        }
    }

    /// Decodes plain JSON, as people and scripts write it: unions untagged, decimals as strings or
    /// integers, times as RFC 3339 with an offset or integer microseconds, enums by symbol; missing fields
    /// take the schema's default.
    ///
    /// # Errors
    /// Everything that is wrong with the record (at most 100 things): unknown, missing and duplicate
    /// fields, and values of the wrong type.
    pub fn decode_json(&self, topic: &str, text: &[u8]) -> Result<Event, Vec<FieldError>> {
        let unfit = |problem: String| {
            vec![FieldError { path: String::new(), found: problem, expected: "an event of the topic".into() }]
        };
        let entry = self.topic(topic).map_err(|error| unfit(error.to_string()))?;
        let body = json::to_avro(&entry.shape, text)?;
        read(entry.kind, &entry.current, &body, 0).map_err(|error| unfit(error.to_string()))
    }

    /// Appends an event in Avro's single-object encoding: `C3 01`, the schema's fingerprint, the body.
    ///
    /// # Errors
    /// [`EncodeError`] if the event's type and schema disagree; `out` is then as it was.
    pub fn encode(&self, event: &Event, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let topic = self.of(event.kind());
        let before = out.len();
        out.extend_from_slice(&SINGLE_OBJECT);
        out.extend_from_slice(&topic.fingerprint);
        let writer = Writer { shape: &topic.shape, out };
        let written = match event {
            Event::MarketData(e) => e.serialize(writer),
            Event::Signal(e) => e.serialize(writer),
            Event::ExecReport(e) => e.serialize(writer),
            Event::Position(e) => e.serialize(writer),
            Event::Account(e) => e.serialize(writer),
            Event::Heartbeat(e) => e.serialize(writer),
            Event::RiskMetrics(e) => e.serialize(writer),
            Event::Holdings(e) => e.serialize(writer),
            Event::SystemHealth(e) => e.serialize(writer),
            Event::Alert(e) => e.serialize(writer),
        };
        written.map_err(|misfit| {
            out.truncate(before);
            EncodeError { topic: event.topic(), problem: misfit.0 }
        })
    }

    /// The event as JSON in the form that [`Codec::decode_json`] reads. A double that is no number
    /// becomes null: JSON has no way to write it.
    pub fn to_json(&self, event: &Event) -> serde_json::Value {
        let value = match event {
            Event::MarketData(e) => serde_json::to_value(e),
            Event::Signal(e) => serde_json::to_value(e),
            Event::ExecReport(e) => serde_json::to_value(e),
            Event::Position(e) => serde_json::to_value(e),
            Event::Account(e) => serde_json::to_value(e),
            Event::Heartbeat(e) => serde_json::to_value(e),
            Event::RiskMetrics(e) => serde_json::to_value(e),
            Event::Holdings(e) => serde_json::to_value(e),
            Event::SystemHealth(e) => serde_json::to_value(e),
            Event::Alert(e) => serde_json::to_value(e),
        };
        value.expect("events have text keys and no type that JSON lacks")
    }

    /// The CRC-64-AVRO fingerprint of the topic's current schema, as it stands on the wire (least
    /// significant byte first); none if the topic carries no events.
    pub fn fingerprint(&self, topic: &str) -> Option<[u8; 8]> {
        self.topic(topic).ok().map(|topic| topic.fingerprint)
    }

    /// Topic and fingerprint of every current schema, in the catalogue's order.
    pub fn fingerprints(&self) -> impl Iterator<Item = (&'static str, [u8; 8])> {
        self.topics.iter().map(|topic| (topic.kind.topic(), topic.fingerprint))
    }

    fn of(&self, kind: EventKind) -> &Topic {
        &self.topics[kind as usize]
    }

    fn topic(&self, topic: &str) -> Result<&Topic, DecodeError> {
        EventKind::of_topic(topic)
            .map(|kind| self.of(kind))
            .ok_or_else(|| DecodeError::WrongTopic { topic: topic.to_owned(), belongs_to: None })
    }

    #[cold]
    fn stranger(&self, topic: &str, fingerprint: [u8; 8]) -> DecodeError {
        match self.topics.iter().find(|other| other.plan(fingerprint).is_some()) {
            Some(other) => {
                DecodeError::WrongTopic { topic: topic.to_owned(), belongs_to: Some(other.kind.topic()) }
            }
            None => DecodeError::UnknownSchema { id: SchemaId::Fingerprint(fingerprint) },
        }
    }
}

/// The fingerprint and the body of a value in single-object encoding; none if it is not.
pub fn split_frame(value: &[u8]) -> Option<([u8; 8], &[u8])> {
    let (fingerprint, body) = value.strip_prefix(&SINGLE_OBJECT)?.split_first_chunk::<8>()?;
    Some((*fingerprint, body))
}

fn in_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
