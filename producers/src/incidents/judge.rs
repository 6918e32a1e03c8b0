use std::time::Duration;

use serde::Serialize;
use tapewatch_schemas::events::{Alert, Unknown};
use tapewatch_schemas::{PortfolioId, Scope, Time};

use super::{
    About, Expectation, Feed, Incident, IncidentBook, Kind, Says, Silence, Stopped, Untold, Witness,
};
use crate::tape::BAR;

/// The rule on halts that nobody has acknowledged.
pub(super) const UNACKNOWLEDGED: &str = "halt_unacknowledged";

/// An alert that fired, as the judge sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FoundAlert {
    /// Its event time.
    pub time: Time,
    /// The rule that fired.
    pub rule: String,
    /// A portfolio or a component.
    pub scope: String,
    /// The limit (or its measure), or the kind of health event.
    pub subject: String,
    /// What it says of it.
    pub status: Found,
    /// The figure that it quotes; none if it is unknown, or there is none.
    pub value: Option<f64>,
    /// The id of the record that caused it, or `kind@time` of what else did.
    pub cause: String,
    /// When it was resolved; none while it stands, or if nobody looked.
    pub resolved: Option<Time>,
}

impl From<&Alert> for FoundAlert {
    fn from(alert: &Alert) -> Self {
        let status = match (alert.unknown, alert.rule.as_str()) {
            (Some(reason), _) => Found::Unknown(reason),
            (None, "limit_warning") => Found::Warning,
            (None, "limit_breached") => Found::Breached,
            (None, _) => Found::Health,
        };
        Self {
            time: alert.event_time,
            rule: alert.rule.clone(),
            scope: alert.scope.clone(),
            // Rules on health and halts are named after what they are raised by.
            subject: if status == Found::Health { alert.rule.clone() } else { alert.subject.clone() },
            status,
            value: alert.value,
            cause: alert.provenance.cause.clone(),
            resolved: None,
        }
    }
}

/// What an alert said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// Over the soft bound.
    Warning,
    /// Over the hard bound.
    Breached,
    /// Unknown, with the reason.
    Unknown(Unknown),
    /// A health event that is not well, a restriction, or that one is not acknowledged or not kept.
    Health,
}

/// What the incidents and the alerts say together.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verdict {
    /// Ids of the incidents all of whose expected alerts fired in time, and, where a feed stopped, all of whose limits turned
    /// in time.
    pub found: Vec<String>,
    /// Ids of the incidents that have a monitor and were not found, or not in time.
    pub missed: Vec<String>,
    /// Ids of the incidents without a monitor yet.
    pub no_monitor: Vec<String>,
    /// Alerts that no incident accounts for, and no figure of the market.
    pub falsely_found: Vec<FoundAlert>,
    /// How many alerts that no incident accounts for are of a model's light or of a correlation, and are so.
    pub of_the_market: usize,
    /// Lights and correlations over a bound, by the log's own figures, of which no alert says so.
    pub untold: Vec<Untold>,
    /// What became of the limits when a feed stopped; none where no feed did.
    pub stopped: Option<Stopped>,
}

impl Verdict {
    /// True if nothing was missed and nothing falsely found.
    pub fn is_clean(&self) -> bool {
        self.missed.is_empty() && self.falsely_found.is_empty() && self.untold.is_empty()
    }
}

impl IncidentBook {
    /// Judges the alerts that fired (not those that resolved) against the book. An empty book makes every
    /// alert a false one, but that a model's light has turned or that two symbols held move alike, if that is so: these are
    /// questions of the tape's market, of which the book says nothing, and the witness is asked whether the figure that the
    /// alert quotes stands over the limit's bound in the record that caused it. What cannot be told is judged as all others
    /// are.
    ///
    /// Where the witness saw a halt acknowledged, the alert that nobody had must have been resolved by that.
    ///
    /// Where the marks of a feed stop, every limit is looked at in what the witness saw of the same log, by `marks`: how old
    /// a mark may be there.
    pub fn judge(&self, alerts: &[FoundAlert], witness: &Witness, marks: Duration) -> Verdict {
        let mut verdict = Verdict::default();
        for incident in &self.incidents {
            let told = incident.expected.iter().all(|one| alerts.iter().any(|alert| one.is_met_by(alert)));
            let stopped = incident.silence(marks).map(|silence| silence.judge(witness));
            let turned = stopped.as_ref().is_none_or(|stopped| incident.is_in(stopped));
            let ended = witness.acknowledged().iter().all(|answer| incident.ends(answer, alerts));
            let list = if incident.monitor.is_none() {
                &mut verdict.no_monitor
            } else if told && turned && ended {
                &mut verdict.found
            } else {
                &mut verdict.missed
            };
            list.push(incident.id.clone());
            verdict.stopped = stopped.or(verdict.stopped);
        }
        let unaccounted = |alert: &&FoundAlert| {
            !self.incidents.iter().any(|incident| {
                incident.expected.iter().chain(&incident.also_expected).any(|one| one.is_met_by(alert))
            })
        };
        for alert in alerts.iter().filter(unaccounted) {
            if witness.market.is_so(alert) == Some(true) {
                verdict.of_the_market += 1;
            } else {
                verdict.falsely_found.push(alert.clone());
            }
        }
        verdict.untold = witness.market.untold(alerts);
        verdict
    }
}

impl Incident {
    /// The marks that stop, where a feed does. Limits turn at the bar's end at the latest.
    fn silence(&self, bound: Duration) -> Option<Silence> {
        let tick = Duration::from_micros(BAR as u64);
        let (feed, partition) = (Feed::Marks, self.partition);
        let (from, until) = (self.time, self.until);
        (self.kind == Kind::StoppedFeed).then_some(Silence { feed, partition, from, until, bound, tick })
    }

    /// True if, where this restricts its portfolio, an acknowledgement of that ended the alert that there was none.
    fn ends(&self, (scope, at): &(Scope, Time), alerts: &[FoundAlert]) -> bool {
        let its = self.portfolio.as_ref().is_some_and(|portfolio| portfolio.as_str() == scope.as_str());
        if self.kind != Kind::Drawdown || !its {
            return true;
        }
        let missing = |alert: &&FoundAlert| {
            alert.subject == UNACKNOWLEDGED && alert.scope == scope.as_str() && alert.time <= *at
        };
        let since: Vec<i64> =
            alerts.iter().filter(missing).filter_map(|a| a.resolved).map(|end| end.since(*at)).collect();
        since.len() == alerts.iter().filter(missing).count()
            && since.iter().all(|since| *since <= BAR)
            && since.iter().any(|since| *since >= 0)
    }

    /// True if limits of its portfolio rested on the feed, and all limits turned as they must.
    fn is_in(&self, stopped: &Stopped) -> bool {
        let its = |portfolio: &PortfolioId| stopped.rested.contains_key(portfolio.as_str());
        stopped.untimely.is_empty() && self.portfolio.as_ref().is_some_and(its)
    }
}

impl Expectation {
    /// True if the alert is what is expected, and in time.
    pub fn is_met_by(&self, alert: &FoundAlert) -> bool {
        (self.from..=self.by).contains(&alert.time) && self.about.is(&alert.scope) && self.says.is(alert)
    }
}

impl About {
    fn is(&self, scope: &str) -> bool {
        match self {
            Self::Portfolio(portfolio) => portfolio.as_str() == scope,
            Self::AnyOf(portfolios) => portfolios.iter().any(|portfolio| portfolio.as_str() == scope),
            Self::Above => scope.contains(':'),
            Self::Component { topic, partition } => {
                let mut parts = scope.split('/');
                let task = parts.nth(1).and_then(|part| part.parse::<i32>().ok());
                let rest = parts.next();
                let source = parts.next().map(str::parse);
                task == Some(*partition)
                    && rest.is_none_or(|name| name == topic.as_str())
                    && source.is_none_or(|found| found == Ok(*partition))
                    && parts.next().is_none()
            }
        }
    }
}

impl Says {
    fn is(&self, alert: &FoundAlert) -> bool {
        match (self, alert.status) {
            (Self::Warning(subject), Found::Warning)
            | (Self::Breached(subject), Found::Breached)
            | (Self::Health(subject), Found::Health) => *subject == alert.subject,
            (Self::Unknown(reason), Found::Unknown(found)) => *reason == found,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use tapewatch_schemas::Event;
    use tapewatch_schemas::events::{ControlRequest, RequestKind};

    use super::super::{Incident, Kind};
    use super::*;

    fn incident(kind: Kind, expected: Vec<Expectation>, also_expected: Vec<Expectation>) -> Incident {
        Incident {
            id: format!("01-{}", kind.as_str()),
            kind,
            time: Time(100),
            until: Time(300),
            portfolio: Some("alpha".into()),
            symbol: None,
            topic: "exec.reports.v1".into(),
            partition: 3,
            monitor: kind.monitor(),
            what: String::new(),
            should_find: String::new(),
            expected,
            also_expected,
        }
    }

    fn expectation(about: About, says: Says) -> Expectation {
        Expectation { about, says, from: Time(100), by: Time(200) }
    }

    fn alert(time: i64, scope: &str, subject: &str, status: Found) -> FoundAlert {
        FoundAlert {
            time: Time(time),
            rule: "rule".to_owned(),
            scope: scope.to_owned(),
            subject: subject.to_owned(),
            status,
            value: None,
            cause: String::new(),
            resolved: None,
        }
    }

    fn book() -> IncidentBook {
        let breach = expectation(About::Portfolio("alpha".into()), Says::Breached("position"));
        let warning = Expectation { says: Says::Warning("position"), by: Time(300), ..breach.clone() };
        IncidentBook {
            incidents: vec![
                incident(Kind::PositionOverLimit, vec![breach], vec![warning]),
                incident(Kind::Slip, vec![], vec![]),
            ],
        }
    }

    fn judged(book: &IncidentBook, alerts: &[FoundAlert]) -> Verdict {
        book.judge(alerts, &Witness::default(), Duration::ZERO)
    }

    #[test]
    fn what_is_expected_in_time_is_found() {
        let verdict = judged(
            &book(),
            &[
                alert(150, "alpha", "position", Found::Breached),
                alert(250, "alpha", "position", Found::Warning),
            ],
        );
        assert_eq!(verdict.found, ["01-position_over_limit"]);
        assert_eq!(verdict.no_monitor, ["01-slip"]);
        assert!(verdict.is_clean(), "{verdict:?}");
    }

    #[test]
    fn too_late_elsewhere_or_other_is_missed_and_false() {
        for wrong in [
            alert(201, "alpha", "position", Found::Breached),
            alert(99, "alpha", "position", Found::Breached),
            alert(150, "bravo", "position", Found::Breached),
            alert(150, "alpha", "leverage", Found::Breached),
            alert(150, "alpha", "position", Found::Unknown(Unknown::Stale)),
        ] {
            let verdict = judged(&book(), std::slice::from_ref(&wrong));
            assert_eq!(verdict.missed, ["01-position_over_limit"], "{wrong:?}");
            assert_eq!(verdict.falsely_found, [wrong]);
        }
        assert!(!judged(&book(), &[]).is_clean());
    }

    #[test]
    fn components_are_matched_by_task_and_topic() {
        let about = About::Component { topic: "exec.reports.v1".into(), partition: 3 };
        for (scope, is) in [
            ("risk/3", true),
            ("risk/3/exec.reports.v1", true),
            ("risk/4/exec.reports.v1", false),
            ("risk/3/accounts.v1", false),
            ("risk", false),
            ("risk/3/exec.reports.v1/x", false),
        ] {
            assert_eq!(about.is(scope), is, "{scope}");
        }
    }

    #[test]
    fn an_acknowledgement_ends_the_alert_that_there_was_none() {
        let told = expectation(About::Portfolio("alpha".into()), Says::Health(UNACKNOWLEDGED));
        let book = IncidentBook { incidents: vec![incident(Kind::Drawdown, vec![told.clone()], vec![told])] };
        let mut witness = Witness::default();
        witness.see(0, &Event::ControlRequest(acknowledged("alpha", 180)));
        let judged = |alerts: &[FoundAlert], witness: &Witness| {
            book.judge(alerts, witness, Duration::ZERO).missed.is_empty()
        };
        let fired = |resolved| FoundAlert { resolved, ..alert(150, "alpha", UNACKNOWLEDGED, Found::Health) };
        // One of a restriction that became a halt, and one that the answer ended.
        let both = |end| [fired(Some(Time(160))), fired(end)];
        assert!(judged(&both(Some(Time(180))), &witness));
        assert!(!judged(&both(None), &witness), "it stands for ever");
        assert!(!judged(&both(Some(Time(170))), &witness), "it ended by itself");
        assert!(!judged(&both(Some(Time(181 + BAR))), &witness), "it ended long after the answer");
        assert!(!judged(&[], &witness), "it never fired");
        // Nobody answered: it stands.
        assert!(judged(&both(None), &Witness::default()));
        // An answer for another says nothing of it.
        let mut other = Witness::default();
        other.see(0, &Event::ControlRequest(acknowledged("bravo", 180)));
        assert!(judged(&both(None), &other));
        // Who is in no incident has none missing.
        let strange = alert(150, "bravo", UNACKNOWLEDGED, Found::Health);
        assert_eq!(IncidentBook::default().judge(&[strange], &other, Duration::ZERO).falsely_found.len(), 1);
    }

    fn acknowledged(scope: &str, at: i64) -> ControlRequest {
        ControlRequest {
            source: "gate".into(),
            sequence: 0,
            event_time: Time(at),
            scope: scope.into(),
            request: RequestKind::Acknowledge,
            halt: None,
            who: "gate".to_owned(),
            reason: "heard".to_owned(),
            despite_breach: false,
        }
    }

    #[test]
    fn an_empty_book_makes_every_alert_false() {
        let verdict = judged(&IncidentBook::default(), &[alert(1, "alpha", "position", Found::Warning)]);
        assert_eq!(verdict.falsely_found.len(), 1);
        assert!(judged(&IncidentBook::default(), &[]).is_clean());
    }
}
