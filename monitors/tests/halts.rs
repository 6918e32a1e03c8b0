//! The latch of a halt: who raises it, who alone lowers it, and what it survives.

mod drive;

use drive::{Driver, at};
use tapewatch_monitors::alerting::{ControlParameters, Person};
use tapewatch_monitors::{AlertingParameters, Output};
use tapewatch_schemas::events::{
    AlertState, Control, ControlAction, ControlRequest, LimitState, LimitStatus, Occasion, Provenance,
    RequestKind, RiskMetrics, TradingLevel, Unknown,
};
use tapewatch_schemas::{Event, RecordId, Time};

use ControlAction::{Acknowledged, Lowered, Raised, Refused};
use RequestKind::{Acknowledge, Halt, ReduceOnly, Resume};

fn desk() -> Driver {
    let person = |name: &str, roles: &[&str]| Person {
        name: name.into(),
        roles: roles.iter().map(|role| (*role).into()).collect(),
    };
    let people = vec![person("ada", &["trader", "risk_officer"]), person("bob", &["trader"])];
    let control = ControlParameters { resume_role: "risk_officer".into(), people };
    Driver::alerting(AlertingParameters { control, ..AlertingParameters::default() })
}

fn limit(name: &str, status: LimitStatus, calls_for: TradingLevel) -> LimitState {
    let unknown = (status == LimitStatus::Unknown).then_some(Unknown::Stale);
    LimitState {
        limit: name.to_owned(),
        measure: name.to_owned(),
        status,
        previous: None,
        since: at(0),
        value: unknown.is_none().then_some(0.21),
        soft: None,
        hard: Some(0.2),
        utilisation: None,
        unknown,
        symbol: None,
        calls_for,
    }
}

fn figures(limits: Vec<LimitState>) -> Event {
    Event::RiskMetrics(RiskMetrics {
        provenance: Provenance::default(),
        id: RecordId::default(),
        event_time: Time(0),
        scope: "p".into(),
        occasion: Occasion::Transition,
        currency: "USD".into(),
        measures: vec![],
        limits,
    })
}

fn breach(calls_for: TradingLevel) -> Event {
    figures(vec![limit("drawdown", LimitStatus::Breached, calls_for)])
}

fn kept() -> Event {
    figures(vec![limit("drawdown", LimitStatus::Ok, TradingLevel::Normal)])
}

fn stale() -> Event {
    figures(vec![limit("drawdown", LimitStatus::Unknown, TradingLevel::Normal)])
}

fn asked(who: &str, request: RequestKind) -> ControlRequest {
    ControlRequest {
        source: who.into(),
        sequence: 0,
        event_time: Time(0),
        scope: "p".into(),
        request,
        halt: None,
        who: who.to_owned(),
        reason: "a drill".to_owned(),
        despite_breach: false,
    }
}

fn ask(who: &str, request: RequestKind) -> Event {
    Event::ControlRequest(asked(who, request))
}

fn controls(outputs: &[Output]) -> Vec<Control> {
    let control = |output: &Output| match &output.event {
        Event::Control(control) => Some(control.clone()),
        _ => None,
    };
    outputs.iter().filter_map(control).collect()
}

/// What was said about the level: nothing, or one thing.
fn said(outputs: &[Output]) -> Option<(ControlAction, TradingLevel)> {
    let controls = controls(outputs);
    assert!(controls.len() <= 1, "{controls:?}");
    controls.first().map(|control| (control.action, control.level))
}

/// The alerts about halts: rule, state.
fn told(outputs: &[Output]) -> Vec<(String, AlertState)> {
    let alert = |output: &Output| match &output.event {
        Event::Alert(alert) if alert.subject == "control.v1" => Some((alert.rule.clone(), alert.state)),
        _ => None,
    };
    outputs.iter().filter_map(alert).collect()
}

#[test]
fn a_breach_halts_and_nothing_but_a_person_with_the_role_resumes() {
    let mut d = desk();
    let raised = d.see(1, breach(TradingLevel::Halt));
    assert_eq!(said(&raised), Some((Raised, TradingLevel::Halt)));
    let control = &controls(&raised)[0];
    assert_eq!((control.limit.as_deref(), control.who.as_deref()), (Some("drawdown"), None));
    assert_eq!(control.reason, "limit drawdown: drawdown is 0.21, over 0.2");
    assert_eq!(told(&raised), [("trading_restricted".to_owned(), AlertState::Firing)]);

    // Not the limit itself, nor that nobody can tell, nor a start.
    assert_eq!(said(&d.see(2, breach(TradingLevel::Halt))), None);
    assert_eq!(said(&d.see(3, kept())), None);
    assert_eq!(said(&d.see(4, stale())), None);
    d.restart();

    for (second, who, why) in
        [(5, "eve", "eve is not among the people"), (6, "bob", "bob has not the role risk_officer")]
    {
        let refused = d.see(second, ask(who, Resume));
        assert_eq!(said(&refused), Some((Refused, TradingLevel::Halt)));
        assert!(controls(&refused)[0].reason.starts_with(why), "{:?}", controls(&refused)[0].reason);
    }
    let mut silent = asked("ada", Resume);
    silent.reason = "  ".to_owned();
    assert_eq!(said(&d.see(7, Event::ControlRequest(silent))), Some((Refused, TradingLevel::Halt)));

    let resumed = d.see(8, ask("ada", Resume));
    assert_eq!(said(&resumed), Some((Lowered, TradingLevel::Normal)));
    assert_eq!(controls(&resumed)[0].previous, TradingLevel::Halt);
    assert_eq!(told(&resumed), [("trading_restricted".to_owned(), AlertState::Resolved)]);
    // The next breach is another halt.
    let again = d.see(9, breach(TradingLevel::Halt));
    assert_ne!(controls(&again)[0].halt, control.halt);
}

#[test]
fn a_missing_acknowledgement_is_an_emergency_until_it_comes() {
    let mut d = desk();
    let halt = controls(&d.see(1, breach(TradingLevel::Halt)))[0].halt;
    let wrong = ControlRequest { halt: Some(RecordId::default()), ..asked("oms", Acknowledge) };
    assert_eq!(said(&d.see(5, Event::ControlRequest(wrong))), Some((Refused, TradingLevel::Halt)));
    assert_eq!(said(&d.see(6, ask("oms", Acknowledge))), Some((Refused, TradingLevel::Halt)));
    d.restart();
    assert_eq!(told(&d.run_to(30)), []);
    assert_eq!(told(&d.run_to(31)), [("halt_unacknowledged".to_owned(), AlertState::Firing)]);

    let right = ControlRequest { halt, ..asked("oms", Acknowledge) };
    let answered = d.see(40, Event::ControlRequest(right));
    assert_eq!(said(&answered), Some((Acknowledged, TradingLevel::Halt)));
    assert_eq!(controls(&answered)[0].acknowledged_by.as_deref(), Some("oms"));
    assert_eq!(told(&answered), [("halt_unacknowledged".to_owned(), AlertState::Resolved)]);

    // In time: no alert. A higher level is to be acknowledged anew.
    let mut d = desk();
    let reduce = controls(&d.see(1, breach(TradingLevel::ReduceOnly)))[0].halt;
    let in_time = ControlRequest { halt: reduce, ..asked("oms", Acknowledge) };
    d.see(2, Event::ControlRequest(in_time));
    assert_eq!(told(&d.run_to(100)), []);
    let higher = controls(&d.see(101, breach(TradingLevel::Halt)));
    assert_eq!((higher[0].level, higher[0].acknowledged_by.as_deref()), (TradingLevel::Halt, None));
    assert_ne!(higher[0].halt, reduce);
    assert_eq!(told(&d.run_to(140)), [("halt_unacknowledged".to_owned(), AlertState::Firing)]);
}

#[test]
fn while_a_limit_still_calls_a_resume_must_say_so() {
    let mut d = desk();
    d.see(1, breach(TradingLevel::Halt));
    let refused = d.see(2, ask("ada", Resume));
    assert_eq!(said(&refused), Some((Refused, TradingLevel::Halt)));
    assert!(controls(&refused)[0].reason.starts_with("a limit still calls for halt"));
    // That it cannot be told does not mean that it is kept.
    d.see(3, stale());
    assert_eq!(said(&d.see(4, ask("ada", Resume))), Some((Refused, TradingLevel::Halt)));

    let despite = ControlRequest { despite_breach: true, ..asked("ada", Resume) };
    assert_eq!(said(&d.see(5, Event::ControlRequest(despite))), Some((Lowered, TradingLevel::Normal)));
    assert_eq!(said(&d.see(6, breach(TradingLevel::Halt))), None);
    assert_eq!(said(&d.see(7, stale())), None);
    d.restart();
    assert_eq!(said(&d.see(8, breach(TradingLevel::Halt))), None);
    assert_eq!(said(&d.see(9, kept())), None);
    assert_eq!(said(&d.see(10, breach(TradingLevel::Halt))), Some((Raised, TradingLevel::Halt)));

    // What calls for more than was excused raises it.
    let mut d = desk();
    d.see(1, breach(TradingLevel::ReduceOnly));
    let despite = ControlRequest { despite_breach: true, ..asked("ada", Resume) };
    d.see(2, Event::ControlRequest(despite));
    assert_eq!(said(&d.see(3, breach(TradingLevel::Halt))), Some((Raised, TradingLevel::Halt)));
}

#[test]
fn anyone_may_halt_and_levels_are_left_one_by_one_or_at_once() {
    let mut d = desk();
    assert_eq!(said(&d.see(1, ask("bob", ReduceOnly))), Some((Raised, TradingLevel::ReduceOnly)));
    let raised = controls(&d.see(2, ask("bob", Halt)));
    assert_eq!((raised[0].action, raised[0].level), (Raised, TradingLevel::Halt));
    assert_eq!((raised[0].who.as_deref(), raised[0].reason.as_str()), (Some("bob"), "a drill"));
    assert_eq!(said(&d.see(3, ask("bob", Halt))), Some((Refused, TradingLevel::Halt)));
    // To reduce only is less than a halt: it needs the role, too.
    assert_eq!(said(&d.see(4, ask("bob", ReduceOnly))), Some((Refused, TradingLevel::Halt)));
    let lowered = controls(&d.see(5, ask("ada", ReduceOnly)));
    assert_eq!((lowered[0].action, lowered[0].level), (Lowered, TradingLevel::ReduceOnly));
    assert_eq!(lowered[0].halt, raised[0].halt);

    // One that names another halt came too late.
    let other = ControlRequest { halt: Some(RecordId::default()), ..asked("ada", Resume) };
    assert_eq!(said(&d.see(6, Event::ControlRequest(other))), Some((Refused, TradingLevel::ReduceOnly)));
    let this = ControlRequest { halt: raised[0].halt, ..asked("ada", Resume) };
    assert_eq!(said(&d.see(7, Event::ControlRequest(this))), Some((Lowered, TradingLevel::Normal)));
    assert_eq!(said(&d.see(8, ask("ada", Resume))), Some((Refused, TradingLevel::Normal)));
}

#[test]
fn the_limit_that_calls_for_most_is_named_and_the_least_changes_nothing() {
    let mut d = desk();
    let both = |leverage| {
        figures(vec![
            limit("leverage", LimitStatus::Breached, leverage),
            limit("drawdown", LimitStatus::Breached, TradingLevel::ReduceOnly),
        ])
    };
    let raised = controls(&d.see(1, both(TradingLevel::Normal)));
    assert_eq!((raised[0].level, raised[0].limit.as_deref()), (TradingLevel::ReduceOnly, Some("drawdown")));
    let raised = controls(&d.see(2, both(TradingLevel::Halt)));
    assert_eq!((raised[0].level, raised[0].limit.as_deref()), (TradingLevel::Halt, Some("leverage")));
    assert_eq!(said(&d.see(3, both(TradingLevel::ReduceOnly))), None);
}
