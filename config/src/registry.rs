//! `[registry]`: a schema registry, for those who have one.

use std::path::PathBuf;
use std::time::Duration;

use crate::section::Section;
use crate::value::{Secret, choice, read_secret};

choice! {
    /// How a schema's subject is named.
    Subjects {
        /// `<topic>-value`.
        #[default]
        Topic = "topic",
        /// The record's full name.
        Record = "record",
        /// `<topic>-<the record's full name>`.
        TopicRecord = "topic_record",
    }
}

/// A registry. Where it is and how it is reached is not part of the configuration version; whether there is one
/// is, because values are then framed with its ids.
#[derive(Clone, Debug, PartialEq)]
pub struct Registry {
    /// Its address; none without a registry.
    pub url: Option<String>,
    /// Who asks.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// Certificates of the authorities to trust, for https; the system's if none.
    pub ca_file: Option<PathBuf>,
    /// How subjects are named.
    pub subjects: Subjects,
    /// Whether schemas that are missing are registered.
    pub register: bool,
    /// How long a request may take.
    pub timeout: Duration,
    /// When it is left alone.
    pub breaker: Edge,
}

/// The breaker on an outgoing edge, in resilience4j's terms.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// How far back calls count.
    pub window: Duration,
    /// No verdict before so many calls within it.
    pub minimum_calls: u32,
    /// The share of them that must have failed for it to open.
    pub failure_rate: f64,
    /// A call is slow from here on.
    pub slow_call: Duration,
    /// The share of slow calls at which it opens.
    pub slow_rate: f64,
    /// How long it stays open.
    pub wait: Duration,
    /// How many calls it then lets through to find out.
    pub permitted: u32,
}

impl Registry {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let is_address = |url: &String| {
            ["http://", "https://"].iter().any(|start| url.len() > start.len() && url.starts_with(start))
        };
        let registry = Self {
            url: section.optional_if("url", is_address, "an http or https address"),
            username: section.optional("username"),
            password: read_secret(section, "password", "password_file"),
            ca_file: ca_file(section),
            subjects: section.get("subjects"),
            register: section.get("register"),
            timeout: section.get_if(
                "timeout",
                |span| (Duration::from_millis(10)..=Duration::from_secs(60)).contains(span),
                "a duration from \"10ms\" to \"60s\"",
            ),
            breaker: section.group("breaker", Edge::read),
        };
        if registry.username.is_some() != registry.password.is_some() {
            let problem = "user and password go together, and one of them is missing";
            section.fail("username", problem, "both username and password (or password_file), or neither");
        }
        registry
    }
}

fn ca_file(section: &mut Section<'_>) -> Option<PathBuf> {
    let written = section.optional::<String>("ca_file")?;
    let path = section.resolve(&written);
    if !path.is_file() {
        section.fail("ca_file", &format!("there is no file {}", path.display()), "a file that is there");
    }
    Some(path)
}

impl Edge {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let share = |share: &f64| *share > 0.0 && *share <= 1.0;
        let span = |span: &Duration| !span.is_zero();
        Self {
            window: section.get_if(
                "window",
                |span| (Duration::from_secs(1)..=Duration::from_secs(3600)).contains(span),
                "a duration from \"1s\" to \"1h\"",
            ),
            minimum_calls: section.get_if("minimum_calls", |n| *n > 0, "a whole number above 0"),
            failure_rate: section.get_if("failure_rate", share, "a share above 0 and at most 1"),
            slow_call: section.get_if("slow_call", span, "a duration above 0"),
            slow_rate: section.get_if("slow_rate", share, "a share above 0 and at most 1"),
            wait: section.get_if("wait", span, "a duration above 0"),
            permitted: section.get_if("permitted", |n| *n > 0, "a whole number above 0"),
        }
    }
}
