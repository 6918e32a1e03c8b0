//! What a record says about the conditions of the rules.

use std::fmt::Write;

use tapewatch_schemas::Time;
use tapewatch_schemas::events::{
    Heartbeat, LimitState, LimitStatus, Measure, Occasion, RiskMetrics, SystemHealth, Unknown,
};

use smol_str::SmolStr;

use super::AlertingMonitor;
use super::alert::{limit_text, measure_text};
use super::latch::Latch;
use super::parameters::{AlertingParameters, Comparison, Condition, Grace, Rule};
use crate::risk::Bounded;

/// What a record says about one condition.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) rule: SmolStr,
    pub(super) scope: String,
    /// What else tells it from the rule's other conditions about the scope: the limit.
    pub(super) label: Option<String>,
    pub(super) fingerprint: String,
    /// Whether it holds; none if the record cannot tell, and it stays as it was.
    pub(super) holds: Option<bool>,
    /// When it came to hold, if it does and did not before.
    pub(super) since: Time,
    /// It does not fire before this.
    pub(super) not_before: Time,
    /// True for a silence that will hold from `since` on unless a heartbeat comes.
    pub(super) silence: bool,
    pub(super) subject: String,
    pub(super) value: Option<f64>,
    pub(super) threshold: Option<f64>,
    pub(super) unknown: Option<Unknown>,
    /// For people.
    pub(super) detail: String,
    /// The event time of the record.
    pub(super) event_time: Time,
}

impl Finding {
    pub(super) fn new(rule: &Rule, scope: &str, label: Option<&str>, event_time: Time, clock: Time) -> Self {
        Self {
            rule: rule.name.clone(),
            scope: scope.to_owned(),
            label: label.map(str::to_owned),
            fingerprint: fingerprint(&rule.name, scope, label),
            holds: None,
            since: clock,
            not_before: Time::MIN,
            silence: false,
            subject: String::new(),
            value: None,
            threshold: None,
            unknown: None,
            detail: String::new(),
            event_time,
        }
    }
}

impl Finding {
    /// What a rule about halts finds in a scope's latch; none if the rule is about something else.
    pub(super) fn of_latch(
        rule: &Rule,
        scope: &str,
        latch: &Latch,
        event_time: Time,
        clock: Time,
    ) -> Option<Self> {
        let Condition::Halt { at_least, unacknowledged } = &rule.condition else { return None };
        let mut finding = Self::new(rule, scope, None, event_time, clock);
        let unanswered = latch.acknowledged_by.is_none();
        finding.holds = Some(latch.level >= *at_least && (unanswered || !*unacknowledged));
        tapewatch_schemas::catalogue::CONTROL.clone_into(&mut finding.subject);
        finding.detail = latch.text(scope);
        if *unacknowledged && unanswered {
            finding.detail.push_str("; no trading system has acknowledged it");
        } else if let Some(who) = &latch.acknowledged_by {
            let _ = write!(finding.detail, "; acknowledged by {who}");
        }
        Some(finding)
    }
}

/// Rule, scope and limit, with a separator that neither names nor ids are expected to hold; if one does,
/// two conditions can still differ only by a name that the user chose so.
fn fingerprint(rule: &str, scope: &str, label: Option<&str>) -> String {
    format!("{rule}|{scope}|{}", label.unwrap_or_default())
}

/// What is said of a measure of one of many, as of a sector or a position (`sector_gross:NAME`), of which there is none in
/// all figures: it does not hold, and if the others are unknown, nobody knows.
fn absent(rule: &Rule, measure: &str, metrics: &RiskMetrics, clock: Time) -> Option<Finding> {
    let (of, _) = measure.split_once(':')?;
    let mut others = metrics.measures.iter().filter(|other| other.name.starts_with(of));
    let mut finding = Finding::new(rule, metrics.scope.as_str(), None, metrics.event_time, clock);
    finding.unknown = others.find_map(|other| other.unknown);
    finding.holds = if finding.unknown.is_none() { Some(false) } else { None };
    finding.detail = format!("{}: there is no {measure}", metrics.scope.as_str());
    measure.clone_into(&mut finding.subject);
    Some(finding)
}

impl AlertingMonitor {
    pub(super) fn in_figures(&self, metrics: &RiskMetrics, clock: Time) -> Vec<Finding> {
        let mut findings = Vec::new();
        let scope = metrics.scope.as_str();
        for rule in self.parameters.rules.iter().filter(|r| r.scope.matches(scope)) {
            match &rule.condition {
                Condition::Measure { measure, .. } => {
                    if let Some(found) = metrics.measures.iter().find(|m| m.name == measure.as_str()) {
                        findings.push(self.in_measure(rule, found, metrics, clock));
                    } else if metrics.occasion == Occasion::Interval {
                        findings.extend(absent(rule, measure, metrics, clock));
                    }
                }
                Condition::Limit { limit, status } => {
                    let asked = |l: &&LimitState| limit.as_ref().is_none_or(|name| *name == l.limit.as_str());
                    for state in metrics.limits.iter().filter(asked) {
                        findings.push(in_limit(&self.parameters, rule, *status, state, metrics, clock));
                    }
                    self.in_dropped_limits(rule, metrics, clock, &mut findings);
                }
                Condition::Health { .. }
                | Condition::Silence { .. }
                | Condition::Halt { .. }
                | Condition::Containment { .. } => {}
            }
        }
        findings
    }

    fn in_measure(&self, rule: &Rule, measure: &Measure, metrics: &RiskMetrics, clock: Time) -> Finding {
        let mut finding = Finding::new(rule, metrics.scope.as_str(), None, metrics.event_time, clock);
        let Condition::Measure { comparison, threshold, clear, .. } = &rule.condition else {
            return finding;
        };
        let held = self.conditions.contains_key(&finding.fingerprint);
        let bound = if held { clear.unwrap_or(*threshold) } else { *threshold };
        finding.holds = measure.value.map(|value| match comparison {
            Comparison::Above => value > bound,
            Comparison::Below => value < bound,
        });
        finding.detail = measure_text(metrics.scope.as_str(), measure, *comparison, *threshold);
        finding.subject.clone_from(&measure.name);
        finding.value = measure.value;
        finding.unknown = measure.unknown;
        finding.threshold = Some(*threshold);
        finding
    }

    /// A limit that the figures no longer name is no longer over its bound.
    fn in_dropped_limits(
        &self,
        rule: &Rule,
        metrics: &RiskMetrics,
        clock: Time,
        findings: &mut Vec<Finding>,
    ) {
        let scope = metrics.scope.as_str();
        let first = fingerprint(&rule.name, scope, None);
        let ours = self.conditions.range(first.clone()..).take_while(|(f, _)| f.starts_with(&first));
        for (_, track) in ours {
            let label = track.label.as_deref().unwrap_or_default();
            if metrics.limits.iter().any(|l| l.limit == label) {
                continue;
            }
            let mut finding = Finding::new(rule, scope, Some(label), metrics.event_time, clock);
            finding.holds = Some(false);
            label.clone_into(&mut finding.subject);
            finding.detail = format!("{scope}: the limit {label} is no longer in the configuration");
            findings.push(finding);
        }
    }

    pub(super) fn in_health(&self, health: &SystemHealth, clock: Time) -> Vec<Finding> {
        let mut findings = Vec::new();
        for rule in self.parameters.rules.iter().filter(|r| r.scope.matches(&health.component)) {
            let Condition::Health { raised_by, cleared_by, at_least } = &rule.condition else { continue };
            let holds = if health.kind == *raised_by {
                match health.status {
                    tapewatch_schemas::events::HealthStatus::Ok => Some(false),
                    status => (status >= *at_least).then_some(true),
                }
            } else {
                (*cleared_by == Some(health.kind)).then_some(false)
            };
            if holds.is_none() {
                continue;
            }
            let mut finding = Finding::new(rule, &health.component, None, health.event_time, clock);
            finding.holds = holds;
            finding.subject =
                health.topic.as_ref().map_or_else(|| health.component.clone(), ToString::to_string);
            finding.value = health.score;
            finding.detail = format!("{}: {}", health.component, health.message);
            findings.push(finding);
        }
        findings
    }

    pub(super) fn in_heartbeat(&self, beat: &Heartbeat, clock: Time) -> Vec<Finding> {
        let mut findings = Vec::new();
        let source = beat.source.as_str();
        // A source that writes nothing more anywhere may be silent.
        let closed = !beat.progress.is_empty() && beat.progress.iter().all(|p| p.closed);
        for rule in self.parameters.rules.iter().filter(|r| r.scope.matches(source)) {
            let Condition::Silence { longest } = &rule.condition else { continue };
            let mut finding = Finding::new(rule, source, None, beat.event_time, clock);
            let since = beat.event_time + *longest;
            let watched = self.conditions.get(&finding.fingerprint);
            if watched.is_some_and(|t| t.since > since) {
                continue;
            }
            finding.holds = Some(!closed);
            finding.silence = !closed;
            // Silent for longer, not for as long; and a late heartbeat is not answered in the past.
            finding.since = Time(since.micros().saturating_add(1));
            finding.not_before = Time(clock.micros().saturating_add(1));
            tapewatch_schemas::catalogue::HEARTBEATS.clone_into(&mut finding.subject);
            finding.detail = if closed {
                format!("{source} has said that it writes nothing more")
            } else {
                format!("{source} has sent no heartbeat since {}", beat.event_time)
            };
            findings.push(finding);
        }
        findings
    }
}

fn in_limit(
    parameters: &AlertingParameters,
    rule: &Rule,
    status: LimitStatus,
    state: &LimitState,
    metrics: &RiskMetrics,
    clock: Time,
) -> Finding {
    let scope = metrics.scope.as_str();
    let mut finding = Finding::new(rule, scope, Some(&state.limit), metrics.event_time, clock);
    finding.holds = match state.status {
        now if now == status => Some(true),
        LimitStatus::Unknown => None,
        _ => Some(false),
    };
    finding.not_before = match state.unknown {
        Some(Unknown::Missing) => first_record(state, metrics) + parameters.grace.missing,
        // What a new configuration measures begins to warm up when it is first measured.
        Some(Unknown::WarmingUp) => {
            let of_backtest = matches!(state.measure.parse(), Ok(Bounded::Light(..)));
            let Grace { warming_up, backtest, .. } = parameters.grace;
            let grace = if of_backtest { backtest } else { warming_up };
            first_record(state, metrics).max(state.since) + grace
        }
        _ => Time::MIN,
    };
    finding.subject.clone_from(&state.limit);
    finding.value = state.value;
    finding.unknown = state.unknown;
    finding.threshold = match status {
        LimitStatus::Breached => state.hard,
        LimitStatus::Warning => state.soft,
        _ => None,
    };
    finding.detail = limit_text(scope, state);
    finding
}

/// When the portfolio's first record came: the figures say for how long it has been observed.
fn first_record(state: &LimitState, metrics: &RiskMetrics) -> Time {
    let observed = metrics.measures.iter().find(|m| m.name == "observed_for").and_then(|m| m.value);
    observed.map_or(state.since, |seconds| {
        Time(metrics.event_time.micros().saturating_sub(libm::round(seconds * 1e6) as i64))
    })
}
