//! From bytes to events and back: Avro in single-object encoding, plain JSON in.
//!
//! A record's schema is found by its fingerprint: the current one, a released one, or one that the user
//! gave. How an older or newer schema becomes the current type is settled once, when the codec is built
//! (Avro's schema resolution); a record then costs one walk over its bytes.

mod body;
mod default;
mod error;
mod fingerprint;
mod json;
mod plan;
mod read;
mod registered;
mod shape;
mod topic;
mod write;

use std::sync::Arc;

use serde::Serialize;

pub use error::{DecodeError, EncodeError, FieldError, SchemaError, SchemaId};
pub use read::partial::Partial;
pub use registered::{GUID_HEADER, RegistryId, registry_id};

use crate::events::{Event, EventKind};
use crate::released::{RELEASED, Released};
use body::read;
use fingerprint::{Fingerprint, rust_fingerprint};
use plan::{Plan, resolve};
use registered::{Ids, Known, Readings};
use shape::Shape;
pub use topic::can_read;
use topic::{Topic, full_name, parsed};
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
    /// What a registry said; empty without one.
    ids: Ids,
}

/// What a schema's text means for the topics.
struct Meaning {
    /// As other languages give it, and as apache-avro does.
    fingerprints: [Fingerprint; 2],
    plans: Vec<(EventKind, Plan)>,
    /// Why no topic can read it, if none can.
    problem: Option<String>,
}

impl Codec {
    /// A codec that knows the current schemas, the released ones, and `texts`: `.avsc` files that the user
    /// keeps in `schemas_dir`, of any name.
    ///
    /// # Errors
    /// Every text that is no schema, or whose records could not be read as any topic's event.
    pub fn new(texts: &[SchemaText]) -> Result<Self, Vec<SchemaError>> {
        let mut codec = Self { topics: EventKind::ALL.map(Topic::current), ids: Ids::default() };
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
        let meaning = self.meaning(text).map_err(error)?;
        if let Some(problem) = meaning.problem {
            return Err(error(problem));
        }
        for (kind, plan) in meaning.plans {
            for fingerprint in meaning.fingerprints {
                self.topics[kind as usize].add(fingerprint, plan.clone());
            }
        }
        Ok(())
    }

    /// How a schema's records become events: of the topic whose record has its name, or of any that can read it.
    fn meaning(&self, text: &str) -> Result<Meaning, String> {
        let (shape, fingerprint) = parsed(text)?;
        let fingerprints = [fingerprint, rust_fingerprint(text)?];
        let Shape::Record(record) = &shape else {
            return Err(format!("a record is expected, this is {}", shape.describe()));
        };
        let namesake = self
            .topics
            .iter()
            .find(|topic| matches!(&topic.shape, Shape::Record(r) if r.name == record.name))
            .map(|topic| topic.kind);
        let mut nearest: Option<(EventKind, Vec<String>)> = None;
        let mut plans = Vec::new();
        for topic in &self.topics {
            if namesake.is_some_and(|namesake| namesake != topic.kind) {
                continue;
            }
            match resolve(&shape, &topic.shape) {
                Ok(resolved) => plans.push((topic.kind, resolved.plan)),
                Err(problems) if nearest.as_ref().is_none_or(|(_, least)| problems.len() < least.len()) => {
                    nearest = Some((topic.kind, problems));
                }
                Err(_) => {}
            }
        }
        let problem = nearest.filter(|_| plans.is_empty()).map(|(kind, problems)| {
            format!(
                "its records cannot be read as events of any topic; nearest is {}: {}",
                kind.topic(),
                problems.join("; ")
            )
        });
        Ok(Meaning { fingerprints, plans, problem })
    }

    /// True if a record that names this id can be judged without asking the registry.
    pub fn knows(&self, id: RegistryId) -> bool {
        self.ids.get(id).is_some()
    }

    /// Takes what a registry says of an id: the schema's text, or none if it has no such id. A text that no
    /// topic's event can be read from is remembered as such: its records are refused with the reason.
    pub fn learn_id(&self, id: RegistryId, text: Option<&str>) {
        let known = match text.map(|text| self.meaning(text)) {
            None => Known::Absent,
            Some(Ok(Meaning { plans, problem, .. })) => Known::Schema(Arc::new(Readings { plans, problem })),
            Some(Err(problem)) => {
                Known::Schema(Arc::new(Readings { plans: Vec::new(), problem: Some(problem) }))
            }
        };
        self.ids.set(id, known);
    }

    /// Forgets which ids the registry did not have, so that they are asked for again.
    pub fn forget_absent(&self) {
        self.ids.forget_absent();
    }

    /// From now on writes events of `topic` in Confluent framing, with the id that a registry gave to the
    /// topic's current schema; and reads that id as this schema.
    pub fn frame(&mut self, topic: &str, id: u32) {
        if let Some(kind) = EventKind::of_topic(topic) {
            self.topics[kind as usize].id = Some(id);
            self.learn_id(RegistryId::Number(id), Some(kind.schema_text()));
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
            [0x00, a, b, c, d, body @ ..] => {
                let id = RegistryId::Number(u32::from_be_bytes([*a, *b, *c, *d]));
                self.registered(entry.kind, id, body, 5)
            }
            other => Err(DecodeError::NotFramed { found: in_hex(&other[..other.len().min(4)]) }),
        }
    }

    /// Decodes a record that may name its schema in a header: `header` is what [`GUID_HEADER`] holds.
    ///
    /// # Errors
    /// As [`Codec::decode`].
    pub fn decode_with(
        &self,
        topic: &str,
        value: &[u8],
        header: Option<&[u8]>,
    ) -> Result<Event, DecodeError> {
        match registry_id(value, header) {
            Some(id @ RegistryId::Guid(_)) => self.registered(self.topic(topic)?.kind, id, value, 0),
            _ => self.decode(topic, value),
        }
    }

    /// Decodes a record that may name its schema in a header, where there is no registry to ask: what is framed or
    /// JSON is read, and of the rest the schema is not known.
    ///
    /// # Errors
    /// As [`Codec::decode`].
    pub fn decode_unasked<'h>(
        &self,
        topic: &str,
        value: &[u8],
        header: impl FnOnce() -> Option<&'h [u8]>,
    ) -> Result<Event, DecodeError> {
        self.decode(topic, value).map_err(|error| match value {
            [0xC3, 0x01, ..] | [b'{', ..] => error,
            _ => match registry_id(value, header()) {
                Some(id) => DecodeError::UnknownSchema { id: SchemaId::Registry(id) },
                None => error,
            },
        })
    }

    /// What of a record can be read, of which decoding gave `error`; `header` as in [`Codec::decode_with`]. None if
    /// its schema is not known, or it is no Avro.
    pub fn decode_partly(
        &self,
        topic: &str,
        value: &[u8],
        header: Option<&[u8]>,
        error: &DecodeError,
    ) -> Option<Partial> {
        let entry = self.topic(topic).ok()?;
        let wrong = error.position();
        let named = registry_id(value, header);
        if let Some(Known::Schema(readings)) = named.and_then(|id| self.ids.get(id)) {
            let (_, plan) = readings.plans.iter().find(|(of, _)| *of == entry.kind)?;
            let frame = if matches!(named, Some(RegistryId::Guid(_))) { 0 } else { 5 };
            return Partial::read(plan, &entry.shape, value, frame, wrong);
        }
        let (fingerprint, _) = split_frame(value)?;
        Partial::read(entry.plan(fingerprint)?, &entry.shape, value, FRAME, wrong)
    }

    fn registered(
        &self,
        kind: EventKind,
        id: RegistryId,
        body: &[u8],
        offset: usize,
    ) -> Result<Event, DecodeError> {
        let unknown = || DecodeError::UnknownSchema { id: SchemaId::Registry(id) };
        let Some(Known::Schema(readings)) = self.ids.get(id) else { return Err(unknown()) };
        match readings.plans.iter().find(|(of, _)| *of == kind) {
            Some((_, plan)) => read(kind, plan, body, offset),
            None => Err(match (&readings.problem, readings.plans.first()) {
                (Some(problem), _) => DecodeError::Unreadable { id, problem: problem.clone() },
                (None, other) => DecodeError::WrongTopic {
                    topic: kind.topic().to_owned(),
                    belongs_to: other.map(|(of, _)| of.topic()),
                },
            }),
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

    /// Appends an event in Avro's single-object encoding: `C3 01`, the schema's fingerprint, the body. In
    /// Confluent framing if the topic's schema has a registry's id: `00`, the id, the body.
    ///
    /// # Errors
    /// [`EncodeError`] if the event's type and schema disagree; `out` is then as it was.
    pub fn encode(&self, event: &Event, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let topic = self.of(event.kind());
        let before = out.len();
        match topic.id {
            None => {
                out.extend_from_slice(&SINGLE_OBJECT);
                out.extend_from_slice(&topic.fingerprint);
            }
            Some(id) => {
                out.push(0);
                out.extend_from_slice(&id.to_be_bytes());
            }
        }
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
            Event::Control(e) => e.serialize(writer),
            Event::ControlRequest(e) => e.serialize(writer),
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
            Event::Control(e) => serde_json::to_value(e),
            Event::ControlRequest(e) => serde_json::to_value(e),
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

    /// Topic, full name of the record, and text of every current schema, in the catalogue's order.
    pub fn schemas(&self) -> impl Iterator<Item = (&'static str, String, &'static str)> {
        self.topics.iter().map(|topic| {
            let text = topic.kind.schema_text();
            (topic.kind.topic(), full_name(text).expect("a test parses every built-in schema"), text)
        })
    }

    /// A value that this codec encoded, without its framing: the fingerprint of its schema, and its body.
    pub fn unframed<'v>(&self, topic: &str, value: &'v [u8]) -> ([u8; 8], &'v [u8]) {
        match (split_frame(value), value) {
            (Some(parts), _) => parts,
            (None, [0x00, _, _, _, _, body @ ..]) => (self.fingerprint(topic).unwrap_or_default(), body),
            (None, other) => ([0; 8], other),
        }
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
