use tapewatch_monitors::kernels::{EwmaSeed, Sample, ewma_volatilities};

use super::super::family::{Columns, Family};
use super::super::figure::Figures;
use super::super::question::{Question, Unanswered};
use super::{HORIZON, LAMBDA, RETURNS};

pub(crate) static FAMILY: Family = Family {
    name: "ewma_vol",
    aliases: &["ewma"],
    about: "exponentially weighted volatility",
    convention: "σ²[t+1] = lambda·σ²[t] + (1 − lambda)·r[t]², mean zero. next_vol: the forecast after the last \
                 return (over a horizon of h steps: √h times as much), by what the recursion is seeded with: the first square; the variance of all returns \
                 (divided by n); arch's backcast of the first 75 squares, weighted 0.94^i. arch_first_vol and \
                 vol_at_mid_arch: forecasts for the first return and for that at mid_index, with the backcast.",
    columns: Columns::One("returns"),
    takes: &[RETURNS, HORIZON, LAMBDA],
    compute,
};

fn compute(question: &Question<'_>) -> Result<Figures, Unanswered> {
    let returns = question.series("returns")?;
    let lambda = question.number_or("lambda", 0.94)?;
    let path = |seed| ewma_volatilities(Sample::new(&returns)?, lambda, seed);
    let arch = path(EwmaSeed::Backcast)?;
    let (last, middle) = (returns.len(), returns.len() / 2);
    let over = question.horizon()?;
    let next = |seed| Ok::<_, Unanswered>(over.deviation(path(seed)?[last]));
    let mut figures = Figures::default();
    figures.put("next_vol_seed_first_sq", next(EwmaSeed::FirstSquare)?);
    figures.put("next_vol_seed_sample_var", next(EwmaSeed::SampleVariance)?);
    figures.put("next_vol_seed_arch_backcast", over.deviation(arch[last]));
    figures.put("arch_first_vol", arch[0]);
    figures.put("vol_at_mid_arch", arch[middle]);
    figures.put("mid_index", middle);
    Ok(figures)
}
