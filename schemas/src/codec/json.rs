//! Plain JSON to Avro's binary form, by the schema, with everything that is wrong listed.

mod tree;

use super::default::put_default;
use super::error::FieldError;
use super::shape::{EnumShape, FieldShape, RecordShape, Shape};
use super::write::{put_bytes, put_long};
use crate::{Amount, RecordId, Time};
use tree::Json;

/// No record's list of errors is longer.
const MAX_ERRORS: usize = 100;

/// The record's body in Avro's binary form.
///
/// # Errors
/// Everything that is wrong, at most [`MAX_ERRORS`] things.
pub(crate) fn to_avro(shape: &Shape, text: &[u8]) -> Result<Vec<u8>, Vec<FieldError>> {
    let tree: Json = serde_json::from_slice(text).map_err(|error| {
        vec![FieldError {
            path: String::new(),
            found: format!("text that is no JSON ({error})"),
            expected: "one JSON object".into(),
        }]
    })?;
    let mut converter =
        Converter { path: String::new(), errors: Vec::new(), out: Vec::with_capacity(text.len()) };
    converter.value(shape, &tree);
    if converter.errors.is_empty() { Ok(converter.out) } else { Err(converter.errors) }
}

struct Converter {
    path: String,
    errors: Vec<FieldError>,
    out: Vec<u8>,
}

impl Converter {
    fn wrong(&mut self, found: impl Into<String>, expected: impl Into<String>) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(FieldError {
                path: self.path.clone(),
                found: found.into(),
                expected: expected.into(),
            });
        }
    }

    fn within(&mut self, part: &str, run: impl FnOnce(&mut Self)) {
        let before = self.path.len();
        if before > 0 && !part.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(part);
        run(self);
        self.path.truncate(before);
    }

    fn value(&mut self, shape: &Shape, json: &Json) {
        match (shape, json) {
            (Shape::Null, Json::Null) => {}
            (Shape::Boolean, Json::Bool(value)) => self.out.push(u8::from(*value)),
            (Shape::Int, Json::Int(value)) if i32::try_from(*value).is_ok() => {
                put_long(*value as i64, &mut self.out);
            }
            (Shape::Long | Shape::Time, Json::Int(value)) if i64::try_from(*value).is_ok() => {
                put_long(*value as i64, &mut self.out);
            }
            (Shape::Time, Json::Text(text)) => match Time::parse_rfc3339(text) {
                Some(time) => put_long(time.micros(), &mut self.out),
                None => self.wrong(json.shown(), expected(shape)),
            },
            (Shape::Double, Json::Int(value)) => self.out.extend_from_slice(&(*value as f64).to_le_bytes()),
            (Shape::Double, Json::Float(value)) => self.out.extend_from_slice(&value.to_le_bytes()),
            (Shape::Float, Json::Int(value)) => self.out.extend_from_slice(&(*value as f32).to_le_bytes()),
            (Shape::Float, Json::Float(value)) => self.out.extend_from_slice(&(*value as f32).to_le_bytes()),
            (Shape::String, Json::Text(text)) => put_bytes(text.as_bytes(), &mut self.out),
            (Shape::Uuid, Json::Text(text)) if text.parse::<RecordId>().is_ok() => {
                put_bytes(text.as_bytes(), &mut self.out);
            }
            (Shape::Decimal, Json::Int(_) | Json::Text(_)) => self.amount(json),
            (Shape::Enum(shape), Json::Text(symbol)) => self.symbol(shape, symbol, json),
            (Shape::Array(items), Json::List(values)) => self.list(items, values),
            (Shape::Map(values), Json::Object(entries)) => self.map(values, entries),
            (Shape::Option { null_first, .. }, Json::Null) => put_long(i64::from(!null_first), &mut self.out),
            (Shape::Option { null_first, some }, json) => {
                put_long(i64::from(*null_first), &mut self.out);
                self.value(some, json);
            }
            (Shape::Record(record), Json::Object(entries)) => self.record(record, entries),
            _ => self.wrong(json.shown(), expected(shape)),
        }
    }

    fn amount(&mut self, json: &Json) {
        let amount = match json {
            Json::Int(value) => value.to_string().parse::<Amount>(),
            Json::Text(text) => text.parse::<Amount>(),
            _ => return self.wrong(json.shown(), expected(&Shape::Decimal)),
        };
        match amount {
            Ok(amount) => amount.put_avro(&mut self.out),
            Err(error) => self.wrong(format!("{} ({error})", json.shown()), expected(&Shape::Decimal)),
        }
    }

    fn symbol(&mut self, shape: &EnumShape, symbol: &str, json: &Json) {
        match shape.symbols.iter().position(|known| known == symbol) {
            Some(index) => put_long(index as i64, &mut self.out),
            None => self.wrong(json.shown(), format!("one of {}", shape.symbols.join(", "))),
        }
    }

    fn list(&mut self, items: &Shape, values: &[Json]) {
        if !values.is_empty() {
            put_long(values.len() as i64, &mut self.out);
        }
        for (index, value) in values.iter().enumerate() {
            self.within(&format!("[{index}]"), |converter| converter.value(items, value));
        }
        self.out.push(0);
    }

    fn map(&mut self, shape: &Shape, entries: &[(String, Json)]) {
        if !entries.is_empty() {
            put_long(entries.len() as i64, &mut self.out);
        }
        let mut seen = std::collections::HashSet::new();
        for (key, value) in entries {
            if !seen.insert(key) {
                self.within(key, |converter| converter.wrong("the same name again", "each name once"));
            }
            put_bytes(key.as_bytes(), &mut self.out);
            self.within(key, |converter| converter.value(shape, value));
        }
        self.out.push(0);
    }

    fn record(&mut self, record: &RecordShape, entries: &[(String, Json)]) {
        let mut given: Vec<Option<&Json>> = vec![None; record.fields.len()];
        for (name, value) in entries {
            match record.fields.iter().position(|field| field.name == *name) {
                None => self.within(name, |converter| {
                    converter.wrong("an unknown field", suggestion(record, name));
                }),
                Some(index) if given[index].is_some() => {
                    self.within(name, |converter| converter.wrong("the same field again", "each field once"));
                }
                Some(index) => given[index] = Some(value),
            }
        }
        for (field, value) in record.fields.iter().zip(given) {
            self.within(&field.name, |converter| match value {
                Some(value) => converter.value(&field.shape, value),
                None => converter.missing(field),
            });
        }
    }

    fn missing(&mut self, field: &FieldShape) {
        match &field.default {
            Some(default) => {
                if let Err(problem) = put_default(&field.shape, default, &mut self.out) {
                    self.wrong("nothing", problem);
                }
            }
            None => self.wrong("nothing", expected(&field.shape)),
        }
    }
}

/// What to write there.
fn expected(shape: &Shape) -> String {
    match shape {
        Shape::Null => "null".into(),
        Shape::Boolean => "true or false".into(),
        Shape::Int => "an integer of 32 bits".into(),
        Shape::Long => "an integer of 64 bits".into(),
        Shape::Float | Shape::Double => "a number".into(),
        Shape::String => "text".into(),
        Shape::Uuid => "a UUID as text".into(),
        Shape::Time => {
            "a time as RFC 3339 with an offset (\"2026-05-02T12:00:00Z\") or integer microseconds since 1970"
                .into()
        }
        Shape::Decimal => {
            "a decimal as text (\"12.5\"; at most 16 digits before and 12 behind the point) or an \
                           integer"
                .into()
        }
        Shape::Enum(shape) => format!("one of {}", shape.symbols.join(", ")),
        Shape::Array(items) => format!("a list, each item {}", expected(items)),
        Shape::Map(values) => format!("an object, each value {}", expected(values)),
        Shape::Option { some, .. } => format!("{}, or null", expected(some)),
        Shape::Record(record) => {
            let names: Vec<&str> = record.fields.iter().map(|field| field.name.as_str()).collect();
            format!("an object with {}", names.join(", "))
        }
        Shape::Bytes | Shape::Fixed(_) | Shape::Foreign(..) | Shape::Union(_) => {
            format!("{}, which JSON cannot write", shape.describe())
        }
    }
}

/// The field that was probably meant, else all of them.
fn suggestion(record: &RecordShape, name: &str) -> String {
    let nearest = record.fields.iter().map(|field| (distance(&field.name, name), &field.name)).min();
    match nearest {
        Some((distance, known)) if distance <= 2 + known.len() / 8 => format!("perhaps `{known}`"),
        _ => {
            let names: Vec<&str> = record.fields.iter().map(|field| field.name.as_str()).collect();
            format!("one of {}", names.join(", "))
        }
    }
}

/// Levenshtein's distance between two names, in bytes; names longer than 64 bytes are not compared.
fn distance(a: &str, b: &str) -> usize {
    if b.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
