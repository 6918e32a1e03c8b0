use tapewatch_monitors::kernels::{Moments, Sample, gaussian_tail};

use super::super::family::{Columns, Family};
use super::super::figure::Figures;
use super::super::question::{Question, Unanswered};
use super::{ALPHAS, HORIZON, RETURNS};

pub(crate) static FAMILY: Family = Family {
    name: "gaussian_var_es",
    aliases: &["gaussian", "var", "es"],
    about: "value at risk and expected shortfall of a normal distribution",
    convention: "figures are returns: losses are negative. VaR = mean + deviation·z(alpha), \
                 ES = mean − deviation·φ(z)/alpha. ddof0 divides the variance by n, ddof1 by n − 1. Over a horizon of h \
                 steps: with mean·h and deviation·√h, as of a sum of independent returns.",
    columns: Columns::One("returns"),
    takes: &[RETURNS, HORIZON, ALPHAS],
    compute,
};

fn compute(question: &Question<'_>) -> Result<Figures, Unanswered> {
    let returns = question.series("returns")?;
    let moments = Moments::of(Sample::new(&returns)?.of_at_least(2)?);
    let over = question.horizon()?;
    let mut figures = Figures::default();
    for (tail, level) in question.tails()? {
        for ddof in [0, 1] {
            let risk =
                gaussian_tail(over.mean(moments.mean()), over.deviation(moments.deviation(ddof)?), tail)?;
            figures.put(format!("var{level}_ddof{ddof}"), risk.var);
            figures.put(format!("es{level}_ddof{ddof}"), risk.es);
        }
    }
    Ok(figures)
}
