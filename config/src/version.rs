//! The configuration version: a name for the part of the settings that outputs depend on.

use std::fmt::{self, Write as _};

use serde::Serialize;
use serde_json::Value;

use crate::Settings;
use crate::{Alerting, Breaker, DeadLetters, Firm, Risk, Runtime, Topics};

/// BLAKE3 of [`Settings::canonical`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConfigurationVersion([u8; 32]);

impl ConfigurationVersion {
    /// The first 16 hex digits: what records carry.
    pub fn short(self) -> String {
        self.to_string()[..16].to_owned()
    }

    /// All 32 bytes.
    pub const fn bytes(self) -> [u8; 32] {
        self.0
    }
}

/// All 64 hex digits.
impl fmt::Display for ConfigurationVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ConfigurationVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What outputs depend on. Fields that they do not depend on are skipped in the sections themselves.
#[derive(Serialize)]
struct Semantic<'a> {
    topics: &'a Topics,
    /// How values are framed, where it is not by fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    framing: Option<&'static str>,
    runtime: &'a Runtime,
    breaker: &'a Breaker,
    dead_letters: &'a DeadLetters,
    risk: &'a Risk,
    firm: &'a Firm,
    alerting: &'a Alerting,
    references: &'a std::collections::BTreeMap<String, String>,
}

impl Settings {
    /// The part that outputs depend on, as JSON with sorted keys, spans in microseconds and no white space;
    /// reference files stand there as the hashes of their bytes. No connection, secret or telemetry is in it.
    pub fn canonical(&self) -> String {
        let semantic = Semantic {
            topics: &self.topics,
            framing: self.registry.url.as_ref().map(|_| "confluent"),
            runtime: &self.runtime,
            breaker: &self.breaker,
            dead_letters: &self.dead_letters,
            risk: &self.risk,
            firm: &self.firm,
            alerting: &self.alerting,
            references: &self.references,
        };
        let value = serde_json::to_value(semantic).expect("numbers are finite and keys are texts");
        let mut text = String::new();
        write_sorted(&value, &mut text);
        text
    }

    /// The configuration version.
    pub fn version(&self) -> ConfigurationVersion {
        ConfigurationVersion(*blake3::hash(self.canonical().as_bytes()).as_bytes())
    }
}

fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.iter().collect();
            keys.sort_by_key(|(key, _)| *key);
            write_list(text, '{', '}', keys, |(key, value), text| {
                write!(text, "{}:", Value::from(key.as_str())).expect("a String takes all");
                write_sorted(value, text);
            });
        }
        Value::Array(items) => write_list(text, '[', ']', items, write_sorted),
        leaf => write!(text, "{leaf}").expect("a String takes all"),
    }
}

fn write_list<T>(
    text: &mut String,
    open: char,
    close: char,
    items: impl IntoIterator<Item = T>,
    write: impl Fn(T, &mut String),
) {
    text.push(open);
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        write(item, text);
    }
    text.push(close);
}
