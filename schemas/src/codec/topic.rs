//! The schemas of one topic, and how their records are read.

use apache_avro::Schema;
use apache_avro::rabin::Rabin;

use super::plan::{Plan, resolve};
use super::shape::Shape;
use crate::events::EventKind;

/// One topic's schemas.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) kind: EventKind,
    pub(super) shape: Shape,
    pub(super) fingerprint: [u8; 8],
    /// For records of the current schema.
    pub(super) current: Plan,
    /// What a registry calls the current schema, if its records are to say so.
    pub(super) id: Option<u32>,
    /// For those of other schemas.
    others: Vec<([u8; 8], Plan)>,
}

impl Topic {
    pub(super) fn current(kind: EventKind) -> Self {
        let (shape, fingerprint) = parsed(kind.schema_text()).expect("a test parses every built-in schema");
        let current =
            resolve(&shape, &shape).expect("a test resolves every built-in schema with itself").plan;
        Self { kind, shape, fingerprint, current, id: None, others: Vec::new() }
    }

    pub(super) fn add(&mut self, fingerprint: [u8; 8], plan: Plan) {
        if self.plan(fingerprint).is_none() {
            self.others.push((fingerprint, plan));
        }
    }

    pub(super) fn plan(&self, fingerprint: [u8; 8]) -> Option<&Plan> {
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
pub(super) fn parsed(text: &str) -> Result<(Shape, [u8; 8]), String> {
    let schema = Schema::parse_str(text).map_err(|error| error.to_string())?;
    let fingerprint = schema.fingerprint::<Rabin>().bytes;
    let fingerprint = fingerprint.try_into().expect("CRC-64 has eight bytes");
    Ok((Shape::of(&schema)?, fingerprint))
}

/// A record's name with its namespace; none if the text is no named schema.
pub(super) fn full_name(text: &str) -> Option<String> {
    Schema::parse_str(text).ok()?.name().map(|name| name.fullname(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of Avro's own test data (`share/test/data/schema-tests.txt`).
    #[test]
    fn fingerprints_are_avros_least_significant_byte_first() {
        for (text, fingerprint) in [
            ("\"null\"", 7_195_948_357_588_979_594_i64),
            ("\"int\"", 8_247_732_601_305_521_295),
            ("\"string\"", -8_142_146_995_180_207_161),
        ] {
            assert_eq!(parsed(text).unwrap().1, fingerprint.to_le_bytes(), "{text}");
        }
    }
}
