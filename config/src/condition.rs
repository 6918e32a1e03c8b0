//! When a rule's alert stands: `on = "measure" | "limit" | "health" | "silence" | "halt" | "containment"` and what goes with it.

use std::time::Duration;

use serde::Serialize;

use crate::section::Section;
use crate::value::{choice, micros};

choice! {
    /// What a rule looks at.
    On {
        /// A measure's value.
        #[default]
        Measure = "measure",
        /// Where a limit stands.
        Limit = "limit",
        /// What happened to a component of the pipeline.
        Health = "health",
        /// How long a source has sent no heartbeat.
        Silence = "silence",
        /// What trading is allowed to do.
        Halt = "halt",
        /// What is traded although it may not be.
        Containment = "containment",
    }
}

choice! {
    /// On which side of a threshold a condition holds.
    Comparison {
        /// The value is greater.
        #[default]
        Above = "above",
        /// The value is less.
        Below = "below",
    }
}

choice! {
    /// Where a limit stands, when that is worth an alert.
    LimitStatus {
        /// Over the soft bound.
        #[default]
        Warning = "warning",
        /// Over the hard bound.
        Breached = "breached",
        /// It cannot be said.
        Unknown = "unknown",
    }
}

choice! {
    /// What happened to a component.
    HealthKind {
        /// A circuit breaker opened.
        #[default]
        BreakerOpened = "breaker_opened",
        /// A circuit breaker closed again.
        BreakerClosed = "breaker_closed",
        /// A task stopped.
        TaskStopped = "task_stopped",
        /// Records were dead-lettered.
        DeadLetters = "dead_letters",
        /// Keys are held behind dead letters.
        HeldKeys = "held_keys",
        /// Records came late.
        Late = "late",
        /// A periodic score.
        Score = "score",
    }
}

choice! {
    /// How bad a component is.
    HealthStatus {
        /// It works in part.
        #[default]
        Degraded = "degraded",
        /// It does not work.
        Failed = "failed",
    }
}

choice! {
    /// How much trading is restricted, at least.
    Restriction {
        /// It may only reduce.
        #[default]
        ReduceOnly = "reduce_only",
        /// It is halted.
        Halt = "halt",
    }
}

/// When a rule's alert stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "on", rename_all = "snake_case")]
pub enum Condition {
    /// A measure is beyond a threshold.
    Measure {
        /// The measure's name.
        measure: String,
        /// On which side.
        comparison: Comparison,
        /// The threshold, in the measure's unit.
        threshold: f64,
        /// Once it holds, it ends only on the other side of this; the threshold itself if none.
        clear: Option<f64>,
    },
    /// A limit stands so.
    Limit {
        /// The limit's name; any if none.
        limit: Option<String>,
        /// How it stands.
        status: LimitStatus,
    },
    /// A component said that this happened, and has not yet said that it is over.
    Health {
        /// What happened.
        raised_by: HealthKind,
        /// What ends it; a record of the first kind with status `ok` always does.
        cleared_by: Option<HealthKind>,
        /// It holds only if the component is at least this bad.
        at_least: HealthStatus,
    },
    /// A source that has sent a heartbeat has sent none for longer than this.
    Silence {
        /// The longest silence.
        #[serde(serialize_with = "micros")]
        longest: Duration,
    },
    /// Trading in a scope is restricted.
    Halt {
        /// At least so much.
        at_least: Restriction,
        /// True if it is an alert only until a trading system acknowledges it.
        unacknowledged: bool,
    },
    /// A portfolio trades what its restriction does not allow.
    Containment {
        /// It is restricted at least so much.
        at_least: Restriction,
    },
}

impl Condition {
    /// What it looks at.
    pub const fn on(&self) -> On {
        match self {
            Self::Measure { .. } => On::Measure,
            Self::Limit { .. } => On::Limit,
            Self::Health { .. } => On::Health,
            Self::Silence { .. } => On::Silence,
            Self::Halt { .. } => On::Halt,
            Self::Containment { .. } => On::Containment,
        }
    }

    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let on = section.get("on");
        if section.is_described() {
            for kind in [On::Measure, On::Limit, On::Health, On::Silence, On::Halt, On::Containment] {
                Self::of(kind, section);
            }
        }
        Self::of(on, section)
    }

    fn of(on: On, section: &mut Section<'_>) -> Self {
        match on {
            On::Measure => measure(section),
            On::Limit => Self::Limit { limit: section.optional("limit"), status: section.get("status") },
            On::Health => Self::Health {
                raised_by: section.get("raised_by"),
                cleared_by: section.optional("cleared_by"),
                at_least: section.optional("at_least").unwrap_or_default(),
            },
            On::Silence => Self::Silence {
                longest: section.get_if("longest", |span: &Duration| !span.is_zero(), "a duration above 0"),
            },
            On::Halt => Self::Halt {
                at_least: section.optional("at_least").unwrap_or_default(),
                unacknowledged: section.optional("unacknowledged").unwrap_or_default(),
            },
            On::Containment => {
                Self::Containment { at_least: section.optional("at_least").unwrap_or_default() }
            }
        }
    }
}

fn measure(section: &mut Section<'_>) -> Condition {
    let comparison = section.get("comparison");
    let threshold: f64 = section.get("threshold");
    let clear = section.optional("clear");
    if let Some(clear) = clear {
        let (side, fits) = match comparison {
            Comparison::Above => ("at most", clear <= threshold),
            Comparison::Below => ("at least", clear >= threshold),
        };
        if !fits {
            let expected = format!("{side} the threshold, which is {threshold}");
            section.fail("clear", &format!("{clear} is on the bad side"), &expected);
        }
    }
    let measure = section.get_if("measure", |name: &String| !name.is_empty(), "a measure's name");
    Condition::Measure { measure, comparison, threshold, clear }
}
