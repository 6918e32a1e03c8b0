use tapewatch_monitors::kernels::{Exceptions, traffic_light};

use super::super::family::{Columns, Family};
use super::super::figure::Figures;
use super::super::question::{Question, Unanswered};
use super::ALPHA;

pub(crate) static FAMILY: Family = Family {
    name: "basel_traffic_light",
    aliases: &["basel", "traffic_light"],
    about: "the Basel Committee's traffic light",
    convention: "binom_cdf: the probability of at most so many exceptions if the model is right; yellow from 95 %, red from \
                 99.99 %. plus_factor is added to the multiplier of 3, by the table of 1996; in yellow it is \
                 defined for 250 observations at 99 % alone. FRTB's add-ons are others.",
    columns: Columns::None,
    takes: &[("n", "observations"), ("exceedances", "how many were worse than the value at risk"), ALPHA],
    compute,
};

fn compute(question: &Question<'_>) -> Result<Figures, Unanswered> {
    let exceptions = Exceptions::new(question.count("n")?, question.count("exceedances")?)?;
    let light = traffic_light(exceptions, question.tail(0.01)?);
    let mut figures = Figures::default();
    figures.put("zone", light.zone.name());
    figures.put("plus_factor", light.plus_factor);
    figures.put("binom_cdf", light.at_most);
    figures.put("prob_at_least", light.at_least);
    Ok(figures)
}
