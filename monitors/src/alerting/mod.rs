//! The alerting monitor: rules over risk figures, limit states, the pipeline's health and heartbeats; and the latch of
//! every halt, which alone says what trading is allowed to do; and what is traded all the same.
//!
//! A *condition* is one rule's condition about one scope and, for limits, one limit. Its fingerprint names
//! these, so the same condition is the same alert when it comes again. It fires once it has held for the
//! rule's time, on the task's clock, and is resolved when it no longer holds. One alert is published per
//! change, never one per look.
//!
//! What is unknown is not fine: a breach or a warning stands until a known value ends it, and beside it the
//! rule on unknown limits says that nobody can tell.

mod alert;
mod condition;
mod containment;
mod latch;
mod parameters;
mod state;
mod trades;

use std::collections::{BTreeMap, BTreeSet};

pub use parameters::{
    AlertingParameters, Comparison, Condition, ControlParameters, Grace, Pattern, Person, Rule, default_rules,
};
use smol_str::SmolStr;
use tapewatch_schemas::catalogue::HOLDINGS;
use tapewatch_schemas::events::{AlertState, Cause};
use tapewatch_schemas::{Event, Time};

use crate::monitor::{Monitor, Output, Refusal, Seen, SourceChange, SourceSkip, StateError};
use condition::Finding;
use containment::Book;
use latch::Latch;
use state::Track;

/// The alerts of one task.
#[derive(Debug)]
pub struct AlertingMonitor {
    parameters: AlertingParameters,
    clock: Time,
    /// The conditions that hold, by fingerprint; also the silences that will, if no heartbeat comes.
    conditions: BTreeMap<String, Track>,
    /// Those that have not fired, by when they will.
    pending: BTreeSet<(Time, String)>,
    /// Those whose rule is no longer in the configuration: resolved at the next step.
    orphans: BTreeSet<String>,
    /// True if rules are new since the latches were saved: they are shown to them at the next step.
    unshown: bool,
    /// What is in force, by scope; a scope that is not here trades as it likes.
    latches: BTreeMap<SmolStr, Latch>,
    /// What each portfolio held last.
    books: BTreeMap<SmolStr, Book>,
    /// The lines of all of them.
    lines: usize,
}

impl AlertingMonitor {
    /// A monitor that has seen nothing.
    pub fn new(parameters: AlertingParameters) -> Self {
        Self {
            parameters,
            clock: Time::MIN,
            conditions: BTreeMap::new(),
            pending: BTreeSet::new(),
            orphans: BTreeSet::new(),
            unshown: false,
            latches: BTreeMap::new(),
            books: BTreeMap::new(),
            lines: 0,
        }
    }

    /// What it was told.
    pub fn parameters(&self) -> &AlertingParameters {
        &self.parameters
    }

    fn rule(&self, name: &SmolStr) -> Option<&Rule> {
        self.parameters.rules.iter().find(|r| r.name == *name)
    }

    /// That there is room for the conditions that begin with these findings.
    fn room(&self, findings: &[Finding]) -> Result<(), Refusal> {
        let begins = |f: &&Finding| f.holds == Some(true) && !self.conditions.contains_key(&f.fingerprint);
        let more = findings.iter().filter(begins).count();
        let bound = self.parameters.max_conditions + self.conditions_of_latches();
        if more > 0 && self.conditions.len() + more > bound {
            return Err(Refusal {
                field: "scope",
                problem: format!("{} conditions hold already and this adds {more}", self.conditions.len()),
                expected: "no more conditions at once than the bound",
            });
        }
        let watched = |f: &&Finding| begins(f) && f.silence;
        let more = findings.iter().filter(watched).count();
        if more > 0 {
            let sources = self.conditions.values().filter(|t| t.silence).count();
            if sources + more > self.parameters.max_sources {
                return Err(Refusal {
                    field: "source",
                    problem: format!("{sources} sources are watched already and this adds {more}"),
                    expected: "no more sources watched for silence than the bound",
                });
            }
        }
        Ok(())
    }

    /// Takes what a record says about one condition.
    fn take(&mut self, finding: Finding, cause: &Cause, out: &mut Vec<Output>) {
        match finding.holds {
            None => {}
            Some(false) => self.end(finding, cause, out),
            Some(true) => self.hold(finding, cause, out),
        }
    }

    /// A condition does not hold.
    fn end(&mut self, finding: Finding, cause: &Cause, out: &mut Vec<Output>) {
        let Some(mut track) = self.conditions.remove(&finding.fingerprint) else { return };
        if !track.firing {
            self.pending.remove(&(track.due, finding.fingerprint));
            return;
        }
        track.say(&finding);
        self.publish(&finding.fingerprint, &track, AlertState::Resolved, cause, out);
    }

    /// A condition holds, now or from `finding.since` on.
    fn hold(&mut self, finding: Finding, cause: &Cause, out: &mut Vec<Output>) {
        let Some(hold) = self.rule(&finding.rule).map(|rule| rule.hold) else { return };
        let Finding { ref fingerprint, not_before, .. } = finding;
        let known = self.conditions.remove(fingerprint);
        let was_firing = known.as_ref().is_some_and(|t| t.firing);
        if was_firing && !finding.silence {
            let mut track = known.expect("it is firing");
            track.say(&finding);
            self.conditions.insert(finding.fingerprint, track);
            return;
        }
        if let Some(track) = &known {
            self.pending.remove(&(track.due, fingerprint.clone()));
        }
        if was_firing {
            // A heartbeat after a silence: the silence is over, and the next is waited for.
            let mut track = known.clone().expect("it is firing");
            track.detail = format!("{} has sent a heartbeat again", track.scope);
            self.publish(fingerprint, &track, AlertState::Resolved, cause, out);
        }
        let since = match &known {
            Some(track) if !finding.silence => track.since,
            _ => finding.since,
        };
        let mut track = Track::new(&finding, since, (since + hold).max(not_before));
        track.firing = track.due <= self.clock && !finding.silence;
        if track.firing {
            self.publish(fingerprint, &track, AlertState::Firing, cause, out);
        } else {
            self.pending.insert((track.due, fingerprint.clone()));
        }
        self.conditions.insert(finding.fingerprint, track);
    }

    /// Fires what is due.
    fn fire_due(&mut self, cause: &Cause, out: &mut Vec<Output>) {
        while self.pending.first().is_some_and(|(due, _)| *due <= self.clock) {
            let Some((_, fingerprint)) = self.pending.pop_first() else { return };
            let Some(mut track) = self.conditions.remove(&fingerprint) else { continue };
            track.firing = true;
            self.publish(&fingerprint, &track, AlertState::Firing, cause, out);
            self.conditions.insert(fingerprint, track);
        }
    }

    /// Resolves what the configuration no longer asks about, and looks at halts as it now does.
    fn resolve_orphans(&mut self, cause: &Cause, out: &mut Vec<Output>) {
        if std::mem::take(&mut self.unshown) {
            for finding in self.in_latches() {
                self.take(finding, cause, out);
            }
        }
        while let Some(fingerprint) = self.orphans.pop_first() {
            let Some(mut track) = self.conditions.remove(&fingerprint) else { continue };
            track.detail = format!("the rule {} is no longer in the configuration", track.rule);
            if track.firing {
                self.publish(&fingerprint, &track, AlertState::Resolved, cause, out);
            }
        }
    }
}

impl Monitor for AlertingMonitor {
    fn observe(&mut self, seen: &Seen<'_>, out: &mut Vec<Output>) -> Result<(), Refusal> {
        let clock = self.clock.max(seen.clock);
        let mut findings = match seen.event {
            Event::RiskMetrics(metrics) => self.in_figures(metrics, clock),
            Event::SystemHealth(health) => self.in_health(health, clock),
            Event::Heartbeat(beat) => self.in_heartbeat(beat, clock),
            Event::Holdings(_) | Event::ControlRequest(_) => Vec::new(),
            other => {
                return Err(Refusal {
                    field: "topic",
                    problem: format!("a record of {}", other.topic()),
                    expected: "risk metrics, holdings, system health, heartbeats or requests of control",
                });
            }
        };
        if let Err(refusal) = self.room(&findings) {
            match seen.event {
                // A halt is worth more than to be told of it.
                Event::RiskMetrics(metrics) if latch::calls(metrics) => {
                    findings.retain(|finding| self.conditions.contains_key(&finding.fingerprint));
                }
                _ => return Err(refusal),
            }
        }
        self.clock = clock;
        self.resolve_orphans(seen.cause, out);
        for finding in findings {
            self.take(finding, seen.cause, out);
        }
        match seen.event {
            Event::RiskMetrics(metrics) => {
                self.heed_trades(metrics, seen.cause, out);
                self.heed_limits(metrics, seen.cause, out);
            }
            Event::Holdings(holdings) => self.heed_book(holdings, seen.cause, out),
            Event::ControlRequest(request) => self.heed_request(request, seen.cause, out),
            _ => {}
        }
        Ok(())
    }

    /// Nothing but books rests on a source that is down: what its breaker says comes as a record of health, and
    /// conditions stay as they are.
    fn source(&mut self, change: &SourceChange, out: &mut Vec<Output>) {
        self.clock = self.clock.max(change.clock);
        self.resolve_orphans(&change.cause, out);
        if change.down && change.topic.as_str() == HOLDINGS {
            self.lose_books(&change.cause, out);
        }
    }

    fn skipped(&mut self, skip: &SourceSkip, out: &mut Vec<Output>) {
        self.clock = self.clock.max(skip.clock);
        if skip.topic.as_str() == HOLDINGS {
            self.lose_books(&Cause::Injected { kind: "seek", time: skip.clock }, out);
        }
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        self.clock = self.clock.max(now);
        let cause = Cause::Injected { kind: "tick", time: now };
        self.resolve_orphans(&cause, out);
        self.fire_due(&cause, out);
    }

    fn next_deadline(&self) -> Option<Time> {
        if self.unshown || !self.orphans.is_empty() {
            return Some(Time(self.clock.micros().saturating_add(1)));
        }
        self.pending.first().map(|(due, _)| *due)
    }

    fn save(&self) -> Vec<u8> {
        self.to_bytes()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StateError> {
        self.put_back(state)
    }
}
