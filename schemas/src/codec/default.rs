//! A field's default, as the bytes that a writer would have written for it.

use serde_json::Value;

use super::shape::{RecordShape, Shape};
use super::write::{put_bytes, put_long};

/// Writes the default as its schema gives it (Avro 1.12, "Complex Types: Records": bytes as a string of
/// code points 0–255, a union's default is of the first branch that it fits).
///
/// # Errors
/// Says what does not fit.
pub(crate) fn put_default(shape: &Shape, default: &Value, out: &mut Vec<u8>) -> Result<(), String> {
    let mismatch = || format!("the default {default} is not of type {}", shape.describe());
    match (shape, default) {
        (Shape::Null, Value::Null) => {}
        (Shape::Boolean, Value::Bool(value)) => out.push(u8::from(*value)),
        (Shape::Int, value) => {
            let value = value.as_i64().filter(|v| i32::try_from(*v).is_ok()).ok_or_else(mismatch)?;
            put_long(value, out);
        }
        (Shape::Long | Shape::Time, value) => put_long(value.as_i64().ok_or_else(mismatch)?, out),
        (Shape::Float, value) => {
            out.extend_from_slice(&(value.as_f64().ok_or_else(mismatch)? as f32).to_le_bytes());
        }
        (Shape::Double, value) => {
            out.extend_from_slice(&value.as_f64().ok_or_else(mismatch)?.to_le_bytes());
        }
        (Shape::String | Shape::Uuid, Value::String(text)) => put_bytes(text.as_bytes(), out),
        (Shape::Bytes | Shape::Decimal, Value::String(text)) => put_bytes(&code_points(text)?, out),
        (Shape::Fixed(size), Value::String(text)) => {
            let bytes = code_points(text)?;
            if bytes.len() != *size {
                return Err(mismatch());
            }
            out.extend_from_slice(&bytes);
        }
        (Shape::Foreign(_, base), value) => put_default(base, value, out)?,
        (Shape::Enum(shape), Value::String(symbol)) => {
            put_long(shape.symbols.iter().position(|s| s == symbol).ok_or_else(mismatch)? as i64, out);
        }
        (Shape::Array(items), Value::Array(values)) => {
            if !values.is_empty() {
                put_long(values.len() as i64, out);
            }
            for value in values {
                put_default(items, value, out)?;
            }
            out.push(0);
        }
        (Shape::Map(shape), Value::Object(entries)) => {
            if !entries.is_empty() {
                put_long(entries.len() as i64, out);
            }
            for (key, value) in entries {
                put_bytes(key.as_bytes(), out);
                put_default(shape, value, out)?;
            }
            out.push(0);
        }
        (Shape::Option { null_first, .. }, Value::Null) => put_long(i64::from(!null_first), out),
        (Shape::Option { null_first, some }, value) => {
            put_long(i64::from(*null_first), out);
            put_default(some, value, out)?;
        }
        (Shape::Union(branches), value) => return put_union(branches, value, out).ok_or_else(mismatch),
        (Shape::Record(record), Value::Object(values)) => put_record(record, values, out)?,
        _ => return Err(mismatch()),
    }
    Ok(())
}

fn put_union(branches: &[Shape], value: &Value, out: &mut Vec<u8>) -> Option<()> {
    for (index, branch) in branches.iter().enumerate() {
        let mut body = Vec::new();
        if put_default(branch, value, &mut body).is_ok() {
            put_long(index as i64, out);
            out.extend_from_slice(&body);
            return Some(());
        }
    }
    None
}

fn put_record(
    record: &RecordShape,
    values: &serde_json::Map<String, Value>,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    for field in &record.fields {
        let value = values
            .get(&field.name)
            .or(field.default.as_ref())
            .ok_or_else(|| format!("the default of {} lacks `{}`", record.name, field.name))?;
        put_default(&field.shape, value, out)?;
    }
    Ok(())
}

fn code_points(text: &str) -> Result<Vec<u8>, String> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).map_err(|_| format!("the default {text:?} is not bytes")))
        .collect()
}
