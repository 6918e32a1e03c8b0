//! `[[alerting.rules]]`: one condition that is an alert while it holds.

use std::time::Duration;

use serde::Serialize;

use crate::condition::Condition;
use crate::limit::{NAME, is_name};
use crate::section::Section;
use crate::value::{choice, micros};

choice! {
    /// How bad an alert is.
    Severity {
        /// To know.
        #[default]
        Info = "info",
        /// To look at.
        Warning = "warning",
        /// To act on.
        Critical = "critical",
        /// To act on now.
        Emergency = "emergency",
    }
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rule {
    /// Its name, in alerts.
    pub name: String,
    /// How bad it is.
    pub severity: Severity,
    /// The scopes, components or sources it looks at: a name, or a beginning and `*`.
    pub scope: String,
    /// The condition.
    #[serde(flatten)]
    pub condition: Condition,
    /// For how long it must hold, on the task's clock, before the alert fires.
    #[serde(rename = "for", serialize_with = "micros")]
    pub lasting: Duration,
}

impl Rule {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        Self {
            name: section.get_if("name", |name: &String| is_name(name), NAME),
            severity: section.get("severity"),
            scope: section
                .optional_if(
                    "scope",
                    |p: &String| is_pattern(p),
                    "a name, or a beginning and `*`, such as \"desk:*\"",
                )
                .unwrap_or_else(|| "*".into()),
            lasting: section.optional("for").unwrap_or_default(),
            condition: Condition::read(section),
        }
    }
}

fn is_pattern(pattern: &str) -> bool {
    !pattern.is_empty() && !pattern.strip_suffix('*').unwrap_or(pattern).contains('*')
}
