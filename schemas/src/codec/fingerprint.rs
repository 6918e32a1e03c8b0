//! The fingerprints under which a schema's records name it.

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use serde_json::Value;

/// CRC-64-AVRO of a schema, least significant byte first, as it stands on the wire.
pub(super) type Fingerprint = [u8; 8];

/// A schema's fingerprint as the specification defines it: of its Parsing Canonical Form, from which all attributes are
/// stripped that do not matter to parsing, so logical types too. This is what Avro for Java, Python and others gives.
///
/// apache-avro keeps `precision`, `scale` and the braces around the primitive type below a logical type, so it is asked
/// about the schema without them.
///
/// # Errors
/// Why the text is no schema.
pub(super) fn fingerprint(text: &str) -> Result<Fingerprint, String> {
    let schema: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(of(&Schema::parse(&stripped(schema)).map_err(|error| error.to_string())?))
}

/// What apache-avro (Rust) writes for the same schema, where it has logical types.
///
/// # Errors
/// Why the text is no schema.
pub(super) fn rust_fingerprint(text: &str) -> Result<Fingerprint, String> {
    Ok(of(&Schema::parse_str(text).map_err(|error| error.to_string())?))
}

fn of(schema: &Schema) -> Fingerprint {
    schema.fingerprint::<Rabin>().bytes.try_into().expect("CRC-64 has eight bytes")
}

/// Without logical types, wherever a schema stands; defaults are no schemas.
fn stripped(schema: Value) -> Value {
    match schema {
        Value::Array(branches) => branches.into_iter().map(stripped).collect(),
        Value::Object(mut schema) => {
            for attribute in ["logicalType", "precision", "scale"] {
                schema.remove(attribute);
            }
            for inside in ["type", "items", "values"] {
                if let Some(inner) = schema.remove(inside) {
                    schema.insert(inside.to_owned(), stripped(inner));
                }
            }
            if let Some(Value::Array(fields)) = schema.get_mut("fields") {
                fields.iter_mut().for_each(|field| *field = stripped(field.take()));
            }
            match schema.get("type") {
                // A primitive type in braces; a field has a name beside it.
                Some(Value::String(name)) if schema.len() == 1 => Value::String(name.clone()),
                _ => Value::Object(schema),
            }
        }
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::EventKind;

    /// Values of Avro's own test data (`share/test/data/schema-tests.txt`).
    #[test]
    fn it_is_avros_least_significant_byte_first() {
        for (text, expected) in [
            ("\"null\"", 7_195_948_357_588_979_594_i64),
            ("\"int\"", 8_247_732_601_305_521_295),
            ("\"string\"", -8_142_146_995_180_207_161),
        ] {
            assert_eq!(fingerprint(text).unwrap(), expected.to_le_bytes(), "{text}");
        }
    }

    /// By fastavro 1.12: `fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")`.
    #[test]
    fn of_a_schema_with_logical_types_it_is_what_other_languages_give() {
        for (topic, expected) in [
            ("accounts.v1", "c7fd2f33a762e892"),
            ("exec.reports.v1", "6427a79c7e9f1f59"),
            ("heartbeats.v1", "39b0553d0bcf0645"),
            ("market.data.v1", "7785b017e748008c"),
            ("positions.v1", "fff0527f41c52918"),
            ("signals.v1", "b1f346875922dbec"),
        ] {
            let text = EventKind::of_topic(topic).unwrap().schema_text();
            let bytes = format!("{:016x}", u64::from_be_bytes(fingerprint(text).unwrap()));
            assert_eq!(bytes, expected, "{topic}");
            assert_ne!(rust_fingerprint(text), fingerprint(text), "{topic}");
        }
    }

    #[test]
    fn names_and_defaults_are_no_attributes() {
        let field = r#"{"type":"record","name":"scale","fields":[
            {"name":"precision","type":{"type":"long","logicalType":"timestamp-micros"},"default":0},
            {"name":"m","type":{"type":"map","values":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}},
             "default":{"logicalType":"x"}}]}"#;
        let plain = r#"{"type":"record","name":"scale","fields":[
            {"name":"precision","type":"long"},{"name":"m","type":{"type":"map","values":"bytes"}}]}"#;
        assert_eq!(fingerprint(field), fingerprint(plain));
    }
}
