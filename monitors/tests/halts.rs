//! The latch of a halt: who raises it, who alone lowers it, and what it survives.

mod drive;

use drive::{Driver, at};
use tapewatch_monitors::alerting::{ControlParameters, Person};
use tapewatch_monitors::{AlertingMonitor, AlertingParameters, Monitor, Output, Seen};
use tapewatch_schemas::events::{
    AlertState, Cause, Control, ControlAction, ControlRequest, LimitState, LimitStatus, Occasion, Provenance,
    RequestKind, RiskMetrics, TradingLevel, Unknown,
};
use tapewatch_schemas::{Event, RecordId, Time};

use ControlAction::{Acknowledged, Lowered, Raised, Refused};
use RequestKind::{Acknowledge, Halt, ReduceOnly, Resume, ResumeReduceOnly};

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
        of_equity: false,
        overridden: None,
        symbols: Vec::new(),
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
        let refused = &controls(&refused)[0];
        assert!(refused.problem.as_deref().unwrap().starts_with(why), "{refused:?}");
        // What is in force is said as it is.
        assert_eq!((refused.refused.as_deref(), refused.limit.as_deref()), (Some(who), Some("drawdown")));
        assert_eq!(refused.reason, control.reason);
    }
    for reason in ["  ".to_owned(), "x".repeat(600)] {
        let wordy = ControlRequest { reason, ..asked("ada", Resume) };
        assert_eq!(said(&d.see(7, Event::ControlRequest(wordy))), Some((Refused, TradingLevel::Halt)));
    }

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
    assert_eq!(told(&d.run_to(130)), []);
    assert_eq!(told(&d.run_to(131)), [("halt_unacknowledged".to_owned(), AlertState::Firing)]);
}

#[test]
fn of_a_halt_after_less_is_told_anew() {
    let mut d = desk();
    d.see(1, breach(TradingLevel::ReduceOnly));
    d.run_to(31);
    let raised = d.see(40, breach(TradingLevel::Halt));
    let firing = |rule: &str| (rule.to_owned(), AlertState::Firing);
    let resolved = |rule: &str| (rule.to_owned(), AlertState::Resolved);
    assert_eq!(told(&raised), [firing("trading_restricted"), resolved("halt_unacknowledged")]);
    let words = |output: &Output| match &output.event {
        Event::Alert(alert) => alert.message.contains("trading is halted"),
        _ => false,
    };
    assert!(raised.iter().any(words), "{raised:?}");
    assert_eq!(told(&d.run_to(69)), []);
    assert_eq!(told(&d.run_to(70)), [firing("halt_unacknowledged")]);
    let ended = ControlRequest { despite_breach: true, ..asked("ada", Resume) };
    let ended = d.see(80, Event::ControlRequest(ended));
    assert_eq!(told(&ended), [resolved("trading_restricted"), resolved("halt_unacknowledged")]);
}

#[test]
fn a_halt_stands_when_its_limit_is_no_longer_in_force_and_a_person_may_end_it() {
    let off = || figures(vec![limit("drawdown", LimitStatus::NotInForce, TradingLevel::Normal)]);
    let mut d = desk();
    d.see(1, breach(TradingLevel::Halt));
    let resume = || Event::ControlRequest(ControlRequest { despite_breach: true, ..asked("ada", Resume) });
    d.see(2, resume());
    // Nothing calls for it now, and nobody has ended what was begun.
    d.see(3, breach(TradingLevel::Halt));
    assert_eq!(said(&d.see(4, off())), None);
    // What was excused in one session is not in the next.
    assert_eq!(said(&d.see(5, breach(TradingLevel::Halt))), Some((Raised, TradingLevel::Halt)));
    assert_eq!(said(&d.see(6, off())), None);
    assert_eq!(said(&d.see(7, ask("ada", Resume))), Some((Lowered, TradingLevel::Normal)));
}

#[test]
fn a_limit_that_is_unknown_or_excused_takes_nothing_from_the_others() {
    // One that never is known does not keep what is kept from being known as such.
    let mut d = desk();
    let with_warming = |drawdown: LimitState| {
        figures(vec![limit("var_95", LimitStatus::Unknown, TradingLevel::Normal), drawdown])
    };
    let drawdown = |status, calls_for| limit("drawdown", status, calls_for);
    let breached = || with_warming(drawdown(LimitStatus::Breached, TradingLevel::Halt));
    let kept = || with_warming(drawdown(LimitStatus::Ok, TradingLevel::Normal));
    d.see(1, breached());
    let despite = || Event::ControlRequest(ControlRequest { despite_breach: true, ..asked("ada", Resume) });
    d.see(2, despite());
    assert_eq!(said(&d.see(3, kept())), None);
    assert_eq!(said(&d.see(4, breached())), Some((Raised, TradingLevel::Halt)));
    d.see(5, kept());
    assert_eq!(said(&d.see(6, ask("ada", Resume))), Some((Lowered, TradingLevel::Normal)));

    // One that a person has left it despite excuses no other.
    let mut d = desk();
    let two = |loss, drawdown| {
        figures(vec![
            limit("daily_loss", LimitStatus::Breached, loss),
            limit("drawdown", LimitStatus::Breached, drawdown),
        ])
    };
    d.see(1, two(TradingLevel::Halt, TradingLevel::Normal));
    d.see(2, despite());
    assert_eq!(said(&d.see(3, two(TradingLevel::Halt, TradingLevel::Normal))), None);
    let raised = controls(&d.see(4, two(TradingLevel::Halt, TradingLevel::Halt)));
    assert_eq!((raised[0].level, raised[0].limit.as_deref()), (TradingLevel::Halt, Some("drawdown")));
}

#[test]
fn a_halt_is_heeded_where_there_is_no_room_to_tell_of_it() {
    let parameters = AlertingParameters { max_conditions: 1, ..AlertingParameters::default() };
    let mut d = Driver::alerting(parameters);
    let halts = d.see(1, breach(TradingLevel::Halt));
    assert_eq!(said(&halts), Some((Raised, TradingLevel::Halt)));
    // Another scope's: the one condition that there may be is taken.
    let Event::RiskMetrics(mut other) = breach(TradingLevel::Halt) else { unreachable!() };
    other.scope = "q".into();
    assert_eq!(said(&d.see(2, Event::RiskMetrics(other))), Some((Raised, TradingLevel::Halt)));
}

#[test]
fn a_rule_that_is_new_after_a_restart_tells_of_the_halts_that_stand() {
    let old = AlertingParameters::default();
    let mut monitor = AlertingMonitor::new(AlertingParameters { rules: vec![], ..old.clone() });
    let mut out = Vec::new();
    let cause = Cause::Injected { kind: "test", time: at(1) };
    let event = breach(TradingLevel::Halt);
    let topic = event.topic().into();
    let seen = Seen { event: &event, topic: &topic, partition: 0, cause: &cause, clock: at(1) };
    monitor.observe(&seen, &mut out).unwrap();
    assert_eq!((said(&out), told(&out)), (Some((Raised, TradingLevel::Halt)), vec![]));
    let saved = monitor.save();
    let mut monitor = AlertingMonitor::new(old);
    monitor.restore(&saved).unwrap();
    let mut out = Vec::new();
    monitor.tick(monitor.next_deadline().unwrap(), &mut out);
    assert_eq!(told(&out), [("trading_restricted".to_owned(), AlertState::Firing)]);
    // And once only; it is to be acknowledged from then on.
    assert_eq!(monitor.next_deadline(), Some(Time(at(31).micros() + 1)));
}

#[test]
fn while_a_limit_still_calls_a_resume_must_say_so() {
    let mut d = desk();
    d.see(1, breach(TradingLevel::Halt));
    let refused = d.see(2, ask("ada", Resume));
    assert_eq!(said(&refused), Some((Refused, TradingLevel::Halt)));
    let problem = controls(&refused)[0].problem.clone().unwrap();
    assert!(problem.starts_with("the limit drawdown still calls for halt"), "{problem}");
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
    // Whoever asks for less does not get more, whatever came in between; nor the other way round.
    assert_eq!(said(&d.see(4, ask("ada", ReduceOnly))), Some((Refused, TradingLevel::Halt)));
    assert_eq!(said(&d.see(4, ask("bob", ResumeReduceOnly))), Some((Refused, TradingLevel::Halt)));
    let lowered = controls(&d.see(5, ask("ada", ResumeReduceOnly)));
    assert_eq!((lowered[0].action, lowered[0].level), (Lowered, TradingLevel::ReduceOnly));
    assert_eq!(lowered[0].halt, raised[0].halt);

    // One that names another halt came too late.
    let other = ControlRequest { halt: Some(RecordId::default()), ..asked("ada", Resume) };
    assert_eq!(said(&d.see(6, Event::ControlRequest(other))), Some((Refused, TradingLevel::ReduceOnly)));
    let this = ControlRequest { halt: raised[0].halt, ..asked("ada", Resume) };
    assert_eq!(said(&d.see(7, Event::ControlRequest(this))), Some((Lowered, TradingLevel::Normal)));
    assert_eq!(said(&d.see(8, ask("ada", Resume))), Some((Refused, TradingLevel::Normal)));
    assert_eq!(said(&d.see(9, ask("ada", ResumeReduceOnly))), Some((Refused, TradingLevel::Normal)));
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
