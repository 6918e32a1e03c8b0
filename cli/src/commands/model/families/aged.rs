use tapewatch_monitors::kernels::{Aged, Sample};

use super::super::family::{Columns, Family};
use super::super::figure::Figures;
use super::super::question::{Question, Unanswered};
use super::{ALPHAS, HORIZON, RETURNS};

pub(crate) static FAMILY: Family = Family {
    name: "age_weighted_var_es",
    aliases: &["age_weighted"],
    about: "historical value at risk and expected shortfall, what is older weighing less",
    convention: "figures are returns: losses are negative. A return weighs lambda times as much as the next one; var: the \
                 first return, from the worst on, at which the shares of the weights reach alpha; es: the mean of those, \
                 the last with the part of its share that is left (Boudoukh, Richardson and Whitelaw 1998). Over a horizon of h steps: of the \
                 sums of h successive returns, overlapping, each of the age of its last one.",
    columns: Columns::One("returns"),
    takes: &[
        RETURNS,
        HORIZON,
        ("lambda", "weight of a return, of that of the next one (default 0.99)"),
        ALPHAS,
    ],
    compute,
};

fn compute(question: &Question<'_>) -> Result<Figures, Unanswered> {
    let returns = question.series("returns")?;
    let over = question.horizon()?;
    Sample::new(&returns)?.of_at_least(over.steps())?;
    let sums = over.sums(&returns);
    let aged = Aged::new(Sample::new(&sums)?, question.number_or("lambda", 0.99)?)?;
    let mut figures = Figures::default();
    for (tail, level) in question.tails()? {
        let risk = aged.tail(tail)?;
        figures.put(format!("var{level}"), risk.var);
        figures.put(format!("es{level}"), risk.es);
    }
    Ok(figures)
}
