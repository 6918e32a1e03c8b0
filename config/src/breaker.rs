//! `[breaker]`: when a source whose records fail is left alone for a while.

use std::time::Duration;

use serde::Serialize;

use crate::section::Section;
use crate::value::micros;

/// The circuit breaker of each source partition, in resilience4j's terms.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Breaker {
    /// How many of the last records count.
    pub window: u32,
    /// The share of them that must have failed for it to open: above 0, at most 1.
    pub failure_rate: f64,
    /// No verdict before so many records.
    pub minimum_calls: u32,
    /// How long it stays open before it probes, on the task's clock.
    #[serde(serialize_with = "micros")]
    pub wait: Duration,
    /// How many successive records must decode for it to close.
    pub permitted: u32,
    /// How many records a probe reads ahead at most.
    pub probe_limit: u64,
}

impl Breaker {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let window = section.get_if("window", |n| *n > 0, "a whole number above 0");
        Self {
            window,
            failure_rate: section.get_if(
                "failure_rate",
                |share| *share > 0.0 && *share <= 1.0,
                "a share above 0 and at most 1",
            ),
            minimum_calls: section.get_if(
                "minimum_calls",
                |n| *n > 0 && *n <= window.max(1),
                "a whole number above 0 and at most breaker.window",
            ),
            wait: section.get_if("wait", |span: &Duration| !span.is_zero(), "a duration above 0"),
            permitted: section.get_if("permitted", |n| *n > 0, "a whole number above 0"),
            probe_limit: section.get_if("probe_limit", |n| *n > 0, "a whole number above 0"),
        }
    }
}
