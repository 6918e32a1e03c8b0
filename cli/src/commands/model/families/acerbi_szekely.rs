use tapewatch_monitors::kernels::{Sample, acerbi_szekely};

use super::super::family::{Columns, Family};
use super::super::figure::Figures;
use super::super::question::{Question, Unanswered};
use super::RETURNS;
use super::forecast_model::{self, MODEL, WINDOW};

pub(crate) static FAMILY: Family = Family {
    name: "acerbi_szekely",
    aliases: &["acerbi"],
    about: "Acerbi and Székely's tests: was the expected shortfall deep enough",
    convention: "an exception is a return strictly below the forecast. z1: Σ(r/ES)/N + 1 over the N exceptions, none if there \
                 are none; z2: Σ(r/(n·alpha·ES)) + 1, both with ES positive. Below 0: risk was underestimated.",
    columns: Columns::One("returns"),
    takes: &[RETURNS, WINDOW, MODEL, ("alpha", "probability of the tail (default 0.025)")],
    compute,
};

fn compute(question: &Question<'_>) -> Result<Figures, Unanswered> {
    let tail = question.tail(0.025)?;
    let (returns, forecasts) = forecast_model::run(question, tail)?;
    let tests = acerbi_szekely(Sample::new(&returns)?, &forecasts, tail)?;
    let mut figures = Figures::default();
    figures.put("n", returns.len());
    figures.put("exceedances", tests.exceptions);
    figures.put("z1", tests.z1);
    figures.put("z2", tests.z2);
    Ok(figures)
}
