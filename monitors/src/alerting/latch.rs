//! The latch of every halt: what trading in a scope is allowed to do.
//!
//! Limits and people raise it, at once. Nothing but a request of a named person lowers it: not that a limit is kept
//! again, nor that the worker starts anew. While a limit still calls for a level, leaving it must be asked for as
//! such; the limit then calls again once it was kept in between, or calls for more.

use serde::{Deserialize, Serialize};
use tapewatch_schemas::events::{
    Cause, Control, ControlAction, ControlRequest, LimitState, LimitStatus, Provenance, RequestKind,
    RiskMetrics, TradingLevel,
};
use tapewatch_schemas::{Event, RecordId, Scope, Time};

use super::AlertingMonitor;
use super::condition::Finding;
use crate::monitor::{Ages, Output, Refusal};

/// What is in force for one scope, or was and may be again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Latch {
    pub(super) level: TradingLevel,
    /// What acknowledgements and resumes name; none at the level `Normal`.
    pub(super) halt: Option<RecordId>,
    since: Time,
    who: Option<String>,
    limit: Option<String>,
    reason: String,
    pub(super) acknowledged_by: Option<String>,
    /// What limits called for when last looked at.
    called: TradingLevel,
    /// Limits that call for no more than this do not raise it: a person left it despite them.
    excused: TradingLevel,
}

impl Latch {
    fn at_rest(clock: Time) -> Self {
        Self {
            level: TradingLevel::Normal,
            halt: None,
            since: clock,
            who: None,
            limit: None,
            reason: String::new(),
            acknowledged_by: None,
            called: TradingLevel::Normal,
            excused: TradingLevel::Normal,
        }
    }

    /// True if it is as if it had never been.
    fn is_at_rest(&self) -> bool {
        [self.level, self.called, self.excused].iter().all(|level| *level == TradingLevel::Normal)
    }

    fn record(&self, scope: &Scope, action: ControlAction, previous: TradingLevel, clock: Time) -> Control {
        Control {
            provenance: Provenance::default(),
            id: RecordId::default(),
            event_time: clock,
            scope: scope.clone(),
            action,
            level: self.level,
            previous,
            halt: self.halt,
            since: self.since,
            who: self.who.clone(),
            limit: self.limit.clone(),
            reason: self.reason.clone(),
            acknowledged_by: self.acknowledged_by.clone(),
        }
    }

    /// What it says to people.
    pub(super) fn text(&self, scope: &str) -> String {
        let by = match (&self.who, &self.limit) {
            (Some(who), _) => format!("asked for by {who}: {}", self.reason),
            (None, _) => self.reason.clone(),
        };
        format!("{scope}: {} since {}, {by}", words(self.level), self.since)
    }
}

/// A level for people.
pub(super) const fn words(level: TradingLevel) -> &'static str {
    match level {
        TradingLevel::Normal => "trading is allowed",
        TradingLevel::ReduceOnly => "trading may only reduce",
        TradingLevel::Halt => "trading is halted",
    }
}

impl AlertingMonitor {
    /// That there is room for one more scope.
    pub(super) fn room_for_latch(&self, scope: &Scope) -> Result<(), Refusal> {
        if self.latches.len() < self.parameters.max_conditions || self.latches.contains_key(scope.as_str()) {
            return Ok(());
        }
        Err(Refusal {
            field: "scope",
            problem: format!("{} scopes are halted already and this is another", self.latches.len()),
            expected: "no more halts at once than the bound on conditions",
        })
    }

    /// True if these figures call for what the scope's latch must remember.
    pub(super) fn is_called(metrics: &RiskMetrics) -> bool {
        metrics.limits.iter().any(|limit| limit.calls_for > TradingLevel::Normal)
    }

    /// Takes what limits call for.
    pub(super) fn heed_limits(&mut self, metrics: &RiskMetrics, cause: &Cause, out: &mut Vec<Output>) {
        let scope = metrics.scope.as_str();
        let Some(mut latch) = self
            .latches
            .remove(scope)
            .or_else(|| Self::is_called(metrics).then(|| Latch::at_rest(self.clock)))
        else {
            return;
        };
        let calls = metrics.limits.iter().max_by_key(|limit| limit.calls_for);
        let mut called = calls.map_or(TradingLevel::Normal, |limit| limit.calls_for);
        if metrics.limits.iter().any(|limit| limit.status == LimitStatus::Unknown) {
            // It may be the one that called: what cannot be said is not fine.
            called = called.max(latch.called);
        }
        latch.called = called;
        latch.excused = latch.excused.min(called);
        let previous = latch.level;
        if let Some(limit) = calls.filter(|_| called > previous.max(latch.excused)) {
            latch.level = called;
            latch.halt = Some(RecordId::of_halt(scope, &cause.to_string()));
            latch.since = self.clock;
            (latch.who, latch.limit) = (None, Some(limit.limit.clone()));
            latch.reason = calling(limit);
            latch.acknowledged_by = None;
            self.say(&metrics.scope, &latch, ControlAction::Raised, previous, metrics.event_time, cause, out);
        }
        if !latch.is_at_rest() {
            self.latches.insert(scope.into(), latch);
        }
    }

    /// Takes what someone asks for.
    pub(super) fn heed_request(&mut self, request: &ControlRequest, cause: &Cause, out: &mut Vec<Output>) {
        let known = self.latches.remove(request.scope.as_str());
        let mut latch = known.unwrap_or_else(|| Latch::at_rest(self.clock));
        let previous = latch.level;
        match self.meet(&mut latch, request, cause) {
            Ok(action) => {
                self.say(&request.scope, &latch, action, previous, request.event_time, cause, out);
            }
            Err(why) => {
                let refused = Control {
                    who: Some(request.who.clone()),
                    limit: None,
                    reason: why,
                    ..latch.record(&request.scope, ControlAction::Refused, previous, self.clock)
                };
                out.push(self.output(refused, request.event_time));
            }
        }
        if !latch.is_at_rest() {
            self.latches.insert(request.scope.as_str().into(), latch);
        }
    }

    /// Does what is asked for, or says why not.
    fn meet(
        &self,
        latch: &mut Latch,
        request: &ControlRequest,
        cause: &Cause,
    ) -> Result<ControlAction, String> {
        if [&request.who, &request.reason].iter().any(|words| words.trim().is_empty()) {
            return Err("a request needs who asks and why".to_owned());
        }
        if request.halt.is_some() && request.halt != latch.halt {
            let there = latch.halt.map_or_else(|| "there is none".to_owned(), |halt| format!("it is {halt}"));
            return Err(format!("the halt that it names is not the one in force: {there}"));
        }
        let target = match request.request {
            RequestKind::Halt => TradingLevel::Halt,
            RequestKind::ReduceOnly => TradingLevel::ReduceOnly,
            RequestKind::Resume => TradingLevel::Normal,
            RequestKind::Acknowledge => {
                if request.halt.is_none() {
                    return Err("an acknowledgement must name the halt".to_owned());
                }
                latch.acknowledged_by = Some(request.who.clone());
                return Ok(ControlAction::Acknowledged);
            }
        };
        if target == latch.level {
            return Err(format!("{} already", words(target)));
        }
        let lowers = target < latch.level;
        if lowers {
            self.may_lower(&request.who)?;
            if latch.called > target && !request.despite_breach {
                return Err(format!(
                    "a limit still calls for {}: wait until it is kept, or ask for it despite the breach",
                    latch.called.as_str()
                ));
            }
            latch.excused = latch.called;
        } else {
            latch.acknowledged_by = None;
        }
        latch.halt = match target {
            TradingLevel::Normal => None,
            _ if lowers => latch.halt,
            _ => Some(RecordId::of_halt(request.scope.as_str(), &cause.to_string())),
        };
        if target == TradingLevel::Normal {
            latch.acknowledged_by = None;
        }
        (latch.level, latch.since) = (target, self.clock);
        (latch.who, latch.limit) = (Some(request.who.clone()), None);
        latch.reason.clone_from(&request.reason);
        Ok(if lowers { ControlAction::Lowered } else { ControlAction::Raised })
    }

    fn may_lower(&self, who: &str) -> Result<(), String> {
        let control = &self.parameters.control;
        let Some(person) = control.people.iter().find(|person| person.name == who) else {
            return Err(format!(
                "{who} is not among the people of the configuration (alerting.control.people)"
            ));
        };
        if person.roles.contains(&control.resume_role) {
            return Ok(());
        }
        Err(format!("{who} has not the role {}, which a resume needs", control.resume_role))
    }

    /// Publishes what is in force, and shows it to the rules.
    #[expect(clippy::too_many_arguments, reason = "one call says all of it")]
    fn say(
        &mut self,
        scope: &Scope,
        latch: &Latch,
        action: ControlAction,
        previous: TradingLevel,
        event_time: Time,
        cause: &Cause,
        out: &mut Vec<Output>,
    ) {
        out.push(self.output(latch.record(scope, action, previous, self.clock), event_time));
        for finding in self.in_latch(scope.as_str(), latch, event_time) {
            self.take(finding, cause, out);
        }
    }

    fn output(&self, control: Control, event_time: Time) -> Output {
        let age = Some(self.clock.since(event_time).max(0));
        Output { event: Event::Control(control), ages: Ages { freshest: age, stalest: age } }
    }

    fn in_latch(&self, scope: &str, latch: &Latch, event_time: Time) -> Vec<Finding> {
        let rules = self.parameters.rules.iter().filter(|rule| rule.scope.matches(scope));
        rules.filter_map(|rule| Finding::of_latch(rule, scope, latch, event_time, self.clock)).collect()
    }
}

/// Why a limit calls for a level.
fn calling(limit: &LimitState) -> String {
    let bound = match limit.status {
        LimitStatus::Breached => limit.hard,
        _ => limit.soft,
    };
    let number = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), super::alert::number);
    format!("limit {}: {} is {}, over {}", limit.limit, limit.measure, number(limit.value), number(bound))
}
