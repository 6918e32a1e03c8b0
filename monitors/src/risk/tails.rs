//! Value at risk and expected shortfall of a series of profits and losses, by the models that are wanted.

use std::borrow::Cow;

use super::measure::Shape;
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
        let estimate = match model.shape() {
            Shape::Historical if over == Horizon::ONE => Ok(Estimate::Sorted(Cow::Borrowed(window.sorted()))),
            shape => Estimate::of(shape, over, window.in_order(), parameters.minimum, parameters),
        };
        tails.extend(at_levels(estimate, over, parameters).map(Result::ok));
    }
}

/// The same of values that are sorted as far as the tails look.
pub(super) fn tails_of_sorted<'a>(
    values: &'a [f64],
    parameters: &'a WindowParameters,
) -> impl Iterator<Item = Result<TailRisk, SampleError>> + 'a {
    at_levels(Ok(Estimate::Sorted(Cow::Borrowed(values))), Horizon::ONE, parameters)
}

/// The same of a series, oldest first, by one shape over one horizon, at each level.
pub(super) fn tails_of<'a>(
    shape: Shape,
    over: Horizon,
    (values, minimum): (&'a [f64], usize),
    parameters: &'a WindowParameters,
) -> impl Iterator<Item = Result<TailRisk, SampleError>> + 'a {
    at_levels(Estimate::of(shape, over, values, minimum, parameters), over, parameters)
}

fn at_levels<'a>(
    estimate: Result<Estimate<'a>, SampleError>,
    over: Horizon,
    parameters: &'a WindowParameters,
) -> impl Iterator<Item = Result<TailRisk, SampleError>> + 'a {
    parameters.levels.iter().map(move |level| {
        let tail = Tail::new(level.tail())?;
        let risk = estimate.as_ref().map_err(Clone::clone)?.tail(over, tail, parameters)?;
        // Subtracting from zero turns the negative zero of a loss of nothing into zero.
        Ok(TailRisk { var: 0.0 - risk.var, es: 0.0 - risk.es })
    })
}

/// What a model makes of a series, before a level is asked for.
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

impl Estimate<'_> {
    fn of(
        shape: Shape,
        over: Horizon,
        values: &[f64],
        minimum: usize,
        parameters: &WindowParameters,
    ) -> Result<Self, SampleError> {
        let moments = || Sample::new(values).map(Moments::of);
        match shape {
            Shape::Historical => {
                let sums = over.sums(values);
                Ok(Self::Sorted(Cow::Owned(Sample::new(&sums)?.of_at_least(minimum)?.sorted())))
            }
            Shape::Gaussian => {
                let moments = moments()?;
                Ok(Self::Normal { mean: moments.mean(), deviation: moments.deviation(1)? })
            }
            // Without variation there is no shape, and no tail but the mean.
            Shape::CornishFisher => Ok(match moments()? {
                constant if constant.skewness().is_err() => {
                    Self::Normal { mean: constant.mean(), deviation: 0.0 }
                }
                moments => Self::Expanded(moments),
            }),
            Shape::AgeWeighted => {
                let sums = over.sums(values);
                let sample = Sample::new(&sums)?.of_at_least(minimum)?;
                Aged::new(sample, parameters.age_lambda).map(Self::Aged)
            }
            Shape::Ewma | Shape::Filtered => {
                // The first change seeds the recursion: one of nothing would say that there is no risk.
                let from = values.iter().position(|change| *change != 0.0);
                let Some(from) = from else { return Ok(Self::Normal { mean: 0.0, deviation: 0.0 }) };
                let sample = Sample::new(&values[from..])?.of_at_least(minimum)?;
                if shape == Shape::Filtered {
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
