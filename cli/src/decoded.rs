//! Values as people read them.

use serde_json::{Value, json};
use tapewatch_config::{SchemaFile, Settings};
use tapewatch_eventlog::RecordRef;
use tapewatch_schemas::catalogue::Pattern;
use tapewatch_schemas::codec::{Codec, DecodeError, SchemaText};
use tapewatch_schemas::journal::JournalRecord;

use crate::CliError;

/// Decodes values of every topic.
#[derive(Debug)]
pub(crate) struct Decoder(Codec);

impl Decoder {
    /// Knows the schemas of this release, the released ones and those of `topics.schemas_dir`.
    pub(crate) fn new(settings: &Settings) -> Result<Self, CliError> {
        let text = |file: &SchemaFile| SchemaText { name: file.name.clone(), text: file.text.clone() };
        let texts: Vec<SchemaText> = settings.topics.schemas.iter().map(text).collect();
        Codec::new(&texts).map(Self).map_err(|errors| {
            let all: Vec<_> = errors.iter().map(ToString::to_string).collect();
            CliError::Input(format!(
                "topics.schemas_dir holds schemas that cannot be used:\n{}",
                all.join("\n")
            ))
        })
    }

    /// The codec.
    pub(crate) fn codec(&self) -> &Codec {
        &self.0
    }

    /// The event of a topic as JSON.
    pub(crate) fn event(&self, topic: &str, value: &[u8]) -> Result<Value, DecodeError> {
        self.0.decode(topic, value).map(|event| self.0.to_json(&event))
    }

    /// A record of any topic as one JSON object: where it is, its key, and its value decoded, or in hex with
    /// what is wrong with it.
    pub(crate) fn record(&self, record: &RecordRef<'_>) -> Value {
        let mut line = json!({
            "topic": record.topic.as_str(),
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp.to_string(),
            "key": record.key.map(shown),
        });
        match record.value.map(|value| self.value(record, value)) {
            None => line["value"] = Value::Null,
            Some(Ok(value)) => line["value"] = value,
            Some(Err(problem)) => {
                line["undecoded"] = problem.into();
                line["hex"] = hex(record.value.unwrap_or_default()).into();
            }
        }
        line
    }

    /// A record's value as JSON, by its topic.
    pub(crate) fn value(&self, record: &RecordRef<'_>, value: &[u8]) -> Result<Value, String> {
        match Pattern::of(record.topic.as_str()) {
            Some(Pattern::Fixed(topic)) => self.event(topic.name, value).map_err(|error| error.to_string()),
            Some(Pattern::Journal(_)) => {
                let journal = JournalRecord::open(value).map_err(|error| error.to_string())?;
                serde_json::to_value(journal).map_err(|error| error.to_string())
            }
            Some(Pattern::DeadLetters(_)) if record.headers.get("tapewatch.kind") == Some(b"range") => {
                serde_json::from_slice(value).map_err(|error| error.to_string())
            }
            Some(Pattern::DeadLetters(topic) | Pattern::Redrive(topic)) => {
                self.event(topic.name, value).map_err(|error| error.to_string())
            }
            Some(Pattern::Anchors(_) | Pattern::State(_)) => Err("a worker's state".into()),
            None => serde_json::from_slice(value).map_err(|_| "a topic that is not tapewatch's".into()),
        }
    }
}

/// Bytes as text where they are text, else as hex.
pub(crate) fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => format!("0x{}", hex(bytes)),
    }
}

/// Two digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}
