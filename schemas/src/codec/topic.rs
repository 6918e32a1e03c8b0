//! The schemas of one topic, and how their records are read.

use apache_avro::Schema;

use super::fingerprint::{Fingerprint, fingerprint, rust_fingerprint};
use super::plan::{Plan, resolve};
use super::shape::Shape;
use crate::events::EventKind;

/// One topic's schemas.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) kind: EventKind,
    pub(super) shape: Shape,
    pub(super) fingerprint: Fingerprint,
    /// For records of the current schema.
    pub(super) current: Plan,
    /// What a registry calls the current schema, if its records are to say so.
    pub(super) id: Option<u32>,
    /// For those of other schemas.
    others: Vec<(Fingerprint, Plan)>,
}

impl Topic {
    pub(super) fn current(kind: EventKind) -> Self {
        let (shape, fingerprint) = parsed(kind.schema_text()).expect("a test parses every built-in schema");
        let itself =
            || resolve(&shape, &shape).expect("a test resolves every built-in schema with itself").plan;
        let rust = rust_fingerprint(kind.schema_text()).expect("it was parsed");
        let (current, others) = (itself(), vec![(rust, itself())]);
        Self { kind, shape, fingerprint, current, id: None, others }
    }

    pub(super) fn add(&mut self, fingerprint: Fingerprint, plan: Plan) {
        if self.plan(fingerprint).is_none() {
            self.others.push((fingerprint, plan));
        }
    }

    pub(super) fn plan(&self, fingerprint: Fingerprint) -> Option<&Plan> {
        if fingerprint == self.fingerprint {
            return Some(&self.current);
        }
        self.others.iter().find(|(other, _)| *other == fingerprint).map(|(_, plan)| plan)
    }
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
pub(super) fn parsed(text: &str) -> Result<(Shape, Fingerprint), String> {
    let schema = Schema::parse_str(text).map_err(|error| error.to_string())?;
    Ok((Shape::of(&schema)?, fingerprint(text)?))
}

/// A record's name with its namespace; none if the text is no named schema.
pub(super) fn full_name(text: &str) -> Option<String> {
    Schema::parse_str(text).ok()?.name().map(|name| name.fullname(None))
}
