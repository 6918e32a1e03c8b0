//! Limits on what a market is like: where they stand by the figures that a log publishes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tapewatch_schemas::events::{LimitState, LimitStatus, RiskMetrics};
use tapewatch_schemas::{Scope, Time};

use super::{Found, FoundAlert};

/// How the measures of a model's backtest end.
pub(super) const LIGHT: &str = "_light";

/// What the names of measures of how alike symbols move hold.
const CORRELATION: &str = "correlation";

/// Limits on the lights of backtests and on correlations, of which no incident book knows, judged anew: the figure is the
/// published measure, the bounds are those in force, the hysteresis that of the settings. What the risk worker says of the
/// limit, and what alerting makes of it, is not looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Market {
    /// By whether they are above the portfolio, and name; 0 for those that are not here.
    hysteresis: BTreeMap<(bool, String), f64>,
    /// What an alert tells of at once.
    told: BTreeSet<LimitStatus>,
    /// By scope and limit.
    standings: BTreeMap<(String, String), Standing>,
    /// Figures over a bound, by the record that publishes them and the limit.
    over: BTreeMap<(String, String), (LimitStatus, f64)>,
    /// Figures that went over a bound.
    crossings: Vec<(String, Untold)>,
}

/// Where a limit stands.
#[derive(Clone, Debug, Default)]
struct Standing {
    bounds: (Option<f64>, Option<f64>),
    /// What hysteresis goes on from.
    over: Option<LimitStatus>,
    /// Every change of what was known.
    changes: Vec<(Time, LimitStatus)>,
}

/// A limit that went over a bound by the published figures, and no alert says so.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Untold {
    /// When.
    pub time: Time,
    /// Whose limit.
    pub scope: Scope,
    /// Its name.
    pub limit: String,
    /// Over its soft bound, or its hard one.
    pub status: Found,
    /// The figure.
    pub value: f64,
}

impl Market {
    pub(super) fn set_hysteresis(&mut self, above: bool, limit: &str, share: f64) {
        self.hysteresis.insert((above, limit.to_owned()), share);
    }

    pub(super) fn tells(&mut self, status: LimitStatus) {
        self.told.insert(status);
    }

    pub(super) fn take(&mut self, metrics: &RiskMetrics) {
        let of_market =
            |limit: &&LimitState| limit.measure.ends_with(LIGHT) || limit.measure.contains(CORRELATION);
        for limit in metrics.limits.iter().filter(of_market) {
            let figure = metrics.measures.iter().find(|measure| measure.name == limit.measure);
            let of = (metrics.scope.to_string(), limit.limit.clone());
            let standing = self.standings.entry(of).or_default();
            if limit.status == LimitStatus::NotInForce {
                standing.stands(metrics.event_time, LimitStatus::NotInForce);
                standing.over = None;
                continue;
            }
            let Some(value) = figure.and_then(|figure| figure.value) else { continue };
            let above = metrics.scope.as_str().contains(':');
            let hysteresis = self.hysteresis.get(&(above, limit.limit.clone())).copied().unwrap_or_default();
            let status = standing.judge(value, (limit.soft, limit.hard), hysteresis);
            let new = standing.stands(metrics.event_time, status);
            let found = match status {
                LimitStatus::Warning => Found::Warning,
                LimitStatus::Breached => Found::Breached,
                _ => continue,
            };
            let record = metrics.id.to_string();
            self.over.insert((record.clone(), limit.limit.clone()), (status, value));
            if new && self.told.contains(&status) {
                let (time, scope, limit) = (metrics.event_time, metrics.scope.clone(), limit.limit.clone());
                self.crossings.push((record, Untold { time, scope, limit, status: found, value }));
            }
        }
    }

    /// Whether what an alert says of a limit over a bound is so, by the figure that it quotes, in the record that caused it;
    /// by that of its time, if it is one that waited. None if its limit is not of the market.
    pub(super) fn is_so(&self, alert: &FoundAlert) -> Option<bool> {
        let status = match alert.status {
            Found::Warning => LimitStatus::Warning,
            Found::Breached => LimitStatus::Breached,
            Found::Unknown(_) | Found::Health => return None,
        };
        let standing = self.standings.get(&(alert.scope.clone(), alert.subject.clone()))?;
        if alert.cause.contains('@') {
            let before = standing.changes.partition_point(|(at, _)| *at <= alert.time);
            return Some(standing.changes[..before].last().is_some_and(|(_, stood)| *stood == status));
        }
        let figure = self.over.get(&(alert.cause.clone(), alert.subject.clone()));
        Some(figure.is_some_and(|(stood, value)| *stood == status && alert.value == Some(*value)))
    }

    /// Crossings that none of the alerts is of.
    pub(super) fn untold(&self, alerts: &[FoundAlert]) -> Vec<Untold> {
        let told: BTreeSet<(&str, &str, &str)> = alerts
            .iter()
            .filter(|alert| matches!(alert.status, Found::Warning | Found::Breached))
            .map(|alert| (alert.cause.as_str(), alert.scope.as_str(), alert.subject.as_str()))
            .collect();
        let is_told = |(record, crossing): &&(String, Untold)| {
            told.contains(&(record.as_str(), crossing.scope.as_str(), crossing.limit.as_str()))
        };
        self.crossings.iter().filter(|one| !is_told(one)).map(|(_, crossing)| crossing.clone()).collect()
    }
}

impl Standing {
    /// Where a value puts it. Under other bounds it is judged anew.
    fn judge(&mut self, value: f64, bounds: (Option<f64>, Option<f64>), hysteresis: f64) -> LimitStatus {
        if bounds != self.bounds {
            (self.bounds, self.over) = (bounds, None);
        }
        let over = |bound: Option<f64>, was: bool| {
            bound.is_some_and(|bound| value > if was { bound * (1.0 - hysteresis) } else { bound })
        };
        let (soft, hard) = bounds;
        self.over = if over(hard, self.over == Some(LimitStatus::Breached)) {
            Some(LimitStatus::Breached)
        } else {
            over(soft, self.over.is_some()).then_some(LimitStatus::Warning)
        };
        self.over.unwrap_or(LimitStatus::Ok)
    }

    /// It stands so from now on; true if it did not before.
    fn stands(&mut self, at: Time, status: LimitStatus) -> bool {
        let new = self.changes.last().is_none_or(|(_, before)| *before != status);
        if new {
            self.changes.push((at, status));
        }
        new
    }
}
