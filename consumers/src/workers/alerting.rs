//! The alerting worker: [`AlertingMonitor`] as the settings want it.

use std::sync::Arc;

use tapewatch_config as config;
use tapewatch_config::Settings;
use tapewatch_monitors::alerting::{
    AlertingMonitor, AlertingParameters, Comparison, Condition, ControlParameters, Grace, Pattern, Person,
    Rule, default_rules,
};
use tapewatch_schemas::events::{HealthKind, HealthStatus, LimitStatus, Severity, TradingLevel};

use crate::core::MonitorFactory;

/// Makes the monitor of each task.
pub(super) fn factory(settings: &Settings) -> MonitorFactory {
    let parameters = parameters(settings);
    Arc::new(move |_, _| Box::new(AlertingMonitor::new(parameters.clone())))
}

/// The monitor's parameters.
pub fn parameters(settings: &Settings) -> AlertingParameters {
    let alerting = &settings.alerting;
    AlertingParameters {
        rules: rules(alerting),
        grace: Grace {
            missing: alerting.grace.missing,
            warming_up: alerting.grace.warming_up,
            backtest: alerting.grace.backtest,
        },
        control: ControlParameters {
            resume_role: alerting.control.resume_role.as_str().into(),
            people: alerting.control.people.iter().map(person).collect(),
        },
        max_conditions: alerting.max_conditions as usize,
        max_sources: alerting.max_sources as usize,
    }
}

/// The rules of the settings, and of those on halts that nobody acknowledges and on halts that are not kept the default
/// ones if none of the settings' is on that: law 6.
fn rules(alerting: &config::Alerting) -> Vec<Rule> {
    let mut rules: Vec<Rule> = alerting.rules.iter().map(rule).collect();
    let missed = |rule: &Rule| matches!(rule.condition, Condition::Halt { unacknowledged: true, .. });
    let broken = |rule: &Rule| matches!(rule.condition, Condition::Containment { .. });
    for needed in [missed as fn(&Rule) -> bool, broken] {
        if !rules.iter().any(needed) {
            rules.extend(default_rules().into_iter().filter(needed));
        }
    }
    rules
}

fn person(person: &config::Person) -> Person {
    Person {
        name: person.name.as_str().into(),
        roles: person.roles.iter().map(|role| role.as_str().into()).collect(),
    }
}

fn rule(rule: &config::Rule) -> Rule {
    Rule {
        name: rule.name.as_str().into(),
        severity: match rule.severity {
            config::Severity::Info => Severity::Info,
            config::Severity::Warning => Severity::Warning,
            config::Severity::Critical => Severity::Critical,
            config::Severity::Emergency => Severity::Emergency,
        },
        scope: Pattern::parse(&rule.scope),
        condition: condition(&rule.condition),
        hold: rule.lasting,
    }
}

fn condition(condition: &config::Condition) -> Condition {
    match condition {
        config::Condition::Measure { measure, comparison, threshold, clear } => Condition::Measure {
            measure: measure.as_str().into(),
            comparison: match comparison {
                config::Comparison::Above => Comparison::Above,
                config::Comparison::Below => Comparison::Below,
            },
            threshold: *threshold,
            clear: *clear,
        },
        config::Condition::Limit { limit, status } => Condition::Limit {
            limit: limit.as_deref().map(Into::into),
            status: match status {
                config::LimitStatus::Warning => LimitStatus::Warning,
                config::LimitStatus::Breached => LimitStatus::Breached,
                config::LimitStatus::Unknown => LimitStatus::Unknown,
            },
        },
        config::Condition::Health { raised_by, cleared_by, at_least } => Condition::Health {
            raised_by: kind(*raised_by),
            cleared_by: cleared_by.map(kind),
            at_least: match at_least {
                config::HealthStatus::Degraded => HealthStatus::Degraded,
                config::HealthStatus::Failed => HealthStatus::Failed,
            },
        },
        config::Condition::Silence { longest } => Condition::Silence { longest: *longest },
        config::Condition::Halt { at_least, unacknowledged } => {
            Condition::Halt { at_least: level(*at_least), unacknowledged: *unacknowledged }
        }
        config::Condition::Containment { at_least } => Condition::Containment { at_least: level(*at_least) },
    }
}

fn level(restriction: config::Restriction) -> TradingLevel {
    match restriction {
        config::Restriction::ReduceOnly => TradingLevel::ReduceOnly,
        config::Restriction::Halt => TradingLevel::Halt,
    }
}

fn kind(kind: config::HealthKind) -> HealthKind {
    match kind {
        config::HealthKind::BreakerOpened => HealthKind::BreakerOpened,
        config::HealthKind::BreakerClosed => HealthKind::BreakerClosed,
        config::HealthKind::TaskStopped => HealthKind::TaskStopped,
        config::HealthKind::DeadLetters => HealthKind::DeadLetters,
        config::HealthKind::Late => HealthKind::Late,
        config::HealthKind::Score => HealthKind::Score,
        config::HealthKind::HeldKeys => HealthKind::HeldKeys,
    }
}
