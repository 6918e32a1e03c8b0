use serde_json::Value;
use tapewatch_monitors::kernels::{Exposed, Sample, SampleError, Swings, revalue, standard_deviation};
use tapewatch_monitors::risk::{Confidence, Moves, Scenario, Shock, ShockedMarket, stressed_loss};
use tapewatch_schemas::{Amount, Symbol};

use super::super::family::{Columns, Family};
use super::super::figure::Figures;
use super::super::question::{Question, Unanswered, wrong};
use super::super::records::amount;

pub(crate) static FAMILY: Family = Family {
    name: "stress",
    aliases: &["scenario"],
    about: "what is held would lose in a scenario: prices move at once, and the market swings otherwise afterwards",
    convention: "losses are positive, and money. prices_loss: −Σ value × shock, in decimals, each rounded half-even to 12 places. With \
                 returns: market_loss, the value at risk at the level of a normal distribution with mean zero, its deviation that of \
                 Σ value × return (n − 1), times volatility, after the matrix of correlations moved by the share |correlation| \
                 towards all ones (above 0) or none (below 0). loss: both.",
    columns: Columns::Several,
    takes: &[
        ("values", "what each holding is worth, short ones negative"),
        ("shocks", "by which share each price moves, such as -0.2; one for all, or one a holding"),
        ("returns", "lists of simple returns, one a holding, equally long"),
        ("volatility", "by how much every deviation is multiplied (default 1)"),
        ("correlation", "by which share correlations move, -1 to 1 (default 0)"),
        ("level", "of value at risk, a share in whole hundredths of a per cent (default 0.99)"),
    ],
    compute,
};

fn compute(question: &Question<'_>) -> Result<Figures, Unanswered> {
    let given = question.value("values").map_or(&Value::Null, |values| values);
    let values = question.series("values")?;
    let held = holdings(given, &values)?;
    let shocks = shocks(question, &held)?;
    let mut figures = Figures::default();
    let prices = loss(shocks.clone(), None, &held, Swings::default())?;
    figures.put("prices_loss", prices);
    if question.value("returns").is_some() || question.value("cols").is_some() {
        let (swings, market) = (swings(question, &values)?, market(question)?);
        figures.put("deviation", swings.deviation(1.0, 0.0));
        figures.put("stressed_deviation", swings.deviation(market.volatility, market.correlation));
        figures.put("market_loss", loss(Vec::new(), Some(market), &held, swings)?);
        figures.put("loss", loss(shocks, Some(market), &held, swings)?);
    } else if let Some(name) =
        ["volatility", "correlation"].into_iter().find(|name| question.value(name).is_some())
    {
        let expected = format!("returns beside {name}: lists of simple returns, one a holding");
        return Err(Unanswered::Missing { name: "returns".into(), expected });
    } else {
        figures.put("loss", prices);
    }
    Ok(figures)
}

/// Each under a name of its own.
fn holdings(given: &Value, values: &[f64]) -> Result<Vec<(Symbol, Amount)>, Unanswered> {
    let one = |(at, value): (usize, &f64)| {
        let written = given.as_array().and_then(|given| given.get(at)).cloned().unwrap_or((*value).into());
        Ok((Symbol::from(format!("{at}").as_str()), amount(&format!("values[{at}]"), &written)?))
    };
    values.iter().enumerate().map(one).collect()
}

fn shocks(question: &Question<'_>, held: &[(Symbol, Amount)]) -> Result<Vec<Shock>, Unanswered> {
    let shares = if question.value("shocks").is_some() { question.numbers("shocks")? } else { vec![0.0] };
    if shares.len() != 1 && shares.len() != held.len() {
        return Err(SampleError::Lengths { left: held.len(), right: shares.len() }.into());
    }
    let shock = |(at, share): (usize, &f64)| {
        let millionths = share * 1e6;
        let whole = (millionths.round() - millionths).abs() < 1e-6 && (-1e6..=1e8).contains(&millionths);
        let expected = "a share from -1 to 100 in whole millionths, such as -0.2";
        if !whole {
            return Err(wrong(&format!("shocks[{at}]"), expected, &(*share).into()));
        }
        let symbols = if shares.len() == 1 { Vec::new() } else { vec![held[at].0.clone()] };
        Ok(Shock { symbols, millionths: millionths.round() as i64 })
    };
    shares.iter().enumerate().map(shock).collect()
}

fn loss(
    shocks: Vec<Shock>,
    market: Option<ShockedMarket>,
    held: &[(Symbol, Amount)],
    swings: Swings,
) -> Result<f64, Unanswered> {
    let name = "asked".parse().expect("a constant that is a name");
    let scenario = Scenario { name, moves: Moves::Shocks(shocks), market };
    stressed_loss(&scenario, held, swings).map_err(|_| SampleError::Overflow { figure: "the loss" }.into())
}

/// As the worker has them of the history: of the profits that what is held would have made, and of each symbol.
fn swings(question: &Question<'_>, values: &[f64]) -> Result<Swings, Unanswered> {
    let returns = question.panel("returns")?;
    if returns.len() != values.len() {
        return Err(SampleError::Lengths { left: values.len(), right: returns.len() }.into());
    }
    let first = returns.first().map_or(0, Vec::len);
    let mut deviations = Vec::new();
    for (at, series) in returns.iter().enumerate() {
        let named = |source| Unanswered::Of { name: format!("series {}", at + 1), source };
        if series.len() != first {
            return Err(named(SampleError::Lengths { left: first, right: series.len() }));
        }
        Sample::new(series).map_err(named)?;
        deviations.push(standard_deviation(series).map_err(named)?);
    }
    let held = values.iter().zip(&returns).map(|(value, returns)| Exposed { value: *value, returns });
    let mut profits = Vec::new();
    revalue(&held.collect::<Vec<_>>(), &mut profits)?;
    Ok(Swings::new(&profits, values.iter().copied().zip(deviations))?)
}

fn market(question: &Question<'_>) -> Result<ShockedMarket, Unanswered> {
    let volatility = question.number_or("volatility", 1.0)?;
    let correlation = question.number_or("correlation", 0.0)?;
    let level = question.number_or("level", 0.99)?;
    let points = level * 1e4;
    let whole = (points.round() - points).abs() < 1e-6 && (0.0..1e4).contains(&points) && points >= 5e3;
    for (name, value, right, expected) in [
        ("volatility", volatility, volatility > 0.0 && volatility.is_finite(), "more than 0"),
        ("correlation", correlation, (-1.0..=1.0).contains(&correlation), "from -1 to 1"),
        ("level", level, whole, "a share from 0.5 to below 1, such as 0.99 or 0.975"),
    ] {
        if !right {
            return Err(SampleError::Parameter { name, value, expected }.into());
        }
    }
    Ok(ShockedMarket { volatility, correlation, level: Confidence(points.round() as u16) })
}
