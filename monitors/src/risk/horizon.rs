//! Figures over more than one step: returns compounded over several instants, and tails at each horizon.

use serde::{Deserialize, Serialize};
use tapewatch_schemas::events::Unknown;

use super::measure::Confidence;
use super::parameters::WindowParameters;
use crate::kernels::{Horizon, TailRisk};

/// Per level, losses positive; or why they are unknown.
pub(in crate::risk) type AtLevels = Result<Vec<TailRisk>, Unknown>;

/// Value at risk and expected shortfall of what is held, revalued, over each horizon and at each level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::risk) struct Tails {
    /// Over one step.
    pub(in crate::risk) one: AtLevels,
    /// Over each of the others, in the order of the configuration.
    pub(in crate::risk) further: Vec<AtLevels>,
}

impl Default for Tails {
    fn default() -> Self {
        Self { one: Err(Unknown::WarmingUp), further: Vec::new() }
    }
}

impl Tails {
    /// At a level of the configuration, over one of its horizons.
    pub(in crate::risk) fn of(
        &self,
        level: Confidence,
        over: Horizon,
        window: &WindowParameters,
    ) -> Result<TailRisk, Unknown> {
        let level = window.levels.iter().position(|one| *one == level).ok_or(Unknown::WarmingUp)?;
        let over = window.horizons.iter().position(|one| *one == over).ok_or(Unknown::WarmingUp)?;
        let all = std::iter::once(&self.one).chain(&self.further);
        match all.into_iter().nth(over) {
            Some(Ok(tails)) => tails.get(level).copied().ok_or(Unknown::WarmingUp),
            Some(Err(unknown)) => Err(*unknown),
            None => Err(Unknown::WarmingUp),
        }
    }
}

/// One symbol's returns over more than one instant, a series a horizon, oldest first. They overlap, and end at the latest
/// instant. Each is of its own returns alone, whatever was there before, so it need not be saved.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::risk) struct Compounded(Vec<Vec<f64>>);

impl Compounded {
    /// Of a symbol's returns of one instant each.
    pub(in crate::risk) fn of(returns: &[f64], horizons: &[Horizon]) -> Self {
        let over =
            |horizon: &Horizon| returns.windows(horizon.steps()).map(Horizon::compound).collect::<Vec<_>>();
        Self(horizons.iter().map(over).collect())
    }

    /// The last of the returns came.
    pub(in crate::risk) fn push(&mut self, returns: &[f64], horizons: &[Horizon]) {
        self.0.resize_with(horizons.len(), Vec::new);
        for (series, horizon) in self.0.iter_mut().zip(horizons) {
            if let Some(from) = returns.len().checked_sub(horizon.steps()) {
                series.push(Horizon::compound(&returns[from..]));
            }
        }
    }

    /// So many of the oldest returns left.
    pub(in crate::risk) fn drop_oldest(&mut self, count: usize) {
        for series in &mut self.0 {
            series.drain(..count.min(series.len()));
        }
    }

    /// Over one of the horizons, by its place.
    pub(in crate::risk) fn over(&self, place: usize) -> &[f64] {
        self.0.get(place).map_or(&[], Vec::as_slice)
    }
}
