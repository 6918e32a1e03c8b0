//! What the alerting monitor is told: its rules and the bound on its state.

use std::time::Duration;

use smol_str::SmolStr;
use tapewatch_schemas::events::{HealthKind, HealthStatus, LimitStatus, Severity, TradingLevel};

/// How long a halt may go unacknowledged by the default rules.
pub(super) const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(30);

/// Everything that the alerting monitor can be told.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertingParameters {
    /// The rules; a record is shown to each, in this order. Names are unique.
    pub rules: Vec<Rule>,
    /// How long a young portfolio may lack something without an alert.
    pub grace: Grace,
    /// Who may end a halt.
    pub control: ControlParameters,
    /// The most conditions that hold at once, over all rules. A record that would add more is refused.
    pub max_conditions: usize,
    /// The most heartbeat sources watched for silence. A heartbeat of one more is refused.
    pub max_sources: usize,
}

/// How long after a portfolio's first record an unknown limit raises no alert. Other reasons for being
/// unknown have no grace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// While the reason is `missing`.
    pub missing: Duration,
    /// While the reason is `warming_up`.
    pub warming_up: Duration,
    /// The same of a limit on the light of a backtest, which needs forecasts, and then changes to hold them against.
    pub backtest: Duration,
}

/// Who may end a halt. Whoever may write requests may begin one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlParameters {
    /// The role that lowering a level needs.
    pub resume_role: SmolStr,
    /// The people that are known, by the names that requests give.
    pub people: Vec<Person>,
}

/// A person and the roles they have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// As requests name them.
    pub name: SmolStr,
    /// Their roles.
    pub roles: Vec<SmolStr>,
}

/// One rule: a condition, and what to say when it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name; part of every fingerprint.
    pub name: SmolStr,
    /// How bad it is.
    pub severity: Severity,
    /// The scopes, components or sources it looks at.
    pub scope: Pattern,
    /// The condition.
    pub condition: Condition,
    /// How long the condition must hold, on the task's clock, before the alert fires.
    pub hold: Duration,
}

/// Which names a rule looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// All.
    Any,
    /// This one.
    Exactly(SmolStr),
    /// Those that begin so.
    Prefix(SmolStr),
}

impl Pattern {
    /// Reads `*`, `name` or `prefix*`.
    pub fn parse(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some("") => Self::Any,
            Some(prefix) => Self::Prefix(SmolStr::new(prefix)),
            None => Self::Exactly(SmolStr::new(text)),
        }
    }

    /// True if the name is looked at.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(exact) => exact == name,
            Self::Prefix(prefix) => name.starts_with(prefix.as_str()),
        }
    }
}

/// When a rule's alert stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// A measure of `risk.metrics.v1` is beyond a threshold. While the measure is unknown the condition
    /// stays as it was: unknown is neither fine nor worse, and has rules of its own.
    Measure {
        /// The measure's name.
        measure: SmolStr,
        /// On which side of the threshold it holds.
        comparison: Comparison,
        /// The threshold, in the measure's unit.
        threshold: f64,
        /// Once it holds, it ends only on the other side of this; the threshold itself if none.
        clear: Option<f64>,
    },
    /// A limit stands in this status.
    Limit {
        /// The limit's name; any limit if none.
        limit: Option<SmolStr>,
        /// The status.
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
        longest: Duration,
    },
    /// Trading in a scope is restricted.
    Halt {
        /// At least so much.
        at_least: TradingLevel,
        /// True if it holds only until a trading system acknowledges it.
        unacknowledged: bool,
    },
    /// A portfolio trades what its restriction does not allow. It ends when a person lowers the level, and not
    /// before: what was traded was traded.
    Containment {
        /// It is restricted at least so much.
        at_least: TradingLevel,
    },
}

/// On which side of a threshold a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The value is greater.
    Above,
    /// The value is less.
    Below,
}

impl Default for AlertingParameters {
    fn default() -> Self {
        Self {
            rules: default_rules(),
            grace: Grace {
                missing: Duration::from_secs(3600),
                warming_up: Duration::from_secs(7 * 24 * 3600),
                backtest: Duration::from_secs(30 * 24 * 3600),
            },
            control: ControlParameters::default(),
            max_conditions: 100_000,
            max_sources: 10_000,
        }
    }
}

/// The rules that apply where the configuration states none: what limits say, open circuit breakers, tasks that
/// stopped, halts, halts that nobody acknowledges, and halts that are not kept.
///
/// Workers' silence is not among them: it needs a longest silence that fits how often they beat.
pub fn default_rules() -> Vec<Rule> {
    let rule = |name: &str, severity, condition| Rule {
        name: SmolStr::new(name),
        severity,
        scope: Pattern::Any,
        condition,
        hold: Duration::ZERO,
    };
    let limit = |status| Condition::Limit { limit: None, status };
    let restricted = |unacknowledged| Condition::Halt { at_least: TradingLevel::ReduceOnly, unacknowledged };
    vec![
        rule("limit_breached", Severity::Critical, limit(LimitStatus::Breached)),
        rule("limit_warning", Severity::Warning, limit(LimitStatus::Warning)),
        rule("limit_unknown", Severity::Warning, limit(LimitStatus::Unknown)),
        rule(
            "breaker_opened",
            Severity::Critical,
            Condition::Health {
                raised_by: HealthKind::BreakerOpened,
                cleared_by: Some(HealthKind::BreakerClosed),
                at_least: HealthStatus::Degraded,
            },
        ),
        rule(
            "task_stopped",
            Severity::Critical,
            Condition::Health {
                raised_by: HealthKind::TaskStopped,
                cleared_by: None,
                at_least: HealthStatus::Degraded,
            },
        ),
        rule("trading_restricted", Severity::Critical, restricted(false)),
        Rule {
            hold: ACKNOWLEDGED_WITHIN,
            ..rule("halt_unacknowledged", Severity::Emergency, restricted(true))
        },
        rule(
            "halt_broken",
            Severity::Emergency,
            Condition::Containment { at_least: TradingLevel::ReduceOnly },
        ),
    ]
}
