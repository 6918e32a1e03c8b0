//! Values as people read them.

use std::sync::Arc;

use serde_json::{Value, json};
use tapewatch_config::Settings;
use tapewatch_consumers::workers;
use tapewatch_eventlog::RecordRef;
use tapewatch_eventlog::registry::{Registry, RegistryError};
use tapewatch_schemas::catalogue::{Pattern, REDRIVES};
use tapewatch_schemas::codec::{Codec, DecodeError, GUID_HEADER, Partial, registry_id};
use tapewatch_schemas::journal::JournalRecord;

use crate::CliError;

/// Why a value is not shown as an event.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Undecoded {
    /// It is none.
    #[error(transparent)]
    Value(#[from] DecodeError),
    /// The registry did not say what its schema is.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Decodes values of every topic.
#[derive(Debug)]
pub(crate) struct Decoder {
    codec: Codec,
    registry: Option<Arc<Registry>>,
}

impl Decoder {
    /// Knows the schemas of this release, the released ones and those of `topics.schemas_dir`, and asks the
    /// registry, if the settings name one, for the rest.
    pub(crate) fn new(settings: &Settings) -> Result<Self, CliError> {
        Self::writing(settings, &[])
    }

    /// The same, and encodes events of `topics` as the registry wants it.
    pub(crate) fn writing(settings: &Settings, topics: &[&str]) -> Result<Self, CliError> {
        workers::codec(settings).map_err(|problems| {
            CliError::Input(format!("topics.schemas_dir holds schemas that cannot be used:\n{problems}"))
        })?;
        let (codec, registry) = workers::writing_codec(settings, topics)?;
        Ok(Self { codec, registry })
    }

    /// The codec.
    pub(crate) fn codec(&self) -> &Codec {
        &self.codec
    }

    /// The event of a topic as JSON, read as the workers do; `header` is what [`GUID_HEADER`] holds, which may name
    /// the schema.
    pub(crate) fn event(&self, topic: &str, value: &[u8], header: Option<&[u8]>) -> Result<Value, Undecoded> {
        let decoded = if self.registry.is_some() {
            self.ask(value, header)?;
            self.codec.decode_with(topic, value, header)
        } else {
            self.codec.decode_unasked(topic, value, || header)
        };
        Ok(self.codec.to_json(&decoded?))
    }

    /// What can be read of a value that is no event, by the error that [`Self::event`] gave.
    pub(crate) fn partly(
        &self,
        topic: &str,
        value: &[u8],
        header: Option<&[u8]>,
        why: &Undecoded,
    ) -> Option<Partial> {
        let Undecoded::Value(error) = why else { return None };
        self.codec.decode_partly(topic, value, header, error)
    }

    /// Asks the registry for the schema that a record names, unless it is known.
    fn ask(&self, value: &[u8], header: Option<&[u8]>) -> Result<(), RegistryError> {
        if let Some(registry) = &self.registry
            && let Some(id) = registry_id(value, header).filter(|id| !self.codec.knows(*id))
        {
            let text = registry.schema(id)?;
            self.codec.learn_id(id, text.as_deref());
        }
        Ok(())
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
        let header = record.headers.get(GUID_HEADER);
        match Pattern::of(record.topic.as_str()) {
            Some(Pattern::Fixed(topic)) if topic.name == REDRIVES => {
                serde_json::from_slice(value).map_err(|error| error.to_string())
            }
            Some(Pattern::Fixed(topic)) => {
                self.event(topic.name, value, header).map_err(|why| why.to_string())
            }
            Some(Pattern::Journal(_)) => {
                let journal = JournalRecord::open(value).map_err(|error| error.to_string())?;
                serde_json::to_value(journal).map_err(|error| error.to_string())
            }
            Some(Pattern::DeadLetters(_)) if record.headers.get("tapewatch.kind") == Some(b"range") => {
                serde_json::from_slice(value).map_err(|error| error.to_string())
            }
            Some(Pattern::DeadLetters(topic) | Pattern::Redrive(topic)) => {
                self.event(topic.name, value, header).map_err(|why| why.to_string())
            }
            Some(Pattern::Anchors(_) | Pattern::State(_)) => Err("a worker's state".into()),
            None => serde_json::from_slice(value).map_err(|_| "a topic that is not tapewatch's".into()),
        }
    }
}

/// True of a text that may have several lines, and moves no cursor otherwise.
pub(crate) fn is_text(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t')
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
