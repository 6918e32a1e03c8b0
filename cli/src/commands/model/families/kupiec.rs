use tapewatch_monitors::kernels::Exceptions;

use super::super::family::{Columns, Family};
use super::super::figure::Figures;
use super::super::question::{Question, Unanswered};
use super::ALPHA;

pub(crate) static FAMILY: Family = Family {
    name: "kupiec_pof",
    aliases: &["kupiec", "pof"],
    about: "Kupiec's test: are there as many exceptions as the level allows",
    convention: "lr: twice the logarithm of the likelihood at the observed rate over that at alpha, 0·ln 0 = 0, in a form \
                 that neither underflows nor cancels; pvalue: χ² with one degree. rate: exceedances / n.",
    columns: Columns::None,
    takes: &[("n", "observations"), ("exceedances", "how many were worse than the value at risk"), ALPHA],
    compute,
};

fn compute(question: &Question<'_>) -> Result<Figures, Unanswered> {
    let exceptions = Exceptions::new(question.count("n")?, question.count("exceedances")?)?;
    let test = exceptions.kupiec(question.tail(0.01)?);
    let mut figures = Figures::default();
    figures.put("lr", test.statistic);
    figures.put("pvalue", test.p_value);
    figures.put("rate", exceptions.rate());
    Ok(figures)
}
