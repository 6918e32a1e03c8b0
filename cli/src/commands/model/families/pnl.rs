use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tapewatch_monitors::RiskParameters;
use tapewatch_monitors::risk::{Instrument, PnlMethod};
use tapewatch_schemas::events::{ExecType, Side};
use tapewatch_schemas::{Amount, Event, Symbol};

use super::super::family::{Columns, Family};
use super::super::figure::Figures;
use super::super::question::{Question, Unanswered, wrong};
use super::super::records::{Record, amount};
use super::super::worker::{Worker, mark, report};
use super::{SIDES, measured};

pub(crate) static FAMILY: Family = Family {
    name: "pnl",
    aliases: &["profit", "positions", "realised_pnl", "unrealised_pnl"],
    about: "positions from fills, and what they realised, are worth, and cost in fees",
    convention: "through the risk worker's monitor, in decimals. realised_pnl: what was closed less what that cost, by the method: \
                 average_cost, fifo or lifo; fees are in neither it nor unrealised_pnl, value less cost of what is open at the \
                 marks (none without them). pnl: realised + unrealised − fees. A fill through zero closes one side and opens the \
                 other; a bust takes its fill back, a correction replaces its terms, and later fills are booked anew.",
    columns: Columns::Records("fills"),
    takes: &[
        (
            "fills",
            "in order of time: symbol, side (buy or sell), quantity, price; if wanted fee, time, id, and type (fill, bust, correct) \
             with of, the id of the fill that is undone or corrected",
        ),
        ("method", "average_cost, fifo or lifo (default average_cost)"),
        ("marks", "the price of each symbol now: {\"A\": 12.5}"),
        ("multipliers", "units of the underlying per unit, 1 if not said: {\"A\": 50}"),
    ],
    compute,
};

const FIELDS: [&str; 9] = ["time", "symbol", "side", "quantity", "price", "fee", "type", "id", "of"];
const TYPES: [(&str, ExecType); 3] =
    [("fill", ExecType::Fill), ("bust", ExecType::Bust), ("correct", ExecType::Correct)];

fn compute(question: &Question<'_>) -> Result<Figures, Unanswered> {
    let multiplier = |(symbol, multiplier)| (symbol, Instrument { multiplier });
    let mut worker = Worker::new(RiskParameters {
        pnl_method: method(question)?,
        instruments: by_symbol(question, "multipliers")?.into_iter().map(multiplier).collect(),
        ..RiskParameters::default()
    });
    let marks = by_symbol(question, "marks")?;
    for record in question.records("fills", &FIELDS)? {
        let time = record.time()?.unwrap_or(worker.next());
        let (place, fill) = (record.place.clone(), fill(&record)?);
        worker.see(&place, time, fill)?;
    }
    for (symbol, price) in &marks {
        worker.see("marks", worker.next(), mark(symbol, *price))?;
    }
    let mut figures = Figures::default();
    let level = worker.level();
    for name in ["realised_pnl", "unrealised_pnl", "fees"] {
        measured(&mut figures, level.as_ref(), name);
    }
    let [realised, unrealised, fees] =
        ["realised_pnl", "unrealised_pnl", "fees"].map(|name| figures.0.get(name).and_then(Value::as_f64));
    let pnl =
        realised.zip(unrealised).zip(fees).map(|((realised, unrealised), fees)| realised + unrealised - fees);
    figures.put("pnl", pnl);
    for name in ["gross_exposure", "net_exposure"] {
        measured(&mut figures, level.as_ref(), name);
    }
    for line in worker.book().iter().flat_map(|book| &book.holdings) {
        figures.put(format!("quantity_{}", line.symbol), line.quantity.to_f64());
        figures.put(format!("average_cost_{}", line.symbol), line.average_cost.map(Amount::to_f64));
    }
    Ok(figures)
}

fn method(question: &Question<'_>) -> Result<PnlMethod, Unanswered> {
    match question.text_if("method")? {
        None | Some("average_cost") => Ok(PnlMethod::AverageCost),
        Some("fifo") => Ok(PnlMethod::Fifo),
        Some("lifo") => Ok(PnlMethod::Lifo),
        Some(other) => Err(wrong("method", "average_cost, fifo or lifo", &other.into())),
    }
}

/// Amounts by symbol.
fn by_symbol(question: &Question<'_>, name: &str) -> Result<BTreeMap<Symbol, Amount>, Unanswered> {
    let none = Value::Object(Map::new());
    let value = question.value(name).unwrap_or(&none);
    let expected = "an amount for each symbol, such as {\"A\": 12.5}";
    let amounts = value.as_object().ok_or_else(|| wrong(name, expected, value))?;
    let one = |(symbol, value): (&String, &Value)| {
        Ok((Symbol::from(symbol.as_str()), amount(&format!("{name}.{symbol}"), value)?))
    };
    amounts.iter().map(one).collect()
}

fn fill(record: &Record) -> Result<Event, Unanswered> {
    let symbol = record.wanted("symbol", "a symbol", record.text("symbol")?)?;
    let exec = record.one_of("type", &TYPES)?.unwrap_or(ExecType::Fill);
    let side = record.one_of("side", &SIDES)?;
    // A bust has no terms of its own.
    let side = if exec == ExecType::Bust {
        side.unwrap_or(Side::Buy)
    } else {
        record.wanted("side", "buy or sell", side)?
    };
    let mut fill = report(symbol, exec, side, Amount::ZERO);
    if exec != ExecType::Bust {
        (fill.last_quantity, fill.last_price) =
            (Some(record.amount_of("quantity")?), Some(record.amount_of("price")?));
    }
    fill.fee = record.amount("fee")?;
    fill.execution_id = record.text("id")?.unwrap_or(&record.place).into();
    if exec != ExecType::Fill {
        let of = record.wanted("of", "the id of the fill that is undone or corrected", record.text("of")?)?;
        fill.reference_execution_id = Some(of.into());
    }
    Ok(Event::ExecReport(fill))
}
