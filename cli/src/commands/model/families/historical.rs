use tapewatch_monitors::kernels::{QuantileType, Sample, ShortfallConvention, Tail, historical_tail};

use super::super::family::{Columns, Family};
use super::super::figure::Figures;
use super::super::question::{Question, Unanswered};
use super::{ALPHAS, HORIZON, RETURNS};

pub(crate) static FAMILY: Family = Family {
    name: "hist_var_es",
    aliases: &["historical", "var", "es"],
    about: "historical value at risk and expected shortfall",
    convention: "figures are returns: losses are negative. Over a horizon of h steps: of the sums of h successive \
                 returns, overlapping. var_typeN: the quantile of Hyndman and Fan's type N; \
                 the worker's is type 7. es_mean_le_type7: the mean of what is not above it; \
                 es_acerbi_tasche: of the n·alpha worst, the last with its fractional weight; es_empyrical: of the \
                 ⌊(n−1)·alpha⌋ + 1 worst. The tail is one less the level, in doubles.",
    columns: Columns::One("returns"),
    takes: &[RETURNS, HORIZON, ALPHAS],
    compute,
};

const QUANTILES: [(&str, QuantileType); 4] = [
    ("type7", QuantileType::Linear),
    ("type1", QuantileType::InverseDistribution),
    ("type6", QuantileType::Weibull),
    ("type8", QuantileType::MedianUnbiased),
];
const SHORTFALLS: [(&str, ShortfallConvention); 3] = [
    ("mean_le_type7", ShortfallConvention::MeanBelowQuantile),
    ("acerbi_tasche", ShortfallConvention::AcerbiTasche),
    ("empyrical", ShortfallConvention::Empyrical),
];

fn compute(question: &Question<'_>) -> Result<Figures, Unanswered> {
    let returns = question.series("returns")?;
    let over = question.horizon()?;
    Sample::new(&returns)?.of_at_least(over.steps())?;
    let sums = over.sums(&returns);
    let sample = Sample::new(&sums)?;
    let mut figures = Figures::default();
    for (tail, level) in question.tails()? {
        // 1 − 0.95 is a hair over 0.05, and type 1 jumps there: the level is what is asked for.
        let tail = Tail::new(1.0 - (1.0 - tail.alpha()))?;
        for (name, kind) in QUANTILES {
            let risk = historical_tail(sample, tail, kind, ShortfallConvention::AcerbiTasche)?;
            figures.put(format!("var{level}_{name}"), risk.var);
        }
        for (name, convention) in SHORTFALLS {
            let risk = historical_tail(sample, tail, QuantileType::Linear, convention)?;
            figures.put(format!("es{level}_{name}"), risk.es);
        }
    }
    Ok(figures)
}
