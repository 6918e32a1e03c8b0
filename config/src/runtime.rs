//! `[runtime]`: how workers read, cut rounds and keep their state.

use std::net::ToSocketAddrs;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::layer::Node;
use crate::section::Section;
use crate::value::{Setting, Size, choice, micros};

choice! {
    /// What time it is for a task.
    Clock {
        /// Wall time once its sources are caught up.
        #[default]
        Wall = "wall",
        /// The tape's time alone, so that an old tape is not stale.
        Tape = "tape",
    }
}

/// Where a worker starts that has no journal yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the first record that is still there.
    #[default]
    Earliest,
    /// At the end.
    Latest,
    /// At the first record published at or after this instant: microseconds since 1970, UTC.
    At(i64),
}

impl Setting for Start {
    fn expected() -> String {
        "earliest, latest or a time with an offset such as \"2026-05-02T12:00:00Z\"".into()
    }
    fn schema() -> Value {
        json!({"type": "string"})
    }
    fn read(node: &Node) -> Option<Self> {
        match node {
            Node::Text(text) | Node::Given(text) | Node::Datetime(text) => match text.as_str() {
                "earliest" => Some(Self::Earliest),
                "latest" => Some(Self::Latest),
                time => {
                    let at = OffsetDateTime::parse(time, &Rfc3339).ok()?;
                    i64::try_from(at.unix_timestamp_nanos().div_euclid(1000)).ok().map(Self::At)
                }
            },
            _ => None,
        }
    }
}

/// Workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Runtime {
    /// What time it is for a task; one for all workers of a log.
    pub clock: Clock,
    /// How far ahead of its publication a record's event time may be.
    #[serde(serialize_with = "micros")]
    pub max_skew: Duration,
    /// A round closes at so many records.
    #[serde(skip)]
    pub max_records: u32,
    /// A round closes at so many bytes of records.
    #[serde(skip)]
    pub max_bytes: u64,
    /// A round closes after so long at the latest, while commits are fast.
    #[serde(skip)]
    pub linger: Duration,
    /// As slow as `linger` may become when commits are slow.
    #[serde(skip)]
    pub linger_max: Duration,
    /// How long the merge waits for a caught-up source.
    #[serde(skip)]
    pub max_wait: Duration,
    /// How long the merge waits for any other source.
    #[serde(skip)]
    pub max_idle: Duration,
    /// How long a task that has only broadcast records may put off writing its positions.
    #[serde(skip)]
    pub max_carry: Duration,
    /// Where a worker without a journal starts.
    #[serde(skip)]
    pub start: Start,
    /// A snapshot is written after so many rounds …
    #[serde(skip)]
    pub snapshot_rounds: u64,
    /// … or so much time, whichever is first.
    #[serde(skip)]
    pub snapshot_every: Duration,
    /// How far apart anchors (full states, kept) are.
    #[serde(skip)]
    pub anchor_every: Duration,
    /// How often a task says that it is alive, on its own clock.
    #[serde(serialize_with = "micros")]
    pub heartbeat_every: Duration,
    /// Bytes that a worker reads ahead at most.
    #[serde(skip)]
    pub fetch_bytes: u64,
    /// How long a silent worker keeps its partitions.
    #[serde(skip)]
    pub session: Duration,
    /// The worker's stable name; made of host and worker if none.
    #[serde(skip)]
    pub instance: Option<String>,
    /// Where `/healthz`, `/readyz`, `/metrics` and `/status` answer; port 0 takes a free one.
    #[serde(skip)]
    pub admin: String,
}

impl Runtime {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let above_zero = |span: &Duration| !span.is_zero();
        let span = "a duration above 0, such as \"5ms\"";
        let linger =
            section.get_if("linger", |span| *span <= Duration::from_secs(10), "a duration up to \"10s\"");
        Self {
            clock: section.get("clock"),
            max_skew: section.get("max_skew"),
            max_records: section.get_if(
                "max_records",
                |n| (1..=1_000_000).contains(n),
                "a whole number from 1 to 1000000",
            ),
            max_bytes: bytes(section, "max_bytes"),
            linger,
            linger_max: section.get_if(
                "linger_max",
                |span| *span >= linger && *span <= Duration::from_secs(10),
                "a duration from runtime.linger to \"10s\"",
            ),
            max_wait: section.get("max_wait"),
            max_idle: section.get("max_idle"),
            max_carry: section.get_if("max_carry", above_zero, span),
            start: section.get("start"),
            snapshot_rounds: section.get_if("snapshot_rounds", |n| *n > 0, "a whole number above 0"),
            snapshot_every: section.get_if("snapshot_every", above_zero, span),
            anchor_every: section.get_if("anchor_every", above_zero, span),
            heartbeat_every: section.get_if("heartbeat_every", above_zero, span),
            fetch_bytes: bytes(section, "fetch_bytes"),
            session: section.get_if(
                "session",
                |span| (Duration::from_secs(1)..=Duration::from_secs(300)).contains(span),
                "a duration from \"1s\" to \"5m\"",
            ),
            instance: section.optional_if(
                "instance",
                |name: &String| is_name(name),
                "a name of letters, digits, `.`, `_` and `-`",
            ),
            admin: section.get_if(
                "admin",
                |at: &String| is_address(at),
                "HOST:PORT, such as \"127.0.0.1:9464\"",
            ),
        }
    }
}

fn bytes(section: &mut Section<'_>, key: &'static str) -> u64 {
    let fits = |size: &Size| (64 << 10..=4 << 30).contains(&size.0);
    section.get_if(key, fits, "a size from \"64KiB\" to \"4GiB\"").0
}

/// Kafka takes these characters in group and transactional ids, and every file system in a name.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// Host names are not looked up here: the network is no part of a configuration's validity.
fn is_address(at: &str) -> bool {
    match at.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => {
            let literal = host.starts_with('[') || host.chars().all(|c| c.is_ascii_digit() || c == '.');
            !host.is_empty() && (!literal || at.to_socket_addrs().is_ok())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_a_word_or_a_time() {
        let read = |text: &str| Start::read(&Node::Text(text.into()));
        assert_eq!(read("latest"), Some(Start::Latest));
        assert_eq!(read("1970-01-01T00:00:01Z"), Some(Start::At(1_000_000)));
        assert_eq!(read("yesterday"), None);
    }

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for good in ["127.0.0.1:0", "[::1]:9464", "localhost:80"] {
            assert!(is_address(good), "{good}");
        }
        for bad in ["127.0.0.1", ":80", "127.0.0.1:99999", "999.0.0.1:80"] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
