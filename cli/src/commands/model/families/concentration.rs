use tapewatch_monitors::kernels::{Exposure, Sample, SampleError};

use super::super::family::{Columns, Family};
use super::super::figure::Figures;
use super::super::question::{Question, Unanswered};

pub(crate) static FAMILY: Family = Family {
    name: "concentration",
    aliases: &["exposure"],
    about: "exposure of a book, and how concentrated it is",
    convention: "weights are |value| / gross. hhi (Herfindahl) is their squares' sum, 1/n to 1; effective_n its inverse; top1, \
                 top5 the largest and the five largest. Leverage is over equity. Short values are negative.",
    columns: Columns::One("values"),
    takes: &[
        ("values", "what each position is worth, short ones negative"),
        ("qty", "instead of values: signed quantities, at the prices of price_row"),
        ("price_row", "with qty: which row of the file csv holds the prices, counted from 0"),
        ("equity", "what leverage is over; without it there is none"),
    ],
    compute,
};

fn compute(question: &Question<'_>) -> Result<Figures, Unanswered> {
    let values = values(question)?;
    let exposure = Exposure::of(Sample::new(&values)?)?;
    let of = exposure.concentration;
    let mut figures = Figures::default();
    for (name, figure) in
        [("gross", exposure.gross), ("net", exposure.net), ("long", exposure.long), ("short", exposure.short)]
    {
        figures.put(name, figure);
    }
    if let Some(equity) = question.number_if("equity")? {
        let (gross, net) = exposure.leverage(equity)?;
        figures.put("gross_leverage", gross);
        figures.put("net_leverage", net);
    }
    figures.put("hhi", of.herfindahl);
    figures.put("effective_n", exposure.effective_positions());
    figures.put("top1", of.largest);
    figures.put("top5", of.top5);
    Ok(figures)
}

fn values(question: &Question<'_>) -> Result<Vec<f64>, Unanswered> {
    if question.value("qty").is_none() {
        return question.series("values");
    }
    let (quantities, prices) = (question.series("qty")?, question.row(question.count("price_row")?)?);
    if quantities.len() != prices.len() {
        return Err(SampleError::Lengths { left: quantities.len(), right: prices.len() }.into());
    }
    Ok(quantities.iter().zip(&prices).map(|(quantity, price)| quantity * price).collect())
}
