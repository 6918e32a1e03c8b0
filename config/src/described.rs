//! The settings as a JSON Schema, for editors: made by the same code that reads them, so that it cannot lag behind.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::Settings;
use crate::layer::{self, Node, Table};

/// What is known of one table while it is being described.
#[derive(Debug, Default)]
pub(crate) struct Description {
    properties: Map<String, Value>,
}

impl Description {
    /// A setting, and what fits.
    pub(crate) fn add(&mut self, key: &str, schema: Value) {
        self.properties.entry(key.to_owned()).or_insert(schema);
    }

    /// The table as a whole.
    pub(crate) fn schema(self) -> Value {
        json!({"type": "object", "additionalProperties": false, "properties": self.properties})
    }
}

/// A type's schema, with what is expected of a value where it says more than the type.
pub(crate) fn expecting(mut schema: Value, expected: &str) -> Value {
    if !expected.is_empty() {
        schema["description"] = format!("Expected: {expected}.").into();
    }
    schema
}

impl Settings {
    /// The JSON Schema (draft 2020-12) of the settings' file: every setting with its type, what fits, its default
    /// and its words from the default file.
    pub fn json_schema() -> String {
        let mut schema = Self::described();
        let words = words(Self::default_file());
        let defaults = layer::parse(Self::default_file(), None, &mut Vec::new());
        explain(&mut schema, "", &words, Some(&defaults));
        // An environment holds any of the settings again.
        let settings = schema["properties"].clone();
        schema["properties"]["environments"] = json!({
            "type": "object",
            "description": "Layers over the file, chosen by --env or TAPEWATCH_ENV.",
            "additionalProperties": {"type": "object", "additionalProperties": false, "properties": settings},
        });
        schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
        schema["title"] = "tapewatch's settings".into();
        let mut text = serde_json::to_string_pretty(&schema).expect("a tree of JSON values can be written");
        text.push('\n');
        text
    }
}

/// Adds descriptions and defaults, table by table.
fn explain(schema: &mut Value, path: &str, words: &BTreeMap<String, String>, defaults: Option<&Table>) {
    let list = schema.get("items").is_some_and(|items| items.get("properties").is_some());
    let table = if list { &mut schema["items"] } else { schema };
    let Some(properties) = table.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (key, inner) in properties {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if let Some(said) = words.get(&path) {
            let expected = inner.get("description").and_then(Value::as_str).map(|text| format!(" {text}"));
            inner["description"] = format!("{said}.{}", expected.unwrap_or_default()).into();
        }
        let default = defaults.and_then(|table| table.get(key)).map(|entry| &entry.node);
        explain(inner, &path, words, if let Some(Node::Table(table)) = default { Some(table) } else { None });
        if let Some(value) = default.and_then(plain) {
            inner["default"] = value;
        }
    }
}

/// A plain value as JSON; none of a table or a list of tables.
fn plain(node: &Node) -> Option<Value> {
    match node {
        Node::Text(text) | Node::Given(text) | Node::Datetime(text) => Some(text.clone().into()),
        Node::Number(text) => serde_json::from_str(&text.replace('_', "")).ok(),
        Node::Flag(flag) => Some((*flag).into()),
        Node::List(items) => {
            items.iter().map(|item| plain(&item.node)).collect::<Option<Vec<_>>>().map(Value::from)
        }
        Node::Table(_) => None,
    }
}

/// The comment of each setting in the default file, by its path; of settings that are commented out, too.
fn words(text: &str) -> BTreeMap<String, String> {
    let mut words = BTreeMap::new();
    let mut section = String::new();
    for line in text.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        let (code, comment) =
            line.split_once(" #").map_or((line, ""), |(code, comment)| (code, comment.trim()));
        let code = code.trim();
        let path = if code.starts_with('[') && code.ends_with(']') {
            code.trim_matches(['[', ']']).clone_into(&mut section);
            section.clone()
        } else {
            match code.split_once(" = ") {
                Some((key, _))
                    if key.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '0'..='9')) =>
                {
                    format!("{section}.{key}")
                }
                _ => continue,
            }
        };
        if !comment.is_empty() {
            words.entry(path).or_insert_with(|| comment.trim_end_matches([',', '.']).to_owned());
        }
    }
    words
}
