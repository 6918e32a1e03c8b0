//! Limits of a portfolio: the values of what they bound.

use tapewatch_schemas::events::{LimitState, Unknown};
use tapewatch_schemas::{PortfolioId, Time};

use super::around::Around;
use super::currencies;
use super::marks::SymbolId;
use super::measure::Bounded;
use super::money::Money;
use super::parameters::{LimitParameters, RiskParameters};
use super::portfolio::{Portfolio, worst};
use super::terms::Limits;
use crate::kernels::{Concentration, concentration};

/// The limits of a portfolio that came to be at `clock`: unknown until they are first evaluated.
pub(super) fn limits_of(parameters: &RiskParameters, portfolio: &PortfolioId, clock: Time) -> Limits {
    let applies = |l: &LimitParameters| l.portfolios.is_empty() || l.portfolios.contains(portfolio);
    let limits = parameters.limits.iter().enumerate().filter(|(_, limit)| applies(limit));
    Limits::new(limits, portfolio.as_str(), clock)
}

impl Portfolio {
    /// Evaluates every limit; true if any changed its status, the reason it is unknown, or its terms.
    pub(super) fn evaluate(&mut self, around: &Around<'_>) -> bool {
        let mut tracks = std::mem::take(&mut self.limits.tracks);
        let mut changed = false;
        for track in &mut tracks {
            let limit = &around.parameters.limits[track.place()];
            if track.is_off() {
                changed |= track.leave(around.clock);
                continue;
            }
            let together = self.together(limit.measure, around);
            let (mut value, deciding) = together.unwrap_or_else(|| {
                let (value, symbol) = match limit.measure {
                    of_groups if of_groups.is_of_a_sector() || of_groups.is_of_a_currency() => {
                        self.largest_group(of_groups, around)
                    }
                    of_liquidity if of_liquidity.is_of_liquidity() => self.liquidity(of_liquidity, around),
                    _ => self.bounded(limit, around),
                };
                (value, symbol.into())
            });
            if limit.of_equity {
                value = of_equity(value, self.equity_unknown(), self.equity());
            }
            changed |= track.take(limit, value, deciding, around.clock);
        }
        self.limits.tracks = tracks;
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
            Bounded::Position
            | Bounded::MaxCorrelation
            | Bounded::MaxCorrelationEwma
            | Bounded::AverageCorrelation
            | Bounded::AverageCorrelationEwma
            | Bounded::SectorGross
            | Bounded::SectorNet
            | Bounded::SectorShare
            | Bounded::CurrencyGross
            | Bounded::CurrencyNet
            | Bounded::CurrencyShare
            | Bounded::RelativeSpread
            | Bounded::BeyondTouch
            | Bounded::DaysToLiquidate
            | Bounded::LiquidationCost => unreachable!("taken care of above"),
            Bounded::Leverage => self.leverage(),
            Bounded::LargestShare => self.concentration().map(|c| c.largest),
            Bounded::Top5Share => self.concentration().map(|c| c.top5),
            Bounded::Herfindahl => self.concentration().map(|c| c.herfindahl),
            Bounded::Drawdown => known(self.equity_unknown(), || self.drawdown.current()),
            Bounded::MaxDrawdown => known(self.equity_unknown(), || self.drawdown.largest()),
            Bounded::TrailingDrawdown => {
                known(self.equity_unknown(), || self.drawdown.trailing(around.clock))
            }
            Bounded::UnderWater => known(self.equity_unknown(), || self.drawdown.under_water(around.clock)),
            Bounded::DailyLoss => self.daily_loss(around.parameters.window.basis),
            Bounded::DailyLossShare => self.daily_loss_share(around.parameters.window.basis),
            Bounded::RealisedLoss => self.realised_profit().map(loss),
            Bounded::UnrealisedLoss => self.unrealised_profit().map(loss),
            Bounded::Fees => self.fees_paid().map(Money::to_f64),
            Bounded::MessageRate
            | Bounded::PeakMessageRate
            | Bounded::OrderToTrade
            | Bounded::RejectedShare
            | Bounded::DuplicateOrders
            | Bounded::SelfCrossings
            | Bounded::PriceAway => self.conduct(limit.measure, around),
            Bounded::ValueAtRisk(model, level, over) => {
                self.tail(model, level, over, &around.parameters.window).map(|t| t.var)
            }
            Bounded::Stress(_) | Bounded::StressWorst => self.stressed(limit.measure, around),
            Bounded::Light(model, level) => self.changes.light(model, level, &around.parameters.window),
            Bounded::ExpectedShortfall(model, level, over) => {
                self.tail(model, level, over, &around.parameters.window).map(|t| t.es)
            }
        };
        (value, None)
    }

    /// The value that a limit bounds, and a symbol of the sector or of the currency that decides it.
    fn largest_group(
        &self,
        measure: Bounded,
        around: &Around<'_>,
    ) -> (Result<f64, Unknown>, Option<SymbolId>) {
        if let Some(reason) = self.exposure_unknown() {
            return (Err(reason), None);
        }
        let (gross, held) = (self.sums.gross, self.values());
        let (value, symbol) = if measure.is_of_a_currency() {
            currencies::bounded(measure, gross, around.marks, held)
        } else {
            around.sectors.bounded(measure, gross, held)
        };
        (Ok(value), symbol)
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
            .tracks
            .iter_mut()
            .map(|track| track.state(&around.parameters.limits[track.place()], around.marks, around.sectors))
            .collect()
    }
}

/// What was lost, 0 or more.
pub(super) fn loss(profit: Money) -> f64 {
    (-profit).max(Money::ZERO).to_f64()
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

/// A sum of money as a share of the equity; unknown if either is. Something without equity is more than every bound: the
/// largest double.
pub(super) fn of_equity(
    value: Result<f64, Unknown>,
    equity_unknown: Option<Unknown>,
    equity: Money,
) -> Result<f64, Unknown> {
    if let Some(unknown) = worst(value.err(), equity_unknown) {
        return Err(unknown);
    }
    let equity = equity.to_f64();
    value.map(|value| match value {
        value if equity > 0.0 => value / equity,
        value if value > 0.0 => f64::MAX,
        _ => 0.0,
    })
}

fn known<T>(unknown: Option<Unknown>, value: impl FnOnce() -> T) -> Result<T, Unknown> {
    unknown.map_or_else(|| Ok(value()), Err)
}
