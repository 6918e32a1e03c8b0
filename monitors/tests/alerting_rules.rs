//! The alerting monitor: what fires, when, how it is resolved, and what it survives.

mod drive;

use std::time::Duration;

use drive::{Driver, at, beat_of};
use tapewatch_monitors::alerting::{Comparison, Condition, Pattern, Rule};
use tapewatch_monitors::{AlertingParameters, Output};
use tapewatch_schemas::events::{
    Alert, AlertState, HealthKind, HealthStatus, LimitOverride, LimitState, LimitStatus, Measure, Occasion,
    Provenance, RiskMetrics, Severity, SystemHealth, TradingLevel, Unknown,
};
use tapewatch_schemas::{Event, RecordId, Time};

fn figures(scope: &str, drawdown: f64, limits: Vec<LimitState>) -> Event {
    let measure = |name: &str, value| Measure {
        name: name.to_owned(),
        value,
        amount: None,
        unknown: None,
        symbols: Vec::new(),
    };
    Event::RiskMetrics(RiskMetrics {
        provenance: Provenance::default(),
        id: RecordId::default(),
        event_time: Time(0),
        scope: scope.into(),
        occasion: Occasion::Interval,
        currency: "USD".into(),
        measures: vec![measure("drawdown", Some(drawdown)), measure("observed_for", Some(10.0))],
        limits,
    })
}

fn limit(status: LimitStatus, unknown: Option<Unknown>) -> LimitState {
    LimitState {
        limit: "leverage".to_owned(),
        measure: "leverage".to_owned(),
        status,
        previous: None,
        since: at(0),
        value: if unknown.is_none() { Some(3.41) } else { None },
        soft: Some(2.0),
        hard: Some(3.0),
        utilisation: if unknown.is_none() { Some(3.41 / 3.0) } else { None },
        unknown,
        symbol: None,
        calls_for: TradingLevel::Normal,
        of_equity: false,
        overridden: None,
        symbols: Vec::new(),
    }
}

fn standing(status: LimitStatus) -> Event {
    figures("p", 0.0, vec![limit(status, None)])
}

fn unknown(reason: Unknown) -> Event {
    figures("p", 0.0, vec![limit(LimitStatus::Unknown, Some(reason))])
}

fn health(kind: HealthKind, status: HealthStatus) -> Event {
    Event::SystemHealth(SystemHealth {
        provenance: Provenance::default(),
        id: RecordId::default(),
        event_time: Time(0),
        component: "risk/3/exec.reports.v1".to_owned(),
        kind,
        status,
        score: None,
        topic: Some("exec.reports.v1".into()),
        input_partition: Some(3),
        offset: Some(17),
        count: Some(9),
        message: "9 of the last 20 records could not be decoded".to_owned(),
    })
}

fn alerts(outputs: &[Output]) -> Vec<&Alert> {
    outputs
        .iter()
        .map(|o| match &o.event {
            Event::Alert(alert) => alert,
            other => panic!("not an alert: {other:?}"),
        })
        .collect()
}

/// What was said: rule, state, event time in seconds of the test.
fn said(outputs: &[Output]) -> Vec<(String, AlertState, i64)> {
    let seconds = |time: Time| time.since(at(0)) / 1_000_000;
    alerts(outputs).into_iter().map(|a| (a.rule.clone(), a.state, seconds(a.event_time))).collect()
}

fn default() -> Driver {
    Driver::alerting(AlertingParameters::default())
}

fn with_rule(hold: u64, condition: Condition) -> Driver {
    let rule = Rule {
        name: "r".into(),
        severity: Severity::Emergency,
        scope: Pattern::Any,
        condition,
        hold: Duration::from_secs(hold),
    };
    Driver::alerting(AlertingParameters { rules: vec![rule], ..AlertingParameters::default() })
}

fn deep(clear: Option<f64>) -> Condition {
    Condition::Measure { measure: "drawdown".into(), comparison: Comparison::Above, threshold: 0.15, clear }
}

#[test]
fn an_alert_names_the_pair_that_decides_it() {
    let mut d = default();
    let limits = vec![LimitState {
        limit: "correlation".to_owned(),
        measure: "max_correlation".to_owned(),
        value: Some(0.97),
        hard: Some(0.9),
        utilisation: None,
        symbols: vec!["AAPL".into(), "MSFT".into()],
        ..limit(LimitStatus::Breached, None)
    }];
    let out = d.see(1, figures("p", 0.0, limits));
    let alert = alerts(&out)[0];
    assert_eq!(
        alert.message,
        "p: limit correlation is breached: max_correlation of AAPL and MSFT is 0.97, over 0.9"
    );
}

#[test]
fn a_breach_fires_once_and_is_resolved_once() {
    let mut d = default();
    assert!(d.see(1, standing(LimitStatus::Ok)).is_empty());
    let fired = d.see(2, standing(LimitStatus::Breached));
    let alert = alerts(&fired)[0];
    assert_eq!(alert.severity, Severity::Critical);
    assert_eq!((alert.value, alert.threshold, alert.since), (Some(3.41), Some(3.0), at(2)));
    assert_eq!(alert.fingerprint, "limit_breached|p|leverage");
    assert_eq!(alert.message, "p: limit leverage is breached: leverage is 3.41, over 3, 114 % of it");
    assert!(d.see(3, standing(LimitStatus::Breached)).is_empty());
    let after = d.see(4, standing(LimitStatus::Warning));
    assert_eq!(
        said(&after),
        [
            ("limit_breached".to_owned(), AlertState::Resolved, 4),
            ("limit_warning".to_owned(), AlertState::Firing, 4)
        ]
    );
    assert_eq!(alerts(&after)[0].since, at(2));
    assert_ne!(alerts(&after)[0].id, alert.id);
}

#[test]
fn what_is_not_in_force_alerts_no_longer_and_is_not_called_kept() {
    let mut d = default();
    d.see(1, standing(LimitStatus::Breached));
    let over = d.see(2, standing(LimitStatus::NotInForce));
    assert_eq!(said(&over), [("limit_breached".to_owned(), AlertState::Resolved, 2)]);
    assert_eq!(alerts(&over)[0].message, "resolved: p: limit leverage is not in force now");
    let over = d.see(3, unknown(Unknown::Stale));
    assert_eq!(said(&over), [("limit_unknown".to_owned(), AlertState::Firing, 3)]);
    assert_eq!(said(&d.see(4, standing(LimitStatus::NotInForce))).len(), 1);
}

#[test]
fn an_alert_names_who_put_other_bounds_in_place_and_what_is_a_share_of_equity() {
    let mut state = limit(LimitStatus::Breached, None);
    state.of_equity = true;
    state.overridden =
        Some(LimitOverride { who: "ada".into(), why: "a hedge".into(), until: Time(60_000_000) });
    let fired = default().see(1, figures("p", 0.0, vec![state]));
    assert_eq!(
        alerts(&fired)[0].message,
        "p: limit leverage is breached: leverage is 3.41 of the equity, over 3, 114 % of it; overridden by ada until \
         1970-01-01T00:01:00Z: a hedge"
    );
}

#[test]
fn ids_are_of_rule_fingerprint_and_cause() {
    let mut d = default();
    let fired = d.see(2, standing(LimitStatus::Breached));
    let cause = RecordId::of_step("test", 0, 0, 0).to_string();
    let alert = alerts(&fired)[0];
    assert_eq!(alert.id, RecordId::of_alert("limit_breached", &alert.fingerprint, &cause));
}

#[test]
fn a_breach_stands_while_its_limit_is_unknown() {
    let mut d = default();
    d.see(1, standing(LimitStatus::Breached));
    let stale = d.see(2, unknown(Unknown::Stale));
    assert_eq!(said(&stale), [("limit_unknown".to_owned(), AlertState::Firing, 2)]);
    assert_eq!(alerts(&stale)[0].unknown, Some(Unknown::Stale));
    let back = d.see(3, standing(LimitStatus::Ok));
    assert_eq!(
        said(&back),
        [
            ("limit_breached".to_owned(), AlertState::Resolved, 3),
            ("limit_unknown".to_owned(), AlertState::Resolved, 3)
        ]
    );
}

#[test]
fn what_is_missing_alerts_only_after_the_grace_from_the_first_record() {
    let mut d = default();
    assert!(d.see(10, unknown(Unknown::Missing)).is_empty());
    // Observed for 10 s at second 10: the first record came at second 0, the grace is an hour.
    assert!(d.run_to(3599).is_empty());
    assert_eq!(said(&d.run_to(3600)), [("limit_unknown".to_owned(), AlertState::Firing, 3600)]);

    let mut d = default();
    d.see(10, unknown(Unknown::Missing));
    d.see(20, standing(LimitStatus::Ok));
    assert!(d.run_to(10_000).is_empty());

    let mut d = default();
    d.see(10, unknown(Unknown::Missing));
    assert_eq!(d.see(20, unknown(Unknown::NoOpening)).len(), 1, "another reason has no grace");
}

/// Forecasts come first, and then the changes that they are held against.
#[test]
fn a_light_may_warm_up_for_longer_than_what_it_is_of() {
    let warming_up = |measure: &str| {
        let Event::RiskMetrics(mut metrics) = unknown(Unknown::WarmingUp) else { unreachable!() };
        metrics.limits[0].measure = measure.to_owned();
        Event::RiskMetrics(metrics)
    };
    let day = 86_400;
    for (measure, days) in [("var_99_revalued", 7), ("var_99_revalued_light", 30), ("stress_red_light", 7)] {
        let mut d = default();
        assert!(d.see(10, warming_up(measure)).is_empty());
        assert!(d.run_to(days * day - 1).is_empty(), "{measure}");
        let fired = said(&d.run_to(days * day));
        assert_eq!(fired, [("limit_unknown".to_owned(), AlertState::Firing, days * day)], "{measure}");
    }
}

#[test]
fn a_condition_fires_at_its_deadline_only_if_it_held_all_along() {
    let mut d = with_rule(60, deep(None));
    assert!(d.see(0, figures("p", 0.16, vec![])).is_empty());
    assert!(d.see(30, figures("p", 0.14, vec![])).is_empty());
    assert!(d.see(40, figures("p", 0.17, vec![])).is_empty());
    assert!(d.see(90, figures("p", 0.18, vec![])).is_empty());
    let fired = d.see(130, figures("p", 0.14, vec![]));
    assert_eq!(
        said(&fired),
        [("r".to_owned(), AlertState::Firing, 100), ("r".to_owned(), AlertState::Resolved, 130)]
    );
    assert_eq!(alerts(&fired)[0].since, at(40));
}

/// Of a sector or a position that is gone there is no figure: what held of it does not any more, or nobody knows.
#[test]
fn what_is_gone_from_the_figures_holds_no_longer() {
    let named = |measures: &[(&str, Result<f64, Unknown>)]| {
        let Event::RiskMetrics(mut metrics) = figures("p", 0.0, Vec::new()) else { unreachable!() };
        metrics.occasion = Occasion::Interval;
        metrics.measures = measures
            .iter()
            .map(|(name, value)| Measure {
                symbols: Vec::new(),
                name: (*name).to_owned(),
                value: value.ok(),
                amount: None,
                unknown: value.err(),
            })
            .collect();
        Event::RiskMetrics(metrics)
    };
    let measure = "es_99_revalued_component:A";
    let rule = || Condition::Measure {
        measure: measure.into(),
        comparison: Comparison::Above,
        threshold: 1.0,
        clear: None,
    };
    let mut d = with_rule(0, rule());
    assert_eq!(alerts(&d.see(1, named(&[(measure, Ok(2.0))])))[0].state, AlertState::Firing);
    // Figures at a transition leave it out.
    let Event::RiskMetrics(mut transition) = named(&[]) else { unreachable!() };
    transition.occasion = Occasion::Transition;
    assert!(d.see(2, Event::RiskMetrics(transition)).is_empty());
    let stale = ("es_99_revalued_component_other", Err(Unknown::Stale));
    let out = d.see(3, named(&[stale]));
    assert!(alerts(&out).iter().all(|alert| alert.state == AlertState::Firing));
    let out = d.see(4, named(&[("es_99_revalued_component_other", Ok(0.5))]));
    assert_eq!(alerts(&out)[0].state, AlertState::Resolved);
    assert!(d.see(5, named(&[])).is_empty());
}

#[test]
fn hysteresis_keeps_an_alert_until_its_clear_value() {
    let mut d = with_rule(0, deep(Some(0.10)));
    assert_eq!(d.see(0, figures("p", 0.16, vec![])).len(), 1);
    assert!(d.see(1, figures("p", 0.12, vec![])).is_empty());
    assert_eq!(said(&d.see(2, figures("p", 0.10, vec![])))[0].1, AlertState::Resolved);
    assert!(d.see(3, figures("p", 0.12, vec![])).is_empty());
}

#[test]
fn scopes_are_told_apart() {
    let mut d = with_rule(0, deep(None));
    d.see(0, figures("p", 0.16, vec![]));
    let other = d.see(1, figures("q", 0.16, vec![]));
    assert_eq!(alerts(&other)[0].fingerprint, "r|q|");
}

#[test]
fn an_open_breaker_alerts_until_it_closes() {
    let mut d = default();
    let opened = d.see(1, health(HealthKind::BreakerOpened, HealthStatus::Failed));
    assert_eq!(said(&opened), [("breaker_opened".to_owned(), AlertState::Firing, 1)]);
    assert!(d.see(2, health(HealthKind::DeadLetters, HealthStatus::Degraded)).is_empty());
    let closed = d.see(3, health(HealthKind::BreakerClosed, HealthStatus::Ok));
    assert_eq!(said(&closed), [("breaker_opened".to_owned(), AlertState::Resolved, 3)]);
}

#[test]
fn a_stopped_task_alerts_until_it_is_restored() {
    let mut d = default();
    let stopped = d.see(1, health(HealthKind::TaskStopped, HealthStatus::Failed));
    assert_eq!(said(&stopped), [("task_stopped".to_owned(), AlertState::Firing, 1)]);
    let restored = d.see(3, health(HealthKind::TaskStopped, HealthStatus::Ok));
    assert_eq!(said(&restored), [("task_stopped".to_owned(), AlertState::Resolved, 3)]);
}

#[test]
fn a_source_that_stops_beating_is_missed_until_it_beats_again() {
    let mut d = with_rule(0, Condition::Silence { longest: Duration::from_secs(60) });
    d.see(0, beat_of("worker.risk", "risk.metrics.v1", 0, 1));
    d.see(50, beat_of("worker.risk", "risk.metrics.v1", 0, 2));
    assert!(d.run_to(110).is_empty());
    assert_eq!(said(&d.run_to(200)), [("r".to_owned(), AlertState::Firing, 110)]);
    let back = d.see(300, beat_of("worker.risk", "risk.metrics.v1", 0, 3));
    assert_eq!(said(&back), [("r".to_owned(), AlertState::Resolved, 300)]);
    assert_eq!(said(&d.run_to(400)), [("r".to_owned(), AlertState::Firing, 360)]);
}

#[test]
fn a_limit_that_is_no_longer_configured_is_resolved() {
    let mut d = default();
    d.see(1, standing(LimitStatus::Breached));
    let after = d.see(2, figures("p", 0.0, vec![]));
    assert_eq!(said(&after), [("limit_breached".to_owned(), AlertState::Resolved, 2)]);
}

#[test]
fn firing_alerts_and_waiting_conditions_survive_a_restart() {
    let mut d = with_rule(60, deep(None));
    d.see(0, figures("p", 0.16, vec![]));
    d.restart();
    assert_eq!(said(&d.run_to(100)), [("r".to_owned(), AlertState::Firing, 60)]);
    d.restart();
    assert!(d.see(110, figures("p", 0.16, vec![])).is_empty());
    assert_eq!(said(&d.see(120, figures("p", 0.1, vec![])))[0].1, AlertState::Resolved);
}

#[test]
fn a_rule_that_is_gone_resolves_its_alerts() {
    let mut d = with_rule(0, deep(None));
    d.see(0, figures("p", 0.16, vec![]));
    let state = d.save();
    let mut d = default();
    d.restore(&state);
    assert_eq!(said(&d.run_to(1)), [("r".to_owned(), AlertState::Resolved, 0)]);
    assert_eq!(d.deadline(), None);
}

#[test]
fn more_conditions_than_the_bound_are_refused_and_change_nothing() {
    let parameters = AlertingParameters { max_conditions: 1, ..AlertingParameters::default() };
    let mut d = Driver::alerting(parameters);
    d.see(0, standing(LimitStatus::Breached));
    d.refused(1, figures("q", 0.0, vec![limit(LimitStatus::Breached, None)]));
    assert_eq!(d.see(2, standing(LimitStatus::Ok)).len(), 1);
}

#[test]
fn a_record_of_another_topic_is_refused() {
    let mut d = default();
    d.refused(0, drive::mark("A", "1", "1"));
}
