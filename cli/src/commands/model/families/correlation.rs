use serde_json::{Value, json};
use tapewatch_monitors::kernels::{Panel, Sample, SymmetricMatrix};

use super::super::family::{Columns, Family};
use super::super::figure::Figures;
use super::super::question::{Question, Unanswered};
use super::LAMBDA;

pub(crate) static FAMILY: Family = Family {
    name: "correlation",
    aliases: &[],
    about: "correlation between series: over the window, weighted, by ranks, and how many bets they are",
    convention: "pearson over all rows; ewma: C ← lambda·C + (1 − lambda)·r·r′ from the first, mean zero; spearman: Pearson's \
                 of the ranks, equal values sharing theirs (a single number for two series). largest_pair: furthest from 0, by \
                 the places of its series. shrinkage: Ledoit and Wolf's (2004) towards no correlation; effective_bets: e to the \
                 entropy of the shrunk matrix's eigenvalues' shares.",
    columns: Columns::Several,
    takes: &[("returns", "lists of simple returns, one a series, equally long"), LAMBDA],
    compute,
};

fn compute(question: &Question<'_>) -> Result<Figures, Unanswered> {
    let series = question.panel("returns")?;
    let sample = |(place, values): (usize, &'_ Vec<f64>)| {
        Sample::new(values).map(|_| ()).map_err(|source| {
            let name = format!("series {}", place + 1);
            Unanswered::Of { name, source }
        })
    };
    series.iter().enumerate().try_for_each(sample)?;
    let samples: Result<Vec<_>, _> = series.iter().map(|values| Sample::new(values)).collect();
    let panel = Panel::new(samples?)?;
    let (pearson, spearman) = (panel.pearson()?, panel.spearman()?);
    let (ewma, volatilities) = panel.ewma(question.number_or("lambda", 0.94)?)?;
    let shrunk = panel.shrunk()?;
    let mut figures = Figures::default();
    figures.put("pearson", rows(&pearson));
    figures.put("ewma", rows(&ewma));
    figures.put("ewma_vol_last", volatilities);
    // As scipy gives it.
    figures.put("spearman", if series.len() == 2 { json!(spearman.at(0, 1)) } else { rows(&spearman) });
    figures.put("pearson_max_eigenvalue", pearson.eigenvalues().last().copied());
    figures.put("mean_offdiag", pearson.mean_off_diagonal());
    figures.put("largest_pair", pearson.largest_pair().map(|(row, column, _)| json!([row, column])));
    figures.put("largest_correlation", pearson.largest_pair().map(|(.., value)| value));
    figures.put("shrinkage", shrunk.intensity);
    figures.put("effective_bets", shrunk.effective_bets());
    Ok(figures)
}

fn rows(matrix: &SymmetricMatrix) -> Value {
    matrix.rows().map(<[f64]>::to_vec).collect::<Vec<_>>().into()
}
