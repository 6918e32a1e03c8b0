use tapewatch_monitors::kernels::{Quote, Sample, Touch, Traded, days_to_liquidate};

use super::super::family::{Columns, Family};
use super::super::figure::Figures;
use super::super::question::{Question, Unanswered};

pub(crate) static FAMILY: Family = Family {
    name: "liquidity",
    aliases: &[],
    about: "how fast, and at what cost, a position can be sold",
    convention: "from prices and volumes, the first day of which only gives the price that the second's return is \
                 reckoned from: amihud, the mean of |return| / (price·volume) of its day, days without trade left out; adv21, the mean of price·volume \
                 over the last 21; days_to_liquidate, |position_value| / (participation·adv21); roll_spread, \
                 2·√max(0, −cov(Δp, Δp before)), divided by n − 1. From bid, ask and quantity: relative_spread over the \
                 mid; depth at the touch that the position would hit; cost_to_liquidate against the mid, a lower \
                 bound where share_at_touch is below 1.",
    columns: Columns::Named(&["price", "volume"]),
    takes: &[
        ("price", "prices, in order of time"),
        ("volume", "what was traded at them, in units"),
        ("position_value", "in money; without it there are no days to liquidate"),
        ("participation", "share of what is traded that one may be (default 0.1)"),
        ("bid", "best bid, instead of prices or beside them"),
        ("ask", "best ask"),
        ("bid_size", "what stands at the bid, in units"),
        ("ask_size", "what stands at the ask"),
        ("quantity", "of the position, short ones negative"),
    ],
    compute,
};

fn compute(question: &Question<'_>) -> Result<Figures, Unanswered> {
    let mut figures = Figures::default();
    let touch = question.value("bid").is_some();
    if touch {
        at_the_touch(question, &mut figures)?;
    }
    if !touch || question.value("price").is_some() {
        of_what_was_traded(question, &mut figures)?;
    }
    Ok(figures)
}

fn at_the_touch(question: &Question<'_>, figures: &mut Figures) -> Result<(), Unanswered> {
    let quantity = question.number("quantity")?;
    let quote = Quote::new(question.number("bid")?, question.number("ask")?)?;
    let touch = Touch::new(quote, question.number("bid_size")?, question.number("ask_size")?)?;
    figures.put("relative_spread", quote.relative_spread());
    figures.put("depth", touch.depth(quantity)?);
    figures.put("cost_to_liquidate", quote.cost(quantity)?);
    figures.put("share_at_touch", touch.share_at_touch(quantity));
    Ok(())
}

fn of_what_was_traded(question: &Question<'_>, figures: &mut Figures) -> Result<(), Unanswered> {
    let (prices, volumes) = (question.days("price")?, question.days("volume")?);
    let traded = Traded::new(Sample::new(&prices)?, Sample::new(&volumes)?)?;
    figures.put("amihud", traded.amihud()?);
    figures.put("days_without_trade", traded.idle_days());
    let average = traded.average_money(21)?;
    figures.put("adv21", average);
    if let Some(position) = question.number_if("position_value")? {
        let participation = question.number_or("participation", 0.1)?;
        figures.put("days_to_liquidate", days_to_liquidate(position, average, participation)?);
    }
    figures.put("roll_spread", traded.roll_spread()?);
    Ok(())
}
