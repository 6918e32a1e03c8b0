use tapewatch_monitors::kernels::{Moments, Sample, cornish_fisher};

use super::super::family::{Columns, Family};
use super::super::figure::Figures;
use super::super::question::{Question, Unanswered};
use super::{ALPHAS, HORIZON, RETURNS};

pub(crate) static FAMILY: Family = Family {
    name: "cornish_fisher_var",
    aliases: &["cornish_fisher", "modified"],
    about: "value at risk and expected shortfall by the Cornish–Fisher expansion",
    convention: "figures are returns: losses are negative. Moments divide by n, the kurtosis is the excess. zcf: the \
                 expanded quantile. mes_raw: the expansion's own shortfall, which can be milder than VaR or a gain; \
                 mes_operational: with its floor, never milder than VaR. Boudt, Peterson and Croux (2008). Over a \
                 horizon of h steps: of a sum of independent returns, with mean·h, deviation·√h, skewness/√h and excess kurtosis/h.",
    columns: Columns::One("returns"),
    takes: &[RETURNS, HORIZON, ALPHAS],
    compute,
};

fn compute(question: &Question<'_>) -> Result<Figures, Unanswered> {
    let returns = question.series("returns")?;
    let moments = Moments::of(Sample::new(&returns)?);
    let over = question.horizon()?;
    let mut figures = Figures::default();
    figures.put("skew_pop", over.skewness(moments.skewness()?));
    figures.put("exkurt_pop", over.excess_kurtosis(moments.excess_kurtosis()?));
    for (tail, level) in question.tails()? {
        let it = cornish_fisher(&moments, over, tail)?;
        figures.put(format!("zcf{level}"), it.z);
        figures.put(format!("var{level}"), it.var);
        figures.put(format!("mes{level}_raw"), it.es_raw);
        figures.put(format!("mes{level}_operational"), it.es);
    }
    Ok(figures)
}
