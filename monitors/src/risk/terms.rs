//! What of a limit is in force at an instant: by its schedule, and by overrides of its bounds.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use tapewatch_schemas::events::LimitOverride;
use tapewatch_schemas::{Scope, Time};

use super::measure::Bounded;
use super::parameters::LimitParameters;
use super::track::LimitTrack;

/// Other bounds of a limit for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Override {
    /// The portfolios or scopes that it is for; all that the limit is on if empty. No two of a limit are for one at one
    /// time; if they are, the first is in force.
    pub scopes: Vec<Scope>,
    /// A value over it warns; the limit's own if none.
    pub soft: Option<f64>,
    /// A value over it is a breach; the limit's own if none.
    pub hard: Option<f64>,
    /// From this instant on,
    pub from: Time,
    /// until this one, which does not belong to it.
    pub until: Time,
    /// Who answers for it.
    pub who: SmolStr,
    /// The reason given.
    pub why: SmolStr,
}

impl Override {
    fn is_for(&self, scope: &str) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|one| one.as_str() == scope)
    }

    /// As it is published.
    pub(super) fn published(&self) -> LimitOverride {
        LimitOverride { who: self.who.to_string(), why: self.why.to_string(), until: self.until }
    }
}

/// Which bounds of a limit are in force on a scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Terms {
    /// True if none are: its schedule leaves it out.
    pub(super) off: bool,
    /// The place of the override in force among the limit's; none if its own bounds are.
    overridden: Option<u32>,
}

impl LimitParameters {
    /// What of it is in force on a scope.
    pub(super) fn terms(&self, scope: &str, at: Time) -> Terms {
        let off = self.schedule.as_ref().is_some_and(|schedule| !schedule.holds(at));
        let in_force = |one: &Override| one.is_for(scope) && one.from <= at && at < one.until;
        Terms { off, overridden: self.overrides.iter().position(in_force).map(|place| place as u32) }
    }

    /// The first instant after `after` at which that may change; none if it never does.
    fn terms_until(&self, scope: &str, after: Time) -> Option<Time> {
        let ends =
            self.overrides.iter().filter(|one| one.is_for(scope)).flat_map(|one| [one.from, one.until]);
        let scheduled = self.schedule.as_ref().and_then(|schedule| schedule.next(after));
        ends.filter(|at| *at > after).chain(scheduled).min()
    }

    /// The override that is in force under terms.
    pub(super) fn overridden(&self, terms: Terms) -> Option<&Override> {
        terms.overridden.map(|place| &self.overrides[place as usize])
    }

    /// The soft and the hard bound under terms.
    pub(super) fn bounds(&self, terms: Terms) -> (Option<f64>, Option<f64>) {
        match self.overridden(terms) {
            Some(other) => (other.soft.or(self.soft), other.hard.or(self.hard)),
            None => (self.soft, self.hard),
        }
    }
}

/// The limits on a scope, and the terms that they are under.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Limits {
    pub(super) tracks: Vec<LimitTrack>,
    /// Their terms are those of this instant,
    from: Time,
    /// and are to be looked up again at this one; none if they never change.
    #[serde(skip)]
    until: Option<Time>,
}

impl Limits {
    /// Those of a scope that came to be at `clock`, each with its place in the configuration: unknown until they are
    /// first evaluated.
    pub(super) fn new<'a>(
        limits: impl Iterator<Item = (usize, &'a LimitParameters)>,
        scope: &str,
        clock: Time,
    ) -> Self {
        let mut until = None;
        let tracks = limits.map(|(place, limit)| {
            until = earlier(until, limit.terms_until(scope, clock));
            LimitTrack::new(place, limit, limit.terms(scope, clock), clock)
        });
        Self { tracks: tracks.collect(), from: clock, until }
    }

    /// When terms change next.
    pub(super) fn until(&self) -> Option<Time> {
        self.until
    }

    /// Terms are those of now. `limit` finds a limit by its place in the configuration.
    pub(super) fn renew<'a>(
        &mut self,
        limit: impl Fn(usize) -> &'a LimitParameters,
        scope: &str,
        clock: Time,
    ) {
        (self.from, self.until) = (clock, None);
        for track in &mut self.tracks {
            let limit = limit(track.place());
            track.renew(limit.terms(scope, clock));
            self.until = earlier(self.until, limit.terms_until(scope, clock));
        }
    }

    /// Puts saved limits in the configuration's order, which is that of `fresh`: what it no longer names is dropped,
    /// what is new begins as unknown. All are under the terms that they were saved under; those of which the configuration
    /// has `changed` what it bounds are judged anew, at once.
    pub(super) fn restored<'a>(
        &mut self,
        fresh: Self,
        limit: impl Fn(usize) -> &'a LimitParameters,
        scope: &str,
        changed: &[bool],
    ) {
        let clock = fresh.from;
        let saved = std::mem::replace(&mut self.tracks, fresh.tracks);
        self.until = None;
        let mut other = false;
        for track in &mut self.tracks {
            if let Some(old) = saved.iter().find(|old| old.name() == track.name()) {
                *track = old.at(track.place());
            }
            let (limit, changed) = (limit(track.place()), changed[track.place()]);
            other |= track.restored(limit.terms(scope, self.from), changed) || changed;
            self.until = earlier(self.until, limit.terms_until(scope, self.from));
        }
        if other {
            self.until = Some(clock);
        }
    }
}

/// What a limit bounds, to tell whether that is what it was when a state was saved.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct BoundsOf {
    limit: SmolStr,
    measure: String,
    soft: Option<f64>,
    hard: Option<f64>,
    of_equity: bool,
    overrides: Vec<Override>,
    /// What the measure is of, where its name does not say it.
    definition: String,
}

/// Which limits bound something else than when these were saved, by place.
pub(super) fn changed<'a>(
    limits: impl Iterator<Item = &'a LimitParameters>,
    saved: &[BoundsOf],
    definition: impl Fn(Bounded) -> String,
) -> Vec<bool> {
    limits.map(|limit| !saved.contains(&BoundsOf::new(limit, &definition))).collect()
}

impl BoundsOf {
    pub(super) fn new(limit: &LimitParameters, definition: impl Fn(Bounded) -> String) -> Self {
        let LimitParameters { name, measure: limit_measure, soft, hard, of_equity, overrides, .. } = limit;
        let (limit, overrides) = (name.clone(), overrides.clone());
        let (measure, definition) = (limit_measure.to_string(), definition(*limit_measure));
        Self { limit, measure, soft: *soft, hard: *hard, of_equity: *of_equity, overrides, definition }
    }
}

/// The earlier of two instants, of which there may be none.
pub(super) fn earlier(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    a.into_iter().chain(b).min()
}
