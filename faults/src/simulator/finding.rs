//! What a simulation finds.

use std::fmt;

use serde_json::{Value, json};

use crate::invariants::Violation;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// An invariant does not hold.
    Broken(Violation),
    /// All faults are over, and the workers do not come to the end of their inputs.
    Stuck(String),
    /// A worker stopped for a reason that nobody gave it.
    Stopped {
        /// Which.
        instance: String,
        /// What it said.
        why: String,
    },
    /// The outputs are not those of a run without faults, where they must be.
    Differs(String),
    /// An assertion failed.
    Panicked(String),
    /// The log itself, or a tool, failed where nothing was injected.
    Failed(String),
}

impl Finding {
    /// For a program to read.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Broken(violation) => violation.to_json(),
            other => json!({ "found": other.to_string() }),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(violation) => violation.fmt(f),
            Self::Stuck(what) => write!(f, "stuck after all faults were over: {what}"),
            Self::Stopped { instance, why } => {
                write!(f, "{instance} stopped, and nothing was done to it: {why}")
            }
            Self::Differs(what) => write!(f, "not as without faults: {what}"),
            Self::Panicked(what) => write!(f, "panicked: {what}"),
            Self::Failed(what) => write!(f, "failed: {what}"),
        }
    }
}
