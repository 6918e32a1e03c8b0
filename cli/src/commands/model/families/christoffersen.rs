use tapewatch_monitors::kernels::{Tail, christoffersen, hits};

use super::super::family::{Columns, Family};
use super::super::figure::Figures;
use super::super::question::{Question, Unanswered};
use super::forecast_model::{self, MODEL, WINDOW};
use super::{ALPHA, RETURNS};

pub(crate) static FAMILY: Family = Family {
    name: "christoffersen",
    aliases: &[],
    about: "Christoffersen's tests: do exceptions come in clusters, and are they too many or too few besides",
    convention: "an exception is a return strictly below the forecast. lr_ind: the likelihood of two probabilities, after \
                 an exception and after none, over that of one, over n − 1 transitions; lr_uc: Kupiec's over n \
                 observations; lr_cc: their sum. p_ind, p_uc: χ² with one degree; p_cc: with two.",
    columns: Columns::One("returns"),
    takes: &[RETURNS, WINDOW, MODEL, ALPHA, HITS, ("n", "with hits_at: observations")],
    compute,
};

const HITS: (&str, &str) = (
    "hits_at",
    "instead of returns: places of exceptions, counted from 0 after the window; with returns they are checked",
);

fn compute(question: &Question<'_>) -> Result<Figures, Unanswered> {
    let tail = question.tail(0.01)?;
    let given = given(question)?;
    let hits = if question.value("returns").is_some() {
        let ran = run(question, tail)?;
        if let Some(given) = given.filter(|given| *given != ran) {
            let differs = given.iter().zip(&ran).position(|(given, ran)| given != ran);
            let place = differs.unwrap_or(given.len().min(ran.len()));
            return Err(Unanswered::Wrong {
                name: "hits_at".into(),
                expected: "the model's own exceptions".into(),
                found: format!(
                    "{} observations given, {} run; they differ at {place}",
                    given.len(),
                    ran.len()
                ),
            });
        }
        ran
    } else {
        let expected = "returns, or hits_at with n";
        given.ok_or_else(|| Unanswered::Missing { name: "returns".into(), expected: expected.into() })?
    };
    let all = christoffersen(&hits, tail)?;
    let mut figures = Figures::default();
    figures.put("exceedances", all.exceptions.exceptions());
    for (name, count) in [
        ("n00", all.transitions.n00),
        ("n01", all.transitions.n01),
        ("n10", all.transitions.n10),
        ("n11", all.transitions.n11),
    ] {
        figures.put(name, count);
    }
    for (name, test) in [("ind", all.independence), ("uc", all.coverage), ("cc", all.conditional)] {
        figures.put(format!("lr_{name}"), test.statistic);
        figures.put(format!("p_{name}"), test.p_value);
    }
    Ok(figures)
}

fn run(question: &Question<'_>, tail: Tail) -> Result<Vec<bool>, Unanswered> {
    let (returns, forecasts) = forecast_model::run(question, tail)?;
    Ok(hits(&returns, &forecasts)?)
}

/// The exceptions of `hits_at` among `n` observations, if they are given.
fn given(question: &Question<'_>) -> Result<Option<Vec<bool>>, Unanswered> {
    if question.value("hits_at").is_none() {
        return Ok(None);
    }
    let n = question.count("n")?;
    // A bound on what is held; no backtest is longer.
    let most = 100_000_000;
    if n > most {
        let (expected, found) = (format!("{most} at most"), n.to_string());
        return Err(Unanswered::Wrong { name: "n".into(), expected, found });
    }
    let mut hits = vec![false; n as usize];
    for at in question.numbers("hits_at")? {
        let place = (at >= 0.0 && at.fract() == 0.0).then_some(at as usize);
        let Some(hit) = place.and_then(|place| hits.get_mut(place)) else {
            let expected = format!("places from 0 to {}", hits.len().saturating_sub(1));
            return Err(Unanswered::Wrong { name: "hits_at".into(), expected, found: at.to_string() });
        };
        *hit = true;
    }
    Ok(Some(hits))
}
