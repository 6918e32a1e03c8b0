//! Limits: the value of what they bound, and where they stand.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use tapewatch_schemas::events::{LimitState, LimitStatus, TradingLevel, Unknown};
use tapewatch_schemas::{PortfolioId, Time};

use super::around::Around;
use super::marks::{Marks, SymbolId};
use super::measure::Bounded;
use super::money::Money;
use super::parameters::{LimitParameters, RiskParameters};
use super::portfolio::Portfolio;
use crate::kernels::{Concentration, concentration};

/// Where one limit of one portfolio stands.
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
    value: Option<f64>,
    symbol: Option<SymbolId>,
    /// The status before, within the step of a transition.
    #[serde(skip)]
    previous: Option<LimitStatus>,
}

/// The limits of a portfolio that came to be at `clock`: unknown until they are first evaluated.
pub(super) fn limits_of(
    parameters: &RiskParameters,
    portfolio: &PortfolioId,
    clock: Time,
) -> Vec<LimitTrack> {
    let applies = |l: &LimitParameters| l.portfolios.is_empty() || l.portfolios.contains(portfolio);
    let limits = parameters.limits.iter().enumerate().filter(|(_, limit)| applies(limit));
    limits.map(|(place, limit)| LimitTrack::new(place, limit, clock)).collect()
}

/// Puts saved limits in the configuration's order: what it no longer names is dropped, what is new begins
/// as unknown.
pub(super) fn limits_restored(saved: &mut Vec<LimitTrack>, fresh: Vec<LimitTrack>) {
    let mut put = |mut track: LimitTrack| {
        if let Some(old) = saved.iter().find(|s| s.name == track.name) {
            track = LimitTrack { place: track.place, ..old.clone() };
        }
        track
    };
    let restored = fresh.into_iter().map(&mut put).collect();
    *saved = restored;
}

impl Portfolio {
    /// Evaluates every limit; true if any changed its status or the reason it is unknown.
    pub(super) fn evaluate(&mut self, around: &Around<'_>) -> bool {
        let mut limits = std::mem::take(&mut self.limits);
        let mut changed = false;
        for track in &mut limits {
            let limit = &around.parameters.limits[track.place];
            let (value, symbol) = match limit.measure {
                Bounded::MaxCorrelation => (self.together(around).map(|t| t.largest), None),
                _ => self.bounded(limit, around),
            };
            changed |= track.take(limit, value, symbol, around.clock);
        }
        self.limits = limits;
        changed
    }

    /// The value that a limit bounds, and the symbol that decides it.
    fn bounded(
        &self,
        limit: &LimitParameters,
        around: &Around<'_>,
    ) -> (Result<f64, Unknown>, Option<SymbolId>) {
        if limit.measure == Bounded::Position {
            return self.largest_position(limit, around);
        }
        let value = match limit.measure {
            Bounded::GrossExposure | Bounded::NettedExposure => {
                known(self.exposure_unknown(), || self.sums.gross.to_f64())
            }
            Bounded::NetExposure => known(self.exposure_unknown(), || self.sums.net.abs().to_f64()),
            Bounded::Position | Bounded::MaxCorrelation => unreachable!("taken care of above"),
            Bounded::Leverage => self.leverage(),
            Bounded::LargestShare => self.concentration().map(|c| c.largest),
            Bounded::Top5Share => self.concentration().map(|c| c.top5),
            Bounded::Herfindahl => self.concentration().map(|c| c.herfindahl),
            Bounded::Drawdown => known(self.equity_unknown(), || self.drawdown.current()),
            Bounded::MaxDrawdown => known(self.equity_unknown(), || self.drawdown.largest()),
            Bounded::DailyLoss => self.daily_loss(around.parameters.window.basis),
            Bounded::DailyLossShare => self.daily_loss_share(around.parameters.window.basis),
            Bounded::MessageRate
            | Bounded::PeakMessageRate
            | Bounded::OrderToTrade
            | Bounded::RejectedShare
            | Bounded::DuplicateOrders
            | Bounded::SelfCrossings
            | Bounded::PriceAway => self.conduct(limit.measure, around),
            Bounded::ValueAtRisk(model, level) => self.tail(model, level, around.parameters).map(|t| t.var),
            Bounded::Light(model, level) => self.light(model, level, &around.parameters.window),
            Bounded::ExpectedShortfall(model, level) => {
                self.tail(model, level, around.parameters).map(|t| t.es)
            }
        };
        (value, None)
    }

    fn largest_position(
        &self,
        limit: &LimitParameters,
        around: &Around<'_>,
    ) -> (Result<f64, Unknown>, Option<SymbolId>) {
        if let Some(reason) = self.exposure_unknown() {
            return (Err(reason), None);
        }
        let applies = |symbol: SymbolId| {
            limit.symbols.is_empty() || limit.symbols.contains(&around.marks.entry(symbol).symbol)
        };
        let mut largest = (Money::ZERO, None);
        for holding in self.holdings.iter().filter(|h| applies(h.symbol)) {
            let size = holding.value.unwrap_or_default().abs();
            if size > largest.0 {
                largest = (size, Some(holding.symbol));
            }
        }
        (Ok(largest.0.to_f64()), largest.1)
    }

    /// Gross exposure over equity. Exposure without equity is more than any bound: the largest double.
    pub(super) fn leverage(&self) -> Result<f64, Unknown> {
        known(self.equity_unknown(), || leverage(self.sums.gross, self.equity()))
    }

    /// How concentrated the book is.
    pub(super) fn concentration(&self) -> Result<Concentration, Unknown> {
        known(self.exposure_unknown(), || {
            concentration(self.holdings.iter().map(|h| h.value.unwrap_or_default().to_f64()))
        })
    }

    /// The states of all limits, as they are published, and forgets what they were before this step.
    pub(super) fn limit_states(&mut self, around: &Around<'_>) -> Vec<LimitState> {
        self.limits
            .iter_mut()
            .map(|track| track.state(&around.parameters.limits[track.place], around.marks))
            .collect()
    }
}

/// Gross exposure over equity; the largest double without equity.
pub(super) fn leverage(gross: Money, equity: Money) -> f64 {
    if gross == Money::ZERO {
        0.0
    } else if equity > Money::ZERO {
        gross.to_f64() / equity.to_f64()
    } else {
        f64::MAX
    }
}

fn known<T>(unknown: Option<Unknown>, value: impl FnOnce() -> T) -> Result<T, Unknown> {
    unknown.map_or_else(|| Ok(value()), Err)
}

impl LimitTrack {
    /// A limit that came to be at `clock`, at its place in the configuration: unknown until it is first evaluated.
    pub(super) fn new(place: usize, limit: &LimitParameters, clock: Time) -> Self {
        Self {
            name: limit.name.clone(),
            place,
            status: LimitStatus::Unknown,
            stood: LimitStatus::Ok,
            unknown: Some(Unknown::Missing),
            since: clock,
            value: None,
            symbol: None,
            previous: None,
        }
    }

    /// Its place in the configuration.
    pub(super) fn place(&self) -> usize {
        self.place
    }

    /// Takes a new value; true if the status or the reason it is unknown changed.
    pub(super) fn take(
        &mut self,
        limit: &LimitParameters,
        value: Result<f64, Unknown>,
        symbol: Option<SymbolId>,
        clock: Time,
    ) -> bool {
        let status = value.map_or(LimitStatus::Unknown, |v| classify(v, self.stood, limit));
        let unknown = value.err();
        let changed = status != self.status || unknown != self.unknown;
        if changed {
            self.previous = Some(self.status);
        }
        if status != self.status {
            self.since = clock;
        }
        self.status = status;
        if status != LimitStatus::Unknown {
            self.stood = status;
        }
        self.unknown = unknown;
        self.value = value.ok();
        self.symbol = symbol;
        changed
    }

    /// As it is published; forgets what it was before this step.
    pub(super) fn state(&mut self, limit: &LimitParameters, marks: &Marks) -> LimitState {
        let bound = limit.hard.or(limit.soft);
        LimitState {
            limit: self.name.to_string(),
            measure: limit.measure.to_string(),
            status: self.status,
            previous: self.previous.take(),
            since: self.since,
            value: self.value,
            soft: limit.soft,
            hard: limit.hard,
            utilisation: match (self.value, bound) {
                (Some(value), Some(bound)) if bound > 0.0 => Some((value / bound).min(f64::MAX)),
                _ => None,
            },
            unknown: self.unknown,
            symbol: self.symbol.map(|s| marks.entry(s).symbol.to_string()),
            calls_for: match self.status {
                LimitStatus::Breached => limit.on_hard.max(limit.on_soft),
                LimitStatus::Warning => limit.on_soft,
                LimitStatus::Ok | LimitStatus::Unknown => TradingLevel::Normal,
            },
        }
    }
}

/// Where a value puts a limit that stood in `before`. At a bound is within it.
fn classify(value: f64, before: LimitStatus, limit: &LimitParameters) -> LimitStatus {
    let over = |bound: Option<f64>, held: bool| {
        bound.is_some_and(|b| value > if held { b * (1.0 - limit.hysteresis) } else { b })
    };
    if over(limit.hard, before == LimitStatus::Breached) {
        LimitStatus::Breached
    } else if over(limit.soft, matches!(before, LimitStatus::Breached | LimitStatus::Warning)) {
        LimitStatus::Warning
    } else {
        LimitStatus::Ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crossed_bound_is_left_only_below_its_hysteresis() {
        let mut limit = LimitParameters::new("l", Bounded::Leverage, Some(2.0), Some(3.0));
        limit.hysteresis = 0.1;
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
            status = classify(value, status, &limit);
            assert_eq!(status, expected, "{value}");
        }
    }

    #[test]
    fn what_is_unknown_meanwhile_leaves_the_hysteresis() {
        let mut limit = LimitParameters::new("l", Bounded::Leverage, None, Some(3.0));
        limit.hysteresis = 0.1;
        let parameters = RiskParameters { limits: vec![limit.clone()], ..RiskParameters::default() };
        let mut track = limits_of(&parameters, &"p".into(), Time(0)).remove(0);
        for (value, expected) in [
            (Ok(3.1), LimitStatus::Breached),
            (Err(Unknown::Stale), LimitStatus::Unknown),
            (Ok(2.8), LimitStatus::Breached),
            (Err(Unknown::Stale), LimitStatus::Unknown),
            (Ok(2.6), LimitStatus::Ok),
            (Ok(2.8), LimitStatus::Ok),
        ] {
            track.take(&limit, value, None, Time(1));
            assert_eq!(track.status, expected, "{value:?}");
        }
    }
}
