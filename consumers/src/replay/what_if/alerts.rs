//! Alerts as they were published, and as they would have been: what appears, disappears or moves.

use std::collections::BTreeMap;

use serde::Serialize;
use tapewatch_schemas::Time;
use tapewatch_schemas::events::{Alert, AlertState, Severity};

use crate::replay::Range;

/// One alert, from its firing to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Episode {
    /// When it fired.
    pub fired: Time,
    /// When it was resolved; none if it stands at the end.
    pub resolved: Option<Time>,
    /// How bad.
    pub severity: Severity,
}

impl Episode {
    /// True if it stood at some time of the range, both ends included.
    pub fn stood_within(&self, range: &Range) -> bool {
        range.from.is_none_or(|from| self.resolved.is_none_or(|end| end >= from))
            && range.to.is_none_or(|to| self.fired <= to)
    }
}

/// What would become of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was not published, and would be.
    Appears,
    /// It was published, and would not be.
    Disappears,
    /// It would fire or be resolved at another time.
    Moves,
    /// It would have another severity, at the same times.
    Changes,
}

/// One alert that would be another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// What would become of it.
    pub change: Change,
    /// The rule.
    pub rule: String,
    /// What it is about.
    pub scope: String,
    /// The measure or limit that the rule looks at.
    pub subject: String,
    /// What makes it the same alert again.
    pub fingerprint: String,
    /// As it was published.
    pub recorded: Option<Episode>,
    /// As it would be.
    pub then: Option<Episode>,
    /// By how much it would fire later, microseconds; earlier if negative.
    pub fires_later: Option<i64>,
    /// By how much it would be resolved later, microseconds; earlier if negative.
    pub resolves_later: Option<i64>,
}

/// What an alert is, beside its times.
#[derive(Clone, Debug)]
struct Identity {
    rule: String,
    scope: String,
    subject: String,
}

/// Alerts by fingerprint, each with its episodes in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Book(BTreeMap<String, (Identity, Vec<Episode>)>);

impl Book {
    /// Adds what was published next.
    pub(super) fn add(&mut self, alert: Alert) {
        let Alert { rule, scope, subject, severity, event_time, .. } = alert;
        let fresh = || (Identity { rule, scope, subject }, Vec::new());
        let (_, episodes) = self.0.entry(alert.fingerprint).or_insert_with(fresh);
        match (alert.state, episodes.last_mut()) {
            (AlertState::Resolved, Some(last)) => last.resolved = Some(event_time),
            (AlertState::Resolved, None) => {}
            (AlertState::Firing, _) => {
                episodes.push(Episode { fired: event_time, resolved: None, severity });
            }
        }
    }

    /// Every one that fired.
    pub(super) fn episodes(&self) -> impl Iterator<Item = &Episode> {
        self.0.values().flat_map(|(_, episodes)| episodes)
    }

    /// What would be otherwise, by when it first would.
    pub(super) fn compare(&self, then: &Self) -> Vec<Moved> {
        let mut moved = Vec::new();
        let names: std::collections::BTreeSet<&String> = self.0.keys().chain(then.0.keys()).collect();
        for name in names {
            let (was, will) = (self.0.get(name), then.0.get(name));
            let Some((identity, _)) = was.or(will) else { continue };
            let episodes = |of: Option<&(Identity, Vec<Episode>)>| of.map_or(Vec::new(), |(_, e)| e.clone());
            pair(&episodes(was), &episodes(will), |one, other| {
                moved.extend(difference(name, identity, one, other));
            });
        }
        moved.sort_by_key(|one| {
            let first = one.recorded.iter().chain(&one.then).map(|episode| episode.fired).min();
            (first, one.fingerprint.clone())
        });
        moved
    }
}

/// Episodes that overlap are the same alert; one that overlaps with none stands alone.
fn pair(was: &[Episode], will: &[Episode], mut tell: impl FnMut(Option<&Episode>, Option<&Episode>)) {
    let (mut was, mut will) = (was.iter().peekable(), will.iter().peekable());
    loop {
        let ends = |episode: &Episode| episode.resolved.unwrap_or(Time::MAX);
        match (was.peek(), will.peek()) {
            (None, None) => return,
            (Some(one), Some(other)) if ends(one) >= other.fired && ends(other) >= one.fired => {
                tell(was.next(), will.next());
            }
            (Some(one), Some(other)) if one.fired > other.fired => tell(None, will.next()),
            (Some(_), _) => tell(was.next(), None),
            (None, Some(_)) => tell(None, will.next()),
        }
    }
}

fn difference(
    fingerprint: &str,
    identity: &Identity,
    recorded: Option<&Episode>,
    then: Option<&Episode>,
) -> Option<Moved> {
    let change = match (recorded, then) {
        (None, None) => return None,
        (None, Some(_)) => Change::Appears,
        (Some(_), None) => Change::Disappears,
        (Some(one), Some(other)) if one == other => return None,
        (Some(one), Some(other)) if (one.fired, one.resolved) == (other.fired, other.resolved) => {
            Change::Changes
        }
        (Some(_), Some(_)) => Change::Moves,
    };
    let later = |of: fn(&Episode) -> Option<Time>| Some(of(then?)?.since(of(recorded?)?));
    let Identity { rule, scope, subject } = identity.clone();
    Some(Moved {
        change,
        rule,
        scope,
        subject,
        fingerprint: fingerprint.to_owned(),
        recorded: recorded.cloned(),
        then: then.cloned(),
        fires_later: later(|episode| Some(episode.fired)),
        resolves_later: later(|episode| episode.resolved),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn episode(fired: i64, resolved: Option<i64>) -> Episode {
        Episode { fired: Time(fired), resolved: resolved.map(Time), severity: Severity::Warning }
    }

    fn changes(was: &[Episode], will: &[Episode]) -> Vec<(Change, Option<i64>, Option<i64>)> {
        let identity = Identity { rule: "r".into(), scope: "s".into(), subject: "x".into() };
        let mut found = Vec::new();
        pair(was, will, |one, other| {
            let moved = difference("f", &identity, one, other);
            found.extend(moved.map(|moved| (moved.change, moved.fires_later, moved.resolves_later)));
        });
        found
    }

    #[test]
    fn what_overlaps_moves_and_what_does_not_appears_or_disappears() {
        let was = [episode(10, Some(20)), episode(50, Some(60)), episode(90, None)];
        assert_eq!(changes(&was, &was), []);
        assert_eq!(
            changes(&was, &[episode(5, Some(25)), episode(30, Some(35)), episode(90, None)]),
            [
                (Change::Moves, Some(-5), Some(5)),
                (Change::Appears, None, None),
                (Change::Disappears, None, None)
            ]
        );
    }

    #[test]
    fn an_alert_that_joins_two_takes_the_place_of_the_first() {
        let was = [episode(10, Some(20)), episode(30, Some(40))];
        assert_eq!(
            changes(&was, &[episode(10, Some(35))]),
            [(Change::Moves, Some(0), Some(15)), (Change::Disappears, None, None)]
        );
    }

    #[test]
    fn what_stood_at_a_time_of_the_range_counts() {
        let range = |from: Option<i64>, to: Option<i64>| Range { from: from.map(Time), to: to.map(Time) };
        let one = episode(10, Some(20));
        assert!(one.stood_within(&range(None, None)) && one.stood_within(&range(Some(20), Some(30))));
        assert!(one.stood_within(&range(Some(0), Some(10))));
        assert!(!one.stood_within(&range(Some(21), None)) && !one.stood_within(&range(None, Some(9))));
        assert!(episode(10, None).stood_within(&range(Some(99), None)), "it stands still");
    }

    #[test]
    fn another_severity_is_told() {
        let worse = Episode { severity: Severity::Critical, ..episode(10, Some(20)) };
        assert_eq!(changes(&[episode(10, Some(20))], &[worse]), [(Change::Changes, Some(0), Some(0))]);
    }
}
