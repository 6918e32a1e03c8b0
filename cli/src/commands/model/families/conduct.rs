use std::time::Duration;

use tapewatch_monitors::RiskParameters;
use tapewatch_monitors::risk::ConductParameters;
use tapewatch_schemas::events::{ExecType, OrderStatus, OrderType};
use tapewatch_schemas::{Amount, Event, Symbol};

use super::super::family::{Columns, Family};
use super::super::figure::Figures;
use super::super::question::{Question, Unanswered, wrong};
use super::super::records::Record;
use super::super::worker::{Worker, mark, report};
use super::{SIDES, measured};

pub(crate) static FAMILY: Family = Family {
    name: "conduct",
    aliases: &["orders", "order_to_trade"],
    about: "how orders are sent: messages a second, orders to trades, duplicates, self-crossings, rejections, prices far away",
    convention: "through the risk worker's monitor, of the window that ends with the last record, to a sixtieth of it. Messages: orders \
                 accepted, rejected, replaced, cancelled. order_to_trade: messages over fills, less one (Delegated Regulation (EU) \
                 2017/566). A duplicate has the terms of another order sent within duplicates_within; a self-crossing order could be \
                 filled against an open one; price_away: |limit / mark − 1| at its largest.",
    columns: Columns::Records("orders"),
    takes: &[
        (
            "orders",
            "in order of time: time, type (new, rejected, replaced, canceled, expired, fill, partial_fill), order, symbol, side; \
             quantity, order_type (market, limit, stop, stop_limit) and limit of an order; mark, the market's price then; price of \
             a fill",
        ),
        ("window", "seconds (default 60)"),
        ("duplicates_within", "seconds (default 1)"),
    ],
    compute,
};

const FIELDS: [&str; 10] =
    ["time", "type", "order", "symbol", "side", "quantity", "order_type", "limit", "mark", "price"];
const TYPES: [(&str, (ExecType, OrderStatus)); 7] = [
    ("new", (ExecType::New, OrderStatus::New)),
    ("rejected", (ExecType::Rejected, OrderStatus::Rejected)),
    ("replaced", (ExecType::Replaced, OrderStatus::New)),
    ("canceled", (ExecType::Canceled, OrderStatus::Canceled)),
    ("expired", (ExecType::Expired, OrderStatus::Expired)),
    ("fill", (ExecType::Fill, OrderStatus::Filled)),
    ("partial_fill", (ExecType::Fill, OrderStatus::PartiallyFilled)),
];
const ORDER_TYPES: [(&str, OrderType); 4] = [
    ("market", OrderType::Market),
    ("limit", OrderType::Limit),
    ("stop", OrderType::Stop),
    ("stop_limit", OrderType::StopLimit),
];
const PUBLISHED: [&str; 7] = [
    "message_rate",
    "peak_message_rate",
    "order_to_trade",
    "rejected_share",
    "duplicate_orders",
    "self_crossings",
    "price_away",
];

fn compute(question: &Question<'_>) -> Result<Figures, Unanswered> {
    let conduct = ConductParameters {
        window: seconds(question, "window", 60.0, 0.06)?,
        duplicates_within: seconds(question, "duplicates_within", 1.0, 0.0)?,
        orders: 100_000,
    };
    let mut worker = Worker::new(RiskParameters { conduct: Some(conduct), ..RiskParameters::default() });
    for record in question.records("orders", &FIELDS)? {
        let time = record.wanted("time", "the time of the record", record.time()?)?;
        let symbol = record.wanted("symbol", "a symbol", record.text("symbol")?)?;
        if let Some(price) = record.amount("mark")? {
            worker.see(&record.place, time, mark(&Symbol::from(symbol), price))?;
        }
        worker.see(&record.place, time, order(&record, symbol)?)?;
    }
    let (mut figures, level) = (Figures::default(), worker.level());
    PUBLISHED.iter().for_each(|name| measured(&mut figures, level.as_ref(), name));
    Ok(figures)
}

/// So many seconds, from the least to a year.
fn seconds(question: &Question<'_>, name: &str, default: f64, least: f64) -> Result<Duration, Unanswered> {
    let value = question.number_or(name, default)?;
    if (least..=31_622_400.0).contains(&value) {
        return Ok(Duration::from_secs_f64(value));
    }
    Err(wrong(name, &format!("seconds, from {least} to a year"), &value.into()))
}

fn order(record: &Record, symbol: &str) -> Result<Event, Unanswered> {
    let (exec, status) =
        record.wanted("type", "what happened to the order", record.one_of("type", &TYPES)?)?;
    let side = record.wanted("side", "buy or sell", record.one_of("side", &SIDES)?)?;
    let mut order = report(symbol, exec, side, record.amount("quantity")?.unwrap_or(Amount::ONE));
    order.order_id = record.wanted("order", "the order's id", record.text("order")?)?.into();
    order.execution_id = record.place.as_str().into();
    (order.order_status, order.limit_price) = (status, record.amount("limit")?);
    let unpriced = if order.limit_price.is_some() { OrderType::Limit } else { OrderType::Market };
    order.order_type = record.one_of("order_type", &ORDER_TYPES)?.unwrap_or(unpriced);
    if exec == ExecType::Fill {
        // That there was one is all that is looked at.
        order.last_quantity = Some(order.order_quantity);
        order.last_price = Some(record.amount("price")?.or(order.limit_price).unwrap_or(Amount::ONE));
    }
    Ok(Event::ExecReport(order))
}
