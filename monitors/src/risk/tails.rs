//! Value at risk and expected shortfall of a window of changes, by the models that are wanted.

use std::borrow::Cow;

use super::measure::TailModel;
use super::parameters::WindowParameters;
use crate::kernels::{
    Aged, EwmaSeed, Filtered, Horizon, Moments, Sample, SampleError, SortedWindow, Tail, TailRisk,
    cornish_fisher, ewma_volatilities, gaussian_tail, sorted_tail,
};

/// Takes value at risk and expected shortfall of a window as it is, losses positive: by model, horizon and level; nothing
/// while it is warming up.
pub(super) fn take_tails(
    tails: &mut Vec<Option<TailRisk>>,
    window: &mut SortedWindow,
    parameters: &WindowParameters,
) {
    tails.clear();
    if window.len() < parameters.minimum.max(1) {
        return;
    }
    let models = parameters.models.iter().filter(|model| model.of_changes());
    for (model, over) in models.flat_map(|model| parameters.horizons.iter().map(|over| (*model, *over))) {
        let estimate = Estimate::of(model, over, window, parameters);
        tails.extend(parameters.levels.iter().map(|level| {
            let tail = Tail::new(level.tail()).ok()?;
            let risk = estimate.as_ref().ok()?.tail(over, tail, parameters).ok()?;
            // Adding zero turns the negative zero of a loss of nothing into zero.
            Some(TailRisk { var: 0.0 - risk.var, es: 0.0 - risk.es })
        }));
    }
}

/// What a model makes of a window, before a level is asked for.
enum Estimate<'a> {
    /// The values, or their sums over the horizon, ascending.
    Sorted(Cow<'a, [f64]>),
    /// Of one change.
    Normal {
        mean: f64,
        deviation: f64,
    },
    /// Of one change.
    Expanded(Moments),
    Filtered(Filtered),
    /// Of the values, or their sums over the horizon.
    Aged(Aged),
}

impl<'a> Estimate<'a> {
    fn of(
        model: TailModel,
        over: Horizon,
        window: &'a mut SortedWindow,
        parameters: &WindowParameters,
    ) -> Result<Self, SampleError> {
        if model == TailModel::Historical && over == Horizon::ONE {
            return Ok(Self::Sorted(Cow::Borrowed(window.sorted())));
        }
        let values = window.in_order();
        let moments = || Sample::new(values).map(Moments::of);
        match model {
            TailModel::Revalued => unreachable!("it is not of changes"),
            TailModel::Historical => {
                let sums = over.sums(values);
                Ok(Self::Sorted(Cow::Owned(Sample::new(&sums)?.of_at_least(parameters.minimum)?.sorted())))
            }
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
            TailModel::AgeWeighted => {
                let sums = over.sums(values);
                let sample = Sample::new(&sums)?.of_at_least(parameters.minimum)?;
                Aged::new(sample, parameters.age_lambda).map(Self::Aged)
            }
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

    fn tail(
        &self,
        over: Horizon,
        tail: Tail,
        parameters: &WindowParameters,
    ) -> Result<TailRisk, SampleError> {
        match self {
            Self::Sorted(values) => sorted_tail(values, tail, parameters.shortfall),
            Self::Normal { mean, deviation } => {
                gaussian_tail(over.mean(*mean), over.deviation(*deviation), tail)
            }
            Self::Expanded(moments) => {
                cornish_fisher(moments, over, tail).map(|found| TailRisk { var: found.var, es: found.es })
            }
            Self::Filtered(filtered) => filtered.tail(over, tail),
            Self::Aged(aged) => aged.tail(tail),
        }
    }
}
