use tapewatch_monitors::kernels::{
    Contribution, Decomposition, Exposed, Sample, SampleError, ShortfallConvention,
};

use super::super::family::{Columns, Family};
use super::super::figure::Figures;
use super::super::question::{Question, Unanswered};
use super::ALPHAS;

pub(crate) static FAMILY: Family = Family {
    name: "contributions",
    aliases: &["component_var", "marginal_var", "incremental_var"],
    about: "what each holding contributes to value at risk and expected shortfall of all, revalued over returns",
    convention: "figures are money: losses are negative. P = Σ value × return, of each row; var: type 7; es: Acerbi and Tasche's. \
                 component: the same weighted mean of the holding's own profits in the rows of the tail (Euler; of rows with \
                 equal P the earlier one first), they add up to the total; marginal: of one unit of money; incremental: the total \
                 less that without the holding.",
    columns: Columns::Several,
    takes: &[
        ("returns", "lists of simple returns, one a holding, equally long"),
        ("values", "what each holding is worth, short ones negative"),
        ALPHAS,
    ],
    compute,
};

fn compute(question: &Question<'_>) -> Result<Figures, Unanswered> {
    let (returns, values) = (question.panel("returns")?, question.series("values")?);
    if returns.len() != values.len() {
        return Err(SampleError::Lengths { left: returns.len(), right: values.len() }.into());
    }
    let first = returns.first().map_or(0, Vec::len);
    for (at, series) in returns.iter().enumerate() {
        let looked_at = Sample::new(series).map(|_| ());
        let same = if series.len() == first {
            Ok(())
        } else {
            Err(SampleError::Lengths { left: first, right: series.len() })
        };
        let name = format!("series {}", at + 1);
        looked_at.and(same).map_err(|source| Unanswered::Of { name, source })?;
    }
    let pairs = values.iter().zip(&returns);
    let held: Vec<Exposed<'_>> = pairs.map(|(value, returns)| Exposed { value: *value, returns }).collect();
    let (mut figures, mut without) = (Figures::default(), Vec::new());
    for (tail, level) in question.tails()? {
        let all = Decomposition::new(held.clone(), tail, ShortfallConvention::AcerbiTasche)?;
        let parts = (0..held.len()).map(|place| all.contribution(place, &mut without));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let mut list = |name: &str, of: fn(&Contribution) -> f64| {
            figures.put(format!("{name}{level}"), parts.iter().map(of).collect::<Vec<_>>());
        };
        list("component_var", |part| part.component.var);
        list("component_es", |part| part.component.es);
        list("marginal_var", |part| part.marginal.var);
        list("marginal_es", |part| part.marginal.es);
        list("incremental_var", |part| part.incremental.var);
        list("incremental_es", |part| part.incremental.es);
        figures.put(format!("var{level}"), all.total().var);
        figures.put(format!("es{level}"), all.total().es);
    }
    Ok(figures)
}
