use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Provenance, Unknown};
use crate::{RecordId, Time};

/// A firing or resolved alert. Key: fingerprint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// Where it came from.
    pub provenance: Provenance,
    /// Its id: of the rule, the fingerprint and the cause.
    pub id: RecordId,
    /// When it fired or resolved, on the writer's clock.
    pub event_time: Time,
    /// The rule's name in the configuration.
    pub rule: String,
    /// What makes it the same alert again: rule, scope and labels.
    pub fingerprint: String,
    /// Firing or resolved.
    pub state: AlertState,
    /// How bad.
    pub severity: Severity,
    /// What it is about: a scope or a component.
    pub scope: String,
    /// The measure or limit that the rule looked at.
    pub subject: String,
    /// The value at the time; none if unknown.
    pub value: Option<f64>,
    /// The rule's threshold; none for rules on a state.
    pub threshold: Option<f64>,
    /// Why the value is unknown, if that is what the alert says.
    pub unknown: Option<Unknown>,
    /// When the condition became true.
    pub since: Time,
    /// For people.
    pub message: String,
    /// What else identifies it, by name.
    pub labels: BTreeMap<String, String>,
}

/// Whether an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// It stands.
    Firing,
    /// It no longer stands.
    Resolved,
}

/// How bad an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Severity {
    /// To know.
    Info,
    /// To look at.
    Warning,
    /// To act on.
    Critical,
    /// To act on now.
    Emergency,
}
