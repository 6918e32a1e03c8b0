//! From bytes to events and back: Avro in single-object encoding, plain JSON in.
//!
//! A record's schema is found by its fingerprint: the current one, a released one, or one that the user
//! gave. How an older or newer schema becomes the current type is settled once, when the codec is built
//! (Avro's schema resolution); a record then costs one walk over its bytes.

mod default;
mod error;
mod json;
mod plan;
mod read;
mod shape;
mod write;

#[cfg(test)]
mod tests;

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use error::{DecodeError, EncodeError, FieldError, SchemaError, SchemaId};

use crate::events::{Event, EventKind};
use crate::released::{RELEASED, Released};
use plan::{Plan, resolve};
use read::{Input, Place, Reader, Wrong};
use shape::Shape;
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

/// One topic's schemas.
#[derive(Debug)]
struct Topic {
    kind: EventKind,
    shape: Shape,
    fingerprint: [u8; 8],
    /// For records of the current schema.
    current: Plan,
    /// For those of other schemas.
    others: Vec<([u8; 8], Plan)>,
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

impl Topic {
    fn current(kind: EventKind) -> Self {
        let (shape, fingerprint) = parsed(kind.schema_text()).expect("a test parses every built-in schema");
        let current =
            resolve(&shape, &shape).expect("a test resolves every built-in schema with itself").plan;
        Self { kind, shape, fingerprint, current, others: Vec::new() }
    }

    fn add(&mut self, fingerprint: [u8; 8], plan: Plan) {
        if self.plan(fingerprint).is_none() {
            self.others.push((fingerprint, plan));
        }
    }

    fn plan(&self, fingerprint: [u8; 8]) -> Option<&Plan> {
        if fingerprint == self.fingerprint {
            return Some(&self.current);
        }
        self.others.iter().find(|(other, _)| *other == fingerprint).map(|(_, plan)| plan)
    }
}

/// The fingerprint and the body of a value in single-object encoding; none if it is not.
pub fn split_frame(value: &[u8]) -> Option<([u8; 8], &[u8])> {
    let (fingerprint, body) = value.strip_prefix(&SINGLE_OBJECT)?.split_first_chunk::<8>()?;
    Some((*fingerprint, body))
}

/// Whether every record that a writer of the one schema may write can be read with the other.
///
/// Stricter than Avro's own rule, where a union's branch or an enum's symbol that the reader lacks is an
/// error only once it is met.
///
/// # Errors
/// Every place where it cannot, or the text that is no schema.
pub fn can_read(reader: &str, writer: &str) -> Result<(), Vec<String>> {
    let (reader, _) = parsed(reader).map_err(|problem| vec![problem])?;
    let (writer, _) = parsed(writer).map_err(|problem| vec![problem])?;
    let resolved = resolve(&writer, &reader)?;
    if resolved.partial.is_empty() { Ok(()) } else { Err(resolved.partial) }
}

/// A schema's shape, and its fingerprint least significant byte first.
fn parsed(text: &str) -> Result<(Shape, [u8; 8]), String> {
    let schema = Schema::parse_str(text).map_err(|error| error.to_string())?;
    let fingerprint = schema.fingerprint::<Rabin>().bytes;
    let fingerprint = fingerprint.try_into().expect("CRC-64 has eight bytes");
    Ok((Shape::of(&schema)?, fingerprint))
}

/// Reads a body that begins `offset` bytes into its value.
fn read(kind: EventKind, plan: &Plan, body: &[u8], offset: usize) -> Result<Event, DecodeError> {
    Ok(match kind {
        EventKind::MarketData => Event::MarketData(body_of(plan, body, offset)?),
        EventKind::Signal => Event::Signal(body_of(plan, body, offset)?),
        EventKind::ExecReport => Event::ExecReport(body_of(plan, body, offset)?),
        EventKind::Position => Event::Position(body_of(plan, body, offset)?),
        EventKind::Account => Event::Account(body_of(plan, body, offset)?),
        EventKind::Heartbeat => Event::Heartbeat(body_of(plan, body, offset)?),
        EventKind::RiskMetrics => Event::RiskMetrics(body_of(plan, body, offset)?),
        EventKind::Holdings => Event::Holdings(body_of(plan, body, offset)?),
        EventKind::SystemHealth => Event::SystemHealth(body_of(plan, body, offset)?),
        EventKind::Alert => Event::Alert(body_of(plan, body, offset)?),
    })
}

fn body_of<T: DeserializeOwned>(plan: &Plan, body: &[u8], offset: usize) -> Result<T, DecodeError> {
    let mut input = Input::new(body);
    match T::deserialize(Reader { plan, input: &mut input }) {
        Ok(_) if input.left() > 0 => {
            Err(DecodeError::TrailingBytes { position: offset + input.position(), count: input.left() })
        }
        Ok(value) => Ok(value),
        Err(fault) => Err(located(fault.into_place(), offset)),
    }
}

#[cold]
fn located(place: Place, offset: usize) -> DecodeError {
    let mut path = String::new();
    for part in place.path.iter().rev() {
        if !path.is_empty() && !part.starts_with('[') {
            path.push('.');
        }
        path.push_str(part);
    }
    let position = offset + place.position.unwrap_or(0);
    match place.wrong {
        Wrong::Truncated => DecodeError::Truncated { position, path },
        Wrong::Value(problem) => DecodeError::BadValue { position, path, problem },
    }
}

fn in_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
