//! Where one limit stands.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use tapewatch_schemas::Time;
use tapewatch_schemas::events::{LimitState, LimitStatus, TradingLevel, Unknown};

use super::marks::{Marks, SymbolId};
use super::parameters::LimitParameters;
use super::sectors::Sectors;
use super::terms::{Override, Terms};

/// What of all that is held decides a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Deciding {
    /// All of it.
    #[default]
    All,
    /// One symbol, or one of a sector or a currency.
    One(SymbolId),
    /// Two symbols.
    Pair(SymbolId, SymbolId),
}

impl From<Option<SymbolId>> for Deciding {
    fn from(symbol: Option<SymbolId>) -> Self {
        symbol.map_or(Self::All, Self::One)
    }
}

/// Where one limit of one portfolio or scope stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LimitTrack {
    name: SmolStr,
    /// Its place in the configuration.
    #[serde(skip)]
    place: usize,
    status: LimitStatus,
    /// Where it stood when that was last known: hysteresis goes on from there.
    stood: LimitStatus,
    unknown: Option<Unknown>,
    since: Time,
    /// When it came to be unknown: it goes on being so while it is not in force.
    unknown_since: Option<Time>,
    value: Option<f64>,
    deciding: Deciding,
    /// The status before, within the step of a transition.
    #[serde(skip)]
    previous: Option<LimitStatus>,
    #[serde(skip)]
    terms: Terms,
    /// True until it is evaluated under them.
    #[serde(skip)]
    renewed: bool,
}

impl LimitTrack {
    /// A limit that came to be at `clock`, at its place in the configuration: unknown until it is first evaluated.
    pub(super) fn new(place: usize, limit: &LimitParameters, terms: Terms, clock: Time) -> Self {
        let (status, unknown) = if terms.off {
            (LimitStatus::NotInForce, None)
        } else {
            (LimitStatus::Unknown, Some(Unknown::Missing))
        };
        Self {
            name: limit.name.clone(),
            place,
            status,
            stood: LimitStatus::Ok,
            unknown,
            since: clock,
            unknown_since: unknown.map(|_| clock),
            value: None,
            deciding: Deciding::All,
            previous: None,
            terms,
            renewed: false,
        }
    }

    /// Its name in the configuration.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its place in the configuration.
    pub(super) fn place(&self) -> usize {
        self.place
    }

    /// The same at another place.
    pub(super) fn at(&self, place: usize) -> Self {
        Self { place, ..self.clone() }
    }

    /// True if its schedule leaves it out.
    pub(super) fn is_off(&self) -> bool {
        self.terms.off
    }

    /// It is under these terms from now on. Under others than before it is judged anew: hysteresis is of a bound that
    /// was crossed.
    pub(super) fn renew(&mut self, terms: Terms) {
        if terms != self.terms {
            (self.terms, self.renewed) = (terms, true);
            self.stood = LimitStatus::Ok;
        }
    }

    /// It was saved under these terms; true if it does not stand as it would under them. If what it bounds has `changed` it
    /// is judged anew: hysteresis is of a bound that was crossed.
    pub(super) fn restored(&mut self, terms: Terms, changed: bool) -> bool {
        self.terms = terms;
        if changed {
            (self.stood, self.renewed) = (LimitStatus::Ok, true);
        }
        terms.off != (self.status == LimitStatus::NotInForce)
    }

    /// Takes a new value; true if the status, the reason it is unknown or the terms changed.
    pub(super) fn take(
        &mut self,
        limit: &LimitParameters,
        value: Result<f64, Unknown>,
        deciding: impl Into<Deciding>,
        clock: Time,
    ) -> bool {
        let bounds = limit.bounds(self.terms);
        let status =
            value.map_or(LimitStatus::Unknown, |v| classify(v, self.stood, bounds, limit.hysteresis));
        if status != LimitStatus::Unknown {
            self.stood = status;
        }
        (self.value, self.deciding) = (value.ok(), deciding.into());
        self.stand(status, value.err(), clock)
    }

    /// It is not in force, and nothing is known of it; true if that is new.
    pub(super) fn leave(&mut self, clock: Time) -> bool {
        (self.value, self.deciding) = (None, Deciding::All);
        self.stand(LimitStatus::NotInForce, None, clock)
    }

    fn stand(&mut self, status: LimitStatus, unknown: Option<Unknown>, clock: Time) -> bool {
        let renewed = std::mem::take(&mut self.renewed);
        let changed = status != self.status || unknown != self.unknown || renewed;
        if changed {
            self.previous = Some(self.status);
        }
        match status {
            LimitStatus::Unknown => {
                self.unknown_since.get_or_insert(clock);
            }
            LimitStatus::NotInForce => {}
            _ => self.unknown_since = None,
        }
        if status != self.status {
            // A session after the other that it is unknown in: it does not begin to be so with each.
            self.since = self.unknown_since.filter(|_| status == LimitStatus::Unknown).unwrap_or(clock);
        }
        (self.status, self.unknown) = (status, unknown);
        changed
    }

    /// As it is published; forgets what it was before this step.
    pub(super) fn state(&mut self, limit: &LimitParameters, marks: &Marks, sectors: &Sectors) -> LimitState {
        let (soft, hard) = limit.bounds(self.terms);
        LimitState {
            limit: self.name.to_string(),
            measure: limit.measure.to_string(),
            status: self.status,
            previous: self.previous.take(),
            since: self.since,
            value: self.value,
            soft,
            hard,
            utilisation: match (self.value, hard.or(soft)) {
                (Some(value), Some(bound)) if bound > 0.0 => Some((value / bound).min(f64::MAX)),
                _ => None,
            },
            unknown: self.unknown,
            symbol: match self.deciding {
                Deciding::One(s) if limit.measure.is_of_a_sector() => Some(sectors.name(s).to_owned()),
                Deciding::One(s) if limit.measure.is_of_a_currency() => {
                    Some(marks.mark(s).map_or(String::new(), |mark| mark.currency.to_string()))
                }
                Deciding::One(s) => Some(marks.entry(s).symbol.to_string()),
                Deciding::All | Deciding::Pair(..) => None,
            },
            symbols: match self.deciding {
                Deciding::Pair(one, other) => marks.names([one, other]),
                Deciding::All | Deciding::One(_) => Vec::new(),
            },
            calls_for: match self.status {
                LimitStatus::Breached => limit.on_hard.max(limit.on_soft),
                LimitStatus::Warning => limit.on_soft,
                LimitStatus::Ok | LimitStatus::Unknown | LimitStatus::NotInForce => TradingLevel::Normal,
            },
            of_equity: limit.of_equity,
            overridden: limit.overridden(self.terms).map(Override::published),
        }
    }
}

/// Where a value puts a limit that stood in `before` between its soft and its hard bound. At a bound is within it.
fn classify(
    value: f64,
    before: LimitStatus,
    (soft, hard): (Option<f64>, Option<f64>),
    hysteresis: f64,
) -> LimitStatus {
    let over = |bound: Option<f64>, held: bool| {
        bound.is_some_and(|b| value > if held { b * (1.0 - hysteresis) } else { b })
    };
    if over(hard, before == LimitStatus::Breached) {
        LimitStatus::Breached
    } else if over(soft, matches!(before, LimitStatus::Breached | LimitStatus::Warning)) {
        LimitStatus::Warning
    } else {
        LimitStatus::Ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::Bounded;

    #[test]
    fn a_crossed_bound_is_left_only_below_its_hysteresis() {
        let mut status = LimitStatus::Ok;
        for (value, expected) in [
            (2.0, LimitStatus::Ok),
            (2.1, LimitStatus::Warning),
            (1.9, LimitStatus::Warning),
            (3.0, LimitStatus::Warning),
            (3.1, LimitStatus::Breached),
            (2.8, LimitStatus::Breached),
            (2.6, LimitStatus::Warning),
            (1.7, LimitStatus::Ok),
            (1.9, LimitStatus::Ok),
        ] {
            status = classify(value, status, (Some(2.0), Some(3.0)), 0.1);
            assert_eq!(status, expected, "{value}");
        }
    }

    #[test]
    fn what_is_unknown_meanwhile_leaves_the_hysteresis() {
        let mut limit = LimitParameters::new("l", Bounded::Leverage, None, Some(3.0));
        limit.hysteresis = 0.1;
        let mut track = LimitTrack::new(0, &limit, Terms::default(), Time(0));
        for (value, expected) in [
            (Ok(3.1), LimitStatus::Breached),
            (Err(Unknown::Stale), LimitStatus::Unknown),
            (Ok(2.8), LimitStatus::Breached),
            (Err(Unknown::Stale), LimitStatus::Unknown),
            (Ok(2.6), LimitStatus::Ok),
            (Ok(2.8), LimitStatus::Ok),
        ] {
            track.take(&limit, value, Deciding::All, Time(1));
            assert_eq!(track.status, expected, "{value:?}");
        }
    }
}
