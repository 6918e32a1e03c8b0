//! The latch of every halt: what trading in a scope is allowed to do.
//!
//! Limits and people raise it, at once. Nothing but a request of a named person lowers it: not that a limit is kept
//! again, nor that the worker starts anew. While a limit still calls for a level, leaving it must be asked for as
//! such; that limit then calls again once it was kept in between, or calls for more. Other limits call as before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use tapewatch_schemas::events::{
    AlertState, Cause, Control, ControlAction, ControlRequest, LimitState, LimitStatus, Provenance,
    RequestKind, RiskMetrics, TradingLevel,
};
use tapewatch_schemas::{Event, RecordId, Scope, Time};

use super::AlertingMonitor;
use super::condition::Finding;
use super::containment::{Guard, MOST_SYMBOLS};
use super::parameters::Condition;
use crate::monitor::{Ages, Output};

/// Scopes of a task that people may have halted or reduced at once. Limits are not bound by it: the portfolios that
/// risk watches are.
pub(super) const MOST_ASKED: usize = 10_000;
/// Bytes of a name or a reason that a request gives.
const LONGEST_WORDS: usize = 512;

/// What is in force for one scope, or was and may be again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Latch {
    pub(super) level: TradingLevel,
    /// What acknowledgements and resumes name; none at the level `Normal`.
    halt: Option<RecordId>,
    pub(super) since: Time,
    who: Option<String>,
    limit: Option<String>,
    reason: String,
    pub(super) acknowledged_by: Option<String>,
    /// The event time of what raised or lowered it last.
    event_time: Time,
    /// What each limit called for when it was last known; those that call for nothing are not here.
    calls: BTreeMap<SmolStr, TradingLevel>,
    /// What is expected of trades under it.
    pub(super) guard: Guard,
    /// Limits that do not raise it while they call for no more than this: a person left it despite them.
    excused: BTreeMap<SmolStr, TradingLevel>,
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
            event_time: clock,
            calls: BTreeMap::new(),
            guard: Guard::default(),
            excused: BTreeMap::new(),
        }
    }

    /// True if it is as if it had never been.
    fn is_at_rest(&self) -> bool {
        self.level == TradingLevel::Normal && self.calls.is_empty()
    }

    /// Notes what limits call for, and finds the one that calls for most of what is not in force and not excused.
    fn heed<'a>(&mut self, limits: &'a [LimitState]) -> Option<&'a LimitState> {
        let mut calls = BTreeMap::new();
        let mut most: Option<&LimitState> = None;
        for limit in limits {
            let name = SmolStr::new(&limit.limit);
            // What cannot be said is not fine: what it called for before stands.
            let known = limit.status != LimitStatus::Unknown;
            let before = self.calls.get(&name).copied().unwrap_or_default();
            let call = if known { limit.calls_for } else { before };
            let excused = self.excused.get(&name).copied().unwrap_or_default().min(call);
            let raises = known && call > self.level.max(excused);
            if raises && most.is_none_or(|other| call > other.calls_for) {
                most = Some(limit);
            }
            if excused == TradingLevel::Normal {
                self.excused.remove(&name);
            } else {
                self.excused.insert(name.clone(), excused);
            }
            if call > TradingLevel::Normal {
                calls.insert(name, call);
            }
        }
        // Limits that are no longer configured call for nothing.
        self.excused.retain(|name, _| calls.contains_key(name));
        self.calls = calls;
        most
    }

    /// The limit that calls for most, and for what.
    fn called(&self) -> Option<(&SmolStr, TradingLevel)> {
        self.calls.iter().max_by_key(|(_, call)| **call).map(|(name, call)| (name, *call))
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
            refused: None,
            problem: None,
        }
    }

    /// What it says to people.
    pub(super) fn text(&self, scope: &str) -> String {
        let by = match &self.who {
            Some(who) => format!("asked for by {who}: {}", self.reason),
            None => self.reason.clone(),
        };
        format!("{scope}: {} since {}, {by}", words(self.level), self.since)
    }

    /// The halt's name, behind other words.
    pub(super) fn named(&self) -> String {
        self.halt.map_or_else(String::new, |halt| format!("; halt {halt}"))
    }
}

/// A level for people.
const fn words(level: TradingLevel) -> &'static str {
    match level {
        TradingLevel::Normal => "trading is allowed",
        TradingLevel::ReduceOnly => "trading may only reduce",
        TradingLevel::Halt => "trading is halted",
    }
}

/// What moved a latch, and when it happened.
struct Moved<'a> {
    scope: &'a Scope,
    action: ControlAction,
    previous: TradingLevel,
    event_time: Time,
    cause: &'a Cause,
}

impl AlertingMonitor {
    /// Takes what limits call for.
    pub(super) fn heed_limits(&mut self, metrics: &RiskMetrics, cause: &Cause, out: &mut Vec<Output>) {
        let scope = metrics.scope.as_str();
        let known = self.latches.remove(scope);
        if known.is_none() && !calls(metrics) {
            return;
        }
        let mut latch = known.unwrap_or_else(|| Latch::at_rest(self.clock));
        let previous = latch.level;
        if let Some(limit) = latch.heed(&metrics.limits) {
            latch.level = limit.calls_for;
            latch.halt = Some(RecordId::of_halt(scope, &cause.to_string()));
            (latch.since, latch.event_time) = (self.clock, metrics.event_time);
            (latch.who, latch.limit) = (None, Some(limit.limit.clone()));
            latch.reason = calling(limit);
            latch.acknowledged_by = None;
            let action = ControlAction::Raised;
            let (scope, event_time) = (&metrics.scope, metrics.event_time);
            self.guard(scope.as_str(), &mut latch, action, previous, event_time);
            self.say(&latch, &Moved { scope, action, previous, event_time, cause }, out);
        }
        self.keep(scope, latch);
    }

    /// Takes what someone asks for.
    pub(super) fn heed_request(&mut self, request: &ControlRequest, cause: &Cause, out: &mut Vec<Output>) {
        let (scope, event_time) = (&request.scope, request.event_time);
        let known = self.latches.remove(scope.as_str());
        let full = known.is_none() && self.latches.len() >= MOST_ASKED;
        let mut latch = known.unwrap_or_else(|| Latch::at_rest(self.clock));
        let previous = latch.level;
        let met = if full {
            Err(format!("there are {MOST_ASKED} halts already, and this would be another"))
        } else {
            self.meet(&mut latch, request, cause)
        };
        match met {
            Ok(action) => {
                self.guard(scope.as_str(), &mut latch, action, previous, event_time);
                self.say(&latch, &Moved { scope, action, previous, event_time, cause }, out);
            }
            Err(why) => {
                let refused = Control {
                    refused: Some(beginning(&request.who)),
                    problem: Some(why),
                    ..latch.record(scope, ControlAction::Refused, previous, self.clock)
                };
                out.push(self.output(refused, event_time));
            }
        }
        self.keep(scope.as_str(), latch);
    }

    fn keep(&mut self, scope: &str, latch: Latch) {
        if !latch.is_at_rest() {
            self.latches.insert(scope.into(), latch);
        }
    }

    /// Does what is asked for, or says why not.
    fn meet(
        &self,
        latch: &mut Latch,
        request: &ControlRequest,
        cause: &Cause,
    ) -> Result<ControlAction, String> {
        for (name, words) in [("who", &request.who), ("reason", &request.reason)] {
            if words.trim().is_empty() || words.len() > LONGEST_WORDS {
                let size = words.len();
                return Err(format!(
                    "{name} has {size} bytes, blanks too: expected words of 1 to {LONGEST_WORDS}"
                ));
            }
        }
        if request.halt.is_some() && request.halt != latch.halt {
            let there = latch.halt.map_or_else(|| "there is none".to_owned(), |halt| format!("it is {halt}"));
            return Err(format!("the halt that it names is not the one in force: {there}"));
        }
        let (target, lowers) = match request.request {
            RequestKind::Halt => (TradingLevel::Halt, false),
            RequestKind::ReduceOnly => (TradingLevel::ReduceOnly, false),
            RequestKind::ResumeReduceOnly => (TradingLevel::ReduceOnly, true),
            RequestKind::Resume => (TradingLevel::Normal, true),
            RequestKind::Acknowledge => {
                if request.halt.is_none() {
                    return Err("an acknowledgement must name the halt".to_owned());
                }
                latch.acknowledged_by = Some(request.who.clone());
                return Ok(ControlAction::Acknowledged);
            }
        };
        let beyond = if lowers { target >= latch.level } else { target <= latch.level };
        if beyond {
            return Err(format!("{} already", words(latch.level)));
        }
        if lowers {
            self.may_lower(&request.who)?;
            if let Some((limit, call)) = latch.called().filter(|(_, call)| *call > target)
                && !request.despite_breach
            {
                let call = call.as_str();
                return Err(format!(
                    "the limit {limit} still calls for {call}: wait until it is kept, or ask for it despite the breach"
                ));
            }
            let over = latch.calls.iter().filter(|(_, call)| **call > target);
            latch.excused.extend(over.map(|(name, call)| (name.clone(), *call)));
        }
        if !lowers || target == TradingLevel::Normal {
            let raised = RecordId::of_halt(request.scope.as_str(), &cause.to_string());
            latch.halt = (!lowers).then_some(raised);
            latch.acknowledged_by = None;
        }
        (latch.level, latch.since, latch.event_time) = (target, self.clock, request.event_time);
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
    fn say(&mut self, latch: &Latch, moved: &Moved<'_>, out: &mut Vec<Output>) {
        let Moved { scope, action, previous, event_time, cause } = *moved;
        out.push(self.output(latch.record(scope, action, previous, self.clock), event_time));
        for finding in self.in_latch(scope.as_str(), latch) {
            if action == ControlAction::Raised {
                self.forget(&finding, cause, out);
            }
            self.take(finding, cause, out);
        }
        if action == ControlAction::Lowered {
            self.forgive(scope.as_str(), latch, cause, out);
        }
    }

    /// Of more than there was is told anew, and there is the whole time again to acknowledge it.
    pub(super) fn forget(&mut self, finding: &Finding, cause: &Cause, out: &mut Vec<Output>) {
        let Some(track) = self.conditions.remove(&finding.fingerprint) else { return };
        if !track.firing {
            self.pending.remove(&(track.due, finding.fingerprint.clone()));
        } else if self.rule(&track.rule).is_some_and(|rule| !rule.hold.is_zero()) {
            // Else it fires again now, and is not resolved in between.
            self.publish(&finding.fingerprint, &track, AlertState::Resolved, cause, out);
        }
    }

    fn output(&self, control: Control, event_time: Time) -> Output {
        let age = Some(self.clock.since(event_time).max(0));
        Output { event: Event::Control(control), ages: Ages { freshest: age, stalest: age } }
    }

    fn in_latch(&self, scope: &str, latch: &Latch) -> Vec<Finding> {
        let rules = self.parameters.rules.iter().filter(|rule| rule.scope.matches(scope));
        let time = latch.event_time;
        rules.filter_map(|rule| Finding::of_latch(rule, scope, latch, time, self.clock)).collect()
    }

    /// What rules that are new since the latches were saved find in them.
    pub(super) fn in_latches(&self) -> Vec<Finding> {
        let all = self.latches.iter().flat_map(|(scope, latch)| self.in_latch(scope, latch));
        let new = |one: &Finding| one.holds == Some(true) && !self.conditions.contains_key(&one.fingerprint);
        all.filter(new).collect()
    }

    /// The most conditions that latches may have: these do not count against the bound on the others, so that halts
    /// cannot keep limits from being looked at.
    pub(super) fn conditions_of_latches(&self) -> usize {
        let of_rule = |rule: &super::Rule| match rule.condition {
            Condition::Halt { .. } => 1,
            Condition::Containment { .. } => MOST_SYMBOLS + 1,
            _ => 0,
        };
        self.latches.len() * self.parameters.rules.iter().map(of_rule).sum::<usize>()
    }
}

/// True if these figures call for less than everything.
pub(super) fn calls(metrics: &RiskMetrics) -> bool {
    metrics.limits.iter().any(|limit| limit.calls_for > TradingLevel::Normal)
}

/// As much of a name as may be told.
fn beginning(words: &str) -> String {
    words.chars().take(LONGEST_WORDS / 4).collect()
}

/// Why a limit calls for a level.
fn calling(limit: &LimitState) -> String {
    let bound = match limit.status {
        LimitStatus::Breached => limit.hard,
        _ => limit.soft,
    };
    let over = bound.map_or_else(|| "unknown".to_owned(), super::alert::number);
    format!("limit {}: {} is {}, over {over}", limit.limit, limit.measure, super::alert::value_text(limit))
}
