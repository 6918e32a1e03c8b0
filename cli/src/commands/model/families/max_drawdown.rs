use tapewatch_monitors::kernels::{Sample, drawdown_profile, trailing_drawdown, wealth};

use super::super::family::{Columns, Family};
use super::super::figure::Figures;
use super::super::question::{Question, Unanswered};
use super::RETURNS;

pub(crate) static FAMILY: Family = Family {
    name: "max_drawdown",
    aliases: &["drawdown"],
    about: "drawdown: largest, now, within a window, and how long under water",
    convention: "losses from the highest value before, as returns: negative. Simple returns compound from a wealth of 1, which is \
                 index 0, before the first return. recovery_index: the first that is at the peak's height again, or \
                 none. under_water: how many at the end are below their peak, and the most in a row. ulcer_index: the root \
                 of the mean squared loss, over n.",
    columns: Columns::One("returns"),
    takes: &[
        RETURNS,
        ("values", "instead of returns: wealth or equity in order of time, the first is index 0"),
        ("window", "for trailing_drawdown: how many values from the last back"),
    ],
    compute,
};

fn compute(question: &Question<'_>) -> Result<Figures, Unanswered> {
    let values = if question.value("values").is_some() {
        question.series("values")?
    } else {
        wealth(Sample::new(&question.series("returns")?)?)?
    };
    let values = Sample::new(&values)?;
    let profile = drawdown_profile(values)?;
    let mut figures = Figures::default();
    figures.put("max_drawdown", 0.0 - profile.largest);
    figures.put("peak_index", profile.peak);
    figures.put("trough_index", profile.trough);
    figures.put("recovery_index", profile.recovery);
    figures.put("drawdown_now", 0.0 - profile.current);
    figures.put("under_water", profile.under_water);
    figures.put("longest_under_water", profile.longest_under_water);
    figures.put("ulcer_index", profile.ulcer);
    if let Some(window) = question.count_if("window")? {
        let trailing = trailing_drawdown(values, usize::try_from(window).unwrap_or(usize::MAX))?;
        figures.put("trailing_drawdown", 0.0 - trailing);
    }
    Ok(figures)
}
