//! Figures over more than one step: returns compounded over several instants, and tails at each horizon.

use serde::{Deserialize, Serialize};
use tapewatch_schemas::events::Unknown;

use super::history::{History, Stake};
use super::measure::{Confidence, Shape, TailModel};
use super::parameters::WindowParameters;
use super::tails::{tails_of, tails_of_sorted};
use crate::kernels::{Horizon, SampleError, Tail, TailRisk, sort_worst};

/// Value at risk and expected shortfall of what is held, revalued, losses positive, or why they are unknown: by model that
/// is not of changes, horizon and level, as the configuration lists them. Empty before they were first made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::risk) struct Tails(pub(in crate::risk) Vec<Result<TailRisk, Unknown>>);

impl Tails {
    /// By a model, at a level and over a horizon of the configuration.
    pub(in crate::risk) fn of(
        &self,
        model: TailModel,
        level: Confidence,
        over: Horizon,
        window: &WindowParameters,
    ) -> Result<TailRisk, Unknown> {
        let place = || {
            let row = window.revalued().position(|one| one == model)?;
            let over = window.horizons.iter().position(|one| *one == over)?;
            let level = window.levels.iter().position(|one| *one == level)?;
            Some((row * window.horizons.len() + over) * window.levels.len() + level)
        };
        place().and_then(|place| self.0.get(place).copied()).unwrap_or(Err(Unknown::WarmingUp))
    }

    /// Why those of [`TailModel::Revalued`] over one step are unknown.
    pub(in crate::risk) fn unknown(&self, window: &WindowParameters) -> Option<Unknown> {
        let of = |level: &Confidence| self.of(TailModel::Revalued, *level, Horizon::ONE, window).err();
        window.levels.first().and_then(of)
    }
}

impl History {
    /// Value at risk and expected shortfall of these values, by each model of what is held. Nothing held has none to lose.
    /// `pnl` is memory to work in.
    pub(in crate::risk) fn tails<'h>(
        &self,
        held: impl IntoIterator<Item = Stake<'h>> + Clone,
        window: &WindowParameters,
        pnl: &mut Vec<f64>,
    ) -> Tails {
        let (models, horizons, levels) =
            (window.revalued().count(), window.horizons.len(), window.levels.len());
        let nothing = held.clone().into_iter().next().is_none();
        let before = if nothing { Ok(TailRisk { var: 0.0, es: 0.0 }) } else { Err(Unknown::WarmingUp) };
        let mut tails = vec![before; models * horizons * levels];
        for stretch in (0..horizons).filter(|_| !nothing) {
            let rows = || window.revalued().enumerate();
            let all = || rows().flat_map(|(row, model)| (0..horizons).map(move |nth| (row, model, nth)));
            let of_it = |(_, model, nth): &(usize, TailModel, usize)| {
                stretch == if model.shape().of_stretches() { *nth } else { 0 }
            };
            let mut known = None;
            // The one that sorts what it is given comes last.
            let sorts = |(_, model, _): &(usize, TailModel, usize)| model.shape() == Shape::Historical;
            let others = all().filter(of_it).filter(|one| !sorts(one));
            for (row, model, nth) in others.chain(all().filter(of_it).filter(sorts)) {
                let at = &mut tails[(row * horizons + nth) * levels..][..levels];
                let known = *known.get_or_insert_with(|| self.revalue_over(stretch, held.clone(), pnl));
                match known {
                    Err(unknown) => at.fill(Err(unknown)),
                    Ok(()) if model.shape() == Shape::Historical => worst_of(pnl, window, at),
                    Ok(()) => {
                        let steps =
                            if model.shape().of_stretches() { Horizon::ONE } else { window.horizons[nth] };
                        let found = tails_of(model.shape(), steps, (pnl, self.minimum()), window);
                        at.iter_mut().zip(found).for_each(|(at, found)| *at = found.map_err(why));
                    }
                }
            }
        }
        Tails(tails)
    }
}

/// What is lost in the tails of these profits at each level. They are in another order afterwards.
fn worst_of(pnl: &mut [f64], window: &WindowParameters, at: &mut [Result<TailRisk, Unknown>]) {
    let tails = window.levels.iter().filter_map(|level| Tail::new(level.tail()).ok());
    if let Some(widest) = tails.reduce(|a, b| if a.alpha() < b.alpha() { b } else { a }) {
        sort_worst(pnl, widest, window.shortfall);
    }
    let found = tails_of_sorted(pnl, window);
    at.iter_mut().zip(found).for_each(|(at, found)| *at = found.map_err(why));
}

/// Why a figure is unknown that cannot be made of a series.
fn why(refused: SampleError) -> Unknown {
    match refused {
        SampleError::TooFew { .. } => Unknown::WarmingUp,
        _ => Unknown::Missing,
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
