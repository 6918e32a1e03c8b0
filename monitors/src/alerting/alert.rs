//! The alerts themselves, and what they say to people.

use std::collections::BTreeMap;

use tapewatch_schemas::catalogue::HOLDINGS;
use tapewatch_schemas::events::{
    Alert, AlertState, Cause, LimitState, LimitStatus, Measure, Provenance, Severity, Unknown,
};
use tapewatch_schemas::{Event, RecordId};

use super::AlertingMonitor;
use super::parameters::Comparison;
use super::state::Track;
use super::trades::is_portfolio;
use crate::monitor::{Ages, Output};

impl AlertingMonitor {
    pub(super) fn publish(
        &self,
        fingerprint: &str,
        track: &Track,
        state: AlertState,
        cause: &Cause,
        out: &mut Vec<Output>,
    ) {
        let age = Some(self.clock.since(track.event_time).max(0));
        let severity = self.rule(&track.rule).map_or(Severity::Info, |rule| rule.severity);
        let message = match state {
            AlertState::Firing => track.detail.clone(),
            AlertState::Resolved => format!("resolved: {}", track.detail),
        };
        let labelled = match track.subject == HOLDINGS {
            true if is_portfolio(&track.scope) => "symbol",
            true => "portfolio",
            false => "limit",
        };
        let alert = Alert {
            provenance: Provenance::default(),
            id: RecordId::of_alert(&track.rule, fingerprint, &cause.to_string()),
            event_time: self.clock,
            rule: track.rule.to_string(),
            fingerprint: fingerprint.to_owned(),
            state,
            severity,
            scope: track.scope.clone(),
            subject: track.subject.clone(),
            value: track.value,
            threshold: track.threshold,
            unknown: track.unknown,
            since: track.since,
            message,
            labels: track.label.iter().map(|l| (labelled.to_owned(), l.clone())).collect::<BTreeMap<_, _>>(),
        };
        out.push(Output { event: Event::Alert(alert), ages: Ages { freshest: age, stalest: age } });
    }
}

/// What a limit's state is, in words and numbers.
pub(super) fn limit_text(scope: &str, state: &LimitState) -> String {
    let LimitState { limit, measure, .. } = state;
    let of = match (&state.symbol, state.symbols.as_slice()) {
        (Some(symbol), _) => format!(" of {symbol}"),
        (None, []) => String::new(),
        (None, symbols) => format!(" of {}", symbols.join(" and ")),
    };
    let value = value_text(state);
    let used = state.utilisation.map_or(String::new(), |u| format!(", {:.0} % of it", u * 100.0));
    let bound = |bound: Option<f64>| bound.map_or_else(|| "none".to_owned(), number);
    let text = match state.status {
        LimitStatus::Breached => {
            let hard = bound(state.hard);
            format!("{scope}: limit {limit} is breached: {measure}{of} is {value}, over {hard}{used}")
        }
        LimitStatus::Warning => {
            let soft = bound(state.soft);
            format!("{scope}: limit {limit} warns: {measure}{of} is {value}, over {soft}{used}")
        }
        LimitStatus::Ok => {
            let most = bound(state.soft.or(state.hard));
            format!("{scope}: limit {limit} is kept: {measure}{of} is {value}, at most {most}")
        }
        LimitStatus::Unknown => {
            let reason = state.unknown.map_or("no reason given", why);
            format!("{scope}: limit {limit} cannot be checked: {measure} is unknown, {reason}")
        }
        LimitStatus::NotInForce => format!("{scope}: limit {limit} is not in force now"),
    };
    match &state.overridden {
        Some(by) => format!("{text}; overridden by {} until {}: {}", by.who, by.until, by.why),
        None => text,
    }
}

/// What a limit bounds: the value of its measure, or its share of the equity.
pub(super) fn value_text(state: &LimitState) -> String {
    let value = state.value.map_or_else(|| "unknown".to_owned(), number);
    if state.of_equity { format!("{value} of the equity") } else { value }
}

fn why(reason: Unknown) -> &'static str {
    match reason {
        Unknown::Stale => "an input is older than its bound (stale)",
        Unknown::Missing => "an input never came (missing)",
        Unknown::WarmingUp => "there are not enough observations yet (warming_up)",
        Unknown::NoOpening => "the book's opening is not known (no_opening)",
        Unknown::NoRate => "a conversion rate is missing (no_rate)",
        Unknown::SourceDown => "the breaker of a source is open (source_down)",
    }
}

/// Where a measure is against a rule's threshold, in words and numbers.
pub(super) fn measure_text(scope: &str, measure: &Measure, comparison: Comparison, threshold: f64) -> String {
    let side = match comparison {
        Comparison::Above => "above",
        Comparison::Below => "below",
    };
    let value = measure.value.map_or_else(|| "unknown".to_owned(), number);
    format!("{scope}: {} is {value}; the rule asks for {side} {}", measure.name, number(threshold))
}

/// A number for people: enough digits to tell it from its bound, no more.
pub(super) fn number(value: f64) -> String {
    if value == f64::MAX {
        return "without bound".to_owned();
    }
    let size = libm::fabs(value);
    let text = match size {
        s if s >= 1e15 => return format!("{value:e}"),
        s if s >= 1000.0 => format!("{value:.2}"),
        s if s >= 1.0 => format!("{value:.4}"),
        _ => format!("{value:.6}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (3.0, "3"),
            (3.412_345, "3.4123"),
            (108_000.0, "108000"),
            (0.15, "0.15"),
            (0.0, "0"),
            (-1234.567, "-1234.57"),
            (f64::MAX, "without bound"),
            (1e20, "1e20"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
