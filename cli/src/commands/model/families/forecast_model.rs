//! The model whose forecasts a backtest judges, as cases describe it.

use tapewatch_monitors::kernels::{Forecast, Model, Sample, Tail, forecasts};

use super::super::question::{Question, Unanswered};

/// What families that run a model take.
pub(super) const MODEL: (&str, &str) = (
    "model",
    "`type-7 quantile of previous w returns`, or `zero-mean normal, std(ddof=1) of previous w returns` (ddof 0 or 1)",
);
pub(super) const WINDOW: (&str, &str) =
    ("window", "how many returns before each forecast it rests on (default 250)");

/// A model by its description. What it does not understand it refuses rather than guesses.
fn parse(words: &str) -> Option<Model> {
    let words = words.to_lowercase();
    if !words.contains("previous w returns") {
        return None;
    }
    let normal = words.contains("norm");
    let zero_mean = words.contains("zero-mean") || words.contains("zero mean");
    let historical = words.contains("type-7 quantile");
    match (normal, historical) {
        (false, true) => Some(Model::Historical),
        (true, false) if zero_mean && words.contains("ddof=1") => Some(Model::ZeroMeanNormal { ddof: 1 }),
        (true, false) if zero_mean && words.contains("ddof=0") => Some(Model::ZeroMeanNormal { ddof: 0 }),
        _ => None,
    }
}

/// Returns after the window, and what was forecast for each.
pub(super) fn run(question: &Question<'_>, tail: Tail) -> Result<(Vec<f64>, Vec<Forecast>), Unanswered> {
    let words = question.text("model", MODEL.1)?;
    let model = parse(words).ok_or_else(|| Unanswered::Wrong {
        name: "model".into(),
        expected: MODEL.1.into(),
        found: format!("`{words}`"),
    })?;
    let mut returns = question.series("returns")?;
    let window = usize::try_from(question.count_if("window")?.unwrap_or(250)).unwrap_or(usize::MAX);
    let forecasts = forecasts(Sample::new(&returns)?, window, model, tail)?;
    returns.drain(..window);
    Ok((returns, forecasts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_understood_or_refused() {
        for (words, model) in [
            ("type-7 quantile of previous w returns", Some(Model::Historical)),
            (
                "norm.ppf(alpha)*std(ddof=1) of previous w returns, zero mean",
                Some(Model::ZeroMeanNormal { ddof: 1 }),
            ),
            (
                "zero-mean normal, std(ddof=0) of previous w returns; VaR=-z*sd",
                Some(Model::ZeroMeanNormal { ddof: 0 }),
            ),
            ("normal, mean and std(ddof=1) of previous w returns", None),
            ("type-8 quantile of previous w returns", None),
            ("type-7 quantile of all returns", None),
            ("", None),
        ] {
            assert_eq!(parse(words), model, "{words}");
        }
    }
}
