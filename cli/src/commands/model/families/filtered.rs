use tapewatch_monitors::kernels::{Filtered, Sample};

use super::super::family::{Columns, Family};
use super::super::figure::{Figures, percent};
use super::super::question::{Question, Unanswered};
use super::{ALPHAS, HORIZON, LAMBDA, RETURNS};

pub(crate) static FAMILY: Family = Family {
    name: "fhs_var",
    aliases: &["fhs", "filtered"],
    about: "filtered historical simulation: past returns at today's volatility",
    convention: "figures are returns: losses are negative. z[t] = r[t] / σ[t] with EWMA volatility of mean zero, \
                 seeded by the first return's square, which is no observation; var: the type 7 quantile of z times the \
                 volatility forecast next; es: Acerbi and Tasche's mean of z below it, times the same. Over a \
                 horizon of h steps: √h times as much.",
    columns: Columns::One("returns"),
    takes: &[RETURNS, HORIZON, LAMBDA, ALPHAS],
    compute,
};

fn compute(question: &Question<'_>) -> Result<Figures, Unanswered> {
    let returns = question.series("returns")?;
    let filtered = Filtered::new(Sample::new(&returns)?, question.number_or("lambda", 0.94)?)?;
    let over = question.horizon()?;
    let mut figures = Figures::default();
    figures.put("next_vol", filtered.next_volatility());
    for (tail, level) in question.tails()? {
        let risk = filtered.tail(over, tail)?;
        figures.put(format!("z{:0>2}_type7", percent(tail.alpha())), filtered.quantile(tail)?);
        figures.put(format!("var{level}"), risk.var);
        figures.put(format!("es{level}"), risk.es);
    }
    Ok(figures)
}
