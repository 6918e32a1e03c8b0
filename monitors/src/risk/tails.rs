//! Value at risk and expected shortfall of a portfolio's window, by the models that are wanted.

use tapewatch_schemas::events::Unknown;

use super::measure::{Confidence, TailModel};
use super::parameters::{Basis, RiskParameters, WindowParameters};
use super::portfolio::Portfolio;
use crate::kernels::{
    Aged, EwmaSeed, Filtered, Moments, Sample, SampleError, SortedWindow, Tail, TailRisk, cornish_fisher,
    ewma_volatilities, gaussian_tail, sorted_tail,
};

impl Portfolio {
    /// Value at risk and expected shortfall at a level by a model, losses positive.
    pub(super) fn tail(
        &self,
        model: TailModel,
        level: Confidence,
        parameters: &RiskParameters,
    ) -> Result<TailRisk, Unknown> {
        let window = &parameters.window;
        let reason = match window.basis {
            Basis::Equity if model.of_changes() => self.equity_unknown(),
            _ => self.exposure_unknown(),
        };
        if let Some(reason) = reason {
            return Err(reason);
        }
        if model.of_changes() {
            return self.tail_of_changes(model, level, window).ok_or(Unknown::WarmingUp);
        }
        let column = window.levels.iter().position(|l| *l == level);
        match &self.revalued.tails {
            Ok(tails) => column.and_then(|at| tails.get(at).copied()).ok_or(Unknown::WarmingUp),
            Err(unknown) => Err(*unknown),
        }
    }

    fn tail_of_changes(
        &self,
        model: TailModel,
        level: Confidence,
        window: &WindowParameters,
    ) -> Option<TailRisk> {
        let row = window.models.iter().filter(|m| m.of_changes()).position(|m| *m == model)?;
        let column = window.levels.iter().position(|l| *l == level)?;
        *self.tails.get(row * window.levels.len() + column)?
    }

    /// What was forecast at the last sample for the next one.
    pub(super) fn forecast(
        &self,
        model: TailModel,
        level: Confidence,
        window: &WindowParameters,
    ) -> Option<TailRisk> {
        if model.of_changes() {
            return self.tail_of_changes(model, level, window);
        }
        let column = window.levels.iter().position(|l| *l == level)?;
        self.revalued.forecast.get(column).copied()
    }

    /// Takes the tails of the window as it is; there is none while it is warming up.
    pub(super) fn measure_tails(&mut self, parameters: &WindowParameters) {
        self.tails.clear();
        if self.window.len() < parameters.minimum.max(1) {
            return;
        }
        for model in parameters.models.iter().filter(|model| model.of_changes()) {
            let estimate = Estimate::of(*model, &mut self.window, parameters);
            self.tails.extend(parameters.levels.iter().map(|level| {
                let tail = Tail::new(level.tail()).ok()?;
                let risk = estimate.as_ref().ok()?.tail(tail, parameters).ok()?;
                // Adding zero turns the negative zero of a loss of nothing into zero.
                Some(TailRisk { var: 0.0 - risk.var, es: 0.0 - risk.es })
            }));
        }
    }
}

/// What a model makes of a window, before a level is asked for.
enum Estimate<'a> {
    /// The values, ascending.
    Sorted(&'a [f64]),
    Normal {
        mean: f64,
        deviation: f64,
    },
    Expanded(Moments),
    Filtered(Filtered),
    Aged(Aged),
}

impl<'a> Estimate<'a> {
    fn of(
        model: TailModel,
        window: &'a mut SortedWindow,
        parameters: &WindowParameters,
    ) -> Result<Self, SampleError> {
        if model == TailModel::Historical {
            return Ok(Self::Sorted(window.sorted()));
        }
        let values = window.in_order();
        let moments = || Sample::new(values).map(Moments::of);
        match model {
            TailModel::Historical | TailModel::Revalued => unreachable!("taken care of above"),
            TailModel::Gaussian => {
                let moments = moments()?;
                Ok(Self::Normal { mean: moments.mean(), deviation: moments.deviation(1)? })
            }
            // Without variation there is no shape, and no tail but the mean.
            TailModel::CornishFisher => Ok(match moments()? {
                constant if constant.skewness().is_err() => {
                    Self::Normal { mean: constant.mean(), deviation: 0.0 }
                }
                moments => Self::Expanded(moments),
            }),
            TailModel::AgeWeighted => Aged::new(Sample::new(values)?, parameters.age_lambda).map(Self::Aged),
            TailModel::Ewma | TailModel::Filtered => {
                // The first change seeds the recursion: one of nothing would say that there is no risk.
                let from = values.iter().position(|change| *change != 0.0);
                let Some(from) = from else { return Ok(Self::Normal { mean: 0.0, deviation: 0.0 }) };
                let sample = Sample::new(&values[from..])?.of_at_least(parameters.minimum)?;
                if model == TailModel::Filtered {
                    return Filtered::new(sample, parameters.lambda).map(Self::Filtered);
                }
                let all = ewma_volatilities(sample, parameters.lambda, EwmaSeed::FirstSquare)?;
                let deviation = *all.last().expect("there is one more than there are changes");
                Ok(Self::Normal { mean: 0.0, deviation })
            }
        }
    }

    fn tail(&self, tail: Tail, parameters: &WindowParameters) -> Result<TailRisk, SampleError> {
        match self {
            Self::Sorted(values) => sorted_tail(values, tail, parameters.shortfall),
            Self::Normal { mean, deviation } => gaussian_tail(*mean, *deviation, tail),
            Self::Expanded(moments) => {
                cornish_fisher(moments, tail).map(|found| TailRisk { var: found.var, es: found.es })
            }
            Self::Filtered(filtered) => filtered.tail(tail),
            Self::Aged(aged) => aged.tail(tail),
        }
    }
}
