//! Files of reference cases.

use std::path::Path;

use serde_json::{Map, Value};

use super::table::text;
use crate::CliError;

/// A case: what to compute, and what must come out.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) id: String,
    pub(super) family: String,
    pub(super) inputs: Map<String, Value>,
    pub(super) params: Map<String, Value>,
    pub(super) expected: Map<String, Value>,
    pub(super) tolerance: String,
    pub(super) convention: String,
}

/// Reads a file: an object with a list `cases`, or such a list.
///
/// # Errors
/// [`CliError::Input`] with all that is wrong: the file, and line and column of what is no JSON, or the case and its
/// field.
pub(super) fn read(path: &Path) -> Result<Vec<Case>, CliError> {
    let file = path.display();
    let whole = parse(path)?;
    let list = whole.get("cases").unwrap_or(&whole).as_array().ok_or_else(|| {
        let found = kind(&whole);
        CliError::Input(format!(
            "{file}: expected an object with a list `cases`, or such a list; found {found}"
        ))
    })?;
    if list.is_empty() {
        return Err(CliError::Input(format!("{file}: there is no case in it")));
    }
    let (mut cases, mut faults) = (Vec::new(), Vec::new());
    for (place, value) in list.iter().enumerate() {
        match case(value) {
            Ok(case) => cases.push(case),
            Err(why) => faults.push(format!("{file}: case {} of {}: {why}", place + 1, list.len())),
        }
    }
    if faults.is_empty() { Ok(cases) } else { Err(CliError::Input(faults.join("\n"))) }
}

/// The JSON of a file, or where it is none.
pub(super) fn parse(path: &Path) -> Result<Value, CliError> {
    let text = text(path).map_err(|error| CliError::Input(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| {
        let (file, line, column) = (path.display(), error.line(), error.column());
        // The place stands before it, as editors want it.
        let why = error.to_string();
        let why = why.split(" at line ").next().unwrap_or_default();
        CliError::Input(format!("{file}:{line}:{column}: expected JSON: {why}"))
    })
}

fn case(value: &Value) -> Result<Case, String> {
    let object = value.as_object().ok_or_else(|| format!("expected an object, found {}", kind(value)))?;
    let id = object.get("id").and_then(Value::as_str).unwrap_or_default();
    let named = |field: &str| if id.is_empty() { format!("`{field}`") } else { format!("{id}: `{field}`") };
    let text = |field: &str, example: &str| match object.get(field) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        Some(other) => {
            Err(format!("{}: expected a text such as {example}, found {}", named(field), kind(other)))
        }
        None => Err(format!("{} is missing: expected a text such as {example}", named(field))),
    };
    let map = |field: &str, needed: bool| match object.get(field) {
        Some(Value::Object(map)) => Ok(map.clone()),
        Some(other) => Err(format!("{}: expected an object, found {}", named(field), kind(other))),
        None if needed => Err(format!("{} is missing: expected an object", named(field))),
        None => Ok(Map::new()),
    };
    let expected = map("expected", true)?;
    if expected.is_empty() {
        return Err(format!("{}: expected a figure at least, found none", named("expected")));
    }
    Ok(Case {
        id: text("id", "\"kupiec_pof-01\"")?,
        family: text("family", "\"kupiec_pof\"")?,
        inputs: map("inputs", true)?,
        params: map("params", false)?,
        expected,
        tolerance: text("tolerance", "\"rel 1e-10\"")?,
        convention: object.get("convention").and_then(Value::as_str).unwrap_or_default().to_owned(),
    })
}

/// What a value is, for people.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
