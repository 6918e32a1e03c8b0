//! What every task checks about a decoded record before a monitor sees it.

use std::fmt;
use std::time::Duration;

use crate::partition::Partitioner;
use crate::{Event, Time};

/// Why a record became a dead letter: a closed set, used in headers and as a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Of no format that is read.
    NotFramed,
    /// Written with a schema that is not known.
    UnknownSchema,
    /// Of another topic's schema.
    WrongTopic,
    /// Cut short.
    Truncated,
    /// Longer than its record.
    TrailingBytes,
    /// A value that its type cannot have.
    BadValue,
    /// JSON that is no event.
    BadJson,
    /// The key is not the one in the body, or the partition not the key's.
    Misrouted,
    /// An id that holds what ids may not.
    BadId,
    /// An event time beyond the permitted skew.
    FromTheFuture,
    /// A monitor refused it.
    Refused,
    /// Larger than a record may be.
    Oversized,
    /// It follows a held record of its key.
    HeldBehind,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 13] = [
        Self::NotFramed,
        Self::UnknownSchema,
        Self::WrongTopic,
        Self::Truncated,
        Self::TrailingBytes,
        Self::BadValue,
        Self::BadJson,
        Self::Misrouted,
        Self::BadId,
        Self::FromTheFuture,
        Self::Refused,
        Self::Oversized,
        Self::HeldBehind,
    ];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFramed => "not_framed",
            Self::UnknownSchema => "unknown_schema",
            Self::WrongTopic => "wrong_topic",
            Self::Truncated => "truncated",
            Self::TrailingBytes => "trailing_bytes",
            Self::BadValue => "bad_value",
            Self::BadJson => "bad_json",
            Self::Misrouted => "misrouted",
            Self::BadId => "bad_id",
            Self::FromTheFuture => "from_the_future",
            Self::Refused => "refused",
            Self::Oversized => "oversized",
            Self::HeldBehind => "held_behind",
        }
    }

    /// The reason written so; none if there is no such reason.
    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is checked, by configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checks {
    /// How the inputs' producers spread keys.
    pub partitioner: Partitioner,
    /// How far an event may lie ahead of its publication and of the wall.
    pub max_skew: Duration,
}

/// Where and when a record was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival<'a> {
    /// Its key; none if it has none.
    pub key: Option<&'a [u8]>,
    /// Its partition.
    pub partition: u32,
    /// How many partitions its topic has.
    pub partitions: u32,
    /// Its publication time.
    pub timestamp: Time,
    /// Wall time when it was fetched; [`Time::MAX`] where only the tape's own clock counts.
    pub fetched: Time,
}

/// Why a well-formed event is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// The record's key is not the id in its body.
    #[error("the record's key is {found}, its body says `{expected}`")]
    Key {
        /// The key.
        found: String,
        /// The id or scope in the body.
        expected: String,
    },
    /// The record is in another partition than its key's.
    #[error("key `{key}` belongs to partition {expected} of {partitions}, the record is in {found}")]
    Partition {
        /// The key.
        key: String,
        /// Where it is.
        found: u32,
        /// Where it belongs.
        expected: u32,
        /// How many partitions there are.
        partitions: u32,
    },
    /// An id that is empty or holds a colon.
    #[error("{field} `{id}`: {problem}")]
    Id {
        /// The field.
        field: &'static str,
        /// The id.
        id: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The event is from the future.
    #[error(
        "the event's time {event_time} is after {bound}: its publication or fetch plus the permitted skew"
    )]
    Future {
        /// When the event says that it happened.
        event_time: Time,
        /// The latest that was acceptable.
        bound: Time,
    },
}

impl CheckError {
    /// The dead letter's reason.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Key { .. } | Self::Partition { .. } => Reason::Misrouted,
            Self::Id { .. } => Reason::BadId,
            Self::Future { .. } => Reason::FromTheFuture,
        }
    }
}

impl Checks {
    /// Checks one event.
    ///
    /// # Errors
    /// The first thing that is wrong: an id, the key, the partition, the time.
    pub fn check(&self, event: &Event, arrival: &Arrival<'_>) -> Result<(), CheckError> {
        check_ids(event)?;
        check_key(event, arrival)?;
        self.check_partition(event, arrival)?;
        self.check_time(event.event_time(), arrival)
    }

    /// Everything that is wrong with an event: for a person, who corrects it in one go.
    pub fn all(&self, event: &Event, arrival: &Arrival<'_>) -> Vec<CheckError> {
        let checks = [
            check_ids(event),
            check_key(event, arrival),
            self.check_partition(event, arrival),
            self.check_time(event.event_time(), arrival),
        ];
        checks.into_iter().filter_map(Result::err).collect()
    }

    /// What is wrong with the fields of a JSON object of a topic that could not be decoded, as far as they can be
    /// told by themselves: the id that is its key, and its time.
    pub fn fields(&self, topic: &str, object: &serde_json::Value, arrival: &Arrival<'_>) -> Vec<CheckError> {
        let key = key_field(topic);
        let text = object.get(key).and_then(serde_json::Value::as_str);
        let ids = text.map(|text| if key == "portfolio" { id(key, text) } else { not_empty(key, text) });
        let time = object.get("event_time").and_then(|time| match time {
            serde_json::Value::String(text) => Time::parse_rfc3339(text),
            other => other.as_i64().map(Time),
        });
        let time = time.map(|time| self.check_time(time, arrival));
        [ids, time].into_iter().flatten().filter_map(Result::err).collect()
    }

    fn check_partition(&self, event: &Event, arrival: &Arrival<'_>) -> Result<(), CheckError> {
        match self.partitioner.expected(event.key().as_bytes(), arrival.partitions) {
            Some(expected) if expected != arrival.partition => Err(CheckError::Partition {
                key: event.key().to_owned(),
                found: arrival.partition,
                expected,
                partitions: arrival.partitions,
            }),
            _ => Ok(()),
        }
    }

    fn check_time(&self, event_time: Time, arrival: &Arrival<'_>) -> Result<(), CheckError> {
        let bound = arrival.timestamp.min(arrival.fetched) + self.max_skew;
        if event_time > bound {
            return Err(CheckError::Future { event_time, bound });
        }
        Ok(())
    }
}

fn check_key(event: &Event, arrival: &Arrival<'_>) -> Result<(), CheckError> {
    let key = event.key();
    if arrival.key != Some(key.as_bytes()) {
        return Err(CheckError::Key { found: shown(arrival.key), expected: key.to_owned() });
    }
    Ok(())
}

/// The field of an input topic's records that is their key.
fn key_field(topic: &str) -> &'static str {
    match topic {
        crate::catalogue::MARKET_DATA => "symbol",
        crate::catalogue::HEARTBEATS => "source",
        crate::catalogue::CONTROL_REQUESTS => "scope",
        _ => "portfolio",
    }
}

fn shown(key: Option<&[u8]>) -> String {
    match key {
        None => "missing".into(),
        Some(key) => format!("`{}`", String::from_utf8_lossy(&key[..key.len().min(64)])),
    }
}

/// Bytes of a scope that is asked about.
const LONGEST_SCOPE: usize = 256;
/// Kinds of scope that are written with a colon.
const SCOPES: [&str; 3] = ["strategy", "desk", "firm"];

fn check_ids(event: &Event) -> Result<(), CheckError> {
    match event {
        Event::Signal(e) => id("portfolio", e.portfolio.as_str()),
        Event::ExecReport(e) => id("portfolio", e.portfolio.as_str()),
        Event::Position(e) => id("portfolio", e.portfolio.as_str()),
        Event::Account(e) => id("portfolio", e.portfolio.as_str()),
        Event::Holdings(e) => id("portfolio", e.portfolio.as_str()),
        Event::RiskMetrics(e) => scope(e.scope.as_str()),
        Event::Control(e) => scope(e.scope.as_str()),
        Event::ControlRequest(e) => asked_scope(e.scope.as_str()),
        Event::MarketData(e) => not_empty("symbol", e.symbol.as_str()),
        Event::Heartbeat(e) => not_empty("source", e.source.as_str()),
        Event::SystemHealth(e) => not_empty("component", &e.component),
        Event::Alert(e) => not_empty("fingerprint", &e.fingerprint),
    }
}

fn not_empty(field: &'static str, text: &str) -> Result<(), CheckError> {
    if text.is_empty() {
        return Err(CheckError::Id { field, id: String::new(), problem: "it is empty" });
    }
    Ok(())
}

fn id(field: &'static str, text: &str) -> Result<(), CheckError> {
    if text.contains(':') {
        let problem = "an id holds no colon: those begin a scope";
        return Err(CheckError::Id { field, id: text.to_owned(), problem });
    }
    not_empty(field, text)
}

/// A scope that somebody typed: a slip of the hand must not halt what is not there.
fn asked_scope(text: &str) -> Result<(), CheckError> {
    let wrong =
        |problem| Err(CheckError::Id { field: "scope", id: text.chars().take(64).collect(), problem });
    if text.len() > LONGEST_SCOPE {
        return wrong("a scope that is asked about has at most 256 bytes");
    }
    if text.trim() != text || text.chars().any(char::is_control) {
        return wrong(
            "a scope that is asked about neither begins nor ends with a blank, and holds no control character",
        );
    }
    scope(text)
}

fn scope(text: &str) -> Result<(), CheckError> {
    match text.split_once(':') {
        None => id("scope", text),
        Some((kind, rest)) if SCOPES.contains(&kind) => id("scope", rest),
        Some(_) => {
            let problem = "a scope is a portfolio's id, or strategy:ID, desk:ID, firm:ID";
            Err(CheckError::Id { field: "scope", id: text.to_owned(), problem })
        }
    }
}
